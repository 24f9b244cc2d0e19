"""Helpers of this folder's tests: stand-ins for the four programs, and which processes are there."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

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


def processes_of(pids: dict[str, int]) -> list[str]:
    """Which of them are there."""
    return [name for name, pid in pids.items() if _alive(pid)]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
