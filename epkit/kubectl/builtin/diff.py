"""``kubectl diff``: what ``kubectl apply`` would change, as ``diff -u -N`` shows it.

Source: ``k8s.io/kubectl/pkg/cmd/diff/diff.go``.
"""
from __future__ import annotations

import difflib

from epkit.kubectl.builtin import formats, merge_keys, writing
from epkit.kubectl.builtin.apply import patch_for
from epkit.kubectl.builtin.failures import ExitError, KubectlError, NotInSubset, UsageError, raise_all
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.yamlout import dump
from epkit.objects import Obj


def diff(session: Session) -> None:
    """Compare what is there with what applying files would make of it; exit status 1 when they differ.

    The real one names temporary files with their times; here they are ``LIVE/…`` and ``MERGED/…``, alike in every run.
    """
    args = session.args
    if args.words:
        raise UsageError("diff", f"Unexpected args: [{' '.join(args.words)}]")
    if not args["filename"]:
        raise KubectlError("must specify one of -f and -k")
    if args["server-side"]:
        raise NotInSubset("diff --server-side")
    selection = select(session)
    raise_all(selection.failures)
    differs = False
    for info in selection.infos:
        live, merged = _both(session, info)
        differs = _show(session, info, live, merged) or differs
    if differs:
        raise ExitError


def _both(session: Session, info: Info) -> tuple[Obj | None, Obj]:
    """The object as it is and as it would be, by a dry run on the server; the note of what was applied last stays."""
    modified = writing.without_note(info.obj)
    live = session.find(info.mapping, info.namespace, info.name)
    query = {"dryRun": "All", "fieldManager": session.args["field-manager"], "fieldValidation": "Strict"}
    if live is None:
        return None, session.send("POST", info.mapping.path(info.namespace), query, modified)
    schema = merge_keys.of_kind(info.mapping.group, info.mapping.kind)
    patch = patch_for(modified, live, schema)
    if not patch:
        return live, live
    kind = "application/merge-patch+json" if schema is None else "application/strategic-merge-patch+json"
    return live, session.send("PATCH", info.path, query, patch, content_type=kind)


def _show(session: Session, info: Info, live: Obj | None, merged: Obj) -> bool:
    before = "" if live is None else dump(_shown(session, live))
    after = dump(_shown(session, merged))
    if before == after:
        return False
    group = f"{info.mapping.group}." if info.mapping.group else ""
    name = f"{group}{info.mapping.version}.{info.mapping.kind}.{info.namespace}.{info.name}"
    session.out(f"diff -u -N LIVE/{name} MERGED/{name}\n")
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"LIVE/{name}", f"MERGED/{name}"
    )
    session.out("".join(lines))
    return True


def _shown(session: Session, obj: Obj) -> Obj:
    return obj if session.args["show-managed-fields"] else formats.without_managed_fields(obj)
