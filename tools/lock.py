"""Write requirements/*.txt: the versions that `make lab` and `make test` install (`make lock`).

The locks hold for Python 3.11 to 3.14 on Linux, macOS and Windows: uv resolves for all of them at once and writes
environment markers where they differ. lab.txt is resolved under test.txt, so the two never disagree.
"""

from __future__ import annotations

import shutil
import subprocess

from console import ROOT, Stop, say

LOCKS = ROOT / "requirements"


def main() -> None:
    """Resolve both locks anew; raises Stop without uv or when uv fails."""
    uv = shutil.which("uv")
    if uv is None:
        raise Stop(
            "`make lock` needs uv, which resolves for every platform at once.",
            "Install it (`python3 -m pip install uv`, or https://docs.astral.sh/uv/) and run `make lock` again.",
        )
    LOCKS.mkdir(exist_ok=True)
    test, lab = LOCKS / "test.txt", LOCKS / "lab.txt"
    compile_lock(uv, test, ["--upgrade", "--extra", "lab", "--extra", "test"])
    compile_lock(uv, lab, ["--upgrade", "--extra", "lab", "--constraints", test.relative_to(ROOT).as_posix()])


def compile_lock(uv: str, lock: object, options: list[str]) -> None:
    """Resolve pyproject.toml with `options` into the file `lock`."""
    say(f"resolving {lock}")
    command = [uv, "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11", "--quiet"]
    command += ["--custom-compile-command", "make lock", "--annotation-style", "line", *options, "-o", str(lock)]
    if subprocess.run(command, cwd=ROOT).returncode:
        raise Stop("uv could not resolve the dependencies (its message is above).", "Correct pyproject.toml.")
