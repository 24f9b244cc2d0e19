from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from control_plane_stand_ins import make_stand_ins, processes_of, script

from epkit.errors import EpkitError
from epkit.targets.controlplane import binaries, start
from epkit.targets.controlplane.start import ControlPlaneProcesses


@pytest.fixture
def found(stand_ins, monkeypatch):
    monkeypatch.setenv("EPKIT_ASSETS", str(stand_ins))
    return binaries.find()


def given(stand_ins: Path, name: str) -> dict[str, str]:
    """The flags that a stand-in was started with."""
    return json.loads((stand_ins / f"{name}.json").read_text())


def folders(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("epkit-controlplane-*"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_all_four_are_ready_and_all_four_end(found, stand_ins, here):
    plane = ControlPlaneProcesses(found, {"kube-scheduler": {"v": "4"}}, audit=here / "audit.log")
    pids = plane.processes.pids
    assert len(processes_of(pids)) == 5
    plane.check()
    assert (here / "audit.log").read_text()
    assert given(stand_ins, "kube-scheduler")["v"] == "4"
    assert plane.kubeconfig.stat().st_mode & 0o777 == 0o600
    plane.close()
    assert processes_of(pids) == []
    assert folders(here) == []


@pytest.mark.parametrize("name", binaries.NAMES)
def test_one_that_dies_is_told_with_its_last_lines_and_its_log_is_kept(found, name, here, private_home, monkeypatch):
    monkeypatch.setenv("STAND_IN_FAILS", name)
    with pytest.raises(EpkitError) as error:
        ControlPlaneProcesses(found)
    kept = private_home / "logs" / f"{name}.log"
    assert f"{name} ended with exit status 3. It said, at the end of {kept}:" in str(error.value)
    assert "something is wrong here" in str(error.value)
    assert "something is wrong here" in kept.read_text()
    assert folders(here) == []


def test_a_flag_that_the_program_does_not_have(found):
    with pytest.raises(EpkitError, match="(?s)kube-scheduler ended with exit status 1.*unknown flag: --nonsense"):
        ControlPlaneProcesses(found, {"kube-scheduler": {"nonsense": "1"}})


def test_one_that_never_gets_ready(found, tmp_path, monkeypatch, here):
    folder = make_stand_ins(tmp_path / "assets")
    script(
        folder / "etcd", '[ "$*" = --version ] && echo "etcd Version: 3.6.8" && exit 0\necho thinking\nexec sleep 60\n'
    )
    monkeypatch.setenv("EPKIT_ASSETS", str(folder))
    monkeypatch.setattr(start, "LONGEST", 0.5)
    monkeypatch.setattr(start, "SILENCE", 0.1)
    told: list[str] = []
    with pytest.raises(EpkitError, match="(?s)etcd was not ready after 0.5 s .*refused.*thinking"):
        ControlPlaneProcesses(binaries.find(), tell=told.append)
    assert told[0] == "… 0 s: etcd is starting"
    assert folders(here) == []


@pytest.mark.parametrize("name", binaries.NAMES)
def test_a_port_that_somebody_else_was_quicker_to_take(found, monkeypatch, name):
    taken = socket.create_server(("127.0.0.1", 0))
    choose, calls = start._free_ports, []

    def unlucky() -> start.Ports:
        calls.append(name)
        ports = choose()
        if len(calls) > 1:
            return ports
        from dataclasses import replace

        return replace(ports, **{name.replace("-", "_"): taken.getsockname()[1]})

    monkeypatch.setattr(start, "_free_ports", unlucky)
    plane = ControlPlaneProcesses(found)
    assert len(calls) == 2
    plane.close()
    taken.close()


def test_the_port_that_was_asked_for(found):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with pytest.raises(EpkitError, match="(?s)kube-apiserver ended .*address already in use"):
        ControlPlaneProcesses(found, port=port)
    taken.close()
    plane = ControlPlaneProcesses(found, port=port)
    assert plane.server == f"https://127.0.0.1:{port}"
    plane.close()


def test_one_that_ends_later_is_noticed(found):
    import signal

    plane = ControlPlaneProcesses(found)
    os.kill(plane.processes.pids["kube-scheduler"], signal.SIGKILL)
    with plane.processes._changed:
        assert plane.processes._changed.wait_for(lambda: "kube-scheduler" in plane.processes._codes, 10)
    with pytest.raises(EpkitError, match="kube-scheduler ended by signal 9"):
        plane.check()
    plane.close()
