"""The DaemonSet controller: one pod on every node that it is for.

Source: ``pkg/controller/daemon/daemon_controller.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any

from epkit.errors import ApiError
from epkit.fake.controllers import daemonset_pods as daemons
from epkit.fake.controllers import history, podutil, taints
from epkit.fake.controllers.daemonset_update import rolling_of, rolling_update
from epkit.fake.controllers.framework import Controller, Kit, SyncError
from epkit.fake.controllers.workloads import (
    NEVER,
    ControlledBy,
    ControllerRefManager,
    Expectations,
    PodControl,
    compute_hash,
    resolve_controller,
    slow_start_batch,
    without_zeroes,
)
from epkit.objects import Obj, controller_of, key_of, labels_of, name_of, namespace_of, split_key, uid_of
from epkit.selectors import of_label_selector

_KIND = "DaemonSet"
_BURST = 250
#: back-off of deleting failed pods of a node, in seconds: the first and the longest
_BACKOFF, _LONGEST_BACKOFF = 1.0, 15 * 60.0
_SELECTS_ALL = "This daemon set is selecting all pods. A non-empty selector is required."


class DaemonSetController(Controller):
    """Keeps a pod on each node that wants one, and replaces old ones by the update strategy.

    >>> controller = DaemonSetController(kit)
    >>> controller.start()
    """

    name = "daemonset-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("daemonset", self.sync, retries=NEVER)
        self.expectations = Expectations(self.clock)
        self.pod_control = PodControl(self.client, self.recorder)
        self.daemon_sets = self.informer("daemonsets")
        self.pods = self.informer("pods")
        self.nodes = self.informer("nodes")
        self.controlled = ControlledBy(self.pods)
        self.history = history.ControllerHistory(self.client, self.informer("controllerrevisions"), "daemonsets")
        #: (uid, observed generation, node) -> when a failed pod there was last deleted, and how long to wait after that
        self._failed: dict[tuple[str, int, str], tuple[float, float]] = {}
        self.daemon_sets.on(add=self._enqueue, update=self._update_daemon_set, delete=self._delete_daemon_set)
        self.pods.on(add=self._add_pod, update=self._update_pod, delete=self._delete_pod)
        self.nodes.on(add=self._add_node, update=self._update_node)

    # -- events --------------------------------------------------------------------------------------------------------

    def _enqueue(self, daemon_set: Obj) -> None:
        self.queue.add(key_of(daemon_set))

    def _update_daemon_set(self, old: Obj, new: Obj) -> None:
        if uid_of(old) != uid_of(new):
            self._delete_daemon_set(old)
        self._enqueue(new)

    def _delete_daemon_set(self, daemon_set: Obj) -> None:
        self.expectations.forget(key_of(daemon_set))
        self._enqueue(daemon_set)

    def _add_pod(self, pod: Obj) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            self._delete_pod(pod)
        elif controller_of(pod) is None:
            self._enqueue_matching(pod)
        elif (daemon_set := self._resolve(pod)) is not None:
            self.expectations.creation_observed(key_of(daemon_set))
            self._enqueue(daemon_set)

    def _update_pod(self, old: Obj, new: Obj) -> None:
        if "deletionTimestamp" in new["metadata"]:
            self._delete_pod(new)
            return
        changed = controller_of(old) != controller_of(new)
        if changed and (former := self._resolve(old)) is not None:
            self._enqueue(former)
        if controller_of(new) is None:
            if changed or labels_of(old) != labels_of(new):
                self._enqueue_matching(new)
        elif (daemon_set := self._resolve(new)) is not None:
            self._enqueue(daemon_set)
            min_ready_seconds = daemon_set["spec"].get("minReadySeconds", 0)
            if min_ready_seconds and not podutil.is_ready(old) and podutil.is_ready(new):
                self.queue.add_after(key_of(daemon_set), min_ready_seconds + 1)

    def _delete_pod(self, pod: Obj) -> None:
        if (daemon_set := self._resolve(pod)) is not None:
            self.expectations.deletion_observed(key_of(daemon_set), key_of(pod))
            self._enqueue(daemon_set)

    def _add_node(self, node: Obj) -> None:
        for daemon_set in self.daemon_sets.list():
            if daemons.node_should_run(node, daemon_set)[0]:
                self._enqueue(daemon_set)

    def _update_node(self, old: Obj, new: Obj) -> None:
        """Labels and taints decide; everything else of a node changes every few seconds."""
        if labels_of(old) == labels_of(new) and taints.of(old) == taints.of(new):
            return
        for daemon_set in self.daemon_sets.list():
            if daemons.node_should_run(old, daemon_set) != daemons.node_should_run(new, daemon_set):
                self._enqueue(daemon_set)

    def _resolve(self, pod: Obj) -> Obj | None:
        return resolve_controller(self.daemon_sets, namespace_of(pod), controller_of(pod), _KIND)

    def _enqueue_matching(self, pod: Obj) -> None:
        for daemon_set in self.daemon_sets.list(namespace_of(pod)):
            if labels_of(pod) and of_label_selector(daemon_set["spec"]["selector"])(labels_of(pod)):
                self._enqueue(daemon_set)

    # -- sync ----------------------------------------------------------------------------------------------------------

    def sync(self, key: str) -> None:
        """See to one DaemonSet's pods on all nodes, and write its status (``syncDaemonSet``)."""
        daemon_set = self.daemon_sets.get(*split_key(key))
        if daemon_set is None:
            self.expectations.forget(key)
            return
        if not any(daemon_set["spec"]["selector"].values()):
            self.recorder.event(daemon_set, "Warning", "SelectingAll", _SELECTS_ALL)
            return
        if "deletionTimestamp" in daemon_set["metadata"]:
            return  # its revisions may be gone already: what could be said would be wrong
        current, old = self._construct_history(daemon_set)
        token = labels_of(current)[history.REVISION_LABEL]
        nodes = self.nodes.list()
        if not self.expectations.satisfied(key):
            self._update_status(key, daemon_set, nodes, token, observed=False)
            return
        failure: Exception | None = None
        try:
            self._manage(key, daemon_set, nodes, token)
            if self.expectations.satisfied(key):
                if (daemon_set["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
                    self._rolling_update(key, daemon_set, nodes, token)
            self._clean_up_history(daemon_set, old)
        except (ApiError, SyncError) as error:
            failure = error
        self._update_status(key, daemon_set, nodes, token, observed=True)
        if failure is not None:
            raise failure

    def _pods_by_node(self, daemon_set: Obj) -> dict[str, list[Obj]]:
        """Its pods by the node that they are on or meant for; not those that have ended and only wait to be removed."""
        matches = of_label_selector(daemon_set["spec"]["selector"])
        candidates = self.controlled.candidates(daemon_set)
        by_node: dict[str, list[Obj]] = {}
        for pod in ControllerRefManager(self.client, "pods", daemon_set, "daemonsets", matches).claim(candidates):
            ended = podutil.is_finished(pod) and "deletionTimestamp" in pod["metadata"]
            node = daemons.target_node(pod)
            if node and not ended:
                by_node.setdefault(node, []).append(pod)
        return by_node

    def _manage(self, key: str, daemon_set: Obj, nodes: list[Obj], token: str) -> None:
        """A pod where one is wanted and missing; none where none is wanted; one where there are several."""
        by_node = self._pods_by_node(daemon_set)
        needing: list[str] = []
        excess: list[Obj] = []
        for node in nodes:
            run, stay = daemons.node_should_run(node, daemon_set)
            pods = by_node.get(name_of(node))
            if run and pods is None:
                needing.append(name_of(node))
            elif stay:
                needs, surplus = self._pods_on_node(key, daemon_set, name_of(node), pods or [], run, token)
                needing += [name_of(node)] if needs else []
                excess += surplus
            elif pods:
                excess += [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        known = {name_of(node) for node in nodes}
        # Pods meant for a node that is gone will never be scheduled, and nobody else takes them away.
        excess += [
            pod
            for node, pods in by_node.items()
            for pod in pods
            if node not in known and not pod["spec"].get("nodeName")
        ]
        self._sync_nodes(key, daemon_set, excess, needing, token)

    def _pods_on_node(
        self, key: str, daemon_set: Obj, node: str, pods: list[Obj], run: bool, token: str
    ) -> tuple[bool, list[Obj]]:
        """Is a pod to be made on this node; and which are too many (``podsShouldBeOnNode``)?"""
        running: list[Obj] = []
        excess: list[Obj] = []
        for pod in pods:
            phase = podutil.phase_of(pod)
            if "deletionTimestamp" in pod["metadata"]:
                continue
            if phase == "Failed":
                if self._may_delete_failed(key, daemon_set, node):
                    said = f"Found failed daemon pod {key_of(pod)} on node {node}, will try to kill it"
                    self.recorder.event(daemon_set, "Warning", "FailedDaemonPod", said)
                    excess.append(pod)
            elif phase == "Succeeded":
                said = f"Found succeeded daemon pod {key_of(pod)} on node {node}, will try to delete it"
                self.recorder.event(daemon_set, "Normal", "SucceededDaemonPod", said)
                excess.append(pod)
            else:
                running.append(pod)
        running = daemons.oldest_first(running)
        if not rolling_of(daemon_set).get("maxSurge"):
            return False, excess + running[1:]
        if len(running) <= 1:
            return run and not running, excess
        new = [pod for pod in running if labels_of(pod).get(history.REVISION_LABEL) == token]
        former = [pod for pod in running if labels_of(pod).get(history.REVISION_LABEL) != token]
        excess += new[1:] + former[1:]
        # Two may run side by side as long as the old one serves and the new one does not yet.
        if new and former and (not podutil.is_ready(former[0]) or self._available(daemon_set, new[0])):
            excess.append(former[0])
        return False, excess

    def _may_delete_failed(self, key: str, daemon_set: Obj, node: str) -> bool:
        """Not too often: the kubelet may refuse the next one as well."""
        generation = (daemon_set.get("status") or {}).get("observedGeneration", 0)
        slot, now = (uid_of(daemon_set), generation, node), self.clock.now
        last, wait = self._failed.get(slot, (-1.0, 0.0))
        if now < last + wait:
            self.queue.add_after(key, last + wait - now)
            return False
        self._failed[slot] = (now, min(max(2 * wait, _BACKOFF), _LONGEST_BACKOFF))
        return True

    def _sync_nodes(self, key: str, daemon_set: Obj, excess: list[Obj], needing: list[str], token: str) -> None:
        """Delete these pods and make one on each of these nodes."""
        needing, excess = needing[:_BURST], excess[:_BURST]
        self.expectations.expect(key, len(needing), [key_of(pod) for pod in excess])
        template = daemons.template_for(daemon_set, token)
        nodes = iter(needing)

        def create() -> None:
            if self.pod_control.create(daemons.bound_to(template, next(nodes)), daemon_set) is None:
                self.expectations.creation_observed(key)  # the namespace is going away: nothing comes

        successes, failure = slow_start_batch(len(needing), create)
        for _ in range(len(needing) - successes):
            self.expectations.creation_observed(key)
        for pod in excess:
            try:
                self.pod_control.delete(pod, daemon_set)
            except (ApiError, SyncError) as error:
                self.expectations.deletion_observed(key, key_of(pod))
                if not (isinstance(error, ApiError) and error.reason == "NotFound"):
                    failure = failure or error
        if failure is not None:
            raise failure

    def _rolling_update(self, key: str, daemon_set: Obj, nodes: list[Obj], token: str) -> None:
        wanted = [name_of(node) for node in nodes if daemons.node_should_run(node, daemon_set)[0]]
        by_node = {**{name: [] for name in wanted}, **self._pods_by_node(daemon_set)}
        excess, needing = rolling_update(daemon_set, dict(sorted(by_node.items())), len(wanted), token, self.clock.now)
        self._sync_nodes(key, daemon_set, excess, needing, token)

    def _available(self, daemon_set: Obj, pod: Obj) -> bool:
        return podutil.is_available(pod, daemon_set["spec"].get("minReadySeconds", 0), self.clock.now)

    # -- history and status --------------------------------------------------------------------------------------------

    def _construct_history(self, daemon_set: Obj) -> tuple[Obj, list[Obj]]:
        """The revision of the present template, made if it is missing, and the older ones."""
        data = history.template_patch(daemon_set)
        revisions = self.history.of(daemon_set)
        current = [revision for revision in revisions if revision["data"] == data]
        old = [revision for revision in revisions if revision["data"] != data]
        number = max((revision["revision"] for revision in old), default=0) + 1
        if not current:
            return self._snapshot(daemon_set, number), old
        keep = current[-1]
        for duplicate in current[:-1]:
            self.history.delete(duplicate)
        return (self.history.renumber(keep, number) if keep["revision"] < number else keep), old

    def _snapshot(self, daemon_set: Obj, number: int) -> Obj:
        collisions = (daemon_set.get("status") or {}).get("collisionCount")
        token = compute_hash(daemon_set["spec"]["template"], collisions)
        name = f"{name_of(daemon_set)}-{token}"
        revision = history.new_revision(daemon_set, number, name, {history.REVISION_LABEL: token})
        try:
            return self.history.create(revision)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            found = self.history.find(revision)
            if found is not None and found["data"] == revision["data"]:
                return found
            # The next sync hashes with another count, and so finds another name.
            status = {**(daemon_set.get("status") or {}), "collisionCount": (collisions or 0) + 1}
            self.client.update("daemonsets", {**daemon_set, "status": status}, subresource="status")
            raise

    def _clean_up_history(self, daemon_set: Obj, old: list[Obj]) -> None:
        excess = len(old) - daemon_set["spec"].get("revisionHistoryLimit", 10)
        live = {labels_of(pod).get(history.REVISION_LABEL) for pod in self.controlled.owned(daemon_set)}
        unused = [revision for revision in old if labels_of(revision).get(history.REVISION_LABEL) not in live]
        for revision in unused[: max(excess, 0)]:
            self.history.delete(revision)

    def _update_status(self, key: str, daemon_set: Obj, nodes: list[Obj], token: str, observed: bool) -> None:
        by_node = self._pods_by_node(daemon_set)
        before = daemon_set.get("status") or {}
        desired = current = wrong = ready = available = updated = 0
        for node in nodes:
            run, _ = daemons.node_should_run(node, daemon_set)
            pods = daemons.oldest_first(by_node.get(name_of(node), []))
            desired += run
            wrong += bool(pods) and not run
            if run and pods:
                current += 1
                ready += podutil.is_ready(pods[0])
                available += self._available(daemon_set, pods[0])
                updated += daemons.is_updated(pods[0], daemon_set, token)
        generation = daemon_set["metadata"].get("generation", 0)
        status = {
            **before,
            "currentNumberScheduled": current,
            "numberMisscheduled": wrong,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "observedGeneration": generation if observed else before.get("observedGeneration", 0),
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
            "numberUnavailable": desired - available,
        }
        always = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
        status = without_zeroes(status, keep=(*always, "collisionCount"))
        if status != before:
            self._write_status(daemon_set, status)
        min_ready_seconds = daemon_set["spec"].get("minReadySeconds", 0)
        if min_ready_seconds and ready != available:
            pods = [pod for pods in by_node.values() for pod in pods]
            wait = podutil.next_availability_check(pods, min_ready_seconds, self.clock.now)
            self.queue.add_after(key, min_ready_seconds if wait is None else wait)

    def _write_status(self, daemon_set: Obj, status: Obj) -> None:
        try:
            self.client.update("daemonsets", {**daemon_set, "status": status}, subresource="status")
        except ApiError:
            fresh = self.client.get("daemonsets", name_of(daemon_set), namespace_of(daemon_set))
            self.client.update("daemonsets", {**fresh, "status": status}, subresource="status")
