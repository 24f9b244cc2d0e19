"""The TTL-after-finished controller: deletes Jobs that have been finished for ``ttlSecondsAfterFinished``.

Source: ``pkg/controller/ttlafterfinished/ttlafterfinished_controller.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any

from epkit.errors import ApiError
from epkit.fake.clock import parse_time
from epkit.fake.controllers.framework import Controller, Kit
from epkit.fake.controllers.workloads import NEVER
from epkit.objects import Obj, key_of, name_of, namespace_of, split_key, uid_of


class TTLAfterFinishedController(Controller):
    """Waits for each finished Job until its time is over.

    >>> controller = TTLAfterFinishedController(kit)
    >>> controller.start()
    """

    name = "ttl-after-finished-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("ttl_jobs_to_delete", self.sync, retries=NEVER)
        self.jobs = self.informer("jobs")
        self.jobs.on(add=self._enqueue, update=lambda old, new: self._enqueue(new))

    def _enqueue(self, job: Obj) -> None:
        if expires_at(job) is not None:
            self.queue.add(key_of(job))

    def sync(self, key: str) -> None:
        """Delete the Job if its time is over, otherwise look again when it is (``processJob``)."""
        job = self.jobs.get(*split_key(key))
        end = expires_at(job) if job is not None else None
        if job is None or end is None:
            return
        if end > self.clock.now:
            self.queue.add_after(key, end - self.clock.now)
            return
        # Somebody may have given it more time meanwhile: what counts is the Job as it is now.
        fresh = self.client.find("jobs", name_of(job), namespace_of(job))
        end = expires_at(fresh) if fresh is not None else None
        if fresh is None or end is None or end > self.clock.now:
            return
        try:
            self.client.delete("jobs", name_of(fresh), namespace_of(fresh), propagation="Foreground", uid=uid_of(fresh))
        except ApiError as error:
            if error.reason != "NotFound":
                raise


def expires_at(job: Obj) -> float | None:
    """When a finished Job is to be deleted; None for one that is not finished, stays, or goes already."""
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is None or "deletionTimestamp" in job["metadata"]:
        return None
    for entry in (job.get("status") or {}).get("conditions") or ():
        if entry["type"] in ("Complete", "Failed") and entry["status"] == "True":
            return parse_time(entry["lastTransitionTime"]) + float(ttl)
    return None
