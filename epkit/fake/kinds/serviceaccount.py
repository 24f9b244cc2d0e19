"""ServiceAccount, core/v1."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import printing
from epkit.fake.kinds.base import Kind, Obj
from epkit.fake.kinds.columns import AGE, NAME
from epkit.fake.kinds.common import drop_empty
from epkit.fake.kinds.names import name_is_subdomain


def row(account: Obj, now: float) -> list[Any]:
    return [account["metadata"]["name"], printing.age(account, now)]


SERVICE_ACCOUNT = Kind(
    group="",
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    schema="io.k8s.api.core.v1.ServiceAccount",
    short_names=("sa",),
    columns=(NAME, AGE),
    row=row,
    default=drop_empty,
    validate_name=name_is_subdomain,
    generation=None,
    unconditional_update=False,
)
