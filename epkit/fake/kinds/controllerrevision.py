"""ControllerRevision, apps/v1: the stored templates of StatefulSets and DaemonSets."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import printing
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, invalid, required
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.metadata import immutable
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.workload import AT_LEAST_ZERO
from epkit.objects import controller_of


def default(revision: Obj) -> None:
    """Nothing is taken out of `data`: it is stored as it was sent."""
    revision.setdefault("revision", 0)


def validate(revision: Obj, context: Context) -> list[FieldError]:
    errors: list[FieldError] = []
    if revision.get("data") is None:
        errors.append(required("data", "data is mandatory"))
    if revision["revision"] < 0:
        errors.append(invalid("revision", revision["revision"], AT_LEAST_ZERO))
    return errors


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    return validate(new, context) + immutable("data", new.get("data"), old.get("data"))


def row(revision: Obj, now: float) -> list[Any]:
    owner, shown = controller_of(revision), printing.NONE
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = owner["kind"].lower()
        shown = f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
    return [revision["metadata"]["name"], shown, revision["revision"], printing.age(revision, now)]


CONTROLLER_REVISION = Kind(
    group="apps",
    version="v1",
    kind="ControllerRevision",
    plural="controllerrevisions",
    schema="io.k8s.api.apps.v1.ControllerRevision",
    columns=(
        NAME,
        column("Controller", text="Controller of the object"),
        column("Revision", "ControllerRevision.revision"),
        AGE,
    ),
    row=row,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_name=name_is_subdomain,
    generation=None,
    unconditional_update=False,
)
