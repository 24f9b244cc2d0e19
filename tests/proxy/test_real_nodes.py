"""The rules of a whole node, with kubelet and all, are explained by the objects that were there."""

from __future__ import annotations

import re
from typing import Any

import canonical_rules as canonical
from recorded_cases import RECORDINGS

from epkit.proxy import Proxy

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "realnode-1", "labels": {"topology.kubernetes.io/zone": "zone-1"}},
    "status": {"addresses": [{"type": "InternalIP", "address": "172.31.255.11"}]},
}


def objects(rweb_ip: str, **spec: Any) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [NODE]
    for name, ip, port, port_name, target, endpoints in (
        ("kubernetes", "10.96.0.1", 443, "https", 16443, {"172.31.255.1": None}),
        ("rweb", rweb_ip, 80, "http", 8080, {f"10.244.10{i}.2": f"realnode-{i}" for i in (1, 2, 3)}),
    ):
        ports: list[dict[str, Any]] = [{"name": port_name, "port": port, "protocol": "TCP"}]
        more = spec if name == "rweb" else {}
        if "type" in more:
            ports[0]["nodePort"] = 30123
        metadata = {"namespace": "default", "name": name}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"clusterIP": ip, "ports": ports},
        }
        service["spec"].update(more)
        made += [
            service,
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "ports": [{"name": port_name, "port": target, "protocol": "TCP"}],
                "endpoints": [
                    {"addresses": [a], "conditions": {"ready": True}} | ({"nodeName": n} if n else {})
                    for a, n in endpoints.items()
                ],
            },
        ]
    return made


def tables(text: str) -> dict[str, str]:
    """The tables of an nft ruleset by name."""
    return {found[1]: found[0] for found in re.finditer(r"^table (\S+ \S+) \{\n.*?^\}$", text, re.M | re.S)}


def test_nftables_on_a_whole_node() -> None:
    recorded = tables((RECORDINGS / "real-node.nft-ruleset.txt").read_text())
    for family, table, cluster_cidr, service_cidr in (
        ("IPv4", "ip kube-proxy", "10.244.0.0/16", "10.96.0.0/16"),
        ("IPv6", "ip6 kube-proxy", None, None),
    ):
        proxy = Proxy("realnode-1", "nftables", family, cluster_cidr=cluster_cidr, service_cidr=service_cidr)
        proxy.sync(objects("10.96.54.1", type="NodePort"))
        proxy.sync(objects("10.96.54.1"))  # leaves an emptied chain for a while, as the recording shows
        assert canonical.nft(proxy.rules()) == canonical.nft(recorded[table])


def test_iptables_on_a_whole_node() -> None:
    recorded = (RECORDINGS / "real-node.iptables-save.txt").read_text()
    proxy = Proxy("realnode-1", cluster_cidr="10.244.0.0/16")
    proxy.sync(objects("10.96.86.150"))

    def lines(rules: str) -> list[str]:
        # The kubelet's chains are not kube-proxy's. It made the jumps to KUBE-FIREWALL before kube-proxy started, so
        # they come last there; without a kubelet they come first.
        kept = [line for line in rules.splitlines() if "KUBELET" not in line and "IPTABLES-HINT" not in line]
        return sorted(line for line in kept if not line.startswith("#"))

    without_mangle = recorded[recorded.index("*filter") :]
    assert lines(canonical.iptables(without_mangle)) == lines(canonical.iptables(proxy.rules()))
