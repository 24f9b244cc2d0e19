"""``kubectl rollout history`` and ``kubectl rollout undo``, of Deployments.

Source: ``k8s.io/kubectl/pkg/polymorphichelpers`` (history.go, rollback.go).
"""
from __future__ import annotations

from epkit.kubectl.builtin import formats, writing
from epkit.kubectl.builtin.describe.pods import template as describe_template
from epkit.kubectl.builtin.describe.writer import Writer
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, raise_all
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.replicasets import HASH, REVISION, of_deployment, revision, same_template, without_hash
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.tables import align
from epkit.objects import Obj

_CAUSE = "kubernetes.io/change-cause"
#: annotations of a Deployment that stay when its template goes back
_KEPT = frozenset(
    {
        writing.LAST_APPLIED,
        REVISION,
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    }
)


def history(session: Session) -> None:
    """List the revisions and why they were made, or show one revision's template."""
    args = session.args
    if args["revision"] < 0:
        raise KubectlError(f"revision must be a positive integer: {args['revision']}")
    if formats.structured(args):
        raise NotInSubset("rollout history -o")
    for info in _targets(session, "history"):
        wanted = args["revision"]
        by_revision = _by_revision(session, info.obj)
        if wanted:
            if wanted not in by_revision:
                raise KubectlError("unable to find the specified revision")
            text = _template(session, by_revision[wanted]["spec"]["template"], by_revision[wanted])
        elif not by_revision:
            text = "No rollout history found."
        else:
            rows = [f"{number}\t{_cause(rs)}\n" for number, rs in sorted(by_revision.items())]
            text = align("REVISION\tCHANGE-CAUSE\n" + "".join(rows), minimum=0, padding=2)
        session.out(f"{info.printed}{f' with revision #{wanted}' if wanted else ' '}\n{text}\n")


def undo(session: Session) -> None:
    """Go back to the template of the revision before, or of ``--to-revision``."""
    args = session.args
    wanted = args["to-revision"]
    if wanted < 0:
        raise KubectlError(f"revision must be a non-negative integer: {wanted}")
    for info in _targets(session, "rollbacker"):
        done = _undo(session, info, wanted)
        formats.printer(session, done)(formats.ordered(info.obj))


def _targets(session: Session, what: str) -> list[Info]:
    if not session.args.words and not session.args["filename"]:
        raise KubectlError("required resource not specified")
    selection = select(session, everything=True, latest=True)
    raise_all(selection.failures)
    for info in selection.infos:
        if info.mapping.group == "apps" and info.mapping.kind in ("DaemonSet", "StatefulSet"):
            raise NotInSubset(f"{session.args.command} of a {info.mapping.kind}")
        if (info.mapping.group, info.mapping.kind) != ("apps", "Deployment"):
            mapping = info.mapping
            raise KubectlError(
                f"error retrieving {what} for {quote(mapping.group_kind)}, no visitor method exists for "
                f"{{{mapping.group} {mapping.kind}}}"
            )
    return selection.infos


def _by_revision(session: Session, deployment: Obj) -> dict[int, Obj]:
    return {revision(rs): rs for rs in of_deployment(session, deployment) if revision(rs)}


def _cause(rs: Obj) -> str:
    return (rs["metadata"].get("annotations") or {}).get(_CAUSE) or "<none>"


def _template(session: Session, template: Obj, rs: Obj) -> str:
    meta = dict(template.get("metadata") or {})
    cause = (rs["metadata"].get("annotations") or {}).get(_CAUSE)
    if cause:
        meta["annotations"] = {**(meta.get("annotations") or {}), _CAUSE: cause}
    w = Writer(session)
    describe_template(w, template | {"metadata": meta})
    return w.unaligned()


def _undo(session: Session, info: Info, wanted: int) -> str:
    name = info.name
    by_revision = _by_revision(session, info.obj)
    rs = _target(by_revision, wanted)
    if rs is None:
        if wanted:
            raise KubectlError(f"unable to find specified revision {wanted} in history")
        raise KubectlError(f"no rollout history found for deployment {quote(name)}")
    template = without_hash(rs["spec"]["template"])
    if formats.dry_run(session) == "client":
        return _template(session, rs["spec"]["template"], {"metadata": {}})
    if info.obj["spec"].get("paused"):
        raise KubectlError(
            "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again"
        )
    if same_template(template, info.obj["spec"]["template"]):
        return f"skipped rollback (current template already matches revision {revision(rs)})"
    own, old = (item["metadata"].get("annotations") or {} for item in (info.obj, rs))
    annotations = {key: value for key, value in own.items() if key in _KEPT}
    annotations |= {key: value for key, value in old.items() if key not in _KEPT}
    template["metadata"]["labels"].pop(HASH, None)
    patch = [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "replace", "path": "/metadata/annotations", "value": annotations},
    ]
    info.obj = writing.patch(session, info, patch, "json")
    return "rolled back"


def _target(by_revision: dict[int, Obj], wanted: int) -> Obj | None:
    """The ReplicaSet of the revision; of none, the last but one."""
    if wanted:
        return by_revision.get(wanted)
    newest = sorted(by_revision)
    return by_revision[newest[-2]] if len(newest) > 1 else None
