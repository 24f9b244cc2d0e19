"""OpenAPI v3: the index at ``/openapi/v3`` and a document for each group-version.

kubectl reads them before it creates, applies, edits or explains. The schemas are complete, with their descriptions; the
paths say what kubectl looks for: which kinds can be patched, with which patch types and with ``fieldValidation``.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from epkit.fake.wire import schema
from epkit.fake.wire.schema import LEAVES, META, Field

if TYPE_CHECKING:
    from epkit.fake.kinds.base import Kind

Obj = dict[str, Any]

_REF = "#/components/schemas/"
_ROOT = "/openapi/v3"
_MEDIA_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_PATCH_TYPES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json",
                "application/strategic-merge-patch+json")
_ALWAYS = ("DeleteOptions", "ListMeta", "ObjectMeta", "Status")
_SCALE = ("io.k8s.api.autoscaling.v1.Scale", ("autoscaling", "v1", "Scale"))

_LEAF_SCHEMAS: dict[str, Obj] = {
    "any": {"type": "object"}, "bool": {"type": "boolean"}, "bytes": {"type": "string", "format": "byte"},
    "float64": {"type": "number", "format": "double"}, "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"}, "string": {"type": "string"},
}
_LEAF_DEFINITIONS: dict[str, Obj] = {
    "any": {"type": "object"},
    "intorstring": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "microtime": {"type": "string", "format": "date-time"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "time": {"type": "string", "format": "date-time"},
}

#: OpenAPI v2 holds nothing here: kubectl 1.29 and newer look into it only for kinds that v3 does not name, and take
#: "not there" for an answer. The bytes are an ``openapi.v2.Document`` in protobuf, with its version alone.
EMPTY_V2 = b"\x0a\x032.0"
V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def document(path: str, kinds: Iterable[Kind]) -> bytes | None:
    """The document at `path`, such as ``/openapi/v3`` or ``/openapi/v3/apis/apps/v1``; None if there is none.

    The documents are made when they are first asked for, and kept.
    """
    path, kinds = path.rstrip("/"), tuple(kinds)
    key = (path, *(kind.schema for kind in kinds))
    if key not in _made:
        _made[key] = _document(path, kinds)
    return _made[key]


_made: dict[tuple[str, ...], bytes | None] = {}


def _document(path: str, kinds: tuple[Kind, ...]) -> bytes | None:
    paths = {_base(kind).lstrip("/"): kind for kind in kinds}
    if path == _ROOT:
        return orjson.dumps({"paths": {
            base: {"serverRelativeURL": f"{_ROOT}/{base}?hash={_hash(base, kinds)}"} for base in sorted(paths)}})
    base = path.removeprefix(_ROOT + "/")
    if base not in paths:
        return None
    of_version = [kind for kind in kinds if _base(kind) == f"/{base}"]
    return orjson.dumps({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "1.36"},
        "paths": {path: operations for kind in of_version for path, operations in _paths(kind)},
        "components": {"schemas": _schemas(of_version)},
    })


def _base(kind: Kind) -> str:
    return f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"


def _hash(base: str, kinds: tuple[Kind, ...]) -> str:
    """Changes with what the document says, so that a client may cache it."""
    said = ",".join(sorted(kind.schema for kind in kinds if _base(kind) == f"/{base}"))
    return hashlib.sha256(f"1.36 {base} {said}".encode()).hexdigest().upper()


def _gvk(kind: tuple[str, str, str]) -> Obj:
    return dict(zip(("group", "version", "kind"), kind, strict=True))


def _parameter(name: str, type_: str = "string") -> Obj:
    return {"name": name, "in": "query", "schema": {"type": type_, "uniqueItems": True}}


_WRITE_PARAMETERS = [_parameter("dryRun"), _parameter("fieldManager"), _parameter("fieldValidation")]


def _paths(kind: Kind) -> Iterable[tuple[str, Obj]]:
    own = (kind.schema, (kind.group, kind.version, kind.kind))
    collection = _base(kind) + ("/namespaces/{namespace}" if kind.namespaced else "") + f"/{kind.plural}"
    if kind.namespaced:
        yield f"{_base(kind)}/{kind.plural}", {"get": _operation("list", *own)}
    yield collection, {
        "get": _operation("list", *own),
        "post": _operation("post", *own, _MEDIA_TYPES[:1]),
        "delete": _operation("deletecollection", *own),
    }
    yield f"{collection}/{{name}}", {**_item(*own), "delete": _operation("delete", *own)}
    if kind.scale:
        yield f"{collection}/{{name}}/scale", _item(*_SCALE)
    if kind.status:
        yield f"{collection}/{{name}}/status", _item(*own)


def _item(name: str, kind: tuple[str, str, str]) -> Obj:
    return {
        "get": _operation("get", name, kind),
        "put": _operation("put", name, kind, _MEDIA_TYPES[:1]),
        "patch": _operation("patch", name, kind, _PATCH_TYPES),
    }


def _operation(action: str, name: str, kind: tuple[str, str, str], bodies: tuple[str, ...] = ()) -> Obj:
    ref = {"schema": {"$ref": _REF + name}}
    made: Obj = {
        "responses": {"200": {"description": "OK", "content": dict.fromkeys(_MEDIA_TYPES, ref)}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
    }
    if bodies:
        made["parameters"] = _WRITE_PARAMETERS + ([_parameter("force", "boolean")] if action == "patch" else [])
        sent = {"schema": {"$ref": _REF + META + "Patch"}} if action == "patch" else ref
        made["requestBody"] = {"content": dict.fromkeys(bodies, sent), "required": True}
    return made


def _schemas(kinds: Iterable[Kind]) -> Obj:
    wanted = {META + name for name in _ALWAYS}
    for kind in kinds:
        wanted.update(schema.reachable(kind.schema))
        if kind.scale:
            wanted.update(schema.reachable(_SCALE[0]))
    wanted.update(name for start in tuple(wanted) for name in schema.reachable(start))
    leaves = {name: leaf for leaf, name in LEAVES.items() if name}
    leaves |= dict.fromkeys(schema.ANY.values(), "any")
    made: Obj = {META + "Patch": {
        "description": "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.",
        "type": "object"}}
    for name in sorted(wanted):
        if name in leaves:
            made[name] = {"description": schema.description(name), **_LEAF_DEFINITIONS[leaves[name]]}
        else:
            made[name] = _definition(name)
    return made


def _definition(name: str) -> Obj:
    definition = schema.definition(name)
    made: Obj = {"description": schema.description(name), "type": "object"}
    required = [field.name for field in definition.fields.values() if field.required]
    if required:
        made["required"] = required
    made["properties"] = {field.name: _property(name, field) for field in definition.fields.values()}
    if definition.kind:
        made["x-kubernetes-group-version-kind"] = [_gvk(definition.kind)]
    if definition.unions:
        made["x-kubernetes-unions"] = definition.unions
    if definition.map_type:
        made["x-kubernetes-map-type"] = definition.map_type
    return made


def _property(name: str, field: Field) -> Obj:
    made: Obj = {"description": schema.description(name, field.name)}
    ref = field.definition
    one: Obj = {"$ref": _REF + ref} if ref else dict(_LEAF_SCHEMAS[field.type])
    if field.enum:
        one["enum"] = list(field.enum)
    if field.list:
        one = {"type": "array", "items": one}
    if field.map:
        one = {"type": "object", "additionalProperties": one}
    default = _default(field)
    if default is not None:
        made["default"] = default
    made.update({"allOf": [one]} if "$ref" in one else one)
    for key, value in (
        ("x-kubernetes-list-map-keys", list(field.keys)), ("x-kubernetes-list-type", field.list_type),
        ("x-kubernetes-map-type", field.map_type), ("x-kubernetes-patch-merge-key", field.merge_key),
        ("x-kubernetes-patch-strategy", field.strategy),
    ):
        if value:
            made[key] = value
    return made


def _default(field: Field) -> Any:
    """What the OpenAPI generator states for a field that Go always writes."""
    if field.default is not None:
        return field.default
    if field.struct and field.type not in ("intorstring", "quantity", "time", "microtime"):
        return {}
    if field.omit or field.pointer or field.list or field.map:
        return None
    return {"string": "", "int32": 0, "int64": 0, "bool": False}.get(field.type)
