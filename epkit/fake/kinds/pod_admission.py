"""What admission adds to a pod: a service account and its token, tolerations, a priority, its node's topology.

Source: ``plugin/pkg/admission/serviceaccount``, ``defaulttolerationseconds``, ``priority`` and ``podtopologylabels``.
"""

from __future__ import annotations

from epkit.fake.kinds.base import Context, Obj, Refused

TOPOLOGY_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_MIRROR = "kubernetes.io/config.mirror"
_PRIORITIES = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}
_FIVE_MINUTES = 300


def admit(pod: Obj, context: Context) -> None:
    """All that admission does to a pod that is being created.

    Raises:
        Refused: its service account or priority class does not exist.
    """
    _service_account(pod, context)
    _priority(pod)
    add_default_tolerations(pod)
    if node := pod["spec"].get("nodeName"):
        copy_topology_labels(pod, context.get("nodes", node))


def copy_topology_labels(pod: Obj, node: Obj | None) -> None:
    """Give a pod its node's zone and region as labels; called when it is bound, or created with a node's name."""
    if node is None:
        return
    of_node = node["metadata"].get("labels") or {}
    found = {key: of_node[key] for key in TOPOLOGY_LABELS if key in of_node}
    if found:
        pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **found}


def add_default_tolerations(pod: Obj) -> None:
    """Let a pod stay for five minutes on a node that is not ready or unreachable, unless it says otherwise."""
    given = pod["spec"].get("tolerations") or []
    added = []
    for taint in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        for toleration in given:
            if toleration.get("key", "") in ("", taint) and toleration.get("effect", "") in ("", "NoExecute"):
                break
        else:
            added.append(
                {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _FIVE_MINUTES}
            )
    if added:
        pod["spec"]["tolerations"] = [*given, *added]


def _priority(pod: Obj) -> None:
    spec, name = pod["spec"], pod["spec"].get("priorityClassName")
    if name and name not in _PRIORITIES:
        raise Refused(forbidden=f"no PriorityClass with name {name} was found")
    spec["priority"] = _PRIORITIES.get(name or "", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _service_account(pod: Obj, context: Context) -> None:
    metadata, spec = pod["metadata"], pod["spec"]
    if _MIRROR in (metadata.get("annotations") or {}):
        return
    name = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = name
    namespace = metadata["namespace"]
    account = context.get("serviceaccounts", name, namespace)
    if account is None and name != "default":  # the default one exists in every namespace, if not always at once
        raise Refused(
            forbidden=f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        )
    automount = spec.get("automountServiceAccountToken")
    if automount is None:
        automount = (account or {}).get("automountServiceAccountToken", True)
    if automount:
        _mount_token(spec, context, namespace, metadata.get("name", ""))
    if account and account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]


def _mount_token(spec: Obj, context: Context, namespace: str, pod_name: str) -> None:
    containers = [
        container
        for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
        if all(mount.get("mountPath") != _TOKEN_PATH for mount in container.get("volumeMounts") or ())
    ]
    if not containers:
        return
    volume = "kube-api-access-" + context.name("kube-api-access-", namespace, pod_name)
    for container in containers:
        mount = {"name": volume, "readOnly": True, "mountPath": _TOKEN_PATH}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
    namespace_item = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace_item]}},
    ]
    projected = {"name": volume, "projected": {"sources": sources, "defaultMode": 0o644}}
    spec["volumes"] = [*(spec.get("volumes") or ()), projected]
