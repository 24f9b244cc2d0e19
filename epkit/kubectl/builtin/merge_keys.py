"""How lists and maps merge in a strategic merge patch: the ``patchStrategy`` and ``patchMergeKey`` of the API's types.

Source: the tags in ``k8s.io/api`` (core/v1, apps/v1, batch/v1 types.go) and ``k8s.io/apimachinery/pkg/apis/meta/v1``.
Lists that are not named here are replaced as a whole.
"""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A field: the type of its value or items, the key that its items are told apart by, and its strategies."""

    type: str = ""
    key: str = ""
    merge: bool = False
    retain_keys: bool = False
    replace: bool = False


def _list(type_: str, key: str, *, retain_keys: bool = False) -> Field:
    return Field(type_, key, merge=True, retain_keys=retain_keys)


_OBJECT = Field("")
_SCALARS = Field(merge=True)
_CONDITIONS = {"conditions": _list("", "type")}
_TEMPLATE = {"template": Field("PodTemplate")}

_TYPES: dict[str, dict[str, Field]] = {
    "ObjectMeta": {"ownerReferences": _list("", "uid"), "finalizers": _SCALARS},
    "PodTemplate": {"metadata": Field("ObjectMeta"), "spec": Field("PodSpec")},
    "PodSpec": {
        "containers": _list("Container", "name"),
        "initContainers": _list("Container", "name"),
        "ephemeralContainers": _list("Container", "name"),
        "volumes": _list("", "name", retain_keys=True),
        "imagePullSecrets": _list("", "name"),
        "hostAliases": _list("", "ip"),
        "topologySpreadConstraints": _list("", "topologyKey"),
        "resourceClaims": _list("", "name", retain_keys=True),
        "schedulingGates": _list("", "name"),
    },
    "Container": {
        "ports": _list("", "containerPort"),
        "env": _list("", "name"),
        "volumeMounts": _list("", "mountPath"),
        "volumeDevices": _list("", "devicePath"),
    },
    "PodStatus": {**_CONDITIONS, "podIPs": _list("", "ip"), "hostIPs": _list("", "ip")},
    "ServiceSpec": {"ports": _list("", "port")},
    "WithConditions": _CONDITIONS,
    "NodeSpec": {"podCIDRs": _SCALARS},
    "NodeStatus": {**_CONDITIONS, "addresses": _list("", "type")},
    "DeploymentSpec": {**_TEMPLATE, "strategy": Field(retain_keys=True)},
    "WorkloadSpec": _TEMPLATE,
    "CronJobSpec": {"jobTemplate": Field("JobTemplate")},
    "JobTemplate": {"metadata": Field("ObjectMeta"), "spec": Field("WorkloadSpec")},
    "DisruptionBudgetSpec": {"selector": Field(replace=True)},
}

_META = {"metadata": Field("ObjectMeta")}
_WORKLOAD = {**_META, "spec": Field("WorkloadSpec"), "status": Field("WithConditions")}
_KINDS: dict[tuple[str, str], dict[str, Field]] = {
    ("", "Pod"): {**_META, "spec": Field("PodSpec"), "status": Field("PodStatus")},
    ("", "Service"): {**_META, "spec": Field("ServiceSpec"), "status": Field("WithConditions")},
    ("", "ServiceAccount"): {**_META, "secrets": _list("", "name")},
    ("", "Node"): {**_META, "spec": Field("NodeSpec"), "status": Field("NodeStatus")},
    ("", "Namespace"): {**_META, "status": Field("WithConditions")},
    ("", "ReplicationController"): _WORKLOAD,
    ("apps", "Deployment"): {**_META, "spec": Field("DeploymentSpec"), "status": Field("WithConditions")},
    ("apps", "ReplicaSet"): _WORKLOAD,
    ("apps", "StatefulSet"): _WORKLOAD,
    ("apps", "DaemonSet"): _WORKLOAD,
    ("batch", "Job"): _WORKLOAD,
    ("batch", "CronJob"): {**_META, "spec": Field("CronJobSpec")},
    ("policy", "PodDisruptionBudget"): {
        **_META,
        "spec": Field("DisruptionBudgetSpec"),
        "status": Field("WithConditions"),
    },
}

#: groups whose types kubectl was built with; patches of other kinds are JSON merge patches
_KNOWN_GROUPS = frozenset(
    {
        "", "admissionregistration.k8s.io", "apps", "authentication.k8s.io", "authorization.k8s.io", "autoscaling",
        "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io",
        "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io",
        "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
    }
)  # fmt: skip

Schema = dict[str, Field]


def of_kind(group: str, kind: str) -> Schema | None:
    """The fields of a kind; None for a kind that kubectl was not built with."""
    if group not in _KNOWN_GROUPS:
        return None
    return _KINDS.get((group, kind), _META)


def within(field: Field) -> Schema:
    """The fields of a field's value, or of its items."""
    return _TYPES.get(field.type, {})


def field_of(schema: Schema, name: str) -> Field:
    return schema.get(name, _OBJECT)
