"""The rules of a delete: preconditions, grace periods and finalizers.

Source: ``k8s.io/apiserver/pkg/registry/rest/delete.go`` and ``pkg/registry/generic/registry/store.go``.
"""

from __future__ import annotations

from epkit.fake.clock import format_time, parse_time
from epkit.fake.kinds.base import Kind
from epkit.fake.requests import Options
from epkit.fake.wire import errors
from epkit.objects import Obj


def check_preconditions(kind: Kind, obj: Obj, options: Options) -> None:
    meta = obj["metadata"]
    why = ""
    if options.uid and options.uid != meta["uid"]:
        why = f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {meta['uid']}"
    elif options.resource_version and options.resource_version != meta["resourceVersion"]:
        why = (
            f"Precondition failed: ResourceVersion in precondition: {options.resource_version}, "
            f"ResourceVersion in object meta: {meta['resourceVersion']}"
        )
    if why:
        raise errors.conflict(kind.plural, meta["name"], why, kind.group)


def begin(kind: Kind, obj: Obj, options: Options, now: float) -> tuple[bool, bool]:
    """``rest.BeforeDelete``: returns (graceful, already under way)."""
    if kind.grace_period is None:
        return False, False
    meta = obj["metadata"]
    if meta.get("deletionTimestamp"):
        current = meta.get("deletionGracePeriodSeconds")
        if current is None or options.grace is None:
            return False, True
        if options.grace >= current:
            return False, True
        when = parse_time(meta["deletionTimestamp"]) - current + options.grace
        meta["deletionTimestamp"] = format_time(when)
        meta["deletionGracePeriodSeconds"] = options.grace
        return True, False
    grace = kind.grace_period(obj, options.grace)
    meta["deletionTimestamp"] = format_time(now + grace)
    meta["deletionGracePeriodSeconds"] = grace
    raise_generation(meta)
    return True, False


def finalizers(obj: Obj, kind: Kind, options: Options) -> list[str]:
    """The finalizers after the propagation policy has had its say (``deletionFinalizersForGarbageCollection``)."""
    present = list(obj["metadata"].get("finalizers") or [])
    policy = options.propagation
    if policy:
        orphan, foreground = policy == "Orphan", policy == "Foreground"
    elif "orphan" in present or "foregroundDeletion" in present:
        orphan, foreground = "orphan" in present, "foregroundDeletion" in present
    else:
        orphan, foreground = kind.default_propagation == "Orphan", False
    kept = [name for name in present if name not in ("orphan", "foregroundDeletion")]
    return kept + (["orphan"] if orphan else []) + (["foregroundDeletion"] if foreground else [])


def raise_generation(meta: Obj) -> None:
    if meta.get("generation", 0) > 0:
        meta["generation"] += 1
