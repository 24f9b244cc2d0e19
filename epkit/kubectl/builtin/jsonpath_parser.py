"""The parser of kubectl's JSONPath templates: ``{range .items[*]}{.metadata.name}{"\\n"}{end}``.

Source: ``k8s.io/client-go/util/jsonpath/parser.go``, texts of errors included.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field

from epkit.kubectl.builtin.gotext import quote


class JsonPathError(ValueError):
    """A template that cannot be parsed or carried out; the text is kubectl's."""


@dataclass(slots=True)
class Text:
    text: str


@dataclass(slots=True)
class Field:
    name: str


@dataclass(slots=True)
class Identifier:
    name: str


@dataclass(slots=True)
class Constant:
    """A number or a truth value."""

    value: int | float | bool


@dataclass(slots=True)
class Slice:
    """``[from:to:step]``; None where a bound is not given, `derived` where ``[n]`` stands for ``[n:n+1]``."""

    first: int | None
    last: int | None
    step: int | None
    derived: bool


@dataclass(slots=True)
class Wildcard:
    pass


@dataclass(slots=True)
class Recursive:
    pass


@dataclass(slots=True)
class Nodes:
    nodes: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Union:
    choices: list[Nodes]


@dataclass(slots=True)
class Filter:
    left: Nodes
    right: Nodes
    operator: str


Node = Text | Field | Identifier | Constant | Slice | Wildcard | Recursive | Nodes | Union | Filter

_KEY = re.compile(r"'([^']*)'")
_SLICE = re.compile(r"(-?\d*)(:-?\d*)?(:-?\d*)?")
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+)")
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_PLAIN_ESCAPES = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))
_END = "end"


def parse(template: str) -> list[Node]:
    """The nodes of a template: texts and actions in turn.

    Raises:
        JsonPathError: the template is malformed.
    """
    return _Parser(template).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def parse(self) -> list[Node]:
        nodes: list[Node] = []
        while self.at < len(self.text):
            begin = self.text.find("{", self.at)
            end = len(self.text) if begin < 0 else begin
            if end > self.at:
                nodes.append(Text(self.text[self.at : end]))
            self.at = end
            if begin >= 0:
                self.at += 1
                nodes.append(self._action())
        return nodes

    def _action(self) -> Nodes:
        action = Nodes()
        while True:
            rest = self.text[self.at : self.at + 3]
            if rest.startswith("}"):
                self.at += 1
                return action
            if rest == "[?(":
                action.nodes.append(self._filter())
            elif rest.startswith(".."):
                if action.nodes and isinstance(action.nodes[-1], Recursive):
                    raise JsonPathError("invalid multiple recursive descent")
                self.at += 2
                action.nodes.append(Recursive())
                if self._peek().isalnum() or self._peek() == "_":
                    action.nodes.append(self._field())
            elif not rest or rest[0] in "\r\n":
                raise JsonPathError("unclosed action")
            else:
                self._step(action, rest[0])

    def _step(self, action: Nodes, character: str) -> None:
        if character in " @$":
            self.at += 1
        elif character == "[":
            action.nodes += self._array()
        elif character in "\"'":
            action.nodes.append(self._quoted(character))
        elif character == ".":
            self.at += 1
            action.nodes.append(self._field())
        elif character in "+-" or character.isdigit():
            action.nodes.append(self._number())
        elif character.isalnum() or character == "_":
            name = self._word()
            action.nodes.append(Constant(name == "true") if name in ("true", "false") else Identifier(name))
        else:
            raise JsonPathError(f"unrecognized character in action: U+{ord(character):04X} {quote(character)[1:-1]!r}")

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _word(self) -> str:
        start = self.at
        while self._peek() and not _ends_word(self._peek()):
            self.at += 1
        return self.text[start : self.at]

    def _field(self) -> Node:
        start = self.at
        while self._peek() and not _ends_word(self._peek()):
            self.at += 2 if self._peek() == "\\" else 1
        name = self.text[start : self.at]
        return Wildcard() if name == "*" else Field(name.replace("\\", ""))

    def _number(self) -> Constant:
        start = self.at
        self.at += 1
        while self._peek() == "." or self._peek().isdigit():
            self.at += 1
        text = self.text[start : self.at]
        try:
            return Constant(int(text))
        except ValueError:
            try:
                return Constant(float(text))
            except ValueError:
                raise JsonPathError(f"cannot parse number {text}") from None

    def _quoted(self, mark: str) -> Text:
        start = self.at
        self.at += 1
        while True:
            character = self._peek()
            if character in ("", "\n"):
                raise JsonPathError("unterminated quoted string")
            self.at += 1
            if character == mark and self.text[self.at - 2] != "\\":
                break
        return Text(_unquote(self.text[start : self.at]))

    def _array(self) -> list[Node]:
        end = self.text.find("]", self.at)
        newline = self.text.find("\n", self.at)
        if end < 0 or 0 <= newline < end:
            raise JsonPathError("unterminated array")
        text = self.text[self.at + 1 : end]
        self.at = end + 1
        parts = text.split(",")
        if len(parts) > 1:
            return [Union([Nodes(_inside(f"[{part.strip(' ')}]")) for part in parts])]
        key = _KEY.fullmatch(text)
        if key:
            return _inside("." + key[1])
        match = _SLICE.fullmatch(":" if text == "*" else text)
        if match is None:
            raise JsonPathError(f"invalid array index {text}")
        return [_slice(match[1], match[2], match[3])]

    def _filter(self) -> Filter:
        self.at += 3
        start = self.at
        mark = ""
        closed = False
        while True:
            character = self._peek()
            if character in ("", "\n"):
                raise JsonPathError("unterminated filter")
            self.at += 1
            if character in "\"'":
                if not mark:
                    mark = character
                elif character == mark and self.text[self.at - 2] != "\\":
                    closed = True
            elif character == ")" and bool(mark) == closed:
                break
        text = self.text[start : self.at - 1]
        if self._peek() != "]":
            raise JsonPathError("unclosed array expect ]")
        self.at += 1
        match = _COMPARISON.fullmatch(text)
        if match is None:
            return Filter(Nodes(_inside(text)), Nodes(), "exists")
        return Filter(Nodes(_inside(match[1])), Nodes(_inside(match[3])), match[2])


def _slice(first: str | None, last: str | None, step: str | None) -> Slice:
    def number(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise JsonPathError(f"array index {text} is not a number") from None

    begin = number(first) if first else None
    stride = number(step[1:]) if step and step[1:] else None
    if last is None or last == "":
        return Slice(begin, (begin or 0) + 1, stride, True)
    return Slice(begin, number(last[1:]) if last[1:] else None, stride, False)


def _inside(text: str) -> list[Node]:
    """The nodes of one action's text."""
    (action,) = _Parser("{" + text + "}").parse()[:1]
    return action.nodes if isinstance(action, Nodes) else [action]


def _ends_word(character: str) -> bool:
    return character in " \t\r\n.,[]$@{}"


def _unquote(text: str) -> str:
    body, mark = text[1:-1], text[0]
    out, at = [], 0
    while at < len(body):
        if body[at] != "\\":
            if body[at] == mark:
                raise JsonPathError(f"unquote string {text} error invalid syntax")
            out.append(body[at])
            at += 1
            continue
        match = _ESCAPE.match(body, at)
        if match is None or (match[1] in ("'", '"') and match[1] != mark):
            raise JsonPathError(f"unquote string {text} error invalid syntax")
        out.append(_PLAIN_ESCAPES[match[1]] if match[1] else chr(_code(match)))
        at = match.end()
    return "".join(out)


def _code(match: re.Match[str]) -> int:
    return int(match[5], 8) if match[5] else int(match[2] or match[3] or match[4], 16)
