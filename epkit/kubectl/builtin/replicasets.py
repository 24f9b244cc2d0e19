"""A Deployment's ReplicaSets: which one is the current, which ones are old.

Source: ``k8s.io/kubectl/pkg/util/deployment/deployment.go``.
"""
from __future__ import annotations

from epkit.kubectl.builtin.selectors import as_text
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj, controller_of

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


def of_deployment(session: Session, deployment: Obj) -> list[Obj]:
    """The ReplicaSets that the Deployment controls, in the server's order."""
    mapping = session.resources.find("replicasets.apps")
    meta = deployment["metadata"]
    listed = session.list(mapping, meta["namespace"], labelSelector=as_text(deployment["spec"]["selector"]))
    return [item for item in listed if (controller_of(item) or {}).get("uid") == meta["uid"]]


def old_and_new(session: Session, deployment: Obj) -> tuple[list[Obj], Obj | None]:
    """The old ReplicaSets and the one whose template is the Deployment's; of several the oldest."""
    owned = of_deployment(session, deployment)
    wanted = deployment["spec"]["template"]
    by_age = sorted(owned, key=lambda rs: (rs["metadata"]["creationTimestamp"], rs["metadata"]["name"]))
    new = next((rs for rs in by_age if same_template(rs["spec"]["template"], wanted)), None)
    return [rs for rs in owned if new is None or rs["metadata"]["uid"] != new["metadata"]["uid"]], new


def same_template(a: Obj, b: Obj) -> bool:
    """Whether two pod templates are equal but for the hash that the controller adds."""
    return without_hash(a) == without_hash(b)


def without_hash(template: Obj) -> Obj:
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH}
    return template | {"metadata": {key: value for key, value in meta.items() if value}}


def revision(rs: Obj) -> int:
    return int((rs["metadata"].get("annotations") or {}).get(REVISION, "0") or 0)
