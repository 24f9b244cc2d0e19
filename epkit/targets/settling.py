"""When is a live cluster at rest? After two quiet seconds, and nothing in sight that still has to come.

What keeps failing in the same way is told, and not waited for: an image that cannot be pulled, a container that crashes
again and again, a pod that no node takes, a probe that fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from epkit.objects import Obj, condition, name_of, namespace_of
from epkit.targets.recorder import Recorder

#: the cluster is at rest after so many seconds without a change, and is not waited for longer than so many
QUIET, LONGEST = 2.0, 60.0
#: a container that runs and is not ready is given so long after its pod's last change: a probe's period and a little
UNREADY = 12.0
#: progress is told after so many seconds, and then again when what is waited for has changed
SILENCE = 4.0

#: reasons of a waiting container that do not go away by waiting
_STUCK = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
)


class Settling:
    """Waits for a live cluster, and remembers what it has told already.

    Args:
        recorder: hears of what is written in the learner's namespaces.
        tell: shows a line of progress.
    """

    def __init__(self, recorder: Recorder, tell: Callable[[str], None]) -> None:
        self._recorder = recorder
        self._tell = tell
        self._told: set[str] = set()

    def settle(self, since: float = 0.0) -> None:
        """Wait until there was no change for :data:`QUIET` seconds and no pod is on its way, at most :data:`LONGEST`.

        Args:
            since: the moment of the last write of our own, by the monotonic clock.
        """
        begin, said = time.monotonic(), ""
        while True:
            now = time.monotonic()
            quiet = now - max(since, self._heard_at(begin))
            moving = self._moving(now)
            if quiet >= QUIET and not moving:
                break
            text = "; ".join(moving) or "changes are still coming"
            if now - begin >= LONGEST:
                self._tell(f"After {LONGEST:g} s the cluster still moves: {text}. Going on all the same.")
                break
            if now - begin >= SILENCE and moving and text != said:
                said = text
                self._tell(f"… {now - begin:.0f} s: {text}")
            self._recorder.wait(max(0.05, min(1.0, QUIET - quiet if quiet < QUIET else 1.0)))
        self._tell_stuck()

    def _heard_at(self, begin: float) -> float:
        """When something changed last, other than pods that only fail again."""
        return self._recorder.heard_at if not self._only_failing(begin) else begin

    def _only_failing(self, begin: float) -> bool:
        """Is every recent change that of a pod that is stuck?"""
        if self._recorder.heard_at <= begin:
            return False
        stuck = {(namespace_of(pod), name_of(pod)) for pod in self._recorder.objects("pods") if stuck_because(pod)}
        recent = [write for write in self._recorder.writes_since(0) if time.time() - write.at < QUIET]
        return bool(stuck) and all(
            write.resource == "pods" and (namespace_of(write.obj), name_of(write.obj)) in stuck for write in recent
        )

    def _moving(self, now: float) -> list[str]:
        """What still has to come, in words, pods in the same state together."""
        states: dict[str, list[str]] = {}
        for pod in self._recorder.objects("pods"):
            state = on_its_way(pod, time.time())
            if state:
                states.setdefault(state, []).append(name_of(pod))
        return [_counted(names, state) for state, names in sorted(states.items())]

    def _tell_stuck(self) -> None:
        for pod in self._recorder.objects("pods"):
            why = stuck_because(pod)
            line = f"Stuck, and not waited for: pod {namespace_of(pod)}/{name_of(pod)}: {why}"
            if why and line not in self._told:
                self._told.add(line)
                self._tell(line)


def on_its_way(pod: Obj, now: float) -> str:
    """What a pod that will change by itself is doing; empty for one that is at rest or stuck.

    >>> on_its_way({"status": {"phase": "Pending"}, "spec": {"nodeName": "n"}, "metadata": {}}, 0.0)
    'starts'
    """
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return ""  # it may take its time on purpose; whoever wants it gone waits with `kubectl delete`
    if status.get("phase") in ("Succeeded", "Failed") or stuck_because(pod):
        return ""
    containers = status.get("containerStatuses") or []
    if status.get("phase") == "Pending":
        if not pod["spec"].get("nodeName"):
            return "waits for a node"
        return "starts"
    young = now - _last_change(pod) < UNREADY
    if young and any(not container.get("ready") for container in containers):
        return "runs and is not ready yet"
    return ""


def stuck_because(pod: Obj) -> str:
    """Why a pod does not get on, if it does not; empty otherwise. A failing readiness probe is a state, not a fault."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return ""
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _STUCK:
            told = " ".join(str(waiting.get("message", "")).split())
            return f"{waiting['reason']}{f' ({told[:160]})' if told else ''}, image {container.get('image', '')}"
    scheduled = condition(pod, "PodScheduled")
    if scheduled and scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return f"no node takes it: {scheduled.get('message', '')}"
    return ""


def _last_change(pod: Obj) -> float:
    """When a condition of a pod changed last, in seconds since the epoch."""
    from datetime import datetime

    times = [entry.get("lastTransitionTime") for entry in (pod.get("status") or {}).get("conditions") or ()]
    return max((datetime.fromisoformat(str(time)).timestamp() for time in times if time), default=0.0)


def _counted(names: list[str], state: str) -> str:
    if len(names) == 1:
        return f"pod {names[0]} {state}"
    shown = ", ".join(sorted(names)[:3])
    state = {"starts": "start", "waits for a node": "wait for a node"}.get(
        state, "run and are not ready yet"
    )
    more = "" if len(names) <= 3 else f" and {len(names) - 3} more"
    return f"pods {shown}{more} {state}"
