"""Objects as the API shows them, and a cluster that holds them: what the pictures' tests draw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from epkit.objects import Obj
from epkit.story import Past

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
        plural = {"Endpoints": "endpoints"}.get(obj["kind"], obj["kind"].lower() + "s")
        of_kind.setdefault(plural, {})[key] = obj
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
