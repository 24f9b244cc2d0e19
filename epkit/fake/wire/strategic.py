"""Strategic merge patch: a merge patch that knows which lists to merge, and by which key.

After ``k8s.io/apimachinery/pkg/util/strategicpatch``, function by function. The directives: ``$patch`` (replace,
delete), ``$deleteFromPrimitiveList/<field>``, ``$setElementOrder/<field>``, ``$retainKeys``.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cmp_to_key
from typing import Any

from epkit.fake.wire.gotext import go_value
from epkit.fake.wire.jsonpatch import copied, same
from epkit.fake.wire.schema import Definition, Field, definition

Obj = dict[str, Any]

_PATCH = "$patch"
_RETAIN_KEYS = "$retainKeys"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList"
_ORDER = "$setElementOrder"

BAD_PRIMITIVE_LIST = "invalid patch format of primitive list"
BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
BAD_ORDER_LIST = "invalid patch format of setElementOrder list"
LISTS_OF_LISTS = "lists of lists are not supported"


class StrategicError(ValueError):
    """A patch that cannot be merged; the text is upstream's."""


def merge(document: Obj, patch: Obj, name: str) -> Obj:
    """`document`, of the definition `name`, with `patch` merged in; neither is changed.

    Raises :class:`StrategicError`.

    >>> pod = {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}}
    >>> patch = {"spec": {"containers": [{"name": "a", "image": "y"}, {"name": "b", "$patch": "delete"}]}}
    >>> merge(pod, patch, "io.k8s.api.core.v1.Pod")
    {'spec': {'containers': [{'name': 'a', 'image': 'y'}]}}
    """
    return _merge_map(copied(document), copied(patch), definition(name))


# From here on, the arguments belong to the functions: they change them in place.


def _merge_map(original: Obj, patch: Obj, of: Definition | None) -> Obj:
    if _PATCH in patch:
        return _directive(patch)
    _retain_keys(original, patch)
    _merge_ordered_lists(original, patch, of)
    for key, value in patch.items():
        deletes = key.startswith(_DELETE_PRIMITIVES)
        if deletes:
            key = _key_of(key, _DELETE_PRIMITIVES, BAD_PRIMITIVE_LIST)
        if value is None:
            original.pop(key, None)
        elif key not in original or _kind(original[key]) != _kind(value):
            if not deletes:
                _take(original, key, _without_nulls(value))
        elif isinstance(value, dict):
            field, inner = _lookup(of, key)
            replaces = _strategy(field) == "replace"
            original[key] = value if replaces else _merge_map(original[key], value, inner)
        elif isinstance(value, list):
            field, inner = _lookup(of, key)
            original[key] = _merge_list(original[key], value, field, inner, deletes)
        else:
            original[key] = value
    return original


def _directive(patch: Obj) -> Obj:
    directive = patch[_PATCH]
    if directive == "replace":
        del patch[_PATCH]
        return patch
    if directive == "delete":
        return {}
    raise StrategicError(f"unknown patch type: {directive} in map: {go_value(patch)}")


def _kind(value: Any) -> str:
    """The Go kind of a decoded JSON value, of those that matter for merging."""
    if isinstance(value, dict):
        return "map"
    if isinstance(value, list):
        return "slice"
    return "bool" if isinstance(value, bool) else type(value).__name__


def _take(original: Obj, key: str, value: Any) -> None:
    """A value that the original lacks is taken as it is, but for the directives in it."""
    kept = _without_directives(value)
    if kept is _GONE:
        original.pop(key, None)
    else:
        original[key] = kept


_GONE = object()


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        if _PATCH in value:
            return _GONE
        kept = {key: _without_directives(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not _GONE}
    if isinstance(value, list):
        return [item for item in map(_without_directives, value) if item is not _GONE]
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _key_of(key: str, prefix: str, fault: str) -> str:
    head, _, rest = key.partition("/")
    if head != prefix or not rest:
        raise StrategicError(fault)
    return rest


def _lookup(of: Definition | None, key: str) -> tuple[Field | None, Definition | None]:
    """The field, and the definition of what it holds; (None, None) inside a map, whose values have no metadata."""
    if of is None:
        return None, None
    if key not in of.fields:
        raise StrategicError(f'unable to find api field in struct {of.struct_name} for the json field "{key}"')
    field = of.fields[key]
    return field, None if field.leaf or field.map else definition(field.type)


def _strategy(field: Field | None) -> str:
    """The patch strategy without retainKeys, which is told by its directive in the patch."""
    wanted = [] if field is None else [name for name in field.strategy.split(",") if name and name != "retainKeys"]
    return wanted[0] if wanted else ""


def _retain_keys(original: Obj, patch: Obj) -> None:
    if _RETAIN_KEYS not in patch:
        return
    kept = patch.pop(_RETAIN_KEYS)
    if not isinstance(kept, list):
        raise StrategicError(BAD_RETAIN_KEYS)
    for key, value in patch.items():
        if value is not None and not key.startswith((_DELETE_PRIMITIVES, _ORDER)) and key not in kept:
            raise StrategicError(BAD_RETAIN_KEYS)
    for key in [key for key in original if key not in kept]:
        del original[key]


def _merge_ordered_lists(original: Obj, patch: Obj, of: Definition | None) -> None:
    """Merges the lists that come with ``$setElementOrder`` and puts them into that order."""
    for directive in [key for key in patch if key.startswith(_ORDER)]:
        order = patch.pop(directive)
        if not isinstance(order, list):
            raise StrategicError(f"expected a []interface {{}}, but received a {_go_type(order)}")
        key = _key_of(directive, _ORDER, BAD_ORDER_LIST)
        before, changes = original.get(key), patch.get(key)
        for value in (before, changes):
            if value is not None and not isinstance(value, list):
                raise StrategicError(f"expected a []interface {{}}, but received a {_go_type(value)}")
        field, inner = _lookup(of, key)
        merge_key = field.merge_key if field else ""
        _check_order(changes or [], order, merge_key)
        if before is None and changes is None:
            continue
        if before is not None and changes is not None:
            merged = _merge_list(list(before), changes, field, inner, False)
        else:
            merged = before if before is not None else changes or []
        patch.pop(key, None)
        mine, others = _partition(merged, order, merge_key)
        _item_kind(before or [], changes or [])
        original[key] = _ordered(mine, others, order, before or [], merge_key)


def _go_type(value: Any) -> str:
    return {"map": "map[string]interface {}", "str": "string", "int": "int64", "float": "float64",
            "NoneType": "%!s(<nil>)"}.get(_kind(value), _kind(value))


def _check_order(changes: list[Any], order: list[Any], merge_key: str) -> None:
    """The items of the patch must stand in the order that the directive gives."""
    if not changes or not order:
        return
    wanted = [item for item in changes if not (isinstance(item, dict) and _PATCH in item)]
    at = 0
    for item in order:
        if at < len(wanted) and same(_key_value(wanted[at], merge_key), _key_value(item, merge_key)):
            at += 1
    if at < len(wanted):
        raise StrategicError(
            f"The order in patch list:\n{go_value(changes)}\n doesn't match {_ORDER} list:\n{go_value(order)}\n")


def _key_value(item: Any, merge_key: str) -> Any:
    if not merge_key:
        return item
    if not isinstance(item, dict):
        raise StrategicError(f"expected a map[string]interface {{}}, but received a {_go_type(item)}")
    if merge_key not in item:
        raise StrategicError(f"map: {go_value(item)} does not contain declared merge key: {merge_key}")
    return item[merge_key]


def _item_kind(*lists: Sequence[Any]) -> str:
    kinds = [_kind(item) for items in lists for item in items]
    if not kinds:
        raise StrategicError("no elements in any of the given slices")
    if kinds[0] == "slice":
        raise StrategicError(LISTS_OF_LISTS)
    if any(kind != kinds[0] for kind in kinds):
        raise StrategicError(f"list element types are not identical: {go_value([list(items) for items in lists])}")
    return kinds[0]


def _merge_list(
    original: list[Any], patch: list[Any], field: Field | None, inner: Definition | None, deletes: bool
) -> list[Any]:
    if not deletes and _strategy(field) != "merge":
        return patch
    if not original and not patch:
        return original
    merge_key = field.merge_key if field else ""
    if _item_kind(original, patch) != "map":
        if deletes:
            return [item for item in original if not any(same(item, gone) for gone in patch)]
        merge_key = ""
        merged = _unique([*original, *patch])
    else:
        if not merge_key:
            raise StrategicError(f"cannot merge lists without merge key for {inner.struct_name if inner else 'map'}")
        original, patch = _special_items(original, patch, merge_key)
        merged = _merge_items(original, patch, merge_key, inner)
    mine, others = _partition(merged, patch, merge_key)
    return _ordered(mine, others, patch, original, merge_key)


def _unique(items: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        if not any(same(item, other) for other in kept):
            kept.append(item)
    return kept


def _special_items(original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """Carries out the ``$patch`` directives that stand in a list; returns what is left of both lists."""
    plain: list[Any] = []
    replaces = False
    for item in patch:
        directive = item.get(_PATCH)
        if _PATCH not in item:
            plain.append(item)
        elif directive == "delete":
            value = _key_value(item, merge_key)
            original = [other for other in original if not (merge_key in other and same(other[merge_key], value))]
        elif directive == "replace":
            replaces = True
        elif directive == "merge":
            raise StrategicError("merging lists cannot yet be specified in the patch")
        else:
            raise StrategicError(f"unknown patch type: {directive} in map: {go_value(item)}")
    return (plain, []) if replaces else (original, plain)


def _merge_items(original: list[Any], patch: list[Any], merge_key: str, inner: Definition | None) -> list[Any]:
    merged = list(original)
    for item in patch:
        value = _key_value(item, merge_key)
        for i, other in enumerate(merged):
            if merge_key in other and same(other[merge_key], value):
                merged[i] = _merge_map(other, dict(item), inner)
                break
        else:
            merged.append(_without_directives(_without_nulls(item)))
    return merged


def _partition(items: list[Any], by: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """`items` that have a counterpart in `by`, and the others."""
    mine: list[Any] = []
    others: list[Any] = []
    for item in items:
        value = _key_value(item, merge_key)
        found = any(same(value, _key_of_other(other, merge_key)) for other in by)
        (mine if found else others).append(item)
    return mine, others


def _key_of_other(item: Any, merge_key: str) -> Any:
    if not merge_key:
        return item
    return item.get(merge_key) if isinstance(item, dict) else None


def _ordered(
    mine: list[Any], others: list[Any], my_order: list[Any], their_order: list[Any], merge_key: str
) -> list[Any]:
    """Both lists in one: each in its order, interleaved by `their_order` as far as that goes."""
    position = _positions(their_order, merge_key)
    right = _sorted(mine, my_order, merge_key)
    left = _sorted(others, their_order, merge_key)
    merged: list[Any] = []
    while left and right:
        there, here = position(left[0]), position(right[0])
        merged.append(left.pop(0) if 0 <= there < here else right.pop(0))
    return merged + left + right


def _positions(order: list[Any], merge_key: str) -> Callable[[Any], int]:
    def position(item: Any) -> int:
        value = _key_of_other(item, merge_key)
        for i, other in enumerate(order):
            if same(value, _key_of_other(other, merge_key)):
                return i
        return -1

    return position


def _sorted(items: list[Any], order: list[Any], merge_key: str) -> list[Any]:
    position = _positions(order, merge_key)

    def compare(one: Any, other: Any) -> int:
        at, there = position(one), position(other)
        return at - there if at >= 0 and there >= 0 else 0

    return sorted(items, key=cmp_to_key(compare))
