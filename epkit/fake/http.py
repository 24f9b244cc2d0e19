"""Requests and answers in bytes: paths, media types, tables, errors. No socket: :mod:`epkit.fake.server` has those.

The official Python client and a browser kernel call :meth:`Http.handle` in process; the loopback server calls it for
everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

import orjson

from epkit.fake import health, kinds, reviews, subresources, tokens
from epkit.fake.api import Api
from epkit.fake.kinds.base import Kind, forbidden, invalid
from epkit.fake.lists import ListResult
from epkit.fake.requests import Options, Route, delete_options, is_true, route_of, serves, write_options
from epkit.fake.watches import Watch, WatchEvent
from epkit.fake.wire import decode, discovery, errors, openapi, patches, protobuf, tables
from epkit.objects import Obj

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "epkit",
    "compiler": "epkit",
    "platform": "python/any",
}


@dataclass(slots=True)
class Response:
    """An answer; with `watch` set, its body is the stream of that watch's events."""

    code: int
    body: bytes
    content_type: str = JSON
    warnings: list[str] = field(default_factory=list)
    retry_after: int = 0
    watch: Stream | None = None


class Feed(Protocol):
    """What comes bit by bit: a watch, or a log that is followed."""

    @property
    def ended(self) -> bool:
        """It ends after what is left to take."""

    def take(self) -> list[Any]:
        """What has come since the last call."""

    def close(self) -> None: ...


class Below(Protocol):
    """Who answers for subresources that are no objects: a pod's log and exec."""

    def answer(
        self,
        method: str,
        route: Route,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        notify: Callable[[], None],
    ) -> Response: ...


class Stream:
    """A watch, or a log that is followed, and how what it gives is written."""

    def __init__(self, watch: Feed, encode: Callable[[list[Any]], bytes], timeout: float | None) -> None:
        self.watch = watch
        self.encode = encode
        #: seconds after which the server ends the watch, or None
        self.timeout = timeout


class Http:
    """The API server's front: bytes in, bytes out.

    >>> http.handle("GET", "/api/v1/namespaces/default/services", "", {}, b"").code
    200
    """

    def __init__(self, api: Api, metrics: Callable[[], str] | None = None) -> None:
        self.api = api
        #: by which a plane with nodes answers for them
        self.below: dict[tuple[str, str], Below] = {}
        self._metrics = metrics or (lambda: "")
        self._discovery = discovery.Discovery(kinds.KINDS)

    def handle(
        self,
        method: str,
        path: str,
        query_string: str,
        headers: Mapping[str, str],
        body: bytes,
        notify: Callable[[], None] = lambda: None,
    ) -> Response:
        """Answer one request. `headers` have lower-case names; `notify` is told of a watch's new events."""
        accept = _Accept(headers.get("accept", ""))
        try:
            if len(body) > errors.MAX_BODY_BYTES:
                raise errors.body_too_large()
            query = dict(parse_qsl(query_string, keep_blank_values=True))
            document = self._document(method, path, accept, query)
            if document is not None:
                return document
            if method == "POST" and path in reviews.PATHS:
                return Response(201, orjson.dumps(reviews.answer(path, self._plain_body(headers, body))))
            if not serves(path):
                return Response(404, b"404 page not found\n", "text/plain; charset=utf-8")
            route = route_of(path)
            return self._resource(method, route, query, headers, body, accept, notify)
        except errors.ApiError as error:
            return self._failure(error)

    def _document(self, method: str, path: str, accept: _Accept, query: Mapping[str, str]) -> Response | None:
        """What is no resource: versions, health, metrics, discovery, OpenAPI, access reviews."""
        if path in ("/version", "/version/"):
            return Response(200, orjson.dumps(VERSION))
        if (healthy := health.answer(path, query)) is not None:
            return Response(healthy[0], healthy[1].encode(), "text/plain; charset=utf-8")
        if path == "/metrics":
            return Response(200, self._metrics().encode(), "text/plain; version=0.0.4; charset=utf-8")
        if path == "/openapi/v2":
            return Response(200, openapi.EMPTY_V2, openapi.V2_TYPE)
        if path.startswith("/openapi/v3"):
            found = openapi.document(path, kinds.KINDS)
            if found is None:
                return Response(404, b"404 page not found\n", "text/plain; charset=utf-8")
            return Response(200, found)
        if path.count("/") <= 4 and method == "GET":
            answer = self._discovery.answer(path, accept.text)
            if answer is not None:
                return Response(200, answer[0], answer[1])
        return None

    def _resource(
        self,
        method: str,
        route: Route,
        query: dict[str, str],
        headers: Mapping[str, str],
        body: bytes,
        accept: _Accept,
        notify: Callable[[], None],
    ) -> Response:
        accept.check()
        kind, actor = route.kind, headers.get("user-agent", "")
        if route.subresource and not subresources.served(route):
            return self._action(method, route, query, headers, body, actor, notify)
        warnings = [kind.deprecation] if kind.deprecation else []
        try:
            match method:
                case "GET" | "HEAD":
                    if not route.name:
                        if is_true(query.get("watch", "")):
                            return self._watch(route, query, accept, notify, warnings)
                        return self._listed(self.api.list(route, query), accept, warnings, query)
                    return self._object(
                        200, subresources.view(route, self.api.get(route, query)), route, accept, warnings, query
                    )
                case "POST" if not route.name:
                    options = write_options(query, "CreateOptions", actor)
                    obj = self._body(route, headers, body, options)
                    created = self.api.create(route, obj, options)
                    return self._object(201, created, route, accept, warnings + options.warnings, query)
                case "PUT" if route.name:
                    options = write_options(query, "UpdateOptions", actor)
                    obj = self._body(route, headers, body, options)
                    updated, was_created = self.api.update(route, obj, options)
                    shown = subresources.view(route, updated)
                    return self._object(
                        201 if was_created else 200, shown, route, accept, warnings + options.warnings, query
                    )
                case "PATCH" if route.name:
                    options = write_options(query, "PatchOptions", actor)
                    patch_type = _media_type(headers.get("content-type", ""))
                    if "force" in query and patch_type in patches.TYPES and patch_type != patches.APPLY:
                        fault = forbidden("force", "may not be specified for non-apply patch")
                        raise errors.invalid("PatchOptions", "", [fault], "meta.k8s.io")
                    if patch_type == patches.APPLY:
                        options.field_manager = query.get("fieldManager", "")  # who applies has to say so
                    patched, was_created = self.api.patch(route, body, patch_type, options)
                    shown = subresources.view(route, patched)
                    return self._object(
                        201 if was_created else 200, shown, route, accept, warnings + options.warnings, query
                    )
                case "DELETE":
                    given = self._delete_options(headers, body)
                    if not route.name:
                        return self._listed(
                            self.api.delete_collection(route, query, given, actor), accept, warnings, query
                        )
                    if route.subresource:
                        raise errors.method_not_allowed()
                    answer, gone = self.api.delete(route, query, given, delete_options(query, given, actor))
                    return self._object(200, answer, route, accept, warnings, query)
            raise errors.method_not_allowed()
        except errors.ApiError as error:
            return self._failure(error, warnings)

    def _action(
        self, method: str, route: Route, query: dict[str, str], headers: Mapping[str, str], body: bytes, actor: str,
        notify: Callable[[], None],
    ) -> Response:
        """Subresources that are not read and written like objects."""
        if route.kind.plural == "pods" and method == "POST" and route.subresource in ("binding", "eviction"):
            options = write_options(query, "CreateOptions", actor)
            sent = self._body(route, headers, body, options)
            act = subresources.bind if route.subresource == "binding" else subresources.evict
            return Response(201, orjson.dumps(act(self.api, route, sent, options)))
        if (route.kind.plural, route.subresource) == ("serviceaccounts", "token") and method == "POST":
            return Response(201, orjson.dumps(tokens.create(self.api, route, self._plain_body(headers, body))))
        below = self.below.get((route.kind.plural, route.subresource))
        if below is not None:
            return below.answer(method, route, query, headers, notify)
        raise errors.missing_route()

    # -- bodies ----------------------------------------------------------------------------------------------------

    def _body(self, route: Route, headers: Mapping[str, str], body: bytes, options: Options) -> Obj:
        media_type = _media_type(headers.get("content-type", "")) or JSON
        if media_type not in decode.MEDIA_TYPES:
            raise errors.unsupported_media_type()
        name = subresources.schema(route)
        try:
            obj, faults = decode.decode_body(body, media_type, route.kind, name)
            if faults and options.field_validation == "Strict":
                raise decode.strict_fault(faults, route.kind, name)
        except decode.DecodeError as error:
            raise errors.bad_request(str(error)) from None
        if options.field_validation == "Warn":
            options.warnings += faults
        return obj

    def _plain_body(self, headers: Mapping[str, str], body: bytes) -> Obj:
        if not body:
            return {}
        media_type = _media_type(headers.get("content-type", "")) or JSON
        try:
            if media_type == PROTOBUF:
                return protobuf.decode(body)
            if media_type in (JSON, "application/yaml"):
                return decode.load(body, media_type)
        except decode.DecodeError as error:
            raise errors.bad_request(str(error)) from None
        raise errors.unsupported_media_type()

    def _delete_options(self, headers: Mapping[str, str], body: bytes) -> Obj | None:
        return self._plain_body(headers, body) if body else None

    # -- answers ---------------------------------------------------------------------------------------------------

    def _object(
        self, code: int, obj: Obj, route: Route, accept: _Accept, warnings: list[str], query: Mapping[str, str]
    ) -> Response:
        if obj.get("kind") == "Status":
            return Response(code, orjson.dumps(obj), warnings=warnings)
        if accept.form == "Table":
            return Response(code, orjson.dumps(self._table([obj], route.kind, accept, query, None)), warnings=warnings)
        if accept.form == "PartialObjectMetadata":
            return Response(code, orjson.dumps(tables.partial(obj, accept.version)), warnings=warnings)
        return Response(code, self.encode(obj), warnings=warnings)

    def _listed(self, result: ListResult, accept: _Accept, warnings: list[str], query: Mapping[str, str]) -> Response:
        kind = result.kind
        if accept.form == "Table":
            table = self._table(result.items, kind, accept, query, result.meta())
            return Response(200, orjson.dumps(table), warnings=warnings)
        if accept.form == "PartialObjectMetadataList":
            return Response(
                200, orjson.dumps(tables.partial_list(result.items, result.meta(), accept.version)), warnings=warnings
            )
        head = orjson.dumps(
            {"kind": kind.list_kind or kind.kind + "List", "apiVersion": kind.api_version, "metadata": result.meta()}
        )
        items = b",".join(map(self.api.store.encoded, result.items))
        return Response(200, b'%s,"items":[%s]}' % (head[:-1], items), warnings=warnings)

    def _table(
        self,
        items: list[Obj],
        kind: Kind,
        accept: _Accept,
        query: Mapping[str, str],
        meta: Obj | None,
        now: float | None = None,
    ) -> Obj:
        now = self.api.clock.now if now is None else now
        include = query.get("includeObject", "")
        if include not in ("", "None", "Metadata", "Object"):
            fault = invalid("includeObject", include, "must be 'Metadata', 'Object', 'None', or empty")
            raise errors.bad_request(f"Unable to convert to Table as requested: {fault}")
        return tables.table(items, kind, now, query.get("includeObject", ""), accept.version, meta)

    def _watch(
        self, route: Route, query: dict[str, str], accept: _Accept, notify: Callable[[], None], warnings: list[str]
    ) -> Response:
        if query.get("limit"):
            _number(query["limit"])
        timeout = _number(query["timeoutSeconds"]) if query.get("timeoutSeconds") else None
        if route.name:
            query = {**query, "fieldSelector": f"metadata.name={route.name}"}
        watch = Watch(self.api.store, route.kind, route.namespace, query, notify)
        seen_header = False

        def as_objects(events: list[WatchEvent]) -> bytes:
            return b"".join(
                event.shared.line(self.encode)
                if event.shared is not None
                else b'{"type":"%s","object":%s}\n' % (event.type.encode(), self.encode(event.obj))
                for event in events
            )

        def as_tables(events: list[WatchEvent]) -> bytes:
            nonlocal seen_header
            lines = []
            for event in events:
                if event.type in ("ERROR", "BOOKMARK"):
                    lines.append(orjson.dumps({"type": event.type, "object": event.obj}) + b"\n")
                    continue
                meta = {"resourceVersion": event.obj["metadata"].get("resourceVersion", "")}
                table = self._table([event.obj], route.kind, accept, query, meta, event.time)
                if seen_header:
                    table["columnDefinitions"] = None
                seen_header = True
                lines.append(orjson.dumps({"type": event.type, "object": table}) + b"\n")
            return b"".join(lines)

        stream = Stream(watch, as_tables if accept.form == "Table" else as_objects, timeout)
        return Response(200, b"", warnings=warnings, watch=stream)

    def encode(self, obj: Obj) -> bytes:
        """The JSON of an object; that of a stored one is joined from its cached bytes."""
        if "metadata" not in obj or obj.get("kind") in ("Status", "Scale"):
            return orjson.dumps(obj)
        head = b'{"kind":"%s","apiVersion":"%s",' % (obj["kind"].encode(), obj["apiVersion"].encode())
        return head + self.api.store.encoded(obj)[1:]

    def _failure(self, error: errors.ApiError, warnings: list[str] | None = None) -> Response:
        retry_after = (error.status.get("details") or {}).get("retryAfterSeconds", 0)
        return Response(error.code, orjson.dumps(error.status), warnings=warnings or [], retry_after=retry_after)


_FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


class _Accept:
    """The Accept header: JSON, and as which form."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.form = ""
        self.version = "v1"
        self._ok = not text
        for part in text.split(","):
            media_type, *parameters = (piece.strip() for piece in part.split(";"))
            values = dict(piece.split("=", 1) for piece in parameters if "=" in piece)
            if media_type in (JSON, "*/*", "application/*"):
                form, version = values.get("as", ""), values.get("v", "v1")
                if form and (form not in _FORMS or version not in ("v1", "v1beta1")):
                    continue
                self._ok, self.form, self.version = True, form, version
                return

    def check(self) -> None:
        if not self._ok:
            raise errors.not_acceptable(decode.MEDIA_TYPES)


def _media_type(content_type: str) -> str:
    return content_type.split(";", 1)[0].strip().lower()


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


__all__ = ["Http", "Response", "Stream"]
