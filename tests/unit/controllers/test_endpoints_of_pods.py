"""From pods to endpoints, ports and labels: the tables of ``staging/src/k8s.io/endpointslice/utils_test.go``."""
from __future__ import annotations

import pytest
from endpoints_double import make_node, make_pod, make_service

from epkit.fake.controllers.endpointslice.endpoints import (
    endpoint_ports,
    endpoints_equal_beyond_hash,
    find_port,
    pod_to_endpoint,
    port_map_key,
    should_pod_be_in_endpoints,
    should_set_hostname,
)
from epkit.fake.controllers.endpointslice.utils import (
    address_types,
    hints_enabled,
    labels_changed,
    new_endpoint_slice,
    service_key_of,
    slice_labels,
    slice_prefix,
)
from epkit.objects import Obj

NODE = make_node("node-1", "zone-a", **{"topology.kubernetes.io/region": "region"})
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
OWN = {SERVICE_NAME: "web", MANAGED_BY: "endpointslice-controller.k8s.io"}


@pytest.mark.parametrize(
    ("ready", "terminating", "publish", "conditions"),
    [
        (True, False, False, (True, True, False)),
        (False, False, False, (False, False, False)),
        (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)),
        (True, False, True, (True, True, False)),
        (False, False, True, (True, False, False)),
        (True, True, True, (True, True, True)),
        (False, True, True, (True, False, True)),
    ],
)
def test_conditions(ready: bool, terminating: bool, publish: bool, conditions: tuple[bool, bool, bool]) -> None:
    service = make_service(publishNotReadyAddresses=publish)
    endpoint = pod_to_endpoint(make_pod("a", "10.0.0.1", ready=ready, terminating=terminating), NODE, service, "IPv4")
    assert tuple(endpoint["conditions"][name] for name in ("ready", "serving", "terminating")) == conditions


def test_an_endpoint_names_its_pod_node_and_zone() -> None:
    endpoint = pod_to_endpoint(make_pod("a", "10.0.0.1"), NODE, make_service(), "IPv4")
    assert endpoint["targetRef"] == {"kind": "Pod", "namespace": "ns", "name": "a", "uid": ""}
    assert (endpoint["nodeName"], endpoint["zone"]) == ("node-1", "zone-a")
    assert "hostname" not in endpoint and "deprecatedTopology" not in endpoint


def test_without_the_node_there_is_no_zone() -> None:
    assert "zone" not in pod_to_endpoint(make_pod("a", "10.0.0.1"), None, make_service(), "IPv4")
    assert "zone" not in pod_to_endpoint(make_pod("b", "10.0.0.1"), make_node("node-1"), make_service(), "IPv4")


def test_only_addresses_of_the_family_count_and_they_are_canonical() -> None:
    pod = make_pod("a", ["10.0.0.1", "FD00:0:0::A", "10.0.0.2"])
    assert pod_to_endpoint(pod, NODE, make_service(), "IPv4")["addresses"] == ["10.0.0.1", "10.0.0.2"]
    assert pod_to_endpoint(pod, NODE, make_service(), "IPv6")["addresses"] == ["fd00::a"]


@pytest.mark.parametrize(
    ("hostname", "subdomain", "namespace", "expected"),
    [("one", "web", "ns", True), ("", "web", "ns", False), ("one", "db", "ns", False), ("one", "web", "other", False)],
)
def test_hostname(hostname: str, subdomain: str, namespace: str, expected: bool) -> None:
    pod = make_pod("a", "10.0.0.1", hostname=hostname, subdomain=subdomain)
    pod["metadata"]["namespace"] = namespace
    assert should_set_hostname(pod, make_service()) is expected


@pytest.mark.parametrize(
    ("pod", "include_terminating", "expected"),
    [
        (make_pod("a", "10.0.0.1"), False, True),
        (make_pod("a", "10.0.0.1", ready=False), False, True),
        (make_pod("a", "10.0.0.1", phase="Pending"), False, True),
        (make_pod("a", "10.0.0.1", phase="Failed"), True, False),
        (make_pod("a", "10.0.0.1", phase="Succeeded"), True, False),
        (make_pod("a", "10.0.0.1", phase="Succeeded", terminating=True), True, False),
        (make_pod("a"), True, False),
        (make_pod("a", "10.0.0.1", terminating=True), False, False),
        (make_pod("a", "10.0.0.1", terminating=True), True, True),
        (make_pod("a", "10.0.0.1", terminating=True, ready=False), True, True),
        ({"metadata": {"name": "a"}, "spec": {}, "status": {"podIP": "10.0.0.1"}}, False, True),
    ],
)
def test_which_pods_count(pod: Obj, include_terminating: bool, expected: bool) -> None:
    assert should_pod_be_in_endpoints(pod, include_terminating) is expected


def service_port(target: int | str, protocol: str = "TCP") -> Obj:
    return {"name": "p", "port": 80, "protocol": protocol, "targetPort": target}


def container(*ports: tuple[str, int, str], sidecar: bool = False) -> Obj:
    listed = [{"name": name, "containerPort": number, "protocol": protocol} for name, number, protocol in ports]
    return {"name": "c", "ports": listed, **({"restartPolicy": "Always"} if sidecar else {})}


@pytest.mark.parametrize(
    ("port", "containers", "init_containers", "expected"),
    [
        (service_port(8080), [], [], 8080),
        (service_port(8080), [container(("http", 80, "TCP"))], [], 8080),
        (service_port("http"), [container(("http", 8080, "TCP"))], [], 8080),
        (service_port("http"), [container(("https", 8443, "TCP"))], [], None),
        (service_port("http", "UDP"), [container(("http", 8080, "TCP"))], [], None),
        (service_port("dns", "UDP"), [container(("dns", 53, "TCP"), ("dns", 54, "UDP"))], [], 54),
        (service_port("http"), [container(("a", 1, "TCP")), container(("http", 2, "TCP"))], [], 2),
        (service_port("http"), [container(("http", 1, "TCP")), container(("http", 2, "TCP"))], [], 1),
        (service_port("http"), [container()], [container(("http", 3, "TCP"), sidecar=True)], 3),
        (service_port("http"), [container()], [container(("http", 3, "TCP"))], None),
        (service_port("http"), [container(("http", 1, "TCP"))], [container(("http", 3, "TCP"), sidecar=True)], 1),
    ],
)
def test_find_port(port: Obj, containers: list[Obj], init_containers: list[Obj], expected: int | None) -> None:
    pod = {"spec": {"containers": containers, "initContainers": init_containers}}
    assert find_port(pod, port) == expected


def test_endpoint_ports_take_the_services_names_and_app_protocols() -> None:
    service = make_service(ports=[
        {"name": "web", "port": 80, "protocol": "TCP", "targetPort": "http", "appProtocol": "example.com/custom"},
        {"name": "gone", "port": 81, "protocol": "TCP", "targetPort": "nowhere"},
    ])
    assert endpoint_ports(service, make_pod("a", ports={"http": 8080})) == [
        {"name": "web", "protocol": "TCP", "port": 8080, "appProtocol": "example.com/custom"}
    ]


def test_ports_are_ordered_by_their_hash() -> None:
    """As a real v1.36.2 control plane was seen to order them."""
    names = "edcba"
    service = make_service(ports=[
        {"name": name, "port": number, "protocol": "TCP", "targetPort": number} for number, name in enumerate(names, 1)
    ])
    service["spec"]["ports"][4]["appProtocol"] = "http"
    assert [port["port"] for port in endpoint_ports(service, make_pod("a"))] == [2, 5, 1, 4, 3]


def test_port_maps_are_equal_whatever_the_order() -> None:
    one = [{"name": "a", "protocol": "TCP", "port": 1}, {"name": "b", "protocol": "TCP", "port": 2}]
    assert port_map_key(one) == port_map_key(one[::-1])
    assert port_map_key(one) != port_map_key(one[:1])
    assert port_map_key([]) == ()


BASE = {
    "addresses": ["10.0.0.1"],
    "conditions": {"ready": True, "serving": True, "terminating": False},
    "nodeName": "n",
    "zone": "z",
    "targetRef": {"kind": "Pod", "namespace": "ns", "name": "a", "uid": "1"},
}


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        ({}, True),
        ({"targetRef": {**BASE["targetRef"], "resourceVersion": "7"}}, True),  # type: ignore[dict-item]
        ({"hints": {"forZones": [{"name": "z"}]}}, True),
        ({"nodeName": "m"}, False),
        ({"zone": "y"}, False),
        ({"conditions": {"ready": False, "serving": True, "terminating": False}}, False),
        ({"conditions": {"ready": True, "serving": False, "terminating": False}}, False),
        ({"conditions": {"ready": True, "serving": True, "terminating": True}}, False),
        ({"conditions": {"ready": True}}, False),
        ({"targetRef": {"kind": "Pod", "namespace": "ns", "name": "a", "uid": "2"}}, False),
    ],
)
def test_endpoints_equal_beyond_hash(change: Obj, equal: bool) -> None:
    assert endpoints_equal_beyond_hash(BASE, {**BASE, **change}) is equal


@pytest.mark.parametrize(
    ("labels", "headless", "expected"),
    [
        ({}, False, OWN),
        ({"foo": "bar"}, False, {**OWN, "foo": "bar"}),
        ({}, True, {**OWN, HEADLESS: ""}),
        ({HEADLESS: "invalid"}, False, OWN),
        ({HEADLESS: "invalid"}, True, {**OWN, HEADLESS: ""}),
        ({SERVICE_NAME: "bad", MANAGED_BY: "evil", "foo": "bar"}, False, {**OWN, "foo": "bar"}),
    ],
)
def test_slice_labels(labels: dict[str, str], headless: bool, expected: dict[str, str]) -> None:
    service = make_service(labels=labels, **({"clusterIP": "None"} if headless else {}))
    assert slice_labels(service) == expected


@pytest.mark.parametrize(
    ("slice", "service", "changed"),
    [
        (OWN, {}, False),
        ({**OWN, "foo": "bar"}, {"foo": "bar"}, False),
        ({**OWN, "foo": "bar"}, {}, True),
        (OWN, {"foo": "bar"}, True),
        ({**OWN, "foo": "bar"}, {"foo": "baz"}, True),
        ({**OWN, HEADLESS: ""}, {}, False),
        (OWN, {SERVICE_NAME: "bad", MANAGED_BY: "evil", HEADLESS: ""}, False),
    ],
)
def test_labels_changed(slice: dict[str, str], service: dict[str, str], changed: bool) -> None:
    assert labels_changed({"metadata": {"labels": slice}}, make_service(labels=service)) is changed


def test_a_new_slice() -> None:
    slice = new_endpoint_slice(make_service(), [{"port": 80}], "IPv6")
    assert slice["metadata"]["generateName"] == "web-" and "name" not in slice["metadata"]
    assert (slice["addressType"], slice["ports"], slice["endpoints"]) == ("IPv6", [{"port": 80}], [])


def test_the_prefix_keeps_its_dash_while_it_is_a_name() -> None:
    assert slice_prefix("web") == "web-"
    assert slice_prefix("a" * 63) == "a" * 63 + "-"
    assert slice_prefix("Not_a_name") == "Not_a_name"


@pytest.mark.parametrize(
    ("labels", "key"), [({SERVICE_NAME: "web"}, "ns/web"), ({SERVICE_NAME: ""}, None), ({}, None)]
)
def test_the_service_of_a_slice(labels: dict[str, str], key: str | None) -> None:
    assert service_key_of({"metadata": {"name": "s", "namespace": "ns", "labels": labels}}) == key


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"ipFamilies": ["IPv4"]}, ["IPv4"]),
        ({"ipFamilies": ["IPv6"]}, ["IPv6"]),
        ({"ipFamilies": ["IPv6", "IPv4"]}, ["IPv6", "IPv4"]),
        ({"ipFamilies": ["IPv4"], "clusterIP": "None"}, ["IPv4"]),
        ({"ipFamilies": None, "clusterIP": "10.0.0.1"}, ["IPv4"]),
        ({"ipFamilies": None, "clusterIP": "fd00::1"}, ["IPv6"]),
        ({"ipFamilies": None, "clusterIP": "None"}, ["IPv4", "IPv6"]),
        ({"ipFamilies": None, "clusterIP": ""}, ["IPv4", "IPv6"]),
    ],
)
def test_address_types(fields: Obj, expected: list[str]) -> None:
    assert address_types(make_service(**fields)) == expected


MODE, HINTS = "service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"


@pytest.mark.parametrize(
    ("annotations", "enabled"),
    [
        ({}, False),
        ({"foo": "Auto"}, False),
        ({MODE: "Auto"}, True),
        ({MODE: "auto"}, True),
        ({MODE: "AUTO"}, False),
        ({MODE: "Disabled"}, False),
        ({MODE: ""}, False),
        ({MODE: "true"}, False),
        ({HINTS: "Auto"}, True),
        ({HINTS: "auto"}, True),
        ({HINTS: "disabled"}, False),
        ({HINTS: "Auto", MODE: "Disabled"}, True),
        ({HINTS: "disabled", MODE: "Auto"}, False),
    ],
)
def test_hints_enabled(annotations: dict[str, str], enabled: bool) -> None:
    assert hints_enabled(make_service(annotations=annotations)) is enabled
