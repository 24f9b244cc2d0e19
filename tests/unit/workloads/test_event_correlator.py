"""How many Events a source writes, after ``k8s.io/client-go/tools/record/events_cache_test.go``."""
from __future__ import annotations

from typing import Any

from test_replicaset import a_replicaset
from workload_double import Double

from epkit.fake.controllers.framework import Recorder
from epkit.fake.controllers.replicaset import ReplicaSetController

ABOUT: dict[str, Any] = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default", "uid": "u"},
}  # fmt: skip


def recorder(kit: Double) -> Recorder:
    return Recorder(kit.client("kubelet"), kit.loop, "kubelet")


def test_the_same_event_is_counted(kit):
    record = recorder(kit)
    for _ in range(3):
        record.event(ABOUT, "Warning", "Unhealthy", "Readiness probe failed")
    assert [(event["message"], event["count"]) for event in kit.all("events")] == [("Readiness probe failed", 3)]


def test_from_the_tenth_on_similar_events_are_one(kit):
    record = recorder(kit)
    for number in range(12):
        record.event(ABOUT, "Normal", "Pulled", f"Pulled image {number}")
    said = {event["message"]: event["count"] for event in kit.all("events")}
    assert len(said) == 10
    assert said["(combined from similar events): Pulled image 11"] == 3


def test_ten_minutes_later_they_are_new_again(kit):
    record = recorder(kit)
    for number in range(10):
        record.event(ABOUT, "Normal", "Pulled", f"Pulled image {number}")
    kit.sleep(601)
    record.event(ABOUT, "Normal", "Pulled", "Pulled image 10")
    assert "Pulled image 10" in kit.events()


def test_a_source_that_never_stops_is_heard_every_five_minutes(kit):
    record = recorder(kit)
    counts = []
    for _ in range(70):
        record.event(ABOUT, "Warning", "BackOff", "Back-off restarting failed container")
        counts.append(kit.all("events")[0]["count"])
        kit.sleep(10)
    assert counts[:25] == list(range(1, 26))
    assert sorted(set(counts[25:])) == [25, 31, 61]


def test_a_large_replicaset_does_not_flood_its_namespace(kit):
    kit.run(ReplicaSetController)
    kit.add("replicasets", a_replicaset(replicas=100))
    kit.settle()
    created = kit.events("SuccessfulCreate")
    assert len(created) == 10
    assert created[-1].startswith("(combined from similar events): Created pod: web-")
