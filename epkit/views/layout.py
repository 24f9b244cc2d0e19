"""The one place that lays a picture out: Graphviz, from the machine or from PyPI.

A page without Graphviz would put another function behind the same name.
"""
from __future__ import annotations

import re
import shutil
import subprocess

from epkit.errors import EpkitError


def draw(dot: str) -> str:
    """The SVG of a picture in Graphviz's language.

    Raises:
        EpkitError: there is no Graphviz, or it cannot read the picture.
    """
    program = shutil.which("dot")
    svg = _with_program(program, dot) if program else _with_library(dot)
    return re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)


def _with_program(program: str, dot: str) -> str:
    done = subprocess.run(
        [program, "-Tsvg"], input=dot, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
    )
    if done.returncode != 0:
        raise EpkitError(f"Graphviz cannot draw this picture: {done.stderr.strip()}")
    return done.stdout


def _with_library(dot: str) -> str:
    try:
        import pygraphviz
    except ImportError:
        raise EpkitError(
            "Pictures need Graphviz. Install it with `pip install pygraphviz`, or put the program `dot` on PATH; "
            "everything else works without it."
        ) from None
    graph = pygraphviz.AGraph(string=dot)
    svg: bytes | str = graph.draw(format="svg", prog="dot")
    return svg.decode() if isinstance(svg, bytes) else svg
