"""Broken set-ups, each with the reason that must be named first; and some that are odd, and not broken.

A set-up builds on a `Stage` and returns what to ask, if that is not ``svc/web``. They stand in the modules beside this
one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from stage import Stage

Ask = tuple[str, ...] | None
Build = Callable[[Stage], Ask]


@dataclass(frozen=True)
class Setup:
    build: Build
    reason: str
    severity: str
    also: tuple[str, ...]  # further reasons that must be there
    options: dict[str, object]

    @property
    def name(self) -> str:
        return self.build.__name__


SETUPS: list[Setup] = []


def first(reason: str, severity: str = "broken", *also: str, **options: object) -> Callable[[Build], Build]:
    """The decorator of a set-up: its first reason, its severity, what else must be found; options of its cluster."""

    def remember(build: Build) -> Build:
        SETUPS.append(Setup(build, reason, severity, also, options))
        return build

    return remember


def setups() -> list[Setup]:
    """All of them."""
    for part in ("services", "pods", "slices", "traffic"):
        import_module(f"setups_of_{part}")
    return SETUPS
