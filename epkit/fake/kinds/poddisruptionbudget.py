"""PodDisruptionBudget, policy/v1. Source: ``pkg/apis/policy/validation``."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import printing, selectors, workload
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, invalid, unsupported
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.common import drop_empty, fill, keep_spec, keep_status, reset_status
from epkit.fake.kinds.names import name_is_subdomain

_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
_EVICTION_POLICIES = frozenset({"IfHealthyBudget", "AlwaysAllow"})


def default(budget: Obj) -> None:
    drop_empty(budget)
    budget.setdefault("spec", {})
    fill(budget.setdefault("status", {}), dict.fromkeys(_COUNTS, 0))


def validate(budget: Obj, context: Context) -> list[FieldError]:
    spec = budget["spec"]
    errors: list[FieldError] = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        errors.append(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for key in ("minAvailable", "maxUnavailable"):
        if spec.get(key) is not None:
            errors += workload.validate_count_or_percent(spec[key], f"spec.{key}")
            errors += workload.at_most_all(spec[key], f"spec.{key}")
    errors += selectors.validate_label_selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _EVICTION_POLICIES:
        errors.append(unsupported("spec.unhealthyPodEvictionPolicy", policy, _EVICTION_POLICIES))
    return errors


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    return validate(new, context)


def warnings(new: Obj, old: Obj | None) -> list[str]:
    if new["spec"].get("selector") is not None and selectors.is_empty(new["spec"]["selector"]):
        return ["spec.selector: an empty selector will match all pods in the namespace"]
    return []


def row(budget: Obj, now: float) -> list[Any]:
    spec = budget["spec"]

    def shown(key: str) -> str:
        return "N/A" if spec.get(key) is None else str(spec[key])

    return [
        budget["metadata"]["name"],
        shown("minAvailable"),
        shown("maxUnavailable"),
        (budget.get("status") or {}).get("disruptionsAllowed", 0),
        printing.age(budget, now),
    ]


POD_DISRUPTION_BUDGET = Kind(
    group="policy",
    version="v1",
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    schema="io.k8s.api.policy.v1.PodDisruptionBudget",
    short_names=("pdb",),
    status=True,
    columns=(
        NAME,
        column("Min Available", text="The minimum number of pods that must be available."),
        column("Max Unavailable", text="The maximum number of pods that may be unavailable."),
        column(
            "Allowed Disruptions", text="Calculated number of pods that may be disrupted at this time.", type="integer"
        ),
        AGE,
    ),
    row=row,
    default=default,
    prepare_create=reset_status(dict.fromkeys(_COUNTS, 0)),
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    validate_name=name_is_subdomain,
    unconditional_update=False,
)
