"""The pod garbage collector: deletes pods that nobody else can finish off.

Every 20 s it looks for pods of nodes that no longer exist (and waits 40 s before it believes that), for deleted pods
that were never bound, for those on nodes that are out of service, and for too many finished ones.

Source: ``pkg/controller/podgc/gc_controller.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any

from epkit.errors import ApiError
from epkit.fake.controllers import taints
from epkit.fake.controllers.framework import Controller, Kit
from epkit.fake.controllers.podutil import is_finished
from epkit.objects import Obj, condition, name_of, namespace_of

#: seconds between two rounds, and how long a node must be missing before its pods are orphans
PERIOD, QUARANTINE = 20.0, 40.0
ORPHANED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByPodGC",
    "message": "PodGC: node no longer exists",
}


class PodGCController(Controller):
    """Force-deletes pods that no kubelet will ever delete."""

    name = "pod-garbage-collector-controller"
    flags = {"terminated_pod_gc_threshold": 12500}

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self._missing: dict[str, float] = {}  # node -> since when
        self.pods = self.informer("pods")
        self.nodes = self.informer("nodes")
        self.every(PERIOD, self.collect, "pod garbage collector: looks for pods that nobody will finish off")

    def collect(self) -> None:
        """One round."""
        pods = self.pods.list()
        if self.options["terminated_pod_gc_threshold"] > 0:
            self._finished(pods)
        self._out_of_service(pods)
        self._orphaned(pods)
        self._never_bound(pods)

    def _finished(self, pods: list[Obj]) -> None:
        finished = [pod for pod in pods if is_finished(pod)]
        excess = len(finished) - self.options["terminated_pod_gc_threshold"]
        if excess > 0:
            finished.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], name_of(pod)))
            for pod in finished[:excess]:
                self._delete(pod)

    def _out_of_service(self, pods: list[Obj]) -> None:
        """A person has said that the node is really down: its deleted pods need not wait for the kubelet's word."""
        for pod in pods:
            if not pod["metadata"].get("deletionTimestamp") or not pod["spec"].get("nodeName"):
                continue
            node = self.nodes.get("", pod["spec"]["nodeName"])
            if node is None or (condition(node, "Ready") or {}).get("status") == "True":
                continue
            if taints.has(taints.of(node), taints.OUT_OF_SERVICE):
                self._delete(pod)

    def _orphaned(self, pods: list[Obj]) -> None:
        now = self.clock.now
        named = {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}
        missing = {name for name in named if self.nodes.get("", name) is None}
        confirmed = [name for name, since in self._missing.items() if now - since >= QUARANTINE]
        self._missing = {name: self._missing.get(name, now) for name in sorted(missing.difference(confirmed))}
        gone = {name for name in confirmed if self.client.find("nodes", name) is None}
        for pod in pods:
            if pod["spec"].get("nodeName") in gone:
                self._delete(pod, ORPHANED)

    def _never_bound(self, pods: list[Obj]) -> None:
        for pod in pods:
            if pod["metadata"].get("deletionTimestamp") and not pod["spec"].get("nodeName"):
                self._delete(pod)

    def _delete(self, pod: Obj, reason: Obj | None = None) -> None:
        """``markFailedAndDeletePodWithCondition``: a pod that had not finished has failed."""
        name, namespace, uid = name_of(pod), namespace_of(pod), pod["metadata"]["uid"]
        try:
            if not is_finished(pod):
                status: Obj = {"phase": "Failed"}
                if reason is not None:
                    entry = {**reason, "lastProbeTime": None, "lastTransitionTime": self.clock.timestamp()}
                    if generation := pod["metadata"].get("generation"):
                        entry["observedGeneration"] = generation
                    present = (pod.get("status") or {}).get("conditions") or ()
                    status["conditions"] = [*(other for other in present if other["type"] != reason["type"]), entry]
                patch = {"metadata": {"uid": uid}, "status": status}
                self.client.patch("pods", name, patch, namespace, subresource="status")
            self.client.delete("pods", name, namespace, grace=0)
        except ApiError as error:
            if error.reason != "NotFound":
                self.log(f"failed to delete pod {namespace}/{name}: {error}")
