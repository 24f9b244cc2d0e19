from __future__ import annotations

import pytest
from workload_double import Double


@pytest.fixture
def kit() -> Double:
    return Double()
