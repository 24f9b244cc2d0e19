"""Colours that stay apart for every eye (Okabe and Ito, 2008), each with a sign and a line style of its own.

Pictures are drawn on white cards, so that they read the same in a light and in a dark theme.
"""
from __future__ import annotations

from dataclasses import dataclass

from epkit.objects import Obj, state_of_endpoint

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


_LOOKS = {look.word: look for look in (READY, NOT_READY, TERMINATING, GOING)}


def of_endpoint(endpoint: Obj) -> Look:
    """The look of an endpoint by its conditions.

    >>> of_endpoint({"conditions": {"ready": False, "serving": True, "terminating": True}}).word
    'serving, terminating'
    """
    return _LOOKS[state_of_endpoint(endpoint)]
