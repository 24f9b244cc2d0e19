"""The nftables backend: one sync, full or partial.

Source: pkg/proxy/nftables/proxier.go of Kubernetes v1.36 (syncProxyRules, nftElementStorage).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from epkit.proxy.backend import LocalServicePort, SyncReport
from epkit.proxy.errors import SyncError
from epkit.proxy.names import NamespacedName, ServicePortName
from epkit.proxy.netfilter.nft import NftTable
from epkit.proxy.nftables.rules import ChainWriter, ServiceChains, affinity_sets, elements, used_chains
from epkit.proxy.nftables.table import MAPS, TABLE, Commands, setup_commands
from epkit.proxy.node import NodeView

IS_MAP = {name for name, _, _ in MAPS}
#: An emptied chain stays for this many seconds: older kernels notice only a while after that nothing points to it.
STALE_CHAIN_SECONDS = 1.0


class NftablesBackend:
    """Keeps the nftables table of one node and family. See `epkit.proxy.backend.Backend`.

    `cluster_cidr` as in the iptables backend; `service_cidrs` are the ranges in which cluster IPs are allocated, empty
    where they are not known: then packets to unallocated cluster IPs are let through.
    """

    #: There is none: nftables needs no trick for large clusters.
    large_cluster_mode = False

    def __init__(self, node: NodeView, cluster_cidr: str, service_cidrs: list[str]) -> None:
        self.node = node
        self.cluster_cidr = cluster_cidr
        self.service_cidrs = service_cidrs
        self.commands = Commands("ip6" if node.family == "IPv6" else "ip")
        self.table = NftTable(self.commands.ip, TABLE)
        #: The elements that the kernel has, by set and key, with what they say: so that only differences are sent.
        self._elements: dict[tuple[str, str], str] = {}
        self._stale_chains: dict[str, float] = {}

    def rules(self) -> str:
        return self.table.listing() + "\n"

    def ruleset(self) -> NftTable:
        return self.table

    def sync(
        self,
        service_ports: Mapping[ServicePortName, LocalServicePort],
        changed: Collection[NamespacedName],
        *,
        full: bool,
        now: float,
    ) -> SyncReport:
        c = self.commands
        old = self._stale_for_long(now)
        lines = [c("delete", "chain", chain) for chain in old]
        if full:
            lines += setup_commands(c, self.node, self.cluster_cidr, self.service_cidrs)
            self._elements.clear()  # they have just been flushed
        writer = ChainWriter(c, self.node.ip, self.cluster_cidr)
        chain_lines: list[str] = []
        element_lines: list[str] = []
        active, active_sets, leftover = set[str](), set[str](), set(self._elements)
        for name in sorted(service_ports):
            sp, chains = service_ports[name], ServiceChains.of(name)
            active.update(used_chains(sp, chains))
            active_sets.update(affinity_sets(sp))
            for container, key, verdict, comment in elements(sp, chains):
                leftover.discard((container, key))
                element_lines += self._ensure_element(container, key, verdict, comment)
            if full or name.service in changed:
                chain_lines += writer.write(sp, chains)
        # A chain has to be there before anything may go to it.
        lines += sorted(chain_lines, key=_chains_and_sets_first)
        lines += element_lines
        for container, key in sorted(leftover):
            lines.append(self._element("delete", container, key))
            del self._elements[container, key]
        lines += self._flush_unused(active.union(old), active_sets, now)
        transaction = "\n".join(lines) + "\n" if lines else ""
        try:
            count = self.table.run_transaction(transaction)
        except SyncError:
            self._stale_chains.clear()  # they were not emptied after all; the next sync, a full one, finds them again
            raise
        return SyncReport(full, count, self.table.count(), frozenset(changed), transaction)

    def _element(self, verb: str, container: str, key: str, verdict: str = "", comment: str = "") -> str:
        text = key + (f' comment "{comment}"' if comment else "") + (f" : {verdict}" if verdict else "")
        return self.commands(verb, "element", container, f"{{ {text} }}")

    def _ensure_element(self, container: str, key: str, verdict: str, comment: str) -> list[str]:
        known = self._elements.get((container, key))
        if known == verdict:
            return []
        self._elements[container, key] = verdict
        add = self._element("add", container, key, verdict, comment)
        # A map does not let a verdict be changed: out with the old one first, in the same transaction.
        return [add] if known is None else [self._element("delete", container, key), add]

    def _stale_for_long(self, now: float) -> list[str]:
        """The chains that an earlier sync emptied, and whose time has come."""
        old = [chain for chain, since in self._stale_chains.items() if now - since > STALE_CHAIN_SECONDS]
        for chain in old:
            del self._stale_chains[chain]
        return old

    def _flush_unused(self, active: set[str], active_sets: set[str], now: float) -> list[str]:
        """Empty the service chains that are no longer used, and delete the affinity sets, which nothing names then."""
        lines = []
        for chain in self.table.chains:
            if "/" not in chain:  # only the chains of services have one in their names
                continue
            if chain in active:
                self._stale_chains.pop(chain, None)
            elif chain not in self._stale_chains:
                lines.append(self.commands("flush", "chain", chain))
                self._stale_chains[chain] = now
        for name in self.table.sets:
            if name.startswith("affinity-") and name not in active_sets:
                lines.append(self.commands("delete", "set", name))
        return lines


def _chains_and_sets_first(line: str) -> int:
    """Sort key: chains and sets before the rules that name them. The order is otherwise kept."""
    return 1 if line.startswith("add rule") else 0
