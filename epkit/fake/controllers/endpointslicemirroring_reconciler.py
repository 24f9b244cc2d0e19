"""From Endpoints to mirrored slices: one slice for each set of ports and IP family.

There is no packing here, no placeholder, no hint, and no trigger time. Of an endpoint only ``ready`` is known.

Sources: ``pkg/controller/endpointslicemirroring/{reconciler,reconciler_helpers,utils}.go``, Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from epkit.client import Client
from epkit.errors import ApiError
from epkit.fake.controllers.endpoints_subsets import repack_subsets
from epkit.fake.controllers.endpointslice.endpoints import (
    EndpointSet,
    PortMapKey,
    endpoint_key,
    endpoints_equal_beyond_hash,
    is_terminating,
    port_map_key,
)
from epkit.fake.controllers.endpointslice.hashes import sort_slice_ports
from epkit.fake.controllers.endpointslice.metrics import (
    POWERS_OF_TWO,
    Counter,
    EfficiencyCache,
    EfficiencyInfo,
    Gauge,
    Histogram,
    Metric,
    in_order,
    render,
)
from epkit.fake.controllers.endpointslice.tracker import EndpointSliceTracker
from epkit.fake.controllers.endpointslice.utils import (
    MANAGED_BY_LABEL,
    SERVICE_NAME_LABEL,
    TRIGGER_TIME_ANNOTATION,
    SlicesByAction,
    endpoints_of,
    failing,
    is_namespace_terminating,
    slice_prefix,
)
from epkit.fake.controllers.framework import Recorder, SyncError
from epkit.fake.kinds.addresses import parse as parse_ip
from epkit.objects import Obj, annotations_of, key_of, labels_of, name_of, namespace_of, owner_reference, uid_of

#: The value of the managed-by label on mirrored slices.
CONTROLLER_NAME = "endpointslicemirroring-controller.k8s.io"
LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"

MirrorKey = tuple[str, PortMapKey]  # address type and ports


@dataclass(slots=True)
class Desired:
    """The endpoints of one family for one set of ports."""

    ports: list[Obj]
    endpoints: EndpointSet = field(default_factory=dict)


class Reconciler:
    """Turns the mirrored slices that there are into those that there should be."""

    def __init__(
        self,
        client: Client,
        max_endpoints_per_subset: int,
        tracker: EndpointSliceTracker,
        metrics: MirroringMetrics,
        recorder: Recorder,
    ) -> None:
        self.client = client
        self.max_endpoints_per_subset = max_endpoints_per_subset
        self.tracker = tracker
        self.metrics = metrics
        self.recorder = recorder

    def reconcile(self, endpoints: Obj, existing_slices: list[Obj]) -> None:
        """Create, update and delete slices until they say what `endpoints` says. Raises SyncError on failure."""
        desired_by_key = self.desired_endpoints(endpoints)
        existing_by_key: dict[MirrorKey, list[Obj]] = {}
        for slice in existing_slices:
            key = (slice["addressType"], port_map_key(slice.get("ports") or []))
            existing_by_key.setdefault(key, []).append(slice)

        slices = SlicesByAction()
        updated = 0
        efficiency: dict[MirrorKey, EfficiencyInfo] = {}
        for key, desired in desired_by_key.items():
            existing = existing_by_key.pop(key, [])
            group, group_updated = self.reconcile_by_port_mapping(endpoints, existing, desired, address_type=key[0])
            slices.append(group)
            updated += group_updated
            slices_then = len(existing) + len(group.to_create) - len(group.to_delete)
            efficiency[key] = EfficiencyInfo(len(desired.endpoints), slices_then)
        for existing in existing_by_key.values():
            slices.to_delete += existing

        self.metrics.endpoints_added.observe(slices.added)
        self.metrics.endpoints_updated.observe(updated)
        self.metrics.endpoints_removed.observe(slices.removed)
        self.metrics.update_endpoints(key_of(endpoints), efficiency)
        self.finalize(endpoints, slices)

    def desired_endpoints(self, endpoints: Obj) -> dict[MirrorKey, Desired]:
        """The endpoints to be mirrored, by family and ports. Tells of addresses that cannot be."""
        desired: dict[MirrorKey, Desired] = {}
        invalid = skipped = 0
        for subset in repack_subsets(endpoints.get("subsets") or ()):
            ports = sort_slice_ports(slice_port(port) for port in subset.get("ports") or ())
            by_family = {
                family: desired.setdefault((family, port_map_key(ports)), Desired(ports)) for family in ("IPv4", "IPv6")
            }
            added = 0
            ready, not_ready = subset.get("addresses") or [], subset.get("notReadyAddresses") or []
            for address, is_ready in [*((each, True) for each in ready), *((each, False) for each in not_ready)]:
                if added >= self.max_endpoints_per_subset:
                    break
                parsed = parse_ip(address["ip"])
                if parsed is None:
                    invalid += 1
                    continue
                endpoint = address_to_endpoint(address, str(parsed), is_ready)
                by_family[f"IPv{parsed.version}"].endpoints[endpoint_key(endpoint)] = endpoint
                added += 1
            skipped += len(ready) + len(not_ready) - added

        self.metrics.addresses_skipped.observe(skipped)
        if invalid:
            self.recorder.event(
                endpoints,
                "Warning",
                "InvalidIPAddress",
                f"Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices",
            )
        if skipped > invalid:
            self.recorder.event(
                endpoints,
                "Warning",
                "TooManyAddressesToMirror",
                f"A max of {self.max_endpoints_per_subset} addresses can be mirrored to EndpointSlices per Endpoints "
                f"subset. {skipped} addresses were skipped",
            )
        return desired

    def reconcile_by_port_mapping(
        self, endpoints: Obj, existing_slices: list[Obj], desired: Desired, address_type: str
    ) -> tuple[SlicesByAction, int]:
        """One slice for these endpoints, or none if there are none; and how many endpoints change in it."""
        slices = SlicesByAction()
        if not desired.endpoints:
            slices.to_delete = list(existing_slices)
            slices.removed = sum(len(endpoints_of(slice)) for slice in existing_slices)
            return slices, 0

        updated, first = 0, None
        slices.added = len(desired.endpoints)
        if existing_slices:
            first, *slices.to_delete = existing_slices
            for endpoint in endpoints_of(first):
                got = desired.endpoints.get(endpoint_key(endpoint))
                if got is None:
                    slices.removed += 1
                else:
                    slices.added -= 1
                    updated += not endpoints_equal_beyond_hash(got, endpoint)
            if not (slices.added or slices.removed or updated) and _same_metadata(first, endpoints):
                return slices, 0

        slice = new_endpoint_slice(endpoints, desired.ports, address_type, name_of(first) if first else "")
        slice["endpoints"] = list(desired.endpoints.values())[: self.max_endpoints_per_subset]
        (slices.to_update if first else slices.to_create).append(slice)
        return slices, updated

    def finalize(self, endpoints: Obj, slices: SlicesByAction) -> None:
        """Write: first what is new, then what has changed, last what goes."""
        recycle_slices(slices)
        whose = f"EndpointSlice for Endpoints {key_of(endpoints)}"
        for slice in slices.to_create if not is_terminating(endpoints) else ():
            try:
                self.tracker.update(self.client.create("endpointslices", slice))
            except ApiError as error:
                if is_namespace_terminating(error):
                    return  # and so would every other try end
                raise SyncError(f"failed to create {whose}: {error}") from error
            self.metrics.changes.inc("create")
        for slice in slices.to_update:
            with failing(f"failed to update {name_of(slice)} {whose}"):
                self.tracker.update(self.client.update("endpointslices", slice))
            self.metrics.changes.inc("update")
        for slice in slices.to_delete:
            with failing(f"failed to delete {name_of(slice)} {whose}"):
                self.client.delete("endpointslices", name_of(slice), namespace_of(slice))
            self.tracker.expect_deletion(slice)
            self.metrics.changes.inc("delete")


def recycle_slices(slices: SlicesByAction) -> None:
    """Turn a slice to delete and one to create, of the same family, into one to update, as often as there are both."""
    for slice in list(slices.to_create):
        old = next((each for each in slices.to_delete if each["addressType"] == slice["addressType"]), None)
        if old is not None:
            slices.to_delete = [each for each in slices.to_delete if each is not old]
            slices.to_create = [each for each in slices.to_create if each is not slice]
            slice["metadata"]["name"] = name_of(old)
            slices.to_update.append(slice)


def new_endpoint_slice(endpoints: Obj, ports: list[Obj], address_type: str, name: str) -> Obj:
    """An empty slice for `endpoints`, with its labels and annotations; without a name the API server makes one."""
    meta: Obj = {"name": name} if name else {"generateName": slice_prefix(name_of(endpoints))}
    meta["namespace"] = namespace_of(endpoints)
    meta["labels"] = {
        **labels_of(endpoints),
        SERVICE_NAME_LABEL: name_of(endpoints),
        MANAGED_BY_LABEL: CONTROLLER_NAME,
    }
    if annotations := mirrored_annotations(endpoints):
        meta["annotations"] = annotations
    meta["ownerReferences"] = [owner_reference({"apiVersion": "v1", "kind": "Endpoints", **endpoints})]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": meta,
        "addressType": address_type,
        "endpoints": [],
        "ports": ports,
    }


def mirrored_annotations(endpoints: Obj) -> dict[str, str]:
    """All annotations but the trigger time and what ``kubectl apply`` keeps for itself."""
    left_out = (TRIGGER_TIME_ANNOTATION, LAST_APPLIED_ANNOTATION)
    return {key: value for key, value in annotations_of(endpoints).items() if key not in left_out}


def address_to_endpoint(address: Obj, ip: str, ready: bool) -> Obj:
    """The endpoint for an address of a subset; `ip` is its canonical form. Serving and terminating stay unknown."""
    endpoint: Obj = {"addresses": [ip], "conditions": {"ready": ready}}
    for name in ("hostname", "targetRef", "nodeName"):
        if address.get(name):
            endpoint[name] = address[name]
    return endpoint


def slice_port(port: Obj) -> Obj:
    """A subset's port as a slice has it: its name may be empty, but is never missing."""
    fields = {"name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "port": port["port"]}
    if "appProtocol" in port:
        fields["appProtocol"] = port["appProtocol"]
    return fields


def _same_metadata(slice: Obj, endpoints: Obj) -> bool:
    own = (MANAGED_BY_LABEL, SERVICE_NAME_LABEL)
    labels = {key: value for key, value in labels_of(slice).items() if key not in own}
    owners = slice["metadata"].get("ownerReferences") or ()
    return (
        labels == labels_of(endpoints)
        and annotations_of(slice) == mirrored_annotations(endpoints)
        and any(owner["uid"] == uid_of(endpoints) for owner in owners)
    )


class MirroringMetrics:
    """All metrics of this controller; iterate to get them in order."""

    subsystem = "endpoint_slice_mirroring_controller"

    def __init__(self, max_endpoints_per_subset: int) -> None:
        def per_sync(short: str, help: str) -> Histogram:
            return Histogram(f"{self.subsystem}_{short}_per_sync", help, buckets=POWERS_OF_TWO)

        def gauge(short: str, help: str) -> Gauge:
            return Gauge(f"{self.subsystem}_{short}", help)

        self.addresses_skipped = per_sync(
            "addresses_skipped",
            "Number of addresses skipped on each Endpoints sync due to being invalid or exceeding "
            "MaxEndpointsPerSubset",
        )
        self.changes = Counter(f"{self.subsystem}_changes", "Number of EndpointSlice changes", ("operation",))
        self.desired_slices = gauge(
            "desired_endpoint_slices", "Number of EndpointSlices that would exist with perfect endpoint allocation"
        )
        self.endpoints_added = per_sync("endpoints_added", "Number of endpoints added on each Endpoints sync")
        self.endpoints_desired = gauge("endpoints_desired", "Number of endpoints desired")
        self.endpoints_removed = per_sync("endpoints_removed", "Number of endpoints removed on each Endpoints sync")
        self.endpoints_updated = per_sync("endpoints_updated", "Number of endpoints updated on each Endpoints sync")
        self.num_slices = gauge("num_endpoint_slices", "Number of EndpointSlices")
        self._cache = EfficiencyCache(
            max_endpoints_per_subset, self.endpoints_desired, self.num_slices, self.desired_slices, placeholder=False
        )

    def __iter__(self) -> Iterator[Metric]:
        return in_order(self)

    def update_endpoints(self, key: str, efficiency: dict[MirrorKey, EfficiencyInfo]) -> None:
        self._cache.set(key, efficiency)

    def delete_endpoints(self, key: str) -> None:
        self._cache.delete(key)

    def text(self) -> str:
        return render(self)
