"""The packing of endpoints into slices: which places are filled, which are free, and what a change cost in writes.

The controller keeps writes few, not slices: it never moves an endpoint from one slice to another
(``reconcileByPortMapping`` in ``staging/src/k8s.io/endpointslice/reconciler.go``). The picture shows what that leaves.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from epkit.errors import EpkitError
from epkit.objects import Obj, labels_of, name_of, namespace_of
from epkit.views import involved, palette
from epkit.views.canvas import Canvas
from epkit.views.diagram import Diagram
from epkit.views.lookup import SERVICE_NAME, find_service, parse_service
from epkit.views.text import clean, count, cut, listing, width_of
from epkit.views.topology import ports_of

if TYPE_CHECKING:
    from epkit.cluster import Cluster
    from epkit.story import Past, Story

#: What kube-controller-manager puts into a slice at most, unless ``--max-endpoints-per-slice`` says otherwise.
PLACES = 100
#: More slices than this are drawn in groups.
MOST_ROWS = 14
#: A slice is drawn with at most so many cells; a cell stands for several places where it has more.
MOST_CELLS = 100
CREATED, UPDATED, DELETED, UNCHANGED = "create", "update", "delete", "unchanged"

KEPT = palette.Look("kept", "■", palette.BLUE, "solid")
NEW = palette.Look("new", "●", palette.GREEN, "solid")
LEFT = palette.Look("left", "✕", palette.ORANGE, "solid")
FREE = palette.Look("free", "□", palette.RULE, "solid")


@dataclass(frozen=True)
class Row:
    """A slice, or several alike: how many of its endpoints stayed, came and left."""

    sort: str  # address type and ports
    verb: str
    kept: int
    new: int
    left: int
    names: tuple[str, ...] = field(compare=False)

    @property
    def before(self) -> int | None:
        return None if self.verb == CREATED else self.kept + self.left

    @property
    def after(self) -> int | None:
        return None if self.verb == DELETED else self.kept + self.new

    @property
    def title(self) -> str:
        return self.names[0] if len(self.names) == 1 else count(len(self.names), "slice")


@dataclass
class Packing:
    """What there is to draw. `before` is None where only one moment is looked at."""

    title: str
    rows: list[Row]
    places: int
    change: bool
    writes: Counter[str]


def of(
    before: Iterable[Obj] | None, after: Iterable[Obj], *, places: int = PLACES, title: str = "",
    writes: Mapping[str, int] | None = None,
) -> Diagram:
    """Slices before and after a change, with their places and the writes that it took.

    Args:
        before, after: EndpointSlices; None for `before` draws one moment only.
        places: how many endpoints a slice has room for.
        title: whose slices they are.
        writes: how many there were of each sort (create, update, delete); without it, as few as possible.

    >>> of([], cluster.client.list("endpointslices", "default", labels="kubernetes.io/service-name=web"))
    """
    if places < 1:
        raise EpkitError(f"A slice has at least 1 place, not {places}.")
    old = {name_of(one): one for one in before or ()}
    new = {name_of(one): one for one in after}
    if before is None:
        old = new
    rows = [_row(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    needed = Counter({verb: sum(1 for row in rows if row.verb == verb) for verb in (CREATED, UPDATED, DELETED)})
    packing = Packing(clean(title), rows, places, before is not None, Counter(writes) if writes is not None else needed)
    return Diagram(describe(packing), svg=_draw(packing))


def now(cluster: Cluster | Past, what: str, places: int = PLACES) -> Diagram:
    """The slices of a Service as they are, on any cluster.

    Raises:
        EpkitError: there is no such Service; the text names the nearest ones.
    """
    service = find_service(cluster, what)
    name, namespace = name_of(service), namespace_of(service)
    slices = cluster.client.list("endpointslices", namespace, labels=f"{SERVICE_NAME}={name}").items
    return of(None, slices, places=places, title=f"svc/{name}")


def of_service(
    story: Story, what: str, namespace: str = "default", since: float | str | None = None, places: int = PLACES
) -> Diagram:
    """The slices of a Service at the end of a story, or before → after: since a moment, or after a resource version.

    Raises:
        EpkitError: the story knows no such Service, or ends before that moment.
    """
    namespace, name = parse_service(what, namespace)
    involved.moment(story, since)
    found = involved.of_service(story, namespace, name)
    slices = {name_of(one): one for one in story.beginning.get("endpointslices", ()) if _belongs(one, namespace, name)}
    before: dict[str, Obj] | None = None
    writes: Counter[str] = Counter()
    verbs = {"ADDED": CREATED, "MODIFIED": UPDATED, "DELETED": DELETED}
    for write in found:
        if write.resource != "endpointslices":
            continue
        if before is None and since is not None and involved.is_after(write, since):
            before = dict(slices)
        if before is not None:
            writes[verbs[write.type]] += 1
        if write.type == "DELETED" or not _belongs(write.obj, namespace, name):
            slices.pop(name_of(write.obj), None)
        else:
            slices[name_of(write.obj)] = write.obj
    if before is None and since is not None:
        before = dict(slices)
    old = None if before is None else before.values()
    return of(old, slices.values(), places=places, title=f"svc/{name}", writes=writes)


def _belongs(one: Obj, namespace: str, service: str) -> bool:
    return namespace_of(one) == namespace and labels_of(one).get(SERVICE_NAME) == service


def _row(name: str, old: Obj | None, new: Obj | None) -> Row:
    before, after = _keys(old), _keys(new)
    one = new or old or {}
    if old is None or new is None:
        verb = CREATED if old is None else DELETED
    else:
        verb = UNCHANGED if old is new or _content(old) == _content(new) else UPDATED
    sort = f"{one.get('addressType', '')}, {ports_of(one)}"
    return Row(sort, verb, len(before & after), len(after - before), len(before - after), (clean(name),))


def _keys(one: Obj | None) -> set[tuple[str, str]]:
    """The endpoints of a slice, told apart by address and pod."""
    entries = (one or {}).get("endpoints") or ()
    return {(entry["addresses"][0], (entry.get("targetRef") or {}).get("uid", "")) for entry in entries}


def _content(one: Obj) -> object:
    version = one["metadata"].get("resourceVersion")
    return version or (one.get("endpoints"), one.get("ports"), labels_of(one))


# -- in words --------------------------------------------------------------------------------------------------------


def describe(packing: Packing) -> str:
    """The packing in one sentence."""
    rows = packing.rows
    of_whom = f" of {packing.title}" if packing.title else ""
    subject = f"Packing{of_whom}, {count(packing.places, 'place')} a slice"
    before, after = (_totals(found) for found in ([row.before for row in rows], [row.after for row in rows]))
    if not packing.change:
        text = f"{subject}: {after[0]} in {after[1]}"
    else:
        writes = ", ".join(count(packing.writes[verb], verb) for verb in (CREATED, UPDATED, DELETED))
        text = f"{subject}: {before[0]} in {before[1]} became {after[0]} in {after[1]}; {writes}"
    details = listing([_in_words(row, packing) for row in _ordered(rows)], 12)
    return f"{text}: {details}." if rows else f"{text}."


def _in_words(row: Row, packing: Packing) -> str:
    over = ", over-full" if max(row.before or 0, row.after or 0) > packing.places else ""
    if not packing.change:
        return f"{row.title} {row.after}{over}"
    if row.verb == UNCHANGED:
        return f"{row.title} {row.after} (unchanged{over})"
    if row.verb != UPDATED:
        return f"{row.title} {row.after if row.before is None else row.before} ({row.verb}d{over})"
    return f"{row.title} {row.before} → {row.after} ({row.new} new, {row.left} left{over})"


def _totals(numbers: list[int | None]) -> tuple[str, str]:
    there = [number for number in numbers if number is not None]
    return count(sum(there), "endpoint"), count(len(there), "slice")


def _ordered(rows: list[Row]) -> list[Row]:
    """As they are, or where they are many: what was written first, slices alike taken together."""
    if len(rows) <= MOST_ROWS:
        return rows
    alike: dict[Row, list[str]] = {}
    for row in rows:
        alike.setdefault(row, []).extend(row.names)
    groups = [Row(row.sort, row.verb, row.kept, row.new, row.left, tuple(names)) for row, names in alike.items()]
    return sorted(groups, key=lambda row: (row.verb == UNCHANGED, row.sort, -len(row.names), row.names))


# -- in a picture ----------------------------------------------------------------------------------------------------

MARGIN, TOP, NAME, GAP = 16, 34, 190, 56


def _draw(packing: Packing) -> str:
    rows = _ordered(packing.rows)
    hidden, rows = rows[MOST_ROWS:], rows[:MOST_ROWS]
    grid = _Grid.of(packing, rows)
    wide = grid.width * (2 if packing.change else 1) + (GAP if packing.change else 0)
    top = TOP if packing.change else MARGIN
    height = top + len(rows) * (grid.height + 18) + (22 if hidden or not rows else 0) + 40
    canvas = Canvas(max(MARGIN + NAME + wide + 110 + MARGIN, 560), height)
    left, right = MARGIN + NAME, MARGIN + NAME + grid.width + GAP
    if packing.change:
        canvas.text(left, top - 14, "before", bold=True)
        canvas.text(right, top - 14, "after", bold=True)
    y = float(top)
    for row in rows:
        canvas.text(MARGIN, y + 11, row.title, bold=True, width=NAME - 14)
        canvas.text(MARGIN, y + 25, row.sort, size=10.5, colour=palette.FAINT, width=NAME - 14)
        if packing.change:
            _half(canvas, grid, left, y, row.before, row.kept, row.left, LEFT)
            _half(canvas, grid, right, y, row.after, row.kept, row.new, NEW)
            middle = y + grid.frame / 2
            canvas.line([(left + grid.width + 12, middle), (right - 12, middle)], palette.FAINT, arrow=True)
            writes = row.verb if len(row.names) == 1 or row.verb == UNCHANGED else count(len(row.names), row.verb)
            canvas.text(right + grid.width + 12, y + 11, writes, bold=row.verb != UNCHANGED,
                        colour=palette.FAINT if row.verb == UNCHANGED else palette.INK)
            numbers = " → ".join("–" if number is None else f"{number}" for number in (row.before, row.after))
            canvas.text(right + grid.width + 12, y + 25, numbers, size=10.5, colour=palette.FAINT)
        else:
            _half(canvas, grid, left, y, row.after, row.kept, 0, NEW)
            canvas.text(left + grid.width + 12, y + 11, f"{row.after} of {packing.places}")
        y += grid.height + 18
    if hidden:
        canvas.text(MARGIN, y + 10, f"and {count(sum(len(row.names) for row in hidden), 'slice')} more")
    elif not rows:
        canvas.text(MARGIN, y + 10, "no slices", colour=palette.FAINT)
    _legend(canvas, packing, grid, height - 14)
    return canvas.svg()


@dataclass(frozen=True)
class _Grid:
    """The cells of a slice: their size in pixels, their places, and how many make a line."""

    cell: float
    unit: int
    columns: int
    lines: int
    room: int  # cells within the frame

    @property
    def width(self) -> float:
        return self.columns * self.cell

    @property
    def frame(self) -> float:
        """How high the frame is; what is over-full reaches beyond it."""
        return -(-self.room // self.columns) * self.cell

    @property
    def height(self) -> float:
        return max(self.lines * self.cell, 26)

    @classmethod
    def of(cls, packing: Packing, rows: list[Row]) -> _Grid:
        unit = -(-packing.places // MOST_CELLS)
        room = -(-packing.places // unit)
        cell, columns = (18.0, room) if room <= 10 else (9.0, 20)
        fullest = max([packing.places, *(max(row.before or 0, row.after or 0) for row in rows)])
        cells = -(-fullest // unit)
        return cls(cell, unit, columns, -(-cells // columns), room)


def _half(
    canvas: Canvas, grid: _Grid, x: float, y: float, number: int | None, kept: int, others: int, look: palette.Look
) -> None:
    """The places of a slice at one moment: those kept, the others, and the free ones; over-full, beyond its frame."""
    if number is None:
        canvas.text(x, y + 11, "–", colour=palette.FAINT)
        return
    canvas.rect(x - 2, y - 2, grid.width + 4, grid.frame + 4, line=palette.INK, round_by=2)
    solid = -(-kept // grid.unit)
    filled = max(-(-number // grid.unit), solid)
    for place in range(max(grid.room, filled)):
        cell_x, cell_y = x + place % grid.columns * grid.cell, y + place // grid.columns * grid.cell
        _cell(canvas, cell_x, cell_y, grid.cell, KEPT if place < solid else look if place < filled else FREE)


def _cell(canvas: Canvas, x: float, y: float, size: float, look: palette.Look) -> None:
    """One place: a square that stayed, a dot that is new, a cross that left, a frame that is free."""
    edge = size * 0.14
    left, top, wide = x + edge, y + edge, size - 2 * edge
    if look is KEPT:
        canvas.rect(left, top, wide, wide, fill=look.colour)
    elif look is NEW:
        canvas.circle(x + size / 2, y + size / 2, wide / 2, fill=look.colour)
    elif look is LEFT:
        canvas.line([(left, top), (left + wide, top + wide)], look.colour, thick=1.5)
        canvas.line([(left, top + wide), (left + wide, top)], look.colour, thick=1.5)
    else:
        canvas.rect(left, top, wide, wide, line=look.colour)


def _legend(canvas: Canvas, packing: Packing, grid: _Grid, y: float) -> None:
    x = float(MARGIN)
    for look in (KEPT, LEFT, NEW, FREE) if packing.change else (KEPT, FREE):
        word = "filled" if look is KEPT and not packing.change else look.word
        _cell(canvas, x, y - 9, 11, look)
        canvas.text(x + 16, y, word, size=11)
        x += 16 + width_of(word, 11) + 18
    if grid.unit > 1:
        canvas.text(x, y, f"a mark is up to {grid.unit} places", size=11, colour=palette.FAINT)
        x += width_of(f"a mark is up to {grid.unit} places", 11) + 18
    if packing.change:
        writes = ", ".join(count(packing.writes[verb], verb) for verb in (CREATED, UPDATED, DELETED))
        canvas.text(x, y, cut(f"writes: {writes}"), size=11, bold=True)
