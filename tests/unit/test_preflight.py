"""The doctor: fine where all is well, and for each thing that can be wrong a line with something to do about it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import epkit
from epkit import cli, preflight
from epkit.errors import EpkitError
from epkit.preflight import FINE, NOTE, PROBLEM, Line


@pytest.fixture(autouse=True)
def a_learner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EPKIT_MODE", raising=False)
    monkeypatch.setenv("EPKIT_KUBECTL", "builtin")
    monkeypatch.setenv("EPKIT_PROGRESS", str(tmp_path / "progress.jsonl"))


def one(look: Any) -> Line:
    (line,) = look()
    return line


def test_here_the_course_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    report = epkit.doctor()
    assert report.ok and repr(report).endswith("\nThe course can run here.")
    assert epkit.doctor is preflight.doctor, "the name stays the function after its module was imported"
    assert len(report.lines) == len(preflight.LOOKS)


def test_stored_outputs_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPKIT_MODE", "ci")
    first = repr(epkit.doctor())
    monkeypatch.setattr(preflight, "free_memory", lambda: 1)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setattr(preflight, "_taken", lambda port: True)
    assert repr(epkit.doctor()) == first
    assert " MB" not in first and " s;" not in first and str(Path.home()) not in first


def test_each_line_that_is_not_fine_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    report = preflight.Report(
        [Line(FINE, "a", "good", ""), Line(NOTE, "b", "odd", "", "do this"), Line(PROBLEM, "c", "bad", "", "do that")]
    )
    assert not report.ok
    assert [line.strip() for line in repr(report).splitlines()] == [
        "✔ fine     a          good", "◐ note     b          odd", "→ do this",
        "✖ problem  c          bad", "→ do that", "1 problem to mend.",
    ]  # fmt: skip


@pytest.mark.parametrize(("lines", "status"), [([], 0), ([Line(PROBLEM, "c", "bad", "", "do that")], 1)])
def test_the_command_prints_the_report_and_exits_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, lines: list[Line], status: int
) -> None:
    monkeypatch.setattr(preflight, "LOOKS", (lambda: iter(lines),))
    assert cli.main(["doctor"]) == status
    assert capsys.readouterr().out.endswith("to mend.\n" if status else "can run here.\n")


@pytest.mark.parametrize("version", [(3, 10), (3, 15), (4, 0)])
def test_a_python_that_epkit_is_not_made_for(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]) -> None:
    monkeypatch.setattr("sys.version_info", version)
    line = one(preflight._python)
    assert line.state == PROBLEM and "make lab" in line.fix


@pytest.mark.parametrize(
    ("version", "bounds", "expected"),
    [
        ("36.0.2", ">=36,<38", None), ("36", ">=36,<38", None), ("35.9", ">=36,<38", "35.9"),
        ("38.0.0", "<38,>=36", "38.0.0"), ("0.20.1", ">=0.20,<1", None), ("3.10.0rc1", ">=3.10,<4", None),
        ("3.9.12", ">=3.10,<4", "3.9.12"),
    ],
)  # fmt: skip
def test_versions_are_compared(monkeypatch: pytest.MonkeyPatch, version: str, bounds: str, expected: str) -> None:
    monkeypatch.setattr(preflight.metadata, "version", lambda name: version)
    assert preflight._wrong("x", bounds) == expected


def test_a_package_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["pyyaml<7,>=6", "no-such-thing<2,>=1", 'jupyterlab>=99; extra == "lab"', "orjson (>=99)"]
    monkeypatch.setattr(preflight.metadata, "requires", lambda name: wanted)
    lines = list(preflight._packages())
    assert [line.state for line in lines] == [PROBLEM, PROBLEM]
    assert lines[0].saw == "no-such-thing is missing, and epkit needs <2,>=1"
    assert 'pip install "no-such-thing<2,>=1"' in lines[0].fix and lines[1].saw.startswith("orjson is ")


def test_epkit_may_be_used_without_being_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> list[str]:
        raise preflight.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(preflight.metadata, "requires", none)
    assert one(preflight._packages).state == NOTE


def test_a_wrong_kubectl_is_one_problem_not_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPKIT_KUBECTL", "no-such-kubectl")
    line = one(preflight._kubectl)
    assert line.state == PROBLEM and "no-such-kubectl" in line.saw and line.fix
    assert one(preflight._cluster).state == FINE


def test_an_old_kubectl_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    from epkit.kubectl import binary

    monkeypatch.delenv("EPKIT_KUBECTL")
    monkeypatch.setattr(preflight.shutil, "which", lambda name: "/bin/kubectl")
    monkeypatch.setattr(binary, "version", lambda path: (1, 20))
    line = one(preflight._kubectl)
    assert line.state == NOTE and "is 1.20, so the built-in one is used" in line.saw


def test_without_graphviz_pictures_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(dot: str) -> str:
        raise EpkitError("Pictures need Graphviz.")

    monkeypatch.setattr("epkit.views.layout.draw", none)
    assert one(preflight._graphviz).state == NOTE


@pytest.mark.parametrize(("missing", "state"), [("ipywidgets", PROBLEM), ("jupyterlab_widgets", NOTE)])
def test_missing_widgets(monkeypatch: pytest.MonkeyPatch, missing: str, state: str) -> None:
    def version(name: str) -> str:
        if name == missing:
            raise preflight.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(preflight.metadata, "version", version)
    line = one(preflight._widgets)
    assert line.state == state and line.fix


def test_a_cluster_that_cannot_be_reached_still_serves_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_unreachable", lambda cluster: "connection refused")
    line = one(preflight._cluster)
    assert line.state == NOTE and "connection refused" in line.saw


def test_a_cluster_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(options: object) -> None:
        raise EpkitError("There is no room.")

    monkeypatch.setattr("epkit.cluster.Cluster", fails)
    line = one(preflight._cluster)
    assert line.state == PROBLEM and "There is no room." in line.saw and "make lab" in line.fix


def test_a_kubectl_that_fails_on_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    from epkit.kubectl import Completed

    monkeypatch.setattr("epkit.cluster.Cluster.kubectl", lambda self, command: Completed(1, "", "error: no\n"))
    line = one(preflight._cluster)
    assert line.state == PROBLEM and "error: no" in line.saw


@pytest.mark.parametrize(
    ("names", "state"),
    [({}, FINE), ({"http_proxy": "http://p:1"}, NOTE), ({"http_proxy": "http://p:1", "no_proxy": "127.0.0.1"}, FINE)],
)
def test_proxies(monkeypatch: pytest.MonkeyPatch, names: dict[str, str], state: str) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    line = one(preflight._proxies)
    assert line.state == state and ("NO_PROXY" in line.fix) == (state == NOTE)


def test_a_taken_port_is_found() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert preflight._taken(other.getsockname()[1])


def test_jupyters_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_taken", lambda port: True)
    monkeypatch.delitem(preflight.sys.modules, "ipykernel", raising=False)
    assert "PORT=8889" in one(preflight._ports).fix
    monkeypatch.setitem(preflight.sys.modules, "ipykernel", object())
    assert one(preflight._ports).state == FINE


@pytest.mark.parametrize(
    ("meminfo", "limit", "used", "expected"),
    [
        ("MemTotal: 8 kB\nMemAvailable: 4 kB\n", "max", "1", 4096),
        ("MemAvailable: 4 kB\n", "3000", "1000", 2000),
        ("MemAvailable: 4 kB\n", "1000", "3000", 0),
        ("garbage", None, None, None),
    ],
)
def test_free_memory(tmp_path: Path, meminfo: str, limit: str | None, used: str, expected: int | None) -> None:
    (tmp_path / "meminfo").write_text(meminfo)
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
        (tmp_path / "memory.current").write_text(used)
    assert preflight.free_memory(tmp_path / "meminfo", tmp_path) == expected


@pytest.mark.parametrize(("free", "state"), [(None, FINE), (10 * 1024**2, NOTE), (10 * 1024**3, FINE)])
def test_memory(monkeypatch: pytest.MonkeyPatch, free: int | None, state: str) -> None:
    monkeypatch.setattr(preflight, "free_memory", lambda: free)
    assert one(preflight._memory).state == state


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1024})())
    assert one(preflight._disk).state == NOTE


def test_progress(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from epkit.checks import progress

    file = tmp_path / "progress.jsonl"
    assert one(preflight._progress).saw == f"{file}: none yet"
    assert not file.exists(), "the doctor changes nothing"
    progress.record("passed", "1.1")
    assert one(preflight._progress).saw == f"{file}: 1 exercise done"
    file.write_text(file.read_text()[:-5])
    assert one(preflight._progress).state == NOTE
    monkeypatch.setenv("EPKIT_PROGRESS", str(file / "below" / "a-file"))
    line = one(preflight._progress)
    assert line.state == PROBLEM and "EPKIT_PROGRESS" in line.fix
    monkeypatch.setenv("EPKIT_PROGRESS", str(tmp_path))
    assert one(preflight._progress).state == PROBLEM


def test_the_command_runs_in_a_terminal() -> None:
    done = subprocess.run([sys.executable, "-m", "epkit", "doctor"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("✔ fine     Python") and "Traceback" not in done.stderr
