"""Services as kube-proxy sees them: the ServiceMap, one `ServicePort` for each port of each Service.

    Service ──> service_ports() ──> ServiceChangeTracker ──(at a sync)──> ServiceMap

Source: pkg/proxy/serviceport.go and pkg/proxy/servicechangetracker.go of Kubernetes v1.36.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from epkit.objects import Obj, labels_of, name_of, namespace_of
from epkit.proxy.names import NamespacedName, ServicePortName, family_of

LABEL_SERVICE_PROXY_NAME = "service.kubernetes.io/service-proxy-name"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service in one address family, with what kube-proxy needs of the Service for it.

    `external_ips`, `load_balancer_vips` and `source_ranges` hold only what belongs to the family. `sticky_seconds` is 0
    without session affinity.
    """

    cluster_ip: str
    port: int
    protocol: str
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_vips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    sticky_seconds: int = 0
    external_policy_local: bool = False
    internal_policy_local: bool = False
    health_check_node_port: int = 0

    @property
    def externally_accessible(self) -> bool:
        """Is there any way in but the cluster IP: a node port, an external IP, a load balancer's address?"""
        return bool(self.node_port or self.load_balancer_vips or self.external_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """Does any of its traffic go to endpoints on all nodes?

        Even with ``externalTrafficPolicy: Local``, what comes from inside the cluster to an external address is short
        circuited to all endpoints, so an externally accessible port always needs them.
        """
        return not self.internal_policy_local or self.externally_accessible

    @property
    def uses_local_endpoints(self) -> bool:
        """Does any of its traffic go to this node's endpoints only?"""
        return self.internal_policy_local or (self.external_policy_local and self.externally_accessible)


def _canonical(address: str) -> str:
    return str(ipaddress.ip_address(address))


def _of_family(addresses: list[str] | None, family: str) -> tuple[str, ...]:
    return tuple(_canonical(ip) for ip in addresses or () if family_of(ip) == family)


def _cluster_ip(service: Obj, family: str) -> str:
    """The Service's cluster IP of one family, or "" where it has none."""
    spec = service["spec"]
    for ip in spec.get("clusterIPs") or [spec.get("clusterIP") or ""]:
        if ip and ip != "None" and family_of(ip) == family:
            return _canonical(ip)
    return ""


def _source_ranges(spec: Obj, family: str) -> tuple[str, ...]:
    # Validation of the field allows white space around a range, by mistake.
    ranges = [text.strip() for text in spec.get("loadBalancerSourceRanges") or ()]
    networks = [ipaddress.ip_network(text, strict=False) for text in ranges if family_of(text) == family]
    # 0.0.0.0/0 allows everybody, which is what an empty list means.
    if any(network.prefixlen == 0 for network in networks):
        return ()
    return tuple(str(network) for network in networks)


def selected_by_kube_proxy(service: Obj) -> bool:
    """Does the watch of kube-proxy show it this Service?

    It leaves out headless Services (field selector ``spec.clusterIP!=None``) and those that another proxy serves (label
    ``service.kubernetes.io/service-proxy-name``). The label ``service.kubernetes.io/headless`` on a Service means
    nothing: it counts on slices only. Source: cmd/kube-proxy/app/server.go.
    """
    return service["spec"].get("clusterIP") != "None" and LABEL_SERVICE_PROXY_NAME not in labels_of(service)


def service_ports(service: Obj, family: str) -> dict[ServicePortName, ServicePort]:
    """The part of the ServiceMap that one Service makes: empty for one that is not proxied in this family.

    >>> web = {"metadata": {"namespace": "demo", "name": "web"},
    ...        "spec": {"clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}}
    >>> [(str(name), port.cluster_ip, port.port) for name, port in service_ports(web, "IPv4").items()]
    [('demo/web:http', '10.96.0.9', 80)]
    >>> service_ports(web, "IPv6")
    {}
    """
    spec = service["spec"]
    cluster_ip = _cluster_ip(service, family)
    if not cluster_ip or spec.get("type") == "ExternalName" or not selected_by_kube_proxy(service):
        return {}
    key = NamespacedName(namespace_of(service), name_of(service))
    service_type = spec.get("type", "ClusterIP")
    external_local = service_type in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    external_local = external_local and spec.get("externalTrafficPolicy") == "Local"
    sticky = 0
    if spec.get("sessionAffinity") == "ClientIP":
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        sticky = int(config.get("timeoutSeconds") or 10800)
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    # ipMode "Proxy" says that the load balancer wants to see the traffic even from inside: kube-proxy leaves it alone.
    vips = [i["ip"] for i in ingress if i.get("ip") and i.get("ipMode", "VIP") == "VIP"]
    health_check = service_type == "LoadBalancer" and external_local
    common = {
        "cluster_ip": cluster_ip,
        "external_ips": _of_family(spec.get("externalIPs"), family),
        "load_balancer_vips": _of_family(vips, family),
        "source_ranges": _source_ranges(spec, family),
        "sticky_seconds": sticky,
        "external_policy_local": external_local,
        "internal_policy_local": spec.get("internalTrafficPolicy") == "Local",
        "health_check_node_port": int(spec.get("healthCheckNodePort") or 0) if health_check else 0,
    }
    return {
        ServicePortName(key, port.get("name") or "", port.get("protocol") or "TCP"): ServicePort(
            port=int(port["port"]),
            protocol=port.get("protocol") or "TCP",
            node_port=int(port.get("nodePort") or 0),
            **common,
        )
        for port in spec.get("ports") or ()
    }


ServiceMap = dict[ServicePortName, ServicePort]


@dataclass(slots=True)
class _Change:
    previous: ServiceMap
    current: ServiceMap


@dataclass(slots=True)
class ServiceChangeTracker:
    """Gathers the changes of Services between two syncs, so that ten updates of one Service cost one.

    For each changed Service it keeps the state at the last sync and the newest state. Where the two become equal again,
    there is nothing to do and the change is forgotten.
    """

    family: str
    items: dict[NamespacedName, _Change] = field(default_factory=dict)

    def update(self, previous: Obj | None, current: Obj | None) -> bool:
        """Note an add (`previous` is None), an update or a delete (`current` is None). Is a sync needed?"""
        service = current if current is not None else previous
        if service is None:
            return False
        key = NamespacedName(namespace_of(service), name_of(service))
        change = self.items.get(key)
        if change is None:
            before = service_ports(previous, self.family) if previous is not None else {}
            change = self.items[key] = _Change(before, {})
        change.current = service_ports(current, self.family) if current is not None else {}
        if change.previous == change.current:
            del self.items[key]
        return bool(self.items)

    def apply(self, service_map: ServiceMap) -> set[NamespacedName]:
        """Bring `service_map` up to date and forget the changes. Returns the Services that changed."""
        updated = set(self.items)
        for change in self.items.values():
            for name in change.previous.keys() - change.current.keys():
                service_map.pop(name, None)
            service_map.update(change.current)
        self.items.clear()
        return updated


def health_check_node_ports(service_map: Mapping[ServicePortName, ServicePort]) -> dict[NamespacedName, int]:
    """The Services that have a ``healthCheckNodePort``, and the port."""
    return {
        name.service: port.health_check_node_port for name, port in service_map.items() if port.health_check_node_port
    }
