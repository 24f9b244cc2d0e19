"""The diff store: it is filled with the whole truth again and again, and says what is different each time.

Whoever fills it need not know what it held before. Values are compared by their hashes.

Source: client/diffstore of kubernetes-retired/kpng.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Set:
    """The value at a path is new or has changed."""

    path: str
    value: Value

    def __str__(self) -> str:
        return f"Set {self.path} {json.dumps(self.value)}"


@dataclass(frozen=True, slots=True)
class Delete:
    """There is nothing at a path any more."""

    path: str

    def __str__(self) -> str:
        return f"Delete {self.path}"


@dataclass(frozen=True, slots=True)
class Sync:
    """All that came before is one consistent state: now is the time to act on it."""

    def __str__(self) -> str:
        return "Sync"


Item = Set | Delete | Sync


def _hash(value: Value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


class DiffStore:
    """What one node was told, by group of paths: a group is all that belongs to one Service.

    >>> store = DiffStore()
    >>> store.fill("demo/web", {"services/demo/web": {"port": 80}, "endpoints/demo/web/10.0.0.1": {}})
    >>> [str(item) for item in store.differences()]
    ['Set endpoints/demo/web/10.0.0.1 {}', 'Set services/demo/web {"port": 80}']
    >>> store.fill("demo/web", {"services/demo/web": {"port": 80}})
    >>> [str(item) for item in store.differences()]
    ['Delete endpoints/demo/web/10.0.0.1']
    """

    def __init__(self) -> None:
        self._filled: dict[str, dict[str, tuple[str, Value]]] = {}
        self._told: dict[str, dict[str, str]] = {}

    def fill(self, group: str, values: Mapping[str, Value]) -> None:
        """Say all that there is in a group. What was there before and is not any more is gone."""
        self._filled[group] = {path: (_hash(value), value) for path, value in values.items()}

    def differences(self) -> list[Item]:
        """What is different from what the last call told: deletions first, each in order of the paths."""
        deleted: list[str] = []
        changed: dict[str, Value] = {}
        for group, filled in self._filled.items():
            told = self._told.get(group, {})
            deleted += told.keys() - filled.keys()
            changed.update((path, value) for path, (content, value) in filled.items() if told.get(path) != content)
            self._told[group] = {path: content for path, (content, _) in filled.items()}
            if not filled:
                del self._told[group]
        self._filled.clear()
        return [*map(Delete, sorted(deleted)), *(Set(path, changed[path]) for path in sorted(changed))]
