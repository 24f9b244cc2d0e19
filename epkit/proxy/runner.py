"""When kube-proxy syncs: at once when something changed, but never twice within a second.

Source: pkg/proxy/runner/bounded_frequency_runner.go of Kubernetes v1.36.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from epkit.proxy.errors import SyncError

T = TypeVar("T")


class ManualClock:
    """A clock that stands still until it is moved. Call it for the time in seconds.

    >>> clock = ManualClock()
    >>> clock.advance(2.5)
    >>> clock()
    2.5
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError(f"a clock does not go back: advance({seconds})")
        self._now += seconds


class BoundedFrequencyRunner(Generic[T]):
    """Runs a function when it is asked to, with at least `min_interval` seconds between two runs.

    Requests that come in between are served by one run at the end of the interval: that is how a rolling update of a
    hundred pods becomes a few syncs. Where the function fails (`SyncError`) it is run again after `retry_interval`.
    Without any request it runs every `max_interval`. The defaults are kube-proxy's.

    There is no thread: whoever moves the clock calls `tick`.

    >>> clock, runs = ManualClock(), []
    >>> runner = BoundedFrequencyRunner(lambda: runs.append(clock()), clock)
    >>> for _ in range(30):  # a change every 0.1 s
    ...     runner.run()
    ...     _ = runner.tick()
    ...     clock.advance(0.1)
    >>> len(runs)
    3
    """

    def __init__(
        self,
        function: Callable[[], T],
        now: Callable[[], float],
        *,
        min_interval: float = 1.0,
        retry_interval: float = 30.0,
        max_interval: float = 3600.0,
    ) -> None:
        self.function, self.now = function, now
        self.min_interval, self.retry_interval, self.max_interval = min_interval, retry_interval, max_interval
        self.last_run: float | None = None
        self.last_error: SyncError | None = None
        self._requested = False
        self._retry_at: float | None = None

    def run(self) -> None:
        """Ask for a run as soon as it is allowed. Asking twice is asking once."""
        self._requested = True

    @property
    def next_run(self) -> float:
        """When the function will run next, if nothing else happens. It may lie in the past: then `tick` runs it."""
        if self.last_run is None:
            return self.now() if self._requested else self.now() + self.max_interval
        times = [self.last_run + self.max_interval]
        if self._requested:
            times.append(self.last_run + self.min_interval)
        if self._retry_at is not None:
            times.append(self._retry_at)
        return min(times)

    def tick(self) -> T | None:
        """Run the function if its time has come, and return its result; else None.

        A failure is kept in `last_error`.
        """
        if self.next_run > self.now() + 1e-9:  # clocks add up rounding errors
            return None
        self._requested, self._retry_at = False, None
        self.last_run = self.now()
        try:
            result = self.function()
        except SyncError as error:
            self.last_error = error
            self._retry_at = self.now() + self.retry_interval
            return None
        self.last_error = None
        return result
