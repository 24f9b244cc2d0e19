"""A simulated container: what `kubectl exec`, `kubectl logs` and probes find in it.

    container = kubelet.container("default", "web-0", "app")
    container.listens(80), container.read("/etc/hostname")

It has files, environment variables, ports that it listens on and lines that it has logged. Changing them tells the
kubelet's probes, so that a probe that is about to fail is not overlooked by an instant clock.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from epkit.fake import images
from epkit.fake.clock import format_time
from epkit.fake.images import Image
from epkit.objects import Obj

WAITING, RUNNING, TERMINATED = "waiting", "running", "terminated"
#: the back-off of restarts, in seconds: the first, the longest, and after which time it is forgotten
BACKOFF, LONGEST_BACKOFF, BACKOFF_FORGOTTEN = 10, 300, 600


@dataclass
class Ended:
    """How a container's process ended."""

    code: int
    started_at: float
    finished_at: float
    id: str

    @property
    def reason(self) -> str:
        return "Completed" if self.code == 0 else "Error"


@dataclass(eq=False, repr=False)
class Container:
    """One container of a pod, over all its restarts.

    Attributes:
        spec: its part of the pod's spec, not to be changed.
        init: it is an init container; `sidecar`: one that keeps running (``restartPolicy: Always``).
        state: waiting, running or terminated; `why` is the reason of the waiting.
        started: it runs and its startup probe, if it has one, has succeeded.
        ready: its readiness probe, if it has one, succeeds.
    """

    spec: Obj
    pod_uid: str
    base_files: Callable[[], dict[str, str]]
    base_env: Callable[[], dict[str, str]]
    init: bool = False
    state: str = WAITING
    why: str = "ContainerCreating"
    message: str = ""
    started: bool = False
    ready: bool = False
    restarts: int = 0
    started_at: float = 0.0
    ended: Ended | None = None
    before: Ended | None = None  # how the process before this one ended
    changed: list[Callable[[], None]] = field(default_factory=list)
    log_changed: list[Callable[[], None]] = field(default_factory=list)  # told of every line, and of the end
    _files: dict[str, str] | None = None
    _ports: set[int] | None = None
    _lines: list[tuple[float, str]] = field(default_factory=list)
    _before: list[tuple[float, str]] = field(default_factory=list)
    _backoff: int = 0
    _backoff_raised: float = 0.0

    def __repr__(self) -> str:
        return f"<Container {self.name} {self.state} restarts={self.restarts}>"

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def image(self) -> Image:
        return images.find(self.spec.get("image", ""))

    @property
    def sidecar(self) -> bool:
        return self.init and self.spec.get("restartPolicy") == "Always"

    @property
    def running(self) -> bool:
        return self.state == RUNNING

    @property
    def id(self) -> str:
        """The runtime's id of the present process."""
        text = f"{self.pod_uid}/{self.name}/{self.restarts}"
        return "containerd://" + hashlib.sha256(text.encode()).hexdigest()

    @property
    def argv(self) -> list[str]:
        """The command and arguments that the pod gives; empty for those of the image."""
        return [*(self.spec.get("command") or ()), *(self.spec.get("args") or ())]

    # -- ports -----------------------------------------------------------------------------------------------------

    @property
    def ports(self) -> frozenset[int]:
        """The ports that it listens on now; none while it does not run."""
        if not self.running:
            return frozenset()
        if self._ports is not None:
            return frozenset(self._ports)
        known = self.image.ports
        if known is None or (self.image.ends and self.argv):
            known = tuple(port["containerPort"] for port in self.spec.get("ports") or ())
        return frozenset(known)

    def listens(self, port: int) -> bool:
        return port in self.ports

    def listen(self, port: int, on: bool = True) -> None:
        """Start or stop to listen on a port."""
        self._ports = set(self.ports) | {port} if on else set(self.ports) - {port}
        self._tell()

    def port_number(self, port: int | str) -> int:
        """A port by its number or by its name in the container; 0 where there is no such name."""
        if isinstance(port, str) and not port.isdigit():
            named = (entry["containerPort"] for entry in self.spec.get("ports") or () if entry.get("name") == port)
            return next(named, 0)
        return int(port)

    # -- files, environment, log -----------------------------------------------------------------------------------

    @property
    def files(self) -> dict[str, str]:
        """Its files by absolute path. Change them by :meth:`write` and :meth:`remove`, so that probes hear of it."""
        if self._files is None:
            self._files = {**self.image.files, **self.base_files()}
        return self._files

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def write(self, path: str, text: str = "") -> None:
        self.files[path] = text
        self._tell()

    def remove(self, path: str) -> bool:
        """Delete a file, or everything below a directory; False when there was nothing."""
        gone = [name for name in self.files if name == path or name.startswith(path.rstrip("/") + "/")]
        for name in gone:
            del self.files[name]
        self._tell()
        return bool(gone)

    @property
    def env(self) -> dict[str, str]:
        """Its environment variables, those of Services that were there when it started among them."""
        return self.base_env()

    def say(self, now: float, text: str) -> None:
        """Log a line."""
        self._lines.append((now, text))
        self._tell_of_log()

    def log(self, previous: bool = False) -> list[tuple[float, str]]:
        """The lines of its log with the moment of each, or those of the process before the last restart."""
        return list(self._before if previous else self._lines)

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        if self.ended is not None:
            self.before, self.ended = self.ended, None
            self.restarts += 1
        self.state, self.why, self.message = RUNNING, "", ""
        self.started = self.ready = False
        self.started_at = now
        self._files = self._ports = None
        self._before, self._lines = self._lines, []
        if not self.argv:
            stamp = format_time(now)[:19].replace("-", "/").replace("T", " ")
            self._lines = [(now, line.replace("{time}", stamp)) for line in self.image.greeting]
        self._tell()

    def end(self, now: float, code: int) -> None:
        self.ended = Ended(code, self.started_at, now, self.id)
        self.state = TERMINATED
        self.started = self.ready = False
        self._tell_of_log()

    def wait(self, why: str, message: str = "") -> None:
        self.state, self.why, self.message = WAITING, why, message

    def backoff_at(self, now: float) -> int:
        """Seconds to wait before its next restart; none for the first one, or after ten good minutes."""
        if now - self._backoff_raised > BACKOFF_FORGOTTEN:
            self._backoff = 0
        return self._backoff

    def raise_backoff(self, now: float) -> None:
        """It is started again: the next time has to wait longer."""
        self._backoff = min(self._backoff * 2, LONGEST_BACKOFF) if self._backoff else BACKOFF
        self._backoff_raised = now

    def _tell_of_log(self) -> None:
        for notify in tuple(self.log_changed):
            notify()

    def _tell(self) -> None:
        for notify in tuple(self.changed):
            notify()
