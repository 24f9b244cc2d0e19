"""From four programs to a control plane that answers: start one after the other, and wait until each is ready."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from epkit.errors import EpkitError
from epkit.targets import learner
from epkit.targets.controlplane.binaries import NAMES, Binaries
from epkit.targets.controlplane.components import ADMIN, LOOPBACK, MASTERS, MEMORY, Files, Flags, Ports, command
from epkit.targets.controlplane.processes import Processes

#: seconds that all of it may take, that one question may take, and between two of them
LONGEST, _QUESTION, _PAUSE = 60.0, 2.0, 0.05
#: progress is told after so many seconds
SILENCE = 2.0
#: what each program is asked to know that it is ready
_READY = {
    "etcd": "/health",
    "kube-apiserver": "/readyz",
    "kube-controller-manager": "/healthz",
    "kube-scheduler": "/healthz",
}
#: how often a program gets other ports when somebody else was quicker
_TRIES = 3


class ControlPlaneProcesses:
    """A running control plane.

    Args:
        flags: flags by program, on top of epkit's own.
        audit: where kube-apiserver writes its audit log.
        port: kube-apiserver's; any free one if 0.
        tell: shows a line of progress.

    Attributes:
        server: kube-apiserver's URL.
        kubeconfig: the administrator's.

    Raises:
        EpkitError: a program ended, or was not ready after a minute; the text has its last lines and where its log is.
    """

    def __init__(
        self,
        binaries: Binaries,
        flags: Flags | None = None,
        audit: Path | None = None,
        port: int = 0,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._binaries, self._flags, self._audit, self._tell = binaries, flags or {}, audit, tell
        self._begun, self._told = time.monotonic(), 0.0
        self.processes = Processes()
        try:
            self.files = Files(self.processes.folder)
            self._ports = _free_ports()
            if port:
                self._ports = replace(self._ports, kube_apiserver=port)
            self._fixed = port
            self._start("etcd")
            self._await("etcd")
            self._start("kube-apiserver")
            self._await("kube-apiserver")
            self.server = f"https://{LOOPBACK}:{self._ports.kube_apiserver}"
            file = self.processes.folder / "kubeconfig"
            self.kubeconfig = self.files.kubeconfig(file, self.server, ADMIN, MASTERS)
            for name in NAMES[2:]:
                self._start(name)
            for name in NAMES[2:]:
                self._await(name)
        except BaseException:
            self.close()
            raise

    @property
    def port(self) -> int:
        """kube-apiserver's."""
        return self._ports.kube_apiserver

    def check(self) -> None:
        """Raise EpkitError if one of the programs has ended."""
        for name in NAMES:
            if self.processes.code(name) is not None:
                raise self._ended(name)

    def close(self) -> None:
        """End everything; nothing is left."""
        self.processes.close()

    # -- start ---------------------------------------------------------------------------------------------------------

    def _start(self, name: str) -> None:
        flags = self._flags.get(name, {})
        argv = [self._binaries.paths[name], *command(name, self.files, self._ports, flags, self._audit)]
        self.processes.start(name, argv, MEMORY[name])

    def _await(self, name: str) -> None:
        """Wait until a program says that it is ready."""
        context, said, tries = self._tls(name), "", 1
        while said != "ready":
            if self.processes.code(name) is not None:
                if tries >= _TRIES or not self._port_was_taken(name):
                    raise self._ended(name)
                tries += 1
                self._ports = _others(self._ports, name)
                if name == "etcd":  # what it has begun to write knows its first ports
                    shutil.rmtree(self.files.etcd_data, ignore_errors=True)
                self._start(name)
            said = self._ask(name, context)
            passed = time.monotonic() - self._begun
            if passed > LONGEST:
                raise EpkitError(
                    f"{name} was not ready after {LONGEST:g} s ({said}). Is the machine busy, or short of memory? "
                    + self._last_lines(name)
                )
            if said != "ready":
                if passed - self._told >= SILENCE:
                    self._told = passed
                    self._tell(f"… {passed:.0f} s: {name} is starting")
                time.sleep(_PAUSE)

    def _ask(self, name: str, context: ssl.SSLContext) -> str:
        """ "ready", or what is in the way."""
        connection = http.client.HTTPSConnection(LOOPBACK, self._ports.of(name), timeout=_QUESTION, context=context)
        try:
            connection.request("GET", _READY[name])
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        finally:
            connection.close()
        if answer.status == 200 and (name != "etcd" or '"health":"true"' in text.replace(" ", "")):
            return "ready"
        failed = [line for line in text.splitlines() if line.startswith("[-]")]
        return f"{answer.status}: {'; '.join(failed) or text.strip()[:200]}"

    def _tls(self, name: str) -> ssl.SSLContext:
        files = self.files
        if name == "etcd":
            context = ssl.create_default_context(cafile=str(files.etcd_ca.file))
            pair = files.etcd_client
        else:
            context = ssl.create_default_context(cafile=str(files.ca.file))
            pair = files.user(ADMIN, MASTERS)
        context.load_cert_chain(pair.certificate, pair.key)
        return context

    # -- failure -------------------------------------------------------------------------------------------------------

    def _port_was_taken(self, name: str) -> bool:
        if name == "kube-apiserver" and self._fixed:
            return False
        return any("address already in use" in line.lower() for line in self.processes.tail(name, 50))

    def _ended(self, name: str) -> EpkitError:
        code = self.processes.code(name)
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit status {code}"
        return EpkitError(f"{name} ended {how}. {self._last_lines(name)}")

    def _last_lines(self, name: str) -> str:
        """The end of its log, which is kept, since the folder goes."""
        lines = "\n".join(f"  {line[:300]}" for line in self.processes.tail(name))
        kept = learner.home() / "logs" / f"{name}.log"
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.processes.log(name), kept)
        except OSError as error:
            return f"It said:\n{lines or '  nothing'}\nIts log could not be kept in {kept}: {error.strerror}."
        return f"It said, at the end of {kept}:\n{lines or '  nothing'}"


def _free_ports() -> Ports:
    """Ports that nobody listens on now. Somebody else may be quicker: then a program gets others."""
    sockets = [socket.socket() for _ in range(5)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return Ports(*(each.getsockname()[1] for each in sockets))
    finally:
        for each in sockets:
            each.close()


def _others(ports: Ports, name: str) -> Ports:
    """The same with other ports for one program."""
    fresh = _free_ports()
    if name == "etcd":
        return replace(ports, etcd=fresh.etcd, etcd_peer=fresh.etcd_peer)
    field = name.replace("-", "_")
    return replace(ports, **{field: getattr(fresh, field)})
