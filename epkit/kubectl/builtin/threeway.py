"""Patches between objects: strategic merge patches between two states and among three, and JSON merge patches.

Source: ``k8s.io/apimachinery/pkg/util/strategicpatch/patch.go`` and ``pkg/util/jsonmergepatch``.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from epkit.kubectl.builtin.failures import KubectlError
from epkit.kubectl.builtin.gotext import plain
from epkit.kubectl.builtin.merge_keys import Field, Schema, field_of, within
from epkit.objects import Obj

_ORDER = "$setElementOrder/"
_DELETE_SCALARS = "$deleteFromPrimitiveList/"
_RETAIN = "$retainKeys"
_PATCH = "$patch"


@dataclass(frozen=True, slots=True)
class _Options:
    deletions: bool
    changes: bool
    retain_keys: bool = False


def two_way(original: Obj, modified: Obj, schema: Schema | None) -> Obj:
    """The patch that turns one object into another; a JSON merge patch where there is no schema.

    >>> two_way({"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, {})
    {'spec': {'replicas': 2}}
    """
    if schema is None:
        return json_merge(original, modified)
    return _maps(original, modified, schema, _Options(deletions=True, changes=True))


def three_way(original: Obj, modified: Obj, current: Obj, schema: Schema | None) -> Obj:
    """The patch to `current` that brings in what `modified` says and takes out what `original` said and it does not.

    >>> three_way({"data": {"a": "1", "b": "2"}}, {"data": {"a": "3"}}, {"data": {"a": "1", "b": "2", "c": "4"}}, {})
    {'data': {'b': None, 'a': '3'}}
    """
    if schema is None:
        changes = _without_nulls(json_merge(current, modified))
        deletions = _only_nulls(json_merge(original, modified))
        return _merge_json(changes, deletions)
    delta = _maps(current, modified, schema, _Options(deletions=False, changes=True))
    deletions = _maps(original, modified, schema, _Options(deletions=True, changes=False))
    return _merge(deletions, delta, schema)


def _maps(original: Obj, modified: Obj, schema: Schema, options: _Options) -> Obj:
    patch: Obj = {}
    for key, before in original.items():
        if key not in modified:
            if options.deletions:
                patch[key] = None
            continue
        after = modified[key]
        if isinstance(before, dict) and isinstance(after, dict):
            _map_field(patch, key, before, after, field_of(schema, key), options)
        elif isinstance(before, list) and isinstance(after, list):
            _list_field(patch, key, before, after, field_of(schema, key), options)
        elif options.changes and not _equal(before, after):
            patch[key] = after
    if options.changes:
        patch |= {key: value for key, value in modified.items() if key not in original}
    kept = sorted(modified) if options.retain_keys else []
    if kept and (patch or set(original) - set(modified)):
        patch[_RETAIN] = kept
    return patch


def _equal(a: Any, b: Any) -> bool:
    """Equal as JSON: ``True`` is not 1."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _map_field(patch: Obj, key: str, before: Obj, after: Obj, field: Field, options: _Options) -> None:
    if field.replace:
        if options.changes and before != after:
            patch[key] = after
        return
    inner = _maps(before, after, within(field), replace(options, retain_keys=field.retain_keys))
    if inner:
        patch[key] = inner


def _list_field(
    patch: Obj, key: str, before: list[Any], after: list[Any], field: Field, options: _Options
) -> None:
    if not field.merge:
        if options.changes and before != after:
            patch[key] = after
        return
    if not before:
        if after and options.changes:
            patch[key] = after
        return
    if field.key:
        items = _keyed(before, after, field, replace(options, retain_keys=field.retain_keys))
        same = [_key(item, field.key) for item in before] == [_key(item, field.key) for item in after]
        if items:
            patch[key] = items
        if (options.changes and (items or not same)) or (options.deletions and items):
            patch[_ORDER + key] = [{field.key: item[field.key]} for item in after]
        return
    added = [item for item in after if item not in before] if options.changes else []
    removed = [item for item in before if item not in after] if options.deletions else []
    if added:
        patch[key] = added
    if removed:
        patch[_DELETE_SCALARS + key] = sorted(dict.fromkeys(removed), key=plain)
    if removed or (options.changes and before != after):
        patch[_ORDER + key] = after


def _key(item: Any, name: str) -> Any:
    if not isinstance(item, dict) or name not in item:
        raise KubectlError(f"map: {plain(item)} does not contain declared merge key: {name}")
    return item[name]


def _keyed(before: list[Any], after: list[Any], field: Field, options: _Options) -> list[Any]:
    old = {plain(_key(item, field.key)): item for item in before}
    wanted = {plain(_key(item, field.key)) for item in after}
    items = []
    for item in after:
        earlier = old.get(plain(item[field.key]))
        if earlier is None:
            if options.changes:
                items.append(item)
            continue
        inner = _maps(earlier, item, within(field), options)
        if inner:
            items.append(inner | {field.key: item[field.key]})
    if options.deletions:
        items += [
            {_PATCH: "delete", field.key: item[field.key]} for key, item in sorted(old.items()) if key not in wanted
        ]
    return items


def _merge(patch: Obj, later: Obj, schema: Schema) -> Obj:
    """Both patches as one; where both speak, the later one counts."""
    merged = dict(patch)
    for key, value in later.items():
        earlier = merged.get(key)
        field = field_of(schema, key)
        if isinstance(earlier, dict) and isinstance(value, dict):
            merged[key] = _merge(earlier, value, within(field))
        elif isinstance(earlier, list) and isinstance(value, list) and field.merge and not key.startswith("$"):
            merged[key] = _merge_lists(earlier, value, field, later.get(_ORDER + key) or merged.get(_ORDER + key) or [])
        else:
            merged[key] = value
    return merged


def _merge_lists(earlier: list[Any], later: list[Any], field: Field, order: list[Any]) -> list[Any]:
    if not field.key:
        return list(dict.fromkeys([*earlier, *later]))
    items = {plain(item[field.key]): item for item in earlier}
    for item in later:
        name = plain(item[field.key])
        known = items.get(name)
        items[name] = _merge(known, item, within(field)) if known is not None and _PATCH not in known else item
    places = {plain(item[field.key]): place for place, item in enumerate(order)}
    return sorted(
        items.values(), key=lambda item: (_PATCH in item, places.get(plain(item[field.key]), len(places)))
    )


def json_merge(original: Any, modified: Any) -> Any:
    """The JSON merge patch (RFC 7386) from one value to another."""
    patch: Obj = {}
    for key, value in modified.items():
        if key not in original:
            patch[key] = value
        elif isinstance(value, dict) and isinstance(original[key], dict):
            inner = json_merge(original[key], value)
            if inner:
                patch[key] = inner
        elif not _equal(original[key], value):
            patch[key] = value
    return patch | {key: None for key in original if key not in modified}


def _without_nulls(patch: Obj) -> Obj:
    kept = {}
    for key, value in patch.items():
        if isinstance(value, dict):
            inner = _without_nulls(value)
            if inner or not value:
                kept[key] = inner
        elif value is not None:
            kept[key] = value
    return kept


def _only_nulls(patch: Obj) -> Obj:
    kept = {}
    for key, value in patch.items():
        inner = _only_nulls(value) if isinstance(value, dict) else None
        if value is None or inner:
            kept[key] = inner
    return kept


def _merge_json(patch: Obj, later: Obj) -> Obj:
    merged = dict(patch)
    for key, value in later.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge_json(merged[key], value) if both else value
    return merged
