from __future__ import annotations

from collections.abc import Callable

import pytest
from simulated_nodes import Nodes, three_nodes


@pytest.fixture
def nodes() -> Nodes:
    """Three nodes in three zones."""
    return Nodes(*three_nodes())


@pytest.fixture
def make() -> Callable[..., Nodes]:
    """Nodes of the test's own choice."""
    return Nodes
