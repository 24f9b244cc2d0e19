"""The EndpointSlice reconciler: the algorithm that keeps a Service's slices in line with its pods.

Read it top to bottom. A sync calls :meth:`Reconciler.reconcile`. That works on one address type at a time, in
:meth:`~Reconciler.reconcile_by_address_type`, and there on one set of ports at a time, in
:meth:`~Reconciler.reconcile_by_port_mapping`, since all endpoints of a slice share both. In the end
:meth:`~Reconciler.finalize` writes.

It aims at few writes, not at few slices: every write of a slice goes to every node of the cluster. That is why slices
with free places stay as they are while new ones are made, and why an endpoint never moves to another slice.

This is Kubernetes' own algorithm, by its names and in its order: ``staging/src/k8s.io/endpointslice/reconciler.go``,
v1.36. Where Go takes endpoints in random order, they are taken here as they come.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from epkit.client import Client
from epkit.errors import ApiError
from epkit.fake.controllers.endpointslice import endpoints as eps
from epkit.fake.controllers.endpointslice import topology, trafficdist, utils
from epkit.fake.controllers.endpointslice.endpoints import EndpointSet, PortMapKey, endpoint_key, port_map_key
from epkit.fake.controllers.endpointslice.metrics import EfficiencyInfo, EndpointSliceMetrics
from epkit.fake.controllers.endpointslice.topology import HintsEvent, TopologyCache
from epkit.fake.controllers.endpointslice.tracker import EndpointSliceTracker
from epkit.fake.controllers.endpointslice.utils import SlicesByAction, endpoints_of
from epkit.fake.controllers.framework import SyncError
from epkit.objects import Obj, key_of, name_of, namespace_of


@dataclass(slots=True)
class Desired:
    """A set of ports, and the endpoints of all pods that have just these ports."""

    ports: list[Obj]
    endpoints: EndpointSet = field(default_factory=dict)


class Reconciler:
    """Turns the slices that there are into the slices that there should be.

    `get_node` finds a Node in the controller's cache; `record` writes an Event about a Service. `missing_node` is
    "skip", or "fail" for what Kubernetes did before 1.25, when one pod on a Node that was gone kept its whole Service
    from being synced (kubernetes/kubernetes issue 107927).
    """

    def __init__(
        self,
        client: Client,
        get_node: Callable[[str], Obj | None],
        max_endpoints_per_slice: int,
        tracker: EndpointSliceTracker,
        topology_cache: TopologyCache,
        metrics: EndpointSliceMetrics,
        record: Callable[[Obj, HintsEvent], None],
        missing_node: str = "skip",
    ) -> None:
        self.client = client
        self.get_node = get_node
        self.max_endpoints_per_slice = max_endpoints_per_slice
        self.tracker = tracker
        self.topology_cache = topology_cache
        self.metrics = metrics
        self.record = record
        self.missing_node = missing_node

    def reconcile(self, service: Obj, pods: list[Obj], existing_slices: list[Obj], trigger_time: float | None) -> None:
        """Create, update and delete slices until they hold an endpoint for each of `pods`.

        `pods` and `existing_slices` come from the caches and are not changed. Raises :class:`SyncError` if something
        went wrong, after doing all that could be done.
        """
        errors: list[SyncError] = []
        supported = utils.address_types(service)
        for address_type in supported:
            slices = [slice for slice in existing_slices if slice["addressType"] == address_type]
            try:
                self.reconcile_by_address_type(service, pods, slices, trigger_time, address_type)
            except SyncError as error:
                errors.append(error)

        # Slices of an IP family that the Service no longer has.
        for slice in existing_slices:
            if slice["addressType"] not in supported:
                self.topology_cache.remove_hints(key_of(service), slice["addressType"])
                try:
                    self.delete_endpoint_slice(service, slice, "error deleting")
                except SyncError as error:
                    errors.append(error)
        utils.raise_all(errors)

    def reconcile_by_address_type(
        self, service: Obj, pods: list[Obj], existing_slices: list[Obj], trigger_time: float | None, address_type: str
    ) -> None:
        """The same for one address type, IPv4 or IPv6."""
        slices = SlicesByAction()
        # What there is: slices by their ports. Those of a former Service of the same name have to go.
        existing_by_port_map: dict[PortMapKey, list[Obj]] = {}
        for slice in existing_slices:
            if utils.owned_by(slice, service):
                existing_by_port_map.setdefault(port_map_key(slice.get("ports") or []), []).append(slice)
            else:
                slices.to_delete.append(slice)

        # What there should be: endpoints by their ports.
        desired_by_port_map, errors = self.desired_endpoints(service, pods, address_type)
        efficiency: dict[PortMapKey, EfficiencyInfo] = {}
        for port_map, desired in desired_by_port_map.items():
            existing = existing_by_port_map.pop(port_map, [])
            group = self.reconcile_by_port_mapping(service, existing, desired, address_type)
            slices.append(group)
            slices_then = len(existing) + len(group.to_create) - len(group.to_delete)
            efficiency[port_map] = EfficiencyInfo(len(desired.endpoints), slices_then)

        # Sets of ports that no pod has any more.
        for existing in existing_by_port_map.values():
            slices.to_delete += existing

        # There is always one slice, if need be without ports and endpoints: the placeholder.
        if len(slices.to_delete) == len(existing_slices) and not slices.to_create:
            placeholder = utils.new_endpoint_slice(service, [], address_type)
            if len(slices.to_delete) == 1 and utils.same_placeholder(slices.to_delete[0], placeholder):
                slices.to_delete = []  # it is there already
            else:
                slices.to_create.append(placeholder)
            efficiency[port_map_key([])] = EfficiencyInfo(endpoints=0, slices=1)

        self.metrics.observe_sync(key_of(service), efficiency, slices)
        events = self.reconcile_hints(service, slices, address_type)
        try:
            self.finalize(service, slices, trigger_time)
        except SyncError as error:
            errors.append(error)
        for event in events:
            self.record(service, event)
        utils.raise_all(errors)

    def desired_endpoints(
        self, service: Obj, pods: list[Obj], address_type: str
    ) -> tuple[dict[PortMapKey, Desired], list[SyncError]]:
        """The endpoints that `pods` should have, by their ports, and what stood in the way of some."""
        desired_by_port_map: dict[PortMapKey, Desired] = {}
        errors: list[SyncError] = []
        for pod in pods:
            if not eps.should_pod_be_in_endpoints(pod, include_terminating=True):
                continue
            node_name = pod["spec"].get("nodeName", "")
            node = self.get_node(node_name)
            ports, port_map, endpoint, key = eps.pod_endpoint(pod, node, service, address_type)
            desired = desired_by_port_map.get(port_map)
            if desired is None:
                desired = desired_by_port_map[port_map] = Desired(ports)

            # The Node is asked for nothing but its zone. Without it the pod is left out and the Service tried again
            # later; but its other pods are dealt with now, or else one lost pod would freeze it for good.
            if node is None and self.missing_node == "fail":
                raise SyncError(f'node "{node_name}" not found')
            if node is None and not eps.publishes_not_ready(service):
                where = f"Service {key_of(service)}: Node {node_name} Not Found"
                errors.append(SyncError(f"skipping Pod {name_of(pod)} for {where}"))
            elif endpoint["addresses"]:
                desired.endpoints[key] = endpoint
        return desired_by_port_map, errors

    def reconcile_by_port_mapping(
        self, service: Obj, existing_slices: list[Obj], desired: Desired, address_type: str
    ) -> SlicesByAction:
        """Fit the desired endpoints into slices that all have the same ports, with as few writes as possible."""
        slices = SlicesByAction()
        left = dict(desired.endpoints)  # those that have no place yet

        # 1. In the slices that there are, drop endpoints that are no longer desired and refresh those that changed.
        for slice in existing_slices:
            kept: list[Obj] = []
            endpoint_updated = False
            for endpoint in endpoints_of(slice):
                got = left.pop(endpoint_key(endpoint), None)
                if got is not None:
                    kept.append(got)
                    endpoint_updated |= not eps.endpoints_equal_beyond_hash(got, endpoint)
            removed = len(endpoints_of(slice)) - len(kept)
            slices.removed += removed

            labels = utils.slice_labels(service)
            if (endpoint_updated or removed) and not kept:
                slices.to_delete.append(slice)
            elif endpoint_updated or removed:
                slices.to_update.append(utils.changed_copy(slice, endpoints=kept, labels=labels))
            elif utils.labels_changed(slice, service):
                slices.to_update.append(utils.changed_copy(slice, labels=labels))
            else:
                slices.unchanged.append(slice)

        slices.added = len(left)
        to_place = list(left.values())

        # 2. Slices that will be written anyway take in what they can, the fullest first.
        for slice in sorted(slices.to_update, key=lambda slice: len(slice["endpoints"]), reverse=True):
            to_place = self.fill(slice, to_place)

        # 3. What is left then goes into one more slice, if there is one with room for all of it, or into new slices.
        while to_place:
            slice_to_fill = None
            if len(to_place) < self.max_endpoints_per_slice:
                slice_to_fill = get_slice_to_fill(slices.unchanged, len(to_place), self.max_endpoints_per_slice)
            if slice_to_fill is not None:
                slices.unchanged.remove(slice_to_fill)
                slice_to_fill = utils.changed_copy(slice_to_fill)
                slices.to_update.append(slice_to_fill)
            else:
                slice_to_fill = utils.new_endpoint_slice(service, desired.ports, address_type)
                slices.to_create.append(slice_to_fill)
            to_place = self.fill(slice_to_fill, to_place)
        return slices

    def fill(self, slice: Obj, endpoints: list[Obj]) -> list[Obj]:
        """Put endpoints into a slice until it is full. Returns the rest."""
        room = max(self.max_endpoints_per_slice - len(slice["endpoints"]), 0)
        slice["endpoints"] += endpoints[:room]
        return endpoints[room:]

    def reconcile_hints(self, service: Obj, slices: SlicesByAction, address_type: str) -> list[HintsEvent]:
        """Put hints on the endpoints, or take them off; more slices may be written for it. Returns what to tell."""
        key, events = key_of(service), []
        traffic_distribution = trafficdist.traffic_distribution_of(service)
        if utils.hints_enabled(service):
            events = self.topology_cache.add_hints(key, address_type, slices)
        else:
            if self.topology_cache.has_populated_hints(key):
                events.append(topology.disabled(topology.DISABLED, address_type))
            self.topology_cache.remove_hints(key, address_type)
            if traffic_distribution is None:
                topology.remove_hints_from_slices(slices)
            else:
                trafficdist.reconcile_hints(traffic_distribution, slices)
        self.metrics.update_traffic_distribution(key, traffic_distribution)
        return events

    def finalize(self, service: Obj, slices: SlicesByAction, trigger_time: float | None) -> None:
        """Write what is new, then what has changed, and last what goes, so that no endpoint is missing in between."""
        # A slice to delete and one to create become one to update.
        to_delete = []
        for slice in slices.to_delete:
            if slices.to_create and utils.owned_by(slice, service):
                recycled = slices.to_create.pop()
                recycled["metadata"]["name"] = name_of(slice)
                slices.to_update.append(recycled)
            else:
                to_delete.append(slice)

        # Once a Service is being deleted, the garbage collector removes its slices. New ones would come in its way.
        for slice in slices.to_create if not eps.is_terminating(service) else ():
            utils.set_trigger_time(slice, trigger_time)
            try:
                self.tracker.update(self.client.create("endpointslices", slice))
            except ApiError as error:
                if utils.is_namespace_terminating(error):
                    return  # and so would every other try end
                raise SyncError(f"failed to create EndpointSlice for Service {key_of(service)}: {error}") from error
            self.metrics.changes.inc("create")

        for slice in slices.to_update:
            utils.set_trigger_time(slice, trigger_time)
            with utils.failing(f"failed to update {name_of(slice)} EndpointSlice for Service {key_of(service)}"):
                self.tracker.update(self.client.update("endpointslices", slice))
            self.metrics.changes.inc("update")

        for slice in to_delete:
            self.delete_endpoint_slice(service, slice, "failed to delete")

        self.metrics.slices_changed.observe(
            len(slices.to_create) + len(slices.to_update) + len(to_delete),
            "Auto" if utils.hints_enabled(service) else "Disabled",
            trafficdist.traffic_distribution_of(service) or "",
        )

    def delete_endpoint_slice(self, service: Obj, slice: Obj, failure: str) -> None:
        """Delete a slice, and remember that its deletion is no surprise. Somebody else may have been faster."""
        with utils.failing(f"{failure} {name_of(slice)} EndpointSlice for Service {key_of(service)}"):
            try:
                self.client.delete("endpointslices", name_of(slice), namespace_of(slice))
            except ApiError as error:
                if error.reason == "NotFound":
                    return
                raise
        self.tracker.expect_deletion(slice)
        self.metrics.changes.inc("delete")


def get_slice_to_fill(slices: list[Obj], number_of_endpoints: int, max_endpoints: int) -> Obj | None:
    """The slice that will be closest to full with so many endpoints more; None if no slice has room for all of them."""
    closest, closest_difference = None, max_endpoints
    for slice in slices:
        difference = max_endpoints - (number_of_endpoints + len(endpoints_of(slice)))
        if 0 <= difference < closest_difference:
            closest, closest_difference = slice, difference
    return closest
