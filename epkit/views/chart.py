"""A chart with logarithmic axes: curves with a colour, a marker and a line style each, named at their ends."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from epkit.views import palette
from epkit.views.canvas import Canvas
from epkit.views.text import width_of


@dataclass(frozen=True)
class Curve:
    """Points with positive coordinates, from left to right. `marker` is square, circle, triangle or diamond."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    style: str
    marker: str


@dataclass(frozen=True)
class Axis:
    """What an axis measures, and how its numbers are written."""

    title: str
    write: Callable[[float], str]


LEFT, TOP, WIDTH, HEIGHT, BOTTOM = 74, 40, 560, 300, 54


def draw(curves: Sequence[Curve], across: Axis, up: Axis, table: Sequence[Sequence[str]] = ()) -> str:
    """The SVG of a chart. Both axes go from a power of ten to a power of ten.

    `table` stands below: a line of heads, and the lines of the numbers.
    """
    xs = _range([x for curve in curves for x, _ in curve.points])
    ys = _range([y for curve in curves for _, y in curve.points])
    names = max(width_of(curve.name, 12) for curve in curves)
    below = 18 * len(table) + 16 if table else 0
    canvas = Canvas(LEFT + WIDTH + 34 + names + 16, TOP + HEIGHT + BOTTOM + below)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + WIDTH * (log10(x) - xs[0]) / (xs[1] - xs[0]),
            TOP + HEIGHT - HEIGHT * (log10(y) - ys[0]) / (ys[1] - ys[0]),
        )

    _axes(canvas, across, up, xs, ys, place)
    for curve in curves:
        points = [place(x, y) for x, y in curve.points]
        canvas.line(points, curve.colour, style=curve.style, thick=2)
        for x, y in points:
            _mark(canvas, curve, x, y)
    _names(canvas, curves, place)
    _table(canvas, table, TOP + HEIGHT + BOTTOM + 10)
    return canvas.svg()


def _range(values: list[float]) -> tuple[int, int]:
    """The powers of ten around the values."""
    low, high = floor(log10(min(values)) + 1e-9), ceil(log10(max(values)) - 1e-9)
    return low, max(high, low + 1)


def _axes(
    canvas: Canvas, across: Axis, up: Axis, xs: tuple[int, int], ys: tuple[int, int],
    place: Callable[[float, float], tuple[float, float]],
) -> None:
    bottom, step = TOP + HEIGHT, 1 + (ys[1] - ys[0]) // 9
    for power in range(ys[0], ys[1] + 1, step):
        _, y = place(10.0 ** xs[0], 10.0**power)
        canvas.line([(LEFT, y), (LEFT + WIDTH, y)], palette.RULE, style="dotted")
        canvas.text(LEFT - 8, y + 4, up.write(10.0**power), size=11, anchor="end")
    for power in range(xs[0], xs[1] + 1):
        x, _ = place(10.0**power, 10.0 ** ys[0])
        canvas.line([(x, TOP), (x, bottom)], palette.RULE, style="dotted")
        canvas.text(x, bottom + 18, across.write(10.0**power), size=11, anchor="middle")
    canvas.line([(LEFT, TOP), (LEFT, bottom), (LEFT + WIDTH, bottom)], palette.INK)
    canvas.text(LEFT - 60, TOP - 16, up.title, size=12, bold=True)
    canvas.text(LEFT + WIDTH, bottom + 40, across.title, size=12, bold=True, anchor="end")


def _mark(canvas: Canvas, curve: Curve, x: float, y: float) -> None:
    if curve.marker == "circle":
        canvas.circle(x, y, 4, fill=curve.colour)
    elif curve.marker == "square":
        canvas.rect(x - 4, y - 4, 8, 8, fill=curve.colour)
    elif curve.marker == "triangle":
        canvas.polygon([(x, y - 5), (x + 5, y + 4), (x - 5, y + 4)], curve.colour)
    else:
        canvas.polygon([(x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y)], curve.colour)


def _table(canvas: Canvas, table: Sequence[Sequence[str]], y: float) -> None:
    """Columns of numbers, each under the end of its head."""
    right = float(LEFT - 60)
    for column in range(len(table[0]) if table else 0):
        right += max(width_of(line[column], 11, bold=not number) for number, line in enumerate(table)) + 22
        for number, line in enumerate(table):
            canvas.text(right - 22, y + 18 * number, line[column], size=11, anchor="end", bold=not number)


def _names(canvas: Canvas, curves: Sequence[Curve], place: Callable[[float, float], tuple[float, float]]) -> None:
    """Each curve's name beside its end; names that would touch are moved apart."""
    ends = sorted(((place(*curve.points[-1]), curve) for curve in curves), key=lambda end: end[0][1])
    at = [y for (_, y), _ in ends]
    for number in range(1, len(at)):
        at[number] = max(at[number], at[number - 1] + 17)
    over = max(0.0, at[-1] - (TOP + HEIGHT))
    for y, ((x, end), curve) in zip(at, ends, strict=True):
        canvas.line([(x + 5, end), (LEFT + WIDTH + 26, y - over)], curve.colour, thick=0.8)
        canvas.text(LEFT + WIDTH + 32, y - over + 4, curve.name, colour=curve.colour)
