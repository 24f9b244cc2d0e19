"""The progress file: one line of JSON for each thing done, only ever appended to.

Appending a short line is one write, so two kernels at once do not disturb each other, and a line that was cut off by a
crash costs itself alone. ``EPKIT_PROGRESS`` names another file, such as one in a shared folder; ``%u`` in it stands for
the user. Under test (``EPKIT_MODE``) nothing is written.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from epkit.errors import EpkitError

VERSION = 1


@dataclass(slots=True)
class Done:
    """What the file says: exercises and quizzes that were done, and what in it could not be read."""

    passed: dict[str, str] = field(default_factory=dict)  # id -> date
    answered: dict[str, bool] = field(default_factory=dict)  # quiz -> right
    unreadable: int = 0
    foreign: int = 0  # lines of another version


def path() -> Path | None:
    """The file, or None where progress is not kept."""
    if os.environ.get("EPKIT_MODE"):
        return None
    named = os.environ.get("EPKIT_PROGRESS")
    if named:
        return Path(named.replace("%u", _user())).expanduser()
    return Path.home() / ".epkit" / "progress.jsonl"


def record(kind: str, id: str, **more: object) -> None:
    """Append one line; `kind` is "passed" or "answered".

    Raises:
        EpkitError: the file cannot be written.
    """
    file = path()
    if file is None:
        return
    line = json.dumps({"v": VERSION, "kind": kind, "id": id, "at": time.strftime("%Y-%m-%d"), **more}) + "\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torn = file.exists() and file.stat().st_size > 0 and not file.read_bytes().endswith(b"\n")
        with open(file, "ab", buffering=0) as opened:
            opened.write(("\n" if torn else "").encode() + line.encode())
    except OSError as error:
        raise EpkitError(
            f"Your progress could not be written to {file}: {error.strerror}. The exercise counts all the same; set "
            "EPKIT_PROGRESS to a file that you may write."
        ) from None


def read() -> Done:
    """Everything that was recorded. Lines that cannot be understood are counted and left alone."""
    done, file = Done(), path()
    if file is None or not file.exists():
        return done
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            version, kind, id = entry["v"], entry["kind"], str(entry["id"])
        except (ValueError, KeyError, TypeError):
            done.unreadable += 1
            continue
        if version != VERSION:
            done.foreign += 1
        elif kind == "passed":
            done.passed.setdefault(id, str(entry.get("at", "")))
        elif kind == "answered":
            done.answered[id] = bool(entry.get("right")) or done.answered.get(id, False)
    return done


def reset() -> Path | None:
    """Start anew. The old file is kept beside the new one; returns where."""
    file = path()
    if file is None or not file.exists():
        return None
    number = 1
    while (kept := file.with_suffix(f".{number}.jsonl")).exists():
        number += 1
    return file.rename(kept)


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return "nobody"
