"""Canvas: an SVG drawn by hand, on one white card.

Every measure is given in pixels and written with one decimal, so that the same picture has the same bytes everywhere.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from epkit.views import palette
from epkit.views.text import FONT, MONO, clean, fit

DASHES = {"solid": "", "dashed": "6 3", "dotted": "1.5 3", "dash-dotted": "7 3 1.5 3"}


class Canvas:
    """A white card of `width` × `height` pixels to draw on.

    >>> canvas = Canvas(200, 40)
    >>> canvas.text(10, 24, "web", bold=True)
    >>> canvas.svg()[:35]
    '<svg width="200" height="40" viewBo'
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._patterns: dict[str, str] = {}
        self._parts: list[str] = []
        self.rect(0, 0, width, height, fill=palette.CARD)

    def rect(
        self, x: float, y: float, width: float, height: float, *, fill: str = "none", line: str = "none",
        style: str = "solid", thick: float = 1, round_by: float = 0, pattern: str = "",
    ) -> None:
        """A box; with `pattern` (of :data:`palette.PATTERNS`) its fill is drawn over in the colour of its line."""
        corner = f' rx="{_number(round_by)}"' if round_by else ""
        place = f'<rect x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"{corner}'
        if pattern:
            self._parts.append(f'{place} fill="{fill}"/>')
            fill = f"url(#{self._pattern(pattern, line)})"
        self._parts.append(f'{place} fill="{fill}"{_stroke(line, style, thick)}/>')

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = palette.INK, *, style: str = "solid",
        thick: float = 1, arrow: bool = False,
    ) -> None:
        """A line through points; with `arrow`, a head at its end."""
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" fill="none"{_stroke(colour, style, thick)}/>')
        if arrow:
            self._head(points[-2], points[-1], colour)

    def polygon(self, points: Iterable[tuple[float, float]], fill: str, line: str = "none") -> None:
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self._parts.append(f'<polygon points="{path}" fill="{fill}"{_stroke(line)}/>')

    def circle(self, x: float, y: float, radius: float, *, fill: str, line: str = "none", thick: float = 1) -> None:
        place = f'cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}"'
        self._parts.append(f'<circle {place} fill="{fill}"{_stroke(line, thick=thick)}/>')

    def text(
        self, x: float, y: float, words: str, *, size: float = 12, colour: str = palette.INK, anchor: str = "start",
        bold: bool = False, mono: bool = False, width: float = 0,
    ) -> None:
        """Words on the base line `y`; `anchor` is start, middle or end. With `width` they are cut to fit into it."""
        words = clean(words)
        if width:
            words = fit(words, size, width, mono=mono, bold=bold)
        extra = (' font-weight="bold"' if bold else "") + (f' text-anchor="{anchor}"' if anchor != "start" else "")
        self._parts.append(
            f'<text x="{_number(x)}" y="{_number(y)}" font-family={quoteattr(MONO if mono else FONT)} '
            f'font-size="{_number(size)}" fill="{colour}"{extra}>{escape(words)}</text>'
        )

    def svg(self) -> str:
        """The picture; :class:`epkit.views.diagram.Diagram` adds its label."""
        width, height = _number(self.width), _number(self.height)
        start = f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">'
        patterns = "".join(self._patterns.values())
        return "\n".join([start, *([f"<defs>{patterns}</defs>"] if patterns else []), *self._parts, "</svg>"])

    def _head(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        """An arrow's head at `end`, pointing away from `start`."""
        (x1, y1), (x2, y2) = start, end
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5 or 1
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        back_x, back_y = x2 - 8 * dx, y2 - 8 * dy
        self.polygon([(x2, y2), (back_x - 4 * dy, back_y + 4 * dx), (back_x + 4 * dy, back_y - 4 * dx)], colour)

    def _pattern(self, name: str, colour: str) -> str:
        """The id of a pattern in a colour; pages with several pictures hold the same pattern under the same id."""
        key = f"epkit-{name}-{colour.lstrip('#')}"
        size, mark = palette.PATTERNS[name]
        self._patterns[key] = (
            f'<pattern id="{key}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">'
            f"{mark.replace('COLOUR', colour)}</pattern>"
        )
        return key


def _number(value: float) -> str:
    """At most one decimal, and no more digits than needed."""
    return f"{round(value + 0.0, 1):g}" if abs(value) < 100_000 else f"{value:.0f}"


def _stroke(colour: str, style: str = "solid", thick: float = 1) -> str:
    if colour == "none":
        return ""
    dashes = f' stroke-dasharray="{DASHES[style]}"' if DASHES[style] else ""
    return f' stroke="{colour}" stroke-width="{_number(thick)}"{dashes}'
