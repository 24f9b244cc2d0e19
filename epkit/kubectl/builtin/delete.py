"""``kubectl delete``.

Source: ``k8s.io/kubectl/pkg/cmd/delete/delete.go``, in the words of kubectl 1.32: ``service "web" deleted``.
"""
from __future__ import annotations

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats
from epkit.kubectl.builtin.failures import KubectlError, at_source, raise_all
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj


def delete(session: Session) -> None:
    """Delete objects by name, file, label or all of a type, and wait until they are gone."""
    args = session.args
    selecting = args["all"] or args["selector"] or args["field-selector"]
    ignore = args["ignore-not-found"] or (selecting and "ignore-not-found" not in args.given)
    grace = _grace(session)
    policy = _policy(session)
    if args["all"] and (args["selector"] or args["field-selector"]):
        raise KubectlError("setting 'all' parameter but found a non empty selector. ")
    selection = select(session, fetch=False)
    if args["output"] not in ("", "name"):
        raise KubectlError(f"unexpected -o output mode: {args['output']}. We only support '-o name'")
    if args["force"] and grace == 0:
        session.warn(
            "Immediate deletion does not wait for confirmation that the running resource has been terminated. The "
            "resource may continue to run on the cluster indefinitely."
        )
    elif args["force"] and grace > 0:
        raise KubectlError("--force and --grace-period greater than 0 cannot be specified together")
    failures = [failure for failure in selection.failures if not (ignore and _not_found(failure))]
    deleted: list[tuple[Info, str]] = []
    found = 0
    warned = False
    for info in selection.infos:
        if session.namespace_given and not info.mapping.namespaced and not args["all-namespaces"] and not warned:
            session.warn("deleting cluster-scoped resources, not scoped to the provided namespace")
            warned = True
        try:
            uid = _delete(session, info, grace, policy)
        except ApiError as error:
            if not (ignore and _not_found(error)):
                failures.append(error)
            continue
        found += 1
        _say(session, info, grace)
        deleted.append((info, uid))
    raise_all(failures)
    if not found and not selection.named:
        session.out("No resources found\n")
    if args["wait"] and formats.dry_run(session) == "none":
        for info, uid in deleted:
            wait_until_gone(session, info, uid, args["timeout"])


def _not_found(failure: Exception) -> bool:
    return isinstance(failure, ApiError) and failure.reason == "NotFound"


def _grace(session: Session) -> int:
    args = session.args
    grace = int(args["grace-period"])
    if args.get("now"):
        if grace != -1:
            raise KubectlError("--now and --grace-period cannot be specified together")
        grace = 1
    if grace == 0 and not args["force"]:
        grace = 1  # as upstream: nothing is lost by accident
    return 0 if args["force"] and grace < 0 else grace


def _policy(session: Session) -> str:
    value = session.args["cascade"]
    known = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}
    known |= {"true": "Background", "false": "Orphan"}
    if value not in known:
        raise KubectlError(f'invalid cascade value ({value}). Must be "background", "foreground", or "orphan"')
    return known[value]


def _delete(session: Session, info: Info, grace: int, policy: str) -> str:
    """Delete one object; returns its uid, or nothing where the server does not tell."""
    if formats.dry_run(session) == "client":
        return ""
    options: Obj = {"propagationPolicy": policy}
    if grace >= 0:
        options["gracePeriodSeconds"] = grace
    query = {"dryRun": "All"} if formats.dry_run(session) == "server" else None
    if query:
        options["dryRun"] = ["All"]
    try:
        answer = session.send("DELETE", info.path, query, options)
    except (ApiError, KubectlError) as error:
        raise at_source("deleting", info.source, error) from None
    if answer.get("kind") == "Status":
        return str((answer.get("details") or {}).get("uid", ""))
    return str((answer.get("metadata") or {}).get("uid", ""))


def _say(session: Session, info: Info, grace: int) -> None:
    if session.args["output"] == "name":
        session.out(f"{info.printed}\n")
        return
    said = "force deleted" if grace == 0 else "deleted"
    said += {"client": " (dry run)", "server": " (server dry run)"}.get(formats.dry_run(session), "")
    session.out(f'{info.mapping.printed_kind} "{info.name}" {said}\n')


def wait_until_gone(session: Session, info: Info, uid: str, seconds: float) -> None:
    """Wait until the object is not there, or another one of its name is.

    Raises:
        KubectlError: it is still there when the time is over.
    """
    for obj in session.follow(info.mapping, info.namespace, info.name, seconds):
        if obj is None or (uid and obj["metadata"].get("uid") != uid):
            return
    if 0 < seconds < session.timeout:
        raise KubectlError(f"timed out waiting for the condition on {info.mapping.plural}/{info.name}")
    session.give_up(f"{info.printed} to be gone")
