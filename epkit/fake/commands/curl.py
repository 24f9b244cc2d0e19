"""curl, with the options that one uses to find out whether something answers.

``-s -S -f -i -I -v -L -k -4 -6 -g``, ``-o FILE``, ``-w FORMAT``, ``-m SECONDS``, ``--connect-timeout SECONDS``,
``-H 'Host: NAME'``, ``-X METHOD``, ``-A AGENT``, ``--noproxy HOSTS``. Its texts are those of curl 8.14.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from epkit.fake.commands import fetch
from epkit.fake.commands.fetch import Fetched, Limits, Url
from epkit.fake.commands.files import unescape
from epkit.fake.commands.run import Command, Run, Steps
from epkit.fake.traffic import UNREACHABLE

VERSION = "8.14.1"
_FLAGS = {
    "s": "silent",
    "S": "show-error",
    "f": "fail",
    "i": "include",
    "I": "head",
    "v": "verbose",
    "L": "location",
    "k": "insecure",
    "4": "ipv4",
    "6": "ipv6",
    "N": "no-buffer",
    "g": "globoff",
}
_VALUES = {
    "o": "output",
    "w": "write-out",
    "m": "max-time",
    "H": "header",
    "X": "request",
    "A": "user-agent",
    "connect-timeout": "connect-timeout",  # without a letter
    "noproxy": "noproxy",
}
_MORE = "curl: try 'curl --help' or 'curl --manual' for more information"
#: problem -> exit code
_CODES = {
    fetch.UNRESOLVED: 6,
    fetch.REFUSED: 7,
    UNREACHABLE: 7,
    fetch.RESOLVING: 28,
    fetch.TIMED_OUT: 28,
    fetch.BAD_TLS: 35,
    fetch.EMPTY: 52,
    fetch.UNTRUSTED: 60,
}


class _Usage(Exception):
    """Options that cannot be read."""


@dataclass
class _Options:
    flags: set[str] = field(default_factory=set)
    values: dict[str, list[str]] = field(default_factory=dict)
    urls: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, args: list[str]) -> _Options:
        options = cls()
        words = iter(args)
        for word in words:
            if word.startswith("--"):
                options._long(word[2:], words)
            elif word.startswith("-") and len(word) > 1:
                options._short(word[1:], words)
            else:
                options.urls.append(word)
        if not options.urls:
            raise _Usage("(2) no URL specified")
        return options

    def _long(self, name: str, words: Iterator[str]) -> None:
        if name == "url":
            self.urls.append(next(words, ""))
        elif name in _FLAGS.values():
            self.flags.add(name)
        elif name in _VALUES.values():
            self._take(name, f"--{name}", next(words, None))
        else:
            raise _Usage(f"option --{name}: is unknown to the simulated curl")

    def _short(self, letters: str, words: Iterator[str]) -> None:
        for index, letter in enumerate(letters):
            if letter in _FLAGS:
                self.flags.add(_FLAGS[letter])
            elif letter in _VALUES:
                self._take(_VALUES[letter], f"-{letter}", letters[index + 1 :] or next(words, None))
                return
            else:
                raise _Usage(f"option -{letter}: is unknown to the simulated curl")

    def _take(self, name: str, shown: str, value: str | None) -> None:
        if value is None:
            raise _Usage(f"option {shown}: requires parameter")
        self.values.setdefault(name, []).append(value)

    def value(self, name: str, default: str = "") -> str:
        return self.values.get(name, [default])[-1]

    def seconds(self, name: str) -> float | None:
        text = self.value(name)
        try:
            return float(text) if text and float(text) > 0 else None
        except ValueError:
            raise _Usage(f"option --{name}: expected a proper numerical parameter") from None


def curl(run: Run, args: list[str]) -> Steps:
    if args in (["--version"], ["-V"]):
        run.out(f"curl {VERSION} (simulated)\n")
        return 0
    try:
        options = _Options.parse(args)
        limits = Limits(options.seconds("max-time"), options.seconds("connect-timeout"))
    except _Usage as error:
        return run.fail(f"curl: {error}\n{_MORE}", 2)
    code = 0
    for text in options.urls:
        code = yield from _one(run, options, limits, text)
    return code


def _one(run: Run, options: _Options, limits: Limits, text: str) -> Steps:
    try:
        url = Url.parse(text)
    except ValueError as error:
        unsupported = "not supported" in str(error)
        return _failed(run, options, 1 if unsupported else 3, f"{'' if unsupported else 'URL rejected: '}{error}")
    method = options.value("request", "HEAD" if "head" in options.flags else "GET")
    headers = dict(each.split(":", 1) for each in options.values.get("header", []) if ":" in each)
    host = next((value.strip() for name, value in headers.items() if name.lower() == "host"), "")
    families = ("A",) if "ipv4" in options.flags else ("AAAA",) if "ipv6" in options.flags else ("A", "AAAA")
    agent = options.value("user-agent", f"curl/{VERSION}")
    done = yield from fetch.fetch(
        run, url, method, agent, limits, families=families, host=host, trust="insecure" in options.flags
    )
    if "verbose" in options.flags:
        _verbose(run, done, method, host or url.host_header, agent)
    code, message = _verdict(options, limits, done)
    if done.reply is not None and not (code == 22):
        _show(run, options, done)
    if message:
        if "silent" not in options.flags and not done.reply and done.connection is not None:
            _meter(run, 0)
        _failed(run, options, code, message)
    if form := options.value("write-out"):
        run.out(_written(form, done, method, code, message, run.network.address))
    return code


def _verdict(options: _Options, limits: Limits, done: Fetched) -> tuple[int, str]:
    """The exit code, and the text of an error."""
    if done.reply is not None:
        if "fail" in options.flags and done.reply.code >= 400:
            return 22, f"The requested URL returned error: {done.reply.code}"
        return 0, ""
    host, port = done.url.host, done.url.port
    milliseconds = int(done.seconds * 1000)
    message = {
        fetch.UNRESOLVED: f"Could not resolve host: {host}",
        fetch.RESOLVING: f"Resolving timed out after {milliseconds} milliseconds",
        fetch.REFUSED: f"Failed to connect to {host} port {port} after {milliseconds} ms: Could not connect to server",
        UNREACHABLE: f"Failed to connect to {host} port {port} after {milliseconds} ms: Could not connect to server",
        fetch.EMPTY: "Empty reply from server",
        fetch.BAD_TLS: "TLS connect error: error:0A00010B:SSL routines::wrong version number",
        fetch.UNTRUSTED: "SSL certificate problem: unable to get local issuer certificate\n"
        "More details here: https://curl.se/docs/sslcerts.html",
        fetch.TIMED_OUT: f"Connection timed out after {milliseconds} milliseconds"
        if limits.total is not None and limits.total <= limits.shortest
        else f"Failed to connect to {host} port {port} after {milliseconds} ms: Timeout was reached",
    }[done.problem]
    return _CODES[done.problem], message


def _failed(run: Run, options: _Options, code: int, message: str) -> int:
    if "silent" not in options.flags or "show-error" in options.flags:
        run.err(f"curl: ({code}) {message}\n")
    return code


def _show(run: Run, options: _Options, done: Fetched) -> None:
    reply, target = done.reply, options.value("output")
    assert reply is not None
    text = reply.body
    if options.flags & {"include", "head"}:
        text = _head(done) + ("" if "head" in options.flags else text)
    if target and target != "-":
        if posixpath.normpath(target) != "/dev/null":
            run.files[run.path(target)] = text
    if "silent" not in options.flags and not (run.terminal and target in ("", "-")):
        _meter(run, len(text.encode()))
    if not target or target == "-":
        run.out(text)


def _head(done: Fetched) -> str:
    assert done.reply is not None
    lines = [f"HTTP/1.1 {done.reply.code} {done.reply.reason}"]
    lines += [f"{name}: {value}" for name, value in done.reply.headers.items()]
    return "".join(f"{line}\r\n" for line in [*lines, ""])


def _meter(run: Run, size: int) -> None:
    """The progress meter, which curl shows unless it is told not to: here of a transfer that took no time."""
    share, speed = (100, size) if size else (0, 0)
    run.err(
        "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n"
        "                                 Dload  Upload   Total   Spent    Left  Speed\n"
        f"{share:>3} {size:>5} {share:>4} {size:>5}    0     0 {speed:>6}      0 --:--:-- --:--:-- --:--:--"
        f" {speed:>5}\n"
    )


def _verbose(run: Run, done: Fetched, method: str, host: str, agent: str) -> None:
    url, connection, lines = done.url, done.connection, []
    if done.addresses and done.addresses != [url.host]:
        six = ", ".join(each for each in done.addresses if ":" in each) or "(none)"
        four = ", ".join(each for each in done.addresses if ":" not in each) or "(none)"
        lines += [f"* Host {url.host}:{url.port} was resolved.", f"* IPv6: {six}", f"* IPv4: {four}"]
    if not done.addresses:
        lines += [f"* Could not resolve host: {url.host}", "* shutting down connection #0"]
    if connection is not None:
        lines.append(f"*   Trying {done.address}:{url.port}...")
    if connection is not None and done.problem in (fetch.REFUSED, fetch.TIMED_OUT, UNREACHABLE):
        whys = {fetch.REFUSED: "Connection refused", UNREACHABLE: "Network unreachable"}
        why = whys.get(done.problem, "Connection timed out")
        lines += [f"* connect to {done.address} port {url.port} failed: {why}", "* closing connection #0"]
    elif connection is not None:
        lines.append(f"* Connected to {url.host} ({done.address}) port {url.port}")
        request = [f"{method} {url.path} HTTP/1.1", f"Host: {host}", f"User-Agent: {agent}", "Accept: */*", ""]
        lines += [f"> {line}" for line in request]
        if done.reply is not None:
            lines += [f"< {line}" for line in _head(done).split("\r\n")[:-1]]
            lines.append(f"* Connection #0 to host {url.host} left intact")
    run.err("".join(f"{line}\n" for line in lines))


def _written(form: str, done: Fetched, method: str, code: int, message: str, local: str) -> str:
    """The text of ``--write-out``."""
    reply = done.reply
    names = {
        "http_code": f"{reply.code if reply else 0:03}",
        "response_code": f"{reply.code if reply else 0:03}",
        "content_type": reply.headers.get("Content-Type", "") if reply else "",
        "errormsg": message,
        "exitcode": str(code),
        "local_ip": local if done.connection is not None else "",
        "method": method,
        "remote_ip": done.address if reply else "",
        "remote_port": str(done.url.port if reply else 0),
        "size_download": str(len(reply.body.encode()) if reply else 0),
        "time_connect": f"{done.seconds:.6f}",
        "time_total": f"{done.seconds:.6f}",
        "url": f"{done.url.scheme}://{done.url.host_header}{done.url.path}",
        "url_effective": f"{done.url.scheme}://{done.url.host_header}{done.url.path}",
    }

    def value(match: re.Match[str]) -> str:
        return names.get(match[1], f"curl: unknown --write-out variable: '{match[1]}'\n")

    return unescape(re.sub(r"%\{(\w+)\}", value, form)).replace("%%", "%")


COMMANDS: dict[str, Command] = {"curl": curl}
