from __future__ import annotations

import pytest
from control_plane_stand_ins import make_stand_ins, script

from epkit.errors import EpkitError
from epkit.targets.controlplane import binaries


@pytest.fixture
def empty_path(tmp_path, monkeypatch):
    """A PATH with a shell and nothing of Kubernetes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_the_folder_that_is_named_is_where_they_are(tmp_path, empty_path, monkeypatch):
    folder = make_stand_ins(tmp_path / "assets")
    make_stand_ins(empty_path, kubernetes="v1.35.0")
    monkeypatch.setenv("EPKIT_ASSETS", str(folder))
    found = binaries.find()
    assert found.kubernetes == "v1.36.2"
    assert found.paths["etcd"] == str(folder / "etcd")


def test_an_incomplete_folder_that_is_named_is_told_and_nothing_else_is_taken(tmp_path, empty_path, monkeypatch):
    folder = make_stand_ins(tmp_path / "assets")
    (folder / "kube-scheduler").unlink()
    make_stand_ins(empty_path)
    monkeypatch.setenv("EPKIT_ASSETS", str(folder))
    with pytest.raises(EpkitError, match=rf"in EPKIT_ASSETS \({folder}\) there is no kube-scheduler\. `epkit assets`"):
        binaries.find()


def test_envtests_folder_lacks_two(tmp_path, empty_path, monkeypatch):
    folder = make_stand_ins(tmp_path / "envtest")
    (folder / "kubectl").write_text("")
    for name in ("kube-controller-manager", "kube-scheduler"):
        (folder / name).unlink()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    with pytest.raises(EpkitError) as error:
        binaries.find()
    text = str(error.value)
    assert f"in KUBEBUILDER_ASSETS ({folder}) there is no kube-controller-manager and no kube-scheduler" in text
    assert "What envtest fetches lacks the two" in text
    assert "in PATH there is none of them" in text
    assert str(binaries.home_folder()) in text


def test_the_first_complete_place_is_taken(tmp_path, empty_path, monkeypatch):
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "nowhere"))
    make_stand_ins(binaries.home_folder(), kubernetes="v1.36.2")
    assert binaries.find().paths["etcd"] == str(binaries.home_folder() / "etcd")
    make_stand_ins(empty_path, kubernetes="v1.35.1")
    assert binaries.find().kubernetes == "v1.35.1"


@pytest.mark.parametrize(
    ("name", "told", "why"),
    [
        ("etcd", "etcd Version: 3.3.27", "etcd is v3.3.27; 3.4 or newer is needed"),
        ("kube-apiserver", "Kubernetes v1.28.9", "kube-apiserver is v1.28.9; v1.29 or newer is needed"),
        ("kube-scheduler", "Kubernetes v1.34.1", "kube-scheduler must be of the same minor version, or one older"),
        ("kube-controller-manager", "Kubernetes v1.37.0", "kube-controller-manager must be of the same minor version"),
        ("kube-scheduler", "cannot execute binary file", "does not tell its version; it says: cannot execute"),
    ],
)
def test_versions_that_do_not_go_together(tmp_path, monkeypatch, name, told, why):
    folder = make_stand_ins(tmp_path / "assets")
    script(folder / name, f'echo "{told}"\n')
    monkeypatch.setenv("EPKIT_ASSETS", str(folder))
    with pytest.raises(EpkitError, match=why):
        binaries.find()


def test_a_controller_manager_one_minor_behind_will_do(tmp_path, monkeypatch):
    folder = make_stand_ins(tmp_path / "assets")
    script(folder / "kube-controller-manager", 'echo "Kubernetes v1.35.4"\n')
    monkeypatch.setenv("EPKIT_ASSETS", str(folder))
    assert binaries.find().kubernetes == "v1.36.2"


def test_a_program_for_another_machine(tmp_path, monkeypatch):
    folder = make_stand_ins(tmp_path / "assets")
    (folder / "etcd").write_bytes(b"\x7fELF\x00 not for this machine")
    monkeypatch.setenv("EPKIT_ASSETS", str(folder))
    with pytest.raises(EpkitError, match=r"etcd does not tell its version; it says: .*Is it for this machine\?"):
        binaries.find()


def test_windows_is_told_what_works_there(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(EpkitError, match="not on Windows. Use WSL, or the built-in cluster"):
        binaries.find()
