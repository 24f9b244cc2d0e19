"""cat, cp, echo, ls, mkdir, printf, rm, tee, test, touch: commands on the files of a container."""

from __future__ import annotations

import posixpath

from epkit.fake.clock import format_time
from epkit.fake.commands.run import INPUT, Command, Run, Steps

#: keeps a directory that is otherwise empty
KEEP = ".keep"
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "r": "\r", "0": "\0", "a": "\a", "b": "\b"}


def cat(run: Run, args: list[str]) -> Steps:
    """Files, or the input where none is named."""
    code = 0
    for name in args or ["-"]:
        if name == "-":
            while not run.stdin.at_end:
                line = run.stdin.take_line()
                if line is None:
                    yield INPUT
                else:
                    run.out(line)
        elif (text := run.files.get(run.path(name))) is not None:
            run.out(text)
        else:
            why = "Is a directory" if run.is_directory(run.path(name)) else "No such file or directory"
            code = run.fail(f"cat: {name}: {why}")
    return code


def echo(run: Run, args: list[str]) -> int:
    newline, escapes = "\n", False
    while args and args[0].startswith("-") and set(args[0][1:]) <= set("neE") and len(args[0]) > 1:
        newline = "" if "n" in args[0] else newline
        escapes = escapes or "e" in args[0]
        args = args[1:]
    text = " ".join(args)
    run.out((unescape(text) if escapes else text) + newline)
    return 0


def printf(run: Run, args: list[str]) -> int:
    """The format with ``%s`` and ``%d``, used again while there are arguments."""
    if not args:
        return run.fail("printf: usage: printf format [arguments]", 2)
    form, rest = unescape(args[0]), args[1:]
    takes = form.replace("%%", "").count("%")
    while True:
        given, rest = rest[:takes], rest[takes:]
        given += [""] * (takes - len(given))
        try:
            run.out(form.replace("%d", "%s") % tuple(given))
        except (TypeError, ValueError):
            return run.fail(f"printf: {args[0]}: the simulated printf knows %s and %d", 1)
        if not rest or not takes:
            return 0


def unescape(text: str) -> str:
    r"""
    >>> unescape(r"a\tb")
    'a\tb'
    """
    parts = text.split("\\")
    done = parts[0]
    rest = iter(parts[1:])
    for part in rest:
        if part:
            done += _ESCAPES.get(part[0], "\\" + part[0]) + part[1:]
        else:  # two backslashes in a row
            done += "\\" + next(rest, "")
    return done


def touch(run: Run, args: list[str]) -> int:
    code = 0
    for name in (each for each in args if not each.startswith("-")):
        path = run.path(name)
        if not run.is_directory(posixpath.dirname(path)):
            code = run.fail(f"touch: cannot touch '{name}': No such file or directory")
        elif not run.is_directory(path):
            run.files[path] = run.files.get(path, "")
    return code


def rm(run: Run, args: list[str]) -> int:
    flags = "".join(each[1:] for each in args if each.startswith("-"))
    recursive, force = "r" in flags.lower(), "f" in flags
    names = [each for each in args if not each.startswith("-")]
    if not names and not force:
        return run.fail("rm: missing operand")
    code = 0
    for name in names:
        path = run.path(name)
        if path in run.files:
            del run.files[path]
        elif not run.is_directory(path):
            if not force:
                code = run.fail(f"rm: cannot remove '{name}': No such file or directory")
        elif not recursive:
            code = run.fail(f"rm: cannot remove '{name}': Is a directory")
        else:
            for inside in [each for each in run.files if each.startswith(path.rstrip("/") + "/")]:
                del run.files[inside]
    return code


def mkdir(run: Run, args: list[str]) -> int:
    parents = any("p" in each for each in args if each.startswith("-"))
    code = 0
    for name in (each for each in args if not each.startswith("-")):
        path = run.path(name)
        if run.exists(path):
            code = code if parents else run.fail(f"mkdir: cannot create directory '{name}': File exists")
        elif not parents and not run.is_directory(posixpath.dirname(path)):
            code = run.fail(f"mkdir: cannot create directory '{name}': No such file or directory")
        else:
            run.files[f"{path}/{KEEP}"] = ""
    return code


def ls(run: Run, args: list[str]) -> int:
    flags = "".join(each[1:] for each in args if each.startswith("-"))
    names = [each for each in args if not each.startswith("-")] or ["."]
    code = 0
    for name in names:
        path = run.path(name)
        if path in run.files:
            _listed(run, [(name, path)], "l" in flags)
        elif not run.is_directory(path):
            code = run.fail(f"ls: cannot access '{name}': No such file or directory", 2)
        else:
            if len(names) > 1:
                run.out(f"{name}:\n")
            shown = [each for each in run.entries(path) if "a" in flags or not each.startswith(".")]
            _listed(run, [(each, posixpath.join(path, each)) for each in shown if each != KEEP], "l" in flags)
    return code


def _listed(run: Run, entries: list[tuple[str, str]], long: bool) -> None:
    """One name a line. In the long form every file is as old as the container: more is not known."""
    stamp = format_time(run.container.started_at)[:16].replace("T", " ")
    for name, path in entries:
        if not long:
            run.out(f"{name}\n")
            continue
        size = len(run.files.get(path, "").encode()) if path in run.files else 4096
        kind, links = ("-rw-r--r--", 1) if path in run.files else ("drwxr-xr-x", 2)
        run.out(f"{kind} {links} root root {size:>6} {stamp} {name}\n")


def cp(run: Run, args: list[str]) -> int:
    names = [each for each in args if not each.startswith("-")]
    if len(names) != 2:
        return run.fail("cp: the simulated cp copies one file to one place: cp FROM TO")
    source, target = run.path(names[0]), run.path(names[1])
    if source not in run.files:
        return run.fail(f"cp: cannot stat '{names[0]}': No such file or directory")
    if run.is_directory(target):
        target = posixpath.join(target, posixpath.basename(source))
    run.files[target] = run.files[source]
    return 0


def tee(run: Run, args: list[str]) -> Steps:
    text = yield from run.read_all()
    run.out(text)
    for name in (each for each in args if not each.startswith("-")):
        path = run.path(name)
        run.files[path] = (run.files.get(path, "") if "-a" in args else "") + text
    return 0


def test(run: Run, args: list[str]) -> int:
    """``test EXPRESSION``, ``[ EXPRESSION ]``: -e -f -d -s on files, -z -n = != on texts, -eq … on numbers, and !."""
    if args[:1] == ["!"]:
        code = test(run, args[1:])
        return 1 - code if code < 2 else code
    match args:
        case []:
            return 1
        case [text]:
            return 0 if text else 1
        case ["-z", text]:
            return 0 if not text else 1
        case ["-n", text]:
            return 0 if text else 1
        case [("-e" | "-f" | "-d" | "-s" | "-r" | "-w" | "-x") as what, name]:
            return 0 if _is(run, what, run.path(name)) else 1
        case [left, ("=" | "=="), right]:
            return 0 if left == right else 1
        case [left, "!=", right]:
            return 0 if left != right else 1
        case [left, ("-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge") as how, right]:
            try:
                a, b = int(left), int(right)
            except ValueError:
                return run.fail("test: integer expression expected", 2)
            holds = {"-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b, "-ge": a >= b}
            return 0 if holds[how] else 1
    return run.fail(f"test: the simulated test cannot read: {' '.join(args)}", 2)


def _is(run: Run, what: str, path: str) -> bool:
    if what == "-d":
        return run.is_directory(path)
    if what == "-f":
        return path in run.files
    if what == "-s":
        return bool(run.files.get(path)) or run.is_directory(path)
    return run.exists(path)


def bracket(run: Run, args: list[str]) -> int:
    if args[-1:] != ["]"]:
        return run.fail("[: missing ']'", 2)
    return test(run, args[:-1])


COMMANDS: dict[str, Command] = {
    "cat": cat,
    "cp": cp,
    "echo": echo,
    "ls": ls,
    "mkdir": mkdir,
    "printf": printf,
    "rm": rm,
    "tee": tee,
    "test": test,
    "[": bracket,
    "touch": touch,
}
