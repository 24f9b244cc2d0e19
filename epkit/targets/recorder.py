"""The story of a live cluster: what is written to it from the moment of connecting on, by this kernel's own watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from epkit.client import Client
from epkit.errors import ApiError, EpkitError
from epkit.objects import Obj, key_of, namespace_of
from epkit.story import Story, Written
from epkit.targets.http import HttpTransport

#: what the story follows
NAMESPACED = ("services", "endpoints", "endpointslices", "pods", "deployments", "replicasets")
FOLLOWED = (*NAMESPACED, "nodes")
#: of a resource with so many objects, only single namespaces are followed: they are held here, and sent to each kernel
CROWD = 2000
#: a watch is begun anew after so many seconds, and after an error not before so many
WATCH_SECONDS, PAUSE = 60, 1.0


@dataclass(slots=True)
class _Followed:
    """One resource, in one namespace or in all."""

    resource: str
    namespace: str | None
    thread: threading.Thread | None = None
    last: dict[str, Obj] = field(default_factory=dict)


class Recorder:
    """Follows a live cluster in a thread for each resource, and remembers what was written.

    Args:
        transport: the way to the cluster; its watches end with :meth:`stop`.
        only: says whether a namespace is of interest; by default every one is. Where not all namespaces may be listed
            at once, or hold too much, :meth:`follow` adds them one by one.
    """

    def __init__(self, transport: HttpTransport, only: Callable[[str], bool] = lambda namespace: True) -> None:
        self._transport = transport
        self._client = Client(transport)
        self._only = only
        self._start = time.time()
        self._beginning: dict[str, list[Obj]] = {}
        self._writes: list[Written] = []
        self._heard: list[float] = []  # when each of them was heard of, by the monotonic clock
        self._stopped = threading.Event()
        self._followed: dict[tuple[str, str | None], _Followed] = {}
        self._changed = threading.Condition()
        #: when it began to listen, by the monotonic clock
        self.since = time.monotonic()
        for resource in FOLLOWED:
            self._begin(resource, None)

    @property
    def whole(self) -> bool:
        """May everything be followed, in all namespaces?"""
        return all((resource, None) in self._followed for resource in NAMESPACED)

    def follow(self, namespace: str) -> None:
        """Follow a namespace too, where not all of them may be followed at once."""
        for resource in NAMESPACED:
            if (resource, None) not in self._followed and (resource, namespace) not in self._followed:
                self._begin(resource, namespace)

    def story(self) -> Story:
        """What was written so far."""
        with self._changed:
            writes = sorted(self._writes, key=lambda write: (write.at, write.version))
            beginning = {resource: list(found) for resource, found in self._beginning.items()}
        return Story(beginning, writes, self._start, time.time())

    def objects(self, resource: str) -> list[Obj]:
        """The objects of interest as they were last heard of."""
        with self._changed:
            followed = [one for key, one in self._followed.items() if key[0] == resource]
            found = [obj for one in followed for obj in one.last.values()]
        return [obj for obj in found if not namespace_of(obj) or self._only(namespace_of(obj))]

    def writes_since(self, number: int) -> list[Written]:
        """What was written after the first `number` writes."""
        with self._changed:
            return self._writes[number:]

    @property
    def count(self) -> int:
        """How many writes there were so far."""
        return len(self._writes)

    def recent(self, since: float) -> list[tuple[float, Written]]:
        """The writes heard of since a moment of the monotonic clock, each with its moment, the latest first."""
        found = []
        with self._changed:
            for heard, write in zip(reversed(self._heard), reversed(self._writes), strict=True):
                if heard < since:
                    break
                found.append((heard, write))
        return found

    def wait(self, seconds: float) -> None:
        """Wait until something is written, at most so long."""
        with self._changed:
            self._changed.wait(seconds)

    def stop(self) -> None:
        """End the watches and the threads that listen to them."""
        self._stopped.set()
        end = time.monotonic() + 5.0
        for one in self._followed.values():
            while one.thread is not None and one.thread.is_alive() and time.monotonic() < end:
                self._transport.end_watches()  # again and again, since one may be just beginning
                one.thread.join(timeout=0.05)

    # -- following -------------------------------------------------------------------------------------------------

    def _begin(self, resource: str, namespace: str | None) -> None:
        try:
            listed = self._client.list(resource, namespace, **({} if namespace else {"limit": str(CROWD)}))
        except ApiError:  # what you may not list is not in the story
            return
        if namespace is None and len(listed) >= CROWD:
            return
        followed = _Followed(resource, namespace, last={key_of(obj): obj for obj in listed.items})
        kept = [obj for obj in listed.items if not namespace_of(obj) or self._only(namespace_of(obj))]
        with self._changed:
            self._beginning.setdefault(resource, []).extend(kept)
            self._followed[(resource, namespace)] = followed
        followed.thread = threading.Thread(
            target=self._follow, args=(followed, listed.resource_version), name=f"epkit-{resource}", daemon=True
        )
        followed.thread.start()

    def _follow(self, followed: _Followed, version: str) -> None:
        while not self._stopped.is_set():
            begun, heard = time.monotonic(), False
            try:
                for event in self._watch(followed, version):
                    obj = event["object"]
                    if event["type"] == "ERROR":
                        version = self._catch_up(followed)
                        heard = False
                        break
                    version, heard = obj["metadata"]["resourceVersion"], True
                    if event["type"] != "BOOKMARK":
                        self._write(followed, event["type"], {"kind": "", "apiVersion": "", **obj})
            except EpkitError:
                heard = False  # the server is away for a moment: try again from where we were
            if not heard and time.monotonic() - begun < PAUSE:
                self._stopped.wait(PAUSE)  # whatever is wrong, asking at once again does not help the server

    def _watch(self, followed: _Followed, version: str) -> Iterator[Obj]:
        seconds = str(WATCH_SECONDS)
        return self._client.watch(followed.resource, followed.namespace, since=version, timeoutSeconds=seconds)

    def _catch_up(self, followed: _Followed) -> str:
        """List anew after a watch was refused: what was missed in between is told as one write for each object."""
        listed = self._client.list(followed.resource, followed.namespace)
        there = {key_of(obj): obj for obj in listed.items}
        for key in [key for key in followed.last if key not in there]:
            self._write(followed, "DELETED", followed.last[key])
        for key, obj in there.items():
            old = followed.last.get(key)
            if old is None or old["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._write(followed, "ADDED" if old is None else "MODIFIED", obj)
        return listed.resource_version

    def _write(self, followed: _Followed, type: str, obj: Obj) -> None:
        key = key_of(obj)
        managers = obj["metadata"].get("managedFields") or []
        latest: Obj = max(managers, key=lambda entry: str(entry.get("time", "")), default={})
        who = str(latest.get("manager") or "unknown")
        version = int(obj["metadata"]["resourceVersion"])
        with self._changed:
            old = followed.last.get(key)
            if type == "DELETED":
                followed.last.pop(key, None)
            else:
                followed.last[key] = obj
            if namespace_of(obj) and not self._only(namespace_of(obj)):
                return
            self._writes.append(Written(time.time(), who, type, followed.resource, version, old, obj))
            self._heard.append(time.monotonic())
            self._changed.notify_all()
