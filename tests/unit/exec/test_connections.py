"""Connections go through kube-proxy's rules of the client's node, to a container that listens, or not."""

from __future__ import annotations

import pytest
from inside_cluster import Inside

from epkit.errors import EpkitError
from epkit.fake.traffic import ANSWERED, REFUSED, TIMED_OUT, UNREACHABLE


def connect(inside, address: str, port: int = 80, pod: str = "client"):
    return inside.plane.traffic.connect(inside.plane.traffic.from_pod("default", pod), address, port)


def test_a_cluster_ip_leads_to_its_endpoints_alone(inside) -> None:
    pods = inside.web(3)
    address = inside.service()["spec"]["clusterIP"]
    seen = {connect(inside, address).pod for _ in range(40)}
    assert seen == {f"default/{pod}" for pod in pods}


def test_a_pod_that_is_not_ready_gets_nothing_through_the_service(inside) -> None:
    pods = inside.web(2)
    address = inside.service()["spec"]["clusterIP"]
    inside.api.patch("pods", pods[0], {"metadata": {"annotations": {"fake/ready": "false"}}}, "default")
    inside.plane.settle()
    assert {connect(inside, address).pod for _ in range(20)} == {f"default/{pods[1]}"}
    assert connect(inside, inside.address(pods[0])).outcome == ANSWERED, "its own address still answers"


def test_a_port_on_which_nobody_listens_refuses(inside) -> None:
    [pod] = inside.web(1)
    address = inside.service(target=8080)["spec"]["clusterIP"]
    assert connect(inside, address).outcome == REFUSED
    assert connect(inside, inside.address(pod), 8080).outcome == REFUSED


def test_a_service_without_endpoints_refuses(inside) -> None:
    assert connect(inside, inside.service()["spec"]["clusterIP"]).outcome == REFUSED


def test_a_service_whose_only_endpoint_is_elsewhere_drops_by_its_policy(inside) -> None:
    [pod] = inside.web(1)
    here = inside.api.get("pods", pod, "default")["spec"]["nodeName"]
    address = inside.service(internalTrafficPolicy="Local")["spec"]["clusterIP"]
    traffic = inside.plane.traffic
    outcomes = {
        node: traffic.connect(traffic.from_node(node), address, 80).outcome for node in inside.plane.kubelet.nodes
    }
    assert outcomes.pop(here) == ANSWERED
    assert set(outcomes.values()) == {TIMED_OUT}


def test_zone_hints_keep_traffic_in_the_zone(inside) -> None:
    inside.web(6)
    address = inside.service(trafficDistribution="PreferSameZone")["spec"]["clusterIP"]
    traffic = inside.plane.traffic
    for node, state in inside.plane.kubelet.nodes.items():
        source = traffic.from_node(node)
        zones = {
            found.worker.node.spec.zone for _ in range(12) if (found := traffic.connect(source, address, 80)).worker
        }
        assert zones == {state.spec.zone}


def test_session_affinity_stays_with_one_pod(inside) -> None:
    inside.web(3)
    address = inside.service(sessionAffinity="ClientIP")["spec"]["clusterIP"]
    assert len({connect(inside, address).pod for _ in range(12)}) == 1


def test_a_node_port_is_open_on_every_node(inside) -> None:
    inside.web(2)
    port = inside.service(type="NodePort")["spec"]["ports"][0]["nodePort"]
    for state in inside.plane.kubelet.nodes.values():
        assert connect(inside, state.internal_ip, port).outcome == ANSWERED
        assert connect(inside, state.internal_ip, 29999).outcome == REFUSED


def test_an_address_that_nobody_has_times_out(inside) -> None:
    assert connect(inside, "10.244.1.200").outcome == TIMED_OUT
    assert connect(inside, "192.0.2.1").outcome == TIMED_OUT


def test_an_endpoint_outside_the_cluster_times_out(inside) -> None:
    address = inside.service(selector=None)["spec"]["clusterIP"]
    meta = {"name": "outside", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}}
    kind = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
    ports, endpoints = [{"name": "http", "port": 80, "protocol": "TCP"}], [{"addresses": ["192.0.2.10"]}]
    inside.api.create("endpointslices", {**kind, "metadata": meta, "endpoints": endpoints, "ports": ports})
    found = connect(inside, address)
    assert (found.outcome, found.address) == (TIMED_OUT, "192.0.2.10")


def test_a_machine_that_hangs_does_not_answer(inside) -> None:
    [pod] = inside.web(1)
    inside.plane.kubelet.stop(inside.api.get("pods", pod, "default")["spec"]["nodeName"])
    assert connect(inside, inside.address(pod)).outcome == TIMED_OUT


def test_loopback_is_the_pod_s_own(inside) -> None:
    [pod] = inside.web(1)
    assert connect(inside, "127.0.0.1", 80, pod).pod == f"default/{pod}"
    assert connect(inside, "127.0.0.1", 80).outcome == REFUSED


def test_a_pod_reaches_itself_through_its_service(inside) -> None:
    [pod] = inside.web(1)
    found = connect(inside, inside.service()["spec"]["clusterIP"], 80, pod)
    assert found.pod == f"default/{pod}"
    assert found.seen_as != inside.address(pod), "it is masqueraded, or the answer would go astray"


def test_there_is_no_way_to_the_other_family(inside) -> None:
    assert connect(inside, "fd00::1").outcome == UNREACHABLE


def test_the_server_sees_the_client_s_own_address(inside) -> None:
    [pod] = inside.web(1)
    inside.service()
    inside.says("curl -s web")
    log = [text for _, text in inside.plane.kubelet.container("default", pod).log()]
    assert log[-1].startswith(f"{inside.address('client')} - - [")


def test_the_same_requests_take_the_same_ways() -> None:
    def ways() -> list[str]:
        cluster = Inside()
        cluster.client()
        cluster.web(3)
        address = cluster.service()["spec"]["clusterIP"]
        return [connect(cluster, address).pod for _ in range(10)]

    assert ways() == ways()


def test_nothing_is_sent_from_a_pod_that_is_not_there(inside) -> None:
    with pytest.raises(EpkitError, match="does not run on a simulated node"):
        inside.plane.traffic.from_pod("default", "nosuch")
    with pytest.raises(EpkitError, match="There is no simulated node nosuch"):
        inside.plane.traffic.from_node("nosuch")
