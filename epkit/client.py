"""A small client of the Kubernetes API on plain dictionaries: what controllers, views and kubectl's subset speak.

It works over any :class:`Transport`: in process to the built-in fake, or over HTTP to any API server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from epkit.errors import ApiError
from epkit.objects import Obj

#: plural -> (group/version, kind, namespaced); every kind that epkit itself reads or writes
RESOURCES: dict[str, tuple[str, str, bool]] = {
    "namespaces": ("v1", "Namespace", False),
    "nodes": ("v1", "Node", False),
    "pods": ("v1", "Pod", True),
    "services": ("v1", "Service", True),
    "endpoints": ("v1", "Endpoints", True),
    "events": ("v1", "Event", True),
    "configmaps": ("v1", "ConfigMap", True),
    "secrets": ("v1", "Secret", True),
    "serviceaccounts": ("v1", "ServiceAccount", True),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice", True),
    "deployments": ("apps/v1", "Deployment", True),
    "replicasets": ("apps/v1", "ReplicaSet", True),
    "statefulsets": ("apps/v1", "StatefulSet", True),
    "daemonsets": ("apps/v1", "DaemonSet", True),
    "controllerrevisions": ("apps/v1", "ControllerRevision", True),
    "jobs": ("batch/v1", "Job", True),
    "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget", True),
    "networkpolicies": ("networking.k8s.io/v1", "NetworkPolicy", True),
    "leases": ("coordination.k8s.io/v1", "Lease", True),
}

PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass(slots=True)
class Answer:
    """What the API server answered: the HTTP status, the decoded body and the texts of its Warning headers."""

    code: int
    body: Any
    warnings: list[str] = field(default_factory=list)


class Transport(Protocol):
    """The way to an API server. Paths start with a slash and carry no query."""

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
        """Carry out one request. API errors are answers, not exceptions; the body must not be changed afterwards."""

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        """The events of a watch, ``{"type": "ADDED", "object": …}``, until the server ends it."""


def path_of(resource: str, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
    """The path of a resource of :data:`RESOURCES`, or of one given as ``group/version/plural``.

    >>> path_of("endpointslices", "default", "web-abcde")
    '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-abcde'
    """
    if resource in RESOURCES:
        version, plural = RESOURCES[resource][0], resource
    else:
        version, _, plural = resource.rpartition("/")
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    parts = [base]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


@dataclass(slots=True)
class ObjectList:
    """Items of a list and the resource version at which they were read."""

    items: list[Obj]
    resource_version: str

    def __iter__(self) -> Iterator[Obj]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class Client:
    """Verbs on dictionaries. What they return must not be changed: copy it first (:func:`epkit.objects.copy`).

    >>> client.get("services", "web", "default")["spec"]["clusterIP"]
    '10.96.14.7'

    Every verb raises :class:`epkit.errors.ApiError` with the server's Status when the server refuses.
    """

    def __init__(self, transport: Transport, manager: str = "epkit") -> None:
        self.transport = transport
        self.manager = manager

    def get(self, resource: str, name: str, namespace: str | None = None, *, subresource: str = "") -> Obj:
        return self._ask("GET", path_of(resource, namespace, name, subresource))

    def find(self, resource: str, name: str, namespace: str | None = None) -> Obj | None:
        """As :meth:`get`, but None where there is no such object."""
        try:
            return self.get(resource, name, namespace)
        except ApiError as error:
            if error.reason == "NotFound":
                return None
            raise

    def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        **query: str,
    ) -> ObjectList:
        """All objects, in all namespaces when none is given; `labels` and `fields` are selectors."""
        query |= {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        answer = self._ask("GET", path_of(resource, namespace), query)
        return ObjectList(answer.get("items") or [], answer["metadata"].get("resourceVersion", ""))

    def create(self, resource: str, obj: Obj, namespace: str | None = None, **query: str) -> Obj:
        namespace = namespace or obj["metadata"].get("namespace")
        return self._ask("POST", path_of(resource, namespace), self._with_manager(query), obj)

    def create_sub(self, resource: str, name: str, subresource: str, obj: Obj, namespace: str | None = None) -> Obj:
        """POST to a subresource, such as a pod's binding or eviction."""
        return self._ask("POST", path_of(resource, namespace, name, subresource), self._with_manager({}), obj)

    def update(self, resource: str, obj: Obj, *, subresource: str = "", **query: str) -> Obj:
        meta = obj["metadata"]
        path = path_of(resource, meta.get("namespace"), meta["name"], subresource)
        return self._ask("PUT", path, self._with_manager(query), obj)

    def patch(
        self,
        resource: str,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        kind: str = "merge",
        subresource: str = "",
        **query: str,
    ) -> Obj:
        """Send a patch; `kind` is a key of :data:`PATCH_TYPES`."""
        path = path_of(resource, namespace, name, subresource)
        return self._ask("PATCH", path, self._with_manager(query), patch, PATCH_TYPES[kind])

    def delete(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        grace: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Obj:
        """Delete one object; `grace` in seconds, `propagation` Background, Foreground or Orphan."""
        options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if propagation is not None:
            options["propagationPolicy"] = propagation
        conditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        if conditions:
            options["preconditions"] = conditions
        return self._ask("DELETE", path_of(resource, namespace, name), None, options)

    def watch(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        since: str = "",
        labels: str = "",
        fields: str = "",
        **query: str,
    ) -> Iterator[Obj]:
        """Events after the resource version `since`, until the server ends the watch."""
        query |= {"watch": "true", "allowWatchBookmarks": "true"}
        given = (("resourceVersion", since), ("labelSelector", labels), ("fieldSelector", fields))
        query |= {key: value for key, value in given if value}
        return self.transport.watch(path_of(resource, namespace), query)

    def _with_manager(self, query: Mapping[str, str]) -> dict[str, str]:
        return {"fieldManager": self.manager, **query}

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Obj:
        answer = self.transport.send(method, path, query, body, content_type=content_type)
        if answer.code >= 400:
            body = answer.body  # of a path that is not served, text: "404 page not found"
            raise ApiError(
                body if isinstance(body, dict) else {"code": answer.code, "message": str(body or "").strip()}
            )
        return answer.body
