"""What a sync writes, when it is full, and when it happens at all."""

from __future__ import annotations

from typing import Any

import pytest
from random_clusters import cluster_ip, node

from epkit.proxy import BoundedFrequencyRunner, ManualClock, Proxy, ProxyError, SyncError

MODES = ["iptables", "nftables"]


def service(name: str, number: int, **spec: Any) -> dict[str, Any]:
    ip = cluster_ip(number, "IPv4")
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "demo", "name": name},
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": ports, **spec},
    }


def endpoint_slice(of: str, n: int, *, name: str = "", ready: int | None = None, start: int = 2) -> dict[str, Any]:
    endpoints = [
        {
            "addresses": [f"10.244.{2 + (start + i) // 250}.{(start + i) % 250}"],
            "conditions": {"ready": ready is None or i < ready},
            "nodeName": "node-2",
        }
        for i in range(n)
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": "demo", "name": name or f"{of}-1", "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    }


def cluster(*objects: dict[str, Any], zone: str = "zone-a") -> list[dict[str, Any]]:
    return [node("node-1", zone), *objects]


def chains_written(proxy: Proxy) -> set[str]:
    """The chains of services that the last transaction filled."""
    lines = proxy.last_report.transaction.splitlines()
    if proxy.mode == "iptables":
        prefixes = ("KUBE-SVC", "KUBE-SEP", "KUBE-EXT", "KUBE-SVL", "KUBE-FW")
        return {line.split()[1] for line in lines if line.startswith("-A") and line.split()[1].startswith(prefixes)}
    return {line.split()[4] for line in lines if line.startswith("add rule") and "/" in line.split()[4]}


@pytest.mark.parametrize("mode", MODES)
def test_the_first_sync_is_full_and_the_next_writes_only_what_changed(mode: str) -> None:
    a, b = service("a", 1), service("b", 2)
    slice_a, slice_b = endpoint_slice("a", 3), endpoint_slice("b", 3)
    proxy = Proxy("node-1", mode)
    first = proxy.sync(cluster(a, b, slice_a, slice_b))
    assert first.full and {str(s) for s in first.services} == {"demo/a", "demo/b"}
    before = chains_written(proxy)

    second = proxy.sync(cluster(a, b, endpoint_slice("a", 3, ready=2), slice_b))
    assert not second.full and {str(s) for s in second.services} == {"demo/a"}
    assert second.lines < first.lines
    written = chains_written(proxy)
    assert written < before and not any("b/" in chain for chain in written)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_changed_means_nothing_written(mode: str) -> None:
    proxy = Proxy("node-1", mode)
    objects = cluster(service("a", 1), endpoint_slice("a", 3))
    proxy.sync(objects)
    assert proxy.sync(objects).lines == 0
    # The same said in another order, or with other metadata, is the same.
    other = endpoint_slice("a", 3)
    other["endpoints"].reverse()
    other["metadata"]["annotations"] = {"example.com/note": "seen"}
    assert proxy.sync([*objects[:-1], other]).lines == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_change_of_the_nodes_labels_makes_a_full_sync(mode: str) -> None:
    proxy = Proxy("node-1", mode)
    a, slice_a = service("a", 1), endpoint_slice("a", 3)
    proxy.sync(cluster(a, slice_a))
    assert proxy.sync(cluster(a, slice_a, zone="zone-b")).full


@pytest.mark.parametrize("mode", MODES)
def test_an_hourly_sync_is_full(mode: str) -> None:
    proxy = Proxy("node-1", mode)
    a = service("a", 1)
    proxy.sync(cluster(a, endpoint_slice("a", 3)))
    proxy.clock.advance(3599)
    assert not proxy.sync(cluster(a, endpoint_slice("a", 4))).full
    proxy.clock.advance(2)
    assert proxy.sync(cluster(a, endpoint_slice("a", 5))).full


@pytest.mark.parametrize("mode", MODES)
def test_after_a_failure_the_next_sync_is_full(mode: str) -> None:
    proxy = Proxy("node-1", mode)
    a = service("a", 1)
    proxy.sync(cluster(a, endpoint_slice("a", 3)))
    bad = endpoint_slice("a", 3)
    bad["ports"][0]["port"] = 99999  # the API accepts it, the kernel does not
    with pytest.raises(SyncError, match="99999"):
        proxy.sync(cluster(a, bad))
    assert proxy.sync(cluster(a, endpoint_slice("a", 2))).full
    assert proxy.send("10.244.1.9", cluster_ip(1, "IPv4"), 80, n=20).outcomes == {"delivered": 20}


def test_lines_for_one_change_grow_with_the_endpoints_in_iptables_only() -> None:
    def lines(mode: str, n: int) -> int:
        proxy, a = Proxy("node-1", mode), service("a", 1)
        proxy.sync(cluster(a, endpoint_slice("a", n)))
        return proxy.sync(cluster(a, endpoint_slice("a", n, ready=n - 1))).lines

    # Each endpoint has a chain line, two rules in its chain and one in the service's; the one that left has a chain
    # line and a deletion instead.
    assert lines("iptables", 200) - lines("iptables", 100) == 4 * 100
    assert lines("nftables", 200) == lines("nftables", 100) == 3  # add chain, flush chain, add rule


def test_a_large_cluster_goes_without_comments_and_cleans_up_late() -> None:
    proxy, a, b = Proxy("node-1"), service("a", 1), service("b", 2)
    big = [endpoint_slice("a", 1000, name="a-1"), endpoint_slice("a", 1, name="a-2", start=1500)]
    small = endpoint_slice("b", 2)
    proxy.sync(cluster(a, b, big[0], small))
    assert '--comment "demo/b:http -> ' not in proxy.rules()  # 1002 endpoints
    proxy.sync(cluster(a, b, endpoint_slice("a", 998), small))
    assert '--comment "demo/a:http -> ' in proxy.rules()  # 1000 are not large
    assert '--comment "demo/b:http -> ' not in proxy.rules()  # b's chains were left as they are

    proxy.clock.advance(40)
    proxy.sync(cluster(a, b, *big, small))
    sep_chains = proxy.rules().count("\n:KUBE-SEP-")
    assert sep_chains == 1003
    proxy.clock.advance(1)
    proxy.sync(cluster(a, b, big[0], small))
    assert proxy.rules().count("\n:KUBE-SEP-") == 1003  # one of them stale
    proxy.clock.advance(31)
    proxy.sync(cluster(a, b, big[0], endpoint_slice("b", 1)))
    assert proxy.rules().count("\n:KUBE-SEP-") == 1001


def test_a_large_cluster_has_no_hourly_sync() -> None:
    proxy, a = Proxy("node-1"), service("a", 1)
    slices = [endpoint_slice("a", 1000, name="a-1"), endpoint_slice("a", 5, name="a-2", start=1500)]
    proxy.sync(cluster(a, *slices))
    proxy.clock.advance(4000)
    assert not proxy.sync(cluster(a, slices[0], endpoint_slice("a", 4, name="a-2", start=1500))).full


def test_an_unused_nft_chain_is_emptied_at_once_and_deleted_later() -> None:
    proxy, a, b = Proxy("node-1", "nftables"), service("a", 1), service("b", 2)
    proxy.sync(cluster(a, b, endpoint_slice("a", 1), endpoint_slice("b", 1)))
    (chain,) = {line.split()[1] for line in proxy.rules().splitlines() if "demo/a/tcp/http {" in line}
    proxy.sync(cluster(b, endpoint_slice("b", 1)))
    assert f"\tchain {chain} {{\n\t}}\n" in proxy.rules()
    proxy.clock.advance(1.5)
    proxy.sync(cluster(b, endpoint_slice("b", 2)))
    assert chain not in proxy.rules()


def test_a_proxy_without_objects_has_no_rules_to_walk() -> None:
    with pytest.raises(ProxyError, match=r"give the proxy its objects with sync\(\) first"):
        Proxy("node-1").send("10.244.1.9", "10.96.0.1", 443)


# The runner ---------------------------------------------------------------------------------------------------------


def test_changes_within_a_second_are_one_sync() -> None:
    clock = ManualClock()
    proxy, a = Proxy("node-1", now=clock), service("a", 1)
    runner = BoundedFrequencyRunner(proxy.sync_proxy_rules, clock)
    reports = []
    for n in range(1, 11):  # ten endpoints come up, one every 0.3 s
        if proxy.update(cluster(a, endpoint_slice("a", n))):
            runner.run()
        reports.append(runner.tick())
        clock.advance(0.3)
    done = [report for report in reports if report is not None]
    assert [report is not None for report in reports] == [True, False, False, False] * 2 + [True, False]
    assert [report.full for report in done] == [True, False, False]


def test_the_runner_tries_again_after_a_failure_and_runs_by_itself_every_hour() -> None:
    clock, fails = ManualClock(), [True]

    def sync() -> float:
        if fails.pop() if fails else False:
            raise SyncError("iptables-restore failed")
        return clock()

    runner = BoundedFrequencyRunner(sync, clock)
    runner.run()
    assert runner.tick() is None and str(runner.last_error) == "iptables-restore failed"
    clock.advance(29.9)
    assert runner.tick() is None
    clock.advance(0.1)
    assert runner.tick() == 30.0 and runner.last_error is None
    assert runner.next_run == 30.0 + 3600.0
    clock.advance(3600)
    assert runner.tick() == 3630.0


def test_a_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-1)
