"""The one owner of time in the fake: a virtual clock and its timers.

Nothing in the fake reads the wall's clock. Time moves when somebody calls :meth:`Clock.advance_to`: the realtime driver
with the wall's seconds, ``settle()`` with jumps, a test by hand.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime

#: Waits up to this many seconds may be jumped over by ``settle()``.
SETTLE_LIMIT = 60.0


class Timer:
    """A function to be called at a moment of virtual time.

    Attributes:
        when: that moment, in seconds since the epoch.
        settles: the wait belongs to a change under way and ends by itself, so an instant clock may jump over it.
        label: what it is for, in words: ``step()`` shows it.
    """

    __slots__ = ("when", "run", "settles", "label", "cancelled", "taken")

    def __init__(self, when: float, run: Callable[[], None], settles: bool, label: str) -> None:
        self.when = when
        self.run = run
        self.settles = settles
        self.label = label
        self.cancelled = False
        self.taken = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Virtual time in seconds since the epoch.

    >>> clock = Clock(0.0)
    >>> timer = clock.call_later(5, lambda: None, settles=True, label="batch period of default/web")
    >>> clock.next_timer().when
    5.0
    """

    def __init__(self, start: float) -> None:
        self.now = start
        self._order = 0
        self._timers: list[tuple[float, int, Timer]] = []
        self._settling: list[tuple[float, int, Timer]] = []

    def timestamp(self) -> str:
        """Now as the API writes it: ``2026-01-01T00:00:00Z``."""
        return format_time(self.now)

    def micro_timestamp(self) -> str:
        """Now as a MicroTime: ``2026-01-01T00:00:00.000000Z``."""
        return format_micro_time(self.now)

    def call_later(self, delay: float, run: Callable[[], None], *, settles: bool, label: str) -> Timer:
        """Call `run` after `delay` seconds. A wait longer than :data:`SETTLE_LIMIT` is never jumped over."""
        timer = Timer(self.now + max(delay, 0.0), run, settles and delay <= SETTLE_LIMIT, label)
        self._order += 1
        entry = (timer.when, self._order, timer)
        heapq.heappush(self._timers, entry)
        if timer.settles:
            heapq.heappush(self._settling, entry)
        return timer

    def next_timer(self) -> Timer | None:
        """The next timer of all, or None."""
        return self._first(self._timers)

    def next_settling(self) -> Timer | None:
        """The next timer that an instant clock may jump to, or None."""
        return self._first(self._settling)

    def take_due(self) -> list[Timer]:
        """The timers that are due now, in order; they are taken off."""
        due: list[Timer] = []
        while (timer := self.next_timer()) is not None and timer.when <= self.now:
            heapq.heappop(self._timers)
            timer.taken = True
            due.append(timer)
        return due

    def advance_to(self, moment: float) -> None:
        """Move time on. Timers that are due by then are the caller's to run, one moment after the other."""
        self.now = max(self.now, moment)

    def _first(self, heap: list[tuple[float, int, Timer]]) -> Timer | None:
        while heap and (heap[0][2].cancelled or heap[0][2].taken):
            heapq.heappop(heap)
        return heap[0][2] if heap else None


def format_time(moment: float) -> str:
    """RFC 3339 in whole seconds, as ``metav1.Time``.

    >>> format_time(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> float:
    """The inverse of :func:`format_time`; fractions of a second and offsets are understood.

    >>> parse_time("1970-01-01T00:01:00Z")
    60.0
    """
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
