"""StatefulSet, apps/v1. Source: ``pkg/apis/apps``, ``pkg/registry/apps/statefulset/strategy.go``."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import pod_warnings, printing, workload
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, forbidden, invalid, unsupported
from epkit.fake.kinds.columns import AGE, CONTAINERS, IMAGES, NAME, column
from epkit.fake.kinds.common import drop_empty, drop_zero, fill, keep_spec, keep_status, reset_status
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.pod_defaults import default_template

_MAY_CHANGE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_POLICIES = frozenset({"OrderedReady", "Parallel"})
_STRATEGIES = frozenset({"RollingUpdate", "OnDelete"})
_RETENTION = frozenset({"Retain", "Delete"})


def default(stateful_set: Obj) -> None:
    drop_empty(stateful_set)
    spec = stateful_set.setdefault("spec", {})
    drop_zero(spec, "serviceName", "minReadySeconds", "podManagementPolicy")
    fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"})
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), {"partition": 0, "maxUnavailable": 1})
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    fill(retention, {"whenDeleted": "Retain", "whenScaled": "Retain"})
    for claim in spec.get("volumeClaimTemplates") or ():
        fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {}).setdefault("phase", "Pending")
    default_template(spec.setdefault("template", {}))
    fill(stateful_set.setdefault("status", {}), {"replicas": 0, "availableReplicas": 0})


def validate(stateful_set: Obj, context: Context) -> list[FieldError]:
    spec = stateful_set["spec"]
    errors: list[FieldError] = []
    if spec["podManagementPolicy"] not in _POLICIES:
        text = "must be 'OrderedReady' or 'Parallel'"
        errors.append(invalid("spec.podManagementPolicy", spec["podManagementPolicy"], text))
    strategy = spec["updateStrategy"]
    if strategy["type"] not in _STRATEGIES:
        errors.append(invalid("spec.updateStrategy", strategy, "must be 'RollingUpdate' or 'OnDelete'"))
    elif strategy["type"] == "OnDelete" and strategy.get("rollingUpdate") is not None:
        text = "only allowed for updateStrategy 'RollingUpdate'"
        errors.append(invalid("spec.updateStrategy.rollingUpdate", strategy["rollingUpdate"], text))
    else:
        errors += _validate_rolling(strategy.get("rollingUpdate") or {})
    retention = spec["persistentVolumeClaimRetentionPolicy"]
    for key in ("whenDeleted", "whenScaled"):
        if retention[key] not in _RETENTION:
            errors.append(unsupported(f"spec.persistentVolumeClaimRetentionPolicy.{key}", retention[key], _RETENTION))
    errors += workload.non_negative(spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    errors += workload.validate_selector(spec, "empty selector is invalid for statefulset")
    return errors + workload.validate_pods_of(spec, "StatefulSet")


def _validate_rolling(rolling: Obj) -> list[FieldError]:
    path, errors = "spec.updateStrategy.rollingUpdate", list[FieldError]()
    if rolling.get("partition", 0) < 0:
        errors.append(invalid(f"{path}.partition", rolling["partition"], workload.AT_LEAST_ZERO))
    most = rolling.get("maxUnavailable")
    if most is not None:
        errors += workload.validate_count_or_percent(most, f"{path}.maxUnavailable")
        if workload.is_zero(most):
            errors.append(invalid(f"{path}.maxUnavailable", most, "cannot be 0"))
        errors += workload.at_most_all(most, f"{path}.maxUnavailable")
    return errors


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    after, before = new["spec"], old["spec"]
    if after == before:
        return []
    errors = validate(new, context)
    if any(after.get(key) != before.get(key) for key in (after.keys() | before.keys()) - set(_MAY_CHANGE)):
        listed = ", ".join(f"'{key}'" for key in _MAY_CHANGE[:-1]) + f" and '{_MAY_CHANGE[-1]}'"
        text = f"updates to statefulset spec for fields other than {listed} are forbidden"
        errors.append(forbidden("spec", text))
    return errors


def row(stateful_set: Obj, now: float) -> list[Any]:
    spec, status = stateful_set["spec"], stateful_set.get("status") or {}
    return [
        stateful_set["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        printing.age(stateful_set, now),
        *printing.template_cells(spec["template"]),
    ]


STATEFUL_SET = Kind(
    group="apps",
    version="v1",
    kind="StatefulSet",
    plural="statefulsets",
    schema="io.k8s.api.apps.v1.StatefulSet",
    short_names=("sts",),
    categories=("all",),
    status=True,
    scale=True,
    columns=(NAME, column("Ready", text="Number of the pod with ready state"), AGE, CONTAINERS, IMAGES),
    row=row,
    default=default,
    prepare_create=reset_status({"replicas": 0, "availableReplicas": 0}),
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=pod_warnings.of_workload,
    validate_name=name_is_subdomain,
)
