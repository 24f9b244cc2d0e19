"""The row of a pod: what READY, STATUS and RESTARTS say.

Source: ``printPod`` in ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import printing
from epkit.fake.kinds.base import Obj
from epkit.fake.kinds.columns import AGE, NAME, column

COLUMNS = (
    NAME,
    column("Ready", text="The aggregate readiness state of this pod for accepting traffic."),
    column("Status", text="The aggregate status of the containers in this pod."),
    column(
        "Restarts",
        text="The number of times the containers in this pod have been restarted and when the last container in this "
        "pod has restarted.",
    ),
    AGE,
    column("IP", "PodStatus.podIP", wide=True),
    column("Node", "PodSpec.nodeName", wide=True),
    column("Nominated Node", "PodStatus.nominatedNodeName", wide=True),
    column("Readiness Gates", "PodSpec.readinessGates", wide=True),
)


def row(pod: Obj, now: float) -> list[Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    ready, total, reason, restarts, last_restart = _containers(spec, status)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            reason = "Terminating"
    restarted = str(restarts)
    if restarts and last_restart:
        restarted = f"{restarts} ({printing.since(last_restart, now)} ago)"
    addresses = status.get("podIPs") or ()
    return [
        pod["metadata"]["name"],
        f"{ready}/{total}",
        reason,
        restarted,
        printing.age(pod, now),
        (addresses[0].get("ip") if addresses else "") or printing.NONE,
        spec.get("nodeName") or printing.NONE,
        status.get("nominatedNodeName") or printing.NONE,
        _readiness_gates(spec, status),
    ]


def row_conditions(pod: Obj) -> list[Obj]:
    """The mark on the row of a pod that has run to its end."""
    phase = (pod.get("status") or {}).get("phase")
    if phase == "Succeeded":
        text = "The pod has completed successfully."
    elif phase == "Failed":
        text = "The pod failed."
    else:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": text}]


def _containers(spec: Obj, status: Obj) -> tuple[int, int, str, int, str]:
    """(ready containers, all containers, reason, restarts, when the last restart was)."""
    reason = status.get("reason") or status.get("phase") or ""
    conditions = status.get("conditions") or ()
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in conditions):
        reason = "SchedulingGated"
    # a restartable init container, also called a sidecar, counts like a container
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or ()) + len(sidecars)
    ready = restarts = sidecar_restarts = 0
    last = last_sidecar = ""
    initializing = False
    for number, container in enumerate(status.get("initContainerStatuses") or ()):
        is_sidecar = container.get("name") in sidecars
        restarts += container.get("restartCount", 0)
        last = max(last, _ended(container))
        if is_sidecar:
            sidecar_restarts += container.get("restartCount", 0)
            last_sidecar = max(last_sidecar, _ended(container))
        state = container.get("state") or {}
        terminated = state.get("terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if is_sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        waiting = (state.get("waiting") or {}).get("reason", "")
        if terminated is not None:
            reason = "Init:" + _exit(terminated)
        elif waiting and waiting != "PodInitializing":
            reason = "Init:" + waiting
        else:
            reason = f"Init:{number}/{len(spec.get('initContainers') or ())}"
        initializing = True
        break
    if initializing and not _is_true(conditions, "Initialized"):
        return ready, total, reason, restarts, last
    restarts, last, running = sidecar_restarts, last_sidecar, False
    for container in reversed(status.get("containerStatuses") or ()):
        restarts += container.get("restartCount", 0)
        last = max(last, _ended(container))
        state = container.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            reason = _exit(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            running = True
            ready += 1
    if reason == "Completed" and running:  # one container still runs
        reason = "Running" if _is_true(conditions, "Ready") else "NotReady"
    return ready, total, reason, restarts, last


def _exit(terminated: Obj) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    signal = terminated.get("signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated.get('exitCode', 0)}"


def _ended(container: Obj) -> str:
    """When the container's last run ended; times in RFC 3339 sort as text."""
    return ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""


def _is_true(conditions: Any, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


def _readiness_gates(spec: Obj, status: Obj) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return printing.NONE
    met = sum(_is_true(status.get("conditions") or (), gate.get("conditionType")) for gate in gates)
    return f"{met}/{len(gates)}"
