"""Values as Go writes them."""

from __future__ import annotations

import random

import pytest

from epkit.kubectl.builtin import gosort, quantity
from epkit.kubectl.builtin.gotext import (
    format_duration,
    human_duration,
    json_text,
    parse_duration,
    plain,
    quote,
    rfc1123,
    syntax,
)


def test_json_escapes_what_html_minds() -> None:
    assert json_text({"b": "<none> & more", "a": [1, None]}) == '{"a":[1,null],"b":"\\u003cnone\\u003e \\u0026 more"}'


def test_print_verbs() -> None:
    value = {"a": ["x", True, None], "b": 1.0, "c": 0.25, "d": 1e21}
    assert plain(value) == "map[a:[x true <nil>] b:1 c:0.25 d:1e+21]"
    assert syntax({"a": ["x", 1, None]}) == 'map[string]interface {}{"a":[]interface {}{"x", 1, interface {}(nil)}}'
    assert quote('tab\t"q" \x01 ü') == '"tab\\t\\"q\\" \\x01 ü"'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-0.5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (136, "2m16s"), (600, "10m"),
        (3 * 3600 - 1, "179m"), (3 * 3600, "3h"), (7 * 3600 + 300, "7h5m"), (9 * 3600, "9h"), (50 * 3600, "2d2h"),
        (9 * 86400, "9d"), (800 * 86400, "2y70d"), (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_times_are_in_utc() -> None:
    assert rfc1123("2026-11-22T05:47:20Z") == "Sun, 22 Nov 2026 05:47:20 +0000"
    assert rfc1123("2026-11-22T07:47:20.123456+02:00") == "Sun, 22 Nov 2026 05:47:20 +0000"
    assert rfc1123(None) == "Mon, 01 Jan 0001 00:00:00 +0000"


def test_durations() -> None:
    assert [parse_duration(text) for text in ("0", "1h1m1.5s", "500ms", "-2s")] == [0, 3661.5, 0.5, -2]
    assert [format_duration(seconds) for seconds in (0, 0.5, 90, 3600)] == ["0s", "500ms", "1m30s", "1h0m0s"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("5", 'time: missing unit in duration "5"'),
        ("x", 'time: invalid duration "x"'),
        ("1y", 'time: unknown unit "y" in duration "1y"'),
    ],
)
def test_durations_that_are_none(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_duration(text)


def test_quantities() -> None:
    total = quantity.parse("100m") + quantity.parse("1")
    assert quantity.text(total) == "1100m"
    assert quantity.text(quantity.parse("64Mi") * 2, binary=True) == "128Mi"
    assert quantity.text(quantity.parse("0")) == "0"
    assert quantity.parse("1e3") == 1000


def test_sort_keeps_equals_in_order_up_to_twelve() -> None:
    pairs = [(1, "a"), (0, "b"), (1, "c"), (0, "d")]
    assert gosort.sort(pairs, lambda a, b: a[0] < b[0]) == [(0, "b"), (0, "d"), (1, "a"), (1, "c")]


@pytest.mark.parametrize("length", [0, 1, 12, 13, 50, 300])
@pytest.mark.parametrize("spread", [1, 3, 1000])
def test_sort_sorts(length: int, spread: int) -> None:
    generator = random.Random(length * spread)
    values = [generator.randrange(spread) for _ in range(length)]
    assert gosort.sort(values, lambda a, b: a < b) == sorted(values)
    assert gosort.sort(sorted(values, reverse=True), lambda a, b: a < b) == sorted(values)
