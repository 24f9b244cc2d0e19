"""What makes the EndpointSlice controller sync, and when: queues, delays, stale caches, and what it leaves alone."""
from __future__ import annotations

from typing import Any

import pytest
from endpoints_double import ControlPlane, conflict, make_node, make_pod, make_service

from epkit.fake.controllers.endpointslice import EndpointSliceController

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"


def start(cp: ControlPlane, **flags: Any) -> EndpointSliceController:
    """A node, a Service, one pod, and the controller at rest."""
    cp.put("nodes", make_node("node-1", "zone-a"))
    cp.put("services", make_service())
    cp.put("pods", make_pod("a", "10.0.0.1"))
    controller: EndpointSliceController = cp.run(EndpointSliceController, **flags)
    return controller


def addresses(cp: ControlPlane) -> list[str]:
    return [address for slice in cp.slices() for each in slice["endpoints"] for address in each["addresses"]]


def test_it_publishes_only_the_pods_that_the_service_selects(cp: ControlPlane) -> None:
    cp.put("pods", make_pod("other", "10.0.0.9", labels={"app": "db"}))
    start(cp)
    assert addresses(cp) == ["10.0.0.1"]
    (slice,) = cp.slices()
    assert slice["endpoints"][0]["zone"] == "zone-a"


@pytest.mark.parametrize("fields", [{"selector": None}, {"type": "ExternalName"}])
def test_services_without_selector_and_external_names_are_left_alone(cp: ControlPlane, fields: Any) -> None:
    cp.put("services", make_service(**fields))
    controller = cp.run(EndpointSliceController)
    assert controller.client.actions == []


def test_a_deleted_service_leaves_its_slices_to_the_garbage_collector(cp: ControlPlane) -> None:
    controller = start(cp)
    cp.delete("services", "web")
    cp.settle()
    assert len(cp.slices()) == 1 and controller.client.counts() == {"create": 1}
    assert controller.metrics.num_slices.value() == 0


def test_slices_of_other_controllers_are_not_touched(cp: ControlPlane) -> None:
    foreign = {"name": "foreign", "namespace": "ns", "labels": {SERVICE_NAME: "web", MANAGED_BY: "someone"}}
    cp.put("endpointslices", {"metadata": foreign, "addressType": "IPv4", "endpoints": [], "ports": []})
    controller = start(cp)
    assert [name for _, _, name in controller.client.actions] != ["foreign"]
    assert len(cp.slices()) == 2


def test_a_slice_pending_deletion_counts_as_gone(cp: ControlPlane) -> None:
    controller = start(cp)
    name = cp.slices()[0]["metadata"]["name"]
    controller.tracker.expect_deletion(cp.slices()[0])
    cp.change("endpointslices", name, metadata__deletionTimestamp="2026-01-01T00:00:00Z")
    cp.sleep(1)
    assert len(cp.slices()) == 2


# -- Pods


@pytest.mark.parametrize(
    ("change", "writes"),
    [
        ({"status__phase": "Failed"}, {"create": 1}),
        ({"metadata__annotations": {"a": "b"}}, {"create": 1}),
        ({"metadata__labels": {"app": "web", "more": "yes"}}, {"create": 1}),
        ({"metadata__labels": {"app": "db"}}, {"create": 1, "update": 1}),
        ({"status__podIPs": [{"ip": "10.0.0.2"}]}, {"create": 1, "update": 1}),
        ({"status__conditions": [{"type": "Ready", "status": "False"}]}, {"create": 1, "update": 1}),
        ({"metadata__deletionTimestamp": "2026-01-01T00:00:00Z"}, {"create": 1, "update": 1}),
    ],
)
def test_which_changes_of_a_pod_cost_a_write(cp: ControlPlane, change: Any, writes: dict[str, int]) -> None:
    controller = start(cp)
    cp.change("pods", "a", **change)
    cp.settle()
    assert controller.client.counts() == writes


def test_a_finished_pod_stays_until_something_else_syncs_the_service(cp: ControlPlane) -> None:
    start(cp)
    cp.change("pods", "a", status__phase="Failed")
    cp.settle()
    assert addresses(cp) == ["10.0.0.1"]
    cp.change("services", "web", metadata__annotations={"touched": "yes"})
    cp.settle()
    assert addresses(cp) == []


def test_one_pods_life_costs_four_writes(cp: ControlPlane) -> None:
    """It gets an address, becomes ready, is deleted, and goes; the create was the Service's placeholder."""
    cp.put("nodes", make_node("node-1"))
    cp.put("services", make_service())
    controller = cp.run(EndpointSliceController)
    life = [
        make_pod("a", ready=False),
        make_pod("a", "10.0.0.1", ready=False),
        make_pod("a", "10.0.0.1"),
        make_pod("a", "10.0.0.1", terminating=True),
    ]
    for moment in life:
        cp.put("pods", moment)
        cp.settle()
    cp.delete("pods", "a")
    cp.settle()
    assert controller.client.counts() == {"create": 1, "update": 4}


@pytest.mark.parametrize(("period", "updates"), [(0.0, 3), (0.5, 1), (5.0, 1)])
def test_changes_of_pods_are_batched(cp: ControlPlane, period: float, updates: int) -> None:
    controller = start(cp, endpointslice_updates_batch_period=period)
    cp.sleep(10)
    for number in (2, 3, 4):
        cp.put("pods", make_pod(f"p{number}", f"10.0.0.{number}"))
        cp.sleep(0.1)
    cp.sleep(10)
    assert len(addresses(cp)) == 4
    assert controller.client.counts() == {"create": 1, "update": updates}


def test_changes_of_the_service_are_not_batched(cp: ControlPlane) -> None:
    start(cp, endpointslice_updates_batch_period=30.0)
    cp.change("services", "web", metadata__labels={"a": "b"})
    cp.settle()
    assert cp.slices()[0]["metadata"]["labels"]["a"] == "b"


# -- What others do to slices


def test_its_own_writes_do_not_make_it_sync_again(cp: ControlPlane) -> None:
    controller = start(cp)
    syncs = controller.service_queue.syncs
    cp.sleep(60)
    assert controller.service_queue.syncs == syncs


def test_a_manual_edit_is_undone_after_a_second(cp: ControlPlane) -> None:
    start(cp)
    name = cp.slices()[0]["metadata"]["name"]
    cp.change("endpointslices", name, endpoints=[])
    cp.sleep(0.9)
    assert addresses(cp) == []
    cp.sleep(0.2)
    assert addresses(cp) == ["10.0.0.1"]
    assert cp.slices()[0]["metadata"]["generation"] == 3


def test_a_deleted_slice_is_made_anew_after_a_second(cp: ControlPlane) -> None:
    start(cp)
    old = cp.slices()[0]["metadata"]["name"]
    cp.delete("endpointslices", old)
    cp.sleep(0.9)
    assert cp.slices() == []
    cp.sleep(0.2)
    assert [slice["metadata"]["name"] != old for slice in cp.slices()] == [True]


def test_an_annotation_survives(cp: ControlPlane) -> None:
    controller = start(cp)
    name = cp.slices()[0]["metadata"]["name"]
    cp.change("endpointslices", name, metadata__annotations={"note": "mine"})
    cp.sleep(5)
    assert controller.client.counts() == {"create": 1}
    assert cp.slices()[0]["metadata"]["annotations"] == {"note": "mine"}


@pytest.mark.parametrize("label", [MANAGED_BY, SERVICE_NAME])
def test_relabelling_a_slice_wedges_the_service_until_the_label_is_back(cp: ControlPlane, label: str) -> None:
    controller = start(cp)
    slice = cp.slices()[0]
    labels = slice["metadata"]["labels"]
    cp.change("endpointslices", slice["metadata"]["name"], metadata__labels={**labels, label: "someone-else"})
    cp.put("pods", make_pod("b", "10.0.0.2"))
    cp.sleep(36)
    assert controller.client.counts() == {"create": 1}
    assert controller.metrics.syncs.value("stale") >= 5
    assert any("EndpointSlice informer cache is out of date" in line for _, line in controller.log_lines)

    cp.change("endpointslices", slice["metadata"]["name"], metadata__labels=labels)
    cp.sleep(2)
    assert addresses(cp) == ["10.0.0.1", "10.0.0.2"]


def test_a_restart_forgets_the_wedge(cp: ControlPlane) -> None:
    controller = start(cp)
    slice = cp.slices()[0]
    cp.change("endpointslices", slice["metadata"]["name"], metadata__labels={SERVICE_NAME: "web", MANAGED_BY: "x"})
    cp.sleep(3)
    controller.stop()
    cp.run(EndpointSliceController)
    assert len(cp.slices()) == 2


def test_with_a_cache_that_lags_it_waits_instead_of_writing_twice(cp: ControlPlane) -> None:
    controller = start(cp)
    controller.slices.lag = 3.0
    cp.put("pods", make_pod("b", "10.0.0.2"))
    cp.settle()
    cp.put("pods", make_pod("c", "10.0.0.3"))
    cp.settle()
    assert controller.client.counts() == {"create": 1, "update": 1}
    assert controller.metrics.syncs.value("stale") == 1
    cp.sleep(5)
    assert controller.client.counts() == {"create": 1, "update": 2}
    assert len(addresses(cp)) == 3


# -- Failures


def test_a_failed_write_is_told_and_tried_again_after_a_second(cp: ControlPlane) -> None:
    controller = start(cp)
    controller.client.refuse = conflict("endpointslices", "web-1")
    cp.put("pods", make_pod("b", "10.0.0.2"))
    cp.settle()
    ((type, reason, message),) = cp.events()
    assert (type, reason) == ("Warning", "FailedToUpdateEndpointSlices")
    assert message.startswith("Error updating Endpoint Slices for Service ns/web: failed to update web-")
    cp.sleep(0.9)
    assert addresses(cp) == ["10.0.0.1"]
    cp.sleep(0.2)
    assert addresses(cp) == ["10.0.0.1", "10.0.0.2"]


def test_a_missing_node_is_tried_again_with_growing_waits(cp: ControlPlane) -> None:
    controller = start(cp)
    cp.put("pods", make_pod("b", "10.0.0.2", node="gone"))
    cp.settle()
    before = controller.service_queue.syncs
    cp.sleep(15.5)  # 1, 2, 4 and 8 seconds
    assert controller.service_queue.syncs == before + 4
    cp.put("nodes", make_node("gone"))
    cp.sleep(15)
    assert addresses(cp) == ["10.0.0.1"], "a node that comes back does not sync the Service; the next try does"
    cp.sleep(1)
    assert addresses(cp) == ["10.0.0.1", "10.0.0.2"]


def test_a_node_that_goes_takes_nothing_away_until_the_next_sync(cp: ControlPlane) -> None:
    start(cp)
    cp.delete("nodes", "node-1", "")
    cp.sleep(30)
    assert addresses(cp) == ["10.0.0.1"]
    cp.change("services", "web", metadata__annotations={"touched": "yes"})
    cp.settle()
    assert addresses(cp) == []


# -- Nodes and hints


def test_hints_are_worked_out_again_when_nodes_leave_a_zone_with_too_little(cp: ControlPlane) -> None:
    for number, zone in enumerate(("a", "a", "b", "b"), 1):
        cp.put("nodes", make_node(f"node-{number}", f"zone-{zone}"))
        cp.put("pods", make_pod(f"p{number}", f"10.0.0.{number}", node=f"node-{number}"))
    cp.put("services", make_service(annotations={"service.kubernetes.io/topology-mode": "Auto"}))
    controller = cp.run(EndpointSliceController)
    assert [each["hints"]["forZones"][0]["name"] for each in cp.slices()[0]["endpoints"]] == [
        "zone-a", "zone-a", "zone-b", "zone-b",
    ]
    cp.change("nodes", "node-4", "", metadata__labels={"topology.kubernetes.io/zone": "zone-c"})
    cp.settle()
    assert controller.client.counts() == {"create": 1, "update": 1}
    assert sorted(each["hints"]["forZones"][0]["name"] for each in cp.slices()[0]["endpoints"]) == [
        "zone-a", "zone-a", "zone-b", "zone-c",
    ]
    cp.change("nodes", "node-4", "", metadata__labels={})
    cp.settle()
    assert not any("hints" in each for each in cp.slices()[0]["endpoints"])
    assert sorted(reason for _, reason, _ in cp.events()) == ["TopologyAwareHintsDisabled", "TopologyAwareHintsEnabled"]


def test_zones_that_are_set_right_add_no_hints_until_the_next_sync(cp: ControlPlane) -> None:
    for number, zone in enumerate(("zone-a", "zone-b", ""), 1):
        cp.put("nodes", make_node(f"node-{number}", zone))
    for number, node in enumerate(("node-1", "node-1", "node-2"), 1):
        cp.put("pods", make_pod(f"p{number}", f"10.0.0.{number}", node=node))
    cp.put("services", make_service(annotations={"service.kubernetes.io/topology-mode": "Auto"}))
    cp.run(EndpointSliceController)
    cp.change("nodes", "node-3", "", metadata__labels={"topology.kubernetes.io/zone": "zone-a"})
    cp.sleep(10)
    assert not any("hints" in each for each in cp.slices()[0]["endpoints"])
    cp.change("services", "web", metadata__labels={"a": "b"})
    cp.settle()
    assert all("hints" in each for each in cp.slices()[0]["endpoints"])


# -- Flags


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"max_endpoints_per_slice": 0}, "max-endpoints-per-slice must not be less than 1, but got 0"),
        ({"max_endpoints_per_slice": 1001}, "max-endpoints-per-slice must not be more than 1000, but got 1001"),
        ({"missing_node": "drop"}, 'missing-node must be "skip" or "fail", but got "drop"'),
    ],
)
def test_flags_are_checked(cp: ControlPlane, flags: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EndpointSliceController(cp, **flags)  # type: ignore[arg-type]


def test_metrics_have_their_names(cp: ControlPlane) -> None:
    text = start(cp).metrics_text()
    assert 'endpoint_slice_controller_changes{operation="create"} 1\n' in text
    assert "# TYPE endpoint_slice_controller_num_endpoint_slices gauge\n" in text
    assert "endpoint_slice_controller_desired_endpoint_slices 1\n" in text
    assert 'endpoint_slice_controller_endpoints_added_per_sync_bucket{le="+Inf"} 2\n' in text
    assert 'endpoint_slice_controller_syncs{result="success"} 2\n' in text
