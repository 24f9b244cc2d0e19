"""JSON as Go reads it: the texts of its syntax errors, and a parse that keeps duplicate keys and how numbers stood.

Only bodies with a fault come here; the others are read by orjson. The texts are those of ``encoding/json``'s scanner.
"""
from __future__ import annotations

import json
import re
from typing import Any

from epkit.fake.wire.gotext import go_quote

MAX_DEPTH = 10_000

_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_STRING_PART = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UNFINISHED = "unexpected end of JSON input"


class Number(float):
    """A number that is not a plain integer, with the text in which it stood."""

    text: str

    def __new__(cls, text: str) -> Number:
        number = super().__new__(cls, text)
        number.text = text
        return number


class Pairs(list[tuple[str, Any]]):
    """An object with its keys in order, duplicates included."""


def read(body: bytes) -> Any:
    """`body` with :class:`Pairs` for objects and :class:`Number` for what is no integer.

    Raises ValueError in Go's words. Wrong UTF-8 and lone surrogates become U+FFFD, as in Go.
    """
    fault = syntax_error(body)
    if fault:
        raise ValueError(fault)
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text, object_pairs_hook=Pairs, parse_float=Number)
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    return _without_surrogates(value) if b"\\u" in body else value


def plain(value: Any) -> Any:
    """What :func:`read` gave as plain dicts and floats; the last of duplicate keys wins."""
    if type(value) is Pairs:
        return {key: plain(item) for key, item in value}
    if type(value) is list:
        return [plain(item) for item in value]
    return float(value) if type(value) is Number else value


def _without_surrogates(value: Any) -> Any:
    if type(value) is str:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not value.isascii() else value
    if type(value) is Pairs:
        return Pairs((_without_surrogates(key), _without_surrogates(item)) for key, item in value)
    if type(value) is list:
        return [_without_surrogates(item) for item in value]
    return value


def syntax_error(body: bytes) -> str:
    r"""Go's text for what is wrong with `body` as JSON, or "".

    >>> syntax_error(b"{nonsense")
    "invalid character 'n' looking for beginning of object key string"
    """
    return _Scanner(body).fault()


class _Fault(Exception):
    pass


class _Scanner:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def fault(self) -> str:
        try:
            self._document()
        except _Fault as fault:
            return str(fault)
        return ""

    def _document(self) -> None:
        closers: list[bytes] = []  # of the objects and arrays that are open
        self._value(closers)
        while closers:
            byte = self._next()
            if closers[-1] == b"}":
                if byte == b",":
                    self._at += 1
                    self._key()
                    self._value(closers)
                elif byte == b"}":
                    self._at += 1
                    closers.pop()
                else:
                    self._wrong("after object key:value pair")
            elif byte == b",":
                self._at += 1
                self._value(closers)
            elif byte == b"]":
                self._at += 1
                closers.pop()
            else:
                self._wrong("after array element")
        if self._next(required=False):
            self._wrong("after top-level value")

    def _next(self, required: bool = True) -> bytes:
        match = _SPACE.match(self._body, self._at)
        self._at = match.end() if match else self._at
        byte = self._body[self._at:self._at + 1]
        if required and not byte:
            raise _Fault(_UNFINISHED)
        return byte

    def _wrong(self, where: str) -> None:
        byte = self._body[self._at:self._at + 1]
        if not byte:
            raise _Fault(_UNFINISHED)
        raise _Fault(f"invalid character {_quoted(byte[0])} {where}")

    def _value(self, closers: list[bytes]) -> None:
        """One value, or the beginning of an object or array up to its first value."""
        while True:
            byte = self._next()
            if byte in (b"{", b"["):
                if len(closers) >= MAX_DEPTH:
                    self._wrong("exceeded max depth")
                self._at += 1
                closer = b"}" if byte == b"{" else b"]"
                if self._next() == closer:
                    self._at += 1
                    return
                closers.append(closer)
                if byte == b"{":
                    self._key()
                continue
            self._scalar(byte)
            return

    def _key(self) -> None:
        if self._next() != b'"':
            self._wrong("looking for beginning of object key string")
        self._string()
        if self._next() != b":":
            self._wrong("after object key")
        self._at += 1

    def _scalar(self, byte: bytes) -> None:
        if byte == b'"':
            self._string()
        elif byte in (b"t", b"f", b"n"):
            self._literal({b"t": b"true", b"f": b"false", b"n": b"null"}[byte])
        elif byte == b"-" or byte.isdigit():
            self._number()
        else:
            self._wrong("looking for beginning of value")

    def _literal(self, word: bytes) -> None:
        for i, expected in enumerate(word):
            if self._body[self._at:self._at + 1] != word[i:i + 1]:
                self._wrong(f"in literal {word.decode()} (expecting {_quoted(expected)})")
            self._at += 1

    def _string(self) -> None:
        match = _STRING.match(self._body, self._at)
        if match:
            self._at = match.end()
            return
        part = _STRING_PART.match(self._body, self._at)
        self._at = part.end() if part else self._at
        if self._body[self._at:self._at + 1] != b"\\":
            self._wrong("in string literal")
        self._at += 1
        if self._body[self._at:self._at + 1] != b"u":
            self._wrong("in string escape code")
        self._at += 1
        while self._body[self._at:self._at + 1] in tuple(b"%c" % digit for digit in b"0123456789abcdefABCDEF"):
            self._at += 1
        self._wrong("in \\u hexadecimal character escape")

    def _number(self) -> None:
        match = _NUMBER.match(self._body, self._at)
        if not match:
            self._at += 1
            self._wrong("in numeric literal")
            return
        self._at = match.end()
        byte = self._body[self._at:self._at + 1]
        exponent = b"e" in match[0].lower()
        if byte == b"." and b"." not in match[0] and not exponent:
            self._at += 1
            self._wrong("after decimal point in numeric literal")
        if byte in (b"e", b"E") and not exponent:
            self._at += 1
            if self._body[self._at:self._at + 1] in (b"+", b"-"):
                self._at += 1
            self._wrong("in exponent of numeric literal")


def _quoted(byte: int) -> str:
    if byte == 0x27:
        return r"'\''"
    return "'\"'" if byte == 0x22 else f"'{go_quote(chr(byte))[1:-1]}'"
