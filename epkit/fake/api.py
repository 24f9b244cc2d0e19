"""The REST semantics: what the verbs do to objects, and in which order.

It follows ``k8s.io/apiserver/pkg/registry/generic/registry/store.go`` and ``pkg/registry/rest``: a write is decoded,
defaulted, prepared by its kind's strategy, validated and stored; a delete goes through grace periods and finalizers.
It knows no HTTP: :mod:`epkit.fake.http` puts it behind requests and answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from epkit.fake import deletion, subresources
from epkit.fake.clock import Clock
from epkit.fake.kinds import metadata
from epkit.fake.kinds.base import FieldError, Kind, Refused, invalid
from epkit.fake.lists import ListResult, list_objects, version_of
from epkit.fake.names import Names, generated
from epkit.fake.requests import Options, Route, delete_options
from epkit.fake.store import Objects, Store
from epkit.fake.wire import errors, fieldmanager, patches
from epkit.fake.writecontext import WriteContext
from epkit.objects import Obj, copy, name_of, namespace_of

#: Deleting one of these answers with the object, not with a Status (``ReturnDeletedObject`` of their storage).
RETURNED_WHEN_DELETED = frozenset({"pods", "services", "serviceaccounts"})


class Api:
    """The API server's verbs over a store.

    >>> api.create(Route(SERVICE, "default"), {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}, {})
    """

    def __init__(self, store: Store, clock: Clock, names: Names) -> None:
        self.store = store
        self.clock = clock
        self.names = names

    # -- reading ---------------------------------------------------------------------------------------------------

    def get(self, route: Route, query: Mapping[str, str]) -> Obj:
        """One object. Raises a 404, or the error of a bad resourceVersion."""
        version_of(query, self.store)
        return self.existing(route)

    def list(self, route: Route, query: Mapping[str, str]) -> ListResult:
        return list_objects(self.store, route.kind, route.namespace, query)

    def existing(self, route: Route) -> Obj:
        obj = self.store.get(route.kind.resource, route.namespace, route.name)
        if obj is None:
            raise errors.not_found(route.kind.plural, route.name, route.kind.group)
        return obj

    # -- writing ---------------------------------------------------------------------------------------------------

    def create(self, route: Route, obj: Obj, options: Options) -> Obj:
        """Create an object; `obj` is a fresh one that now belongs to the API.

        Raises:
            ApiError: 400, 403, 409 or 422, as Kubernetes words it; the store is untouched then.
        """
        kind, meta = route.kind, obj.setdefault("metadata", {})
        obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
        self._place(route, meta)
        self._admit_namespace(kind, meta, options)
        if meta.get("resourceVersion"):
            raise errors.unknown("resourceVersion should not be set on objects to be created")
        for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "uid"):
            meta.pop(key, None)
        applied_managers = meta.pop("managedFields", None)
        named_by_server = not meta.get("name") and bool(meta.get("generateName"))
        namespace = meta.get("namespace", "")
        keep = not options.dry_run
        if named_by_server:
            suffix = self.names.suffix(kind.resource, namespace, meta["generateName"], keep=keep)
            meta["name"] = generated(meta["generateName"], suffix)
        meta["uid"] = self.names.uid(kind.resource, namespace, meta.get("name", ""), keep=keep)
        meta["creationTimestamp"] = self.clock.timestamp()
        if kind.generation is not None:
            meta["generation"] = 1
        context = WriteContext(self, options)
        kind.default(obj)
        # Before the server sets fields of its own: those have no manager.
        self._manage(obj, None, options, "", applied_managers)
        try:
            kind.prepare_create(obj, context)
        except Refused as refusal:
            raise _refused(kind, meta.get("name", ""), refusal) from None
        self._check(kind, obj, metadata.validate_metadata(kind, obj) + kind.validate(obj, context))
        self._warn(kind, obj, None, options)
        if self.store.get(kind.resource, namespace, meta["name"]) is not None:
            raise errors.already_exists(kind.plural, meta["name"], kind.group)
        return self._write(kind, obj, options)

    def update(self, route: Route, obj: Obj, options: Options) -> tuple[Obj, bool]:
        """Replace an object (PUT). Returns it and whether it was created."""
        kind, meta = route.kind, obj.setdefault("metadata", {})
        if not meta.get("name"):
            raise (
                errors.bad_request("name must be provided") if options.trusted else errors.name_mismatch("", route.name)
            )
        if meta["name"] != route.name:
            raise errors.name_mismatch(meta["name"], route.name)
        old = self.store.get(kind.resource, route.namespace, route.name)
        if old is None:
            if kind.create_on_update and not route.subresource:
                return self.create(route, obj, options), True
            raise errors.not_found(kind.plural, route.name, kind.group)
        self._place(route, meta)
        if not meta.get("resourceVersion") and not kind.unconditional_update:
            fault = invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise errors.invalid(kind.kind, route.name, [fault], kind.group)
        return self.replace(route, old, obj, options), False

    def patch(self, route: Route, body: bytes, patch_type: str, options: Options) -> tuple[Obj, bool]:
        """Patch an object with a body; `patch_type` is its content type. Returns it and whether it was created."""
        kind = route.kind
        old = self.store.get(kind.resource, route.namespace, route.name)
        if patch_type == patches.APPLY:
            applied, faults = patches.parse(patch_type, body, kind, options.field_validation)
            options.warnings += faults
            return self._apply(route, old, applied, options)
        if patch_type not in patches.TYPES:
            raise errors.unsupported_patch_type()
        if old is None:
            raise errors.not_found(kind.plural, route.name, kind.group)
        seen, name = subresources.view(route, old), subresources.schema(route)
        patched, faults = patches.patched(patch_type, seen, body, kind, name, options.field_validation)
        options.warnings += faults
        return self._patched(route, old, patched, options), False

    def patch_with(self, route: Route, patch: Any, patch_type: str, options: Options) -> tuple[Obj, bool]:
        """As :meth:`patch`, with a decoded patch of the control plane's own: its result needs no check of types."""
        old = self.store.get(route.kind.resource, route.namespace, route.name)
        if patch_type == patches.APPLY:
            return self._apply(route, old, patch, options)
        if old is None:
            raise errors.not_found(route.kind.plural, route.name, route.kind.group)
        patched = patches.apply(patch_type, subresources.view(route, old), patch, subresources.schema(route))
        if route.subresource == "status":
            # The spec stays the stored one, shared; what the rules of the status may complete is copied.
            own: Obj = {key: copy(patched[key]) for key in ("metadata", "status") if key in patched}
            return self._patched(route, old, {**patched, **own}, options), False
        return self._patched(route, old, copy(patched), options), False

    def _patched(self, route: Route, old: Obj, patched: Obj, options: Options) -> Obj:
        self._check_place(route, patched)
        return self.replace(route, old, patched, options)

    def _check_place(self, route: Route, patched: Obj) -> None:
        """A patch moves nothing: the end of ``applyPatch`` of ``k8s.io/apiserver/pkg/endpoints/handlers/patch.go``."""
        meta = patched.get("metadata") or {}
        if meta.get("namespace") and meta["namespace"] != route.namespace:
            raise errors.namespace_mismatch()
        if meta.get("name", "") != route.name:
            raise errors.name_mismatch(meta.get("name", ""), route.name)

    def replace(self, route: Route, old: Obj, obj: Obj, options: Options) -> Obj:
        """Put `obj` in the place of `old`, through the strategy of its kind or of the subresource."""
        kind, before = route.kind, old["metadata"]
        if route.subresource:
            obj = subresources.merge(route, old, obj)
        meta = dict(obj["metadata"])
        obj = {**obj, "metadata": meta}
        obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
        version = meta.get("resourceVersion") or ""
        if version and version != before["resourceVersion"]:
            if not version.isdigit():
                raise subresources.bad_version(version)
            raise errors.conflict(kind.plural, route.name, errors.MODIFIED, kind.group)
        if meta.get("uid") and meta["uid"] != before["uid"]:
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {before['uid']}"
            raise errors.conflict(kind.plural, route.name, why, kind.group)
        for key in ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
            _keep(meta, before, key)
        meta["resourceVersion"] = before["resourceVersion"]
        applied_managers = meta.pop("managedFields", None)
        if "managedFields" in before:
            meta["managedFields"] = before["managedFields"]
        context = WriteContext(self, options)
        faults: list[FieldError] = []
        if route.subresource == "status":
            kind.prepare_status(obj, old, context)
            faults += kind.validate_status(obj, old, context)
        else:
            kind.default(obj)
            if kind.status and "status" in old and not route.subresource:
                obj["status"] = old["status"]
            if route.subresource != "finalize":
                try:
                    kind.prepare_update(obj, old, context)
                except Refused as refusal:
                    raise _refused(kind, route.name, refusal) from None
            if meta is not before and meta != before:
                common = metadata.validate_metadata_update(obj, old)
                faults += common + common
            faults += kind.validate_update(obj, old, context)
        if kind.generation is not None and route.subresource != "status" and kind.generation(obj, old):
            meta["generation"] = before.get("generation", 0) + 1
        self._check(kind, obj, faults)
        self._warn(kind, obj, old, options)
        held = meta.get("finalizers") or meta.get("deletionGracePeriodSeconds") or subresources.holds_content(obj)
        if before.get("deletionTimestamp") and not held:
            if options.dry_run:
                return obj
            # The last finalizer is gone. Watchers see the object as it was stored, with it.
            self.store.delete(kind.resource, namespace_of(old), name_of(old), options.actor)
            return obj
        if obj == old and applied_managers in (None, [], before.get("managedFields")):
            return old
        self._manage(obj, old, options, route.subresource, applied_managers)
        return self._write(kind, obj, options)

    def delete(
        self, route: Route, query: Mapping[str, str], body: Obj | None, options: Options | None = None
    ) -> tuple[Obj, bool]:
        """Delete an object, at once or by grace period and finalizers.

        Returns what to answer (the object, or a Status) and whether the object is gone.
        """
        options = options or delete_options(query, body, "")
        kind, old = route.kind, self.existing(route)
        deletion.check_preconditions(kind, old, options)
        if kind.plural == "namespaces":
            going = subresources.begin_namespace_deletion(old, self.clock.timestamp())
            if going is not None:
                return self._write(kind, going, options) if going != old else old, False
        obj = {**old, "metadata": dict(old["metadata"])}
        graceful, pending = deletion.begin(kind, obj, options, self.clock.now)
        if pending:
            return old, False
        finalizers = deletion.finalizers(obj, kind, options)
        if list(finalizers) != (obj["metadata"].get("finalizers") or []):
            obj["metadata"]["finalizers"] = list(finalizers)
            if not finalizers:
                del obj["metadata"]["finalizers"]
        if not graceful and finalizers:
            meta = obj["metadata"]
            if not meta.get("deletionTimestamp"):
                meta["deletionTimestamp"] = self.clock.timestamp()
                deletion.raise_generation(meta)
            meta["deletionGracePeriodSeconds"] = 0
        if graceful or finalizers:
            if obj != old:
                obj = self._write(kind, obj, options)
            if finalizers or obj["metadata"].get("deletionGracePeriodSeconds"):
                return obj, False
        if not options.dry_run:
            obj = self.store.delete(kind.resource, namespace_of(old), name_of(old), options.actor, obj)
        if kind.plural in RETURNED_WHEN_DELETED:
            return obj, True
        about = {"name": name_of(old), "group": kind.group, "kind": kind.plural, "uid": old["metadata"]["uid"]}
        return errors.success({key: value for key, value in about.items() if value}), True

    def delete_collection(self, route: Route, query: Mapping[str, str], body: Obj | None, actor: str) -> ListResult:
        """Delete everything that a list with the same query would give; answers with what that was."""
        listed = list_objects(self.store, route.kind, route.namespace, {k: v for k, v in query.items() if k != "limit"})
        for obj in listed.items:
            one = Route(route.kind, namespace_of(obj), name_of(obj))
            self.delete(one, query, body, delete_options(query, body, actor))
        return listed

    # -- server-side apply -----------------------------------------------------------------------------------------

    def _apply(self, route: Route, old: Obj | None, applied: Obj, options: Options) -> tuple[Obj, bool]:
        if not options.field_manager:
            raise errors.invalid("PatchOptions", "", [_manager_required()], "meta.k8s.io")
        base = (
            old
            if old is not None
            else {
                "apiVersion": route.kind.api_version,
                "kind": route.kind.kind,
                "metadata": {"name": route.name} | ({"namespace": route.namespace} if route.namespace else {}),
            }
        )
        merged = fieldmanager.apply(
            base, applied, route.kind, options.field_manager, options.force, self.clock.timestamp(), route.subresource
        )
        self._check_place(route, merged)
        options.managed = merged["metadata"].get("managedFields")
        if old is None:
            return self.create(route, merged, options), True
        return self.replace(route, old, merged, options), False

    # -- parts -----------------------------------------------------------------------------------------------------

    def _place(self, route: Route, meta: Obj) -> None:
        """The namespace of an object is that of its URL."""
        if not route.kind.namespaced:
            if meta.get("namespace"):
                raise errors.namespace_mismatch()
            return
        if meta.get("namespace") and meta["namespace"] != route.namespace:
            raise errors.namespace_mismatch()
        meta["namespace"] = route.namespace

    def _admit_namespace(self, kind: Kind, meta: Obj, options: Options) -> None:
        """The NamespaceLifecycle admission: no new objects where there is no namespace, or one that is going."""
        if not kind.namespaced:
            return
        namespace = self.store.get("namespaces", "", meta["namespace"])
        if namespace is None:
            raise errors.not_found("namespaces", meta["namespace"])
        if namespace["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {meta['namespace']} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {meta['namespace']} is being terminated",
                "field": "metadata.namespace",
            }
            name = meta.get("name") or ""
            raise errors.forbidden(kind.plural, name, why, kind.group, [cause])

    def _check(self, kind: Kind, obj: Obj, faults: Sequence[FieldError]) -> None:
        if faults:
            raise errors.invalid(kind.kind, obj["metadata"].get("name", ""), faults, kind.group)

    def _warn(self, kind: Kind, obj: Obj, old: Obj | None, options: Options) -> None:
        if not options.trusted:
            options.warnings += kind.warnings(obj, old)

    def _manage(self, obj: Obj, old: Obj | None, options: Options, subresource: str, sent: Objects | None) -> None:
        """Keep ``metadata.managedFields``: who set which field."""
        if options.trusted and not options.field_manager:
            return
        if options.managed is not None:
            obj["metadata"]["managedFields"] = options.managed
            return
        fieldmanager.track(obj, old, sent, options.field_manager, self.clock.timestamp(), subresource)

    def _write(self, kind: Kind, obj: Obj, options: Options) -> Obj:
        if options.dry_run:
            return obj
        return self.store.put(kind.resource, obj, options.actor)

def _refused(kind: Kind, name: str, refusal: Refused) -> errors.ApiError:
    if refusal.forbidden:
        return errors.forbidden(kind.plural, name, refusal.forbidden, kind.group)
    if refusal.internal:
        return errors.internal(refusal.internal)
    if refusal.unknown:
        return errors.unknown(refusal.unknown)
    return errors.invalid(kind.kind, name, refusal.errors, kind.group)


def _manager_required() -> FieldError:
    from epkit.fake.kinds.base import required

    return required("fieldManager", "is required for apply patch")


def _keep(meta: Obj, before: Obj, key: str) -> None:
    if key in before:
        meta[key] = before[key]
    else:
        meta.pop(key, None)


