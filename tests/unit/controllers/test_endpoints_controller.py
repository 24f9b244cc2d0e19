"""The Endpoints controller, its canonical subsets and its limit of a thousand addresses."""
from __future__ import annotations

from typing import Any

import pytest
from endpoints_double import ControlPlane, conflict, make_pod, make_service, namespace_terminating

from epkit.fake.controllers.endpoints import EndpointsController
from epkit.fake.controllers.endpoints_subsets import repack_subsets, truncate_subsets
from epkit.objects import Obj

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
OWN = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


def start(cp: ControlPlane, **flags: Any) -> EndpointsController:
    """A Service, one pod, and the controller at rest."""
    cp.put("services", make_service())
    cp.put("pods", make_pod("a", "10.0.0.1"))
    controller: EndpointsController = cp.run(EndpointsController, **flags)
    return controller


def endpoints(cp: ControlPlane, name: str = "web") -> Obj:
    found = cp.store.get("endpoints", "ns", name)
    assert found is not None, f"there are no Endpoints {name}"
    return found


def listed(cp: ControlPlane, field: str = "addresses") -> list[str]:
    return [address["ip"] for subset in endpoints(cp).get("subsets", []) for address in subset.get(field, [])]


# -- Canonical subsets


def subset(ready: str = "", not_ready: str = "", *ports: int) -> Obj:
    made: Obj = {"ports": [{"name": f"p{port}", "port": port, "protocol": "TCP"} for port in ports]}
    for field, ips in (("addresses", ready), ("notReadyAddresses", not_ready)):
        if ips:
            made[field] = [{"ip": ip} for ip in ips.split()]
    return {key: value for key, value in made.items() if value}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([subset("a", "", 1), subset("b", "", 1)], [subset("a b", "", 1)]),
        ([subset("a", "", 1), subset("a", "", 1)], [subset("a", "", 1)]),
        ([subset("a", "", 1), subset("", "b", 1)], [subset("a", "b", 1)]),
        ([subset("a", "", 1), subset("", "a", 1)], [subset("", "a", 1)]),
        ([subset("a", "", 1), subset("a", "", 2)], [subset("a", "", 1, 2)]),
        ([subset("a b", "", 1), subset("a", "b", 2)], [subset("a b", "", 1), subset("a", "b", 2)]),
        ([subset("a"), subset("b")], [subset("a b")]),
        ([{"addresses": [], "ports": [{"port": 1}]}], []),
    ],
    ids=[
        "empty", "same port", "twice the same", "readiness", "not ready wins", "same addresses", "other readiness",
        "no ports", "no addresses",
    ],
)
def test_repacking(given: list[Obj], expected: list[Obj]) -> None:
    def plain(subsets: list[Obj]) -> list[Any]:  # the order of ports and subsets is tested below
        return sorted(
            [{**each, "ports": sorted(each.get("ports", []), key=lambda port: port["port"])} for each in subsets],
            key=str,
        )

    assert plain(repack_subsets(given)) == plain(expected)


def test_addresses_are_sorted_as_texts_then_by_uid() -> None:
    addresses = [
        {"ip": "10.2.0.2"},
        {"ip": "10.2.0.10", "targetRef": {"uid": "z"}},
        {"ip": "10.2.0.10", "targetRef": {"uid": "y"}},
        {"ip": "10.2.0.10"},
    ]
    (packed,) = repack_subsets([{"addresses": addresses, "ports": [{"port": 80}]}])
    assert [(each["ip"], each.get("targetRef", {}).get("uid")) for each in packed["addresses"]] == [
        ("10.2.0.10", None), ("10.2.0.10", "y"), ("10.2.0.10", "z"), ("10.2.0.2", None),
    ]


def test_ports_are_ordered_by_their_hash() -> None:
    """As a real v1.36.2 control plane was seen to order them."""
    ports = [{"name": name, "port": number, "protocol": "TCP"} for number, name in enumerate("edcba", 1)]
    ports[4]["appProtocol"] = "http"
    (packed,) = repack_subsets([{"addresses": [{"ip": "10.0.0.1"}], "ports": ports}])
    assert [port["port"] for port in packed["ports"]] == [3, 2, 1, 5, 4]


def test_repacking_twice_changes_nothing() -> None:
    given = [subset("a b", "", 1, 2), subset("a", "b", 3), subset("c", "", 4)]
    once = repack_subsets(given)
    assert repack_subsets(once) == once


# -- A thousand addresses


def sized(ready: int, not_ready: int = 0) -> Obj:
    return {
        "addresses": [{"ip": f"r{number}"} for number in range(ready)],
        "notReadyAddresses": [{"ip": f"n{number}"} for number in range(not_ready)],
    }


@pytest.mark.parametrize(
    ("given", "expected", "truncated"),
    [
        ([(1, 0)], [(1, 0)], False),
        ([(500, 500)], [(500, 500)], False),
        ([(1001, 0)], [(1000, 0)], True),
        ([(500, 1000)], [(500, 500)], True),
        ([(1500, 10), (500, 0)], [(750, 0), (250, 0)], True),
        ([(100, 1000), (100, 500)], [(100, 534), (100, 266)], True),
        ([(0, 2000)], [(0, 1000)], True),
        ([(500, 1), (500, 1)], [(500, 0), (500, 0)], True),
    ],
)
def test_truncation(given: list[tuple[int, int]], expected: list[tuple[int, int]], truncated: bool) -> None:
    subsets, was_truncated = truncate_subsets([sized(*each) for each in given])
    assert [(len(each.get("addresses", [])), len(each.get("notReadyAddresses", []))) for each in subsets] == expected
    assert was_truncated is truncated


def test_more_than_a_thousand_pods_are_cut_and_annotated(cp: ControlPlane) -> None:
    controller = start(cp)
    for number in range(1019):
        cp.put("pods", make_pod(f"p{number:04d}", f"10.1.{number // 250}.{number % 250}"))
    cp.settle()
    assert len(listed(cp)) == 1000
    assert endpoints(cp)["metadata"]["annotations"][OVER_CAPACITY] == "truncated"
    assert listed(cp) == sorted(listed(cp)), "the first by text stay"

    for number in range(1019):
        cp.delete("pods", f"p{number:04d}")
    cp.settle()
    assert OVER_CAPACITY not in endpoints(cp)["metadata"].get("annotations", {})
    assert controller.queue.stuck == []


# -- Which pods, and how


@pytest.mark.parametrize(
    ("pod", "publish", "field"),
    [
        ({}, False, "addresses"),
        ({"ready": False}, False, "notReadyAddresses"),
        ({"ready": False}, True, "addresses"),
        ({"phase": "Pending"}, False, "addresses"),
        ({"phase": "Pending", "ready": False}, False, "notReadyAddresses"),
        ({"phase": "Failed"}, False, None),
        ({"phase": "Succeeded"}, True, None),
        ({"terminating": True}, False, None),
        ({"terminating": True, "ready": False}, False, None),
        ({"terminating": True}, True, "addresses"),
        ({"terminating": True, "ready": False}, True, "addresses"),
        ({"terminating": True, "phase": "Failed"}, True, None),
    ],
)
def test_which_pods_count(cp: ControlPlane, pod: Any, publish: bool, field: str | None) -> None:
    cp.put("services", make_service(publishNotReadyAddresses=publish))
    cp.put("pods", make_pod("a", "10.0.0.1", node="a node that does not exist", **pod))
    cp.run(EndpointsController)
    assert {each: listed(cp, each) for each in ("addresses", "notReadyAddresses") if listed(cp, each)} == (
        {field: ["10.0.0.1"]} if field else {}
    )


@pytest.mark.parametrize(
    ("fields", "ips", "expected"),
    [
        ({"ipFamilies": ["IPv4"]}, ["10.0.0.1", "fd00::1"], ["10.0.0.1"]),
        ({"ipFamilies": ["IPv6"]}, ["10.0.0.1", "fd00::1"], ["fd00::1"]),
        ({"ipFamilies": ["IPv6", "IPv4"]}, ["10.0.0.1", "fd00::1"], ["fd00::1"]),
        ({"ipFamilies": ["IPv6"]}, ["10.0.0.1"], []),
        ({"ipFamilies": None}, ["10.0.0.1", "fd00::1"], ["10.0.0.1"]),
        ({"ipFamilies": None, "clusterIP": "fd00::9"}, ["10.0.0.1", "fd00::1"], ["fd00::1"]),
        ({"ipFamilies": None, "clusterIP": "None"}, ["fd00::1", "10.0.0.1"], ["fd00::1"]),
    ],
)
def test_addresses_are_of_the_first_family(cp: ControlPlane, fields: Any, ips: list[str], expected: list[str]) -> None:
    cp.put("services", make_service(**fields))
    cp.put("pods", make_pod("a", ips))
    cp.run(EndpointsController)
    assert listed(cp) == expected


def test_an_address_names_its_pod_node_and_hostname(cp: ControlPlane) -> None:
    cp.put("services", make_service())
    cp.put("pods", make_pod("a", "10.0.0.1", hostname="one", subdomain="web"))
    cp.run(EndpointsController)
    (address,) = endpoints(cp)["subsets"][0]["addresses"]
    uid = cp.store.get("pods", "ns", "a")["metadata"]["uid"]  # type: ignore[index]
    assert address == {
        "ip": "10.0.0.1", "hostname": "one", "nodeName": "node-1",
        "targetRef": {"kind": "Pod", "namespace": "ns", "name": "a", "uid": uid},
    }


def test_a_pod_without_the_named_port_is_left_out(cp: ControlPlane) -> None:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}]
    cp.put("services", make_service(ports=ports))
    cp.put("pods", make_pod("a", "10.0.0.1", ports={"http": 8080}))
    cp.put("pods", make_pod("b", "10.0.0.2"))
    cp.run(EndpointsController)
    assert endpoints(cp)["subsets"][0]["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert listed(cp) == ["10.0.0.1"]


def test_a_headless_service_without_ports(cp: ControlPlane) -> None:
    cp.put("services", make_service(clusterIP="None", ports=None, labels={"a": "b"}))
    cp.put("pods", make_pod("a", "10.0.0.1"))
    cp.run(EndpointsController)
    assert "ports" not in endpoints(cp)["subsets"][0] and listed(cp) == ["10.0.0.1"]
    assert endpoints(cp)["metadata"]["labels"] == {**OWN, "a": "b", "service.kubernetes.io/headless": ""}


def test_a_service_without_pods_has_empty_endpoints(cp: ControlPlane) -> None:
    cp.put("services", make_service())
    controller = cp.run(EndpointsController)
    assert "subsets" not in endpoints(cp)
    assert endpoints(cp)["metadata"]["annotations"] == {TRIGGER_TIME: "1970-01-12T13:46:40Z"}
    assert controller.client.counts() == {"create": 1}


# -- When it writes


@pytest.mark.parametrize("fields", [{"selector": None}, {"type": "ExternalName"}])
def test_services_without_selector_and_external_names_are_left_alone(cp: ControlPlane, fields: Any) -> None:
    cp.put("services", make_service(**fields))
    assert cp.run(EndpointsController).client.actions == []


def test_one_pods_life_costs_three_writes(cp: ControlPlane) -> None:
    cp.put("services", make_service())
    controller = cp.run(EndpointsController)
    for moment in (
        make_pod("a", ready=False),
        make_pod("a", "10.0.0.1", ready=False),
        make_pod("a", "10.0.0.1"),
        make_pod("a", "10.0.0.1", terminating=True),
    ):
        cp.put("pods", moment)
        cp.settle()
    cp.delete("pods", "a")
    cp.settle()
    assert controller.client.counts() == {"create": 1, "update": 3}


def test_an_edit_by_hand_stays_until_the_next_sync(cp: ControlPlane) -> None:
    start(cp)
    cp.change("endpoints", "web", subsets=[subset("10.9.9.9", "", 1)], metadata__labels={})
    cp.change("pods", "a", metadata__annotations={"irrelevant": "yes"})
    cp.sleep(60)
    assert listed(cp) == ["10.9.9.9"]
    cp.change("services", "web", metadata__annotations={"touched": "yes"})
    cp.settle()
    assert listed(cp) == ["10.0.0.1"] and endpoints(cp)["metadata"]["labels"] == OWN


def test_deleted_endpoints_come_back_at_once(cp: ControlPlane) -> None:
    start(cp)
    cp.delete("endpoints", "web")
    cp.settle()
    assert listed(cp) == ["10.0.0.1"]


def test_foreign_annotations_stay_and_foreign_labels_go(cp: ControlPlane) -> None:
    start(cp)
    cp.change("endpoints", "web", metadata__annotations={"note": "mine"}, metadata__labels={**OWN, "mine": "yes"})
    cp.change("services", "web", metadata__labels={"a": "b"})
    cp.settle()
    assert endpoints(cp)["metadata"]["annotations"] == {"note": "mine"}
    assert endpoints(cp)["metadata"]["labels"] == {**OWN, "a": "b"}


def test_stored_subsets_in_another_order_are_left_alone(cp: ControlPlane) -> None:
    ports = [{"name": f"p{port}", "port": port, "protocol": "TCP", "targetPort": port} for port in (1, 2)]
    cp.put("services", make_service(ports=ports))
    cp.put("pods", make_pod("a", "10.0.0.1"))
    controller = cp.run(EndpointsController)
    (packed,) = endpoints(cp)["subsets"]
    apart = [{**packed, "ports": [port]} for port in reversed(packed["ports"])]
    cp.change("endpoints", "web", subsets=apart)
    cp.change("services", "web", metadata__annotations={"touched": "yes"})
    cp.settle()
    assert controller.client.counts() == {"create": 1}
    assert endpoints(cp)["subsets"] == apart


def test_the_trigger_time_goes_with_a_write_that_has_none(cp: ControlPlane) -> None:
    start(cp)
    cp.sleep(10)
    cp.put("pods", make_pod("b", "10.0.0.2", since=cp.loop.clock.now))
    cp.settle()
    assert endpoints(cp)["metadata"]["annotations"] == {TRIGGER_TIME: "1970-01-12T13:46:50Z"}
    cp.delete("pods", "b")
    cp.settle()
    assert "annotations" not in endpoints(cp)["metadata"]


@pytest.mark.parametrize(("period", "updates"), [(0.0, 3), (0.5, 1)])
def test_changes_of_pods_are_batched(cp: ControlPlane, period: float, updates: int) -> None:
    controller = start(cp, endpoint_updates_batch_period=period)
    cp.sleep(10)
    for number in (2, 3, 4):
        cp.put("pods", make_pod(f"p{number}", f"10.0.0.{number}"))
        cp.sleep(0.1)
    cp.sleep(10)
    assert len(listed(cp)) == 4 and controller.client.counts() == {"create": 1, "update": updates}


def test_a_stale_cache_is_noticed(cp: ControlPlane) -> None:
    controller = start(cp)
    controller.endpoints.lag = 0.5
    cp.put("pods", make_pod("b", "10.0.0.2"))
    cp.settle()
    cp.put("pods", make_pod("c", "10.0.0.3"))
    cp.settle()
    assert listed(cp) == ["10.0.0.1", "10.0.0.2"]
    assert any("endpoints informer cache is out of date, resource version" in line for _, line in controller.log_lines)
    cp.sleep(2)
    assert listed(cp) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


# -- The end of a Service


def test_endpoints_go_with_their_service_whoever_made_them(cp: ControlPlane) -> None:
    cp.put("services", make_service(selector=None))
    cp.put("endpoints", {"metadata": {"name": "web", "namespace": "ns"}})
    cp.run(EndpointsController)
    cp.delete("services", "web")
    cp.settle()
    assert cp.store.list("endpoints") == []


def test_leftovers_go_when_it_starts_but_for_those_of_leader_elections(cp: ControlPlane) -> None:
    cp.put("endpoints", {"metadata": {"name": "left", "namespace": "ns"}})
    annotations = {"control-plane.alpha.kubernetes.io/leader": "{}"}
    cp.put("endpoints", {"metadata": {"name": "leader", "namespace": "ns", "annotations": annotations}})
    cp.run(EndpointsController)
    assert [each["metadata"]["name"] for each in cp.store.list("endpoints")] == ["leader"]


# -- Failures


def test_failures_are_told_and_tried_again(cp: ControlPlane) -> None:
    controller = start(cp)
    controller.client.refuse = conflict("endpoints", "web")
    cp.put("pods", make_pod("b", "10.0.0.2"))
    cp.settle()
    ((type, reason, message),) = cp.events()
    assert (type, reason) == ("Warning", "FailedToUpdateEndpoint")
    assert message.startswith("Failed to update endpoint ns/web: Operation cannot be fulfilled")
    cp.sleep(0.1)
    assert listed(cp) == ["10.0.0.1", "10.0.0.2"]


def test_a_namespace_that_goes_away_is_no_error(cp: ControlPlane) -> None:
    cp.client("endpoints-controller").refuse = namespace_terminating()
    cp.put("services", make_service())
    controller = cp.run(EndpointsController)
    assert cp.events() == [] and controller.queue.stuck == []
