"""One nftables rule: the form in which ``nft list`` prints it, and the same turned into something that can be run.

An nftables rule is a row of expressions and statements, read from left to right: an expression that does not hold ends
the rule. A *verdict map* (``vmap``) looks a key up and does what is written there: one lookup, however many services.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from epkit.proxy.errors import SyncError
from epkit.proxy.names import join_host_port, split_host_port
from epkit.proxy.netfilter.packet import Journey, Packet

# How it is listed ---------------------------------------------------------------------------------------------------


def _range_text(first: int, last: int, version: int) -> str:
    make = ipaddress.IPv6Address if version == 6 else ipaddress.IPv4Address
    start, end = make(first), make(last)
    networks = list(ipaddress.summarize_address_range(start, end))
    if len(networks) > 1:
        return f"{start}-{end}"
    return str(start) if first == last else str(networks[0])


def _listed_set(elements: list[str]) -> str:
    """An anonymous set of addresses: one element stands bare; ranges are sorted, and merged where they touch."""
    if len(elements) == 1:
        network = ipaddress.ip_network(elements[0])
        return _range_text(int(network[0]), int(network[-1]), network.version)
    networks = [ipaddress.ip_network(element) for element in elements]
    ranges = sorted((int(network[0]), int(network[-1])) for network in networks)
    if any("/" in element for element in elements):
        merged: list[tuple[int, int]] = []
        for first, last in ranges:
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        ranges = merged
    texts = dict.fromkeys(_range_text(first, last, networks[0].version) for first, last in ranges)
    return "{ " + ", ".join(texts) + " }"


ADDRESS_SET = re.compile(r"(?<=[sd]addr )(!= )?\{ ([^}]*) \}")


def listed(rule: str) -> str:
    """A rule as written by kube-proxy in the form in which nft lists it.

    >>> print(listed('ip saddr != { 198.51.100.0/28 } drop'))
    ip saddr != 198.51.100.0/28 drop
    >>> print(listed('mark set mark or 0x4000 comment "masquerade"'))
    meta mark set meta mark | 0x00004000 comment "masquerade"
    """
    rule = re.sub(
        r"(?<!meta )mark set mark or (\w+)", lambda m: f"meta mark set meta mark | {int(m[1], 16):#010x}", rule
    )
    rule = re.sub(
        r"(?<!meta )mark set mark xor (\w+)", lambda m: f"meta mark set meta mark ^ {int(m[1], 16):#010x}", rule
    )
    rule = re.sub(
        r"(?<!meta )mark and (\w+) != 0(?= )", lambda m: f"meta mark & {int(m[1], 16):#010x} != 0x00000000", rule
    )
    rule = re.sub(r"dnat (ip6?) addr \. port to", r"dnat \1 to", rule)
    if "addr " in rule and "{" in rule:
        rule = ADDRESS_SET.sub(lambda m: (m[1] or "") + _listed_set([e.strip() for e in m[2].split(",")]), rule)
    return rule.replace(" , ", ", ")


# How it runs --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Element:
    """An element of a set or map: `value` is the verdict in a map, `comment` is for people."""

    value: str = ""
    comment: str = ""


@dataclass(slots=True)
class NftSet:
    """A named set, or a verdict map (`is_map`). Keys are as nft writes them: "10.96.0.9 . tcp . 80".

    `timeout`, in seconds, belongs to a dynamic set: packets put addresses into it, and they leave by themselves. These
    are in `seen`, with the time of their last use.
    """

    name: str
    type: str
    is_map: bool = False
    comment: str = ""
    timeout: int = 0
    elements: dict[str, Element] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)


class Sets(Protocol):
    """What a rule needs of its table."""

    sets: dict[str, NftSet]


#: What a part of a rule says: go on (True), this rule does not match (False), or a verdict such as "goto NAME".
Outcome = bool | str
Part = Callable[[Packet, Journey], Outcome]
Key = Callable[[Packet], str]

FIELDS: Mapping[str, Key] = {
    "saddr": lambda p: p.src,
    "daddr": lambda p: p.dst,
    "meta l4proto": lambda p: p.protocol.lower(),
    "th dport": lambda p: str(p.dport),
}
_KEY = r"(?:ip6? [sd]addr|meta l4proto|th dport)"
_VERDICT = r"(?:(?:jump|goto) [^ ,}]+|drop|reject|accept)"


def _key(text: str) -> Key:
    parts = [FIELDS[part.removeprefix("ip6 ").removeprefix("ip ")] for part in text.split(" . ")]
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 3:
        a, b, c = parts
        return lambda p: f"{a(p)} . {b(p)} . {c(p)}"
    return lambda p: " . ".join(part(p) for part in parts)


def _address_test(negated: bool, text: str) -> Callable[[str], bool]:
    """Is an address (not) one of "10.0.0.0/8", "10.0.0.1-10.0.0.3" or "{ a, b }"?"""
    ranges = []
    for element in text.strip("{ }").split(", "):
        first, _, last = element.partition("-")
        if last:
            ranges.append((int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last))))
        else:
            network = ipaddress.ip_network(element)
            ranges.append((int(network[0]), int(network[-1])))
    known: dict[str, bool] = {}

    def test(address: str) -> bool:
        found = known.get(address)
        if found is None:
            number = int(ipaddress.ip_address(address))
            found = known[address] = any(first <= number <= last for first, last in ranges) is not negated
        return found

    return test


def _map_of(text: str) -> dict[int, str]:
    return {int(key): value for key, _, value in (entry.partition(" : ") for entry in text.split(", "))}


@dataclass(frozen=True, slots=True)
class Pattern:
    regex: re.Pattern[str]
    build: Callable[[re.Match[str], Sets], Part]


def _ct_state(m: re.Match[str], sets: Sets) -> Part:
    return lambda p, j: p.new


def _ct_dnat(m: re.Match[str], sets: Sets) -> Part:
    return lambda p, j: p.dnat


def _fib_local(m: re.Match[str], sets: Sets) -> Part:
    if m[1] == "daddr":
        return lambda p, j: j.node.is_local(p.dst)
    return lambda p, j: j.node.is_local(p.src)


def _mark_test(m: re.Match[str], sets: Sets) -> Part:
    mask, value = int(m[1], 16), int(m[2], 16)
    return lambda p, j: p.mark & mask != value


def _mark_set(m: re.Match[str], sets: Sets) -> Part:
    operator, value = m[1], int(m[2], 16)

    def set_mark(p: Packet, j: Journey) -> Outcome:
        p.mark = p.mark | value if operator == "|" else p.mark ^ value
        return True

    return set_mark


def _vmap(m: re.Match[str], sets: Sets) -> Part:
    key, name = _key(m[1]), m[2]

    def look_up(p: Packet, j: Journey) -> Outcome:
        element = sets.sets[name].elements.get(key(p))
        return element.value if element is not None else False

    return look_up


def _in_set(m: re.Match[str], sets: Sets) -> Part:
    key, name = _key(m[1]), m[2]

    def look_up(p: Packet, j: Journey) -> Outcome:
        found = sets.sets[name]
        if found.timeout:
            when = found.seen.get(key(p))
            return when is not None and j.now - when < found.timeout
        return key(p) in found.elements

    return look_up


def _update(m: re.Match[str], sets: Sets) -> Part:
    name, key = m[1], _key(m[2])

    def remember(p: Packet, j: Journey) -> Outcome:
        sets.sets[name].seen[key(p)] = j.now
        return True

    return remember


def _protocol(m: re.Match[str], sets: Sets) -> Part:
    protocol = m[1].upper()
    return lambda p, j: p.protocol == protocol


def _address(m: re.Match[str], sets: Sets) -> Part:
    test = _address_test(bool(m[2]), m[3])
    if m[1] == "saddr":
        return lambda p, j: test(p.src)
    return lambda p, j: test(p.dst)


def _dnat_to(destination: tuple[str, int], p: Packet) -> str:
    p.dst, p.dport = destination
    p.dnat = True
    return f"dnat {join_host_port(*destination)}"


def _dnat_map(m: re.Match[str], sets: Sets) -> Part:
    count, choices = int(m[1]), _map_of(m[2])
    pairs = {key: value.split(" . ") for key, value in choices.items()}
    endpoints = {key: (ip, int(port)) for key, (ip, port) in pairs.items()}
    return lambda p, j: _dnat_to(endpoints[j.rng.randrange(count)], p)


def _dnat(m: re.Match[str], sets: Sets) -> Part:
    destination = split_host_port(m[1])
    return lambda p, j: _dnat_to(destination, p)


def _numgen_vmap(m: re.Match[str], sets: Sets) -> Part:
    count, choices = int(m[1]), _map_of(m[2])
    return lambda p, j: choices[j.rng.randrange(count)]


def _masquerade(m: re.Match[str], sets: Sets) -> Part:
    def masquerade(p: Packet, j: Journey) -> Outcome:
        j.masquerade(p)
        return f"masquerade {p.src}"

    return masquerade


def _verdict(m: re.Match[str], sets: Sets) -> Part:
    verdict = m[0]
    return lambda p, j: verdict


def _pattern(regex: str, build: Callable[[re.Match[str], Sets], Part]) -> Pattern:
    return Pattern(re.compile(regex + r"(?= |$)"), build)


#: Tried in this order, at the place where the last one ended.
PATTERNS = (
    _pattern(r"ct state new", _ct_state),
    _pattern(r"ct status dnat", _ct_dnat),
    _pattern(r"fib ([sd]addr) type local", _fib_local),
    _pattern(r"meta mark & (\w+) != (\w+)", _mark_test),
    _pattern(r"meta mark set meta mark ([|^]) (\w+)", _mark_set),
    _pattern(rf"({_KEY}(?: \. {_KEY})*) vmap @(\S+)", _vmap),
    _pattern(rf"({_KEY}(?: \. {_KEY})*) @(\S+)", _in_set),
    _pattern(r"update @(\S+) \{ (ip6? saddr) \}", _update),
    _pattern(r"meta l4proto (tcp|udp|sctp)", _protocol),
    _pattern(r"ip6? ([sd]addr) (!= )?(\{ [^}]* \}|\S+)", _address),
    _pattern(r"dnat ip6? to numgen random mod (\d+) map \{ ([^}]*) \}", _dnat_map),
    _pattern(r"dnat to (\S+)", _dnat),
    _pattern(r"numgen random mod (\d+) vmap \{ ([^}]*) \}", _numgen_vmap),
    _pattern(r"masquerade fully-random", _masquerade),
    _pattern(_VERDICT, _verdict),
)
COMMENT = re.compile(r'comment "[^"]*"$')


def compile_rule(text: str, sets: Sets) -> tuple[Part, ...]:
    """Read a rule as nft lists it. Raises `SyncError` where it has something that kube-proxy does not write."""
    rest, parts = COMMENT.sub("", text).strip(), []
    while rest:
        for pattern in PATTERNS:
            found = pattern.regex.match(rest)
            if found:
                parts.append(pattern.build(found, sets))
                rest = rest[found.end() :].lstrip()
                break
        else:
            raise SyncError(f"cannot read {rest!r} in the nft rule {text!r}")
    return tuple(parts)
