"""What the commands that change things share: where a request goes, dry runs, the note of what was applied last."""
from __future__ import annotations

from typing import Any

from epkit.client import PATCH_TYPES
from epkit.errors import ApiError
from epkit.kubectl.builtin import formats
from epkit.kubectl.builtin.failures import KubectlError, at_source
from epkit.kubectl.builtin.gotext import json_text
from epkit.kubectl.builtin.selection import Info
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def query(session: Session, *, validate: bool = False) -> dict[str, str]:
    """The query of a write: the field manager, a server-side dry run, strict validation."""
    given: dict[str, str] = {}
    manager = session.args.get("field-manager")
    if manager:
        given["fieldManager"] = manager
    if formats.dry_run(session) == "server":
        given["dryRun"] = "All"
    if validate:
        given["fieldValidation"] = _validation(session)
    return given


def _validation(session: Session) -> str:
    value = session.args.get("validate", "strict")
    known = {
        "true": "Strict", "strict": "Strict", "warn": "Warn", "false": "Ignore", "ignore": "Ignore", "": "Strict",
    }  # fmt: skip
    if value not in known:
        raise KubectlError(
            f'invalid - validate option "{value}"; must be one of: strict (or true), warn, ignore (or false)'
        )
    return known[value]


def create(session: Session, info: Info, obj: Obj) -> Obj:
    """POST the object.

    Raises:
        ApiError: the server refused; the text names the file that the object came from.
    """
    path = info.mapping.path(info.namespace)
    try:
        return session.send("POST", path, query(session, validate="validate" in session.args.values), obj)
    except ApiError as error:
        raise at_source("creating", info.source, error) from None


def patch(
    session: Session, info: Info, content: Any, kind: str, *, validate: bool = False, subresource: str = ""
) -> Obj:
    """PATCH the object; `kind` is a key of :data:`epkit.client.PATCH_TYPES`."""
    path = info.at(subresource)
    return session.send("PATCH", path, query(session, validate=validate), content, content_type=PATCH_TYPES[kind])


def with_note(obj: Obj) -> Obj:
    """The object with the annotation that says what was applied: itself without that annotation."""
    bare = without_note(obj)
    meta, note = bare["metadata"], json_text(bare) + "\n"
    return bare | {"metadata": meta | {"annotations": meta["annotations"] | {LAST_APPLIED: note}}}


def without_note(obj: Obj) -> Obj:
    """The object without that annotation, though always with annotations."""
    meta = obj.get("metadata") or {}
    annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if key != LAST_APPLIED}
    return obj | {"metadata": meta | {"annotations": annotations}}


def note_of(obj: Obj) -> str | None:
    """What was applied last, as JSON text; None where nothing was."""
    return ((obj.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)


def one_name(session: Session) -> str:
    """The one NAME argument of a ``create …`` command.

    Raises:
        UsageError: there is none or more than one.
    """
    from epkit.kubectl.builtin.failures import UsageError

    words = list(session.args.words)
    after = session.args.after_dashes or []
    names = words[: len(words) - len(after)] if after else words
    if len(names) != 1:
        raise UsageError(session.args.command, f"exactly one NAME is required, got {len(names)}")
    return names[0]
