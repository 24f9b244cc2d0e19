"""Clusters to break."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside these tests


@pytest.fixture(autouse=True)
def _builtin_kubectl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPKIT_KUBECTL", "builtin")
