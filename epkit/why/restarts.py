"""Pods that are, or were for some seconds, not ready because the kubelet of their node was started again.

A kubelet that starts takes every container with a startup or readiness probe for not ready until it has probed it
itself, however long that container has been running (``pkg/kubelet/prober``, kubernetes/kubernetes#100277). The API
shows it by three moments in this order: the container's start, the kubelet's Event ``Starting``, the change of Ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from epkit.objects import Obj, condition, name_of
from epkit.why.case import Case, is_ready, pod_label, pods_in_words
from epkit.why.desired import containers_of
from epkit.why.finding import NOTE, Finding, count, quoted

REASON = "KubeletRestarted"
#: So many seconds after its start a kubelet has probed everything: the first probe comes within one period.
WINDOW = 60.0
_MEANS = (
    "A kubelet that starts takes containers with a startup or readiness probe for not ready until it has probed them, "
    "although they ran on."
)


@dataclass(frozen=True, slots=True)
class Restart:
    """The start of a kubelet that changed the Ready condition of a pod."""

    node: str
    at: float
    changed: float

    @property
    def in_words(self) -> str:
        return f"{self.changed - self.at:.0f} s after the kubelet of {self.node} was started"


def may_be_cause(pod: Obj) -> bool:
    """Did Ready change while the containers ran? Then it is worth asking whether a kubelet was started."""
    changed, started = _changed(pod), _started(pod)
    if changed is None or started is None or not _is_probed(pod):
        return False
    return changed - started > (WINDOW if is_ready(pod) else 0.0)


def restart_of(case: Case, pod: Obj) -> Restart | None:
    """The start of a kubelet that made this pod not ready, or after which it became ready again."""
    changed, started = _changed(pod), _started(pod)
    if not may_be_cause(pod) or changed is None or started is None:
        return None
    node = str((pod.get("spec") or {}).get("nodeName", ""))
    starts = [at for event in case.reading.kubelet_starts if (at := _start_of_kubelet(event, node)) is not None]
    found = [at for at in starts if started < at <= changed <= at + WINDOW]
    return Restart(node, max(found), changed) if found else None


def cause(case: Case, pod: Obj) -> dict[str, Any] | None:
    """Why a pod that waits for a probe is not ready, if no probe has failed since the kubelet was started."""
    restart = restart_of(case, pod)
    if restart is None or any(at >= restart.at for at in _failures(case, pod)):
        return None
    return {
        "reason": REASON,
        "obj": pod_label(pod),
        "field": "status.conditions[Ready].lastTransitionTime",
        "seen": f"{_changed_text(pod)}, {restart.in_words}",
        "means": f"{_MEANS} The pod becomes ready again with its next probe.",
        "check": _check(pod, restart),
    }


def recovered(case: Case) -> Iterator[Finding]:
    """Pods that are ready again, and were not for some seconds."""
    found = [(pod, restart) for pod in case.subjects if is_ready(pod) and (restart := restart_of(case, pod))]
    if not found:
        return
    pod, restart = found[0]
    pods = [one for one, _ in found]
    missed = f"{pods_in_words(pods)} {'was' if len(pods) == 1 else 'were'} no ready endpoint for some seconds."
    if case.pod is None and len(pods) == len(case.subjects):
        missed += f" {'It is' if len(pods) == 1 else 'They are'} all that the Service has: run more, on other nodes."
    yield case.finding(
        REASON,
        NOTE,
        pod_label(pod),
        "status.conditions[Ready].lastTransitionTime",
        f"{_changed_text(pod)}, {restart.in_words}" + (f" ({count(len(pods), 'pod')})" if len(pods) > 1 else ""),
        f"{_MEANS} {missed}",
        *_check(pod, restart),
    )


def _check(pod: Obj, restart: Restart) -> tuple[str, ...]:
    about = f"involvedObject.kind=Node,involvedObject.name={restart.node}"
    return (
        f"get pod {quoted(name_of(pod))} -o jsonpath='{{.status.conditions}}'",
        f"get events --namespace default --field-selector {quoted(about)}",
    )


def _start_of_kubelet(event: Obj, node: str) -> float | None:
    """When the kubelet of a node was started, if this Event tells that; kube-proxy has one of the same reason."""
    involved = event.get("involvedObject") or {}
    component = (event.get("source") or {}).get("component") or event.get("reportingComponent")
    if (involved.get("kind"), involved.get("name"), event.get("reason"), component) != (
        "Node", node, "Starting", "kubelet",
    ):  # fmt: skip
        return None
    return _moment(event.get("firstTimestamp") or event.get("eventTime"))


def _failures(case: Case, pod: Obj) -> list[float]:
    """When probes of the pod failed, as far as Events tell: of each series its last one."""
    found = []
    for event in case.reading.warnings:
        involved = event.get("involvedObject") or {}
        if (involved.get("kind"), involved.get("name")) == ("Pod", name_of(pod)) and event.get("reason") == "Unhealthy":
            found.append(_moment(event.get("lastTimestamp") or event.get("eventTime")))
    return [at for at in found if at is not None]


def _is_probed(pod: Obj) -> bool:
    return any(one.get("startupProbe") or one.get("readinessProbe") for one in containers_of(pod))


def _changed_text(pod: Obj) -> str:
    return str((condition(pod, "Ready") or {}).get("lastTransitionTime", ""))


def _changed(pod: Obj) -> float | None:
    return _moment(_changed_text(pod))


def _started(pod: Obj) -> float | None:
    """When the last of its containers started; None if one does not run."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    moments = [_moment(((one.get("state") or {}).get("running") or {}).get("startedAt")) for one in statuses]
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def _moment(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):  # none, or one that no clock shows
        return None
