"""A built-in control plane with a few nodes, and short words for what these specifications do to it."""
from __future__ import annotations

from typing import Any

from epkit.fake.kubelet import NodeSpec
from epkit.fake.plane import Plane
from epkit.objects import Obj, condition


class Nodes:
    """Nothing moves by itself: `settle` lets waits end that end by themselves, `sleep` lets time pass."""

    def __init__(self, *nodes: NodeSpec, **flags: Any) -> None:
        self.plane = Plane(nodes, flags=flags)
        self.client = self.plane.client("somebody")
        self.kubelet = self.plane.kubelet
        self.start = self.plane.clock.now

    @property
    def elapsed(self) -> float:
        return self.plane.clock.now - self.start

    def settle(self) -> None:
        self.plane.settle()

    def sleep(self, seconds: float) -> None:
        self.plane.sleep(seconds)

    def pod(self, name: str, *, image: str = "nginx:1", settle: bool = True, **given: Any) -> Obj:
        """Create a pod. `container` is merged into its one container, `annotations` and `labels` into its metadata;
        everything else is its spec's."""
        container = {"name": "c", "image": image, **given.pop("container", {})}
        meta = {"name": name, "namespace": "default"}
        meta |= {key: given.pop(key) for key in ("annotations", "labels", "finalizers") if key in given}
        spec = {"containers": [container], **given}
        made = self.client.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        if settle:
            self.settle()
        return made

    def create(self, resource: str, name: str, namespace: str | None = "default", **content: Any) -> Obj:
        meta = {"name": name, **content.pop("metadata", {})} | ({"namespace": namespace} if namespace else {})
        return self.client.create(resource, {"metadata": meta, **content})

    def get(self, name: str, resource: str = "pods", namespace: str | None = "default") -> Obj | None:
        return self.client.find(resource, name, namespace)

    def status(self, name: str) -> Obj:
        pod = self.get(name)
        assert pod is not None, f"pod {name} is gone"
        status: Obj = pod["status"]
        return status

    def container(self, name: str, of: str = "containerStatuses", index: int = 0) -> Obj:
        entry: Obj = self.status(name)[of][index]
        return entry

    def is_ready(self, name: str) -> bool:
        pod = self.get(name)
        assert pod is not None
        return (condition(pod, "Ready") or {}).get("status") == "True"

    def node(self, name: str) -> Obj:
        node = self.client.get("nodes", name)
        return node

    def taints(self, name: str) -> list[str]:
        found = self.node(name)["spec"].get("taints") or []
        return [f"{taint['key'].rpartition('/')[2]}:{taint['effect']}" for taint in found]

    def events(self, name: str, namespace: str = "default") -> list[str]:
        """`Reason message` of the events about an object, oldest first, with their count where above one."""
        found = [
            event.obj
            for event in self.plane.store.history
            if event.resource == "events" and event.type == "ADDED" and event.obj["involvedObject"]["name"] == name
        ]
        return [f"{event['reason']} {event['message']}" for event in found]

    def annotate(self, name: str, **annotations: str | None) -> None:
        given = {key.replace("__", "/").replace("_", "-"): value for key, value in annotations.items()}
        self.client.patch("pods", name, {"metadata": {"annotations": given}}, "default")
        self.settle()

    def delete(self, name: str, resource: str = "pods", namespace: str | None = "default", **options: Any) -> None:
        self.client.delete(resource, name, namespace, **options)

    def writes(self, since: int, resource: str) -> list[str]:
        return [f"{event.type} {event.name}" for event in self.plane.store.since(since, resource)]


def three_nodes() -> list[NodeSpec]:
    return [NodeSpec(f"node-{i}", zone=f"zone-{'abc'[i - 1]}", number=i) for i in (1, 2, 3)]
