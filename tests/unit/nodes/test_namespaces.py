"""What namespaces get, how they go, and what a fresh cluster holds."""
from __future__ import annotations

from collections.abc import Callable

from simulated_nodes import Nodes

from epkit.fake.kubelet import NodeSpec
from epkit.objects import Obj


def namespace(nodes: Nodes, name: str) -> None:
    nodes.create("namespaces", name, None)
    nodes.settle()


def conditions(nodes: Nodes, name: str) -> dict[str, Obj]:
    found = nodes.get(name, "namespaces", None)
    assert found is not None
    return {entry["type"]: entry for entry in found["status"]["conditions"]}


def test_every_namespace_gets_an_account_and_the_root_certificate(nodes: Nodes) -> None:
    namespace(nodes, "lab")
    assert nodes.get("default", "serviceaccounts", "lab") is not None
    root = nodes.get("kube-root-ca.crt", "configmaps", "lab")
    assert root is not None and root["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")


def test_they_come_back_when_they_are_deleted_or_changed(nodes: Nodes) -> None:
    nodes.delete("default", "serviceaccounts")
    nodes.client.patch("configmaps", "kube-root-ca.crt", {"data": {"ca.crt": "mine"}}, "default")
    nodes.settle()
    assert nodes.get("default", "serviceaccounts") is not None
    root = nodes.get("kube-root-ca.crt", "configmaps")
    assert root is not None and root["data"]["ca.crt"] != "mine"


def test_a_deleted_namespace_goes_with_all_that_is_in_it(nodes: Nodes) -> None:
    namespace(nodes, "lab")
    nodes.create("configmaps", "a", "lab")
    nodes.create("services", "web", "lab", spec={"ports": [{"port": 80}]})
    nodes.settle()
    nodes.delete("lab", "namespaces", None)
    nodes.settle()
    assert nodes.get("lab", "namespaces", None) is None
    for resource in ("configmaps", "services", "serviceaccounts", "endpointslices", "events"):
        assert not list(nodes.client.list(resource, "lab")), resource


def test_its_pods_stop_gracefully_before_the_rest_goes(nodes: Nodes) -> None:
    namespace(nodes, "lab")
    pod = {"metadata": {"name": "web", "namespace": "lab", "annotations": {"fake/term-delay": "8"}}}
    nodes.client.create("pods", {**pod, "spec": {"containers": [{"name": "c", "image": "nginx"}]}})
    nodes.create("configmaps", "a", "lab")
    nodes.settle()
    nodes.delete("lab", "namespaces", None)
    nodes.sleep(2)
    found = conditions(nodes, "lab")["NamespaceContentRemaining"]
    assert found["message"] == "Some resources are remaining: pods. has 1 resource instances"
    assert nodes.get("a", "configmaps", "lab") is not None
    nodes.settle()
    assert nodes.get("lab", "namespaces", None) is None


def test_a_namespace_held_by_a_finalizer_says_so_and_an_instant_clock_does_not_wait(nodes: Nodes) -> None:
    namespace(nodes, "lab")
    nodes.create("configmaps", "a", "lab", metadata={"finalizers": ["example.com/hold"]})
    nodes.settle()
    before = nodes.plane.clock.now
    nodes.delete("lab", "namespaces", None)
    nodes.settle()
    assert nodes.plane.clock.now == before
    found = nodes.get("lab", "namespaces", None)
    assert found is not None and found["status"]["phase"] == "Terminating"
    held = conditions(nodes, "lab")
    assert held["NamespaceFinalizersRemaining"]["message"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )
    assert held["NamespaceContentRemaining"]["status"] == "True"
    nodes.client.patch("configmaps", "a", {"metadata": {"finalizers": None}}, "lab")
    nodes.sleep(20)
    assert nodes.get("lab", "namespaces", None) is None


def test_the_service_of_the_api_server(nodes: Nodes) -> None:
    service, endpoints = nodes.get("kubernetes", "services"), nodes.get("kubernetes", "endpoints")
    piece = nodes.get("kubernetes", "endpointslices")
    assert service is not None and endpoints is not None and piece is not None
    assert service["spec"]["clusterIP"] == "10.96.0.1" and "selector" not in service["spec"]
    assert endpoints["metadata"]["labels"] == {"endpointslice.kubernetes.io/skip-mirror": "true"}
    assert piece["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}
    assert piece["endpoints"] == [{"addresses": ["172.18.0.2"], "conditions": {"ready": True}}]
    assert piece["ports"] == [{"name": "https", "port": 6443, "protocol": "TCP"}]
    assert len(list(nodes.client.list("endpointslices", "default"))) == 1


def test_a_hand_edit_of_its_slice_is_undone_within_ten_seconds(nodes: Nodes) -> None:
    nodes.client.patch("endpointslices", "kubernetes", {"endpoints": [{"addresses": ["10.9.9.9"]}]}, "default")
    nodes.settle()
    nodes.sleep(10)
    piece = nodes.get("kubernetes", "endpointslices")
    assert piece is not None and piece["endpoints"][0]["addresses"] == ["172.18.0.2"]
    version = nodes.plane.store.version
    nodes.sleep(60)
    assert nodes.writes(version, "endpointslices.discovery.k8s.io") == nodes.writes(version, "services") == []


def test_its_service_comes_back(nodes: Nodes) -> None:
    nodes.delete("kubernetes", "services")
    nodes.sleep(10)
    service = nodes.get("kubernetes", "services")
    assert service is not None and service["spec"]["clusterIP"] == "10.96.0.1"


def test_a_cluster_with_nodes_has_dns(nodes: Nodes) -> None:
    service = nodes.get("kube-dns", "services", "kube-system")
    assert service is not None and service["spec"]["clusterIP"] == "10.96.0.10"
    assert [port["name"] for port in service["spec"]["ports"]] == ["dns", "dns-tcp", "metrics"]
    (piece,) = nodes.client.list("endpointslices", "kube-system")
    assert [endpoint["conditions"]["ready"] for endpoint in piece["endpoints"]] == [True, True]
    assert len({endpoint["nodeName"] for endpoint in piece["endpoints"]}) == 2


def test_a_cluster_without_nodes_holds_the_namespaces_and_the_api_servers_service(make: Callable[..., Nodes]) -> None:
    nodes = make()
    assert [entry["metadata"]["name"] for entry in nodes.client.list("namespaces")] == [
        "default",
        "kube-node-lease",
        "kube-public",
        "kube-system",
    ]
    assert not list(nodes.client.list("pods")) and not list(nodes.client.list("nodes"))
    assert nodes.get("kube-dns", "services", "kube-system") is None


def test_a_single_node_runs_dns_too(make: Callable[..., Nodes]) -> None:
    nodes = make(NodeSpec("only"))
    assert len(list(nodes.client.list("pods", "kube-system"))) == 2
