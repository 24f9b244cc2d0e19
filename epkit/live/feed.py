"""What a live view hears from a cluster: what was written, the time, and how time moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from epkit.story import Story, Written, of_plane

if TYPE_CHECKING:
    from epkit.fake.plane import Plane


class Forgotten(Exception):
    """The cluster no longer remembers everything since the last look: begin anew with :meth:`Feed.story`."""


class Feed:
    """The built-in cluster, heard without a request: a request would move its time on, and so the view would itself.

    >>> feed = Feed(plane)
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
        """The cluster's time, in seconds since the epoch."""
        return self._plane.clock.now

    @property
    def clock(self) -> str:
        """How time moves: instant, realtime or paused."""
        return self._plane.pace.name

    @property
    def speed(self) -> float:
        """Seconds of the cluster for one of the wall's clock, while the clock is realtime."""
        return float(getattr(self._plane.pace, "speed", 1.0))

    def story(self) -> Story:
        """Everything that the cluster remembers."""
        with self._plane.loop.lock:
            self._version = self._plane.store.version
            return of_plane(self._plane)

    def news(self) -> list[Written]:
        """What was written since this or :meth:`story` was last asked, oldest first.

        Raises:
            Forgotten: some of it is gone.
        """
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
        """Have `notify` called after every change of objects or time, in the thread that made it.

        Returns the function that ends this.
        """
        listeners = self._plane.on_change
        listeners.append(notify)

        def end() -> None:
            if notify in listeners:
                listeners.remove(notify)

        return end
