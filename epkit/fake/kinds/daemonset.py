"""DaemonSet, apps/v1. Source: ``pkg/apis/apps``, ``pkg/registry/apps/daemonset/strategy.go``."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import pod_warnings, printing, workload
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, invalid, required, unsupported
from epkit.fake.kinds.columns import AGE, CONTAINERS, IMAGES, NAME, column
from epkit.fake.kinds.common import drop_empty, drop_zero, fill, keep_spec, keep_status
from epkit.fake.kinds.metadata import immutable
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.pod_defaults import default_template

_STRATEGIES = ["RollingUpdate", "OnDelete"]
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_COUNTS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")


def default(daemon_set: Obj) -> None:
    drop_empty(daemon_set)
    spec = daemon_set.setdefault("spec", {})
    drop_zero(spec, "minReadySeconds")
    fill(spec, {"revisionHistoryLimit": 10})
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), {"maxUnavailable": 1, "maxSurge": 0})
    default_template(spec.setdefault("template", {}))
    fill(daemon_set.setdefault("status", {}), dict.fromkeys(_COUNTS, 0))


def prepare_create(daemon_set: Obj, context: Context) -> None:
    daemon_set["status"] = dict.fromkeys(_COUNTS, 0)
    _count_templates(daemon_set, 1)


def prepare_update(new: Obj, old: Obj, context: Context) -> None:
    keep_status(new, old, context)
    count = int((old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, 0))
    _count_templates(new, count + (new["spec"]["template"] != old["spec"]["template"]))


def _count_templates(daemon_set: Obj, count: int) -> None:
    """An annotation stands for a field that apps/v1 no longer has."""
    metadata = daemon_set["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), _TEMPLATE_GENERATION: str(count)}


def validate(daemon_set: Obj, context: Context) -> list[FieldError]:
    spec = daemon_set["spec"]
    errors = workload.validate_selector(spec, "empty selector is invalid for daemonset")
    errors += workload.validate_pods_of(spec, "DaemonSet")
    errors += workload.non_negative(spec, "minReadySeconds", "revisionHistoryLimit")
    strategy = spec["updateStrategy"]
    if strategy["type"] not in _STRATEGIES:
        return [*errors, unsupported("spec.updateStrategy.type", strategy["type"], _STRATEGIES)]
    if strategy["type"] == "OnDelete":
        return errors
    path, rolling = "spec.updateStrategy.rollingUpdate", strategy.get("rollingUpdate")
    if rolling is None:
        return [*errors, required(path)]
    unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]
    for key, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        errors += workload.validate_count_or_percent(value, f"{path}.{key}")
        errors += workload.at_most_all(value, f"{path}.{key}")
    if not workload.is_zero(surge) and not workload.is_zero(unavailable):
        errors.append(invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif workload.is_zero(surge) and workload.is_zero(unavailable):
        errors.append(invalid(f"{path}.maxUnavailable", unavailable, "cannot be 0 when maxSurge is 0"))
    return errors


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    if new["spec"] == old["spec"]:
        return []
    return validate(new, context) + immutable("spec.selector", new["spec"].get("selector"), old["spec"].get("selector"))


def row(daemon_set: Obj, now: float) -> list[Any]:
    spec, status = daemon_set["spec"], daemon_set.get("status") or {}
    counts = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    return [
        daemon_set["metadata"]["name"],
        *(status.get(key, 0) for key in counts),
        printing.labels((spec["template"].get("spec") or {}).get("nodeSelector")),
        printing.age(daemon_set, now),
        *printing.template_cells(spec["template"]),
        printing.label_selector(spec.get("selector")) or printing.NONE,
    ]


DAEMON_SET = Kind(
    group="apps",
    version="v1",
    kind="DaemonSet",
    plural="daemonsets",
    schema="io.k8s.api.apps.v1.DaemonSet",
    short_names=("ds",),
    categories=("all",),
    status=True,
    columns=(
        NAME,
        column("Desired", "DaemonSetStatus.desiredNumberScheduled", type="integer"),
        column("Current", "DaemonSetStatus.currentNumberScheduled", type="integer"),
        column("Ready", "DaemonSetStatus.numberReady", type="integer"),
        column("Up-to-date", "DaemonSetStatus.updatedNumberScheduled", type="integer"),
        column("Available", "DaemonSetStatus.numberAvailable", type="integer"),
        column("Node Selector", "PodSpec.nodeSelector"),
        AGE,
        CONTAINERS,
        IMAGES,
        column("Selector", "DaemonSetSpec.selector", wide=True),
    ),
    row=row,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=pod_warnings.of_workload,
    validate_name=name_is_subdomain,
)
