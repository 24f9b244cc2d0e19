"""Small helpers for API objects, which are plain JSON dictionaries everywhere in epkit."""

from __future__ import annotations

from typing import Any, TypeAlias

Obj: TypeAlias = dict[str, Any]


def copy(value: Any) -> Any:
    """A deep copy of JSON data; twice as fast as :func:`copy.deepcopy`, since JSON has no cycles and no aliases.

    >>> original = {"metadata": {"labels": {"app": "web"}}}
    >>> copy(original)["metadata"] is original["metadata"]
    False
    """
    if type(value) is dict:
        return {key: copy(item) if type(item) in _NESTED else item for key, item in value.items()}
    if type(value) is list:
        return [copy(item) if type(item) in _NESTED else item for item in value]
    return value


_NESTED = (dict, list)


def name_of(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def namespace_of(obj: Obj) -> str:
    return str(obj["metadata"].get("namespace", ""))


def uid_of(obj: Obj) -> str:
    return str(obj["metadata"].get("uid", ""))


def labels_of(obj: Obj) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def key_of(obj: Obj) -> str:
    """``namespace/name``, or ``name`` for a cluster-scoped object: the key of client-go's queues.

    >>> key_of({"metadata": {"namespace": "default", "name": "web"}})
    'default/web'
    """
    namespace = obj["metadata"].get("namespace")
    return f"{namespace}/{obj['metadata']['name']}" if namespace else str(obj["metadata"]["name"])


def split_key(key: str) -> tuple[str, str]:
    """The inverse of :func:`key_of`: ``(namespace, name)``; the namespace is empty for a cluster-scoped object."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference with ``controller: true``, or None (``metav1.GetControllerOf``)."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return reference
    return None


def owner_reference(owner: Obj, controller: bool = True) -> Obj:
    """The reference that a controller puts on what it makes (``metav1.NewControllerRef``)."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def condition(obj: Obj, kind: str) -> Obj | None:
    """The condition of that type in ``status.conditions``, or None."""
    for entry in (obj.get("status") or {}).get("conditions") or ():
        if entry.get("type") == kind:
            return entry
    return None


def state_of_endpoint(endpoint: Obj) -> str:
    """The conditions of an endpoint in one phrase: ready, not ready, "serving, terminating" or terminating.

    What is unset counts as the API says: ready and serving true, terminating false (``discovery/v1`` types.go).

    >>> state_of_endpoint({"conditions": {"ready": False, "serving": True, "terminating": True}})
    'serving, terminating'
    """
    conditions = endpoint.get("conditions") or {}
    if conditions.get("ready") is not False:
        return "ready"
    if not conditions.get("terminating"):
        return "not ready"
    return "serving, terminating" if conditions.get("serving") is not False else "terminating"
