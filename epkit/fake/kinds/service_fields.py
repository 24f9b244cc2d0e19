"""What a Service's type needs, and what it drops when it becomes another.

Source: ``pkg/api/service/util.go`` and ``pkg/registry/core/service`` (``strategy.go``, ``storage/alloc.go``).
"""

from __future__ import annotations

from epkit.fake.kinds.base import Obj

WITH_CLUSTER_IP = ("ClusterIP", "NodePort", "LoadBalancer")


def needs_cluster_ip(spec: Obj) -> bool:
    return spec.get("type") != "ExternalName"


def needs_node_ports(spec: Obj) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def allocates_node_ports(spec: Obj) -> bool:
    return spec.get("type") == "NodePort" or (
        spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
    )


def needs_health_check(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def externally_accessible(spec: Obj) -> bool:
    return needs_node_ports(spec) or (spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs")))


def is_headless(spec: Obj) -> bool:
    return spec.get("clusterIPs") == ["None"]


def node_ports(spec: Obj) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}


def keep_allocated(new: Obj, old: Obj) -> None:
    """Give back what a client did not send: an update that leaves out an allocated value does not release it."""
    if needs_cluster_ip(old) and needs_cluster_ip(new):
        if not new.get("clusterIP") and old.get("clusterIP"):
            new["clusterIP"] = old["clusterIP"]
        if not new.get("clusterIPs") and old.get("clusterIPs") and new.get("clusterIP") == old.get("clusterIP"):
            new["clusterIPs"] = list(old["clusterIPs"])
    if needs_node_ports(old) and needs_node_ports(new):
        used = node_ports(old) & node_ports(new)
        by_name = {port.get("name", ""): port.get("nodePort", 0) for port in old.get("ports") or ()}
        for port in new.get("ports") or ():
            before = by_name.get(port.get("name", ""), 0)
            if not port.get("nodePort") and before and before not in used:
                port["nodePort"] = before
                used.add(before)
    if needs_health_check(old) and needs_health_check(new) and not new.get("healthCheckNodePort"):
        new["healthCheckNodePort"] = old.get("healthCheckNodePort", 0)


def normalize_cluster_ips(new: Obj, old: Obj | None) -> None:
    """Bring clusterIP and clusterIPs in step, for clients that know only one of them."""
    if old is None:
        if new.get("clusterIP") and not new.get("clusterIPs"):
            new["clusterIPs"] = [new["clusterIP"]]
        return
    if new.get("clusterIP", "") != old.get("clusterIP", "") and new.get("clusterIPs") == old.get("clusterIPs"):
        if new.get("clusterIP"):
            new["clusterIPs"] = [new["clusterIP"]]
        else:
            new.pop("clusterIPs", None)


def drop_type_dependent(new: Obj, old: Obj) -> None:
    """When the type changes, clear what the new type cannot have, unless the client changed it in the same write."""

    def unchanged(key: str) -> bool:
        return bool(new.get(key) == old.get(key))

    if needs_cluster_ip(old) and not needs_cluster_ip(new):
        if unchanged("clusterIPs"):
            new.pop("clusterIP", None)
            new.pop("clusterIPs", None)
        for key in ("ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            if unchanged(key):
                new.pop(key, None)
    if needs_node_ports(old) and not needs_node_ports(new) and node_ports(new) <= node_ports(old):
        for port in new.get("ports") or ():
            port.pop("nodePort", None)
    if needs_health_check(old) and not needs_health_check(new) and unchanged("healthCheckNodePort"):
        new.pop("healthCheckNodePort", None)
    if old.get("type") == "LoadBalancer" and new.get("type") != "LoadBalancer":
        for key in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if unchanged(key):
                new.pop(key, None)
    if externally_accessible(old) and not externally_accessible(new) and unchanged("externalTrafficPolicy"):
        new.pop("externalTrafficPolicy", None)
