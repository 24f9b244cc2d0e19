"""The topology of a Service in Graphviz's language.

Ids of nodes are numbers of our own, never names: Graphviz reads a colon in an id as a port. Labels are escaped twice
over where they are tables: once for the table, once for Graphviz.
"""
from __future__ import annotations

from collections.abc import Iterable
from html import escape

import graphviz

from epkit.objects import Obj, name_of
from epkit.views import palette
from epkit.views.text import clean, count, cut
from epkit.views.topology import (
    MOST_ASIDE,
    MOST_ROWS,
    MOST_SLICES,
    Topology,
    in_order,
    looks_of,
    ports_of,
    slices_alike,
)

#: Beyond this many arrows to groups, the groups are zones, not nodes.
MOST_ARROWS = 8
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"

Place = tuple[str, str]  # zone, node


def dot(topology: Topology) -> str:
    """The picture in Graphviz's language."""
    return _Drawing(topology).source()


class _Drawing:
    """The picture while it is drawn: the boxes of each place are collected, and written at the end."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.graph = graphviz.Digraph("topology")
        self.ids: dict[object, str] = {}
        self.boxes: dict[Place, dict[str, dict[str, str]]] = {}  # place -> id -> attributes
        self.crowds: dict[Place, list[Obj]] = {}
        self.stacked = len(topology.slices) > MOST_SLICES
        self.boxes_of_slices = len(slices_alike(topology.slices) if self.stacked else topology.slices)
        nodes = {topology.place_of(endpoint) for endpoint in topology.endpoints}
        self.by_zone = topology.grouped and len(nodes) * self.boxes_of_slices > MOST_ARROWS
        self.first = "service"  # what stands left of the pods

    def source(self) -> str:
        graph, topology = self.graph, self.topology
        font = "Helvetica,Arial,sans-serif"
        graph.attr(rankdir="LR", bgcolor=palette.CARD, fontname=font, fontsize="11", nodesep="0.15", ranksep="0.7",
                   fontcolor=palette.INK, compound="true", pad="0.2")
        graph.attr("node", fontname=font, fontsize="11", color=palette.INK, fontcolor=palette.INK, shape="box",
                   style="filled", fillcolor=palette.CARD)
        graph.attr("edge", color=palette.FAINT, arrowsize="0.7", fontname=font, fontsize="10", fontcolor=palette.INK)
        self._service()
        if self.stacked:
            for (kind, ports), slices in slices_alike(topology.slices).items():
                self._stack(kind, ports, slices)
        else:
            for one in topology.slices:
                self._slice(one)
        self._crowds()
        self._aside([(name_of(pod), _left_out(pod)) for pod in topology.left_out])
        self._aside([(name, _near(name, why)) for name, why in topology.near_misses.items()])
        self._places()
        return str(graph.source)

    # -- the left side -----------------------------------------------------------------------------------------------

    def _service(self) -> None:
        spec = self.topology.service.get("spec") or {}
        ports = ", ".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ())
        addresses = spec.get("clusterIPs") or [spec.get("clusterIP") or spec.get("externalName") or ""]
        address = "headless" if addresses[0] == "None" else ", ".join(addresses)
        label = _lines("Service", name_of(self.topology.service), address, ports or "no ports")
        self.graph.node("service", label, style="rounded,filled", penwidth="2", color=palette.BLUE, ordering="out")
        if not self.topology.slices:
            self.graph.node("none", **_grey("no slices", ""))
            self.graph.edge("service", "none", style="invis")
            self.first = "none"

    def _slice(self, one: Obj) -> None:
        slice_id = self._id("slice", name_of(one))
        endpoints = in_order(one)
        counted = self.topology.grouped or len(endpoints) > MOST_ROWS
        self.graph.node(slice_id, _table([one], endpoints if counted else None), shape="plain")
        self._under_the_service(slice_id)
        if counted:
            self._to_crowds(slice_id, endpoints)
            return
        for row, endpoint in enumerate(endpoints):
            look = palette.of_endpoint(endpoint)
            gone, pod = self.topology.gone(endpoint), self.topology.pod_of(endpoint)
            if gone:
                box = self._box(self.topology.place_of(endpoint), ("gone", gone), _grey(f"{gone}", "gone: no such pod"))
            elif pod is not None:
                node = (pod.get("spec") or {}).get("nodeName", "")
                place = self.topology.zones.get(node) or endpoint.get("zone", ""), node
                box = self._box(place, ("pod", name_of(pod)), {"label": _lines(name_of(pod))})
            else:
                continue
            self.graph.edge(f"{slice_id}:e{row}:e", f"{box}:w", style=look.line, color=look.colour)

    def _stack(self, kind: str, ports: str, slices: list[Obj]) -> None:
        endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or ()]
        stack_id = self._id("stack", (kind, ports))
        self.graph.node(stack_id, _table(slices, endpoints), shape="plain")
        self._under_the_service(stack_id)
        self._to_crowds(stack_id, endpoints)

    def _under_the_service(self, box: str) -> None:
        self.graph.edge("service:e", f"{box}:w")
        self.first = box if self.first == "service" else self.first

    # -- the right side ----------------------------------------------------------------------------------------------

    def _to_crowds(self, start: str, endpoints: Iterable[Obj]) -> None:
        """Arrows from a slice to the places where its endpoints are, each with how many."""
        groups: dict[Place, list[Obj]] = {}
        for endpoint in endpoints:
            zone, node = self.topology.place_of(endpoint)
            groups.setdefault((zone, "" if self.by_zone else node), []).append(endpoint)
        for place, members in sorted(groups.items()):
            self.crowds.setdefault(place, []).extend(members)
            looks = looks_of(members)
            look = next(iter(looks)) if len(looks) == 1 else None
            self.graph.edge(f"{start}:e", f"{self._id('crowd', place)}:w", label=self._label(members),
                            style=look.line if look else "solid", color=look.colour if look else palette.FAINT)

    def _label(self, members: list[Obj]) -> str:
        """The number on an arrow. Where several slices have arrows to several places, numbers only hide the lines."""
        return f" {len(members):,} " if self.boxes_of_slices == 1 else ""

    def _crowds(self) -> None:
        for place, members in self.crowds.items():
            nodes = {self.topology.place_of(endpoint)[1] for endpoint in members}
            head = count(len(members), "endpoint") + (f" on {count(len(nodes), 'node')}" if self.by_zone else "")
            self._box(place, ("crowd", place), {"label": _lines(head, *_counts(members))}, known=("crowd", place))

    def _aside(self, pods: list[tuple[str, dict[str, str]]]) -> None:
        """Pods beside the slices, greyed; of the last of many, a count."""
        boxes = []
        for name, attributes in pods[:MOST_ASIDE]:
            node = (self.topology.pods[name].get("spec") or {}).get("nodeName", "")
            place = self.topology.zones.get(node, ""), "" if self.by_zone else node
            boxes.append(self._box(place, ("pod", name), attributes))
        if len(pods) > MOST_ASIDE:
            more = f"{len(pods) - MOST_ASIDE:,} more like these"
            boxes.append(self._box(("", ""), ("more", pods[0][0]), _grey(more, "")))
        for box in boxes:  # an arrow that is not seen keeps them in the pods' column
            self.graph.edge(self.first, box, style="invis")

    def _box(self, place: Place, key: object, attributes: dict[str, str], known: object = None) -> str:
        box = self._id(*known) if isinstance(known, tuple) else self._id("box", key)
        self.boxes.setdefault(place, {}).setdefault(box, attributes)
        return box

    def _places(self) -> None:
        """The boxes, in a frame for their node, in a frame for its zone."""
        zones: dict[str, list[str]] = {}
        for zone, node in sorted(self.boxes):
            zones.setdefault(zone, []).append(node)
        for zone_number, (zone, nodes) in enumerate(zones.items()):
            with self.graph.subgraph(name=f"cluster_zone{zone_number}") as frame:
                label = f"zone {zone}" if zone else "no zone"
                frame.attr(label=_lines(label), style="rounded,filled", color=palette.FAINT, fillcolor=palette.ZONE,
                           labeljust="l")
                for node_number, node in enumerate(nodes):
                    boxes = sorted(self.boxes[zone, node].items(), key=lambda item: (item[1]["label"], item[0]))
                    if self.by_zone and not node:
                        for box, attributes in boxes:
                            frame.node(box, **attributes)
                        continue
                    with frame.subgraph(name=f"cluster_node{zone_number}_{node_number}") as inner:
                        inner.attr(label=_lines(f"node {node}" if node else "no node"), style="rounded,filled",
                                   color=palette.FAINT, fillcolor=palette.CARD, labeljust="l")
                        for box, attributes in boxes:
                            inner.node(box, **attributes)

    def _id(self, kind: str, key: object) -> str:
        return self.ids.setdefault((kind, key), f"{kind}{len(self.ids)}")


def _left_out(pod: Obj) -> dict[str, str]:
    status = (pod.get("status") or {}).get("phase") or "no phase"
    return _grey(f"{palette.ABSENT.sign} {name_of(pod)}", f"{palette.ABSENT.word}, {status}")


def _near(name: str, why: str) -> dict[str, str]:
    return _grey(f"≈ {name}", *why.split(" and "))


def _grey(*lines: str) -> dict[str, str]:
    return {"label": _lines(*lines), "style": "dashed", "color": palette.FAINT, "fontcolor": palette.FAINT}


def _table(slices: list[Obj], counted: list[Obj] | None) -> str:
    """A slice, or a stack of slices alike, as a table: its name, what it holds, and a row per endpoint or state."""
    first = slices[0]
    if len(slices) == 1:
        manager = (first["metadata"].get("labels") or {}).get(MANAGED_BY, "")
        head = f"<B>{_text(name_of(first))}</B>"
        by = "" if manager == CONTROLLER else f"managed by {manager or 'nobody'}"
    else:
        head, by = f"<B>{count(len(slices), 'slice')}</B>", ""
    rows = [
        f'<TR><TD BGCOLOR="{palette.HEAD}">{head}</TD></TR>',
        f"<TR><TD>{_text(by)}</TD></TR>" if by else "",
        f"<TR><TD>{_text(first['addressType'])}, ports {_text(ports_of(first))}</TD></TR>",
    ]
    if counted is not None:
        rows += [f'<TR><TD ALIGN="LEFT">{_text(line)}</TD></TR>' for line in _counts(counted)]
    for row, endpoint in enumerate(in_order(first) if counted is None else ()):
        look = palette.of_endpoint(endpoint)
        text = f'{look.sign} {_text(", ".join(endpoint["addresses"]))} <FONT COLOR="{look.colour}">{look.word}</FONT>'
        rows.append(f'<TR><TD PORT="e{row}" ALIGN="LEFT">{text}</TD></TR>')
    if not any(one.get("endpoints") for one in slices):
        rows.append(f'<TR><TD><FONT COLOR="{palette.FAINT}">no endpoints</FONT></TD></TR>')
    return '<<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="0" CELLPADDING="4">' + "".join(rows) + "</TABLE>>"


def _counts(endpoints: Iterable[Obj]) -> list[str]:
    return [f"{look.sign} {number:,} {look.word}" for look, number in looks_of(endpoints).items()]


def _text(value: str) -> str:
    """A text for a table: Graphviz wants it escaped as XML."""
    return escape(cut(clean(value)), quote=False).replace("\\", "&#92;")


def _lines(*lines: str) -> str:
    """Lines for a label, each safe: Graphviz reads backslashes, and <…> around the whole as a table."""
    shown = "\\n".join(cut(clean(line)).replace("&", "&amp;").replace("\\", "\\\\") for line in lines if line)
    return graphviz.nohtml(shown)
