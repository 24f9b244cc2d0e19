"""ReplicaSet, apps/v1. Source: ``pkg/apis/apps``, ``pkg/registry/apps/replicaset/strategy.go``."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import pod_warnings, printing, workload
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj
from epkit.fake.kinds.columns import AGE, CONTAINERS, IMAGES, NAME, column
from epkit.fake.kinds.common import drop_empty, drop_zero, fill, keep_spec, keep_status, reset_status
from epkit.fake.kinds.metadata import immutable
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.pod_defaults import default_template


def default(replica_set: Obj) -> None:
    drop_empty(replica_set)
    spec = replica_set.setdefault("spec", {})
    drop_zero(spec, "minReadySeconds")
    spec.setdefault("replicas", 1)
    default_template(spec.setdefault("template", {}))
    status = replica_set.setdefault("status", {})
    status.setdefault("replicas", 0)
    for condition in status.get("conditions") or ():
        fill(condition, {"lastTransitionTime": None})


def validate(replica_set: Obj, context: Context) -> list[FieldError]:
    spec = replica_set["spec"]
    errors = workload.non_negative(spec, "replicas", "minReadySeconds")
    errors += workload.validate_selector(spec, "empty selector is invalid for deployment")  # upstream's words
    return errors + workload.validate_pods_of(spec, "ReplicaSet")


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    if new["spec"] == old["spec"]:
        return []
    return validate(new, context) + immutable("spec.selector", new["spec"].get("selector"), old["spec"].get("selector"))


def row(replica_set: Obj, now: float) -> list[Any]:
    spec, status = replica_set["spec"], replica_set.get("status") or {}
    return [
        replica_set["metadata"]["name"],
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        printing.age(replica_set, now),
        *printing.template_cells(spec["template"]),
        printing.label_selector(spec.get("selector")) or printing.NONE,
    ]


REPLICA_SET = Kind(
    group="apps",
    version="v1",
    kind="ReplicaSet",
    plural="replicasets",
    schema="io.k8s.api.apps.v1.ReplicaSet",
    short_names=("rs",),
    categories=("all",),
    status=True,
    scale=True,
    columns=(
        NAME,
        column("Desired", "ReplicaSetSpec.replicas", type="integer"),
        column("Current", "ReplicaSetStatus.replicas", type="integer"),
        column("Ready", "ReplicaSetStatus.readyReplicas", type="integer"),
        AGE,
        CONTAINERS,
        IMAGES,
        column("Selector", "ReplicaSetSpec.selector", wide=True),
    ),
    row=row,
    default=default,
    prepare_create=reset_status({"replicas": 0}),
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=pod_warnings.of_workload,
    validate_name=name_is_subdomain,
)
