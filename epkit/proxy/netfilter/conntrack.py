"""Conntrack: the kernel's table of flows. NAT is decided once for each flow and then remembered here.

That is why a connection stays with its endpoint when the rules change, even when the endpoint is gone from every slice;
and why a sender of UDP, which never opens a connection, may go on talking to an endpoint that no longer exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from epkit.proxy.names import join_host_port

#: Seconds until a flow without packets is forgotten: (answered, not answered). TCP is what kube-proxy sets
#: (``conntrack.tcpEstablishedTimeout``), the others are the kernel's defaults.
TIMEOUTS = {"TCP": (86400.0, 120.0), "UDP": (120.0, 30.0), "SCTP": (210.0, 3.0)}


class FlowKey(NamedTuple):
    """The original direction of a flow, as its sender wrote it."""

    protocol: str
    src: str
    sport: int
    dst: str
    dport: int


@dataclass(slots=True)
class Flow:
    """One entry. `to` is where its packets are sent on to, `from_` what they carry as source when they leave.

    `dnat` and `snat` say whether these differ from the key because of a rule.
    """

    key: FlowKey
    to: tuple[str, int]
    from_: tuple[str, int]
    dnat: bool
    snat: bool
    expires: float = 0.0

    def __str__(self) -> str:
        """As ``conntrack -L`` shows it: the original tuple, then the one of the answers."""
        key = self.key
        return (
            f"{key.protocol.lower()} src={key.src} dst={key.dst} sport={key.sport} dport={key.dport} "
            f"src={self.to[0]} dst={self.from_[0]} sport={self.to[1]} dport={self.from_[1]}"
        )


@dataclass(slots=True)
class Conntrack:
    """The table. `now` gives the time in seconds; entries expire by it."""

    now: Callable[[], float]
    flows: dict[FlowKey, Flow] = field(default_factory=dict)

    def find(self, key: FlowKey) -> Flow | None:
        """The live entry of a flow; one that has expired is removed."""
        flow = self.flows.get(key)
        if flow is not None and flow.expires <= self.now():
            del self.flows[key]
            return None
        return flow

    def confirm(self, flow: Flow) -> None:
        """Enter a flow whose first packet got through, or note that another packet of it did.

        A flow counts as answered where it was delivered to an endpoint.
        """
        answered, unanswered = TIMEOUTS[flow.key.protocol]
        flow.expires = self.now() + (answered if flow.dnat else unanswered)
        self.flows[flow.key] = flow

    def close(self, key: FlowKey) -> bool:
        """Forget a flow, as ``conntrack -D`` does. Was there one?"""
        return self.flows.pop(key, None) is not None

    def __iter__(self) -> Iterator[Flow]:
        now = self.now()
        return iter([flow for flow in self.flows.values() if flow.expires > now])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clean_stale_udp(self, frontends: dict[str, set[str]], node_ports: dict[int, set[str]]) -> int:
        """Remove UDP flows to a service that do not lead to one of its serving endpoints. Returns how many.

        `frontends` maps "ip:port" of a service to its endpoints, `node_ports` does the same for node ports.
        Source: pkg/proxy/conntrack/cleanup.go (CleanStaleEntries).
        """
        stale = []
        for key, flow in self.flows.items():
            if key.protocol != "UDP":
                continue
            endpoint = join_host_port(*flow.to)
            at_ip, at_port = frontends.get(join_host_port(key.dst, key.dport)), node_ports.get(key.dport)
            if (at_ip is not None and endpoint not in at_ip) or (at_port is not None and endpoint not in at_port):
                stale.append(key)
        for key in stale:
            del self.flows[key]
        return len(stale)
