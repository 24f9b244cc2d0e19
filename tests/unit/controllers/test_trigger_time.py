"""The trigger time of a sync, as ``util/trigger_time_tracker_test.go`` pins it."""
from __future__ import annotations

import pytest
from endpoints_double import make_pod, make_service

from epkit.fake.clock import format_time
from epkit.fake.controllers.endpointslice.trigger_time import TriggerTimeTracker
from epkit.objects import Obj

T0, T1, T2, T3 = 1000.0, 1001.0, 1002.0, 1003.0


def service(created: float = T0) -> Obj:
    made = make_service()
    made["metadata"]["creationTimestamp"] = format_time(created)
    return made


def pod(name: str, since: float) -> Obj:
    return make_pod(name, "10.0.0.1", since=since)


@pytest.fixture
def tracker() -> TriggerTimeTracker:
    return TriggerTimeTracker()


def test_the_first_sync_is_put_down_to_the_services_creation(tracker: TriggerTimeTracker) -> None:
    assert tracker.last_change_trigger_time(service(T0), []) == T0


def test_even_if_pods_are_older_or_younger(tracker: TriggerTimeTracker) -> None:
    assert tracker.last_change_trigger_time(service(T1), [pod("a", T0), pod("b", T2)]) == T1


def test_the_earliest_of_the_pods_that_came(tracker: TriggerTimeTracker) -> None:
    tracker.last_change_trigger_time(service(), [pod("a", T0)])
    pods = [pod("a", T0), pod("b", T3), pod("c", T2)]
    assert tracker.last_change_trigger_time(service(), pods) == T2


def test_the_earliest_of_the_pods_that_changed(tracker: TriggerTimeTracker) -> None:
    tracker.last_change_trigger_time(service(), [pod("a", T1), pod("b", T1), pod("c", T1)])
    assert tracker.last_change_trigger_time(service(), [pod("a", T1), pod("b", T3), pod("c", T2)]) == T2


def test_no_change_has_no_time(tracker: TriggerTimeTracker) -> None:
    tracker.last_change_trigger_time(service(), [pod("a", T1)])
    assert tracker.last_change_trigger_time(service(), [pod("a", T1)]) is None


def test_a_pod_that_goes_has_no_time_and_counts_again_when_it_is_back(tracker: TriggerTimeTracker) -> None:
    tracker.last_change_trigger_time(service(), [pod("a", T1)])
    assert tracker.last_change_trigger_time(service(), []) is None
    assert tracker.last_change_trigger_time(service(), [pod("a", T2)]) == T2


def test_a_service_that_was_deleted_and_is_back_counts_as_new(tracker: TriggerTimeTracker) -> None:
    tracker.last_change_trigger_time(service(T0), [pod("a", T1)])
    tracker.delete_service("ns/web")
    assert tracker.last_change_trigger_time(service(T3), [pod("a", T1)]) == T3


def test_a_change_of_the_service_has_no_time(tracker: TriggerTimeTracker) -> None:
    tracker.last_change_trigger_time(service(), [])
    changed = service()
    changed["spec"]["selector"] = {"app": "other"}
    assert tracker.last_change_trigger_time(changed, []) is None
