"""Reads a JSON or YAML body as the API server does: checked against the kind's types, in the form it is given back.

The form is that of a round trip through the Go types: unknown fields and nulls go, empty lists and maps too, what has
no ``omitempty`` is always there (``"status": {}``, ``"endpoints": null``), quantities and times become canonical.

A body without fault takes a fast path, :mod:`.normal`. Anything odd, such as an unknown field or a string for a number,
goes through :mod:`.faults`, which finds the words for it and returns the body without the oddity.
"""
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from epkit.fake.wire import faults, gojson, goyaml, normal, schema

if TYPE_CHECKING:
    from epkit.fake.kinds.base import Kind

Obj = dict[str, Any]

#: What a body may be, in the order in which the API server lists it.
MEDIA_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")

#: Versions that the API server's scheme still knows beside the one that is served, by group.
_OLDER_VERSIONS = {
    "apps": ("v1beta1", "v1beta2"), "authentication.k8s.io": ("v1beta1",), "authorization.k8s.io": ("v1beta1",),
    "coordination.k8s.io": ("v1beta1",), "discovery.k8s.io": ("v1beta1",), "policy": ("v1beta1",),
}

#: The place of the API server's scheme, which it names when it does not know a kind.
_SCHEME = "pkg/api/legacyscheme/scheme.go:30"

#: The Go type into which a body is read for its kind and version.
_TYPE_META = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'


class DecodeError(ValueError):
    """A body that cannot be read: 400 BadRequest. `cause` is the text without what the handler puts in front of it."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause or message


def decode_body(body: bytes, media_type: str, kind: Kind, name: str | None = None) -> tuple[Obj, list[str]]:
    """The object in the body of a POST or PUT, of any media type in :data:`MEDIA_TYPES`; else as :func:`decode_json`.

    `name` is the definition of the body where that is not the kind's own, such as that of a Scale.
    """
    if media_type != "application/vnd.kubernetes.protobuf":
        return decode_json(body, kind, name, media_type)
    from epkit.fake.wire import protobuf

    target = _Target(kind, name)
    try:
        envelope = protobuf.unwrap(body)
    except DecodeError as fault:
        raise DecodeError(_unrecognised(target, fault.message, body), fault.message) from None
    _check_type_meta(envelope.api_version or None, envelope.kind or None, target, body)
    try:
        return _named(protobuf.decode_message(envelope.raw, target.name), target), []
    except DecodeError as fault:
        raise _refused(target, fault.message) from None


def decode_json(
    body: bytes, kind: Kind, name: str | None = None, media_type: str = "application/json"
) -> tuple[Obj, list[str]]:
    """The object in `body` and the faults that only strict validation minds, such as ``unknown field "spec.colour"``.

    `media_type` may also be ``application/yaml``. Raises :class:`DecodeError` with the message that the API server
    gives. The object carries the right kind and apiVersion.
    """
    target = _Target(kind, name)
    raw, strict = _read(body, media_type, target)
    if raw is not None and type(raw) is not dict and type(raw) is not gojson.Pairs:
        what = faults.json_type(raw)
        text = ("couldn't get version/kind; json parse error: json: cannot unmarshal "
                f"{what} into Go value of type {_TYPE_META}")
        raise DecodeError(_unrecognised(target, text, body), text)
    fields = raw if type(raw) is dict else dict(raw or ())
    _check_type_meta(fields.get("apiVersion"), fields.get("kind"), target, body)
    exact = body if media_type == "application/json" else None
    try:
        obj, found = decode_raw(raw, target.name, exact=exact)
    except DecodeError as fault:
        raise _refused(target, fault.message) from None
    return _named(obj, target), strict + found


def decode_object(obj: Obj, kind: Kind, name: str | None = None) -> tuple[Obj, list[str]]:
    """As :func:`decode_json`, for an object that is decoded already, such as what a patch made; `obj` is left alone.

    The text of a :class:`DecodeError` is then the bare one of the decoder.
    """
    target = _Target(kind, name)
    decoded, strict = decode_raw(obj, target.name)
    return _named(decoded, target), strict


def decode_unstructured(obj: Obj, kind: Kind, name: str | None = None) -> tuple[Obj, list[str]]:
    """As :func:`decode_object`, by the rules and in the words of ``runtime.DefaultUnstructuredConverter``."""
    target = _Target(kind, name)
    decoded, strict = decode_raw(obj, target.name, unstructured=True)
    return _named(decoded, target), strict


def load(body: bytes, media_type: str = "application/json") -> Any:
    """The plain JSON value in `body`, whatever its kind. Raises :class:`DecodeError` with the bare text."""
    try:
        if media_type == "application/yaml":
            return goyaml.load(body)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            return gojson.plain(gojson.read(body))
    except ValueError as fault:
        raise DecodeError(str(fault)) from None


def decode_raw(
    raw: Any, name: str, unstructured: bool = False, exact: bytes | None = None
) -> tuple[Obj, list[str]]:
    """`raw` as the definition `name`, without regard to its kind and apiVersion; see :func:`decode_object`.

    `exact` is the body that `raw` was read from, for errors that show a number as it stood there.
    """
    try:
        return normal.decoder(name)(raw), []
    except (normal.Odd, KeyError, TypeError, ValueError, RecursionError):
        pass
    try:
        if exact is not None:
            raw = gojson.read(exact)
        cleaned, strict = faults.inspect(raw, schema.definition(name), unstructured=unstructured)
        return normal.decoder(name)(cleaned), strict
    except RecursionError:
        raise DecodeError("exceeded max depth") from None
    except faults.TypeFault as fault:
        raise DecodeError(str(fault)) from None


def cannot_be_handled(kind: str, version: str, wanted: str, why: str) -> str:
    """The message of a body whose kind was recognised and whose content was not."""
    return f'{kind} in version "{version}" cannot be handled as a {wanted}: {why}'


def unknown_kind(kind: str, api_version: str, wanted: str) -> str:
    """The message of a body whose kind no API group knows."""
    version = api_version.rsplit("/", 1)[-1]
    return cannot_be_handled(kind, version, wanted,
                             f'no kind "{kind}" is registered for version "{api_version}" in scheme "{_SCHEME}"')


def strict_message(strict: list[str]) -> str:
    """The text under which ``fieldValidation=Strict`` rejects: the faults, joined."""
    return "strict decoding error: " + ", ".join(strict)


def strict_fault(strict: list[str], kind: Kind, name: str | None = None) -> DecodeError:
    """What ``fieldValidation=Strict`` answers to the faults that :func:`decode_json` found."""
    return _refused(_Target(kind, name), strict_message(strict))


class _Target:
    """What a body must be: the kind that the URL serves, or that of a subresource."""

    __slots__ = ("api_version", "group", "kind", "name", "version")

    def __init__(self, kind: Kind, name: str | None) -> None:
        self.group, self.version, self.kind, self.name = kind.group, kind.version, kind.kind, kind.schema
        if name is not None and name != kind.schema:
            self.name = name
            self.group, self.version, self.kind = schema.definition(name).kind or ("", "v1", name.rsplit(".", 1)[-1])
        self.api_version = f"{self.group}/{self.version}" if self.group else self.version


def _refused(target: _Target, why: str) -> DecodeError:
    return DecodeError(cannot_be_handled(target.kind, target.version, target.kind, why), why)


def _named(obj: Obj, target: _Target) -> Obj:
    obj["kind"] = target.kind
    obj["apiVersion"] = target.api_version
    return obj


def _read(body: bytes, media_type: str, target: _Target) -> tuple[Any, list[str]]:
    """The value in `body`, with :class:`gojson.Pairs` where keys stand twice, and what YAML minds of it."""
    if media_type == "application/yaml":
        try:
            raw, duplicates = goyaml.load_strict(body)
        except goyaml.YamlError as fault:
            raise DecodeError(_unrecognised(target, str(fault), body), str(fault)) from None
        return raw, [duplicates] if duplicates else []
    try:
        raw = orjson.loads(body)
        # Encoding it again is the cheapest proof that a compact body holds no key twice.
        if orjson.dumps(raw) != body.rstrip() and _has_duplicates(body):
            raw = gojson.read(body)
        return raw, []
    except orjson.JSONDecodeError:
        pass
    try:
        return gojson.read(body), []
    except ValueError as fault:
        text = f"couldn't get version/kind; json parse error: {fault}"
        raise DecodeError(_unrecognised(target, text, body), text) from None


def _has_duplicates(body: bytes) -> bool:
    found = False

    def unique(pairs: list[tuple[str, Any]]) -> Obj:
        nonlocal found
        made = dict(pairs)
        found = found or len(made) != len(pairs)
        return made

    json.loads(body, object_pairs_hook=unique)
    return found


def _unrecognised(target: _Target, why: str, body: bytes) -> str:
    return f"the object provided is unrecognized (must be of type {target.kind}): {why} ({_summary(body)})"


def _summary(body: bytes, most: int = 30) -> str:
    if not body:
        return "<empty>"
    more = " ..." if len(body) > most else ""
    return (body[:most].decode("utf-8", "replace") if body[:1] == b"{" else body[:most].hex()) + more


def _check_type_meta(api_version: Any, name: Any, kind: _Target, body: bytes) -> None:
    """Refuses a body that says it is of another kind or version."""
    if name == kind.kind and api_version == kind.api_version:
        return
    for value, field in ((api_version, "apiVersion"), (name, "kind")):
        if value is not None and type(value) is not str:
            text = ("couldn't get version/kind; json parse error: json: cannot unmarshal "
                    f"{faults.json_type(value)} into Go struct field .{field} of type string")
            raise DecodeError(_unrecognised(kind, text, body), text)
    if api_version and api_version.count("/") > 1:
        text = f"unexpected GroupVersion string: {api_version}"
        raise DecodeError(_unrecognised(kind, text, body), text)
    group, _, version = (api_version or "").rpartition("/")
    if not version and group in ("", kind.group):
        group, version = kind.group, kind.version
    _check_kind(group, version, name or kind.kind, kind)


def _check_kind(group: str, version: str, name: str, kind: _Target) -> None:
    api_version = f"{group}/{version}" if group else version
    if (name, api_version) == (kind.kind, kind.api_version):
        return
    if (group, kind.kind) == (kind.group, name) and version in _OLDER_VERSIONS.get(group, ()):
        raise DecodeError(f"the API version in the data ({api_version}) does not match the expected API version "
                          f"({kind.api_version})")
    if (group, version, name) not in schema.kinds():
        raise DecodeError(unknown_kind(name, api_version, kind.kind))
    package = (kind.group or "core").split(".", 1)[0]
    why = f"converting ({version}.{name}) to ({package}.{kind.kind}): unknown conversion"
    raise DecodeError(cannot_be_handled(name, version, kind.kind, why), why)
