"""A node's network stack: through which hooks a packet goes, in which order, and where it ends.

        from outside or a pod ──> PREROUTING ──> for this node? ──yes──> INPUT ──> a process of the node
                                                      │no
                                                   FORWARD ──> POSTROUTING ──> out

        from the node itself  ──> OUTPUT ──> POSTROUTING ──> out; or, for the node itself, over loopback ──> INPUT

The destination is translated in PREROUTING or OUTPUT, the source in POSTROUTING. So the route is chosen *after* the
destination has become that of an endpoint, and rules in FORWARD or INPUT that look for a service's address only see
packets that no rule translated. That is the place where services without endpoints are rejected.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from epkit.proxy.names import join_host_port
from epkit.proxy.netfilter.conntrack import Conntrack, Flow, FlowKey
from epkit.proxy.netfilter.packet import Hook, Journey, Outcome, Packet, Ruleset, Verdict, Walk
from epkit.proxy.node import NodeView

#: The ports that Linux gives to clients (net.ipv4.ip_local_port_range).
CLIENT_PORTS = range(32768, 61000)


@dataclass(slots=True)
class Host:
    """A node that has rules loaded. `now` gives the time in seconds, for conntrack and for session affinity."""

    node: NodeView
    rules: Ruleset
    now: Callable[[], float]
    conntrack: Conntrack = field(init=False)
    _next_port: int = 0

    def __post_init__(self) -> None:
        self.conntrack = Conntrack(self.now)

    def send(
        self, src: str, dst: str, dport: int, protocol: str, rng: random.Random, src_port: int | None = None
    ) -> Walk:
        """One connection's first packet; or, with a `src_port` that was used before, the next packet of that flow.

        Without `src_port` the connection is a new one that is closed again, so nothing stays in conntrack. Addresses
        have to be in canonical form.
        """
        sport = self._free_port(protocol, src, dst, dport) if src_port is None else src_port
        key = FlowKey(protocol, src, sport, dst, dport)
        flow = self.conntrack.find(key)
        packet = Packet(src, sport, dst, dport, protocol, new=flow is None)
        journey = Journey(rng, self.now(), self.node)
        verdict = self._through_hooks(packet, journey, flow)
        if verdict == "accept" and src_port is not None:
            if flow is None:
                flow = Flow(key, (packet.dst, packet.dport), (packet.src, packet.sport), packet.dnat, packet.snat)
            self.conntrack.confirm(flow)
        return self._walk(key, packet, journey, verdict)

    def _free_port(self, protocol: str, src: str, dst: str, dport: int) -> int:
        while True:
            port = CLIENT_PORTS[self._next_port % len(CLIENT_PORTS)]
            self._next_port += 1
            if FlowKey(protocol, src, port, dst, dport) not in self.conntrack.flows:
                return port

    def _through_hooks(self, packet: Packet, journey: Journey, flow: Flow | None) -> Verdict:
        if not self.node.is_local(packet.src):
            verdict = self._hook("PREROUTING", packet, journey, flow)
            if verdict != "accept":
                return verdict
            if self.node.is_local(packet.dst):
                return self._hook("INPUT", packet, journey, flow)
            verdict = self._hook("FORWARD", packet, journey, flow)
            return self._hook("POSTROUTING", packet, journey, flow) if verdict == "accept" else verdict

        verdict = self._hook("OUTPUT", packet, journey, flow)
        if verdict == "accept":
            verdict = self._hook("POSTROUTING", packet, journey, flow)
        if verdict == "accept" and self.node.is_local(packet.dst):
            # Over loopback it comes in again. Conntrack knows it already, so its NAT is settled.
            verdict = self._hook("PREROUTING", packet, journey, flow, looped=True)
            if verdict == "accept":
                verdict = self._hook("INPUT", packet, journey, flow)
        return verdict

    def _hook(
        self, hook: Hook, packet: Packet, journey: Journey, flow: Flow | None, *, looped: bool = False
    ) -> Verdict:
        journey.hook = hook
        for chain in self.rules.base_chains(hook):
            if not chain.nat:
                verdict = self.rules.run(chain, packet, journey)
                if verdict != "accept":
                    return verdict
            elif looped:
                continue
            elif flow is None:
                self.rules.run(chain, packet, journey)
            else:
                self._translate(hook, packet, journey, flow)
        return "accept"

    @staticmethod
    def _translate(hook: Hook, packet: Packet, journey: Journey, flow: Flow) -> None:
        """Give a packet of a known flow the same translation as the first one got."""
        if hook in ("PREROUTING", "OUTPUT") and flow.dnat and not packet.dnat:
            (packet.dst, packet.dport), packet.dnat = flow.to, True
            journey.note(packet, f"conntrack knows the flow: dnat {join_host_port(*flow.to)}")
        elif hook == "POSTROUTING" and flow.snat and not packet.snat:
            (packet.src, packet.sport), packet.snat = flow.from_, True
            journey.note(packet, f"conntrack knows the flow: snat {flow.from_[0]}")

    def _walk(self, key: FlowKey, packet: Packet, journey: Journey, verdict: Verdict) -> Walk:
        ends: dict[Verdict, Outcome] = {"drop": "dropped", "reject": "rejected"}
        outcome = ends.get(verdict) or ("delivered" if packet.dnat else "passed")
        destination = join_host_port(packet.dst, packet.dport)
        return Walk(
            protocol=key.protocol,
            sender=key.src,
            target=join_host_port(key.dst, key.dport),
            outcome=outcome,
            source=packet.src,
            destination=destination,
            endpoint=destination if outcome == "delivered" else None,
            masqueraded=packet.snat,
            established=not packet.new,
            to_node=self.node.is_local(packet.dst),
            examined=journey.examined,
            steps=tuple(journey.steps),
        )
