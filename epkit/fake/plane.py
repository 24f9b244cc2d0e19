"""The built-in control plane, put together: store, API, controllers, kubelets, and the clock that moves them.

    plane = Plane(nodes=default_nodes(3))
    plane.request("GET", "/api/v1/nodes").code

It is plain Python: no thread, no socket, no file, no wall clock. :mod:`epkit.fake.server` adds those around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from epkit.client import RESOURCES, Answer, Client
from epkit.fake import addons, controllers, podaccess
from epkit.fake.api import Api
from epkit.fake.clock import Clock
from epkit.fake.controllers.framework import Controller
from epkit.fake.http import Http, Response
from epkit.fake.kubelet import KubeletSim, NodeSpec
from epkit.fake.loop import Loop
from epkit.fake.names import Names
from epkit.fake.pace import Instant, Pace
from epkit.fake.requests import Options, Route, delete_options, manager_of, route_of
from epkit.fake.store import Event, Store
from epkit.fake.wire import errors, patches
from epkit.objects import Obj, copy

if TYPE_CHECKING:
    from epkit.executed import Executed
    from epkit.fake.containers import Container
    from epkit.fake.traffic import Traffic

#: A moment to start at when none is given: the same in every run.
EPOCH = 1_767_225_600.0  # 2026-01-01T00:00:00Z
ZONES = ("zone-a", "zone-b")
#: Kinds whose fields the controllers set on record, for learners to see; a record of all would slow down every rollout.
FIELDS_ON_RECORD = ("endpoints", "endpointslices")


def default_nodes(count: int) -> list[NodeSpec]:
    """Nodes ``node-1`` to ``node-count``, in the zones a and b by turns."""
    return [NodeSpec(name=f"node-{i}", zone=ZONES[(i - 1) % len(ZONES)], number=i) for i in range(1, count + 1)]


class Plane:
    """A whole cluster in memory.

    Args:
        nodes: its simulated nodes; without any it is a bare control plane.
        start: virtual time at the start, in seconds since the epoch.
        seed: what generated names, uids and addresses derive from.
        flags: flags of controllers by name, such as ``{"endpointslice-controller": {"max_endpoints_per_slice": 3}}``.
    """

    def __init__(
        self,
        nodes: Sequence[NodeSpec] = (),
        *,
        start: float = EPOCH,
        seed: str = "epkit",
        flags: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.clock = Clock(start)
        self.loop = Loop(self.clock)
        self.pace: Pace = Instant()
        self.store = Store(lambda: self.clock.now)
        self.names = Names(seed)
        self.api = Api(self.store, self.clock, self.names)
        self.http = Http(self.api, self._metrics)
        self.source = StoreSource(self.store)
        self.flags: dict[str, dict[str, Any]] = {name: dict(given) for name, given in (flags or {}).items()}
        self.controllers: dict[str, Controller] = {}
        #: told after every change of time or work, so that a driver can look at the next timer anew
        self.on_change: list[Callable[[], None]] = []
        with self.loop.lock:
            addons.namespaces(self.client("kube-apiserver"))
            for name in controllers.ALL:
                self.start_controller(name)
            self.kubelet = KubeletSim(self, nodes)
            self.kubelet.shell = self._check_by_command
            self.kubelet.start()
            self.http.below = dict.fromkeys((("pods", name) for name in podaccess.NAMES), podaccess.PodAccess(self))
            if nodes:
                addons.install(self.client("kubeadm"))
            self.loop.settle()

    # -- controllers -----------------------------------------------------------------------------------------------

    def client(self, user: str) -> Client:
        """A client of the control plane's own components: what it sends is taken as it is, in the name of `user`."""
        return Client(Direct(self, user), manager="")

    def start_controller(self, name: str, **flags: Any) -> Controller:
        """Start a controller with its configured flags and these; one that runs is stopped first."""
        self.stop_controller(name)
        given = {**self.flags.get(name, {}), **flags}
        controller = controllers.load(name)(self, **given)
        self.controllers[name] = controller
        controller.start()
        return controller

    def stop_controller(self, name: str) -> None:
        controller = self.controllers.pop(name, None)
        if controller is not None:
            controller.stop()

    # -- requests --------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        notify: Callable[[], None] = lambda: None,
    ) -> Response:
        """Answer a request in process and then let time do its work."""
        response = self.answer(method, path, query, headers or {}, body, notify)
        self.proceed()
        return response

    def answer(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        notify: Callable[[], None] = lambda: None,
    ) -> Response:
        """The answer alone; whoever sends it calls :meth:`proceed` when it has gone out."""
        with self.loop.lock:
            self.pace.before(self.loop)
            return self.http.handle(method, path, query, headers, body, notify)

    def proceed(self) -> None:
        """Let time do what the last request has started."""
        with self.loop.lock:
            self.pace.after(self.loop)
        self._changed()

    # -- containers ------------------------------------------------------------------------------------------------

    @cached_property
    def traffic(self) -> Traffic:
        """The network between the simulated pods."""
        from epkit.fake.traffic import Traffic

        return Traffic(self)

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: Sequence[str],
        stdin: str = "",
        sleep: Callable[[float], None] | None = None,
    ) -> Executed:
        """Run a command in a container to its end; the only container where none is named.

        Args:
            sleep: passes seconds of the wall's clock, for a command that waits while time runs with the wall's.

        Raises:
            ApiError: there is no such pod or container, or it does not run (:class:`epkit.fake.exec.NotStarted`).
            EpkitError: the command waits for what does not come.

        >>> plane.exec("default", "web-0", "", ["hostname"]).stdout
        'web-0\\n'
        """
        from epkit.fake.commands.run import Input
        from epkit.fake.exec import open_session, run_to_end

        with self.loop.lock:
            self.pace.before(self.loop)
            session = open_session(self, namespace, pod, container, argv, Input(stdin))
        return run_to_end(self, session, sleep)

    def _check_by_command(self, container: Container, argv: list[str]) -> tuple[int, str]:
        from epkit.fake.probeshell import check

        return check(self, container, argv)

    # -- time ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything come to rest, over waits that end by themselves within a minute."""
        self.loop.settle()
        self._changed()

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass, with everything that happens in it: leases, back-off and tolerations too."""
        with self.loop.lock:
            self.loop.run_until(self.clock.now + seconds)
        self._changed()

    def step(self) -> str | None:
        """Do one thing and say what it was; None when nothing is left to do."""
        label = self.loop.step()
        self._changed()
        return label

    def set_pace(self, pace: Pace) -> None:
        with self.loop.lock:
            self.pace.before(self.loop)
            self.pace = pace
        self._changed()

    def _changed(self) -> None:
        for notify in self.on_change:
            notify()

    def _metrics(self) -> str:
        return "".join(
            controller.metrics_text() for controller in self.controllers.values() if hasattr(controller, "metrics_text")
        )


def frozen(objects: Mapping[str, Mapping[str, Obj]], moment: float) -> InProcess:
    """A transport to an API with these objects, by resource, at a moment that does not pass; nothing controls it."""
    clock = Clock(moment)
    store = Store(lambda: moment)
    for resource, found in objects.items():
        for obj in found.values():
            store.load(_qualified(resource), obj)
    return InProcess(Still(Http(Api(store, clock, Names()))))


class Requests(Protocol):
    """Whoever answers requests in process."""

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        notify: Callable[[], None] = lambda: None,
    ) -> Response:
        """Answer one request."""


class Still:
    """An API behind which nothing moves."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        notify: Callable[[], None] = lambda: None,
    ) -> Response:
        return self._http.handle(method, path, query, headers or {}, body, notify)


class StoreSource:
    """Lists and events for informers, straight from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._handlers: dict[str, list[Callable[[str, Obj], None]]] = {}
        store.subscribe(self._publish)

    def list(self, resource: str) -> Iterable[Obj]:
        return self._store.list(_qualified(resource))

    def subscribe(self, resource: str, handle: Callable[[str, Obj], None]) -> Callable[[], None]:
        handlers = self._handlers.setdefault(_qualified(resource), [])
        handlers.append(handle)

        def unsubscribe() -> None:
            if handle in handlers:
                handlers.remove(handle)

        return unsubscribe

    def _publish(self, event: Event) -> None:
        for handle in tuple(self._handlers.get(event.resource, ())):
            handle(event.type, event.obj)


class Direct:
    """The transport of the control plane's own components: dictionaries in, stored dictionaries out, no bytes."""

    def __init__(self, plane: Plane, user: str) -> None:
        self._plane = plane
        self._user = user

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        try:
            return self._send(method, route_of(path), query or {}, body, content_type)
        except errors.ApiError as error:
            return Answer(error.code, error.status)

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        raise NotImplementedError("components follow changes through informers")

    def _send(self, method: str, route: Route, query: Mapping[str, str], body: Any, content_type: str) -> Answer:
        from epkit.fake import subresources

        api = self._plane.api
        options = Options(actor=self._user, trusted=True)
        if route.kind.plural in FIELDS_ON_RECORD and self._user in controllers.ALL:
            options.field_manager = "kube-controller-manager"
        match method:
            case "GET" if route.name:
                return Answer(200, subresources.view(route, api.existing(route)))
            case "GET":
                listed = api.list(route, query)
                return Answer(200, {"metadata": listed.meta(), "items": listed.items})
            case "POST" if route.subresource in ("binding", "eviction"):
                act = subresources.bind if route.subresource == "binding" else subresources.evict
                return Answer(201, act(api, route, body, options))
            case "POST":
                return Answer(201, api.create(route, _own(body), options))
            case "PUT":
                updated, created = api.update(route, _own(body), options)
                return Answer(201 if created else 200, updated)
            case "PATCH":
                if content_type == patches.APPLY:
                    options.field_manager = manager_of(self._user)
                patched, created = api.patch_with(route, body, content_type, options)
                return Answer(201 if created else 200, patched)
            case "DELETE":
                answer, _ = api.delete(route, query, body, delete_options(query, body, self._user))
                return Answer(200, answer)
        raise errors.method_not_allowed()


class InProcess:
    """The transport of everybody else in this process: the same bytes as over HTTP, without the socket."""

    def __init__(self, plane: Requests, user_agent: str = "epkit") -> None:
        self._plane = plane
        self._user_agent = user_agent

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        headers = {"accept": accept, "content-type": content_type, "user-agent": self._user_agent}
        data = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        response = self._plane.request(method, path, _query_string(query), headers, data)
        if response.content_type.startswith("text/"):
            return Answer(response.code, response.body.decode(), response.warnings)
        return Answer(response.code, orjson.loads(response.body or b"null"), response.warnings)

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        """The events that there are, after everything has settled; a watch in process does not wait for more."""
        headers = {"accept": accept, "user-agent": self._user_agent}
        response = self._plane.request("GET", path, _query_string({**query, "watch": "true"}), headers)
        if response.watch is None:
            yield {"type": "ERROR", "object": orjson.loads(response.body)}
            return
        stream = response.watch
        try:
            while events := stream.watch.take():
                for line in stream.encode(events).splitlines():
                    yield orjson.loads(line)
        finally:
            stream.watch.close()


class WithExec(InProcess):
    """The same for a plane, and a way to run commands in its containers.

    Args:
        sleep: passes seconds of the wall's clock, for a command that waits while time runs with the wall's.
    """

    def __init__(self, plane: Plane, user_agent: str = "epkit", sleep: Callable[[float], None] | None = None) -> None:
        super().__init__(plane, user_agent)
        self._whole = plane
        self._sleep = sleep

    def exec(self, namespace: str, pod: str, container: str, command: list[str], stdin: str) -> tuple[str, str, int]:
        """What ``pods/exec`` does over a WebSocket: run a command; its stdout, stderr and exit code."""
        done = self._whole.exec(namespace, pod, container, command, stdin, self._sleep)
        return done.stdout, done.stderr, done.returncode


def _own(body: Obj) -> Obj:
    """What a component sends, as the API may keep it: its own top level and metadata, everything else shared."""
    return {**body, "metadata": copy(body.get("metadata") or {})}


def _query_string(query: Mapping[str, str] | None) -> str:
    from urllib.parse import urlencode

    return urlencode(query) if query else ""


def _qualified(resource: str) -> str:
    version = RESOURCES[resource][0]
    group, slash, _ = version.partition("/")
    return f"{resource}.{group}" if slash else resource
