"""``%%needs step``: the first line of a cell that asks for a power which not every target has.

Where the cluster has it, the cell runs as if that line were not there. Where it lacks it, the cell says so in one line
and does nothing else.
"""

from __future__ import annotations

from typing import Any

from epkit.errors import EpkitError

MARK = "%%needs"


def admitted(lines: list[str]) -> list[str]:
    """A cell's lines as they are to be run: an input transformer of IPython's.

    >>> admitted(["print(1)\\n"])
    ['print(1)\\n']
    """
    if not lines or lines[0].split()[:1] != [MARK]:
        return lines
    try:
        said = refusal(lines[0].replace(",", " ").split()[1:])
    except EpkitError as error:  # there is no cluster
        said = str(error)
    if said:
        return [f"print({said!r})\n"]
    rest = lines[1:]
    while rest and not rest[0].strip():
        rest = rest[1:]
    if rest and rest[0].startswith("%%"):  # another cell magic, which must stand first
        return rest
    return ["\n", *lines[1:]]  # errors keep their line numbers


def refusal(powers: list[str]) -> str:
    """What to say where the connected cluster lacks one of the powers; empty where it has them all."""
    from epkit.cluster import connect
    from epkit.targets.base import POWERS

    unknown = [power for power in powers if power not in POWERS]
    if unknown or not powers:
        what = f"no power {unknown[0]!r}" if unknown else "nothing named"
        return f"{MARK}: {what}. There are: {', '.join(POWERS)}."
    target = connect().target
    lacking = [power for power in powers if power not in target.powers]
    if not lacking:
        return ""
    return f"Left out here: {target.name} clusters cannot {POWERS[lacking[0]]}. The built-in one can; go on below."


def load_ipython_extension(shell: Any) -> None:
    """Have IPython ask before each cell; :func:`epkit.connect` calls it."""
    transformers = shell.input_transformers_cleanup
    if admitted not in transformers:
        transformers.append(admitted)  # after those that take empty lines and prompts away
