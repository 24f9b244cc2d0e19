"""Why a running pod is not ready: which container, which probe, which gate.

Ready is ContainersReady and every readiness gate; ContainersReady is every container's ready; that is its startup probe
and then its readiness probe, where it has them (``pkg/kubelet/status/generate.go``, ``pkg/kubelet/prober``).
"""

from __future__ import annotations

from typing import Any

from epkit.objects import Obj, condition, name_of
from epkit.why import restarts
from epkit.why.case import Case, pod_label
from epkit.why.desired import containers_of
from epkit.why.finding import listed, quoted

#: In order of cause.
REASONS = [
    "ContainerWaiting", "ContainerEnded", restarts.REASON, "StartupProbeFails", "ReadinessProbeFails", "ReadinessGate",
    "ReadyConditionStale", "PodNotReady",
]  # fmt: skip


def of(case: Case, pod: Obj) -> dict[str, Any]:
    """The cause, as the fields of a ``Cause``."""
    for status in _statuses(pod):
        if not status.get("ready"):
            found = _of_container(case, pod, status)
            if found:
                return found
    containers_ready = (condition(pod, "ContainersReady") or {}).get("status") == "True"
    gates = [gate["conditionType"] for gate in (pod.get("spec") or {}).get("readinessGates") or ()]
    closed = [kind for kind in gates if (condition(pod, kind) or {}).get("status") != "True"]
    if containers_ready and closed:
        return _of_gate(pod, closed)
    if containers_ready:
        return _cause(
            pod,
            "ReadyConditionStale",
            "status.conditions[Ready]",
            "False, while ContainersReady is True and no gate is closed",
            "The kubelet should have set Ready. After a node's return, kubelets have been seen to forget it. Delete "
            "the pod, or restart the kubelet.",
            f"get pod {quoted(name_of(pod))} -o jsonpath='{{.status.conditions}}'",
        )
    ready = condition(pod, "Ready") or {}
    words = ": ".join(str(ready[key]) for key in ("reason", "message") if ready.get(key))
    return _cause(
        pod,
        "PodNotReady",
        "status.conditions[Ready]",
        f"{ready.get('status', 'unset')}{f' ({words})' if words else ''}",
        "The kubelet has not reported the pod ready. Until it does, the slice lists it with ready: false.",
        f"describe pod {quoted(name_of(pod))}",
    )


def waiting(pod: Obj) -> tuple[str, str] | None:
    """The first container that waits, and for what: ``("nginx", "ImagePullBackOff: …")``."""
    for status in _statuses(pod, init=True):
        state = (status.get("state") or {}).get("waiting")
        if state and state.get("reason") != "PodInitializing":
            return str(status.get("name", "")), _because(state)
    return None


def _statuses(pod: Obj, init: bool = False) -> list[Obj]:
    """The statuses of the containers that count for readiness; with `init`, those that run before them first."""
    status = pod.get("status") or {}
    sidecars = {one["name"] for one in containers_of(pod)}
    before = [one for one in status.get("initContainerStatuses") or () if init or one.get("name") in sidecars]
    return [*before, *(status.get("containerStatuses") or ())]


def _of_container(case: Case, pod: Obj, status: Obj) -> dict[str, Any] | None:
    name, state = str(status.get("name", "")), status.get("state") or {}
    field = f"status.containerStatuses[{name}].state"
    if "waiting" in state:
        first = waiting(pod)
        seen = first[1] if first else _because(state["waiting"])
        tail = ""
        last = (status.get("lastState") or {}).get("terminated")
        if last:
            tail = (
                f" Its last run ended with exit code {last.get('exitCode')}{_in_brackets(last.get('reason'))}; "
                "kubectl logs -p shows it."
            )
        return _cause(
            pod,
            "ContainerWaiting",
            f"{field}.waiting",
            seen,
            f"The container {first[0] if first else name} does not run, so the pod cannot be ready.{tail}",
            f"describe pod {quoted(name_of(pod))}",
        )
    if "terminated" in state:
        ended = state["terminated"]
        return _cause(
            pod,
            "ContainerEnded",
            f"{field}.terminated",
            f"exit code {ended.get('exitCode')}{_in_brackets(ended.get('reason'))}",
            f"The container {name} has ended and does not run, so the pod cannot be ready.",
            f"describe pod {quoted(name_of(pod))}",
        )
    container = next((one for one in containers_of(pod) if one.get("name") == name), {})
    restarted = restarts.cause(case, pod)
    if restarted:
        return restarted
    if status.get("started") is False and container.get("startupProbe"):
        return _of_probe(case, pod, container, "startup")
    if container.get("readinessProbe"):
        return _of_probe(case, pod, container, "readiness")
    return None


def _of_probe(case: Case, pod: Obj, container: Obj, kind: str) -> dict[str, Any]:
    probe = container[f"{kind}Probe"]
    said = next(
        (text for text in case.warnings_about("Pod", name_of(pod)) if text.lower().startswith(f"{kind} probe")), ""
    )
    means = f"The {kind} probe of the container {container.get('name')} has not passed"
    means += f". It said last: {said}." if said else ", so the pod is not ready."
    if kind == "startup":
        means += " No readiness probe is tried before it does."
    return _cause(
        pod,
        f"{kind.capitalize()}ProbeFails",
        f"spec.containers[{container.get('name')}].{kind}Probe",
        probe_in_words(probe),
        means.replace("..", "."),
        f"describe pod {quoted(name_of(pod))}",
        f"get events --field-selector involvedObject.name={quoted(name_of(pod))}",
    )


def probe_in_words(probe: Obj) -> str:
    """
    >>> probe_in_words({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10})
    'httpGet /healthz on port 8080'
    """
    if http := probe.get("httpGet"):
        return f"httpGet {http.get('path', '/')} on port {http.get('port')}"
    if tcp := probe.get("tcpSocket"):
        return f"tcpSocket on port {tcp.get('port')}"
    if grpc := probe.get("grpc"):
        return f"grpc {grpc.get('service') or ''}on port {grpc.get('port')}"
    return f"exec {' '.join(map(str, (probe.get('exec') or {}).get('command') or ()))}"


def _of_gate(pod: Obj, closed: list[str]) -> dict[str, Any]:
    states = {kind: (condition(pod, kind) or {}).get("status") for kind in closed}
    seen = ", ".join(f"{kind} is {state or 'not set'}" for kind, state in states.items())
    return _cause(
        pod,
        "ReadinessGate",
        f"status.conditions[{closed[0]}]",
        seen,
        f"The containers are ready. The pod waits for its readiness {'gate' if len(closed) == 1 else 'gates'} "
        f"{listed(closed)}, which some controller, such as that of a load balancer, must set to True. See that it runs "
        "and knows this pod.",
        f"get pod {quoted(name_of(pod))} -o jsonpath='{{.spec.readinessGates}} {{.status.conditions}}'",
    )


def _cause(pod: Obj, reason: str, field: str, seen: str, means: str, *check: str) -> dict[str, Any]:
    return {"reason": reason, "obj": pod_label(pod), "field": field, "seen": seen, "means": means, "check": check}


def _because(state: Obj) -> str:
    return ": ".join(str(state[key]) for key in ("reason", "message") if state.get(key)) or "no reason is given"


def _in_brackets(text: object) -> str:
    return f" ({text})" if text else ""
