"""The Deployment controller: rolls from one ReplicaSet to the next, never with too many pods nor with too few.

Source: ``pkg/controller/deployment`` (``deployment_controller.go``, ``sync.go``, ``rolling.go``, ``recreate.go``,
``progress.go``) of Kubernetes v1.36. Rolling back is the client's: it writes an older template.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from epkit.fake.clock import parse_time
from epkit.fake.controllers import deployment_util as util
from epkit.fake.controllers import podutil
from epkit.fake.controllers.deployment_replicasets import ReplicaSetControl, own_copy
from epkit.fake.controllers.framework import Controller, Kit
from epkit.fake.controllers.workloads import (
    ControlledBy,
    ControllerRefManager,
    drop_condition,
    replace_condition,
    resolve_controller,
)
from epkit.objects import (
    Obj,
    condition,
    controller_of,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    split_key,
    uid_of,
)
from epkit.selectors import of_label_selector

_KIND = "Deployment"
_SELECTS_ALL = "This deployment is selecting all pods. A non-empty selector is required."


class DeploymentController(Controller):
    """Keeps a ReplicaSet for each template that a Deployment has had, and moves the replicas to the newest.

    >>> controller = DeploymentController(kit)
    >>> controller.start()
    """

    name = "deployment-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("deployment", self.sync)
        self.deployments = self.informer("deployments")
        self.replicasets = self.informer("replicasets")
        self.pods = self.informer("pods")
        self.controlled = ControlledBy(self.replicasets)
        self.pods_of = ControlledBy(self.pods)
        self.sets = ReplicaSetControl(self.client, self.recorder, self.clock, self.replicasets)
        self.deployments.on(
            add=self._enqueue, update=lambda old, new: self._enqueue(new), delete=self._enqueue
        )
        self.replicasets.on(
            add=self._add_replicaset, update=self._update_replicaset, delete=self._delete_replicaset
        )
        self.pods.on(delete=self._delete_pod)

    # -- events --------------------------------------------------------------------------------------------------------

    def _enqueue(self, deployment: Obj) -> None:
        self.queue.add(key_of(deployment))

    def _add_replicaset(self, replicaset: Obj) -> None:
        if "deletionTimestamp" in replicaset["metadata"]:
            self._delete_replicaset(replicaset)
        elif controller_of(replicaset) is None:
            self._enqueue_matching(replicaset)
        elif (deployment := self._resolve(replicaset)) is not None:
            self._enqueue(deployment)

    def _update_replicaset(self, old: Obj, new: Obj) -> None:
        changed = controller_of(old) != controller_of(new)
        if changed and (former := self._resolve(old)) is not None:
            self._enqueue(former)
        if controller_of(new) is not None:
            if (deployment := self._resolve(new)) is not None:
                self._enqueue(deployment)
        elif changed or labels_of(old) != labels_of(new):
            self._enqueue_matching(new)

    def _delete_replicaset(self, replicaset: Obj) -> None:
        if (deployment := self._resolve(replicaset)) is not None:
            self._enqueue(deployment)

    def _delete_pod(self, pod: Obj) -> None:
        """A Recreate Deployment goes on once the last of its old pods is gone."""
        replicaset = resolve_controller(self.replicasets, namespace_of(pod), controller_of(pod), "ReplicaSet")
        deployment = self._resolve(replicaset) if replicaset is not None else None
        if deployment is None or util.is_rolling_update(deployment):
            return
        if not any(self.pods_of.owned(owned) for owned in self.controlled.owned(deployment)):
            self._enqueue(deployment)

    def _resolve(self, replicaset: Obj) -> Obj | None:
        return resolve_controller(self.deployments, namespace_of(replicaset), controller_of(replicaset), _KIND)

    def _enqueue_matching(self, replicaset: Obj) -> None:
        for deployment in self.deployments.list(namespace_of(replicaset)):
            if labels_of(replicaset) and of_label_selector(deployment["spec"]["selector"])(labels_of(replicaset)):
                self._enqueue(deployment)

    # -- sync ----------------------------------------------------------------------------------------------------------

    def sync(self, key: str) -> None:
        """Take one Deployment's rollout a step further, and write its status (``syncDeployment``)."""
        cached = self.deployments.get(*split_key(key))
        if cached is None:
            return
        deployment = own_copy(cached)
        if not any(deployment["spec"]["selector"].values()):
            self.recorder.event(deployment, "Warning", "SelectingAll", _SELECTS_ALL)
            if deployment["status"].get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
                deployment["status"]["observedGeneration"] = deployment["metadata"]["generation"]
                self.sets.write_status(deployment)
            return
        matches = of_label_selector(deployment["spec"]["selector"])
        claims = ControllerRefManager(self.client, "replicasets", deployment, "deployments", matches)
        replicasets = claims.claim(self.controlled.candidates(deployment))
        if "deletionTimestamp" in deployment["metadata"]:
            new, old = self.sets.sync_revision(deployment, replicasets, create=False)
            self._sync_status([*old, new], new, deployment)
            return
        self._check_paused(deployment)
        if deployment["spec"].get("paused") or self._is_scaling_event(deployment, replicasets):
            self._sync_scale(deployment, replicasets)
        elif util.is_rolling_update(deployment):
            self._rollout_rolling(deployment, replicasets)
        else:
            self._rollout_recreate(deployment, replicasets)

    def _check_paused(self, deployment: Obj) -> None:
        """Note a pause and its end, so that the time in between does not count against the progress deadline."""
        if not util.has_progress_deadline(deployment):
            return
        reason = (condition(deployment, "Progressing") or {}).get("reason")
        if reason == "ProgressDeadlineExceeded":
            return
        paused = bool(deployment["spec"].get("paused"))
        if paused == (reason == "DeploymentPaused"):
            return
        said = ("DeploymentPaused", "paused") if paused else ("DeploymentResumed", "resumed")
        self.sets.set_progressing(deployment, "Unknown", said[0], f"Deployment is {said[1]}")
        self.sets.write_status(deployment)

    def _is_scaling_event(self, deployment: Obj, replicasets: list[Obj]) -> bool:
        """A ReplicaSet was last scaled for another size of the Deployment."""
        new, old = self.sets.sync_revision(deployment, replicasets, create=False)
        sizes = {util.number_of(rs, util.DESIRED_REPLICAS) for rs in util.active([*old, new])}
        return bool(sizes - {None, util.replicas_of(deployment)})

    # -- rolling update ------------------------------------------------------------------------------------------------

    def _rollout_rolling(self, deployment: Obj, replicasets: list[Obj]) -> None:
        new, old = self.sets.sync_revision(deployment, replicasets, create=True)
        assert new is not None
        everything = [*old, new]
        if self._reconcile_new(everything, new, deployment) or self._reconcile_old(everything, old, new, deployment):
            self._sync_rollout_status(everything, new, deployment)
            return
        if util.is_complete(deployment, deployment["status"]):
            self.sets.clean_up(old, deployment)
        self._sync_rollout_status(everything, new, deployment)

    def _reconcile_new(self, everything: list[Obj], new: Obj, deployment: Obj) -> bool:
        """Scale the new ReplicaSet up as far as maxSurge allows; down if it is too large."""
        wanted = util.replicas_of(deployment)
        if util.replicas_of(new) < wanted:
            wanted = util.new_replicas(deployment, everything, new)
        return self.sets.scale_to(new, wanted, deployment) is not new

    def _reconcile_old(self, everything: list[Obj], old: list[Obj], new: Obj, deployment: Obj) -> bool:
        """Scale old ReplicaSets down as far as maxUnavailable allows; pods that are unhealthy anyway first.

        New pods that are not yet available count as unavailable, so that a bad template stops the rollout.
        """
        running = util.oldest_first(util.active(old))
        if not running:
            return False
        min_available = util.replicas_of(deployment) - util.max_unavailable(deployment)
        new_unavailable = util.replicas_of(new) - _available(new)
        spare = sum(map(util.replicas_of, everything)) - min_available - new_unavailable
        if spare <= 0:
            return False
        cleaned = 0
        for index, target in enumerate(running):
            unhealthy = util.replicas_of(target) - _available(target)
            count = min(spare - cleaned, unhealthy)
            if count > 0:
                running[index] = self.sets.scale_to(target, util.replicas_of(target) - count, deployment)
                cleaned += count
        removable = sum(map(_available, [*running, new])) - min_available
        removed = 0
        for target in running:
            count = min(util.replicas_of(target), removable - removed)
            if count > 0:
                self.sets.scale_to(target, util.replicas_of(target) - count, deployment)
                removed += count
        return cleaned + removed > 0

    # -- recreate ------------------------------------------------------------------------------------------------------

    def _rollout_recreate(self, deployment: Obj, replicasets: list[Obj]) -> None:
        """All old pods go, wholly; only then are new ones made."""
        new, old = self.sets.sync_revision(deployment, replicasets, create=False)
        running = util.active(old)
        for replicaset in running:
            self.sets.scale_to(replicaset, 0, deployment)
        if running or self._old_pods_running(new, old, replicasets):
            self._sync_rollout_status([*old, new], new, deployment)
            return
        if new is None:
            new, old = self.sets.sync_revision(deployment, replicasets, create=True)
        assert new is not None
        self.sets.scale_to(new, util.replicas_of(deployment), deployment)
        if util.is_complete(deployment, deployment["status"]):
            self.sets.clean_up(old, deployment)
        self._sync_rollout_status([*old, new], new, deployment)

    def _old_pods_running(self, new: Obj | None, old: list[Obj], replicasets: list[Obj]) -> bool:
        if any((replicaset.get("status") or {}).get("replicas") for replicaset in old):
            return True
        others = [rs for rs in replicasets if new is None or uid_of(rs) != uid_of(new)]
        return any(not podutil.is_finished(pod) for replicaset in others for pod in self.pods_of.owned(replicaset))

    # -- scaling -------------------------------------------------------------------------------------------------------

    def _sync_scale(self, deployment: Obj, replicasets: list[Obj]) -> None:
        """Follow a change of size, or serve a paused Deployment, without going on with the rollout (``sync``)."""
        new, old = self.sets.sync_revision(deployment, replicasets, create=False)
        self._scale(deployment, new, old)
        if deployment["spec"].get("paused"):
            self.sets.clean_up(old, deployment)
        self._sync_status([*old, new], new, deployment)

    def _scale(self, deployment: Obj, new: Obj | None, old: list[Obj]) -> None:
        """Change the size: of the one active ReplicaSet, or in the middle of a rollout of all in proportion."""
        wanted = util.replicas_of(deployment)
        only = util.find_active_or_latest(new, old)
        if only is not None:
            self.sets.scale_to(only, wanted, deployment)
        elif not (new is None and not old):
            if util.is_saturated(deployment, new):
                for replicaset in util.active(old):
                    self.sets.scale_to(replicaset, 0, deployment)
            elif util.is_rolling_update(deployment):
                self.sets.scale_in_proportion(deployment, util.active([*old, new]))

    # -- status --------------------------------------------------------------------------------------------------------

    def _sync_status(self, replicasets: Sequence[Obj | None], new: Obj | None, deployment: Obj) -> None:
        status = util.calculate_status(replicasets, new, deployment, self.clock.now)
        if status != deployment["status"]:
            deployment["status"] = status
            self.sets.write_status(deployment)

    def _sync_rollout_status(self, replicasets: Sequence[Obj | None], new: Obj | None, deployment: Obj) -> None:
        """The status during a rollout, with the condition Progressing (``syncRolloutStatus``)."""
        now = self.clock.now
        status = util.calculate_status(replicasets, new, deployment, now)
        conditions = status["conditions"]
        current = condition(deployment, "Progressing")
        watched = util.has_progress_deadline(deployment)
        if not watched:
            conditions = drop_condition(conditions, "Progressing")
        complete_before = (
            current is not None
            and current.get("reason") == "NewReplicaSetAvailable"
            and status.get("replicas", 0) == status.get("updatedReplicas", 0)
        )
        if watched and not complete_before:
            conditions = self._progress(deployment, new, {**status, "conditions": conditions}, current)
        failure = _replica_failure(replicasets, new)
        if failure is not None:
            conditions = replace_condition(conditions, failure)
        else:
            conditions = drop_condition(conditions, "ReplicaFailure")
        status["conditions"] = conditions
        if status == deployment["status"]:
            self._requeue_stuck(deployment, status)
            return
        deployment["status"] = status
        self.sets.write_status(deployment)

    def _progress(self, deployment: Obj, new: Obj | None, status: Obj, current: Obj | None) -> list[Obj]:
        """The conditions of `status` with what is to be said about progress."""
        now, conditions = self.clock.now, status["conditions"]
        subject = f'ReplicaSet "{name_of(new)}"' if new is not None else f'Deployment "{name_of(deployment)}"'
        if util.is_complete(deployment, status):
            said = ("True", "NewReplicaSetAvailable", f"{subject} has successfully progressed.")
            return replace_condition(conditions, util.new_condition("Progressing", *said, now))
        if util.is_progressing(deployment, status):
            said = ("True", "ReplicaSetUpdated", f"{subject} is progressing.")
            entry = util.new_condition("Progressing", *said, now)
            if current is not None and current["status"] == "True":
                entry["lastTransitionTime"] = current["lastTransitionTime"]
            # Written anew though status and reason may be the same: lastUpdateTime is what the deadline counts from.
            return [*drop_condition(conditions, "Progressing"), entry]
        if util.has_timed_out(deployment, status, now):
            said = ("False", "ProgressDeadlineExceeded", f"{subject} has timed out progressing.")
            return replace_condition(conditions, util.new_condition("Progressing", *said, now))
        return list(conditions)

    def _requeue_stuck(self, deployment: Obj, status: Obj) -> None:
        """Look again when the progress deadline is over: nothing else may happen until then."""
        current = condition(deployment, "Progressing")
        if not util.has_progress_deadline(deployment) or current is None:
            return
        if util.is_complete(deployment, status) or current.get("reason") == "ProgressDeadlineExceeded":
            return
        deadline = parse_time(current["lastUpdateTime"]) + deployment["spec"]["progressDeadlineSeconds"]
        wait = deadline - self.clock.now
        if wait < 1:
            self.queue.add_rate_limited(key_of(deployment))
        else:
            self.queue.add_after(key_of(deployment), wait + 1)


def _available(replicaset: Obj) -> int:
    return int((replicaset.get("status") or {}).get("availableReplicas", 0))


def _replica_failure(replicasets: Sequence[Obj | None], new: Obj | None) -> Obj | None:
    """The ReplicaSets' ReplicaFailure as a condition of the Deployment; the new one's before those of old ones."""
    for replicaset in [new, *replicasets]:
        entry = condition(replicaset, "ReplicaFailure") if replicaset is not None else None
        if entry is not None:
            time = entry["lastTransitionTime"]
            order = {"type": entry["type"], "status": entry["status"], "lastUpdateTime": time}
            return {**order, "lastTransitionTime": time, "reason": entry["reason"], "message": entry["message"]}
    return None
