"""Texts as Go writes them."""
from __future__ import annotations

from typing import Any

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def go_quote(text: str) -> str:
    r"""`text` as Go's ``%q`` shows it.

    >>> print(go_quote('a "b"\n'))
    "a \"b\"\n"
    """
    shown = []
    for char in text:
        if char in '"\\':
            shown.append("\\" + char)
        elif char.isprintable():
            shown.append(char)
        elif char in _ESCAPES:
            shown.append(_ESCAPES[char])
        elif ord(char) < 0x80:
            shown.append(f"\\x{ord(char):02x}")
        else:
            shown.append(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
    return '"' + "".join(shown) + '"'


def go_value(value: Any) -> str:
    """A decoded JSON value as Go's ``%+v`` shows it.

    >>> go_value({"spec": {"replicas": 3, "paused": True, "names": ["a", "b"]}, "x": None})
    'map[spec:map[names:[a b] paused:true replicas:3] x:<nil>]'
    """
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_value(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)
