"""A proxy in front of an API server that writes down every request which is no read, and changes nothing.

It speaks plain HTTP/1.1 and passes upgraded connections (exec) through as they are.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Recorded:
    """One request that may change something.

    Attributes:
        path: with its query.
    """

    method: str
    path: str
    body: bytes


class RecordingProxy:
    """Listens on a port of 127.0.0.1 and forwards to a server.

    >>> with RecordingProxy("http://127.0.0.1:8001/k/secret") as proxy:
    ...     proxy.url
    'http://127.0.0.1:40123/k/secret'
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = parts._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self.prefix = parts.path
        self.recorded: list[Recorded] = []
        self.reads = 0

    def __enter__(self) -> RecordingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def writes(self) -> list[Recorded]:
        """What may have changed something, with paths as the API server sees them."""
        return [Recorded(one.method, one.path.removeprefix(self.prefix), one.body) for one in self.recorded]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._upstream)
            threading.Thread(target=self._pass_back, args=(server, client), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            pass
        finally:
            _end(client)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        try:
            with client.makefile("rb") as stream:
                while head := _head(stream):
                    line, *fields = head.decode("latin-1").split("\r\n")
                    method, path, _ = line.split(" ", 2)
                    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in fields)}
                    body = stream.read(int(headers.get("content-length") or 0))
                    upgraded = "upgrade" in headers
                    # A command in a container is asked for with GET, and may change what is in there.
                    if method not in ("GET", "HEAD") or upgraded:
                        self.recorded.append(Recorded("UPGRADE" if upgraded else method, path, body))
                    else:
                        self.reads += 1
                    host = f"Host: {self._upstream[0]}:{self._upstream[1]}".encode()
                    # What names the proxy is put right, as for a server that looks whom it is called by.
                    names = (b"host:", b"origin:")
                    kept = [one for one in head.split(b"\r\n") if not one.lower().startswith(names)]
                    server.sendall(b"\r\n".join([*kept, host]) + b"\r\n\r\n" + body)
                    if upgraded:
                        while data := stream.read1(65536):
                            server.sendall(data)
        except OSError:
            pass
        finally:
            _end(server)


def _head(stream: object) -> bytes:
    """The request line and the headers, without the empty line; nothing at the end of the connection."""
    lines = []
    while line := stream.readline():  # type: ignore[attr-defined]
        if line == b"\r\n":
            return b"\r\n".join(lines)
        lines.append(line.rstrip(b"\r\n"))
    return b""


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
