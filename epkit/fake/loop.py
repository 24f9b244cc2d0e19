"""The run loop: what is to be done now, in order, and how time moves on.

Controllers, informers and the kubelet never call each other. They post tasks; the loop runs them one at a time, first
come, first served. That order, and the clock's, are the only order there is: the same requests give the same writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import RLock

from epkit.fake.clock import SETTLE_LIMIT, Clock

#: More tasks than any lesson needs within one settle; beyond it something feeds itself.
TASK_LIMIT = 2_000_000


class Task:
    """A piece of work that is due now; `label` says what it is, for ``step()``."""

    __slots__ = ("run", "label")

    def __init__(self, run: Callable[[], None], label: str) -> None:
        self.run = run
        self.label = label


class Loop:
    """Runs tasks and timers. All of its methods expect :attr:`lock` to be held by their caller, or take it.

    >>> loop = Loop(Clock(0.0))
    >>> loop.post(lambda: print("synced"), "endpointslice: sync default/web")
    >>> loop.run_due()
    synced
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        #: One lock stands around a request, a timer or a step; no I/O happens under it.
        self.lock = RLock()
        self._ready: deque[Task] = deque()
        self._held: list[Callable[[], None]] = []
        #: Events recorded so far: their names must differ at one moment
        self.recorded = 0

    def post(self, run: Callable[[], None], label: str) -> None:
        """Have `run` called as soon as what was posted before is done."""
        self._ready.append(Task(run, label))

    def before_settling(self, run: Callable[[], None]) -> None:
        """Have `run` called at the start of every :meth:`settle`: queues use it to retry what is in back-off, once."""
        self._held.append(run)

    @property
    def idle(self) -> bool:
        """Nothing is due now."""
        timer = self.clock.next_timer()
        return not self._ready and (timer is None or timer.when > self.clock.now)

    def run_due(self) -> None:
        """Run everything that is due at the present moment, and nothing later."""
        with self.lock:
            for _ in range(TASK_LIMIT):
                if self._ready:
                    self._ready.popleft().run()
                elif due := self.clock.take_due():
                    self._ready.extend(Task(timer.run, timer.label) for timer in due if not timer.cancelled)
                else:
                    return
            raise RuntimeError(f"{TASK_LIMIT} tasks at one moment: {self._ready[0].label} keeps feeding itself")

    def run_until(self, moment: float) -> None:
        """Let time pass up to `moment`, running every timer at its own time."""
        with self.lock:
            self.run_due()
            while (timer := self.clock.next_timer()) is not None and timer.when <= moment:
                self.clock.advance_to(timer.when)
                self.run_due()
            self.clock.advance_to(moment)

    def settle(self, limit: float = SETTLE_LIMIT) -> None:
        """Run due work, jumping over waits that a change started and that end by themselves within `limit` seconds."""
        with self.lock:
            for run in self._held:
                run()
            end = self.clock.now + limit
            self.run_due()
            while (timer := self.clock.next_settling()) is not None and timer.when <= end:
                self.run_until(timer.when)

    def step(self) -> str | None:
        """Do the next single thing: a due task, or else the next timer. Returns its label, or None if there is none."""
        with self.lock:
            if not self._ready:
                timer = self.clock.next_timer()
                if timer is None:
                    return None
                self.clock.advance_to(timer.when)
                self._ready.extend(Task(due.run, due.label) for due in self.clock.take_due() if not due.cancelled)
            if not self._ready:
                return None
            task = self._ready.popleft()
            task.run()
            return task.label
