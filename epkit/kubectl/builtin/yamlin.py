"""YAML as ``sigs.k8s.io/yaml`` reads it on its way to JSON: what is a number or a bool, and the words for faults.

Source: ``sigs.k8s.io/yaml`` (yaml.go) and its ``goyaml.v2`` (resolve.go, yaml.go).
"""
from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_BASES = (16, 2, 8, 10)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def resolved(text: str) -> Any:
    """What an unquoted text is.

    >>> [resolved(each) for each in ("yes", "010", "1e3", "1_000", "22:22", "0o17", "1.10", "v1")]
    [True, 8, 1000, 1000, '22:22', 15, 1.1, 'v1']
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        return _number(float(text)) if _FLOAT.fullmatch(text) else text
    if text[0] not in "+-0123456789":
        return text
    plain = text.replace("_", "")
    match = _INTEGER.fullmatch(plain)
    if match:
        digits, base = next((digits, base) for digits, base in zip(match.groups()[1:], _BASES, strict=True) if digits)
        return _number(int(match[1] + digits, base))
    return _number(float(plain)) if _FLOAT.fullmatch(plain) and math.isfinite(float(plain)) else text


def _number(value: float) -> float:
    """The number as JSON has it: whole ones without a point, those beyond 64 bits as the nearest float."""
    if not float(value).is_integer():
        return value
    return int(value) if -(2**63) <= value < 2**63 else float(value)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """What a text is, is decided by :func:`resolved`."""

    def resolve(self, kind: type, value: Any, implicit: Any) -> Any:
        if kind is not yaml.ScalarNode:
            return super().resolve(kind, value, (False, True))
        if not implicit[0]:
            return _TAG + "str"
        return _TAG + ("merge" if value == "<<" else "plain")

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        self.flatten_mapping(node)
        made: dict[str, Any] = {}
        for key, value in node.value:
            item = self.construct_object(value, deep=True)
            made[_key(self.construct_object(key, deep=True), item)] = item
        return made


_KINDS: dict[str, type | Any] = {"int": int, "float": int | float, "bool": bool, "null": type(None)}


def _tagged(loader: Any, node: Any) -> Any:
    """A value after ``!!int`` and the like."""
    value, tag = _any(loader, "", node), node.tag.removeprefix(_TAG)
    if not isinstance(value, _KINDS[tag]) or (isinstance(value, bool) and tag != "bool"):
        raise ValueError(f"cannot decode !!str `{node.value}` as a !!{tag}")
    return value


def _binary(loader: Any, node: Any) -> str:
    return base64.b64decode(node.value).decode("utf-8", "replace")


def _any(loader: Any, _suffix: str, node: Any) -> Any:
    """A value with a tag of its own is what it is without it."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return resolved(node.value) if node.value or node.tag == _TAG + "plain" else ""


_Loader.yaml_constructors = {_TAG + "binary": _binary}
for _tag in _KINDS:
    _Loader.add_constructor(_TAG + _tag, _tagged)
for _tag in ("timestamp", "str", "merge"):
    _Loader.add_constructor(_TAG + _tag, lambda _loader, node: node.value)
_Loader.yaml_multi_constructors = {None: _any}


class Unreadable(Exception):
    """A text that is no YAML, or no YAML that JSON could be; the text is Go's."""


def load(text: str) -> Any:
    """One YAML or JSON document; keys become texts, as in JSON.

    Raises:
        Unreadable: with what is wrong, after ``error converting YAML to JSON: ``.
    """
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable(f"yaml: {_fault(error, text)}") from None
    return _json(value)


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise Unreadable("json: unsupported value: " + ("NaN" if math.isnan(value) else f"{value:+}".title()))
    return [_json(item) for item in value] if isinstance(value, list) else value


def _key(key: Any, value: Any) -> str:
    if isinstance(key, dict | list):
        raise Unreadable(f"yaml: invalid map key: {_gosyntax(key)}")
    if key is None:
        shown = json.dumps(value) if isinstance(value, str) else value
        raise Unreadable(f"unsupported map key of type: %!s(<nil>), key: <nil>, value: {shown}")
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def _gosyntax(value: Any) -> str:
    """As Go's ``%#v``."""
    if isinstance(value, dict):
        return "map[interface {}]interface {}{" + ", ".join(f'"{k}":{_gosyntax(v)}' for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(_gosyntax(item) for item in value) + "}"
    return "interface {}(nil)" if value is None else json.dumps(value)


#: libyaml's words for the faults that Python's parser names differently
_FAULTS = (
    (re.compile(r"mapping values are not allowed here"), "mapping values are not allowed in this context"),
    (re.compile(r"found character '.*' that cannot start any token"), "found character that cannot start any token"),
    (re.compile(r"expected (.+), but got .*"), r"did not find expected \1"),
    (re.compile(r"expected a mapping or .*"), "map merge requires map or sequence of maps as the value"),
)


def _fault(error: Exception, text: str) -> str:
    """What is wrong with a text, in the words of Go's parser; it counts the lines of some faults from 0."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    problem = error.problem or ""
    for pattern, words in _FAULTS:
        problem = pattern.sub(words, problem)
    if isinstance(error, yaml.constructor.ConstructorError):
        return "an anchor's value contains itself" if "recursive" in problem else problem
    if isinstance(error, yaml.composer.ComposerError):
        anchor = re.match(r"\*([\w-]+)", text[error.problem_mark.index :])
        return f"unknown anchor '{anchor[1]}' referenced" if anchor else problem
    line = error.problem_mark.line
    if not line:
        return problem
    return f"line {line + isinstance(error, yaml.scanner.ScannerError)}: {problem}"
