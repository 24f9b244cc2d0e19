"""Names: of services and their ports, and of the chains that kube-proxy makes for them.

A chain name has to be short, the same on every node and at every restart, and unique. So kube-proxy takes a hash of
what the chain is for. Both backends do this, each in its own way: an iptables chain name may have 28 characters, so
only the hash fits; nftables allows 255, so there the readable name follows the hash.

Source: pkg/proxy/types.go, pkg/proxy/iptables/proxier.go (portProtoHash), pkg/proxy/nftables/proxier.go
(hashAndTruncate) of Kubernetes v1.36.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import NamedTuple

#: The longest name that the nftables backend makes itself, without its prefix: nft allows 256 characters, 16 are kept
#: for the prefix ("service-", "endpoint-" and so on).
NFT_NAME_BASE_MAX = 240


class NamespacedName(NamedTuple):
    """The key of a Service: namespace and name. `str()` gives "namespace/name"."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ServicePortName(NamedTuple):
    """The key of one port of a Service; kube-proxy's maps are keyed by it.

    A port is known by its *name*, which is how a Service's port finds the port of an EndpointSlice. The protocol
    belongs to the key, but not to the printed name.

    >>> str(ServicePortName(NamespacedName("demo", "web"), "http", "TCP"))
    'demo/web:http'
    >>> str(ServicePortName(NamespacedName("demo", "web"), "", "TCP"))
    'demo/web'
    """

    service: NamespacedName
    port: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.service}:{self.port}" if self.port else str(self.service)


def family_of(address: str) -> str:
    """ "IPv4" or "IPv6" of an address or a range."""
    return "IPv6" if ":" in address else "IPv4"


def join_host_port(ip: str, port: int) -> str:
    """ "10.0.0.1:80", or "[fd00::1]:80" for IPv6."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def split_host_port(text: str) -> tuple[str, int]:
    """The opposite of `join_host_port`. Raises ValueError where there is no port."""
    ip, _, port = text.rpartition(":")
    return ip.strip("[]"), int(port)


def _hash(text: str, length: int) -> str:
    # Five bytes are eight characters, so only the beginning has to be encoded.
    return base64.b32encode(hashlib.sha256(text.encode()).digest()[: length * 5 // 8]).decode()


def iptables_hash(name: ServicePortName) -> str:
    """What the names of a service port's iptables chains have in common: KUBE-SVC-…, KUBE-SVL-…, KUBE-EXT-…, KUBE-FW-…

    >>> "KUBE-SVC-" + iptables_hash(ServicePortName(NamespacedName("default", "kubernetes"), "https", "TCP"))
    'KUBE-SVC-NPX46M4PTMTKRN6Y'
    """
    return _hash(str(name) + name.protocol.lower(), 16)


@lru_cache(maxsize=65536)  # asked for at every sync, for every endpoint
def iptables_endpoint_chain(name: ServicePortName, endpoint: str) -> str:
    """The chain that sends packets to one endpoint. `endpoint` is "ip:port".

    >>> iptables_endpoint_chain(ServicePortName(NamespacedName("ns1", "svc1"), "p80", "TCP"), "10.180.0.1:80")
    'KUBE-SEP-SXIVWICOYRO3J4NJ'
    """
    return "KUBE-SEP-" + _hash(str(name) + name.protocol.lower() + endpoint, 16)


def _hash_and_truncate(name: str) -> str:
    name = f"{_hash(name, 8)}-{name}"
    return name if len(name) <= NFT_NAME_BASE_MAX else name[: NFT_NAME_BASE_MAX - 3] + "..."


def nft_base(name: ServicePortName) -> str:
    """What the names of a service port's nftables chains have in common: service-…, local-…, external-…, firewall-…

    >>> "service-" + nft_base(ServicePortName(NamespacedName("default", "web"), "", "TCP"))
    'service-PFISGYVC-default/web/tcp/'
    """
    return _hash_and_truncate(f"{name.service}/{name.protocol.lower()}/{name.port}")


def nft_endpoint_base(name: ServicePortName, endpoint: str) -> str:
    """The same for one endpoint: endpoint-…, affinity-… A colon is not allowed in a chain's name, so IPv6 gets dots.

    >>> "endpoint-" + nft_endpoint_base(ServicePortName(NamespacedName("ns5", "svc5"), "p80", "TCP"), "10.180.0.3:80")
    'endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80'
    """
    ip, port = split_host_port(endpoint)
    return _hash_and_truncate(f"{name.service}/{name.protocol.lower()}/{name.port}__{ip.replace(':', '.')}/{port}")
