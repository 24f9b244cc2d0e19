from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from epkit.errors import EpkitError
from epkit.targets.controlplane import binaries

HERE = Path(__file__).parent
ROOT = HERE.parents[3]


def make_stand_ins(folder: Path, kubernetes: str = "v1.36.2", etcd: str = "3.6.8") -> Path:
    """A folder with stand-ins for the four programs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in binaries.NAMES:
        told = f"etcd Version: {etcd}" if name == "etcd" else f"Kubernetes {kubernetes}"
        script(
            folder / name,
            f'[ "$*" = --version ] && {{ echo "{told}"; exit 0; }}\n'
            f'export PYTHONPATH="{ROOT}" STAND_IN_FOLDER="{folder}"\n'
            f'exec "{sys.executable}" "{HERE / "stand_in.py"}" {name} "$@"\n',
        )
    return folder


def script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


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


def processes_of(pids: dict[str, int]) -> list[str]:
    """Which of them are there."""
    return [name for name, pid in pids.items() if _alive(pid)]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
