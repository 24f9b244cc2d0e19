"""wget as busybox has it: ``wget -qO- URL``, ``-O FILE``, ``-T SECONDS``, ``--spider``, ``-S``."""

from __future__ import annotations

import posixpath

from epkit.fake.commands import fetch
from epkit.fake.commands.fetch import Fetched, Limits, Url
from epkit.fake.commands.run import Command, Run, Steps
from epkit.fake.traffic import UNREACHABLE

#: seconds that busybox waits when nothing else is said
TIMEOUT = 900.0


class _Usage(Exception):
    """Options that cannot be read."""


def wget(run: Run, args: list[str]) -> Steps:
    try:
        flags, values, urls = _options(args)
        limits = Limits(float(values.get("T", TIMEOUT)))
        url = Url.parse(urls[0]) if urls else None
    except (_Usage, ValueError) as error:
        return run.fail(f"wget: {error}")
    if url is None:
        return run.fail("wget: missing URL")
    done = yield from fetch.fetch(run, url, "HEAD" if "spider" in flags else "GET", "Wget", limits, trust=True)
    quiet = "q" in flags
    if done.connection is not None and not quiet:
        run.err(f"Connecting to {url.host_header} ({done.address}:{url.port})\n")
    if done.reply is None:
        return run.fail(f"wget: {_why(done)}")
    if "S" in flags:
        lines = [f"HTTP/1.1 {done.reply.code} {done.reply.reason}"]
        lines += [f"{name}: {value}" for name, value in done.reply.headers.items()]
        run.err("".join(f"  {line}\n" for line in lines))
    if done.reply.code >= 400:
        return run.fail(f"wget: server returned error: HTTP/1.1 {done.reply.code} {done.reply.reason}")
    if "spider" in flags:
        if not quiet:
            run.err("remote file exists\n")
        return 0
    return _save(run, done, values.get("O", ""), quiet)


def _options(args: list[str]) -> tuple[set[str], dict[str, str], list[str]]:
    flags: set[str] = set()
    values: dict[str, str] = {}
    urls: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--spider":
            flags.add("spider")
        elif word.startswith("--timeout"):
            values["T"] = word.partition("=")[2] or next(words, "")
        elif word.startswith("--output-document"):
            values["O"] = word.partition("=")[2] or next(words, "")
        elif word in ("--quiet", "--server-response"):
            flags.add(word[2].replace("s", "S"))
        elif word.startswith("--") or word == "-":
            raise _Usage(f"unrecognized option '{word}' (the simulated wget has -q -S -O FILE -T SECONDS --spider)")
        elif word.startswith("-"):
            _short(word[1:], flags, values, words)
        else:
            urls.append(word)
    return flags, values, urls


def _short(letters: str, flags: set[str], values: dict[str, str], words) -> None:  # type: ignore[no-untyped-def]
    for index, letter in enumerate(letters):
        if letter in "OTt":
            values[letter] = letters[index + 1 :] or next(words, "")
            return
        if letter not in "qSc":
            raise _Usage(f"unrecognized option: {letter} (the simulated wget has -q -S -O FILE -T SECONDS --spider)")
        flags.add(letter)


def _why(done: Fetched) -> str:
    host = f"{done.url.host} ({done.address})"
    return {
        fetch.UNRESOLVED: f"bad address '{done.url.host_header}'",
        fetch.RESOLVING: f"bad address '{done.url.host_header}'",
        fetch.REFUSED: f"can't connect to remote host ({done.address}): Connection refused",
        UNREACHABLE: f"can't connect to remote host ({done.address}): Network unreachable",
        fetch.TIMED_OUT: "download timed out",
        fetch.EMPTY: "error getting response",
        fetch.BAD_TLS: f"error getting response from {host}: it does not speak TLS",
    }[done.problem]


def _save(run: Run, done: Fetched, target: str, quiet: bool) -> int:
    assert done.reply is not None
    body, shown = done.reply.body, "stdout" if target == "-" else f"'{target}'"
    name = target or posixpath.basename(done.url.path.partition("?")[0]) or "index.html"
    if not target:
        shown = f"'{name}'"
        if run.path(name) in run.files:
            return run.fail(f"wget: can't open '{name}': File exists")
    if not quiet:
        run.err(f"{'writing to' if target == '-' else 'saving to'} {shown}\n")
    if target == "-":
        run.out(body)
    elif run.path(name) != "/dev/null":
        run.files[run.path(name)] = body
    if not quiet:
        bar = "*" * 32
        run.err(f"{name[:20]:<20} 100% |{bar}| {len(body.encode()):>5}  0:00:00 ETA\n")
        run.err("written to stdout\n" if target == "-" else f"{shown} saved\n")
    return 0


COMMANDS: dict[str, Command] = {"wget": wget}
