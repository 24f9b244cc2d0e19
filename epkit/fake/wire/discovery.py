"""Discovery: which groups, versions and resources there are, in the aggregated and in the plain form.

The aggregated form (``/api`` and ``/apis`` for kubectl 1.26 and newer) is KEP-3352's ``apidiscovery.k8s.io``; the
plain one is that of ``k8s.io/apiserver/pkg/endpoints/discovery``.
"""
from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from epkit.fake.kinds.base import Kind

Obj = dict[str, Any]

JSON = "application/json"
ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SUBRESOURCE_VERBS = ("get", "patch", "update")

#: The groups in the order in which the API server lists them.
_GROUP_ORDER = (
    "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling",
    "batch", "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
    "admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io",
    "discovery.k8s.io", "resource.k8s.io", "flowcontrol.apiserver.k8s.io",
)


class Subresource(NamedTuple):
    """A path below an object; `kind` is (group, version, kind) of what is sent or shown there."""

    name: str
    kind: tuple[str, str, str]
    verbs: tuple[str, ...]


class _Resource(NamedTuple):
    """A line of discovery, without what makes a kind more than a name."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()


#: Subresources beside status and scale, by the name of their resource.
_SUBRESOURCES: dict[str, tuple[Subresource, ...]] = {
    "namespaces": (Subresource("finalize", ("", "v1", "Namespace"), ("update",)),),
    "pods": (
        Subresource("binding", ("", "v1", "Binding"), ("create",)),
        Subresource("eviction", ("policy", "v1", "Eviction"), ("create",)),
        Subresource("exec", ("", "v1", "PodExecOptions"), ("create", "get")),
        Subresource("log", ("", "v1", "Pod"), ("get",)),
        Subresource("portforward", ("", "v1", "PodPortForwardOptions"), ("create", "get")),
    ),
    "serviceaccounts": (Subresource("token", ("authentication.k8s.io", "v1", "TokenRequest"), ("create",)),),
}

#: What is asked with POST and kept nowhere.
_REVIEWS = tuple(
    _Resource(group, "v1", kind, kind.lower() + "s", kind.lower(), False, ("create",))
    for group, kind in (
        ("authentication.k8s.io", "SelfSubjectReview"),
        ("authorization.k8s.io", "SelfSubjectAccessReview"),
        ("authorization.k8s.io", "SelfSubjectRulesReview"),
    )
)

#: Resources that cannot be deleted as a collection.
_NO_COLLECTION_DELETE = frozenset({"namespaces"})


class Discovery:
    """The discovery documents of a server that serves `kinds`; built once, kept as bytes.

    >>> from epkit.fake import kinds
    >>> Discovery(kinds.KINDS).answer("/apis/discovery.k8s.io", "")[1]
    'application/json'
    """

    def __init__(self, kinds: Iterable[Kind]) -> None:
        resources = sorted([*map(_resource_of, kinds), *_REVIEWS], key=lambda one: one.plural)
        self._versions: dict[str, dict[str, list[_Resource]]] = {}
        for resource in resources:
            self._versions.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        self._groups = sorted((group for group in self._versions if group), key=_group_rank)
        self._documents: dict[tuple[str, str], bytes] = {}

    def answer(self, path: str, accept: str = "") -> tuple[bytes, str] | None:
        """The document at `path` and its content type, or None if `path` is not one of discovery's.

        `accept` is the Accept header: it asks for the aggregated form.
        """
        path = path.rstrip("/")
        version = aggregated_version(accept) if path in ("/api", "/apis") else ""
        content_type = f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" if version else JSON
        key = (path, version)
        if key not in self._documents:
            made = self._aggregated(path, version) if version else self._plain(path)
            if made is None:
                return None
            self._documents[key] = orjson.dumps(made)
        return self._documents[key], content_type

    def _aggregated(self, path: str, version: str) -> Obj:
        groups = [""] if path == "/api" else self._groups
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": [
                {
                    "metadata": {"name": group} if group else {},
                    "versions": [
                        {"version": name, "resources": [_aggregated_resource(one) for one in resources],
                         "freshness": "Current"}
                        for name, resources in self._versions.get(group, {}).items()
                    ],
                }
                for group in groups
            ],
        }

    def _plain(self, path: str) -> Obj | None:
        match path.split("/")[1:]:
            case ["api"]:
                return {"kind": "APIVersions", "versions": list(self._versions.get("", {})),
                        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "localhost"}]}
            case ["apis"]:
                groups = [self._group(name) for name in self._groups]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
            case ["apis", group] if group in self._groups:
                return {"kind": "APIGroup", "apiVersion": "v1", **self._group(group)}
            case ["api", version] if version in self._versions.get("", {}):
                return {"kind": "APIResourceList", "groupVersion": version,
                        "resources": _plain_resources(self._versions[""][version])}
            case ["apis", group, version] if group and version in self._versions.get(group, {}):
                return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}",
                        "resources": _plain_resources(self._versions[group][version])}
        return None

    def _group(self, name: str) -> Obj:
        versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in self._versions[name]]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def aggregated_version(accept: str) -> str:
    """The version of the aggregated form that an Accept header asks for first: ``v2``, ``v2beta1`` or ""."""
    for part in accept.split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        values = dict(piece.split("=", 1) for piece in parameters if "=" in piece)
        if media_type == JSON:
            wanted = values.get("as") == "APIGroupDiscoveryList" and values.get("g") == "apidiscovery.k8s.io"
            if wanted and values.get("v") in ("v2", "v2beta1"):
                return values["v"]
            if not values:
                return ""
    return ""


def _group_rank(group: str) -> tuple[int, str]:
    return (_GROUP_ORDER.index(group) if group in _GROUP_ORDER else len(_GROUP_ORDER), group)


def _resource_of(kind: Kind) -> _Resource:
    subresources = list(_SUBRESOURCES.get(kind.plural, ()))
    if kind.scale:
        subresources.append(Subresource("scale", ("autoscaling", "v1", "Scale"), _SUBRESOURCE_VERBS))
    if kind.status:
        subresources.append(Subresource("status", (kind.group, kind.version, kind.kind), _SUBRESOURCE_VERBS))
    verbs = tuple(verb for verb in ALL_VERBS if verb != "deletecollection" or kind.plural not in _NO_COLLECTION_DELETE)
    return _Resource(
        kind.group, kind.version, kind.kind, kind.plural, kind.singular or kind.kind.lower(), kind.namespaced, verbs,
        kind.short_names, kind.categories, tuple(sorted(subresources)),
    )


def _aggregated_resource(one: _Resource) -> Obj:
    made: Obj = {
        "resource": one.plural,
        "responseKind": _response_kind((one.group, one.version, one.kind), one),
        "scope": "Namespaced" if one.namespaced else "Cluster",
        "singularResource": one.singular,
        "verbs": one.verbs,
    }
    if one.short_names:
        made["shortNames"] = one.short_names
    if one.categories:
        made["categories"] = one.categories
    if one.subresources:
        made["subresources"] = [
            {"subresource": sub.name, "responseKind": _response_kind(sub.kind, one), "verbs": sub.verbs}
            for sub in one.subresources
        ]
    return made


def _response_kind(kind: tuple[str, str, str], of: _Resource) -> Obj:
    """A kind of the resource's own group and version shows neither: so Kubernetes writes it."""
    group, version, name = kind
    own = (group, version) == (of.group, of.version)
    return {"group": "" if own else group, "version": "" if own else version, "kind": name}


def _plain_resources(resources: Iterable[_Resource]) -> list[Obj]:
    lines: list[Obj] = []
    for one in resources:
        line: Obj = {"name": one.plural, "singularName": one.singular, "namespaced": one.namespaced, "kind": one.kind,
                     "verbs": one.verbs}
        if one.short_names:
            line["shortNames"] = one.short_names
        if one.categories:
            line["categories"] = one.categories
        if "list" in one.verbs:
            line["storageVersionHash"] = storage_version_hash(one.group, one.version, one.kind)
        lines.append(line)
        for sub in one.subresources:
            group, version, kind = sub.kind
            line = {"name": f"{one.plural}/{sub.name}", "singularName": "", "namespaced": one.namespaced}
            if (group, version) != (one.group, one.version):
                line |= {"group": group, "version": version}
            lines.append({**line, "kind": kind, "verbs": sub.verbs})
    return lines


def storage_version_hash(group: str, version: str, kind: str) -> str:
    """As ``discovery.StorageVersionHash``.

    >>> storage_version_hash("", "v1", "Pod")
    'xPOwRZ+Yhw8='
    """
    digest = hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()
