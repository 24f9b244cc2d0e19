"""kubectl's JSONPath: templates over API objects.

Source: ``k8s.io/client-go/util/jsonpath/jsonpath.go``. Go walks maps in random order; here it is by key.
"""
from __future__ import annotations

from typing import Any

from epkit.kubectl.builtin.gotext import json_text, plain
from epkit.kubectl.builtin.jsonpath_parser import (
    Constant,
    Field,
    Filter,
    Identifier,
    JsonPathError,
    Node,
    Nodes,
    Recursive,
    Slice,
    Text,
    Union,
    Wildcard,
    parse,
)

__all__ = ["JsonPath", "JsonPathError"]


class JsonPath:
    """A parsed template.

    >>> JsonPath('{range .items[*]}{.name}={.port}{"\\\\n"}{end}').text({"items": [{"name": "http", "port": 80}]})
    'http=80\\n'

    Raises:
        JsonPathError: the template is malformed, or (from the methods) does not fit the data.
    """

    def __init__(self, template: str, *, missing_is_error: bool = False) -> None:
        self.template = template
        self.missing_is_error = missing_is_error
        self._nodes = parse(template)

    def find(self, data: Any) -> list[list[Any]]:
        """The results of each text and action, in order."""
        return _Run(self._nodes, self.missing_is_error).find(data, 0)

    def text(self, data: Any) -> str:
        """The template filled in."""
        return "".join(" ".join(_print(value) for value in results) for results in self.find(data))

    def json(self, data: Any) -> str:
        """As ``-o jsonpath-as-json`` prints it: each action's results as an array."""
        return "".join(json_text(results, 4) + "\n" for results in self.find(data))


def _print(value: Any) -> str:
    if value is None or isinstance(value, (dict, list)):
        return json_text(value)
    return plain(value)


class _Run:
    def __init__(self, nodes: list[Node], missing_is_error: bool) -> None:
        self.nodes = nodes
        self.missing_is_error = missing_is_error
        self.begin = self.inside = self.end = 0
        self.last_end = -1

    def find(self, data: Any, start: int) -> list[list[Any]]:
        """Results from the node at `start` to the end of the range that it is in."""
        full: list[list[Any]] = []
        at = start
        while at < len(self.nodes):
            results = self.walk([data], self.nodes[at])
            if 0 < self.end <= self.inside:
                self.end -= 1
                self.last_end = at
                break
            if self.begin > 0:
                self.begin -= 1
                self.inside += 1
                for value in results:
                    full += self.find(value, at + 1)
                if not results:
                    self.find(None, at + 1)  # to find the end of the range
                self.inside -= 1
                if self.last_end > at:
                    at = self.last_end
            else:
                full.append(results)
            at += 1
        return full

    def walk(self, values: list[Any], node: Node) -> list[Any]:
        match node:
            case Nodes():
                for inner in node.nodes:
                    values = self.walk(values, inner)
                return values
            case Text():
                return [node.text]
            case Constant():
                return [node.value for _ in values]
            case Field():
                return self.field(values, node.name)
            case Slice():
                return self.slice(values, node)
            case Wildcard():
                return [child for value in values for child in _children(value)]
            case Recursive():
                return _descend(values)
            case Union():
                return [found for choice in node.choices for found in self.walk(values, choice)]
            case Filter():
                return self.filter(values, node)
            case Identifier():
                return self.identifier(values, node.name)

    def identifier(self, values: list[Any], name: str) -> list[Any]:
        if name == "range":
            self.begin += 1
            return values
        if name != "end":
            raise JsonPathError(f"unrecognized identifier {name}")
        if self.inside <= 0:
            raise JsonPathError("not in range, nothing to end")
        self.end += 1
        return []

    def field(self, values: list[Any], name: str) -> list[Any]:
        found = [value[name] for value in values if isinstance(value, dict) and name in value]
        if values and not found and self.missing_is_error:
            raise JsonPathError(f"{name} is not found")
        return found

    def slice(self, values: list[Any], node: Slice) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise JsonPathError(f"{_go_type(value)} is not array or slice")
            length = len(value)
            first = node.first or 0
            last = length if node.last is None else node.last
            first += length if first < 0 else 0
            last += length if last < 0 or (last == 0 and node.derived) else 0
            if first == last:
                return found
            if not 0 <= first < length:
                raise JsonPathError(f"array index out of bounds: index {first}, length {length}")
            if not 0 <= last <= length:
                raise JsonPathError(f"array index out of bounds: index {last - 1}, length {length}")
            if first > last:
                raise JsonPathError(f"starting index {first} is greater than ending index {last}")
            if node.step is not None and node.step <= 0:
                raise JsonPathError("step must be > 0")
            found += value[first : last : node.step or 1]
        return found

    def filter(self, values: list[Any], node: Filter) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if not isinstance(value, list):
                raise JsonPathError(f"{plain(value)} is not array or slice and cannot be filtered")
            for item in value:
                if self.passes(item, node):
                    found.append(item)
        return found

    def passes(self, item: Any, node: Filter) -> bool:
        if node.operator == "exists":
            try:
                return bool(self.walk([item], node.left))
            except JsonPathError:  # as upstream, which looks at what it had when the walk failed
                return True
        sides = []
        for side in (node.left, node.right):
            results = self.walk([item], side)
            if not results:
                return False
            if len(results) > 1:
                raise JsonPathError("can only compare one element at a time")
            sides.append(results[0])
        return _compare(sides[0], node.operator, sides[1])


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    if isinstance(value, str):
        return list(value.encode())  # upstream walks a string's bytes
    return list(value) if isinstance(value, list) else []


def _descend(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        children = _children(value)
        if children:
            found.append(value)
            found += _descend(children)
    return found


def _compare(left: Any, operator: str, right: Any) -> bool:
    kinds = [_comparable(left), _comparable(right)]
    if "" in kinds:
        raise JsonPathError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise JsonPathError("incompatible types for comparison")
    if kinds[0] == "bool" and operator not in ("==", "!="):
        raise JsonPathError("invalid type for comparison")
    match operator:
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case ">=":
            return bool(left >= right)
    raise JsonPathError(f"unrecognized filter operator {operator}")


def _comparable(value: Any) -> str:
    return type(value).__name__ if isinstance(value, (bool, int, float, str)) else ""


def _go_type(value: Any) -> str:
    if isinstance(value, dict):
        return "map[string]interface {}"
    return {"str": "string", "bool": "bool", "int": "int64", "float": "float64"}[type(value).__name__]
