"""The Job controller: runs pods until enough of them have succeeded, or too many have failed.

Source: ``pkg/controller/job/job_controller.go`` of Kubernetes v1.36. Each pod carries a finalizer until it is counted,
so that none is lost and none counts twice. What is not here: pod failure policies, success policies and back-off limits
per index; a Job that has one gets a Warning Event that says so.
"""
from __future__ import annotations

from typing import Any

from epkit.errors import ApiError
from epkit.fake.clock import format_time, parse_time
from epkit.fake.controllers import job_indexes as indexes
from epkit.fake.controllers.framework import Controller, Kit, SyncError
from epkit.fake.controllers.job_state import TRACKING_FINALIZER, JobState, is_finished, is_tracked, new_condition
from epkit.fake.controllers.workloads import (
    BURST_REPLICAS,
    NEVER,
    ControlledBy,
    ControllerRefManager,
    Expectations,
    PodControl,
    resolve_controller,
    slow_start_batch,
)
from epkit.objects import Obj, condition, controller_of, key_of, labels_of, name_of, namespace_of, split_key, uid_of
from epkit.selectors import of_label_selector

#: changes of pods are gathered for so many seconds before their Job is synced
BATCH_PERIOD = 1.0
_NOT_HERE = ("podFailurePolicy", "successPolicy", "backoffLimitPerIndex")
_MANAGER = "kubernetes.io/job-controller"


class JobController(Controller):
    """Starts the pods of Jobs, counts how they end, and says when a Job is done.

    >>> controller = JobController(kit)
    >>> controller.start()
    """

    name = "job-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("job", self.sync, base=1.0, limit=60.0, retries=NEVER)
        self.orphan_queue = self.new_queue("job_orphan_pod", self.sync_orphan, base=1.0, limit=60.0, retries=NEVER)
        self.expectations = Expectations(self.clock)
        self.pod_control = PodControl(self.client, self.recorder)
        self.jobs = self.informer("jobs")
        self.pods = self.informer("pods")
        self.controlled = ControlledBy(self.pods)
        #: UIDs of pods whose finalizer was removed and whose cached state may still have it
        self._counted: set[str] = set()
        self.jobs.on(add=self._enqueue, update=self._update_job, delete=self._delete_job)
        self.pods.on(add=self._add_pod, update=self._update_pod, delete=self._delete_pod)

    # -- events --------------------------------------------------------------------------------------------------------

    def _enqueue(self, job: Obj) -> None:
        self.queue.add(key_of(job))

    def _enqueue_batched(self, job: Obj) -> None:
        self.queue.add_after(key_of(job), BATCH_PERIOD)

    def _update_job(self, old: Obj, new: Obj) -> None:
        if old["metadata"].get("generation") == new["metadata"].get("generation"):
            self._enqueue_batched(new)
        else:
            self._enqueue(new)

    def _delete_job(self, job: Obj) -> None:
        self._enqueue(job)
        for pod in self.controlled.owned(job):
            self._enqueue_orphan(pod)

    def _add_pod(self, pod: Obj) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            self._going_pod(pod)
        elif controller_of(pod) is None:
            self._enqueue_matching(pod)
        elif (job := self._resolve(pod)) is not None:
            self.expectations.creation_observed(key_of(job))
            self._enqueue_batched(job)
        else:
            self._enqueue_orphan(pod)

    def _update_pod(self, old: Obj, new: Obj) -> None:
        if not is_tracked(new):
            self._counted.discard(uid_of(new))
        if "deletionTimestamp" in new["metadata"]:
            self._going_pod(new)
            return
        changed = controller_of(old) != controller_of(new)
        if changed and (former := self._resolve(old)) is not None:
            self._enqueue_batched(former)
        job = self._resolve(new)
        if job is not None:
            self._enqueue_batched(job)
            return
        self._enqueue_orphan(new)
        if controller_of(new) is None and (changed or labels_of(old) != labels_of(new)):
            self._enqueue_matching(new)

    def _delete_pod(self, pod: Obj) -> None:
        self._counted.discard(uid_of(pod))
        self._going_pod(pod)

    def _going_pod(self, pod: Obj) -> None:
        job = self._resolve(pod)
        if job is None or is_finished(job):
            self._enqueue_orphan(pod)
        if job is not None:
            self.expectations.deletion_observed(key_of(job), key_of(pod))
            self._enqueue_batched(job)

    def _enqueue_orphan(self, pod: Obj) -> None:
        if is_tracked(pod):
            self.orphan_queue.add(key_of(pod))

    def _resolve(self, pod: Obj) -> Obj | None:
        return resolve_controller(self.jobs, namespace_of(pod), controller_of(pod), "Job")

    def _enqueue_matching(self, pod: Obj) -> None:
        for job in self.jobs.list(namespace_of(pod)):
            if labels_of(pod) and of_label_selector(job["spec"].get("selector"))(labels_of(pod)):
                self._enqueue_batched(job)

    # -- pods that no Job counts any more ------------------------------------------------------------------------------

    def sync_orphan(self, key: str) -> None:
        """Take the finalizer off a pod whose Job is gone or finished: it would stay for ever otherwise."""
        pod = self.pods.get(*split_key(key))
        if pod is None or not is_tracked(pod):
            return
        job = self._resolve(pod)
        if job is None or is_finished(job):
            self._remove_finalizer(pod)

    def _remove_finalizer(self, pod: Obj) -> None:
        patch = {"metadata": {"uid": uid_of(pod), "$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER]}}
        try:
            self.client.patch("pods", name_of(pod), patch, namespace_of(pod), kind="strategic")
        except ApiError as error:
            if error.reason != "NotFound":
                raise

    # -- sync ----------------------------------------------------------------------------------------------------------

    def sync(self, key: str) -> None:
        """Start or stop pods of one Job, count those that have ended, and write its status (``syncJob``)."""
        job = self.jobs.get(*split_key(key))
        if job is None:
            self.expectations.forget(key)
            return
        if job["spec"].get("managedBy", _MANAGER) != _MANAGER or is_finished(job):
            return
        self._say_what_is_not_here(job)
        matches = of_label_selector(job["spec"].get("selector"))
        pods = ControllerRefManager(self.client, "pods", job, "jobs", matches).claim(self.controlled.candidates(job))
        state = JobState(job, pods, self._counted, self.clock.now)
        failure: Exception | None = None
        satisfied = self.expectations.satisfied(key)
        verdict = state.verdict()
        if verdict is None:
            self._wake_at_deadline(key, state)
            if satisfied and "deletionTimestamp" not in job["metadata"]:
                failure = self._manage(key, state)
                self._note_suspension(state)
            verdict = state.success()
        else:
            victims = state.active
            self.expectations.expect(key, 0, [key_of(pod) for pod in victims])
            failure = self._delete_pods(key, state, victims)
            if failure is not None or not satisfied:
                verdict = None  # some pods may still be unknown, or stay
        self._count(state, verdict)
        if failure is not None:
            raise failure

    def _say_what_is_not_here(self, job: Obj) -> None:
        missing = [name for name in _NOT_HERE if name in job["spec"]]
        if missing and not (job.get("status") or {}).get("startTime"):
            said = f"epkit's Job controller does not follow {', '.join(missing)}"
            self.recorder.event(job, "Warning", "NotImplemented", said)

    def _wake_at_deadline(self, key: str, state: JobState) -> None:
        deadline, started = state.spec.get("activeDeadlineSeconds"), state.status.get("startTime")
        if deadline is not None and started and not state.suspended:
            self.queue.add_after(key, max(parse_time(started) + deadline - self.clock.now, 0.001))

    def _manage(self, key: str, state: JobState) -> Exception | None:
        """Bring the number of active pods to what is wanted (``manageJob``); deletions go first."""
        job, wanted = state.job, state.wanted_active()
        victims = state.pods_to_remove(wanted)
        if victims:
            victims = victims[:BURST_REPLICAS]
            self.expectations.expect(key, 0, [key_of(pod) for pod in victims])
            return self._delete_pods(key, state, victims)
        count = min(wanted - len(state.active) - state.not_to_be_replaced_yet(), BURST_REPLICAS)
        if state.suspended or count <= 0:
            return None
        wait = state.backoff()
        if wait > 0:
            self.queue.add_after(key, wait)
            return None
        template = state.spec["template"]
        given = template.get("metadata") or {}
        finalizers = [*(given.get("finalizers") or ()), TRACKING_FINALIZER]
        template = {**template, "metadata": {**given, "finalizers": finalizers}}
        todo: list[int | None] = [None] * count
        if state.indexed:
            todo = [*indexes.first_pending(state.taken_indexes(), count, state.spec["completions"])]
        self.expectations.expect(key, len(todo), ())
        position = iter(todo)

        def create() -> None:
            index = next(position)
            if index is None:
                made = self.pod_control.create(template, job)
            else:
                shaped = indexes.template_for(template, name_of(job), index)
                made = self.pod_control.create(shaped, job, generateName=f"{name_of(job)}-{index}-")
            if made is None:
                self.expectations.creation_observed(key)  # the namespace is going away: nothing comes
            else:
                state.started += 1

        successes, failure = slow_start_batch(len(todo), create)
        for _ in range(len(todo) - successes):
            self.expectations.creation_observed(key)
        return failure

    def _delete_pods(self, key: str, state: JobState, victims: list[Obj]) -> Exception | None:
        first: Exception | None = None
        for pod in victims:
            try:
                self.pod_control.delete(pod, state.job)
                state.stopped += 1
            except (ApiError, SyncError) as error:
                self.expectations.deletion_observed(key, key_of(pod))
                if not (isinstance(error, ApiError) and error.reason == "NotFound"):
                    first = first or error
        return first

    def _note_suspension(self, state: JobState) -> None:
        suspended = condition({"metadata": {}, "status": state.status}, "Suspended")
        now = format_time(self.clock.now)
        if state.suspended and (suspended is None or suspended["status"] != "True"):
            state.set_condition(new_condition("Suspended", "JobSuspended", "Job suspended", now))
            self.recorder.event(state.job, "Normal", "Suspended", "Job suspended")
        elif not state.suspended and suspended is not None and suspended["status"] == "True":
            state.set_condition(new_condition("Suspended", "JobResumed", "Job resumed", now, status="False"))
            state.status["startTime"] = now
            self.recorder.event(state.job, "Normal", "Resumed", "Job resumed")

    # -- counting ------------------------------------------------------------------------------------------------------

    def _count(self, state: JobState, verdict: Obj | None) -> None:
        """Write which pods have ended, take their finalizers off, then count them.

        Upstream calls this ``trackJobStatusAndRemoveFinalizers``. The verdict comes in two steps: SuccessCriteriaMet
        or FailureTarget while pods are still ending, Complete or Failed when none is left.
        """
        job = state.job
        ended = state.note_uncounted(verdict)
        if verdict is not None:
            state.set_condition(verdict)
        state.refresh_counts()
        if ended or state.status["uncountedTerminatedPods"]:
            job = self._write_status(job, state.status)
            for pod in ended:
                self._remove_finalizer(pod)
                self._counted.add(uid_of(pod))
            state.count_uncounted()
        final: Obj | None = None
        if verdict is not None and not state.active_left() and not state.terminating_left():
            final = self._finish(state, verdict)
        if state.status != (job.get("status") or {}):
            self._write_status(job, state.status)
        if final is not None:
            self._record_end(state, final)

    def _finish(self, state: JobState, verdict: Obj) -> Obj:
        now = format_time(self.clock.now)
        kind = "Complete" if verdict["type"] == "SuccessCriteriaMet" else "Failed"
        final = new_condition(kind, verdict["reason"], verdict["message"], now)
        state.set_condition(final)
        if kind == "Complete":
            state.status["completionTime"] = now
        return final

    def _record_end(self, state: JobState, final: Obj) -> None:
        if final["type"] == "Failed":
            self.recorder.event(state.job, "Warning", final["reason"], final["message"])
            return
        completions = state.spec.get("completions")
        if completions is not None and state.status.get("succeeded", 0) > completions:
            said = "Too many succeeded pods running after completion count reached"
            self.recorder.event(state.job, "Warning", "TooManySucceededPods", said)
        self.recorder.event(state.job, "Normal", "Completed", "Job completed")

    def _write_status(self, job: Obj, status: Obj) -> Obj:
        return self.client.update("jobs", {**job, "status": dict(status)}, subresource="status")
