"""When is a live cluster at rest? After two quiet seconds, and nothing in sight that still has to come.

What keeps failing in the same way is told, and not waited for: an image that cannot be pulled, a container that crashes
again and again, a pod that no node takes, a probe that fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from epkit.objects import Obj, condition, name_of, namespace_of, uid_of
from epkit.story import Written

#: the cluster is at rest after so many seconds without a change, and is not waited for longer than so many
QUIET, LONGEST = 2.0, 60.0
#: a container that runs and is not ready is given so long after its pod's last change: a probe's period and a little
UNREADY = 12.0
#: progress is told after so many seconds, then when something else is waited for, and otherwise after so many more
SILENCE, AGAIN = 4.0, 15.0

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


class Heard(Protocol):
    """What Settling needs of a :class:`epkit.targets.recorder.Recorder`."""

    since: float

    def objects(self, resource: str) -> list[Obj]: ...
    def recent(self, since: float) -> list[tuple[float, Written]]: ...
    def wait(self, seconds: float) -> None: ...


class Settling:
    """Waits for a live cluster, and remembers what it has told already.

    Args:
        recorder: hears of what is written in the learner's namespaces.
        tell: shows a line of progress.
        clock: the one that the recorder's moments are of.
    """

    def __init__(
        self, recorder: Heard, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._recorder = recorder
        self._tell = tell
        self._clock = clock
        self._told: set[str] = set()
        #: (uid, state) of pods that were waited for long enough
        self._given_up: set[tuple[str, str]] = set()
        self._touched: dict[str, float] = {}

    def touch(self, pod: Obj) -> None:
        """A command has run in a pod: its probe may soon say something else."""
        self._touched[uid_of(pod)] = self._clock()

    def settle(self, since: float = float("-inf")) -> None:
        """Wait until there was no change for :data:`QUIET` seconds and no pod is on its way, at most :data:`LONGEST`.

        Args:
            since: the moment of the last write of our own, by the clock.
        """
        begin, said, said_at = self._clock(), "", 0.0
        while True:
            now = self._clock()
            unrest = self._unrest(now)
            latest = max([since, self._recorder.since, *(heard for heard, _ in unrest)])
            quiet = now - latest
            moving = self._moving(now)
            if quiet >= QUIET and not moving:
                break
            text = "; ".join(counted(names, state) for state, names in sorted(moving.items())) or _named(unrest)
            if now - begin >= LONGEST:
                self._tell(f"After {LONGEST:g} s the cluster still moves: {text}. Going on all the same.")
                self._give_up(now)
                break
            new = moving and text != said and now - begin >= SILENCE
            if new or (now - begin >= AGAIN and now - said_at >= AGAIN):
                said, said_at = text, now
                self._tell(f"… {now - begin:.0f} s: {text}")
            self._recorder.wait(max(0.05, min(1.0, QUIET - quiet if quiet < QUIET else 1.0)))
        self._tell_stuck()

    def _unrest(self, now: float) -> list[tuple[float, Written]]:
        """The changes of the last quiet seconds, the latest first: all but those of pods that only fail again."""
        recent = [(heard, write) for heard, write in self._recorder.recent(now - QUIET) if namespace_of(write.obj)]
        if not recent:
            return []
        stuck = {uid_of(pod) for pod in self._recorder.objects("pods") if stuck_because(pod)}
        return [(heard, write) for heard, write in recent if uid_of(write.obj) not in stuck]

    def _moving(self, now: float) -> dict[str, list[str]]:
        """What still has to come: states and the objects that are in them."""
        states: dict[str, list[str]] = {}
        changed = self._changed_at(now)
        for pod in self._recorder.objects("pods"):
            state = on_its_way(pod, now - changed.get(uid_of(pod), self._recorder.since))
            if state and (uid_of(pod), state) not in self._given_up:
                states.setdefault(state, []).append(f"pod {name_of(pod)}")
        for kind, resource in (("Deployment", "deployments"), ("ReplicaSet", "replicasets")):
            for obj in self._recorder.objects(resource):
                state = behind(obj)
                if state and (uid_of(obj), state) not in self._given_up:
                    states.setdefault(state, []).append(f"{kind} {name_of(obj)}")
        return states

    def _changed_at(self, now: float) -> dict[str, float]:
        """A pod's uid -> when a change of its status was heard of. By our clock: the server's may differ from it."""
        found = {uid: at for uid, at in self._touched.items() if now - at < UNREADY}
        for heard, write in self._recorder.recent(now - UNREADY):
            old = (write.old or {}).get("status")
            if write.resource == "pods" and old != write.obj.get("status"):
                found[uid_of(write.obj)] = max(heard, found.get(uid_of(write.obj), heard))
        return found

    def _give_up(self, now: float) -> None:
        """What has not come in all that time is not waited for again, unless it gets on in the meantime."""
        changed = self._changed_at(now)
        for pod in self._recorder.objects("pods"):
            state = on_its_way(pod, now - changed.get(uid_of(pod), self._recorder.since))
            self._given_up.add((uid_of(pod), state))
        for obj in [*self._recorder.objects("deployments"), *self._recorder.objects("replicasets")]:
            self._given_up.add((uid_of(obj), behind(obj)))

    def _tell_stuck(self) -> None:
        stuck = [("pod", pod, stuck_because(pod)) for pod in self._recorder.objects("pods")]
        stuck += [("ReplicaSet", obj, refused_because(obj)) for obj in self._recorder.objects("replicasets")]
        for kind, obj, why in stuck:
            if why and (mark := f"{uid_of(obj)} {why.partition(' ')[0]}") not in self._told:
                self._told.add(mark)
                self._tell(f"Stuck, and not waited for: {kind} {namespace_of(obj)}/{name_of(obj)}: {why}")


def on_its_way(pod: Obj, unchanged: float) -> str:
    """What a pod that will change by itself is doing; empty for one that is at rest or stuck.

    Args:
        unchanged: for how many seconds its status has been as it is.

    >>> on_its_way({"status": {"phase": "Pending"}, "spec": {"nodeName": "n"}, "metadata": {}}, 0.0)
    'starts'
    """
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return ""  # it may take its time on purpose; whoever wants it gone waits with `kubectl delete`
    if status.get("phase") in ("Succeeded", "Failed") or stuck_because(pod):
        return ""
    containers = status.get("containerStatuses") or []
    if status.get("phase", "Pending") == "Pending":
        if not pod["spec"].get("nodeName"):
            return "waits for a node"
        waiting = [(one, (one.get("state") or {}).get("waiting") or {}) for one in containers]
        doing = [f"{why['reason']}, image {one.get('image', '')}" for one, why in waiting if why.get("reason")]
        return f"starts ({doing[0]})" if doing else "starts"
    if unchanged < UNREADY and any(not container.get("ready") for container in containers):
        return "runs and is not ready yet"
    return ""


def behind(obj: Obj) -> str:
    """What a Deployment's or ReplicaSet's controller has still to do with it; empty for nothing."""
    status = obj.get("status") or {}
    if obj["metadata"].get("deletionTimestamp") or refused_because(obj):
        return ""
    if int(status.get("observedGeneration", 0)) < int(obj["metadata"].get("generation", 0)):
        return "waits for its controller"
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
    scheduled = condition(pod, "PodScheduled") or {}
    if scheduled.get("status") == "False" and scheduled.get("reason") in ("Unschedulable", "SchedulingGated"):
        return f"no node takes it: {scheduled.get('message', '')}"
    return ""


def refused_because(replica_set: Obj) -> str:
    """Why a ReplicaSet's pods cannot be made, such as a quota; empty where they can."""
    failure = condition(replica_set, "ReplicaFailure") or {}
    if replica_set["metadata"].get("deletionTimestamp") or failure.get("status") != "True":
        return ""
    return f"its pods cannot be made: {failure.get('message', '')}"


def counted(names: list[str], state: str) -> str:
    """Names and what they do, as a person says it.

    >>> counted(["pod b", "pod a"], "waits for a node")
    'pod a, pod b wait for a node'
    """
    names = sorted(names)
    if len(names) == 1:
        return f"{names[0]} {state}"
    verb, _, rest = state.partition(" ")
    rest = rest.replace("and is ", "and are ")
    more = "" if len(names) <= 3 else f" and {len(names) - 3} more"
    return f"{', '.join(names[:3])}{more} {verb.removesuffix('s')}{f' {rest}' if rest else ''}"


def _named(unrest: list[tuple[float, Written]]) -> str:
    """The objects that changed last, and who changed them."""
    changed = list(dict.fromkeys(f"{write.resource}/{write.name} by {write.who}" for _, write in unrest))
    return f"changes are still coming ({', '.join(changed[:3])})" if changed else "it has just been written to"
