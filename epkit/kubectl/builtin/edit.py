"""``kubectl edit``: with the editor in ``KUBE_EDITOR`` or ``EDITOR``, or with a Python function in its place.

Source: ``k8s.io/kubectl/pkg/cmd/util/editor/editoptions.go``.
"""
from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from epkit.errors import ApiError
from epkit.kubectl.builtin import decoding, formats, merge_keys, threeway, writing
from epkit.kubectl.builtin.failures import ExitError, KubectlError, raise_all
from epkit.kubectl.builtin.gotext import json_text, quote
from epkit.kubectl.builtin.selection import Info, as_list, select
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.yamlin import Unreadable, load
from epkit.kubectl.builtin.yamlout import dump
from epkit.objects import Obj

_HEADER = """\
# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
"""

#: an editor without a person in front of it may change the file for ever without making it valid
_OPENINGS = 10


def edit(session: Session) -> None:
    """Open objects in an editor and send what was changed as a patch."""
    args = session.args
    if args["output"] not in ("", "yaml", "json", "name"):
        formats.printer(session, "edited")
    selection = select(session, everything=True, latest=True)
    raise_all(selection.failures)
    infos = selection.infos
    if not infos:
        raise KubectlError("edit cancelled, no objects found")
    _Edit(session, infos).run()


class _Edit:
    """One editing of one or several objects, reopened until it is valid or given up."""

    def __init__(self, session: Session, infos: list[Info]) -> None:
        self.session = session
        self.infos = infos
        self.json = session.args["output"] == "json"
        self.originals = {info.obj["metadata"]["uid"]: _bare(info.obj) for info in infos}
        self.reasons: list[tuple[str, list[str]]] = []

    def run(self) -> None:
        shown = [Info(i.mapping, i.namespace, i.name, _bare(i.obj)) for i in self.infos]
        content: Obj = shown[0].obj if len(shown) == 1 else as_list(shown)
        original = json_text(content, 4) + "\n" if self.json else dump(content)
        text, failed = original, False
        for _ in range(_OPENINGS):
            edited = self._open(text)
            if failed and _same(edited, text):
                return self._keep(edited, KubectlError("Edit cancelled, no valid changes were saved."))
            fault = _fault(edited)
            if fault:
                what = f"{self.infos[0].mapping.resource} {quote(self.infos[0].name)}"
                self.session.err(f"error: {what} is invalid\n")
                why = f'<nil>: Invalid value: "The edited file failed validation": {fault}'
                text, failed, self.reasons = edited, True, [(f"{what} was not valid", [why])]
                continue
            if _same(edited, original):
                self.session.err("Edit cancelled, no changes made.\n")
                return
            text, self.reasons = _without_comments(edited), []
            objects = _objects(load(edited))
            unknown = [o for o in objects if self.session.resources.of_kind(o["apiVersion"], o["kind"]) is None]
            if unknown:
                first = f"no matches for kind {quote(unknown[0]['kind'])} in version {quote(unknown[0]['apiVersion'])}"
                failed, self.reasons = True, [(f"The edited file had a syntax error: {first}", [])]
                continue
            try:
                again = self._send_all(objects, edited)
            except KubectlError as error:
                return self._keep(edited, error)
            if not again:
                return
            failed = True
        self._keep(text, KubectlError(f"Edit cancelled: the changes were still not valid after {_OPENINGS} tries."))

    def _open(self, text: str) -> str:
        header = "" if self.json else _HEADER
        for head, others in self.reasons:
            header += "# " + head.replace("\n", "\n# ") + (":\n" if others else "\n")
            header += "".join("# * " + other.replace("\n", "\n# ") + "\n" for other in others) + "#\n"
        if self.session.editor is not None:
            return self.session.editor(header + text)
        return _in_editor(self.session, header + text, ".json" if self.json else ".yaml")

    def _send_all(self, objects: list[Obj], edited: str) -> bool:
        """Send what changed. True when the server found something invalid, and the editor is to be opened again."""
        again = False
        for obj in objects:
            uid = (obj.get("metadata") or {}).get("uid")
            info = next((i for i in self.infos if i.obj["metadata"]["uid"] == uid), None)
            if info is None:
                raise KubectlError("no original object found: its metadata.uid was changed")
            if obj == self.originals[uid]:
                formats.printer(self.session, "skipped")(info.obj)
                continue
            again = self._send(info, obj, edited) or again
        return again

    def _send(self, info: Info, obj: Obj, edited: str) -> bool:
        before = self.originals[info.obj["metadata"]["uid"]]
        fixed = [("apiVersion",), ("kind",), ("metadata", "name")]
        if any(_at(before, path) != _at(obj, path) for path in fixed):
            raise KubectlError("At least one of apiVersion, kind and name was changed")
        if self.session.args["save-config"]:
            obj = writing.with_note(obj)
        schema = merge_keys.of_kind(info.mapping.group, info.mapping.kind)
        patch = threeway.two_way(before, obj, schema)
        if self.session.args["output-patch"]:
            self.session.out(f"Patch: {json_text(patch)}\n")
        try:
            changed = writing.patch(
                self.session,
                info,
                patch,
                "merge" if schema is None else "strategic",
                validate=True,
                subresource=self.session.args["subresource"],
            )
        except ApiError as error:
            return self._refused(info, error, edited)
        formats.printer(self.session, "edited")(formats.ordered(changed))
        return False

    def _refused(self, info: Info, error: ApiError, edited: str) -> bool:
        what = f"{info.mapping.resource} {quote(info.name)}"
        if error.reason == "Invalid":
            causes = (error.status.get("details") or {}).get("causes") or ()
            self.session.err(f"error: {what} is invalid\n")
            self.reasons.append((f"{what} was not valid", [f"{c['field']}: {c['message']}" for c in causes]))
            return True
        path = _store(edited, ".json" if self.json else ".yaml")
        if error.reason == "NotFound":
            self.session.err(f"error: {what} could not be found on the server\n")
            self.session.err(f'The edits you made on deleted resources have been saved to "{path}"\n')
        else:
            self.session.err(f"error: {what} could not be patched: {error.message}\n")
            self.session.err(f"You can run `kubectl replace -f {path}` to try this update again.\n")
        raise ExitError

    def _keep(self, edited: str, error: KubectlError) -> None:
        if isinstance(error, ExitError):
            raise error
        path = _store(edited, ".json" if self.json else ".yaml")
        self.session.err(f'A copy of your changes has been stored to "{path}"\n')
        raise error


def _bare(obj: Obj) -> Obj:
    return formats.ordered(formats.without_managed_fields(obj))


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        obj = (obj or {}).get(key)
    return obj


def _same(a: str, b: str) -> bool:
    """Equal but for comments and layout."""
    try:
        return bool(load(a) == load(b))
    except Unreadable:
        return _without_comments(a) == _without_comments(b)


def _without_comments(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def _fault(text: str) -> str:
    """Why the text is no object, if it is none."""
    try:
        value = load(text)
    except Unreadable as error:
        return f"error converting YAML to JSON: {error}"
    value = {} if value is None else value
    faults = decoding.kind_faults(value)
    return faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]" if faults else ""


def _objects(value: Obj) -> list[Obj]:
    return list(value["items"]) if value["kind"] == "List" else [value]


def _store(text: str, suffix: str) -> str:
    descriptor, path = tempfile.mkstemp(suffix, "kubectl-edit-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _in_editor(session: Session, text: str, suffix: str) -> str:
    """Let the editor change a file with the text.

    Raises:
        KubectlError: there is no editor, or it failed.
    """
    environment = {**os.environ, **session.env}
    editor = environment.get("KUBE_EDITOR") or environment.get("EDITOR")
    if not editor:
        raise KubectlError(
            "no editor: set KUBE_EDITOR to a command that changes the file it is given, such as "
            "KUBE_EDITOR='sed -i s/80/8080/'"
        )
    path = Path(_store(text, suffix))
    try:
        done = subprocess.run(
            f'{editor} "{path}"',
            shell=True,  # the editor is a shell command, as it is for the real kubectl
            env=environment,
            capture_output=True,
            text=True,
            timeout=session.timeout,
            check=False,
        )
        session.out(done.stdout)
        session.err(done.stderr)
        if done.returncode:
            raise KubectlError(f'there was a problem with the editor "{editor}"')
        return path.read_text(encoding="utf-8")
    except subprocess.TimeoutExpired:
        raise KubectlError(f'the editor "{editor}" did not end within {session.timeout:g} s') from None
    finally:
        path.unlink(missing_ok=True)
