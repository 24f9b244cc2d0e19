"""Event, core/v1. Source: ``pkg/registry/core/event/strategy.go``, ``ValidateEventCreate`` and ``printEvent``."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import printing
from epkit.fake.kinds.base import Column, Context, FieldError, Kind, Obj, invalid
from epkit.fake.kinds.columns import NAME, column
from epkit.fake.kinds.common import drop_empty, drop_zero
from epkit.fake.kinds.names import name_is_subdomain


def default(event: Obj) -> None:
    drop_empty(event)
    drop_zero(event, "reason", "message", "count", "type", "action")
    drop_zero(
        event.setdefault("involvedObject", {}),
        "kind",
        "namespace",
        "name",
        "uid",
        "apiVersion",
        "resourceVersion",
        "fieldPath",
    )
    drop_zero(event.setdefault("source", {}), "component", "host")
    for key in ("firstTimestamp", "lastTimestamp", "eventTime"):
        event.setdefault(key, None)
    for key in ("reportingComponent", "reportingInstance"):
        event.setdefault(key, "")


def validate(event: Obj, context: Context) -> list[FieldError]:
    """An event lies in the namespace of its object, or in ``default`` when that has none."""
    involved, own = event["involvedObject"].get("namespace", ""), event["metadata"].get("namespace", "")
    if involved != own and (involved or own not in ("default", "kube-system")):
        return [invalid("involvedObject.namespace", involved, "does not match event.namespace")]
    return []


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    return validate(new, context)


def _source(event: Obj) -> str:
    return str(event["source"].get("component") or event.get("reportingComponent") or "")


def row(event: Obj, now: float) -> list[Any]:
    involved, series = event["involvedObject"], event.get("series") or {}
    first = printing.since(event.get("firstTimestamp") or event.get("eventTime"), now)
    last = printing.since(event["lastTimestamp"], now) if event.get("lastTimestamp") else first
    count = event.get("count") or 1
    if series:
        last, count = printing.since(series.get("lastObservedTime"), now), series.get("count", 0)
    kind, name = involved.get("kind", "").lower(), involved.get("name")
    host = event["source"].get("host") or event.get("reportingInstance")
    return [
        last,
        event.get("type", ""),
        event.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        involved.get("fieldPath", ""),
        f"{_source(event)}, {host}" if host else _source(event),
        event.get("message", "").strip(),
        first,
        count,
        event["metadata"]["name"],
    ]


def _involved(key: str) -> Any:
    return lambda event: event["involvedObject"].get(key, "")


EVENT = Kind(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    schema="io.k8s.api.core.v1.Event",
    short_names=("ev",),
    columns=(
        column("Last Seen", "Event.lastTimestamp"),
        column("Type", "Event.type"),
        column("Reason", "Event.reason"),
        column("Object", "Event.involvedObject"),
        column("Subobject", "ObjectReference.fieldPath", wide=True),
        column("Source", "Event.source", wide=True),
        column("Message", "Event.message"),
        column("First Seen", "Event.firstTimestamp", wide=True),
        column("Count", "Event.count", wide=True),
        Column(NAME.name, format="name", wide=True, description=NAME.description),
    ),
    row=row,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_name=name_is_subdomain,
    generation=None,
    create_on_update=True,
    field_labels={
        **{f"involvedObject.{key}": _involved(key) for key in (
            "kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath",
        )},
        "reason": lambda event: event.get("reason", ""),
        "reportingComponent": lambda event: event.get("reportingComponent", ""),
        "source": _source,
        "type": lambda event: event.get("type", ""),
    },
)  # fmt: skip
