"""`make lab`: JupyterLab, opened at the first chapter."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import environment
from console import ROOT, Stop, say

NOTEBOOKS = ROOT / "notebooks"


def main() -> int:
    """Make the environment, check the port, and become JupyterLab; returns its exit status."""
    port = wanted_port()
    python = environment.ready("lab")
    ensure_free(port)
    chapter = first_chapter()
    trust(python, sorted(NOTEBOOKS.glob("*.ipynb")))
    lay_out(python)
    page = f"lab/tree/{chapter.relative_to(ROOT).as_posix()}" if chapter else "lab"
    say(f"opening JupyterLab at http://localhost:{port}/{page} (the address with its token follows; Ctrl-C ends it)")
    command = [
        str(python), "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url=/{page}",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--ServerApp.log_level=WARN",
    ]  # fmt: skip
    if os.environ.get("EPKIT_NO_BROWSER"):
        command.append("--no-browser")
    if getattr(os, "geteuid", lambda: 1)() == 0:
        command.append("--allow-root")  # in a container; the server listens on loopback alone
    if os.name == "nt":
        return subprocess.call(command, cwd=ROOT, env=environment.environ())
    os.chdir(ROOT)
    sys.stderr.flush()
    os.execve(command[0], command, environment.environ())


def wanted_port() -> int:
    """The port that PORT asks for, else JupyterLab's own 8888."""
    text = os.environ.get("PORT") or "8888"
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise Stop(f"PORT={text} is not a port number.", "Give one from 1 to 65535, for example: make lab PORT=8889")
    return int(text)


def ensure_free(port: int) -> None:
    """Raise Stop when another program listens on `port`, naming one that is free."""
    if bindable(port):
        return
    other = next((p for p in range(port + 1, min(port + 50, 65536)) if bindable(p)), None)
    raise Stop(
        f"Port {port} is taken by another program (perhaps another JupyterLab).",
        f"Take another one: make lab PORT={other}" if other else "Close that program, then run `make lab` again.",
    )


def bindable(port: int) -> bool:
    with socket.socket() as probe:
        if os.name != "nt":  # as the server will do it, so that a port in TIME_WAIT counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def first_chapter() -> Path | None:
    """The notebook to open: 01-….ipynb, else the first there is."""
    every = sorted(NOTEBOOKS.glob("*.ipynb"))
    return next((path for path in every if path.name.startswith("01-")), every[0] if every else None)


def trust(python: Path, notebooks: list[Path]) -> None:
    """Let JupyterLab show the stored pictures: it draws SVG only in notebooks that it trusts."""
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in notebooks)).hexdigest()
    stamp = environment.CACHE / "trusted"
    if notebooks and not (stamp.exists() and stamp.read_text() == digest):
        environment.run([str(python), "-m", "nbformat.sign", *map(str, notebooks)], "trust the course's notebooks")
        stamp.write_text(digest)


def lay_out(python: Path) -> None:
    """Open the table of contents beside the notebook, at the first start; later the learner's own layout stays."""
    if not (environment.CACHE / "jupyter" / "config" / "lab" / "workspaces").exists():
        command = [str(python), "-m", "jupyterlab.labapp", "workspaces", "import"]
        environment.run([*command, str(ROOT / "jupyter" / "workspace.json")], "lay out JupyterLab")
