"""Validation of ``metadata``, common to all kinds.

Source: ``k8s.io/apimachinery/pkg/api/validation/objectmeta.go`` and ``validateKubeFinalizerName`` of
``pkg/apis/core/validation``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from epkit.fake.kinds import names
from epkit.fake.kinds.base import FieldError, Kind, Obj, forbidden, invalid, required, too_long

_LONGEST_ANNOTATIONS = 256 * 1024
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def validate_metadata(kind: Kind, obj: Obj) -> list[FieldError]:
    """Faults of an object's metadata on creation; a generated name has already been given.

    >>> validate_metadata(NAMESPACE, {"metadata": {"name": "a", "labels": {"x": "!"}}})[0].path
    'metadata.labels'
    """
    metadata = obj["metadata"]
    errors: list[FieldError] = []
    check = kind.validate_name or names.name_is_subdomain
    prefix = metadata.get("generateName")
    if prefix:
        errors += (invalid("metadata.generateName", prefix, fault) for fault in check(prefix, True))
    name = metadata.get("name")
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += (invalid("metadata.name", name, fault) for fault in check(name, False))
    namespace = metadata.get("namespace")
    if kind.namespaced:
        if not namespace:
            errors.append(required("metadata.namespace"))
        else:
            errors += (invalid("metadata.namespace", namespace, fault) for fault in names.dns_label(namespace))
    elif namespace:
        errors.append(forbidden("metadata.namespace", "not allowed on this type"))
    return errors + _common(metadata)


def validate_metadata_update(new: Obj, old: Obj) -> list[FieldError]:
    """Faults of the metadata on an update: what may not change, and what holds as on creation."""
    after, before = new["metadata"], old["metadata"]
    errors: list[FieldError] = []
    if before.get("deletionTimestamp"):
        added = sorted(set(after.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if added:
            listed = ", ".join(f'"{name}"' for name in added)
            text = "no new finalizers can be added if the object is being deleted, found new finalizers []string"
            errors.append(forbidden("metadata.finalizers", f"{text}{{{listed}}}"))
    if after.get("generation", 0) < before.get("generation", 0):
        errors.append(invalid("metadata.generation", after.get("generation", 0), "must not be decremented"))
    for key in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if after.get(key) != before.get(key):
            errors.append(invalid(f"metadata.{key}", after.get(key), "field is immutable"))
    if after is before or _same(after, before, ("labels", "annotations", "ownerReferences", "finalizers")):
        return errors
    return errors + _common(after)


def _same(after: Obj, before: Obj, keys: Iterable[str]) -> bool:
    """What is unchanged was valid when it came."""
    return all(after.get(key) == before.get(key) for key in keys)


def _common(metadata: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    if metadata.get("labels"):
        errors += validate_labels(metadata["labels"], "metadata.labels")
    if metadata.get("annotations"):
        errors += validate_annotations(metadata["annotations"], "metadata.annotations")
    if metadata.get("ownerReferences"):
        errors += _owner_references(metadata["ownerReferences"])
    if metadata.get("finalizers"):
        errors += _finalizers(metadata["finalizers"])
    return errors


def validate_labels(labels: dict[str, str], path: str) -> list[FieldError]:
    """Keys and values of a map of labels; both are reported on the map's own path, as upstream does."""
    errors: list[FieldError] = []
    for key, value in labels.items():
        for fault in names.label_key(key):
            errors.append(invalid(path, key, fault))
        for fault in names.label_value(value):
            errors.append(invalid(path, value, fault))
    return errors


def validate_annotations(annotations: dict[str, str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    size = 0
    for key, value in annotations.items():
        for fault in names.label_key(key.lower()):
            errors.append(invalid(path, key, fault))
        size += len(key.encode()) + len(value.encode())
    if size > _LONGEST_ANNOTATIONS:
        errors.append(too_long(path, _LONGEST_ANNOTATIONS))
    return errors


def _owner_references(references: list[Obj]) -> list[FieldError]:
    path, errors, controller = "metadata.ownerReferences", list[FieldError](), ""
    for reference in references:
        for key, text in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not reference.get(key):
                errors.append(invalid(f"{path}.{key}", reference.get(key, ""), text))
        if reference.get("kind") == "Event" and reference.get("apiVersion") == "v1":
            errors.append(invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner"))
        if reference.get("controller"):
            name = f"{reference.get('kind')}/{reference.get('name')}"
            if controller:
                text = 'Only one reference can have Controller set to true. Found "true" in references for'
                errors.append(invalid(path, references, f"{text} {controller} and {name}"))
            else:
                controller = name
    return errors


def _finalizers(finalizers: list[str]) -> list[FieldError]:
    path, errors = "metadata.finalizers", list[FieldError]()
    for name in finalizers:
        errors += (invalid(path, name, fault) for fault in names.label_key(name))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        errors.append(invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"))
    for index, name in enumerate(finalizers):
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(f"{path}[{index}]", name, text))
    return errors


def immutable(path: str, new: Any, old: Any) -> list[FieldError]:
    """The fault of a field that may not change (``ValidateImmutableField``)."""
    return [] if new == old else [invalid(path, new, "field is immutable")]
