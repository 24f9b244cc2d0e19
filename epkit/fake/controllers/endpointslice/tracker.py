"""What the controller remembers of its own writes, so that an old cache does not fool it.

After a write, the informer's cache is behind until the watch has brought the change back. A sync in that moment would
see the old slices and repeat, or undo, what has just been done. So the controller keeps the generation of every slice
that it wrote, and does nothing while its cache shows less than that.

Source: ``staging/src/k8s.io/endpointslice/util/endpointslice_tracker.go``, Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Iterable

from epkit.fake.controllers.endpointslice.utils import SERVICE_NAME_LABEL
from epkit.fake.controllers.framework import SyncError
from epkit.objects import Obj, key_of, labels_of, namespace_of, uid_of

DELETION_EXPECTED = -1


class StaleInformerCache(SyncError):
    """The cache is behind the controller's own writes; the sync is to be tried again later."""

    def __init__(self) -> None:
        super().__init__("EndpointSlice informer cache is out of date")


class EndpointSliceTracker:
    """The generation of each slice after this controller's last write, by Service and slice uid.

    It lives in memory only: a controller that starts knows nothing and trusts its cache.

    >>> tracker = EndpointSliceTracker()
    >>> tracker.update(written)         # what the API server answered
    >>> tracker.should_sync(written)    # its own write, seen again in the watch
    False
    """

    def __init__(self) -> None:
        self._generations: dict[str, dict[str, int]] = {}

    def has(self, slice: Obj) -> bool:
        return uid_of(slice) in self._generations.get(_service_key(slice), {})

    def should_sync(self, slice: Obj) -> bool:
        """Whether somebody else wrote it: it is unknown, or newer than this controller's last write."""
        tracked = self._generations.get(_service_key(slice), {}).get(uid_of(slice))
        return tracked is None or generation(slice) > tracked

    def stale_slices(self, service: Obj, slices: Iterable[Obj]) -> bool:
        """Whether the cache, which lists `slices` for `service`, is behind this controller's writes.

        It is if a slice in it is older than the last write, or should be gone, or if one that was written is missing.
        The last rule has a trap in it. A slice whose service-name or managed-by label somebody changed is missing from
        the list for ever, and the Service is not synced until the label is back, the Service is made anew, or the
        controller restarts.
        """
        tracked = self._generations.get(key_of(service))
        if tracked is None:
            return False
        listed = {uid_of(slice): generation(slice) for slice in slices}
        for uid, seen in listed.items():
            written = tracked.get(uid)
            if written is not None and (written == DELETION_EXPECTED or written > seen):
                return True
        return any(written != DELETION_EXPECTED and uid not in listed for uid, written in tracked.items())

    def update(self, slice: Obj) -> None:
        """Remember a slice as the API server answered after a create or an update."""
        self._generations.setdefault(_service_key(slice), {})[uid_of(slice)] = generation(slice)

    def expect_deletion(self, slice: Obj) -> None:
        """Remember that this controller has deleted it."""
        self._generations.setdefault(_service_key(slice), {})[uid_of(slice)] = DELETION_EXPECTED

    def handle_deletion(self, slice: Obj) -> bool:
        """Forget a slice that is gone. False if it was tracked and its deletion not expected."""
        tracked = self._generations.get(_service_key(slice), {}).pop(uid_of(slice), DELETION_EXPECTED)
        return tracked == DELETION_EXPECTED

    def delete_service(self, key: str) -> None:
        """Forget all slices of a Service that is gone."""
        self._generations.pop(key, None)


def generation(slice: Obj) -> int:
    return int(slice["metadata"].get("generation", 0))


def _service_key(slice: Obj) -> str:
    return f"{namespace_of(slice)}/{labels_of(slice).get(SERVICE_NAME_LABEL, '')}"
