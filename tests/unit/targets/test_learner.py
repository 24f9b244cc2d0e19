"""Who learns here: a file that outlives kernels, and a name that may stand in a namespace's."""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epkit.errors import EpkitError
from epkit.targets import learner as learners
from epkit.targets.learner import Learner, read

pytestmark = pytest.mark.usefixtures("home")


def test_a_new_learner_is_written_down_when_there_is_something_of_theirs(home: Path) -> None:
    learner = read()
    assert re.fullmatch("[0-9a-f]{12}", learner.id) and learner.clusters == {} and not home.exists()
    learner.keep()
    assert read().id == learner.id
    assert [file.name for file in home.iterdir()] == ["learner.json"], "no part is left"


def test_the_yes_is_remembered_until_it_is_forgotten() -> None:
    learner = read()
    learner.confirm("https://a x", "ann")
    assert read().clusters["https://a x"].user == "ann"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", read().clusters["https://a x"].on)
    learner.forget("https://b")
    learner.forget("https://a x")
    assert read().id == learner.id and read().clusters == {}


def test_forgetting_writes_nobody_down(home: Path) -> None:
    read().forget("https://a x")
    assert not home.exists()


def test_two_kernels_are_one_learner() -> None:
    """Both began when there was no file yet. The one who comes second is who the first one is."""
    first, second = read(), read()
    assert first.id != second.id
    first.confirm("https://a x", "ann")
    second.confirm("https://b y", "ann")
    first.confirm("https://c z", "ann")
    assert first.id == second.id == read().id
    assert set(read().clusters) == {"https://a x", "https://b y", "https://c z"}
    second.forget("https://a x")
    assert set(read().clusters) == {"https://b y", "https://c z"}


def test_many_at_once_are_one_learner(home: Path) -> None:
    many = [read() for _ in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Learner.keep, many))
    assert {one.id for one in many} == {read().id}
    assert [file.name for file in home.iterdir()] == ["learner.json"]


def test_where_files_have_no_links_it_works_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    learner = read()
    learner.keep()
    assert read().id == learner.id


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"id": "aaaaaaaaaaaa"}',
        b'{"id": null, "clusters": {}}',
        b'{"id": "", "clusters": {}}',
        b'{"id": "a,epkit/learner", "clusters": {}}',
        b'{"id": "aaaaaaaaaaaa", "clusters": []}',
        b'{"id": "aaaaaaaaaaaa", "clusters": {"x": {"user": "kube system", "on": ""}}}',
        b'{"id": "aaaaaaaaaaaa", "clusters": {"x": 1}}',
        b"\xff\xfe\x00",
    ],
)
def test_a_file_that_cannot_be_understood_is_left_alone(home: Path, text: bytes) -> None:
    home.mkdir()
    file = home / "learner.json"
    file.write_bytes(text)
    for act in (read, Learner("aaaaaaaaaaaa").keep, lambda: Learner("aaaaaaaaaaaa").confirm("x", "ann")):
        with pytest.raises(EpkitError, match="cannot be understood. It says which namespaces .* are yours"):
            act()
    assert file.read_bytes() == text


def test_a_folder_that_cannot_be_written_is_told(home: Path) -> None:
    home.write_text("a file in the way")
    with pytest.raises(EpkitError, match=r"cannot be read: .*Set EPKIT_HOME to another folder"):
        read()
    with pytest.raises(EpkitError, match="could not write down who you are in .* Set EPKIT_HOME"):
        Learner("aaaaaaaaaaaa").keep()


def test_home_is_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPKIT_HOME", "~/course")
    assert learners.home() == Path.home() / "course"
    monkeypatch.setenv("EPKIT_HOME", "")
    assert learners.home() == Path.home() / ".epkit"

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(EpkitError, match="There is no home folder"):
        learners.home()


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "name"),
    [
        ("ann", "ann"),
        ("root", "root"),
        ("Ann.Lee@example.org", "ann-lee-example-org"),
        ("DOMAIN\\ann", "domain-ann"),
        ("--ann--", "ann"),
        ("žofie", "zofie"),
        ("李", "learner"),
        ("...", "learner"),
        ("   ", "learner"),
        ("ann-4", "ann4"),
        ("ann_4_1", "ann41"),
        ("ann-4you", "ann-4you"),
        ("kube-system", "kube-system"),
        ("../../etc", "etc"),
        ("a" * 29 + "-b", "a" * 29),
        ("x" * 300, "x" * 30),
    ],
)
def test_an_accounts_name_becomes_one_for_namespaces(monkeypatch: pytest.MonkeyPatch, account: str, name: str) -> None:
    monkeypatch.setenv("EPKIT_USER", account)
    assert learners.user() == name


@given(st.text(max_size=100))
def test_any_name_does(account: str) -> None:
    name = learners._plain(account)
    assert re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", name) and len(name) <= 30
    assert not re.search(r"-\d+(-|$)", name), "nobody's namespaces read as another one's chapter"


def test_without_epkit_user_it_is_the_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EPKIT_USER")
    monkeypatch.setattr(getpass, "getuser", lambda: "bob")
    assert learners.user() == "bob"


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("no user"), ImportError("pwd")])
def test_an_account_without_a_name_is_a_learner(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def nameless() -> str:
        raise error

    monkeypatch.delenv("EPKIT_USER")
    monkeypatch.setattr(getpass, "getuser", nameless)
    assert learners.user() == "learner"


@pytest.mark.parametrize(
    ("known", "named", "name"),
    [
        (None, "ann", "ann"),
        ("ann", "", "ann"),
        ("ann-aaaa", "ann", "ann-aaaa"),  # somebody else was ann there
        ("ann", "bob", "bob"),
        ("ann-aaaa", "bob", "bob"),
    ],
)
def test_epkit_user_can_still_change_the_name(
    monkeypatch: pytest.MonkeyPatch, known: str | None, named: str, name: str
) -> None:
    learner = Learner("aaaaaaaaaaaa")
    if known:
        learner.clusters["x"] = learners.Known(known, "2026-01-01")
    monkeypatch.setenv("EPKIT_USER", named)
    assert learner.name_on("x") == name


def test_a_run_of_the_file_reads_as_json(home: Path) -> None:
    act: Callable[[], None] = read().keep
    act()
    assert set(json.loads((home / "learner.json").read_text())) == {"id", "clusters"}
