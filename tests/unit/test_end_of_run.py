"""What the root conftest.py tells at the end of a run, seen from outside: pytest in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest
@pytest.mark.parametrize("number", [1, 2])
def test_in_a_browser(number): pytest.skip("needs Chromium")
def test_with_kubectl(): pytest.skip("needs kubectl 1.29 or newer")
def test_fine(): pass
@pytest.mark.parametrize("outcome", ["agrees", "differs"])
def test_scenario(outcome, record_property):
    record_property(outcome, "slice-of-your-own")
    if outcome == "differs":
        pytest.xfail("not yet")
def test_new(record_property):
    record_property("agrees", "slice-placeholder")
    record_property("agrees-newly", "slice-placeholder")
"""


PLUGINS = ("nbval", "hypothesispytest", "anyio", "cacheprovider")


def run(folder: Path, tests: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on `tests` beside a copy of our conftest.py, with the given options and environment variables."""
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "test_some.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", *(f"-pno:{name}" for name in PLUGINS), *options]
    base = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "EPKIT_SKIP"))}
    return subprocess.run(command, cwd=folder, env={**base, **env}, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return run(tmp_path_factory.mktemp("one"), TESTS)


@pytest.fixture(scope="module")
def in_two_where_nothing_may_be_skipped(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return run(tmp_path_factory.mktemp("two"), TESTS, "-n", "2", EPKIT_SKIP_NOTHING="1")


@pytest.fixture(params=["in_one_process", "in_two_where_nothing_may_be_skipped"])
def lines(request: pytest.FixtureRequest) -> list[str]:
    """What either run printed."""
    return request.getfixturevalue(request.param).stdout.splitlines()


def test_skipped_tests_are_counted_and_named_with_their_reason(lines: list[str]) -> None:
    at = lines.index("skipped here: 2 tests: needs Chromium")
    assert sorted(lines[at + 1 : at + 3]) == [
        "  test_some.py::test_in_a_browser[1]", "  test_some.py::test_in_a_browser[2]",
    ]  # fmt: skip
    assert lines[at + 3 : at + 5] == [
        "skipped here: 1 test: needs kubectl 1.29 or newer", "  test_some.py::test_with_kubectl",
    ]  # fmt: skip


def test_the_agreement_with_the_recordings_is_told(lines: list[str]) -> None:
    assert "conformance: 2 of 3 scenarios agree" in lines
    assert "not yet: slice-of-your-own" in lines
    assert "newly agreeing, to be added to tests/conformance/agreeing.txt: slice-placeholder" in lines


def test_skipped_tests_are_fine_on_a_learner_s_machine(in_one_process: subprocess.CompletedProcess[str]) -> None:
    assert in_one_process.returncode == 0


def test_a_skipped_test_fails_the_run_where_nothing_may_be_skipped(
    in_two_where_nothing_may_be_skipped: subprocess.CompletedProcess[str],
) -> None:
    assert in_two_where_nothing_may_be_skipped.returncode == 1
    assert "a skipped test fails this run" in in_two_where_nothing_may_be_skipped.stdout


def test_without_skipped_tests_such_a_run_passes(tmp_path: Path) -> None:
    assert run(tmp_path, "def test_fine(): pass", EPKIT_SKIP_NOTHING="1").returncode == 0
