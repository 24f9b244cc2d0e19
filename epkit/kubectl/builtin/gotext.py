"""Values as Go writes them: ``encoding/json``, ``%v``, ``%#v``, ``%q``; durations and times as kubectl prints them."""
from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any


def json_text(value: Any, indent: int | None = None, *, sort: bool = True) -> str:
    """JSON as ``encoding/json`` writes it: sorted keys, and ``<``, ``>`` and ``&`` escaped.

    >>> json_text({"b": "<none>", "a": [1]})
    '{"a":[1],"b":"\\\\u003cnone\\\\u003e"}'
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, indent=indent, sort_keys=sort, ensure_ascii=False, separators=separators)
    for character in "<>&\u2028\u2029":
        if character in text:
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def plain(value: Any) -> str:
    """A JSON value as Go's ``fmt.Sprint`` prints it.

    >>> plain({"a": ["x", True], "b": None})
    'map[a:[x true] b:<nil>]'
    """
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{plain(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(plain(item) for item in value) + "]"
    if isinstance(value, float):
        return floating(value)
    return str(value)


def syntax(value: Any) -> str:
    """A JSON value as Go's ``%#v`` prints an unstructured object.

    >>> syntax({"a": ["x", 1]})
    'map[string]interface {}{"a":[]interface {}{"x", 1}}'
    """
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, dict):
        return "map[string]interface {}{" + ", ".join(f"{quote(k)}:{syntax(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(syntax(item) for item in value) + "}"
    return quote(value) if isinstance(value, str) else plain(value)


def quote(text: str) -> str:
    """A string as Go's ``%q`` prints it.

    >>> print(quote('say "hi"'))
    "say \\"hi\\""
    """
    escapes = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    out = []
    for character in text:
        if character in '"\\':
            out.append("\\" + character)
        elif character in escapes:
            out.append(escapes[character])
        elif character.isprintable():
            out.append(character)
        else:
            code = ord(character)
            out.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


def floating(value: float) -> str:
    """A float as ``%v`` prints it: the shortest form, with an exponent from 1e+21 and below 1e-04."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    mantissa, sign, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}" if sign else mantissa


def seconds_of(time: str | None) -> float | None:
    """An API time such as ``2026-11-22T05:47:20Z`` (or with microseconds) in seconds since 1970; None for none."""
    return datetime.fromisoformat(time).timestamp() if time else None


def rfc1123(time: str | None) -> str:
    """An API time as kubectl describes it: ``Sun, 22 Nov 2026 05:47:20 +0000``, in UTC.

    >>> rfc1123("2026-11-22T05:47:20Z")
    'Sun, 22 Nov 2026 05:47:20 +0000'
    """
    moment = datetime.fromisoformat(time).astimezone(UTC) if time else datetime(1, 1, 1, tzinfo=UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * moment.month - 3 : 3 * moment.month]
    return f"{day}, {moment.day:02d} {month} {moment.year:04d} {moment:%H:%M:%S} +0000"


def human_duration(seconds: float) -> str:
    """A length of time as ``duration.HumanDuration`` prints it: ``95s``, ``2m16s``, ``3h``, ``4d2h``, ``3y``.

    >>> [human_duration(s) for s in (-5, 95, 136, 7 * 60, 3 * 3600 + 5, 50 * 3600, 40 * 86400)]
    ['<invalid>', '95s', '2m16s', '7m', '3h', '2d2h', '40d']
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _pair(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 24 * 8:
        return _pair(hours // 24, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{hours // 24}d"
    if hours < 24 * 365 * 8:
        return _pair(hours // 24 // 365, "y", hours // 24 % 365, "d")
    return f"{hours // 24 // 365}y"


def _pair(first: int, unit: str, second: int, lesser: str) -> str:
    return f"{first}{unit}{second}{lesser}" if second else f"{first}{unit}"


_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """A Go duration such as ``1m30s`` in seconds.

    Raises:
        ValueError: with the text of ``time.ParseDuration``.
    """
    body = text.lstrip("+-") if text[:1] in ("+", "-") else text
    if body == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(body):
        match = _DURATION.match(body, at)
        if match is None:
            break
        total += float(match[1]) * _UNITS[match[2]]
        at = match.end()
    if not body or at < len(body):
        rest = body[at:]
        number = re.match(r"[\d.]+", rest)
        if body and number and number.end() == len(rest) and re.search(r"\d", rest):
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        if body and number and re.search(r"\d", number[0]):
            unit = re.match(r"[^\d.]*", rest[number.end() :])
            raise ValueError(f"time: unknown unit {quote(unit[0] if unit else '')} in duration {quote(text)}")
        raise ValueError(f"time: invalid duration {quote(text)}")
    return -total if text.startswith("-") else total


def format_duration(seconds: float) -> str:
    """A duration as Go's ``Duration.String`` prints it: ``1m0s``, ``500ms``."""
    if seconds == 0:
        return "0s"
    if abs(seconds) < 1:
        return f"{seconds * 1000:g}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{rest:g}s"
    if hours or minutes:
        text = f"{minutes:.0f}m{text}"
    return f"{hours:.0f}h{text}" if hours else text
