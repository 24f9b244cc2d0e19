"""From a pod to its endpoint: which pods count, on which ports, and what a slice says of them.

Sources: ``staging/src/k8s.io/endpointslice/utils.go`` and ``…/util/controller_utils.go``, Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any, NamedTuple

from epkit.fake.controllers.endpointslice.hashes import sort_slice_ports
from epkit.fake.controllers.endpointslice.memo import once_per_object
from epkit.fake.kinds.addresses import parse as parse_ip
from epkit.objects import Obj, condition, labels_of, name_of, namespace_of, uid_of

ZONE_LABEL = "topology.kubernetes.io/zone"

#: What tells endpoints apart: addresses, hostname, and namespace and name of the target. Everything else of an
#: endpoint may change in place.
EndpointKey = tuple[tuple[str, ...], str, str, str]
EndpointSet = dict[EndpointKey, Obj]
#: What tells groups of slices apart: name, protocol, port and appProtocol of each port.
PortMapKey = tuple[tuple[Any, ...], ...]


def should_pod_be_in_endpoints(pod: Obj, include_terminating: bool) -> bool:
    """A pod counts once it has an address and until it has finished. Readiness plays no part."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Failed", "Succeeded"):
        return False
    if not status.get("podIP") and not status.get("podIPs"):
        return False
    return include_terminating or not is_terminating(pod)


def is_pod_ready(pod: Obj) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def is_terminating(obj: Obj) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def should_set_hostname(pod: Obj, service: Obj) -> bool:
    """A pod has a name of its own in DNS if its subdomain is the Service's name."""
    spec = pod["spec"]
    return (
        bool(spec.get("hostname"))
        and spec.get("subdomain") == name_of(service)
        and namespace_of(pod) == namespace_of(service)
    )


class PodEndpoint(NamedTuple):
    """Where a pod belongs, and as what: its ports and its endpoint, and what each is told apart by."""

    ports: list[Obj]
    port_map: PortMapKey
    endpoint: Obj
    key: EndpointKey


@once_per_object
def pod_endpoint(pod: Obj, node: Obj | None, service: Obj, address_type: str) -> PodEndpoint:
    """The ports and the endpoint of a pod in slices of `service`, by the two functions below."""
    ports, endpoint = endpoint_ports(service, pod), pod_to_endpoint(pod, node, service, address_type)
    return PodEndpoint(ports, port_map_key(ports), endpoint, endpoint_key(endpoint))


def pod_to_endpoint(pod: Obj, node: Obj | None, service: Obj, address_type: str) -> Obj:
    """The endpoint that stands for `pod` in a slice of `address_type`.

    Its ``addresses`` are empty if the pod has none of that family. `node` is only asked for its zone.
    """
    serving = is_pod_ready(pod)
    terminating = is_terminating(pod)
    # "ready" is never true of a terminating pod, for old consumers' sake, unless the Service publishes everything.
    ready = publishes_not_ready(service) or (serving and not terminating)
    endpoint: Obj = {
        "addresses": pod_addresses(pod, address_type),
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    }
    if should_set_hostname(pod, service):
        endpoint["hostname"] = pod["spec"]["hostname"]
    endpoint["targetRef"] = {
        "kind": "Pod",
        "namespace": namespace_of(pod),
        "name": name_of(pod),
        "uid": uid_of(pod),
    }
    if node_name := pod["spec"].get("nodeName"):
        endpoint["nodeName"] = node_name
    if node is not None and (zone := labels_of(node).get(ZONE_LABEL)):
        endpoint["zone"] = zone
    return endpoint


def publishes_not_ready(service: Obj) -> bool:
    return bool(service["spec"].get("publishNotReadyAddresses"))


def pod_addresses(pod: Obj, address_type: str) -> list[str]:
    """All addresses of one family that the pod has, in canonical form."""
    version = 6 if address_type == "IPv6" else 4
    parsed = (parse_ip(entry.get("ip", "")) for entry in pod["status"].get("podIPs") or ())
    return [str(address) for address in parsed if address is not None and address.version == version]


def endpoint_ports(service: Obj, pod: Obj) -> list[Obj]:
    """The ports under which `pod` serves `service`, in the order of the slice.

    A named target port that the pod does not have is left out, without a word to anybody. So pods of one Service may
    have different ports, and go into different slices.
    """
    ports = []
    for service_port in service["spec"].get("ports") or ():
        number = find_port(pod, service_port)
        if number is None:
            continue
        port = {"name": service_port.get("name", ""), "protocol": service_port.get("protocol", "TCP"), "port": number}
        if "appProtocol" in service_port:
            port["appProtocol"] = service_port["appProtocol"]
        ports.append(port)
    return sort_slice_ports(ports)


def find_port(pod: Obj, service_port: Obj) -> int | None:
    """The container port behind a Service port; None if the pod has none of that name and protocol.

    A number is taken as it is: nobody checks that a container listens there.
    """
    target = service_port.get("targetPort", service_port["port"])
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == service_port.get("protocol", "TCP"):
                return int(port["containerPort"])
    return None


def port_map_key(ports: list[Obj]) -> PortMapKey:
    """Equal for lists with the same ports, in whatever order. Upstream makes it a hash; only equality matters.

    >>> port_map_key([{"name": "http", "protocol": "TCP", "port": 8080}])
    (('http', 'TCP', 8080, None),)
    """
    return tuple(
        (port.get("name"), port.get("protocol"), port.get("port"), port.get("appProtocol"))
        for port in (ports if len(ports) < 2 else sort_slice_ports(ports))
    )


def endpoint_key(endpoint: Obj) -> EndpointKey:
    target = endpoint.get("targetRef") or {}
    addresses = endpoint["addresses"]
    return (
        tuple(addresses if len(addresses) == 1 else sorted(addresses)),
        endpoint.get("hostname") or "",
        target.get("namespace") or "",
        target.get("name") or "",
    )


def endpoints_equal_beyond_hash(one: Obj, other: Obj) -> bool:
    """Whether two endpoints with the same key say the same otherwise. Hints are not looked at, here."""
    if one is other or one == other:
        return True
    one_conditions, other_conditions = one.get("conditions") or {}, other.get("conditions") or {}
    return (
        one.get("nodeName") == other.get("nodeName")
        and one.get("zone") == other.get("zone")
        and all(one_conditions.get(name) == other_conditions.get(name) for name in ("ready", "serving", "terminating"))
        and same_target(one.get("targetRef"), other.get("targetRef"))
    )


def same_target(one: Obj | None, other: Obj | None) -> bool:
    """Equal object references; the resource version does not count, lest every change of a pod cost a write."""
    if one is None or other is None:
        return one is other
    fields = ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")
    return all((one.get(name) or "") == (other.get(name) or "") for name in fields)
