"""Objects seen through their types, for managed fields: which fields they have, how two differ, how they merge.

After ``sigs.k8s.io/structured-merge-diff/typed``. A list is one value unless its type says ``map`` (items known by
keys) or ``set`` (items known by value); a struct or map is taken apart unless its type says ``atomic``.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import orjson

from epkit.fake.wire import fieldset, schema
from epkit.fake.wire.fieldset import MEMBER, Tree
from epkit.fake.wire.gotext import go_value

#: Stands for a value that is not there at all, other than a null.
ABSENT: Any = object()

ATOM, STRUCT, MAP, KEYED_LIST, SET = "atom", "struct", "map", "keyed list", "set"


@dataclass(slots=True)
class Type:
    """How a value is taken apart. An ATOM is whole; `leaf` says of what JSON type it must be, if that matters."""

    shape: str
    leaf: str = ""
    fields: dict[str, Type] = field(default_factory=dict)  # of a struct
    item: Type | None = None  # of a map or list, and of a list that is one value
    keys: tuple[tuple[str, Any], ...] = ()  # of a keyed list: name and default

    def child(self, name: str) -> Type | None:
        return self.fields.get(name) if self.shape == STRUCT else self.item


@cache
def type_of(name: str) -> Type:
    """The type of the definition `name`."""
    definition = schema.definition(name)
    shape = ATOM if definition.map_type == "atomic" else STRUCT
    return Type(shape, "struct", {one.name: _field_type(one) for one in definition.fields.values()})


def _field_type(one: schema.Field) -> Type:
    inner = Type(ATOM, one.type) if one.leaf else type_of(one.type)
    if one.list:
        inner = _list_type(one, inner)
    if one.map:
        return Type(ATOM if one.map_type == "atomic" else MAP, "map", item=inner)
    if one.map_type == "atomic" and inner.shape == STRUCT:
        return Type(ATOM, "struct", inner.fields)
    return inner


def _list_type(one: schema.Field, inner: Type) -> Type:
    if one.list_type == "map":
        fields = schema.definition(one.type).fields
        return Type(KEYED_LIST, "list", item=inner, keys=tuple((key, fields[key].default) for key in sorted(one.keys)))
    return Type(SET if one.list_type == "set" else ATOM, "list", item=inner)


def step_of(item: Any, of: Type) -> str:
    """The step that leads to an item of a keyed list or set: ``k:{"name":"web"}``. Raises KeyError without a key."""
    if of.shape == SET:
        return "v:" + orjson.dumps(item).decode()
    keys = {}
    for name, default in of.keys:
        value = item.get(name)
        value = default if value is None else value
        if value is not None:
            keys[name] = value
    if not keys:
        raise KeyError(of.keys[0][0])
    return "k:" + orjson.dumps(keys).decode()


def _indexed(items: Iterable[Any] | None, of: Type) -> dict[str, list[Any]]:
    """Step -> the items with it, more than one where a live object has duplicates."""
    found: dict[str, list[Any]] = {}
    for item in items or ():
        found.setdefault(step_of(item, of), []).append(item)
    return found


def field_set(value: Any, of: Type) -> Tree:
    """The fields of an applied configuration (ToFieldSet)."""
    made: Tree = {}
    if of.shape == STRUCT or of.shape == MAP:
        for name, item in (value or {}).items():
            child = of.child(name)
            if child is None:
                continue
            below = {} if child.shape == ATOM else field_set(item, child)
            # A field of a struct counts by what is below it; a key of a map, a null and an empty map count themselves.
            if of.shape == MAP or child.shape == ATOM or item is None or item == {}:
                made[f"f:{name}"] = fieldset.as_member(below)
            elif below:
                made[f"f:{name}"] = below
    elif of.shape in (KEYED_LIST, SET):
        for item in value or ():
            made[step_of(item, of)] = fieldset.as_member(field_set(item, of.item) if of.item else {})
    return made


class Comparison(NamedTuple):
    """How one object differs from another before it."""

    added: Tree
    modified: Tree
    removed: Tree

    def without(self, ignored: Tree) -> Comparison:
        return Comparison(*(fieldset.without(tree, ignored) for tree in self))

    @property
    def changed(self) -> Tree:
        return fieldset.union(self.added, self.modified)


def compare(old: Any, new: Any, of: Type) -> Comparison:
    """What an update adds, modifies and removes.

    >>> pod = type_of("io.k8s.api.core.v1.Pod")
    >>> compare({"spec": {"nodeName": "a"}}, {"spec": {"nodeName": "b", "hostname": "c"}}, pod)
    Comparison(added={'f:spec': {'f:hostname': {}}}, modified={'f:spec': {'f:nodeName': {}}}, removed={})
    """
    comparison = Comparison({}, {}, {})
    _compare_children(old, new, of, comparison)
    return comparison


def _compare_children(old: Any, new: Any, of: Type, into: Comparison) -> None:
    """Compares two values that are there, step by step; the trees of `into` belong to them."""
    if of.shape in (STRUCT, MAP):
        old, new = old or {}, new or {}
        for name in new.keys() | old.keys() if old.keys() != new.keys() else new:
            before, after = old.get(name, ABSENT), new.get(name, ABSENT)
            if before is not after and before != after:
                _compare_step(f"f:{name}", before, after, of.child(name), into)
        return
    before_by_step, after_by_step = _indexed(old, of), _indexed(new, of)
    for step in [*after_by_step, *(step for step in before_by_step if step not in after_by_step)]:
        before, after = before_by_step.get(step, []), after_by_step.get(step, [])
        if before == after:
            continue
        if len(before) < 2 and len(after) < 2:
            _compare_step(step, before[0] if before else ABSENT, after[0] if after else ABSENT, of.item, into)
        elif len(before) > 1 and len(after) > 1:
            into.modified[step] = {}
        elif len(before) > 1:
            if after:
                _compare_step(step, ABSENT, after[0], of.item, into)
            into.removed[step] = {}
        else:
            if before:
                _compare_step(step, before[0], ABSENT, of.item, into)
            into.added[step] = {}


def _compare_step(step: str, before: Any, after: Any, of: Type | None, into: Comparison) -> None:
    if before is ABSENT:
        into.added[step] = _everything(after, of)
    elif after is ABSENT:
        into.removed[step] = _everything(before, of)
    elif of is None or of.shape == ATOM or (not before and not after):
        into.modified[step] = {}
    else:
        below = Comparison({}, {}, {})
        _compare_children(before, after, of, below)
        for tree, found in zip(into, below, strict=True):
            if found:
                tree[step] = found


def _everything(value: Any, of: Type | None) -> Tree:
    """The node of a value that came or went as a whole: each step to the bottom is a member."""
    if of is None or of.shape == ATOM or not value:
        return {}
    made: Tree = {MEMBER: {}}
    if of.shape in (STRUCT, MAP):
        for name, item in value.items():
            made[f"f:{name}"] = _everything(item, of.child(name))
    else:
        for item in value:
            made[step_of(item, of)] = _everything(item, of.item)
    return made


def merge(live: Any, applied: Any, of: Type) -> Any:
    """`live` with `applied` laid over it; neither is changed. Either may be ABSENT."""
    if applied is ABSENT:
        return live
    if live is ABSENT or of.shape == ATOM or (not live and not applied):
        return applied
    if of.shape in (STRUCT, MAP):
        merged = dict(live or {})
        for name, value in (applied or {}).items():
            child = of.child(name)
            merged[name] = merge(merged.get(name, ABSENT), value, child) if child else value
        return merged
    return _merge_lists(live or [], applied or [], of)


def _merge_lists(live: list[Any], applied: list[Any], of: Type) -> list[Any]:
    """The items of both lists: in the order of `applied` where it has a say, in that of `live` otherwise."""
    mine, theirs = [step_of(item, of) for item in applied], [step_of(item, of) for item in live]
    applied_by_step = dict(zip(mine, applied, strict=True))
    live_by_step = {step: item for step, item in zip(theirs, live, strict=True) if theirs.count(step) == 1}
    shared = iter([step for step in mine if step in theirs])
    expected = next(shared, None)
    done: set[str] = set()
    merged: list[Any] = []

    def take(step: str) -> None:
        done.add(step)
        value = applied_by_step[step]
        merged.append(merge(live_by_step.get(step, ABSENT), value, of.item) if of.item else value)

    at = place = 0
    while at < len(theirs) or place < len(mine):
        if at < len(theirs) and place < len(mine):
            if theirs[at] == mine[place]:
                take(mine[place])
                at, place = at + 1, place + 1
                expected = next(shared, None)
                continue
            if theirs[at] in applied_by_step and expected is not None and expected != theirs[at]:
                at += 1
                continue
        if at < len(theirs):
            if theirs[at] not in applied_by_step:
                merged.append(live[at])
                at += 1
                continue
            if theirs[at] in done:
                at += 1
        if place < len(mine):
            take(mine[place])
            if expected == mine[place]:
                expected = next(shared, None)
            place += 1
    return merged


def remove(value: Any, gone: Tree, of: Type) -> Any:
    """`value` without the fields and items in `gone`; it is not changed. None when nothing is left."""
    if of.shape == ATOM:
        return None if of.leaf in ("struct", "map", "list") else value
    if not value:
        return None
    if of.shape in (STRUCT, MAP):
        left = {}
        for name, item in value.items():
            node = gone.get(f"f:{name}")
            if node is None:
                left[name] = item
            elif not fieldset.is_member(node):
                child = of.child(name)
                left[name] = remove(item, node, child) if child else item
        return left or None
    kept = []
    for item in value:
        node = gone.get(step_of(item, of))
        if node is None:
            kept.append(item)
        elif not fieldset.is_member(node):
            kept.append(remove(item, node, of.item) if of.item else item)
    return kept or None


def named_fields_as_members(tree: Tree, of: Type | None) -> Tree:
    """`tree` with each field of a struct on the way a member (EnsureNamedFieldsAreMembers)."""
    made: Tree = {}
    for step, node in tree.items():
        if step == MEMBER:
            made[step] = node
            continue
        child = None if of is None else of.child(step[2:]) if step[0] == "f" else of.item
        below = named_fields_as_members(node, child)
        named = of is not None and of.shape == STRUCT and step[0] == "f" and step[2:] in of.fields
        made[step] = fieldset.as_member(below) if named else below
    return made


def faults(value: Any, of: Type, path: str = "") -> Iterator[str]:
    """What keeps an applied configuration from being of its type, in structured-merge-diff's words."""
    if value is None:
        return
    if of.leaf in ("struct", "map"):
        if not isinstance(value, dict):
            yield f"{path}: expected map, got &{{{go_value(value)}}}"
            return
        for name, item in value.items():
            child = of.fields.get(name) if of.leaf == "struct" else of.item
            if child is None:
                yield f"{path}.{name}: field not declared in schema"
            else:
                yield from faults(item, child, f"{path}.{name}")
    elif of.leaf == "list":
        if not isinstance(value, list):
            yield f"{path}: expected list, got &{{{go_value(value)}}}"
            return
        yield from _list_faults(value, of, path)
    else:
        text = _leaf_fault(value, of.leaf)
        if text:
            yield f"{path}: {text}"


def _list_faults(items: list[Any], of: Type, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, item in enumerate(items):
        step = f"i:{i}"
        if of.shape != ATOM:
            if of.shape == KEYED_LIST and not isinstance(item, dict):
                yield f"{path}: element {i}: associative list with keys may not have non-map elements"
                continue
            missing = [key for key, default in of.keys if default is None and item.get(key) is None]
            if missing:
                yield (f'{path}: element {i}: associative list with keys has an element that omits key field '
                       f'"{missing[0]}" (and doesn\'t have default value)')
                continue
            step = step_of(item, of)
            if step in seen:
                yield f"{path}: duplicate entries for key {fieldset.step_text(step)}"
            seen.add(step)
        if of.item:
            yield from faults(item, of.item, path + fieldset.step_text(step))


def _leaf_fault(value: Any, leaf: str) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if leaf in ("int32", "int64", "float64"):
        names = {bool: "bool", str: "string", dict: "map[string]interface {}", list: "[]interface {}"}
        go_type = names.get(type(value), "")
        return "" if number else f"expected numeric (int or float), got {go_type}"
    if leaf in ("string", "bytes", "time", "microtime"):
        shown = f"&value.valueUnstructured{{Value:{go_value(value)}}}"
        return "" if isinstance(value, str) else f"expected string, got {shown}"
    if leaf == "bool":
        return "" if isinstance(value, bool) else f"expected boolean, got &{{{go_value(value)}}}"
    if leaf in ("quantity", "intorstring"):
        return "" if number or isinstance(value, (str, bool)) else f"expected any scalar, got &{{{go_value(value)}}}"
    return ""


