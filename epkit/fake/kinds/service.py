"""Service, core/v1.

Source: ``pkg/apis/core/v1/defaults.go``, ``pkg/registry/core/service``. Allocation, validation and the rules of the
types are in files of their own.
"""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import printing, service_allocation, service_fields, service_validation
from epkit.fake.kinds.base import Context, Kind, Obj
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.common import drop_empty, drop_zero, keep_spec, keep_status
from epkit.fake.kinds.names import name_is_label

_THREE_HOURS = 10800


def default(service: Obj) -> None:
    drop_empty(service)
    spec = service.setdefault("spec", {})
    drop_zero(
        spec, "selector", "clusterIP", "externalName", "externalTrafficPolicy", "healthCheckNodePort", "loadBalancerIP",
        "publishNotReadyAddresses",
    )  # fmt: skip
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.get("sessionAffinityConfig") or {}
        if (config.get("clientIP") or {}).get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _THREE_HOURS}}
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    for port in spec.get("ports") or ():
        drop_zero(port, "name", "nodePort")
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    if service_fields.externally_accessible(spec):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] in service_fields.WITH_CLUSTER_IP:
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    _default_status(service)


def _default_status(service: Obj) -> None:
    balancer = service.setdefault("status", {}).setdefault("loadBalancer", {})
    if service["spec"]["type"] == "LoadBalancer":
        for entry in balancer.get("ingress") or ():
            if entry.get("ip"):
                entry.setdefault("ipMode", "VIP")


def prepare_create(service: Obj, context: Context) -> None:
    service["status"] = {"loadBalancer": {}}
    service_allocation.allocate_create(service, context)


def prepare_update(new: Obj, old: Obj, context: Context) -> None:
    keep_status(new, old, context)
    service_allocation.allocate_update(new, old, context)
    service_fields.drop_type_dependent(new["spec"], old["spec"])


def prepare_status(new: Obj, old: Obj, context: Context) -> None:
    keep_spec(new, old, context)
    _default_status(new)


def row(service: Obj, now: float) -> list[Any]:
    spec = service["spec"]
    cluster_ips = spec.get("clusterIPs") or [printing.NONE]
    return [
        service["metadata"]["name"],
        spec.get("type", ""),
        cluster_ips[0],
        _external_ip(service),
        ",".join(map(_port, spec.get("ports") or ())) or printing.NONE,
        printing.age(service, now),
        printing.labels(spec.get("selector")),
    ]


def _port(port: Obj) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port', 0)}{node_port}/{port.get('protocol', '')}"


def _external_ip(service: Obj) -> str:
    spec = service["spec"]
    kind, external = spec.get("type"), spec.get("externalIPs") or []
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(external) or printing.NONE
    if kind == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        shown = sorted({entry.get("ip") or entry.get("hostname") or "" for entry in ingress} - {""})
        return ",".join([*shown, *external]) or "<pending>"
    return str(spec.get("externalName", "")) if kind == "ExternalName" else printing.UNKNOWN


SERVICE = Kind(
    group="",
    version="v1",
    kind="Service",
    plural="services",
    schema="io.k8s.api.core.v1.Service",
    short_names=("svc",),
    categories=("all",),
    status=True,
    columns=(
        NAME,
        column("Type", "ServiceSpec.type"),
        column("Cluster-IP", "ServiceSpec.clusterIP"),
        column("External-IP", "ServiceSpec.externalIPs"),
        column("Port(s)", "ServiceSpec.ports"),
        AGE,
        column("Selector", "ServiceSpec.selector", wide=True),
    ),
    row=row,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=prepare_status,
    validate=service_validation.validate,
    validate_update=service_validation.validate_update,
    validate_status=service_validation.validate_status,
    warnings=service_validation.warnings,
    validate_name=name_is_label,
    generation=None,
    create_on_update=True,
    field_labels={
        "spec.clusterIP": lambda service: service["spec"].get("clusterIP", ""),
        "spec.type": lambda service: service["spec"].get("type", ""),
    },
)
