"""Connections between simulated pods: through kube-proxy's rules, to a container that listens, or not.

    traffic = Traffic(plane)
    source = traffic.from_pod("default", "client")
    traffic.connect(source, "10.96.14.7", 80).outcome          # 'answered'

There are no packets. Where a connection goes is decided by the rules that :mod:`epkit.proxy` writes for the client's
node, from the Services and EndpointSlices of this moment; what happens there, by whether a container listens on that
port. NetworkPolicies are stored and, as with a network plugin that does not know them, have no effect.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epkit.errors import EpkitError
from epkit.fake.dns import Dns, Reply
from epkit.proxy import Proxy, ProxyError, Walk

if TYPE_CHECKING:
    from epkit.fake.containers import Container
    from epkit.fake.podworker import PodWorker
    from epkit.fake.simulation import Simulation

#: How a connection ends. `REFUSED`: a reset, or an ICMP error, at once. `TIMED_OUT`: nothing comes back.
#: `UNREACHABLE`: the client has no way to an address of that family.
ANSWERED, REFUSED, TIMED_OUT, UNREACHABLE = "answered", "refused", "timed out", "unreachable"
DNS_PORT = 53
_RESOURCES = ("nodes", "services", "endpointslices.discovery.k8s.io")


@dataclass(frozen=True)
class Source:
    """Where a connection comes from: an address on a node. `pod` is ``namespace/name``."""

    node: str
    address: str
    pod: str
    namespace: str = "default"


@dataclass(frozen=True)
class Connection:
    """What came of a connection.

    Attributes:
        outcome: one of this module's four.
        address, port: where it ended up, after the rules of the client's node.
        seen_as: the client's address as the other side sees it.
        worker, container: who answered; without them it was the API server.
        walk: its way through the rules; None where no rule had a say.
    """

    outcome: str
    address: str
    port: int
    seen_as: str
    worker: PodWorker | None = None
    container: Container | None = None
    walk: Walk | None = None

    @property
    def pod(self) -> str:
        """Who answered, as ``namespace/name``, or an empty string."""
        return self.worker.key if self.worker else ""


class Traffic:
    """The network between simulated nodes."""

    def __init__(self, plane: Simulation, mode: str = "iptables") -> None:
        self._plane = plane
        self._mode = mode
        self._proxies: dict[tuple[str, str], tuple[Proxy, int]] = {}
        self.dns = Dns(plane.client("coredns"))
        self.api_server = plane.api_server

    # -- where from ------------------------------------------------------------------------------------------------

    def from_pod(self, namespace: str, name: str) -> Source:
        """A pod on a simulated node. Raises EpkitError where there is none, or none with an address yet."""
        worker = self._plane.kubelet.worker(namespace, name)
        if worker is None:
            raise EpkitError(f"Pod {namespace}/{name} does not run on a simulated node: nothing can be sent from it.")
        if not worker.ip:
            raise EpkitError(f"Pod {namespace}/{name} has no address yet. Wait until its containers have started.")
        return self.of(worker)

    @staticmethod
    def of(worker: PodWorker) -> Source:
        return Source(worker.node.name, worker.ip, worker.key, worker.key.partition("/")[0])

    def from_node(self, name: str, namespace: str = "default") -> Source:
        """A client pod on a node that is there for this alone; it has the last address of the node's range."""
        nodes = self._plane.kubelet.nodes
        if name not in nodes:
            raise EpkitError(f"There is no simulated node {name}. There are: {', '.join(nodes) or 'none'}.")
        return Source(name, str(nodes[name].spec.network[-2]), "", namespace)

    # -- connections -----------------------------------------------------------------------------------------------

    def connect(self, source: Source, address: str, port: int, protocol: str = "TCP") -> Connection:
        """Open a connection: one packet through the rules, and a look at who listens where it comes out."""
        if address == source.address or ipaddress.ip_address(address).is_loopback:
            return self._local(source, address, port)
        if _family(source.address) != _family(address):
            return Connection(UNREACHABLE, address, port, source.address)
        walk = self._walk(source.node, source.address, address, port, protocol, source.pod)
        return self._end(walk, source.node, address, port, source.address, protocol, source.pod)

    def ask(self, source: Source, server: str, name: str, type: str) -> Reply | str:
        """A DNS query over UDP to that server; the outcome where none came to an answer."""
        found = self.connect(source, server, DNS_PORT, "UDP")
        return self.dns.query(name, type) if found.outcome == ANSWERED else found.outcome

    def _end(
        self, walk: Walk | None, node: str, address: str, port: int, seen_as: str, protocol: str, who: str
    ) -> Connection:
        """Where a connection ends that has left the rules of `node`."""
        if walk is not None:
            seen_as = walk.source
            address, port = _split(walk.destination)
            if walk.outcome in ("rejected", "dropped"):
                outcome = REFUSED if walk.outcome == "rejected" else TIMED_OUT
                return Connection(outcome, address, port, seen_as, walk=walk)
        other = self._plane.kubelet.node_at(address)
        if other is not None and other.name != node and not other.stopped and (walk is None or not walk.endpoint):
            # Another node's own address: that node's rules have their say, for node ports.
            there = self._walk(other.name, seen_as, address, port, protocol, who)
            return self._end(there, other.name, address, port, seen_as, protocol, who)
        return self._arrive(address, port, seen_as, walk)

    def _arrive(self, address: str, port: int, seen_as: str, walk: Walk | None) -> Connection:
        if address == self.api_server[0]:
            outcome = ANSWERED if port == self.api_server[1] else REFUSED
            return Connection(outcome, address, port, seen_as, walk=walk)
        kubelet = self._plane.kubelet
        workers, node = kubelet.workers_at(address), kubelet.node_at(address)
        if node is None and not workers:  # outside the simulation, or an address that nobody has any more
            return Connection(TIMED_OUT, address, port, seen_as, walk=walk)
        if (workers[0].node if workers else node).stopped:  # type: ignore[union-attr]
            return Connection(TIMED_OUT, address, port, seen_as, walk=walk)
        return self._listener(workers, address, port, seen_as, walk)

    def _local(self, source: Source, address: str, port: int) -> Connection:
        """Within the pod: no rule of the node sees it."""
        worker = self._plane.kubelet.worker(*source.pod.split("/")) if source.pod else None
        return self._listener([worker] if worker else [], address, port, address, None)

    @staticmethod
    def _listener(workers: list[PodWorker], address: str, port: int, seen_as: str, walk: Walk | None) -> Connection:
        for worker in workers:
            for container in worker.everyone:
                if container.listens(port):
                    return Connection(ANSWERED, address, port, seen_as, worker, container, walk)
        return Connection(REFUSED, address, port, seen_as, walk=walk)

    # -- rules -----------------------------------------------------------------------------------------------------

    def proxy(self, node: str, family: str = "IPv4") -> Proxy:
        """kube-proxy of a node, with the rules of this moment."""
        store = self._plane.store
        found, version = self._proxies.get((node, family), (None, -1))
        if found is None:
            found = Proxy(node, self._mode, family, now=lambda: self._plane.clock.now)
        if version != store.version:
            found.sync(obj for resource in _RESOURCES for obj in store.list(resource))
            self._proxies[node, family] = (found, store.version)
        return found

    def _walk(self, node: str, source: str, address: str, port: int, protocol: str, who: str) -> Walk | None:
        """A packet's way through the rules of a node; None where the node is no longer in the API and has none."""
        try:
            proxy = self.proxy(node, _family(address))
            seed = self._plane.names.number(2**31, "connection", who or node, f"{address}:{port}")
            return proxy.send(source, address, port, protocol, seed=seed).walks[0]
        except ProxyError:
            if self._plane.store.get("nodes", "", node) is None:
                return None
            raise


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _split(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
