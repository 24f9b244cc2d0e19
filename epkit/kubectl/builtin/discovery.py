"""What the API server serves: its resources by plural, singular, short name and kind.

Source: ``k8s.io/client-go/discovery`` and ``restmapper``; ``k8s.io/cli-runtime/pkg/resource/builder.go`` (mappingFor).
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from epkit.kubectl.builtin.failures import KubectlError
from epkit.kubectl.builtin.gotext import quote
from epkit.objects import Obj

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A resource and its kind (``meta.RESTMapping``)."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """``endpointslices.discovery.k8s.io``: the plural and the group, as in the server's errors."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def printed_kind(self) -> str:
        """``endpointslice.discovery.k8s.io``: what stands before a name in ``service/web``."""
        return f"{self.kind.lower()}.{self.group}" if self.group else self.kind.lower()

    @property
    def group_kind(self) -> str:
        """``EndpointSlice.discovery.k8s.io``, as Go prints a GroupKind."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def gvr(self) -> str:
        """As Go prints a GroupVersionResource."""
        return f"{self.group}/{self.version}, Resource={self.plural}"

    @property
    def gvk(self) -> str:
        """As Go prints a GroupVersionKind."""
        return f"{self.group}/{self.version}, Kind={self.kind}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        parts = [f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


class NoSuchResource(KubectlError):
    """The server has no resource of that name."""

    def __init__(self, argument: str) -> None:
        super().__init__(f"the server doesn't have a resource type {quote(argument.partition('.')[0])}")


class Resources:
    """Everything that the server serves, in the server's order of groups, versions and resources."""

    def __init__(self, mappings: list[Mapping], preferred: dict[str, str]) -> None:
        self.mappings = mappings
        #: group -> preferred version
        self.preferred = preferred

    def find(self, argument: str) -> Mapping:
        """The resource that an argument such as ``svc``, ``Service``, ``deployments.apps`` or ``deploy`` names.

        Raises:
            KubectlError: the server has no such resource.
        """
        word = argument.lower()
        name, _, group = word.partition(".")
        version, dot, versioned_group = group.partition(".")
        candidates = self._matching(name, versioned_group, version) if dot else []
        candidates = candidates or self._matching(name, group, "")
        if candidates:
            return candidates[0]
        raise NoSuchResource(argument)

    def _matching(self, name: str, group: str, version: str) -> list[Mapping]:
        named = [m for m in self._preferred_first() if name in (m.plural, m.singular, m.kind.lower())]
        short = [m for m in self._preferred_first() if name in m.short_names]
        found = [m for m in named + short if not version or m.version == version]
        if version and not group:
            return [m for m in found if not m.group]
        exact = [m for m in found if m.group == group] if group else found
        return exact or [m for m in found if m.group.startswith(group)]

    def _preferred_first(self) -> list[Mapping]:
        return sorted(self.mappings, key=lambda m: self.preferred.get(m.group) != m.version)

    def of_kind(self, api_version: str, kind: str) -> Mapping | None:
        for mapping in self.mappings:
            if mapping.kind == kind and (
                api_version == mapping.api_version or not (api_version or mapping.group)
            ):
                return mapping
        return None

    def category(self, word: str) -> list[Mapping]:
        """The resources of a category such as ``all``, in the server's order."""
        seen: dict[tuple[str, str], Mapping] = {}
        for mapping in self.mappings:
            if word in mapping.categories and self.preferred.get(mapping.group) == mapping.version:
                seen.setdefault((mapping.group, mapping.plural), mapping)
        return list(seen.values())


def read(get: Callable[[str, str], Any]) -> Resources:
    """Ask the server what it serves; `get` fetches a path with an Accept header."""
    mappings: list[Mapping] = []
    preferred: dict[str, str] = {}
    for path in ("/api", "/apis"):
        body = get(path, AGGREGATED)
        groups = body["items"] if body.get("kind") == "APIGroupDiscoveryList" else _unaggregated(get, path, body)
        for group in groups:
            name = (group.get("metadata") or {}).get("name", "")
            for version in group.get("versions") or ():
                preferred.setdefault(name, version["version"])
                mappings += _mappings(name, version)
    return Resources(mappings, preferred)


def _mappings(group: str, version: Obj) -> list[Mapping]:
    found = []
    for entry in version.get("resources") or ():
        kind = entry["responseKind"]
        found.append(
            Mapping(
                group=kind.get("group") or group,
                version=kind.get("version") or version["version"],
                kind=kind["kind"],
                plural=entry["resource"],
                singular=entry.get("singularResource") or kind["kind"].lower(),
                namespaced=entry.get("scope") == "Namespaced",
                short_names=tuple(entry.get("shortNames") or ()),
                categories=tuple(entry.get("categories") or ()),
                verbs=tuple(entry.get("verbs") or ()),
                subresources=tuple(sub["subresource"] for sub in entry.get("subresources") or ()),
            )
        )
    return found


def _unaggregated(get: Callable[[str, str], Any], path: str, body: Obj) -> list[Obj]:
    """The same form from the older documents: one request for each group and version."""
    if path == "/api":
        lists = [("", version, get(f"/api/{version}", "application/json")) for version in body["versions"]]
    else:
        lists = [
            (group["name"], version["version"], get(f"/apis/{version['groupVersion']}", "application/json"))
            for group in body["groups"]
            for version in group["versions"]
        ]
    groups: dict[str, Obj] = {}
    for group, version, listed in lists:
        entry = groups.setdefault(group, {"metadata": {"name": group}, "versions": []})
        entry["versions"].append({"version": version, "resources": _entries(listed)})
    return list(groups.values())


def _entries(listed: Obj) -> list[Obj]:
    entries: dict[str, Obj] = {}
    for item in listed.get("resources") or ():
        name, slash, sub = item["name"].partition("/")
        if slash:
            entries.get(name, {}).setdefault("subresources", []).append({"subresource": sub})
            continue
        entries[name] = {
            "resource": name,
            "responseKind": {"group": item.get("group"), "version": item.get("version"), "kind": item["kind"]},
            "scope": "Namespaced" if item.get("namespaced") else "Cluster",
            "singularResource": item.get("singularName"),
            "shortNames": item.get("shortNames"),
            "categories": item.get("categories"),
            "verbs": item.get("verbs"),
        }
    return list(entries.values())
