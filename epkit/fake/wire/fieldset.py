"""Sets of fields, as ``metadata.managedFields`` writes them (FieldsV1).

A set is a tree of dicts: a key is a step of a path, ``f:name`` for a field, ``k:{"port":80}`` for the item of a list
with these keys, ``v:"text"`` for the value in a set. A step is in the set itself if its dict is empty or has the key
``.``. The functions never change their arguments; results share parts with them.

After ``sigs.k8s.io/structured-merge-diff/fieldpath``.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

Tree = dict[str, Any]
Path = tuple[str, ...]

MEMBER = "."


def is_member(node: Tree) -> bool:
    return not node or MEMBER in node


def union(one: Tree, other: Tree) -> Tree:
    """All paths of both sets.

    >>> union({"f:a": {}}, {"f:a": {"f:b": {}}})
    {'f:a': {'.': {}, 'f:b': {}}}
    """
    if not one or not other:
        return one or other
    made = dict(one)
    for step, node in other.items():
        made[step] = _union(made[step], node) if step in made else node
    return made


def _union(one: Tree, other: Tree) -> Tree:
    if one is other:
        return one
    if not one:
        return as_member(other)
    if not other:
        return as_member(one)
    return dict(sorted(union(one, other).items(), key=lambda item: item[0] != MEMBER))


def as_member(node: Tree) -> Tree:
    """`node` with its own step in the set."""
    return node if is_member(node) else {MEMBER: {}, **node}


def difference(one: Tree, other: Tree) -> Tree:
    """The paths of `one` that `other` lacks.

    >>> difference({"f:a": {".": {}, "f:b": {}}}, {"f:a": {"f:b": {}}})
    {'f:a': {}}
    """
    made = {}
    for step, node in one.items():
        if step not in other:
            made[step] = node
        else:
            left = _difference(node, other[step])
            if left is not None:
                made[step] = left
    return made


def _difference(one: Tree, other: Tree) -> Tree | None:
    children = {step: node for step, node in one.items() if step != MEMBER}
    left = difference(children, other) if other else children
    return _node(is_member(one) and not is_member(other), left)


def intersection(one: Tree, other: Tree) -> Tree:
    """The paths that are in both sets."""
    made = {}
    for step, node in one.items():
        if step in other:
            both = _intersection(node, other[step])
            if both is not None:
                made[step] = both
    return made


def _intersection(one: Tree, other: Tree) -> Tree | None:
    children = {step: node for step, node in one.items() if step != MEMBER}
    return _node(is_member(one) and is_member(other), intersection(children, other))


def _node(member: bool, children: Tree) -> Tree | None:
    if member:
        return {MEMBER: {}, **children} if children else {}
    return children or None


def without(one: Tree, other: Tree) -> Tree:
    """`one` without the paths of `other` and all that lies below them (RecursiveDifference)."""
    made = {}
    for step, node in one.items():
        if step not in other:
            made[step] = node
        elif not is_member(other[step]) and node:
            left = without(node, other[step])
            if left:
                made[step] = left
    return made


def paths(one: Tree, prefix: Path = ()) -> Iterator[Path]:
    """The paths of the set: those that end at a level before those that go deeper, each in order."""
    steps = sorted((step for step in one if step != MEMBER), key=_rank)
    for step in steps:
        if is_member(one[step]):
            yield (*prefix, step)
    for step in steps:
        if one[step]:
            yield from paths(one[step], (*prefix, step))


def in_order(one: Tree) -> Tree:
    """The same set with its steps in the order in which the API server writes them.

    >>> in_order({"f:b": {"f:c": {}, ".": {}}, "f:a": {}})
    {'f:a': {}, 'f:b': {'.': {}, 'f:c': {}}}
    """
    steps = sorted(one, key=lambda step: (-1, "") if step == MEMBER else _rank(step))
    return {step: in_order(one[step]) for step in steps}


def _rank(step: str) -> tuple[int, str]:
    return "fkvi".index(step[0]), step


def path_text(path: Path) -> str:
    """A path as messages show it.

    >>> path_text(("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name"))
    '.spec.ports[port=80,protocol="TCP"].name'
    """
    return "".join(step_text(step) for step in path)


def step_text(step: str) -> str:
    kind, rest = step[0], step[2:]
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        keys = orjson.loads(rest)
        return "[" + ",".join(f"{key}={orjson.dumps(keys[key]).decode()}" for key in sorted(keys)) + "]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"
