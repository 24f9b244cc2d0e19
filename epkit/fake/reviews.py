"""Reviews: questions that are asked with POST and stored nowhere. On the fake everything is allowed.

Source: ``pkg/registry/authorization`` and ``pkg/registry/authentication``.
"""

from __future__ import annotations

from epkit.objects import Obj

USER = {"username": "kubernetes-admin", "groups": ["kubeadm:cluster-admins", "system:authenticated"]}
PATHS = {
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews": "SelfSubjectRulesReview",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews": "SelfSubjectReview",
}


def answer(path: str, sent: Obj) -> Obj | None:
    """The answer to a review, or None if the path is not one of theirs."""
    kind = PATHS.get(path)
    if kind is None:
        return None
    group = path.split("/")[2]
    status: Obj
    if kind == "SelfSubjectAccessReview":
        status = {"allowed": True, "reason": "the built-in cluster allows everything"}
    elif kind == "SelfSubjectRulesReview":
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        status = {
            "resourceRules": [everything],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": False,
        }
    else:
        status = {"userInfo": USER}
    metadata = {"creationTimestamp": None, **(sent.get("metadata") or {})}
    return {
        "kind": kind,
        "apiVersion": f"{group}/v1",
        "metadata": metadata,
        **({"spec": sent["spec"]} if "spec" in sent else {}),
        "status": status,
    }
