"""The story of a live cluster, told by watches that break off, are refused, or may look at one namespace only."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from epkit.client import Answer
from epkit.errors import EpkitError
from epkit.objects import Obj
from epkit.targets import recorder as recorders
from epkit.targets.recorder import NAMESPACED, Recorder

pytestmark = pytest.mark.usefixtures("home")


def pod(name: str, version: int, namespace: str = "shop", **more: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": namespace, "resourceVersion": str(version), **more}}


class Server:
    """Stands for the way to a cluster. What a watch of pods tells is handed in; all other watches are silent."""

    def __init__(self) -> None:
        self.pods: list[Obj] = []
        self.version = 1
        self.refused: set[str] = set()  # ends of paths whose lists are forbidden
        self.watched: list[tuple[str, str]] = []
        self.listed: list[str] = []
        self.events: list[list[Obj] | Exception] = []  # of one watch of pods after the other
        self._ended = threading.Event()
        self._told = threading.Event()

    def send(self, method: str, path: str, query: Mapping[str, str] | None = None, *_: Any, **__: Any) -> Answer:
        self.listed.append(path)
        if any(path.endswith(end) for end in self.refused):
            return Answer(403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"})
        items = [one for one in self.pods if self._of(path, one)] if path.endswith("/pods") else []
        return Answer(200, {"items": items, "metadata": {"resourceVersion": str(self.version)}})

    def _of(self, path: str, one: Obj) -> bool:
        return "/namespaces/" not in path or f"/namespaces/{one['metadata']['namespace']}/" in path

    def watch(self, path: str, query: Mapping[str, str], **_: Any) -> Iterator[Obj]:
        if not path.endswith("/pods"):
            self._ended.wait(10)
            return
        self.watched.append((path, query["resourceVersion"]))
        if not self.events:
            self._told.set()
            self._ended.wait(10)
            return
        events = self.events.pop(0)
        if isinstance(events, Exception):
            raise events
        yield from events

    def end_watches(self) -> None:
        self._ended.set()

    def all_told(self) -> None:
        """Wait until every watch that was handed in has been told."""
        assert self._told.wait(5)


@pytest.fixture
def server() -> Server:
    return Server()


def follow(server: Server, *namespaces: str, **how: Any) -> Recorder:
    recorder = Recorder(server, **how)  # type: ignore[arg-type]
    for namespace in namespaces:
        recorder.follow(namespace)
    server.all_told()
    recorder.stop()
    return recorder


def told(recorder: Recorder) -> list[tuple[str, str, int]]:
    return [(write.type, write.name, write.version) for write in recorder.writes_since(0)]


def event(type: str, obj: Obj) -> Obj:
    return {"type": type, "object": obj}


def test_what_was_there_is_the_beginning_and_what_comes_is_written_down(server: Server) -> None:
    server.pods = [pod("old", 1)]
    server.events = [[event("MODIFIED", pod("old", 2)), event("ADDED", pod("new", 3)), event("DELETED", pod("old", 4))]]
    recorder = follow(server)
    assert told(recorder) == [("MODIFIED", "shop/old", 2), ("ADDED", "shop/new", 3), ("DELETED", "shop/old", 4)]
    story = recorder.story()
    assert [one["metadata"]["name"] for one in story.beginning["pods"]] == ["old"]
    first = recorder.writes_since(0)[0]
    assert first.old is not None and first.old["metadata"]["resourceVersion"] == "1"
    assert [one["metadata"]["name"] for one in recorder.objects("pods")] == ["new"]


def test_a_watch_goes_on_where_the_last_one_ended(server: Server) -> None:
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    server.events = [[event("ADDED", pod("a", 5)), bookmark], [event("MODIFIED", pod("a", 10))]]
    recorder = follow(server)
    assert [since for _, since in server.watched] == ["1", "9", "10"]
    assert told(recorder) == [("ADDED", "shop/a", 5), ("MODIFIED", "shop/a", 10)]


def test_a_watch_that_breaks_off_is_begun_again(server: Server) -> None:
    server.events = [EpkitError("the server is away"), EpkitError("still"), [event("ADDED", pod("a", 5))]]
    assert told(follow(server)) == [("ADDED", "shop/a", 5)]


def test_a_version_that_is_forgotten_is_listed_anew(server: Server) -> None:
    server.events = [[event("ERROR", {"code": 410, "reason": "Expired"})]]
    recorder = Recorder(server)  # type: ignore[arg-type]
    server.all_told()
    recorder.stop()
    assert server.listed.count("/api/v1/pods") == 2


def test_a_watch_that_may_not_be_does_not_burden_the_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing is allowed and watching is not: it is tried again after a pause, not at once."""
    monkeypatch.setattr(recorders, "PAUSE", 0.1)
    server.events = [[event("ERROR", {"code": 403})] for _ in range(4)]
    begin = time.monotonic()
    follow(server)
    assert time.monotonic() - begin >= 0.4


@pytest.mark.parametrize(
    ("fields", "who"),
    [
        ([], "unknown"),
        ([{"manager": "kubectl", "time": "2026-01-01T00:00:01Z"}, {"manager": "kubelet"}], "kubectl"),
        ([{"time": "2026-01-01T00:00:01Z"}], "unknown"),
    ],
)
def test_who_is_the_manager_that_changed_last(server: Server, fields: list[Obj], who: str) -> None:
    server.events = [[event("ADDED", pod("a", 5, managedFields=fields))]]
    assert follow(server).writes_since(0)[0].who == who


def test_only_what_is_of_interest_is_remembered(server: Server) -> None:
    server.pods = [pod("a", 1), pod("b", 1, "other")]
    server.events = [[event("MODIFIED", pod("b", 2, "other")), event("MODIFIED", pod("a", 3))]]
    recorder = follow(server, only=lambda namespace: namespace == "shop")
    assert told(recorder) == [("MODIFIED", "shop/a", 3)]
    assert [one["metadata"]["name"] for one in recorder.objects("pods")] == ["a"]
    assert [one["metadata"]["name"] for one in recorder.story().beginning["pods"]] == ["a"]


def test_where_not_all_may_be_listed_single_namespaces_are_followed(server: Server) -> None:
    server.refused = {f"/v1/{resource}" for resource in (*NAMESPACED, "nodes")}
    server.events = [[event("ADDED", pod("a", 5))]]
    recorder = follow(server, "shop", "shop")
    assert not recorder.whole and "nodes" not in recorder.story().beginning
    assert {path for path, _ in server.watched} == {"/api/v1/namespaces/shop/pods"}
    assert told(recorder) == [("ADDED", "shop/a", 5)]


def test_a_crowd_is_not_held(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "CROWD", 3)
    server.pods = [pod(f"a-{n}", 1, "shop" if n else "other") for n in range(4)]
    recorder = follow(server, "shop")
    assert not recorder.whole
    assert len(recorder.objects("pods")) == 3, "in the namespace, however many there are"


def test_recent_writes_are_the_latest_first(server: Server) -> None:
    server.events = [[event("ADDED", pod("a", 5)), event("ADDED", pod("b", 6))]]
    recorder = follow(server)
    found = recorder.recent(recorder.since)
    assert [write.name for _, write in found] == ["shop/b", "shop/a"] and found[0][0] >= found[1][0]
    assert recorder.recent(time.monotonic() + 1) == []
    assert recorder.count == 2


def test_stopping_ends_the_threads(server: Server) -> None:
    recorder = follow(server)
    assert all(one.thread is not None and not one.thread.is_alive() for one in recorder._followed.values())
