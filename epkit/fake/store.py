"""Objects, resource versions, history and watch; nothing else.

The store is what etcd and the watch cache are to a real API server. It knows no kinds and no rules:
:mod:`epkit.fake.api` decides what may be written. Objects are never changed in place; a write replaces one.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import orjson

from epkit.objects import Obj

#: How many events are kept for watches and for the timeline.
HISTORY = 50_000

Key = tuple[str, str]  # namespace, name
Objects = list[Obj]


class Event:
    """One write: what became of which object, when, and by whom."""

    __slots__ = ("type", "resource", "namespace", "name", "version", "obj", "old", "time", "actor", "_line")

    def __init__(
        self, type: str, resource: str, key: Key, version: int, obj: Obj, old: Obj | None, time: float, actor: str
    ) -> None:
        self.type = type  # ADDED, MODIFIED or DELETED
        self.resource = resource
        self.namespace, self.name = key
        self.version = version
        self.obj = obj  # for DELETED: the last state, with the version of the deletion
        self.old = old
        self.time = time
        self.actor = actor
        self._line: bytes | None = None

    def line(self, encode: Callable[[Obj], bytes]) -> bytes:
        """The event as a line of a JSON watch, encoded once however many watchers there are."""
        if self._line is None:
            self._line = b'{"type":"%s","object":%s}\n' % (self.type.encode(), encode(self.obj))
        return self._line

    def __repr__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"<{self.type} {self.resource} {where} rv={self.version}>"


class Compacted(Exception):
    """The history no longer reaches back to the version that was asked for; `oldest` is the oldest it has."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"compacted up to {oldest}")
        self.oldest = oldest


class Store:
    """Objects by resource, namespace and name, under one cluster-wide resource version.

    >>> store = Store(now=lambda: 0.0)
    >>> store.put("configmaps", {"metadata": {"namespace": "default", "name": "a"}})["metadata"]["resourceVersion"]
    '1'
    """

    def __init__(self, now: Callable[[], float], history: int = HISTORY) -> None:
        self._now = now
        self.version = 0
        self.history: deque[Event] = deque(maxlen=history)
        #: events up to this version are gone
        self.compacted = 0
        self._objects: dict[str, dict[Key, Obj]] = {}
        self._order: dict[str, list[Key]] = {}
        self._encoded: dict[int, tuple[Obj, bytes]] = {}
        self._subscribers: list[Callable[[Event], None]] = []

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        return self._objects.get(resource, {}).get((namespace, name))

    def list(self, resource: str, namespace: str = "") -> Objects:
        """All objects, by namespace and name; of one namespace if it is given."""
        objects = self._objects.get(resource)
        if not objects:
            return []
        order = self._order[resource]
        if not namespace:
            return [objects[key] for key in order]
        start, end = bisect_left(order, (namespace, "")), bisect_left(order, (namespace + "\0", ""))
        return [objects[key] for key in order[start:end]]

    def resources(self) -> Sequence[str]:
        """The resources of which there are, or were, objects."""
        return tuple(self._objects)

    def put(self, resource: str, obj: Obj, actor: str = "") -> Obj:
        """Create or replace. `obj` gets the next resource version and belongs to the store from now on."""
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        objects = self._objects.setdefault(resource, {})
        old = objects.get(key)
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        objects[key] = obj
        if old is None:
            insort(self._order.setdefault(resource, []), key)
        else:
            self._encoded.pop(id(old), None)
        self._publish(
            Event("ADDED" if old is None else "MODIFIED", resource, key, self.version, obj, old, self._now(), actor)
        )
        return obj

    def load(self, resource: str, obj: Obj) -> None:
        """Take in an object as it is, with its own resource version and without an event: for views of the past."""
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        self._objects.setdefault(resource, {})[key] = obj
        insort(self._order.setdefault(resource, []), key)
        self.version = max(self.version, int(obj["metadata"]["resourceVersion"]))
        self.compacted = self.version

    def delete(self, resource: str, namespace: str, name: str, actor: str = "", last: Obj | None = None) -> Obj:
        """Remove an object. `last` is its final state where that differs from the stored one.

        Returns the final state, with the resource version of the deletion. Raises KeyError when there is none.
        """
        key = (namespace, name)
        old = self._objects[resource].pop(key)
        order = self._order[resource]
        del order[bisect_left(order, key)]
        self._encoded.pop(id(old), None)
        self.version += 1
        last = old if last is None else last
        last = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self.version)}}
        self._publish(Event("DELETED", resource, key, self.version, last, old, self._now(), actor))
        return last

    def subscribe(self, handle: Callable[[Event], None]) -> Callable[[], None]:
        """Have `handle` called with every event from now on. Returns the function that ends it."""
        self._subscribers.append(handle)

        def unsubscribe() -> None:
            if handle in self._subscribers:
                self._subscribers.remove(handle)

        return unsubscribe

    def since(self, version: int, resource: str | None = None) -> Iterator[Event]:
        """Events after `version`, oldest first. Raises :class:`Compacted` if some of them are gone."""
        if version < self.compacted:
            raise Compacted(self.compacted)
        newer: list[Event] = []
        for event in reversed(self.history):
            if event.version <= version:
                break
            if resource is None or event.resource == resource:
                newer.append(event)
        return reversed(newer)

    def compact(self) -> None:
        """Forget all events, as etcd's compaction does: older watches and continued lists get 410."""
        self.compacted = self.version
        self.history.clear()

    def encoded(self, obj: Obj) -> bytes:
        """The JSON of a stored object without its kind and apiVersion, kept as long as the object is current."""
        entry = self._encoded.get(id(obj))
        if entry is not None and entry[0] is obj:
            return entry[1]
        data = orjson.dumps({key: value for key, value in obj.items() if key not in ("kind", "apiVersion")})
        key = (obj["metadata"].get("namespace", ""), obj["metadata"].get("name", ""))
        if any(objects.get(key) is obj for objects in self._objects.values()):
            self._encoded[id(obj)] = (obj, data)
        return data

    def _publish(self, event: Event) -> None:
        if len(self.history) == self.history.maxlen:
            self.compacted = self.history[0].version
        self.history.append(event)
        for handle in tuple(self._subscribers):
            handle(event)
