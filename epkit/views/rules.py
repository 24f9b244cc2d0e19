"""The rules that a packet meets on its way: chain by chain, as kube-proxy's rules and the kernel send it.

The steps are those that :mod:`epkit.proxy` tells of a packet; what is drawn is what they say and nothing else.
"""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from epkit.client import RESOURCES
from epkit.errors import EpkitError
from epkit.objects import Obj, name_of, namespace_of
from epkit.proxy import Proxy, Sent, Step, Walk
from epkit.views.diagram import Diagram
from epkit.views.lookup import find_service, not_found
from epkit.views.text import clean, count, listing

if TYPE_CHECKING:
    from epkit.cluster import Cluster
    from epkit.story import Past

JUMPS = ("jump", "goto")


@dataclass
class Box:
    """Steps in one chain, one after the other. `depth` counts the jumps that led there from the hook's chain."""

    hook: str
    chain: str
    depth: int
    steps: list[Step] = field(default_factory=list)


@dataclass
class Way:
    """What there is to draw: the boxes of a packet's way, its end, and who answered where several were sent."""

    walk: Walk
    boxes: list[Box]
    answers: Counter[str]


def of(sent: Sent | Walk) -> Diagram:
    """The way of a packet through the rules. Of several, the first one's way, and how often which endpoint was chosen.

    >>> of(proxy.send("10.244.1.100", "10.96.0.9", 80))
    """
    from epkit.views.rules_svg import draw

    walks = (sent,) if isinstance(sent, Walk) else sent.walks
    if not walks:
        raise EpkitError("Nothing was sent, so there is no way to draw. Send one packet or more.")
    answers = Counter(walk.endpoint or walk.outcome for walk in walks) if len(walks) > 1 else Counter()
    way = Way(walks[0], boxes_of(walks[0].steps), answers)
    return Diagram(describe(way), svg=draw(way))


def of_service(
    cluster: Cluster | Past, what: str, *, from_pod: str = "", from_node: str = "", port: int = 0,
    mode: str = "iptables", n: int = 1,
) -> Diagram:
    """The way of a packet to a Service's cluster IP, through the rules that kube-proxy writes on the sender's node.

    Args:
        from_pod: the pod that sends, in the Service's namespace; else the node itself does.
        from_node: that node; without either, the first one.
        port: one of the Service's, without it the first.
        mode: ``iptables`` or ``nftables``.
        n: how many connections; of several, it is counted who gets how many.

    Raises:
        EpkitError: there is no such Service, pod or node, or no rule is written for such a Service.
    """
    service = find_service(cluster, what)
    namespace, spec = namespace_of(service), service.get("spec") or {}
    address, ports = spec.get("clusterIP") or "", [each["port"] for each in spec.get("ports") or ()]
    if address in ("", "None") or not ports:
        lack = "port" if address not in ("", "None") else "cluster IP"
        raise EpkitError(f"Service {clean(name_of(service))} has no {lack}, so kube-proxy writes no rules for it.")
    if port and port not in ports:
        raise EpkitError(f"Service {clean(name_of(service))} has no port {port}. It has: {', '.join(map(str, ports))}.")
    objects = [*_read(cluster, "nodes"), *_read(cluster, "services"), *_read(cluster, "endpointslices")]
    node, source = _sender(cluster, objects, namespace, from_pod, from_node)
    proxy = Proxy(node, mode, "IPv6" if ":" in address else "IPv4")
    proxy.sync(objects)
    protocol = next(each.get("protocol", "TCP") for each in spec["ports"] if each["port"] == (port or ports[0]))
    return of(proxy.send(source, address, port or ports[0], protocol, n=n))


def _read(cluster: Cluster | Past, resource: str) -> list[Obj]:
    """All objects of a resource, with the kind that a list's items do not carry."""
    version, kind, _ = RESOURCES[resource]
    return [{"apiVersion": version, "kind": kind, **obj} for obj in cluster.client.list(resource)]


def _sender(
    cluster: Cluster | Past, objects: list[Obj], namespace: str, from_pod: str, from_node: str
) -> tuple[str, str]:
    """The node whose rules count, and the address that the packet comes from."""
    nodes = sorted(name_of(obj) for obj in objects if obj["kind"] == "Node")
    if not from_pod:
        node = from_node or (nodes[0] if nodes else "")
        if node not in nodes:
            raise EpkitError(f"There is no node {clean(node)}. There are: {listing(nodes, 12) or 'none'}.")
        return node, node
    pod = cluster.client.find("pods", from_pod, namespace)
    if pod is None:
        there = [name_of(one) for one in cluster.client.list("pods", namespace)]
        raise EpkitError(not_found("pod", from_pod, namespace, there))
    node, source = (pod.get("spec") or {}).get("nodeName", ""), (pod.get("status") or {}).get("podIP", "")
    if not node or not source:
        raise EpkitError(f"Pod {clean(from_pod)} sends nothing yet: it has no {'address' if node else 'node'}.")
    return node, source


def boxes_of(steps: tuple[Step, ...]) -> list[Box]:
    """Steps by chain. A jump leads one deeper, a return or a chain that a box stands for already back to it."""
    boxes: list[Box] = []
    stack: list[str] = []
    hook = ""
    for step in steps:
        chain = clean(" ".join(filter(None, (step.table, step.chain)))) or "the kernel itself"
        if boxes and (boxes[-1].hook, boxes[-1].chain) == (step.hook, chain):
            boxes[-1].steps.append(step)
            continue
        if step.hook != hook:
            stack, hook = [], step.hook
        if chain in stack:
            stack = stack[: stack.index(chain) + 1]
        elif stack and boxes and target_of(boxes[-1].steps[-1]) == step.chain:
            stack.append(chain)
        else:
            stack = [chain]
        boxes.append(Box(step.hook, chain, len(stack) - 1, [step]))
    return boxes


def target_of(step: Step) -> str:
    """The chain that a step goes to, "" if it goes nowhere."""
    verb, _, target = step.effect.partition(" ")
    return target if verb in JUMPS else ""


def came_back(way: Way, box: Box, place: int) -> bool:
    """Did a jump lead into a chain in which nothing matched?"""
    step = box.steps[place]
    if not target_of(step):
        return False
    if place + 1 < len(box.steps):
        return True
    following = next((way.boxes[number + 1] for number, one in enumerate(way.boxes[:-1]) if one is box), None)
    return following is None or following.hook != box.hook or following.steps[0].chain != target_of(step)


def describe(way: Way) -> str:
    """The way in lines: its end, and for each hook the chains with what they did."""
    walk = way.walk
    seen = f", seen there as coming from {walk.source}" if walk.outcome == "delivered" else ""
    end = f"{walk.outcome}: the client gets {walk.client_sees}{seen}."
    lines = [f"{walk.protocol} {walk.sender} → {walk.target} is {end}"]
    if walk.established:
        lines.append("conntrack knew the connection, so no rule of NAT was asked")
    for hook, boxes in groupby(way.boxes, key=lambda box: box.hook):
        lines.append(f"{hook}: {'; '.join(_in_words(way, box) for box in boxes)}")
    if not way.boxes:
        lines.append("No rule matched it.")
    if way.answers:
        words = [f"{endpoint} {number}" for endpoint, number in sorted(way.answers.items())]
        lines.append(f"{count(sum(way.answers.values()), 'connection')}: {listing(words, 8)}")
    return "\n".join(map(clean, lines))


def _in_words(way: Way, box: Box) -> str:
    words = []
    for place, step in enumerate(box.steps):
        words.append(step.effect + (" and back" if came_back(way, box, place) else ""))
    return f"{box.chain} ({', '.join(words)})"
