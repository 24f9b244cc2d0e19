"""A minimal control plane for the workload controllers' specifications: a store, a client, a loop, and no rules.

It knows what those controllers rely on and nothing else: generated names, conflicts, the status subresource, graceful
deletion of pods, and owner references in strategic patches. Pods run when a test says so.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from epkit.client import RESOURCES, Answer, Client
from epkit.errors import ApiError
from epkit.fake.clock import Clock
from epkit.fake.controllers.framework import Controller
from epkit.fake.loop import Loop
from epkit.fake.names import Names
from epkit.fake.store import Event, Store
from epkit.fake.wire import errors
from epkit.objects import Obj, copy, labels_of, name_of, namespace_of

START = 1_767_225_600.0
AnyController = TypeVar("AnyController", bound=Controller)


class Double:
    """The kit and the transport at once."""

    def __init__(self) -> None:
        self.clock = Clock(START)
        self.loop = Loop(self.clock)
        self.store = Store(lambda: self.clock.now)
        self.names = Names("specification")
        self.source = self
        #: (method, resource) -> raises an ApiError, to refuse a write
        self.refuse: dict[tuple[str, str], Callable[[Obj], None]] = {}
        self.requests: list[tuple[str, str, str]] = []

    # -- Kit and Source ------------------------------------------------------------------------------------------------

    def client(self, user: str) -> Client:
        return Client(self, manager="")

    def list(self, resource: str) -> Iterable[Obj]:
        return self.store.list(resource)

    def subscribe(self, resource: str, handle: Callable[[str, Obj], None]) -> Callable[[], None]:
        def on_event(event: Event) -> None:
            if event.resource == resource:
                handle(event.type, event.obj)

        return self.store.subscribe(on_event)

    # -- Transport -----------------------------------------------------------------------------------------------------

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        parts = path.strip("/").split("/")[2:] if path.startswith("/api/") else path.strip("/").split("/")[3:]
        namespace = ""
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        resource, name, subresource = (*parts, "", "")[:3]
        if resource not in RESOURCES:
            return Answer(404, errors.missing_route().status)
        if resource != "events":
            self.requests.append((method, resource, name))
        try:
            if (method, resource) in self.refuse:
                self.refuse[method, resource](body)
            return Answer(200, self._do(method, resource, namespace, name, subresource, copy(body)))
        except ApiError as error:
            return Answer(error.code, error.status)

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        raise NotImplementedError

    def _do(self, method: str, resource: str, namespace: str, name: str, subresource: str, body: Any) -> Obj:
        group = RESOURCES[resource][0].rpartition("/")[0]
        if method == "POST":
            return self._create(resource, namespace, body)
        old = self.store.get(resource, namespace, name)
        if old is None:
            raise errors.not_found(resource, name, group)
        match method:
            case "PUT":
                if body["metadata"].get("resourceVersion", "") not in ("", old["metadata"]["resourceVersion"]):
                    raise errors.conflict(resource, name, errors.MODIFIED, group)
                new = {**old, "status": body.get("status")} if subresource else {**body, "status": old.get("status")}
                return self._put(resource, {**new, "metadata": body["metadata"]}, old)
            case "PATCH":
                return self._put(resource, _patched(old, body), old)
            case "DELETE":
                return self._delete(resource, old, body)
        return old

    def _create(self, resource: str, namespace: str, obj: Obj) -> Obj:
        meta = obj["metadata"]
        if not meta.get("name"):
            meta["name"] = meta["generateName"] + self.names.suffix(resource, namespace, meta["generateName"])
        if namespace:
            meta["namespace"] = namespace
        if self.store.get(resource, namespace, meta["name"]) is not None:
            raise errors.already_exists(resource, meta["name"], RESOURCES[resource][0].rpartition("/")[0])
        meta["uid"] = self.names.uid(resource, namespace, meta["name"])
        meta["creationTimestamp"] = self.clock.timestamp()
        meta["generation"] = 1
        if resource == "pods":
            obj.setdefault("status", {"phase": "Pending"})
        return self.store.put(resource, obj)

    def _put(self, resource: str, obj: Obj, old: Obj) -> Obj:
        meta = obj["metadata"] = dict(obj["metadata"])
        if {**obj, "metadata": {**meta, "resourceVersion": old["metadata"]["resourceVersion"]}} == old:
            return old  # as etcd: what changes nothing is not written
        if obj.get("spec") != old.get("spec"):
            meta["generation"] = old["metadata"]["generation"] + 1
        if "deletionTimestamp" in meta and not meta.get("finalizers") and not meta.get("deletionGracePeriodSeconds"):
            return self.store.delete(resource, namespace_of(obj), name_of(obj), last=obj)
        return self.store.put(resource, obj)

    def _delete(self, resource: str, old: Obj, options: Obj | None) -> Obj:
        graceful = resource == "pods" and (options or {}).get("gracePeriodSeconds") != 0 and old["spec"].get("nodeName")
        if not graceful and not old["metadata"].get("finalizers"):
            return self.store.delete(resource, namespace_of(old), name_of(old))
        meta = {"deletionTimestamp": self.clock.timestamp(), **old["metadata"]}
        meta["deletionGracePeriodSeconds"] = min(meta.get("deletionGracePeriodSeconds", 30), 30 if graceful else 0)
        return old if meta == old["metadata"] else self.store.put(resource, {**old, "metadata": meta})

    # -- for specifications --------------------------------------------------------------------------------------------

    def run(self, controller: type[AnyController], **flags: Any) -> AnyController:
        started = controller(self, **flags)
        started.start()
        return started

    def add(self, resource: str, obj: Obj) -> Obj:
        version, kind, namespaced = RESOURCES[resource]
        obj = {"apiVersion": version, "kind": kind, **copy(obj)}
        return self._create(resource, obj["metadata"].get("namespace", "default") if namespaced else "", obj)

    def change(self, resource: str, name: str, **fields: Any) -> Obj:
        """Replace fields of an object; ``spec`` and ``status`` are merged."""
        old = self.get(resource, name)
        for key in ("spec", "status"):
            if key in fields:
                fields[key] = {**(old.get(key) or {}), **fields[key]}
        return self._put(resource, {**old, **fields}, old)

    def get(self, resource: str, name: str) -> Obj:
        found = self.store.get(resource, "default" if RESOURCES[resource][2] else "", name)
        assert found is not None, f"no {resource} {name}"
        return found

    def all(self, resource: str, **labels: str) -> list[Obj]:
        return [obj for obj in self.store.list(resource) if labels.items() <= labels_of(obj).items()]

    def settle(self) -> None:
        self.loop.settle()

    def sleep(self, seconds: float) -> None:
        self.loop.run_until(self.clock.now + seconds)

    def events(self, reason: str = "") -> list[str]:
        """The messages of the Events, in the order in which they were written."""
        found = [obj for obj in self.all("events") if reason in ("", obj["reason"])]
        return [obj["message"] for obj in sorted(found, key=lambda obj: int(obj["metadata"]["resourceVersion"]))]

    def set_pod(self, pod: Obj | str, phase: str = "Running", ready: bool = True, node: str = "node-1") -> None:
        """Have a pod run on a node, as its kubelet would report it."""
        name = pod if isinstance(pod, str) else name_of(pod)
        entry = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "lastTransitionTime": self.clock.timestamp(),
        }
        self.change("pods", name, spec={"nodeName": node}, status={"phase": phase, "conditions": [entry]})

    def run_pods(self) -> None:
        """Let time do its work and every live pod become ready, until nothing changes any more."""
        while True:
            self.settle()
            going = [pod for pod in self.all("pods") if "deletionTimestamp" in pod["metadata"]]
            waiting = [pod for pod in self.all("pods") if pod["status"]["phase"] == "Pending" and pod not in going]
            for pod in going:
                self.end(pod)
            for pod in waiting:
                self.set_pod(pod)
            if not going and not waiting:
                return

    def end(self, pod: Obj) -> None:
        """Its kubelet says that the pod is gone."""
        self.client("kubelet").delete("pods", name_of(pod), namespace_of(pod), grace=0)


def _patched(old: Obj, patch: Obj) -> Obj:
    """The strategic merge of the few patches that controllers send."""
    result = {**old, **{key: value for key, value in patch.items() if key != "metadata"}}
    meta = result["metadata"] = dict(old["metadata"])
    for key, value in (patch.get("metadata") or {}).items():
        if key == "ownerReferences":
            gone = {ref["uid"] for ref in value if ref.get("$patch") == "delete"}
            kept = [ref for ref in meta.get("ownerReferences") or [] if ref["uid"] not in gone]
            meta["ownerReferences"] = kept + [ref for ref in value if "$patch" not in ref]
        elif key == "$deleteFromPrimitiveList/finalizers":
            meta["finalizers"] = [name for name in meta.get("finalizers") or [] if name not in value]
        else:
            meta[key] = value
    return result
