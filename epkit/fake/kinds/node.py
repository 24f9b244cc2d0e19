"""Node, core/v1.

Source: ``pkg/registry/core/node/strategy.go``, ``plugin/pkg/admission/nodetaint`` and ``printNode``.
"""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import names, printing
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, duplicate, forbidden, invalid, unsupported
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.common import drop_empty, drop_zero, keep_spec, keep_status
from epkit.fake.kinds.names import name_is_subdomain

NOT_READY = "node.kubernetes.io/not-ready"
_INFO = (
    "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion",
    "kubeProxyVersion", "operatingSystem", "architecture",
)  # fmt: skip
_EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
_ROLE = "node-role.kubernetes.io/"


def default(node: Obj) -> None:
    drop_empty(node)
    drop_zero(node.setdefault("spec", {}), "unschedulable", "podCIDR", "providerID")
    _default_status(node.setdefault("status", {}))


def _default_status(status: Obj) -> None:
    status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {}).setdefault("Port", 0)
    info = status.setdefault("nodeInfo", {})
    for key in _INFO:
        info.setdefault(key, "")
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])
    for condition in status.get("conditions") or ():
        condition.setdefault("lastHeartbeatTime", None)
        condition.setdefault("lastTransitionTime", None)


def prepare_create(node: Obj, context: Context) -> None:
    """A new node is tainted until its Ready condition is seen (admission plugin TaintNodesByCondition)."""
    taints = node["spec"].get("taints") or []
    if not any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
        node["spec"]["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]


def prepare_status(new: Obj, old: Obj, context: Context) -> None:
    keep_spec(new, old, context)
    _default_status(new.setdefault("status", {}))


def validate(node: Obj, context: Context) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(node["spec"].get("taints") or ()):
        path, key, effect = f"spec.taints[{index}]", taint.get("key", ""), taint.get("effect", "")
        errors += (invalid(f"{path}.key", key, fault) for fault in names.label_key(key))
        value = taint.get("value", "")
        errors += (invalid(f"{path}.value", value, fault) for fault in names.label_value(value))
        if effect not in _EFFECTS:
            errors.append(unsupported(f"{path}.effect", effect, _EFFECTS))
        if (key, effect) in seen:
            errors.append(duplicate(path, {"key": key, "effect": effect}))
        seen.add((key, effect))
    return errors


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    errors = validate(new, context)
    for key, text in (
        ("podCIDR", 'node updates may not change podCIDR except from "" to valid'),
        ("providerID", 'node updates may not change providerID except from "" to valid'),
    ):
        if old["spec"].get(key) and new["spec"].get(key) != old["spec"][key]:
            errors.append(forbidden(f"spec.{key}", text))
    return errors


def row(node: Obj, now: float) -> list[Any]:
    status = node.get("status") or {}
    info, addresses = status.get("nodeInfo") or {}, status.get("addresses") or ()

    def address(kind: str) -> str:
        return next((entry.get("address", "") for entry in addresses if entry.get("type") == kind), printing.NONE)

    return [
        node["metadata"]["name"],
        _status(node),
        _roles(node["metadata"].get("labels") or {}),
        printing.age(node, now),
        info.get("kubeletVersion", ""),
        address("InternalIP"),
        address("ExternalIP"),
        info.get("osImage") or printing.UNKNOWN,
        info.get("kernelVersion") or printing.UNKNOWN,
        info.get("containerRuntimeVersion") or printing.UNKNOWN,
    ]


def _status(node: Obj) -> str:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = next((entry for entry in conditions if entry.get("type") == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if node["spec"].get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(labels: dict[str, str]) -> str:
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)} | {
        labels.get("kubernetes.io/role", "")
    }
    return ",".join(sorted(roles - {""})) or printing.NONE


NODE = Kind(
    group="",
    version="v1",
    kind="Node",
    plural="nodes",
    schema="io.k8s.api.core.v1.Node",
    short_names=("no",),
    namespaced=False,
    status=True,
    columns=(
        NAME,
        column("Status", text="The status of the node"),
        column("Roles", text="The roles of the node"),
        AGE,
        column("Version", "NodeSystemInfo.kubeletVersion"),
        column("Internal-IP", "NodeStatus.addresses", wide=True),
        column("External-IP", "NodeStatus.addresses", wide=True),
        column("OS-Image", "NodeSystemInfo.osImage", wide=True),
        column("Kernel-Version", "NodeSystemInfo.kernelVersion", wide=True),
        column("Container-Runtime", "NodeSystemInfo.containerRuntimeVersion", wide=True),
    ),
    row=row,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=prepare_status,
    validate=validate,
    validate_update=validate_update,
    validate_name=name_is_subdomain,
    generation=None,
    field_labels={"spec.unschedulable": lambda node: "true" if node["spec"].get("unschedulable") else "false"},
)
