"""The progress file: one line of JSON for each thing done, only ever appended to.

Each line is appended by one write under a lock, so two kernels at once do not disturb each other, and a line that was
cut off by a crash costs itself alone. ``EPKIT_PROGRESS`` names another file, such as one in a shared folder; ``%u`` in
it stands for the user. Under test (``EPKIT_MODE``) nothing is written.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from epkit.errors import EpkitError

VERSION = 1
_BEYOND = 1 << 30  # Windows keeps others from reading what is locked, so the locked byte lies behind the end


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
        with open(file, "a+b", buffering=0) as opened, _alone(opened):
            opened.write((b"\n" if _torn(opened) else b"") + line.encode())
    except OSError as error:
        raise EpkitError(
            f"Your progress could not be written to {file}: {error.strerror or error}. What you did counts in this "
            "notebook all the same; set EPKIT_PROGRESS to a file that you may write."
        ) from None


def _torn(file: BinaryIO) -> bool:
    """Does the file end in the middle of a line? Its writer crashed, or the disk was full."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


@contextmanager
def _alone(file: BinaryIO) -> Iterator[None]:
    """Hold the file's lock. Where there are no locks (a browser's kernel, some network folders), one write must do."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(_BEYOND)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
    except (ImportError, OSError):
        yield
        return
    try:
        yield
    finally:
        if os.name == "nt":
            file.seek(_BEYOND)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            fcntl.flock(file, fcntl.LOCK_UN)


def read() -> Done:
    """Everything that was recorded. Lines that cannot be understood are counted and left alone.

    Raises:
        EpkitError: the file cannot be read.
    """
    done, file = Done(), path()
    if file is None:
        return done
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return done
    except OSError as error:
        raise EpkitError(
            f"Your progress could not be read from {file}: {error.strerror or error}. Set EPKIT_PROGRESS to a file "
            "that you may read and write."
        ) from None
    for line in text.split("\n"):
        if line.strip():
            _understand(line, done)
    return done


def _understand(line: str, done: Done) -> None:
    try:
        entry = json.loads(line)
        version, kind, id = entry["v"], entry["kind"], str(entry["id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        done.unreadable += 1
        return
    if version != VERSION or kind not in ("passed", "answered"):
        done.foreign += 1
    elif kind == "passed":
        done.passed.setdefault(id, str(entry.get("at", "")))
    else:
        done.answered[id] = bool(entry.get("right")) or done.answered.get(id, False)


def reset() -> Path | None:
    """Start anew. The old file is kept beside the new one; returns where.

    Raises:
        EpkitError: the old file cannot be renamed.
    """
    file = path()
    if file is None or not file.exists():
        return None
    number = 1
    while (kept := file.with_suffix(f".{number}.jsonl")).exists():
        number += 1
    try:
        return file.rename(kept)
    except OSError as error:
        raise EpkitError(f"{file} could not be renamed to {kept.name}: {error.strerror or error}.") from None


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return "nobody"
