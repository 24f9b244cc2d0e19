"""The objects that a command is about: from its arguments, its files or its selectors.

Source: ``k8s.io/cli-runtime/pkg/resource`` (builder.go, visitor.go, selector.go), texts of errors included.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from epkit.errors import ApiError
from epkit.kubectl.builtin import manifests
from epkit.kubectl.builtin.discovery import Mapping
from epkit.kubectl.builtin.failures import KubectlError, Several
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj

MISSING = (
    "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n"
    "   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'"
)


@dataclass(slots=True)
class Info:
    """One object: what it is, where it is, and (when it was fetched or read from a file) its content."""

    mapping: Mapping
    namespace: str
    name: str
    obj: Obj
    source: str = ""

    @property
    def path(self) -> str:
        return self.at("")

    def at(self, subresource: str) -> str:
        """The path of one of its subresources.

        Raises:
            KubectlError: it has no name, so that the path would be that of all of them.
        """
        if not self.name:
            raise KubectlError("resource name may not be empty")
        return self.mapping.path(self.namespace, self.name, subresource)

    @property
    def printed(self) -> str:
        """``service/web``"""
        return f"{self.mapping.printed_kind}/{self.name}"


@dataclass(slots=True)
class Selection:
    """What was found, what went wrong on the way, and whether the arguments named one single object."""

    infos: list[Info]
    failures: list[Exception]
    single: bool = False
    #: whether objects were named, rather than selected
    named: bool = False


def select(
    session: Session,
    words: Iterable[str] | None = None,
    *,
    everything: bool = False,
    fetch: bool = True,
    latest: bool = False,
    accept: str = "application/json",
    query: dict[str, str] | None = None,
    stop_at_first: bool = False,
    selecting: bool = True,
) -> Selection:
    """The objects of a command, by its ``-f``, arguments, ``-l``, ``--field-selector``, ``--all`` and ``-A``.

    `everything`: a bare type stands for all of its objects. `fetch=False` leaves named objects unread. `latest` reads
    what files name from the server. Without `selecting`, a ``--selector`` is for something else. With another `accept`
    every answer (a Table, say) becomes one Info.

    Raises:
        KubectlError: the arguments make no sense, or (with `stop_at_first`) an object cannot be read.
    """
    words = list(session.args.words if words is None else words)
    labels, fields = "", ""
    if selecting:
        labels, fields = session.args.get("selector", "").strip(), session.args.get("field-selector", "").strip()
    select_all = bool(session.args.get("all", False)) and session.args.command != "apply"
    builder = _Builder(session, fetch, accept, dict(query or {}), labels, fields, stop_at_first)
    files = session.args.get("filename") or []
    if files:
        if words:
            raise KubectlError(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well"
            )
        return builder.by_files(files, latest)
    words = _spread(words)
    slashes = sum("/" in word for word in words)
    if slashes and slashes != len(words):
        raise KubectlError(
            "there is no need to specify a resource type as a separate argument when passing arguments in "
            "resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource "
            "resource/<resource_name>'"
        )
    if slashes:
        tuples = [_tuple(word) for word in words]
        if labels or fields or select_all:
            raise KubectlError("selectors and the all flag cannot be used when passing resource/name arguments")
        return builder.by_name([(session.resources.find(kind), name) for kind, name in tuples])
    if not words:
        if labels or fields or select_all:
            raise KubectlError("at least one resource must be specified to use a selector")
        raise KubectlError(MISSING)
    types, names = expand(session, words[0]), words[1:]
    if labels or fields or select_all or (everything and not names):
        if names:
            raise KubectlError("name cannot be provided when a selector is specified")
        return builder.by_selector(_unique(types))
    if not names:
        raise KubectlError("resource(s) were provided, but no name was specified")
    return builder.by_name([(mapping, name) for mapping in types for name in names])


def expand(session: Session, types: str) -> list[Mapping]:
    """The resources of ``svc,endpoints`` or of a category such as ``all``."""
    found: list[Mapping] = []
    for word in types.split(","):
        category = session.resources.category(word)
        if category:
            found += category
        else:
            found.append(session.resources.find(word))
    return found


def _spread(words: list[str]) -> list[str]:
    """``a,b x`` means ``a/x b/x``."""
    types = words[0].split(",") if words else []
    if len(types) > 1 and len(words) > 1:
        return [f"{kind}/{name}" for kind in types for name in words[1:]]
    return words


def _tuple(word: str) -> tuple[str, str]:
    parts = word.split("/")
    if len(parts) != 2:
        raise KubectlError("arguments in resource/name form may not have more than one slash")
    kind, name = parts
    if not kind or not name or "," in kind:
        raise KubectlError("arguments in resource/name form must have a single resource and name")
    return kind, name


def _unique(mappings: list[Mapping]) -> list[Mapping]:
    return list({(m.group, m.version, m.kind): m for m in reversed(mappings)}.values())[::-1]


@dataclass(slots=True)
class _Builder:
    session: Session
    fetch: bool
    accept: str
    query: dict[str, str]
    labels: str
    fields: str
    stop_at_first: bool

    def by_name(self, named: list[tuple[Mapping, str]]) -> Selection:
        result = Selection([], [], single=len(named) == 1, named=True)
        for mapping, name in named:
            namespace = self.session.namespace if mapping.namespaced else ""
            if self.session.args.get("all-namespaces") and mapping.namespaced:
                raise KubectlError("a resource cannot be retrieved by name across all namespaces")
            if not name:
                raise KubectlError("resource name may not be empty")
            info = Info(mapping, namespace, name, {})
            if self.fetch:
                try:
                    path = mapping.path(namespace, name, self.session.args.get("subresource", ""))
                    info.obj = self.session.send("GET", path, self.query, accept=self.accept)
                except ApiError as error:
                    self._failed(result, error)
                    continue
            result.infos.append(info)
        return result

    def by_selector(self, mappings: list[Mapping]) -> Selection:
        result = Selection([], [])
        for mapping in mappings:
            everywhere = self.session.args.get("all-namespaces")
            namespace = self.session.namespace if mapping.namespaced and not everywhere else ""
            try:
                self._list(result, mapping, namespace)
            except ApiError as error:
                self._failed(result, self._explained(error, mapping))
        return result

    def _list(self, result: Selection, mapping: Mapping, namespace: str) -> None:
        query = dict(self.query)
        if self.labels:
            query["labelSelector"] = self.labels
        if self.fields:
            query["fieldSelector"] = self.fields
        chunk = self.session.args.get("chunk-size", 500)
        if chunk and "includeObject" not in query:
            query["limit"] = str(chunk)
        while True:
            body = self.session.send("GET", mapping.path(namespace), query, accept=self.accept)
            if body.get("kind") == "Table":
                result.infos.append(Info(mapping, namespace, "", body))
            else:
                result.infos += [_item(mapping, item) for item in body.get("items") or ()]
            token = (body.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    def _explained(self, error: ApiError, mapping: Mapping) -> ApiError:
        if error.reason not in ("BadRequest", "NotFound"):
            return error
        if self.labels or self.fields:
            text = (
                f"Unable to find {quote(mapping.gvr)} that match label selector {quote(self.labels)}, "
                f"field selector {quote(self.fields)}: {error.message}"
            )
        else:
            text = f"Unable to list {quote(mapping.gvr)}: {error.message}"
        return ApiError(error.status | {"message": text})

    def by_files(self, files: list[str], latest: bool) -> Selection:
        result = Selection([], [])
        gathers = self.session.args.command in ("get", "describe")
        for document in manifests.read(self.session, files):
            try:
                if isinstance(document, Exception):
                    raise document
                info = of_document(self.session, document)
            except KubectlError as failure:
                self._failed(result, Several([failure]) if gathers else failure)
                continue
            try:
                if latest:
                    info.obj = self.session.send("GET", info.path, self.query, accept=self.accept)
                result.infos.append(info)
            except (ApiError, KubectlError) as failure:
                self._failed(result, failure)
        result.single = len(result.infos) == 1 and not result.failures
        return result

    def _failed(self, result: Selection, failure: Exception) -> None:
        if self.stop_at_first:
            raise failure
        result.failures.append(failure)


def _item(mapping: Mapping, item: Obj) -> Info:
    meta = item["metadata"]
    obj = {"apiVersion": mapping.api_version, "kind": mapping.kind} | item
    return Info(mapping, meta.get("namespace", ""), meta["name"], obj)


def of_document(session: Session, document: manifests.Document) -> Info:
    """The object of a file: its resource is looked up and its namespace filled in.

    Raises:
        KubectlError: no such kind, or another namespace than the command's.
    """
    obj = document.obj
    meta = obj.get("metadata") or {}
    name, namespace = (_text(meta, field) for field in ("name", "namespace"))
    mapping = session.resources.of_kind(obj.get("apiVersion") or "", obj["kind"])
    if mapping is None and document.listed:
        text = f"unable to recognize no matches for kind {quote(obj['kind'])} in version {quote(obj['apiVersion'])}"
        raise Several([KubectlError(text)])
    if mapping is None:
        raise KubectlError(
            f"resource mapping not found for name: {quote(name)} namespace: {quote(namespace)} from "
            f"{quote(document.source)}: no matches for kind {quote(obj['kind'])} in version "
            f"{quote(obj.get('apiVersion') or '')}\nensure CRDs are installed first"
        )
    if mapping.namespaced:
        if session.namespace_given and namespace and namespace != session.namespace:
            raise KubectlError(
                f"the namespace from the provided object {quote(namespace)} does not match the namespace "
                f"{quote(session.namespace)}. You must pass '--namespace={namespace}' to perform this operation."
            )
        namespace = namespace or session.namespace
        if isinstance(meta, dict):
            obj = obj | {"metadata": {**meta, "namespace": namespace}}
    return Info(mapping, namespace if mapping.namespaced else "", name, obj, document.source)


def _text(meta: Any, field: str) -> str:
    """A text of the metadata, empty where it is something else (the server will say so)."""
    value = meta.get(field) if isinstance(meta, dict) else None
    return value if isinstance(value, str) else ""


def as_list(infos: list[Info]) -> dict[str, Any]:
    """The objects as one ``v1`` List, as ``get -o yaml`` prints several."""
    return {
        "apiVersion": "v1",
        "items": [info.obj for info in infos],
        "kind": "List",
        "metadata": {"resourceVersion": ""},
    }
