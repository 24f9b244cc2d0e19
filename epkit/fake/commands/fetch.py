"""What curl and wget have in common: from a URL to an answer, or to the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, field

from epkit.fake.commands.run import Run
from epkit.fake.traffic import ANSWERED, REFUSED, TIMED_OUT, UNREACHABLE, Connection
from epkit.fake.webservers import HttpReply, HttpRequest

#: seconds until Linux gives up a connection that nobody answers (``net.ipv4.tcp_syn_retries = 6``)
SYN_TIMEOUT = 130.0
#: how a fetch can fail, beside the outcomes of a connection
UNRESOLVED, RESOLVING, EMPTY, BAD_TLS, UNTRUSTED = "unresolved", "resolving", "empty reply", "bad TLS", "untrusted"


#: scheme, user, host, port, path with query, fragment
_URL = re.compile(r"(?:([A-Za-z][\w+.-]*)://)?(?:[^/@]*@)?(\[[^\]]+\]|[^:/?#]+)(?::([^/?#]*))?([^#]*)(?:#.*)?")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Url:
    """The parts of a URL. `host` is as it was written, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Url:
        """Raises ValueError with what is wrong.

        >>> Url.parse("web:8080/healthz")
        Url(scheme='http', host='web', port=8080, path='/healthz')
        """
        match = _URL.fullmatch(text)
        if match is None:
            raise ValueError("no host part in the URL")
        scheme = (match[1] or "http").lower()
        if scheme not in DEFAULT_PORTS:
            raise ValueError(f'Protocol "{scheme}" not supported')
        port = match[3] or str(DEFAULT_PORTS[scheme])
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("Port number was not a decimal number between 0 and 65535")
        path = match[4] or "/"
        return cls(scheme, match[2].strip("[]"), int(port), path if path.startswith("/") else "/" + path)


@dataclass
class Fetched:
    """How far a fetch came. `problem` is empty when there is a reply."""

    url: Url
    problem: str = ""
    addresses: list[str] = field(default_factory=list)
    address: str = ""
    connection: Connection | None = None
    reply: HttpReply | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Limits:
    """Seconds for everything, and for getting a connection."""

    total: float | None = None
    connect: float | None = None

    @property
    def shortest(self) -> float:
        return min(SYN_TIMEOUT, *(each for each in (self.total, self.connect) if each is not None), SYN_TIMEOUT)


def fetch(
    run: Run,
    url: Url,
    method: str,
    agent: str,
    limits: Limits,
    *,
    families: tuple[str, ...] = ("A", "AAAA"),
    host: str = "",
    trust: bool = False,
) -> Generator[float, None, Fetched]:
    """Resolve, connect, ask. Yields the seconds that pass while nobody answers."""
    start = run.now()
    done = Fetched(url)
    yield from _resolve(run, done, limits, families)
    if not done.problem:
        yield from _connect(run, done, limits)
    if not done.problem and done.connection is not None:
        request = HttpRequest(method, url.path, host or url.host_header, agent, done.connection.seen_as)
        done.reply, done.problem = _ask(run, done.connection, request, url.scheme == "https", trust)
    done.seconds = run.now() - start
    return done


def _resolve(run: Run, done: Fetched, limits: Limits, families: tuple[str, ...]) -> Generator[float, None, None]:
    spent = 0.0
    steps = run.network.resolver().addresses(done.url.host, families)
    try:
        while True:
            wait = next(steps)
            if spent + wait >= limits.shortest:
                yield max(0.0, limits.shortest - spent)
                done.problem = RESOLVING
                return
            spent += wait
            yield wait
    except StopIteration as end:
        done.addresses = end.value.addresses
    if not done.addresses:
        done.problem = UNRESOLVED


def _connect(run: Run, done: Fetched, limits: Limits) -> Generator[float, None, None]:
    """Try one address after the other. Where none answers, what the first one that can be reached did is told."""
    for address in done.addresses:
        connection = run.network.connect(address, done.url.port)
        if connection.outcome == ANSWERED:
            done.address, done.connection, done.problem = address, connection, ""
            return
        if done.problem in ("", UNREACHABLE):
            done.address, done.connection, done.problem = address, connection, connection.outcome
        if connection.outcome == TIMED_OUT:
            yield limits.shortest


def _ask(
    run: Run, connection: Connection, request: HttpRequest, tls: bool, trust: bool
) -> tuple[HttpReply | None, str]:
    if tls and connection.worker is not None:
        return None, BAD_TLS  # no simulated container speaks TLS
    if tls and not trust:
        return None, UNTRUSTED
    reply = run.network.http(connection, request, tls)
    return reply, "" if reply is not None else EMPTY


__all__ = [
    "BAD_TLS",
    "EMPTY",
    "REFUSED",
    "RESOLVING",
    "TIMED_OUT",
    "UNRESOLVED",
    "UNTRUSTED",
    "Fetched",
    "Limits",
    "Url",
    "fetch",
]
