"""A simulated node's kubelet, stopped and started from a notebook."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from epkit.cluster import Cluster
from epkit.errors import EpkitError
from epkit.objects import condition


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("EPKIT_MODE", "ci")
    with Cluster({}) as made:
        yield made


def ready(cluster: Cluster) -> str:
    return str((condition(cluster.client.get("nodes", "node-3"), "Ready") or {})["status"])


def test_a_silent_node_is_unknown_after_its_grace_and_well_again_at_once(cluster: Cluster) -> None:
    kubelet = cluster.kubelet("node-3")
    assert kubelet.running
    kubelet.stop()
    assert not kubelet.running
    cluster.sleep(39)
    assert ready(cluster) == "True"
    cluster.sleep(21)
    assert ready(cluster) == "Unknown"
    kubelet.start()
    cluster.settle()
    assert kubelet.running and ready(cluster) == "True"


def test_a_node_that_is_not_there_is_answered_with_those_that_are(cluster: Cluster) -> None:
    with pytest.raises(EpkitError, match=r"There is no simulated node 'node-9'\. There are: node-1, node-2, node-3\."):
        cluster.kubelet("node-9")
