"""Protobuf bodies: what real kubectls sent, and every kind there and back."""
from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from epkit.fake import kinds
from epkit.fake.wire import decode, protobuf, schema

RECORDED = json.loads(Path(__file__).with_name("protobuf_bodies.json").read_text())["bodies"]
POD = next(one for one in kinds.KINDS if one.kind == "Pod")


@pytest.mark.parametrize("recorded", [one for one in RECORDED if one["dry_run"]], ids=lambda one: one["command"])
def test_a_body_is_what_kubectl_prints(recorded: dict[str, Any]) -> None:
    found = protobuf.decode(base64.b64decode(recorded["body"]))
    printed = recorded["dry_run"]
    group, _, version = printed["apiVersion"].rpartition("/")
    expected, strict = decode.decode_raw(printed, schema.kinds()[group, version, printed["kind"]])
    assert not strict
    assert found == {**expected, "kind": printed["kind"], "apiVersion": printed["apiVersion"]}


@pytest.mark.parametrize(("command", "kind", "spec"), [
    ("auth can-i list pods --namespace demo", "SelfSubjectAccessReview",
     {"resourceAttributes": {"namespace": "demo", "verb": "list", "resource": "pods"}}),
    ("auth can-i get /healthz", "SelfSubjectAccessReview",
     {"nonResourceAttributes": {"path": "/healthz", "verb": "get"}}),
    ("auth can-i --list", "SelfSubjectRulesReview", {"namespace": "default"}),
    ("auth whoami", "SelfSubjectReview", None),
    ("create token robot --duration=10m", "TokenRequest",
     {"audiences": None, "boundObjectRef": None, "expirationSeconds": 600}),
])
def test_questions(command: str, kind: str, spec: Any) -> None:
    body = base64.b64decode(next(one["body"] for one in RECORDED if one["command"] == command))
    found = protobuf.decode(body)
    assert found["kind"] == kind and found.get("spec") == spec


# A small encoder, the other way round, so that every kind can be tried.


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, payload: Any) -> bytes:
    if isinstance(payload, int):
        return _varint(number << 3) + _varint(payload)
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _payload(type_: str, value: Any) -> Any:
    if type_ == "string":
        return value.encode()
    if type_ in ("int32", "int64", "bool"):
        return int(value)
    if type_ == "bytes":
        return base64.b64decode(value)
    if type_.endswith((".Time", ".MicroTime")):
        moment = datetime.fromisoformat(value)
        return _field(1, int(moment.timestamp())) + _field(2, moment.microsecond * 1000)
    if type_.endswith(".Quantity"):
        return _field(1, value.encode())
    if type_.endswith(".IntOrString"):
        return _field(1, 0) + _field(2, value) if isinstance(value, int) else _field(1, 1) + _field(3, value.encode())
    if type_.endswith((".FieldsV1", ".RawExtension")):
        return _field(1, json.dumps(value).encode())
    if type_.endswith(".ExtraValue"):
        return b"".join(_field(1, item.encode()) for item in value)
    return _message(type_, value)


def _message(name: str, obj: dict[str, Any]) -> bytes:
    fields = protobuf._raw_messages()[name]
    by_name = {field.lower() for field in obj}
    out = b""
    for number, (field, cardinality, type_) in fields.items():
        value = next((item for key, item in obj.items() if key.lower() == field.lower()), None)
        if value is None:
            inlined = type_ in protobuf._raw_messages() and field.lower() not in by_name and cardinality == "o"
            known = {one.lower() for one in schema.definition(protobuf._definition_name(name)).fields}
            if inlined and field.lower() not in known:
                out += _field(int(number), _payload(type_, obj))
        elif cardinality == "r":
            out += b"".join(_field(int(number), _payload(type_, item)) for item in value)
        elif cardinality == "m":
            out += b"".join(_field(int(number), _field(1, key.encode()) + _field(2, _payload(type_, item)))
                            for key, item in value.items())
        else:
            out += _field(int(number), _payload(type_, value))
    return out


def encoded(obj: dict[str, Any], name: str) -> bytes:
    about = _field(1, obj["apiVersion"].encode()) + _field(2, obj["kind"].encode())
    return protobuf.MAGIC + _field(1, about) + _field(2, _message(protobuf._message_name(name), obj))


def _sample(name: str, depth: int = 0) -> dict[str, Any]:
    """An object of the definition with every field set, a few levels deep."""
    made: dict[str, Any] = {}
    message = protobuf._raw_messages().get(protobuf._message_name(name), {})
    on_the_wire = {field[0] for field in message.values()}
    for field in schema.definition(name).fields.values():
        if field.name in ("kind", "apiVersion") and field.name not in on_the_wire:
            continue  # protobuf carries them for the whole body only
        if field.leaf:
            one: Any = {"string": "text", "bytes": "AP8=", "bool": True, "int32": -3, "int64": 2**40, "float64": 1.0,
                        "quantity": "1500m", "intorstring": 80, "time": "2026-01-02T03:04:05Z",
                        "microtime": "2026-01-02T03:04:05.000006Z", "any": {"f:a": {}}}[field.type]
        elif depth > 6 or field.type.endswith("EphemeralContainerCommon"):
            continue
        else:
            one = _sample(field.type, depth + 1)
        one = [one] if field.list else one
        made[field.name] = {"key": one} if field.map else one
    return made


@pytest.mark.parametrize("gvk", sorted(schema.kinds()), ids=lambda gvk: gvk[2])
def test_every_kind_there_and_back(gvk: tuple[str, str, str]) -> None:
    group, version, kind = gvk
    name = schema.kinds()[gvk]
    if protobuf._message_name(name) not in protobuf._raw_messages():
        pytest.skip(f"{kind} is never sent as protobuf")
    obj = {**_sample(name), "kind": kind, "apiVersion": f"{group}/{version}" if group else version}
    obj.get("metadata", {}).pop("selfLink", None)
    expected, strict = decode.decode_raw(obj, name)
    assert not strict
    found = protobuf.decode(encoded(obj, name))
    different = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    assert different == []  # the objects themselves are too large to be shown


UNRECOGNISED = "the object provided is unrecognized (must be of type Pod): "


@pytest.mark.parametrize(("body", "text"), [
    (b"", UNRECOGNISED + "empty data (<empty>)"),
    (b"{}", UNRECOGNISED + "provided data does not appear to be a protobuf message, "
            "expected prefix [107 56 115 0] ({})"),
    (b"k8s\x00", UNRECOGNISED + "empty body (6b387300)"),
    (b"k8s\x00\x0a\xff", UNRECOGNISED + "unexpected EOF (6b3873000aff)"),
    (b"k8s\x00\x08\x01", UNRECOGNISED + "proto: wrong wireType = 0 for field TypeMeta (6b3873000801)"),
    (b"k8s\x00\x12\x02\x0a\x05", 'Pod in version "v1" cannot be handled as a Pod: unexpected EOF'),
    (b"k8s\x00\x12\x02\x00\x00", 'Pod in version "v1" cannot be handled as a Pod: '
                                  "proto: Pod: illegal tag 0 (wire type 0)"),
    (b"k8s\x00\x12\x01\x0c", 'Pod in version "v1" cannot be handled as a Pod: '
                             "proto: Pod: wiretype end group for non-group"),
])
def test_broken_bodies(body: bytes, text: str) -> None:
    with pytest.raises(decode.DecodeError) as caught:
        decode.decode_body(body, protobuf.MEDIA_TYPE, POD)
    assert caught.value.message == text


def test_a_message_cut_anywhere_is_refused_or_a_shorter_one() -> None:
    body = base64.b64decode(RECORDED[0]["body"])
    for end in range(len(body)):
        try:
            protobuf.decode(body[:end])
        except decode.DecodeError:
            continue


def test_unknown_fields_are_passed_over() -> None:
    body = encoded({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "a"}}, "io.k8s.api.core.v1.Namespace")
    body += _field(900, b"later") + _field(901, 5)
    assert protobuf.decode(body)["metadata"] == {"name": "a"}
