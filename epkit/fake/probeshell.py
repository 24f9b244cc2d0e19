"""The commands of exec probes, run in a simulated container without leaving a trace.

A probe is asked often: not only when it is due, but whenever its container has changed, to see whether the next try
will matter. So what a command writes goes to a copy of the files, and a request is not logged.

Commands that are not simulated (``pg_isready``, ``redis-cli ping``) are taken to be there and to succeed, as an image's
own health check does while all is well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.fake import commands
from epkit.fake.commands.parse import ShellSyntaxError, parse
from epkit.fake.commands.run import Input, Run
from epkit.fake.commands.shell import BUILTINS, SHELLS
from epkit.fake.exec import PodNetwork

if TYPE_CHECKING:
    from epkit.fake.containers import Container
    from epkit.fake.simulation import Simulation

#: seconds that a probe may take when it says nothing else
TIMEOUT = 1.0


def check(plane: Simulation, container: Container, argv: list[str]) -> tuple[int, str]:
    """The exit code and the output of a probe's command."""
    command = commands.find(argv[0])
    if command is None or not container.image.tools or not _known(argv):
        return 0, ""
    printed: list[str] = []
    run = Run(
        container=container,
        files=dict(container.files),
        env=dict(container.env),
        network=PodNetwork(plane, container, log=False),
        now=lambda: plane.clock.now,
        emit=lambda stream, text: printed.append(text),
        stdin=Input(),
        here=container.spec.get("workingDir") or "/",
    )
    result = command(run, argv[1:])
    if isinstance(result, int):
        return result, "".join(printed)
    left = _timeout(container, argv)
    try:
        while True:
            left -= next(result) or 0.0
            if left < 0:
                return 1, f'command "{" ".join(argv)}" timed out'
    except StopIteration as end:
        return end.value, "".join(printed)


def _known(argv: list[str]) -> bool:
    """Is everything simulated that the command consists of?"""
    if argv[0].rpartition("/")[2] not in SHELLS or len(argv) < 3 or "c" not in argv[1]:
        return True
    try:
        pipelines = parse(argv[2])
    except ShellSyntaxError:
        return False
    for pipeline in pipelines:
        for simple in pipeline.commands:
            name = simple.words[0][0].text if simple.words and simple.words[0] else ":"
            if "=" not in name and name not in BUILTINS and commands.find(name) is None:
                return False
    return True


def _timeout(container: Container, argv: list[str]) -> float:
    probes = (container.spec.get(f"{kind}Probe") or {} for kind in ("readiness", "liveness", "startup"))
    found = (probe for probe in probes if (probe.get("exec") or {}).get("command") == argv)
    return float(next(found, {}).get("timeoutSeconds") or TIMEOUT)
