"""What one sync knows of a Job and its pods: how many have succeeded and failed, and what follows from that.

Pure arithmetic; source: ``pkg/controller/job/job_controller.go`` and ``backoff_utils.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from epkit.fake.clock import format_time, parse_time
from epkit.fake.controllers import job_indexes as indexes
from epkit.fake.controllers import podutil
from epkit.objects import Obj, condition, uid_of

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"
#: after a failure the next pod waits: the first and the longest time in seconds, doubled with each failure
_BACKOFF, _LONGEST_BACKOFF = 10.0, 600.0
#: so many pods are counted in one step at most
_MAX_UNCOUNTED = 500


class JobState:
    """A Job, its pods, and its status as this sync will write it.

    `counted` are the UIDs of pods that were counted before and whose cached state does not show that yet.
    """

    def __init__(self, job: Obj, pods: list[Obj], counted: set[str], now: float) -> None:
        self.job = job
        self.spec: Obj = job["spec"]
        self.status: Obj = {"uncountedTerminatedPods": {}, **(job.get("status") or {})}
        self.now = now
        self.pods = pods
        self.indexed = indexes.is_indexed(job)
        self.suspended = bool(self.spec.get("suspend"))
        self.active = [pod for pod in pods if podutil.is_active(pod)]
        #: pods that this sync has made, and has deleted
        self.started = self.stopped = 0
        waiting = self.status["uncountedTerminatedPods"]
        self._uncounted_succeeded: list[str] = list(waiting.get("succeeded") or ())
        self._uncounted_failed: list[str] = list(waiting.get("failed") or ())
        self._uncounted = [pod for pod in pods if is_tracked(pod) and uid_of(pod) not in counted]
        if not self.suspended and not self.status.get("startTime"):
            self.status["startTime"] = format_time(now)

    # -- what has ended ------------------------------------------------------------------------------------------------

    def is_failed(self, pod: Obj) -> bool:
        """It failed; or it was deleted before it could succeed, unless only failed pods are replaced."""
        phase = podutil.phase_of(pod)
        if phase == "Failed":
            return True
        if self.spec.get("podReplacementPolicy") == "Failed":
            return False
        return "deletionTimestamp" in pod["metadata"] and phase != "Succeeded"

    def succeeded_indexes(self) -> set[int]:
        completions = self.spec["completions"]
        done = indexes.parse(self.status.get("completedIndexes", ""), completions)
        new = {indexes.index_of(pod) for pod in self._uncounted if podutil.phase_of(pod) == "Succeeded"}
        return done | {index for index in new if 0 <= index < completions}

    def succeeded(self) -> int:
        if self.indexed:
            return len(self.succeeded_indexes())
        new = [pod for pod in self._uncounted if podutil.phase_of(pod) == "Succeeded"]
        fresh = [pod for pod in new if uid_of(pod) not in self._uncounted_succeeded]
        return int(self.status.get("succeeded", 0)) + len(self._uncounted_succeeded) + len(fresh)

    def failed(self) -> int:
        fresh = [
            pod for pod in self._uncounted if self.is_failed(pod) and uid_of(pod) not in self._uncounted_failed
        ]
        return int(self.status.get("failed", 0)) + len(self._uncounted_failed) + len(fresh)

    # -- verdicts ------------------------------------------------------------------------------------------------------

    def verdict(self) -> Obj | None:
        """The condition that ends the Job, if it has one already or deserves one for failing."""
        holder = {"metadata": {}, "status": self.status}
        for kind in ("SuccessCriteriaMet", "FailureTarget"):
            known = condition(holder, kind)
            if known is not None and known["status"] == "True":
                return known
        if self.failed() > self.spec.get("backoffLimit", 6) or self._restarted_too_often():
            return self._failure("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        deadline = self.spec.get("activeDeadlineSeconds")
        if deadline is not None and not self.suspended and self.status.get("startTime"):
            if self.now - parse_time(self.status["startTime"]) >= deadline:
                return self._failure("DeadlineExceeded", "Job was active longer than specified deadline")
        return None

    def success(self) -> Obj | None:
        """The condition for a Job whose pods have done what it asks for."""
        completions = self.spec.get("completions")
        done = self.succeeded() > 0 if completions is None else self.succeeded() >= completions
        if not done or self.active_left() or self.suspended:
            return None
        said = ("CompletionsReached", "Reached expected number of succeeded pods")
        return new_condition("SuccessCriteriaMet", *said, format_time(self.now))

    def _failure(self, reason: str, message: str) -> Obj:
        return new_condition("FailureTarget", reason, message, format_time(self.now))

    def _restarted_too_often(self) -> bool:
        """With ``restartPolicy: OnFailure`` the kubelet's restarts count instead of failed pods."""
        if (self.spec["template"].get("spec") or {}).get("restartPolicy") != "OnFailure":
            return False
        restarts = sum(
            entry.get("restartCount", 0)
            for pod in self.pods
            if podutil.phase_of(pod) in ("Pending", "Running")
            for field in ("initContainerStatuses", "containerStatuses")
            for entry in pod["status"].get(field) or ()
        )
        limit = self.spec.get("backoffLimit", 6)
        return bool(restarts > 0 if limit == 0 else restarts >= limit)

    # -- pods to make and to remove ------------------------------------------------------------------------------------

    def wanted_active(self) -> int:
        parallelism = int(self.spec.get("parallelism", 1))
        if self.suspended:
            return 0
        if self.spec.get("completions") is None:
            return len(self.active) if self.succeeded() > 0 else parallelism
        return max(min(self.spec["completions"] - self.succeeded(), parallelism), 0)

    def pods_to_remove(self, wanted: int) -> list[Obj]:
        """Pods with an index that is out of range or taken, then as many more as are too many."""
        misplaced: list[Obj] = []
        rest = self.active
        if self.indexed:
            rest, seen = [], self.succeeded_indexes()
            for pod in sorted(self.active, key=indexes.index_of):
                index = indexes.index_of(pod)
                fits = 0 <= index < self.spec["completions"] and index not in seen
                (rest if fits else misplaced).append(pod)
                seen.add(index)
        excess = max(len(rest) - wanted, 0)
        if self.indexed:
            return misplaced + rest[len(rest) - excess :]
        return podutil.pods_to_delete(rest, [], excess, self.now)

    def not_to_be_replaced_yet(self) -> int:
        """Pods that are still terminating, where only failed ones are replaced."""
        if self.spec.get("podReplacementPolicy") != "Failed":
            return 0
        return sum(1 for pod in self.pods if podutil.is_terminating(pod))

    def taken_indexes(self) -> set[int]:
        return self.succeeded_indexes() | {indexes.index_of(pod) for pod in self.active}

    def backoff(self) -> float:
        """How many seconds the next pod must wait for the failures since the last success."""
        ended = sorted((_ended_at(pod, self.now), self.is_failed(pod)) for pod in self.pods if self._has_ended(pod))
        failures, last = 0, 0.0
        for moment, has_failed in ended:
            failures = failures + 1 if has_failed else 0
            last = moment
        if not failures:
            return 0.0
        return max(last + min(_BACKOFF * 2 ** (failures - 1), _LONGEST_BACKOFF) - self.now, 0.0)

    def _has_ended(self, pod: Obj) -> bool:
        return podutil.phase_of(pod) == "Succeeded" or self.is_failed(pod)

    # -- status --------------------------------------------------------------------------------------------------------

    def set_condition(self, entry: Obj) -> None:
        """Put a condition in the place of the one of its type, or at the end."""
        known = self.status.get("conditions") or []
        if any(other["type"] == entry["type"] for other in known):
            self.status["conditions"] = [entry if other["type"] == entry["type"] else other for other in known]
        else:
            self.status["conditions"] = [*known, entry]

    def active_left(self) -> int:
        return len(self.active) + self.started - self.stopped

    def terminating_left(self) -> int:
        return sum(1 for pod in self.pods if podutil.is_terminating(pod)) + self.stopped

    def refresh_counts(self) -> None:
        ready = sum(1 for pod in self.active if podutil.is_ready(pod))
        self._set("active", self.active_left())
        self.status["ready"] = min(ready, self.active_left())
        self.status["terminating"] = self.terminating_left()

    def note_uncounted(self, verdict: Obj | None) -> list[Obj]:
        """Note the pods that have ended in ``uncountedTerminatedPods``; returns those whose finalizer may go now.

        When the Job has failed, every pod counts as failed that has not ended by itself.
        """
        job_failed = verdict is not None and verdict["type"] == "FailureTarget"
        going = "deletionTimestamp" in self.job["metadata"]
        ended = [pod for pod in self._uncounted if self._has_ended(pod) or job_failed or going][:_MAX_UNCOUNTED]
        for pod in ended:
            uid, has_succeeded = uid_of(pod), podutil.phase_of(pod) == "Succeeded"
            if has_succeeded and self.indexed:
                continue  # the index itself keeps it from being counted twice
            if has_succeeded and uid not in self._uncounted_succeeded + self._uncounted_failed:
                self._uncounted_succeeded.append(uid)
            elif not has_succeeded and (self.is_failed(pod) or job_failed) and uid not in self._uncounted_failed:
                self._uncounted_failed.append(uid)
        if self.indexed:
            done = self.succeeded_indexes()
            self._set("succeeded", len(done))
            self._set("completedIndexes", indexes.format(done))
        waiting = {"succeeded": self._uncounted_succeeded, "failed": self._uncounted_failed}
        self.status["uncountedTerminatedPods"] = {key: list(uids) for key, uids in waiting.items() if uids}
        return ended

    def count_uncounted(self) -> None:
        """Their finalizers are gone: move them to the counters."""
        self._set("succeeded", int(self.status.get("succeeded", 0)) + len(self._uncounted_succeeded))
        self._set("failed", int(self.status.get("failed", 0)) + len(self._uncounted_failed))
        self._uncounted_succeeded, self._uncounted_failed = [], []
        self.status["uncountedTerminatedPods"] = {}

    def _set(self, field: str, value: object) -> None:
        """As the API writes it: without what is zero or empty."""
        if value:
            self.status[field] = value
        else:
            self.status.pop(field, None)


def is_tracked(pod: Obj) -> bool:
    """Its finalizer says that it is not counted yet."""
    return TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or ())


def is_finished(job: Obj) -> bool:
    return any(
        entry["type"] in ("Complete", "Failed") and entry["status"] == "True"
        for entry in (job.get("status") or {}).get("conditions") or ()
    )


def new_condition(kind: str, reason: str, message: str, now: str, status: str = "True") -> Obj:
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def _ended_at(pod: Obj, now: float) -> float:
    """When its last container finished; for a pod that never ran, when it was deleted, or now."""
    times = [
        entry["state"]["terminated"]["finishedAt"]
        for entry in (pod.get("status") or {}).get("containerStatuses") or ()
        if (entry.get("state") or {}).get("terminated", {}).get("finishedAt")
    ]
    if times:
        return max(map(parse_time, times))
    if "deletionTimestamp" in pod["metadata"]:
        return parse_time(pod["metadata"]["deletionTimestamp"]) - pod["metadata"].get("deletionGracePeriodSeconds", 0)
    ready = condition(pod, "Ready")
    return parse_time(ready["lastTransitionTime"]) if ready and ready.get("lastTransitionTime") else now
