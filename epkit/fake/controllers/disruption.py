"""The disruption controller: keeps the status of PodDisruptionBudgets, which evictions are measured against.

Source: ``pkg/controller/disruption/disruption.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any

from epkit.errors import ApiError
from epkit.fake.clock import parse_time
from epkit.fake.controllers import disruption_rules as rules
from epkit.fake.controllers import podutil
from epkit.fake.controllers.framework import Controller, Kit, SyncError
from epkit.fake.controllers.workloads import NEVER, resolve_controller, scaled_value, without_zeroes
from epkit.objects import Obj, condition, controller_of, key_of, labels_of, name_of, namespace_of, split_key
from epkit.selectors import of_label_selector

#: An eviction that the API server has granted is believed for so long, in seconds, if the pod is not seen to go.
DELETION_TIMEOUT = 120.0
#: After so many seconds a pod that was to be disrupted and still lives is no longer said to be.
STALE_DISRUPTION_TIMEOUT = 120.0


class DisruptionController(Controller):
    """Counts the healthy pods of each budget and says how many of them may be disrupted.

    >>> controller = DisruptionController(kit)
    >>> controller.start()
    """

    name = "disruption-controller"
    component = "controllermanager"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("disruption", self.sync, retries=NEVER)
        self.stale_queue = self.new_queue("stale_pod_disruption", self.sync_stale_disruption, retries=NEVER)
        self.budgets = self.informer("poddisruptionbudgets")
        self.pods = self.informer("pods")
        self.replicasets = self.informer("replicasets")
        self.deployments = self.informer("deployments")
        self.statefulsets = self.informer("statefulsets")
        self.budgets.on(add=self._enqueue, update=lambda old, new: self._enqueue(new), delete=self._enqueue)
        self.pods.on(
            add=self._pod_changed, update=lambda old, new: self._pod_changed(new), delete=self._enqueue_budget_of
        )

    # -- events --------------------------------------------------------------------------------------------------------

    def _enqueue(self, budget: Obj) -> None:
        self.queue.add(key_of(budget))

    def _pod_changed(self, pod: Obj) -> None:
        self._enqueue_budget_of(pod)
        wait = self._stale_in(pod)
        if wait is not None:
            self.stale_queue.add_after(key_of(pod), wait)

    def _enqueue_budget_of(self, pod: Obj) -> None:
        budgets = [budget for budget in self.budgets.list(namespace_of(pod)) if _covers(budget, pod)]
        if not budgets:
            return
        if len(budgets) > 1:
            which = f'Pod "{namespace_of(pod)}"/"{name_of(pod)}" matches multiple PodDisruptionBudgets.'
            said = f'{which}  Chose "{name_of(budgets[0])}" arbitrarily.'
            self.recorder.event(pod, "Warning", "MultiplePodDisruptionBudgets", said)
        self._enqueue(budgets[0])

    # -- budgets -------------------------------------------------------------------------------------------------------

    def sync(self, key: str) -> None:
        """Write one budget's status anew; what makes that impossible is said in its condition."""
        budget = self.budgets.get(*split_key(key))
        if budget is None:
            return
        try:
            self._try_sync(key, budget)
        except (ApiError, SyncError) as error:
            if isinstance(error, ApiError) and error.reason == "Conflict":
                raise
            self._fail_safe(budget, str(error))

    def _try_sync(self, key: str, budget: Obj) -> None:
        pods = [pod for pod in self.pods.list(namespace_of(budget)) if _covers(budget, pod)]
        if not pods:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            expected, desired, unmanaged = self._expected(budget, pods)
        except SyncError as error:
            said = f"Failed to calculate the number of expected pods: {error}"
            self.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", said)
            raise
        if unmanaged:
            self.recorder.event(budget, "Warning", "UnmanagedPods", _unmanaged_text(budget["spec"].get("selector")))
        disrupted, recheck = self._disrupted_pods(budget, pods)
        healthy = sum(1 for pod in pods if podutil.is_ready(pod) and not _is_going(pod, disrupted))
        self._write_status(budget, healthy, desired, expected, disrupted)
        if recheck is not None:
            self.queue.add_after(key, recheck - self.clock.now)

    def _expected(self, budget: Obj, pods: list[Obj]) -> tuple[int, int, bool]:
        """How many pods there should be, how many of them healthy, and whether some have no controller."""
        most, least = budget["spec"].get("maxUnavailable"), budget["spec"].get("minAvailable")
        if most is not None:
            expected, unmanaged = self._expected_scale(pods)
            return expected, max(expected - scaled_value(most, expected, round_up=True), 0), unmanaged
        if least is None:
            return 0, 0, False
        if isinstance(least, int):
            return len(pods), least, False
        expected, unmanaged = self._expected_scale(pods)
        return expected, scaled_value(least, expected, round_up=True), unmanaged

    def _expected_scale(self, pods: list[Obj]) -> tuple[int, bool]:
        """The sum of what the pods' controllers ask for, and whether there are pods that nobody asks for."""
        scales: dict[str, tuple[str, int]] = {}  # UID of the pod's controller -> UID of what scales it, and its size
        unmanaged = False
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                unmanaged = True
            elif reference["uid"] not in scales:
                scales[reference["uid"]] = self._scale_of(pod, reference)
        return sum(dict(scales.values()).values()), unmanaged

    def _scale_of(self, pod: Obj, reference: Obj) -> tuple[str, int]:
        namespace = namespace_of(pod)
        owner = resolve_controller(self.replicasets, namespace, reference, "ReplicaSet")
        if owner is not None and (above := controller_of(owner)) is not None and above["kind"] == "Deployment":
            owner = resolve_controller(self.deployments, namespace, above, "Deployment")
        if owner is None:
            owner = resolve_controller(self.statefulsets, namespace, reference, "StatefulSet")
        if owner is None:
            if reference["kind"] in ("DaemonSet", "Job"):
                group = reference["apiVersion"].partition("/")[0]
                raise SyncError(f"{reference['kind'].lower()}s.{group} does not implement the scale subresource")
            raise SyncError(f'found no controllers for pod "{name_of(pod)}"')
        return owner["metadata"]["uid"], owner["spec"].get("replicas", 1)

    def _disrupted_pods(self, budget: Obj, pods: list[Obj]) -> tuple[dict[str, str], float | None]:
        """Evictions that were granted and not yet seen, and when to look again for the first that may not come."""
        granted = (budget.get("status") or {}).get("disruptedPods") or {}
        kept: dict[str, str] = {}
        recheck: float | None = None
        for pod in pods:
            since = granted.get(name_of(pod))
            if since is None or "deletionTimestamp" in pod["metadata"]:
                continue
            until = parse_time(since) + DELETION_TIMEOUT
            if until <= self.clock.now:
                # The namespace stands twice in upstream's text, too.
                namespace = namespace_of(budget)
                said = f"Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't"
                self.recorder.event(pod, "Warning", "NotDeleted", said)
                continue
            kept[name_of(pod)] = since
            recheck = until if recheck is None else min(recheck, until)
        return kept, recheck

    def _write_status(self, budget: Obj, healthy: int, desired: int, expected: int, disrupted: dict[str, str]) -> None:
        allowed = max(healthy - desired, 0) if expected > 0 else 0
        status = {
            "disruptedPods": disrupted,
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "observedGeneration": budget["metadata"].get("generation", 0),
            "conditions": (budget.get("status") or {}).get("conditions") or [],
        }
        status["conditions"] = rules.with_disruption_allowed({**budget, "status": status}, self.clock.timestamp())
        counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        status = without_zeroes(status, keep=counts)
        if status != budget.get("status"):
            self.client.update("poddisruptionbudgets", {**budget, "status": status}, subresource="status")

    def _fail_safe(self, budget: Obj, message: str) -> None:
        """Allow no disruption as long as it is unknown how many there may be."""
        conditions = rules.set_condition(budget, "False", "SyncFailed", message, self.clock.timestamp())
        status = {**(budget.get("status") or {}), "disruptionsAllowed": 0, "conditions": conditions}
        self.client.update("poddisruptionbudgets", {**budget, "status": status}, subresource="status")

    # -- pods that were to be disrupted --------------------------------------------------------------------------------

    def sync_stale_disruption(self, key: str) -> None:
        """Take back a pod's condition DisruptionTarget if nothing came of it."""
        pod = self.pods.get(*split_key(key))
        wait = self._stale_in(pod) if pod is not None else None
        if pod is None or wait is None:
            return
        if wait > 0:
            self.stale_queue.add_after(key, wait)
            return
        entry = {"type": "DisruptionTarget", "status": "False", "lastProbeTime": None}
        entry["lastTransitionTime"] = self.clock.timestamp()
        known = pod["status"]["conditions"]
        conditions = [entry if other["type"] == "DisruptionTarget" else other for other in known]
        status = {**pod["status"], "conditions": conditions}
        self.client.update("pods", {**pod, "status": status}, subresource="status")

    def _stale_in(self, pod: Obj) -> float | None:
        target = condition(pod, "DisruptionTarget")
        if target is None or target["status"] != "True" or target.get("reason") == "TerminationByKubelet":
            return None
        if not podutil.is_active(pod):
            return None
        return max(parse_time(target["lastTransitionTime"]) + STALE_DISRUPTION_TIMEOUT - self.clock.now, 0.0)


def _covers(budget: Obj, pod: Obj) -> bool:
    return of_label_selector(budget["spec"].get("selector"))(labels_of(pod))


def _is_going(pod: Obj, disrupted: dict[str, str]) -> bool:
    return "deletionTimestamp" in pod["metadata"] or name_of(pod) in disrupted


def _unmanaged_text(selector: Obj | None) -> str:
    pairs = "".join(f"{key}: {value}," for key, value in sorted(((selector or {}).get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{entry['key']},Operator:{entry['operator']},"
        f"Values:[{' '.join(entry.get('values') or ())}],}},"
        for entry in (selector or {}).get("matchExpressions") or ()
    )
    labels, rest = f"map[string]string{{{pairs}}}", f"[]LabelSelectorRequirement{{{expressions}}}"
    shown = f"&LabelSelector{{MatchLabels:{labels},MatchExpressions:{rest},}}" if selector is not None else "nil"
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {shown}) were found to be unmanaged. As a result, the "
        "status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for "
        'these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
    )
