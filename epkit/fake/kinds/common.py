"""Steps that several kinds share."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds.base import Context, Obj

#: fields that are maps of strings or quantities: an empty one is the same as none, and is not stored
_MAPS = frozenset({
    "labels", "annotations", "matchLabels", "nodeSelector", "data", "binaryData", "stringData", "limits", "requests",
    "capacity", "allocatable", "overhead", "allocatedResources",
})  # fmt: skip


def drop_empty(value: Obj) -> None:
    """Take out what Go's decoder and encoder lose on the way to the store: nulls, empty lists and empty maps.

    >>> pod = {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "c", "ports": []}], "nodeName": None}}
    >>> drop_empty(pod); pod
    {'metadata': {}, 'spec': {'containers': [{'name': 'c'}]}}
    """
    gone = None
    for key, item in value.items():
        kind = type(item)
        if kind is str:
            continue
        if kind is dict:
            if item:
                drop_empty(item)
            if not item and key in _MAPS:
                gone = [key] if gone is None else [*gone, key]
        elif kind is list:
            if not item:
                gone = [key] if gone is None else [*gone, key]
            else:
                for entry in item:
                    if type(entry) is dict:
                        drop_empty(entry)
        elif item is None:
            gone = [key] if gone is None else [*gone, key]
    if gone is not None:
        for key in gone:
            del value[key]


def drop_zero(value: Obj, *keys: str) -> None:
    """Take out fields whose Go form is ``omitempty`` without a pointer, when they hold the zero value."""
    for key in keys:
        if key in value and not value[key]:
            del value[key]


def reset_status(empty: Obj) -> Any:
    """The usual `prepare_create`: what a client says of the status is dropped.

    `empty` is the status that an object without one has in JSON; it is copied.
    """

    def prepare_create(obj: Obj, context: Context) -> None:
        obj["status"] = {**empty}

    return prepare_create


def keep_status(new: Obj, old: Obj, context: Context) -> None:
    """The usual `prepare_update`: a plain write leaves the status alone."""
    if "status" in old:
        new["status"] = old["status"]
    else:
        new.pop("status", None)


def keep_spec(new: Obj, old: Obj, context: Context) -> None:
    """The usual `prepare_status`: a write of the status leaves everything else but metadata alone."""
    for key in new.keys() - {"status", "metadata", "apiVersion", "kind"}:
        del new[key]
    for key in old.keys() - {"status", "metadata", "apiVersion", "kind"}:
        new[key] = old[key]


def fill(obj: Obj, defaults: Obj) -> None:
    """Set the fields of `defaults` that `obj` lacks."""
    for key, value in defaults.items():
        if key not in obj:
            obj[key] = value
