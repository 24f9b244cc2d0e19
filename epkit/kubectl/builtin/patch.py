"""``kubectl patch``.

Source: ``k8s.io/kubectl/pkg/cmd/patch/patch.go``.
"""
from __future__ import annotations

from pathlib import Path

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats, writing
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, raise_all
from epkit.kubectl.builtin.selection import select
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.yamlin import Unreadable, load


def patch(session: Session) -> None:
    """Change fields by a strategic merge, JSON merge or JSON patch."""
    args = session.args
    if args["patch"] and args["patch-file"]:
        raise KubectlError("cannot specify --patch and --patch-file together")
    if not args["patch"] and not args["patch-file"]:
        raise KubectlError("must specify --patch or --patch-file containing the contents of the patch")
    kind = args["type"].lower()
    if kind not in ("json", "merge", "strategic"):
        raise KubectlError(f"--type must be one of [json merge strategic], not {args['type']!r}".replace("'", '"'))
    text = args["patch"] or Path(args["patch-file"]).read_text(encoding="utf-8")
    try:
        content = load(text)
    except Unreadable as error:
        raise KubectlError(f'unable to parse "{text}": {error}') from None
    if formats.dry_run(session) == "client":
        raise NotInSubset("patch --dry-run=client (use --dry-run=server)")
    selection = select(session)
    failures = list(selection.failures)
    for info in selection.infos:
        try:
            changed = writing.patch(session, info, content, kind, subresource=args["subresource"])
        except ApiError as error:
            failures.append(error)
            continue
        said = "patched" if changed != info.obj else "patched (no change)"
        formats.printer(session, said, tell_dry_run=False)(formats.ordered(changed))
    if not selection.infos and not failures:
        raise KubectlError("no objects passed to patch")
    raise_all(failures)
