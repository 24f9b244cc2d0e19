"""Taints of nodes, and the tolerations of pods for them.

Source: ``k8s.io/component-helpers/scheduling/corev1`` and ``k8s.io/api/core/v1/well_known_taints.go``.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable

from epkit.objects import Obj

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"

NO_SCHEDULE = "NoSchedule"
NO_EXECUTE = "NoExecute"


def tolerates(toleration: Obj, taint: Obj) -> bool:
    """Does this toleration match this taint (``ToleratesTaint``)? An empty key, effect or operator matches any.

    >>> tolerates({"operator": "Exists"}, {"key": "a", "effect": "NoExecute"})
    True
    """
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    match toleration.get("operator") or "Equal":
        case "Equal":
            return bool(toleration.get("value", "") == taint.get("value", ""))
        case "Exists":
            return True
    return False


def untolerated(taints: Iterable[Obj], tolerations: Iterable[Obj], effects: Collection[str]) -> Obj | None:
    """The first taint with one of the effects that no toleration matches, or None."""
    tolerations = list(tolerations)
    for taint in taints:
        if taint["effect"] in effects and not any(tolerates(toleration, taint) for toleration in tolerations):
            return taint
    return None


def has(taints: Iterable[Obj], key: str, effect: str | None = None) -> bool:
    """Is there a taint with that key, and with that effect if one is given?"""
    return any(taint["key"] == key and effect in (None, taint.get("effect")) for taint in taints)


def of(node: Obj) -> list[Obj]:
    return (node.get("spec") or {}).get("taints") or []
