"""The four kinds of patch: which body they take, how they apply, and what the API server says when they do not.

After ``k8s.io/apiserver/pkg/endpoints/handlers/patch.go``.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from epkit.fake.wire import decode, errors, faults, gojson, goyaml, jsonpatch, schema, strategic
from epkit.fake.wire.decode import DecodeError
from epkit.fake.wire.gotext import go_quote, go_value
from epkit.fake.wire.schema import Definition, Field

if TYPE_CHECKING:
    from epkit.fake.kinds.base import Kind

Obj = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TYPES = (JSON_PATCH, MERGE, STRATEGIC, APPLY)

MAX_OPERATIONS = 10_000

_OPERATION = Definition("io.k8s.api.handlers.jsonPatchOp", {
    "op": Field("op", "string"), "path": Field("path", "string"), "from": Field("from", "string"),
    "value": Field("value", "any"),
})


def parse(patch_type: str, body: bytes, kind: Kind, validation: str = "Warn") -> tuple[Any, list[str]]:
    """The patch in `body`, decoded, and what strict validation minds of it, such as keys that stand twice.

    `patch_type` is the content type without parameters. Raises ApiError: 415 for no patch type, 400 for a body that
    cannot be read, 413 for too many operations.
    """
    if patch_type not in TYPES:
        raise errors.unsupported_patch_type()
    if patch_type == APPLY:
        return _parse_apply(body, validation)
    checked = validation in ("Strict", "Warn")
    prefix = "error decoding patch: " if checked and patch_type != STRATEGIC else ""
    try:
        raw = gojson.read(body)
    except ValueError as fault:
        raise errors.bad_request(f"{prefix}{fault}") from None
    if patch_type == JSON_PATCH:
        return _parse_operations(raw, prefix)
    if raw is None:
        return {}, []
    if type(raw) is not gojson.Pairs:
        what = faults.json_type(raw)
        raise errors.bad_request(
            f"{prefix}json: cannot unmarshal {what} into Go value of type map[string]interface {{}}")
    return gojson.plain(raw), faults.duplicates(raw) if checked else []


def _parse_operations(raw: Any, prefix: str) -> tuple[Any, list[str]]:
    go_type = "handlers.jsonPatchOp" if prefix else "jsonpatch.Operation"
    if raw is None:
        return [], []
    if type(raw) is not list:
        kind = "[]handlers.jsonPatchOp" if prefix else "jsonpatch.Patch"
        raise errors.bad_request(
            f"{prefix}json: cannot unmarshal {faults.json_type(raw)} into Go value of type {kind}")
    strict: list[str] = []
    for i, one in enumerate(raw):
        if not prefix and one is not None and type(one) is not gojson.Pairs:
            what = faults.json_type(one)
            raise errors.bad_request(f"json: cannot unmarshal {what} into Go value of type {go_type}")
        if prefix:
            try:
                strict += faults.inspect(one, _OPERATION, f"[{i}]", go_type)[1]
            except faults.TypeFault as fault:
                raise errors.bad_request(f"{prefix}{fault}") from None
    if len(raw) > MAX_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(raw)}"
        raise errors.ApiError(errors.status(413, "RequestEntityTooLarge", f"Request entity too large: {text}"))
    return gojson.plain(raw), [f"json patch {fault}" for fault in strict]


def _parse_apply(body: bytes, validation: str) -> tuple[Any, list[str]]:
    try:
        value, duplicates = goyaml.load_strict(body)
    except goyaml.YamlError as fault:
        raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: {fault}") from None
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise errors.bad_request(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
            f"{faults.json_type(value)} into Go value of type map[string]interface {{}}")
    if duplicates and validation == "Strict":
        raise errors.bad_request(f"error strict decoding YAML: error converting YAML to JSON: {duplicates}")
    strict = [f"error converting YAML to JSON: {duplicates}"] if duplicates and validation == "Warn" else []
    return value, strict


def apply(patch_type: str, document: Obj, patch: Any, name: str | None = None) -> Obj:
    """`document` with a decoded patch applied, not yet checked against its types; neither is changed.

    `name` is the definition of `document`; without one its apiVersion and kind tell. Raises ApiError.
    """
    if patch_type == MERGE:
        merged: Obj = jsonpatch.merge(document, patch)
        return merged
    if patch_type == JSON_PATCH:
        try:
            patched: Obj = jsonpatch.apply(document, patch)
        except jsonpatch.PatchError:
            raise errors.rejected_patch() from None
        return patched
    try:
        return strategic.merge(document, patch, name or definition_of(document))
    except strategic.StrategicError as fault:
        text = str(fault)
        if text in (strategic.BAD_PRIMITIVE_LIST, strategic.BAD_RETAIN_KEYS, strategic.BAD_ORDER_LIST):
            raise errors.bad_request(text) from None
        if text == strategic.LISTS_OF_LISTS:
            raise errors.rejected_patch() from None
        raise errors.unknown(text) from None


def definition_of(document: Obj) -> str:
    """The name of the definition of an object, by its apiVersion and kind."""
    group, _, version = document["apiVersion"].rpartition("/")
    return schema.kinds()[(group, version, document["kind"])]


def patched(
    patch_type: str, document: Obj, body: bytes, kind: Kind, name: str | None, validation: str
) -> tuple[Obj, list[str]]:
    """`document` after a patch from a client: read, applied, and checked against its types.

    `name` is the definition of `document` where that is not the kind's own; `validation` is ``fieldValidation``.
    Returns the object and the texts of warnings. Raises ApiError.
    """
    patch, strict = parse(patch_type, body, kind, validation)
    raw = apply(patch_type, document, patch, name or kind.schema)
    try:
        if patch_type == STRATEGIC:
            obj, found = decode.decode_unstructured(raw, kind, name)
        else:
            obj, found = decode.decode_object(raw, kind, name)
    except DecodeError as fault:
        raise _invalid(patch_type, raw, patch, fault.cause) from None
    strict = strict + found
    if strict and validation == "Strict":
        raise _invalid(patch_type, raw, patch, decode.strict_message(strict))
    return obj, strict if validation == "Warn" else []


class _Fault:
    """The one field error of a patch whose result is no object of its kind."""

    reason = "FieldValueInvalid"
    path = "patch"

    def __init__(self, message: str) -> None:
        self.message = message


def _invalid(patch_type: str, raw: Any, patch: Any, why: str) -> errors.ApiError:
    shown = go_value(patch) if patch_type == STRATEGIC else orjson.dumps(raw, option=orjson.OPT_SORT_KEYS).decode()
    return errors.invalid("", "", [_Fault(f"Invalid value: {go_quote(shown)}: {why}")])
