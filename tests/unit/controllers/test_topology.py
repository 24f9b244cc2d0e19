"""Hints by the zones' CPUs and by trafficDistribution: the tables of ``topologycache`` and ``trafficdist``."""
from __future__ import annotations

from typing import Any

import pytest
from endpoints_double import make_node

from epkit.fake.controllers.endpointslice.quantity import milli_value
from epkit.fake.controllers.endpointslice.topology import (
    Allocation,
    TopologyCache,
    giving_and_receiving_zones,
    hints_of_slice,
    redistribute_hints,
)
from epkit.fake.controllers.endpointslice.trafficdist import reconcile_hints
from epkit.fake.controllers.endpointslice.utils import SlicesByAction
from epkit.objects import Obj, copy


def endpoint(zone: str = "", hint: str = "", ready: bool | None = True, node: str = "") -> Obj:
    made: Obj = {"addresses": ["10.1.2.3"], "conditions": {} if ready is None else {"ready": ready}}
    if zone:
        made["zone"] = zone
    if hint:
        made["hints"] = {"forZones": [{"name": each} for each in hint.split(",")]}
    if node:
        made["nodeName"] = node
    return made


def slice_of(*endpoints: Obj, name: str = "s") -> Obj:
    return {"metadata": {"name": name}, "addressType": "IPv4", "endpoints": list(endpoints)}


def hints_in(slices: list[Obj]) -> list[Any]:
    return [
        ",".join(zone["name"] for zone in each["hints"]["forZones"]) if "hints" in each else None
        for slice in slices
        for each in slice["endpoints"]
    ]


def cache_with(**ratios: float) -> TopologyCache:
    cache = TopologyCache()
    cache.cpu_ratios_by_zone = dict(ratios) or None
    return cache


# -- The zones' shares


@pytest.mark.parametrize(
    ("nodes", "ratios"),
    [
        ([], None),
        ([("a", "1000m", True)], None),
        ([("a", "1000m", True), ("a", "1000m", True)], None),
        ([("a", "1000m", True), ("b", "1000m", True)], {"a": 0.5, "b": 0.5}),
        ([("a", "1000m", True), ("b", "3", True)], {"a": 0.25, "b": 0.75}),
        ([("a", "1", True), ("b", "1", True), ("b", "1", False)], {"a": 0.5, "b": 0.5}),
        ([("a", "1", True), ("b", "1", True), ("", "1", True)], None),
        ([("a", "1", True), ("b", "1", True), ("b", "0", True)], None),
        ([("a", "1", True), ("b", "1", False)], None),
    ],
)
def test_zone_ratios(nodes: list[tuple[str, str, bool]], ratios: dict[str, float] | None) -> None:
    cache = TopologyCache()
    cache.set_nodes(make_node("node", zone, cpu=cpu, ready=ready) for zone, cpu, ready in nodes)
    assert cache.cpu_ratios_by_zone == ratios


@pytest.mark.parametrize("label", ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"])
def test_control_plane_nodes_do_not_count(label: str) -> None:
    cache = TopologyCache()
    cache.set_nodes([make_node("a", "a"), make_node("b", "b"), make_node("c", "", **{label: ""})])
    assert cache.cpu_ratios_by_zone == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("quantity", "millis"),
    [("4", 4000), ("1500m", 1500), ("0.1", 100), (2, 2000), ("1k", 1_000_000), ("1Ki", 1_024_000), ("1e2", 100_000),
     ("100u", 1), ("0", 0), ("four", 0), ("4x", 0)],
)
def test_quantities(quantity: str | int, millis: int) -> None:
    assert milli_value(quantity) == millis


# -- Allocations


@pytest.mark.parametrize("endpoints", [3, 5])
def test_two_equal_zones_cannot_share_three_or_five(endpoints: int) -> None:
    allocations, why = cache_with(a=0.5, b=0.5).allocations(endpoints)
    assert allocations is None
    assert why == (
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold "
        f"({endpoints} endpoints, 2 zones)"
    )


@pytest.mark.parametrize("endpoints", [2, 4, 6, 7, 8, 9, 10, 11])
def test_two_equal_zones_can_share_other_numbers(endpoints: int) -> None:
    allocations, _ = cache_with(a=0.5, b=0.5).allocations(endpoints)
    assert allocations is not None
    assert all(each.minimum <= each.desired <= each.maximum for each in allocations.values())


@pytest.mark.parametrize(
    ("ratios", "endpoints", "why"),
    [
        ({}, 4, "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"),
        ({"a": 1.0}, 4, "Nodes only ready in one zone"),
        ({"a": 0.3, "b": 0.4, "c": 0.3}, 2, "Insufficient number of endpoints (2 endpoints, 3 zones)"),
    ],
)
def test_why_there_are_no_hints(ratios: dict[str, float], endpoints: int, why: str) -> None:
    cache = cache_with(**ratios)
    slices = SlicesByAction(to_create=[slice_of(*[endpoint("a", "a")] * endpoints)])
    (event,) = cache.add_hints("ns/web", "IPv4", slices)
    assert event == ("Warning", "TopologyAwareHintsDisabled", f"{why}, addressType: IPv4")
    assert set(hints_in(slices.to_create)) == {None}
    assert not cache.has_populated_hints("ns/web")


# -- Adding hints


def test_every_ready_endpoint_gets_a_hint() -> None:
    cache = cache_with(a=0.45, b=0.55)
    slices = SlicesByAction(
        to_create=[slice_of(endpoint("a"), endpoint("b"), endpoint("b", ready=False), endpoint("b", ready=None))]
    )
    (event,) = cache.add_hints("ns/web", "IPv4", slices)
    assert event == ("Normal", "TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled, addressType: IPv4")
    assert hints_in(slices.to_create) == ["a", "b", None, None]
    assert cache.add_hints("ns/web", "IPv4", slices) == [], "that is told once"


def test_hints_are_moved_to_zones_with_too_few_endpoints() -> None:
    cache = cache_with(a=0.35, b=0.35, c=0.30)
    create = [slice_of(endpoint("a"), endpoint("b")), slice_of(endpoint("c"), endpoint("c"), endpoint("a"))]
    update = [slice_of(endpoint("a"), endpoint("a")), slice_of(endpoint("b"), endpoint("c"), endpoint("a"))]
    slices = SlicesByAction(to_create=create, to_update=update)
    cache.add_hints("ns/web", "IPv4", slices)
    assert hints_in([*create, *update]) == ["b", "b", "c", "c", "a", "a", "a", "b", "c", "a"]


def test_an_endpoint_without_zone_spoils_it_for_all() -> None:
    cache = cache_with(a=0.5, b=0.5)
    unchanged = slice_of(endpoint("a", "a"), name="unchanged")
    slices = SlicesByAction(to_create=[slice_of(endpoint("a"), endpoint("b"), endpoint())], unchanged=[unchanged])
    (event,) = cache.add_hints("ns/web", "IPv4", slices)
    assert event.message == "One or more endpoints do not have a zone specified, addressType: IPv4"
    assert hints_in([*slices.to_create, *slices.to_update]) == [None] * 4
    assert hints_in([unchanged]) == ["a"], "the cached slice itself is not touched"


def test_good_slices_stay_and_bad_ones_are_rewritten() -> None:
    cache = cache_with(a=0.5, b=0.5)
    good, bad = slice_of(endpoint("a", "a"), name="good"), slice_of(endpoint("b"), name="bad")
    slices = SlicesByAction(unchanged=[good, bad])
    cache.add_hints("ns/web", "IPv4", slices)
    assert slices.unchanged == [good]
    assert hints_in(slices.to_update) == ["b"] and hints_in([bad]) == [None]


Z3 = {zone: Allocation(0, 3, 0) for zone in "abc"}


@pytest.mark.parametrize(
    ("slice", "counted", "allocations", "expected"),
    [
        (slice_of(), {}, {}, {}),
        (slice_of(endpoint("a", "a")), {"a": 1}, Z3, {"a": 1}),
        (slice_of(endpoint("a", "a"), endpoint("a", "a", False), endpoint("a", "a", None)), {"a": 1}, Z3, {"a": 1}),
        (slice_of(endpoint("a", "a"), endpoint("a", "b"), endpoint("b", "b")), {"a": 1}, Z3, {"a": 1, "b": 2}),
        (slice_of(endpoint("a", "gone")), {"a": 1}, Z3, None),
        (slice_of(endpoint("a")), {}, Z3, None),
        (slice_of({**endpoint("a"), "hints": {"forZones": []}}), {}, Z3, None),
        (slice_of(endpoint("a", "a"), endpoint("a", "a")), {"a": 1}, {"a": Allocation(0, 2, 0)}, None),
    ],
)
def test_hints_of_a_slice(
    slice: Obj, counted: dict[str, int], allocations: dict[str, Allocation], expected: dict[str, int] | None
) -> None:
    assert hints_of_slice(slice, counted, allocations) == expected


@pytest.mark.parametrize(
    ("desired", "have", "giving", "receiving"),
    [
        ({}, {}, {}, {}),
        ({"a": 1.2, "b": 1.1, "c": 1.0}, {"a": 1, "b": 1, "c": 1}, {}, {}),
        ({"a": 5.1, "b": 5.1, "c": 5.8}, {"a": 16}, {"a": 10}, {"b": 5, "c": 5}),
        ({"a": 5.0, "b": 5.6, "c": 5.4}, {"a": 16}, {"a": 11}, {"b": 6, "c": 5}),
        ({"a": 5.0, "b": 5.6, "c": 5.4}, {"b": 8, "c": 8}, {"b": 2, "c": 3}, {"a": 5}),
        ({"a": 5.0, "b": 5.0, "c": 5.0}, {"a": 6, "b": 6, "c": 6}, {}, {}),
        ({"a": -5.0, "b": -5.0, "c": -5.0}, {"a": 6, "b": 6, "c": 6}, {}, {}),
        ({"a": 5.0, "b": 5.0, "c": 5.0}, {"a": -4, "b": -3, "c": -2}, {}, {}),
        ({"a": 5.0, "b": 5.0, "c": 5.0}, {"a": -40, "b": 20, "c": 20}, {"b": 15, "c": 15}, {"a": 30}),
    ],
)
def test_giving_and_receiving_zones(
    desired: dict[str, float], have: dict[str, int], giving: dict[str, int], receiving: dict[str, int]
) -> None:
    allocations = {zone: Allocation(0, 0, number) for zone, number in desired.items()}
    assert giving_and_receiving_zones(allocations, have) == (giving, receiving)


@pytest.mark.parametrize(
    ("endpoints", "giving", "receiving", "changes"),
    [
        (0, {}, {}, {}),
        (1, {"a": 1}, {"b": 1}, {"a": -1, "b": 1}),
        (3, {"a": 2}, {"b": 1, "c": 1}, {"a": -2, "b": 1, "c": 1}),
    ],
)
def test_redistribution(
    endpoints: int, giving: dict[str, int], receiving: dict[str, int], changes: dict[str, int]
) -> None:
    slice = slice_of(*(endpoint("a", "a") for _ in range(endpoints)))
    assert redistribute_hints([slice], giving, receiving) == changes
    assert sorted(hints_in([slice])) == sorted(
        [*receiving, *["a"] * (endpoints - len(receiving))]
    )


# -- Nodes change


@pytest.mark.parametrize(
    ("ratios", "hints", "overloaded"),
    [
        ({"a": 0.5, "b": 0.5}, {"a": 2, "b": 2}, False),
        ({"a": 0.5, "b": 0.5}, {"a": 4}, True),
        ({"a": 0.8, "b": 0.2}, {"a": 5, "b": 5}, True),
        ({"a": 0.55, "b": 0.45}, {"a": 5, "b": 5}, False),
        ({}, {"a": 1, "b": 1}, True),
        ({}, {}, False),
    ],
)
def test_overloaded_services(ratios: dict[str, float], hints: dict[str, int], overloaded: bool) -> None:
    cache = cache_with(**ratios)
    cache.set_hints("ns/web", "IPv4", hints)
    assert cache.overloaded_services() == (["ns/web"] if overloaded else [])


def test_hints_are_remembered_by_family_and_forgotten_together() -> None:
    cache = cache_with()
    cache.set_hints("ns/web", "IPv4", {"a": 1})
    cache.set_hints("ns/web", "IPv6", {"a": 1})
    cache.remove_hints("ns/web", "IPv4")
    assert not cache.has_populated_hints("ns/web")
    assert cache.overloaded_services() == ["ns/web"], "what it knows of IPv6 is still there"
    cache.remove_hints("ns/web", "IPv6")
    assert cache.overloaded_services() == []


# -- trafficDistribution


def for_zone(zone: str) -> Obj:
    return {"forZones": [{"name": zone}]}


@pytest.mark.parametrize(
    ("value", "given", "expected"),
    [
        ("PreferClose", endpoint("a"), for_zone("a")),
        ("PreferSameZone", endpoint("a", "b"), for_zone("a")),
        ("PreferSameZone", endpoint("a", "a,b"), for_zone("a")),
        ("PreferSameZone", endpoint("a", ready=False), None),
        ("PreferSameZone", endpoint("a", ready=None), None),
        ("PreferSameZone", endpoint("", "a"), None),
        ("PreferSameZone", endpoint("a", node="n"), for_zone("a")),
        ("PreferSameNode", endpoint("a", "a", node="n"), {**for_zone("a"), "forNodes": [{"name": "n"}]}),
        ("PreferSameNode", endpoint("", node="n"), {"forNodes": [{"name": "n"}]}),
    ],
)
def test_hints_by_traffic_distribution(value: str, given: Obj, expected: Obj | None) -> None:
    cached = slice_of(given)
    before = copy(cached)
    slices = SlicesByAction(unchanged=[cached])
    reconcile_hints(value, slices)
    assert cached == before, "the cached slice itself is not touched"
    if given["conditions"].get("ready"):
        assert slices.to_update[0]["endpoints"][0].get("hints") == expected
    else:
        assert slices.to_update == []


def test_right_hints_cost_no_write() -> None:
    right = slice_of(endpoint("a", "a"), endpoint("b", "b"), endpoint("c", ready=False))
    slices = SlicesByAction(unchanged=[right])
    reconcile_hints("PreferSameZone", slices)
    assert (slices.unchanged, slices.to_update) == ([right], [])


def test_node_hints_go_when_only_the_zone_counts() -> None:
    both = endpoint("a", "a", node="n")
    both["hints"]["forNodes"] = [{"name": "n"}]
    slices = SlicesByAction(unchanged=[slice_of(both)])
    reconcile_hints("PreferSameZone", slices)
    assert slices.to_update[0]["endpoints"][0]["hints"] == for_zone("a")
