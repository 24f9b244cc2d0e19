"""The ReplicaSet controller: keeps as many pods of one template as are asked for.

Source: ``pkg/controller/replicaset/replica_set.go`` and ``replica_set_utils.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any

from epkit.errors import ApiError
from epkit.fake.clock import format_time
from epkit.fake.controllers import podutil
from epkit.fake.controllers.framework import Controller, Kit, SyncError
from epkit.fake.controllers.workloads import (
    BURST_REPLICAS,
    NEVER,
    ControlledBy,
    ControllerRefManager,
    Expectations,
    PodControl,
    drop_condition,
    replace_condition,
    resolve_controller,
    slow_start_batch,
    without_zeroes,
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
from epkit.selectors import Matcher, of_label_selector, of_map

_KIND = "ReplicaSet"


class ReplicaSetController(Controller):
    """Creates and deletes pods until there are ``spec.replicas`` active ones.

    >>> controller = ReplicaSetController(kit)
    >>> controller.start()
    """

    name = "replicaset-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("replicaset", self.sync, retries=NEVER)
        self.expectations = Expectations(self.clock)
        self.pod_control = PodControl(self.client, self.recorder)
        self.replicasets = self.informer("replicasets")
        self.pods = self.informer("pods")
        self.siblings = ControlledBy(self.replicasets)
        self.controlled = ControlledBy(self.pods)
        self.replicasets.on(add=self._enqueue, update=self._update_replicaset, delete=self._delete_replicaset)
        self.pods.on(add=self._add_pod, update=self._update_pod, delete=self._delete_pod)

    # -- events --------------------------------------------------------------------------------------------------------

    def _enqueue(self, replicaset: Obj) -> None:
        self.queue.add(key_of(replicaset))

    def _update_replicaset(self, old: Obj, new: Obj) -> None:
        if uid_of(old) != uid_of(new):
            self._delete_replicaset(old)
        self._enqueue(new)

    def _delete_replicaset(self, replicaset: Obj) -> None:
        # Another one of the same name is to start clean.
        self.expectations.forget(key_of(replicaset))
        self._enqueue(replicaset)

    def _add_pod(self, pod: Obj) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            # After a restart a pod may show up that is already going: that is no creation.
            self._delete_pod(pod)
            return
        reference = controller_of(pod)
        if reference is None:
            # An orphan. Nobody waits for it, but somebody may want to adopt it.
            self._enqueue_matching(pod)
        elif (replicaset := self._resolve(pod, reference)) is not None:
            self.expectations.creation_observed(key_of(replicaset))
            self._enqueue(replicaset)

    def _update_pod(self, old: Obj, new: Obj) -> None:
        labels_changed = labels_of(old) != labels_of(new)
        if "deletionTimestamp" in new["metadata"]:
            # The first step of a graceful deletion counts as the deletion: its replacement is wanted at once.
            self._delete_pod(new)
            if labels_changed:
                self._delete_pod(old)
            return
        before, reference = controller_of(old), controller_of(new)
        if reference != before and (former := self._resolve(old, before)) is not None:
            self._enqueue(former)
        if reference is None:
            if labels_changed or reference != before:
                self._enqueue_matching(new)
            return
        replicaset = self._resolve(new, reference)
        if replicaset is None:
            return
        self._enqueue(replicaset)
        min_ready_seconds = replicaset["spec"].get("minReadySeconds", 0)
        if min_ready_seconds and not podutil.is_ready(old) and podutil.is_ready(new):
            # It becomes available then; a second more, since times are kept in whole seconds.
            self.queue.add_after(key_of(replicaset), min_ready_seconds + 1)

    def _delete_pod(self, pod: Obj) -> None:
        replicaset = self._resolve(pod, controller_of(pod))
        if replicaset is not None:
            self.expectations.deletion_observed(key_of(replicaset), key_of(pod))
            self._enqueue(replicaset)

    def _resolve(self, pod: Obj, reference: Obj | None) -> Obj | None:
        return resolve_controller(self.replicasets, namespace_of(pod), reference, _KIND)

    def _enqueue_matching(self, pod: Obj) -> None:
        for replicaset in self.replicasets.list(namespace_of(pod)):
            if labels_of(pod) and of_label_selector(replicaset["spec"]["selector"])(labels_of(pod)):
                self._enqueue(replicaset)

    # -- sync ----------------------------------------------------------------------------------------------------------

    def sync(self, key: str) -> None:
        """Bring one ReplicaSet's pods to the number that it asks for, and write its status (``syncReplicaSet``)."""
        replicaset = self.replicasets.get(*split_key(key))
        if replicaset is None:
            self.expectations.forget(key)
            return
        may_manage = self.expectations.satisfied(key)
        matches = of_label_selector(replicaset["spec"]["selector"])
        candidates = self.controlled.candidates(replicaset)
        active = self._claim(replicaset, matches, [pod for pod in candidates if podutil.is_active(pod)])
        terminating = [
            pod
            for pod in candidates
            if podutil.is_terminating(pod) and controller_of(pod) is not None and matches(labels_of(pod))
        ]
        failure: Exception | None = None
        if may_manage and "deletionTimestamp" not in replicaset["metadata"]:
            failure = self._manage_replicas(key, replicaset, active)
        now = self.clock.now
        updated = self._update_status(replicaset, calculate_status(replicaset, active, terminating, failure, now))
        if failure is not None:
            raise failure
        status, min_ready_seconds = updated.get("status") or {}, updated["spec"].get("minReadySeconds", 0)
        if status.get("readyReplicas", 0) != status.get("availableReplicas", 0):
            wait = podutil.next_availability_check(active, min_ready_seconds, now)
            self.queue.add_after(key, min_ready_seconds if wait is None else wait)

    def _claim(self, replicaset: Obj, matches: Matcher, pods: list[Obj]) -> list[Obj]:
        return ControllerRefManager(self.client, "pods", replicaset, "replicasets", matches).claim(pods)

    def _manage_replicas(self, key: str, replicaset: Obj, pods: list[Obj]) -> Exception | None:
        """Create what is missing or delete what is too much; returns the first failure."""
        wanted = replicaset["spec"].get("replicas", 1)
        if len(pods) < wanted:
            count = min(wanted - len(pods), BURST_REPLICAS)
            self.expectations.expect(key, count, ())
            template = replicaset["spec"]["template"]
            successes, failure = slow_start_batch(count, lambda: self._create_pod(key, template, replicaset))
            for _ in range(count - successes):
                # The informer will never see what was refused or never tried.
                self.expectations.creation_observed(key)
            return failure
        if len(pods) > wanted:
            count = min(len(pods) - wanted, BURST_REPLICAS)
            victims = podutil.pods_to_delete(pods, self._related_pods(replicaset), count, self.clock.now)
            # Each is remembered by its key: an update with a deletion timestamp and the deletion count once.
            self.expectations.expect(key, 0, [key_of(pod) for pod in victims])
            return self._delete_pods(key, replicaset, victims)
        return None

    def _create_pod(self, key: str, template: Obj, replicaset: Obj) -> None:
        if self.pod_control.create(template, replicaset) is None:
            self.expectations.creation_observed(key)  # the namespace is going away: nothing comes

    def _delete_pods(self, key: str, replicaset: Obj, victims: list[Obj]) -> Exception | None:
        first: Exception | None = None
        for pod in victims:
            try:
                self.pod_control.delete(pod, replicaset)
            except (ApiError, SyncError) as error:
                self.expectations.deletion_observed(key, key_of(pod))
                if not (isinstance(error, ApiError) and error.reason == "NotFound"):
                    first = first or error
        return first

    def _related_pods(self, replicaset: Obj) -> list[Obj]:
        """The pods of every ReplicaSet of the same owner (``getIndirectlyRelatedPods``)."""
        reference = controller_of(replicaset)
        if reference is None:
            return []
        related: dict[str, Obj] = {}
        for sibling in self.siblings.owned({"metadata": {"uid": reference["uid"]}}):
            matches = of_label_selector(sibling["spec"]["selector"])
            for pod in self.controlled.candidates(sibling):
                if matches(labels_of(pod)):
                    related[uid_of(pod)] = pod
        return list(related.values())

    def _update_status(self, replicaset: Obj, status: Obj) -> Obj:
        """Write the status where it changed; a conflict is met once by reading the ReplicaSet anew."""
        generation = replicaset["metadata"].get("generation", 0)
        before = replicaset.get("status") or {}
        if before.get("observedGeneration", 0) == generation and status == {"replicas": 0, **before}:
            return replicaset
        status["observedGeneration"] = generation
        try:
            return self.client.update("replicasets", {**replicaset, "status": status}, subresource="status")
        except ApiError:
            fresh = self.client.get("replicasets", name_of(replicaset), namespace_of(replicaset))
            return self.client.update("replicasets", {**fresh, "status": status}, subresource="status")


def calculate_status(
    replicaset: Obj, active: list[Obj], terminating: list[Obj], failure: Exception | None, now: float
) -> Obj:
    """The status that these pods make, ``observedGeneration`` as before (``calculateStatus``)."""
    spec, before = replicaset["spec"], replicaset.get("status") or {}
    fully_labelled = of_map(labels_of({"metadata": {}, **spec["template"]}))
    min_ready_seconds = spec.get("minReadySeconds", 0)
    ready = [pod for pod in active if podutil.is_ready(pod)]
    conditions = before.get("conditions") or []
    failed_before = condition(replicaset, "ReplicaFailure") is not None
    if failure is not None and not failed_before:
        reason = "FailedCreate" if len(active) < spec.get("replicas", 1) else "FailedDelete"
        conditions = replace_condition(conditions, _replica_failure(reason, str(failure), now))
    elif failure is None and failed_before:
        conditions = drop_condition(conditions, "ReplicaFailure")
    status = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(1 for pod in active if fully_labelled(labels_of(pod))),
        "readyReplicas": len(ready),
        "availableReplicas": sum(1 for pod in ready if podutil.is_available(pod, min_ready_seconds, now)),
        "terminatingReplicas": len(terminating),
        "observedGeneration": before.get("observedGeneration", 0),
        "conditions": conditions,
    }
    return without_zeroes(status, keep=("replicas", "terminatingReplicas"))


def _replica_failure(reason: str, message: str, now: float) -> Obj:
    return {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }
