"""KPNG's shape writes the same rules as kube-proxy's, and tells a node only what is different."""

from __future__ import annotations

import json
import re
from typing import Any

import canonical_rules as canonical
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_clusters import cluster_ip, clusters, node
from recorded_cases import NAMES, objects

from epkit.proxy import ObjectError, Proxy
from epkit.proxy.kpng import BackendSink, Delete, Server, Set, Sync
from epkit.proxy.node import DEFAULT_CLUSTER_CIDR, DEFAULT_SERVICE_CIDR
from epkit.proxy.proxier import make_backend

MODES = ["iptables", "nftables"]


def sink_of(server: Server, name: str, mode: str) -> BackendSink:
    return BackendSink(make_backend(mode, server.node(name), DEFAULT_CLUSTER_CIDR, DEFAULT_SERVICE_CIDR))


def over_the_wire(items: list[Any]) -> list[Any]:
    """What the stream carries is JSON and nothing else."""
    return [Set(item.path, json.loads(json.dumps(item.value))) if isinstance(item, Set) else item for item in items]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_both_shapes_write_the_same_rules(name: str, mode: str) -> None:
    proxy = Proxy("node-1", mode)
    proxy.sync(objects(name))
    server = Server("IPv4")
    server.update(objects(name))
    sink = sink_of(server, "node-1", mode)
    sink.apply(over_the_wire(server.watch("node-1").receive()))
    assert sink.backend.rules() == proxy.rules()


@pytest.mark.parametrize("mode", MODES)
def test_both_shapes_stay_the_same_while_things_change(mode: str) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(clusters(), min_size=2, max_size=4))
    def property(states: list[list[dict[str, Any]]]) -> None:
        proxy, server, watches, sink = Proxy("node-2", mode), Server("IPv4"), [], None
        for i, state in enumerate(states):
            proxy.sync(state)
            server.update(state)
            if sink is None:
                watches.append(server.watch("node-2"))
                sink = sink_of(server, "node-2", mode)
            sink.apply(over_the_wire(watches[0].receive()), now=float(i))
            proxy.clock.advance(1.0)
            assert comparable(sink.backend.rules(), mode) == comparable(proxy.rules(), mode)

    property()


def comparable(rules: str, mode: str) -> str:
    """The rules without what may differ: the order in which things were made, when an emptied nft chain is removed, and
    the comment of an element that a partial sync finds good as it is."""
    if mode == "iptables":
        return canonical.iptables(rules)
    rules = re.sub(r"\tchain \S+/\S+ \{\n\t\}\n", "", canonical.nft(rules))
    return re.sub(r' comment "\S+"(?= : )', "", rules)


def cluster_of(endpoints: list[dict[str, Any]]) -> list[dict[str, Any]]:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "demo", "name": "web"},
        "spec": {"clusterIP": cluster_ip(1, "IPv4"), "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    }
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": "demo", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    }
    return [node("node-1", "zone-a"), node("node-2", "zone-b"), service, slices]


def endpoints(n: int) -> list[dict[str, Any]]:
    return [{"addresses": [f"10.244.2.{i + 2}"], "nodeName": "node-2", "conditions": {"ready": True}} for i in range(n)]


def test_one_endpoint_less_is_one_item() -> None:
    server = Server("IPv4")
    server.update(cluster_of(endpoints(100)))
    watch = server.watch("node-1")
    assert len(watch.receive()) == 1 + 100 + 1  # the service port, its endpoints, Sync
    server.update(cluster_of(endpoints(99)))
    assert watch.receive() == [Delete("endpoints/demo/web/TCP/http/10.244.2.101:8080"), Sync()]
    assert watch.receive() == []


def test_a_change_that_a_node_cannot_use_is_not_streamed_to_it() -> None:
    server = Server("IPv4")
    server.update(cluster_of(endpoints(3)))
    watch = server.watch("node-1")
    watch.receive()
    server.update(cluster_of([*endpoints(3), {"addresses": ["10.244.2.99"], "conditions": {"ready": False}}]))
    assert watch.receive() == []


def test_what_comes_and_goes_between_two_looks_is_never_told() -> None:
    server = Server("IPv4")
    server.update(cluster_of(endpoints(1)))
    watch = server.watch("node-1")
    watch.receive()
    server.update(cluster_of(endpoints(2)))
    server.update(cluster_of(endpoints(1)))
    assert watch.receive() == []


def test_each_node_is_told_of_its_own_endpoints() -> None:
    server = Server("IPv4")
    server.update(cluster_of(endpoints(1)))
    local = {
        name: [
            i.value["is_local"] for i in server.watch(name).receive() if isinstance(i, Set) and "is_local" in i.value
        ]
        for name in ("node-1", "node-2")
    }
    assert local == {"node-1": [False], "node-2": [True]}


def test_an_unknown_node_is_refused() -> None:
    server = Server("IPv4")
    server.update(cluster_of([]))
    with pytest.raises(ObjectError, match="Node node-7: not found.*the nodes here are node-1, node-2"):
        server.watch("node-7")
