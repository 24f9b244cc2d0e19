"""``cluster.request``: who answered, how often."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import epkit
from epkit.cluster import Cluster
from epkit.errors import EpkitError


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("EPKIT_MODE", "ci")
    with epkit.connect() as connected:
        connected.kubectl("create deployment web --image=nginx --replicas=3")
        connected.kubectl("expose deployment web --port=80")
        connected.kubectl("run client --image=busybox -- sleep infinity")
        yield connected


def pods(cluster: Cluster) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in cluster.client.list("pods", "default", labels="app=web"))


def test_every_ready_pod_answers_its_share(cluster: Cluster) -> None:
    responses = cluster.request("http://web:80", from_pod="client", n=300)
    assert list(responses.by_pod) == pods(cluster)
    assert sum(responses.by_pod.values()) == responses.answered == 300
    # Binomial with p = 1/3: the standard deviation is 8.2, and five of them are missed once in a million.
    assert all(abs(count - 100) < 41 for count in responses.by_pod.values())
    assert all((item.code, len(item.body)) == (200, 615) for item in responses.items)


def test_it_says_so_in_a_sentence_and_in_a_picture(cluster: Cluster) -> None:
    responses = cluster.request("http://web", from_pod="client", n=30)
    counts = responses.by_pod
    first, second, third = pods(cluster)
    assert repr(responses) == (
        f"30 requests from pod client to http://web: {first} answered {counts[first]}, "
        f"{second} {counts[second]}, {third} {counts[third]}."
    )
    assert responses.diagram.sentence == repr(responses)
    assert all(f"pod {name}" in responses.diagram.dot for name in counts)


def test_refused_lost_and_unknown(cluster: Cluster) -> None:
    cluster.kubectl("scale deployment web --replicas=0")
    assert cluster.request("http://web", n=3).outcomes == {"refused": 3}
    assert cluster.request("http://10.244.1.200", n=2).outcomes == {"timed out": 2}
    assert repr(cluster.request("http://nosuch")) == (
        "1 request from a client on node-1 to http://nosuch: 1 failed, for the name was not found."
    )


def test_the_same_requests_get_the_same_answers(cluster: Cluster) -> None:
    first = cluster.request("http://web", from_pod="client", n=20).by_pod
    cluster.close()
    with epkit.connect() as again:
        again.kubectl("create deployment web --image=nginx --replicas=3")
        again.kubectl("expose deployment web --port=80")
        again.kubectl("run client --image=busybox -- sleep infinity")
        assert again.request("http://web", from_pod="client", n=20).by_pod == first


def test_requests_spread_over_time_see_what_happens_meanwhile(cluster: Cluster) -> None:
    old = set(pods(cluster))
    cluster.pause()
    cluster.kubectl("scale deployment web --replicas=6")
    before = cluster.now
    responses = cluster.request("http://web", from_pod="client", n=100, over=10)
    assert (responses.items[0].at, cluster.now) == (before, pytest.approx(before + 9.9))
    assert responses.answered == 100
    assert {item.pod for item in responses.items if item.at < before + 1} <= old
    assert set(responses.by_pod) == set(pods(cluster)) > old


def test_zones_are_told_apart(cluster: Cluster) -> None:
    cluster.kubectl('patch service web -p \'{"spec":{"trafficDistribution":"PreferSameZone"}}\'')
    cluster.kubectl("scale deployment web --replicas=6")
    for node in cluster.client.list("nodes"):
        zone = node["metadata"]["labels"]["topology.kubernetes.io/zone"]
        responses = cluster.request("http://web", from_node=node["metadata"]["name"], n=20)
        assert responses.by_zone == {zone: 20}


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("http://web", {"n": 0}, "1 request or more"),
        ("http://web", {"from_pod": "client", "from_node": "node-1"}, "not both"),
        ("http://web", {"from_pod": "nosuch"}, "does not run on a simulated node"),
        ("http://web", {"from_node": "nosuch"}, "There is no simulated node nosuch"),
        ("ftp://web", {}, "is no URL that can be asked"),
        ("http://web:http", {}, "is no URL that can be asked"),
    ],
)
def test_what_cannot_be_sent_says_why(cluster: Cluster, url: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(EpkitError, match=message):
        cluster.request(url, **options)  # type: ignore[arg-type]
