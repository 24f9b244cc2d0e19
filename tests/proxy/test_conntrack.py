"""Flows that exist keep their endpoint; clients that are remembered come back to theirs."""

from __future__ import annotations

from typing import Any

import pytest
from random_clusters import cluster_ip
from test_sync import cluster, endpoint_slice, service

from epkit.proxy import Proxy

MODES = ["iptables", "nftables"]
VIP = cluster_ip(1, "IPv4")
CLIENT = "10.244.1.9"


def udp(*objects: dict[str, Any]) -> list[dict[str, Any]]:
    """The same objects with every port a UDP port."""
    for obj in objects:
        for port in obj.get("ports") or obj.get("spec", {}).get("ports") or ():
            port["protocol"] = "UDP"
    return cluster(*objects)


@pytest.mark.parametrize("mode", MODES)
def test_an_established_connection_stays_when_its_endpoint_leaves(mode: str) -> None:
    proxy, web = Proxy("node-1", mode), service("web", 1)
    proxy.sync(cluster(web, endpoint_slice("web", 2)))
    first = proxy.send(CLIENT, VIP, 80, src_port=40000).walks[0]
    assert not first.established
    stays = [e for e in ("10.244.2.2:8080", "10.244.2.3:8080") if e != first.endpoint]

    leaving = endpoint_slice("web", 2)
    for endpoint in leaving["endpoints"]:
        endpoint["conditions"]["ready"] = f"{endpoint['addresses'][0]}:8080" in stays
    proxy.sync(cluster(web, leaving))
    again = proxy.send(CLIENT, VIP, 80, src_port=40000).walks[0]
    assert again.established and again.endpoint == first.endpoint
    assert any("conntrack knows the flow" in step.effect for step in again.steps)
    assert proxy.send(CLIENT, VIP, 80, n=20).answers == {stays[0]: 20}  # new ones go elsewhere

    proxy.sync(cluster())  # even without the Service
    assert proxy.send(CLIENT, VIP, 80, src_port=40000).walks[0].endpoint == first.endpoint
    assert str(next(iter(proxy.conntrack))) == (
        f"tcp src={CLIENT} dst={VIP} sport=40000 dport=80 src={str(first.endpoint).split(':')[0]} dst={CLIENT} "
        "sport=8080 dport=40000"
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_flow_is_forgotten_after_its_timeout(mode: str) -> None:
    proxy = Proxy("node-1", mode)
    proxy.sync(cluster(service("web", 1), endpoint_slice("web", 2)))
    proxy.send(CLIENT, VIP, 80, src_port=40000)
    proxy.clock.advance(86_399)
    assert len(proxy.conntrack) == 1
    proxy.clock.advance(2)
    assert len(proxy.conntrack) == 0
    assert not proxy.send(CLIENT, VIP, 80, src_port=40000).walks[0].established


@pytest.mark.parametrize("mode", MODES)
def test_a_masqueraded_flow_keeps_its_source(mode: str) -> None:
    proxy = Proxy("node-1", mode)
    proxy.sync(cluster(service("web", 1), endpoint_slice("web", 2)))
    first, second = (proxy.send("198.51.100.7", VIP, 80, src_port=40000, seed=s).walks[0] for s in (1, 2))
    assert second.established and first.masqueraded and second.masqueraded
    assert (first.source, first.endpoint) == (second.source, second.endpoint)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_rejected_or_dropped_leaves_no_flow(mode: str) -> None:
    proxy = Proxy("node-1", mode)
    proxy.sync(cluster(service("web", 1)))
    assert proxy.send(CLIENT, VIP, 80, src_port=40000).outcomes == {"rejected": 1}
    assert len(proxy.conntrack) == 0


@pytest.mark.parametrize("mode", MODES)
def test_udp_flows_to_an_endpoint_that_no_longer_serves_are_removed(mode: str) -> None:
    proxy, dns = Proxy("node-1", mode), service("dns", 1)
    proxy.sync(udp(dns, endpoint_slice("dns", 2)))
    first = proxy.send(CLIENT, VIP, 80, "UDP", src_port=5000).walks[0].endpoint
    gone = endpoint_slice("dns", 2)
    gone["endpoints"] = [e for e in gone["endpoints"] if f"{e['addresses'][0]}:8080" != first]
    assert proxy.sync(udp(dns, gone)).conntrack_deleted == 1
    again = proxy.send(CLIENT, VIP, 80, "UDP", src_port=5000).walks[0]
    assert not again.established and again.endpoint != first


@pytest.mark.parametrize("mode", MODES)
def test_udp_flows_to_an_endpoint_that_still_serves_stay(mode: str) -> None:
    proxy, dns = Proxy("node-1", mode), service("dns", 1)
    proxy.sync(udp(dns, endpoint_slice("dns", 2)))
    first = proxy.send(CLIENT, VIP, 80, "UDP", src_port=5000).walks[0].endpoint
    leaving = endpoint_slice("dns", 2)
    for endpoint in leaving["endpoints"]:
        if f"{endpoint['addresses'][0]}:8080" == first:
            endpoint["conditions"] = {"ready": False, "serving": True, "terminating": True}
    assert proxy.sync(udp(dns, leaving)).conntrack_deleted == 0
    assert proxy.send(CLIENT, VIP, 80, "UDP", src_port=5000).walks[0].endpoint == first


@pytest.mark.parametrize("mode", MODES)
def test_udp_flows_of_a_service_scaled_to_zero_go_on_into_the_void(mode: str) -> None:
    """kube-proxy v1.32 to v1.36 passes over Services without serving endpoints (kubernetes/kubernetes#139628)."""
    proxy, dns = Proxy("node-1", mode), service("dns", 1)
    proxy.sync(udp(dns, endpoint_slice("dns", 1)))
    first = proxy.send(CLIENT, VIP, 80, "UDP", src_port=5000).walks[0].endpoint
    assert proxy.sync(udp(dns, endpoint_slice("dns", 0))).conntrack_deleted == 0
    stale = proxy.send(CLIENT, VIP, 80, "UDP", src_port=5000).walks[0]
    assert stale.established and stale.endpoint == first
    assert proxy.send(CLIENT, VIP, 80, "UDP").outcomes == {"rejected": 1}  # another port: told at once
    # When an endpoint is back, the flow is cleaned up.
    assert proxy.sync(udp(dns, endpoint_slice("dns", 1, start=9))).conntrack_deleted == 1


@pytest.mark.parametrize("mode", MODES)
def test_tcp_flows_are_never_removed(mode: str) -> None:
    proxy, web = Proxy("node-1", mode), service("web", 1)
    proxy.sync(cluster(web, endpoint_slice("web", 1)))
    proxy.send(CLIENT, VIP, 80, src_port=40000)
    assert proxy.sync(cluster(web, endpoint_slice("web", 1, start=9))).conntrack_deleted == 0
    assert len(proxy.conntrack) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_flow_can_be_closed(mode: str) -> None:
    proxy = Proxy("node-1", mode)
    proxy.sync(cluster(service("web", 1), endpoint_slice("web", 2)))
    proxy.send(CLIENT, VIP, 80, src_port=40000)
    (flow,) = proxy.conntrack
    assert proxy.conntrack.close(flow.key) and not proxy.conntrack.close(flow.key)


# Session affinity ---------------------------------------------------------------------------------------------------


def sticky(timeout: int) -> dict[str, Any]:
    config = {"clientIP": {"timeoutSeconds": timeout}}
    return service("web", 1, sessionAffinity="ClientIP", sessionAffinityConfig=config)


@pytest.mark.parametrize("mode", MODES)
def test_a_client_comes_back_to_its_endpoint_as_long_as_it_comes_in_time(mode: str) -> None:
    proxy = Proxy("node-1", mode)
    proxy.sync(cluster(sticky(10), endpoint_slice("web", 20)))

    def endpoint(seed: int) -> str | None:
        return proxy.send(CLIENT, VIP, 80, seed=seed).walks[0].endpoint

    first = endpoint(0)
    for seed in range(1, 30):
        proxy.clock.advance(9)  # each use counts anew
        assert endpoint(seed) == first
    later = set()
    for seed in range(30, 60):
        proxy.clock.advance(11)
        later.add(endpoint(seed))
    assert len(later) > 5  # of 20; that 30 choices fall on five has a chance below (5/20)^30 * C(20, 5) < 1e-13


@pytest.mark.parametrize("mode", MODES)
def test_affinity_ends_with_its_endpoint_and_each_client_has_its_own(mode: str) -> None:
    proxy, web = Proxy("node-1", mode), sticky(10800)
    proxy.sync(cluster(web, endpoint_slice("web", 8)))
    clients = [f"10.244.1.{i}" for i in range(10, 40)]
    first = {c: proxy.send(c, VIP, 80, seed=i).walks[0].endpoint for i, c in enumerate(clients)}
    assert len(set(first.values())) > 3
    gone = endpoint_slice("web", 8)
    lost = gone["endpoints"].pop()["addresses"][0] + ":8080"
    proxy.sync(cluster(web, gone))
    for i, client in enumerate(clients):
        now = proxy.send(client, VIP, 80, seed=100 + i).walks[0].endpoint
        assert (now == first[client]) is (first[client] != lost)


@pytest.mark.parametrize("mode", MODES)
def test_affinity_survives_a_sync_that_changes_something_else(mode: str) -> None:
    proxy, web = Proxy("node-1", mode), sticky(10800)
    proxy.sync(cluster(web, endpoint_slice("web", 8)))
    first = proxy.send(CLIENT, VIP, 80).walks[0].endpoint
    proxy.sync(cluster(web, endpoint_slice("web", 9)))
    proxy.sync(cluster(web, endpoint_slice("web", 9), zone="zone-b"))  # a full one
    assert {proxy.send(CLIENT, VIP, 80, seed=s).walks[0].endpoint for s in range(20)} == {first}
