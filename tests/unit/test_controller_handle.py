"""A controller of the built-in cluster, seen from a notebook: its log and its metrics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from epkit.cluster import Cluster
from epkit.errors import EpkitError


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("EPKIT_MODE", "ci")
    with Cluster({}) as made:
        yield made


def test_the_log_tells_of_failed_syncs_with_their_times(cluster: Cluster) -> None:
    slices = cluster.controller("endpointslice")
    assert slices.log == []
    cluster.kubectl("create service clusterip web --tcp=80")
    cluster.kubectl("label endpointslices -l kubernetes.io/service-name=web endpointslice.kubernetes.io/managed-by-")
    assert "Z Error syncing default/web, retrying: EndpointSlice informer cache is out of date" in slices.log[-1]
    assert slices.log[-1].startswith("2026-01-01T00:00:")
    assert 'endpoint_slice_controller_syncs{result="stale"}' in slices.metrics("syncs")


def test_metrics_are_samples_alone_chosen_by_name(cluster: Cluster) -> None:
    cluster.kubectl("create service clusterip web --tcp=80")
    handle = cluster.controller("endpointslice")
    assert "#" not in handle.metrics()
    assert handle.metrics("num_endpoint_slices") == "endpoint_slice_controller_num_endpoint_slices 2"


def test_a_controller_that_is_stopped_or_has_no_metrics_says_so(cluster: Cluster) -> None:
    with pytest.raises(EpkitError, match="has no metrics"):
        cluster.controller("deployment").metrics()
    cluster.controller("endpointslice").stop()
    with pytest.raises(EpkitError, match="is stopped"):
        _ = cluster.controller("endpointslice").log
