"""The part of the table that is the same whatever services there are. It is written by a full sync.

    nat-prerouting, nat-output ─jump─> services ──vmap @service-ips──────> service-…, local-… or external-…
                                           └──────vmap @service-nodeports─> external-…
    filter-…-pre-dnat ─────────jump─> firewall-check ──vmap @firewall-ips─> firewall-…      (drops by source)
    filter-input, -forward, -output ──> …-endpoints-check ──vmap @no-endpoint-…─> reject or drop
                                   └──> cluster-ips-check: reject other ports, drop unallocated cluster IPs
    nat-postrouting ───────────jump─> masquerading

Three lookups replace the row of rules that iptables tries one after the other.

Source: pkg/proxy/nftables/proxier.go of Kubernetes v1.36 (setupNFTables).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from epkit.proxy.node import NodeView

TABLE = "kube-proxy"
MASQUERADE_MARK = "0x4000"  # bit 14, ``nftables.masqueradeBit``

#: (chain, type, hook, priority). The firewall looks at packets before their destination is translated; nat-output has
#: the priority that "dstnat" stands for, a name which nft knows in prerouting only.
BASE_CHAINS = (
    ("filter-prerouting-pre-dnat", "filter", "prerouting", "-110"),
    ("filter-output-pre-dnat", "filter", "output", "-110"),
    ("filter-input", "filter", "input", "0"),
    ("filter-forward", "filter", "forward", "0"),
    ("filter-output", "filter", "output", "0"),
    ("nat-prerouting", "nat", "prerouting", "-100"),
    ("nat-output", "nat", "output", "-100"),
    ("nat-postrouting", "nat", "postrouting", "100"),
)
#: (chain, where from, match)
JUMPS = (
    ("nodeport-endpoints-check", "filter-input", "ct state new"),
    ("service-endpoints-check", "filter-input", "ct state new"),
    ("service-endpoints-check", "filter-forward", "ct state new"),
    ("service-endpoints-check", "filter-output", "ct state new"),
    ("firewall-check", "filter-prerouting-pre-dnat", "ct state new"),
    ("firewall-check", "filter-output-pre-dnat", "ct state new"),
    ("services", "nat-output", ""),
    ("services", "nat-prerouting", ""),
    ("masquerading", "nat-postrouting", ""),
    ("cluster-ips-check", "filter-forward", "ct state new"),
    ("cluster-ips-check", "filter-output", "ct state new"),
)
#: (name, type, comment); {addr} is the family's type of address.
SETS = (
    ("hairpin-connections", "{addr} . {addr} . inet_proto . inet_service", "service hairpin connections"),
    ("cluster-ips", "{addr}", "Active ClusterIPs"),
)
MAPS = (
    (
        "no-endpoint-services",
        "{addr} . inet_proto . inet_service : verdict",
        "vmap to drop or reject packets to services with no endpoints",
    ),
    (
        "no-endpoint-nodeports",
        "inet_proto . inet_service : verdict",
        "vmap to drop or reject packets to service nodeports with no endpoints",
    ),
    (
        "firewall-ips",
        "{addr} . inet_proto . inet_service : verdict",
        "destinations that are subject to LoadBalancerSourceRanges",
    ),
    (
        "service-ips",
        "{addr} . inet_proto . inet_service : verdict",
        "ClusterIP, ExternalIP and LoadBalancer IP traffic",
    ),
    ("service-nodeports", "inet_proto . inet_service : verdict", "NodePort traffic"),
)


@dataclass(frozen=True, slots=True)
class Commands:
    """Makes the lines that go to ``nft -f``, for one family."""

    ip: str  # "ip" or "ip6"

    @property
    def addr(self) -> str:
        return "ipv6_addr" if self.ip == "ip6" else "ipv4_addr"

    def __call__(self, verb: str, what: str, name: str = "", rest: str = "") -> str:
        return " ".join(filter(None, (verb, what, self.ip, TABLE, name, rest)))

    def rule(self, chain: str, rule: str, comment: str = "") -> str:
        return self("add", "rule", chain, rule + (f' comment "{comment}"' if comment else ""))

    def chain(self, chain: str) -> list[str]:
        """Make a chain, or empty it."""
        return [self("add", "chain", chain), self("flush", "chain", chain)]


def setup_commands(c: Commands, node: NodeView, cluster_cidr: str, service_cidrs: list[str]) -> Iterator[str]:
    """The commands of a full sync that have nothing to do with any one service."""
    ip, mark = c.ip, MASQUERADE_MARK
    yield c("add", "table", rest='{ comment "rules for kube-proxy" ; }')
    for name, kind, hook, priority in BASE_CHAINS:
        yield c("add", "chain", name, f"{{ type {kind} hook {hook} priority {priority} ; }}")
        yield c("flush", "chain", name)
    made = set[str]()
    for chain, source, match in JUMPS:
        if chain not in made:
            made.add(chain)
            yield from c.chain(chain)
        yield c.rule(source, f"{match} jump {chain}".strip())
    for name, kind, comment in SETS:
        yield c("add", "set", name, f'{{ type {kind.format(addr=c.addr)} ; comment "{comment}" ; }}')
        yield c("flush", "set", name)
    for name, kind, comment in MAPS:
        yield c("add", "map", name, f'{{ type {kind.format(addr=c.addr)} ; comment "{comment}" ; }}')
        yield c("flush", "map", name)

    yield c.rule("masquerading", f"mark and {mark} != 0 mark set mark xor {mark} masquerade fully-random")
    # A pod that reaches itself must not see its own address as the source: it would answer past the node.
    yield c.rule(
        "masquerading",
        f"ct status dnat {ip} saddr . {ip} daddr . meta l4proto . th dport @hairpin-connections "
        "masquerade fully-random",
    )
    yield c.rule(
        "cluster-ips-check", f"{ip} daddr @cluster-ips reject", "Reject traffic to invalid ports of ClusterIPs"
    )
    if service_cidrs:
        ranges = " , ".join(service_cidrs)
        yield c.rule("cluster-ips-check", f"{ip} daddr {{ {ranges} }} drop", "Drop traffic to unallocated ClusterIPs")
    # Which addresses take node ports: the node's primary one, or any where it has none of this family.
    if node.ip:
        to_node_port = to_node = f"{ip} daddr @nodeport-ips"
        comment = "IPs that accept NodePort traffic"
        yield c("add", "set", "nodeport-ips", f'{{ type {c.addr} ; comment "{comment}" ; }}')
        yield c("flush", "set", "nodeport-ips")
        yield c("add", "element", "nodeport-ips", f"{{ {node.ip} }}")
    else:
        to_node = "ip6 daddr != ::1" if ip == "ip6" else "ip daddr != 127.0.0.0/8"
        to_node_port = f"fib daddr type local {to_node}"
    yield from (
        c("add", "chain", "reject-chain", '{ comment "helper for @no-endpoint-services / @no-endpoint-nodeports" ; }'),
        c("flush", "chain", "reject-chain"),
        c.rule("reject-chain", "reject"),
    )
    by_service, by_port = f"{ip} daddr . meta l4proto . th dport", "meta l4proto . th dport"
    yield c.rule("service-endpoints-check", f"{by_service} vmap @no-endpoint-services")
    yield c.rule("nodeport-endpoints-check", f"{to_node} {by_port} vmap @no-endpoint-nodeports")
    yield c.rule("firewall-check", f"{by_service} vmap @firewall-ips")
    if cluster_cidr:
        yield c.rule(
            "services",
            f"{ip} daddr @cluster-ips {ip} saddr != {cluster_cidr} mark set mark or {mark}",
            "masquerade clusterIP traffic from outside cluster",
        )
    yield c.rule("services", f"{by_service} vmap @service-ips")
    yield c.rule("services", f"{to_node_port} {by_port} vmap @service-nodeports")
