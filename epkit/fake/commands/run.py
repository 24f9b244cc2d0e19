"""A command while it runs: what it sees of its container, what it has printed, what it has been given to read.

A command is a function of a :class:`Run` and its arguments. It returns its exit code. One that has to wait is a
generator: it yields the seconds of virtual time, or :data:`INPUT` to wait for more input; whoever drives it lets that
pass. So nothing here knows whether time jumps or runs with the wall's.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Generator, Iterable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from epkit.fake.containers import Container
    from epkit.fake.resolver import Resolver
    from epkit.fake.traffic import Connection
    from epkit.fake.webservers import HttpReply, HttpRequest

#: What a command waits for: so many seconds, or (None) more input.
Pause: TypeAlias = float | None
INPUT: Pause = None
Steps: TypeAlias = Generator[Pause, None, int]
Command: TypeAlias = Callable[["Run", list[str]], "int | Steps"]

OUT, ERR = 1, 2
#: Directories that every container has; any other is there as long as a file is in it.
DIRECTORIES = ("/", "/bin", "/dev", "/etc", "/home", "/mnt", "/opt", "/proc", "/root", "/srv", "/tmp", "/usr", "/var")


class Network(Protocol):
    """What a command can do on the network, from its pod."""

    @property
    def address(self) -> str:
        """The pod's address."""

    @property
    def node_network(self) -> str:
        """The range of addresses of the pod's node, such as ``10.244.1.0/24``."""

    def connect(self, address: str, port: int) -> Connection: ...

    def http(self, connection: Connection, request: HttpRequest, tls: bool) -> HttpReply | None:
        """The answer on an open connection; None where the other side closes it without one."""

    def resolver(self) -> Resolver: ...


class Input:
    """What a command reads. It is full from the start, or grows while a client types."""

    def __init__(self, text: str = "", closed: bool = True) -> None:
        self._text = text
        self.closed = closed

    def feed(self, text: str) -> None:
        self._text += text

    def take_all(self) -> str:
        text, self._text = self._text, ""
        return text

    def take_line(self) -> str | None:
        """The next line with its end; the rest where input has ended; None where more is to come."""
        line, newline, rest = self._text.partition("\n")
        if not newline and not self.closed:
            return None
        self._text = rest
        return line + newline

    @property
    def has_line(self) -> bool:
        return "\n" in self._text

    @property
    def at_end(self) -> bool:
        return self.closed and not self._text


@dataclass
class Run:
    """One command in a container.

    Attributes:
        files: the container's files by absolute path; changes go to the container.
        env: its environment variables, and the shell's own.
        now: the present moment, in seconds since the epoch.
        emit: takes the output: 1 for stdout or 2 for stderr, and the text.
        here: the directory that relative paths start from.
    """

    container: Container
    files: MutableMapping[str, str]
    env: dict[str, str]
    network: Network
    now: Callable[[], float]
    emit: Callable[[int, str], None]
    stdin: Input = field(default_factory=Input)
    here: str = "/"
    terminal: bool = False

    def out(self, text: str) -> None:
        self.emit(OUT, text)

    def err(self, text: str) -> None:
        self.emit(ERR, text)

    def fail(self, text: str, code: int = 1) -> int:
        """Print a line to stderr; the exit code, for ``return run.fail(…)``."""
        self.err(text + "\n")
        return code

    def with_output(self, emit: Callable[[int, str], None], stdin: Input | None = None) -> Run:
        """The same container, other pipes."""
        return replace(self, emit=emit, stdin=stdin or self.stdin, terminal=False)

    def read_all(self) -> Generator[Pause, None, str]:
        """All of the input, once it has ended."""
        while not self.stdin.closed:
            yield INPUT
        return self.stdin.take_all()

    # -- files -----------------------------------------------------------------------------------------------------

    def path(self, name: str) -> str:
        """The absolute path of a name."""
        return posixpath.normpath(posixpath.join(self.here, name))

    def is_directory(self, path: str) -> bool:
        inside = path.rstrip("/") + "/"
        known = path in DIRECTORIES or path in self._mounts()
        return known or any(name.startswith(inside) for name in self.files)

    def exists(self, path: str) -> bool:
        return path in self.files or self.is_directory(path)

    def entries(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        inside = path.rstrip("/") + "/"
        paths = [*self.files, *(each for each in (*DIRECTORIES, *self._mounts()) if each != "/")]
        return sorted({each[len(inside) :].partition("/")[0] for each in paths if each.startswith(inside)})

    def _mounts(self) -> Iterable[str]:
        return [mount["mountPath"].rstrip("/") or "/" for mount in self.container.spec.get("volumeMounts") or ()]
