"""The make commands' friendly ends: each in a copy of tools/ whose clone, .venv and programs are the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell for its stand-in programs")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with the tools and the locks, and nothing else."""
    for name in ("tools", "requirements", "jupyter"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def make(clone: Path, *arguments: str, path: str = os.defpath, **env: str) -> subprocess.CompletedProcess[str]:
    """What `make ARGUMENTS` runs, with only `path` on PATH."""
    command = [sys.executable, str(clone / "tools" / "make.py"), *arguments]
    base = {k: v for k, v in os.environ.items() if k not in ("PORT", "EPKIT_PYTHON", "CI")}
    return subprocess.run(command, env={**base, "PATH": path, **env}, capture_output=True, text=True, timeout=60)


def program(folder: Path, name: str, text: str) -> Path:
    """A stand-in for a program: a shell script called `name`."""
    folder.mkdir(exist_ok=True, parents=True)
    script = folder / name
    script.write_text("#!/bin/sh\n" + text)
    script.chmod(0o755)
    return script


def finished(clone: Path) -> None:
    """Let the clone's .venv look complete, with this Python in it."""
    python = clone / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    code = "import environment as e; [e.stamp(n).write_text(e.wanted(n)) for n in ('lab', 'test')]"
    subprocess.run([sys.executable, "-c", code], cwd=clone / "tools", check=True)


def stopped(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """The sentence and the remedy of a command that stopped, and nothing like a traceback."""
    lines = done.stderr.splitlines()
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    what = [line.removeprefix("epkit: stopped: ") for line in lines if line.startswith("epkit: stopped: ")]
    remedy = [line.removeprefix("epkit: remedy: ") for line in lines if line.startswith("epkit: remedy: ")]
    assert len(what) == len(remedy) == 1, done.stderr
    return what[0], remedy[0]


def test_help_names_every_command(clone: Path) -> None:
    done = make(clone, "help")
    assert done.returncode == 0
    assert [line.split()[1] for line in done.stdout.splitlines()] == [
        "lab", "test", "check", "notebooks", "lock", "clean", "help",
    ]  # fmt: skip


@posix
def test_a_python_that_is_too_old_is_named(clone: Path, tmp_path: Path) -> None:
    old = program(tmp_path / "old", "python3", "echo 3 9 /usr/bin/python3.9")
    what, remedy = stopped(make(clone, "lab", EPKIT_PYTHON=str(old)))
    assert what == (
        "epkit needs Python 3.11, 3.12, 3.13 or 3.14, and none was found (/usr/bin/python3.9 is 3.9)."
    )
    assert "EPKIT_PYTHON=/path/to/python3.13" in remedy


@posix
def test_the_first_file_can_be_read_by_an_old_python(clone: Path) -> None:
    import ast

    ast.parse((clone / "tools" / "make.py").read_text(), feature_version=(3, 5))


def test_a_taken_port_is_named_with_a_free_one(clone: Path) -> None:
    finished(clone)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        what, remedy = stopped(make(clone, "lab", PORT=str(port), EPKIT_NO_BROWSER="1"))
    assert what == f"Port {port} is taken by another program (perhaps another JupyterLab)."
    offered = int(remedy.removeprefix("Take another one: make lab PORT="))
    assert offered > port


@pytest.mark.parametrize("text", ["eight", "0", "65536", "-1", "8888.5"])
def test_a_port_that_is_no_port(clone: Path, text: str) -> None:
    what, _ = stopped(make(clone, "lab", PORT=text))
    assert what == f"PORT={text} is not a port number."


@posix
@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("error: dns error: failed to lookup address", "The package index cannot be reached"),
        ("<urllib3...>: Failed to establish a new connection: [Errno 101] Network is unreachable", "The package index"),
        ("error: failed to write: No space left on device (os error 28)", "The disk is full."),
        ("error: something else", "It was not possible to install the packages."),
    ],
)
def test_an_installation_that_fails_says_why(clone: Path, tmp_path: Path, message: str, sentence: str) -> None:
    fake = program(
        tmp_path / "bin", "uv",
        f'if [ "$1" = venv ]; then mkdir -p {clone}/.venv/bin; touch {clone}/.venv/pyvenv.cfg; exit 0; fi\n'
        f'echo "{message}" >&2; exit 2\n',
    )  # fmt: skip
    what, remedy = stopped(make(clone, "lab", path=f"{fake.parent}{os.pathsep}{os.defpath}"))
    assert what.startswith(sentence)
    assert remedy.endswith((".", "stopped."))
    kept = (clone / ".venv" / "epkit-installing").exists()
    assert kept == (sentence == "The disk is full."), "half of a package may be there only when the disk was full"


@posix
def test_an_installation_that_was_cut_short_is_made_again(clone: Path, tmp_path: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "pyvenv.cfg").touch()
    (clone / ".venv" / "epkit-installing").touch()
    (clone / ".venv" / "left-over").touch()
    fake = program(tmp_path / "bin", "uv", 'echo "$@" >> ' + str(tmp_path / "calls") + "; echo dns error; exit 1\n")
    done = make(clone, "test", path=f"{fake.parent}{os.pathsep}{os.defpath}")
    assert "the last installation was cut short: making .venv again" in done.stderr
    assert (tmp_path / "calls").read_text().startswith("venv --no-python-downloads")
    assert not (clone / ".venv" / "left-over").exists()


def test_a_venv_that_is_none_is_left_alone(clone: Path) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / "notes.txt").write_text("mine")
    what, remedy = stopped(make(clone, "lab"))
    assert what == f"{clone / '.venv'} is there, but it is not a virtual environment."
    assert "make clean" in remedy
    assert (clone / ".venv" / "notes.txt").read_text() == "mine"


@posix
def test_a_venv_of_an_old_python_is_left_alone(clone: Path) -> None:
    program(clone / ".venv" / "bin", "python", "echo 3 10")
    (clone / ".venv" / "pyvenv.cfg").touch()
    what, remedy = stopped(make(clone, "lab"))
    assert what == "The Python in .venv is 3.10; epkit needs 3.11 to 3.14."
    assert "make clean" in remedy


def test_a_disk_that_is_nearly_full_is_named_before_anything_is_made(clone: Path) -> None:
    code = "import shutil, collections, sys; U = collections.namedtuple('U', 'total used free')\n" + (
        "shutil.disk_usage = lambda path: U(10, 10, 5 * 1024**2)\nimport commands; sys.exit(commands.main(['lab']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=clone / "tools", capture_output=True, text=True, timeout=60)
    what, _ = stopped(done)
    assert what.startswith("The disk has 5 MB left, and the environment needs about 900 MB.")
    assert not (clone / ".venv").exists()


def test_a_finished_environment_is_taken_as_it_is_until_the_lock_changes(clone: Path) -> None:
    finished(clone)
    ask = [sys.executable, "-c", "import environment as e; print(e.is_current('lab'), e.is_current('test'))"]
    assert subprocess.check_output(ask, cwd=clone / "tools", text=True) == "True True\n"
    with (clone / "requirements" / "test.txt").open("a") as lock:
        lock.write("one-more==1.0\n")
    assert subprocess.check_output(ask, cwd=clone / "tools", text=True) == "True False\n"


def test_clean_removes_what_the_commands_made_and_nothing_else(clone: Path) -> None:
    finished(clone)
    (clone / ".cache").mkdir(exist_ok=True)
    (clone / "notebooks").mkdir()
    (clone / "notebooks" / "mine.ipynb").write_text("{}")
    assert make(clone, "clean").returncode == 0
    assert not (clone / ".venv").exists() and not (clone / ".cache").exists()
    assert (clone / "notebooks" / "mine.ipynb").read_text() == "{}"


def test_the_locks_pin_the_same_versions() -> None:
    def pins(name: str) -> set[str]:
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        return {line.split("#")[0].strip() for line in lines if line and not line.startswith("#")}

    assert pins("lab.txt") < pins("test.txt")
    assert all("==" in pin for pin in pins("test.txt"))


def test_nothing_private_of_the_user_is_used(clone: Path) -> None:
    code = "import environment as e, json; print(json.dumps(e.environ()))"
    import json

    env = json.loads(subprocess.check_output([sys.executable, "-c", code], cwd=clone / "tools", text=True))
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "KUBECACHEDIR",
                 "PIP_CACHE_DIR", "UV_CACHE_DIR"):  # fmt: skip
        assert Path(env[name]).is_relative_to(clone), name
