"""The namespaces that epkit makes on a live cluster, and the guard that keeps every write inside them.

The course speaks of ``ex-4-1`` or ``elsewhere``. On a live cluster these are ``epkit-ann-4-1`` and
``epkit-ann-4-elsewhere``: the guard puts the real name into every request, so that a learner types what the text says.
Answers are shown as they come, with the real names.

The guard stands where the official client has its pool of connections. Nothing that epkit sends goes around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import orjson
import yaml

from epkit.client import Client
from epkit.errors import ApiError, EpkitError
from epkit.objects import Obj, labels_of, name_of
from epkit.targets.learner import Learner

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

#: labels of every namespace that epkit makes: whose it is, for which chapter, and what the course calls it
LEARNER, CHAPTER, NAME = "epkit/learner", "epkit/chapter", "epkit/name"
PREFIX = "epkit-"
#: chapter of what is done outside the chapters
NO_CHAPTER = "0"
#: bounds for one namespace: a learner's mistake must not fill a shared cluster
QUOTA = {
    "pods": "100",
    "services": "60",
    "services.loadbalancers": "0",
    "services.nodeports": "4",
    "persistentvolumeclaims": "0",
    "requests.memory": "4Gi",
    "requests.cpu": "2",
}
CONTAINER = {"defaultRequest": {"cpu": "5m", "memory": "16Mi"}, "default": {"memory": "128Mi"}}

_EXERCISE = re.compile(r"ex-(\d+)-(\d+)")
#: requests that ask a question and leave nothing behind
_QUESTIONS = ("/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/")


class Refused(EpkitError):
    """A request that the guard does not send."""


class Taken(EpkitError):
    """A namespace's name that somebody else has."""


class Own:
    """The namespaces of one learner on one cluster.

    Args:
        client: a client that the guard does not hold back.
        learner: whose they are.
        user: what they are named after.
    """

    def __init__(self, client: Client, learner: Learner, user: str) -> None:
        self._client = client
        self._learner = learner
        self.user = user
        self.chapter = NO_CHAPTER
        #: what the course calls them -> their real names, of those that are there
        self._real: dict[str, str] = {}
        #: told of each namespace that is made or gone
        self.on_change: list[Callable[[], None]] = []

    @property
    def namespace(self) -> str:
        """The chapter's own."""
        return self.named("")

    @property
    def names(self) -> list[str]:
        """All that are there, by name."""
        return sorted(self._real.values())

    def enter(self, chapter: str) -> None:
        """From now on, names are those of a chapter."""
        self.chapter = chapter
        self.find()

    def find(self) -> None:
        """Look which namespaces are there. Without the right to list them, those made by this kernel are known."""
        try:
            found = self._client.list("namespaces", labels=f"{LEARNER}={self._learner.id}")
        except ApiError:
            return
        there = [one for one in found if not one["metadata"].get("deletionTimestamp")]
        self._real = {_key(one): name_of(one) for one in there if name_of(one).startswith(PREFIX)}

    def of_chapter(self, chapter: str) -> list[str]:
        """The real names of a chapter's namespaces."""
        return sorted(real for key, real in self._real.items() if key.partition("/")[0] == chapter)

    def real(self, name: str) -> str:
        """The real name of a namespace that the course names; any other name as it is.

        >>> own.real("ex-4-1")
        'epkit-ann-4-1'
        """
        if name == self.namespace or not name:
            return name
        exercise = _EXERCISE.fullmatch(name)
        if exercise is not None:
            return self.named(name)
        return self._real.get(f"{self.chapter}/{name}", name)

    def named(self, name: str) -> str:
        """How the namespace is called, or would be, that the course calls `name`; without one, the chapter's."""
        exercise = _EXERCISE.fullmatch(name)
        if exercise is not None:
            return f"{PREFIX}{self.user}-{exercise[1]}-{exercise[2]}"
        base = f"{PREFIX}{self.user}-{self.chapter}"
        return f"{base}-{name}"[:63].rstrip("-") if name else base

    def holds(self, namespace: str) -> bool:
        """Is this namespace one of the learner's?"""
        return namespace == self.namespace or namespace in self._real.values()

    def manifest(self, name: str, labels: Mapping[str, str] | None = None) -> Obj:
        """The namespace that the course calls `name`, to be created."""
        exercise = _EXERCISE.fullmatch(name)
        own = {LEARNER: self._learner.id, CHAPTER: exercise[1] if exercise else self.chapter}
        own |= {NAME: name} if name else {}
        about = {"name": self.named(name), "labels": {**(labels or {}), **own}}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": about}

    def ensure(self, name: str = "") -> str:
        """See that the namespace is there which the course calls `name`; returns its real name.

        Raises:
            EpkitError: it may not be created, or somebody else has it.
        """
        real = self.named(name)
        if real in self._real.values():
            return real
        try:
            self.added(self._client.create("namespaces", self.manifest(name)))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise EpkitError(
                    f"The namespace {real} cannot be made: {error.message}. Ask for the right to create namespaces."
                ) from None
            found = self._client.find("namespaces", real)
            if found is not None and labels_of(found).get(LEARNER) == self._learner.id:
                self._real[_key(found)] = real
                return real
            raise Taken(
                f"The namespace {real} is there already, and it is not yours. Set EPKIT_USER to another name than "
                f"{self.user!r}, so that yours are called otherwise."
            ) from None
        return real

    def added(self, namespace: Obj) -> None:
        """A namespace was made: bound what may be in it, as far as that is allowed."""
        self._real[_key(namespace)] = name_of(namespace)
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "epkit"}, "spec": {"hard": QUOTA}}
        limits = {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "epkit"},
            "spec": {"limits": [{"type": "Container", **CONTAINER}]},
        }
        # The defaults first: with a quota alone, a pod that asks for nothing would be refused.
        for resource, obj in (("v1/limitranges", limits), ("v1/resourcequotas", quota)):
            try:
                self._client.create(resource, obj, name_of(namespace))
            except ApiError:  # many may not; then the cluster's own bounds must do
                break
        for tell in self.on_change:
            tell()

    def gone(self, namespace: str) -> None:
        """A namespace is being deleted."""
        self._real = {key: real for key, real in self._real.items() if real != namespace}
        for tell in self.on_change:
            tell()

    def delete(self, namespaces: list[str]) -> None:
        """Delete namespaces of the learner; they may take a while to go."""
        for namespace in namespaces:
            found = self._client.find("namespaces", namespace)
            if found is None or labels_of(found).get(LEARNER) != self._learner.id:
                continue
            self._client.delete("namespaces", namespace, uid=found["metadata"]["uid"])
            self.gone(namespace)

    def left(self) -> list[str]:
        """Those that are there or still going."""
        found = self._client.list("namespaces", labels=f"{LEARNER}={self._learner.id}")
        return sorted(name_of(one) for one in found if name_of(one).startswith(PREFIX))


class Guard:
    """Stands where the official client has its pool, and lets through what is allowed.

    Args:
        pool: the client's pool.
        why_not: what to say of a write while nothing may be written; empty when writing is allowed.
        own: the namespaces in which it may write.
    """

    def __init__(self, pool: Any, own: Own, why_not: str = "") -> None:
        self._pool = pool
        self._own = own
        self.why_not = why_not
        #: how many writes were sent
        self.writes = 0

    def request(
        self, method: str, url: str, body: Any = None, fields: Any = None, headers: Any = None, **how: Any
    ) -> BaseHTTPResponse:
        """As the pool's. What is not allowed is answered as an API server does that forbids it."""
        parts = urlsplit(url)
        try:
            path, body, after = self._admitted(method, parts.path, body)
        except Refused as refusal:
            return _forbidden(str(refusal))
        url = urlunsplit(parts._replace(path=path))
        response: BaseHTTPResponse = self._pool.request(method, url, body=body, fields=fields, headers=headers, **how)
        if after is not None and response.status < 300:
            after(response)
        return response

    def clear(self) -> None:
        """Close the pool's connections."""
        self._pool.clear()

    def _admitted(self, method: str, path: str, body: Any) -> tuple[str, Any, Callable[[Any], None] | None]:
        """The path and the body with the real names, and what to do once it is answered."""
        words = path.split("/")
        at = words.index("namespaces") + 1 if "namespaces" in words else 0
        namespace = unquote(words[at]) if at and at < len(words) else ""
        if namespace:
            words[at] = quote(self._own.real(namespace), safe="")
            namespace = unquote(words[at])
        path = "/".join(words)
        if method in ("GET", "HEAD"):
            return path, body, None
        if any(question in path for question in _QUESTIONS):
            return path, body, None
        if self.why_not:
            raise Refused(f"{self.why_not}: {method} was not sent")
        if at and not namespace and method == "POST" and path.endswith("/api/v1/namespaces"):
            obj = _decoded(body)
            about = obj.get("metadata") or {}
            obj = self._own.manifest(str(about.get("name", "")), about.get("labels"))
            self.writes += 1
            return path, orjson.dumps(obj), lambda response: self._own.added(orjson.loads(response.data))
        if not namespace or not self._own.holds(namespace):
            where = ", ".join(self._own.names) or self._own.namespace
            what = path[path.index("/api") :] if "/api" in path else path
            raise Refused(f"epkit writes only in namespaces of its own ({where}): {method} {what} was not sent")
        self.writes += 1
        if len(words) == at + 1:  # the namespace itself
            if method != "DELETE":
                raise Refused(f"epkit leaves its namespaces as they are: {method} of {namespace} was not sent")
            return path, body, lambda _: self._own.gone(namespace)
        if namespace == self._own.namespace:
            self._own.ensure()
        return path, self._renamed(body, namespace), None

    def _renamed(self, body: Any, namespace: str) -> Any:
        """A body whose ``metadata.namespace`` is the real one. What cannot be read is left to the server."""
        if not isinstance(body, (str, bytes)) or b"namespace" not in (body.encode() if isinstance(body, str) else body):
            return body
        obj = _decoded(body)
        about = obj.get("metadata")
        if not isinstance(about, dict) or self._own.real(str(about.get("namespace", ""))) != namespace:
            return body
        return orjson.dumps({**obj, "metadata": {**about, "namespace": namespace}})


def _key(namespace: Obj) -> str:
    """Chapter and name as the course has them."""
    labels = labels_of(namespace)
    return f"{labels.get(CHAPTER, NO_CHAPTER)}/{labels.get(NAME, '')}"


def _decoded(body: Any) -> Obj:
    """A body as an object; an empty one where it is none (a JSON patch, or something else than JSON)."""
    try:
        found = body if isinstance(body, dict) else orjson.loads(body)
    except (orjson.JSONDecodeError, TypeError):
        try:
            found = yaml.safe_load(body)  # an applied configuration may be YAML
        except (yaml.YAMLError, AttributeError):
            return {}
    return found if isinstance(found, dict) else {}


def _forbidden(message: str) -> BaseHTTPResponse:
    import io

    from urllib3 import HTTPResponse

    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "Forbidden",
        "code": 403,
    }
    body = io.BytesIO(orjson.dumps(status))
    headers = {"Content-Type": "application/json"}
    return HTTPResponse(body, headers=headers, status=403, reason="Forbidden", preload_content=True)
