"""sh and bash: ``sh -c 'touch /tmp/a && echo done; cat /tmp/a | wc -c > /tmp/b'``, a script from stdin, or a prompt.

What there is: ``;`` and new lines, ``&&``, ``||``, ``|``, ``!``, redirection (``>``, ``>>``, ``<``, ``2>``, ``2>&1``),
quotes, ``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``$?``, ``$(command)``, ``NAME=value``, ``cd``, ``set -e``,
``exit``, ``:``.

What there is not, and says so: ``for``, ``while``, ``if``, ``case``, functions, ``&``, globs, arithmetic.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from itertools import zip_longest

from epkit.fake.commands.parse import Part, Pipeline, ShellSyntaxError, Simple, parse
from epkit.fake.commands.run import ERR, INPUT, OUT, Command, Input, Pause, Run, Steps

SHELLS = ("sh", "bash", "ash", "dash")
BUILTINS = (":", "cd", "exit", "export", "set")
NOT_FOUND, NOT_SIMULATED = 127, 2


class _Exit(Exception):
    """``exit``: the shell ends with that code."""

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class _Shell:
    """A shell, and the code of its last command. It is `strict` after ``set -e``."""

    run: Run
    name: str
    code: int = 0
    strict: bool = False

    def script(self, text: str) -> Steps:
        try:
            return (yield from self._script(text))
        except _Exit as end:
            return end.code

    def _script(self, text: str) -> Steps:
        try:
            pipelines = parse(text)
        except ShellSyntaxError as error:
            return self.run.fail(f"{self.name}: {error}", NOT_SIMULATED)
        for pipeline, following in zip_longest(pipelines, pipelines[1:]):
            skipped = (pipeline.connector == "&&" and self.code) or (pipeline.connector == "||" and not self.code)
            if skipped:
                continue
            self.code = yield from self._pipeline(pipeline)
            tested = following is not None and following.connector in ("&&", "||")
            if self.code and self.strict and not tested and not pipeline.negated:
                raise _Exit(self.code)
        return self.code

    def _pipeline(self, pipeline: Pipeline) -> Steps:
        """One after the other: what a command has printed is the input of the next."""
        code, stdin = 0, self.run.stdin
        for index, simple in enumerate(pipeline.commands):
            last = index == len(pipeline.commands) - 1
            piped: list[str] = []

            def emit(stream: int, text: str, piped: list[str] = piped, last: bool = last) -> None:
                if stream == OUT and not last:
                    piped.append(text)
                else:
                    self.run.emit(stream, text)

            run = replace(self.run, emit=emit, stdin=stdin)
            code = yield from self._simple(simple, run)
            stdin = Input("".join(piped))
        return int(not code) if pipeline.negated else code

    def _simple(self, simple: Simple, run: Run) -> Steps:
        words: list[str] = []
        for word in simple.words:
            words += yield from self._expand(word)
        while words and (match := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", words[0], re.DOTALL)):
            self.run.env[match[1]] = match[2]
            words.pop(0)
        collected: dict[str, list[str]] = {}
        redirected = yield from self._redirected(simple, run, collected)
        if redirected is None:
            return 1
        code = (yield from self._call(words, redirected)) if words else 0
        for path, texts in collected.items():
            self.run.files[path] = "".join(texts)
        return code

    def _redirected(
        self, simple: Simple, run: Run, collected: dict[str, list[str]]
    ) -> Generator[Pause, None, Run | None]:
        """The run with its output and input where the redirections say; None when a file is not to be had."""
        sinks: dict[int, list[str] | int] = {}
        stdin = run.stdin
        for redirect in simple.redirects:
            if redirect.to_stream:
                sinks[redirect.stream] = sinks.get(redirect.to_stream, redirect.to_stream)
                continue
            name = " ".join((yield from self._expand(redirect.word)))
            path = run.path(name)
            if redirect.operator == "<":
                if path not in run.files:
                    run.fail(f"{self.name}: can't open {name}: No such file or directory")
                    return None
                stdin = Input(run.files[path])
            elif path == "/dev/null":
                sinks[redirect.stream] = []
            elif run.is_directory(path) or not run.is_directory(posixpath.dirname(path)):
                why = "Is a directory" if run.is_directory(path) else "nonexistent directory"
                run.fail(f"{self.name}: can't create {name}: {why}")
                return None
            else:
                before = run.files.get(path, "") if redirect.operator == ">>" else ""
                sinks[redirect.stream] = collected.setdefault(path, [before])
        outer = run.emit

        def emit(stream: int, text: str) -> None:
            sink = sinks.get(stream, stream)
            if isinstance(sink, list):
                sink.append(text)
            else:
                outer(sink, text)

        return replace(run, emit=emit, stdin=stdin)

    def _call(self, words: list[str], run: Run) -> Steps:
        from epkit.fake.commands import find

        match words:
            case ["exit", *rest]:
                raise _Exit(int(rest[0]) if rest and rest[0].isdigit() else self.code)
            case [":", *_]:
                return 0
            case ["cd", *rest]:
                where = self.run.path(rest[0] if rest else self.run.env.get("HOME", "/"))
                if not self.run.is_directory(where):
                    return run.fail(f"{self.name}: cd: can't cd to {rest[0]}: No such file or directory", 2)
                self.run.here = where
                return 0
            case ["export", *rest]:
                for name, _, value in (each.partition("=") for each in rest if "=" in each):
                    self.run.env[name] = value
                return 0
            case ["set", *rest]:
                if rest != ["-e"]:
                    return run.fail(f"{self.name}: set: the simulated shell knows set -e", NOT_SIMULATED)
                self.strict = True
                return 0
        command = find(words[0])
        if command is None:
            return run.fail(f"{self.name}: {words[0]}: not found", NOT_FOUND)
        result = command(replace(run, here=self.run.here), words[1:])
        return result if isinstance(result, int) else (yield from result)

    # -- expansion -------------------------------------------------------------------------------------------------

    def _expand(self, word: tuple[Part, ...]) -> Generator[Pause, None, list[str]]:
        """The words that a word becomes: what is not quoted is split at blanks, and nothing is no word."""
        words, current = [], ""
        begun = False
        for part in word:
            text = part.text
            if part.kind == "variable":
                text = self._variable(text)
            elif part.kind == "command":
                text = yield from self._output_of(text)
            if part.kind == "literal" or part.quoted:
                current += text
                begun = True
                continue
            pieces = text.split()
            if not pieces:
                continue
            if text[0].isspace() and begun:
                words.append(current)
                current = ""
            for piece in pieces[:-1]:
                words.append(current + piece)
                current = ""
            current += pieces[-1]
            begun = True
            if text[-1].isspace():
                words.append(current)
                current, begun = "", False
        return [*words, current] if begun else words

    def _variable(self, name: str) -> str:
        name, _, default = name.partition(":-")
        if name == "?":
            return str(self.code)
        if name == "$":
            return "1"
        return self.run.env.get(name, "") or default

    def _output_of(self, text: str) -> Generator[Pause, None, str]:
        printed: list[str] = []
        outer = self.run

        def emit(stream: int, piece: str) -> None:
            if stream == ERR:
                outer.emit(stream, piece)
            else:
                printed.append(piece)

        inner = _Shell(replace(outer, emit=emit, env=dict(outer.env)), self.name)
        self.code = yield from inner.script(text)
        return "".join(printed).rstrip("\n")


def _named(name: str) -> Command:
    def shell(run: Run, args: list[str]) -> Steps:
        own = _Shell(replace(run, env=dict(run.env)), name)
        flags = [each for each in args if each.startswith("-")]
        rest = [each for each in args if not each.startswith("-")]
        if any("c" in each for each in flags):
            if not rest:
                return run.fail(f"{name}: -c requires an argument", 2)
            return (yield from own.script(rest[0]))
        if rest:
            if (text := run.files.get(run.path(rest[0]))) is None:
                return run.fail(f"{name}: can't open '{rest[0]}': No such file or directory", 2)
            return (yield from own.script(text))
        return (yield from _lines(own, run))

    return shell


def _lines(shell: _Shell, run: Run) -> Steps:
    """Run what comes in, line by line; at a terminal with a prompt."""
    while True:
        if run.terminal:
            run.out(f"{shell.run.here} # ")
        while (line := run.stdin.take_line()) is None:
            yield INPUT
        if not line:
            return shell.code
        try:
            shell.code = yield from shell._script(line)
        except _Exit as end:
            return end.code


COMMANDS: dict[str, Command] = {name: _named(name) for name in SHELLS}
