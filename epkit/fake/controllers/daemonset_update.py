"""The rolling update of a DaemonSet: which pods to delete, and which nodes to give one, in one step of it.

Pure functions. Source: ``pkg/controller/daemon/update.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Mapping

from epkit.fake.controllers import daemonset_pods as daemons
from epkit.fake.controllers import podutil
from epkit.fake.controllers.workloads import scaled_value
from epkit.objects import Obj

Pods = Mapping[str, list[Obj]]


def rolling_update(daemon_set: Obj, by_node: Pods, desired: int, token: str, now: float) -> tuple[list[Obj], list[str]]:
    """The pods to delete and the nodes that need a new one.

    `by_node` are the pods of every node that has or wants one, `desired` is how many nodes want one, `token` the label
    of the present revision.
    """
    surge, unavailable = limits(daemon_set, desired)
    if surge:
        return _make_first(daemon_set, by_node, token, surge, now)
    return _delete_first(daemon_set, by_node, token, unavailable, now), []


def rolling_of(daemon_set: Obj) -> Obj:
    return (daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}


def limits(daemon_set: Obj, desired: int) -> tuple[int, int]:
    """maxSurge and maxUnavailable in pods, both rounded up; never both 0."""
    rolling = rolling_of(daemon_set)
    surge = scaled_value(rolling.get("maxSurge", 0), desired, round_up=True)
    unavailable = scaled_value(rolling.get("maxUnavailable", 1), desired, round_up=True)
    return surge, unavailable if surge or unavailable else 1


def _delete_first(daemon_set: Obj, by_node: Pods, token: str, unavailable: int, now: float) -> list[Obj]:
    """Delete old pods so that no more than `unavailable` nodes are without; the next sync makes new ones there."""
    missing = 0
    replaceable: list[Obj] = []
    candidates: list[Obj] = []
    for pods in by_node.values():
        found = _new_and_old(daemon_set, pods, token)
        new, old = found or (None, None)
        if new is not None and old is None:
            missing += not _available(daemon_set, new, now)
        elif old is not None and new is None:
            # One that does not serve may go at once: its loss makes nothing worse.
            (candidates if _available(daemon_set, old, now) else replaceable).append(old)
        else:
            missing += 1  # none, or too many: the next sync sees to that
    return replaceable + candidates[: max(unavailable - missing, 0)]


def _make_first(
    daemon_set: Obj, by_node: Pods, token: str, surge: int, now: float
) -> tuple[list[Obj], list[str]]:
    """Make new pods beside old ones on at most `surge` nodes; delete an old pod when its successor is available."""
    surging = 0
    excess: list[Obj] = []
    at_once: list[str] = []
    candidates: list[str] = []
    for node, pods in by_node.items():
        found = _new_and_old(daemon_set, pods, token)
        if found is None:
            surging += 1
            continue
        new, old = found
        if old is None:
            continue
        if new is None:
            (candidates if _available(daemon_set, old, now) else at_once).append(node)
        elif _available(daemon_set, new, now):
            excess.append(old)
        else:
            surging += 1
    return excess, at_once + candidates[: max(surge - surging, 0)]


def _new_and_old(daemon_set: Obj, pods: list[Obj], token: str) -> tuple[Obj | None, Obj | None] | None:
    """The new and the old pod of a node; None where there are several of a sort (``findUpdatedPodsOnNode``)."""
    live = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    new = [pod for pod in live if daemons.is_updated(pod, daemon_set, token)]
    old = [pod for pod in live if not daemons.is_updated(pod, daemon_set, token)]
    if len(new) > 1 or len(old) > 1:
        return None
    return next(iter(new), None), next(iter(old), None)


def _available(daemon_set: Obj, pod: Obj, now: float) -> bool:
    return podutil.is_available(pod, daemon_set["spec"].get("minReadySeconds", 0), now)
