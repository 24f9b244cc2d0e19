"""Time and the run loop: what settles, what is never jumped over, and in which order things happen."""

from __future__ import annotations

import pytest

from epkit.fake.clock import Clock, format_micro_time, format_time, parse_time
from epkit.fake.loop import Loop


def loop_with_log() -> tuple[Loop, list[str]]:
    return Loop(Clock(0.0)), []


def test_tasks_run_in_the_order_in_which_they_were_posted() -> None:
    loop, log = loop_with_log()
    loop.post(lambda: (log.append("a"), loop.post(lambda: log.append("c"), "c")), "a")  # type: ignore[arg-type]
    loop.post(lambda: log.append("b"), "b")
    loop.run_due()
    assert log == ["a", "b", "c"]


def test_timers_of_one_moment_run_in_the_order_in_which_they_were_set() -> None:
    loop, log = loop_with_log()
    for name in "abc":
        loop.clock.call_later(1, lambda name=name: log.append(name), settles=True, label=name)
    loop.settle()
    assert log == ["a", "b", "c"]
    assert loop.clock.now == 1.0


def test_settle_jumps_over_waits_that_end_by_themselves() -> None:
    loop, log = loop_with_log()
    loop.clock.call_later(30, lambda: log.append("terminated"), settles=True, label="grace period")
    loop.settle()
    assert log == ["terminated"] and loop.clock.now == 30.0


def test_settle_never_jumps_to_a_lease_or_a_back_off() -> None:
    loop, log = loop_with_log()
    loop.clock.call_later(10, lambda: log.append("lease"), settles=False, label="lease")
    loop.settle()
    assert log == [] and loop.clock.now == 0.0


def test_a_jump_runs_the_background_timers_on_its_way_at_their_own_time() -> None:
    loop, log = loop_with_log()
    loop.clock.call_later(10, lambda: log.append(f"lease at {loop.clock.now:g}"), settles=False, label="lease")
    loop.clock.call_later(20, lambda: log.append(f"pod at {loop.clock.now:g}"), settles=True, label="pod")
    loop.settle()
    assert log == ["lease at 10", "pod at 20"]


def test_waits_of_more_than_a_minute_are_not_jumped_over() -> None:
    loop, log = loop_with_log()
    loop.clock.call_later(61, lambda: log.append("toleration"), settles=True, label="toleration")
    loop.settle()
    assert log == []
    loop.run_until(61)
    assert log == ["toleration"]


def test_a_chain_of_waits_is_followed_for_a_minute_in_all() -> None:
    loop, log = loop_with_log()

    def again() -> None:
        log.append(f"{loop.clock.now:g}")
        loop.clock.call_later(25, again, settles=True, label="again")

    loop.clock.call_later(25, again, settles=True, label="again")
    loop.settle()
    assert log == ["25", "50"]


def test_a_cancelled_timer_does_not_run() -> None:
    loop, log = loop_with_log()
    timer = loop.clock.call_later(1, lambda: log.append("ran"), settles=True, label="x")
    timer.cancel()
    loop.run_until(10)
    assert log == []


def test_step_does_one_thing_and_says_what() -> None:
    loop, log = loop_with_log()
    loop.post(lambda: log.append("task"), "a task")
    loop.clock.call_later(5, lambda: log.append("timer"), settles=False, label="a timer")
    assert loop.step() == "a task" and log == ["task"] and loop.clock.now == 0.0
    assert loop.step() == "a timer" and log == ["task", "timer"] and loop.clock.now == 5.0
    assert loop.step() is None


def test_work_that_feeds_itself_is_stopped_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epkit.fake.loop.TASK_LIMIT", 50)
    loop, _ = loop_with_log()

    def forever() -> None:
        loop.post(forever, "the endless task")

    loop.post(forever, "the endless task")
    with pytest.raises(RuntimeError, match="the endless task keeps feeding itself"):
        loop.run_due()


def test_times_are_written_as_the_api_writes_them() -> None:
    assert format_time(1767225600.9) == "2026-01-01T00:00:00Z"
    assert format_micro_time(1767225600.25) == "2026-01-01T00:00:00.250000Z"
    assert parse_time("2026-01-01T00:00:00Z") == 1767225600.0
    assert parse_time("2026-01-01T01:00:00+01:00") == 1767225600.0
