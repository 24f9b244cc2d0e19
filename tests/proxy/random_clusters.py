"""Random clusters for properties: Nodes, Services and EndpointSlices that the API server would accept."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Obj = dict[str, Any]
ZONES = ("zone-a", "zone-b")
NODES = ("node-1", "node-2", "node-3")
#: (address, node): some on every node, one of a host network, one that belongs to no node.
ADDRESSES = {
    "IPv4": (
        ("10.244.1.2", "node-1"),
        ("10.244.1.3", "node-1"),
        ("172.31.254.11", "node-1"),
        ("10.244.2.2", "node-2"),
        ("10.244.2.10", "node-2"),
        ("10.244.3.2", "node-3"),
        ("192.0.2.10", None),
    ),
    "IPv6": (
        ("fd00:10:244:1::2", "node-1"),
        ("fd00:10:244:1::3", "node-1"),
        ("fd00:10:244:2::2", "node-2"),
        ("fd00:10:244:3::2", "node-3"),
        ("2001:db8::10", None),
    ),
}
RANGES = (
    "198.51.100.0/28",
    "192.0.2.0/24",
    "172.31.254.0/24",
    "198.51.100.16/28",
    "203.0.113.9/32",
    "0.0.0.0/0",
    " 10.0.0.0/8",
)


def node(name: str, zone: str | None) -> Obj:
    number = int(name[-1])
    labels = {"kubernetes.io/hostname": name} | ({"topology.kubernetes.io/zone": zone} if zone else {})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDRs": [f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": f"172.31.254.1{number}"},
                {"type": "InternalIP", "address": f"fd00:254::1{number}"},
            ]
        },
    }


def cluster_ip(number: int, family: str) -> str:
    return f"10.96.10.{number}" if family == "IPv4" else f"fd00:10:96::{number:x}"


def external_ip(number: int, kind: str, family: str) -> str:
    last = {"external": 100, "balancer": 200}[kind] + number
    return f"203.0.113.{last}" if family == "IPv4" else f"2001:db8:113::{last:x}"


@st.composite
def service(draw: st.DrawFn, number: int, family: str) -> Obj:
    kind = draw(st.sampled_from(("ClusterIP", "NodePort", "LoadBalancer")))
    protocols = draw(st.sampled_from((("TCP",), ("UDP",), ("SCTP",), ("TCP", "TCP"), ("TCP", "UDP"))))
    ports = []
    for i, protocol in enumerate(protocols):
        port = {
            "name": f"p{i}" if len(protocols) > 1 else "",
            "port": 80 + i,
            "protocol": protocol,
            "targetPort": 8080 + i,
        }
        if kind != "ClusterIP":
            port["nodePort"] = 30000 + 10 * number + i
        ports.append(port)
    spec: Obj = {
        "type": kind,
        "clusterIP": cluster_ip(number, family),
        "clusterIPs": [cluster_ip(number, family)],
        "ports": ports,
        "internalTrafficPolicy": draw(st.sampled_from(("Cluster", "Local"))),
        "sessionAffinity": draw(st.sampled_from(("None", "None", "ClientIP"))),
    }
    if spec["sessionAffinity"] == "ClientIP":
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": draw(st.sampled_from((3, 10800)))}}
    if draw(st.booleans()):
        spec["externalIPs"] = [external_ip(number, "external", family)]
    if kind != "ClusterIP" or "externalIPs" in spec:
        spec["externalTrafficPolicy"] = draw(st.sampled_from(("Cluster", "Local")))
    status: Obj = {"loadBalancer": {}}
    if kind == "LoadBalancer":
        spec["loadBalancerSourceRanges"] = draw(st.lists(st.sampled_from(RANGES), max_size=3, unique=True))
        mode = draw(st.sampled_from(("VIP", "Proxy")))
        status["loadBalancer"]["ingress"] = [{"ip": external_ip(number, "balancer", family), "ipMode": mode}]
        if spec["externalTrafficPolicy"] == "Local":
            spec["healthCheckNodePort"] = 31000 + number
    metadata: Obj = {"namespace": "demo", "name": f"svc{number}"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status}


@st.composite
def endpoint(draw: st.DrawFn, family: str) -> Obj:
    address, node_name = draw(st.sampled_from(ADDRESSES[family]))
    condition = st.sampled_from((None, True, True, True, False))
    conditions = {name: draw(condition) for name in ("ready", "serving")}
    conditions["terminating"] = draw(st.sampled_from((None, False, False, True)))
    made: Obj = {"addresses": [address], "conditions": {k: v for k, v in conditions.items() if v is not None}}
    if node_name:
        made["nodeName"] = node_name
    hints = {}
    if draw(st.booleans()):
        hints["forZones"] = [{"name": draw(st.sampled_from(ZONES))}]
    if draw(st.integers(0, 3)) == 0:
        hints["forNodes"] = [{"name": draw(st.sampled_from(NODES))}]
    return made | ({"hints": hints} if hints else {})


@st.composite
def slices_of(draw: st.DrawFn, of: Obj, family: str) -> list[Obj]:
    made = []
    for i in range(draw(st.integers(0, 2))):
        ports = [{"name": p["name"], "port": p["targetPort"], "protocol": p["protocol"]} for p in of["spec"]["ports"]]
        made.append(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "namespace": "demo",
                    "name": f"{of['metadata']['name']}-{i}",
                    "labels": {"kubernetes.io/service-name": of["metadata"]["name"]},
                },
                "addressType": family,
                "endpoints": draw(st.lists(endpoint(family), max_size=5)),
                "ports": ports,
            }
        )
    return made


@st.composite
def clusters(draw: st.DrawFn, family: str = "IPv4") -> list[Obj]:
    """The objects of a cluster. The nodes have no zones in some."""
    zoned = draw(st.booleans())
    objects = [node(name, ZONES[min(i, 1)] if zoned else None) for i, name in enumerate(NODES)]
    for number in draw(st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True)):
        made = draw(service(number, family))
        objects += [made, *draw(slices_of(made, family))]
    return objects
