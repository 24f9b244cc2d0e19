"""What controllers are made of: informers, work queues and an event recorder (client-go's, on the fake's loop).

A controller lists and watches through informers, puts keys on a queue, and writes through a client. It never reads the
store and never calls another controller. Everything it does runs as a task of the loop, one key at a time.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from epkit.client import RESOURCES, Client
from epkit.errors import ApiError
from epkit.fake.clock import Timer
from epkit.fake.controllers.event_correlator import EventCorrelator
from epkit.fake.controllers.informer import Informer, Source
from epkit.fake.controllers.workqueue import SyncError, WorkQueue
from epkit.fake.loop import Loop
from epkit.objects import Obj, copy, key_of, name_of, namespace_of, uid_of

Handler = Callable[[Obj], None]
UpdateHandler = Callable[[Obj, Obj], None]


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
