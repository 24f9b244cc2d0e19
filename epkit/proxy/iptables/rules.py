"""The rules of one service port, as kube-proxy's iptables backend writes them.

The way through them (table nat, except where it says filter):

    KUBE-SERVICES ──cluster IP──────────────────────────> KUBE-SVC-… or KUBE-SVL-…   (internalTrafficPolicy)
        │   ├──external IP, load balancer─> KUBE-EXT-… ─> KUBE-SVC-… or KUBE-SVL-…   (externalTrafficPolicy)
        │   └──load balancer with ranges──> KUBE-FW-… ──> KUBE-EXT-…
        └──an address of the node─> KUBE-NODEPORTS ─────> KUBE-EXT-…
    KUBE-SVC-… (all endpoints) and KUBE-SVL-… (this node's) ──by chance──> KUBE-SEP-… ──> DNAT

    filter: KUBE-SERVICES and KUBE-EXTERNAL-SERVICES reject or drop what no nat rule translated, for want of endpoints.

Source: pkg/proxy/iptables/proxier.go of Kubernetes v1.36 (syncProxyRules, writeServiceToEndpointRules).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from epkit.proxy.backend import LocalServicePort
from epkit.proxy.endpoints import Endpoint
from epkit.proxy.names import ServicePortName, iptables_endpoint_chain, iptables_hash


@dataclass(slots=True)
class Lines:
    """What goes to iptables-restore: ":CHAIN" lines and "-A" lines of both tables."""

    filter_chains: list[str] = field(default_factory=list)
    filter_rules: list[str] = field(default_factory=list)
    nat_chains: list[str] = field(default_factory=list)
    nat_rules: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The input of ``iptables-restore --noflush``."""
        parts = ["*filter", *self.filter_chains, *self.filter_rules, "COMMIT"]
        parts += ["*nat", *self.nat_chains, *self.nat_rules, "COMMIT"]
        return "\n".join(parts) + "\n"


def chain_line(chain: str) -> str:
    """The line that makes a chain, or empties it."""
    return f":{chain} - [0:0]"


@dataclass(frozen=True, slots=True)
class ServiceChains:
    """The chains of one service port, and what of a rule is the same in all of them."""

    name: str
    protocol: str
    cluster: str
    local: str
    external: str
    firewall: str

    @staticmethod
    def of(name: ServicePortName) -> ServiceChains:
        suffix = iptables_hash(name)
        return ServiceChains(
            str(name),
            name.protocol.lower(),
            *(f"KUBE-{kind}-{suffix}" for kind in ("SVC", "SVL", "EXT", "FW")),
        )

    def to(self, comment: str, destination: str, port: int) -> str:
        """The match for packets to one address and port."""
        return (
            f'-m comment --comment "{self.name} {comment}" -m {self.protocol} -p {self.protocol} '
            f"-d {destination} --dport {port}"
        )


@dataclass(frozen=True, slots=True)
class RuleWriter:
    """Writes the rules of service ports. `cluster_cidr` is "" where local traffic cannot be told from other traffic."""

    ipv6: bool
    node_ip: str
    cluster_cidr: str
    large_cluster_mode: bool

    def write_dispatch(self, sp: LocalServicePort, chains: ServiceChains, out: Lines) -> None:
        """The rules in the chains that all services share. They are rewritten at every sync, changed or not."""
        self._cluster_ip(sp, chains, out)
        self._external_addresses(sp, chains, out)
        self._node_port(sp, chains, out)
        if sp.port.health_check_node_port:
            out.filter_rules.append(
                f'-A KUBE-NODEPORTS -m comment --comment "{chains.name} health check node port" '
                f"-m tcp -p tcp --dport {sp.port.health_check_node_port} -j ACCEPT"
            )

    def write_chains(self, sp: LocalServicePort, chains: ServiceChains, out: Lines) -> list[str]:
        """The service port's own chains. Returns their names."""
        used: list[str] = []
        if sp.has_internal_endpoints and self.cluster_cidr:
            # Off-cluster traffic to a cluster IP may come over any node, so the answer has to come back over this one.
            chain = chains.local if sp.port.internal_policy_local else chains.cluster
            to = chains.to("cluster IP", sp.port.cluster_ip, sp.port.port)
            out.nat_rules.append(f"-A {chain} {to} ! -s {self.cluster_cidr} -j KUBE-MARK-MASQ")
        if sp.uses_external_chain:
            used.append(chains.external)
            self._external_chain(sp, chains, out)
        if sp.has_endpoints and sp.firewalled:
            used.append(chains.firewall)
            self._firewall_chain(sp, chains, out)
        for chain, endpoints, needed in (
            (chains.cluster, sp.cluster, sp.uses_cluster_chain),
            (chains.local, sp.local, sp.uses_local_chain),
        ):
            if needed:
                used.append(chain)
                self._choice(sp, chains, chain, endpoints, out)
        used += self._endpoint_chains(sp, chains, out)
        out.nat_chains += map(chain_line, used)
        return used

    # The shared chains --------------------------------------------------------------------------------------------

    def _cluster_ip(self, sp: LocalServicePort, chains: ServiceChains, out: Lines) -> None:
        ip, port = sp.port.cluster_ip, sp.port.port
        if sp.has_internal_endpoints:
            target = chains.local if sp.port.internal_policy_local else chains.cluster
            out.nat_rules.append(f"-A KUBE-SERVICES {chains.to('cluster IP', ip, port)} -j {target}")
        else:
            comment, target = _refusal(sp)
            out.filter_rules.append(f"-A KUBE-SERVICES {chains.to(comment, ip, port)} -j {target}")

    def _external_addresses(self, sp: LocalServicePort, chains: ServiceChains, out: Lines) -> None:
        port = sp.port.port
        balanced = chains.firewall if sp.firewalled else chains.external
        if sp.has_endpoints:
            for ip in sp.port.external_ips:
                out.nat_rules.append(f"-A KUBE-SERVICES {chains.to('external IP', ip, port)} -j {chains.external}")
            for ip in sp.port.load_balancer_vips:
                out.nat_rules.append(f"-A KUBE-SERVICES {chains.to('loadbalancer IP', ip, port)} -j {balanced}")
                if sp.firewalled:
                    not_accepted = chains.to(f"traffic not accepted by {chains.firewall}", ip, port)
                    out.filter_rules.append(f"-A KUBE-PROXY-FIREWALL {not_accepted} -j DROP")
        if not sp.has_external_endpoints:
            comment, target = _refusal(sp)
            for ip in (*sp.port.external_ips, *sp.port.load_balancer_vips):
                out.filter_rules.append(f"-A KUBE-EXTERNAL-SERVICES {chains.to(comment, ip, port)} -j {target}")

    def _node_port(self, sp: LocalServicePort, chains: ServiceChains, out: Lines) -> None:
        port, protocol = sp.port.node_port, chains.protocol
        if not port:
            return
        comment = f'-m comment --comment "{chains.name}"'
        if sp.has_endpoints:
            if not self.ipv6:  # counted apart: kube-proxy would like to know who still uses node ports on localhost
                out.nat_rules.append(
                    f"-A KUBE-NODEPORTS {comment} -m {protocol} -p {protocol} -d 127.0.0.0/8 --dport {port} "
                    f"-m nfacct --nfacct-name localhost_nps_accepted_pkts -j {chains.external}"
                )
            out.nat_rules.append(
                f"-A KUBE-NODEPORTS {comment} -m {protocol} -p {protocol} --dport {port} -j {chains.external}"
            )
        if not sp.has_external_endpoints:
            reason, target = _refusal(sp)
            out.filter_rules.append(
                f'-A KUBE-EXTERNAL-SERVICES -m comment --comment "{chains.name} {reason}" -m addrtype --dst-type LOCAL '
                f"-m {protocol} -p {protocol} --dport {port} -j {target}"
            )

    # The service port's own chains --------------------------------------------------------------------------------

    def _external_chain(self, sp: LocalServicePort, chains: ServiceChains, out: Lines) -> None:
        append, comment = f"-A {chains.external}", f"{chains.name} external destinations"
        rules = out.nat_rules
        if not sp.port.external_policy_local:
            # The endpoint may be on another node; its answer has to come back over this one.
            rules.append(f'{append} -m comment --comment "masquerade traffic for {comment}" -j KUBE-MARK-MASQ')
        else:
            # Traffic from inside the cluster is treated as if it had gone out to a load balancer and come back in at
            # a node with endpoints: it may use all of them.
            if self.cluster_cidr:
                rules.append(
                    f'{append} -m comment --comment "pod traffic for {comment}" '
                    f"-s {self.cluster_cidr} -j {chains.cluster}"
                )
            local = "-m addrtype --src-type LOCAL"
            rules.append(
                f'{append} -m comment --comment "masquerade LOCAL traffic for {comment}" {local} -j KUBE-MARK-MASQ'
            )
            rules.append(
                f'{append} -m comment --comment "route LOCAL traffic for {comment}" {local} -j {chains.cluster}'
            )
        if sp.has_external_endpoints:
            rules.append(f"{append} -j {chains.local if sp.port.external_policy_local else chains.cluster}")

    def _firewall_chain(self, sp: LocalServicePort, chains: ServiceChains, out: Lines) -> None:
        append = f'-A {chains.firewall} -m comment --comment "{chains.name} loadbalancer IP"'
        sources = list(sp.port.source_ranges)
        if self.node_ip and any(ip_address(self.node_ip) in ip_network(source) for source in sources):
            # The load balancer's address is often local to the node, and then it is the source as well.
            sources += sp.port.load_balancer_vips
        out.nat_rules += [f"{append} -s {source} -j {chains.external}" for source in sources]
        # What gets here was not translated, and KUBE-PROXY-FIREWALL in the filter table will drop it.
        comment = f"other traffic to {chains.name} will be dropped by KUBE-PROXY-FIREWALL"
        out.nat_rules.append(f'-A {chains.firewall} -m comment --comment "{comment}"')

    def _comment(self, text: str) -> str:
        """Comments take 40 % of the text, so in large clusters the chains with many rules go without."""
        return "" if self.large_cluster_mode else f' -m comment --comment "{text}"'

    def _choice(
        self, sp: LocalServicePort, chains: ServiceChains, chain: str, endpoints: Sequence[Endpoint], out: Lines
    ) -> None:
        """Rules that pick an endpoint: the one that this client had before, else one by chance.

        The i-th of n rules gets its turn when all before it passed, so its probability is 1/(n-i): each endpoint is
        picked with 1/n in the end.
        """
        picks = [(iptables_endpoint_chain(sp.name, str(e)), self._comment(f"{chains.name} -> {e}")) for e in endpoints]
        if sp.port.sticky_seconds:
            within = f"--rcheck --seconds {sp.port.sticky_seconds} --reap"
            out.nat_rules += [
                f"-A {chain}{comment} -m recent --name {pick} {within} -j {pick}" for pick, comment in picks
            ]
        n = len(picks)
        for i, (pick, comment) in enumerate(picks):
            chance = f" -m statistic --mode random --probability {1 / (n - i):0.10f}" if i < n - 1 else ""
            out.nat_rules.append(f"-A {chain}{comment}{chance} -j {pick}")

    def _endpoint_chains(self, sp: LocalServicePort, chains: ServiceChains, out: Lines) -> list[str]:
        comment, used = self._comment(chains.name), []
        for endpoint in sp.reachable:
            text = str(endpoint)
            chain = iptables_endpoint_chain(sp.name, text)
            used.append(chain)
            # A pod that reaches itself must not see its own address as the source: it would answer past the node.
            out.nat_rules.append(f"-A {chain}{comment} -s {endpoint.ip} -j KUBE-MARK-MASQ")
            sticky = f" -m recent --name {chain} --set" if sp.port.sticky_seconds else ""
            out.nat_rules.append(
                f"-A {chain}{comment}{sticky} -m {chains.protocol} -p {chains.protocol} -j DNAT --to-destination {text}"
            )
        return used


def _refusal(sp: LocalServicePort) -> tuple[str, str]:
    """Comment and target for packets that no endpoint is there for.

    Without any endpoint they are rejected, so that the client knows at once. With endpoints on other nodes only, they
    are dropped: a load balancer that has not noticed yet tries again.
    """
    return ("has no local endpoints", "DROP") if sp.has_endpoints else ("has no endpoints", "REJECT")
