"""The rules of the kinds without an API around them."""

from __future__ import annotations

import pytest
from kind_rules import Rules


@pytest.fixture
def rules() -> Rules:
    return Rules()
