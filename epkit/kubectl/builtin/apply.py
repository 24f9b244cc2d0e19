"""``kubectl apply``: client-side with its note of what was applied last, and server-side.

Source: ``k8s.io/kubectl/pkg/cmd/apply`` (apply.go, patcher.go).
"""
from __future__ import annotations

import json

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats, merge_keys, threeway, writing
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, UsageError, at_source, raise_all
from epkit.kubectl.builtin.gotext import json_text
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.yamlout import dump
from epkit.objects import Obj

_TRIES = 5


def apply(session: Session) -> None:
    """Create what is not there and change what is, so that it says what the files say."""
    args = session.args
    if args.words:
        raise UsageError("apply", f"Unexpected args: [{' '.join(args.words)}]")
    if not args["filename"]:
        raise KubectlError("must specify one of -f and -k")
    if args["force-conflicts"] and not args["server-side"]:
        raise KubectlError("--force-conflicts only works with --server-side")
    if args["server-side"] and formats.dry_run(session) == "client":
        raise KubectlError("--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)")
    formats.printer(session, "")  # a wrong -o is told before anything is done
    selection = select(session)
    failures: list[Exception] = []
    applied: list[Info] = []
    for failure in selection.failures:
        failures.append(failure)
    for info in selection.infos:
        try:
            done = _server_side(session, info) if args["server-side"] else _client_side(session, info)
            applied.append(info)
            if not formats.structured(args):
                formats.printer(session, done)(info.obj)
        except (ApiError, KubectlError) as failure:
            failures.append(failure)
    if not selection.infos and not failures:
        raise KubectlError("no objects passed to apply")
    if formats.structured(args) and applied:
        show = formats.printer(session, "")
        objects = [Info(i.mapping, i.namespace, i.name, formats.ordered(i.obj)) for i in applied]
        listed = {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [each.obj for each in objects]}
        show(objects[0].obj if len(objects) == 1 else listed)
    raise_all(failures)


def _client_side(session: Session, info: Info) -> str:
    """Apply one object; ``info.obj`` becomes what is there now. Returns what was done."""
    generate = (info.obj.get("metadata") or {}).get("generateName")
    if not info.name and generate:
        raise KubectlError(f"from {generate}: cannot use generate name with apply")
    modified = writing.with_note(info.obj)
    current = _current(session, info)
    client_dry_run = formats.dry_run(session) == "client"
    if current is None:
        info.obj = modified if client_dry_run else writing.create(session, info, modified)
        return "created"
    if writing.note_of(current) is None:
        session.warn(
            f"resource {info.mapping.plural}/{info.name} is missing the {writing.LAST_APPLIED} annotation which is "
            "required by kubectl apply. kubectl apply should only be used on resources created declaratively by either "
            "kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically."
        )
    if client_dry_run:
        if formats.structured(session.args):
            raise NotInSubset("apply --dry-run=client -o with an object that is there already (use --dry-run=server)")
        info.obj = current
        return "configured"
    patch = _patch(session, info, modified, current)
    if (current.get("metadata") or {}).get("deletionTimestamp"):
        session.warn(f"Detected changes to resource {info.name} which is currently being deleted.")
    return "configured" if patch else "unchanged"


def _current(session: Session, info: Info) -> Obj | None:
    try:
        if not info.name:
            raise KubectlError("resource name may not be empty")
        return session.find(info.mapping, info.namespace, info.name)
    except (ApiError, KubectlError) as failure:
        what = f"retrieving current configuration of:\n{_described(info)}\nfrom server for:"
        raise at_source(what, info.source, failure) from None


def _described(info: Info) -> str:
    """As Go prints a ``resource.Info``."""
    return (
        f'Resource: "{info.mapping.gvr}", GroupVersionKind: "{info.mapping.gvk}"\n'
        f'Name: "{info.name}", Namespace: "{info.namespace}"'
    )


def _patch(session: Session, info: Info, modified: Obj, current: Obj) -> Obj:
    """Send the patch, again where somebody else was faster; returns it."""
    schema = merge_keys.of_kind(info.mapping.group, info.mapping.kind)
    for attempt in range(_TRIES):
        patch = patch_for(modified, current, schema)
        if not patch:
            info.obj = current
            return patch
        kind = "merge" if schema is None else "strategic"
        try:
            info.obj = writing.patch(session, info, patch, kind, validate=True)
            return patch
        except ApiError as error:
            if error.reason != "Conflict" or attempt == _TRIES - 1:
                raise _explained(info, patch, error) from None
        current = session.send("GET", info.path)
    raise AssertionError("unreachable")


def patch_for(modified: Obj, current: Obj, schema: merge_keys.Schema | None) -> Obj:
    """The patch of three: what was applied last, what is to be applied, what is there."""
    note = writing.note_of(current)
    original = json.loads(note) if note else {}
    return threeway.three_way(original, modified, current, schema)


def _explained(info: Info, patch: Obj, error: ApiError) -> ApiError:
    text = f'applying patch:\n{json_text(patch)}\nto:\n{_described(info)}\nfor: "{info.source}"'
    inner = at_source("patching", info.source, error)
    return ApiError(error.status | {"message": f"error when {text}: {inner}"})


def _server_side(session: Session, info: Info) -> str:
    args = session.args
    query = writing.query(session, validate=True)
    if "field-manager" not in args.given:
        query["fieldManager"] = "kubectl"
    query["force"] = "true" if args["force-conflicts"] else "false"
    before = session.find(info.mapping, info.namespace, info.name)
    if before is not None and writing.note_of(before) is not None:
        raise NotInSubset("apply --server-side of an object that was applied client-side before")
    try:
        info.obj = session.send(
            "PATCH", info.path, query, info.obj, content_type="application/apply-patch+yaml"
        )
    except ApiError as error:
        if error.reason == "Conflict":
            raise _conflict(error) from None
        raise
    return "serverside-applied"


def _conflict(error: ApiError) -> KubectlError:
    return KubectlError(f"{error.message}\n{_CONFLICT}")


_CONFLICT = """\
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts"""


def view_last_applied(session: Session) -> None:
    """``kubectl apply view-last-applied``"""
    args = session.args
    if args["output"] not in ("yaml", "json"):
        fault = f"Unexpected -o output mode: {args['output']}, the flag 'output' must be one of yaml|json"
        raise UsageError(args.command, fault)
    selection = select(session)
    raise_all(selection.failures)
    for info in selection.infos:
        note = writing.note_of(info.obj)
        if note is None:
            continue  # as upstream, which says nothing
        applied = json.loads(note)
        session.out(dump(applied) if args["output"] == "yaml" else json_text(applied, 2) + "\n")
