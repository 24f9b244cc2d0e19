"""What controllers are made of: informers, work queues and an event recorder (client-go's, on the fake's loop).

A controller lists and watches through informers, puts keys on a queue, and writes through a client. It never reads the
store and never calls another controller. Everything it does runs as a task of the loop, one key at a time.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, ClassVar, Protocol

from epkit.client import RESOURCES, Client
from epkit.errors import ApiError
from epkit.fake.clock import Timer
from epkit.fake.controllers.event_correlator import EventCorrelator
from epkit.fake.loop import Loop
from epkit.objects import Obj, copy, key_of, labels_of, name_of, namespace_of, uid_of
from epkit.selectors import Matcher

Handler = Callable[[Obj], None]
UpdateHandler = Callable[[Obj, Obj], None]


class SyncError(Exception):
    """A sync that failed and is to be tried again; its text is what upstream logs."""


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


class WorkQueue:
    """client-go's rate-limiting work queue with its workers: each key is in it at most once.

    `sync` is called with a key. An :class:`ApiError` or :class:`SyncError` that it raises puts the key back after
    `base` x 2^failures seconds, at most `limit`; after `retries` failures the key is dropped. Of several `workers` each
    takes a key at the same moment: what one of them writes reaches nobody's cache before the others have done theirs.
    """

    def __init__(
        self,
        name: str,
        loop: Loop,
        sync: Callable[[str], None],
        *,
        base: float = 0.005,
        limit: float = 1000.0,
        retries: int = 15,
        workers: int = 1,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.sync = sync
        self._loop = loop
        self._base, self._limit, self._retries = base, limit, retries
        self._workers = workers
        self._log = log or (lambda _: None)
        self._queue: dict[str, None] = {}
        self._waiting: dict[str, Timer] = {}
        self._backing_off: dict[str, Timer] = {}
        self._failures: dict[str, int] = {}
        self._posted = False
        self._stopped = False
        #: how often a sync ended how: for metrics and lessons
        self.syncs = 0
        loop.before_settling(self._try_once_more)

    def add(self, key: str) -> None:
        """Have `key` synced as soon as its turn comes."""
        if self._stopped or key in self._queue:
            return
        self._queue[key] = None
        self._post()

    def add_after(self, key: str, delay: float) -> None:
        """Have `key` synced after `delay` seconds; of two waits for one key the shorter counts."""
        if delay <= 0:
            self.add(key)
            return
        due = self._loop.clock.now + delay
        waiting = self._waiting.get(key)
        if waiting is not None:
            if waiting.when <= due:
                return
            waiting.cancel()

        def enqueue() -> None:
            self._waiting.pop(key, None)
            self.add(key)

        label = f"{self.name}: {key} has waited {delay:g} s"
        self._waiting[key] = self._loop.clock.call_later(delay, enqueue, settles=True, label=label)

    def add_rate_limited(self, key: str) -> None:
        """Have `key` synced after its back-off. An instant clock does not jump over that."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._base * 2**failures, self._limit)

        def enqueue() -> None:
            self._backing_off.pop(key, None)
            self.add(key)

        if key in self._backing_off:
            self._backing_off[key].cancel()
        label = f"{self.name}: tries {key} again"
        self._backing_off[key] = self._loop.clock.call_later(delay, enqueue, settles=False, label=label)

    def forget(self, key: str) -> None:
        """Its failures no longer count."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        return self._failures.get(key, 0)

    def stop(self) -> None:
        """Drop everything; nothing is synced any more."""
        self._stopped = True
        self._queue.clear()
        for timer in [*self._waiting.values(), *self._backing_off.values()]:
            timer.cancel()
        self._waiting.clear()
        self._backing_off.clear()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def stuck(self) -> list[str]:
        """Keys that keep failing and wait for their next try."""
        return sorted(self._backing_off)

    def _post(self) -> None:
        if not self._posted and self._queue:
            self._posted = True
            self._loop.post(self._work, f"{self.name}: syncs {next(iter(self._queue))}")

    def _work(self) -> None:
        self._posted = False
        for key in list(islice(self._queue, self._workers)):
            if self._queue.pop(key, key) is not None:  # stopped meanwhile
                return
            before = self._failures.get(key, 0)
            self._run(key, counts=True, before=before)
        self._post()

    def _run(self, key: str, counts: bool, before: int) -> None:
        self.syncs += 1
        try:
            self.sync(key)
        except (ApiError, SyncError) as error:
            if not counts:
                return
            if before >= self._retries:
                self._log(f"Retry budget exceeded, dropping {key} out of the queue: {error}")
                self.forget(key)
            else:
                self._log(f"Error syncing {key}, retrying: {error}")
                self.add_rate_limited(key)
        else:
            self.forget(key)
            if (timer := self._backing_off.pop(key, None)) is not None:
                timer.cancel()

    def _try_once_more(self) -> None:
        """After a change, a key in back-off is tried once, without using up its budget."""
        for key in [] if self._stopped else list(self._backing_off):
            label = f"{self.name}: tries {key} after a change"
            self._loop.post(lambda key=key: self._retry(key), label)  # type: ignore[misc]

    def _retry(self, key: str) -> None:
        if key in self._backing_off and not self._stopped:
            self._run(key, counts=False, before=0)


class Recorder:
    """Writes Events about objects, counting repeats, as client-go's event recorder with its correlator does."""

    #: similar events are combined and many are left out; the newer recorder of ``tools/events`` does neither
    correlates: ClassVar[bool] = True

    def __init__(self, client: Client, loop: Loop, component: str, host: str = "") -> None:
        self.component = component
        self._client = client
        self._loop = loop
        self._host = host
        self._correlator = EventCorrelator()
        #: what was observed -> how often, and the name of the Event once there is one
        self._seen: dict[tuple[str, ...], tuple[int, str]] = {}

    def event(self, about: Obj, type: str, reason: str, message: str, field_path: str = "") -> None:
        """Record that something happened to `about`; `type` is Normal or Warning."""
        namespace = namespace_of(about) or "default"
        reference = {
            "kind": about["kind"],
            "name": name_of(about),
            "uid": uid_of(about),
            "apiVersion": about["apiVersion"],
            "resourceVersion": about["metadata"].get("resourceVersion", ""),
        }
        if namespace_of(about):
            reference["namespace"] = namespace_of(about)
        if field_path:
            reference["fieldPath"] = field_path
        subject = (namespace, reference["kind"], reference["name"], reference["uid"])
        key: tuple[str, ...] = (*subject, field_path, type, reason, message)
        if self.correlates:
            combined = self._correlator.combined((*subject, type, reason), message, self._loop.clock.now)
            if combined is not None:
                key, message = (*subject, type, reason), combined
        count, name = self._seen.get(key, (0, ""))
        self._seen[key] = (count + 1, name)
        if self.correlates and not self._correlator.accepts(subject, self._loop.clock.now):
            return
        if name and (found := self._client.find("events", name, namespace)) is not None:
            repeated = self.repeated({**found, "count": count})
            if message != found["message"]:
                repeated["message"] = message
            self._client.patch("events", name, repeated, namespace, kind="strategic")
            return
        # Named by the nanosecond, as client-go does, so that a list by name is a list by time.
        self._loop.recorded += 1
        name = f"{name_of(about)}.{int(self._loop.clock.now * 1e9) + self._loop.recorded:x}"
        event: Obj = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": reference,
            "reason": reason,
            "message": message,
            "type": type,
            **self.first(reason),
        }
        try:
            self._client.create("events", event)
        except ApiError as error:
            # The namespace may be going away; events are best effort with client-go too.
            if error.reason not in ("NotFound", "Forbidden"):
                raise
            return
        self._seen[key] = (count + 1, name)

    def first(self, reason: str) -> Obj:
        """Who reports an event, and when, the first time."""
        now = self._loop.clock.timestamp()
        return {
            "source": {"component": self.component} | ({"host": self._host} if self._host else {}),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "eventTime": None,
            "reportingComponent": self.component,
            "reportingInstance": self._host,
        }

    def repeated(self, event: Obj) -> Obj:
        """The patch that counts an event once more."""
        return {"count": event.get("count", 1) + 1, "lastTimestamp": self._loop.clock.timestamp()}


class Controller:
    """The base of all controllers. A subclass registers handlers and queues in its constructor.

    >>> class Noticer(Controller):
    ...     name = "noticer-controller"
    ...     def __init__(self, kit, **flags):
    ...         super().__init__(kit, **flags)
    ...         self.queue = self.new_queue("noticer", self.sync)
    ...         self.services = self.informer("services")
    ...         self.services.on(add=lambda service: self.queue.add(key_of(service)))
    """

    #: upstream's name in ``--controllers``, such as "endpointslice-controller"
    name: ClassVar[str] = ""
    #: the component named in its Events, where it differs
    component: ClassVar[str] = ""
    #: its flags and their defaults, named as kube-controller-manager's, with underscores
    flags: ClassVar[dict[str, Any]] = {}

    def __init__(self, kit: Kit, **flags: Any) -> None:
        unknown = set(flags) - set(self.flags)
        if unknown:
            raise TypeError(f"{self.name} has no flag {sorted(unknown)[0]}; it has: {', '.join(self.flags) or 'none'}")
        self.kit = kit
        self.options: dict[str, Any] = {**self.flags, **flags}
        self.client = kit.client(self.name)
        self.clock = kit.loop.clock
        self.recorder = Recorder(self.client, kit.loop, self.component or self.name)
        self.informers: dict[str, Informer] = {}
        self.queues: list[WorkQueue] = []
        self.log_lines: deque[tuple[float, str]] = deque(maxlen=1000)
        self._timers: list[Timer] = []
        self._running = False

    def informer(self, resource: str) -> Informer:
        """This controller's own cache of a resource of :data:`epkit.client.RESOURCES`."""
        if resource not in RESOURCES:
            raise KeyError(f"no resource {resource}")
        if resource not in self.informers:
            self.informers[resource] = Informer(resource, self.kit.loop, self.kit.source, self.name)
        return self.informers[resource]

    def new_queue(self, name: str, sync: Callable[[str], None], **limits: Any) -> WorkQueue:
        queue = WorkQueue(name, self.kit.loop, sync, log=self.log, **limits)
        self.queues.append(queue)
        return queue

    def every(self, period: float, run: Callable[[], None], label: str) -> None:
        """Call `run` every `period` seconds while the controller runs. An instant clock never jumps to it."""

        def tick() -> None:
            if self._running:
                run()
                self.kit.loop.clock.call_later(period, tick, settles=False, label=label)

        self.kit.loop.clock.call_later(period, tick, settles=False, label=label)

    def later(self, delay: float, run: Callable[[], None], label: str, *, settles: bool = False) -> Timer:
        """Call `run` once after `delay` seconds if the controller still runs."""
        return self.kit.loop.clock.call_later(
            delay, lambda: run() if self._running else None, settles=settles, label=f"{self.name}: {label}"
        )

    def log(self, line: str) -> None:
        self.log_lines.append((self.clock.now, line))

    def start(self) -> None:
        """Fill the caches and follow changes. A stopped controller is not started again: make a new one."""
        self._running = True
        for informer in self.informers.values():
            informer.start()

    def stop(self) -> None:
        self._running = False
        for informer in self.informers.values():
            informer.stop()
        for queue in self.queues:
            queue.stop()


class Kit(Protocol):
    """What the cluster hands to its controllers."""

    loop: Loop

    @property
    def source(self) -> Source:
        """Where informers list and watch."""

    def client(self, user: str) -> Client:
        """A client that writes in the name of `user`, such as "endpointslice-controller"."""


__all__ = [
    "Controller",
    "Informer",
    "Kit",
    "Recorder",
    "Source",
    "SyncError",
    "WorkQueue",
    "copy",
    "key_of",
]
