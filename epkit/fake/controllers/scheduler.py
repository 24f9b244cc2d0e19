"""The scheduler: finds a node for each pod that has none, and says why when there is none.

Source: ``pkg/scheduler/schedule_one.go`` and ``pkg/scheduler/backend/queue`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections import Counter
from typing import Any

from epkit.errors import ApiError
from epkit.fake.controllers import scheduler_plugins as plugins
from epkit.fake.controllers.framework import Controller, Kit, Recorder
from epkit.fake.controllers.podutil import is_finished
from epkit.objects import Obj, condition, key_of, name_of, namespace_of, split_key

PROFILE = "default-scheduler"


class FitError(Exception):
    """No node fits; its text is upstream's."""


class SeriesRecorder(Recorder):
    """Records events the newer way (``k8s.io/client-go/tools/events``): one time, an action, repeats as a series."""

    correlates = False

    def first(self, reason: str) -> Obj:
        return {
            "eventTime": self._loop.clock.micro_timestamp(),
            "reportingComponent": self.component,
            "reportingInstance": f"{self.component}-control-plane",
            "action": "Binding" if reason == "Scheduled" else "Scheduling",
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
        }

    def repeated(self, event: Obj) -> Obj:
        count = (event.get("series") or {}).get("count", 1) + 1
        return {"series": {"count": count, "lastObservedTime": self._loop.clock.micro_timestamp()}}


class Scheduler(Controller):
    """Binds pending pods to nodes, one after the other, each in view of those before it.

    >>> plane.controllers["scheduler"].unschedulable
    ['default/too-big']
    """

    name = "scheduler"
    component = PROFILE

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.recorder = SeriesRecorder(self.client, kit.loop, PROFILE)
        self._pending: dict[str, None] = {}
        self.retries = self.new_queue("scheduler", self.schedule)
        self._nodes: dict[str, plugins.NodeInfo] = {}
        self._placed: dict[str, str] = {}  # pod key -> node, as seen or as assumed after a binding
        self._unschedulable: dict[str, None] = {}
        self.pods = self.informer("pods")
        self.pods.on(add=self._pod_added, update=self._pod_updated, delete=self._pod_deleted)
        self.nodes = self.informer("nodes")
        self.nodes.on(add=self._node_changed, update=self._node_updated, delete=self._node_deleted)

    @property
    def unschedulable(self) -> list[str]:
        """The pods for which no node was found, by namespace and name."""
        return sorted(self._unschedulable)

    # -- what it hears ---------------------------------------------------------------------------------------------

    def _pod_added(self, pod: Obj) -> None:
        if pod["spec"].get("nodeName"):
            self._place(pod)
        elif pod["spec"].get("schedulerName") == PROFILE:
            self._enqueue(key_of(pod))

    def _pod_updated(self, old: Obj, pod: Obj) -> None:
        if pod["spec"].get("nodeName"):
            self._place(pod)
        elif pod["spec"].get("schedulerName") == PROFILE and (
            pod["spec"] != old["spec"] or pod["metadata"].get("labels") != old["metadata"].get("labels")
        ):
            self._enqueue(key_of(pod))

    def _pod_deleted(self, pod: Obj) -> None:
        self._unschedulable.pop(key_of(pod), None)
        self._free(key_of(pod))

    def _place(self, pod: Obj) -> None:
        key, node = key_of(pod), pod["spec"]["nodeName"]
        if is_finished(pod):
            self._free(key)
        elif self._placed.get(key) != node:
            self._placed[key] = node
            self._unschedulable.pop(key, None)
            self._info(node).add(key, plugins.PodNeeds.of(pod))

    def _free(self, key: str) -> None:
        node = self._placed.pop(key, None)
        if node is not None:
            self._info(node).remove(key)
            self._retry()

    def _node_changed(self, node: Obj) -> None:
        self._info(name_of(node)).set_node(node)
        self._retry()

    def _node_updated(self, old: Obj, node: Obj) -> None:
        self._info(name_of(node)).set_node(node)
        if _what_matters(old) != _what_matters(node):
            self._retry()

    def _node_deleted(self, node: Obj) -> None:
        info = self._info(name_of(node))
        info.node = {}

    def _info(self, node: str) -> plugins.NodeInfo:
        """What is known of a node; pods may be heard of before their node is."""
        if node not in self._nodes:
            self._nodes[node] = plugins.NodeInfo({})
        return self._nodes[node]

    def _retry(self) -> None:
        """Something has changed that may make room: try the pods again that found none."""
        for key in self._unschedulable:
            self._enqueue(key)

    def _enqueue(self, key: str) -> None:
        """Have a pod scheduled, in one go with all others that wait."""
        if not self._pending:
            self.kit.loop.post(self._work, f"scheduler: finds a node for {key}")
        self._pending[key] = None

    def _work(self) -> None:
        pending, self._pending = self._pending, {}
        for key in pending if self._running else ():
            try:
                self.schedule(key)
            except ApiError as error:
                self.log(f"Error scheduling pod {key}; retrying: {error}")
                self.retries.add_rate_limited(key)

    # -- what it does ----------------------------------------------------------------------------------------------

    def schedule(self, key: str) -> None:
        """Find a node for one pod and bind it; else write down why there is none."""
        pod = self.pods.get(*split_key(key))
        if pod is None or key in self._placed or pod["metadata"].get("deletionTimestamp"):
            self._unschedulable.pop(key, None)
            return
        if pod["spec"].get("nodeName") or pod["spec"].get("schedulingGates"):
            return
        try:
            node = self._find(pod)
        except FitError as error:
            self._unschedulable[key] = None
            self._fail(pod, str(error))
            return
        self._bind(pod, node)

    def _find(self, pod: Obj) -> str:
        needs = plugins.PodNeeds.of(pod)
        known = [info for info in self._nodes.values() if info.node]
        if not known:
            raise FitError("no nodes available to schedule pods")
        allowed = plugins.only_nodes(pod)
        fitting, refusals = [], []
        for info in known:
            if allowed is not None and name_of(info.node) not in allowed:
                refusals.append(plugins.Refusal(("node(s) didn't satisfy plugin(s) [NodeAffinity]",)))
                continue
            refusal = plugins.refuse(pod, needs, info)
            if refusal is None:
                fitting.append(info)
            else:
                refusals.append(refusal)
        if not fitting:
            raise FitError(_why(refusals))
        return name_of(plugins.best(pod, needs, fitting, iter(known)).node)

    def _bind(self, pod: Obj, node: str) -> None:
        key = key_of(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": pod["metadata"].get("uid", "")},
            "target": {"kind": "Node", "name": node},
        }
        try:
            self.client.create_sub("pods", name_of(pod), "binding", binding, namespace_of(pod))
        except ApiError as error:
            if error.reason == "NotFound":
                return
            raise
        self._unschedulable.pop(key, None)
        self._placed[key] = node  # assumed, until the informer says so
        self._info(node).add(key, plugins.PodNeeds.of(pod))
        message = f"Successfully assigned {namespace_of(pod)}/{name_of(pod)} to {node}"
        self.recorder.event(pod, "Normal", "Scheduled", message)

    def _fail(self, pod: Obj, message: str) -> None:
        self.recorder.event(pod, "Warning", "FailedScheduling", message)
        old = condition(pod, "PodScheduled")
        wanted = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        if old is not None and all(old.get(field) == value for field, value in wanted.items()):
            return
        entry: Obj = {**wanted, "lastProbeTime": None, "lastTransitionTime": self.clock.timestamp()}
        if old is not None and old["status"] == "False":
            entry["lastTransitionTime"] = old.get("lastTransitionTime") or self.clock.timestamp()
        if generation := pod["metadata"].get("generation"):
            entry["observedGeneration"] = generation
        present = (pod.get("status") or {}).get("conditions") or ()
        others = [other for other in present if other["type"] != "PodScheduled"]
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [*others, entry]}}
        try:
            self.client.patch("pods", name_of(pod), patch, namespace_of(pod), subresource="status")
        except ApiError as error:
            if error.reason != "NotFound":
                raise


def _what_matters(node: Obj) -> tuple[Any, ...]:
    """What of a node can make a pod fit: a heartbeat is not among it."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    ready, labels = (condition(node, "Ready") or {}).get("status"), node["metadata"].get("labels")
    return labels, spec.get("taints"), spec.get("unschedulable"), status.get("allocatable"), ready


def _why(refusals: list[plugins.Refusal]) -> str:
    """The text of ``framework.FitError``, with what the plugins say who look for pods to evict or claims to free."""
    total = len(refusals)
    counts = Counter(reason for refusal in refusals for reason in refusal.reasons)
    reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
    texts = {True: "No preemption victims found for incoming pod", False: "Preemption is not helpful for scheduling"}
    helpless = Counter(texts[refusal.resolvable] for refusal in refusals)
    preemption = ", ".join(sorted(f"{count} {reason}" for reason, count in helpless.items()))
    return (
        f"0/{total} nodes are available: {reasons}. no new claims to deallocate, "
        f"preemption: 0/{total} nodes are available: {preemption}."
    )
