"""Slices as YAML, with signs in the margin for what changed; of large ones only what changed.

Endpoints are compared by what they stand for, not by their places, so that one that is added at the front is one
addition. Text is made of what is shown alone: the work grows with the change and not with the slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from epkit.kubectl.builtin.yamlout import dump
from epkit.objects import Obj
from epkit.views.text import count, cut

#: So many lines are shown of all slices together.
MOST_LINES = 160
#: Beyond so many endpoints of all slices together, only what changed is shown.
MOST_WHOLE = 8
#: A single part, such as the metadata with a large annotation, has at most so many lines.
MOST_OF_PART = 60
LONGEST = 160
#: Left out: it changes with every write, or tells nothing about the slice. ``kubectl get -o yaml`` shows it.
HIDDEN = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")

SAME, ADDED, REMOVED, LEFT_OUT = " ", "+", "-", "…"

Part = tuple[str, object]  # a top-level field, or ("endpoint", what it stands for)


@dataclass(frozen=True)
class Line:
    """A line of YAML, or a note about lines left out; `sign` is what stands in its margin."""

    sign: str
    text: str


class Budget:
    """How many lines may still be shown."""

    def __init__(self, lines: int = MOST_LINES) -> None:
        self.left = lines


def compare(old: Obj | None, new: Obj | None, budget: Budget, *, whole: bool = True) -> list[Line]:
    """A slice's YAML with what makes it differ from `old`; None stands for a slice that is not there.

    Args:
        whole: show what is the same, too; beside changes, of endpoints that are the same, their addresses.

    >>> old, new = {"kind": "EndpointSlice", "endpoints": []}, {"kind": "EndpointSlice", "endpoints": None}
    >>> [line.sign + " " + line.text for line in compare(old, new, Budget())]
    ['- endpoints: []', '+ endpoints: null', '  kind: EndpointSlice']
    """
    before, after = _parts(old), _parts(new)
    changed = before != after
    lines: list[Line] = []
    same = 0  # parts alike in a row that are not shown
    left_out = 0  # parts that differ, and for which there is no room
    for part in _order(before, after):
        was, now = before.get(part), after.get(part)
        if was is not None and was == now and not whole:
            same += part[0] == "endpoint"
            continue
        if budget.left <= 0:
            left_out += part[0] == "endpoint" or was != now
            continue
        if same:
            lines.append(Line(LEFT_OUT, f"{count(same, 'endpoint')} unchanged"))
            same = 0
        brief = part[0] == "endpoint" and was == now and changed
        shown = _briefly(now) if brief else list(_lines(was, now))
        lines += shown
        budget.left -= len(shown)
    if same and lines:
        lines.append(Line(LEFT_OUT, f"{count(same, 'endpoint')} unchanged"))
    if left_out:
        lines.append(Line(LEFT_OUT, f"{count(left_out, 'more part')} left out"))
    return lines


def _parts(one: Obj | None) -> dict[Part, Obj | list[Any]]:
    """The slice in the pieces that are compared, in the order of kubectl's YAML; each piece as it is dumped."""
    if one is None:
        return {}
    parts: dict[Part, Obj | list[Any]] = {}
    for field in sorted(one):
        value = one[field]
        if field == "metadata":
            shown = {key: value[key] for key in value if key not in HIDDEN}
            parts["metadata", ""] = {"metadata": shown}
        elif field == "endpoints" and value:
            parts["endpoints", ""] = []
            for endpoint in value:
                reference = endpoint.get("targetRef") or {}
                who = (*endpoint.get("addresses", ()), reference.get("uid") or reference.get("name"))
                number = 0
                while ("endpoint", (who, number)) in parts:
                    number += 1
                parts["endpoint", (who, number)] = [endpoint]
        else:
            parts[field, ""] = {field: value}
    return parts


def _order(before: dict[Part, Any], after: dict[Part, Any]) -> list[Part]:
    """All parts by field; of the endpoints, those that went stand behind those that are there."""
    parts = [*after, *(part for part in before if part not in after)]
    fields = sorted({part[0] for part in parts} - {"endpoint", "endpoints"} | {"endpoints"})
    places = {field: place for place, field in enumerate(fields)}
    places["endpoint"] = places["endpoints"]
    return sorted(parts, key=lambda part: (places[part[0]], part[0] == "endpoint"))


def _lines(was: Any, now: Any) -> Iterator[Line]:
    if was == now:
        yield from (Line(SAME, text) for text in _dumped(now))
        return
    old, new = _dumped(was), _dumped(now)
    for what, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            yield from (Line(SAME, text) for text in new[j1:j2])
            continue
        yield from (Line(REMOVED, text) for text in old[i1:i2])
        yield from (Line(ADDED, text) for text in new[j1:j2])


def _briefly(endpoint: Any) -> list[Line]:
    """An endpoint that has not changed, so that one finds those that have."""
    lines = _dumped(endpoint)
    rest = len(lines) - 1 - len(endpoint[0].get("addresses") or ())
    shown = [Line(SAME, text) for text in (lines[: len(lines) - rest] if rest > 1 else lines)]
    return [*shown, Line(LEFT_OUT, f"  {count(rest, 'line')} unchanged")] if rest > 1 else shown


def _dumped(part: Any) -> list[str]:
    if part is None:
        return []
    if part == []:
        return ["endpoints:"]
    lines = [cut(line, LONGEST) for line in dump(part).splitlines()]
    if len(lines) > MOST_OF_PART:
        more = len(lines) - MOST_OF_PART
        lines = [*lines[:MOST_OF_PART], f"# … {more:,} more lines"]
    return lines
