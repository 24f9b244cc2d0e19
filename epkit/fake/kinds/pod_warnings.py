"""Warnings about pods and pod templates: what is accepted but will surprise.

Source: ``pkg/api/pod/warnings.go`` and the ``WarningsOnCreate`` of the workloads' strategies.
"""

from __future__ import annotations

from epkit.fake.kinds import names
from epkit.fake.kinds.base import Obj, shown

_OLD_NODE_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}


def of_pod(new: Obj, old: Obj | None) -> list[str]:
    texts = _of_name(new, "the Pod's hostname") if old is None else []
    return texts + _of_spec(new["spec"], "spec")


def of_workload(new: Obj, old: Obj | None) -> list[str]:
    """Warnings about a workload's name, and about its template when that is new."""
    texts = _of_name(new, "Pod names and hostnames") if old is None else []
    if old is not None and old["spec"].get("template") == new["spec"].get("template"):
        return texts
    return texts + _of_spec(new["spec"]["template"]["spec"], "spec.template.spec")


def _of_name(obj: Obj, used_in: str) -> list[str]:
    faults = names.dns_label(obj["metadata"].get("name", ""))
    if not faults:
        return []
    text = f"metadata.name: this is used in {used_in}, which can result in surprising behavior"
    return [f"{text}; a DNS label is recommended: [{' '.join(faults)}]"]


def _of_spec(spec: Obj, path: str) -> list[str]:
    texts: list[str] = []
    for key in spec.get("nodeSelector") or ():
        if key in _OLD_NODE_LABELS:
            since, instead = _OLD_NODE_LABELS[key]
            texts.append(f'{path}.nodeSelector[{key}]: deprecated since {since}; use "{instead}" instead')
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        texts.append(f"{path}.terminationGracePeriodSeconds: {text}")
    named: dict[str, str] = {}
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or ()):
            here = f"{path}.{group}[{index}]"
            texts += _of_env(container.get("env") or [], f"{here}.env")
            texts += _of_ports(container.get("ports") or [], f"{here}.ports", named)
    return texts


def _of_env(env: list[Obj], path: str) -> list[str]:
    texts: list[str] = []
    seen: dict[str, str] = {}
    for index, variable in enumerate(env):
        name, value = variable.get("name", ""), variable.get("value", "")
        if name in seen and f"$({name})" not in value:
            text = f"hides previous definition of {shown(name)}, which may be dropped when using apply"
            texts.append(f"{path}[{index}]: {text}")
        seen[name] = value
    return texts


def _of_ports(ports: list[Obj], path: str, named: dict[str, str]) -> list[str]:
    """`named` collects the port names of the whole pod: probes and Services go by them."""
    texts: list[str] = []
    seen: dict[tuple[object, ...], str] = {}
    for index, port in enumerate(ports):
        here, name = f"{path}[{index}]", port.get("name")
        key = tuple(port.get(field) for field in ("protocol", "containerPort", "hostPort", "hostIP"))
        if key in seen:
            texts.append(f"{here}: duplicate port definition with {seen[key]}")
        seen.setdefault(key, here)
        if name in named:
            text = "services and probes that select ports by name will use"
            texts.append(f"{here}: duplicate port name {shown(name)} with {named[name]}, {text} {named[name]}")
        elif name:
            named[name] = here
    return texts
