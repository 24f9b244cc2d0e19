"""The tracker of the controller's own writes, as ``util/endpointslice_tracker_test.go`` pins it."""
from __future__ import annotations

import pytest
from endpoints_double import make_service

from epkit.fake.controllers.endpointslice.tracker import EndpointSliceTracker
from epkit.objects import Obj


def slice_of(uid: str = "1", generation: int = 1, service: str = "web") -> Obj:
    labels = {"kubernetes.io/service-name": service}
    return {"metadata": {"namespace": "ns", "name": uid, "uid": uid, "generation": generation, "labels": labels}}


@pytest.fixture
def tracker() -> EndpointSliceTracker:
    return EndpointSliceTracker()


@pytest.mark.parametrize(
    ("seen", "has", "should_sync"),
    [
        (slice_of(generation=2), True, False),
        (slice_of(generation=3), True, True),
        (slice_of(generation=1), True, False),
        (slice_of("2", generation=2), False, True),
        (slice_of(generation=2, service="other"), False, True),
    ],
)
def test_only_what_others_wrote_calls_for_a_sync(
    tracker: EndpointSliceTracker, seen: Obj, has: bool, should_sync: bool
) -> None:
    tracker.update(slice_of(generation=2))
    assert (tracker.has(seen), tracker.should_sync(seen)) == (has, should_sync)


@pytest.mark.parametrize(
    ("written", "deleted", "listed", "stale"),
    [
        ([], [], [], False),
        ([], [], [slice_of()], False),
        ([slice_of()], [], [slice_of()], False),
        ([slice_of(generation=2)], [], [slice_of(generation=1)], True),
        ([slice_of(generation=1)], [], [slice_of(generation=2)], False),
        ([slice_of()], [], [], True),
        ([slice_of("1"), slice_of("2")], [], [slice_of("1")], True),
        ([slice_of("1"), slice_of("2")], ["2"], [slice_of("1")], False),
        ([slice_of("1"), slice_of("2")], ["2"], [slice_of("1"), slice_of("2")], True),
    ],
)
def test_when_the_cache_is_behind(
    tracker: EndpointSliceTracker, written: list[Obj], deleted: list[str], listed: list[Obj], stale: bool
) -> None:
    for slice in written:
        tracker.update(slice)
    for uid in deleted:
        tracker.expect_deletion(slice_of(uid))
    assert tracker.stale_slices(make_service(), listed) is stale


def test_deletions_are_expected_or_not(tracker: EndpointSliceTracker) -> None:
    tracker.update(slice_of("1"))
    tracker.update(slice_of("2"))
    tracker.expect_deletion(slice_of("2"))
    assert tracker.handle_deletion(slice_of("1")) is False
    assert tracker.handle_deletion(slice_of("2")) is True
    assert tracker.handle_deletion(slice_of("unknown")) is True
    assert not tracker.has(slice_of("1")) and not tracker.has(slice_of("2"))


def test_a_service_can_be_forgotten(tracker: EndpointSliceTracker) -> None:
    tracker.update(slice_of("1"))
    tracker.update(slice_of("2", service="other"))
    tracker.delete_service("ns/web")
    tracker.delete_service("ns/never-seen")
    assert not tracker.has(slice_of("1")) and tracker.has(slice_of("2", service="other"))
    assert tracker.stale_slices(make_service(), []) is False
