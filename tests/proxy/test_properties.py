"""Whatever the Services and slices, packets go only where they may, evenly, and both backends agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_clusters import clusters
from test_recorded_routes import likely

from epkit.proxy import Proxy
from epkit.proxy.netfilter.packet import Walk
from epkit.proxy.services import ServicePort
from epkit.proxy.topology import categorize_endpoints

STEADY = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
#: (source, is it in the cluster's range, is it the node itself)
SENDERS = {
    "IPv4": {"pod": "10.244.1.100", "remote pod": "10.244.2.9", "outside": "198.51.100.7", "node": "node-1"},
    "IPv6": {
        "pod": "fd00:10:244:1::100",
        "remote pod": "fd00:10:244:2::9",
        "outside": "2001:db8:1::7",
        "node": "node-1",
    },
}
families = st.sampled_from(("IPv4", "IPv6"))


def targets(port: ServicePort, proxy: Proxy) -> Iterator[tuple[str, int, str]]:
    """(address, port, "internal" or "external") of every way into a service port."""
    yield port.cluster_ip, port.port, "internal"
    for ip in (*port.external_ips, *port.load_balancer_vips):
        yield ip, port.port, "external"
    if port.node_port:
        yield proxy.host.node.ip, port.node_port, "external"


def allowed(proxy: Proxy, name: Any, port: ServicePort, way: str, sender: str) -> set[str]:
    """The endpoints that CategorizeEndpoints lets this sender's traffic use."""
    node = proxy.host.node
    found = categorize_endpoints(proxy.endpoints_map.get(name, ()), port, node.name, node.zone)
    local_only = port.internal_policy_local if way == "internal" else port.external_policy_local and sender == "outside"
    return {str(endpoint) for endpoint in (found.local if local_only else found.cluster)}


def firewalled(port: ServicePort, ip: str) -> bool:
    return ip in port.load_balancer_vips and bool(port.source_ranges)


def end_of(walk: Walk) -> str:
    return "answer" if walk.outcome == "delivered" else walk.outcome


@st.composite
def cluster_and_family(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    family = draw(families)
    return family, draw(clusters(family))


@STEADY
@given(cluster_and_family(), st.sampled_from(("iptables", "nftables")))
def test_only_endpoints_that_may_be_used_are_picked_and_all_of_them_evenly(
    given_cluster: tuple[str, list[dict[str, Any]]], mode: str
) -> None:
    family, objects = given_cluster
    proxy = Proxy("node-1", mode, family)
    proxy.sync(objects)
    for name, port in proxy.service_map.items():
        for ip, number, way in targets(port, proxy):
            for sender, src in SENDERS[family].items():
                may = allowed(proxy, name, port, way, sender)
                n = 40 * len(may) or 1
                if port.sticky_seconds:
                    walks = []
                    for seed in range(n):
                        walks += proxy.send(src, ip, number, port.protocol, seed=seed).walks
                        proxy.clock.advance(20_000.0)  # long enough to be forgotten
                else:
                    walks = list(proxy.send(src, ip, number, port.protocol, n=n).walks)
                picked = Counter(walk.endpoint for walk in walks if walk.endpoint)
                assert picked.keys() <= may
                if firewalled(port, ip) and not picked:
                    assert {walk.outcome for walk in walks} <= {"dropped", "rejected", "passed"}
                elif may:
                    assert sum(picked.values()) == len(walks)
                    for endpoint in may:
                        assert likely(picked[endpoint], len(walks), 1 / len(may)), picked
                else:
                    assert not picked


@STEADY
@given(cluster_and_family())
def test_both_backends_agree(given_cluster: tuple[str, list[dict[str, Any]]]) -> None:
    family, objects = given_cluster
    iptables, nftables = (Proxy("node-1", mode, family) for mode in ("iptables", "nftables"))
    iptables.sync(objects)
    nftables.sync(objects)
    for name, port in iptables.service_map.items():
        for ip, number, way in targets(port, iptables):
            for sender, src in SENDERS[family].items():
                one, other = (p.send(src, ip, number, port.protocol, n=30).walks for p in (iptables, nftables))
                ends = end_of(one[0]), end_of(other[0])
                assert {end_of(walk) for walk in one} == {ends[0]} and {end_of(walk) for walk in other} == {ends[1]}
                if ends[0] == ends[1]:
                    assert {walk.masqueraded for walk in one if walk.endpoint is None} == {
                        walk.masqueraded for walk in other if walk.endpoint is None
                    }
                    by_endpoint = {walk.endpoint: walk.source for walk in one}
                    for walk in other:
                        assert by_endpoint.get(walk.endpoint, walk.source) == walk.source
                    continue
                # They differ in two known ways, both of them recorded from the real kube-proxy: to an external address
                # without endpoints, iptables has no rule for what the node itself sends; and without endpoints iptables
                # has no firewall, but rejects.
                without = not iptables.endpoints_map.get(name) or not allowed(iptables, name, port, way, sender)
                assert without and ip != port.cluster_ip, (name, ip, sender, ends)
                assert ends == ("passed", ends[1]) if sender == "node" else firewalled(port, ip), (ip, sender, ends)


@given(st.integers(1, 400))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_chances_of_iptables_rules_are_even_as_far_as_the_kernel_can_tell(n: int) -> None:
    from epkit.proxy.netfilter.iptables_rule import probability_of

    left, chances = 1.0, []
    for i in range(n):
        chance = 1.0 if i == n - 1 else probability_of(f"{1 / (n - i):0.10f}") / 2**31
        chances.append(left * chance)
        left *= 1 - chance
    # Ten decimals and 31 bits: each rule is off by less than 1e-10, and n of them add up.
    assert math.isclose(sum(chances), 1.0)
    assert max(abs(chance - 1 / n) for chance in chances) < n * 6e-10
