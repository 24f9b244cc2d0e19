"""The one place that lays a picture out: Graphviz, from the machine or from PyPI.

A page without Graphviz would put another function behind the same name.
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    with _quiet() as said:
        try:
            svg: bytes | str = pygraphviz.AGraph(string=dot).draw(format="svg", prog="dot")
        except Exception as error:  # the library raises whatever its C part makes of a fault
            raise EpkitError(f"Graphviz cannot draw this picture: {error} {said()}".strip()) from error
    return svg.decode() if isinstance(svg, bytes) else svg


@contextmanager
def _quiet() -> Iterator[Callable[[], str]]:
    """Keep what C code writes to the process's stderr, such as Fontconfig's warnings, out of the notebook.

    Gives a function that returns what was written.
    """
    with tempfile.TemporaryFile() as kept:
        sys.stderr.flush()
        outer = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield lambda: (kept.seek(0), kept.read().decode(errors="replace"))[1]
        finally:
            os.dup2(outer, 2)
            os.close(outer)
