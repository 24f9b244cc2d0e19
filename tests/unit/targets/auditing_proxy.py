"""A reverse proxy on loopback that stands before an API server and writes down every request, as an audit log would.

WebSockets and watches go through it too. Each connection has a thread; nothing is changed on the way.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

import yaml


@dataclass(frozen=True)
class Request:
    """What was asked: the method, the path within the API, its query and the body."""

    method: str
    path: str
    query: str
    body: bytes

    @property
    def parts(self) -> list[str]:
        """The parts of the path after the version."""
        words = self.path.strip("/").split("/")
        return words[2:] if words[0] == "api" else words[3:] if words[0] == "apis" else []

    @property
    def group(self) -> str:
        words = self.path.strip("/").split("/")
        return words[1] if words[0] == "apis" and len(words) > 1 else ""

    @property
    def namespace(self) -> str:
        parts = self.parts
        return parts[1] if parts[:1] == ["namespaces"] and len(parts) > 1 else ""

    @property
    def inside(self) -> bool:
        """Is it of something in a namespace, and not of the namespace itself?"""
        return bool(self.namespace) and len(self.parts) > 2

    @property
    def resource(self) -> str:
        """Its plural, with the group after a dot and the subresource after a slash."""
        rest = self.parts[2:] if self.inside else self.parts
        named = f"{rest[0]}.{self.group}" if self.group else rest[0] if rest else ""
        return f"{named}/{rest[2]}" if len(rest) > 2 else named

    @property
    def name(self) -> str:
        rest = self.parts[2:] if self.inside else self.parts
        return rest[1] if len(rest) > 1 else ""

    @property
    def verb(self) -> str:
        """As RBAC calls it."""
        if self.method == "GET" and self.resource.endswith("/exec"):
            return "get"
        if self.method == "GET" and not self.name:
            return "watch" if parse_qs(self.query).get("watch", ["false"])[0] in ("true", "1") else "list"
        if self.method == "DELETE" and not self.name:
            return "deletecollection"
        return {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[self.method]

    @property
    def writes(self) -> bool:
        """Does it change something, or lead into a pod?"""
        asks = self.group in ("authorization.k8s.io", "authentication.k8s.io") and self.method == "POST"
        return (self.method not in ("GET", "HEAD") and not asks) or self.resource.endswith("/exec")


class AuditingProxy:
    """Stands before the server of a kubeconfig, and writes one for itself.

    >>> with AuditingProxy(kubeconfig, tmp_path / "kubeconfig", context="prod") as proxy:
    ...     connect(proxy.kubeconfig)
    ...     print(proxy.requests)
    """

    def __init__(self, kubeconfig: Path, written: Path, context: str = "epkit") -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        server = urlsplit(document["clusters"][0]["cluster"]["server"])
        assert server.hostname and server.port
        self._upstream = (server.hostname, server.port)
        self._prefix = server.path
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self._address = f"127.0.0.1:{port}"
        document["clusters"][0]["cluster"]["server"] = f"http://{self._address}{server.path}"
        document["contexts"][0]["name"] = document["current-context"] = context
        written.write_text(yaml.safe_dump(document))
        self.kubeconfig = written
        self.requests: list[Request] = []
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> AuditingProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.cut()
        self._socket.close()

    def cut(self) -> None:
        """Take no more connections, and break those off that there are: the server has died."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it was cut already
        self._socket.close()
        for one in list(self._open):
            _end(one)

    @property
    def writes(self) -> list[Request]:
        return [one for one in self.requests if one.writes]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            server = socket.create_connection(self._upstream)
            for one in (client, server):  # pieces go on at once
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open |= {client, server}
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self._pour, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """Requests, one after the other, and after an upgrade whatever comes."""
        try:
            stream = client.makefile("rb")
            while head := self._head(stream):
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
                body = stream.read(int(headers.get("content-length", 0)))
                path, _, query = target.partition("?")
                self.requests.append(Request(method, path.removeprefix(self._prefix), query, body))
                # Host and Origin are those of the server behind.
                told = head.decode("latin-1").replace(self._address, f"{self._upstream[0]}:{self._upstream[1]}")
                server.sendall(told.encode("latin-1") + body)
                if headers.get("upgrade"):
                    while data := stream.read1(65536):
                        server.sendall(data)
        except OSError:
            pass  # one side has gone
        finally:
            _end(server)

    def _head(self, stream: object) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()  # type: ignore[attr-defined]
            if not line:
                return b""
            head += line
        return head

    def _pour(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            pass  # one side has gone
        finally:
            _end(client)


def _end(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself
    one.close()
