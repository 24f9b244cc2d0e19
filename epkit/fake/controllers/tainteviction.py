"""The taint eviction controller: deletes pods that do not tolerate a NoExecute taint of their node, or no longer do.

Source: ``pkg/controller/tainteviction/taint_eviction.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epkit.errors import ApiError
from epkit.fake.clock import Timer
from epkit.fake.controllers import taints
from epkit.fake.controllers.framework import Controller, Kit
from epkit.fake.controllers.podutil import is_finished
from epkit.objects import Obj, key_of, name_of, namespace_of, split_key

CONDITION = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByTaintManager",
    "message": "Taint manager: deleting due to NoExecute taint",
}


class TaintEvictionController(Controller):
    """Deletes pods from tainted nodes: at once, or when their toleration has run out."""

    name = "taint-eviction-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self._taints: dict[str, list[Obj]] = {}
        self._on_node: dict[str, dict[str, None]] = {}
        self._evictions: dict[str, Timer] = {}
        self.node_queue = self.new_queue("taint eviction: nodes", self._look_at_node)
        self.pod_queue = self.new_queue("taint eviction: pods", self._look_at_pod)
        self.deletions = self.new_queue("taint eviction: deletions", self._delete)
        self.nodes = self.informer("nodes")
        self.nodes.on(add=self._node_changed, update=lambda _, node: self._node_changed(node))
        self.nodes.on(delete=lambda node: self.node_queue.add(name_of(node)))
        self.pods = self.informer("pods")
        self.pods.on(add=self._pod_added, update=self._pod_updated, delete=self._pod_deleted)

    def due(self, namespace: str, name: str) -> float | None:
        """When a pod is going to be deleted, or None when it is not."""
        timer = self._evictions.get(f"{namespace}/{name}")
        return timer.when if timer is not None else None

    # -- what it hears ---------------------------------------------------------------------------------------------

    def _node_changed(self, node: Obj) -> None:
        present = [taint for taint in taints.of(node) if taint.get("effect") == taints.NO_EXECUTE]
        if present != self._taints.get(name_of(node), []):
            self.node_queue.add(name_of(node))

    def _pod_added(self, pod: Obj) -> None:
        if node := pod["spec"].get("nodeName"):
            self._on_node.setdefault(node, {})[key_of(pod)] = None
            if self._taints.get(node):
                self.pod_queue.add(key_of(pod))

    def _pod_updated(self, old: Obj, pod: Obj) -> None:
        if old["spec"].get("nodeName") != pod["spec"].get("nodeName"):
            self._pod_added(pod)
        elif old["spec"].get("tolerations") != pod["spec"].get("tolerations"):
            self.pod_queue.add(key_of(pod))

    def _pod_deleted(self, pod: Obj) -> None:
        self._on_node.get(pod["spec"].get("nodeName", ""), {}).pop(key_of(pod), None)
        self._cancel(key_of(pod))

    # -- what it does ----------------------------------------------------------------------------------------------

    def _look_at_node(self, name: str) -> None:
        """``handleNodeUpdate``"""
        node = self.nodes.get("", name)
        if node is None:
            self._taints.pop(name, None)
            return
        self._taints[name] = [taint for taint in taints.of(node) if taint.get("effect") == taints.NO_EXECUTE]
        for key in list(self._on_node.get(name, ())):
            self._look_at_pod(key)

    def _look_at_pod(self, key: str) -> None:
        """``processPodOnNode``: how long may the pod stay?"""
        pod = self.pods.get(*split_key(key))
        if pod is None:
            self._cancel(key)
            return
        present = self._taints.get(pod["spec"].get("nodeName", "")) or []
        if not present:
            self._cancel(key, pod)
            return
        used, all_tolerated = _tolerations(pod, present)
        if not all_tolerated:
            self._cancel(key)
            self.deletions.add(key)
            return
        limits = [entry["tolerationSeconds"] for entry in used if entry.get("tolerationSeconds") is not None]
        if not limits:
            self._cancel(key, pod)  # tolerated for ever
        elif key not in self._evictions:  # the first word counts: a later taint does not hasten or delay it
            wait = float(max(0, min(limits)))
            label = f"{key} has been tolerated for {wait:g} s"
            self._evictions[key] = self.later(wait, lambda: self.deletions.add(key), label)

    def _delete(self, key: str) -> None:
        """``addConditionAndDeletePod``"""
        self._evictions.pop(key, None)
        namespace, name = split_key(key)
        pod = self.client.find("pods", name, namespace)
        if pod is None:
            return
        self.recorder.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
        uid = pod["metadata"]["uid"]
        if not is_finished(pod):
            status = pod.get("status") or {}
            others = [entry for entry in status.get("conditions") or () if entry["type"] != CONDITION["type"]]
            entry = {**CONDITION, "lastProbeTime": None, "lastTransitionTime": self.clock.timestamp()}
            if generation := pod["metadata"].get("generation"):
                entry["observedGeneration"] = generation
            patch = {"metadata": {"uid": uid}, "status": {"conditions": [*others, entry]}}
            self._unless_gone(lambda: self.client.patch("pods", name, patch, namespace, subresource="status"))
        self._unless_gone(lambda: self.client.delete("pods", name, namespace))

    def _unless_gone(self, write: Callable[[], object]) -> None:
        try:
            write()
        except ApiError as error:
            if error.reason != "NotFound":
                raise

    def _cancel(self, key: str, pod: Obj | None = None) -> None:
        """The deletion is off; with `pod`, say so."""
        timer = self._evictions.pop(key, None)
        if timer is None:
            return
        timer.cancel()
        if pod is not None:
            text = f"Cancelling deletion of Pod {namespace_of(pod)}/{name_of(pod)}"
            self.recorder.event(pod, "Normal", "TaintManagerEviction", text)


def _tolerations(pod: Obj, present: list[Obj]) -> tuple[list[Obj], bool]:
    """The tolerations that match the taints, one for each (``GetMatchingTolerations``), and whether all are matched."""
    used = []
    for taint in present:
        found = [entry for entry in pod["spec"].get("tolerations") or () if taints.tolerates(entry, taint)]
        if not found:
            return [], False
        used.append(found[0])
    return used, True
