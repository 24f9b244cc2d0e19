"""What tests look at in an SVG: its texts, its shapes, and whether a reader in a dark theme can see them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from epkit.views.diagram import Diagram
from epkit.views.palette import CARD, contrast
from epkit.views.text import width_of

SVG = "{http://www.w3.org/2000/svg}"
TEXT_CONTRAST, SHAPE_CONTRAST = 4.5, 3.0  # WCAG 2.2, AA: 1.4.3 and 1.4.11
NAMED = {"black": "#000000", "white": "#ffffff"}


@dataclass
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def holds(self, x: float, y: float, room: float = 0.6) -> bool:
        return self.left - room <= x <= self.right + room and self.top - room <= y <= self.bottom + room


def parsed(diagram: Diagram) -> ElementTree.Element:
    """The picture, with what every picture owes its reader checked."""
    root = ElementTree.fromstring(diagram.svg)
    assert root.tag == SVG + "svg" and root.get("role") == "img"
    assert root.get("aria-label") and root.find(SVG + "title") is not None
    inside = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert not inside & {"image", "script", "foreignObject", "style", "use", "a", "animate"}, inside
    assert "url(http" not in diagram.svg and "@import" not in diagram.svg
    attributes = [name for element in root.iter() for name in element.attrib]
    assert not [name for name in attributes if name.startswith("on") or "href" in name]
    return root


def words(diagram: Diagram) -> list[str]:
    """The texts of a picture, in the order in which they are drawn."""
    return ["".join(text.itertext()) for text in parsed(diagram).iter(SVG + "text")]


def all_of(diagram: Diagram, tag: str, **attributes: str) -> list[ElementTree.Element]:
    """Elements with these attributes; in their names _ stands for -."""
    wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
    found = parsed(diagram).iter(SVG + tag)
    return [one for one in found if all(one.get(name) == value for name, value in wanted.items())]


def check(diagram: Diagram) -> None:
    """Everything is on one white card, and every text and every line stands out from what is behind it."""
    root = parsed(diagram)
    left, top, width, height = map(float, (root.get("viewBox") or "").split())
    group = root.find(SVG + "g")
    if group is not None:  # Graphviz moves everything
        moved = re.search(r"translate\(([-\d.]+)[ ,]([-\d.]+)\)", group.get("transform", ""))
        dx, dy = map(float, moved.groups()) if moved else (0.0, 0.0)
        left, top = left - dx, top - dy
    view = Box(left, top, left + width, top + height)
    painted: list[tuple[Box, str]] = []
    defined = {id(one) for defs in root.iter(SVG + "defs") for one in defs.iter()}
    for element in root.iter():
        if id(element) in defined:
            continue
        tag = element.tag.removeprefix(SVG)
        fill, line = _colour(element.get("fill")), _colour(element.get("stroke"))
        if tag == "text":
            _check_text(element, view, painted)
            continue
        box = _box(element, tag)
        if box is None:
            continue
        if not painted:
            across = box.left <= view.left + 0.1 and box.right >= view.right - 0.5
            down = box.top <= view.top + 0.1 and box.bottom >= view.bottom - 0.5
            assert fill == CARD and across and down, "no white card behind it all"
        else:
            corners = (box.left, box.top), (box.right, box.bottom)
            assert all(view.holds(*corner) for corner in corners), f"{tag} {box} leaves the card {view}"
        if line:
            behind = {ground for place, ground in painted if ground != line and place.holds(box.left, box.top)}
            worst = min(contrast(line, ground) for ground in behind)
            assert worst >= SHAPE_CONTRAST, f"a line in {line} on {behind}: {worst:.2f}"
        if fill:
            painted.append((box, fill))


def _check_text(element: ElementTree.Element, view: Box, painted: list[tuple[Box, str]]) -> None:
    content = "".join(element.itertext())
    x, y = float(element.get("x", 0)), float(element.get("y", 0))
    size = float(element.get("font-size", 14))
    mono = "mono" in element.get("font-family", "").lower()
    wide = width_of(content, size, mono=mono)
    start = x - {"start": 0.0, "middle": wide / 2, "end": wide}[element.get("text-anchor", "start")]
    assert view.holds(start, y - size * 0.7, 3) and view.holds(start + wide, y, 3), f"{content!r} leaves the card"
    for at in (start + 1, start + wide / 2, start + wide - 1):
        ground = [fill for box, fill in painted if box.holds(at, y - size * 0.3)][-1]
        colour = _colour(element.get("fill")) or "#000000"
        assert contrast(colour, ground) >= TEXT_CONTRAST, f"{content!r} in {colour} on {ground}"


def _colour(value: str | None) -> str:
    """The colour, "" for none and for patterns: those are drawn over a ground that counts."""
    value = NAMED.get(value or "none", value or "none")
    return value if value.startswith("#") else ""


def _box(element: ElementTree.Element, tag: str) -> Box | None:
    number = {name: float(element.get(name, 0)) for name in ("x", "y", "width", "height", "cx", "cy", "r", "rx", "ry")
              if re.fullmatch(r"-?[\d.]+", element.get(name, "0"))}  # fmt: skip
    if tag == "rect":
        return Box(number["x"], number["y"], number["x"] + number["width"], number["y"] + number["height"])
    if tag == "circle":
        return Box(*(number[c] + sign * number["r"] for sign in (-1, 1) for c in ("cx", "cy")))
    if tag in ("polygon", "polyline", "path"):
        path = element.get("points") or element.get("d") or ""
        numbers = [float(found) for found in re.findall(r"-?\d+\.?\d*", path)]
        xs, ys = numbers[::2], numbers[1::2]
        return Box(min(xs), min(ys), max(xs), max(ys))
    return None
