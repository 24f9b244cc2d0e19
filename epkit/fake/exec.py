"""``kubectl exec``: find the container, run the command, and let it wait as time goes by.

    session = open_session(plane, "default", "web-0", "", ["curl", "-s", "http://web"])
    pause = session.advance()          # runs until it waits or ends

:func:`execute` drives a session to its end in process; :mod:`epkit.fake.websocket` drives one for
kubectl. Whoever drives it holds the loop's lock around :meth:`Session.advance`, and only there.

Source: ``pkg/registry/core/pod/strategy.go`` (ExecLocation), ``pkg/kubelet/kubelet_pods.go`` (GetExec) and
``k8s.io/kubelet/pkg/cri/streaming`` of Kubernetes v1.36.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import orjson

from epkit.errors import EpkitError
from epkit.executed import Executed
from epkit.fake import commands, webservers
from epkit.fake.commands.run import ERR, OUT, Input, Pause, Run, Steps
from epkit.fake.pods import container_of, pod_of
from epkit.fake.resolver import Resolver
from epkit.fake.traffic import Connection, Source, Traffic
from epkit.fake.webservers import HttpReply, HttpRequest
from epkit.fake.wire import errors

if TYPE_CHECKING:
    from epkit.fake.containers import Container
    from epkit.fake.podworker import PodWorker
    from epkit.fake.simulation import Simulation

NOT_FOUND = 127


class NotStarted(errors.ApiError):
    """The connection is there, but the node could not start the command. kubectl prints the text after ``error:``."""

    @classmethod
    def because(cls, why: str) -> NotStarted:
        return cls(errors.internal(why).status)


class ContainerFiles(MutableMapping[str, str]):
    """The files of a container; what is changed reaches its probes."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def __getitem__(self, path: str) -> str:
        return self._container.files[path]

    def __setitem__(self, path: str, text: str) -> None:
        self._container.write(path, text)

    def __delitem__(self, path: str) -> None:
        self._container.remove(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._container.files)

    def __len__(self) -> int:
        return len(self._container.files)


class PodNetwork:
    """The network as a command in a container finds it.

    Args:
        log: the servers that are asked write what they log.
    """

    def __init__(self, plane: Simulation, container: Container, log: bool = True) -> None:
        self._plane = plane
        self._container = container
        self._log = log

    @cached_property
    def _worker(self) -> PodWorker:
        return self._plane.kubelet.worker_of(self._container)

    @property
    def _source(self) -> Source:
        return Traffic.of(self._worker)

    @property
    def address(self) -> str:
        return self._source.address

    @property
    def node_network(self) -> str:
        return str(self._worker.node.spec.network)

    def connect(self, address: str, port: int) -> Connection:
        return self._plane.traffic.connect(self._source, address, port)

    def http(self, connection: Connection, request: HttpRequest, tls: bool) -> HttpReply | None:
        worker, container = connection.worker, connection.container
        if worker is None or container is None:
            return self._api_server(request, tls)
        return webservers.answer(worker, container, connection.port, request, self._plane.clock.now, self._log)

    def resolver(self) -> Resolver:
        return Resolver(self._container.read, lambda *query: self._plane.traffic.ask(self._source, *query))

    def _api_server(self, request: HttpRequest, tls: bool) -> HttpReply:
        """The API server as somebody sees it who does not say who he is."""
        if not tls:
            return HttpReply(400, "Client sent an HTTP request to an HTTPS server.\n")
        path = request.path.partition("?")[0]
        if path in ("/version", "/healthz", "/livez", "/readyz"):
            answer = self._plane.public(path)
            return HttpReply(answer.code, answer.body.decode(), {"Content-Type": answer.content_type})
        message = f'forbidden: User "system:anonymous" cannot get path "{path}"'
        body = orjson.dumps(errors.status(403, "Forbidden", message, {}), option=orjson.OPT_INDENT_2).decode()
        return HttpReply(403, body, {"Content-Type": "application/json"})


class Session:
    """A command from its start to its end.

    Attributes:
        code: its exit code; None while it runs.
        pause: what it waits for: see :mod:`epkit.fake.commands.run`.
    """

    def __init__(self, plane: Simulation, container: Container, argv: Sequence[str], stdin: Input) -> None:
        self.container = container
        self.argv = list(argv)
        self.stdin = stdin
        self.code: int | None = None
        self.pause: Pause = 0.0
        self._process = container.id
        self._output: list[tuple[int, str]] = []
        self.run = Run(
            container=container,
            files=ContainerFiles(container),
            env=dict(container.env),
            network=PodNetwork(plane, container),
            now=lambda: plane.clock.now,
            emit=lambda stream, text: self._output.append((stream, text)),
            stdin=stdin,
            here=container.spec.get("workingDir") or "/",
        )
        self._steps: Steps | None = None

    def advance(self) -> None:
        """Go on until the command waits for something or ends. Call it with the loop's lock held."""
        if self.code is not None:
            return
        if not self.container.running or self.container.id != self._process:
            self.code = 137  # it went with its container
            return
        try:
            if self._steps is None:
                self._begin()
            if self._steps is not None:
                self.pause = next(self._steps)
        except StopIteration as end:
            self.code = end.value

    def _begin(self) -> None:
        command = commands.find(self.argv[0]) if self.container.image.tools else None
        if command is None:
            self._not_found(self.argv[0])
            return
        result = command(self.run, self.argv[1:])
        if isinstance(result, int):
            self.code = result
        else:
            self._steps = result

    def _not_found(self, name: str) -> None:
        """What runc says, and the exit code that a shell gives for it."""
        why = f"stat {name}: no such file or directory" if "/" in name else "executable file not found in $PATH"
        self.run.err(
            f'OCI runtime exec failed: exec failed: unable to start container process: exec: "{name}": {why}\n'
        )
        self.code = NOT_FOUND

    def take(self) -> list[tuple[int, str]]:
        """What it has printed since the last call: the stream, 1 or 2, and the text."""
        output, self._output = self._output, []
        return output


def open_session(
    plane: Simulation, namespace: str, pod: str, container: str, argv: Sequence[str], stdin: Input | None = None
) -> Session:
    """Start a command in a container. Call it with the loop's lock held.

    Raises:
        ApiError: there is no such pod or container, as the API server says it; :class:`NotStarted` as the node does.
    """
    obj = pod_of(plane.store, namespace, pod)
    name = container_of(obj, container)
    if not argv:
        raise errors.bad_request("you must specify at least 1 command for the container")
    if not obj["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {pod} does not have a host assigned")
    worker = plane.kubelet.worker(namespace, pod)
    if worker is None:
        raise NotStarted.because(f'unable to upgrade connection: container not found ("{name}")')
    if worker.node.stopped:
        target = f"https://{worker.node.internal_ip}:10250/exec/{namespace}/{pod}/{name}"
        raise NotStarted.because(
            f'error sending request: Post "{target}": dial tcp {worker.node.internal_ip}:10250: '
            "connect: no route to host"
        )
    found = next(each for each in worker.everyone if each.name == name)
    if not found.running:
        if found.state == "terminated":
            raise NotStarted.because("unable to upgrade connection: container is in CONTAINER_EXITED state")
        raise NotStarted.because(f'unable to upgrade connection: container not found ("{name}")')
    return Session(plane, found, argv, stdin or Input())


def execute(
    plane: Simulation,
    namespace: str,
    pod: str,
    container: str,
    argv: Sequence[str],
    stdin: str = "",
    sleep: Callable[[float], None] | None = None,
) -> Executed:
    """Run a command in a container to its end; see :meth:`epkit.fake.plane.Plane.exec`."""
    with plane.loop.lock:
        plane.pace.before(plane.loop)
        session = open_session(plane, namespace, pod, container, argv, Input(stdin))
    return run_to_end(plane, session, sleep)


def run_to_end(plane: Simulation, session: Session, sleep: Callable[[float], None] | None = None) -> Executed:
    """Drive a session in process. `sleep` passes seconds of the wall's clock, where time runs with it.

    Raises:
        EpkitError: it waits for what does not come: time stands still, or it would never end.
    """
    output: dict[int, list[str]] = {OUT: [], ERR: []}
    while True:
        with plane.loop.lock:
            plane.pace.before(plane.loop)
            session.advance()
        for stream, text in session.take():
            output[stream].append(text)
        plane.proceed()
        if session.code is not None:
            return Executed("".join(output[OUT]), "".join(output[ERR]), session.code)
        _pass(plane, session, sleep)


def _pass(plane: Simulation, session: Session, sleep: Callable[[float], None] | None) -> None:
    seconds, name = session.pause, " ".join(session.argv)
    if seconds is None or math.isinf(seconds):
        raise EpkitError(f"`{name}` never ends by itself, so its result cannot be had.")
    delay = plane.pace.delay(seconds)
    if delay is None:
        raise EpkitError(f"`{name}` waits {seconds:g} s, and time stands still. Let it run on: cluster.resume().")
    if delay == 0:
        plane.sleep(seconds)
    elif sleep is None:
        raise EpkitError(f"`{name}` waits {seconds:g} s by the wall's clock, and nobody here can wait for that.")
    else:
        sleep(delay)
