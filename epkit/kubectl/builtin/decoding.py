"""What kubectl finds wrong with an object of a file before it sends anything, and in which words.

Source: ``k8s.io/kubectl/pkg/validation/schema.go`` and ``k8s.io/cli-runtime/pkg/resource/scheme.go``.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from epkit.kubectl.builtin.failures import KubectlError
from epkit.kubectl.builtin.gotext import quote
from epkit.objects import Obj

#: the commands that hold an object against the schema first
VALIDATING = ("apply", "create", "replace")

_TEXTS = ("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion")


def validate(value: Any, source: str) -> None:
    """Hold an object against the schema, as far as kubectl itself does.

    Raises:
        KubectlError: it is no object or has no kind.
    """
    faults = kind_faults(value)
    if not faults and value["kind"] == "List" and value["apiVersion"] == "v1":
        inside = value.get("items")
        listed = [kind_faults(item) for item in inside] if isinstance(inside, list) else [[_NO_OBJECT]]
        faults = list(dict.fromkeys(fault for each in listed for fault in each))
    if faults:
        shown = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        raise KubectlError(
            f"error validating {quote(source)}: error validating data: {shown}; if you choose to ignore these errors, "
            "turn validation off with --validate=false"
        )


def items(value: Obj) -> Iterator[Obj | Exception]:
    """The items of a List; those of a ``ConfigMapList`` may leave their kind out."""
    kind = value["kind"].removesuffix("List")
    for item in value["items"]:
        if kind and isinstance(item, dict) and item.get("kind") is None and item.get("apiVersion") is None:
            item = {"apiVersion": value["apiVersion"], "kind": kind} | item
        missing = _missing(item, "object has no {} field")
        if missing:
            yield KubectlError(f'unable to get type info from the object "*unstructured.Unstructured": {missing}')
        else:
            yield item


def is_list(value: Obj) -> bool:
    return value["kind"].endswith("List") and isinstance(value.get("items"), list)


_NO_OBJECT = "invalid object to validate"


def kind_faults(value: Any) -> list[str]:
    """What is wrong with the kind of an object."""
    if not isinstance(value, dict):
        return [_NO_OBJECT]
    faults = []
    for field in ("apiVersion", "kind"):
        if value.get(field) in (None, ""):
            faults.append(f"{field} not set")
        elif not isinstance(value[field], str):
            faults.append(f"{field} isn't string type")
    return faults


def fault(value: Any) -> str:
    """Why JSON text with this value is no object, as Go's decoder says it; empty when it is one."""
    if not isinstance(value, dict):
        return _mismatch(value, "value of type unstructured.detector")
    if not isinstance(value.get("kind"), str) or not value["kind"]:
        return f"Object 'Kind' is missing in '{json.dumps(value, separators=(',', ':'), ensure_ascii=False)}'"
    if value.get("apiVersion") is not None and not isinstance(value["apiVersion"], str):
        return _mismatch(value["apiVersion"], "struct field metadataOnlyObject.apiVersion of type string")
    if is_list(value):
        odd = [item for item in value["items"] if item is not None and not isinstance(item, dict)]
        return _mismatch(odd[0], "value of type map[string]interface {}") if odd else ""
    meta = value.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        return _mismatch(meta, "struct field metadataOnlyObject.metadata of type v1.ObjectMeta")
    return _metadata_fault(meta or {})


def typed_fault(kind: str, value: Obj) -> str:
    """The same for the spec and the selector of a workload or a Service."""
    spec = value.get("spec")
    if not isinstance(spec, dict | None):
        return _mismatch(spec, f"struct field {kind}.spec of type v1.{kind}Spec")
    selector = (spec or {}).get("selector")
    of = "map[string]string" if kind in ("Service", "ReplicationController") else "v1.LabelSelector"
    if kind != "Pod" and not isinstance(selector, dict | None):
        return _mismatch(selector, f"struct field {kind}Spec.spec.selector of type {of}")
    return ""


def _metadata_fault(meta: Obj) -> str:
    for field, value in meta.items():
        where = f"struct field ObjectMeta.metadata.{field} of type"
        if field in _TEXTS and not isinstance(value, str | None):
            return _mismatch(value, f"{where} string")
        if field in ("labels", "annotations") and value is not None:
            if not isinstance(value, dict):
                return _mismatch(value, f"{where} map[string]string")
            odd = [each for each in value.values() if not isinstance(each, str | None)]
            if odd:
                return _mismatch(odd[0], f"{where} string")
        if field == "finalizers" and not isinstance(value, list | None):
            return _mismatch(value, f"{where} []string")
        if field == "ownerReferences" and not isinstance(value, list | None):
            return _mismatch(value, f"{where} []v1.OwnerReference")
    return ""


def _missing(item: Any, words: str) -> str:
    for name, field in (("Kind", "kind"), ("apiVersion", "apiVersion")):
        if not isinstance(item, dict) or not isinstance(item.get(field), str) or not item[field]:
            return f"Object '{name}' is missing in '{words.format(field)}{' ' if name == 'Kind' else ''}'"
    return ""


def _mismatch(value: Any, into: str) -> str:
    return f"json: cannot unmarshal {_json_kind(value)} into Go {into}"


def _json_kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"
