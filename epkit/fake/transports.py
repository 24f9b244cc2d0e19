"""The ways to the built-in control plane within this process: for its own components, and for everybody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from epkit.client import RESOURCES, Answer
from epkit.fake import controllers
from epkit.fake.api import Api
from epkit.fake.clock import Clock
from epkit.fake.http import Http, Response
from epkit.fake.names import Names
from epkit.fake.requests import Options, Route, delete_options, manager_of, route_of
from epkit.fake.store import Event, Store
from epkit.fake.wire import errors, patches
from epkit.objects import Obj, copy

if TYPE_CHECKING:
    from epkit.fake.plane import Plane

#: Kinds whose fields the controllers set on record, for learners to see; a record of all would slow down every rollout.
FIELDS_ON_RECORD = ("endpoints", "endpointslices")


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
