"""Where the programs of a real control plane are: found on this machine, and of versions that go together."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from epkit.errors import EpkitError
from epkit.targets import learner

#: in the order in which they are started
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
#: what `epkit assets` fetches: the version whose outputs the course shows, and the etcd that kubeadm starts with it
KUBERNETES, ETCD = "v1.36.2", "v3.6.8"
#: the oldest that will do: slices are written in other ways before; etcd 3.4 is what Debian and Ubuntu have
OLDEST_KUBERNETES, OLDEST_ETCD = (1, 29), (3, 4)
#: seconds for a program to tell its version
_PATIENCE = 30

Version = tuple[int, int]


@dataclass(frozen=True)
class Binaries:
    """The four programs.

    Attributes:
        paths: name -> file.
        kubernetes: the version of kube-apiserver, such as ``v1.36.2``.
    """

    paths: Mapping[str, str]
    kubernetes: str


def home_folder() -> Path:
    """Where `epkit assets` puts them unless ``EPKIT_ASSETS`` names another folder."""
    return learner.home() / "assets" / KUBERNETES


def find() -> Binaries:
    """The programs: all in ``EPKIT_ASSETS`` if that is set, else in ``KUBEBUILDER_ASSETS``, on PATH or in epkit's home.

    Raises:
        EpkitError: some are missing, or of a version that will not do; the text names them, and where it looked.

    >>> find().kubernetes
    'v1.36.2'
    """
    if sys.platform == "win32":
        raise EpkitError(
            "Kubernetes' control plane runs on Linux and macOS, not on Windows. Use WSL, or the built-in cluster."
        )
    missing: dict[str, list[str]] = {}
    for where, folder in _places():
        found = {name: shutil.which(name, path=folder) for name in NAMES}
        paths = {name: path for name, path in found.items() if path}
        if len(paths) == len(NAMES):
            return Binaries(paths, _checked(paths))
        missing[where] = [name for name in NAMES if name not in paths]
    raise EpkitError(_not_found(missing))


def _places() -> list[tuple[str, str | None]]:
    """What each place is called, and its folder; None is PATH."""
    if named := os.environ.get("EPKIT_ASSETS"):
        return [(f"EPKIT_ASSETS ({named})", str(Path(named).expanduser()))]
    envtest = os.environ.get("KUBEBUILDER_ASSETS")
    places: list[tuple[str, str | None]] = [(f"KUBEBUILDER_ASSETS ({envtest})", envtest)] if envtest else []
    return [*places, ("PATH", None), (str(home_folder()), str(home_folder()))]


def _not_found(missing: Mapping[str, list[str]]) -> str:
    def told(names: list[str]) -> str:
        return "none of them" if len(names) == len(NAMES) else f"no {' and no '.join(names)}"

    looked = "; ".join(f"in {where} there is {told(names)}" for where, names in missing.items())
    envtest = any(
        where.startswith("KUBEBUILDER") and names == ["kube-controller-manager", "kube-scheduler"]
        for where, names in missing.items()
    )
    hint = " What envtest fetches lacks the two that write slices and place pods." if envtest else ""
    return (
        f"A real control plane needs {', '.join(NAMES[:-1])} and {NAMES[-1]} in one place: {looked}.{hint} "
        f"`epkit assets` fetches all four ({KUBERNETES}); or set EPKIT_ASSETS to the folder where they are."
    )


def _checked(paths: Mapping[str, str]) -> str:
    """The version of kube-apiserver. Raises EpkitError where versions do not go together."""
    with ThreadPoolExecutor(len(paths)) as pool:
        told = dict(zip(paths, pool.map(version_of, paths, paths.values()), strict=True))
    etcd, server = told["etcd"], told["kube-apiserver"]
    if _minor(etcd) < OLDEST_ETCD:
        raise EpkitError(f"{paths['etcd']} is {etcd}; 3.4 or newer is needed. {_remedy()}")
    if _minor(server) < OLDEST_KUBERNETES:
        raise EpkitError(f"{paths['kube-apiserver']} is {server}; v1.29 or newer is needed. {_remedy()}")
    for name in ("kube-controller-manager", "kube-scheduler"):
        behind = _minor(server)[1] - _minor(told[name])[1]
        if behind not in (0, 1):
            raise EpkitError(
                f"{paths[name]} is {told[name]} and kube-apiserver is {server}: {name} must be of the same minor "
                f"version, or one older. {_remedy()}"
            )
    return server


def version_of(name: str, path: str) -> str:
    """What a program says to ``--version``, such as ``v1.36.2``; etcd's with a v in front too.

    Raises:
        EpkitError: it cannot be run, or says nothing of the kind.
    """
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, encoding="utf-8", errors="replace", timeout=_PATIENCE, check=False
        )
        text = done.stdout + done.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        text = str(getattr(error, "strerror", "") or error)
    pattern = r"etcd Version: v?(\d+\.\d+\.\S+)" if name == "etcd" else r"Kubernetes v(\d+\.\d+\.\S+)"
    match = re.search(pattern, text)
    if match is None:
        said = " ".join(text.split())[:200] or "nothing"
        raise EpkitError(f"{path} does not tell its version; it says: {said}. Is it for this machine? {_remedy()}")
    return f"v{match[1]}"


def _minor(version: str) -> Version:
    major, minor = version.removeprefix("v").split(".")[:2]
    return int(major), int(minor)


def _remedy() -> str:
    return f"Take {KUBERNETES} with `epkit assets`, and set EPKIT_ASSETS to its folder."
