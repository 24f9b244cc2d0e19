"""A process of its own that looks after the control plane's processes, and ends them with whoever started it.

It is run as a script, with nothing but the standard library. Its standard input is a pipe whose other end only the
kernel holds: when the kernel ends, in whatever way, the pipe is at its end. Then the children are ended, the last
started first, and the folder is removed.

One line of JSON is one message. In: ``{"start": NAME, "argv": […], "env": {…}, "log": FILE}``. Out:
``{"folder": PATH}`` first, then ``{"started": NAME, "pid": N}``, ``{"failed": NAME, "why": TEXT}`` and
``{"ended": NAME, "code": N}``; a code below 0 is a signal's.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

#: seconds that a child has to end by itself
GRACE = 4.0
_PR_SET_PDEATHSIG = 1


class Supervisor:
    """The children, in the order of their start."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="epkit-controlplane-")  # 0700
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._rest = b""

    def run(self) -> None:
        """Do what is asked until the pipe ends or a signal comes."""
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        stop: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _: stop.append(received))
        selector = selectors.DefaultSelector()
        selector.register(0, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        self.say(folder=self.folder)
        while not stop:
            for key, _ in selector.select():
                if key.fd == 0:
                    if not self._read():
                        return
                else:
                    os.read(woken, 4096)
            self._reap()

    def _read(self) -> bool:
        """Take the messages that are there; False at the end of the pipe."""
        data = os.read(0, 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._start(json.loads(line))
        return bool(data)

    def _start(self, message: dict[str, Any]) -> None:
        name = message["start"]
        try:
            with open(message["log"], "ab") as log:
                child = subprocess.Popen(
                    message["argv"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=message["env"],
                    cwd=self.folder,
                    preexec_fn=_die_with(os.getpid()),  # this process has one thread
                )
        except (OSError, subprocess.SubprocessError) as error:
            self.say(failed=name, why=str(error))
            return
        self.children.pop(name, None)
        self.children[name] = child
        self.say(started=name, pid=child.pid)

    def _reap(self) -> None:
        for name, child in list(self.children.items()):
            if child.poll() is not None:
                del self.children[name]
                self.say(ended=name, code=child.returncode)

    def end(self) -> None:
        """End all children, the last started first, and remove the folder."""
        for child in reversed(list(self.children.values())):
            _end(child)
        shutil.rmtree(self.folder, ignore_errors=True)

    def say(self, **message: Any) -> None:
        """Tell the kernel, if it still listens."""
        try:
            os.write(1, json.dumps(message).encode() + b"\n")
        except OSError:
            pass


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    deadline = time.monotonic() + GRACE
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if child.poll() is None:
        child.kill()
        child.wait()


def _die_with(parent: int) -> Any:
    """What a child does first on Linux: have itself killed should this process be. It goes by the starting thread."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)

    return prepare


if __name__ == "__main__":
    supervisor = Supervisor()
    try:
        supervisor.run()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        supervisor.end()
