"""The kernel's side of :mod:`epkit.targets.controlplane.supervisor`: start programs that end with this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from epkit.errors import EpkitError

_SCRIPT = Path(__file__).with_name("supervisor.py")
#: seconds for the supervisor to answer, and to end everything
_ANSWER, _END = 10.0, 30.0
#: all that are open: a forked child must not keep their pipes open
_open: weakref.WeakSet[Processes] = weakref.WeakSet()


class Processes:
    """Programs under a supervisor. They end when :meth:`close` is called, or when this process ends, however it does.

    Attributes:
        folder: private, for their data; it goes with them.

    >>> processes = Processes()
    >>> processes.start("etcd", ["/usr/bin/etcd", "--data-dir", str(processes.folder / "etcd")])
    >>> processes.close()

    Raises:
        EpkitError: the supervisor cannot be started.
    """

    def __init__(self) -> None:
        read, write = os.pipe()  # neither is inherited by programs; _forget_pipes looks after forks
        try:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT)],
                stdin=read,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C in a terminal is for the kernel
            )
        except OSError as error:
            os.close(write)
            raise EpkitError(f"No process can be started here: {error.strerror}.") from None
        finally:
            os.close(read)
        self._pipe = write
        self._changed = threading.Condition()
        self._folder = ""
        self._pids: dict[str, int] = {}
        self._codes: dict[str, int] = {}
        self._why: dict[str, str] = {}
        self._gone = False
        _open.add(self)
        threading.Thread(target=self._listen, name="epkit-processes", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._folder or self._gone, _ANSWER)
        if not self._folder:
            self.close()
            raise EpkitError(f"The process that looks after the control plane did not start. Try {sys.executable}.")
        self.folder = Path(self._folder)

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Start a program and return its process id. What it prints goes to :meth:`log`.

        Args:
            env: variables on top of this process's own.

        Raises:
            EpkitError: it cannot be started.
        """
        with self._changed:
            for known in (self._pids, self._codes, self._why):
                known.pop(name, None)
        # etcd takes variables of that prefix for flags, and those are meant for another one.
        ours = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
        message = {"start": name, "argv": list(argv), "env": {**ours, **(env or {})}, "log": str(self.log(name))}
        try:
            _write(self._pipe, json.dumps(message).encode() + b"\n")
        except OSError:
            self._gone = True
        with self._changed:
            self._changed.wait_for(lambda: name in self._pids or name in self._why or self._gone, _ANSWER)
            if name not in self._pids:
                why = self._why.get(name, "the process that looks after it has ended")
                raise EpkitError(f"{argv[0]} cannot be started: {why}.")
            return self._pids[name]

    def log(self, name: str) -> Path:
        """The file with what a program has printed."""
        return self.folder / f"{name}.log"

    def tail(self, name: str, lines: int = 8) -> list[str]:
        """The last lines of its log."""
        try:
            text = self.log(name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-lines:]

    def code(self, name: str) -> int | None:
        """The exit status of a program that has ended; below 0 a signal's; None while it runs."""
        with self._changed:
            return self._codes.get(name, -9 if self._gone else None)

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of what has been started, by name, and of the supervisor under an empty name."""
        return {"": self._supervisor.pid, **self._pids}

    @property
    def closed(self) -> bool:
        return self._pipe < 0

    def close(self) -> None:
        """End all programs, the last started first, and remove their folder. Returns when that is done."""
        if self._pipe < 0:
            return
        os.close(self._pipe)
        self._pipe = -1
        try:
            self._supervisor.wait(_END)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def _listen(self) -> None:
        assert self._supervisor.stdout is not None
        with self._supervisor.stdout as lines:
            for line in lines:
                self._hear(json.loads(line))
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _hear(self, message: dict) -> None:
        with self._changed:
            match message:
                case {"folder": str(folder)}:
                    self._folder = folder
                case {"started": str(name), "pid": int(pid)}:
                    self._pids[name] = pid
                case {"failed": str(name), "why": str(why)}:
                    self._why[name] = why
                case {"ended": str(name), "code": int(code)}:
                    self._codes[name] = code
            self._changed.notify_all()


def _write(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


def _forget_pipes() -> None:
    """In a forked child, such as multiprocessing's: the pipe is not its own, and must end with its parent."""
    for processes in list(_open):
        if processes._pipe >= 0:
            os.close(processes._pipe)
            processes._pipe = -1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pipes)
