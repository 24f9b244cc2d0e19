"""What the server in a simulated container answers to an HTTP request, and what it writes into its log.

nginx and httpd serve the files of the container, so that a page written with ``kubectl exec`` is the page that a client
gets. Images whose purpose is to tell who answers (whoami, hello-app, agnhost, serve_hostname) do so. An image that is
not known answers with its host name. Databases and the like do not speak HTTP.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from epkit.fake import pages
from epkit.fake.podenv import hostname

if TYPE_CHECKING:
    from epkit.fake.containers import Container
    from epkit.fake.podworker import PodWorker

REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Not Allowed"}


@dataclass(frozen=True)
class HttpRequest:
    """A request as the server sees it: `client` is the address it comes from, `host` the Host header."""

    method: str
    path: str
    host: str
    agent: str
    client: str


@dataclass(frozen=True)
class HttpReply:
    """The server's answer; header names as they are sent."""

    code: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return REASONS.get(self.code, "")


@dataclass(frozen=True)
class _Server:
    """One container that is being asked."""

    worker: PodWorker
    container: Container
    port: int
    now: float

    @property
    def hostname(self) -> str:
        return hostname(self.worker.pod)

    @property
    def version(self) -> str:
        """The tag of the image where it is a version, else an empty string."""
        match = re.search(r":v?(\d+(\.\d+)*)[^:/]*$", self.container.spec.get("image", ""))
        return match[1] if match else ""


def answer(
    worker: PodWorker, container: Container, port: int, request: HttpRequest, now: float, log: bool = True
) -> HttpReply | None:
    """The answer of a container on a port that it listens on; None where it does not speak HTTP."""
    name = re.sub(r"(:[^:/]+)?(@[^@]+)?$", "", container.spec.get("image", "")).rpartition("/")[2]
    serve = _SERVERS.get(name, _hostname)
    if serve is None:
        return None
    server = _Server(worker, container, port, now)
    reply = serve(server, request)
    if reply is None:
        return None
    if log and serve in (_nginx, _httpd):
        container.say(now, (_combined if serve is _nginx else _common)(request, reply, now))
    server_name = {name: text for name, text in reply.headers.items() if name == "Server"}
    headers = {**server_name, "Date": _date(now), "Content-Type": "text/plain; charset=utf-8", **reply.headers}
    headers["Content-Length"] = str(len(reply.body.encode()))
    if request.method == "HEAD":
        return HttpReply(reply.code, "", headers)
    return HttpReply(reply.code, reply.body, headers)


# -- servers of files --------------------------------------------------------------------------------------------------


def _nginx(server: _Server, request: HttpRequest) -> HttpReply:
    name = f"nginx/{server.version or '1.29.3'}"
    headers = {"Server": name, "Content-Type": "text/html"}
    code, body = _file(server.container, pages.NGINX_ROOT, request)
    return HttpReply(code, body if code == 200 else pages.nginx_error(code, REASONS[code], name), headers)


def _httpd(server: _Server, request: HttpRequest) -> HttpReply:
    headers = {"Server": f"Apache/{server.version or '2.4.65'} (Unix)", "Content-Type": "text/html"}
    code, body = _file(server.container, pages.HTTPD_ROOT, request)
    return HttpReply(code, body if code == 200 else pages.httpd_error(code, REASONS[code]), headers)


def _file(container: Container, root: str, request: HttpRequest) -> tuple[int, str]:
    if request.method not in ("GET", "HEAD"):
        return 405, ""
    path = posixpath.normpath(root + "/" + urlsplit(request.path).path.lstrip("/"))
    text = container.read(path)
    if text is None and (page := container.read(f"{path}/index.html")) is not None:
        text = page
    if text is None:
        return (403 if path == root else 404), ""
    return 200, text


def _combined(request: HttpRequest, reply: HttpReply, now: float) -> str:
    return f'{_common(request, reply, now)} "-" "{request.agent}" "-"'


def _common(request: HttpRequest, reply: HttpReply, now: float) -> str:
    stamp = datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    size = 0 if request.method == "HEAD" else len(reply.body.encode())
    return f'{request.client} - - [{stamp}] "{request.method} {request.path} HTTP/1.1" {reply.code} {size}'


def _date(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


# -- servers that tell who they are ------------------------------------------------------------------------------------


def _hostname(server: _Server, request: HttpRequest) -> HttpReply:
    return HttpReply(200, f"{server.hostname}\n")


def _whoami(server: _Server, request: HttpRequest) -> HttpReply:
    lines = [
        f"Hostname: {server.hostname}",
        "IP: 127.0.0.1",
        "IP: ::1",
        f"IP: {server.worker.ip}",
        f"RemoteAddr: {request.client}:{_CLIENT_PORT}",
        f"{request.method} {request.path} HTTP/1.1",
        f"Host: {request.host}",
        f"User-Agent: {request.agent}",
        "Accept: */*",
        "",
    ]
    return HttpReply(200, "".join(f"{line}\n" for line in lines))


def _hello_app(server: _Server, request: HttpRequest) -> HttpReply:
    version = (server.version or "1.0") + ".0.0"
    return HttpReply(200, f"Hello, world!\nVersion: {version[:5]}\nHostname: {server.hostname}\n")


def _http_echo(server: _Server, request: HttpRequest) -> HttpReply:
    words = " ".join(server.container.argv)
    match = re.search(r"-text[= ](.+?)(?= -\w|$)", words)
    return HttpReply(200, f"{match[1] if match else 'hello-world'}\n", {"X-App-Name": "http-echo"})


def _agnhost(server: _Server, request: HttpRequest) -> HttpReply:
    """``netexec`` tells what one asks for by its paths; ``serve-hostname`` just says its name."""
    if "netexec" not in server.container.argv:
        return HttpReply(200, server.hostname)
    parts = urlsplit(request.path)
    match parts.path:
        case "/" | "/healthz":
            return HttpReply(200, f"NOW: {_date(server.now)}" if parts.path == "/" else "")
        case "/hostname" | "/hostName":
            return HttpReply(200, server.hostname)
        case "/clientip":
            return HttpReply(200, f"{request.client}:{_CLIENT_PORT}")
        case "/echo":
            return HttpReply(200, parse_qs(parts.query).get("msg", [""])[0])
    return HttpReply(404, "404 page not found\n")


def _serve_hostname(server: _Server, request: HttpRequest) -> HttpReply:
    return HttpReply(200, server.hostname)


def _coredns(server: _Server, request: HttpRequest) -> HttpReply | None:
    """Its health endpoints; on port 53 it speaks DNS."""
    path = {8080: "/health", 8181: "/ready"}.get(server.port)
    if path is None:
        return None
    return HttpReply(200, "OK") if request.path == path else HttpReply(404, "404 page not found\n")


#: the port of every client, where a server shows it
_CLIENT_PORT = 40000
#: by the last part of the image's name; None for what does not speak HTTP
_SERVERS: dict[str, Callable[[_Server, HttpRequest], HttpReply | None] | None] = {
    "nginx": _nginx,
    "nginx-unprivileged": _nginx,
    "httpd": _httpd,
    "whoami": _whoami,
    "hello-app": _hello_app,
    "http-echo": _http_echo,
    "agnhost": _agnhost,
    "serve_hostname": _serve_hostname,
    "coredns": _coredns,
    **dict.fromkeys(("redis", "valkey", "memcached", "postgres", "mysql", "mariadb", "mongo", "rabbitmq")),
}
