"""`make test`, `make check` and `make notebooks`: what runs inside the environment."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import environment
from console import ROOT, say

# In this order: what mostly waits starts first. Each file runs in one worker, as a notebook's cells share a kernel.
PARTS = ["tests/notebooks/test_live.py", "tests/conformance", "tests/browser", "notebooks", "tests"]
NBVAL = ["-p", "nbval.plugin", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
# The notebooks once more, with every solution applied: outputs then differ, and every check must pass.
SOLVED = ["-p", "nbval.plugin", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120"]

# What `make check` leaves to `make test`.
SLOW = "not kubectl and not netns"
LEFT_OUT = ["conformance", "browser", "notebooks", "unit/targets/controlplane", "unit/targets/test_kind.py"]
UNIT = ["tests", *(f"--ignore=tests/{part}" for part in LEFT_OUT)]


def test(arguments: list[str]) -> int:
    """Run every test, or pytest with `arguments`; returns pytest's exit status."""
    python = environment.ready("test")
    started = time.monotonic()
    workers = min(6, 2 + (os.cpu_count() or 1))  # the workers of conformance and of the live notebooks mostly wait
    paths = arguments or [part for part in PARTS if (ROOT / part).exists()]
    say(f"running the tests in {workers} processes")
    options = ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]
    status = call(python, "-m", "pytest", *NBVAL, *options, *paths)
    if not arguments:
        status = solve(python, workers) or status
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    say(f"the tests {'passed' if status == 0 else 'failed'} after {minutes} min {seconds} s")
    return status


def solve(python: Path, workers: int) -> int:
    """Run the notebooks with every exercise's solution applied; returns pytest's exit status."""
    say("running the notebooks once more, with their exercises solved")
    command = ["-m", "pytest", "-q", *SOLVED, "-n", str(workers), "--dist", "loadfile", "notebooks"]
    return call(python, *command, EPKIT_MODE="solve", EPKIT_KUBECTL="builtin")


def check() -> int:
    """Lint, types and unit tests; returns the first exit status that is not 0."""
    python = environment.ready("test")
    started = time.monotonic()
    steps = {
        "lint": ["-m", "ruff", "check", "."],
        "types": ["-m", "mypy"],
        "unit tests": ["-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-m", SLOW, *UNIT],
    }
    failed = []
    for name, command in steps.items():
        say(name)
        if call(python, *command):
            failed.append(name)
    took = f"{time.monotonic() - started:.0f} s"
    say(f"failed: {', '.join(failed)} ({took})" if failed else f"lint, types and unit tests passed ({took})")
    return 1 if failed else 0


def execute_notebooks(python: Path, arguments: list[str]) -> int:
    """Run tools/notebooks.py in the environment, on all notebooks or on those that `arguments` name."""
    return call(python, str(ROOT / "tools" / "notebooks.py"), *arguments)


def call(python: Path, *command: str, **variables: str) -> int:
    env = {**environment.environ(), "EPKIT_MODE": "ci", **variables}
    return subprocess.call([str(python), *command], cwd=ROOT, env=env)
