"""Lease, coordination.k8s.io/v1: a node's heartbeat. Source: ``pkg/apis/coordination/validation``."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import printing
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, invalid
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.common import drop_empty
from epkit.fake.kinds.names import name_is_subdomain


def default(lease: Obj) -> None:
    drop_empty(lease)
    lease.setdefault("spec", {})


def validate(lease: Obj, context: Context) -> list[FieldError]:
    spec, errors = lease["spec"], list[FieldError]()
    if spec.get("leaseDurationSeconds") is not None and spec["leaseDurationSeconds"] <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0"))
    if spec.get("leaseTransitions") is not None and spec["leaseTransitions"] < 0:
        errors.append(invalid("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0"))
    return errors


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    return validate(new, context)


def row(lease: Obj, now: float) -> list[Any]:
    return [lease["metadata"]["name"], lease["spec"].get("holderIdentity", ""), printing.age(lease, now)]


LEASE = Kind(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    schema="io.k8s.api.coordination.v1.Lease",
    columns=(NAME, column("Holder", "LeaseSpec.holderIdentity"), AGE),
    row=row,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_name=name_is_subdomain,
    generation=None,
    create_on_update=True,
    unconditional_update=False,
)
