"""The elements and chains of one service port, as kube-proxy's nftables backend writes them.

Source: pkg/proxy/nftables/proxier.go of Kubernetes v1.36 (syncProxyRules, writeServiceToEndpointRules).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from epkit.proxy.backend import LocalServicePort
from epkit.proxy.endpoints import Endpoint
from epkit.proxy.names import ServicePortName, nft_base, nft_endpoint_base
from epkit.proxy.nftables.table import MASQUERADE_MARK, Commands

#: One element: (set or map, key, verdict or "", comment or "").
Element = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class ServiceChains:
    """The chains of one service port."""

    name: str
    protocol: str
    cluster: str
    local: str
    external: str
    firewall: str

    @staticmethod
    def of(name: ServicePortName) -> ServiceChains:
        base = nft_base(name)
        return ServiceChains(
            str(name),
            name.protocol.lower(),
            *(f"{kind}-{base}" for kind in ("service", "local", "external", "firewall")),
        )


def used_chains(sp: LocalServicePort, chains: ServiceChains) -> list[str]:
    """The chains that a service port needs. Endpoints have chains of their own only with session affinity."""
    used = [f"endpoint-{nft_endpoint_base(sp.name, str(e))}" for e in sp.reachable] if sp.port.sticky_seconds else []
    for chain, needed in (
        (chains.cluster, sp.uses_cluster_chain),
        (chains.local, sp.uses_local_chain),
        (chains.external, sp.uses_external_chain),
        (chains.firewall, sp.firewalled),
    ):
        if needed:
            used.append(chain)
    return used


def affinity_sets(sp: LocalServicePort) -> list[str]:
    """The sets in which an endpoint's clients are remembered."""
    return [f"affinity-{nft_endpoint_base(sp.name, str(e))}" for e in sp.reachable] if sp.port.sticky_seconds else []


def elements(sp: LocalServicePort, chains: ServiceChains) -> Iterator[Element]:
    """What a service port adds to the sets and maps that all services share."""
    port, protocol = sp.port, chains.protocol
    refuse = "drop" if sp.has_endpoints else "goto reject-chain"

    def at(ip: str) -> str:
        return f"{ip} . {protocol} . {port.port}"

    yield "cluster-ips", port.cluster_ip, "", ""
    if sp.has_internal_endpoints:
        target = chains.local if port.internal_policy_local else chains.cluster
        yield "service-ips", at(port.cluster_ip), f"goto {target}", ""
    else:
        yield "no-endpoint-services", at(port.cluster_ip), refuse, chains.name
    for ip in (*port.external_ips, *port.load_balancer_vips):
        if sp.has_endpoints:
            yield "service-ips", at(ip), f"goto {chains.external}", ""
        if not sp.has_external_endpoints:
            yield "no-endpoint-services", at(ip), refuse, chains.name
    if sp.firewalled:
        for ip in port.load_balancer_vips:
            yield "firewall-ips", at(ip), f"goto {chains.firewall}", ""
    if port.node_port:
        key = f"{protocol} . {port.node_port}"
        if sp.has_endpoints:
            yield "service-nodeports", key, f"goto {chains.external}", ""
        if not sp.has_external_endpoints:
            yield "no-endpoint-nodeports", key, refuse, chains.name
    for endpoint in sp.reachable:
        if endpoint.is_local:  # only a pod of this node can reach itself through this node's rules
            yield "hairpin-connections", f"{endpoint.ip} . {endpoint.ip} . {protocol} . {endpoint.port}", "", ""


@dataclass(frozen=True, slots=True)
class ChainWriter:
    """Writes the chains of service ports. `cluster_cidr` is "" where local traffic cannot be told from other
    traffic."""

    commands: Commands
    node_ip: str
    cluster_cidr: str

    def write(self, sp: LocalServicePort, chains: ServiceChains) -> Iterator[str]:
        """The commands for all chains of a service port, which `used_chains` names."""
        c = self.commands
        for chain in used_chains(sp, chains):
            yield from c.chain(chain)
        if sp.uses_external_chain:
            yield from self._external(sp, chains)
        if sp.firewalled:
            yield c.rule(chains.firewall, self._firewall(sp))
        for name in affinity_sets(sp):
            yield c("add", "set", name, self._affinity_set(sp))
        if sp.uses_cluster_chain:
            yield from self._choice(sp, chains, chains.cluster, sp.cluster)
        if sp.uses_local_chain:
            yield from self._choice(sp, chains, chains.local, sp.local)
        if sp.port.sticky_seconds:
            yield from self._endpoints(sp, chains)

    def _external(self, sp: LocalServicePort, chains: ServiceChains) -> Iterator[str]:
        c, chain, mark = self.commands, chains.external, f"mark set mark or {MASQUERADE_MARK}"
        if not sp.port.external_policy_local:
            # The endpoint may be on another node; its answer has to come back over this one.
            yield c.rule(chain, mark, "masquerade")
        else:
            # Traffic from inside the cluster is treated as if it had gone out to a load balancer and come back in at a
            # node with endpoints: it may use all of them.
            if self.cluster_cidr:
                yield c.rule(
                    chain, f"{c.ip} saddr {self.cluster_cidr} goto {chains.cluster}", "short-circuit pod traffic"
                )
            yield c.rule(chain, f"fib saddr type local {mark}", "masquerade local traffic")
            yield c.rule(chain, f"fib saddr type local goto {chains.cluster}", "short-circuit local traffic")
        if sp.has_external_endpoints:
            yield c.rule(chain, f"goto {chains.local if sp.port.external_policy_local else chains.cluster}")

    def _firewall(self, sp: LocalServicePort) -> str:
        sources = list(sp.port.source_ranges)
        if self.node_ip and any(ip_address(self.node_ip) in ip_network(source) for source in sources):
            # The load balancer's address is often local to the node, and then it is the source as well.
            sources += sp.port.load_balancer_vips
        return f"{self.commands.ip} saddr != {{ {' , '.join(sources)} }} drop"

    def _affinity_set(self, sp: LocalServicePort) -> str:
        return f"{{ type {self.commands.addr} ; flags dynamic,timeout ; timeout {sp.port.sticky_seconds}s ; }}"

    def _choice(
        self, sp: LocalServicePort, chains: ServiceChains, chain: str, endpoints: Sequence[Endpoint]
    ) -> Iterator[str]:
        """The rule that picks an endpoint by chance; with session affinity, rules that find the last one before it."""
        c, n = self.commands, len(endpoints)
        if sp.port.sticky_seconds:
            bases = [nft_endpoint_base(sp.name, str(endpoint)) for endpoint in endpoints]
            for base in bases:
                yield c.rule(chain, f"{c.ip} saddr @affinity-{base} goto endpoint-{base}")
            choices = " , ".join(f"{i} : goto endpoint-{base}" for i, base in enumerate(bases))
            yield c.rule(chain, f"numgen random mod {n} vmap {{ {choices} }}")
        else:
            choices = " , ".join(f"{i} : {endpoint.ip} . {endpoint.port}" for i, endpoint in enumerate(endpoints))
            yield c.rule(
                chain,
                f"meta l4proto {chains.protocol} dnat {c.ip} addr . port to numgen random mod {n} map {{ {choices} }}",
            )

    def _endpoints(self, sp: LocalServicePort, chains: ServiceChains) -> Iterator[str]:
        c = self.commands
        for endpoint in sp.reachable:
            base = nft_endpoint_base(sp.name, str(endpoint))
            yield c.rule(f"endpoint-{base}", f"update @affinity-{base} {{ {c.ip} saddr }}")
            yield c.rule(f"endpoint-{base}", f"meta l4proto {chains.protocol} dnat to {endpoint}")
