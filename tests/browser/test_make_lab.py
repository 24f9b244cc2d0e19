"""`make lab` as a learner starts it, up to the page that the browser would open."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import harness
import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)(/\S*)\?(token=\S+)")


@pytest.fixture
def clone() -> Path:
    """This clone, where its .venv is complete; making one is not this test's business."""
    code = "import environment as e; print(e.is_current('lab'))"
    if subprocess.check_output([sys.executable, "-c", code], cwd=ROOT / "tools", text=True).strip() != "True":
        pytest.skip("needs the environment that `make test` makes")
    return ROOT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals to end it as Ctrl-C does")
def test_it_serves_jupyterlab_opened_at_the_first_chapter_and_ends_with_a_signal(clone: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, str(clone / "tools" / "make.py"), "lab"]
    env = {**os.environ, "PORT": str(port), "EPKIT_NO_BROWSER": "1"}
    log = tmp_path / "log"
    with log.open("w") as output:
        lab = subprocess.Popen(command, env=env, cwd=clone, stderr=output)
    try:
        harness.wait_until_answering(lab, port, log)
        found = ADDRESS.search(log.read_text())
        assert found is not None
        assert found[1] == str(port)
        assert found[2] == "/lab/tree/notebooks/01-introduction.ipynb"
        assert "<title>JupyterLab</title>" in fetch(found[0])
        news = f"http://127.0.0.1:{port}/lab/api/settings/@jupyterlab/apputils-extension:notification?{found[3]}"
        assert json.loads(fetch(news))["schema"]["properties"]["fetchNews"]["default"] == "false"
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.wait(30)
    assert lab.returncode in (0, -signal.SIGTERM, 143)
