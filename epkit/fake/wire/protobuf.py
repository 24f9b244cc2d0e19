"""Reads bodies of the type ``application/vnd.kubernetes.protobuf``, which kubectl 1.32 and newer sends for ``create``.

Such a body is four magic bytes and a ``runtime.Unknown``: the kind, and the object as a protobuf message. The field
numbers are data (``data/protobuf.json.gz``). The texts of errors are those of the code that gogo/protobuf generates.
"""
from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson

from epkit.fake.wire import schema
from epkit.fake.wire.decode import DecodeError, decode_raw

Obj = dict[str, Any]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"

_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)


class ProtobufError(DecodeError):
    """A body that is no protobuf message of its kind."""


class Envelope:
    """A ``runtime.Unknown``: what the body says it is, and the message itself."""

    def __init__(self, api_version: str, kind: str, raw: bytes) -> None:
        self.api_version = api_version
        self.kind = kind
        self.raw = raw


def decode(body: bytes) -> Obj:
    """The object in `body` in JSON form, as :func:`epkit.fake.wire.decode.decode_json` would give it.

    Raises :class:`~epkit.fake.wire.decode.DecodeError` with the bare text of the decoder.

    >>> decode(b"k8s\\x00\\n\\x0f\\n\\x02v1\\x12\\tNamespace\\x12\\x00")["kind"]
    'Namespace'
    """
    envelope = unwrap(body)
    group, _, version = envelope.api_version.rpartition("/")
    name = schema.kinds().get((group, version, envelope.kind))
    if name is None:
        raise ProtobufError(f'no kind "{envelope.kind}" is registered for version "{envelope.api_version}"')
    return {"kind": envelope.kind, "apiVersion": envelope.api_version, **decode_message(envelope.raw, name)}


def unwrap(body: bytes) -> Envelope:
    """The envelope around the message in `body`. Raises ProtobufError."""
    if not body:
        raise ProtobufError("empty data")
    if body[:4] != MAGIC:
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    if len(body) == 4:
        raise ProtobufError("empty body")
    unknown = _read(body, 4, len(body), _messages()["~runtime.Unknown"], "Unknown")
    about = unknown.get("typeMeta", {})
    return Envelope(about.get("apiVersion", ""), about.get("kind", ""), base64.b64decode(unknown.get("raw", "")))


def decode_message(raw: bytes, name: str) -> Obj:
    """The protobuf message `raw` of the definition `name` as a JSON object. Raises ProtobufError."""
    table = _table(_message_name(name))
    return decode_raw(_read(raw, 0, len(raw), table, name.rsplit(".", 1)[-1]), name)[0]


# One entry of a table: the JSON name ("" for an inlined message), the cardinality, how to read it, and the sub-table.
_Entry = tuple[str, str, str, "dict[int, Any] | None"]


@cache
def _raw_messages() -> dict[str, dict[str, list[str]]]:
    data = schema.DATA / "protobuf.json.gz"
    loaded: dict[str, dict[str, list[str]]] = orjson.loads(gzip.decompress(data.read_bytes()))
    return loaded


class _Tables(dict[str, dict[int, _Entry]]):
    def __missing__(self, name: str) -> dict[int, _Entry]:
        return _table(name)


@cache
def _messages() -> _Tables:
    return _Tables()


def _message_name(definition: str) -> str:
    if definition.startswith("io.k8s.api."):
        return definition.removeprefix("io.k8s.api.")
    return "~" + definition.removeprefix("io.k8s.apimachinery.pkg.")


def _definition_name(message: str) -> str:
    if message.startswith("~"):
        return "io.k8s.apimachinery.pkg." + message[1:]
    return "io.k8s.api." + message


#: Messages that are one value in JSON -> how to make it of their fields.
_VALUES = {
    "~apis.meta.v1.Time": "time", "~apis.meta.v1.MicroTime": "microtime", "~api.resource.Quantity": "quantity",
    "~util.intstr.IntOrString": "intorstring", "~apis.meta.v1.FieldsV1": "raw", "~runtime.RawExtension": "raw",
    "authentication.v1.ExtraValue": "items", "authorization.v1.ExtraValue": "items",
}


@cache
def _table(message: str) -> dict[int, _Entry]:
    """Field number -> how to read the field, for one message."""
    try:
        known = schema.definition(_definition_name(message)).fields
    except KeyError:
        known = {}
    by_lower = {name.lower(): name for name in known}
    table: dict[int, _Entry] = {}
    for number, (name, cardinality, type_) in _raw_messages()[message].items():
        is_message = type_ in _raw_messages()
        # A message that JSON does not show by its name is inlined there: PodSpec's volumes have no "volumeSource".
        inlined = bool(known) and is_message and cardinality == "o" and name.lower() not in by_lower
        table[int(number)] = (
            "" if inlined else by_lower.get(name.lower(), name), cardinality,
            _VALUES.get(type_, "message" if is_message else type_), _table(type_) if is_message else None,
        )
    return table


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if shift >= 64:
            raise ProtobufError("proto: integer overflow")
        if at >= end:
            raise ProtobufError("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7


def _read(data: bytes, at: int, end: int, table: dict[int, _Entry], message: str) -> Obj:
    """The fields of the message in data[at:end]."""
    made: Obj = {}
    while at < end:
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = _varint(data, at - 1, end)
        number, wire = tag >> 3, tag & 7
        if wire == _END_GROUP:
            raise ProtobufError(f"proto: {message}: wiretype end group for non-group")
        if number == 0:
            raise ProtobufError(f"proto: {message}: illegal tag {number} (wire type {wire})")
        entry = table.get(number)
        if entry is None:
            at = _skip(data, at, end, wire)
            continue
        name, cardinality, type_, sub = entry
        if wire == _BYTES:
            if at < end and data[at] < 0x80:
                length = data[at]
                at += 1
            else:
                length, at = _varint(data, at, end)
            stop = at + length
            if length >= 1 << 63:
                raise ProtobufError("proto: negative length found during unmarshaling")
            if stop > end:
                raise ProtobufError("unexpected EOF")
            if cardinality == "m":
                key, value = _map_entry(data, at, stop, type_, sub)
                made.setdefault(name, {})[key] = value
            elif type_ == "string":
                _put(made, name, cardinality, data[at:stop].decode("utf-8", "replace"))
            elif type_ in _INTEGERS:
                _packed(made, name, cardinality, type_, data, at, stop, wire)
            elif name:
                _put(made, name, cardinality, _bytes_value(data, at, stop, type_, sub, name))
            else:
                made.update(_read(data, at, stop, sub or {}, type_))
            at = stop
        elif wire == _VARINT and type_ in _INTEGERS:
            value, at = _varint(data, at, end)
            _put(made, name, cardinality, _INTEGERS[type_](value))
        else:
            raise ProtobufError(f"proto: wrong wireType = {wire} for field {name[:1].upper()}{name[1:]}")
    return made


def _put(made: Obj, name: str, cardinality: str, value: Any) -> None:
    if cardinality == "r":
        made.setdefault(name, []).append(value)
    else:
        made[name] = value


def _packed(
    made: Obj, name: str, cardinality: str, type_: str, data: bytes, at: int, stop: int, wire: int
) -> None:
    if cardinality != "r":
        raise ProtobufError(f"proto: wrong wireType = {wire} for field {name[:1].upper()}{name[1:]}")
    values = made.setdefault(name, [])
    while at < stop:
        value, at = _varint(data, at, stop)
        values.append(_INTEGERS[type_](value))


def _signed(bits: int) -> Callable[[int], int]:
    top, whole = 1 << (bits - 1), 1 << bits

    def convert(value: int) -> int:
        value &= whole - 1
        return value - whole if value & top else value

    return convert


_INTEGERS: dict[str, Callable[[int], Any]] = {"bool": bool, "int32": _signed(32), "int64": _signed(64)}

_MAP_VALUE = 2


def _map_entry(
    data: bytes, at: int, end: int, type_: str, sub: dict[int, _Entry] | None
) -> tuple[str, Any]:
    entry = _read(data, at, end, {1: ("key", "o", "string", None), _MAP_VALUE: ("value", "o", type_, sub)}, "entry")
    value = entry.get("value")
    if value is None:
        value = {"quantity": "0", "items": [], "message": {}}.get(type_, "")
    return entry.get("key", ""), value


def _bytes_value(data: bytes, at: int, stop: int, type_: str, sub: dict[int, _Entry] | None, name: str) -> Any:
    if type_ == "bytes":
        return base64.b64encode(data[at:stop]).decode()
    fields = _read(data, at, stop, sub or {}, name[:1].upper() + name[1:])
    if type_ == "message":
        return fields
    return _VALUE_MAKERS[type_](fields)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(fields: Obj) -> datetime | None:
    seconds, nanos = fields.get("seconds", 0), fields.get("nanos", 0)
    if not seconds and not nanos:
        return None  # Go writes its zero time so
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise ProtobufError("Time.MarshalJSON: year outside of range [0,9999]") from None


def _time(fields: Obj) -> str | None:
    moment = _moment(fields)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None


def _micro_time(fields: Obj) -> str | None:
    moment = _moment(fields)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" if moment else None


def _int_or_string(fields: Obj) -> Any:
    return fields.get("strVal", "") if fields.get("type") else fields.get("intVal", 0)


def _raw_json(fields: Obj) -> Any:
    raw = base64.b64decode(next(iter(fields.values()), ""))
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError as fault:
        raise ProtobufError(f"error unmarshaling JSON: {fault}") from None


_VALUE_MAKERS: dict[str, Callable[[Obj], Any]] = {
    "time": _time, "microtime": _micro_time, "quantity": lambda fields: fields.get("string") or "0",
    "intorstring": _int_or_string, "raw": _raw_json, "items": lambda fields: fields.get("items", []),
}


def _skip(data: bytes, at: int, end: int, wire: int) -> int:
    """Passes over a field that the schema does not know. Such a field is not an error, as in Go."""
    if wire == _VARINT:
        return _varint(data, at, end)[1]
    if wire in (_FIXED32, _FIXED64):
        at += 4 if wire == _FIXED32 else 8
    elif wire == _BYTES:
        length, at = _varint(data, at, end)
        at += length
    elif wire == _GROUP:
        depth = 1
        while depth:
            tag, at = _varint(data, at, end)
            if tag & 7 == _GROUP:
                depth += 1
            elif tag & 7 == _END_GROUP:
                depth -= 1
            else:
                at = _skip(data, at, end, tag & 7)
    else:
        raise ProtobufError(f"proto: illegal wireType {wire}")
    if at > end:
        raise ProtobufError("unexpected EOF")
    return at
