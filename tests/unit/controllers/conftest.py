from __future__ import annotations

import pytest
from endpoints_double import ControlPlane


@pytest.fixture
def cp() -> ControlPlane:
    """An empty control plane whose clock stands still until a test moves it."""
    return ControlPlane()
