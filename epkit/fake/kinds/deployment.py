"""Deployment, apps/v1. Source: ``pkg/apis/apps``, ``pkg/registry/apps/deployment/strategy.go``."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import pod_warnings, printing, workload
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, forbidden, invalid, required, unsupported
from epkit.fake.kinds.columns import AGE, CONTAINERS, IMAGES, NAME, column
from epkit.fake.kinds.common import drop_empty, drop_zero, fill, keep_spec, keep_status, reset_status
from epkit.fake.kinds.metadata import immutable
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.pod_defaults import default_template

_STRATEGIES = ["Recreate", "RollingUpdate"]


def default(deployment: Obj) -> None:
    drop_empty(deployment)
    spec = deployment.setdefault("spec", {})
    drop_zero(spec, "minReadySeconds", "paused")
    fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    strategy = spec.setdefault("strategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), {"maxUnavailable": "25%", "maxSurge": "25%"})
    default_template(spec.setdefault("template", {}))
    status = deployment.setdefault("status", {})
    for condition in status.get("conditions") or ():
        fill(condition, {"lastUpdateTime": None, "lastTransitionTime": None})


def generation_rises(new: Obj, old: Obj) -> bool:
    """A change of the annotations counts too: they are copied to the ReplicaSets."""
    return bool(
        new["spec"] != old["spec"]
        or (new["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})
    )


def validate(deployment: Obj, context: Context) -> list[FieldError]:
    spec = deployment["spec"]
    errors = workload.non_negative(spec, "replicas")
    errors += workload.validate_selector(spec, "empty selector is invalid for deployment")
    errors += workload.validate_pods_of(spec, "ReplicaSet")
    errors += _validate_strategy(spec["strategy"])
    errors += workload.non_negative(spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    if 0 <= spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
        text = "must be greater than minReadySeconds"
        errors.append(invalid("spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"], text))
    return errors


def _validate_strategy(strategy: Obj) -> list[FieldError]:
    path, kind, rolling = "spec.strategy", strategy["type"], strategy.get("rollingUpdate")
    if kind not in _STRATEGIES:
        return [unsupported(f"{path}.type", kind, _STRATEGIES)]
    if kind == "Recreate":
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(f"{path}.rollingUpdate", text)] if rolling is not None else []
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]
    errors = workload.validate_count_or_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable")
    errors += workload.validate_count_or_percent(surge, f"{path}.rollingUpdate.maxSurge")
    if workload.is_zero(unavailable) and workload.is_zero(surge):
        errors.append(invalid(f"{path}.rollingUpdate.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    return errors + workload.at_most_all(unavailable, f"{path}.rollingUpdate.maxUnavailable")


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    if new["spec"] == old["spec"]:
        return []
    return validate(new, context) + immutable("spec.selector", new["spec"].get("selector"), old["spec"].get("selector"))


def row(deployment: Obj, now: float) -> list[Any]:
    spec, status = deployment["spec"], deployment.get("status") or {}
    return [
        deployment["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        printing.age(deployment, now),
        *printing.template_cells(spec["template"]),
        printing.label_selector(spec.get("selector")),
    ]


DEPLOYMENT = Kind(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    schema="io.k8s.api.apps.v1.Deployment",
    short_names=("deploy",),
    categories=("all",),
    status=True,
    scale=True,
    columns=(
        NAME,
        column("Ready", text="Number of the pod with ready state"),
        column("Up-to-date", "DeploymentStatus.updatedReplicas"),
        column("Available", "DeploymentStatus.availableReplicas"),
        AGE,
        CONTAINERS,
        IMAGES,
        column("Selector", "DeploymentSpec.selector", wide=True),
    ),
    row=row,
    default=default,
    prepare_create=reset_status({}),
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=pod_warnings.of_workload,
    validate_name=name_is_subdomain,
    generation=generation_rises,
)
