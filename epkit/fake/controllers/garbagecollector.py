"""The garbage collector: deletes what has lost its owner, and carries out foreground and orphaning deletions.

It keeps a graph of who owns whom, fed by informers on every kind, and works off objects whose owners may be gone.
Before it acts it always asks the API server: the graph only says where to look.

Source: ``pkg/controller/garbagecollector/{garbagecollector,graph_builder}.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from epkit.client import RESOURCES
from epkit.errors import ApiError
from epkit.fake.controllers.framework import Controller, Kit, SyncError
from epkit.objects import Obj, name_of, namespace_of, uid_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
#: what it never looks at (``DefaultIgnoredResources``)
IGNORED = ("events",)

_PLURALS = {(version, kind): plural for plural, (version, kind, _) in RESOURCES.items()}


@dataclass(frozen=True)
class Identity:
    """Where an object is; its uid says which one of that name is meant."""

    resource: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, resource: str, obj: Obj) -> Identity:
        return cls(resource, namespace_of(obj), name_of(obj), uid_of(obj))

    @property
    def key(self) -> str:
        """For the queues: readable, and different for another object of the same name."""
        return f"{self.resource} {self.namespace}/{self.name} {self.uid}"


class GarbageCollectorController(Controller):
    """Deletes dependents whose owners are gone.

    >>> plane.controllers["garbage-collector-controller"].dependents(service["metadata"]["uid"])
    [Identity(resource='endpointslices', namespace='default', name='web-abcde', uid='...')]
    """

    name = "garbage-collector-controller"
    flags = {"concurrent_gc_syncs": 20}

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self._known: dict[str, Identity] = {}
        self._dependents: dict[str, dict[str, Identity]] = {}  # uid of the owner -> uid -> dependent
        self._absent: dict[str, None] = {}  # uids of owners that the API server says are gone
        workers = self.options["concurrent_gc_syncs"]
        self.to_delete = self.new_queue(
            "garbage collector: attempt to delete", self._attempt_to_delete, workers=workers
        )
        self.to_orphan = self.new_queue(
            "garbage collector: attempt to orphan", self._attempt_to_orphan, workers=workers
        )
        for resource in RESOURCES:
            if resource not in IGNORED:
                self.informer(resource).on(
                    add=partial(self._added, resource),
                    update=partial(self._updated, resource),
                    delete=partial(self._deleted, resource),
                )

    def dependents(self, uid: str) -> list[Identity]:
        """The objects that name the object with that uid as an owner, in the order in which they were seen."""
        return list(self._dependents.get(uid, {}).values())

    # -- the graph -------------------------------------------------------------------------------------------------

    def _added(self, resource: str, obj: Obj) -> None:
        identity = Identity.of(resource, obj)
        self._known[identity.uid] = identity
        for reference in owners_of(obj):
            self._dependents.setdefault(reference["uid"], {})[identity.uid] = identity
            if reference["uid"] not in self._known:  # perhaps it is gone, perhaps it has only not been seen yet
                self.to_delete.add(identity.key)
        self._look_at_finalizers(resource, obj)

    def _updated(self, resource: str, old: Obj, obj: Obj) -> None:
        before, meta = old["metadata"], obj["metadata"]
        if uid_of(old) != uid_of(obj):
            self._deleted(resource, old)
            self._added(resource, obj)
            return
        if before.get("ownerReferences") != meta.get("ownerReferences"):
            self._owners_changed(resource, old, obj)
        if before.get("deletionTimestamp") != meta.get("deletionTimestamp") or (
            meta.get("deletionTimestamp") and before.get("finalizers") != meta.get("finalizers")
        ):
            self._look_at_finalizers(resource, obj)

    def _owners_changed(self, resource: str, old: Obj, obj: Obj) -> None:
        identity = Identity.of(resource, obj)
        now = {reference["uid"] for reference in owners_of(obj)}
        for reference in owners_of(old):
            if reference["uid"] not in now:
                self._forget_dependent(reference["uid"], identity.uid)
        for reference in owners_of(obj):
            self._dependents.setdefault(reference["uid"], {})[identity.uid] = identity
        self.to_delete.add(identity.key)
        for reference in owners_of(old):  # an owner in foreground deletion may have waited for this one
            if reference["uid"] in self._known:
                self.to_delete.add(self._known[reference["uid"]].key)

    def _look_at_finalizers(self, resource: str, obj: Obj) -> None:
        """An object that is being deleted with one of the collector's finalizers waits for it."""
        if not obj["metadata"].get("deletionTimestamp"):
            return
        finalizers = obj["metadata"].get("finalizers") or ()
        if FOREGROUND in finalizers:
            self.to_delete.add(Identity.of(resource, obj).key)
        if ORPHAN in finalizers:
            self.to_orphan.add(Identity.of(resource, obj).key)

    def _deleted(self, resource: str, obj: Obj) -> None:
        uid = uid_of(obj)
        self._known.pop(uid, None)
        for dependent in self.dependents(uid):
            self.to_delete.add(dependent.key)
        if uid in self._dependents:
            self._absent[uid] = None
        for reference in owners_of(obj):
            self._forget_dependent(reference["uid"], uid)
            owner = self._known.get(reference["uid"])
            if owner is not None and self._is_deleting(owner):  # it waits for the last of its dependents
                self.to_delete.add(owner.key)

    def _forget_dependent(self, owner: str, dependent: str) -> None:
        dependents = self._dependents.get(owner)
        if dependents is not None:
            dependents.pop(dependent, None)
            if not dependents:
                del self._dependents[owner]
                self._absent.pop(owner, None)

    # -- deleting --------------------------------------------------------------------------------------------------

    def _attempt_to_delete(self, key: str) -> None:
        """``attemptToDeleteItem``: delete the object if none of its owners is left."""
        uid = key.rpartition(" ")[2]
        identity = self._known.get(uid)
        item = self._live(identity) if identity is not None else None
        if identity is None or item is None or uid_of(item) != uid:
            return
        if _waits_for_dependents(item):
            self._delete_dependents(identity, item)
            return
        if item["metadata"].get("deletionTimestamp"):
            return
        references = owners_of(item)
        if not references:
            return
        solid, dangling, waiting = self._classify(item, references)
        if solid:
            if gone := [reference["uid"] for reference in (*dangling, *waiting)]:
                self._drop_owners(identity, item, gone)
        elif waiting and self._dependents.get(uid):
            # The owner is deleted in the foreground, so this one is too; unless it waits for the owner in its turn.
            if any(self._is_deleting(dependent) for dependent in self.dependents(uid)):
                self._unblock(identity, item)
            self._delete(identity, "Foreground")
        else:
            finalizers = item["metadata"].get("finalizers") or ()
            policies = {ORPHAN: "Orphan", FOREGROUND: "Foreground"}
            self._delete(identity, next((policies[name] for name in policies if name in finalizers), "Background"))

    def _classify(self, item: Obj, references: list[Obj]) -> tuple[list[Obj], list[Obj], list[Obj]]:
        """The references by what has become of the owner: it is there, it is gone, it waits for its dependents."""
        solid, dangling, waiting = [], [], []
        for reference in references:
            if reference["uid"] in self._absent:
                dangling.append(reference)
                continue
            resource = _PLURALS.get((reference["apiVersion"], reference["kind"]))
            if resource is None:
                raise SyncError(f'unable to get REST mapping for {reference["apiVersion"]}/{reference["kind"]}.')
            namespace = namespace_of(item) if RESOURCES[resource][2] else ""
            owner = self.client.find(resource, reference["name"], namespace)
            if owner is None or uid_of(owner) != reference["uid"]:
                self._absent[reference["uid"]] = None
                dangling.append(reference)
            elif _waits_for_dependents(owner):
                waiting.append(reference)
            else:
                solid.append(reference)
        return solid, dangling, waiting

    def _delete_dependents(self, identity: Identity, item: Obj) -> None:
        """``processDeletingDependentsItem``: a foreground deletion goes on when nothing blocks it any more."""
        blocking = [other for other in self.dependents(identity.uid) if self._blocks(other, identity.uid)]
        if not blocking:
            self._remove_finalizer(identity, item, FOREGROUND)
            return
        for dependent in blocking:
            if not self._is_deleting(dependent):
                self.to_delete.add(dependent.key)

    def _blocks(self, dependent: Identity, owner: str) -> bool:
        obj = self.informers[dependent.resource].get(dependent.namespace, dependent.name)
        return obj is not None and any(
            reference["uid"] == owner and reference.get("blockOwnerDeletion") for reference in owners_of(obj)
        )

    def _is_deleting(self, dependent: Identity) -> bool:
        obj = self.informers[dependent.resource].get(dependent.namespace, dependent.name)
        return obj is not None and _waits_for_dependents(obj)

    def _delete(self, identity: Identity, policy: str) -> None:
        try:
            self.client.delete(
                identity.resource, identity.name, identity.namespace or None, propagation=policy, uid=identity.uid
            )
        except ApiError as error:
            if error.reason not in ("NotFound", "Conflict"):
                raise

    # -- orphaning -------------------------------------------------------------------------------------------------

    def _attempt_to_orphan(self, key: str) -> None:
        """``attemptToOrphan``: take the owner off its dependents, then let it go."""
        uid = key.rpartition(" ")[2]
        identity = self._known.get(uid)
        owner = self._live(identity) if identity is not None else None
        if identity is None or owner is None or uid_of(owner) != uid:
            return
        for dependent in self.dependents(uid):
            obj = self._live(dependent)
            if obj is not None and uid_of(obj) == dependent.uid:
                self._drop_owners(dependent, obj, [uid])
        self._remove_finalizer(identity, owner, ORPHAN)

    # -- writes ----------------------------------------------------------------------------------------------------

    def _drop_owners(self, identity: Identity, obj: Obj, uids: list[str]) -> None:
        kept = [reference for reference in owners_of(obj) if reference["uid"] not in uids]
        if len(kept) != len(owners_of(obj)):
            self._patch_metadata(identity, obj, {"ownerReferences": kept or None})

    def _unblock(self, identity: Identity, obj: Obj) -> None:
        unblocked = [{**reference, "blockOwnerDeletion": False} for reference in owners_of(obj)]
        self._patch_metadata(identity, obj, {"ownerReferences": unblocked})

    def _remove_finalizer(self, identity: Identity, obj: Obj, finalizer: str) -> None:
        finalizers = obj["metadata"].get("finalizers") or []
        if finalizer in finalizers:
            kept = [name for name in finalizers if name != finalizer]
            self._patch_metadata(identity, obj, {"finalizers": kept or None})

    def _patch_metadata(self, identity: Identity, obj: Obj, changed: Obj) -> None:
        """A merge patch that fails when the object has changed since it was read; the queue then tries again."""
        patch = {"metadata": {"uid": identity.uid, "resourceVersion": obj["metadata"]["resourceVersion"], **changed}}
        try:
            self.client.patch(identity.resource, identity.name, patch, identity.namespace or None)
        except ApiError as error:
            if error.reason != "NotFound":
                raise

    def _live(self, identity: Identity) -> Obj | None:
        return self.client.find(identity.resource, identity.name, identity.namespace or None)


def owners_of(obj: Obj) -> list[Obj]:
    return obj["metadata"].get("ownerReferences") or []


def _waits_for_dependents(obj: Obj) -> bool:
    """It is being deleted in the foreground (``deletingDependents``)."""
    meta = obj["metadata"]
    return bool(meta.get("deletionTimestamp")) and FOREGROUND in (meta.get("finalizers") or ())
