"""The guard that keeps every write inside the learner's own namespaces.

It stands where the official client has its pool of connections, and before that client's WebSockets. It reads paths as
the API server does (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go), and does not send what can be read in two
ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import orjson
import yaml

from epkit.objects import Obj
from epkit.targets.own import Own, Refused

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import BaseHTTPResponse

#: groups whose objects are questions: creating one leaves nothing behind
_QUESTIONS = ("authorization.k8s.io", "authentication.k8s.io")
#: subresources that lead into a pod, a Service or a node, whatever the method
_CONNECTIONS = ("exec", "attach", "portforward", "proxy")
_NAMESPACE_PARTS = ("status", "finalize")
#: what no part of a path has in an ordinary request
_ODD = re.compile(r"[/\\\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Place:
    """What a path of the API leads to.

    Attributes:
        namespace: the one that it is in, or that it is; empty outside of all.
        resource: its plural, ``namespaces`` for a namespace itself; empty where the path is none of a resource.
        at: where the namespace stands among the path's parts.
    """

    group: str
    namespace: str
    resource: str
    name: str
    subresource: str
    at: int


class Guard:
    """Stands where the official client has its pool, and lets through what is allowed.

    Args:
        pool: the client's pool.
        own: the namespaces in which it may write.
        server: the API server's URL, as the kubeconfig has it.
        why_not: what to say of a write while nothing may be written; empty when writing is allowed.
    """

    def __init__(self, pool: Any, own: Own, server: str, why_not: str = "") -> None:
        self._pool = pool
        self._own = own
        self._server = server.rstrip("/")
        self.why_not = why_not
        #: how many writes were sent
        self.writes = 0

    def request(
        self, method: str, url: str, body: Any = None, fields: Any = None, headers: Any = None, **how: Any
    ) -> BaseHTTPResponse:
        """As the pool's. What is not allowed is answered as an API server does that forbids it."""
        try:
            url, body, after = self._admitted(method.upper(), url, body, fields)
        except Refused as refusal:
            return _forbidden(str(refusal))
        response: BaseHTTPResponse = self._pool.request(method, url, body=body, fields=fields, headers=headers, **how)
        if after is not None and response.status < 300:
            after()
        return response

    def clear(self) -> None:
        """Close the pool's connections."""
        self._pool.clear()

    def connected(self, url: str) -> str:
        """The URL, with the real namespace, of a connection into a pod.

        Raises:
            Refused: the pod is in no namespace of the learner's.
        """
        return self._admitted("GET", url, None, None)[0]

    # -- what is allowed -----------------------------------------------------------------------------------------------

    def _admitted(self, method: str, url: str, body: Any, fields: Any) -> tuple[str, Any, Callable[[], None] | None]:
        """The URL and the body with the real names, and what to do once the answer is a yes."""
        reads = method in ("GET", "HEAD")
        if not url.startswith(self._server + "/"):
            if reads:
                return url, body, None
            raise Refused(f"epkit writes only to {self._server}: {method} {url} was not sent")
        path, _, query = url[len(self._server) :].partition("#")[0].partition("?")
        words = path.split("/")[1:]
        place = place_of(words)
        if place is None:
            raise Refused(f"epkit does not send what can be read in two ways: {method} {path}")
        if place.namespace:
            real = self._own.real(place.namespace)
            words[place.at] = quote(real, safe="")
        else:
            real = ""
        url = f"{self._server}/{'/'.join(words)}" + (f"?{query}" if query else "")
        connects = place.subresource in _CONNECTIONS
        if (reads and not connects) or _asks(method, place):
            return url, body, None
        what = f"{method} {path}" if not connects else f"{place.subresource} of {place.resource}/{place.name}"
        if self.why_not:
            raise Refused(f"{self.why_not}: {what} was not sent")
        for_real = "dryRun" not in f"{query} {fields}" and "dryRun" not in _decoded(body)
        if place.resource == "namespaces":
            return url, *self._namespace(method, place, real, body, for_real)
        self._own.need(real, f"{what} was not sent")
        self.writes += 1
        return url, renamed(body, real, self._own.real), None

    def _namespace(
        self, method: str, place: Place, real: str, body: Any, for_real: bool
    ) -> tuple[Any, Callable[[], None] | None]:
        """A namespace itself: made under its real name, or deleted, and otherwise left as it is."""
        if method == "POST" and not real:
            about = _decoded(body).get("metadata")
            name = about.get("name") if isinstance(about, dict) else None
            if not isinstance(name, str) or not name:
                raise Refused("epkit makes a namespace under the name that you give it: give it metadata.name")
            labels = about.get("labels") if isinstance(about, dict) else None
            made = self._own.manifest(name, labels if isinstance(labels, dict) else None)
            self.writes += 1
            return orjson.dumps(made), (lambda: self._own.added(made)) if for_real else None
        if not real or not self._own.holds(real):
            where = real or "all namespaces"
            raise Refused(f"epkit deletes and changes only what it made: {method} of {where} was not sent")
        if method != "DELETE" or place.subresource:
            raise Refused(f"epkit leaves its namespaces as they are: {method} of {real} was not sent")
        self._own.need(real, f"{method} of {real} was not sent")
        self.writes += 1
        return body, (lambda: self._own.gone(real)) if for_real else None


def place_of(words: list[str]) -> Place | None:
    """What a path leads to, from its parts; None where it is no clear path.

    >>> place_of(["api", "v1", "namespaces", "shop", "pods", "web-1", "exec"])
    Place(group='', namespace='shop', resource='pods', name='web-1', subresource='exec', at=3)
    """
    plain = [unquote(word) for word in words]
    if plain[-1:] == [""]:
        plain.pop()  # "/api/" is "/api"
    if any(not word or word in (".", "..") or _ODD.search(word) for word in plain):
        return None
    start = {"api": 2, "apis": 3}.get(plain[0], len(plain)) if plain else 0
    group = plain[1] if start == 3 and len(plain) > 1 else ""
    rest = plain[start:]
    if not rest:
        return Place(group, "", "", "", "", 0)
    if rest[0] in ("proxy", "watch"):  # API servers once took the verb in the path
        return Place(group, "", rest[0], "", "proxy" if rest[0] == "proxy" else "", 0)
    inside = rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in _NAMESPACE_PARTS)
    if rest[0] == "namespaces" and not inside:
        resource, name, subresource = (*rest, "", "")[:3]
        return Place(group, name, resource, name, subresource, start + 1)
    namespace = rest[1] if inside else ""
    resource, name, subresource = (*rest[2 if inside else 0 :], "", "")[:3]
    return Place(group, namespace, resource, name, subresource, start + 1)


def _asks(method: str, place: Place) -> bool:
    """Is it a review, such as ``kubectl auth can-i`` asks for?"""
    return method == "POST" and place.group in _QUESTIONS and place.resource.endswith("reviews") and not place.name


def renamed(body: Any, namespace: str, real: Callable[[str], str]) -> Any:
    """A body whose ``metadata.namespace`` is the real one. What cannot be read is left to the server to judge."""
    if not isinstance(body, (str, bytes)) or b"namespace" not in (body.encode() if isinstance(body, str) else body):
        return body
    obj = _decoded(body)
    about = obj.get("metadata")
    named = about.get("namespace") if isinstance(about, dict) else None
    if not isinstance(about, dict) or not isinstance(named, str) or named == namespace or real(named) != namespace:
        return body
    return orjson.dumps({**obj, "metadata": {**about, "namespace": namespace}})


def _decoded(body: Any) -> Obj:
    """A body as an object; an empty one where it is none (a JSON patch, or something else than JSON)."""
    try:
        found = body if isinstance(body, dict) else orjson.loads(body)
    except (orjson.JSONDecodeError, TypeError):
        try:
            found = yaml.safe_load(body)  # an applied configuration may be YAML
        except (yaml.YAMLError, AttributeError, ValueError):
            return {}
    return found if isinstance(found, dict) else {}


def _forbidden(message: str) -> BaseHTTPResponse:
    import io

    from urllib3 import HTTPResponse

    body = io.BytesIO(orjson.dumps(_status(message)))
    headers = {"Content-Type": "application/json"}
    return HTTPResponse(body, headers=headers, status=403, reason="Forbidden", preload_content=True)


def _status(message: str) -> Obj:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "Forbidden",
        "code": 403,
    }


def guard_streams(api: ApiClient, guard: Guard) -> None:
    """Have the guard look at what :func:`kubernetes.stream.stream` opens with this client, too.

    A stream goes around the pool: while it opens, it puts a function of its own in the place of the client's
    ``call_api`` (of ``request`` in older releases).
    """
    from kubernetes.client.exceptions import ApiException

    plain = type(api)

    class Guarded(plain):  # type: ignore[misc, valid-type]
        def __setattr__(self, name: str, value: Any) -> None:
            if name in ("call_api", "request") and getattr(value, "__self__", None) is not self:
                value = _opened(value)
            super().__setattr__(name, value)

    def _opened(open_stream: Callable[..., Any]) -> Callable[..., Any]:
        def call(method: str, url: str, *args: Any, **how: Any) -> Any:
            try:
                return open_stream(method, guard.connected(url), *args, **how)
            except Refused as refusal:
                error = ApiException(status=403, reason="Forbidden")
                error.body = orjson.dumps(_status(str(refusal))).decode()
                raise error from None

        return call

    api.__class__ = Guarded
