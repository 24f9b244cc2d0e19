"""Colours that stay apart for every eye (Okabe and Ito, 2008), each with a sign and a line style of its own.

Pictures are drawn on white cards, so that they read the same in a light and in a dark theme.
"""
from __future__ import annotations

from dataclasses import dataclass

INK = "#1a1a1a"
FAINT = "#595959"
CARD = "#ffffff"
ZONE = "#f4f4f4"
BLUE = "#0072b2"


@dataclass(frozen=True)
class Look:
    """How a state is shown: never by its colour alone."""

    word: str
    sign: str
    colour: str
    line: str  # a Graphviz edge style


READY = Look("ready", "✔", "#007a5a", "solid")
NOT_READY = Look("not ready", "✖", "#b34700", "dashed")
TERMINATING = Look("serving, terminating", "◐", "#8a5a00", "dotted")
GOING = Look("terminating", "○", "#8a5a00", "dotted")
ABSENT = Look("not an endpoint", "–", FAINT, "dashed")


def of_conditions(conditions: dict[str, bool | None]) -> Look:
    """The look of an endpoint's conditions; what is unset counts as the API says: ready, serving, not terminating.

    >>> of_conditions({"ready": False, "serving": True, "terminating": True}).word
    'serving, terminating'
    """
    ready = conditions.get("ready")
    serving = conditions.get("serving")
    if ready is None or ready:
        return READY
    if conditions.get("terminating"):
        return TERMINATING if serving is None or serving else GOING
    return NOT_READY
