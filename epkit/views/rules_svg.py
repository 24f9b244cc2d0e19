"""A packet's way through the rules, drawn: a box for each chain, from the sender down, and to the right with a jump."""
from __future__ import annotations

import textwrap
from itertools import groupby

from epkit.proxy import Step
from epkit.views import palette
from epkit.views.canvas import Canvas
from epkit.views.rules import Box, Way, came_back, target_of
from epkit.views.text import clean, count, listing, width_of

HOOK, INDENT, WIDTH, MARGIN = 104, 22, 880, 14
RULE_SIZE, LINE, MOST_LINES = 10.5, 14, 3
JUMP = palette.Look("jump", "↳", palette.BLUE, "solid")
LOOKS = {
    "jump": JUMP,
    "goto": palette.Look("goto", "⇒", palette.BLUE, "dashed"),
    "return": palette.Look("return", "↰", palette.FAINT, "dotted"),
    "accept": palette.Look("accept", "✔", palette.GREEN, "solid"),
    "dnat": palette.Look("dnat", "✎", palette.GREEN, "solid"),
    "drop": palette.Look("drop", "✖", palette.ORANGE, "dotted"),
    "reject": palette.Look("reject", "✖", palette.ORANGE, "dashed"),
}
OTHER = palette.Look("", "✎", palette.BROWN, "solid")  # marks, masquerading, what the kernel does
ENDS = {
    "delivered": palette.READY,
    "rejected": palette.NOT_READY,
    "dropped": palette.Look("dropped", "✖", palette.ORANGE, "dotted"),
    "passed": palette.Look("passed", "→", palette.FAINT, "dashed"),
}


def draw(way: Way) -> str:
    """The SVG of a way."""
    heights = [_height(way, box) for box in way.boxes]
    end = _end(way)
    canvas = Canvas(WIDTH, 58 + sum(heights) + 12 * len(heights) + 34 + 16 * len(end) + MARGIN)
    walk = way.walk
    _card(canvas, MARGIN, 12, f"{walk.protocol} from {walk.sender} to {walk.target}", palette.BLUE)
    y, places = 58.0, []
    for box, height in zip(way.boxes, heights, strict=True):
        places.append((box, MARGIN + HOOK + box.depth * INDENT, y, height))
        y += height + 12
    for hook, found in groupby(places, key=lambda place: place[0].hook):
        members = list(found)
        top, bottom = members[0][2] - 5, members[-1][2] + members[-1][3] + 5
        canvas.rect(MARGIN, top, WIDTH - 2 * MARGIN, bottom - top, fill=palette.ZONE, round_by=6)
        canvas.text(MARGIN + 8, top + 20, hook, size=11, bold=True)
    from_y = 40.0
    for number, (box, x, top, height) in enumerate(places):
        _arrow(canvas, places[number - 1][0].steps[-1] if number else None, box, x, from_y, top)
        _box(canvas, way, box, x, top, height)
        from_y = top + height
    look = ENDS[walk.outcome]
    canvas.line([(MARGIN + HOOK + 12, from_y), (MARGIN + HOOK + 12, y + 8)], palette.FAINT, arrow=True)
    canvas.rect(MARGIN + HOOK, y + 9, WIDTH - HOOK - 2 * MARGIN, 12 + 16 * len(end), fill=palette.CARD,
                line=look.colour, style=look.line, thick=2, round_by=6)
    for number, line in enumerate(end):
        canvas.text(MARGIN + HOOK + 12, y + 27 + 16 * number, line, bold=not number, width=WIDTH - HOOK - 4 * MARGIN,
                    colour=look.colour if not number else palette.INK)
    return canvas.svg()


def _end(way: Way) -> list[str]:
    """The lines of the last card."""
    walk = way.walk
    lines = [f"{ENDS[walk.outcome].sign} {walk.outcome}", f"the client gets {walk.client_sees}"]
    if walk.outcome == "delivered":
        lines.append(f"{walk.destination} sees it coming from {walk.source}")
    if walk.established:
        lines.append("conntrack knew the connection, so no rule of NAT was asked")
    if way.answers:
        words = [f"{endpoint} × {number}" for endpoint, number in sorted(way.answers.items())]
        lines.append(f"of {count(sum(way.answers.values()), 'connection')}: {listing(words, 6)}")
    return lines


def _card(canvas: Canvas, x: float, y: float, words: str, colour: str) -> None:
    wide = min(width_of(words, 12.5, bold=True) + 28, WIDTH - HOOK - 2 * MARGIN)
    canvas.rect(x + HOOK, y, wide, 28, fill=palette.CARD, line=colour, thick=2, round_by=6)
    canvas.text(x + HOOK + 12, y + 18, words, size=12.5, bold=True, width=wide - 20)


def _rule_lines(step: Step, depth: int) -> list[str]:
    """The rule, without the chain's name that stands above it, in a few lines."""
    rule = clean(step.rule)
    prefix = f"-A {step.chain} "
    rule = rule.removeprefix(prefix)
    columns = int((WIDTH - HOOK - 3 * MARGIN - depth * INDENT - 20) / (RULE_SIZE * 0.605))
    lines = textwrap.wrap(rule, columns, break_on_hyphens=False) if rule else []
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1][: columns - 1]}…"]


def _height(way: Way, box: Box) -> float:
    return 22 + sum(LINE * len(_rule_lines(step, box.depth)) + 19 for step in box.steps) + 2


def _box(canvas: Canvas, way: Way, box: Box, x: float, y: float, height: float) -> None:
    wide = WIDTH - 2 * MARGIN - (x - MARGIN) - 8
    canvas.rect(x, y, wide, height, fill=palette.CARD, line=palette.INK, round_by=3)
    canvas.text(x + 10, y + 16, box.chain, bold=True, width=wide - 20)
    y += 22
    for place, step in enumerate(box.steps):
        for line in _rule_lines(step, box.depth):
            canvas.text(x + 10, y + 10, line, size=RULE_SIZE, mono=True, colour=palette.FAINT)
            y += LINE
        look = LOOKS.get(step.effect.split(" ", 1)[0], OTHER)
        words = f"{look.sign} {clean(step.effect)}"
        back = ": nothing matched there" if came_back(way, box, place) else ""
        canvas.text(x + 10, y + 12, words + back, size=12, bold=True, colour=look.colour, width=wide - 20)
        y += 19


def _arrow(canvas: Canvas, before: Step | None, box: Box, x: float, start: float, end: float) -> None:
    """To a box: in the look of the jump that led there, or grey where the packet came back or the kernel brings it."""
    jumped = before is not None and before.hook == box.hook and target_of(before) == box.steps[0].chain
    look = LOOKS[before.effect.split(" ", 1)[0]] if before is not None and jumped else None
    colour, style = (look.colour, look.line) if look else (palette.FAINT, "dotted")
    canvas.line([(x + 12, start), (x + 12, end - 1)], colour, style=style, thick=1.5, arrow=True)
