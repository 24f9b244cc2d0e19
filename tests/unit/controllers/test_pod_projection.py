"""Which changes of pods make which Services sync: the tables of ``util/controller_utils_test.go``."""
from __future__ import annotations

import pytest
from endpoints_double import make_pod, make_service

from epkit.fake.controllers.endpointslice.pod_projection import (
    PodProjectionKey,
    pod_endpoints_changed,
    pod_update_projection_key,
    services_to_update,
)
from epkit.objects import Obj

BASE = make_pod("a", "10.0.0.1")


@pytest.mark.parametrize(
    ("new", "pod_changed", "labels_changed"),
    [
        (BASE, False, False),
        (make_pod("a", "10.0.0.1", phase="Failed"), False, False),
        (make_pod("a", "10.0.0.1", node="elsewhere"), False, False),
        (make_pod("a", "10.0.0.1", ready=False), True, False),
        (make_pod("a", "10.0.0.1", terminating=True), True, False),
        (make_pod("a", "10.0.0.2"), True, False),
        (make_pod("a", ["10.0.0.1", "fd00::1"]), True, False),
        (make_pod("a"), True, False),
        (make_pod("a", "10.0.0.1", labels={"app": "db"}), False, True),
        (make_pod("a", "10.0.0.1", labels={"app": "db"}, ready=False), True, True),
        (make_pod("a", "10.0.0.1", hostname="one"), False, True),
        (make_pod("a", "10.0.0.1", subdomain="web"), False, True),
    ],
)
def test_what_counts_as_a_change(new: Obj, pod_changed: bool, labels_changed: bool) -> None:
    assert pod_endpoints_changed(BASE, new) == (pod_changed, labels_changed)


def test_every_update_of_a_terminating_pod_counts() -> None:
    terminating = make_pod("a", "10.0.0.1", terminating=True)
    assert pod_endpoints_changed(terminating, terminating) == (True, False)


def test_a_resync_does_not_count() -> None:
    old, new = make_pod("a", "10.0.0.1"), make_pod("a", "10.0.0.2")
    old["metadata"]["resourceVersion"] = new["metadata"]["resourceVersion"] = "5"
    assert pod_update_projection_key(old, new) is None
    new["metadata"]["resourceVersion"] = "6"
    assert pod_update_projection_key(old, new) is not None


SERVICES = [
    make_service("all", selector={}),
    make_service("none", selector=None),
    make_service("new", selector={"app": "new"}),
    make_service("old", selector={"app": "old"}),
    make_service("both", selector={"tier": "front"}),
]


@pytest.mark.parametrize(
    ("old_labels", "pod_changed", "expected"),
    [
        (None, False, ["ns/all", "ns/new", "ns/both"]),
        ({"app": "old", "tier": "front"}, True, ["ns/all", "ns/new", "ns/old", "ns/both"]),
        ({"app": "old", "tier": "front"}, False, ["ns/new", "ns/old"]),
        ({"app": "new", "tier": "front"}, False, []),
        ({}, False, ["ns/new", "ns/both"]),
    ],
)
def test_the_services_of_a_change(old_labels: dict[str, str] | None, pod_changed: bool, expected: list[str]) -> None:
    pod = make_pod("a", labels={"app": "new", "tier": "front"})
    assert services_to_update(SERVICES, PodProjectionKey(pod, old_labels, pod_changed)) == expected


def test_equal_changes_of_several_pods_are_one_key() -> None:
    assert PodProjectionKey(make_pod("a")) == PodProjectionKey(make_pod("b")) == "ns/app=web"
    relabelled = PodProjectionKey(make_pod("a"), {"app": "db"})
    assert relabelled != PodProjectionKey(make_pod("a"), {"app": "db"}, pod_changed=True)
    assert relabelled == "ns/app=web (only relabelled from app=db)"
