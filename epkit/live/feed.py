"""What a live view hears from a cluster: what was written, the time, and how time moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from epkit.story import Story, Written, of_plane

if TYPE_CHECKING:
    from epkit.cluster import Cluster
    from epkit.fake.plane import Plane

#: Seconds between two looks at what a live cluster's watches have brought.
POLL = 0.5


class Forgotten(Exception):
    """The cluster no longer remembers everything since the last look: begin anew with :meth:`Feed.story`."""


class Feed(Protocol):
    """What a view hears."""

    @property
    def now(self) -> float:
        """The cluster's time, in seconds since the epoch."""

    @property
    def clock(self) -> str:
        """How time moves: instant, realtime or paused; or wall, where nobody can hold it."""

    @property
    def speed(self) -> float:
        """Seconds of the cluster for one of the wall's clock, while the clock is realtime."""

    @property
    def refused(self) -> list[str]:
        """The resources that one may not list."""

    def story(self) -> Story:
        """Everything that the cluster remembers."""

    def news(self) -> list[Written]:
        """What was written since this or :meth:`story` was last asked, oldest first.

        Raises:
            Forgotten: some of it is gone.
        """

    def listen(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Have `notify` called after changes of objects or time, in any thread. Returns the function that ends this."""


def feed_of(cluster: Cluster) -> Feed:
    """The feed of a cluster, whatever it is.

    Raises:
        EpkitError: it cannot tell what is written to it.
    """
    return BuiltIn(cluster.target.plane) if "step" in cluster.target.powers else Watched(cluster)


class BuiltIn:
    """The built-in cluster, heard without a request: a request would move its time on, and so the view would itself.

    >>> feed = BuiltIn(plane)
    >>> [write.name for write in feed.story().writes if write.resource == "services"]
    ['default/kubernetes']
    >>> feed.news()
    []
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._version = 0

    @property
    def now(self) -> float:
        return self._plane.clock.now

    @property
    def clock(self) -> str:
        return self._plane.pace.name

    @property
    def speed(self) -> float:
        return float(getattr(self._plane.pace, "speed", 1.0))

    @property
    def refused(self) -> list[str]:
        return []

    def story(self) -> Story:
        with self._plane.loop.lock:
            self._version = self._plane.store.version
            return of_plane(self._plane)

    def news(self) -> list[Written]:
        from epkit.fake.store import Compacted

        store = self._plane.store
        with self._plane.loop.lock:
            try:
                events = list(store.since(self._version))
            except Compacted:
                raise Forgotten from None
            self._version = store.version
        return [
            Written(one.time, one.actor, one.type, one.resource.split(".", 1)[0], one.version, one.old, one.obj)
            for one in events
        ]

    def listen(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Have `notify` called after every change of objects or time, in the thread that made it."""
        listeners = self._plane.on_change
        listeners.append(notify)

        def end() -> None:
            if notify in listeners:
                listeners.remove(notify)

        return end


class Watched:
    """A live cluster, heard through the watches that record its story from :func:`epkit.connect` on."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._seen: set[tuple[str, int, str]] = set()
        self._waiting: list[Written] = []
        self.refused: list[str] = []

    @property
    def now(self) -> float:
        return self._cluster.now

    @property
    def clock(self) -> str:
        return "wall"

    @property
    def speed(self) -> float:
        return 1.0

    def story(self) -> Story:
        story = self._cluster.story
        self._seen = {_identity(write) for write in story.writes}
        self._waiting = []
        self.refused = [one for one in ("services", "endpointslices", "pods", "nodes") if one not in story.beginning]
        return story

    def news(self) -> list[Written]:
        news = [write for write in self._cluster.story.writes if _identity(write) not in self._seen]
        self._seen.update(map(_identity, news))
        news, self._waiting = self._waiting + news, []
        return news

    def listen(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Look from time to time, in the event loop that runs; where none runs there is nobody to look."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return lambda: None
        timer = loop.call_later(POLL, lambda: look())

        def look() -> None:
            nonlocal timer
            timer = loop.call_later(POLL, look)
            self._waiting = self.news()
            if self._waiting:
                notify()

        return lambda: timer.cancel()


def _identity(write: Written) -> tuple[str, int, str]:
    return write.resource, write.version, write.name
