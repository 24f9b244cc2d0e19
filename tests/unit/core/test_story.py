"""The story of a cluster: who wrote what, the past as it was, and stories on files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import epkit
from epkit.cluster import Cluster


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("EPKIT_KUBECTL", "builtin")
    with Cluster({"start": 0.0}) as made:
        yield made


def test_every_write_names_its_writer(cluster: Cluster) -> None:
    begin = cluster.now
    cluster.kubectl("create deployment web --image=nginx")
    cluster.kubectl("expose deployment web --port=80")
    writers = {
        write.resource: write.who
        for write in cluster.events(namespace="default")
        if write.at >= begin and write.type == "ADDED"
    }
    assert writers["deployments"] == "kubectl"
    assert writers["replicasets"] == "deployment-controller"
    assert writers["pods"] == "replicaset-controller"
    assert writers["endpointslices"] == "endpointslice-controller"
    assert writers["endpoints"] == "endpoints-controller"


def test_the_past_shows_what_was_there_then(cluster: Cluster) -> None:
    cluster.kubectl("create configmap a")
    between = cluster.now
    cluster.sleep(10)
    cluster.kubectl("delete configmap a")
    cluster.kubectl("create configmap b")
    assert "configmap/a" in str(cluster.at(between).kubectl("get configmaps -o name"))
    assert "configmap/b" not in str(cluster.at(between).kubectl("get configmaps -o name"))
    now = str(cluster.at(cluster.now).kubectl("get configmaps -o name"))
    assert "configmap/b" in now and "configmap/a" not in now


def test_the_past_cannot_be_changed(cluster: Cluster) -> None:
    done = cluster.at(cluster.now).kubectl("delete service kubernetes")
    assert done.returncode == 1
    assert "this is the past: it can be looked at and not changed" in done.stderr
    assert "service/kubernetes" in str(cluster.kubectl("get services -o name"))


def test_a_moment_outside_the_story_is_refused(cluster: Cluster) -> None:
    with pytest.raises(epkit.EpkitError, match="is not among them"):
        cluster.at(cluster.now + 1)


def test_the_difference_names_objects_and_lines(cluster: Cluster) -> None:
    begin = cluster.now
    cluster.sleep(1)
    cluster.kubectl("create configmap a")
    cluster.kubectl("label service kubernetes team=blue")
    difference = cluster.diff(begin, cluster.now)
    assert "configmaps/default/a" in difference.added
    assert any("team: blue" in line for line in difference.changed["services/default/kubernetes"])
    assert "~ services/default/kubernetes" in repr(difference)


def test_a_story_survives_its_way_through_a_file(cluster: Cluster, tmp_path: Path) -> None:
    cluster.kubectl("create configmap a")
    path = cluster.export(tmp_path / "story.json")
    story = epkit.replay(path)
    assert repr(story.events()) == repr(cluster.events())
    assert str(story.at(story.end).kubectl("get configmaps")) == str(cluster.kubectl("get configmaps"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON, or it was cut short"),
        ("{}", "is no story"),
        (
            json.dumps({"format": "epkit-story/9"}),
            "a story of the form epkit-story/9; this version of epkit reads epkit-story/1",
        ),
        (json.dumps({"format": "epkit-story/1", "beginning": {}}), "is not a whole story"),
    ],
)
def test_a_file_that_is_no_story_is_refused_in_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "story.json"
    path.write_text(content)
    with pytest.raises(epkit.EpkitError, match=message):
        epkit.replay(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(epkit.EpkitError, match="cannot be read: No such file"):
        epkit.replay(tmp_path / "absent.json")
