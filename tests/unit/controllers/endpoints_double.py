"""A control plane for controllers under test: a store, an informer source and a client, and nothing of the API server.

Only what controllers rely on is here: names from ``generateName``, uids, generations, and conflicts.
"""
from __future__ import annotations

from collections import Counter
from typing import Any

from epkit.client import RESOURCES
from epkit.errors import ApiError
from epkit.fake.clock import Clock, format_time
from epkit.fake.controllers.framework import Controller
from epkit.fake.loop import Loop
from epkit.fake.store import Event, Store
from epkit.objects import Obj, copy

START = 1_000_000.0


class FakeClient:
    """The verbs that controllers use, straight on the store. `actions` lists what was written, in order."""

    def __init__(self, control_plane: ControlPlane, user: str) -> None:
        self.control_plane = control_plane
        self.user = user
        self.actions: list[tuple[str, str, str]] = []
        #: what the next write is answered with, instead of being carried out
        self.refuse: ApiError | None = None

    def find(self, resource: str, name: str, namespace: str | None = None) -> Obj | None:
        return self.control_plane.store.get(resource, namespace or "", name)

    def create(self, resource: str, obj: Obj, namespace: str | None = None) -> Obj:
        self._maybe_refuse()
        stored = self.control_plane.put(resource, obj, self.user)
        self._wrote("create", resource, stored["metadata"]["name"])
        return stored

    def update(self, resource: str, obj: Obj) -> Obj:
        self._maybe_refuse()
        meta = obj["metadata"]
        old = self.control_plane.store.get(resource, meta["namespace"], meta["name"])
        if old is None:
            raise not_found(resource, meta["name"])
        if meta.get("resourceVersion", old["metadata"]["resourceVersion"]) != old["metadata"]["resourceVersion"]:
            raise conflict(resource, meta["name"])
        stored = self.control_plane.put(resource, obj, self.user)
        self._wrote("update", resource, meta["name"])
        return stored

    def patch(self, resource: str, name: str, patch: Obj, namespace: str | None = None, *, kind: str = "merge") -> Obj:
        old = self.control_plane.store.get(resource, namespace or "", name)
        assert old is not None
        return self.control_plane.put(resource, {**old, **patch}, self.user)

    def delete(self, resource: str, name: str, namespace: str | None = None) -> Obj:
        self._maybe_refuse()
        if self.control_plane.store.get(resource, namespace or "", name) is None:
            raise not_found(resource, name)
        gone = self.control_plane.store.delete(resource, namespace or "", name, self.user)
        self._wrote("delete", resource, name)
        return gone

    def counts(self) -> dict[str, int]:
        """How many objects other than Events were created, updated and deleted."""
        return dict(Counter(verb for verb, resource, _ in self.actions if resource != "events"))

    def _wrote(self, verb: str, resource: str, name: str) -> None:
        self.actions.append((verb, resource, name))

    def _maybe_refuse(self) -> None:
        if self.refuse is not None:
            refusal, self.refuse = self.refuse, None
            raise refusal


class ControlPlane:
    """What a controller is handed (its Kit), with a store that a test may write to as any other client would."""

    def __init__(self) -> None:
        self.loop = Loop(Clock(START))
        self.store = Store(now=lambda: self.loop.clock.now)
        self.clients: dict[str, FakeClient] = {}
        self.source = self
        self._serial = 0

    # the Kit

    def client(self, user: str) -> Any:
        return self.clients.setdefault(user, FakeClient(self, user))

    # the Source

    def list(self, resource: str) -> list[Obj]:
        return self.store.list(resource)

    def subscribe(self, resource: str, handle: Any) -> Any:
        def receive(event: Event) -> None:
            if event.resource == resource:
                handle(event.type, event.obj)

        return self.store.subscribe(receive)

    # for tests

    def put(self, resource: str, obj: Obj, actor: str = "test") -> Obj:
        """Create or replace an object, as the API server does."""
        version, kind, _ = RESOURCES[resource]
        meta = {**obj["metadata"]}
        self._serial += 1
        if "name" not in meta:
            meta["name"] = f"{meta['generateName']}{self._serial:05d}"
        old = self.store.get(resource, meta.get("namespace", ""), meta["name"])
        if old is None:
            meta.setdefault("uid", f"uid-{self._serial}")
            meta.setdefault("creationTimestamp", format_time(self.loop.clock.now))
            meta["generation"] = 1
        else:
            changed = _body(old) != _body(obj) or old["metadata"].get("labels") != meta.get("labels")
            meta["generation"] = old["metadata"]["generation"] + changed
            meta["uid"] = old["metadata"]["uid"]
            meta["creationTimestamp"] = old["metadata"]["creationTimestamp"]
        return self.store.put(resource, {"apiVersion": version, "kind": kind, **obj, "metadata": meta}, actor)

    def change(self, resource: str, name: str, namespace: str = "ns", **changes: Any) -> Obj:
        """Replace fields of an object; ``a__b=1`` means ``a.b``."""
        obj = copy(self.store.get(resource, namespace, name))
        for path, value in changes.items():
            *parents, last = path.split("__")
            target = obj
            for parent in parents:
                target = target.setdefault(parent, {})
            if value is None:
                target.pop(last, None)
            else:
                target[last] = value
        return self.put(resource, obj)

    def delete(self, resource: str, name: str, namespace: str = "ns") -> None:
        self.store.delete(resource, namespace, name)

    def run(self, controller: type[Controller], **flags: Any) -> Any:
        """Start a controller and let it come to rest."""
        started = controller(self, **flags)  # type: ignore[arg-type]
        started.start()
        self.loop.run_due()
        return started

    def settle(self) -> None:
        """Let due work be done, without any time passing."""
        self.loop.run_due()

    def sleep(self, seconds: float) -> None:
        self.loop.run_until(self.loop.clock.now + seconds)

    def slices(self, service: str = "web", address_type: str = "IPv4") -> list[Obj]:
        """The controller's slices of a Service."""
        return [
            slice
            for slice in self.store.list("endpointslices", "ns")
            if slice["metadata"].get("labels", {}).get("kubernetes.io/service-name") == service
            and slice["addressType"] == address_type
        ]

    def events(self) -> list[tuple[str, str, str]]:
        """What was told in Events: type, reason, message."""
        return [(each["type"], each["reason"], each["message"]) for each in self.store.list("events")]


def not_found(resource: str, name: str) -> ApiError:
    return ApiError({"code": 404, "reason": "NotFound", "message": f'{resource} "{name}" not found'})


def conflict(resource: str, name: str) -> ApiError:
    return ApiError({"code": 409, "reason": "Conflict", "message": f'Operation cannot be fulfilled on "{name}"'})


def namespace_terminating() -> ApiError:
    return ApiError({
        "code": 403,
        "reason": "Forbidden",
        "message": "unable to create new content in namespace ns because it is being terminated",
        "details": {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]},
    })


def _body(obj: Obj) -> Obj:
    return {key: value for key, value in obj.items() if key not in ("metadata", "apiVersion", "kind", "status")}


def make_pod(
    name: str,
    ip: str | list[str] = "",
    *,
    ready: bool = True,
    terminating: bool = False,
    phase: str = "Running",
    node: str = "node-1",
    labels: dict[str, str] | None = None,
    ports: dict[str, int] | None = None,
    since: float = START,
    **spec: Any,
) -> Obj:
    """A pod of app=web as the API server would return it."""
    ips = [ip] if isinstance(ip, str) and ip else list(ip)
    meta: Obj = {"name": name, "namespace": "ns", "labels": {"app": "web"} if labels is None else labels}
    if terminating:
        meta["deletionTimestamp"] = format_time(START)
    container_ports = [
        {"name": port, "containerPort": number, "protocol": "TCP"} for port, number in (ports or {}).items()
    ]
    status: Obj = {
        "phase": phase,
        "conditions": [
            {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": format_time(since)}
        ],
    }
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": each} for each in ips]}
    containers = [{"name": "web", "image": "nginx", "ports": container_ports}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": containers, "nodeName": node, **spec},
        "status": status,
    }


def make_service(name: str = "web", **spec: Any) -> Obj:
    """A Service for app=web on port 80, as the API server would return it; `labels` and `annotations` are metadata."""
    meta: Obj = {"name": name, "namespace": "ns"}
    for field in ("labels", "annotations", "deletionTimestamp"):
        if field in spec:
            meta[field] = spec.pop(field)
    default = {
        "type": "ClusterIP",
        "clusterIP": "10.96.0.1",
        "ipFamilies": ["IPv4"],
        "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": default | spec}


def make_node(name: str, zone: str = "", *, ready: bool = True, cpu: str = "4", **labels: str) -> Obj:
    if zone:
        labels["topology.kubernetes.io/zone"] = zone
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "allocatable": {"cpu": cpu},
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }
