"""The notebooks on a live cluster: every cell runs, every solution passes, and nothing outside is touched.

    pytest tests/notebooks/test_live.py --target kind

Without ``--target``, a built-in cluster that is served over HTTP and runs with the wall's clock stands in for a live
one. It is a cluster of a kubeconfig then, reached through a proxy that records every write.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from auditing_proxy import AuditingProxy

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("0[1-8]*.ipynb"))
#: seconds for one cell, and for one notebook
CELL, NOTEBOOK = 300, 1500
#: where whoever runs the tests keeps what `epkit up` has made; the tests' own home has nothing in it
HOME = os.environ.get("EPKIT_HOME")


@dataclass
class Live:
    """What the notebooks run on.

    Attributes:
        env: the variables by which their kernels find it.
        at_once: how many notebooks run at the same time.
        modes: ``ci`` leaves the exercises unsolved, ``solve`` solves them.
    """

    env: dict[str, str]
    at_once: int
    modes: tuple[str, ...]
    proxy: AuditingProxy | None = None


@pytest.fixture(scope="module")
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    target = request.config.getoption("--target")
    if target:
        env = {"EPKIT_TARGET": target, "EPKIT_YES": "1", **({"EPKIT_HOME": HOME} if HOME else {})}
        yield Live(env, 2, ("ci", "solve"))
        return
    folder = tmp_path_factory.mktemp("live")
    file = folder / "kubeconfig"
    command = [sys.executable, "-m", "epkit", "up", "--target", "fake", "--nodes", "4", "--kubeconfig", str(file)]
    served = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert served.stdout is not None and "export KUBECONFIG" in served.stdout.readline()
        with AuditingProxy(file, folder / "through-the-proxy") as proxy:
            env = {
                "KUBECONFIG": str(proxy.kubeconfig),
                "EPKIT_TARGET": "context:epkit",
                "EPKIT_YES": "1",
                "EPKIT_HOME": str(folder / "home"),
                "EPKIT_USER": "ann",
            }
            # The exercises' cells are all that differs between the modes, and solved they do more.
            yield Live(env, len(CHAPTERS), ("solve",), proxy)
    finally:
        served.terminate()
        served.wait(timeout=30)


@pytest.fixture(scope="module")
def runs(live: Live) -> dict[tuple[str, str], subprocess.CompletedProcess[str]]:
    """Every notebook in every mode: they mostly wait, so several run at a time."""
    wanted = [(mode, path) for mode in live.modes for path in CHAPTERS]
    with ThreadPoolExecutor(max_workers=live.at_once) as pool:
        done = pool.map(lambda one: run(*one, live.env), wanted)
        return {(mode, path.name): result for (mode, path), result in zip(wanted, done, strict=True)}


def run(mode: str, path: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A notebook from its first cell to its last; a cell that raises fails it, whatever it prints."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("EPKIT_", "PYTEST_"))}
    plugins = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "nbval.plugin"]
    options = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *options, str(path)],
        env={**plain, "EPKIT_MODE": mode, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=NOTEBOOK,
        check=False,
    )


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_every_cell_runs_and_every_solution_passes(
    path: Path, live: Live, runs: dict[tuple[str, str], subprocess.CompletedProcess[str]]
) -> None:
    for mode in live.modes:
        done = runs[mode, path.name]
        assert done.returncode == 0, f"{mode}:\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"


def test_every_write_is_inside_the_learners_own_namespaces(
    live: Live, runs: dict[tuple[str, str], subprocess.CompletedProcess[str]]
) -> None:
    if live.proxy is None:
        pytest.skip("over TLS nothing can be read on the way: the cluster's own audit log tells")
    writes = live.proxy.writes
    assert len(writes) > 300 and len(live.proxy.requests) > 1000, "the notebooks did not come through the proxy"
    made = {json.loads(one.body)["metadata"]["name"] for one in writes if one.resource == "namespaces" and not one.name}
    assert made and [name for name in made if not re.fullmatch(r"epkit-ann-\d(-\w+)?", name)] == []
    outside = [f"{one.method} {one.path}" for one in writes if (one.namespace or one.name) not in made]
    assert [told for told in outside if told != "POST /api/v1/namespaces"] == []


def test_down_removes_what_was_made_and_nothing_else(
    live: Live, runs: dict[tuple[str, str], subprocess.CompletedProcess[str]]
) -> None:
    if live.proxy is None:
        pytest.skip("on a cluster of somebody's, `epkit down` is theirs to say")
    env = {**os.environ, **live.env}
    kubectl = [sys.executable, "-c", NAMESPACES]
    before = subprocess.run(kubectl, env=env, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert any(name.startswith("epkit-ann-") for name in before)
    down = [sys.executable, "-m", "epkit", "down", "--target", live.env["EPKIT_TARGET"]]
    done = subprocess.run(down, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    after = subprocess.run(kubectl, env=env, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert after == [name for name in before if not name.startswith("epkit-ann-")]


NAMESPACES = """
from epkit.client import Client
from epkit.targets.http import HttpTransport
print(*[one["metadata"]["name"] for one in Client(HttpTransport.from_kubeconfig()).list("namespaces")])
"""
