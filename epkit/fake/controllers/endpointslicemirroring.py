"""The EndpointSliceMirroring controller: slices for Endpoints that were made by hand.

Consumers read slices only. So what somebody writes into the Endpoints of a Service without selector is copied into
slices: one for each set of ports and IP family, rewritten as a whole when anything differs.

Sources: ``pkg/controller/endpointslicemirroring``, Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any, ClassVar

from epkit.errors import ApiError
from epkit.fake.controllers.endpoints import LEADER_ANNOTATION
from epkit.fake.controllers.endpointslice.tracker import EndpointSliceTracker, StaleInformerCache
from epkit.fake.controllers.endpointslice.utils import (
    MANAGED_BY_LABEL,
    SERVICE_NAME_LABEL,
    managed_by,
    service_key_of,
)
from epkit.fake.controllers.endpointslicemirroring_reconciler import CONTROLLER_NAME, MirroringMetrics, Reconciler
from epkit.fake.controllers.framework import Controller, Kit, SyncError
from epkit.objects import Obj, annotations_of, key_of, labels_of, name_of, namespace_of, split_key
from epkit.selectors import of_map

SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror"

#: The first wait after a failed sync, and the longest, in seconds.
SYNC_BACK_OFF, MAX_SYNC_BACK_OFF = 1.0, 100.0


class EndpointSliceMirroringController(Controller):
    """Mirrors the Endpoints of Services without selector.

    Flags:
        mirroring_max_endpoints_per_subset: no more addresses of a subset are mirrored; 1 to 1000.
        mirroring_endpointslice_updates_batch_period: seconds that a sync waits after a change of a mirrored slice.
            It is 0, so that a change by hand is undone at once.
    """

    name = "endpointslice-mirroring-controller"
    component = "endpoint-slice-mirroring-controller"
    flags: ClassVar[dict[str, Any]] = {
        "mirroring_max_endpoints_per_subset": 1000,
        "mirroring_endpointslice_updates_batch_period": 0.0,
    }

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        limit = self.options["mirroring_max_endpoints_per_subset"]
        if limit < 1:
            raise ValueError(f"mirroring-max-endpoints-per-subset must not be less than 1, but got {limit}")
        if limit > 1000:
            raise ValueError(f"mirroring-max-endpoints-per-subset must not be more than 1000, but got {limit}")
        self.batch_period = float(self.options["mirroring_endpointslice_updates_batch_period"])
        self.queue = self.new_queue(
            "endpoint_slice_mirroring", self.sync_endpoints, base=SYNC_BACK_OFF, limit=MAX_SYNC_BACK_OFF
        )

        self.services = self.informer("services")
        self.services.on(add=self.on_service, update=self.on_service_update, delete=self.on_service)
        self.endpoints = self.informer("endpoints")
        self.endpoints.on(add=self.on_endpoints, update=self.on_endpoints_update, delete=self.on_endpoints)
        self.slices = self.informer("endpointslices")
        self.slices.on(self.on_endpoint_slice_add, self.on_endpoint_slice_update, self.on_endpoint_slice_delete)

        self.tracker = EndpointSliceTracker()
        self.metrics = MirroringMetrics(limit)
        self.reconciler = Reconciler(self.client, limit, self.tracker, self.metrics, self.recorder)

    # What happens to an Endpoints object.

    def sync_endpoints(self, key: str) -> None:
        """Bring the mirrored slices of one Endpoints object up to date. Raises SyncError if it is to be tried again."""
        namespace, name = split_key(key)
        endpoints = self.endpoints.get(namespace, name)
        service = self.services.get(namespace, name)
        if (
            endpoints is None
            or not should_mirror(endpoints)
            or service is None
            or service["spec"].get("selector") is not None
        ):
            self.delete_mirrored_slices(key)
            return
        slices = self.mirrored_slices(key)
        if self.tracker.stale_slices(service, slices):
            raise StaleInformerCache
        self.reconciler.reconcile(endpoints, slices)

    def mirrored_slices(self, key: str) -> list[Obj]:
        namespace, name = split_key(key)
        return self.slices.list(namespace, of_map({SERVICE_NAME_LABEL: name, MANAGED_BY_LABEL: CONTROLLER_NAME}))

    def delete_mirrored_slices(self, key: str) -> None:
        """There is nothing to mirror any more: whatever has been mirrored goes."""
        slices = self.mirrored_slices(key)
        self.tracker.delete_service(key)
        self.metrics.delete_endpoints(key)
        errors = []
        for slice in slices:
            try:
                self.client.delete("endpointslices", name_of(slice), namespace_of(slice))
            except ApiError as error:
                errors.append(error)
        if errors:
            raise SyncError(
                f"error(s) deleting {len(errors)}/{len(slices)} EndpointSlices for {key} Endpoints, "
                f"including: {errors[0]}"
            )

    def metrics_text(self) -> str:
        """Its part of ``/metrics``."""
        return self.metrics.text()

    # What makes it happen: Services, by their selector; no selector means that somebody else makes the Endpoints.

    def on_service(self, service: Obj) -> None:
        if service["spec"].get("selector") is None:
            self.queue.add(key_of(service))

    def on_service_update(self, old: Obj, new: Obj) -> None:
        if (old["spec"].get("selector") is None) != (new["spec"].get("selector") is None):
            self.queue.add(key_of(new))

    # Endpoints.

    def on_endpoints(self, endpoints: Obj) -> None:
        if should_mirror(endpoints):
            self.queue.add(key_of(endpoints))

    def on_endpoints_update(self, old: Obj, new: Obj) -> None:
        if should_mirror(old) or should_mirror(new):
            self.queue.add(key_of(new))

    # Slices. Only what somebody else did to them matters.

    def on_endpoint_slice_add(self, slice: Obj) -> None:
        if managed_by(slice, CONTROLLER_NAME) and self.tracker.should_sync(slice):
            self.queue_endpoints_for_endpoint_slice(slice)

    def on_endpoint_slice_update(self, old: Obj, new: Obj) -> None:
        if labels_of(old).get(SERVICE_NAME_LABEL) != labels_of(new).get(SERVICE_NAME_LABEL):
            self.queue_endpoints_for_endpoint_slice(new)
            self.queue_endpoints_for_endpoint_slice(old)
        elif managed_by(old, CONTROLLER_NAME) != managed_by(new, CONTROLLER_NAME):
            self.queue_endpoints_for_endpoint_slice(new)
        elif managed_by(new, CONTROLLER_NAME) and self.tracker.should_sync(new):
            self.queue_endpoints_for_endpoint_slice(new)

    def on_endpoint_slice_delete(self, slice: Obj) -> None:
        if managed_by(slice, CONTROLLER_NAME) and self.tracker.has(slice) and not self.tracker.handle_deletion(slice):
            self.queue_endpoints_for_endpoint_slice(slice)

    def queue_endpoints_for_endpoint_slice(self, slice: Obj) -> None:
        key = service_key_of(slice)
        if key is None:
            self.log(f"EndpointSlice {namespace_of(slice)}/{name_of(slice)} has no label {SERVICE_NAME_LABEL}")
            return
        self.queue.add_after(key, self.batch_period)


def should_mirror(endpoints: Obj) -> bool:
    """Whether Endpoints are to be mirrored, as far as they themselves say; the rest is up to their Service."""
    return labels_of(endpoints).get(SKIP_MIRROR_LABEL) != "true" and LEADER_ANNOTATION not in annotations_of(endpoints)
