"""The command line: which command it is, its flags and arguments, as ``spf13/cobra`` and ``spf13/pflag`` read them."""
from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from epkit.kubectl.builtin.failures import FlagError, KubectlError, NotInSubset, UsageError
from epkit.kubectl.builtin.flag_table import ALIASES, COMMANDS, FAMILIES, GLOBAL, WITHOUT_VALUE, WORDS
from epkit.kubectl.builtin.gotext import parse_duration, quote

#: commands that do nothing without one of their own commands
_HOMELESS = ("create service", "rollout", "set", "auth")


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of a command; `known` is False for one that only the real kubectl carries out."""

    name: str
    short: str
    kind: str
    default: Any
    known: bool

    @property
    def bare(self) -> str | None:
        """What it stands for without a value; None where a value must follow."""
        return "true" if self.kind == "b" else WITHOUT_VALUE.get(self.name)

    @property
    def shown(self) -> str:
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


@dataclass(slots=True)
class Args:
    """A parsed command line.

    >>> args = parse(["get", "pods", "-nshop", "-o", "name"])
    >>> args.command, args.words, args["namespace"], args["output"]
    ('get', ['pods'], 'shop', 'name')
    """

    command: str
    words: list[str] = field(default_factory=list)
    #: what stood after ``--``, which is also the end of `words`
    after_dashes: list[str] | None = None
    values: dict[str, Any] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


def parse(argv: list[str]) -> Args:
    """Read a command line without its first word ``kubectl``.

    Raises:
        FlagError: an unknown flag or a value that does not fit.
        NotInSubset: a command or flag that only the real kubectl has.
        KubectlError: no such command.
    """
    command, rest = _command(argv)
    flags = _flags(command)
    args = Args(command, values={flag.name: _default(flag) for flag in flags.values()})
    position = 0
    while position < len(rest):
        word = rest[position]
        position += 1
        if word == "--":
            args.after_dashes = rest[position:]
            args.words += args.after_dashes
            break
        if word.startswith("--"):
            position = _long(args, flags, word, rest, position)
        elif word.startswith("-") and len(word) > 1:
            position = _short(args, flags, word, rest, position)
        else:
            args.words.append(word)
            if command == "exec" and len(args.words) > 1:
                break  # a command's own flags follow
    return args


def _command(argv: list[str]) -> tuple[str, list[str]]:
    """The command's name and the other words, in order."""
    name, taken = "", set[int]()
    for position, word in _plain_words(argv):
        if not name:
            if word not in WORDS:
                raise KubectlError(f'unknown command {quote(word)} for "kubectl"{_suggestions(word)}')
            name = word
        elif name in FAMILIES:
            longer = ALIASES.get(f"{name} {word}", f"{name} {word}")
            if longer.rpartition(" ")[2] not in FAMILIES[name]:
                if name not in _HOMELESS:
                    break
                raise UsageError(name, f"unknown command {quote(word)}")
            name = longer
        else:
            break
        taken.add(position)
    if not name or name not in COMMANDS or name in _HOMELESS:
        raise NotInSubset(name or "without a command")
    return name, [word for position, word in enumerate(argv) if position not in taken]


def _plain_words(argv: list[str]) -> Iterator[tuple[int, str]]:
    """The words that are neither flags nor their values, before ``--``."""
    skip = False
    flags = _flags("")
    for position, word in enumerate(argv):
        if skip:
            skip = False
        elif word == "--":
            return
        elif word.startswith("-") and len(word) > 1:
            flag = flags.get(word if word.startswith("--") else word[:2])
            whole = word.startswith("--") or len(word) == 2
            skip = "=" not in word and whole and (flag is None or flag.bare is None)
            if flag is None:
                return  # its place is for the command's own flags to say
        else:
            yield position, word


def _suggestions(word: str) -> str:
    near = [known for known in WORDS if known.startswith(word) or _distance(word, known) <= 2]
    return "\n\nDid you mean this?\n" + "".join(f"\t{known}\n" for known in near) if near else ""


def _distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@lru_cache(maxsize=64)
def _flags(command: str) -> dict[str, Flag]:
    """The command's flags by ``--name`` and ``-s``."""
    flags: dict[str, Flag] = {}
    for text in f"{COMMANDS.get(command, '')} {GLOBAL}".split():
        known = "!" not in text
        name, _, rest = text.replace("!", "").partition(":")
        kind, _, default = rest.partition("=")
        short, slash, name = name.rpartition("/")
        flag = Flag(name, short if slash else "", kind, default, known)
        flags.setdefault(f"--{name}", flag)
        if flag.short:
            flags.setdefault(f"-{short}", flag)
    return flags


def _default(flag: Flag) -> Any:
    match flag.kind:
        case "b":
            return flag.default == "true"
        case "i":
            return int(flag.default or 0)
        case "d":
            return parse_duration(flag.default or "0s")
        case "l" | "a":
            return []
    return flag.default


def _long(args: Args, flags: dict[str, Flag], word: str, rest: list[str], position: int) -> int:
    name, equals, value = word.partition("=")
    flag = flags.get(name)
    if len(name) == 2 or name[2] == "-":
        raise FlagError(args.command, f"bad flag syntax: {word}")
    if flag is None:
        raise FlagError(args.command, f"unknown flag: {name}")
    if not equals:
        if flag.bare is not None:
            value = flag.bare
        elif position < len(rest):
            value, position = rest[position], position + 1
        else:
            raise FlagError(args.command, f"flag needs an argument: {name}")
    _set(args, flag, value)
    return position


def _short(args: Args, flags: dict[str, Flag], word: str, rest: list[str], position: int) -> int:
    letters = word[1:]
    while letters:
        flag = flags.get(f"-{letters[0]}")
        if flag is None:
            raise FlagError(args.command, f"unknown shorthand flag: '{letters[0]}' in -{letters}")
        if len(letters) > 2 and letters[1] == "=":
            value, remaining = letters[2:], ""
        elif flag.bare is not None:
            value, remaining = flag.bare, letters[1:]
        elif len(letters) > 1:
            value, remaining = letters[1:], ""
        elif position < len(rest):
            value, remaining, position = rest[position], "", position + 1
        else:
            raise FlagError(args.command, f"flag needs an argument: '{letters[0]}' in -{letters}")
        _set(args, flag, value)
        letters = remaining
    return position


def _set(args: Args, flag: Flag, text: str) -> None:
    if not flag.known:
        raise NotInSubset(f"{args.command} --{flag.name}")
    try:
        value = _value(flag.kind, text)
    except ValueError as error:
        raise FlagError(args.command, f"invalid argument {quote(text)} for {quote(flag.shown)} flag: {error}") from None
    if flag.kind in "la":
        value = (args.values[flag.name] if flag.name in args.given else []) + value
    args.values[flag.name] = value
    args.given.add(flag.name)


def _value(kind: str, text: str) -> Any:
    match kind:
        case "b":
            if text in ("1", "t", "T", "TRUE", "true", "True"):
                return True
            if text in ("0", "f", "F", "FALSE", "false", "False"):
                return False
            raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")
        case "i":
            if re.fullmatch(r"[-+]?(0|[1-9][0-9_]*)", text):
                return int(text)
            raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
        case "d":
            return parse_duration(text)
        case "l":
            return next(csv.reader([text]), []) if text else []
        case "a":
            return [text]
    return text
