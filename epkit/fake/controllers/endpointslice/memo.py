"""Remembering what was worked out from objects that never change."""
from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_SIZE = 20_000


def once_per_object(function: Callable[P, T]) -> Callable[P, T]:
    """Call a pure function of cached objects once only for the very same objects; its results are not to be changed.

    A Service with a thousand pods is synced after each change of one of them. Objects are never changed in place, so
    what was found for the other 999 still holds. The objects are kept along with the result: as long as an entry lives
    no other object can get their identity.
    """
    results: dict[tuple[int, ...], tuple[tuple[object, ...], T]] = {}

    @wraps(function)
    def remembered(*objects: P.args, **named: P.kwargs) -> T:
        key = tuple(map(id, objects))
        found = results.get(key)
        if found is not None:
            return found[1]
        result = function(*objects, **named)
        if len(results) >= _SIZE:
            del results[next(iter(results))]
        results[key] = (objects, result)
        return result

    return remembered
