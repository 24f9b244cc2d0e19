"""The EndpointSliceMirroring controller: which Endpoints are mirrored, and into what."""
from __future__ import annotations

from typing import Any

import pytest
from endpoints_double import ControlPlane, make_service

from epkit.fake.controllers.endpointslice.utils import SlicesByAction
from epkit.fake.controllers.endpointslicemirroring import EndpointSliceMirroringController, should_mirror
from epkit.fake.controllers.endpointslicemirroring_reconciler import address_to_endpoint, recycle_slices
from epkit.objects import Obj

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"
OWN = {MANAGED_BY: "endpointslicemirroring-controller.k8s.io", SERVICE_NAME: "db"}
PORT = {"name": "sql", "port": 5432, "protocol": "TCP"}


def subset(*ips: str, not_ready: tuple[str, ...] = (), ports: list[Obj] | None = None) -> Obj:
    made: Obj = {"ports": [PORT] if ports is None else ports}
    if ips:
        made["addresses"] = [{"ip": ip} for ip in ips]
    if not_ready:
        made["notReadyAddresses"] = [{"ip": ip} for ip in not_ready]
    return made


def start(cp: ControlPlane, *subsets: Obj, **flags: Any) -> EndpointSliceMirroringController:
    """A Service without selector, Endpoints for it, and the controller at rest."""
    cp.put("services", make_service("db", selector=None))
    cp.put("endpoints", {"metadata": {"name": "db", "namespace": "ns"}, "subsets": list(subsets)})
    controller: EndpointSliceMirroringController = cp.run(EndpointSliceMirroringController, **flags)
    return controller


def mirrored(cp: ControlPlane) -> dict[tuple[str, tuple[int, ...]], list[str]]:
    """Family and ports of each mirrored slice, and its addresses; a question mark for one that is not ready."""
    return {
        (slice["addressType"], tuple(port["port"] for port in slice["ports"])): [
            each["addresses"][0] + ("" if each["conditions"]["ready"] else "?") for each in slice["endpoints"]
        ]
        for family in ("IPv4", "IPv6")
        for slice in cp.slices("db", family)
    }


def test_a_subset_becomes_a_slice(cp: ControlPlane) -> None:
    start(cp, subset("10.1.2.3", "10.1.2.4"))
    (slice,) = cp.slices("db")
    assert slice["metadata"]["labels"] == OWN
    assert slice["metadata"]["generateName"] == "db-"
    (owner,) = slice["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Endpoints", "db", True)
    assert slice["endpoints"] == [
        {"addresses": ["10.1.2.3"], "conditions": {"ready": True}},
        {"addresses": ["10.1.2.4"], "conditions": {"ready": True}},
    ]
    assert slice["ports"] == [{"name": "sql", "port": 5432, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("subsets", "expected"),
    [
        ([], {}),
        ([subset("10.0.0.1"), subset(not_ready=("10.0.0.2",))], {("IPv4", (5432,)): ["10.0.0.1", "10.0.0.2?"]}),
        ([subset("10.0.0.1", "fd00::1")], {("IPv4", (5432,)): ["10.0.0.1"], ("IPv6", (5432,)): ["fd00::1"]}),
        (
            [subset("10.0.0.1"), subset("10.0.0.2", ports=[{"port": 1, "protocol": "TCP"}])],
            {("IPv4", (5432,)): ["10.0.0.1"], ("IPv4", (1,)): ["10.0.0.2"]},
        ),
        ([subset("10.0.0.1", ports=[])], {("IPv4", ()): ["10.0.0.1"]}),
        ([subset("10.0.0.1", "10.0.0.1", not_ready=("10.0.0.1",))], {("IPv4", (5432,)): ["10.0.0.1?"]}),
    ],
    ids=["empty", "readiness", "families", "ports", "no ports", "duplicates"],
)
def test_what_is_mirrored(cp: ControlPlane, subsets: list[Obj], expected: Any) -> None:
    start(cp, *subsets)
    assert mirrored(cp) == expected


def test_an_address_keeps_hostname_node_and_target() -> None:
    target = {"kind": "Pod", "name": "x", "namespace": "ns"}
    address = {"ip": "10.0.0.01", "hostname": "one", "nodeName": "n1", "targetRef": target}
    assert address_to_endpoint(address, "10.0.0.1", ready=False) == {
        "addresses": ["10.0.0.1"],
        "conditions": {"ready": False},
        "hostname": "one",
        "targetRef": target,
        "nodeName": "n1",
    }


def test_labels_and_annotations_are_mirrored_but_for_two(cp: ControlPlane) -> None:
    cp.put("services", make_service("db", selector=None))
    annotations = {
        "note": "mine",
        "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    meta = {"name": "db", "namespace": "ns", "labels": {"tier": "data"}, "annotations": annotations}
    cp.put("endpoints", {"metadata": meta, "subsets": [subset("10.0.0.1")]})
    controller = cp.run(EndpointSliceMirroringController)
    assert cp.slices("db")[0]["metadata"]["labels"] == {**OWN, "tier": "data"}
    assert cp.slices("db")[0]["metadata"]["annotations"] == {"note": "mine"}

    cp.change("endpoints", "db", metadata__annotations={"note": "other"})
    cp.settle()
    assert cp.slices("db")[0]["metadata"]["annotations"] == {"note": "other"}
    assert controller.client.counts() == {"create": 1, "update": 1}


@pytest.mark.parametrize(
    ("labels", "annotations", "expected"),
    [
        ({}, {}, True),
        ({"endpointslice.kubernetes.io/skip-mirror": "true"}, {}, False),
        ({"endpointslice.kubernetes.io/skip-mirror": "false"}, {}, True),
        ({}, {"control-plane.alpha.kubernetes.io/leader": "{}"}, False),
    ],
)
def test_should_mirror(labels: dict[str, str], annotations: dict[str, str], expected: bool) -> None:
    assert should_mirror({"metadata": {"labels": labels, "annotations": annotations}}) is expected


def test_without_a_service_nothing_is_mirrored(cp: ControlPlane) -> None:
    cp.put("endpoints", {"metadata": {"name": "db", "namespace": "ns"}, "subsets": [subset("10.0.0.1")]})
    cp.run(EndpointSliceMirroringController)
    assert mirrored(cp) == {}
    cp.put("services", make_service("db", selector=None))
    cp.settle()
    assert mirrored(cp) == {("IPv4", (5432,)): ["10.0.0.1"]}


@pytest.mark.parametrize("end", ["endpoints", "service", "selector", "skip"])
def test_mirrored_slices_go(cp: ControlPlane, end: str) -> None:
    controller = start(cp, subset("10.0.0.1"))
    match end:
        case "endpoints":
            cp.delete("endpoints", "db")
        case "service":
            cp.delete("services", "db")
        case "selector":
            cp.change("services", "db", spec__selector={"app": "db"})
        case "skip":
            cp.change("endpoints", "db", metadata__labels={"endpointslice.kubernetes.io/skip-mirror": "true"})
    cp.settle()
    assert mirrored(cp) == {}
    assert controller.queue.stuck == []


def test_emptied_endpoints_leave_no_slice_behind(cp: ControlPlane) -> None:
    start(cp, subset("10.0.0.1"))
    cp.change("endpoints", "db", subsets=[])
    cp.settle()
    assert cp.slices("db") == []


def test_a_slice_is_rewritten_as_a_whole_and_recycled(cp: ControlPlane) -> None:
    controller = start(cp, subset("10.0.0.1"))
    name = cp.slices("db")[0]["metadata"]["name"]
    cp.change("endpoints", "db", subsets=[subset("10.0.0.2", ports=[{"name": "other", "port": 1, "protocol": "TCP"}])])
    cp.settle()
    assert mirrored(cp) == {("IPv4", (1,)): ["10.0.0.2"]}
    assert cp.slices("db")[0]["metadata"]["name"] == name
    assert controller.client.counts() == {"create": 1, "update": 1}


def test_an_edit_of_a_mirrored_slice_is_undone_at_once(cp: ControlPlane) -> None:
    start(cp, subset("10.0.0.1"))
    cp.change("endpointslices", cp.slices("db")[0]["metadata"]["name"], endpoints=[])
    cp.settle()
    assert mirrored(cp) == {("IPv4", (5432,)): ["10.0.0.1"]}


def test_or_after_the_batch_period(cp: ControlPlane) -> None:
    start(cp, subset("10.0.0.1"), mirroring_endpointslice_updates_batch_period=3.0)
    cp.change("endpointslices", cp.slices("db")[0]["metadata"]["name"], endpoints=[])
    cp.sleep(2.9)
    assert mirrored(cp) == {("IPv4", (5432,)): []}
    cp.sleep(0.2)
    assert mirrored(cp) == {("IPv4", (5432,)): ["10.0.0.1"]}


def test_nothing_is_written_twice(cp: ControlPlane) -> None:
    controller = start(cp, subset("10.0.0.1", "fd00::1"))
    cp.change("endpoints", "db", metadata__finalizers=["example.com/a"])
    cp.sleep(60)
    assert controller.client.counts() == {"create": 2}


def test_endpoints_of_another_uid_get_their_slices_rewritten(cp: ControlPlane) -> None:
    controller = start(cp, subset("10.0.0.1"))
    slice = cp.slices("db")[0]
    owner = {**slice["metadata"]["ownerReferences"][0], "uid": "former"}
    controller.stop()
    cp.change("endpointslices", slice["metadata"]["name"], metadata__ownerReferences=[owner])
    again = cp.run(EndpointSliceMirroringController)
    uid = cp.store.get("endpoints", "ns", "db")["metadata"]["uid"]  # type: ignore[index]
    assert cp.slices("db")[0]["metadata"]["ownerReferences"][0]["uid"] == uid
    assert again.client.counts() == {"create": 1, "update": 1}


# -- Limits


@pytest.mark.parametrize(("addresses", "kept"), [(1000, 1000), (1001, 1000)])
def test_a_thousand_addresses_of_a_subset_are_mirrored(cp: ControlPlane, addresses: int, kept: int) -> None:
    start(cp, subset(*(f"10.1.{number // 250}.{number % 250}" for number in range(addresses))))
    assert [len(listed) for listed in mirrored(cp).values()] == [kept]
    message = (
        "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. "
        f"{addresses - kept} addresses were skipped"
    )
    assert cp.events() == ([("Warning", "TooManyAddressesToMirror", message)] if addresses > kept else [])


def test_ready_addresses_come_first(cp: ControlPlane) -> None:
    start(cp, subset("10.0.0.8", "10.0.0.9", not_ready=("10.0.0.1", "10.0.0.2")), mirroring_max_endpoints_per_subset=3)
    assert mirrored(cp) == {("IPv4", (5432,)): ["10.0.0.8", "10.0.0.9", "10.0.0.1?"]}


def test_invalid_addresses_are_skipped_and_told(cp: ControlPlane) -> None:
    start(cp, subset("10.0.0.1", "not an address"))
    assert mirrored(cp) == {("IPv4", (5432,)): ["10.0.0.1"]}
    assert cp.events() == [
        ("Warning", "InvalidIPAddress", "Skipped 1 invalid IP addresses when mirroring to EndpointSlices")
    ]


# -- Recycling


def named(name: str, family: str = "IPv4") -> Obj:
    return {"metadata": {"name": name} if name else {"generateName": "db-"}, "addressType": family}


@pytest.mark.parametrize(
    ("create", "delete", "left"),
    [
        ([], [], (0, 0, 0)),
        (["IPv4"], [], (1, 0, 0)),
        ([], ["IPv4"], (0, 0, 1)),
        (["IPv4"], ["IPv4"], (0, 1, 0)),
        (["IPv4", "IPv4"], ["IPv4"], (1, 1, 0)),
        (["IPv4"], ["IPv4", "IPv4"], (0, 1, 1)),
        (["IPv4", "IPv6"], ["IPv6", "IPv6"], (1, 1, 1)),
    ],
)
def test_recycling(create: list[str], delete: list[str], left: tuple[int, int, int]) -> None:
    slices = SlicesByAction(
        to_create=[named("", family) for family in create],
        to_delete=[named(f"old-{index}", family) for index, family in enumerate(delete)],
    )
    recycle_slices(slices)
    assert (len(slices.to_create), len(slices.to_update), len(slices.to_delete)) == left
    assert all(slice["metadata"]["name"].startswith("old-") for slice in slices.to_update)


def test_metrics_have_their_names(cp: ControlPlane) -> None:
    text = start(cp, subset("10.0.0.1")).metrics_text()
    assert "endpoint_slice_mirroring_controller_num_endpoint_slices 1\n" in text
    assert "endpoint_slice_mirroring_controller_endpoints_added_per_sync_count 1\n" in text
