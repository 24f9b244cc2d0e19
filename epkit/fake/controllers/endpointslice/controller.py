"""The EndpointSlice controller: what makes it sync a Service, and what it gathers for the reconciler then.

Source: ``pkg/controller/endpointslice/endpointslice_controller.go``, Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any, ClassVar, cast

from epkit.fake.controllers.endpointslice.endpoints import ZONE_LABEL, is_terminating
from epkit.fake.controllers.endpointslice.metrics import EndpointSliceMetrics, render
from epkit.fake.controllers.endpointslice.pod_projection import (
    PodProjectionKey,
    pod_update_projection_key,
    services_to_update,
)
from epkit.fake.controllers.endpointslice.reconciler import Reconciler
from epkit.fake.controllers.endpointslice.topology import HintsEvent, TopologyCache, is_node_ready
from epkit.fake.controllers.endpointslice.tracker import EndpointSliceTracker, StaleInformerCache
from epkit.fake.controllers.endpointslice.trigger_time import TriggerTimeTracker
from epkit.fake.controllers.endpointslice.utils import (
    CONTROLLER_NAME,
    MANAGED_BY_LABEL,
    SERVICE_NAME_LABEL,
    managed_by,
    service_key_of,
)
from epkit.fake.controllers.framework import Controller, Kit, SyncError
from epkit.objects import Obj, key_of, labels_of, name_of, namespace_of, split_key
from epkit.selectors import of_map

#: A sync after a change of a slice waits this many seconds, so that changes of several slices are dealt with together.
SLICE_CHANGE_MIN_SYNC_DELAY = 1.0
#: The first wait after a failed sync, and the longest, in seconds.
SYNC_BACK_OFF, MAX_SYNC_BACK_OFF = 1.0, 1000.0

TOPOLOGY_QUEUE_KEY = "topologyQueueItemKey"


class EndpointSliceController(Controller):
    """Keeps the slices of every Service that has a selector in line with the pods that it selects.

    Flags:
        max_endpoints_per_slice: no slice is filled beyond this; 1 to 1000.
        endpointslice_updates_batch_period: seconds that a sync waits after a change of a pod, for more changes to come.
        missing_node: history, not a real flag. "fail" brings back what happened before Kubernetes 1.25 if a pod's Node
            was missing (kubernetes/kubernetes issue 107927); see :class:`Reconciler`.
    """

    name = "endpointslice-controller"
    component = "endpoint-slice-controller"
    flags: ClassVar[dict[str, Any]] = {
        "max_endpoints_per_slice": 100,
        "endpointslice_updates_batch_period": 0.0,
        "missing_node": "skip",
    }

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        _check_flags(self.options)
        self.batch_period = float(self.options["endpointslice_updates_batch_period"])

        self.service_queue = self.new_queue(
            "endpoint_slice", self.sync, base=SYNC_BACK_OFF, limit=MAX_SYNC_BACK_OFF
        )
        self.pod_queue = self.new_queue("endpoint_slice_pods", self.sync_pod)
        self.topology_queue = self.new_queue("endpoint_slice_topology", self.check_node_topology_distribution)

        # The nodes come first, so that a controller that has just started knows the zones before its first sync.
        self.nodes = self.informer("nodes")
        self.nodes.on(add=self.on_node, update=self.on_node_update, delete=self.on_node)
        self.services = self.informer("services")
        self.services.on(add=self.on_service, update=lambda _, new: self.on_service(new), delete=self.on_service)
        self.pods = self.informer("pods")
        self.pods.on(add=self.on_pod, update=self.on_pod_update, delete=self.on_pod)
        self.slices = self.informer("endpointslices")
        self.slices.on(self.on_endpoint_slice_add, self.on_endpoint_slice_update, self.on_endpoint_slice_delete)

        self.tracker = EndpointSliceTracker()
        self.trigger_times = TriggerTimeTracker()
        self.topology_cache = TopologyCache()
        self.metrics = EndpointSliceMetrics(self.options["max_endpoints_per_slice"])
        self.reconciler = Reconciler(
            client=self.client,
            get_node=lambda name: self.nodes.get("", name),
            max_endpoints_per_slice=self.options["max_endpoints_per_slice"],
            tracker=self.tracker,
            topology_cache=self.topology_cache,
            metrics=self.metrics,
            record=self.record,
            missing_node=self.options["missing_node"],
        )

    # What happens to a Service.

    def sync(self, key: str) -> None:
        """Sync a Service, and count how it went."""
        result = "error"
        try:
            self.sync_service(key)
            result = "success"
        except StaleInformerCache:
            result = "stale"
            raise
        finally:
            self.metrics.syncs.inc(result)

    def sync_service(self, key: str) -> None:
        """Bring the slices of one Service up to date. Raises SyncError if it is to be tried again."""
        namespace, name = split_key(key)
        service = self.services.get(namespace, name)
        if service is None:
            # Its slices are the garbage collector's business.
            self.trigger_times.delete_service(key)
            self.metrics.delete_service(key)
            self.tracker.delete_service(key)
            return
        if service["spec"].get("type") == "ExternalName":
            return
        if service["spec"].get("selector") is None:
            return  # whoever made it makes its slices, too

        pods = self.pods.list(namespace, of_map(service["spec"]["selector"]))
        its_slices = of_map({SERVICE_NAME_LABEL: name, MANAGED_BY_LABEL: CONTROLLER_NAME})
        slices = [slice for slice in self.slices.list(namespace, its_slices) if not is_terminating(slice)]
        if self.tracker.stale_slices(service, slices):
            raise StaleInformerCache

        # Worked out even if nothing will be written: it remembers what it has seen.
        trigger_time = self.trigger_times.last_change_trigger_time(service, pods)
        try:
            self.reconciler.reconcile(service, pods, slices, trigger_time)
        except SyncError as error:
            self.recorder.event(
                service,
                "Warning",
                "FailedToUpdateEndpointSlices",
                f"Error updating Endpoint Slices for Service {key}: {error}",
            )
            raise

    def record(self, service: Obj, event: HintsEvent) -> None:
        self.recorder.event(service, event.type, event.reason, event.message)

    def metrics_text(self) -> str:
        """Its part of ``/metrics``."""
        return render(self.metrics)

    # What makes it happen: Services.

    def on_service(self, service: Obj) -> None:
        self.service_queue.add(key_of(service))

    # Slices. Only what somebody else did to them matters.

    def on_endpoint_slice_add(self, slice: Obj) -> None:
        if managed_by(slice, CONTROLLER_NAME) and self.tracker.should_sync(slice):
            self.queue_service_for_endpoint_slice(slice)

    def on_endpoint_slice_update(self, old: Obj, new: Obj) -> None:
        if labels_of(old).get(SERVICE_NAME_LABEL) != labels_of(new).get(SERVICE_NAME_LABEL):
            self.queue_service_for_endpoint_slice(new)
            self.queue_service_for_endpoint_slice(old)
        elif managed_by(old, CONTROLLER_NAME) != managed_by(new, CONTROLLER_NAME):
            self.queue_service_for_endpoint_slice(new)
        elif managed_by(new, CONTROLLER_NAME) and self.tracker.should_sync(new):
            self.queue_service_for_endpoint_slice(new)

    def on_endpoint_slice_delete(self, slice: Obj) -> None:
        if managed_by(slice, CONTROLLER_NAME) and self.tracker.has(slice) and not self.tracker.handle_deletion(slice):
            self.queue_service_for_endpoint_slice(slice)

    def queue_service_for_endpoint_slice(self, slice: Obj) -> None:
        key = service_key_of(slice)
        if key is None:
            self.log(f"EndpointSlice {namespace_of(slice)}/{name_of(slice)} has no label {SERVICE_NAME_LABEL}")
            return
        self.service_queue.add_after(key, max(SLICE_CHANGE_MIN_SYNC_DELAY, self.batch_period))

    # Pods.

    def on_pod(self, pod: Obj) -> None:
        self.pod_queue.add(PodProjectionKey(pod))

    def on_pod_update(self, old: Obj, new: Obj) -> None:
        key = pod_update_projection_key(old, new)
        if key is not None:
            self.pod_queue.add(key)

    def sync_pod(self, key: str) -> None:
        """Queue the Services that a change of a pod concerns."""
        projection = cast(PodProjectionKey, key)
        for service in services_to_update(self.services.list(projection.namespace), projection):
            self.service_queue.add_after(service, self.batch_period)

    # Nodes. A node that comes or goes syncs no Service, unless hints are out of balance for it.

    def on_node(self, _: Obj) -> None:
        self.topology_queue.add(TOPOLOGY_QUEUE_KEY)

    def on_node_update(self, old: Obj, new: Obj) -> None:
        zone_changed = labels_of(old).get(ZONE_LABEL) != labels_of(new).get(ZONE_LABEL)
        if zone_changed or is_node_ready(old) != is_node_ready(new):
            self.topology_queue.add(TOPOLOGY_QUEUE_KEY)

    def check_node_topology_distribution(self, _: str) -> None:
        """Work out the zones' shares of CPUs, and sync the Services whose hints are too far from them now."""
        self.topology_cache.set_nodes(self.nodes.list())
        for service in self.topology_cache.overloaded_services():
            self.service_queue.add(service)


def _check_flags(options: dict[str, Any]) -> None:
    limit = options["max_endpoints_per_slice"]
    if limit < 1:
        raise ValueError(f"max-endpoints-per-slice must not be less than 1, but got {limit}")
    if limit > 1000:
        raise ValueError(f"max-endpoints-per-slice must not be more than 1000, but got {limit}")
    if options["endpointslice_updates_batch_period"] < 0:
        raise ValueError(
            "endpointslice-updates-batch-period must not be less than 0, "
            f"but got {options['endpointslice_updates_batch_period']}"
        )
    if options["missing_node"] not in ("skip", "fail"):
        raise ValueError(f'missing-node must be "skip" or "fail", but got "{options["missing_node"]}"')
