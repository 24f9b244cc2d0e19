"""Colours that stay apart for every eye (Okabe and Ito, 2008), each with a sign, a line style and a pattern of its own.

Pictures are drawn on white cards, so that they read the same in a light and in a dark theme. The hues are Okabe's and
Ito's; where they are written with or drawn as thin lines they are darker, so that they reach WCAG's contrast on white.
"""
from __future__ import annotations

from dataclasses import dataclass

from epkit.objects import Obj, state_of_endpoint

INK = "#1a1a1a"
FAINT = "#595959"
CARD = "#ffffff"
ZONE = "#f4f4f4"
HEAD = "#e6f1f8"
RULE = "#8a8a8a"  # rules, frames and grids that carry meaning
BLUE = "#0072b2"
ORANGE = "#b34700"
GREEN = "#007a5a"
BROWN = "#8a5a00"
PURPLE = "#9c4a7c"

#: Patterns by name: the size of a tile and its marks. COLOUR stands for the colour.
PATTERNS = {
    "stripes": (8, '<path d="M-2,2 L2,-2 M0,8 L8,0 M6,10 L10,6" stroke="COLOUR" stroke-width="1.2" fill="none"/>'),
    "dots": (6, '<circle cx="3" cy="3" r="1.1" fill="COLOUR"/>'),
    "bars": (8, '<path d="M2,0 L2,8" stroke="COLOUR" stroke-width="1" fill="none"/>'),
}


@dataclass(frozen=True)
class Look:
    """How a state is shown: never by its colour alone."""

    word: str
    sign: str
    colour: str
    line: str  # the style of its edges: solid, dashed or dotted
    fill: str = CARD  # the ground of an area in this state
    pattern: str = ""  # what is drawn on that ground


READY = Look("ready", "✔", GREEN, "solid", "#cfeee3")
NOT_READY = Look("not ready", "✖", ORANGE, "dashed", "#fdeee4", "stripes")
TERMINATING = Look("serving, terminating", "◐", BROWN, "dotted", "#fdf1d8", "dots")
GOING = Look("terminating", "○", BROWN, "dotted", CARD, "bars")
ABSENT = Look("not an endpoint", "–", FAINT, "dashed")


LOOKS = {look.word: look for look in (READY, NOT_READY, TERMINATING, GOING)}


def of_endpoint(endpoint: Obj) -> Look:
    """The look of an endpoint by its conditions.

    >>> of_endpoint({"conditions": {"ready": False, "serving": True, "terminating": True}}).word
    'serving, terminating'
    """
    return LOOKS[state_of_endpoint(endpoint)]


def contrast(first: str, second: str) -> float:
    """The contrast of two colours, from 1 to 21, as WCAG 2 computes it.

    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
