"""What came of a command in a container."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Executed:
    """The output and the exit code of a command.

    >>> Executed("10.244.1.2\\n", "", 0)
    10.244.1.2
    """

    stdout: str
    stderr: str
    returncode: int

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    def __str__(self) -> str:
        return self.stdout

    def __repr__(self) -> str:
        text = self.stdout + self.stderr
        if self.returncode:
            text += (
                "" if text.endswith("\n") or not text else "\n"
            ) + f"command terminated with exit code {self.returncode}"
        return text.removesuffix("\n")
