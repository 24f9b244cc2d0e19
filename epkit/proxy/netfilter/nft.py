"""One nftables table: what ``nft -f`` fills, ``nft list table`` prints and packets walk.

>>> table = NftTable("ip", "kube-proxy")
>>> count = table.run_transaction('''
... add table ip kube-proxy { comment "rules for kube-proxy" ; }
... add chain ip kube-proxy reject-chain
... add rule ip kube-proxy reject-chain reject
... ''')
>>> print(table.listing().expandtabs(8))
table ip kube-proxy {
        comment "rules for kube-proxy"
<BLANKLINE>
        chain reject-chain {
                reject
        }
}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from epkit.proxy.errors import SyncError
from epkit.proxy.netfilter.nft_rule import Element, NftSet, Outcome, Part, compile_rule, listed
from epkit.proxy.netfilter.packet import BaseChain, Hook, Journey, Packet, Verdict

#: Names of priorities, with the hooks in which nft uses them when it lists.
PRIORITIES = {"dstnat": -100, "filter": 0, "srcnat": 100}
COMMAND = re.compile(r"(add|delete|flush) (table|chain|rule|set|map|element) (ip6?) (\S+)(?: (\S+))?(?: (.*))?$")
BASE = re.compile(r"type (\w+) hook (\w+) priority (-?\w+(?:-\d+)?) ;")
DNAT_PORT = re.compile(r"(?: \. |:)(\d+)(?=[ ,}]|$)")
ENDED: dict[str, Verdict] = {"drop": "drop", "reject": "reject", "accept": "accept"}


@dataclass(slots=True)
class Chain:
    """A chain. `hook` is "" for one that packets reach by a jump or goto only."""

    name: str
    kind: str = ""
    hook: str = ""
    priority: int = 0
    comment: str = ""
    rules: list[str] = field(default_factory=list)
    compiled: list[tuple[Part, ...]] | None = None


def _priority(text: str) -> int:
    name, minus, number = text.partition("-") if not text.startswith("-") else (text, "", "")
    value = PRIORITIES.get(name)
    return (int(name) if value is None else value) - (int(number) if minus else 0)


def _listed_priority(chain: Chain) -> str:
    for name, hooks in (("dstnat", ("prerouting",)), ("srcnat", ("postrouting",)), ("filter", ())):
        offset = chain.priority - PRIORITIES[name]
        if (not hooks or chain.hook in hooks) and abs(offset) <= 10:
            return name if offset == 0 else f"{name} {'+' if offset > 0 else '-'} {abs(offset)}"
    return str(chain.priority)


def listed_duration(seconds: int) -> str:
    """10800 -> "3h", as nft prints it."""
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size:
            parts.append(f"{seconds // size}{unit}")
            seconds %= size
    return "".join(parts) or "0s"


class NftTable:
    """A table of one family ("ip" or "ip6") with its sets, maps and chains."""

    def __init__(self, family: str, name: str) -> None:
        self.family, self.name = family, name
        self.comment = ""
        self.sets: dict[str, NftSet] = {}
        self.chains: dict[str, Chain] = {}
        self._base: dict[str, tuple[BaseChain, ...]] = {}

    # Writing ------------------------------------------------------------------------------------------------------

    def run_transaction(self, text: str) -> int:
        """``nft -f``: run the commands, one a line. Returns how many there were.

        All of them or, where one cannot be read, none: `SyncError` names it. What kube-proxy writes is all that is
        understood. (A command for something that is not there also raises; the kernel would undo those before it.)
        """
        commands = [self._parsed(line) for line in text.splitlines() if line.strip()]
        for command in commands:
            try:
                self._run_command(command[1], command[2], command[5] or "", command[6] or "")
            except KeyError as error:
                raise SyncError(f"there is no {error} for the command {command[0]!r}") from None
        self._base.clear()
        return len(commands)

    def _parsed(self, line: str) -> re.Match[str]:
        command = COMMAND.match(line)
        if command is None or command[3] != self.family or command[4] != self.name:
            raise SyncError(f"nft does not understand the command {line!r}")
        if " dnat " in line:
            # The API accepts any number as the port of an endpoint. The kernel does not.
            for port in DNAT_PORT.finditer(line):
                if not 0 < int(port[1]) < 65536:
                    raise SyncError(f"nft: Service out of range: {port[1]}, in {line[:200]!r}")
        return command

    def _run_command(self, verb: str, what: str, name: str, rest: str) -> None:
        if what == "rule":
            chain = self.chains[name]
            chain.rules.append(listed(rest))
            chain.compiled = None
        elif what == "element":
            self._element(verb, self.sets[name], rest)
        elif what == "chain":
            if verb == "add":
                self._add_chain(name, rest)
            elif verb == "flush":
                self.chains[name].rules, self.chains[name].compiled = [], None
            else:
                del self.chains[name]
        elif what in ("set", "map"):
            if verb == "add":
                self._add_set(name, what == "map", rest)
            elif verb == "flush":
                self.sets[name].elements.clear()
            else:
                del self.sets[name]
        elif verb == "add":  # the table
            self.comment = _comment(f"{name} {rest}")

    def _add_chain(self, name: str, rest: str) -> None:
        base = BASE.search(rest)
        if name in self.chains:
            return
        chain = self.chains[name] = Chain(name, comment=_comment(rest))
        if base:
            chain.kind, chain.hook, chain.priority = base[1], base[2], _priority(base[3])

    def _add_set(self, name: str, is_map: bool, rest: str) -> None:
        declared = re.search(r"type ([^;]*?) ;", rest)
        timeout = re.search(r"timeout (\d+)s", rest)
        if name in self.sets:
            if timeout:
                self.sets[name].timeout = int(timeout[1])
            return
        kind = declared[1] if declared else ""
        self.sets[name] = NftSet(name, kind, is_map, _comment(rest), int(timeout[1]) if timeout else 0)

    @staticmethod
    def _element(verb: str, into: NftSet, rest: str) -> None:
        text = rest.strip("{ }")
        key, _, value = text.partition(" : ") if into.is_map else (text, "", "")
        comment = _comment(key)
        if comment:
            key = key[: key.index(' comment "')]
        if verb == "delete":
            del into.elements[key]
        elif key in into.elements and into.elements[key].value != value:
            raise SyncError(f"{into.name} has {key} already, with another verdict")
        else:
            into.elements[key] = Element(value, comment)

    # Reading ------------------------------------------------------------------------------------------------------

    def listing(self) -> str:
        """The text of ``nft -s list table``: all but what packets put into dynamic sets."""
        blocks = [self._list_set(found) for found in self.sets.values()]
        blocks += [self._list_chain(chain) for chain in self.chains.values()]
        head = [f"table {self.family} {self.name} {{"]
        if self.comment:
            head += [f'\tcomment "{self.comment}"', ""]
        return "\n".join(head) + "\n" + "\n\n".join("\n".join(block) for block in blocks) + "\n}"

    @staticmethod
    def _list_set(found: NftSet) -> list[str]:
        lines = [f"\t{'map' if found.is_map else 'set'} {found.name} {{", f"\t\ttype {found.type}"]
        if found.timeout:
            lines += ["\t\tsize 65535", "\t\tflags dynamic,timeout", f"\t\ttimeout {listed_duration(found.timeout)}"]
        if found.comment:
            lines.append(f'\t\tcomment "{found.comment}"')
        texts = [
            key + (f' comment "{e.comment}"' if e.comment else "") + (f" : {e.value}" if found.is_map else "")
            for key, e in found.elements.items()
        ]
        if texts:
            a_line = 1 if " . " in found.type or found.is_map else 2
            rows = [", ".join(texts[i : i + a_line]) for i in range(0, len(texts), a_line)]
            lines.append("\t\telements = { " + ",\n\t\t\t     ".join(rows) + " }")
        return [*lines, "\t}"]

    @staticmethod
    def _list_chain(chain: Chain) -> list[str]:
        lines = [f"\tchain {chain.name} {{"]
        if chain.comment:
            lines.append(f'\t\tcomment "{chain.comment}"')
        if chain.hook:
            priority = _listed_priority(chain)
            lines.append(f"\t\ttype {chain.kind} hook {chain.hook} priority {priority}; policy accept;")
        return [*lines, *(f"\t\t{rule}" for rule in chain.rules), "\t}"]

    def count(self) -> int:
        """How many rules and elements there are."""
        return sum(len(chain.rules) for chain in self.chains.values()) + sum(
            len(s.elements) for s in self.sets.values()
        )

    # Walking ------------------------------------------------------------------------------------------------------

    def base_chains(self, hook: Hook) -> Sequence[BaseChain]:
        found = self._base.get(hook)
        if found is None:
            chains = sorted((c for c in self.chains.values() if c.hook == hook.lower()), key=lambda c: c.priority)
            found = tuple(BaseChain(self.name, chain.name, chain.kind == "nat") for chain in chains)
            self._base[hook] = found
        return found

    def run(self, chain: BaseChain, packet: Packet, journey: Journey) -> Verdict:
        return self._run(chain.name, packet, journey) or "accept"  # the policy of all of them

    def _run(self, name: str, packet: Packet, journey: Journey) -> Verdict | None:
        """Walk a chain. None where the packet comes out at its end."""
        chain = self.chains[name]
        if chain.compiled is None:
            chain.compiled = [compile_rule(text, self) for text in chain.rules]
        for text, parts in zip(chain.rules, chain.compiled, strict=True):
            journey.examined += 1
            mark = packet.mark
            outcome: Outcome = True
            for part in parts:
                outcome = part(packet, journey)
                if outcome is not True:
                    break
            if outcome is False:
                continue
            effect = outcome if isinstance(outcome, str) else "continue"
            if packet.mark != mark and outcome is True:
                effect = f"mark {packet.mark:#x}"
            journey.note(packet, effect, table=self.name, chain=name, rule=text)
            if outcome is True:
                continue
            verb, _, target = effect.partition(" ")
            if verb in ENDED:
                return ENDED[verb]
            if verb in ("dnat", "masquerade"):
                return "accept"
            verdict = self._run(target, packet, journey)
            if verdict is not None or verb == "goto":
                # After a goto the packet does not come back here, but to where the last jump was made.
                return verdict
        return None


def _comment(text: str) -> str:
    found = re.search(r'comment "([^"]*)"', text)
    return found[1] if found else ""
