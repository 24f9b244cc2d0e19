"""Programs that ``epkit up --target kind`` runs: with a time limit, a log and progress, and an orderly end on Ctrl-C.

Ctrl-C, SIGTERM and SIGHUP raise nothing by themselves. They are noted, and :meth:`Signals.check` raises at places where
it is known what has been begun. While something is being removed they only get an answer.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, TypeVar

from epkit.errors import EpkitError

#: seconds between two looks at a running program, and between two lines of progress
LOOK, BEAT = 0.05, 10.0
#: seconds that a program has to end by itself once it was told to
GRACE = 3.0

Result = TypeVar("Result")


def say(text: str) -> None:
    """One line of progress, at once even into a pipe."""
    with suppress(OSError):  # a terminal that was closed keeps nothing from being removed
        print(f"epkit: {text}", file=sys.stderr, flush=True)


class TookTooLong(EpkitError):
    """A program was ended because its time was over."""


class Signals:
    """What a person asks for while a cluster is being made.

    >>> with Signals() as signals:
    ...     signals.check()  # raises KeyboardInterrupt after a Ctrl-C
    ...     with signals.shield():
    ...         ...  # is not broken off
    """

    def __init__(self) -> None:
        self._asked = False
        self._shields = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):  # Windows; nohup
                continue
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if somebody asked for the end, and nothing is being removed."""
        if self._asked and not self._shields:
            raise KeyboardInterrupt

    @contextmanager
    def shield(self) -> Iterator[None]:
        """What is done inside is not broken off."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def _note(self, number: int, _: FrameType | None) -> None:
        if self._shields:
            text = "epkit: noted; what was begun is still being removed, and that is not broken off\n"
        else:
            text = f"epkit: {signal.Signals(number).name}: stopping\n"
        self._asked = True
        with suppress(OSError):  # the terminal may be gone; print is not allowed within a handler
            os.write(2, text.encode())


class Step:
    """One thing that takes a while, told when it begins, every ten seconds, and when it is done."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.detail = ""
        self._begin = self._said = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def beat(self) -> None:
        """Tell that it still goes on, if it is time to."""
        now = time.monotonic()
        if now - self._said >= BEAT:
            self._said = now
            say(f"  … {self.seconds:.0f} s" + (f": {self.detail}" if self.detail else ""))


@contextmanager
def step(doing: str) -> Iterator[Step]:
    """Tell what is being done, and how long it took."""
    say(f"{doing} …")
    going = Step(doing)
    yield going
    say(f"  done in {going.seconds:.0f} s")


@dataclass(frozen=True, slots=True)
class Done:
    """A program that has ended: its exit code, its standard output, and everything that it printed."""

    code: int
    stdout: str
    text: str

    @property
    def ok(self) -> bool:
        return self.code == 0


class Programs:
    """Runs programs one at a time, each in a process group of its own, so that Ctrl-C reaches epkit alone.

    Args:
        log: the file that gets every command and everything printed.
        signals: what to look at while a program runs.
        keep: a file descriptor that programs inherit; its lock lasts as long as the last of them.
    """

    def __init__(self, log: Path, signals: Signals, keep: int = -1) -> None:
        self.log = log
        self.signals = signals
        self._keep = keep
        self.environment: Mapping[str, str] = os.environ

    def run(
        self,
        words: Sequence[str],
        limit: float,
        *,
        stdin: str = "",
        step: Step | None = None,
        on_line: Callable[[str], None] | None = None,
        on_look: Callable[[float], None] | None = None,
    ) -> Done:
        """Run a program to its end.

        Args:
            words: program and arguments; no shell reads them.
            limit: seconds that it may take.
            stdin: what it reads.
            step: what it is part of, for the progress.
            on_line: gets each line that it prints.
            on_look: called again and again while it runs, with the seconds so far.

        Raises:
            EpkitError: it cannot be started.
            TookTooLong: it was ended after `limit`.
            KeyboardInterrupt: somebody asked for the end. The program has ended then.
        """
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%H:%M:%S')} $ {' '.join(words)}\n")
            log.flush()
            process = self._start(words, bool(stdin))
            printed: queue.SimpleQueue[tuple[bool, str]] = queue.SimpleQueue()
            readers = [
                threading.Thread(target=_read, args=(pipe, out, printed), daemon=True)
                for pipe, out in ((process.stdout, True), (process.stderr, False))
            ]
            lines: list[tuple[bool, str]] = []

            def take() -> None:
                while not printed.empty():
                    line = printed.get()
                    lines.append(line)
                    log.write(line[1])
                    if on_line is not None:
                        on_line(line[1].rstrip())
                log.flush()

            try:
                for reader in readers:
                    reader.start()
                if process.stdin is not None:
                    with suppress(BrokenPipeError), process.stdin:
                        process.stdin.write(stdin)
                begin = time.monotonic()
                while process.poll() is None:
                    self.signals.check()
                    passed = time.monotonic() - begin
                    if passed > limit:
                        raise TookTooLong(
                            f"`{' '.join(words[:3])}` was not done after {limit:.0f} s. Its output is in {self.log}; "
                            "see whether the machine or the network is very busy, then run the command again."
                        )
                    take()
                    if step is not None:
                        step.beat()
                    if on_look is not None:
                        on_look(passed)
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(LOOK)
            except BaseException:
                _end(process)
                raise
            finally:
                for reader in readers:
                    reader.join(timeout=GRACE)
                take()
            log.write(f"{time.strftime('%H:%M:%S')} = {process.returncode}\n")
        text = "".join(line for _, line in lines)
        return Done(process.returncode, "".join(line for out, line in lines if out), text)

    def aside(self, function: Callable[[], Result]) -> Result:
        """Call a function that may block, and be there for Ctrl-C meanwhile."""
        results: queue.SimpleQueue[tuple[Result | None, Exception | None]] = queue.SimpleQueue()

        def call() -> None:
            try:
                results.put((function(), None))
            except Exception as error:
                results.put((None, error))

        threading.Thread(target=call, daemon=True).start()
        while True:
            self.signals.check()
            with suppress(queue.Empty):
                result, error = results.get(timeout=LOOK)
                if error is not None:
                    raise error
                return result  # type: ignore[return-value]

    def pause(self, seconds: float) -> None:
        """Wait, and be there for Ctrl-C."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.signals.check()
            time.sleep(LOOK)

    def _start(self, words: Sequence[str], reads: bool) -> subprocess.Popen[str]:
        if os.name == "nt":
            alone: dict[str, Any] = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        else:
            alone = {"start_new_session": True, "pass_fds": [self._keep] if self._keep >= 0 else []}
        try:
            return subprocess.Popen(
                words, env=self.environment, stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace", **alone,
            )  # fmt: skip
        except OSError as error:
            raise EpkitError(
                f"{words[0]} cannot be started: {error.strerror or error}. See that `{words[0]} version` works."
            ) from None


def _read(pipe: IO[str], out: bool, printed: queue.SimpleQueue[tuple[bool, str]]) -> None:
    with pipe:
        for line in pipe:
            printed.put((out, line))


def _end(process: subprocess.Popen[str]) -> None:
    """End a program and what it has started."""
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with suppress(ProcessLookupError):
            if os.name == "nt":
                process.terminate()
            else:
                os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=GRACE)
            return
