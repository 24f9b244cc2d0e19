"""The Endpoints controller: one Endpoints object for every Service with a selector, at most a thousand addresses.

It is the older brother of the EndpointSlice controller and knows less: one IP family, no zones, no Nodes, and a pod
that terminates is gone at once. It does not watch what it writes, but for deletions: what somebody changes in
Endpoints by hand stays until something else makes it sync the Service.

Source: ``pkg/controller/endpoint/endpoints_controller.go``, Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, cast

from epkit.errors import ApiError
from epkit.fake.clock import format_time
from epkit.fake.controllers.endpoints_subsets import MAX_CAPACITY, repack_subsets, truncate_subsets
from epkit.fake.controllers.endpointslice.endpoints import (
    endpoint_ports,
    is_pod_ready,
    port_map_key,
    publishes_not_ready,
    should_pod_be_in_endpoints,
    should_set_hostname,
)
from epkit.fake.controllers.endpointslice.memo import once_per_object
from epkit.fake.controllers.endpointslice.pod_projection import (
    PodProjectionKey,
    pod_update_projection_key,
    services_to_update,
)
from epkit.fake.controllers.endpointslice.trigger_time import TriggerTimeTracker
from epkit.fake.controllers.endpointslice.utils import (
    HEADLESS_LABEL,
    TRIGGER_TIME_ANNOTATION,
    is_namespace_terminating,
    is_service_ip_set,
)
from epkit.fake.controllers.framework import Controller, Kit, SyncError
from epkit.fake.kinds.addresses import family
from epkit.objects import Obj, annotations_of, key_of, labels_of, name_of, namespace_of, split_key, uid_of
from epkit.selectors import of_map

MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by"
CONTROLLER_NAME = "endpoint-controller"
OVER_CAPACITY_ANNOTATION = "endpoints.kubernetes.io/over-capacity"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"


class EndpointsController(Controller):
    """Keeps the Endpoints of every Service that has a selector in line with the pods that it selects.

    Flags:
        endpoint_updates_batch_period: seconds that a sync waits after a change of a pod, for more changes to come.
    """

    name = "endpoints-controller"
    component = CONTROLLER_NAME
    flags: ClassVar[dict[str, Any]] = {"endpoint_updates_batch_period": 0.0}

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.batch_period = float(self.options["endpoint_updates_batch_period"])
        if self.batch_period < 0:
            raise ValueError(f"endpoint-updates-batch-period must not be less than 0, but got {self.batch_period:g}")
        self.queue = self.new_queue("endpoint", self.sync_service)
        self.pod_queue = self.new_queue("endpoint_pods", self.sync_pod)

        self.services = self.informer("services")
        self.services.on(add=self.on_service, update=lambda _, new: self.on_service(new), delete=self.on_service)
        self.pods = self.informer("pods")
        self.pods.on(add=self.on_pod, update=self.on_pod_update, delete=self.on_pod)
        self.endpoints = self.informer("endpoints")
        self.endpoints.on(delete=lambda endpoints: self.queue.add(key_of(endpoints)))

        self.trigger_times = TriggerTimeTracker()
        #: the resource version that each Endpoints object had before this controller's last update
        self.stale_versions: dict[str, str] = {}

    def start(self) -> None:
        super().start()
        self.kit.loop.post(self.check_leftover_endpoints, f"{self.name}: looks for Endpoints without a Service")

    # What happens to a Service.

    def sync_service(self, key: str) -> None:
        """Bring the Endpoints of one Service up to date. Raises SyncError or ApiError if it is to be tried again."""
        namespace, name = split_key(key)
        service = self.services.get(namespace, name)
        if service is None:
            self.delete_endpoints(key)
            return
        if service["spec"].get("type") == "ExternalName":
            return
        if service["spec"].get("selector") is None:
            return  # whoever made it makes its Endpoints, too

        pods = self.pods.list(namespace, of_map(service["spec"]["selector"]))
        # Worked out even if nothing will be written: it remembers what it has seen.
        trigger_time = self.trigger_times.last_change_trigger_time(service, pods)
        subsets = desired_subsets(service, pods)

        current = self.endpoints.get(namespace, name)
        if current is not None:
            version = current["metadata"]["resourceVersion"]
            if self.stale_versions.get(key) == version:
                raise SyncError(
                    f"endpoints informer cache is out of date, resource version {version} already processed "
                    f"for endpoints {key}"
                )
            if (
                same_subsets(current.get("subsets") or [], subsets)
                and labels_are_correct(current, service)
                and capacity_annotation_is_correct(current)
            ):
                return
        self.write(service, current, new_endpoints(service, current, subsets, trigger_time))

    def write(self, service: Obj, current: Obj | None, endpoints: Obj) -> None:
        """Create or update, and remember which version is out of date from now on."""
        key = key_of(service)
        try:
            if current is None:
                self.client.create("endpoints", endpoints)
                return
            updated = self.client.update("endpoints", endpoints)
        except ApiError as error:
            if current is None and is_namespace_terminating(error):
                return  # it would fail for ever
            if current is None:
                reason, what = "FailedToCreateEndpoint", f"create endpoint for service {key}"
            else:
                reason, what = "FailedToUpdateEndpoint", f"update endpoint {key}"
            self.recorder.event(endpoints, "Warning", reason, f"Failed to {what}: {error}")
            raise
        version = current["metadata"]["resourceVersion"]
        if updated["metadata"]["resourceVersion"] != version:
            self.stale_versions[key] = version

    def delete_endpoints(self, key: str) -> None:
        """The Service is gone: its Endpoints go with it, whoever made them."""
        namespace, name = split_key(key)
        try:
            self.client.delete("endpoints", name, namespace)
        except ApiError as error:
            if error.reason != "NotFound":
                raise
        self.trigger_times.delete_service(key)
        self.stale_versions.pop(key, None)

    def check_leftover_endpoints(self) -> None:
        """At the start, queue all Endpoints there are: some may have lost their Service while nobody looked."""
        for endpoints in self.endpoints.list() if self._running else ():
            # Old leader elections kept their record on Endpoints without a Service.
            if LEADER_ANNOTATION not in annotations_of(endpoints):
                self.queue.add(key_of(endpoints))

    # What makes it happen.

    def on_service(self, service: Obj) -> None:
        self.queue.add(key_of(service))

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
            self.queue.add_after(service, self.batch_period)


def desired_subsets(service: Obj, pods: list[Obj]) -> list[Obj]:
    """What the pods come to, in canonical form."""
    by_ports: dict[Any, Obj] = {}
    includes_terminating = publishes_not_ready(service)
    for pod in pods:
        if not should_pod_be_in_endpoints(pod, includes_terminating):
            continue
        address, ports, key, field = pod_address(service, pod)
        if address is None or ports is None:
            continue
        subset = by_ports.get(key)
        if subset is None:
            subset = {"addresses": [], "notReadyAddresses": [], "ports": [subset_port(port) for port in ports]}
            by_ports[key] = subset
        subset[field].append(address)
    return repack_subsets(by_ports.values())


class PodAddress(NamedTuple):
    """Where a pod belongs, and as what."""

    address: Obj | None
    ports: list[Obj] | None
    key: Any
    field: str


@once_per_object
def pod_address(service: Obj, pod: Obj) -> PodAddress:
    """A pod's address and ports in the Endpoints of `service`; either is None if there is none, and it has no place.

    In contrast to slices, there is no place for a pod without any of the ports, unless the Service itself has none.
    """
    ports: list[Obj] | None = endpoint_ports(service, pod)
    key = port_map_key(ports or [])
    if not ports and (service["spec"].get("ports") or service["spec"].get("clusterIP") != "None"):
        ports = None
    ready = publishes_not_ready(service) or is_pod_ready(pod)
    return PodAddress(
        pod_to_endpoint_address(service, pod), ports, key, "addresses" if ready else "notReadyAddresses"
    )


def pod_to_endpoint_address(service: Obj, pod: Obj) -> Obj | None:
    """The pod's address in the Service's first IP family; None if it has none."""
    wanted = primary_family(service, pod)
    addresses = (entry.get("ip", "") for entry in pod["status"].get("podIPs") or ())
    ip = next((ip for ip in addresses if family(ip) == wanted), None)
    if ip is None:
        return None
    address: Obj = {"ip": ip}
    if should_set_hostname(pod, service):
        address["hostname"] = pod["spec"]["hostname"]
    address["nodeName"] = pod["spec"].get("nodeName", "")
    address["targetRef"] = {
        "kind": "Pod",
        "namespace": namespace_of(pod),
        "name": name_of(pod),
        "uid": uid_of(pod),
    }
    return address


def primary_family(service: Obj, pod: Obj) -> str:
    """The family of the addresses: the Service's first, or a guess for one that an old API server left without."""
    families = service["spec"].get("ipFamilies")
    if families:
        return str(families[0])
    known = service["spec"]["clusterIP"] if is_service_ip_set(service) else pod["status"].get("podIP", "")
    return "IPv6" if family(known) == "IPv6" else "IPv4"


def subset_port(port: Obj) -> Obj:
    """A slice's port as a subset has it: without a name there is no field."""
    fields = {"name": port["name"], "port": port["port"], "protocol": port["protocol"]}
    if not fields["name"]:
        del fields["name"]
    if "appProtocol" in port:
        fields["appProtocol"] = port["appProtocol"]
    return fields


def new_endpoints(service: Obj, current: Obj | None, subsets: list[Obj], trigger_time: float | None) -> Obj:
    """The Endpoints to be written. What else is on the current ones stays; labels are the Service's."""
    metadata = dict(current["metadata"]) if current else {"name": name_of(service), "namespace": namespace_of(service)}
    labels = {**labels_of(service), HEADLESS_LABEL: "", MANAGED_BY_LABEL: CONTROLLER_NAME}
    if is_service_ip_set(service):
        del labels[HEADLESS_LABEL]
    metadata["labels"] = labels

    subsets, truncated = truncate_subsets(subsets)
    annotations = dict(annotations_of(current)) if current else {}
    annotations.pop(TRIGGER_TIME_ANNOTATION, None)
    annotations.pop(OVER_CAPACITY_ANNOTATION, None)
    if trigger_time is not None:
        annotations[TRIGGER_TIME_ANNOTATION] = format_time(trigger_time)
    if truncated:
        annotations[OVER_CAPACITY_ANNOTATION] = "truncated"
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations

    endpoints: Obj = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
    if subsets:
        endpoints["subsets"] = subsets
    return endpoints


def same_subsets(current: list[Obj], desired: list[Obj]) -> bool:
    """Whether nothing has to be written for the subsets; stored ones may be in another order than the canonical one."""
    if current == desired:
        return True
    current, desired = [_bare(subset) for subset in current], [_bare(subset) for subset in desired]
    return current == desired or repack_subsets(current) == desired


def labels_are_correct(endpoints: Obj, service: Obj) -> bool:
    """Whether the labels are the Service's and the controller's own; whether the headless one is right is not asked."""
    labels = labels_of(endpoints)
    if labels.get(MANAGED_BY_LABEL) != CONTROLLER_NAME:
        return False
    own = (HEADLESS_LABEL, MANAGED_BY_LABEL)
    return {key: value for key, value in labels.items() if key not in own} == labels_of(service)


def capacity_annotation_is_correct(endpoints: Obj) -> bool:
    """Endpoints that have been cut, or must be, are written anew in every sync."""
    addresses = sum(
        len(subset.get("addresses") or ()) + len(subset.get("notReadyAddresses") or ())
        for subset in endpoints.get("subsets") or ()
    )
    return addresses <= MAX_CAPACITY and OVER_CAPACITY_ANNOTATION not in annotations_of(endpoints)


def _bare(subset: Obj) -> Obj:
    """A subset without empty lists, and without resource versions of its targets, which do not count."""
    bare: Obj = {}
    for field, listed in subset.items():
        if field == "ports":
            bare[field] = listed
        elif listed:
            bare[field] = [_without_version(address) for address in listed]
    return {field: listed for field, listed in bare.items() if listed}


def _without_version(address: Obj) -> Obj:
    target = address.get("targetRef")
    if not target or "resourceVersion" not in target:
        return address
    return {**address, "targetRef": {key: value for key, value in target.items() if key != "resourceVersion"}}
