"""Informers: a cache of one resource, fed by a watch, and the handlers that are told of its changes (client-go's)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from epkit.fake.loop import Loop
from epkit.objects import Obj, labels_of, name_of, namespace_of
from epkit.selectors import Matcher

Handler = Callable[[Obj], None]
UpdateHandler = Callable[[Obj, Obj], None]


class Source(Protocol):
    """Where an informer's list and events come from: the store in process, or a watch of a real API server."""

    def list(self, resource: str) -> Iterable[Obj]:
        """All objects of a resource of :data:`epkit.client.RESOURCES`, as they are now."""

    def subscribe(self, resource: str, handle: Callable[[str, Obj], None]) -> Callable[[], None]:
        """Call `handle` with ``(ADDED|MODIFIED|DELETED, object)`` for every change from now on."""


class Informer:
    """A cache of one resource, fed by a watch, and the handlers that are told of its changes.

    Changes reach the cache in a task of their own, after the write that made them: a controller that has just written
    may read its cache before the change is in it, as with client-go. `lag` makes that worse on purpose.
    """

    def __init__(self, resource: str, loop: Loop, source: Source, owner: str) -> None:
        self.resource = resource
        self.lag = 0.0
        self._loop = loop
        self._source = source
        self._owner = owner
        self._objects: dict[tuple[str, str], Obj] = {}
        self._by_namespace: dict[str, dict[str, Obj]] = {}
        self._handlers: list[tuple[Handler | None, UpdateHandler | None, Handler | None]] = []
        self._pending: deque[tuple[str, Obj]] = deque()
        self._posted = False
        self._unsubscribe: Callable[[], None] | None = None

    def on(
        self, add: Handler | None = None, update: UpdateHandler | None = None, delete: Handler | None = None
    ) -> None:
        """Register handlers; `update` gets (old, new), as client-go's."""
        self._handlers.append((add, update, delete))

    def get(self, namespace: str, name: str) -> Obj | None:
        return self._objects.get((namespace, name))

    def list(self, namespace: str | None = None, matches: Matcher | None = None) -> list[Obj]:
        """What the cache holds, by namespace and name; `matches` is given each object's labels."""
        if namespace is None:
            items: Iterator[Obj] = iter(obj for _, obj in sorted(self._objects.items()))
        else:
            items = iter(obj for _, obj in sorted(self._by_namespace.get(namespace, {}).items()))
        return [obj for obj in items if matches is None or matches(labels_of(obj))]

    def start(self) -> None:
        """List, tell the handlers of everything there is, then follow changes."""
        self._unsubscribe = self._source.subscribe(self.resource, self._receive)
        for obj in self._source.list(self.resource):
            self._pending.append(("ADDED", obj))
        if self._pending:
            self._post()

    def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._pending.clear()

    def drop_watch(self) -> None:
        """Stop receiving changes without noticing, as behind a broken connection; :meth:`resync` mends it."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def resync(self) -> None:
        """List again and follow from there: what went missing meanwhile reaches the handlers."""
        self.drop_watch()
        listed = {(namespace_of(obj), name_of(obj)): obj for obj in self._source.list(self.resource)}
        self._pending.extend(("DELETED", obj) for key, obj in sorted(self._objects.items()) if key not in listed)
        self._pending.extend(("ADDED", obj) for obj in listed.values())
        self._unsubscribe = self._source.subscribe(self.resource, self._receive)
        self._post()

    def _receive(self, type: str, obj: Obj) -> None:
        self._pending.append((type, obj))
        self._post()

    def _post(self) -> None:
        if self._posted:
            return
        self._posted = True
        label = f"{self._owner}: hears of {self.resource}"
        if self.lag:
            self._loop.clock.call_later(self.lag, self._deliver, settles=True, label=label)
        else:
            self._loop.post(self._deliver, label)

    def _deliver(self) -> None:
        self._posted = False
        for _ in range(len(self._pending)):
            if not self._pending:
                return
            self._apply(*self._pending.popleft())

    def _apply(self, type: str, obj: Obj) -> None:
        key = (namespace_of(obj), name_of(obj))
        old = self._objects.get(key)
        if type == "DELETED":
            self._objects.pop(key, None)
            self._by_namespace.get(key[0], {}).pop(key[1], None)
            if old is not None:
                for _, _, on_delete in self._handlers:
                    if on_delete:
                        on_delete(obj)
            return
        self._objects[key] = obj
        self._by_namespace.setdefault(key[0], {})[key[1]] = obj
        for on_add, on_update, _ in self._handlers:
            if old is None:
                if on_add:
                    on_add(obj)
            elif on_update and old is not obj:
                on_update(old, obj)
