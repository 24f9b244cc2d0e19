"""``kubectl replace``.

Source: ``k8s.io/kubectl/pkg/cmd/replace/replace.go``.
"""
from __future__ import annotations

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats, writing
from epkit.kubectl.builtin.delete import wait_until_gone
from epkit.kubectl.builtin.failures import KubectlError, at_source, raise_all
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj


def replace(session: Session) -> None:
    """Put what files say in the place of what is there."""
    args = session.args
    if not args["filename"]:
        raise KubectlError("must specify one of -f and -k")
    if (args["grace-period"] >= 0 or args["timeout"]) and not args["force"]:
        flag = "grace-period" if args["grace-period"] >= 0 else "timeout"
        raise KubectlError(f"--{flag} must have --force specified")
    show = formats.printer(session, "replaced")
    selection = select(session)
    failures = list(selection.failures)
    for info in selection.infos:
        obj = writing.with_note(info.obj) if args["save-config"] or writing.note_of(info.obj) else info.obj
        try:
            made = _again(session, info, obj) if args["force"] else _put(session, info, obj)
        except (ApiError, KubectlError) as error:
            failures.append(error)
            continue
        show(formats.ordered(made))
    if not selection.infos and not failures:
        raise KubectlError("no objects passed to replace")
    raise_all(failures)


def _put(session: Session, info: Info, obj: Obj) -> Obj:
    if formats.dry_run(session) == "client":
        return obj
    try:
        if info.name and not (obj.get("metadata") or {}).get("resourceVersion"):
            current = session.find(info.mapping, info.namespace, info.name)
            if current is not None:  # else the server says whether it makes one
                obj = obj | {"metadata": obj["metadata"] | {"resourceVersion": current["metadata"]["resourceVersion"]}}
        path = info.at(session.args["subresource"])
        return session.send("PUT", path, writing.query(session, validate=True), obj)
    except (ApiError, KubectlError) as error:
        raise at_source("replacing", info.source, error) from None


def _again(session: Session, info: Info, obj: Obj) -> Obj:
    """Delete the object, wait until it is gone, and create it again."""
    options: Obj = {"propagationPolicy": "Background"}
    grace = session.args["grace-period"]
    if grace >= 0:
        options["gracePeriodSeconds"] = grace
    try:
        answer = session.send("DELETE", info.path, None, options)
        session.out(f'{info.mapping.printed_kind} "{info.name}" deleted\n')
        uid = (answer.get("details") or {}).get("uid") or (answer.get("metadata") or {}).get("uid", "")
        wait_until_gone(session, info, uid, session.args["timeout"])
    except ApiError as error:
        if error.reason != "NotFound":
            raise
    return writing.create(session, info, obj)
