"""A served built-in cluster stands in for a live one; each test is a learner with a home of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from epkit import cluster as clusters
from epkit.cluster import Cluster
from epkit.targets import recorder, settling
from epkit.targets.context import Context


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner called ann, who has done nothing yet; what waits, waits shortly."""
    folder = tmp_path / "home"
    monkeypatch.setenv("EPKIT_HOME", str(folder))
    monkeypatch.setenv("EPKIT_USER", "ann")
    for name in ("EPKIT_YES", "EPKIT_TARGET", "EPKIT_MODE", "EPKIT_KUBECTL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settling, "QUIET", 0.05)
    monkeypatch.setattr(recorder, "PAUSE", 0.05)
    return folder


@pytest.fixture
def server(home: Path) -> Iterator[Cluster]:
    """A cluster of somebody's, served on loopback, with something in it that is not the learner's."""
    with Cluster({}) as cluster:
        for command in ("create namespace shop", "create configmap prices -n shop", "create configmap kept"):
            done = cluster.kubectl(command)
            assert done.returncode == 0, done.text
        yield cluster


@pytest.fixture
def connect(server: Cluster) -> Iterator[Callable[..., Cluster]]:
    """Connects to the cluster as ``epkit.connect("context:…")`` does, and closes what was connected."""
    with ExitStack() as stack:

        def connected(context: str = "epkit", **options: Any) -> Cluster:
            options = {"kubeconfig": str(server.kubeconfig), "yes": True, **options}
            cluster = stack.enter_context(Cluster(options, Context(context, options)))
            cluster.called = f"context:{context}"
            clusters._current = cluster
            return cluster

        yield connected
    clusters._current = None
