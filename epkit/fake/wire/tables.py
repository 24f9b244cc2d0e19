"""Tables and partial objects: the forms of an answer that ``kubectl get`` and metadata clients ask for.

Source: ``k8s.io/apiserver/pkg/endpoints/handlers/response.go``.
"""
from __future__ import annotations

from typing import Any

from epkit.fake.kinds.base import Column, Kind
from epkit.objects import Obj

_DESCRIPTIONS = {
    "Name": "Name must be unique within a namespace.",
    "Age": "CreationTimestamp is a timestamp representing the server time when this object was created.",
}


def table(items: list[Obj], kind: Kind, now: float, include: str, version: str, meta: Obj | None) -> Obj:
    """A ``meta.k8s.io`` Table of objects; `include` is None, Metadata (the default) or Object."""
    rows = []
    for obj in items:
        cells = kind.row(obj, now) if kind.row is not None else [obj["metadata"]["name"], ""]
        row: Obj = {"cells": cells}
        if kind.row_conditions is not None and (conditions := kind.row_conditions(obj)):
            row["conditions"] = conditions
        row["object"] = _included(obj, include, version)
        rows.append(row)
    if meta is None:
        meta = {"resourceVersion": items[0]["metadata"].get("resourceVersion", "")}
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": meta,
        "columnDefinitions": [_definition(column) for column in kind.columns],
        "rows": rows,
    }


def partial(obj: Obj, version: str) -> Obj:
    """The metadata of an object alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def partial_list(items: list[Obj], meta: Obj, version: str) -> Obj:
    shown: list[Any] = [partial(obj, version) for obj in items]
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": meta,
        "items": shown,
    }


def _included(obj: Obj, include: str, version: str) -> Obj | None:
    if include == "None":
        return None
    return obj if include == "Object" else partial(obj, version)


def _definition(column: Column) -> Obj:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description or _DESCRIPTIONS.get(column.name, ""),
        "priority": 1 if column.wide else 0,
    }
