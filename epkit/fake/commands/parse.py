"""The grammar of the simulated shell: text to pipelines of simple commands. See :mod:`.shell` for what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

#: the longer ones first
_OPERATORS = (
    "2>&1",
    "1>&2",
    ">&2",
    "2>>",
    "1>>",
    "&&",
    "||",
    "2>",
    "1>",
    ">>",
    ">",
    "<",
    "|",
    ";",
    "&",
    "(",
    ")",
    "\n",
)
_KEYWORDS = (
    "for",
    "while",
    "until",
    "if",
    "case",
    "function",
    "do",
    "done",
    "then",
    "else",
    "fi",
    "esac",
    "{",
    "}",
    "[[",
)


class ShellSyntaxError(Exception):
    """A script that the simulated shell cannot read; the text says why."""


@dataclass(frozen=True)
class Part:
    """A piece of a word: a literal, a variable's name, or the text of a command whose output goes there."""

    kind: str  # literal, variable or command
    text: str
    quoted: bool = False


Word = tuple[Part, ...]


@dataclass(frozen=True)
class Redirect:
    """``> word``, ``2>> word``, ``< word``; or, with `to_stream`, ``2>&1``."""

    operator: str
    stream: int
    word: Word = ()
    to_stream: int = 0


@dataclass
class Simple:
    """A command with its arguments and redirections."""

    words: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)


@dataclass
class Pipeline:
    """Commands with ``|`` between them. `connector` is what stands before: ``;``, ``&&`` or ``||``."""

    connector: str
    commands: list[Simple]
    negated: bool = False


def parse(text: str) -> list[Pipeline]:
    """Read a script.

    Raises:
        ShellSyntaxError: it has no meaning, or one that is not simulated.

    >>> [pipeline.connector for pipeline in parse("true && echo a | cat; false")]
    [';', '&&', ';']
    """
    pipelines = [Pipeline(";", [Simple()])]
    tokens = _tokens(text)
    for token in tokens:
        pipeline = pipelines[-1]
        simple = pipeline.commands[-1]
        if not isinstance(token, str):
            if not simple.words and token == (Part("literal", "!"),):
                pipeline.negated = True
                continue
            if not simple.words and len(token) == 1 and token[0].text in _KEYWORDS and not token[0].quoted:
                raise ShellSyntaxError(
                    f"{token[0].text}: the simulated shell has no for, while, until, if, case or functions; "
                    "it has ; && || | > < quotes, variables and $(…)"
                )
            simple.words.append(token)
        elif token in (";", "\n", "&&", "||"):
            if not simple.words and not simple.redirects:
                if token in ("&&", "||") or len(pipeline.commands) > 1:
                    raise ShellSyntaxError(f'syntax error: unexpected "{token}"')
                pipeline.connector = ";"
                continue
            pipelines.append(Pipeline(";" if token == "\n" else token, [Simple()]))
        elif token == "|":
            if not simple.words:
                raise ShellSyntaxError('syntax error: unexpected "|"')
            pipeline.commands.append(Simple())
        elif token in ("&", "(", ")"):
            raise ShellSyntaxError(f"{token}: the simulated shell has no background commands and no subshells but $(…)")
        elif token.endswith(("&1", "&2")):
            simple.redirects.append(Redirect(">", 2 if token[0] == "2" else 1, to_stream=int(token[-1])))
        else:
            word = next(tokens, None)
            if word is None or isinstance(word, str):
                raise ShellSyntaxError(f'syntax error: unexpected end after "{token}"')
            simple.redirects.append(Redirect(token.lstrip("12"), 2 if token[0] == "2" else 1, word))
    last = pipelines[-1].commands[-1]
    if not last.words and not last.redirects:
        if pipelines[-1].connector != ";" or len(pipelines[-1].commands) > 1:
            raise ShellSyntaxError("syntax error: unexpected end of file")
        pipelines.pop()
    return pipelines


def _tokens(text: str) -> Iterator[Word | str]:
    """Words, and operators as strings."""
    position = 0
    while position < len(text):
        char = text[position]
        if char in " \t\r":
            position += 1
        elif char == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
        elif operator := next((each for each in _OPERATORS if text.startswith(each, position)), ""):
            yield operator
            position += len(operator)
        elif text.startswith("\\\n", position):
            position += 2
        else:
            word, position = _word(text, position)
            yield word


def _word(text: str, position: int) -> tuple[Word, int]:
    parts: list[Part] = []
    literal = ""

    def flush(quoted: bool = False) -> None:
        nonlocal literal
        if literal or quoted:
            parts.append(Part("literal", literal, quoted))
        literal = ""

    while position < len(text) and text[position] not in " \t\r\n;|&<>()":
        char = text[position]
        if char == "'":
            end = text.find("'", position + 1)
            if end < 0:
                raise ShellSyntaxError("syntax error: unterminated quoted string")
            flush()
            parts.append(Part("literal", text[position + 1 : end], True))
            position = end + 1
        elif char == '"':
            flush()
            position = _double_quoted(text, position + 1, parts)
        elif char == "\\" and position + 1 < len(text):
            flush()
            if text[position + 1] != "\n":
                parts.append(Part("literal", text[position + 1], True))
            position += 2
        elif char in "$`":
            part, position = _dollar(text, position, quoted=False)
            if part.kind == "literal":
                literal += part.text
            else:
                flush()
                parts.append(part)
        else:
            literal += char
            position += 1
    flush()
    return tuple(parts), position


def _double_quoted(text: str, position: int, parts: list[Part]) -> int:
    """Read up to the closing quote; the position after it."""
    literal = ""
    while position < len(text) and text[position] != '"':
        char = text[position]
        if char == "\\" and text[position + 1 : position + 2] in ("$", "`", '"', "\\", "\n"):
            literal += text[position + 1].replace("\n", "")
            position += 2
        elif char in "$`":
            part, position = _dollar(text, position, quoted=True)
            parts += [Part("literal", literal, True), part]
            literal = ""
        else:
            literal += char
            position += 1
    if position >= len(text):
        raise ShellSyntaxError("syntax error: unterminated quoted string")
    parts.append(Part("literal", literal, True))
    return position + 1


def _dollar(text: str, position: int, quoted: bool) -> tuple[Part, int]:
    """``$NAME``, ``${…}``, ``$(…)`` or backquotes at `position`; a dollar before anything else is itself."""
    if text[position] == "`":
        end = text.find("`", position + 1)
        if end < 0:
            raise ShellSyntaxError("syntax error: EOF in backquote substitution")
        return Part("command", text[position + 1 : end], quoted), end + 1
    if text.startswith("$((", position):
        raise ShellSyntaxError("$((: the simulated shell has no arithmetic")
    if text.startswith("$(", position):
        end = _closing(text, position + 2)
        return Part("command", text[position + 2 : end], quoted), end + 1
    if match := re.compile(r"\$\{([^}]*)\}|\$([A-Za-z_]\w*|[?$])").match(text, position):
        name = match[1] if match[1] is not None else match[2]
        if not re.fullmatch(r"[A-Za-z_]\w*(:-.*)?|[?$]", name, re.DOTALL):
            raise ShellSyntaxError(f"${{{name}}}: the simulated shell has ${{NAME}} and ${{NAME:-default}}")
        return Part("variable", name, quoted), match.end()
    return Part("literal", "$", quoted), position + 1


def _closing(text: str, position: int) -> int:
    """The place of the parenthesis that closes a ``$(``."""
    depth, quote = 1, ""
    for index in range(position, len(text)):
        char = text[index]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if not depth:
                return index
    raise ShellSyntaxError('syntax error: unexpected end of file (expecting ")")')
