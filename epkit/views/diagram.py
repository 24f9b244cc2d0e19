"""Diagram: a sentence and a picture that say the same.

The sentence comes first. It is what a screen reader reads, what GitHub and an untrusted notebook show, and what the
tests compare; the SVG is drawn for the eye.
"""
from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from epkit.views.layout import draw


class Diagram:
    """A picture of a cluster.

    Args:
        sentence: what the picture says, in words; its text form and its alternative text.
        dot: the picture in Graphviz's language. It is laid out when the picture is first shown.

    >>> Diagram("Service web has no endpoints.", "digraph { web }")
    Service web has no endpoints.
    """

    def __init__(self, sentence: str, dot: str) -> None:
        self.sentence = sentence
        self.dot = dot
        self._svg: str | None = None

    def __repr__(self) -> str:
        return self.sentence

    @property
    def svg(self) -> str:
        """The picture as a self-contained SVG, labelled with the sentence."""
        if self._svg is None:
            self._svg = _labelled(draw(self.dot), self.sentence)
        return self._svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.sentence, "image/svg+xml": self.svg}


def _labelled(svg: str, sentence: str) -> str:
    """The SVG without Graphviz's preamble and tooltips, with a title and a label."""
    start = svg.index("<svg")
    end = svg.index(">", start)
    head = f"{svg[start:end]} role=\"img\" aria-label={quoteattr(sentence)}>\n<title>{escape(sentence)}</title>"
    return head + svg[end + 1 :].strip() + "\n"
