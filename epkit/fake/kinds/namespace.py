"""Namespace, core/v1. Source: ``pkg/registry/core/namespace/strategy.go``."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import printing
from epkit.fake.kinds.base import Context, Kind, Obj
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.common import drop_empty, keep_spec, keep_status
from epkit.fake.kinds.names import name_is_label

_NAME_LABEL = "kubernetes.io/metadata.name"


def default(namespace: Obj) -> None:
    drop_empty(namespace)
    namespace.setdefault("spec", {})
    namespace.setdefault("status", {})
    metadata = namespace["metadata"]
    if metadata.get("name"):
        metadata["labels"] = {**(metadata.get("labels") or {}), _NAME_LABEL: metadata["name"]}


def prepare_create(namespace: Obj, context: Context) -> None:
    namespace["status"] = {"phase": "Active"}
    finalizers = [name for name in namespace["spec"].get("finalizers") or () if name != "kubernetes"]
    namespace["spec"]["finalizers"] = [*finalizers, "kubernetes"]
    default(namespace)  # the name may have been generated only now


def prepare_update(new: Obj, old: Obj, context: Context) -> None:
    """Only the subresource ``finalize`` changes the finalizers of the spec."""
    new["spec"] = old["spec"]
    keep_status(new, old, context)


def row(namespace: Obj, now: float) -> list[Any]:
    return [
        namespace["metadata"]["name"],
        (namespace.get("status") or {}).get("phase", ""),
        printing.age(namespace, now),
    ]


NAMESPACE = Kind(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    schema="io.k8s.api.core.v1.Namespace",
    short_names=("ns",),
    namespaced=False,
    status=True,
    columns=(NAME, column("Status", text="The status of the namespace"), AGE),
    row=row,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=keep_spec,
    validate_name=name_is_label,
    generation=None,
    field_labels={"status.phase": lambda namespace: (namespace.get("status") or {}).get("phase", "")},
)
