"""The StatefulSet controller: pods with names that stay, made in order and taken away in the opposite one.

Source: ``pkg/controller/statefulset/stateful_set.go`` and ``stateful_set_control.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from epkit.errors import ApiError
from epkit.fake.controllers import history, podutil
from epkit.fake.controllers import statefulset_pods as sts
from epkit.fake.controllers.framework import Controller, Kit, SyncError
from epkit.fake.controllers.workloads import (
    NEVER,
    ControlledBy,
    ControllerRefManager,
    resolve_controller,
    scaled_value,
    slow_start_batch,
    without_zeroes,
)
from epkit.objects import Obj, controller_of, key_of, labels_of, name_of, namespace_of, split_key
from epkit.selectors import of_label_selector

_KIND = "StatefulSet"


class StatefulSetController(Controller):
    """Keeps pod ``web-0`` to ``web-<n-1>``, one after the other unless ``podManagementPolicy`` is Parallel.

    >>> controller = StatefulSetController(kit)
    >>> controller.start()
    """

    name = "statefulset-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("statefulset", self.sync, retries=NEVER)
        self.stateful_sets = self.informer("statefulsets")
        self.pods = self.informer("pods")
        self.controlled = ControlledBy(self.pods)
        self.history = history.ControllerHistory(self.client, self.informer("controllerrevisions"), "statefulsets")
        self.pod_control = sts.StatefulPodControl(self.client, self.recorder)
        self.stateful_sets.on(add=self._enqueue, update=lambda old, new: self._enqueue(new), delete=self._enqueue)
        self.pods.on(add=self._add_pod, update=self._update_pod, delete=self._enqueue_owner)

    # -- events --------------------------------------------------------------------------------------------------------

    def _enqueue(self, stateful_set: Obj) -> None:
        self.queue.add(key_of(stateful_set))

    def _add_pod(self, pod: Obj) -> None:
        if controller_of(pod) is not None or "deletionTimestamp" in pod["metadata"]:
            self._enqueue_owner(pod)
        else:
            self._enqueue_matching(pod)

    def _update_pod(self, old: Obj, new: Obj) -> None:
        before, reference = controller_of(old), controller_of(new)
        if reference != before:
            self._enqueue_owner(old)
        if reference is None:
            if reference != before or labels_of(old) != labels_of(new):
                self._enqueue_matching(new)
            return
        stateful_set = self._resolve(new)
        if stateful_set is None:
            return
        self._enqueue(stateful_set)
        min_ready_seconds = stateful_set["spec"].get("minReadySeconds", 0)
        if min_ready_seconds and not podutil.is_ready(old) and podutil.is_ready(new):
            self.queue.add_after(key_of(stateful_set), min_ready_seconds + 1)

    def _enqueue_owner(self, pod: Obj) -> None:
        if (stateful_set := self._resolve(pod)) is not None:
            self._enqueue(stateful_set)

    def _resolve(self, pod: Obj) -> Obj | None:
        return resolve_controller(self.stateful_sets, namespace_of(pod), controller_of(pod), _KIND)

    def _enqueue_matching(self, pod: Obj) -> None:
        for stateful_set in self.stateful_sets.list(namespace_of(pod)):
            if labels_of(pod) and of_label_selector(stateful_set["spec"]["selector"])(labels_of(pod)):
                self._enqueue(stateful_set)

    # -- sync ----------------------------------------------------------------------------------------------------------

    def sync(self, key: str) -> None:
        """Take one StatefulSet a step further and write its status (``UpdateStatefulSet``)."""
        stateful_set = self.stateful_sets.get(*split_key(key))
        if stateful_set is None:
            return
        revisions = self.history.of(stateful_set)
        matches = of_label_selector(stateful_set["spec"]["selector"])
        members = [pod for pod in self.controlled.candidates(stateful_set) if sts.is_member(stateful_set, pod)]
        pods = ControllerRefManager(self.client, "pods", stateful_set, "statefulsets", matches).claim(members)
        current, update, collisions = self._revisions(stateful_set, revisions)
        step = _Step(self, stateful_set, pods, current, update, self.clock.now)
        failure: Exception | None = None
        try:
            step.run()
        except (ApiError, SyncError) as error:
            failure = error
        status = self._update_status(step, collisions)
        self._truncate_history(stateful_set, pods, revisions, {name_of(current), name_of(update)})
        if failure is not None:
            raise failure
        min_ready_seconds = stateful_set["spec"].get("minReadySeconds", 0)
        if min_ready_seconds and status["availableReplicas"] != stateful_set["spec"].get("replicas", 1):
            wait = podutil.next_availability_check(pods, min_ready_seconds, self.clock.now)
            self.queue.add_after(key, min_ready_seconds if wait is None else wait)

    def _revisions(self, stateful_set: Obj, revisions: list[Obj]) -> tuple[Obj, Obj, int]:
        """The revision that the set is at, the one that it goes to, and the count of name collisions."""
        status = stateful_set.get("status") or {}
        collisions = int(status.get("collisionCount", 0))
        number = revisions[-1]["revision"] + 1 if revisions else 1
        data = history.template_patch(stateful_set)
        same = [revision for revision in revisions if revision["data"] == data]
        if same and same[-1] is revisions[-1]:
            update = same[-1]
        elif same:
            update = self.history.renumber(same[-1], number)
        else:
            update, collisions = self._create_revision(stateful_set, number, collisions)
        current = next((known for known in revisions if name_of(known) == status.get("currentRevision")), update)
        return current, update, collisions

    def _create_revision(self, stateful_set: Obj, number: int, collisions: int) -> tuple[Obj, int]:
        while True:
            token = history.hash_of(history.template_patch(stateful_set), collisions)
            name = history.revision_name(name_of(stateful_set), token)
            revision = history.new_revision(stateful_set, number, name, {history.HASH_LABEL: token})
            try:
                return self.history.create(revision), collisions
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
            found = self.history.find(revision)
            if found is not None and found["data"] == revision["data"]:
                return found, collisions
            collisions += 1

    def _update_status(self, step: _Step, collisions: int) -> Obj:
        stateful_set = step.stateful_set
        status = {
            **step.counts,
            "observedGeneration": stateful_set["metadata"].get("generation", 0),
            "currentRevision": name_of(step.current),
            "updateRevision": name_of(step.update),
            "collisionCount": collisions,
        }
        wanted = stateful_set["spec"].get("replicas", 1)
        counts = (status["replicas"], status["readyReplicas"], status["updatedReplicas"])
        if not step.on_delete and counts == (wanted, wanted, wanted):
            # The rolling update is complete: what was new is current from now on.
            status["currentReplicas"], status["currentRevision"] = wanted, status["updateRevision"]
        status = without_zeroes(status, keep=("replicas", "availableReplicas", "collisionCount"))
        if status != (stateful_set.get("status") or {}):
            self.client.update("statefulsets", {**stateful_set, "status": status}, subresource="status")
        return status

    def _truncate_history(self, stateful_set: Obj, pods: list[Obj], revisions: list[Obj], live: set[str]) -> None:
        live = live | {sts.revision_of(pod) for pod in pods}
        old = [revision for revision in revisions if name_of(revision) not in live]
        for revision in old[: max(len(old) - stateful_set["spec"].get("revisionHistoryLimit", 10), 0)]:
            self.history.delete(revision)


@dataclass
class _Step:
    """One sync of one StatefulSet (``updateStatefulSet``): which pods there should be, and what is done about it."""

    controller: StatefulSetController
    stateful_set: Obj
    pods: list[Obj]
    current: Obj
    update: Obj
    now: float

    def __post_init__(self) -> None:
        spec = self.stateful_set["spec"]
        self.monotonic = spec.get("podManagementPolicy", "OrderedReady") != "Parallel"
        self.min_ready_seconds = int(spec.get("minReadySeconds", 0))
        strategy = spec.get("updateStrategy") or {}
        self.rolling = strategy.get("rollingUpdate") or {}
        self.on_delete = strategy.get("type") == "OnDelete"
        start, count = sts.start_ordinal(self.stateful_set), spec.get("replicas", 1)
        there = {sts.ordinal_of(pod): pod for pod in self.pods}
        #: one for each ordinal, those that are missing not yet created
        self.replicas = [there.get(n) or self._missing(n) for n in range(start, start + count)]
        #: those beyond, the highest first
        self.condemned = [there[n] for n in sorted(there, reverse=True) if not start <= n < start + count]
        self.counts = self._count(self.pods)

    def run(self) -> None:
        """Create what is missing, then delete what is too much, then update; in order, each waiting for the last.

        Raises the API's refusal of a write; :attr:`counts` tell what was reached.
        """
        if "deletionTimestamp" in self.stateful_set["metadata"]:
            return
        unavailable = [pod for pod in [*self.replicas, *reversed(self.condemned)] if self._unavailable(pod)]
        first_unavailable = unavailable[0] if unavailable else None
        try:
            if self._for_all(range(len(self.replicas)), self._process_replica):
                return
            if self._for_all(self.condemned, lambda pod: self._process_condemned(pod, first_unavailable)):
                return
        finally:
            self.counts = self._count([*self.replicas, *self.condemned])
        if not self.on_delete:
            self._update_pods()

    def _missing(self, ordinal: int) -> Obj:
        """A new pod: of the revision that the set goes to, but below the partition of the one that it is at."""
        partition = sts.start_ordinal(self.stateful_set) + self.rolling.get("partition", 0)
        old = not self.on_delete and ordinal < partition
        revision = self.current if old else self.update
        return sts.new_pod(self.stateful_set, history.template_of(revision), name_of(revision), ordinal)

    def _for_all(self, items: Iterable[Any], act: Callable[[Any], bool]) -> bool:
        """Act on all; in order and until one says to wait, or in slow-start batches. True: go no further."""
        if self.monotonic:
            return any(act(item) for item in items)
        todo = deque(items)
        _, failure = slow_start_batch(len(todo), lambda: act(todo.popleft()))
        if failure is not None:
            raise failure
        return False

    def _process_replica(self, index: int) -> bool:
        """See to one pod that should be there. True: it is not as it should be yet, so the next must wait."""
        control, stateful_set, pod = self.controller.pod_control, self.stateful_set, self.replicas[index]
        if podutil.is_finished(pod):
            # It is made anew when it is gone: there is never a second one of the same name.
            if not sts.is_terminating(pod):
                control.delete(stateful_set, pod)
            return True
        if not sts.is_created(pod):
            pod = self.replicas[index] = control.create(stateful_set, pod)
            if self.monotonic:
                return True
        if self.monotonic and self._unavailable(pod):
            return True
        if not sts.identity_matches(pod):
            control.update(stateful_set, pod)
        return False

    def _process_condemned(self, pod: Obj, first_unavailable: Obj | None) -> bool:
        """Delete one pod that is too much; in order, and not while another one is unavailable."""
        if sts.is_terminating(pod):
            return True
        if self.monotonic and self._unavailable(pod) and pod is not first_unavailable:
            return True
        self.controller.pod_control.delete(self.stateful_set, pod)
        return True

    def _update_pods(self) -> None:
        """Delete pods of an old revision, the highest ordinal first, so that no more than maxUnavailable are missing.

        With Parallel, those that are unavailable anyway go first and cost nothing.
        """
        wanted = self.stateful_set["spec"].get("replicas", 1)
        allowed = max(scaled_value(self.rolling.get("maxUnavailable", 1), wanted, round_up=True), 1)
        budget = allowed - sum(1 for pod in self.replicas if self._unavailable(pod))
        candidates = [
            pod
            for pod in reversed(self.replicas[self.rolling.get("partition", 0) :])
            if sts.revision_of(pod) != name_of(self.update) and not sts.is_terminating(pod)
        ]
        free = [pod for pod in candidates if self._unavailable(pod)] if not self.monotonic else []
        others = [pod for pod in candidates if not any(pod is other for other in free)]
        for pod in free + others[: max(budget, 0)]:
            try:
                self.controller.pod_control.delete(self.stateful_set, pod)
            except ApiError as error:
                if error.reason != "NotFound":
                    raise
            self.counts["currentReplicas"] = max(self.counts["currentReplicas"] - 1, 0)

    def _unavailable(self, pod: Obj) -> bool:
        return sts.is_unavailable(pod, self.min_ready_seconds, self.now)

    def _count(self, pods: list[Obj]) -> dict[str, Any]:
        ready = [pod for pod in pods if sts.is_running_and_ready(pod)]
        created = [pod for pod in pods if sts.is_created(pod)]
        revisions = [sts.revision_of(pod) for pod in created if not sts.is_terminating(pod)]
        available = [pod for pod in ready if sts.is_running_and_available(pod, self.min_ready_seconds, self.now)]
        return {
            "replicas": len(created),
            "readyReplicas": len(ready),
            "availableReplicas": len(available),
            "currentReplicas": revisions.count(name_of(self.current)),
            "updatedReplicas": revisions.count(name_of(self.update)),
        }
