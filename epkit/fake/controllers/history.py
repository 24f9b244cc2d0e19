"""ControllerRevisions: the templates that a StatefulSet or a DaemonSet has had.

Source: ``pkg/controller/history/controller_history.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Sequence

import orjson

from epkit.client import Client
from epkit.errors import ApiError
from epkit.fake.controllers.framework import Informer
from epkit.fake.controllers.workloads import ControlledBy, ControllerRefManager, safe_encode
from epkit.objects import Obj, annotations_of, name_of, namespace_of, owner_reference
from epkit.selectors import of_label_selector

#: on the pods of a StatefulSet or DaemonSet: which revision made them
REVISION_LABEL = "controller-revision-hash"
#: on a StatefulSet's revisions
HASH_LABEL = "controller.kubernetes.io/hash"
_LONGEST_PREFIX = 223


class ControllerHistory:
    """The revisions of owners of one kind; `owner_resource` is its plural."""

    def __init__(self, client: Client, informer: Informer, owner_resource: str) -> None:
        self._client = client
        self._controlled = ControlledBy(informer)
        self._owner_resource = owner_resource

    def of(self, owner: Obj) -> list[Obj]:
        """What belongs to `owner`, oldest revision first; orphans that match are adopted."""
        matches = of_label_selector(owner["spec"]["selector"])
        manager = ControllerRefManager(self._client, "controllerrevisions", owner, self._owner_resource, matches)
        return in_order(manager.claim(self._controlled.candidates(owner)))

    def create(self, revision: Obj) -> Obj:
        return self._client.create("controllerrevisions", revision)

    def find(self, revision: Obj) -> Obj | None:
        """The stored revision of that name, read anew."""
        return self._client.find("controllerrevisions", name_of(revision), namespace_of(revision))

    def renumber(self, revision: Obj, number: int) -> Obj:
        """Make it the revision with that number: a rollback makes an old one the newest."""
        if revision["revision"] == number:
            return revision
        return self._client.update("controllerrevisions", {**revision, "revision": number})

    def delete(self, revision: Obj) -> None:
        try:
            self._client.delete("controllerrevisions", name_of(revision), namespace_of(revision))
        except ApiError as error:
            if error.reason != "NotFound":
                raise


def in_order(revisions: Sequence[Obj]) -> list[Obj]:
    return sorted(revisions, key=lambda r: (r["revision"], r["metadata"].get("creationTimestamp", ""), name_of(r)))


def template_patch(owner: Obj) -> Obj:
    """What a revision stores: the patch that would bring the present template back."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def template_of(revision: Obj) -> Obj:
    """The template that a revision stores."""
    return {key: value for key, value in revision["data"]["spec"]["template"].items() if key != "$patch"}


def new_revision(owner: Obj, number: int, name: str, labels: dict[str, str]) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": namespace_of(owner),
            "labels": {**(owner["spec"]["template"].get("metadata") or {}).get("labels", {}), **labels},
            "annotations": dict(annotations_of(owner)),
            "ownerReferences": [owner_reference(owner)],
        },
        "data": template_patch(owner),
        "revision": number,
    }


def hash_of(data: Obj, collisions: int) -> str:
    """``HashControllerRevision``: FNV-1, 32 bits, of the patch as Go writes it, and of the number of collisions."""
    value = 0x811C9DC5
    for byte in _go_json(data) + str(collisions).encode():
        value = ((value * 0x01000193) & 0xFFFFFFFF) ^ byte
    return safe_encode(str(value))


def revision_name(owner_name: str, token: str) -> str:
    return f"{owner_name[:_LONGEST_PREFIX]}-{token}"


def _go_json(data: Obj) -> bytes:
    """``json.Marshal`` of a map: keys sorted, and what HTML would take for markup escaped."""
    text = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
