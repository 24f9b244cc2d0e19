"""The iptables tables of one address family: what ``iptables-restore`` fills, ``iptables-save`` prints and packets
walk.

>>> tables = IptablesTables(ipv6=False)
>>> tables.restore('''*nat
... :KUBE-MARK-MASQ - [0:0]
... -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
... COMMIT
... ''')
>>> print(tables.save(["nat"]).splitlines()[5:7])
[':KUBE-MARK-MASQ - [0:0]', '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000']
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from epkit.proxy.errors import SyncError
from epkit.proxy.names import join_host_port, split_host_port
from epkit.proxy.netfilter.iptables_rule import (
    CompiledRule,
    ParsedRule,
    RecentLists,
    compile_rule,
    parse_rule,
    save_form,
)
from epkit.proxy.netfilter.packet import BaseChain, Hook, Journey, Packet, Verdict

#: The chains that the kernel has by itself, in the order in which iptables-save lists them.
BUILTIN: dict[str, tuple[str, ...]] = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
#: Which tables a hook asks, in order: nat has priority -100 on the way in and 100 on the way out, filter has 0.
TABLES_OF_HOOK: dict[Hook, tuple[str, ...]] = {
    "PREROUTING": ("nat",),
    "INPUT": ("filter",),
    "FORWARD": ("filter",),
    "OUTPUT": ("nat", "filter"),
    "POSTROUTING": ("nat",),
}
TARGETS = {"ACCEPT", "DROP", "REJECT", "RETURN", "MARK", "DNAT", "MASQUERADE", ""}


@dataclass(slots=True)
class Chain:
    """A chain: its rules as iptables-save prints them, compiled when the first packet comes."""

    rules: list[str] = field(default_factory=list)
    _compiled: list[CompiledRule] | None = None
    _by_destination: dict[str, list[tuple[int, CompiledRule]]] = field(default_factory=dict)

    def candidates(self, destination: str, recent: RecentLists) -> list[tuple[int, CompiledRule]]:
        """The rules that could match a packet to `destination`, with their places.

        The kernel tries every rule. Here those for another address are left out beforehand, which changes nothing but
        the time that it takes.
        """
        if self._compiled is None:
            self._compiled = [compile_rule(text, recent) for text in self.rules]
            self._by_destination.clear()
        found = self._by_destination.get(destination)
        if found is None:
            found = [(i, r) for i, r in enumerate(self._compiled) if not r.only_to or r.only_to == destination]
            if len(self._by_destination) > 4096:
                self._by_destination.clear()
            self._by_destination[destination] = found
        return found

    def forget_compiled(self) -> None:
        self._compiled = None
        self._by_destination.clear()


class IptablesTables:
    """The nat and filter tables. `recent` holds the lists of the match of that name: session affinity."""

    def __init__(self, *, ipv6: bool) -> None:
        self.ipv6 = ipv6
        self.recent: RecentLists = {}
        self.tables: dict[str, dict[str, Chain]] = {
            table: {name: Chain() for name in names} for table, names in BUILTIN.items()
        }
        self._base = {
            hook: tuple(BaseChain(table, hook, table == "nat") for table in tables)
            for hook, tables in TABLES_OF_HOOK.items()
        }

    # Writing ------------------------------------------------------------------------------------------------------

    def ensure_chain(self, table: str, chain: str) -> None:
        """``iptables -N``, where the chain is not there yet."""
        self.tables[table].setdefault(chain, Chain())

    def prepend_rule(self, table: str, rule: str) -> None:
        """``iptables -I``: put a rule "-A CHAIN …" in front of the chain's rules, where it is not there yet."""
        parsed = parse_rule(rule)
        chain, text = self.tables[table][parsed.chain], save_form(parsed, self.ipv6)
        if text not in chain.rules:
            chain.rules.insert(0, text)
            chain.forget_compiled()

    def restore(self, text: str) -> None:
        """``iptables-restore --noflush``: all of it or, where anything is wrong, nothing (`SyncError`).

        A line ":CHAIN" makes a chain or empties it, "-A" appends, "-X" deletes. Chains that are not named stay.
        """
        table, new = "", {name: dict[str, list[str]]() for name in self.tables}
        deleted: list[tuple[str, str]] = []
        for line in text.splitlines():
            if line.startswith("-A "):
                rule = parse_rule(line)
                rules = new[table].get(rule.chain)
                if rules is None:
                    if rule.chain not in self.tables[table]:
                        raise SyncError(f"no chain {rule.chain} in table {table} for the rule {line!r}")
                    rules = new[table][rule.chain] = list(self.tables[table][rule.chain].rules)
                _check_destination(rule)
                rules.append(save_form(rule, self.ipv6))
                target = rule.target
                if target not in TARGETS and target not in new[table] and target not in self.tables[table]:
                    raise SyncError(f"the rule {line!r} jumps to {target}, a chain that does not exist")
            elif line.startswith(":"):
                new[table][line[1:].split()[0]] = []
            elif line.startswith("-X "):
                deleted.append((table, line[3:].strip()))
            elif line.startswith("*"):
                table = line[1:].strip()
                if table not in self.tables:
                    raise SyncError(f"unknown table {table!r}")
            elif line and line != "COMMIT" and not line.startswith("#"):
                raise SyncError(f"iptables-restore does not understand the line {line!r}")
        for name, chains in new.items():
            for chain, rules in chains.items():
                self.tables[name][chain] = Chain(rules)
        for name, chain in deleted:
            self.tables[name].pop(chain, None)
            self.recent.pop(chain, None)  # the list of an endpoint's chain has its name

    # Reading ------------------------------------------------------------------------------------------------------

    def save(self, tables: Iterable[str] = ("filter", "nat")) -> str:
        """The text of ``iptables-save``, without its comment lines and with counters at zero."""
        out: list[str] = []
        for table in tables:
            chains = self.tables[table]
            own = sorted(chains.keys() - set(BUILTIN[table]))
            out.append(f"*{table}")
            out += [f":{name} ACCEPT [0:0]" for name in BUILTIN[table]]
            out += [f":{name} - [0:0]" for name in own]
            for name in (*BUILTIN[table], *own):
                out += chains[name].rules
            out.append("COMMIT")
        return "\n".join(out) + "\n"

    def count(self) -> int:
        """How many rules there are."""
        return sum(len(chain.rules) for chains in self.tables.values() for chain in chains.values())

    # Walking ------------------------------------------------------------------------------------------------------

    def base_chains(self, hook: Hook) -> Sequence[BaseChain]:
        return self._base[hook]

    def run(self, chain: BaseChain, packet: Packet, journey: Journey) -> Verdict:
        return self._run(chain.table, chain.name, packet, journey) or "accept"  # the policy of all of them

    def _run(self, table: str, name: str, packet: Packet, journey: Journey) -> Verdict | None:
        """Walk a chain. None where the packet comes out at its end, back to the rule after the jump."""
        chain = self.tables[table][name]
        last = -1
        for position, rule in chain.candidates(packet.dst, self.recent):
            if not rule.matching(packet, journey):
                continue
            journey.examined += position - last
            last = position
            target = rule.target
            if target not in TARGETS:
                journey.note(packet, f"jump {target}", table=table, chain=name, rule=rule.text)
                verdict = self._run(table, target, packet, journey)
                if verdict is not None:
                    return verdict
                continue
            verdict, effect = _apply(rule, packet, journey)
            journey.note(packet, effect, table=table, chain=name, rule=rule.text)
            if verdict is not None or target == "RETURN":
                return verdict
        journey.examined += len(chain.rules) - 1 - last
        return None


def _check_destination(rule: ParsedRule) -> None:
    """The API accepts any number as the port of an endpoint. The kernel does not, and refuses all that came with it."""
    for _, option, value in rule.target_options:
        if option == "--to-destination" and not 0 < split_host_port(value)[1] < 65536:
            raise SyncError(f"iptables-restore: Port `{value}' not valid")


def _apply(rule: CompiledRule, packet: Packet, journey: Journey) -> tuple[Verdict | None, str]:
    """What a target does to a packet: the verdict, None to go on, and a word for it."""
    target = rule.target
    if target == "MARK":
        value, mask = rule.xmark
        packet.mark = (packet.mark & ~mask) ^ value
        return None, f"mark {packet.mark:#x}"
    if target == "DNAT":
        assert rule.dnat_to is not None
        packet.dst, packet.dport = rule.dnat_to
        packet.dnat = True
        return "accept", f"dnat {join_host_port(packet.dst, packet.dport)}"
    if target == "MASQUERADE":
        journey.masquerade(packet)
        return "accept", f"masquerade {packet.src}"
    if target == "ACCEPT":
        return "accept", "accept"
    if target == "DROP":
        return "drop", "drop"
    if target == "REJECT":
        return "reject", "reject"
    return None, "return" if target == "RETURN" else "continue"
