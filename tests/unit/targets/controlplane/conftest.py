from __future__ import annotations

from pathlib import Path

import pytest
from control_plane_stand_ins import make_stand_ins

from epkit.errors import EpkitError
from epkit.targets.controlplane import binaries


def _real() -> list[str]:
    """The real programs, where there are any."""
    try:
        return [str(Path(binaries.find().paths["kube-apiserver"]).parent)]
    except EpkitError:
        return []


@pytest.fixture(autouse=True)
def private_home(tmp_path, monkeypatch):
    """epkit's files of the learner are not touched, and nothing is found that a test does not name."""
    monkeypatch.setenv("EPKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EPKIT_ASSETS", raising=False)
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory) -> Path:
    return make_stand_ins(tmp_path_factory.mktemp("stand-ins"))


@pytest.fixture(scope="module", params=["stand-ins", *_real()])
def assets(request, stand_ins) -> Path:
    """A folder with the programs: stand-ins, and the real ones where they are found."""
    return stand_ins if request.param == "stand-ins" else Path(request.param)
