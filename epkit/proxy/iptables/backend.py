"""The iptables backend: one sync, full or partial.

Source: pkg/proxy/iptables/proxier.go of Kubernetes v1.36 (syncProxyRules).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from epkit.proxy.backend import LocalServicePort, SyncReport
from epkit.proxy.iptables.rules import Lines, RuleWriter, ServiceChains, chain_line
from epkit.proxy.names import NamespacedName, ServicePortName
from epkit.proxy.netfilter.iptables import IptablesTables
from epkit.proxy.node import NodeView

#: Above this number of endpoints, ready or not, comments and prompt clean-up cost too much.
LARGE_CLUSTER_ENDPOINTS = 1000
#: How often, in seconds, stale chains are removed then (``iptables.syncPeriod``).
CLEANUP_PERIOD = 30.0
MASQUERADE_MARK = "0x4000"  # bit 14, ``iptables.masqueradeBit``

#: (table, chain, where from, extra match, comment): the jumps from the kernel's chains to kube-proxy's. Each is put in
#: front of what is there, so they end up in reverse order.
JUMPS = (
    ("filter", "KUBE-EXTERNAL-SERVICES", "INPUT", "new", "kubernetes externally-visible service portals"),
    ("filter", "KUBE-EXTERNAL-SERVICES", "FORWARD", "new", "kubernetes externally-visible service portals"),
    ("filter", "KUBE-NODEPORTS", "INPUT", "", "kubernetes health check service ports"),
    ("filter", "KUBE-SERVICES", "FORWARD", "new", "kubernetes service portals"),
    ("filter", "KUBE-SERVICES", "OUTPUT", "new", "kubernetes service portals"),
    ("filter", "KUBE-FORWARD", "FORWARD", "", "kubernetes forwarding rules"),
    ("filter", "KUBE-PROXY-FIREWALL", "INPUT", "new", "kubernetes load balancer firewall"),
    ("filter", "KUBE-PROXY-FIREWALL", "OUTPUT", "new", "kubernetes load balancer firewall"),
    ("filter", "KUBE-PROXY-FIREWALL", "FORWARD", "new", "kubernetes load balancer firewall"),
    ("nat", "KUBE-SERVICES", "OUTPUT", "", "kubernetes service portals"),
    ("nat", "KUBE-SERVICES", "PREROUTING", "", "kubernetes service portals"),
    ("nat", "KUBE-POSTROUTING", "POSTROUTING", "", "kubernetes postrouting rules"),
    # The kubelet makes the same two.
    ("filter", "KUBE-FIREWALL", "INPUT", "", ""),
    ("filter", "KUBE-FIREWALL", "OUTPUT", "", ""),
)
FILTER_CHAINS = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL")
NAT_CHAINS = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
SERVICE_CHAIN_PREFIXES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-")


class IptablesBackend:
    """Keeps the iptables rules of one node and family. See `epkit.proxy.backend.Backend`.

    `cluster_cidr` is the pods' range of this family, "" without one: then nothing is taken for cluster-internal.
    """

    def __init__(self, node: NodeView, cluster_cidr: str) -> None:
        self.node = node
        self.cluster_cidr = cluster_cidr
        self.tables = IptablesTables(ipv6=node.family == "IPv6")
        self._large_cluster_mode = False
        self._last_cleanup = float("-inf")
        for table in ("filter", "nat"):
            # A monitor looks for this chain; where it is gone, somebody flushed the rules and all is written again.
            self.tables.ensure_chain(table, "KUBE-PROXY-CANARY")

    @property
    def large_cluster_mode(self) -> bool:
        """More than 1,000 endpoints at the last sync?"""
        return self._large_cluster_mode

    def rules(self) -> str:
        return self.tables.save()

    def ruleset(self) -> IptablesTables:
        return self.tables

    def sync(
        self,
        service_ports: Mapping[ServicePortName, LocalServicePort],
        changed: Collection[NamespacedName],
        *,
        full: bool,
        now: float,
    ) -> SyncReport:
        if full:
            self._ensure_jumps()
        total = sum(sp.total_endpoints for sp in service_ports.values())
        self._large_cluster_mode = total > LARGE_CLUSTER_ENDPOINTS
        writer = RuleWriter(self.node.family == "IPv6", self.node.ip, self.cluster_cidr, self._large_cluster_mode)
        out = Lines(list(map(chain_line, FILTER_CHAINS)), [], list(map(chain_line, NAT_CHAINS)), [])
        self._masquerading(out)
        self._localnet_guard(out)
        skipped, active = Lines(), set[str]()
        for name in sorted(service_ports):
            sp, chains = service_ports[name], ServiceChains.of(name)
            writer.write_dispatch(sp, chains, out)
            # A chain that nobody changed is left as it is. It is computed all the same, to know that it is in use.
            active.update(writer.write_chains(sp, chains, out if full or name.service in changed else skipped))
        if not self._large_cluster_mode or now - self._last_cleanup > CLEANUP_PERIOD:
            self._delete_stale_chains(active, out)
            self._last_cleanup = now
        self._node_ports_last(out)
        self._forwarding(out)
        transaction = out.text()
        self.tables.restore(transaction)
        return SyncReport(full, transaction.count("\n"), self.tables.count(), frozenset(changed), transaction)

    def _ensure_jumps(self) -> None:
        for table, chain, source, match, comment in JUMPS:
            self.tables.ensure_chain(table, chain)
            rule = f"-A {source}"
            if match == "new":
                rule += " -m conntrack --ctstate NEW"
            if comment:
                rule += f' -m comment --comment "{comment}"'
            self.tables.prepend_rule(table, f"{rule} -j {chain}")

    @staticmethod
    def _masquerading(out: Lines) -> None:
        mark = MASQUERADE_MARK
        out.nat_rules += [
            f"-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN",
            # Cleared, so that a packet which passes the network stack again is not masqueraded again.
            f"-A KUBE-POSTROUTING -j MARK --xor-mark {mark}",
            '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" '
            "-j MASQUERADE --random-fully",
            f"-A KUBE-MARK-MASQ -j MARK --or-mark {mark}",
        ]

    def _localnet_guard(self, out: Lines) -> None:
        """Node ports on 127.0.0.1 need ``route_localnet``, which lets neighbours reach it too (CVE-2020-8558)."""
        if self.node.family == "IPv4":
            out.filter_chains.append(chain_line("KUBE-FIREWALL"))
            out.filter_rules.append(
                '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 '
                "! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
            )

    def _delete_stale_chains(self, active: set[str], out: Lines) -> None:
        for chain in sorted(self.tables.tables["nat"].keys() - active):
            if chain.startswith(SERVICE_CHAIN_PREFIXES):
                out.nat_chains.append(chain_line(chain))  # empties it first: only an empty chain can go
                out.nat_rules.append(f"-X {chain}")

    def _node_ports_last(self, out: Lines) -> None:
        # On ::1 node ports never work; on 127.0.0.1 they do.
        not_localhost = " ! -d ::1/128" if self.node.family == "IPv6" else ""
        out.nat_rules.append(
            "-A KUBE-SERVICES -m comment --comment "
            '"kubernetes service nodeports; NOTE: this must be the last rule in this chain" '
            f"-m addrtype --dst-type LOCAL{not_localhost} -j KUBE-NODEPORTS"
        )

    @staticmethod
    def _forwarding(out: Lines) -> None:
        mark = MASQUERADE_MARK
        out.filter_rules += [
            # An invalid packet would not be translated back, and the sender would reset a good connection.
            "-A KUBE-FORWARD -m conntrack --ctstate INVALID "
            "-m nfacct --nfacct-name ct_state_invalid_dropped_pkts -j DROP",
            '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" '
            f"-m mark --mark {mark}/{mark} -j ACCEPT",
            '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" '
            "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ]
