"""A pod's status, worked out from what its containers do.

Source: ``generateAPIPodStatus`` and ``getPhase`` in ``pkg/kubelet/kubelet_pods.go`` and
``pkg/kubelet/status/generate.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from epkit.fake import images
from epkit.fake.clock import format_time
from epkit.fake.containers import RUNNING, TERMINATED, WAITING, Container, Ended
from epkit.objects import Obj, annotations_of, condition

if TYPE_CHECKING:
    from epkit.fake.podworker import PodWorker

#: the conditions that the kubelet owns, in the order in which it writes them
OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
#: A pod with this annotation set to "false" never counts as ready: a switch of the simulation.
READY_ANNOTATION = "fake/ready"


def generate(worker: PodWorker, live: Obj, now: float) -> Obj:
    """The whole status that the kubelet wants for the pod; `live` is the pod as the API server has it."""
    old = live.get("status") or {}
    phase = phase_of(worker)
    wanted: Obj = {
        "phase": phase,
        "hostIP": worker.node.internal_ip,
        "hostIPs": [{"ip": worker.node.internal_ip}],
        "startTime": format_time(worker.seen_at),
    }
    if worker.ip:
        wanted["podIP"] = worker.ip
        wanted["podIPs"] = [{"ip": worker.ip}]
    if generation := live["metadata"].get("generation"):
        wanted["observedGeneration"] = generation
    if worker.refused is not None:
        return {**old, **wanted, "reason": worker.refused[0], "message": f"Pod was rejected: {worker.refused[1]}"}
    if worker.init:
        wanted["initContainerStatuses"] = [container_status(container, worker.pod) for container in worker.init]
    wanted["containerStatuses"] = [container_status(container, worker.pod) for container in worker.main]
    wanted["conditions"] = _conditions(worker, live, phase, now)
    return {**old, **wanted}


def phase_of(worker: PodWorker) -> str:
    """Pending until the containers have been started; Succeeded or Failed when none of them runs again."""
    if worker.finished:
        failed = any(container.ended is not None and container.ended.code for container in worker.everyone)
        return "Failed" if failed or worker.never_started else "Succeeded"
    if any(container.state != WAITING or container.ended is not None for container in worker.main):
        return "Running"
    return "Pending"


def is_ready(container: Container, pod: Obj) -> bool:
    """Its status says ready: it runs, its probes agree and the pod is not held back by an annotation."""
    if container.init and not container.sidecar:
        return container.state == TERMINATED and container.ended is not None and container.ended.code == 0
    return container.ready and annotations_of(pod).get(READY_ANNOTATION) != "false"


# -- containers --------------------------------------------------------------------------------------------------------


def container_status(container: Container, pod: Obj) -> Obj:
    spec = container.spec
    reference = spec.get("image", "")
    begun = container.state != WAITING or container.ended is not None
    status: Obj = {
        "name": container.name,
        "image": images.full_name(reference) if begun else reference,
        "imageID": images.image_id(reference) if begun else "",
        "ready": is_ready(container, pod),
        "restartCount": container.restarts,
        "started": container.started,
        "state": _state(container),
        "lastState": {},
    }
    if begun:
        status["containerID"] = container.id
        status["resources"] = resources = spec.get("resources") or {}
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
    last = container.ended if container.state == WAITING else container.before
    if last is not None:
        status["lastState"] = {"terminated": _terminated(last)}
    if mounts := spec.get("volumeMounts"):
        status["volumeMounts"] = [_mount(mount) for mount in mounts]
    return status


def _mount(mount: Obj) -> Obj:
    shown = {key: mount[key] for key in ("name", "mountPath", "readOnly") if key in mount}
    return shown | ({"recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {})


def _state(container: Container) -> Obj:
    if container.state == RUNNING:
        return {"running": {"startedAt": format_time(container.started_at)}}
    if container.state == TERMINATED and container.ended is not None:
        return {"terminated": _terminated(container.ended)}
    return {"waiting": {"reason": container.why} | ({"message": container.message} if container.message else {})}


def _terminated(ended: Ended) -> Obj:
    return {
        "exitCode": ended.code,
        "reason": ended.reason,
        "startedAt": format_time(ended.started_at),
        "finishedAt": format_time(ended.finished_at),
        "containerID": ended.id,
    }


# -- conditions --------------------------------------------------------------------------------------------------------


def _conditions(worker: PodWorker, live: Obj, phase: str, now: float) -> list[Obj]:
    """Those of others as they are, then the kubelet's own; a condition keeps its time as long as its status."""
    foreign = [entry for entry in (live.get("status") or {}).get("conditions") or () if entry["type"] not in OWNED]
    containers_ready = _containers_ready(worker, phase)
    wanted = {
        "PodReadyToStartContainers": {"status": _truth(worker.sandbox and not worker.finished)},
        "Initialized": _initialized(worker, phase),
        "Ready": _ready(containers_ready, live),
        "ContainersReady": containers_ready,
        "PodScheduled": {"status": "True"},
    }
    own, stamp = [], format_time(now)
    for kind in OWNED:
        entry: Obj = {"type": kind, "lastProbeTime": None, "lastTransitionTime": stamp, **wanted[kind]}
        if generation := live["metadata"].get("generation"):
            entry["observedGeneration"] = generation
        old = condition(live, kind)
        if old is not None and old["status"] == entry["status"] and old.get("lastTransitionTime"):
            entry["lastTransitionTime"] = old["lastTransitionTime"]
        own.append(entry)
    return [*foreign, *own]


def _initialized(worker: PodWorker, phase: str) -> Obj:
    if phase == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"}
    waiting = [c.name for c in worker.init if not (c.started if c.sidecar else is_ready(c, worker.pod))]
    if not waiting or any(container.state != WAITING for container in worker.main):
        return {"status": "True"}
    message = f"containers with incomplete status: {_names(waiting)}"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": message}


def _containers_ready(worker: PodWorker, phase: str) -> Obj:
    if phase == "Succeeded":
        return {"status": "False", "reason": "PodCompleted"}
    if phase == "Failed":
        return {"status": "False", "reason": "PodFailed"}
    relevant = [container for container in worker.everyone if container.sidecar or not container.init]
    unready = [container.name for container in relevant if not is_ready(container, worker.pod)]
    if not unready:
        return {"status": "True"}
    message = f"containers with unready status: {_names(unready)}"
    return {"status": "False", "reason": "ContainersNotReady", "message": message}


def _ready(containers_ready: Obj, live: Obj) -> Obj:
    """As ContainersReady, and each readiness gate must be True too."""
    if containers_ready["status"] != "True":
        return containers_ready
    closed = []
    for gate in live["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        found = condition(live, kind)
        if found is None:
            closed.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found["status"] != "True":
            closed.append(f'the status of pod readiness gate "{kind}" is not "True", but {found["status"]}')
    if closed:
        return {"status": "False", "reason": "ReadinessGatesNotReady", "message": ", ".join(closed)}
    return {"status": "True"}


def _names(names: Sequence[str]) -> str:
    return "[" + " ".join(names) + "]"


def _truth(value: bool) -> str:
    return "True" if value else "False"
