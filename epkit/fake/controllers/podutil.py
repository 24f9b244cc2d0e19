"""What controllers ask of a pod: is it active, ready, available; and which of several is to be deleted first.

Source: ``pkg/api/v1/pod/util.go`` and ``pkg/controller/controller_utils.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cmp_to_key
from math import log2

from epkit.fake.clock import parse_time
from epkit.objects import Obj, annotations_of, uid_of

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_FINISHED = ("Succeeded", "Failed")
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def phase_of(pod: Obj) -> str:
    return (pod.get("status") or {}).get("phase") or ""


def is_finished(pod: Obj) -> bool:
    """All of its containers have ended for good."""
    return phase_of(pod) in _FINISHED


def is_active(pod: Obj) -> bool:
    """It has not finished and nobody has deleted it (``IsPodActive``)."""
    return "deletionTimestamp" not in pod["metadata"] and not is_finished(pod)


def is_terminating(pod: Obj) -> bool:
    """It has been deleted and still runs (``IsPodTerminating``)."""
    return "deletionTimestamp" in pod["metadata"] and not is_finished(pod)


def is_ready(pod: Obj) -> bool:
    return ready_since(pod) is not None


def ready_since(pod: Obj) -> str | None:
    """When its Ready condition became True; None when it is not True. The time is empty where none was given."""
    for entry in (pod.get("status") or {}).get("conditions") or ():
        if entry["type"] == "Ready":
            return (entry.get("lastTransitionTime") or "") if entry["status"] == "True" else None
    return None


def is_available(pod: Obj, min_ready_seconds: int, now: float) -> bool:
    """It has been ready for that long (``IsPodAvailable``)."""
    since = ready_since(pod)
    if since is None:
        return False
    return min_ready_seconds == 0 or (since != "" and parse_time(since) + min_ready_seconds <= now)


def next_availability_check(pods: Iterable[Obj], min_ready_seconds: int, now: float) -> float | None:
    """In how many seconds the first of the pods that are ready becomes available; None when none will."""
    waits = []
    for pod in pods:
        since = ready_since(pod)
        if since and min_ready_seconds and (wait := parse_time(since) + min_ready_seconds - now) > 0:
            waits.append(wait)
    return min(waits, default=None)


def deletion_cost(pod: Obj) -> int:
    """The annotation's value; 0 where it is missing or no canonical 32-bit number."""
    text = annotations_of(pod).get(DELETION_COST, "0")
    try:
        cost = int(text)
    except ValueError:
        return 0
    return cost if str(cost) == text and -(2**31) <= cost < 2**31 else 0


def restarts(pod: Obj) -> tuple[int, int]:
    """The highest restart count of its containers, and of its sidecars (init containers that always restart)."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    regular = [entry.get("restartCount", 0) for entry in status.get("containerStatuses") or ()]
    beside = [
        entry.get("restartCount", 0) for entry in status.get("initContainerStatuses") or () if entry["name"] in sidecars
    ]
    return max(regular, default=0), max(beside, default=0)


def pods_to_delete(pods: Sequence[Obj], related: Iterable[Obj], count: int, now: float) -> list[Obj]:
    """The `count` of `pods` whose loss hurts least (``getPodsToDelete``).

    `related` are the pods of all ReplicaSets with the same owner: of two pods alike, the one whose node holds more of
    those goes first.
    """
    if count >= len(pods):
        return list(pods)
    on_node = Counter((pod.get("spec") or {}).get("nodeName", "") for pod in related if is_active(pod))
    ranked = [_Ranked(pod, on_node) for pod in pods]
    ranked.sort(key=cmp_to_key(lambda a, b: _compare(a, b, now)))
    return [entry.pod for entry in ranked[:count]]


class _Ranked:
    """A pod of ``ActivePodsWithRanks`` with what the comparison needs, worked out once."""

    __slots__ = ("pod", "first", "ready", "since", "restarts", "created")

    def __init__(self, pod: Obj, on_node: Counter[str]) -> None:
        node = (pod.get("spec") or {}).get("nodeName", "")
        since = ready_since(pod)
        self.pod = pod
        self.ready = since is not None
        self.since = parse_time(since) if since else None
        #: unassigned < assigned; Pending < Unknown < Running; not ready < ready; cheap < dear; doubled up < alone
        self.first = (bool(node), _PHASE_ORDER.get(phase_of(pod), 0), self.ready, deletion_cost(pod), -on_node[node])
        self.restarts = restarts(pod)
        created = pod["metadata"].get("creationTimestamp")
        self.created = parse_time(created) if created else None


def _compare(a: _Ranked, b: _Ranked, now: float) -> int:
    if a.first != b.first:
        return -1 if a.first < b.first else 1
    # Ready for a shorter time < for a longer one.
    if a.ready and a.since != b.since:
        return _compare_ages(a, b, a.since, b.since, now)
    # More restarts < fewer.
    if a.restarts != b.restarts:
        return -1 if a.restarts > b.restarts else 1
    # Newer < older.
    if a.created != b.created:
        return _compare_ages(a, b, a.created, b.created, now)
    return 0


def _compare_ages(a: _Ranked, b: _Ranked, at: float | None, bt: float | None, now: float) -> int:
    """The younger first. Ages count by their order of magnitude; within one, the UID decides, as good as by lot."""
    if at is None or bt is None:
        return -1 if at is None else 1
    difference = _magnitude(now - at) - _magnitude(now - bt)
    if difference == 0:
        return -1 if uid_of(a.pod) < uid_of(b.pod) else 1
    return difference


def _magnitude(age: float) -> int:
    nanoseconds = age * 1e9
    return int(log2(nanoseconds)) if nanoseconds > 0 else -1
