"""Who answered: an arrow from the client to each pod, as thick as its share of the requests, on nodes in zones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import graphviz

from epkit.traffic import ANSWERED
from epkit.views import palette
from epkit.views.diagram import Diagram

if TYPE_CHECKING:
    from epkit.traffic import Responses

#: the width of the arrow that all requests take
WIDEST = 6.0
#: beyond this many pods they are drawn as one box for each zone
MOST_PODS = 24


def of_responses(responses: Responses) -> Diagram:
    """The picture of what came of some requests."""
    return Diagram(responses.sentence, _dot(responses))


def _dot(responses: Responses) -> str:
    graph = graphviz.Digraph(
        "requests", graph_attr={"rankdir": "LR", "bgcolor": palette.CARD, "fontname": "sans-serif"}
    )
    graph.attr(
        "node",
        shape="box",
        style="rounded,filled",
        fillcolor=palette.CARD,
        color=palette.INK,
        fontcolor=palette.INK,
        fontname="sans-serif",
        fontsize="11",
    )
    graph.attr("edge", fontname="sans-serif", fontsize="11", fontcolor=palette.INK)
    where = " in ".join(filter(None, (responses.node, responses.zone)))
    graph.node("client", graphviz.escape(f"{responses.sender}\n{where}").replace("\n", "\\n"), fillcolor=palette.HEAD)
    total = max(1, len(responses))
    for number, (zone, counts) in enumerate(_targets(responses).items()):
        with graph.subgraph(name=f"cluster_{number}") as box:
            box.attr(
                label=f"zone {zone}" if zone else "",
                style="rounded,filled",
                color=palette.FAINT,
                fillcolor=palette.ZONE,
                labeljust="l",
                fontname="sans-serif",
                fontsize="11",
            )
            for name in counts:
                box.node(f"pod {name}", graphviz.escape(name))
        for name, count in counts.items():
            width = max(1.0, WIDEST * count / total)
            graph.edge(
                "client", f"pod {name}", label=_beside(count, width), color=palette.READY.colour,
                penwidth=f"{width:.1f}",
            )  # fmt: skip
    for outcome, count in responses.outcomes.items():
        if outcome == ANSWERED:
            continue
        look = palette.NOT_READY
        graph.node(outcome, f"{look.sign} {outcome}", style="rounded,dashed", color=look.colour, fontcolor=look.colour)
        graph.edge("client", outcome, label=str(count), style=look.line, color=look.colour)
    return str(graph.source)


def _beside(count: int, width: float) -> str:
    """The label of an arrow; at a wide one with an empty line under it, so that the arrow does not run through it."""
    return str(count) if width < WIDEST * 0.75 else f"{count}\\n "


def _targets(responses: Responses) -> dict[str, dict[str, int]]:
    """Zone -> pod -> how many it answered; zones by name, pods as counts where there are too many."""
    found: dict[str, dict[str, int]] = {}
    many = len(responses.by_pod) > MOST_PODS
    for item in responses.items:
        if item.outcome == ANSWERED:
            name = (f"pods in {item.zone}" if item.zone else "pods") if many else item.pod or "no pod"
            counts = found.setdefault(item.zone, {})
            counts[name] = counts.get(name, 0) + 1
    return {zone: dict(sorted(found[zone].items())) for zone in sorted(found)}
