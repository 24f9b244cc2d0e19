"""Packets, the steps that they take, and what a set of rules has to offer for it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from epkit.proxy.names import join_host_port
from epkit.proxy.node import NodeView

Hook = Literal["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
Verdict = Literal["accept", "drop", "reject"]
Outcome = Literal["delivered", "rejected", "dropped", "passed"]


@dataclass(slots=True)
class Packet:
    """The first packet of a connection, as it looks right now: addresses and mark change on its way.

    `protocol` is "TCP", "UDP" or "SCTP". `new`: is it the first packet of its flow (``ctstate NEW``)? `dnat`: has its
    destination been translated (``ctstate DNAT``)?
    """

    src: str
    sport: int
    dst: str
    dport: int
    protocol: str
    mark: int = 0
    new: bool = True
    dnat: bool = False
    snat: bool = False

    def state(self) -> PacketState:
        """What it looks like now."""
        return PacketState(self.protocol, self.src, self.sport, self.dst, self.dport, self.mark)


class PacketState(NamedTuple):
    """What a packet looked like at one moment. `mark` is the firewall mark: 0x4000 asks for masquerading."""

    protocol: str
    src: str
    sport: int
    dst: str
    dport: int
    mark: int

    def __str__(self) -> str:
        ends = f"{join_host_port(self.src, self.sport)} -> {join_host_port(self.dst, self.dport)}"
        return f"{self.protocol} {ends}" + (f" mark {self.mark:#x}" if self.mark else "")


class Step(NamedTuple):
    """One thing that happened to a packet: a rule that matched, a lookup, or what the kernel did by itself.

    `hook` is where in the kernel, `table` and `chain` are where in the rules (both "" for the kernel's own doing),
    `rule` is the text of the rule, `effect` says what it did ("jump KUBE-SVC-…", "dnat 10.244.1.2:8080", "drop", …),
    and `packet` is what the packet looked like afterwards. The steps of a walk, in order, are all that a picture of
    the way needs: chains are its boxes, the effects "jump", "goto" and "return" its arrows.
    """

    hook: str
    table: str
    chain: str
    rule: str
    effect: str
    packet: PacketState

    def __str__(self) -> str:
        where = " ".join(filter(None, (self.table, self.chain)))
        return f"{self.hook:<11} {where + ': ' if where else ''}{self.rule or self.effect}"


@dataclass(slots=True)
class Journey:
    """What the rules need while one packet walks: chance, time, the node, and where to write down what happened.

    `examined` counts the rules that the kernel would have to look at: with iptables it grows with the number of
    Services, with nftables it does not.
    """

    rng: random.Random
    now: float
    node: NodeView
    steps: list[Step] = field(default_factory=list)
    examined: int = 0
    hook: Hook = "PREROUTING"

    def note(self, packet: Packet, effect: str, *, table: str = "", chain: str = "", rule: str = "") -> None:
        self.steps.append(Step(self.hook, table, chain, rule, effect, packet.state()))

    def masquerade(self, packet: Packet) -> None:
        """Give the packet this node's address towards where it goes, and a random port (``--random-fully``)."""
        packet.src = self.node.source_for(packet.dst)
        packet.sport = self.rng.randrange(1024, 65536)
        packet.snat = True


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain that hangs on a hook. `nat` chains see only the first packet of a flow."""

    table: str
    name: str
    nat: bool


class Ruleset(Protocol):
    """Loaded rules, as `host` uses them."""

    def base_chains(self, hook: Hook) -> Sequence[BaseChain]:
        """The chains on a hook, in order of priority."""
        ...

    def run(self, chain: BaseChain, packet: Packet, journey: Journey) -> Verdict:
        """Send a packet through one of them; it may come out changed."""
        ...


@dataclass(frozen=True, slots=True)
class Walk:
    """The way of one packet from its sender to its end.

    `outcome`: "delivered" (it was given the address of an endpoint), "rejected" (an ICMP error went back: the client
    sees *connection refused*), "dropped" (the client sees a timeout) or "passed" (no rule wanted it; it goes on to
    where it was sent). `endpoint`: "ip:port" of the endpoint, None unless delivered. `destination` and `source`: what
    the receiver sees; the source differs from the sender's where the packet was `masqueraded`. `established`:
    conntrack knew the flow, so no NAT rule was asked. `to_node`: the destination is this node itself.
    """

    protocol: str
    sender: str
    target: str
    outcome: Outcome
    source: str
    destination: str
    endpoint: str | None
    masqueraded: bool
    established: bool
    to_node: bool
    examined: int
    steps: tuple[Step, ...]

    @property
    def client_sees(self) -> str:
        """What the sender notices, in a few words."""
        if self.outcome == "delivered":
            return f"an answer from {self.endpoint}"
        if self.outcome == "rejected":
            return "connection refused (ICMP port unreachable)"
        if self.outcome == "dropped":
            return "nothing, until it times out"
        if self.to_node:
            return "whatever listens on the node itself; connection refused if nothing does"
        return f"whatever answers at {self.destination}: no rule of this node touched it"

    def __str__(self) -> str:
        lines = [f"{self.protocol} {self.sender} -> {self.target}"]
        lines += [f"  {step}" + (f"\n{'':14}= {step.effect}" if step.rule else "") for step in self.steps]
        seen = f", seen there as coming from {self.source}" if self.outcome == "delivered" else ""
        lines.append(f"  {self.outcome}: the client gets {self.client_sees}{seen}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Sent:
    """What `send` tells of its n packets. `walks` are in order of sending.

    >>> # result = proxy.send("10.244.1.100", "10.96.0.9", 80, n=300, seed=1)
    >>> # result.answers   ->  Counter({"10.244.1.2:8080": 103, "10.244.2.2:8080": 101, "10.244.3.2:8080": 96})
    """

    walks: tuple[Walk, ...]

    @property
    def answers(self) -> Counter[str]:
        """Connections per endpoint."""
        return Counter(walk.endpoint for walk in self.walks if walk.endpoint)

    @property
    def outcomes(self) -> Counter[str]:
        """How many were delivered, rejected, dropped, passed."""
        return Counter(walk.outcome for walk in self.walks)

    @property
    def seen_as(self) -> Counter[str]:
        """Source addresses that the endpoints saw (without the port)."""
        return Counter(walk.source for walk in self.walks if walk.endpoint)

    def __str__(self) -> str:
        head = str(self.walks[0]) if self.walks else "nothing was sent"
        if len(self.walks) < 2:
            return head
        lines = [head, f"  {len(self.walks)} connections, each a new one:"]
        lines += [f"    {count:6}  {endpoint}" for endpoint, count in sorted(self.answers.items())]
        lines += [
            f"    {count:6}  {outcome}" for outcome, count in sorted(self.outcomes.items()) if outcome != "delivered"
        ]
        return "\n".join(lines)
