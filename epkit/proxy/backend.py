"""What a backend is given, and what it gives back.

A backend writes rules. It knows nothing of the API: it gets a `LocalServicePort` for each service port, in which all
choices have been made for this node, and the set of Services that changed since last time. Both backends, and both ways
of running them (`epkit.proxy.proxier`: kube-proxy's; `epkit.proxy.kpng`: KPNG's) meet here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from epkit.proxy.endpoints import Endpoint
from epkit.proxy.names import NamespacedName, ServicePortName
from epkit.proxy.netfilter.packet import Ruleset
from epkit.proxy.node import NodeView
from epkit.proxy.services import ServicePort
from epkit.proxy.topology import categorize_endpoints


@dataclass(frozen=True, slots=True)
class LocalServicePort:
    """One service port as one node has to serve it.

    "Internal" is traffic to the cluster IP, "external" is traffic to node ports, external IPs and load balancers. The
    two may have different endpoints, and the properties say which chains that takes.
    """

    name: ServicePortName
    port: ServicePort
    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    reachable: tuple[Endpoint, ...]
    has_endpoints: bool
    total_endpoints: int  # ready or not, here or elsewhere: what large cluster mode counts

    @property
    def uses_cluster_chain(self) -> bool:
        return bool(self.cluster) and self.port.uses_cluster_endpoints

    @property
    def uses_local_chain(self) -> bool:
        return bool(self.local) and self.port.uses_local_endpoints

    @property
    def has_internal_endpoints(self) -> bool:
        return self.has_endpoints and not (self.port.internal_policy_local and not self.local)

    @property
    def has_external_endpoints(self) -> bool:
        return self.has_endpoints and not (self.port.external_policy_local and not self.local)

    @property
    def uses_external_chain(self) -> bool:
        """True even without external endpoints: traffic from inside the cluster is short circuited to all endpoints."""
        return self.has_endpoints and self.port.externally_accessible

    @property
    def firewalled(self) -> bool:
        return bool(self.port.load_balancer_vips and self.port.source_ranges)


def local_service_port(
    name: ServicePortName, port: ServicePort, endpoints: tuple[Endpoint, ...], node: NodeView
) -> LocalServicePort:
    """Make all choices for one service port on one node. The `is_local` of the endpoints has to be that node's."""
    found = categorize_endpoints(endpoints, port, node.name, node.zone)
    return LocalServicePort(name, port, found.cluster, found.local, found.reachable, found.has_any, len(endpoints))


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one sync did.

    `full`: was everything rewritten, or only what changed? `lines`: lines handed to ``iptables-restore``, or commands
    handed to ``nft``. `rules`: rules and elements that are in the kernel afterwards. `services`: the Services that had
    changed. `transaction`: the very text that was handed over. `conntrack_deleted`: stale UDP flows removed.
    """

    full: bool
    lines: int
    rules: int
    services: frozenset[NamespacedName]
    transaction: str
    conntrack_deleted: int = 0


class Backend(Protocol):
    """A writer of rules: `epkit.proxy.iptables.IptablesBackend`, `epkit.proxy.nftables.NftablesBackend`."""

    def sync(
        self,
        service_ports: Mapping[ServicePortName, LocalServicePort],
        changed: Collection[NamespacedName],
        *,
        full: bool,
        now: float,
    ) -> SyncReport:
        """Make the kernel's rules serve `service_ports`. Where not `full`, chains of Services not in `changed` stay."""
        ...

    def rules(self) -> str:
        """The rules as the kernel's own tool lists them."""
        ...

    def ruleset(self) -> Ruleset:
        """The same rules, read for packets to walk."""
        ...

    @property
    def large_cluster_mode(self) -> bool: ...
