"""What tests may need from the machine, found once; a test marked with it is skipped where it is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hypothesis
import pytest

# The same examples in every run, however slow the machine is.
hypothesis.settings.register_profile("epkit", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("epkit")

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
MAC_CHROMIUMS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
NETNS_TOOLS = ("ip", "iptables", "nft", "conntrack", "unshare")


@cache
def find_kubectl() -> Path | None:
    """The kubectl on PATH, where it is 1.29 or newer."""
    path = shutil.which("kubectl")
    if path is None:
        return None
    try:
        answer = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=20)
        version = json.loads(answer.stdout)["clientVersion"]
        minor = int(version["minor"].rstrip("+"))
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        return None
    return Path(path) if minor >= 29 else None


@cache
def find_chromium() -> Path | None:
    """A Chromium: EPKIT_CHROMIUM, else one on PATH."""
    if named := os.environ.get("EPKIT_CHROMIUM"):
        return Path(named)
    found = [shutil.which(name) for name in CHROMIUMS]
    found += [path for path in MAC_CHROMIUMS if Path(path).exists()]
    return next((Path(path) for path in found if path), None)


@cache
def missing_for_netns() -> str | None:
    """What is missing to build network namespaces and fill them with rules, or None."""
    if not sys.platform.startswith("linux"):
        return "Linux"
    if os.geteuid() != 0:
        return "root"
    missing = [tool for tool in NETNS_TOOLS if shutil.which(tool) is None]
    if missing:
        return " and ".join(missing)
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True)
    return "the right to make network namespaces" if made.returncode else None


@pytest.fixture(autouse=True, scope="session")
def home_of_its_own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes what the person who runs the tests has done with epkit, but where a target is named."""
    if request.config.getoption("--target"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EPKIT_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("kubectl") and find_kubectl() is None:
        pytest.skip("needs kubectl 1.29 or newer")
    if item.get_closest_marker("browser") and find_chromium() is None:
        pytest.skip("needs Chromium (set EPKIT_CHROMIUM, or put chromium on PATH)")
    if item.get_closest_marker("netns") and (missing := missing_for_netns()):
        pytest.skip(f"needs {missing} for rules in network namespaces")


@pytest.fixture(scope="session")
def real_kubectl() -> Path | None:
    """The path of a kubectl 1.29 or newer, or None; tests marked `kubectl` run only where there is one."""
    return find_kubectl()


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The path of the Chromium that the browser tests drive."""
    path = find_chromium()
    assert path is not None, "a test that asks for `chromium` is marked `browser`"
    return path
