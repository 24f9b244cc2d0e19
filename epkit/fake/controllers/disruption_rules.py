"""What a PodDisruptionBudget allows: the arithmetic of its status, and the API server's verdict on an eviction.

Pure functions. Source: ``pkg/registry/core/pod/storage/eviction.go`` and
``k8s.io/component-helpers/apps/poddisruptionbudget`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Sequence

from epkit.fake.controllers import podutil
from epkit.fake.wire import errors
from epkit.objects import Obj, condition, labels_of, name_of
from epkit.selectors import of_label_selector

#: So many evictions may be waiting for the controller to notice them.
MAX_DISRUPTED_PODS = 2000
_WOULD_VIOLATE = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


def evict(pod: Obj, budgets: Sequence[Obj], now: str) -> Obj | None:
    """May this pod be evicted? `budgets` are those of its namespace.

    Returns the budget with its new status if the eviction is to be counted against one, otherwise None.

    Raises:
        ApiError: 429 if the budget does not allow it now, 500 if the pod has several budgets.
    """
    if podutil.phase_of(pod) in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]:
        return None  # it serves nobody: its loss disrupts nothing
    matching = [budget for budget in budgets if of_label_selector(budget["spec"].get("selector"))(labels_of(pod))]
    if not matching:
        return None
    if len(matching) > 1:
        raise errors.ApiError(errors.status(500, "", _SEVERAL))
    (budget,) = matching
    if not podutil.is_ready(pod) and _unhealthy_may_go(budget):
        return None
    return check_and_decrement(budget, name_of(pod), now)


def _unhealthy_may_go(budget: Obj) -> bool:
    """A pod that is not ready does not count as healthy, so that its eviction takes nothing from the budget."""
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = int(status.get("desiredHealthy", 0))
    return desired > 0 and int(status.get("currentHealthy", 0)) >= desired


def check_and_decrement(budget: Obj, pod_name: str, now: str) -> Obj:
    """The budget after one more disruption. Raises 429 or 403 if it allows none."""
    status, name = budget.get("status") or {}, name_of(budget)
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        said = f"The disruption budget {name} is still being processed by the server."
        raise errors.too_many_requests(_WOULD_VIOLATE, 10, [_cause(said)])
    allowed, disrupted = status.get("disruptionsAllowed", 0), status.get("disruptedPods") or {}
    if allowed < 0:
        raise errors.forbidden("poddisruptionbudget", name, "pdb disruptions allowed is negative", "policy")
    if len(disrupted) > MAX_DISRUPTED_PODS:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden("poddisruptionbudget", name, why, "policy")
    if allowed == 0:
        raise errors.too_many_requests(_WOULD_VIOLATE, 0, [_cause(_why_none(budget))])
    status = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": {**disrupted, pod_name: now}}
    changed = {**budget, "metadata": dict(budget["metadata"]), "status": status}
    if status["disruptionsAllowed"] == 0:
        status["conditions"] = with_disruption_allowed(changed, now)
    return changed


def as_disruption_target(pod: Obj, now: str) -> Obj:
    """The pod with the condition that says why it is about to go."""
    current, status = condition(pod, "DisruptionTarget"), pod.get("status") or {}
    since = current["lastTransitionTime"] if current is not None and current["status"] == "True" else now
    entry = {
        "type": "DisruptionTarget",
        "status": "True",
        "observedGeneration": pod["metadata"].get("generation", 0),
        "lastProbeTime": None,
        "lastTransitionTime": since,
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    others = [known for known in status.get("conditions") or () if known is not current]
    return {**pod, "metadata": dict(pod["metadata"]), "status": {**status, "conditions": [*others, entry]}}


def _cause(message: str) -> Obj:
    return {"reason": "DisruptionBudget", "message": message}


def _why_none(budget: Obj) -> str:
    allowed, status, name = condition(budget, "DisruptionAllowed"), budget["status"], name_of(budget)
    if allowed is not None and allowed["status"] == "False" and allowed["reason"] == "SyncFailed":
        failed = "does not allow evicting pods currently because it failed sync"
        return f"The disruption budget {name} {failed}: {allowed['message']}"
    desired, current = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    return f"The disruption budget {name} needs {desired} healthy pods and has {current} currently"


def with_disruption_allowed(budget: Obj, now: str) -> list[Obj]:
    """The conditions with DisruptionAllowed as the number of allowed disruptions says (a ``metav1.Condition``)."""
    if (budget.get("status") or {}).get("disruptionsAllowed", 0) > 0:
        return set_condition(budget, "True", "SufficientPods", "", now)
    return set_condition(budget, "False", "InsufficientPods", "", now)


def set_condition(budget: Obj, status: str, reason: str, message: str, now: str) -> list[Obj]:
    """The conditions with DisruptionAllowed set in its place; its time changes only with its status."""
    conditions = (budget.get("status") or {}).get("conditions") or []
    current = condition(budget, "DisruptionAllowed")
    since = current["lastTransitionTime"] if current is not None and current["status"] == status else now
    entry = {
        "type": "DisruptionAllowed",
        "status": status,
        "observedGeneration": (budget.get("status") or {}).get("observedGeneration", 0),
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    if current is None:
        return [*conditions, entry]
    return [entry if known is current else known for known in conditions]
