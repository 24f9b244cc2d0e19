"""When did it happen, that which a write of a slice tells the world? The answer goes into an annotation.

kube-proxy compares the annotation with its own clock and so measures how long a change takes to reach the node.

Source: ``staging/src/k8s.io/endpointslice/util/trigger_time_tracker.go``, Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from epkit.fake.clock import parse_time
from epkit.objects import Obj, condition, key_of, name_of

_parse_time = lru_cache(maxsize=4096)(parse_time)

_UNSEEN: tuple[Obj, float | None] = ({}, None)


@dataclass(slots=True)
class ServiceState:
    """Times seen in the last sync of a Service: its own creation, and of each pod the last change of readiness.

    With a pod's time goes the pod itself: the very same object need not be looked into again.
    """

    service: float | None
    pods: dict[str, tuple[Obj, float | None]]


class TriggerTimeTracker:
    """Finds, for each sync, the earliest of the changes since the sync before.

    It is an approximation, as upstream's: of several changes of one pod between two syncs only the last is seen, and a
    pod that goes away leaves no time at all.
    """

    def __init__(self) -> None:
        self._states: dict[str, ServiceState] = {}

    def last_change_trigger_time(self, service: Obj, pods: Iterable[Obj]) -> float | None:
        """Seconds since the epoch, or None if no change has a time; remembers what it has seen.

        The first sync of a Service is always put down to its creation.
        """
        key = key_of(service)
        known = self._states.get(key)
        before = known or ServiceState(None, {})
        created = service["metadata"].get("creationTimestamp")
        now = ServiceState(_parse_time(created) if created else None, {})
        changed = []
        for pod in pods:
            name = name_of(pod)
            seen = before.pods.get(name, _UNSEEN)
            if seen[0] is pod:
                now.pods[name] = seen
                continue
            time = _pod_trigger_time(pod)
            now.pods[name] = (pod, time)
            if time is not None and time > (seen[1] or 0.0):
                changed.append(time)
        if now.service is not None and now.service > (before.service or 0.0):
            changed.append(now.service)
        self._states[key] = now
        if known is None:
            return now.service
        return min(changed, default=None)

    def delete_service(self, key: str) -> None:
        self._states.pop(key, None)


def _pod_trigger_time(pod: Obj) -> float | None:
    ready = condition(pod, "Ready")
    moment = ready.get("lastTransitionTime") if ready else None
    return _parse_time(moment) if moment else None
