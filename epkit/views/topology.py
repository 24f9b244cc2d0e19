"""The topology of a Service: its slices, their endpoints, the pods behind them, on nodes in zones."""
from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import graphviz

from epkit.errors import EpkitError
from epkit.objects import Obj, labels_of, name_of
from epkit.selectors import of_map
from epkit.views import palette
from epkit.views.diagram import Diagram

if TYPE_CHECKING:
    from epkit.cluster import Cluster
    from epkit.story import Past

#: Beyond this many endpoints a slice is drawn as counts.
MOST_ROWS = 12
SERVICE_NAME = "kubernetes.io/service-name"


@dataclass
class Topology:
    """What there is to draw, read once."""

    service: Obj
    slices: list[Obj]
    pods: dict[str, Obj]
    zones: dict[str, str] = field(default_factory=dict)  # node -> zone

    @property
    def endpoints(self) -> list[Obj]:
        return [endpoint for one in self.slices for endpoint in one.get("endpoints") or ()]

    def pod_of(self, endpoint: Obj) -> Obj | None:
        reference = endpoint.get("targetRef") or {}
        return self.pods.get(reference.get("name", "")) if reference.get("kind") == "Pod" else None

    def left_out(self) -> list[Obj]:
        """Pods that the selector matches and no slice lists."""
        matches = of_map((self.service.get("spec") or {}).get("selector"))
        listed = {(endpoint.get("targetRef") or {}).get("name") for endpoint in self.endpoints}
        return [pod for name, pod in self.pods.items() if name not in listed and matches(labels_of(pod))]


def of_service(cluster: Cluster | Past, what: str) -> Diagram:
    """The picture of a Service, given as ``svc/web``, ``service/web`` or ``web``, with a namespace as ``demo/svc/web``.

    Raises:
        EpkitError: there is no such Service; the text names those there are.
    """
    namespace, name = _parse(what, cluster.namespace)
    service = cluster.client.find("services", name, namespace)
    if service is None:
        there = ", ".join(name_of(one) for one in cluster.client.list("services", namespace)) or "none"
        raise EpkitError(f"There is no Service {name} in the namespace {namespace}. There are: {there}.")
    slices = cluster.client.list("endpointslices", namespace, labels=f"{SERVICE_NAME}={name}").items
    pods = {name_of(pod): pod for pod in cluster.client.list("pods", namespace)}
    zones = {name_of(node): labels_of(node).get("topology.kubernetes.io/zone", "") for node in cluster.client.list("nodes")}
    topology = Topology(service, slices, pods, zones)
    return Diagram(describe(topology), dot(topology))


def describe(topology: Topology) -> str:
    """The picture in one sentence."""
    service, spec = topology.service, topology.service["spec"]
    slices, endpoints = topology.slices, topology.endpoints
    address = spec.get("clusterIP") or spec.get("externalName") or "no address"
    subject = f"Service {name_of(service)} ({'headless' if address == 'None' else address})"
    if not slices:
        return f"{subject} has no slices."
    parts = []
    for one in slices:
        count = len(one.get("endpoints") or ())
        parts.append(f"{name_of(one)} ({one['addressType']}, {_ports(one)}) with {_endpoints_in_words(topology, one, count)}")
    left_out = topology.left_out()
    rest = f"; not in a slice: {', '.join(sorted(map(name_of, left_out)))}" if left_out else ""
    noun = "slice" if len(slices) == 1 else "slices"
    ready = sum(1 for endpoint in endpoints if palette.of_endpoint(endpoint) is palette.READY)
    return f"{subject} has {len(slices)} {noun}, {ready} of {len(endpoints)} endpoints ready: {'; '.join(parts)}{rest}."


def dot(topology: Topology) -> str:
    """The picture in Graphviz's language."""
    graph = graphviz.Digraph("topology")
    graph.attr(rankdir="LR", bgcolor=palette.CARD, fontname="Helvetica,Arial,sans-serif", fontsize="11", nodesep="0.15",
               ranksep="0.7", fontcolor=palette.INK, compound="true", pad="0.2")
    graph.attr("node", fontname="Helvetica,Arial,sans-serif", fontsize="11", color=palette.INK, fontcolor=palette.INK,
               shape="box", style="filled", fillcolor=palette.CARD)
    graph.attr("edge", color=palette.FAINT, arrowsize="0.7", fontsize="10")
    spec = topology.service["spec"]
    ports = ", ".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ()) or "no ports"
    lines = ["Service", name_of(topology.service), str(spec.get("clusterIP") or spec.get("externalName") or ""), ports]
    graph.node("service", "\n".join(graphviz.escape(line) for line in lines), shape="box", style="rounded,filled",
               penwidth="2", color=palette.BLUE)
    drawn: set[str] = set()
    for number, one in enumerate(topology.slices):
        slice_id = f"slice{number}"
        graph.node(slice_id, _slice_label(one), shape="plain")
        graph.edge("service", slice_id)
        endpoints = _in_order(one)
        if len(endpoints) > MOST_ROWS:
            continue
        for row, endpoint in enumerate(endpoints):
            pod = topology.pod_of(endpoint)
            if pod is not None:
                look = palette.of_endpoint(endpoint)
                graph.edge(f"{slice_id}:e{row}", _pod_id(pod), style=look.line, color=look.colour)
                drawn.add(name_of(pod))
    left_out = {name_of(pod) for pod in topology.left_out()[:MOST_ROWS]}
    _draw_places(graph, topology, drawn, left_out)
    return str(graph.source)


def _draw_places(graph: graphviz.Digraph, topology: Topology, drawn: set[str], left_out: set[str]) -> None:
    """The pods, in a box for their node, in a box for its zone."""
    places: dict[str, dict[str, list[str]]] = {}
    for name in sorted(drawn | left_out):
        node = topology.pods[name]["spec"].get("nodeName", "")
        places.setdefault(topology.zones.get(node, ""), {}).setdefault(node, []).append(name)
    for zone_number, zone in enumerate(sorted(places)):
        with graph.subgraph(name=f"cluster_zone{zone_number}") as zone_box:
            zone_box.attr(label=f"zone {zone}" if zone else "no zone", style="rounded,filled", color=palette.FAINT,
                          fillcolor=palette.ZONE, labeljust="l")
            for node_number, node in enumerate(sorted(places[zone])):
                with zone_box.subgraph(name=f"cluster_node{zone_number}_{node_number}") as node_box:
                    node_box.attr(label=f"node {node}" if node else "no node yet", style="rounded,filled", color=palette.FAINT,
                                  fillcolor=palette.CARD, labeljust="l")
                    for name in places[zone][node]:
                        _draw_pod(node_box, topology.pods[name], name in left_out)


def _draw_pod(box: graphviz.Digraph, pod: Obj, left_out: bool) -> None:
    name = name_of(pod)
    if left_out:
        phase = (pod.get("status") or {}).get("phase", "")
        label = f"{palette.ABSENT.sign} {name}\n{palette.ABSENT.word}, {phase}"
        box.node(_pod_id(pod), graphviz.escape(label).replace("\n", "\\n"), style="dashed", color=palette.FAINT,
                 fontcolor=palette.FAINT)
    else:
        box.node(_pod_id(pod), graphviz.escape(name))


def _slice_label(one: Obj) -> str:
    """A slice as a table: its name, its kind of address and ports, and a row per endpoint with the way to its pod."""
    rows = [
        f'<TR><TD BGCOLOR="#e6f1f8"><B>{_text(name_of(one))}</B></TD></TR>',
        f"<TR><TD>{_text(one['addressType'])}, ports {_text(_ports(one))}</TD></TR>",
    ]
    endpoints = _in_order(one)
    if len(endpoints) > MOST_ROWS:
        counts: dict[palette.Look, int] = {}
        for endpoint in endpoints:
            look = palette.of_endpoint(endpoint)
            counts[look] = counts.get(look, 0) + 1
        shown = [f"{look.sign} {count} {look.word}" for look, count in counts.items()]
        rows += [f'<TR><TD ALIGN="LEFT">{_text(line)}</TD></TR>' for line in shown]
    else:
        for row, endpoint in enumerate(endpoints):
            look = palette.of_endpoint(endpoint)
            address = ", ".join(endpoint["addresses"])
            text = f'{look.sign} {_text(address)} <FONT COLOR="{look.colour}">{look.word}</FONT>'
            rows.append(f'<TR><TD PORT="e{row}" ALIGN="LEFT">{text}</TD></TR>')
        if not endpoints:
            rows.append(f'<TR><TD><FONT COLOR="{palette.FAINT}">no endpoints</FONT></TD></TR>')
    return '<<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="0" CELLPADDING="4">' + "".join(rows) + "</TABLE>>"


def _endpoints_in_words(topology: Topology, one: Obj, count: int) -> str:
    if not count:
        return "no endpoints"
    if count > MOST_ROWS:
        return f"{count} endpoints"
    words = []
    for endpoint in _in_order(one):
        look = palette.of_endpoint(endpoint)
        pod = topology.pod_of(endpoint)
        node = endpoint.get("nodeName") or (pod or {}).get("spec", {}).get("nodeName", "")
        zone = endpoint.get("zone") or topology.zones.get(node, "")
        where = "".join((f" in pod {name_of(pod)}" if pod else "", f" on {node}" if node else "", f" in {zone}" if zone else ""))
        words.append(f"{', '.join(endpoint['addresses'])} {look.word}{where}")
    return ", ".join(words)


def _in_order(one: Obj) -> list[Obj]:
    return sorted(one.get("endpoints") or (), key=lambda endpoint: [_numeric(address) for address in endpoint["addresses"]])


def _numeric(address: str) -> tuple[int, ...] | tuple[str]:
    parts = address.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (address,)


def _ports(one: Obj) -> str:
    ports = one.get("ports") or ()
    shown = ", ".join(f"{port.get('port', '*')}/{port.get('protocol') or 'TCP'}" for port in ports)
    return shown or "unset"


def _pod_id(pod: Obj) -> str:
    return f"pod-{name_of(pod)}"


def _text(value: str) -> str:
    return escape(value, quote=False)


def _parse(what: str, namespace: str) -> tuple[str, str]:
    parts = what.split("/")
    name = parts.pop()
    if parts and parts[-1] in ("svc", "service", "services"):
        parts.pop()
    elif parts and len(parts) == 1 and parts[0] in ("pod", "pods", "deployment", "deploy", "endpointslice", "node"):
        raise EpkitError(f"show draws Services, such as svc/web, and not {what}.")
    return (parts[0] if parts else namespace), name
