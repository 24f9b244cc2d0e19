"""What the process of a simulated container does from its start to its end.

A container's command is not run; it is read. The few things that examples do (sleep, touch and rm a file, echo, exit)
happen at their time. Whatever else a container runs is taken for a server that does not end.

The classic of the documentation on probes, ``touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600``, is four
steps. Conditions, loops and pipes are not read: a loop is taken for a program that does not end.
"""
from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass

from epkit.fake.images import Image
from epkit.objects import Obj

_SHELLS = ("sh", "bash", "ash", "dash")
_ENDLESS = ("while", "until", "for", "tail", "exec", "trap", "wait", "nc", "httpd", "python", "python3", "node", "java")
_HARMLESS = ("true", "mkdir", "cd", "set", "export", "chmod", "date", "hostname", "ls", "cat", "test", "[")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: Nothing ends in less than that.
SHORTEST = 0.5


@dataclass(frozen=True)
class Step:
    """One thing that a program does, `after` seconds after the thing before."""

    after: float
    what: str  # write, remove, say or exit
    path: str = ""
    text: str = ""
    code: int = 0


def steps(argv: list[str], image: Image, must_end: bool = False) -> list[Step]:
    """What a program does. A list without an ``exit`` at its end is that of one that runs until it is stopped.

    `must_end` is for init containers: of an image that nothing is known of they are taken to do their work and end.

    >>> steps(["sh", "-c", "echo hello; sleep 5"], Image(ends=True))[-1]
    Step(after=5.0, what='exit', path='', text='', code=0)
    """
    if not argv:
        return [Step(SHORTEST, "exit")] if image.ends or (must_end and image.ports is None) else []
    name = argv[0].rpartition("/")[2]
    if name in _SHELLS and len(argv) > 2 and argv[1].startswith("-") and "c" in argv[1]:
        return _script(argv[2], image.ends or must_end)
    return _script(shlex.join(argv), image.ends or must_end)


def _script(text: str, unknown_ends: bool) -> list[Step]:
    done: list[Step] = []
    after, code = 0.0, 0
    for line in re.split(r";|&&|\n", text):
        words = _words(line)
        if not words:
            continue
        step: Step | None = None
        match words[0].rpartition("/")[2]:
            case "sleep":
                after += duration(words[1:])
                if math.isinf(after):
                    return done
            case "touch" if len(words) > 1:
                step = Step(after, "write", words[-1])
            case "rm" if len(words) > 1:
                step = Step(after, "remove", words[-1])
            case "echo":
                step = _echo(words[1:], after)
            case "exit":
                return [*done, Step(max(after, _floor(done)), "exit", code=int(words[1]) if words[1:] else code)]
            case "false":
                code = 1
                continue
            case name if name in _ENDLESS:
                return done
            case name if name in _HARMLESS:
                pass
            case _ if not unknown_ends:
                return done
        code = 0
        if step is not None:
            done.append(step)
            after = 0.0
    return [*done, Step(max(after, _floor(done)), "exit", code=code)]


def _floor(done: list[Step]) -> float:
    return max(0.0, SHORTEST - sum(step.after for step in done))


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an open quote: what we have split was inside one
        return line.split()


def _echo(words: list[str], after: float) -> Step:
    if len(words) > 1 and words[-2] in (">", ">>"):
        return Step(after, "write", words[-1], " ".join(words[:-2]) + "\n")
    return Step(after, "say", text=" ".join(words))


def duration(words: list[str]) -> float:
    """The seconds of a ``sleep``: its operands, with their units, added up.

    >>> duration(["1m", "5"])
    65.0
    """
    total = 0.0
    for word in words:
        if word in ("infinity", "inf"):
            return math.inf
        unit = word[-1:] if word[-1:] in _SECONDS else ""
        try:
            total += float(word.removesuffix(unit)) * _SECONDS.get(unit, 1)
        except ValueError:
            return 0.0
    return total


def hook_time(container: Obj, image: Image) -> float:
    """How long a container's preStop hook takes: a sleep of either form; whatever else it does takes no time."""
    hook = (container.get("lifecycle") or {}).get("preStop") or {}
    if "sleep" in hook:
        return float(hook["sleep"].get("seconds", 0))
    command = (hook.get("exec") or {}).get("command") or []
    return sum(step.after for step in steps(command, image, must_end=True)) if command else 0.0
