"""The ReplicaSets of a Deployment: which is the new one, how they are made, scaled and cleaned up.

Source: ``pkg/controller/deployment/sync.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from epkit.client import Client
from epkit.errors import ApiError
from epkit.fake.clock import Clock
from epkit.fake.controllers import deployment_util as util
from epkit.fake.controllers.framework import Informer, Recorder
from epkit.fake.controllers.workloads import compute_hash, namespace_is_terminating, replace_condition, without_zeroes
from epkit.objects import (
    Obj,
    annotations_of,
    condition,
    controller_of,
    copy,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)


class ReplicaSetControl:
    """Writes a Deployment's ReplicaSets, and what it has to say about them into the Deployment.

    The Deployments given to it must come from :func:`own_copy`: it changes their annotations and status.
    """

    def __init__(self, client: Client, recorder: Recorder, clock: Clock, replicasets: Informer) -> None:
        self.client = client
        self.recorder = recorder
        self.clock = clock
        self.replicasets = replicasets

    def sync_revision(self, deployment: Obj, replicasets: list[Obj], create: bool) -> tuple[Obj | None, list[Obj]]:
        """The new and the old ReplicaSets, with revisions brought up to date (``getAllReplicaSetsAndSyncRevision``)."""
        old = util.find_old_replicasets(deployment, replicasets)
        new = util.find_new_replicaset(deployment, replicasets)
        revision = util.max_revision(old) + 1
        if new is not None:
            new = self._refresh_new(deployment, new, revision)
        elif create:
            new = self._create_new(deployment, old, revision)
        return new, old

    def _refresh_new(self, deployment: Obj, new: Obj, revision: int) -> Obj:
        annotations = util.new_replicaset_annotations(deployment, new, revision, exists=True)
        min_ready_seconds = deployment["spec"].get("minReadySeconds", 0)
        if annotations != annotations_of(new) or min_ready_seconds != new["spec"].get("minReadySeconds", 0):
            metadata = {**new["metadata"], "annotations": annotations}
            spec = without_zeroes({**new["spec"], "minReadySeconds": min_ready_seconds}, keep=("replicas",))
            return self.client.update("replicasets", {**new, "metadata": metadata, "spec": spec})
        changed = _set_revision(deployment, annotations.get(util.REVISION, ""))
        if util.has_progress_deadline(deployment) and condition(deployment, "Progressing") is None:
            said = f'Found new replica set "{name_of(new)}"'
            self.set_progressing(deployment, "True", "FoundNewReplicaSet", said)
            changed = True
        if changed:
            self.write_status(deployment)
        return new

    def _create_new(self, deployment: Obj, old: list[Obj], revision: int) -> Obj:
        new = _new_replicaset(deployment)
        new["spec"]["replicas"] = count = util.new_replicas(deployment, [*old, new], new)
        new["metadata"]["annotations"] = util.new_replicaset_annotations(deployment, new, revision, exists=False)
        created: Obj | None = None
        existing: Obj | None = None
        try:
            created = self.client.create("replicasets", new)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                existing = self._existing(deployment, new, error)
            else:
                self._report_create_failure(deployment, new, error)
                raise
        if created is not None and count > 0:
            said = f"Scaled up replica set {name_of(created)} from 0 to {count}"
            self.recorder.event(deployment, "Normal", "ScalingReplicaSet", said)
        changed = _set_revision(deployment, str(revision))
        if created is not None and util.has_progress_deadline(deployment):
            said = f'Created new replica set "{name_of(created)}"'
            self.set_progressing(deployment, "True", "NewReplicaSetCreated", said)
            changed = True
        if changed:
            self.write_status(deployment)
        result = created or existing
        assert result is not None  # the third way out is an error
        return result

    def _existing(self, deployment: Obj, new: Obj, error: ApiError) -> Obj:
        """The ReplicaSet that has the name already: it is the new one, seen late, or the hashes collide."""
        found = self.replicasets.get(namespace_of(new), name_of(new))
        if found is None:
            raise error
        owner = controller_of(found)
        template = deployment["spec"]["template"]
        if owner and owner["uid"] == uid_of(deployment) and util.same_template(found["spec"]["template"], template):
            return found
        # The next sync hashes with another count, and so finds another name.
        deployment["status"]["collisionCount"] = deployment["status"].get("collisionCount", 0) + 1
        self.write_status(deployment)
        raise error

    def _report_create_failure(self, deployment: Obj, new: Obj, error: ApiError) -> None:
        if namespace_is_terminating(error):
            return
        said = f'Failed to create new replica set "{name_of(new)}": {error}'
        if util.has_progress_deadline(deployment):
            self.set_progressing(deployment, "False", "ReplicaSetCreateError", said)
            self.write_status(deployment)
        self.recorder.event(deployment, "Warning", "ReplicaSetCreateError", said)

    def scale_in_proportion(self, deployment: Obj, replicasets: list[Obj]) -> None:
        wanted = util.replicas_of(deployment)
        allowed = wanted + util.max_surge(deployment) if wanted > 0 else 0
        to_add = allowed - sum(map(util.replicas_of, replicasets))
        if to_add:
            replicasets = util.largest_first(replicasets, newer_first=to_add > 0)
        sizes, added = [], 0
        for replicaset in replicasets:
            share = util.proportion(replicaset, deployment, to_add, added)
            sizes.append(util.replicas_of(replicaset) + share)
            added += share
        if to_add:
            sizes[0] = max(sizes[0] + to_add - added, 0)  # what rounding has left over
        for replicaset, size in zip(replicasets, sizes, strict=True):
            self._write_size(replicaset, size, deployment)

    def scale_to(self, replicaset: Obj, size: int, deployment: Obj) -> Obj:
        """Scale a ReplicaSet; the same object comes back when it has that size already."""
        return replicaset if util.replicas_of(replicaset) == size else self._write_size(replicaset, size, deployment)

    def _write_size(self, replicaset: Obj, size: int, deployment: Obj) -> Obj:
        before = util.replicas_of(replicaset)
        annotations = {**annotations_of(replicaset), **util.replicas_annotations(deployment)}
        if size == before and annotations == annotations_of(replicaset):
            return replicaset
        metadata = {**replicaset["metadata"], "annotations": annotations}
        spec = {**replicaset["spec"], "replicas": size}
        written = self.client.update("replicasets", {**replicaset, "metadata": metadata, "spec": spec})
        if size != before:
            direction = "up" if size > before else "down"
            said = f"Scaled {direction} replica set {name_of(replicaset)} from {before} to {size}"
            self.recorder.event(deployment, "Normal", "ScalingReplicaSet", said)
        return written

    def clean_up(self, old: list[Obj], deployment: Obj) -> None:
        """Delete the oldest revisions beyond ``revisionHistoryLimit`` that have no pods (``cleanupDeployment``)."""
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        cleanable = [rs for rs in old if "deletionTimestamp" not in rs["metadata"]]
        excess = len(cleanable) - limit
        if excess <= 0:
            return
        by_revision = sorted(util.oldest_first(cleanable), key=lambda rs: util.number_of(rs, util.REVISION) or 0)
        for replicaset in by_revision[:excess]:
            status, generation = replicaset.get("status") or {}, replicaset["metadata"].get("generation", 0)
            in_use = status.get("replicas") or util.replicas_of(replicaset)
            if in_use or generation > status.get("observedGeneration", 0):
                continue
            try:
                self.client.delete("replicasets", name_of(replicaset), namespace_of(replicaset))
            except ApiError as error:
                if error.reason != "NotFound":
                    raise

    def set_progressing(self, deployment: Obj, status: str, reason: str, message: str) -> None:
        entry = util.new_condition("Progressing", status, reason, message, self.clock.now)
        deployment["status"]["conditions"] = replace_condition(deployment["status"].get("conditions") or [], entry)

    def write_status(self, deployment: Obj) -> None:
        # A copy: what has been sent belongs to the API, and this sync goes on with its own.
        self.client.update("deployments", own_copy(deployment), subresource="status")


def own_copy(deployment: Obj) -> Obj:
    """A Deployment whose annotations and status this sync may change."""
    metadata = {**deployment["metadata"], "annotations": dict(annotations_of(deployment))}
    return {**deployment, "metadata": metadata, "status": dict(deployment.get("status") or {})}


def _set_revision(deployment: Obj, revision: str) -> bool:
    annotations = deployment["metadata"]["annotations"]
    changed = bool(annotations.get(util.REVISION) != revision)
    annotations[util.REVISION] = revision
    return changed


def _new_replicaset(deployment: Obj) -> Obj:
    """The ReplicaSet for the Deployment's template, without replicas and annotations yet."""
    spec = deployment["spec"]
    token = compute_hash(spec["template"], deployment["status"].get("collisionCount"))
    metadata = dict(spec["template"].get("metadata") or {})
    labels = metadata["labels"] = {**(metadata.get("labels") or {}), util.HASH_LABEL: token}
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), util.HASH_LABEL: token}
    wanted: Obj = {"replicas": 0, "selector": selector, "template": {**copy(spec["template"]), "metadata": metadata}}
    if spec.get("minReadySeconds"):
        wanted["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            # The name follows from the template: a sync that is repeated cannot make a second one.
            "name": f"{name_of(deployment)[: 253 - 1 - len(token)]}-{token}",
            "namespace": namespace_of(deployment),
            "labels": dict(labels),
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": wanted,
    }
