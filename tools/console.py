"""How the make commands speak: one line at a time, and one sentence with a remedy when they cannot go on."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Stop(Exception):
    """The command cannot go on: what is missing (one sentence) and what to do about it.

    `details` names a file or repeats a line for those who want to know more.
    """

    def __init__(self, what: str, remedy: str, details: str = "") -> None:
        super().__init__(what)
        self.what, self.remedy, self.details = what, remedy, details

    def __str__(self) -> str:
        lines = [f"epkit: stopped: {self.what}", f"epkit: remedy: {self.remedy}"]
        return "\n".join(lines + ([f"epkit: details: {self.details}"] if self.details else []))


def say(text: str) -> None:
    """Tell what happens now, at once even into a pipe."""
    print(f"epkit: {text}", file=sys.stderr, flush=True)
