"""The built-in kubectl prints what the real one prints: the same commands on two identical clusters, to the letter.

``scripts/*.txt`` hold command lines; ``<<E`` gives one its standard input, ``KUBE_EDITOR=…`` an editor. kubectl's own
texts differ a little between minors: these hold for kubectl 1.33, and for 1.32 but for the line that `_newer` names.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from epkit.fake import kubeconfig
from epkit.fake.plane import Plane, default_nodes
from epkit.fake.server import Server
from epkit.fake.transports import WithExec
from epkit.kubectl import binary, run

SCRIPTS = Path(__file__).parent / "scripts"
MINORS = ((1, 33), (1, 32))
#: ages are whole hours for as long as a test runs
OLD = 3 * 86400 + 5 * 3600 + 1800


def _real_kubectls() -> dict[tuple[int, int], str]:
    """The kubectls on PATH and beside them (``kubectl``, ``kubectl.1.33``) by their minor."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    plain = shutil.which("kubectl")
    folders += [Path(plain).resolve().parent] if plain else []
    paths = [path for folder in folders for path in sorted(folder.glob("kubectl*")) if os.access(path, os.X_OK)]
    found: dict[tuple[int, int], str] = {}
    for path in paths:
        if match := re.fullmatch(r"kubectl\.(\d+)\.(\d+)", path.name):
            found.setdefault((int(match[1]), int(match[2])), str(path))
    for path in paths:  # a plain one may be a dispatcher to those, with a few texts of its own
        if path.name == "kubectl":
            found.setdefault(binary.version(str(path)) or (0, 0), str(path))
    return {minor: path for minor, path in found.items() if minor in MINORS}


REAL = _real_kubectls()


@dataclass
class Command:
    """One command line, its standard input and its editor."""

    line: str
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)


def _read(path: Path) -> list[Command]:
    commands: list[Command] = []
    lines = iter(path.read_text().splitlines())
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        env: dict[str, str] = {}
        words = shlex.split(line.removesuffix("<<E"))
        if words[0].startswith("KUBE_EDITOR="):
            env["KUBE_EDITOR"] = words.pop(0).partition("=")[2]
        stdin = ""
        if line.endswith("<<E"):
            while (row := next(lines)) != "E":
                stdin += row + "\n"
        commands.append(Command(shlex.join(words), stdin, env))
    return commands


def _newer(text: str) -> str:
    """kubectl 1.32's one line that 1.33 changed, as 1.33 has it; and without the temporary files' names and times."""
    text = re.sub(r"ConfigMapOptional:       <nil>", "Optional:                false", text)
    text = re.sub(r"/\S*/kubectl-edit-\w+\.yaml", "FILE", text)
    text = re.sub(r"/\S*/(LIVE|MERGED)-\d+/", r"\1/", text)
    return re.sub(r"(?m)^((?:---|\+\+\+) (?:LIVE|MERGED)/\S+)\t.*$", r"\1", text)


def _link(folder: Path, path: str) -> str:
    """The binary under the name that its texts tell: ``kubectl``."""
    link = folder / "kubectl"
    link.symlink_to(path)
    return str(link)


@pytest.mark.kubectl
@pytest.mark.skipif(not REAL, reason="no kubectl 1.33 or 1.32 on PATH")
@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.txt")))
def test_same_output_as_the_real_kubectl(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPKIT_KUBECTL", "builtin")
    if script.endswith("-1.33") and max(REAL) < (1, 33):
        pytest.skip("kubectl 1.33 was the first to do this")
    real = _link(tmp_path, REAL[max(REAL)])
    start = time.time() - OLD
    one, other = Plane(default_nodes(3), start=start), Plane(default_nodes(3), start=start)
    config = tmp_path / "kubeconfig"
    with Server(one) as server:
        config.write_text(kubeconfig.content(server.url, server.secret))
        environment = {**os.environ, "KUBECONFIG": str(config), "KUBECACHEDIR": str(tmp_path / "cache")}
        transport = WithExec(other, "kubectl")
        for command in _read(SCRIPTS / f"{script}.txt"):
            done = subprocess.run(
                [real, *shlex.split(command.line)],
                input=command.stdin,
                env={**environment, **command.env},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            mine = run(command.line, transport, stdin=command.stdin, env=command.env)
            wanted = (done.returncode, _newer(done.stdout), _newer(done.stderr))
            assert (mine.returncode, _newer(mine.stdout), _newer(mine.stderr)) == wanted, f"kubectl {command.line}"
