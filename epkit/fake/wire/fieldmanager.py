"""Who set which field: ``metadata.managedFields`` on every write, and server-side apply with its conflicts.

After ``k8s.io/apimachinery/pkg/util/managedfields`` and ``sigs.k8s.io/structured-merge-diff/merge``. The cost of an
ordinary update goes with what it changes: both objects are compared, and the managers' sets are touched only there.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from epkit.fake.wire import decode, errors, fieldset, schema, typed
from epkit.fake.wire.fieldset import Tree
from epkit.fake.wire.typed import Comparison, Type

if TYPE_CHECKING:
    from epkit.fake.kinds.base import Kind

Obj = dict[str, Any]

BEFORE_FIRST_APPLY = "before-first-apply"
ANCIENT_CHANGES = "ancient-changes"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

#: So many managers may be on record by updates; older ones share one entry then.
MAX_UPDATERS = 10

#: What every object has, or what the server sets: nobody manages it.
_UNMANAGED: Tree = {
    "f:apiVersion": {}, "f:kind": {},
    "f:metadata": {".": {}, **{f"f:{name}": {} for name in (
        "clusterName", "creationTimestamp", "generation", "managedFields", "name", "namespace", "resourceVersion",
        "selfLink", "uid")}},
}


class Manager(NamedTuple):
    """What tells one manager from another: an applier is the same in every version."""

    name: str
    operation: str  # Apply or Update
    api_version: str  # "" for Apply
    subresource: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An item of managedFields."""

    fields: Tree
    api_version: str
    time: str | None


Managed = dict[Manager, Entry]


def track(obj: Obj, old: Obj | None, sent: list[Obj] | None, manager: str, time: str, subresource: str = "") -> None:
    """Sets ``metadata.managedFields`` of `obj`, a create (`old` is None) or an update of `old`.

    `obj` is as the client sent it, with defaults, before the server sets anything of its own; `sent` is the
    managedFields that came with it. Only the metadata of `obj` is changed. `time` is RFC 3339.
    """
    before = (old or {}).get("metadata", {}).get("managedFields") or []
    managed = _live_or_sent(before, sent, subresource)
    metadata = obj["metadata"]
    metadata.pop("managedFields", None)
    if old is not None and not managed:
        return  # Nobody is on record: a reset, or an object from before there was a record.
    definition = _definition_of(obj)
    base = old if old is not None else decode.decode_raw({}, definition)[0]
    operator = Manager(manager or "unknown", "Update", obj["apiVersion"], subresource)
    comparison = typed.compare(_unmanaged(base), obj, typed.type_of(definition)).without(
        _ignored(definition, subresource))
    _record_update(managed, comparison, operator, time)
    _cap(managed)
    entries = _encode(managed)
    if old is not None and _same_but_times(entries, before) and _unmanaged(old) == obj:
        entries = before
    if entries:
        metadata["managedFields"] = entries


def apply(
    live: Obj, applied: Obj, kind: Kind, manager: str, force: bool, time: str, subresource: str = ""
) -> Obj:
    """Server-side apply of the configuration `applied` on `live`; for a new object, `live` has no uid.

    Returns a new object with its managedFields; neither argument is changed. Raises ApiError: 400 for another version,
    500 (as upstream) for a configuration that is not of its type, 409 for conflicts unless `force`.
    """
    _check_configuration(applied, kind)
    of = typed.type_of(kind.schema)
    before = live.get("metadata", {}).get("managedFields") or []
    managed = _decode(before)
    current = _unmanaged(live)
    ignored = _ignored(kind.schema, subresource)
    if not live.get("metadata", {}).get("uid"):
        current = {**decode.decode_raw({}, kind.schema)[0], **current}
    elif not managed:
        first = Manager(BEFORE_FIRST_APPLY, "Update", kind.api_version, subresource)
        empty = decode.decode_raw({}, kind.schema)[0]
        _record_update(managed, typed.compare(empty, current, of).without(ignored), first, time)
    applier = Manager(manager, "Apply", "", subresource)
    request = _Apply(current, applied, of, applier, kind.api_version, ignored)
    result, managed_after, conflicts = request.run(managed, force)
    if conflicts and manager == "kubectl":
        conflicts = _not_allowed(conflicts, _allowed_by_last_applied(current, kind, of))
        if not conflicts:
            result, managed_after, _ = request.run(managed, True)
    if conflicts:
        raise _conflict(conflicts)
    if manager == "kubectl" and LAST_APPLIED in (result.get("metadata", {}).get("annotations") or {}):
        result = _with_last_applied(result, applied)
    try:
        made, _ = decode.decode_raw(result, kind.schema)
    except decode.DecodeError as fault:
        raise errors.unknown(f"failed to convert new object ({_about(applied)}) to proper version: {fault}") from None
    made["kind"], made["apiVersion"] = kind.kind, kind.api_version
    changed = made != decode.decode_raw(current, kind.schema)[0] | {"kind": kind.kind, "apiVersion": kind.api_version}
    if applier in managed_after:
        previous = managed.get(applier)
        kept = previous.time if previous is not None and not changed else time
        managed_after[applier] = replace(managed_after[applier], time=kept)
    _cap(managed_after)
    entries = _encode(managed_after)
    if entries:
        made["metadata"]["managedFields"] = entries
    return made


class _Apply:
    """One server-side apply; `merge.Updater.Apply`."""

    def __init__(self, live: Obj, applied: Obj, of: Type, applier: Manager, api_version: str, ignored: Tree) -> None:
        self._live, self._applied, self._type = live, applied, of
        self._applier, self._api_version, self._ignored = applier, api_version, ignored

    def run(self, managed: Managed, force: bool) -> tuple[Obj, Managed, dict[Manager, Tree]]:
        """The merged object, the managers afterwards, and the conflicts, which stand in the way unless `force`."""
        managed = dict(managed)
        last = managed.get(self._applier)
        owned = fieldset.without(typed.field_set(self._applied, self._type), self._ignored)
        managed[self._applier] = Entry(owned, self._api_version, None)
        merged: Obj = typed.merge(self._live, self._applied, self._type)
        if last is not None and last.fields:
            merged = self._prune(merged, managed, last.fields)
        comparison = typed.compare(self._live, merged, self._type).without(self._ignored)
        conflicts = _conflicts(managed, comparison, self._applier)
        if not conflicts or force:
            _give_up(managed, conflicts, comparison.removed, self._applier)
            managed.pop(self._applier)
            owned = fieldset.difference(owned, _UNMANAGED)
            if owned:
                managed[self._applier] = Entry(owned, self._api_version, None)
        return merged, managed, {} if force else conflicts

    def _prune(self, merged: Obj, managed: Managed, last: Tree) -> Obj:
        """Removes what the applier set the last time, sets no longer, and nobody else owns."""
        last = typed.named_fields_as_members(last, self._type)
        pruned = typed.remove(merged, last, self._type) or {}
        merged_set = self._members(typed.field_set(merged, self._type))
        owned: Tree = {}
        for entry in managed.values():
            owned = fieldset.union(owned, entry.fields)
        keep = fieldset.union(self._members(typed.field_set(pruned, self._type)), self._members(owned))
        pruned = typed.remove(merged, fieldset.difference(merged_set, keep), self._type) or {}
        gone = fieldset.difference(merged_set, self._members(typed.field_set(pruned, self._type)))
        return typed.remove(merged, fieldset.intersection(gone, last), self._type) or {}

    def _members(self, tree: Tree) -> Tree:
        return typed.named_fields_as_members(tree, self._type)


def _record_update(managed: Managed, comparison: Comparison, operator: Manager, time: str) -> None:
    """Takes what an update changed from all managers and gives it to its own."""
    changed = fieldset.difference(comparison.changed, _UNMANAGED)
    _give_up(managed, _conflicts(managed, comparison, None), comparison.removed, None)
    if changed:
        previous = managed.get(operator)
        fields = fieldset.union(previous.fields, changed) if previous else changed
        managed[operator] = Entry(fields, operator.api_version, time)


def _conflicts(managed: Managed, comparison: Comparison, but: Manager | None) -> dict[Manager, Tree]:
    """Which managers own something that changed, and what; in the order of their names."""
    changed = comparison.changed
    found = {manager: fieldset.intersection(changed, entry.fields)
             for manager, entry in sorted(managed.items()) if manager != but}
    return {manager: tree for manager, tree in found.items() if tree}


def _give_up(managed: Managed, conflicts: dict[Manager, Tree], removed: Tree, but: Manager | None) -> None:
    for manager, entry in list(managed.items()):
        if manager == but:
            continue
        left = entry.fields
        if manager in conflicts:
            left = fieldset.difference(left, conflicts[manager])
        if removed:
            left = fieldset.difference(left, removed)
        if not left:
            del managed[manager]
        elif left is not entry.fields:
            managed[manager] = replace(entry, fields=left)


def _not_allowed(conflicts: dict[Manager, Tree], allowed: Tree) -> dict[Manager, Tree]:
    """The conflicts that are not `allowed`."""
    left = {manager: fieldset.difference(tree, allowed) for manager, tree in conflicts.items()}
    return {manager: tree for manager, tree in left.items() if tree}


def _conflict(conflicts: dict[Manager, Tree]) -> errors.ApiError:
    found = [(manager, fieldset.path_text(path))
             for manager, tree in conflicts.items() for path in fieldset.paths(tree)]
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {_shown(manager)}", "field": path}
              for manager, path in found]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {_shown(found[0][0])}: {found[0][1]}"
    else:
        lines = []
        for manager in conflicts:
            lines.append(f"conflicts with {_shown(manager)}:")
            lines += [f"- {path}" for owner, path in found if owner == manager]
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return errors.apply_conflict(message, causes)


def _shown(manager: Manager) -> str:
    text = f'"{manager.name}"'
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    return f"{text} using {manager.api_version}" if manager.operation == "Update" else text


def _check_configuration(applied: Obj, kind: Kind) -> None:
    version = str(applied.get("apiVersion") or "")
    if version != kind.api_version:
        raise errors.bad_request("Incorrect version specified in apply patch. Specified patch version: "
                                 f"{version}, expected: {kind.api_version}")
    metadata = applied.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    if applied.get("kind") != kind.kind:
        raise errors.unknown(f"failed to create typed patch object ({_about(applied)}): "
                             f"no corresponding type for {_gvk(applied)}")
    faults = list(typed.faults(applied, typed.type_of(kind.schema)))
    if faults:
        said = faults[0] if len(faults) == 1 else "\n".join(["errors:", *(f"  {fault}" for fault in faults)])
        raise errors.unknown(f"failed to create typed patch object ({_about(applied)}): {said}")


def _gvk(obj: Obj) -> str:
    api_version = str(obj.get("apiVersion") or "")
    return f"{api_version if '/' in api_version else '/' + api_version}, Kind={obj.get('kind') or ''}"


def _about(obj: Obj) -> str:
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {_gvk(obj)}"


def _definition_of(obj: Obj) -> str:
    group, _, version = obj["apiVersion"].rpartition("/")
    return schema.kinds()[(group, version, obj["kind"])]


def _ignored(definition: str, subresource: str) -> Tree:
    """What a request through this subresource resets, so that its sender does not come to own it."""
    if subresource == "status":
        return {"f:spec": {}}
    return {"f:status": {}} if "status" in schema.definition(definition).fields else {}


def _unmanaged(obj: Obj) -> Obj:
    """`obj` without its managedFields."""
    metadata = obj.get("metadata") or {}
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def _allowed_by_last_applied(live: Obj, kind: Kind, of: Type) -> Tree:
    """What a client-side ``kubectl apply`` set and nobody changed: kubectl may take it over without a conflict."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        last = orjson.loads(text or "null")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(last, dict) or last.get("apiVersion") != kind.api_version or any(typed.faults(last, of)):
        return {}
    allowed = typed.field_set(last, of)
    for tree in typed.compare(last, live, of):
        allowed = fieldset.difference(allowed, tree)
    return allowed


def _with_last_applied(obj: Obj, applied: Obj) -> Obj:
    """`obj` with the annotation of client-side apply brought up to date, so that kubectl may go back to it."""
    told = _unmanaged(applied)
    annotations = {key: value for key, value in ((told.get("metadata") or {}).get("annotations") or {}).items()
                   if key != LAST_APPLIED}
    told = {**told, "metadata": {**(told.get("metadata") or {}), "annotations": annotations}}
    text = orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "annotations": {**metadata["annotations"], LAST_APPLIED: text}}}


def _live_or_sent(live: list[Obj], sent: list[Obj] | None, subresource: str) -> Managed:
    """The record to go on with: a client may replace it, or strip it with one empty entry."""
    if sent and not subresource:
        if len(sent) == 1 and not sent[0]:
            return {}
        try:
            managed = _decode(sent)
        except (KeyError, TypeError, AttributeError):
            managed = {}
        if managed:
            return managed
    return _decode(live)


def _decode(entries: Iterable[Obj]) -> Managed:
    managed: Managed = {}
    for entry in entries:
        operation = entry["operation"]
        api_version = entry.get("apiVersion", "")
        manager = Manager(entry.get("manager", ""), operation, "" if operation == "Apply" else api_version,
                          entry.get("subresource", ""))
        managed[manager] = Entry(entry.get("fieldsV1") or {}, api_version, entry.get("time"))
    return managed


def _encode(managed: Managed) -> list[Obj]:
    """managedFields: appliers first, then by time and name."""
    ordered = sorted(managed.items(), key=lambda item: (
        item[0].operation, item[1].time or "", item[0].name, item[1].api_version, item[0].subresource))
    entries = []
    for manager, entry in ordered:
        made: Obj = {"manager": manager.name, "operation": manager.operation, "apiVersion": entry.api_version}
        if entry.time:
            made["time"] = entry.time
        made |= {"fieldsType": "FieldsV1", "fieldsV1": fieldset.in_order(entry.fields)}
        if manager.subresource:
            made["subresource"] = manager.subresource
        entries.append(made)
    return entries


def _cap(managed: Managed) -> None:
    """Puts the oldest of too many updaters into one entry."""
    updaters = sorted((manager for manager in managed if manager.operation == "Update"),
                      key=lambda manager: (managed[manager].time or "", manager))
    surplus = len(updaters) - MAX_UPDATERS
    first: dict[str, Manager] = {}
    for manager in updaters:
        if surplus <= 0:
            return
        entry = managed[manager]
        bucket = Manager(ANCIENT_CHANGES, "Update", entry.api_version, "")
        if entry.api_version not in first:
            first[entry.api_version] = manager
            continue
        if bucket not in managed:
            managed[bucket] = managed.pop(first[entry.api_version])
        managed[bucket] = replace(entry, fields=fieldset.union(entry.fields, managed[bucket].fields))
        del managed[manager]
        surplus -= 1


def _same_but_times(one: list[Obj], other: list[Obj]) -> bool:
    return len(one) == len(other) and all(
        {**entry, "time": None} == {**before, "time": None} for entry, before in zip(one, other, strict=True))
