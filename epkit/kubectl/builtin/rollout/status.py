"""``kubectl rollout status``.

Source: ``k8s.io/kubectl/pkg/cmd/rollout/rollout_status.go`` and ``pkg/polymorphichelpers/rollout_status.go``.
"""
from __future__ import annotations

from collections.abc import Callable

from epkit.kubectl.builtin.failures import KubectlError, raise_all
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.replicasets import REVISION
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj, condition, name_of


def status(session: Session) -> None:
    """Tell how far the roll-out is, until it is done."""
    args = session.args
    if not args.words and not args["filename"]:
        raise KubectlError("required resource not specified")
    if args["revision"] < 0:
        raise KubectlError(f"revision must be a positive integer: {args['revision']}")
    selection = select(session, everything=True, latest=True)
    if not selection.infos and not selection.failures:
        session.err(f"No resources found in {session.namespace} namespace.\n")
    for info in selection.infos:
        _follow(session, info)
    raise_all(selection.failures)


def _follow(session: Session, info: Info) -> None:
    view = _VIEWS.get((info.mapping.group, info.mapping.kind))
    if view is None:
        raise KubectlError(f"no status viewer has been implemented for {info.mapping.group_kind}")
    seconds, watch = session.args["timeout"], session.args["watch"]
    last = ""
    for obj in session.follow(info.mapping, info.namespace, info.name, seconds):
        if obj is None:
            raise KubectlError("object has been deleted")
        last, done = view(obj, session.args["revision"])
        session.out(last)
        if done or not watch:
            return
    if 0 < seconds < session.timeout and not session.paused():
        raise KubectlError("timed out waiting for the condition")
    session.give_up(f"{info.printed} to be rolled out")


def deployment(obj: Obj, revision: int) -> tuple[str, bool]:
    """What is said of a Deployment, and whether it is done.

    Raises:
        KubectlError: it is not getting on, or is at another revision.
    """
    name, spec, state = quote(name_of(obj)), obj["spec"], obj.get("status") or {}
    if revision > 0:
        at = int((obj["metadata"].get("annotations") or {}).get(REVISION, "0") or 0)
        if at != revision:
            raise KubectlError(f"desired revision ({revision}) is different from the running revision ({at})")
    if obj["metadata"].get("generation", 0) > state.get("observedGeneration", 0):
        return "Waiting for deployment spec update to be observed...\n", False
    progressing = condition(obj, "Progressing")
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        raise KubectlError(f"deployment {name} exceeded its progress deadline")
    wanted, updated = spec.get("replicas", 0), state.get("updatedReplicas", 0)
    waiting = f"Waiting for deployment {name} rollout to finish: "
    if updated < wanted:
        return f"{waiting}{updated} out of {wanted} new replicas have been updated...\n", False
    if state.get("replicas", 0) > updated:
        return f"{waiting}{state['replicas'] - updated} old replicas are pending termination...\n", False
    if state.get("availableReplicas", 0) < updated:
        available = state.get("availableReplicas", 0)
        return f"{waiting}{available} of {updated} updated replicas are available...\n", False
    return f"deployment {name} successfully rolled out\n", True


def daemon_set(obj: Obj, revision: int) -> tuple[str, bool]:
    """What is said of a DaemonSet, and whether it is done."""
    name, state = quote(name_of(obj)), obj.get("status") or {}
    if (obj["spec"].get("updateStrategy") or {}).get("type") != "RollingUpdate":
        raise KubectlError("rollout status is only available for RollingUpdate strategy type")
    if obj["metadata"].get("generation", 0) > state.get("observedGeneration", 0):
        return "Waiting for daemon set spec update to be observed...\n", False
    wanted = state.get("desiredNumberScheduled", 0)
    updated, available = state.get("updatedNumberScheduled", 0), state.get("numberAvailable", 0)
    waiting = f"Waiting for daemon set {name} rollout to finish: "
    if updated < wanted:
        return f"{waiting}{updated} out of {wanted} new pods have been updated...\n", False
    if available < wanted:
        return f"{waiting}{available} of {wanted} updated pods are available...\n", False
    return f"daemon set {name} successfully rolled out\n", True


def stateful_set(obj: Obj, revision: int) -> tuple[str, bool]:
    """What is said of a StatefulSet, and whether it is done."""
    spec, state = obj["spec"], obj.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") != "RollingUpdate":
        raise KubectlError("rollout status is only available for RollingUpdate strategy type")
    if not state.get("observedGeneration") or obj["metadata"].get("generation", 0) > state["observedGeneration"]:
        return "Waiting for statefulset spec update to be observed...\n", False
    wanted, ready = spec.get("replicas", 0), state.get("readyReplicas", 0)
    if ready < wanted:
        return f"Waiting for {wanted - ready} pods to be ready...\n", False
    updated = state.get("updatedReplicas", 0)
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    if partition is not None:
        if updated < wanted - partition:
            text = f"{updated} out of {wanted - partition} new pods have been updated...\n"
            return f"Waiting for partitioned roll out to finish: {text}", False
        return f"partitioned roll out complete: {updated} new pods have been updated...\n", True
    if state.get("updateRevision") != state.get("currentRevision"):
        where = f"{updated} pods at revision {state.get('updateRevision', '')}...\n"
        return f"waiting for statefulset rolling update to complete {where}", False
    where = f"{state.get('currentReplicas', 0)} pods at revision {state.get('currentRevision', '')}...\n"
    return f"statefulset rolling update complete {where}", True


_VIEWS: dict[tuple[str, str], Callable[[Obj, int], tuple[str, bool]]] = {
    ("apps", "Deployment"): deployment,
    ("apps", "DaemonSet"): daemon_set,
    ("apps", "StatefulSet"): stateful_set,
}
