"""The timeline of a Service: what state each endpoint was in, from write to write of its slices."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING

from epkit.objects import Obj, labels_of, name_of, namespace_of
from epkit.views import involved, palette
from epkit.views.canvas import Canvas
from epkit.views.diagram import Diagram
from epkit.views.lookup import SERVICE_NAME, parse_service
from epkit.views.text import clean, count, width_of

if TYPE_CHECKING:
    from epkit.story import Story, Written

#: More changes than this are not drawn: the last of them are.
MOST_COLUMNS = 22
#: Beyond this many endpoints, those with the same history share a lane; beyond this many lanes, the rest are counted.
MOST_LANES = 20

Key = tuple[str, str]  # address, pod
State = dict[Key, palette.Look]
Mark = tuple[float, int]  # the moment of a change, and how many writes there were up to it


@dataclass
class Lane:
    """The history of an endpoint, or of several with the same one: its look in each column, None for not listed."""

    keys: list[Key]
    looks: tuple[palette.Look | None, ...]

    @property
    def title(self) -> str:
        return self.keys[0][0] if len(self.keys) == 1 else count(len(self.keys), "endpoint")

    def segments(self) -> Iterator[tuple[int, int, palette.Look | None]]:
        """First column, column after the last, look."""
        start = 0
        for place in range(1, len(self.looks) + 1):
            if place == len(self.looks) or self.looks[place] is not self.looks[start]:
                yield start, place, self.looks[start]
                start = place


@dataclass
class Timeline:
    """What there is to draw: a column for every change, at the moment at which it begins."""

    title: str
    moments: list[float]
    lanes: list[Lane]
    end: float
    hidden: int  # changes before the first column

    def time(self, column: int) -> str:
        return f"+{self.moments[column] - self.moments[0]:.1f}s"


def of_service(story: Story, what: str, namespace: str = "default", since: float | str | None = None) -> Diagram:
    """The states of a Service's endpoints over the cluster's time.

    Args:
        story: what happened (:attr:`Cluster.story`, or a replayed one).
        what: the Service, as ``svc/web``.
        since: the moment to begin with, or a resource version, to begin after it; without it, the first slice.

    Raises:
        EpkitError: the story knows no such Service, or ends before that moment.
    """
    namespace, name = parse_service(what, namespace)
    start = involved.moment(story, since)
    found = involved.of_service(story, namespace, name)

    def belongs(one: Obj) -> bool:
        return namespace_of(one) == namespace and labels_of(one).get(SERVICE_NAME) == name

    slices = {name_of(one): one for one in story.beginning.get("endpointslices", ()) if belongs(one)}
    writes = [write for write in found if write.resource == "endpointslices"]
    first = next((place for place, write in enumerate(writes) if involved.is_after(write, since)), len(writes))
    marks = [] if start is None and not slices else [(story.start if start is None else start, first)]
    for place in range(first, len(writes)):
        if not marks or _changed(writes[place], belongs):
            marks.append((writes[place].at, place + 1))
    hidden, marks = _drawn(marks)
    columns = []
    done = 0
    for moment, number in marks:
        for write in writes[done:number]:
            if write.type == "DELETED" or not belongs(write.obj):
                slices.pop(name_of(write.obj), None)
            else:
                slices[name_of(write.obj)] = write.obj
        done = number
        columns.append((moment, _state(slices.values())))
    timeline = _timeline(f"svc/{clean(name)}", columns, story.end, hidden)
    return Diagram(describe(timeline), svg=_draw(timeline))


def _changed(write: Written, belongs: Callable[[Obj], bool]) -> bool:
    """Did a write change the state of an endpoint? Only its own slice is looked at: there may be thousands of both."""
    before = _state([write.old]) if write.old is not None and belongs(write.old) else {}
    after = _state([write.obj]) if write.type != "DELETED" and belongs(write.obj) else {}
    return before != after


def _state(slices: Iterable[Obj]) -> State:
    """The endpoints and their looks; one that stands in two slices is ready where one of them says so."""
    found: State = {}
    for one in slices:
        for endpoint in one.get("endpoints") or ():
            key = clean(endpoint["addresses"][0]), clean((endpoint.get("targetRef") or {}).get("name", ""))
            look = palette.of_endpoint(endpoint)
            if found.get(key) is not palette.READY:
                found[key] = look
    return found


def _drawn(marks: list[Mark]) -> tuple[int, list[Mark]]:
    """The changes to draw, and how many before them are not: where they are many, only the last of each moment."""
    if len(marks) > MOST_COLUMNS:
        marks = [mark for place, mark in enumerate(marks) if place + 1 == len(marks) or mark[0] != marks[place + 1][0]]
    hidden = max(0, len(marks) - MOST_COLUMNS)
    return hidden, marks[hidden:]


def _timeline(title: str, columns: list[tuple[float, State]], end: float, hidden: int) -> Timeline:
    columns = [column for place, column in enumerate(columns) if not place or column[1] != columns[place - 1][1]]
    keys = list(dict.fromkeys(key for _, state in columns for key in state))
    lanes = [Lane([key], tuple(state.get(key) for _, state in columns)) for key in keys]
    if len(lanes) > MOST_LANES:
        alike: dict[tuple[palette.Look | None, ...], list[Key]] = {}
        for lane in lanes:
            alike.setdefault(lane.looks, []).extend(lane.keys)
        lanes = [Lane(found, looks) for looks, found in alike.items()]
    return Timeline(title, [moment for moment, _ in columns], lanes, end, hidden)


# -- in words --------------------------------------------------------------------------------------------------------


def describe(timeline: Timeline) -> str:
    """The timeline as lines, one for each lane."""
    if not timeline.lanes:
        return f"No endpoint was listed for {timeline.title}."
    endpoints = sum(len(lane.keys) for lane in timeline.lanes)
    changes = count(len(timeline.moments) - 1, "change")
    if timeline.hidden:
        changes = f"the last {changes}, {timeline.hidden:,} before them left out"
    lines = [f"{count(endpoints, 'endpoint')} of {timeline.title} over {_span(timeline):.1f} s, {changes}:"]
    lines += [_in_words(timeline, lane) for lane in timeline.lanes[:MOST_LANES]]
    if hidden := timeline.lanes[MOST_LANES:]:
        lines.append(f"and {count(sum(len(lane.keys) for lane in hidden), 'endpoint')} more")
    return "\n".join(lines)


def _in_words(timeline: Timeline, lane: Lane) -> str:
    words = []
    for first, last, look in lane.segments():
        if look is not None:
            words.append(f"{look.word} from {timeline.time(first)}")
            if last < len(lane.looks) and lane.looks[last] is None:
                words.append(f"gone at {timeline.time(last)}")
    pod = f" in pod {lane.keys[0][1]}" if len(lane.keys) == 1 and lane.keys[0][1] else ""
    return f"{lane.title}{pod}: {'; '.join(words)}"


def _span(timeline: Timeline) -> float:
    return max(timeline.end - timeline.moments[0], 0.0)


# -- in a picture ----------------------------------------------------------------------------------------------------

MARGIN, NAME, TOP, ROW, LEAST, WIDTH = 14, 214, 34, 36, 28, 620


def _draw(timeline: Timeline) -> str:
    lanes, hidden = timeline.lanes[:MOST_LANES], timeline.lanes[MOST_LANES:]
    bottom = TOP + max(len(lanes), 1) * ROW + (20 if hidden else 0)
    canvas = Canvas(MARGIN + NAME + WIDTH + MARGIN, bottom + 44)
    if not lanes:
        canvas.text(MARGIN, TOP + 10, "no endpoint was listed", colour=palette.FAINT)
    else:
        edges = _edges(timeline)
        _axis(canvas, timeline, edges, TOP + len(lanes) * ROW)
        for row, lane in enumerate(lanes):
            _lane(canvas, lane, edges, TOP + row * ROW)
        if hidden:
            more = count(sum(len(lane.keys) for lane in hidden), "endpoint")
            canvas.text(MARGIN, bottom - 4, f"and {more} more")
    _legend(canvas, bottom + 30)
    return canvas.svg()


def _edges(timeline: Timeline) -> list[float]:
    """Where columns begin, and where the last one ends. A long wait is wider than a short one, not to scale."""
    times = [*timeline.moments, max(timeline.end, timeline.moments[-1])]
    weights = [log10(1 + 10 * (later - sooner)) for sooner, later in zip(times, times[1:], strict=False)]
    spare, total = WIDTH - LEAST * len(weights), sum(weights)
    edges = [float(MARGIN + NAME)]
    for weight in weights:
        edges.append(edges[-1] + LEAST + spare * (weight / total if total else 1 / len(weights)))
    return edges


def _axis(canvas: Canvas, timeline: Timeline, edges: list[float], bottom: float) -> None:
    canvas.text(MARGIN, TOP - 12, "cluster's time, not to scale", size=10.5, colour=palette.FAINT)
    free = 0.0
    for column, x in enumerate(edges[:-1]):
        label = timeline.time(column)
        new = not column or label != timeline.time(column - 1)
        canvas.line([(x, TOP - 6), (x, bottom)], palette.RULE, style="solid" if new else "dotted")
        if new and x >= free:
            canvas.text(x + 2, TOP - 12, label, size=10.5)
            free = x + 6 + width_of(label, 10.5)


def _lane(canvas: Canvas, lane: Lane, edges: list[float], y: float) -> None:
    pod = lane.keys[0][1] if len(lane.keys) == 1 else ""
    canvas.text(MARGIN, y + (15 if pod else 21), lane.title, bold=True, width=NAME - 12)
    if pod:
        canvas.text(MARGIN, y + 28, pod, size=10.5, colour=palette.FAINT, width=NAME - 12)
    for first, last, look in lane.segments():
        if look is not None:
            _segment(canvas, look, edges[first], y + 6, edges[last] - edges[first])


def _segment(canvas: Canvas, look: palette.Look, x: float, y: float, width: float) -> None:
    """A bar with its sign and, where there is room, its word, on a ground of their own beside the pattern."""
    canvas.rect(x + 1, y, width - 2, ROW - 12, fill=look.fill, line=look.colour, style=look.line, thick=1.5,
                pattern=look.pattern)
    words = f"{look.sign} {look.word}"
    if width_of(words, 11) > width - 14:
        words = look.sign
    wide = width_of(words, 11) + 6
    if look.pattern:
        canvas.rect(x + width / 2 - wide / 2, y + 4, wide, ROW - 20, fill=palette.CARD)
    canvas.text(x + width / 2, y + 16, words, size=11, anchor="middle")


def _legend(canvas: Canvas, y: float) -> None:
    x = float(MARGIN)
    for look in palette.LOOKS.values():
        canvas.rect(x, y - 10, 22, 13, fill=look.fill, line=look.colour, style=look.line, pattern=look.pattern)
        words = f"{look.sign} {look.word}"
        canvas.text(x + 28, y, words, size=11)
        x += 28 + width_of(words, 11) + 18
