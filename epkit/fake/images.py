"""What is known of container images: on which ports they listen, how they end, what they print.

Every image starts. One that is not listed here listens on the ports that its container declares.
"""
from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from epkit.fake import pages
from epkit.objects import Obj


@dataclass(frozen=True)
class Image:
    """How a container of an image behaves when nothing else is said.

    Attributes:
        ports: the ports that it listens on; None for those that the container declares.
        ends: it has nothing to serve: without a long-running command it ends at once.
        stop_time: seconds from SIGTERM to its exit.
        greeting: what it logs when it starts.
        size: in bytes, for the event of its pull.
        tools: it has a shell and the usual commands; else nothing but its own program can be run in it.
        files: what is in it, as far as anybody looks.
    """

    ports: tuple[int, ...] | None = None
    ends: bool = False
    stop_time: float = 0.5
    greeting: tuple[str, ...] = ()
    size: int = 52_428_800
    tools: bool = True
    files: Mapping[str, str] = field(default_factory=dict)


_NGINX = (
    "/docker-entrypoint.sh: /docker-entrypoint.d/ is not empty, will attempt to perform configuration",
    "/docker-entrypoint.sh: Looking for shell scripts in /docker-entrypoint.d/",
    "/docker-entrypoint.sh: Configuration complete; ready for start up",
    "{time} [notice] 1#1: using the \"epoll\" event method",
    "{time} [notice] 1#1: start worker processes",
)
_NGINX_FILES = {f"{pages.NGINX_ROOT}/index.html": pages.NGINX_WELCOME}
_TOOLS = Image(ports=(), ends=True, size=4_433_000)

#: by the last part of the repository's name
KNOWN: dict[str, Image] = {
    "nginx": Image((80,), stop_time=0.05, greeting=_NGINX, size=72_324_501, files=_NGINX_FILES),
    "nginx-unprivileged": Image((8080,), stop_time=0.05, greeting=_NGINX, size=72_324_501, files=_NGINX_FILES),
    "httpd": Image(
        (80,),
        greeting=("AH00094: Command line: 'httpd -D FOREGROUND'",),
        size=45_200_000,
        files={f"{pages.HTTPD_ROOT}/index.html": pages.HTTPD_WELCOME},
    ),
    "caddy": Image((80, 443), size=20_000_000),
    "haproxy": Image(stop_time=0.05),
    "traefik": Image((80,)),
    "whoami": Image((80,), greeting=("Starting up on port 80",), size=2_900_000, tools=False),
    "http-echo": Image((5678,), greeting=("[INFO] server is listening on :5678",), size=4_000_000, tools=False),
    "httpbin": Image((80,)),
    "hello-app": Image((8080,), greeting=("Server listening on port 8080",), size=11_500_000),
    "node-hello": Image((8080,)),
    "echoserver": Image((8080,)),
    "serve_hostname": Image((9376,)),
    "guestbook": Image((3000,)),
    "redis": Image((6379,), greeting=("* Ready to accept connections tcp",), size=28_900_000),
    "valkey": Image((6379,), greeting=("* Ready to accept connections tcp",)),
    "memcached": Image((11211,)),
    "postgres": Image((5432,), greeting=("LOG:  database system is ready to accept connections",), size=160_000_000),
    "mysql": Image((3306, 33060), greeting=("[System] [MY-010931] [Server] ready for connections.",)),
    "mariadb": Image((3306,)),
    "mongo": Image((27017,)),
    "rabbitmq": Image((5672, 15672)),
    "coredns": Image(
        (53, 8080, 8181, 9153), greeting=(".:53", "CoreDNS-1.14.2", "linux/amd64"), size=23_500_000, tools=False
    ),
    "pause": Image((), stop_time=0.05, size=320_448, tools=False),
    "busybox": _TOOLS,
    "alpine": _TOOLS,
    "bash": _TOOLS,
    "debian": _TOOLS,
    "ubuntu": _TOOLS,
    "perl": _TOOLS,
    "python": _TOOLS,
    "curl": _TOOLS,
    "jessie-dnsutils": _TOOLS,
    "hello-world": Image((), ends=True, greeting=("", "Hello from Docker!"), size=10_000, tools=False),
}
_OTHER = Image()


def find(reference: str) -> Image:
    """What is known of an image.

    >>> find("docker.io/library/nginx:1.29").ports
    (80,)
    """
    repository = re.sub(r"(:[^:/]+)?(@[^@]+)?$", "", reference)
    return KNOWN.get(repository.rpartition("/")[2], _OTHER)


def full_name(reference: str) -> str:
    """The reference with registry and tag, as the container runtime reports it.

    >>> full_name("nginx")
    'docker.io/library/nginx:latest'
    """
    registry, slash, rest = reference.partition("/")
    if not slash:
        reference = f"docker.io/library/{reference}"
    elif not ("." in registry or ":" in registry or registry == "localhost"):
        reference = f"docker.io/{reference}"
    last = reference.rpartition("/")[2]
    return reference if ":" in last or "@" in last else f"{reference}:latest"


def image_id(reference: str) -> str:
    """The digest form of a reference; the digest is made up, the same for the same image everywhere."""
    name = full_name(reference)
    if "@" in name:
        return name
    return f"{re.sub(r':[^:/]+$', '', name)}@sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def pull(container: Obj, present: set[str]) -> list[tuple[str, str]]:
    """What the kubelet reports, as (reason, message), before it starts a container; `present` are the node's images.

    Source: ``pkg/kubelet/images/image_manager.go`` of Kubernetes v1.36.
    """
    reference, policy = container.get("image", ""), container.get("imagePullPolicy")
    name = full_name(reference)
    if policy == "Never" or (policy != "Always" and name in present):
        return [("Pulled", f'Container image "{reference}" already present on machine and can be accessed by the pod')]
    present.add(name)
    size = find(reference).size
    took = f"{300 + size % 700}ms"
    text = f'Successfully pulled image "{reference}" in {took} ({took} including waiting). Image size: {size} bytes.'
    return [("Pulling", f'Pulling image "{reference}"'), ("Pulled", text)]
