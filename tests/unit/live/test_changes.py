"""Slices compared: what stands in the margin, and what is left out of large ones."""

from __future__ import annotations

from typing import Any

from epkit.live import page
from epkit.live.changes import MOST_LINES, MOST_OF_PART, Budget, compare
from epkit.objects import Obj
from epkit.views import palette


def slice_of(*addresses: str, **ready: bool) -> Obj:
    endpoints = [
        {"addresses": [address], "conditions": {"ready": ready.get(f"at_{address[-1]}", True)}} for address in addresses
    ]
    return {"addressType": "IPv4", "endpoints": endpoints, "metadata": {"name": "web-1", "resourceVersion": "7"}}


def shown(old: Obj | None, new: Obj | None, **how: Any) -> list[str]:
    return [f"{line.sign} {line.text}" for line in compare(old, new, Budget(), **how)]


def test_a_slice_that_has_not_changed_has_an_empty_margin() -> None:
    same = slice_of("10.0.0.1")
    assert shown(same, same) == [
        "  addressType: IPv4",
        "  endpoints:",
        "  - addresses:",
        "    - 10.0.0.1",
        "    conditions:",
        "      ready: true",
        "  metadata:",
        "    name: web-1",
    ]
    assert shown(same, same, whole=False) == []


def test_a_changed_value_is_an_old_and_a_new_line() -> None:
    lines = shown(slice_of("10.0.0.1", "10.0.0.2"), slice_of("10.0.0.1", "10.0.0.2", at_2=False))
    assert [line for line in lines if line[0] in "+-"] == ["-     ready: true", "+     ready: false"]


def test_beside_a_change_an_endpoint_that_has_not_changed_is_short() -> None:
    assert shown(slice_of("10.0.0.1"), slice_of("10.0.0.1", "10.0.0.2"))[1:5] == [
        "  endpoints:",
        "  - addresses:",
        "    - 10.0.0.1",
        "…   2 lines unchanged",
    ]


def test_an_endpoint_in_front_is_one_addition() -> None:
    lines = shown(slice_of("10.0.0.1"), slice_of("10.0.0.9", "10.0.0.1"))
    added = ["+ - addresses:", "+   - 10.0.0.9", "+   conditions:", "+     ready: true"]
    assert [line for line in lines if line[0] in "+-"] == added


def test_another_order_is_no_change() -> None:
    lines = shown(slice_of("10.0.0.1", "10.0.0.2"), slice_of("10.0.0.2", "10.0.0.1"))
    assert {line[0] for line in lines} == {" "}


def test_one_address_listed_twice_is_two_endpoints() -> None:
    lines = shown(slice_of("10.0.0.1"), slice_of("10.0.0.1", "10.0.0.1"))
    assert [line for line in lines if line[0] in "+-"][1] == "+   - 10.0.0.1"


def test_a_slice_that_came_or_went_is_marked_whole() -> None:
    assert {line[0] for line in shown(None, slice_of("10.0.0.1"))} == {"+"}
    assert {line[0] for line in shown(slice_of("10.0.0.1"), None)} == {"-"}


def test_a_slice_without_endpoints_is_told_from_one_with_null() -> None:
    lines = shown({"endpoints": []}, {"endpoints": None})
    assert lines == ["- endpoints: []", "+ endpoints: null"]


def test_of_a_large_slice_only_the_change_is_shown() -> None:
    addresses = [f"10.0.{number // 250}.{number % 250}" for number in range(1000)]
    old, new = slice_of(*addresses), slice_of(*addresses[:500], "10.9.9.9", *addresses[500:])
    assert shown(old, new, whole=False) == [
        "… 500 endpoints unchanged",
        "+ - addresses:",
        "+   - 10.9.9.9",
        "+   conditions:",
        "+     ready: true",
        "… 500 endpoints unchanged",
    ]


def test_what_there_is_no_room_for_is_counted() -> None:
    lines = shown(None, slice_of(*[f"10.0.0.{number}" for number in range(200)]), whole=False)
    assert len(lines) < MOST_LINES + 10
    assert lines[-1].startswith("… ") and lines[-1].endswith(" more parts left out")


def test_a_large_annotation_is_cut() -> None:
    large = {"metadata": {"annotations": {"note": "\n".join(f"line {number}" * 50 for number in range(5000))}}}
    lines = shown({"metadata": {}}, large)
    assert len(lines) < MOST_OF_PART + 5
    assert max(map(len, lines)) < 200
    assert any("more lines" in line for line in lines)


def test_every_text_reaches_wcags_contrast_on_its_ground() -> None:
    for text, ground in page.PAIRS:
        assert palette.contrast(text, ground) >= 4.5, (text, ground)


def test_the_focus_is_seen_in_both_themes() -> None:
    # A blue line within a white one: whatever is around it, one of the two stands out.
    assert palette.contrast(palette.BLUE, palette.CARD) >= 3
    for around in ("#ffffff", "#111111"):
        assert max(palette.contrast(palette.BLUE, around), palette.contrast(palette.CARD, around)) >= 3
