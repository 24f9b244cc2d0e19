"""Probes of simulated containers: when they are due, what they find, and when that counts.

Source: ``pkg/kubelet/prober/{worker,prober}.go`` and ``pkg/probe`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from epkit.fake import webservers
from epkit.fake.clock import Timer
from epkit.fake.containers import Container
from epkit.fake.webservers import HttpRequest
from epkit.objects import Obj

if TYPE_CHECKING:
    from epkit.fake.podworker import PodWorker

#: the argument vector of an exec probe -> exit code and output
Shell = Callable[[Container, list[str]], tuple[int, str]]

#: what a kubelet's probe calls itself
AGENT = "kube-probe/1.36"
READINESS, LIVENESS, STARTUP = "readiness", "liveness", "startup"


class Probe:
    """One probe of one running container.

    It is tried every ``periodSeconds``. Its result changes when ``failureThreshold`` or ``successThreshold`` tries in
    a row say so. While nothing changes, its timers do not settle: an instant clock does not run after them.
    """

    def __init__(self, worker: PodWorker, container: Container, kind: str) -> None:
        self.worker = worker
        self.container = container
        self.kind = kind
        self.spec: Obj = container.spec[f"{kind}Probe"]
        #: what counts: a container is taken to be alive, and not to be ready, until a probe says otherwise
        self.result: bool | None = {READINESS: False, LIVENESS: True, STARTUP: None}[kind]
        self._last: bool | None = None
        self._in_a_row = 0
        self._timer: Timer | None = None
        self._stopped = False

    def start(self) -> None:
        """First try after ``initialDelaySeconds`` since the start of the container."""
        elapsed = self.worker.now - self.container.started_at
        self.container.changed.append(self.reconsider)
        self._schedule(max(0.0, self.spec.get("initialDelaySeconds", 0) - elapsed))

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.reconsider in self.container.changed:
            self.container.changed.remove(self.reconsider)

    def reconsider(self) -> None:
        """The container has changed: the next try may now matter, or matter no longer."""
        if self._timer is not None and self._timer.settles != self._matters():
            delay = self._timer.when - self.worker.now
            self._timer.cancel()
            self._schedule(delay)

    def _matters(self) -> bool:
        """A try now would be a step towards another result."""
        return self.check()[0] != self.result

    def _schedule(self, delay: float) -> None:
        label = f"{self.kind} probe of {self.worker.key}/{self.container.name}"
        self._timer = self.worker.after(delay, self._try, label, settles=self._matters())

    def _try(self) -> None:
        succeeds, message = self.check(asked=True)
        self._in_a_row = self._in_a_row + 1 if succeeds == self._last else 1
        self._last = succeeds
        if not succeeds:
            text = f"{self.kind.capitalize()} probe failed: {message}"
            self.worker.event("Warning", "Unhealthy", text, self.container)
        needed = self.spec.get("successThreshold", 1) if succeeds else self.spec.get("failureThreshold", 3)
        if self._in_a_row >= needed and self.result != succeeds:
            self.result = succeeds
            self.worker.probed(self)
        if not self._stopped:
            self._schedule(float(self.spec.get("periodSeconds", 10)))

    def check(self, asked: bool = False) -> tuple[bool, str]:
        """Does the container pass now? With the text of the failure where it does not.

        Only when it is really `asked` does a server log the request.
        """
        if command := (self.spec.get("exec") or {}).get("command"):
            code, output = self.worker.shell(self.container, command)
            return code == 0, output
        address = self.worker.ip
        for action in ("httpGet", "tcpSocket", "grpc"):
            if action in self.spec:
                return self._connect(action, self.spec[action], address, asked)
        return True, ""

    def _connect(self, action: str, target: Obj, address: str, asked: bool) -> tuple[bool, str]:
        port = self.container.port_number(target["port"])
        host = target.get("host") or address
        scheme, path = target.get("scheme", "HTTP").lower(), "/" + (target.get("path") or "").lstrip("/")
        url = f"{scheme}://{host}:{port}{path}"
        if self.container.listens(port):
            # What a server says over TLS is not known.
            return self._get(url, port, path, asked) if action == "httpGet" and scheme == "http" else (True, "")
        refused = f"dial tcp {host}:{port}: connect: connection refused"
        if action == "httpGet":
            return False, f'Get "{url}": {refused}'
        if action == "grpc":
            timeout = self.spec.get("timeoutSeconds", 1)
            text = f'timeout: failed to connect service "{host}:{port}" within {timeout}s'
            return False, f"{text}: context deadline exceeded"
        return False, refused


    def _get(self, url: str, port: int, path: str, asked: bool) -> tuple[bool, str]:
        """Any answer from 200 to 399 is a success."""
        worker = self.worker
        request = HttpRequest("GET", path, f"{worker.ip}:{port}", AGENT, str(worker.node.spec.network[1]))
        reply = webservers.answer(worker, self.container, port, request, worker.now, log=asked)
        if reply is None:
            return False, f'Get "{url}": EOF'
        return 200 <= reply.code < 400, f"HTTP probe failed with statuscode: {reply.code}"


def minimal_shell(container: Container, argv: list[str]) -> tuple[int, str]:
    """The few commands that probes are made of: cat, ls, test, true, false; also behind ``sh -c``.

    Any other is taken to be there and to succeed, as an image's own health check does while all is well.
    """
    if len(argv) > 2 and argv[0].rpartition("/")[2] in ("sh", "bash") and argv[1] == "-c":
        import shlex

        argv = shlex.split(argv[2])
    name, operands = argv[0].rpartition("/")[2], [word for word in argv[1:] if word != "]"]
    paths = [word for word in operands if not word.startswith("-")]
    match name:
        case "true":
            return 0, ""
        case "false":
            return 1, ""
        case "test" | "[":
            return (0 if paths and _exists(container, paths[0]) else 1), ""
        case "cat" | "ls":
            for path in paths:
                if not _exists(container, path):
                    verb = "cat: " if name == "cat" else "ls: cannot access "
                    quoted = path if name == "cat" else f"'{path}'"
                    return (1 if name == "cat" else 2), f"{verb}{quoted}: No such file or directory\n"
            shown = [container.read(path) or "" for path in paths] if name == "cat" else [f"{path}\n" for path in paths]
            return 0, "".join(shown)
    return 0, ""


def _exists(container: Container, path: str) -> bool:
    directory = path.rstrip("/") + "/"
    return path in container.files or any(name.startswith(directory) for name in container.files)
