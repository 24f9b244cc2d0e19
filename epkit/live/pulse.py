"""Pulse: a few pictures a second at most, however many changes there are, and all of them in one thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

#: Seconds between two drawings, at the least.
PERIOD = 0.2


class Pulse:
    """Calls `draw` after changes: at once after a quiet time, else when :data:`PERIOD` has passed since the last call.

    All calls come in the thread that made the pulse, from its event loop where one runs: a notebook's kernel has one.
    What other threads report is handed to that loop. A drawing that takes long is given as long a rest, so that half of
    the thread's time at the least is left to others. Without a loop every change of the own thread is drawn at once.

    >>> pulse = Pulse(lambda: print("drawn"))
    >>> pulse.changed()
    drawn
    """

    def __init__(self, draw: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._draw = draw
        self._clock = clock
        self._home = threading.get_ident()
        self._loop: asyncio.AbstractEventLoop | None
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._not_before = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._reported = False
        self._drawing = False
        self._closed = False

    @property
    def at_home(self) -> bool:
        """Is this the thread that the pulse was made in?"""
        return threading.get_ident() == self._home

    def changed(self) -> None:
        """Something has changed; called from any thread."""
        if self._closed:
            return
        if self.at_home:
            self._soon()
        elif not self._reported:
            self._reported = True  # one call on its way is enough, however many changes follow it
            if not self._hand_over(self._from_elsewhere):
                self._reported = False

    def run(self, action: Callable[[], None]) -> None:
        """Call `action` in the pulse's own thread: now if this is it, else as soon as its loop is free.

        JupyterLab may have a widget's messages handled in another thread (a kernel's subshell).
        """
        if self.at_home or not self._hand_over(action):
            action()

    def close(self) -> None:
        """No calls any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self, action: Callable[[], None]) -> bool:
        if self._loop is None or self._loop.is_closed():
            return False
        self._loop.call_soon_threadsafe(action)
        return True

    def _from_elsewhere(self) -> None:
        self._reported = False
        if not self._closed:
            self._soon()

    def _soon(self) -> None:
        if self._timer is not None or self._drawing:
            return
        wait = self._not_before - self._clock()
        if self._loop is not None and wait > 0:
            self._timer = self._loop.call_later(wait, self._now)
        else:
            self._now()

    def _now(self) -> None:
        self._timer = None
        if self._closed:
            return
        start = self._clock()
        self._drawing = True
        try:
            self._draw()
        finally:
            self._drawing = False
            end = self._clock()
            self._not_before = end + max(PERIOD, end - start)
