"""grep, head, sort, tail, uniq, wc: filters, for what comes through a pipe."""

from __future__ import annotations

import re
from collections.abc import Generator
from itertools import groupby

from epkit.fake.commands.run import Command, Pause, Run, Steps


def _text(run: Run, command: str, names: list[str]) -> Generator[Pause, None, str | None]:
    """The text of the files that are named, or the input; None after an error."""
    if not names:
        return (yield from run.read_all())
    texts = [run.files.get(run.path(name)) for name in names]
    for name, text in zip(names, texts, strict=True):
        if text is None:
            run.err(f"{command}: {name}: No such file or directory\n")
            return None
    return "".join(text or "" for text in texts)


def _options(args: list[str], *with_value: str) -> tuple[str, dict[str, str], list[str]]:
    """Flags without a value, those with one, and the rest."""
    flags, values, rest = "", {}, []
    words = iter(args)
    for word in words:
        if word[:2] in with_value:
            values[word[:2]] = word[2:] or next(words, "")
        elif word.startswith("-") and len(word) > 1 and not word[1:].isdigit():
            flags += word[1:]
        elif word.startswith("-") and word[1:].isdigit():
            values["-n"] = word[1:]
        else:
            rest.append(word)
    return flags, values, rest


def grep(run: Run, args: list[str]) -> Steps:
    flags, _, rest = _options(args)
    if not rest or set(flags) - set("ivcEFqoh"):
        return run.fail("grep: the simulated grep takes -i -v -c -E -F -q -o, a pattern and files", 2)
    text = yield from _text(run, "grep", rest[1:])
    if text is None:
        return 2
    try:
        pattern = re.compile(re.escape(rest[0]) if "F" in flags else rest[0], re.IGNORECASE if "i" in flags else 0)
    except re.error:
        return run.fail(f"grep: {rest[0]}: not a regular expression", 2)
    found = [line for line in text.splitlines() if bool(pattern.search(line)) != ("v" in flags)]
    if "c" in flags:
        run.out(f"{len(found)}\n")
    elif "o" in flags:
        run.out("".join(f"{match[0]}\n" for line in found for match in pattern.finditer(line)))
    elif "q" not in flags:
        run.out("".join(f"{line}\n" for line in found))
    return 0 if found else 1


def _ends(command: str, first: bool) -> Command:
    def take(run: Run, args: list[str]) -> Steps:
        _, values, rest = _options(args, "-n", "-c")
        text = yield from _text(run, command, rest)
        if text is None:
            return 1
        try:
            count = abs(int(values.get("-c") or values.get("-n") or 10))
        except ValueError:
            return run.fail(f"{command}: invalid number of lines")
        if "-c" in values:
            run.out(text[:count] if first else text[-count:] if count else "")
        else:
            lines = text.splitlines(keepends=True)
            run.out("".join(lines[:count] if first else lines[-count:] if count else []))
        return 0

    return take


def sort(run: Run, args: list[str]) -> Steps:
    flags, _, rest = _options(args)
    text = yield from _text(run, "sort", rest)
    if text is None:
        return 2
    lines = text.splitlines()
    if "n" in flags:
        lines.sort(key=lambda line: (_number(line), line))
    else:
        lines.sort()
    if "r" in flags:
        lines.reverse()
    run.out("".join(f"{line}\n" for line in (dict.fromkeys(lines) if "u" in flags else lines)))
    return 0


def _number(line: str) -> float:
    match = re.match(r"\s*-?\d+(\.\d+)?", line)
    return float(match[0]) if match else 0.0


def uniq(run: Run, args: list[str]) -> Steps:
    flags, _, rest = _options(args)
    text = yield from _text(run, "uniq", rest)
    if text is None:
        return 1
    for line, same in groupby(text.splitlines()):
        run.out(f"{len(list(same)):>7} {line}\n" if "c" in flags else f"{line}\n")
    return 0


def wc(run: Run, args: list[str]) -> Steps:
    flags, _, rest = _options(args)
    text = yield from _text(run, "wc", rest)
    if text is None:
        return 1
    counts = {"l": text.count("\n"), "w": len(text.split()), "c": len(text.encode())}
    shown = [counts[flag] for flag in "lwc" if not flags or flag in flags]
    numbers = str(shown[0]) if len(shown) == 1 else "".join(f"{number:>8}" for number in shown)
    run.out(numbers + (f" {rest[0]}" if len(rest) == 1 else "") + "\n")
    return 0


COMMANDS: dict[str, Command] = {
    "grep": grep,
    "head": _ends("head", first=True),
    "sort": sort,
    "tail": _ends("tail", first=False),
    "uniq": uniq,
    "wc": wc,
}
