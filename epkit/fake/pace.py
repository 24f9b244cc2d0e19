"""How virtual time moves: on the wall's seconds, in jumps, or not at all."""

from __future__ import annotations

from collections.abc import Callable

from epkit.fake.loop import Loop


class Pace:
    """What happens to time around a request. The base is the paused clock: nothing moves but by ``step()``.

    Both methods are called with the loop's lock held: `before` a request is answered, `after` its answer has gone out.
    """

    name = "paused"

    def before(self, loop: Loop) -> None:
        """Bring time up to the moment of the request."""

    def after(self, loop: Loop) -> None:
        """Do what the request has started."""

    def next_due(self, loop: Loop) -> float | None:
        """Seconds of the wall's clock until something is due by itself, or None."""
        return None

    def delay(self, seconds: float) -> float | None:
        """Seconds of the wall's clock that a wait of so many virtual ones takes: 0 where time jumps, None for ever."""
        return None


class Instant(Pace):
    """After a change everything settles at once, over waits that end by themselves within a minute."""

    name = "instant"

    def after(self, loop: Loop) -> None:
        loop.settle()

    def delay(self, seconds: float) -> float | None:
        return 0.0


class Realtime(Pace):
    """Virtual time runs with the wall's, or `speed` times as fast.

    Args:
        wall: the wall's seconds, such as :func:`time.time`; the core has no clock of its own.
    """

    name = "realtime"

    def __init__(self, wall: Callable[[], float], now: float, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"the speed of a clock is above 0, not {speed:g}; pause() stops it")
        self._wall = wall
        self._from_wall = wall()
        self._from = now
        self.speed = speed

    def before(self, loop: Loop) -> None:
        loop.run_until(self._now())

    def after(self, loop: Loop) -> None:
        loop.run_until(self._now())

    def next_due(self, loop: Loop) -> float | None:
        timer = loop.clock.next_timer()
        if timer is None:
            return None
        return max(0.0, (timer.when - self._now()) / self.speed)

    def delay(self, seconds: float) -> float | None:
        return seconds / self.speed

    def _now(self) -> float:
        return self._from + (self._wall() - self._from_wall) * self.speed
