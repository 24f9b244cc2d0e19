"""Objects as the API shows them, and a cluster that holds them: what the pictures' tests draw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from epkit.objects import Obj, copy
from epkit.story import Past, Story, Written

MOMENT = 1_767_225_600.0
READY = {"ready": True, "serving": True, "terminating": False}
NOT_READY = {"ready": False, "serving": False, "terminating": False}
TERMINATING = {"ready": False, "serving": True, "terminating": True}
GOING = {"ready": False, "serving": False, "terminating": True}


def service(name: str = "web", selector: dict[str, str] | None = None, **spec: Any) -> Obj:
    spec = {"clusterIP": "10.96.0.9", "ports": [{"port": 80, "protocol": "TCP"}], **spec}
    if selector is None:
        selector = {"app": name}
    if selector:
        spec["selector"] = selector
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name), "spec": spec}


def pod(name: str, labels: dict[str, str] | None = None, node: str = "", phase: str = "Running") -> Obj:
    spec = {"nodeName": node} if node else {}
    meta = {**_meta(name), "labels": {"app": "web"} if labels is None else labels, "uid": f"uid-{name}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": phase}}


def node(name: str, zone: str = "") -> Obj:
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels, "resourceVersion": "1"}}


def endpoint(
    address: str, conditions: dict[str, bool] | None = None, pod: str = "", node: str = "", zone: str = ""
) -> Obj:
    made: Obj = {"addresses": [address], "conditions": dict(READY if conditions is None else conditions)}
    if pod:
        made["targetRef"] = {"kind": "Pod", "name": pod, "namespace": "default", "uid": f"uid-{pod}"}
    if node:
        made["nodeName"] = node
    if zone:
        made["zone"] = zone
    return made


def endpoint_slice(
    name: str, endpoints: Iterable[Obj] = (), service: str = "web", ports: Iterable[Obj] | None = None,
    kind: str = "IPv4", manager: str = "endpointslice-controller.k8s.io", version: int = 1,
) -> Obj:  # fmt: skip
    labels = {"kubernetes.io/service-name": service}
    if manager:
        labels["endpointslice.kubernetes.io/managed-by"] = manager
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**_meta(name), "labels": labels, "resourceVersion": str(version)},
        "addressType": kind,
        "endpoints": list(endpoints),
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}] if ports is None else list(ports),
    }


def addresses(number: int) -> list[str]:
    """So many addresses, 10.0.0.0 and up."""
    return [f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}" for place in range(number)]


def cluster(*objects: Obj) -> Past:
    """A cluster that can be read."""
    of_kind: dict[str, dict[str, Obj]] = {}
    for obj in objects:
        meta = obj["metadata"]
        key = f"{meta['namespace']}/{meta['name']}" if "namespace" in meta else meta["name"]
        of_kind.setdefault(plural_of(obj), {})[key] = obj
    return Past(of_kind, MOMENT)


def crowd(number: int, *, zones: int = 3, nodes: int = 9, places: int = 100) -> Past:
    """A Service with many ready endpoints, on nodes in zones, in slices with so many places."""
    all_nodes = [node(f"node-{place}", f"zone-{'abcdef'[place % zones]}") for place in range(nodes)]
    pods = [pod(f"web-{place}", node=f"node-{place % nodes}") for place in range(number)]
    entries = []
    for place, address in enumerate(addresses(number)):
        here = all_nodes[place % nodes]["metadata"]
        zone = here["labels"]["topology.kubernetes.io/zone"]
        entries.append(endpoint(address, pod=f"web-{place}", node=here["name"], zone=zone))
    slices = [endpoint_slice(f"web-s{start}", entries[start : start + places]) for start in range(0, number, places)]
    return cluster(service(), *all_nodes, *pods, *slices)


def _meta(name: str) -> Obj:
    return {"name": name, "namespace": "default", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}


class Told:
    """A story as it is told: each write a second after the last, unless `at` says otherwise."""

    def __init__(self, *beginning: Obj) -> None:
        self._beginning: dict[str, list[Obj]] = {}
        for obj in beginning:
            self._beginning.setdefault(plural_of(obj), []).append(obj)
        self._last = {(plural_of(obj), obj["metadata"]["name"]): obj for obj in beginning}
        self._writes: list[Written] = []

    def write(self, obj: Obj, who: str = "kubectl/v1.36.0 (linux/amd64)", at: float | None = None) -> Told:
        key = (plural_of(obj), obj["metadata"]["name"])
        old = self._last.get(key)
        return self._add("ADDED" if old is None else "MODIFIED", obj, old, who, at)

    def delete(self, obj: Obj, who: str = "kubectl/v1.36.0 (linux/amd64)", at: float | None = None) -> Told:
        return self._add("DELETED", obj, self._last.pop((plural_of(obj), obj["metadata"]["name"])), who, at)

    def _add(self, event: str, obj: Obj, old: Obj | None, who: str, at: float | None) -> Told:
        number = len(self._writes) + 1
        moment = MOMENT + (number if at is None else at)
        self._writes.append(Written(moment, who, event, plural_of(obj), number + 100, old, obj))
        if event != "DELETED":
            self._last[plural_of(obj), obj["metadata"]["name"]] = obj
        return self

    @property
    def story(self) -> Story:
        end = self._writes[-1].at + 1 if self._writes else MOMENT
        return Story(self._beginning, self._writes, MOMENT, end)


def plural_of(obj: Obj) -> str:
    return "endpoints" if obj["kind"] == "Endpoints" else obj["kind"].lower() + "s"


def changed(obj: Obj, **parts: Obj) -> Obj:
    """The object with parts of it replaced; of its metadata and spec, only the fields that are given."""
    new = copy(obj)
    for part, value in parts.items():
        new[part] = {**new.get(part, {}), **value}
    return new
