"""Many requests from one place of simulated nodes: what :meth:`epkit.cluster.Cluster.request` does there."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from epkit.errors import EpkitError
from epkit.fake import webservers
from epkit.fake.commands.fetch import Url
from epkit.fake.podenv import resolv_conf
from epkit.fake.resolver import Found, Resolver
from epkit.fake.traffic import ANSWERED, Source
from epkit.fake.webservers import HttpRequest
from epkit.traffic import FAILED, REFUSED, TIMED_OUT, UNRESOLVED, Response, Responses

if TYPE_CHECKING:
    from epkit.fake.simulation import Simulation

AGENT = "epkit"


def source_of(plane: Simulation, namespace: str, from_pod: str, from_node: str) -> Source:
    """Where requests come from: a pod, or a client on a node, the first one if neither is named.

    Raises:
        EpkitError: there is no such pod or node.
    """
    nodes, traffic = plane.kubelet.nodes, plane.traffic
    if not nodes:
        raise EpkitError("This cluster has no nodes, so there is nowhere to send from. Connect with nodes=3.")
    if from_pod:
        return traffic.from_pod(namespace, from_pod)
    return traffic.from_node(from_node or next(iter(nodes)), namespace)


def send(plane: Simulation, source: Source, url: str, n: int, over: float = 0.0) -> Responses:
    """Send `n` requests, each on a connection of its own, spread evenly over so many seconds of virtual time.

    Without `over` they all happen at the same moment. A request that nobody answers does not hold up the next.

    Raises:
        EpkitError: the URL cannot be read.
    """
    try:
        target = Url.parse(url)
    except ValueError as error:
        raise EpkitError(
            f"{url!r} is no URL that can be asked: {error}. Expected one such as http://web:80/."
        ) from None
    items = []
    for number in range(n):
        if over and number:
            plane.sleep(over / n)
        with plane.loop.lock:
            items.append(_one(plane, source, target))
    plane.proceed()
    pod = source.pod.partition("/")[2]
    zone = plane.kubelet.nodes[source.node].spec.zone
    return Responses(url, f"pod {pod}" if pod else f"a client on {source.node}", source.node, zone, items)


def _one(plane: Simulation, source: Source, url: Url) -> Response:
    now = plane.clock.now
    found = _resolved(plane, source, url.host)
    last = Response(UNRESOLVED, at=now)
    for address in found.addresses:
        connection = plane.traffic.connect(source, address, url.port)
        if connection.outcome != ANSWERED:
            last = Response(TIMED_OUT if connection.outcome == TIMED_OUT else REFUSED, at=now)
            continue
        worker, container = connection.worker, connection.container
        if worker is None or container is None:
            return Response(FAILED if url.scheme == "http" else ANSWERED, at=now)
        request = HttpRequest("GET", url.path, url.host_header, AGENT, connection.seen_as)
        reply = webservers.answer(worker, container, connection.port, request, now) if url.scheme == "http" else None
        pod, node = worker.key.partition("/")[2], worker.node
        if reply is None:
            return Response(FAILED, pod, node.name, node.spec.zone, at=now)
        return Response(ANSWERED, pod, node.name, node.spec.zone, reply.code, reply.body, now)
    return last


def _resolved(plane: Simulation, source: Source, host: str) -> Found:
    """The addresses of a name, by the pod's own files where it is one. Nobody waits: a DNS server is there or not."""
    worker = plane.kubelet.worker(*source.pod.split("/")) if source.pod else None
    read = worker.main[0].read if worker is not None else {"/etc/resolv.conf": resolv_conf(source.namespace)}.get
    resolver = Resolver(read, lambda *query: plane.traffic.ask(source, *query))
    return _at_once(resolver.addresses(host, ("A",)))


def _at_once(steps: Generator[float, None, Found]) -> Found:
    try:
        while True:
            next(steps)
    except StopIteration as end:
        found: Found = end.value
        return found
