"""The cluster of these specifications."""

from __future__ import annotations

import pytest
from inside_cluster import Inside


@pytest.fixture
def inside() -> Inside:
    """Three nodes in two zones, and a pod called client."""
    cluster = Inside()
    cluster.client()
    return cluster
