"""When a live view draws: at once, then a few times a second at most, and in one thread alone."""

from __future__ import annotations

import asyncio
import threading

import pytest

from epkit.live.pulse import PERIOD, Pulse


class HeldLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 0.0

    def time(self) -> float:
        return self.moment


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def in_held_time(body):  # type: ignore[no-untyped-def]
    """Run a test in an event loop whose time stands still."""

    def run() -> None:
        with asyncio.Runner(loop_factory=HeldLoop) as runner:
            runner.run(body(runner.get_loop()))

    run.__name__ = body.__name__
    run.__doc__ = body.__doc__
    return run


def test_without_a_loop_every_change_is_drawn() -> None:
    drawn: list[None] = []
    pulse = Pulse(lambda: drawn.append(None))
    pulse.changed()
    pulse.changed()
    assert len(drawn) == 2


@in_held_time
async def test_many_changes_are_drawn_at_once_and_once_more_when_the_period_is_over(loop: HeldLoop) -> None:
    drawn: list[float] = []
    pulse = Pulse(lambda: drawn.append(loop.time()), loop.time)
    for _ in range(1000):
        pulse.changed()
    assert drawn == [0.0]
    loop.moment = PERIOD
    await turns()
    assert drawn == [0.0, PERIOD]
    loop.moment = 10.0
    await turns()
    assert len(drawn) == 2


@in_held_time
async def test_a_slow_drawing_is_given_as_long_a_rest(loop: HeldLoop) -> None:
    drawn: list[float] = []

    def slow() -> None:
        drawn.append(loop.time())
        loop.moment += 3.0

    pulse = Pulse(slow, loop.time)
    pulse.changed()
    pulse.changed()
    loop.moment = 5.9
    await turns()
    assert drawn == [0.0]
    loop.moment = 6.0
    await turns()
    assert drawn == [0.0, 6.0]


@in_held_time
async def test_changes_of_other_threads_are_drawn_in_the_own_one(loop: HeldLoop) -> None:
    drawn: list[int] = []
    pulse = Pulse(lambda: drawn.append(threading.get_ident()), loop.time)

    def report() -> None:
        for _ in range(100):
            pulse.changed()

    thread = threading.Thread(target=report)
    thread.start()
    thread.join()
    assert drawn == []
    await turns()
    assert drawn == [threading.get_ident()]


@in_held_time
async def test_what_another_thread_asks_for_is_done_in_the_own_one(loop: HeldLoop) -> None:
    done: list[int] = []
    pulse = Pulse(lambda: None, loop.time)
    thread = threading.Thread(target=lambda: pulse.run(lambda: done.append(threading.get_ident())))
    thread.start()
    thread.join()
    await turns()
    assert done == [threading.get_ident()]


@in_held_time
async def test_a_closed_pulse_draws_no_more(loop: HeldLoop) -> None:
    drawn: list[None] = []
    pulse = Pulse(lambda: drawn.append(None), loop.time)
    pulse.changed()
    pulse.changed()
    pulse.close()
    loop.moment = 1.0
    await turns()
    pulse.changed()
    assert len(drawn) == 1


def test_a_change_that_is_made_while_drawing_does_not_draw_within() -> None:
    drawn: list[None] = []

    def draw() -> None:
        drawn.append(None)
        pulse.changed()

    pulse = Pulse(draw)
    pulse.changed()
    assert len(drawn) == 1


def test_a_drawing_that_fails_leaves_the_pulse_in_order() -> None:
    def fail() -> None:
        raise ValueError

    pulse = Pulse(fail)
    for _ in range(2):
        with pytest.raises(ValueError):
            pulse.changed()
