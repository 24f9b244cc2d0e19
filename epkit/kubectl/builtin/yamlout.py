"""YAML as ``sigs.k8s.io/yaml`` writes it: sorted keys, lists flush with their key, quotes only where they are needed.

The forms of scalars and the folding at 80 columns follow libyaml's emitter, of which Go's ``yaml.v2`` is a port.
"""
from __future__ import annotations

import re
from functools import cmp_to_key
from typing import Any

from epkit.kubectl.builtin.gotext import floating

_WIDTH = 80
_LONGEST_SIMPLE_KEY = 128
#: words that YAML 1.1 reads as something other than a string
_WORDS = frozenset(
    "~ null Null NULL << y Y yes Yes YES n N no No NO true True TRUE false False FALSE on On ON off Off OFF "
    ".nan .NaN .NAN .inf .Inf .INF +.inf +.Inf +.INF -.inf -.Inf -.INF".split()
)
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[0-9]|[1-9][0-9]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:[Tt]\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[-+]\d\d:\d\d)| \d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?)?"
)
_PLAIN_ASCII = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./()=-]*")
_ESCAPES = {
    "\0": "0", "\a": "a", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r", "\x1b": "e",
    '"': '"', "\\": "\\", "\x85": "N", "\xa0": "_", "\u2028": "L", "\u2029": "P",
}  # fmt: skip
_BREAKS = "\r\n\x85\u2028\u2029"


def dump(value: Any) -> str:
    """A JSON value as one YAML document.

    >>> print(dump({"metadata": {"labels": {"on": "yes"}}, "items": [{"port": 80}]}), end="")
    items:
    - port: 80
    metadata:
      labels:
        "on": "yes"
    """
    out: list[str] = []
    if isinstance(value, dict) and value:
        _mapping(value, 0, out, first="")
    elif isinstance(value, list) and value:
        _sequence(value, 0, out)
    else:
        out.append(_inline(value, 0, 0) + "\n")
    return "".join(out)


def _mapping(value: dict[str, Any], indent: int, out: list[str], first: str) -> None:
    prefix = first
    for key in sorted(value, key=_BY_KEY):
        if len(key) > _LONGEST_SIMPLE_KEY or any(character in key for character in _BREAKS):
            out.append(f"{prefix}? {_inline(key, indent + 2, indent + 2)}\n{' ' * indent}:")
            start = indent + 1
        else:
            text = _inline(key, indent, 0, key=True)
            out.append(f"{prefix}{text}:")
            start = indent + len(text) + 1
        prefix = " " * indent
        item = value[key]
        if isinstance(item, dict) and item:
            out.append("\n")
            _mapping(item, indent + 2, out, " " * (indent + 2))
        elif isinstance(item, list) and item:
            out.append("\n")
            _sequence(item, indent, out)
        else:
            out.append(f" {_inline(item, start + 1, indent + 2)}\n")


def _sequence(value: list[Any], indent: int, out: list[str]) -> None:
    prefix = " " * indent
    for item in value:
        if isinstance(item, dict) and item:
            _mapping(item, indent + 2, out, f"{prefix}- ")
        elif isinstance(item, list) and item:
            inner: list[str] = []
            _sequence(item, indent + 2, inner)
            out.append(f"{prefix}- {inner[0].lstrip(' ')}")
            out += inner[1:]
        else:
            out.append(f"{prefix}- {_inline(item, indent + 2, indent + 2)}\n")


def _inline(value: Any, column: int, indent: int, *, key: bool = False) -> str:
    """A scalar or an empty collection that begins at `column`; folded lines go on at `indent`."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return floating(value)
    if _PLAIN_ASCII.fullmatch(value) and not _not_a_string(value):
        return str(value)
    return _string(value, column, indent, key)


def _string(value: str, column: int, indent: int, key: bool) -> str:
    if not value:
        return '""'
    breaks = any(character in value for character in _BREAKS)
    special = any(not _printable(character) or character == "\t" for character in value)
    space_before_break = re.search(rf" [{_BREAKS}]", value) is not None
    if "\n" in value and not key:
        if special or space_before_break or value[-1] == " ":
            return _double(value, column, indent, fold=not key)
        return _literal(value, indent)
    if _not_a_string(value) or breaks or special:
        return _double(value, column, indent, fold=not key)
    if _plain_allowed(value):
        return _folded(value, column, indent) if not key else value
    quoted = value.replace("'", "''")
    return "'" + (_folded(quoted, column + 1, indent) if not key else quoted) + "'"


def _not_a_string(value: str) -> bool:
    """Whether the text, unquoted, would be read as a number, a truth value, a time or null."""
    first = value[0]
    if first == ".":
        return value in _WORDS or _FLOAT.fullmatch(value) is not None
    if not (first.isdecimal() or first in "+-"):
        return value in _WORDS
    bare = value.replace("_", "")
    return (
        value in _WORDS
        or _INTEGER.fullmatch(bare) is not None
        or _FLOAT.fullmatch(bare) is not None
        or _BASE_60.fullmatch(value) is not None
        or _TIME.fullmatch(value) is not None
    )


def _plain_allowed(value: str) -> bool:
    if value[0] in " ,[]{}#&*!|>'\"%@`" or value[-1] == " " or value.startswith(("---", "...")):
        return False
    if value[0] in "-?" and (len(value) == 1 or value[1] == " "):
        return False
    if value[0] == ":" and (len(value) == 1 or value[1] == " "):
        return False
    return ": " not in value and " #" not in value and not value.endswith(":")


def _printable(character: str) -> bool:
    code = ord(character)
    if code in (0x09, 0x0A, 0x85):
        return True
    return 0x20 <= code <= 0x7E or 0xA0 <= code <= 0xD7FF or (0xE000 <= code <= 0xFFFD and code != 0xFEFF)


def _folded(value: str, column: int, indent: int) -> str:
    """Break at single spaces that lie beyond the width, as long as no space stands at either end of a line."""
    if column + len(value) <= _WIDTH or " " not in value:
        return value
    out = []
    for i, character in enumerate(value):
        single = (
            character == " " and 0 < i < len(value) - 1 and value[i + 1] != " " and value[i - 1] != " "
        )
        if single and column > _WIDTH:
            out.append("\n" + " " * indent)
            column = indent
        else:
            out.append(character)
            column += 1
    return "".join(out)


def _double(value: str, column: int, indent: int, fold: bool) -> str:
    out = ['"']
    column += 1
    spaces = False
    for i, character in enumerate(value):
        if character in _ESCAPES or not _printable(character):
            text = _escaped(character)
            out.append(text)
            column += len(text)
            spaces = False
        elif character == " " and fold and not spaces and column > _WIDTH and 0 < i < len(value) - 1:
            out.append("\n" + " " * indent)
            column = indent
            if value[i + 1] == " ":
                out.append("\\")
                column += 1
            spaces = True
        else:
            out.append(character)
            column += 1
            spaces = character == " "
    return "".join(out) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return "\\" + _ESCAPES[character]
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _literal(value: str, indent: int) -> str:
    hint = "2" if value[0] in " \n" else ""
    if not value.endswith("\n"):
        hint += "-"
    elif value == "\n" or value.endswith("\n\n"):
        hint += "+"
    body = value.removesuffix("\n")
    lines = [(" " * indent + line) if line else "" for line in body.split("\n")]
    return f"|{hint}\n" + "\n".join(lines)


def _compare_keys(a: str, b: str) -> int:
    """Go yaml's order of keys: letters after other characters, runs of digits as numbers."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x == y:
            continue
        if x.isalpha() and y.isalpha():
            return -1 if x < y else 1
        if x.isalpha() or y.isalpha():
            return -1 if y.isalpha() else 1
        p, q = _number_at(a, i), _number_at(b, i)
        start = 0
        if x == "0" or y == "0":
            j = i - 1
            while j >= 0 and a[j].isdigit():
                if a[j] != "0":
                    start = 1
                    break
                j -= 1
        m, n = int(f"{start or ''}{p}" or 0), int(f"{start or ''}{q}" or 0)
        if m != n:
            return -1 if m < n else 1
        if len(p) != len(q):
            return -1 if len(p) < len(q) else 1
        return -1 if x < y else 1
    return len(a) - len(b)


def _number_at(text: str, position: int) -> str:
    end = position
    while end < len(text) and text[end].isdigit():
        end += 1
    return text[position:end]


_BY_KEY = cmp_to_key(_compare_keys)
