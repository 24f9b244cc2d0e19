"""Scripts: what a learner might type, as text that can be shown, and run by the tests.

Lines that start with ``%kubectl`` are commands. A block that starts with ``%%kubectl`` has a body, up to a line
``# ---`` or the end. Anything else is Python, with ``cluster`` at hand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from epkit.errors import EpkitError

if TYPE_CHECKING:
    from epkit.cluster import Cluster

CUT = "# ---"


def run(script: str, cluster: Cluster, *, strict: bool = False) -> str:
    """Run a script and return what its commands printed.

    Args:
        strict: stop at a command that fails, with an error; a start state must not be half made.
    """
    printed = []
    for cell in cells(_here(script, cluster)):
        if cell.startswith("%%kubectl"):
            command, _, body = cell.partition("\n")
            printed.append(_kubectl(command.removeprefix("%%kubectl").strip(), cluster, body, strict))
            continue
        python: list[str] = []
        for line in cell.splitlines():
            if line.startswith("%kubectl"):
                _python(python, cluster)
                printed.append(_kubectl(line.removeprefix("%kubectl").strip(), cluster, "", strict))
            else:
                python.append(line)
        _python(python, cluster)
    return "".join(printed)


def _here(script: str, cluster: Cluster) -> str:
    """The script with the names that this cluster's nodes have: the course calls them node-1, node-2 and so on."""
    if not re.search(r"\bnode-[1-9]\b", script):
        return script
    nodes = dict(enumerate(cluster.nodes, 1))
    return re.sub(r"\bnode-([1-9])\b", lambda match: nodes.get(int(match[1]), match[0]), script)


def cells(script: str) -> list[str]:
    """The cells of a script, without empty ones."""
    found: list[list[str]] = [[]]
    for line in script.strip("\n").splitlines():
        if line.strip() == CUT:
            found.append([])
        else:
            found[-1].append(line)
    return [text for lines in found if (text := "\n".join(lines).strip("\n"))]


def _kubectl(command: str, cluster: Cluster, body: str, strict: bool) -> str:
    done = cluster.kubectl(command, stdin=body)
    if strict and done.returncode:
        raise EpkitError(f"The start state could not be made: kubectl {command}: {done.text.strip()}")
    return done.text


def _python(lines: list[str], cluster: Cluster) -> None:
    code = "\n".join(lines)
    lines.clear()
    if code.strip():
        cluster.target.rest()  # what the code looks at is the outcome of the commands before it
        exec(compile(code, "<script>", "exec"), {"cluster": cluster})
