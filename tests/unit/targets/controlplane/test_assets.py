from __future__ import annotations

import hashlib
import http.server
import io
import shutil
import sys
import tarfile
import threading
from collections import Counter

import pytest

from epkit import cli
from epkit.errors import EpkitError
from epkit.targets.controlplane import assets, binaries
from epkit.targets.controlplane.assets import Source, fetch

MACHINE = "linux/amd64"
PROGRAMS = {name: f"#!/bin/sh\necho Kubernetes v1.36.2 # {name}\n".encode() * 3 for name in binaries.NAMES[1:]}
ETCD = b"#!/bin/sh\necho etcd Version: 3.6.8\n"


class Mirror:
    """The two publishers, on loopback. Tests change `files` and look at `asked`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.cut: set[str] = set()
        for name, data in PROGRAMS.items():
            path = f"/{binaries.KUBERNETES}/bin/{MACHINE}/{name}"
            self.files[path] = data
            self.files[f"{path}.sha256"] = hashlib.sha256(data).hexdigest().encode()
        base = f"etcd-{binaries.ETCD}-linux-amd64"
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, data in ((f"{base}/README.md", b"read me"), (f"{base}/etcd", ETCD), (f"{base}/etcdctl", b"no")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        self.archive = f"/etcd/{binaries.ETCD}/{base}.tar.gz"
        self.sums = f"/etcd/{binaries.ETCD}/SHA256SUMS"
        self.files[self.archive] = archive.getvalue()
        digest = hashlib.sha256(archive.getvalue()).hexdigest()
        self.files[self.sums] = f"{'0' * 64}  etcd-{binaries.ETCD}-darwin-amd64.zip\n{digest}  {base}.tar.gz\n".encode()
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked[self.path] += 1
                data = mirror.files.get(self.path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                data = data or b""
                self.wfile.write(data[: len(data) // 2] if self.path in mirror.cut else data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{self.server.server_port}"
        self.source = Source(url, f"{url}/etcd")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def path_of(self, name: str) -> str:
        return f"/{binaries.KUBERNETES}/bin/{MACHINE}/{name}"


@pytest.fixture
def mirror(monkeypatch):
    for variable in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    made = Mirror()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_all_four_come_and_can_be_run(mirror, tmp_path, monkeypatch):
    told: list[str] = []
    fetch(tmp_path / "assets", MACHINE, mirror.source, told.append)
    assert sorted(file.name for file in (tmp_path / "assets").iterdir()) == sorted(binaries.NAMES)
    assert (tmp_path / "assets" / "etcd").read_bytes() == ETCD
    assert any(line.startswith("kube-apiserver v1.36.2: ") for line in told)
    assert "kube-apiserver v1.36.2: 100 %" in told
    monkeypatch.setenv("EPKIT_ASSETS", str(tmp_path / "assets"))
    assert binaries.find().kubernetes == "v1.36.2"


def test_what_is_there_is_not_fetched_again(mirror, tmp_path):
    fetch(tmp_path, MACHINE, mirror.source, lambda _: None)
    (tmp_path / "kube-scheduler").write_bytes(b"half of i")
    (tmp_path / "kube-controller-manager").unlink()
    mirror.asked.clear()
    told: list[str] = []
    fetch(tmp_path, MACHINE, mirror.source, told.append)
    fetched = {name for name in PROGRAMS if mirror.asked[mirror.path_of(name)]}
    assert fetched == {"kube-scheduler", "kube-controller-manager"}
    assert not mirror.asked[mirror.archive]
    assert {"etcd v3.6.8 is there.", "kube-apiserver v1.36.2 is there."} <= set(told)
    assert (tmp_path / "kube-scheduler").read_bytes() == PROGRAMS["kube-scheduler"]


def test_what_is_not_as_published_is_not_kept(mirror, tmp_path):
    mirror.files[mirror.path_of("kube-scheduler")] = b"something else"
    with pytest.raises(EpkitError, match="kube-scheduler is not what its publisher released: its SHA-256 is"):
        fetch(tmp_path, MACHINE, mirror.source, lambda _: None)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["etcd", "kube-apiserver", "kube-controller-manager"]


def test_an_archive_that_is_not_as_published(mirror, tmp_path):
    mirror.files[mirror.archive] += b"x"
    with pytest.raises(EpkitError, match="tar.gz is not what its publisher released"):
        fetch(tmp_path, MACHINE, mirror.source, lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_no_checksum_no_file(mirror, tmp_path):
    mirror.files[mirror.sums] = b""
    with pytest.raises(EpkitError, match="names no checksum for etcd-v3.6.8-linux-amd64.tar.gz: nothing was fetched"):
        fetch(tmp_path, MACHINE, mirror.source, lambda _: None)


def test_a_connection_that_breaks_leaves_nothing_half(mirror, tmp_path):
    mirror.cut.add(mirror.path_of("kube-apiserver"))
    with pytest.raises(EpkitError, match="The connection broke while .*kube-apiserver was fetched"):
        fetch(tmp_path, MACHINE, mirror.source, lambda _: None)
    assert [file.name for file in tmp_path.iterdir()] == ["etcd"]
    mirror.cut.clear()
    fetch(tmp_path, MACHINE, mirror.source, lambda _: None)
    assert (tmp_path / "kube-apiserver").stat().st_mode & 0o111


def test_a_file_that_is_not_there(mirror, tmp_path):
    del mirror.files[mirror.path_of("kube-apiserver") + ".sha256"]
    with pytest.raises(EpkitError, match="sha256 was answered with 404 Not Found"):
        fetch(tmp_path, MACHINE, mirror.source, lambda _: None)


def test_no_network(mirror, tmp_path):
    mirror.server.shutdown()
    mirror.server.server_close()
    with pytest.raises(EpkitError, match="cannot be reached: .*refused.*set HTTPS_PROXY.*set EPKIT_ASSETS"):
        fetch(tmp_path, MACHINE, mirror.source, lambda _: None)


def test_a_proxy_is_asked(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", mirror.source.releases)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    elsewhere = Source("http://releases.invalid", "http://releases.invalid/etcd")
    full = {f"http://releases.invalid{path}": data for path, data in mirror.files.items()}
    mirror.files = full
    fetch(tmp_path, MACHINE, elsewhere, lambda _: None)
    assert (tmp_path / "kube-scheduler").exists()


def test_no_room(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 5 << 20))
    with pytest.raises(EpkitError, match="has 5 MB of room, and 40 MB are needed"):
        fetch(tmp_path, MACHINE, mirror.source, lambda _: None)


def test_a_folder_that_cannot_be_made(mirror, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EpkitError, match="cannot be made: .*Set EPKIT_ASSETS to another folder"):
        fetch(tmp_path / "file" / "assets", MACHINE, mirror.source, lambda _: None)


@pytest.mark.parametrize(
    ("system", "processor", "name"),
    [("linux", "x86_64", "linux/amd64"), ("linux", "aarch64", "linux/arm64")],
)
def test_machines_with_releases(monkeypatch, system, processor, name):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: processor)
    assert assets.machine() == name


@pytest.mark.parametrize(("system", "processor"), [("darwin", "arm64"), ("linux", "riscv64"), ("win32", "AMD64")])
def test_machines_without_are_told_what_there_is(monkeypatch, system, processor):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: processor)
    with pytest.raises(EpkitError, match="only for Linux on amd64 and arm64. .*The built-in cluster runs everywhere"):
        assets.machine()


def test_the_command(mirror, monkeypatch, private_home, capsys):
    monkeypatch.setattr(assets, "machine", lambda: MACHINE)
    monkeypatch.setattr(assets, "Source", lambda: mirror.source)
    assert cli.main(["assets"]) == 0
    assert f"All four programs are in {private_home / 'assets' / 'v1.36.2'}" in capsys.readouterr().out
    assert (private_home / "assets" / "v1.36.2" / "etcd").exists()
