"""``epkit assets``: fetch the four programs in the pinned versions, with their published checksums.

Kubernetes' programs come from dl.k8s.io, each with a ``.sha256`` beside it; etcd from its releases on GitHub, with one
``SHA256SUMS`` for all archives. A file is written under another name and renamed when its checksum is right, so what is
there is whole; called again, only what is missing is fetched.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import platform
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from epkit.errors import EpkitError
from epkit.targets.controlplane.binaries import ETCD, KUBERNETES, NAMES, home_folder, version_of

RELEASES = "https://dl.k8s.io"
ETCD_RELEASES = "https://github.com/etcd-io/etcd/releases/download"
#: seconds without a byte
_TIMEOUT = 30
_CHUNK = 1 << 20
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
#: etcd's archive holds three programs and documentation; what is taken out of it needs about so much more
_UNPACKED = 40 << 20

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """Where files come from. Tests serve their own.

    Attributes:
        releases: of Kubernetes.
        etcd: the releases of etcd.
    """

    releases: str = RELEASES
    etcd: str = ETCD_RELEASES


def fetch(folder: Path, machine: str, source: Source | None = None, tell: Tell = print) -> None:
    """Bring the four programs into a folder.

    Args:
        machine: such as ``linux/amd64`` (:func:`machine`).
        tell: shows a line of progress.

    Raises:
        EpkitError: the network, the disk or a checksum is in the way; the text says which, and what to do.
    """
    source = source or Source()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EpkitError(f"{folder} cannot be made: {error.strerror}. Set EPKIT_ASSETS to another folder.") from None
    for name in NAMES:
        if name == "etcd":
            _etcd(folder, machine, source, tell)
        else:
            _kubernetes(name, folder, machine, source, tell)


def machine() -> str:
    """This machine, as in the names of releases.

    Raises:
        EpkitError: there are no releases of a control plane for it.
    """
    architecture = _ARCHITECTURES.get(platform.machine().lower())
    if sys.platform.startswith("linux") and architecture:
        return f"linux/{architecture}"
    there = f"{platform.system() or sys.platform} on {platform.machine() or 'an unknown processor'}"
    raise EpkitError(
        f"Kubernetes releases no control plane for {there}, only for Linux on amd64 and arm64. For Macs with Apple "
        "silicon conda-forge has one (`conda install kubernetes-server etcd`). The built-in cluster runs everywhere."
    )


def _kubernetes(name: str, folder: Path, machine: str, source: Source, tell: Tell) -> None:
    url = f"{source.releases}/{KUBERNETES}/bin/{machine}/{name}"
    wanted = _text(f"{url}.sha256").split()[0].lower()
    target = folder / name
    if target.is_file() and _checksum(target) == wanted:
        tell(f"{name} {KUBERNETES} is there.")
        return
    with _downloaded(url, wanted, folder, f"{name} {KUBERNETES}", tell) as part:
        part.chmod(0o755)
        part.replace(target)


def _etcd(folder: Path, machine: str, source: Source, tell: Tell) -> None:
    target = folder / "etcd"
    if target.is_file() and _is_pinned(target):
        tell(f"etcd {ETCD} is there.")
        return
    archive = f"etcd-{ETCD}-{machine.replace('/', '-')}"
    sums = _text(f"{source.etcd}/{ETCD}/SHA256SUMS")
    lines = (line.split() for line in sums.splitlines())
    wanted = next((words[0].lower() for words in lines if words[1:] == [f"{archive}.tar.gz"]), "")
    if not wanted:
        raise EpkitError(f"etcd's release {ETCD} names no checksum for {archive}.tar.gz: nothing was fetched.")
    with _downloaded(f"{source.etcd}/{ETCD}/{archive}.tar.gz", wanted, folder, f"etcd {ETCD}", tell) as part:
        unpacked = part.with_suffix(".etcd")
        try:
            with tarfile.open(part) as files, _disk(folder):
                named = [member for member in files.getmembers() if member.name == f"{archive}/etcd"]
                program = files.extractfile(named[0]) if named else None
                if program is None:
                    raise EpkitError(f"There is no etcd in {archive}.tar.gz.")
                with open(unpacked, "wb") as out:
                    shutil.copyfileobj(program, out)
            unpacked.chmod(0o755)
            unpacked.replace(target)
        finally:
            unpacked.unlink(missing_ok=True)


def _is_pinned(etcd: Path) -> bool:
    try:
        return version_of("etcd", str(etcd)) == ETCD
    except EpkitError:
        return False


# -- network and disk --------------------------------------------------------------------------------------------------


@contextmanager
def _downloaded(url: str, wanted: str, folder: Path, what: str, tell: Tell) -> Iterator[Path]:
    """The file behind a URL under a name of its own, with the right checksum; what is left of it goes afterwards."""
    part = folder / f".{url.rpartition('/')[2]}.{os.getpid()}"
    try:
        with _opened(url) as response, _disk(folder):
            size = int(response.headers.get("Content-Length") or 0)
            _room(folder, size)
            digest, progress = hashlib.sha256(), _Progress(what, size, tell)
            with open(part, "wb") as out:
                for chunk in _chunks(response, url):
                    out.write(chunk)
                    digest.update(chunk)
                    progress.add(len(chunk))
        if digest.hexdigest() != wanted:
            raise EpkitError(
                f"What came from {url} is not what its publisher released: its SHA-256 is {digest.hexdigest()}, and "
                f"{wanted} was expected. Nothing of it was kept. Try again; if it stays so, look at what is between "
                "you and the server."
            )
        yield part
    finally:
        part.unlink(missing_ok=True)


def _chunks(response: HTTPResponse, url: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, HTTPException) as error:
            raise _broken(url, str(error)) from None
        if not chunk:
            break
        yield chunk
    if response.length:  # reads of a certain size do not tell that the end came early
        raise _broken(url, f"{response.length} bytes are missing")


def _broken(url: str, why: str) -> EpkitError:
    return EpkitError(f"The connection broke while {url} was fetched: {why}. Try again: what is whole is kept.")


def _text(url: str) -> str:
    with _opened(url) as response:
        return b"".join(_chunks(response, url)).decode()


def _opened(url: str) -> HTTPResponse:
    """An answer. Proxies of the environment are asked (``HTTPS_PROXY``, ``NO_PROXY``)."""
    try:
        response: HTTPResponse = urllib.request.build_opener().open(url, timeout=_TIMEOUT)
        return response
    except urllib.error.HTTPError as error:
        raise EpkitError(f"{url} was answered with {error.code} {error.reason}. Is a proxy in the way?") from None
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise EpkitError(
            f"{url} cannot be reached: {why}. `epkit assets` needs the network; behind a proxy, set HTTPS_PROXY. "
            "Elsewhere fetched programs do as well: put them in a folder, and set EPKIT_ASSETS to it."
        ) from None


def _room(folder: Path, size: int) -> None:
    needed, free = size + _UNPACKED, shutil.disk_usage(folder).free
    if free < needed:
        raise EpkitError(
            f"{folder} has {free >> 20} MB of room, and {needed >> 20} MB are needed. Make room there, or set "
            "EPKIT_ASSETS to a folder on another disk."
        )


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = " The disk is full." if error.errno == errno.ENOSPC else ""
        raise EpkitError(
            f"{folder} cannot be written to: {error.strerror or error}.{full} Set EPKIT_ASSETS to another folder."
        ) from None


def _checksum(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Progress:
    """A line for each quarter of a file."""

    def __init__(self, what: str, size: int, tell: Tell) -> None:
        self._what, self._size, self._tell = what, size, tell
        self._done = self._told = 0
        tell(f"{what}: {size >> 20} MB" if size else f"{what}: fetching")

    def add(self, count: int) -> None:
        self._done += count
        quarter = 4 * self._done // self._size if self._size else 0
        if quarter > self._told:
            self._told = quarter
            self._tell(f"{self._what}: {25 * quarter} %")


# -- the command -------------------------------------------------------------------------------------------------------


def register(commands: Any) -> None:
    """Add ``epkit assets`` to the command line."""
    parser = commands.add_parser(
        "assets",
        help="fetch the programs of a real control plane",
        description=f"Fetch etcd {ETCD} and Kubernetes {KUBERNETES}: about 300 MB, into EPKIT_ASSETS or "
        f"{home_folder()}, with their published checksums.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Fetch what is missing."""
    named = os.environ.get("EPKIT_ASSETS")
    folder = Path(named).expanduser() if named else home_folder()
    fetch(folder, machine(), tell=lambda line: print(line, flush=True))
    print(f'All four programs are in {folder}. epkit.connect("controlplane") finds them there.')
    return 0
