"""The arithmetic of a rollout: sizes, revisions, conditions. Pure functions on Deployments and ReplicaSets.

Source: ``pkg/controller/deployment/util/deployment_util.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Iterable
from math import floor

from epkit.fake.clock import format_time, parse_time
from epkit.fake.controllers.workloads import replace_condition, scaled_value, without_zeroes
from epkit.objects import Obj, annotations_of, condition, name_of, uid_of

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
#: annotations of a Deployment that its ReplicaSets do not get
NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)
#: the longest revision history that is kept, in characters
_HISTORY_LIMIT = 2000
_NO_DEADLINE = 2**31 - 1


def replicas_of(obj: Obj) -> int:
    return int(obj["spec"].get("replicas", 1))


def is_rolling_update(deployment: Obj) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def fenceposts(deployment: Obj) -> tuple[int, int]:
    """maxSurge and maxUnavailable in pods (``ResolveFenceposts``). They are never both 0: something must give."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    wanted = replicas_of(deployment)
    surge = scaled_value(rolling.get("maxSurge", "25%"), wanted, round_up=True)
    unavailable = scaled_value(rolling.get("maxUnavailable", "25%"), wanted, round_up=False)
    return surge, (unavailable or (0 if surge else 1))


def max_surge(deployment: Obj) -> int:
    return fenceposts(deployment)[0] if is_rolling_update(deployment) else 0


def max_unavailable(deployment: Obj) -> int:
    if not is_rolling_update(deployment) or replicas_of(deployment) == 0:
        return 0
    return min(fenceposts(deployment)[1], replicas_of(deployment))


# -- ReplicaSets of a Deployment ---------------------------------------------------------------------------------------


def oldest_first(replicasets: Iterable[Obj]) -> list[Obj]:
    return sorted(replicasets, key=lambda rs: (rs["metadata"].get("creationTimestamp", ""), name_of(rs)))


def largest_first(replicasets: Iterable[Obj], newer_first: bool) -> list[Obj]:
    """By size; among equals the newer, or the older, first."""
    by_age = oldest_first(replicasets)
    if newer_first:
        by_age.reverse()
    return sorted(by_age, key=lambda rs: -replicas_of(rs))


def active(replicasets: Iterable[Obj | None]) -> list[Obj]:
    return [rs for rs in replicasets if rs is not None and replicas_of(rs) > 0]


def same_template(one: Obj, other: Obj) -> bool:
    """The two pod templates are the same but for ``pod-template-hash`` (``EqualIgnoreHash``)."""
    return one.get("spec") == other.get("spec") and _without_hash(one) == _without_hash(other)


def _without_hash(template: Obj) -> Obj:
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if value}
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return metadata


def find_new_replicaset(deployment: Obj, replicasets: Iterable[Obj]) -> Obj | None:
    """The ReplicaSet that has the Deployment's template; the oldest, should there be several."""
    template = deployment["spec"]["template"]
    return next((rs for rs in oldest_first(replicasets) if same_template(rs["spec"]["template"], template)), None)


def find_old_replicasets(deployment: Obj, replicasets: Iterable[Obj]) -> list[Obj]:
    replicasets = list(replicasets)
    new = find_new_replicaset(deployment, replicasets)
    return [rs for rs in replicasets if new is None or uid_of(rs) != uid_of(new)]


def find_active_or_latest(new: Obj | None, old: list[Obj]) -> Obj | None:
    """The only active ReplicaSet, or the latest if none is; None if several are: those are scaled in proportion."""
    running = active([*reversed(oldest_first(old)), new])
    if len(running) > 1:
        return None
    if running:
        return running[0]
    return new if new is not None else (oldest_first(old)[-1] if old else None)


def is_saturated(deployment: Obj, replicaset: Obj | None) -> bool:
    """The ReplicaSet holds all of the Deployment's replicas, and was meant to."""
    if replicaset is None or number_of(replicaset, DESIRED_REPLICAS) is None:
        return False
    wanted = replicas_of(deployment)
    return replicas_of(replicaset) == wanted and number_of(replicaset, DESIRED_REPLICAS) == wanted


def new_replicas(deployment: Obj, replicasets: Iterable[Obj], new: Obj) -> int:
    """How many replicas the new ReplicaSet may have now (``NewRSNewReplicas``)."""
    wanted = replicas_of(deployment)
    if not is_rolling_update(deployment):
        return wanted
    room = wanted + fenceposts(deployment)[0] - sum(map(replicas_of, replicasets))
    if room <= 0:
        return replicas_of(new)
    return replicas_of(new) + min(room, wanted - replicas_of(new))


def proportion(replicaset: Obj, deployment: Obj, to_add: int, added: int) -> int:
    """This ReplicaSet's share of the replicas to add (or, negative, to take away) (``GetReplicaSetProportion``)."""
    if replicas_of(replicaset) == 0 or to_add in (0, added):
        return 0
    fraction = _fraction(replicaset, deployment)
    return min(fraction, to_add - added) if to_add > 0 else max(fraction, to_add - added)


def _fraction(replicaset: Obj, deployment: Obj) -> int:
    size = replicas_of(replicaset)
    if replicas_of(deployment) == 0:
        return -size
    before = number_of(replicaset, MAX_REPLICAS) or (deployment.get("status") or {}).get("replicas", 0)
    if not before:
        return 0  # somebody took the annotation away, and there are no pods to go by
    return floor(size * (replicas_of(deployment) + max_surge(deployment)) / before + 0.5) - size


# -- annotations -------------------------------------------------------------------------------------------------------


def number_of(obj: Obj, annotation: str) -> int | None:
    try:
        return int(annotations_of(obj)[annotation])
    except (KeyError, ValueError):
        return None


def max_revision(replicasets: Iterable[Obj]) -> int:
    return max((number_of(rs, REVISION) or 0 for rs in replicasets), default=0)


def replicas_annotations(deployment: Obj) -> dict[str, str]:
    """What tells a later sync how large the Deployment was when the ReplicaSet was last scaled."""
    wanted = replicas_of(deployment)
    return {DESIRED_REPLICAS: str(wanted), MAX_REPLICAS: str(wanted + max_surge(deployment))}


def new_replicaset_annotations(deployment: Obj, replicaset: Obj, revision: int, exists: bool) -> dict[str, str]:
    """The annotations of the new ReplicaSet: the Deployment's, and the revision (``SetNewReplicaSetAnnotations``)."""
    annotations = dict(annotations_of(replicaset))
    annotations |= {key: value for key, value in annotations_of(deployment).items() if key not in NOT_COPIED}
    old = annotations.get(REVISION, "")
    if old and not old.isdigit():
        return annotations
    if int(old or 0) < revision:
        annotations[REVISION] = str(revision)
        if old:
            # A rollback has made an older ReplicaSet the newest again: its former revisions are kept.
            history = _append_revision(annotations.get(REVISION_HISTORY, ""), old)
            if history:
                annotations[REVISION_HISTORY] = history
    return annotations if exists else annotations | replicas_annotations(deployment)


def _append_revision(history: str, revision: str) -> str:
    revisions = [*(history.split(",") if history else []), revision]
    while revisions and len(",".join(revisions)) > _HISTORY_LIMIT:
        revisions.pop(0)
    return ",".join(revisions)


# -- status ------------------------------------------------------------------------------------------------------------


def new_condition(kind: str, status: str, reason: str, message: str, now: float) -> Obj:
    time = format_time(now)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": time,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }


def calculate_status(replicasets: Iterable[Obj | None], new: Obj | None, deployment: Obj, now: float) -> Obj:
    """The status that these ReplicaSets make, with the condition Available (``calculateStatus``)."""
    known = [rs for rs in replicasets if rs is not None]
    before = deployment.get("status") or {}
    available = _total(known, "availableReplicas")
    if available >= replicas_of(deployment) - max_unavailable(deployment):
        seen = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        seen = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    status = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": _total(known, "replicas"),
        "updatedReplicas": _total([new] if new is not None else [], "replicas"),
        "readyReplicas": _total(known, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(sum(map(replicas_of, known)) - available, 0),
        "terminatingReplicas": _terminating(known),
        "conditions": replace_condition(before.get("conditions") or [], new_condition("Available", *seen, now)),
    }
    if "collisionCount" in before:
        status["collisionCount"] = before["collisionCount"]
    keep = ("collisionCount",) if status["terminatingReplicas"] is None else ("collisionCount", "terminatingReplicas")
    return without_zeroes(status, keep)


def _total(replicasets: Iterable[Obj], field: str) -> int:
    return sum((rs.get("status") or {}).get(field, 0) for rs in replicasets)


def _terminating(replicasets: Iterable[Obj]) -> int | None:
    """None while a ReplicaSet that has been synced does not say how many of its pods are terminating."""
    synced = [rs["status"] for rs in replicasets if (rs.get("status") or {}).get("observedGeneration")]
    if any("terminatingReplicas" not in status for status in synced):
        return None
    return sum(status["terminatingReplicas"] for status in synced)


def has_progress_deadline(deployment: Obj) -> bool:
    return deployment["spec"].get("progressDeadlineSeconds", _NO_DEADLINE) != _NO_DEADLINE


def is_complete(deployment: Obj, status: Obj) -> bool:
    """All replicas are of the new template, no old pods run, and enough are available (``DeploymentComplete``)."""
    wanted = replicas_of(deployment)
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )


def is_progressing(deployment: Obj, status: Obj) -> bool:
    """More new pods, fewer old ones, more ready or available ones than before (``DeploymentProgressing``)."""
    before = deployment.get("status") or {}

    def old_replicas(of: Obj) -> int:
        return int(of.get("replicas", 0) - of.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_replicas(status) < old_replicas(before) or any(status.get(f, 0) > before.get(f, 0) for f in grown)


def has_timed_out(deployment: Obj, status: Obj, now: float) -> bool:
    """The last sign of progress is older than the deadline (``DeploymentTimedOut``)."""
    progressing = condition({"metadata": {}, "status": status}, "Progressing")
    if not has_progress_deadline(deployment) or progressing is None:
        return False
    if progressing.get("reason") == "NewReplicaSetAvailable":
        return False  # it was complete; what is missing now is no rollout's failure
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return True
    return bool(parse_time(progressing["lastUpdateTime"]) + deployment["spec"]["progressDeadlineSeconds"] < now)
