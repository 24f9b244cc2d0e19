"""Label and field selectors: parsed once, matched often.

Source of the grammar and of the texts: ``k8s.io/apimachinery/pkg/labels`` and ``pkg/fields``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

Labels = Mapping[str, str]
Matcher = Callable[[Labels], bool]

_TOKEN = re.compile(r"\s*(?:(?P<op>==|!=|=|!|<|>|,|\(|\))|(?P<word>[^\s=!<>,()]+))")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_PART_HELP = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_HELP = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


class SelectorError(ValueError):
    """A selector that cannot be parsed; its text is the API server's."""


def everything(_: Labels) -> bool:
    return True


@lru_cache(maxsize=512)
def parse(selector: str) -> Matcher:
    """A function that tells whether labels match a selector such as ``app=web,tier in (a, b),!old``.

    >>> parse("app=web,!old")({"app": "web"})
    True

    Raises:
        SelectorError: the selector is malformed.
    """
    tokens = _tokens(selector)
    if not tokens:
        return everything
    position = 0
    requirements: list[Matcher] = []
    while position < len(tokens):
        requirement, position = _requirement(tokens, position)
        requirements.append(requirement)
        if position < len(tokens):
            if tokens[position] != ",":
                raise SelectorError(f"found '{tokens[position]}', expected: ',' or 'end of string'")
            position += 1
            if position == len(tokens):
                raise SelectorError("found '', expected: identifier after ','")
    if len(requirements) == 1:
        return requirements[0]
    return lambda labels: all(requirement(labels) for requirement in requirements)


def of_map(wanted: Labels | None) -> Matcher:
    """The matcher of a Service's selector: every pair must match. None matches nothing, ``{}`` everything."""
    if wanted is None:
        return lambda _: False
    pairs = tuple(wanted.items())
    if len(pairs) == 1:
        ((only, expected),) = pairs
        return lambda labels: labels.get(only) == expected
    return lambda labels: all(labels.get(key) == value for key, value in pairs)


def of_label_selector(selector: Mapping[str, Any] | None) -> Matcher:
    """The matcher of a ``metav1.LabelSelector``; None matches nothing, an empty one everything."""
    if selector is None:
        return lambda _: False
    requirements: list[Matcher] = []
    if selector.get("matchLabels"):
        requirements.append(of_map(selector["matchLabels"]))
    for entry in selector.get("matchExpressions") or ():
        requirements.append(_operator(entry["key"], entry["operator"].lower(), frozenset(entry.get("values") or ())))
    return lambda labels: all(requirement(labels) for requirement in requirements)


def format_map(wanted: Labels) -> str:
    """``a=b,c=d`` by key, as kubectl prints a selector."""
    return ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))


@lru_cache(maxsize=512)
def parse_fields(selector: str) -> tuple[tuple[str, str, bool], ...]:
    """The terms of a field selector as ``(field, value, equal)``.

    >>> parse_fields("status.phase!=Running,metadata.name=a")
    (('status.phase', 'Running', False), ('metadata.name', 'a', True))
    """
    terms = []
    for part in re.split(r"(?<!\\),", selector):
        if not part:
            continue
        for sign, equal in (("!=", False), ("==", True), ("=", True)):
            field, found, value = part.partition(sign)
            if found:
                terms.append((field, re.sub(r"\\([\\,=])", r"\1", value), equal))
                break
        else:
            raise SelectorError(f"invalid selector: '{selector}'; can't understand '{part}'")
    return tuple(terms)


def _tokens(selector: str) -> list[str]:
    tokens, position = [], 0
    while position < len(selector.rstrip()):
        match = _TOKEN.match(selector, position)
        assert match is not None  # every character is a token or part of a word
        tokens.append(match["op"] or match["word"])
        position = match.end()
    return tokens


def _requirement(tokens: list[str], position: int) -> tuple[Matcher, int]:
    if tokens[position] == "!":
        key = _key(tokens, position + 1)
        return (lambda labels: key not in labels), position + 2
    key = _key(tokens, position)
    position += 1
    if position == len(tokens) or tokens[position] == ",":
        return (lambda labels: key in labels), position
    sign = tokens[position]
    if sign in ("in", "notin"):
        values, position = _values(tokens, position + 1)
        return _operator(key, sign, frozenset(values)), position
    if sign not in ("=", "==", "!=", "<", ">"):
        raise SelectorError(f"found '{sign}', expected: in, notin, =, ==, !=, gt, lt")
    following = tokens[position + 1] if position + 1 < len(tokens) else ","
    value, position = ("", position + 1) if following == "," else (following, position + 2)
    _check_value(key, value)
    return _operator(key, sign, frozenset((value,))), position


def _key(tokens: list[str], position: int) -> str:
    key = tokens[position] if position < len(tokens) else ""
    if key in ("", ",", "=", "==", "!=", "(", ")", "<", ">", "in", "notin") and key not in ("in", "notin"):
        raise SelectorError(f"found '{key}', expected: !, identifier, or 'end of string'")
    prefix, slash, name = key.rpartition("/")
    faults = []
    if slash and not prefix:
        faults.append("prefix part must be non-empty")
    elif slash and not _DOMAIN.fullmatch(prefix):
        faults.append(
            "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
            "'.', "
            "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
    if len(name) > 63:
        faults.append("name part must be no more than 63 bytes")
    if not _NAME.fullmatch(name):
        faults.append(_NAME_PART_HELP)
    if faults:
        raise SelectorError(f'key: Invalid value: "{key}": {"; ".join(faults)}')
    return key


def _values(tokens: list[str], position: int) -> tuple[list[str], int]:
    if position == len(tokens) or tokens[position] != "(":
        found = tokens[position] if position < len(tokens) else ""
        raise SelectorError(f"found '{found}' expected: '('")
    try:
        end = tokens.index(")", position)
    except ValueError:
        raise SelectorError("found '', expected: ',' or ')'") from None
    return [token for token in tokens[position + 1 : end] if token != ","], end + 1


def _check_value(key: str, value: str) -> None:
    faults = []
    if len(value) > 63:
        faults.append("must be no more than 63 bytes")
    if value and not _NAME.fullmatch(value):
        faults.append(_VALUE_HELP)
    if faults:
        raise SelectorError(f'values[0][{key}]: Invalid value: "{value}": {"; ".join(faults)}')


def _operator(key: str, sign: str, values: frozenset[str]) -> Matcher:
    match sign:
        case "=" | "==" | "in":
            if len(values) == 1:
                (only,) = values
                return lambda labels: labels.get(key) == only
            return lambda labels: labels.get(key) in values
        case "!=" | "notin":
            return lambda labels: labels.get(key) not in values
        case "exists":
            return lambda labels: key in labels
        case "doesnotexist":
            return lambda labels: key not in labels
        case "<" | ">":
            bound = int(next(iter(values)))
            return lambda labels: _compare(labels.get(key), sign, bound)
    raise SelectorError(f'"{sign}" is not a valid label selector operator')


def _compare(value: str | None, sign: str, bound: int) -> bool:
    if value is None or not re.fullmatch(r"-?\d+", value):
        return False
    return int(value) < bound if sign == "<" else int(value) > bound
