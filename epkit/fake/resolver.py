"""How a program in a pod turns a name into addresses: /etc/hosts, then DNS with the search list of /etc/resolv.conf.

The kubelet writes ``search default.svc.cluster.local svc.cluster.local cluster.local`` and ``options ndots:5``. So a
name with fewer than five dots is tried with every suffix first and as it is last.

Source: resolv.conf(5) and the resolver of glibc; ``pkg/kubelet/network/dns`` of Kubernetes v1.36.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from epkit.fake.dns import NOERROR, Record, Reply
from epkit.fake.traffic import TIMED_OUT

#: seconds to wait for an answer, and how often a server is asked
TIMEOUT, ATTEMPTS = 5.0, 2

#: (server, name, type) -> the reply, or how the attempt ended without one
Ask = Callable[[str, str, str], Reply | str]


@dataclass(frozen=True)
class Config:
    """What /etc/resolv.conf says."""

    servers: list[str]
    search: list[str]
    ndots: int = 1

    @classmethod
    def parse(cls, text: str) -> Config:
        """
        >>> Config.parse("nameserver 10.96.0.10\\nsearch a.svc b\\noptions ndots:5\\n").ndots
        5
        """
        servers: list[str] = []
        search: list[str] = []
        ndots = 1
        for words in (line.split() for line in text.splitlines()):
            match words:
                case ["nameserver", server, *_]:
                    servers.append(server)
                case ["search", *suffixes]:
                    search = suffixes
                case ["options", *options]:
                    found = [option.partition(":")[2] for option in options if option.startswith("ndots:")]
                    ndots = int(found[-1]) if found and found[-1].isdigit() else ndots
        return cls(servers, search, ndots)

    def candidates(self, name: str) -> list[str]:
        """The names to be tried, in order. A dot at the end means: as it is.

        >>> Config([], ["default.svc.cluster.local"], 5).candidates("web")
        ['web.default.svc.cluster.local', 'web']
        """
        if name.endswith("."):
            return [name.rstrip(".")]
        searched = [f"{name}.{suffix}" for suffix in self.search]
        return [name, *searched] if name.count(".") >= self.ndots else [*searched, name]


@dataclass
class Found:
    """What a name led to.

    Attributes:
        name: the candidate that was answered, or the last one that was tried.
        failure: why no server answered; empty when one did.
    """

    name: str
    server: str = ""
    replies: list[Reply] = field(default_factory=list)
    failure: str = ""

    @property
    def code(self) -> str:
        return self.replies[0].code if self.replies else ""

    @property
    def addresses(self) -> list[str]:
        return [address for reply in self.replies for address in reply.addresses]


class Resolver:
    """The resolver of one container.

    Args:
        read: the text of a file of the container, or None.
        ask: sends a query to a server.
    """

    def __init__(self, read: Callable[[str], str | None], ask: Ask) -> None:
        self.config = Config.parse(read("/etc/resolv.conf") or "")
        self._hosts = read("/etc/hosts") or ""
        self._ask = ask

    def addresses(self, name: str, families: tuple[str, ...] = ("A", "AAAA")) -> Generator[float, None, Found]:
        """As ``getaddrinfo``: an address stays what it is, /etc/hosts comes first, then DNS. Yields seconds to wait."""
        try:
            literal = str(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            pass
        else:
            return Found(name, replies=[_local(literal)])
        if listed := self._in_hosts(name):
            return Found(name, replies=[_local(address) for address in listed])
        return (yield from self.search(name, families))

    def search(self, name: str, types: tuple[str, ...]) -> Generator[float, None, Found]:
        """Ask DNS for each candidate until one exists. Yields seconds to wait for servers that do not answer."""
        found = Found(name, failure="no nameserver in /etc/resolv.conf")
        for candidate in self.config.candidates(name):
            found = yield from self._first_answer(candidate, types)
            if found.failure or (found.code == NOERROR and any(reply.records for reply in found.replies)):
                return found
        return found

    def _first_answer(self, name: str, types: tuple[str, ...]) -> Generator[float, None, Found]:
        failure = "no nameserver in /etc/resolv.conf"
        for server in self.config.servers:
            for _ in range(ATTEMPTS):
                replies = [self._ask(server, name, type) for type in types]
                answered = [reply for reply in replies if isinstance(reply, Reply)]
                if len(answered) == len(replies):
                    return Found(name, server, answered)
                failure = next(reply for reply in replies if isinstance(reply, str))
                if failure != TIMED_OUT:
                    break
                yield TIMEOUT
        return Found(name, self.config.servers[0] if self.config.servers else "", failure=failure)

    def _in_hosts(self, name: str) -> list[str]:
        lines = (line.partition("#")[0].split() for line in self._hosts.splitlines())
        return [words[0] for words in lines if name in words[1:]]


def _local(address: str) -> Reply:
    return Reply(NOERROR, (Record("", "AAAA" if ":" in address else "A", address, ttl=0),))
