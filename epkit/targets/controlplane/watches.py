"""What informers are fed with on a real API server: lists and watches over HTTP, kept up through everything.

A watch is taken up where it ended: after the server's time limit, after a lost connection, and from a bookmark. When
the server no longer knows that place (410 Gone), everything is listed again and the difference told, as client-go's
reflector does (``k8s.io/client-go/tools/cache/reflector.go``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from epkit import selectors
from epkit.client import RESOURCES, Answer, Client
from epkit.errors import ApiError, EpkitError
from epkit.fake.loop import Loop
from epkit.fake.wire import errors
from epkit.objects import Obj, name_of, namespace_of

#: what the simulated nodes follow
FOLLOWED = ("pods", "services", "nodes", "namespaces", "endpointslices")
#: seconds before a failed request is tried again: the first, and the longest
_SHORTEST, _LONGEST = 0.2, 5.0

Key = tuple[str, str]


class Watches:
    """Caches of some resources, each with a thread that watches.

    It is a :class:`epkit.fake.controllers.informer.Source` and a :class:`epkit.fake.simulation.Objects`. Changes are
    taken in under the loop's lock, so whoever holds it sees one state of everything.

    Args:
        client: reads all namespaces.
        wake: called after every change.
    """

    def __init__(
        self, client: Client, loop: Loop, wake: Callable[[], None], followed: Sequence[str] = FOLLOWED
    ) -> None:
        self._client = client
        self._loop = loop
        self._wake = wake
        self._followed = followed
        self._objects: dict[str, dict[Key, Obj]] = {resource: {} for resource in followed}
        self._handlers: dict[str, list[Callable[[str, Obj], None]]] = {resource: [] for resource in followed}
        self._listed = {resource: threading.Event() for resource in followed}
        self._stopped = threading.Event()
        self.version = 0
        #: lists that were made, by resource: more than one means that a watch could not be taken up
        self.lists = dict.fromkeys(followed, 0)

    def start(self, within: float) -> None:
        """Begin, and wait until everything has been listed.

        Raises:
            EpkitError: that took longer than so many seconds.
        """
        for resource in self._followed:
            threading.Thread(target=self._follow, args=(resource,), name=f"epkit-{resource}", daemon=True).start()
        for resource, listed in self._listed.items():
            if not listed.wait(within):
                self.stop()
                raise EpkitError(f"The API server did not list its {resource} within {within:g} s.")

    def stop(self) -> None:
        """Take no more changes in. The threads end with their connections."""
        self._stopped.set()

    # -- what there is -------------------------------------------------------------------------------------------------

    def list(self, resource: str) -> list[Obj]:
        found = self._objects[resource.partition(".")[0]]
        return [found[key] for key in sorted(found)]

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        return self._objects[resource.partition(".")[0]].get((namespace, name))

    def subscribe(self, resource: str, handle: Callable[[str, Obj], None]) -> Callable[[], None]:
        handlers = self._handlers[resource]
        handlers.append(handle)

        def unsubscribe() -> None:
            if handle in handlers:
                handlers.remove(handle)

        return unsubscribe

    # -- the threads ---------------------------------------------------------------------------------------------------

    def _follow(self, resource: str) -> None:
        version, wait = "", _SHORTEST
        while not self._stopped.is_set():
            try:
                if not version:
                    version = self._list(resource)
                events = 0
                for event in self._client.watch(resource, since=version):
                    events += 1
                    wait = _SHORTEST
                    version = self._take(resource, event)
                    if not version:
                        break
                if not events:  # a server that is about to end: do not ask without a pause
                    wait = self._pause(wait)
            except ApiError:
                version = ""
                wait = self._pause(wait)
            except (EpkitError, OSError, ValueError, AttributeError):
                # The connection is lost, or was cut within a line: go on from where we were.
                wait = self._pause(wait)

    def _pause(self, seconds: float) -> float:
        self._stopped.wait(seconds)
        return min(2 * seconds, _LONGEST)

    def _list(self, resource: str) -> str:
        """List everything and tell what is different; returns the version to watch from."""
        found = self._client.list(resource)
        version, kind, _ = RESOURCES[resource]
        # Items of a list do not say what they are; objects of watches do.
        there = {_key(obj): {"apiVersion": version, "kind": kind, **obj} for obj in found}
        with self._loop.lock:
            known = self._objects[resource]
            for key in [key for key in known if key not in there]:
                self._apply(resource, "DELETED", known[key])
            for key, obj in there.items():
                old = known.get(key)
                if old is None or old["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                    self._apply(resource, "ADDED" if old is None else "MODIFIED", obj)
        self.lists[resource] += 1
        self._listed[resource].set()
        self._wake()
        return found.resource_version

    def _take(self, resource: str, event: Obj) -> str:
        """Take an event in; returns the version to go on from, or nothing when only a new list helps."""
        type, obj = event["type"], event["object"]
        if type == "ERROR":
            if obj.get("code") != 410:  # 410 is the ordinary end of a version's life
                self._stopped.wait(_SHORTEST)
            return ""
        if type != "BOOKMARK":
            with self._loop.lock:
                if self._stopped.is_set():
                    return ""
                self._apply(resource, type, obj)
            self._wake()
        return str(obj["metadata"]["resourceVersion"])

    def _apply(self, resource: str, type: str, obj: Obj) -> None:
        known = self._objects[resource]
        if type == "DELETED":
            known.pop(_key(obj), None)
        else:
            known[_key(obj)] = obj
        self.version += 1
        for handle in tuple(self._handlers[resource]):
            handle(type, obj)


class Cached:
    """A transport that answers reads from :class:`Watches`, as CoreDNS reads from its informers."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches

    def send(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, **_: str
    ) -> Answer:
        from epkit.fake.requests import route_of

        route = route_of(path)
        if method != "GET":
            raise NotImplementedError(f"{method}: the cache is only read")
        if route.name:
            found = self._watches.get(route.kind.plural, route.namespace, route.name)
            if found is None:
                return Answer(404, errors.not_found(route.kind.plural, route.name).status)
            return Answer(200, found)
        matches = selectors.parse((query or {}).get("labelSelector", ""))
        items = [
            obj
            for obj in self._watches.list(route.kind.plural)
            if route.namespace in ("", namespace_of(obj)) and matches(obj["metadata"].get("labels") or {})
        ]
        return Answer(200, {"metadata": {}, "items": items})

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        raise NotImplementedError("the cache is only read")


def _key(obj: Obj) -> Key:
    return namespace_of(obj), name_of(obj)
