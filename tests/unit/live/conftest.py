"""A cluster with a Service to follow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from epkit.cluster import Cluster


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster without a workload."""
    monkeypatch.setenv("EPKIT_KUBECTL", "builtin")
    monkeypatch.setenv("EPKIT_MODE", "ci")
    with Cluster({"start": 0.0}) as made:
        yield made


@pytest.fixture
def cluster(bare: Cluster) -> Cluster:
    """The same with two pods behind the Service web."""
    bare.kubectl("create deployment web --image=nginx --replicas=2")
    bare.kubectl("expose deployment web --port=80")
    return bare
