"""Diagram: a sentence and a picture that say the same.

The sentence comes first. It is what a screen reader reads, what GitHub and an untrusted notebook show, and what the
tests compare; the SVG is drawn for the eye.
"""
from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from epkit.errors import EpkitError
from epkit.views.layout import draw


class Diagram:
    """A picture of a cluster.

    Args:
        sentence: what the picture says, in words, in one or more lines; its text form and its alternative text.
        dot: the picture in Graphviz's language. It is laid out when the picture is first shown.
        svg: or the picture itself, without a label.

    >>> Diagram("Service web has no endpoints.", "digraph { web }")
    Service web has no endpoints.
    """

    def __init__(self, sentence: str, dot: str = "", *, svg: str = "") -> None:
        self.sentence = sentence
        self.dot = dot
        self._svg: str | None = _labelled(svg, sentence) if svg else None

    def __repr__(self) -> str:
        return self.sentence

    @property
    def svg(self) -> str:
        """The picture as a self-contained SVG, labelled with the sentence.

        Raises:
            EpkitError: it needs Graphviz, and there is none.
        """
        if self._svg is None:
            self._svg = _labelled(draw(self.dot), self.sentence)
        return self._svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"text/plain": self.sentence, "image/svg+xml": self.svg}
        except EpkitError as error:  # a notebook would show the traceback of its own formatter
            return {"text/plain": f"{self.sentence}\n({error})"}


def _labelled(svg: str, sentence: str) -> str:
    """The SVG without Graphviz's preamble and tooltips, with a title and a label, no wider than a page."""
    start = svg.index("<svg")
    end = svg.index(">", start)
    label = _NOT_XML.sub("\ufffd", sentence)
    head = f'{_SIZE.sub(_fitted, svg[start:end], count=1)} role="img" aria-label={quoteattr(label)}>'
    return f"{head}\n<title>{escape(label)}</title>" + _TOOLTIP.sub("", svg[end + 1 :]).strip() + "\n"


def _fitted(size: re.Match[str]) -> str:
    """Width and height in pixels; JupyterLab cuts off what is wider than a cell, so that becomes smaller."""
    pixels = 4 / 3 if size["unit"] else 1.0
    width, height = float(size["width"]) * pixels, float(size["height"]) * pixels
    scale = min(1.0, WIDEST / width)
    return f'width="{width * scale:.0f}" height="{height * scale:.0f}"'


#: The widest picture, in pixels.
WIDEST = 900
_SIZE = re.compile(r'width="(?P<width>[\d.]+)(?P<unit>pt)?" height="(?P<height>[\d.]+)(?:pt)?"')
_TOOLTIP = re.compile(r"<title>[^<]*</title>\n?")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
