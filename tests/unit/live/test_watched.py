"""The live view of a cluster whose clock is nobody's to hold, such as one that a kubeconfig names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from live_screen import Screen

import epkit
from epkit.cluster import Cluster
from epkit.live import feed
from epkit.story import Story
from epkit.targets.base import Target


class Looked(Target):
    """A target that only tells its story: it stands for a live cluster, and another one is behind it."""

    name = "looked"
    powers = frozenset({"story"})

    def __init__(self, behind: Cluster, hidden: str = "") -> None:
        self._behind, self._hidden = behind, hidden
        self.client = behind.client
        self.transport = behind.transport

    def describe(self) -> str:
        return "a live cluster"

    def now(self) -> float:
        return self._behind.now

    def story(self) -> Story:
        story = self._behind.story
        beginning = {resource: found for resource, found in story.beginning.items() if resource != self._hidden}
        # As recorded by watches: what there was in the beginning, and later writes by their times.
        return Story(
            {"nodes": [], "pods": [], **beginning} if not self._hidden else beginning,
            story.writes,
            story.start,
            story.end,
        )


class Untold(Looked):
    """A target that cannot tell what is written."""

    powers = frozenset()

    def story(self) -> Story:
        raise self.lacks("story")


@pytest.fixture
def looked(cluster: Cluster) -> Iterator[Cluster]:
    with Cluster({}, Looked(cluster)) as made:
        yield made


def test_it_follows_what_the_watches_bring(cluster: Cluster, looked: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL", 0.001)

    async def follow() -> None:
        screen = Screen(looked.live("svc/web"))
        assert screen.status.startswith(
            "Following a cluster whose time cannot be held, at the present: 1 slice, 2 of 2"
        )
        cluster.kubectl("scale deployment web --replicas=3")
        while "3 of 3" not in screen.status:
            await asyncio.sleep(0.001)
        assert screen.picture == cluster.show("svc/web").sentence
        screen.slide_to(screen.length - 3)
        while "Looking back" not in screen.status:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(follow(), 20))


def test_what_needs_its_clock_is_disabled_and_what_looks_back_is_not(looked: Cluster) -> None:
    panel = looked.live("svc/web")._panel
    assert [one.disabled for one in (panel.play, panel.step, panel.next, panel.speed)] == [True] * 4
    assert [one.disabled for one in (panel.moment, panel.now)] == [False] * 2


def test_no_write_is_taken_twice(cluster: Cluster, looked: Cluster) -> None:
    watched = feed.Watched(looked)
    watched.story()
    cluster.kubectl("create configmap a")
    assert "configmaps" in [write.resource for write in watched.news()]
    assert watched.news() == []


def test_a_closed_view_asks_no_more(looked: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL", 0.001)

    async def follow() -> int:
        looked.live("svc/web").close()
        asked = 0

        def story() -> Story:
            nonlocal asked
            asked += 1
            raise AssertionError

        monkeypatch.setattr(looked.target, "story", story)
        await asyncio.sleep(0.02)
        return asked

    assert asyncio.run(follow()) == 0


def test_what_may_not_be_listed_is_said(cluster: Cluster) -> None:
    with Cluster({}, Looked(cluster, hidden="nodes")) as limited:
        assert "You may not list" not in Screen(cluster.live("svc/web")).picture
        assert "You may not list nodes" in Screen(limited.live("svc/web")).picture


def test_a_cluster_that_tells_nothing_is_refused(cluster: Cluster) -> None:
    with Cluster({}, Untold(cluster)) as silent, pytest.raises(epkit.EpkitError, match="cannot tell what was written"):
        silent.live("svc/web")
