"""Makes ``epkit/fake/wire/data`` from what Kubernetes itself publishes.

    python tools/make_wire_data.py --openapi DIR --protobuf protobuf-fields.json --kubectl KUBECTL

`DIR` holds the OpenAPI v3 documents of an API server, one file a group-version, as ``kubectl get --raw
/openapi/v3/api/v1`` gives them. `protobuf-fields.json` maps message -> field number -> [name, o(ne) | r(epeated) |
m(ap), type], read from the ``generated.proto`` files. `KUBECTL` is a kubectl for Linux/amd64: its Go type information
tells which fields are pointers, which have ``omitempty`` and what their Go types are called.
"""
from __future__ import annotations

import argparse
import gzip
import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

from go_types import Program

DATA = Path(__file__).resolve().parent.parent / "epkit" / "fake" / "wire" / "data"

ROOTS = """
    core.v1: Binding ConfigMap Endpoints Event Namespace Node Pod PodTemplate Secret Service ServiceAccount
    apps.v1: ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet
    authentication.v1: SelfSubjectReview TokenRequest
    authorization.v1: SelfSubjectAccessReview SelfSubjectRulesReview
    autoscaling.v1: Scale
    batch.v1: Job
    coordination.v1: Lease
    discovery.v1: EndpointSlice
    networking.v1: NetworkPolicy
    policy.v1: Eviction PodDisruptionBudget
"""
META_ROOTS = ("DeleteOptions", "Status", "ListMeta", "LabelSelector", "ObjectMeta")
META = "io.k8s.apimachinery.pkg.apis.meta.v1."

#: Definitions that are one value in JSON, with decoders of their own.
LEAVES = {
    META + "Time": "time",
    META + "MicroTime": "microtime",
    META + "FieldsV1": "any",
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "intorstring",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
}

#: Fields that are younger than the kubectl that is read, where the general rule for them is wrong:
#: field -> (pointer, omitempty, Go type or "").
_CORE = "io.k8s.api.core.v1."
YOUNGER: dict[str, tuple[bool, bool, str]] = {
    _CORE + "ContainerRestartRule.action": (False, True, "v1.ContainerRestartRuleAction"),
    _CORE + "ContainerRestartRuleOnExitCodes.operator": (False, True, "v1.ContainerRestartRuleOnExitCodesOperator"),
    _CORE + "FileKeySelector.optional": (True, True, ""),
    _CORE + "PodSchedulingGroup.podGroupName": (True, True, ""),
    _CORE + "PodSpec.hostnameOverride": (True, True, ""),
    _CORE + "ResourceHealth.message": (True, True, ""),
}

#: Tags that changed after the kubectl that is read: metadata.creationTimestamp has ``omitzero`` since v1.34.
OMITTED_WHEN_ZERO = {META + "ObjectMeta.creationTimestamp"}


def load_openapi(folder: Path) -> dict[str, dict[str, Any]]:
    definitions: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        for name, schema in json.loads(path.read_text())["components"]["schemas"].items():
            definitions.setdefault(name, schema)
    return definitions


def roots() -> list[str]:
    names = [META + kind for kind in META_ROOTS]
    for line in ROOTS.strip().splitlines():
        group, kinds = line.strip().split(": ")
        names += [f"io.k8s.api.{group}.{kind}" for kind in kinds.split()]
    return names


def reference(schema: dict[str, Any]) -> str:
    found = schema.get("$ref") or (schema.get("allOf") or [{}])[0].get("$ref", "")
    return str(found).rsplit("/", 1)[-1]


def reachable(definitions: dict[str, dict[str, Any]]) -> list[str]:
    seen: set[str] = set()
    queue = roots()
    while queue:
        name = queue.pop()
        if name in seen or name in LEAVES:
            continue
        seen.add(name)
        for schema in definitions[name].get("properties", {}).values():
            for part in (schema, schema.get("items", {}), schema.get("additionalProperties", {}),
                         schema.get("additionalProperties", {}).get("items", {})):
                if reference(part):
                    queue.append(reference(part))
    return sorted(seen)


def go_name(definition: str) -> str:
    """``io.k8s.api.core.v1.Pod`` -> ``k8s.io/api/core/v1.Pod``."""
    parts = definition.split(".")
    return "k8s.io/" + "/".join(parts[2:-1]) + "." + parts[-1]


def go_fields(program: Program, address: int) -> dict[str, tuple[int, bool]]:
    """JSON name -> (type, omitempty), embedded structs opened up, in the order of the Go struct."""
    found: dict[str, tuple[int, bool]] = {}
    for field in program.fields(address):
        match = re.search(r'json:"([^"]*)"', field.tag)
        name, _, options = (match.group(1) if match else field.name).partition(",")
        if "inline" in options or (field.embedded and not name):
            found.update(go_fields(program, field.type))
        elif name != "-":
            found[name] = (field.type, "omitempty" in options or "omitzero" in options)
    return found


def value_type(schema: dict[str, Any]) -> str:
    name = reference(schema)
    if name:
        return LEAVES.get(name, name)
    kind, form = schema.get("type", ""), schema.get("format", "")
    if kind == "string":
        return "bytes" if form == "byte" else "string"
    if kind == "integer":
        return str(form)
    if kind == "number":
        return "float64"
    return {"boolean": "bool", "object": "any", "": "any"}[kind]


def describe(schema: dict[str, Any]) -> dict[str, Any]:
    """The type part of a field: ``list``/``map`` say how often the type stands, ``type`` what it is."""
    if schema.get("type") == "array":
        return {"list": True, "type": value_type(schema["items"])}
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        if extra.get("type") == "array":
            return {"map": True, "list": True, "type": value_type(extra["items"])}
        return {"map": True, "type": value_type(extra)}
    return {"type": value_type(schema)}


def plain_go_type(entry: dict[str, Any]) -> str:
    """The Go type that a field has unless its entry says otherwise; `epkit.fake.wire.schema` has the same rule."""
    name = {"bytes": "[]uint8", "time": "v1.Time", "microtime": "v1.MicroTime", "quantity": "resource.Quantity",
            "intorstring": "intstr.IntOrString"}.get(entry["type"], entry["type"])
    if name.startswith("io.k8s."):
        name = "v1." + name.rsplit(".", 1)[-1]
    return ("map[string]" if entry.get("map") else "") + ("[]" if entry.get("list") else "") + name


def make_fields(name: str, definition: dict[str, Any], program: Program, address: int | None,
                missing: list[str]) -> dict[str, Any]:
    known = go_fields(program, address) if address else {}
    properties = definition.get("properties", {})
    fields: dict[str, Any] = {}
    for field in [*(key for key in known if key in properties), *(key for key in properties if key not in known)]:
        schema = properties[field]
        entry = describe(schema)
        if field in known:
            type_, omit = known[field]
            pointer = program.base(type_) == "pointer"
            while program.base(type_) == "pointer":
                type_ = program.element(type_)
            go = program.name(type_)
            if go != plain_go_type(entry):
                entry["go"] = go
        else:
            scalar = entry["type"] in ("string", "bytes", "any") or entry.get("list") or entry.get("map")
            pointer = not scalar and "default" not in schema
            omit = field not in definition.get("required", ())
            if f"{name}.{field}" in YOUNGER:
                pointer, omit, go = YOUNGER[f"{name}.{field}"]
                if go:
                    entry["go"] = go
            else:
                missing.append(f"{name}.{field} {entry} {pointer=} {omit=} default={schema.get('default')!r}")
        if f"{name}.{field}" in OMITTED_WHEN_ZERO:
            entry["zero"] = True
        if pointer:
            entry["pointer"] = True
        if omit:
            entry["omit"] = True
        if field in definition.get("required", ()):
            entry["required"] = True
        default = schema.get("default")
        if default not in (None, {}) and (omit or default not in ("", 0, False)):
            entry["default"] = default
        enum = schema.get("enum") or schema.get("items", {}).get("enum")
        if enum:
            entry["enum"] = enum
        for key, short in (("x-kubernetes-list-type", "list_type"),
                           ("x-kubernetes-list-map-keys", "keys"), ("x-kubernetes-patch-strategy", "strategy"),
                           ("x-kubernetes-patch-merge-key", "merge_key"), ("x-kubernetes-map-type", "map_type")):
            if key in schema:
                entry[short] = schema[key]
        fields[field] = entry
    return fields


def zipped(data: Any) -> bytes:
    return gzip.compress(json.dumps(data, separators=(",", ":"), sort_keys=False).encode(), 9, mtime=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--openapi", type=Path, required=True)
    parser.add_argument("--protobuf", type=Path, required=True)
    parser.add_argument("--kubectl", type=Path, required=True)
    arguments = parser.parse_args()

    definitions = load_openapi(arguments.openapi)
    program = Program(arguments.kubectl)
    structs = program.structs()
    types: dict[str, Any] = {}
    texts: dict[str, Any] = {}
    missing: list[str] = []
    for name in reachable(definitions):
        definition = definitions[name]
        address = structs.get(go_name(name))
        if address is None:
            missing.append(f"{name}: no such struct")
        entry: dict[str, Any] = {"fields": make_fields(name, definition, program, address, missing)}
        if "x-kubernetes-map-type" in definition:
            entry["map_type"] = definition["x-kubernetes-map-type"]
        if "x-kubernetes-unions" in definition:
            entry["unions"] = definition["x-kubernetes-unions"]
        kinds = definition.get("x-kubernetes-group-version-kind", ())
        if len(kinds) == 1:
            entry["kind"] = [kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"]]
        types[name] = entry
        properties = definition.get("properties", {})
        texts[name] = [definition.get("description", ""),
                       {field: schema.get("description", "") for field, schema in properties.items()}]
    for name in LEAVES:
        texts[name] = [definitions[name].get("description", ""), {}]

    messages = json.loads(arguments.protobuf.read_text())
    DATA.mkdir(parents=True, exist_ok=True)
    (DATA / "types.json.gz").write_bytes(zipped(types))
    (DATA / "descriptions.json.xz").write_bytes(lzma.compress(
        json.dumps(texts, separators=(",", ":")).encode(), preset=9 | lzma.PRESET_EXTREME))
    (DATA / "protobuf.json.gz").write_bytes(zipped(messages))
    print(f"{len(types)} definitions", *missing, sep="\n  ", file=sys.stderr)


if __name__ == "__main__":
    main()
