"""``kubectl scale``.

Source: ``k8s.io/kubectl/pkg/cmd/scale/scale.go`` and ``pkg/scale``.
"""
from __future__ import annotations

from epkit.kubectl.builtin import formats, writing
from epkit.kubectl.builtin.failures import KubectlError, raise_all
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session


def scale(session: Session) -> None:
    """Set how many replicas there are to be."""
    args = session.args
    if "replicas" not in args.given:
        raise KubectlError('required flag(s) "replicas" not set')
    if args["replicas"] < 0:
        raise KubectlError("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    show = formats.printer(session, "scaled")
    selection = select(session)
    if not selection.infos and selection.failures:
        raise KubectlError(f"no objects passed to scale {selection.failures[0]}")
    if args["resource-version"] and len(selection.infos) > 1:
        raise KubectlError("cannot use --resource-version with multiple resources")
    for info in selection.infos:
        if formats.dry_run(session) != "client":
            _scale(session, info)
        show(formats.ordered(info.obj))
    raise_all(selection.failures)
    if not selection.infos:
        raise KubectlError("no objects passed to scale")


def _scale(session: Session, info: Info) -> None:
    args = session.args
    wanted = {"spec": {"replicas": args["replicas"]}}
    if args["current-replicas"] >= 0 or args["resource-version"]:
        path = info.at("scale")
        current = session.send("GET", path)
        found = (current.get("spec") or {}).get("replicas", 0)
        if args["current-replicas"] >= 0 and found != args["current-replicas"]:
            raise KubectlError(f"Expected replicas to be {args['current-replicas']}, was {found}")
        version = current["metadata"]["resourceVersion"]
        if args["resource-version"] and version != args["resource-version"]:
            raise KubectlError(f"Expected resource version to be {args['resource-version']}, was {version}")
        query = writing.query(session)
        session.send("PUT", path, query, current | {"spec": (current.get("spec") or {}) | wanted["spec"]})
    else:
        writing.patch(session, info, wanted, "merge", subresource="scale")
    if args["timeout"]:
        _wait(session, info)


def _wait(session: Session, info: Info) -> None:
    wanted = session.args["replicas"]
    for obj in session.follow(info.mapping, info.namespace, info.name, session.args["timeout"]):
        status = (obj or {}).get("status") or {}
        if obj is not None and status.get("replicas", 0) == wanted:
            return
    session.give_up(f"{info.printed} to have {wanted} replicas")
