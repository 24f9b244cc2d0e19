"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386), as the API server's library applies them.

Source of the habits that RFC 6902 does not ask for: ``github.com/evanphx/json-patch`` v4. An index may be negative and
counts from the end; ``replace`` of a key that is missing adds it; ``test`` of a missing key succeeds for null.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_INDEX = re.compile(r"[-+]?[0-9]+", re.ASCII)


class PatchError(ValueError):
    """A patch that does not apply to the object."""


def apply(document: Any, operations: Sequence[Any]) -> Any:
    """`document` with the operations applied in order; neither is changed. Raises :class:`PatchError`.

    >>> apply({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}, {"op": "remove", "path": "/a/0"}])
    {'a': [2]}
    """
    document = copied(document)
    for operation in operations:
        document = _apply_one(document, operation if isinstance(operation, dict) else {})
    return document


def copied(value: Any) -> Any:
    """A copy of a JSON value that shares no dict and no list with it."""
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return value


def _apply_one(document: Any, operation: dict[str, Any]) -> Any:
    op = operation.get("op")
    if op in ("move", "copy"):
        source = _text(operation, "from")
        container, key = _find(document, source)
        value = copied(_get(container, key))
        if op == "move":
            _remove(container, key)
        container, key = _find(document, _text(operation, "path"))
        _add(container, key, value)
        return document
    path = _text(operation, "path")
    value = copied(operation.get("value"))
    if path == "" and op == "replace":
        if not isinstance(value, (dict, list)):
            raise PatchError("replace operation value must be object or array")
        return value
    if path == "" and op == "test":
        if not same(document, value):
            raise PatchError("testing value  failed: test failed")
        return document
    if op not in ("add", "remove", "replace", "test"):
        raise PatchError(f"Unexpected kind: {op}")
    container, key = _find(document, path)
    if op == "add":
        _add(container, key, value)
    elif op == "remove":
        _remove(container, key)
    elif op == "replace":
        _get(container, key)
        if isinstance(container, dict):
            container[key] = value
        else:
            container[_index(container, key)] = value
    elif not same(_get(container, key), value):
        raise PatchError(f"testing value {path} failed: test failed")
    return document


def same(one: Any, other: Any) -> bool:
    """Are two JSON values equal? Other than in Python, true is not 1."""
    if type(one) is not type(other) and not (_is_number(one) and _is_number(other)):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(operation: dict[str, Any], name: str) -> str:
    value = operation.get(name)
    if not isinstance(value, str):
        raise PatchError(f"operation missing {name} field: missing value")
    return value


def _find(document: Any, path: str) -> tuple[Any, str]:
    """What holds the value at `path`, and its key there."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    if len(parts) < 2:
        raise PatchError(f'doc is missing path: "{path}": missing value')
    container = document
    for part in parts[1:-1]:
        container = _get(container, part)
        if not isinstance(container, (dict, list)):
            raise PatchError(f'doc is missing path: "{path}": missing value')
    return container, parts[-1]


def _get(container: Any, key: str) -> Any:
    return container.get(key) if isinstance(container, dict) else container[_index(container, key)]


def _index(items: list[Any], key: str, room: int = 0) -> int:
    """The place that `key` names in `items`; `room` is 1 where the place behind the last one counts too."""
    if not _INDEX.fullmatch(key):
        raise PatchError(f'strconv.Atoi: parsing "{key}": invalid syntax')
    index, length = int(key), len(items) + room
    if not -length <= index < length:
        raise PatchError(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + length if index < 0 else index


def _add(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(container, key, room=1), value)


def _remove(container: Any, key: str) -> None:
    if isinstance(container, dict):
        if key not in container:
            raise PatchError(f"Unable to remove nonexistent key: {key}: missing value")
        del container[key]
    else:
        del container[_index(container, key)]


def merge(document: Any, patch: Any) -> Any:
    """A JSON merge patch applied; neither argument is changed, and what it leaves alone is shared with `document`.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"b": None}, "d": {"e": None}})
    {'a': {'c': 2}, 'd': {}}
    """
    if not isinstance(patch, dict):
        return copied(patch)
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged
