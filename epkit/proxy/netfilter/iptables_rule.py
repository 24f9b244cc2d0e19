"""One iptables rule: read from text, printed as ``iptables-save`` prints it, and turned into something that matches.

What goes in and what comes out differ. kube-proxy writes ``-m comment --comment … -m tcp -p tcp -d 10.96.0.9 --dport
80``; the kernel keeps it in its own order and spelling, and iptables-save shows ``-d 10.96.0.9/32 -p tcp -m comment
…``. A probability is kept as a number of 31 bits, so 0.3333333333 comes back as 0.33333333349.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from epkit.proxy.errors import SyncError
from epkit.proxy.names import split_host_port
from epkit.proxy.netfilter.packet import Journey, Packet

TOKEN = re.compile(r'"[^"]*"|\S+')
PROTOCOLS = ("tcp", "udp", "sctp")
FLAGS = {"--set", "--rcheck", "--reap", "--rsource", "--random-fully"}
#: Which option belongs to which match or target. What is not here is refused, as iptables-restore would.
OPTIONS = {
    "comment": {"--comment"},
    "tcp": {"--dport"},
    "udp": {"--dport"},
    "sctp": {"--dport"},
    "mark": {"--mark"},
    "statistic": {"--mode", "--probability"},
    "recent": {"--name", "--set", "--rcheck", "--seconds", "--reap", "--mask", "--rsource"},
    "addrtype": {"--dst-type", "--src-type"},
    "conntrack": {"--ctstate"},
    "nfacct": {"--nfacct-name"},
    "DNAT": {"--to-destination"},
    "MARK": {"--or-mark", "--xor-mark", "--set-xmark"},
    "MASQUERADE": {"--random-fully"},
    "REJECT": {"--reject-with"},
}

Option = tuple[bool, str, str]  # negated, name, value


@dataclass(slots=True)
class ParsedRule:
    """The parts of a rule, as given. `src` and `dst` are (negated, address) or None."""

    chain: str
    src: tuple[bool, str] | None = None
    dst: tuple[bool, str] | None = None
    protocol: str = ""
    matches: list[tuple[str, list[Option]]] = field(default_factory=list)
    target: str = ""
    target_options: list[Option] = field(default_factory=list)


def parse_rule(line: str) -> ParsedRule:
    """Read a line "-A CHAIN …". Raises `SyncError` for what neither kube-proxy nor iptables-save writes."""
    tokens = TOKEN.findall(line)
    rule = ParsedRule(tokens[1])
    negated, i = False, 2
    while i < len(tokens):
        token = tokens[i]
        i += 1
        if token == "!":
            negated = True
            continue
        value = ""
        if token not in FLAGS:
            if i >= len(tokens):
                raise SyncError(f"{token} needs a value in the rule {line!r}")
            value = tokens[i]
            i += 1
        if token == "-m":
            rule.matches.append((value, []))
        elif token == "-j":
            rule.target = value
        elif token == "-s":
            rule.src = (negated, value)
        elif token == "-d":
            rule.dst = (negated, value)
        elif token == "-p":
            rule.protocol = value
        else:
            _add_option(rule, (negated, token, value), line)
        negated = False
    return rule


def _add_option(rule: ParsedRule, option: Option, line: str) -> None:
    """Give an option to the target or match that has it, the latest first."""
    if option[1] in OPTIONS.get(rule.target, ()):
        rule.target_options.append(option)
        return
    for name, options in reversed(rule.matches):
        if option[1] in OPTIONS.get(name, ()):
            options.append(option)
            return
    raise SyncError(f"unknown option {option[1]} in the rule {line!r}")


def _prefixed(address: str) -> str:
    if "/" in address:
        return str(ipaddress.ip_network(address, strict=False))
    return f"{address}/128" if ":" in address else f"{address}/32"


def probability_of(text: str) -> int:
    """The 31 bits in which the kernel keeps a probability."""
    return round(float(text) * (1 << 31))


def _save_match(name: str, options: list[Option], ipv6: bool) -> str:
    if name == "statistic":
        values = {option: value for _, option, value in options}
        return f"-m statistic --mode random --probability {probability_of(values['--probability']) / (1 << 31):.11f}"
    if name == "recent":
        values = {option: value for _, option, value in options}
        if "--set" in values:
            action = "--set"
        else:
            action = f"--rcheck --seconds {values['--seconds']}" + (" --reap" if "--reap" in values else "")
        mask = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" if ipv6 else "255.255.255.255"
        return f"-m recent {action} --name {values['--name']} --mask {mask} --rsource"
    if name == "nfacct":
        return f"-m nfacct --nfacct-name  {options[0][2]}"  # two blanks: iptables prints it so
    text = f"-m {name}"
    for negated, option, value in options:
        text += f" {'! ' if negated else ''}{option} {value}"
    return text


def _save_target(rule: ParsedRule, ipv6: bool) -> str:
    text = f"-j {rule.target}"
    for _, option, value in rule.target_options:
        if option == "--or-mark":
            text += f" --set-xmark {value}/{value}"
        elif option == "--xor-mark":
            text += f" --set-xmark {value}/0x0"
        else:
            text += f" {option} {value}" if value else f" {option}"
    if rule.target == "REJECT" and not rule.target_options:
        text += f" --reject-with {'icmp6' if ipv6 else 'icmp'}-port-unreachable"
    return text


def save_form(rule: ParsedRule, ipv6: bool) -> str:
    """The rule as iptables-save prints it.

    >>> print(save_form(parse_rule('-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000'), ipv6=False))
    -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
    """
    parts = [f"-A {rule.chain}"]
    for flag, address in (("-s", rule.src), ("-d", rule.dst)):
        if address is not None:
            parts.append(f"{'! ' if address[0] else ''}{flag} {_prefixed(address[1])}")
    if rule.protocol:
        parts.append(f"-p {rule.protocol}")
    for name, options in rule.matches:
        if name == "comment" and not options[0][2].startswith('"'):
            options = [(False, "--comment", f'"{options[0][2]}"')]
        parts.append(_save_match(name, options, ipv6))
    if rule.target:
        parts.append(_save_target(rule, ipv6))
    return " ".join(parts)


Match = Callable[[Packet, Journey], bool]
RecentLists = dict[str, dict[str, float]]  # name -> address -> when it was last seen


def address_match(text: str) -> Callable[[str], bool]:
    """Does an address equal this one, or lie in this range?"""
    network = ipaddress.ip_network(text)
    if network.num_addresses == 1:
        only = str(network.network_address)
        return lambda address: address == only
    first, last = int(network.network_address), int(network.broadcast_address)
    known: dict[str, bool] = {}

    def inside(address: str) -> bool:
        found = known.get(address)
        if found is None:
            found = known[address] = first <= int(ipaddress.ip_address(address)) <= last
        return found

    return inside


def _option_match(name: str, options: list[Option], recent: RecentLists) -> Match | None:
    """A match extension as a function; None for one that always holds."""
    values = {option: value for _, option, value in options}
    negated = any(option[0] for option in options)
    if name in PROTOCOLS and options:
        port = int(values["--dport"])
        return lambda packet, journey: packet.dport == port
    if name == "mark":
        value, mask = (int(part, 16) for part in values["--mark"].split("/"))
        return lambda packet, journey: (packet.mark & mask == value) is not negated
    if name == "statistic":
        limit = probability_of(values["--probability"])
        return lambda packet, journey: journey.rng.getrandbits(31) < limit
    if name == "conntrack":
        states = set(values["--ctstate"].split(","))

        def state(packet: Packet, journey: Journey) -> bool:
            now = {"NEW" if packet.new else "ESTABLISHED"}
            now |= {"DNAT"} if packet.dnat else set()
            return bool(now & states) is not negated

        return state
    if name == "addrtype":
        if "--dst-type" in values:
            return lambda packet, journey: journey.node.is_local(packet.dst)
        return lambda packet, journey: journey.node.is_local(packet.src)
    if name == "recent":
        return _recent_match(values, recent)
    return None  # comment, nfacct (it counts), a bare -m tcp


def _recent_match(values: dict[str, str], recent: RecentLists) -> Match:
    name = values["--name"]
    if "--set" in values:

        def remember(packet: Packet, journey: Journey) -> bool:
            recent.setdefault(name, {})[packet.src] = journey.now
            return True

        return remember
    seconds = float(values["--seconds"])

    def seen(packet: Packet, journey: Journey) -> bool:
        when = recent.get(name, {}).get(packet.src)
        return when is not None and journey.now - when <= seconds

    return seen


@dataclass(slots=True)
class CompiledRule:
    """A rule that can be asked. `only_to` is the one destination that it can match, "" where there are others."""

    text: str
    only_to: str
    matches: tuple[Match, ...]
    target: str
    dnat_to: tuple[str, int] | None = None
    xmark: tuple[int, int] = (0, 0)

    def matching(self, packet: Packet, journey: Journey) -> bool:
        for match in self.matches:
            if not match(packet, journey):
                return False
        return True


def compile_rule(text: str, recent: RecentLists) -> CompiledRule:
    """Read a rule as iptables-save prints it."""
    rule = parse_rule(text)
    matches: list[Match] = []
    only_to = ""
    if rule.dst is not None:
        negated, address = rule.dst
        if not negated and address.endswith(("/32", "/128")):
            only_to = address.rpartition("/")[0]
        to = address_match(address)
        matches.append(lambda packet, journey: to(packet.dst) is not negated)
    if rule.src is not None:
        src_negated, address = rule.src
        of = address_match(address)
        matches.append(lambda packet, journey: of(packet.src) is not src_negated)
    if rule.protocol:
        protocol = rule.protocol.upper()
        matches.append(lambda packet, journey: packet.protocol == protocol)
    matches += filter(None, (_option_match(name, options, recent) for name, options in rule.matches))
    compiled = CompiledRule(text, only_to, tuple(matches), rule.target)
    options = {option: value for _, option, value in rule.target_options}
    if rule.target == "DNAT":
        compiled.dnat_to = split_host_port(options["--to-destination"])
    elif rule.target == "MARK":
        value, mask = (int(part, 16) for part in options["--set-xmark"].split("/"))
        compiled.xmark = (value, mask)
    return compiled
