"""`Proxy`: kube-proxy on one node, in one address family.

This is kube-proxy's own shape: every node watches *all* Services and slices of the cluster and chooses for itself.

    Services ───────> ServiceChangeTracker ──> ServiceMap ───┐
    EndpointSlices ─> EndpointsChangeTracker ─> EndpointsMap ┼─ categorize_endpoints ─> backend ─> rules
    this Node ──────────────────────────────────────────────┘

`epkit.proxy.kpng` has the other one, in which one process chooses for all nodes.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterable
from dataclasses import replace

from epkit.objects import Obj, name_of, namespace_of
from epkit.proxy.backend import Backend, SyncReport, local_service_port
from epkit.proxy.endpoints import EndpointsChangeTracker, EndpointsMap, local_ready_endpoints
from epkit.proxy.errors import ProxyError
from epkit.proxy.health import HealthCheck
from epkit.proxy.iptables import IptablesBackend
from epkit.proxy.names import NamespacedName, family_of, join_host_port
from epkit.proxy.netfilter.conntrack import Conntrack
from epkit.proxy.netfilter.host import Host
from epkit.proxy.netfilter.packet import Sent
from epkit.proxy.nftables import NftablesBackend
from epkit.proxy.node import DEFAULT_CLUSTER_CIDR, DEFAULT_SERVICE_CIDR, NodeView, cidrs_of_family, find_node, node_view
from epkit.proxy.runner import ManualClock
from epkit.proxy.services import ServiceChangeTracker, ServiceMap, health_check_node_ports
from epkit.proxy.validate import check_objects

#: Everything is written anew after this many seconds, changed or not. Not in large clusters.
FULL_SYNC_PERIOD = 3600.0


def make_backend(mode: str, node: NodeView, cluster_cidr: str | None, service_cidr: str | None) -> Backend:
    """The backend for a mode. The ranges may be of both families, comma separated. Raises `ProxyError`."""
    cluster = cidrs_of_family(cluster_cidr, node.family, "cluster-cidr")
    if len(cluster) > 1:
        raise ProxyError(f"cluster-cidr: one range of each family at most, not {', '.join(cluster)}")
    if mode == "iptables":
        return IptablesBackend(node, "".join(cluster))
    if mode == "nftables":
        return NftablesBackend(node, "".join(cluster), cidrs_of_family(service_cidr, node.family, "service-cidr"))
    raise ProxyError(f"unknown mode {mode!r}: iptables or nftables")


class Proxy:
    """kube-proxy on the node called `node`.

    `cluster_cidr` is where pods live: what comes from there is not masqueraded on its way to a cluster IP; None
    switches the difference off. `service_cidr` is where cluster IPs are taken from; only nftables uses it. Both may
    name a range of each family, comma separated; the defaults are those of kind. `now` gives the time in seconds for
    session affinity, conntrack and clean-up; without it time stands still until `proxy.clock.advance(seconds)`.

    >>> objects = load("web.yaml")                        # a list of API objects: Nodes, Services, EndpointSlices
    >>> proxy = Proxy("node-1", mode="iptables")
    >>> proxy.sync(objects).full
    True
    >>> print(proxy.rules())                              # what iptables-save prints on that node
    >>> proxy.send("10.244.1.100", "10.96.0.9", 80, n=300).answers
    Counter({'10.244.1.2:8080': 158, '10.244.2.2:8080': 142})
    >>> print(proxy.send("10.244.1.100", "10.96.0.9", 80))   # the way of one packet, rule by rule
    """

    def __init__(
        self,
        node: str,
        mode: str = "iptables",
        family: str = "IPv4",
        *,
        cluster_cidr: str | None = DEFAULT_CLUSTER_CIDR,
        service_cidr: str | None = DEFAULT_SERVICE_CIDR,
        now: Callable[[], float] | None = None,
    ) -> None:
        if family not in ("IPv4", "IPv6"):
            raise ProxyError(f"unknown family {family!r}: IPv4 or IPv6")
        self.node_name, self.mode, self.family = node, mode, family
        self.clock = ManualClock()
        self.now = now or self.clock
        self.service_map: ServiceMap = {}
        self.endpoints_map: EndpointsMap = {}
        self._service_changes = ServiceChangeTracker(family)
        self._endpoints_changes = EndpointsChangeTracker(family, node)
        self._objects: dict[tuple[str, str, str], Obj] = {}
        self._cidrs = (cluster_cidr, service_cidr)
        self._backend = make_backend(mode, NodeView(node, "", family, "", frozenset()), cluster_cidr, service_cidr)
        self._host: Host | None = None
        self._need_full_sync = True
        self._last_full_sync = 0.0
        self.last_report = SyncReport(False, 0, 0, frozenset(), "")

    # What kube-proxy watches -----------------------------------------------------------------------------------------

    def update(self, objects: Iterable[Obj]) -> bool:
        """Take `objects` for the whole state of the cluster, and note what changed. Is a sync needed?

        Services, EndpointSlices and Nodes are read; other kinds are passed over, Endpoints too: kube-proxy has not read
        those since v1.19. Objects are not changed. Raises `ObjectError` for what Kubernetes would refuse, and then
        nothing is noted.
        """
        found = {(o["kind"], namespace_of(o), name_of(o)): o for o in check_objects(objects, known=self._objects)}
        self._node_update(find_node((o for (kind, _, _), o in found.items() if kind == "Node"), self.node_name))
        needed = self._need_full_sync
        for key in self._objects.keys() | found.keys():
            before, after = self._objects.get(key), found.get(key)
            if before is after:
                continue
            if key[0] == "Service":
                needed = self._service_changes.update(before, after) or needed
            elif key[0] == "EndpointSlice":
                needed = self._slice_update(before, after) or needed
        self._objects = found
        return needed

    def _slice_update(self, before: Obj | None, after: Obj | None) -> bool:
        needed = False
        if before is not None and (after is None or _belongs(before) != _belongs(after)):
            needed = self._endpoints_changes.update(before, removed=True)
        return (self._endpoints_changes.update(after) or needed) if after is not None else needed

    def _node_update(self, node: Obj) -> None:
        view = node_view(node, self.family)
        if self._host is not None and view == self._host.node:
            return
        # Labels decide about zone hints, so every service may be affected. (Were the addresses to change, the real
        # kube-proxy would end and be started again.)
        conntrack = self._host.conntrack if self._host is not None else Conntrack(self.now)
        if self._host is None or view.ip != self._host.node.ip:
            self._backend = make_backend(self.mode, view, *self._cidrs)
        self._host = Host(view, self._backend.ruleset(), self.now)
        self._host.conntrack = conntrack
        self._need_full_sync = True

    # Syncing ---------------------------------------------------------------------------------------------------------

    def sync(self, objects: Iterable[Obj]) -> SyncReport:
        """`update`, and a sync at once. Where nothing changed nothing is written, and the report has 0 lines."""
        if self.update(objects):
            return self.sync_proxy_rules()
        return SyncReport(False, 0, 0, frozenset(), "")

    def sync_proxy_rules(self) -> SyncReport:
        """Bring the rules up to date: full the first time, after a failure, after a change of the node's labels and
        every hour, else partial.

        Raises `SyncError` where the kernel refuses; the next sync is full then.
        """
        if self._host is None:
            raise ProxyError("nothing to sync: give the proxy its objects with update() or sync() first")
        now, node = self.now(), self._host.node
        hourly = now - self._last_full_sync > FULL_SYNC_PERIOD and not self._backend.large_cluster_mode
        full = self._need_full_sync or hourly
        changed = self._service_changes.apply(self.service_map)
        update = self._endpoints_changes.apply(self.endpoints_map)
        ports = {
            name: local_service_port(name, port, self.endpoints_map.get(name, ()), node)
            for name, port in self.service_map.items()
        }
        self._need_full_sync = True  # until it is known to have worked: the changes have been used up
        report = self._backend.sync(ports, changed | update.services, full=full, now=now)
        self._need_full_sync = False
        if full:
            self._last_full_sync = now
        if update.conntrack_cleanup:
            report = replace(report, conntrack_deleted=self._clean_stale_udp(self._host.conntrack))
        self.last_report = report
        return report

    def _clean_stale_udp(self, conntrack: Conntrack) -> int:
        frontends: dict[str, set[str]] = {}
        node_ports: dict[int, set[str]] = {}
        for name, port in self.service_map.items():
            serving = {str(endpoint) for endpoint in self.endpoints_map.get(name, ()) if endpoint.serving}
            # A Service without any serving endpoint is passed over, in v1.32 to v1.36 at least: its senders go on
            # sending to where the last endpoint was (kubernetes/kubernetes#139628).
            if port.protocol != "UDP" or not serving:
                continue
            for ip in (port.cluster_ip, *port.load_balancer_vips, *port.external_ips):
                frontends[join_host_port(ip, port.port)] = serving
            if port.node_port:
                node_ports[port.node_port] = serving
        return conntrack.clean_stale_udp(frontends, node_ports)

    # What came of it -------------------------------------------------------------------------------------------------

    @property
    def host(self) -> Host:
        """The node's network stack, with the rules loaded. Raises `ProxyError` before the first sync."""
        if self._host is None:
            raise ProxyError("there are no rules yet: give the proxy its objects with sync() first")
        return self._host

    @property
    def conntrack(self) -> Conntrack:
        """The flows that the node remembers."""
        return self.host.conntrack

    def rules(self) -> str:
        """The rules as ``iptables-save`` (filter and nat) or ``nft -s list table ip kube-proxy`` prints them."""
        return self._backend.rules()

    def health_check(self, port: int) -> HealthCheck | None:
        """The answer on a ``healthCheckNodePort``; None where nothing listens on that port."""
        local = local_ready_endpoints(self.endpoints_map)
        for service, health_check_port in health_check_node_ports(self.service_map).items():
            if health_check_port == port:
                return HealthCheck(service, port, local.get(service, 0))
        return None

    def send(
        self,
        src: str,
        dst_ip: str,
        dst_port: int,
        protocol: str = "TCP",
        n: int = 1,
        seed: int = 0,
        src_port: int | None = None,
    ) -> Sent:
        """Send the first packet of `n` connections through the rules that were written, and tell where each went.

        `src` is where they come from: an address, or this node's name for the node itself. Anything that is no address
        of this node is taken to come in from outside it, from one of its pods or over the wire. Each of the `n` is a
        new connection, closed at once. With a `src_port` it is one flow that stays in conntrack: sending with the same
        port again continues it, whatever the rules say by then.

        Raises `ProxyError` for addresses of the wrong family and for sources that no packet can come from. A packet
        that nobody wants is no error: see `Walk.outcome`.

        >>> proxy.send("198.51.100.7", "172.18.0.2", 30080, n=100, seed=7).outcomes
        Counter({'delivered': 100})
        """
        dst = self._address("destination", dst_ip)
        source = self.host.node.source_for(dst) if src == self.node_name else self._address("source", src)
        self._check_source(source)
        protocol = protocol.upper()
        if protocol not in ("TCP", "UDP", "SCTP"):
            raise ProxyError(f"unknown protocol {protocol!r}: TCP, UDP or SCTP")
        if not 1 <= dst_port <= 65535:
            raise ProxyError(f"{dst_port} is not a port: 1 to 65535")
        rng = random.Random(seed)
        return Sent(tuple(self.host.send(source, dst, dst_port, protocol, rng, src_port) for _ in range(n)))

    def _address(self, what: str, text: str) -> str:
        try:
            address = str(ipaddress.ip_address(text))
        except ValueError:
            also = f", nor the name of this node, {self.node_name}" if what == "source" else ""
            raise ProxyError(f"{what}: {text!r} is not an address{also}") from None
        if family_of(address) != self.family:
            raise ProxyError(f"{what}: {address} is {family_of(address)}, and this proxy serves {self.family}")
        return address

    def _check_source(self, source: str) -> None:
        address = ipaddress.ip_address(source)
        if address.is_unspecified or address.is_multicast or source == "255.255.255.255":
            raise ProxyError(f"source: nobody owns {source}, so no packet comes from it")
        for name, port in self.service_map.items():
            if source == port.cluster_ip:
                raise ProxyError(
                    f"source: {source} is the cluster IP of {name.service}; nobody owns it, so no packet comes from it"
                )


def _belongs(endpoint_slice: Obj) -> tuple[NamespacedName, str]:
    """The Service and family that a slice counts for."""
    labels = endpoint_slice["metadata"].get("labels") or {}
    service = NamespacedName(namespace_of(endpoint_slice), labels.get("kubernetes.io/service-name", ""))
    return service, endpoint_slice["addressType"]
