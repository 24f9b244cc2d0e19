"""Make `.venv` with the pinned versions, or find that it is there already.

A stamp in `.venv` holds the hash of what was installed, so that a warm start asks nothing and runs nothing. A marker
stands there while packages are being installed: where one is found, the last installation was cut short and `.venv` is
made again. Everything that pip, uv, Jupyter, IPython and kubectl keep goes to `.cache` in the clone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from console import ROOT, Stop, say

VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
MARKER = VENV / "epkit-installing"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
ROOM_NEEDED = 900 * 1024**2  # bytes: .venv with the test extras and what pip keeps to make it again
# What pip and uv say when the package index cannot be reached (not when it has no such version).
NO_NETWORK = (
    "Failed to establish a new connection", "NewConnectionError", "Network is unreachable", "ConnectTimeout",
    "Temporary failure in name resolution", "Name or service not known", "nodename nor servname", "getaddrinfo failed",
    "NameResolutionError", "ConnectionResetError", "Read timed out", "ProxyError", "Connection refused", "dns error",
    "error sending request", "tcp connect error", "client error (Connect)", "operation timed out",
)  # fmt: skip
NO_ROOM = (
    "No space left on device", "[Errno 28]", "os error 28", "There is not enough space on the disk", "os error 112",
)  # fmt: skip


class DiskFull(Stop):
    """The disk was full while packages were being installed."""


def ready(profile: str) -> Path:
    """The Python of `.venv`, with everything in requirements/`profile`.txt and epkit itself.

    `profile` is "lab" or "test". Raises Stop where the environment cannot be made.
    """
    if is_current(profile):
        return PYTHON
    with alone():
        if not is_current(profile):  # another make may have made it meanwhile
            try:
                make(profile)
            except OSError as error:
                raise trouble(str(error), "write to the clone") from error
    return PYTHON


def is_current(profile: str) -> bool:
    """Whether `.venv` already holds what `profile` asks for."""
    with suppress(OSError):
        return PYTHON.exists() and not MARKER.exists() and stamp(profile).read_text() == wanted(profile)
    return False


def stamp(profile: str) -> Path:
    return VENV / f"epkit-{profile}.stamp"


def wanted(profile: str) -> str:
    """A hash of all that decides what is in `.venv`: the lock, the project's own metadata, and where the clone lies."""
    parts = [(ROOT / "requirements" / f"{profile}.txt").read_bytes(), (ROOT / "pyproject.toml").read_bytes()]
    return hashlib.sha256(b"\0".join([*parts, str(ROOT).encode()])).hexdigest()


def make(profile: str) -> None:
    """Leave a `.venv` that holds what `profile` asks for."""
    uv = shutil.which("uv")
    prepare(uv)
    MARKER.touch()
    try:
        install(profile, uv)
    except DiskFull:
        raise  # half of a package may be there: the marker stays
    except Stop:
        MARKER.unlink()
        raise
    MARKER.unlink()
    say(f"the environment is ready in {VENV.relative_to(ROOT)}")


def install(profile: str, uv: str | None) -> None:
    """Install the lock and epkit into `.venv` and write the stamps."""
    lock = ROOT / "requirements" / f"{profile}.txt"
    count = sum(1 for line in lock.read_text().splitlines() if line and not line.startswith(("#", " ")))
    say(f"installing up to {count} packages with {'uv' if uv else 'pip'}; the first time takes a minute or two")
    installer = [uv, "pip", "install", "--compile-bytecode", "--python", str(PYTHON)] if uv else [*pip(), "install"]
    run([*installer, "-r", str(lock)], "install the packages")
    run([*installer, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], "install epkit")
    run([str(PYTHON), "-c", "import epkit, jupyterlab"], "import what was installed")
    for name in ("lab", "test") if profile == "test" else ("lab",):  # the test lock holds the lab's versions too
        stamp(name).write_text(wanted(name))


def prepare(uv: str | None) -> None:
    """Leave a `.venv` whose Python starts; raises Stop where something else stands in its place."""
    if VENV.exists():
        if not (VENV / "pyvenv.cfg").is_file():
            raise Stop(
                f"{VENV} is there, but it is not a virtual environment.",
                "Move it away, or remove it with `make clean`, and run the command again.",
            )
        if MARKER.exists():
            say("the last installation was cut short: making .venv again")
        elif version := starts():
            if not (3, 11) <= version < (3, 15):
                raise Stop(
                    f"The Python in .venv is {version[0]}.{version[1]}; epkit needs 3.11 to 3.14.",
                    "Remove it with `make clean` and run the command again.",
                )
            say("bringing .venv up to date")
            return
        else:
            say("the Python in .venv does not start any more: making .venv again")
        shutil.rmtree(VENV)
    free = shutil.disk_usage(ROOT).free
    if free < ROOM_NEEDED:
        raise Stop(
            f"The disk has {free // 1024**2} MB left, and the environment needs about {ROOM_NEEDED // 1024**2} MB.",
            f"Make room on the disk that holds {ROOT} and run the command again.",
        )
    say(f"making .venv with Python {sys.version.split()[0]} ({sys.executable})")
    if uv:
        run([uv, "venv", "--no-python-downloads", "--python", sys.executable, str(VENV)], "make .venv")
    else:
        run([sys.executable, "-m", "venv", str(VENV)], "make .venv")


def starts() -> tuple[int, int] | None:
    """(major, minor) of the Python in `.venv`, or None where it does not start."""
    try:
        probe = [str(PYTHON), "-c", "import sys; print(*sys.version_info[:2])"]
        major, minor = subprocess.check_output(probe, stderr=subprocess.DEVNULL, text=True).split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def pip() -> list[str]:
    """The command for pip in `.venv`, put there first where uv had made `.venv` without it."""
    if subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True).returncode:
        run([str(PYTHON), "-m", "ensurepip", "--default-pip"], "put pip into .venv")
    return [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--retries", "2", "--no-input"]


def run(command: list[str], purpose: str) -> None:
    """Run `command` quietly; raises Stop with a remedy when it fails."""
    done = subprocess.run(
        command, cwd=ROOT, env=environ(), text=True, encoding="utf-8", errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        raise trouble(done.stdout, purpose)


def trouble(output: str, purpose: str) -> Stop:
    """The Stop that explains `output`, what a failed command printed while it was to `purpose`."""
    if any(sign in output for sign in NO_ROOM):
        return DiskFull(
            "The disk is full.",
            f"Make room on the disk that holds {ROOT} (about {ROOM_NEEDED // 1024**2} MB) and run the command again.",
        )
    if any(sign in output for sign in NO_NETWORK):
        return Stop(
            "The package index cannot be reached, and the environment is not complete.",
            "Connect to the network (behind a proxy set HTTPS_PROXY; for a mirror set PIP_INDEX_URL, or UV_INDEX_URL "
            "with uv) and run the command again: it goes on where it stopped.",
        )
    if "ensurepip is not available" in output or "No module named ensurepip" in output:
        return Stop(
            f"The Python at {sys.executable} comes without the venv module.",
            "Install it (Debian and Ubuntu: apt install python3-venv), or install uv, and run the command again.",
        )
    last = [line for line in output.splitlines() if line.strip()][-12:]
    return Stop(
        f"It was not possible to {purpose}.",
        "Remove the environment with `make clean` and run the command again; if it fails alike, report these lines.",
        "\n  ".join(["the last lines were:", *last]),
    )


def environ() -> dict[str, str]:
    """The environment for what the commands start: nothing is read from or written to the user's own directories."""
    private = {
        "JUPYTER_CONFIG_DIR": CACHE / "jupyter" / "config",
        "JUPYTER_DATA_DIR": CACHE / "jupyter" / "data",
        "JUPYTER_RUNTIME_DIR": CACHE / "jupyter" / "runtime",
        "JUPYTER_CONFIG_PATH": ROOT / "jupyter",
        "IPYTHONDIR": CACHE / "ipython",
        "KUBECACHEDIR": CACHE / "kube",
        "PIP_CACHE_DIR": CACHE / "pip",
        "UV_CACHE_DIR": CACHE / "uv",
    }
    env = {**os.environ, **{name: str(path) for name, path in private.items()}, "VIRTUAL_ENV": str(VENV)}
    env["PATH"] = os.pathsep.join([str(PYTHON.parent), env.get("PATH", "")])  # `epkit` in JupyterLab's terminals
    for name in ("PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "CONDA_PREFIX"):
        env.pop(name, None)
    return env


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock under which one make at a time changes `.venv`."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "venv.lock").open("w") as handle:
        if os.name == "nt":
            import msvcrt

            try:
                msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
            except OSError:
                raise Stop("Another make is changing .venv.", "Wait until it is done, then run this again.") from None
        else:
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another make is changing .venv: waiting for it")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def clean() -> None:
    """Remove everything that the commands made; the notebooks and the learner's own files stay."""
    made = ("test-output", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")
    for path in (VENV, CACHE, *map(ROOT.joinpath, made)):
        if path.is_dir() and not path.is_symlink():
            say(f"removing {path.relative_to(ROOT)}")
            shutil.rmtree(path)
        elif path.exists() or path.is_symlink():
            path.unlink()
    for folder in ("epkit", "tests", "tools", "bench", "notebooks"):
        for cache in (ROOT / folder).rglob("__pycache__"):
            shutil.rmtree(cache)
