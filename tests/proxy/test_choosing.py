"""Services, slices and the choice of endpoints: what kube-proxy makes of API objects."""

from __future__ import annotations

from typing import Any

import pytest
from test_sync import cluster, endpoint_slice, service

from epkit.proxy import Proxy
from epkit.proxy.endpoints import Endpoint, EndpointsChangeTracker, EndpointsMap
from epkit.proxy.services import ServicePort, service_ports
from epkit.proxy.topology import categorize_endpoints, topology_mode


def ep(number: int, what: str = "ready", node: str = "", zones: str = "", nodes: str = "") -> Endpoint:
    conditions = {
        "ready": (True, True, False),
        "leaving": (False, True, True),  # terminating, still serving
        "ending": (False, False, True),  # terminating, no longer serving
        "not ready": (False, False, False),
    }
    ready, serving, terminating = conditions[what]
    hints = frozenset(zones.split()), frozenset(nodes.split())
    return Endpoint(f"10.0.0.{number}", 80, node == "me", ready, serving, terminating, *hints, node)


CLUSTER = ServicePort("10.96.0.9", 80, "TCP")
INTERNAL_LOCAL = ServicePort("10.96.0.9", 80, "TCP", internal_policy_local=True)
EXTERNAL_LOCAL = ServicePort("10.96.0.9", 80, "TCP", node_port=30080, external_policy_local=True)
BOTH_LOCAL = ServicePort(
    "10.96.0.9", 80, "TCP", node_port=30080, external_policy_local=True, internal_policy_local=True
)

CASES = {
    # name: (endpoints, port, cluster, local, reachable, has_any); numbers are the last of the address
    "nothing": ([], CLUSTER, "", "", "", False),
    "ready ones only": ([ep(1), ep(2, "not ready"), ep(3, "leaving")], CLUSTER, "1", "", "1", True),
    "leaving ones where none is ready": ([ep(1, "leaving"), ep(2, "ending")], CLUSTER, "1", "", "1", True),
    "none that serves": ([ep(1, "ending"), ep(2, "not ready")], CLUSTER, "", "", "", False),
    "the zone": ([ep(1, zones="a"), ep(2, zones="b")], CLUSTER, "1", "", "1", True),
    "one without hints": ([ep(1, zones="a"), ep(2)], CLUSTER, "1 2", "", "1 2", True),
    "not ready without hints does not count": ([ep(1, zones="a"), ep(2, "not ready")], CLUSTER, "1", "", "1", True),
    "no hint for the zone": ([ep(1, zones="b"), ep(2, zones="c")], CLUSTER, "1 2", "", "1 2", True),
    "the node before the zone": (
        [ep(1, zones="a", nodes="x"), ep(2, zones="b", nodes="me")],
        CLUSTER,
        "2",
        "",
        "2",
        True,
    ),
    "the zone where no hint is for the node": (
        [ep(1, zones="a", nodes="x"), ep(2, zones="b", nodes="y")],
        CLUSTER,
        "1",
        "",
        "1",
        True,
    ),
    "the zone where one has no node hint": (
        [ep(1, zones="a", nodes="me"), ep(2, zones="a")],
        CLUSTER,
        "1 2",
        "",
        "1 2",
        True,
    ),
    "hints do not hold for leaving ones": (
        [ep(1, "leaving", zones="b"), ep(2, "leaving", zones="a")],
        CLUSTER,
        "1 2",
        "",
        "1 2",
        True,
    ),
    "internal local": ([ep(1, node="me"), ep(2, node="x")], INTERNAL_LOCAL, "", "1", "1", True),
    "internal local, none here": ([ep(2, node="x")], INTERNAL_LOCAL, "", "", "", True),
    "internal local, leaving here": ([ep(1, "leaving", "me"), ep(2, node="x")], INTERNAL_LOCAL, "", "1", "1", True),
    "internal local, none anywhere": ([ep(1, "not ready", "me")], INTERNAL_LOCAL, "", "", "", False),
    "external local": ([ep(1, node="me"), ep(2, node="x")], EXTERNAL_LOCAL, "1 2", "1", "1 2", True),
    "external local, leaving here": ([ep(1, "leaving", "me"), ep(2, node="x")], EXTERNAL_LOCAL, "2", "1", "1 2", True),
    "external local and the zone": (
        [ep(1, node="me", zones="b"), ep(2, zones="a")],
        EXTERNAL_LOCAL,
        "2",
        "1",
        "1 2",
        True,
    ),
    "both local": ([ep(1, node="me"), ep(2, node="x")], BOTH_LOCAL, "1 2", "1", "1 2", True),
    "external local, only leaving ones": (
        [ep(1, "leaving", "me"), ep(2, "leaving", "x")],
        EXTERNAL_LOCAL,
        "1 2",
        "1",
        "1 2",
        True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_categorize_endpoints(name: str) -> None:
    endpoints, port, *expected, has_any = CASES[name]
    found = categorize_endpoints(endpoints, port, "me", "a")
    numbers = [" ".join(e.ip.rsplit(".")[-1] for e in part) for part in (found.cluster, found.local, found.reachable)]
    assert (numbers, found.has_any) == (expected, has_any)


def test_a_node_without_a_zone_uses_no_zone_hints() -> None:
    assert topology_mode([ep(1, zones="a")], "me", "") == ""


# Slices -------------------------------------------------------------------------------------------------------------


def merged(*slices: dict[str, Any]) -> dict[str, list[str]]:
    tracker, found = EndpointsChangeTracker("IPv4", "node-1"), EndpointsMap()
    for one in slices:
        tracker.update(one)
    tracker.apply(found)
    return {str(name): [str(e) for e in endpoints] for name, endpoints in found.items()}


def a_slice(name: str, *endpoints: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**endpoint_slice("web", 0, name=name), "endpoints": list(endpoints), **fields}


def an_endpoint(address: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "conditions": conditions}


def test_slices_are_merged_and_an_address_counts_once_in_string_order() -> None:
    one = a_slice("a", an_endpoint("10.0.0.2"), an_endpoint("10.0.0.10"))
    two = a_slice("b", an_endpoint("10.0.0.2"), an_endpoint("10.0.0.3"))
    assert merged(one, two) == {"demo/web:http": ["10.0.0.10:8080", "10.0.0.2:8080", "10.0.0.3:8080"]}


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_of_two_of_one_address_the_one_that_is_not_terminating_wins(names: str) -> None:
    leaving = a_slice(names[0], an_endpoint("10.0.0.2", ready=False, serving=True, terminating=True))
    ready = a_slice(names[1], an_endpoint("10.0.0.2", ready=True))
    tracker, found = EndpointsChangeTracker("IPv4", "node-1"), EndpointsMap()
    tracker.update(leaving)
    tracker.update(ready)
    tracker.apply(found)
    ((endpoint,),) = found.values()
    assert endpoint.ready and not endpoint.terminating


@pytest.mark.parametrize(
    ("why", "fields"),
    [
        ("the other family", {"addressType": "IPv6", "endpoints": [an_endpoint("fd00::1")]}),
        ("host names", {"addressType": "FQDN", "endpoints": [an_endpoint("db.example.com")]}),
        ("no Service", {"metadata": {"namespace": "demo", "name": "x", "labels": {}}}),
        ("headless", {"metadata": {"namespace": "demo", "name": "x", "labels": {
            "kubernetes.io/service-name": "web", "service.kubernetes.io/headless": ""}}}),
        ("a port without a number", {"ports": [{"name": "http", "protocol": "TCP"}]}),
        ("port 0", {"ports": [{"name": "http", "port": 0, "protocol": "TCP"}]}),
        ("no ports", {"ports": None}),
    ],
)  # fmt: skip
def test_slices_that_kube_proxy_passes_over(why: str, fields: dict[str, Any]) -> None:
    assert merged(a_slice("a", an_endpoint("10.0.0.2"), **fields)) == {}


def test_only_the_first_address_of_an_endpoint_is_read() -> None:
    assert merged(a_slice("a", {"addresses": ["10.0.0.2", "10.0.0.3"]})) == {"demo/web:http": ["10.0.0.2:8080"]}


def test_absent_conditions_mean_ready_serving_and_not_terminating() -> None:
    tracker, found = EndpointsChangeTracker("IPv4", "node-1"), EndpointsMap()
    tracker.update(a_slice("a", {"addresses": ["10.0.0.2"]}))
    tracker.apply(found)
    ((endpoint,),) = found.values()
    assert endpoint.ready and endpoint.serving and not endpoint.terminating


def test_a_slice_that_moves_to_another_service_leaves_the_first_one() -> None:
    proxy, web, other = Proxy("node-1"), service("web", 1), service("other", 2)
    moving = endpoint_slice("web", 2)
    proxy.sync(cluster(web, other, moving))
    moved = {**moving, "metadata": {**moving["metadata"], "labels": {"kubernetes.io/service-name": "other"}}}
    proxy.sync(cluster(web, other, moved))
    assert {str(name): len(found) for name, found in proxy.endpoints_map.items()} == {"demo/other:http": 2}


def test_trigger_times_come_with_the_change() -> None:
    tracker = EndpointsChangeTracker("IPv4", "node-1")
    one = a_slice("a", an_endpoint("10.0.0.2"))
    one["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z"}
    tracker.update(one)
    assert tracker.apply({}).trigger_times == ("2026-01-02T03:04:05Z",)
    assert tracker.apply({}).trigger_times == ()


# Services -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None", "clusterIPs": ["None"]},
        {"type": "ExternalName", "externalName": "example.com"},
        {"clusterIP": "fd00:10:96::1", "clusterIPs": ["fd00:10:96::1"]},
    ],
)
def test_services_that_have_no_port_in_this_family(spec: dict[str, Any]) -> None:
    assert service_ports(service("web", 1, **spec), "IPv4") == {}


def test_a_dual_stack_service_has_one_port_in_each_family() -> None:
    ips = ["10.96.0.1", "fd00:10:96::1"]
    web = service("web", 1, clusterIP=ips[0], clusterIPs=ips, externalIPs=["203.0.113.1", "2001:db8::1"])
    (four,), (six,) = (service_ports(web, family).values() for family in ("IPv4", "IPv6"))
    assert (four.cluster_ip, four.external_ips) == ("10.96.0.1", ("203.0.113.1",))
    assert (six.cluster_ip, six.external_ips) == ("fd00:10:96::1", ("2001:db8::1",))


def test_source_ranges_are_of_the_family_and_one_that_allows_all_is_none() -> None:
    ranges = ["192.0.2.0/24", " 198.51.100.0/28", "2001:db8::/32"]
    (port,) = service_ports(service("web", 1, loadBalancerSourceRanges=ranges), "IPv4").values()
    assert port.source_ranges == ("192.0.2.0/24", "198.51.100.0/28")
    (port,) = service_ports(service("web", 1, loadBalancerSourceRanges=[*ranges, "0.0.0.0/0"]), "IPv4").values()
    assert port.source_ranges == ()


def test_a_load_balancer_in_proxy_mode_is_left_alone() -> None:
    web = service("web", 1, type="LoadBalancer")
    web["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1", "ipMode": "Proxy"}, {"ip": "203.0.113.2"}]}}
    (port,) = service_ports(web, "IPv4").values()
    assert port.load_balancer_vips == ("203.0.113.2",)


def test_the_load_balancers_health_check_counts_ready_endpoints_of_this_node() -> None:
    web = service("web", 1, type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30200)
    slices = endpoint_slice("web", 4)
    for entry, name in zip(slices["endpoints"], ("node-1", "node-1", "node-1", "node-2"), strict=True):
        entry["nodeName"] = name
    slices["endpoints"][1]["conditions"] = {"ready": False, "serving": True, "terminating": True}
    proxy = Proxy("node-1")
    proxy.sync(cluster(web, slices))
    check = proxy.health_check(30200)
    assert check is not None and (check.status, check.local_endpoints) == (200, 2)
    assert check.headers["X-Load-Balancing-Endpoint-Weight"] == "2"
    assert '"name": "web"' in check.body and '"localEndpoints": 2' in check.body
    for entry in slices["endpoints"]:
        entry["nodeName"] = "node-2"
    proxy.sync(cluster(web, {**slices}))
    check = proxy.health_check(30200)
    assert check is not None and check.status == 503
    assert proxy.health_check(30201) is None
