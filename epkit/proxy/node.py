"""The node that a proxy runs on: its name, zone, addresses and pod network.

Source: pkg/util/node (GetNodeHostIPs) and cmd/kube-proxy/app/server_linux.go of Kubernetes v1.36.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from epkit.objects import Obj, labels_of, name_of
from epkit.proxy.errors import ObjectError
from epkit.proxy.names import family_of

LABEL_ZONE = "topology.kubernetes.io/zone"

#: What kind and kubeadm examples use, for both families.
DEFAULT_CLUSTER_CIDR = "10.244.0.0/16,fd00:10:244::/56"
DEFAULT_SERVICE_CIDR = "10.96.0.0/16,fd00:10:96::/112"


@dataclass(frozen=True, slots=True)
class NodeView:
    """What a proxy of one family knows of its node.

    `ip`: the node's own address in this family, "" without one. `addresses`: all addresses that are local to it, the
    gateway of its pod network among them; loopback is not listed, `is_local` knows it. `pod_gateway`: the address that
    a packet masqueraded towards one of its pods comes from (the first of the pod CIDR: the bridge of the usual network
    plugins), "" where the Node has no ``spec.podCIDR``.
    """

    name: str
    zone: str
    family: str
    ip: str
    addresses: frozenset[str]
    pod_cidr: str = ""
    pod_gateway: str = ""

    @property
    def loopback(self) -> str:
        return "::1" if self.family == "IPv6" else "127.0.0.1"

    def is_local(self, ip: str) -> bool:
        """Would this node take a packet for `ip` for itself (routing type LOCAL)?"""
        return ip in self.addresses or ip == "::1" or ip.startswith("127.")

    def source_for(self, destination: str) -> str:
        """The source address of a connection from the node itself to `destination`, and of one masqueraded to it."""
        if self.is_local(destination):
            return destination
        if self.pod_gateway and ipaddress.ip_address(destination) in ipaddress.ip_network(self.pod_cidr):
            return self.pod_gateway
        return self.ip or self.loopback


def node_ips(node: Obj) -> list[str]:
    """The addresses that Kubernetes takes for the node's own: the first, and the first of the other family."""
    addresses = (node.get("status") or {}).get("addresses") or ()
    found = [a["address"] for kind in ("InternalIP", "ExternalIP") for a in addresses if a["type"] == kind]
    other = [ip for ip in found if family_of(ip) != family_of(found[0])]
    return found[:1] + other[:1]


def node_view(node: Obj, family: str) -> NodeView:
    """Read a Node object for a proxy of one family."""
    spec = node.get("spec") or {}
    ip = next((ip for ip in node_ips(node) if family_of(ip) == family), "")
    cidrs = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    pod_cidr = next((cidr for cidr in cidrs if family_of(cidr) == family), "")
    gateway = str(ipaddress.ip_network(pod_cidr)[1]) if pod_cidr else ""
    internal = [
        a["address"]
        for a in (node.get("status") or {}).get("addresses") or ()
        if a["type"] == "InternalIP" and family_of(a["address"]) == family
    ]
    local = frozenset(filter(None, (*internal, ip, gateway)))
    return NodeView(name_of(node), labels_of(node).get(LABEL_ZONE, ""), family, ip, local, pod_cidr, gateway)


def cidrs_of_family(text: str | None, family: str, field: str) -> list[str]:
    """The ranges of one family in a comma separated list such as "10.244.0.0/16,fd00:10:244::/56".

    Raises `ObjectError` naming `field` for what is no range.
    """
    found = []
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        try:
            network = ipaddress.ip_network(part)
        except ValueError as error:
            raise ObjectError(f"{part!r} is not a range of addresses: {error}", field=field) from None
        if family_of(part) == family:
            found.append(str(network))
    return found


def find_node(nodes: Iterable[Obj], name: str) -> Obj:
    """The Node called `name`. Raises `ObjectError` that names those there are."""
    nodes = list(nodes)
    for node in nodes:
        if name_of(node) == name:
            return node
    names = ", ".join(sorted(name_of(node) for node in nodes))
    there = f"the nodes here are {names}" if names else "there is no Node object at all"
    raise ObjectError(
        f"not found: a proxy runs on a node and needs its Node object, and {there}", object=f"Node {name}"
    )
