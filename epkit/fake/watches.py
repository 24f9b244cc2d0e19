"""Watches: from a resource version on, every change as an event, seen through selectors.

Source: ``k8s.io/apiserver/pkg/storage/cacher`` and ``pkg/endpoints/handlers/watch.go``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from epkit.fake.kinds.base import Kind, forbidden, unsupported
from epkit.fake.lists import Predicate, gone, invalid_version, predicate, too_large
from epkit.fake.requests import is_true
from epkit.fake.store import Compacted, Event, Store
from epkit.fake.wire import errors
from epkit.objects import Obj

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class WatchEvent:
    """What one watcher sees: a type and an object, or a shared event of the store whose bytes are encoded once."""

    __slots__ = ("type", "obj", "shared", "time")

    def __init__(self, type: str, obj: Obj, shared: Event | None = None, time: float | None = None) -> None:
        self.type = type
        self.obj = obj
        self.shared = shared
        #: when it happened, in seconds since the epoch; None for what is only listed
        self.time = shared.time if shared is not None else time


class Watch:
    """The events of one watch, taken with :meth:`take` by whoever serves it.

    `notify` is called, under the core's lock, when there is something to take.
    """

    def __init__(
        self, store: Store, kind: Kind, namespace: str, query: Mapping[str, str], notify: Callable[[], None]
    ) -> None:
        self.kind = kind
        self._store = store
        self._namespace = namespace
        self._wanted: Predicate | None = predicate(kind, query)
        self._notify = notify
        self._events: deque[WatchEvent] = deque()
        self.closed = False
        #: the watch ends after what is left to take
        self.ended = False
        self._open(query)
        self._unsubscribe = store.subscribe(self._hear)

    def take(self) -> list[WatchEvent]:
        """What has happened since the last call, oldest first."""
        events = list(self._events)
        self._events.clear()
        return events

    def bookmark(self) -> WatchEvent:
        """The event that tells a client how far it has come."""
        meta: Obj = {"resourceVersion": str(self._store.version), "creationTimestamp": None}
        return WatchEvent("BOOKMARK", {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": meta})

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._unsubscribe()

    def _open(self, query: Mapping[str, str]) -> None:
        text = query.get("resourceVersion", "")
        initial = query.get("sendInitialEvents")
        if initial is not None:
            initial = "true" if is_true(initial) else "false"
        self._check(query, initial)
        if text and not text.isdigit():
            raise invalid_version(text)
        version = int(text or 0)
        if version > self._store.version:
            self._end(too_large(version, self._store.version).status)
            return
        if version and initial != "true":
            try:
                events = list(self._store.since(version, self.kind.resource))
            except Compacted as error:
                self._end(gone(version, error.oldest).status)
                return
            for event in events:
                self._see(event)
            return
        if initial == "false":
            return
        for obj in self._store.list(self.kind.resource, self._namespace):
            if self._wanted is None or self._wanted(obj):
                self._events.append(WatchEvent("ADDED", obj))
        if initial == "true":
            end = self.bookmark()
            end.obj["metadata"]["annotations"] = {INITIAL_EVENTS_END: "true"}
            self._events.append(end)

    def _check(self, query: Mapping[str, str], initial: str | None) -> None:
        faults = []
        match = query.get("resourceVersionMatch", "")
        if initial is not None and match != "NotOlderThan":
            text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            faults.append(forbidden("resourceVersionMatch", text))
        if initial is None and match:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            faults.append(forbidden("resourceVersionMatch", text))
        if match and match != "NotOlderThan":
            faults.append(unsupported("resourceVersionMatch", match, ["NotOlderThan"]))
        if match and query.get("continue"):
            text = "resourceVersionMatch is forbidden when continue is provided"
            faults.append(forbidden("resourceVersionMatch", text))
        if faults:
            raise errors.invalid("ListOptions", "", faults, "meta.k8s.io")

    def _end(self, status: Obj) -> None:
        self._events.append(WatchEvent("ERROR", status))
        self.ended = True

    def _hear(self, event: Event) -> None:
        if self.ended or event.resource != self.kind.resource:
            return
        before = len(self._events)
        self._see(event)
        if len(self._events) != before:
            self._notify()

    def _see(self, event: Event) -> None:
        if self._namespace and event.namespace != self._namespace:
            return
        if self._wanted is None:
            self._events.append(WatchEvent(event.type, event.obj, event))
            return
        now = event.type != "DELETED" and self._wanted(event.obj)
        before = event.old is not None and self._wanted(event.old)
        if now:
            type = "MODIFIED" if before else "ADDED"
            self._events.append(WatchEvent(type, event.obj, event if type == event.type else None, event.time))
        elif before and event.type == "DELETED":
            self._events.append(WatchEvent("DELETED", event.obj, event))
        elif before and event.old is not None:
            # A change that takes an object out of a selection shows its state before, at the change's version.
            meta = {**event.old["metadata"], "resourceVersion": str(event.version)}
            self._events.append(WatchEvent("DELETED", {**event.old, "metadata": meta}, None, event.time))

