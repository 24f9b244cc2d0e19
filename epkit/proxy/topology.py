"""Which endpoints may this node's traffic go to? `categorize_endpoints` is the one decision of kube-proxy.

Source: pkg/proxy/topology.go of Kubernetes v1.36 (CategorizeEndpoints). The rules, in the order in which they apply:

1. Only *ready* endpoints get traffic, as long as there is one.
2. Hints narrow them to this node or this zone, but only where **every** ready endpoint has hints of that kind and
   one of them names this node or zone. One endpoint without hints, and all hints are ignored: better a long way than
   none.
3. Without any ready endpoint, those that are terminating but still *serving* get it (KEP-1669).
4. The ``Local`` traffic policies use this node's endpoints only. Hints play no part there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from epkit.proxy.endpoints import Endpoint
from epkit.proxy.services import ServicePort


@dataclass(frozen=True, slots=True)
class Categorized:
    """What `categorize_endpoints` found for one service port on one node.

    `cluster`: for traffic with the Cluster policy; empty where no traffic of the port has it. `local`: for the Local
    policy, likewise. `reachable`: the two together. `has_any`: is there a usable endpoint anywhere in the cluster, even
    one that this node may not use? It makes the difference between "rejected" and "dropped".
    """

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    reachable: tuple[Endpoint, ...]
    has_any: bool


def _falls_back(endpoint: Endpoint) -> bool:
    return endpoint.serving and endpoint.terminating


def topology_mode(endpoints: Iterable[Endpoint], node: str, zone: str) -> str:
    """ "PreferSameNode", "PreferSameZone", or "" where hints do not apply. Looks at ready endpoints alone.

    >>> far, near = (Endpoint(f"10.0.0.{n}", 80, zone_hints=frozenset({zone})) for n, zone in ((1, "b"), (2, "a")))
    >>> topology_mode([far, near], "node-1", "a")
    'PreferSameZone'
    >>> topology_mode([far, near, Endpoint("10.0.0.3", 80)], "node-1", "a")  # one without hints spoils it for all
    ''
    """
    ready = [endpoint for endpoint in endpoints if endpoint.ready]
    if not ready:
        return ""
    if all(e.node_hints for e in ready) and any(node in e.node_hints for e in ready):
        return "PreferSameNode"
    if all(e.zone_hints for e in ready) and any(zone in e.zone_hints for e in ready):
        return "PreferSameZone"
    return ""


def categorize_endpoints(endpoints: Sequence[Endpoint], port: ServicePort, node: str, zone: str) -> Categorized:
    """Choose the endpoints of one service port for one node. `zone` is the node's zone label, "" without one.

    >>> port = ServicePort("10.96.0.9", 80, "TCP")
    >>> ready, leaving = Endpoint("10.0.0.1", 80), Endpoint("10.0.0.2", 80, ready=False, terminating=True)
    >>> [str(e) for e in categorize_endpoints([ready, leaving], port, "node-1", "a").cluster]
    ['10.0.0.1:80']
    >>> [str(e) for e in categorize_endpoints([leaving], port, "node-1", "a").cluster]
    ['10.0.0.2:80']
    """
    cluster: tuple[Endpoint, ...] = ()
    mode, has_any = "", False
    if port.uses_cluster_endpoints:
        mode = topology_mode(endpoints, node, zone)
        available: dict[str, Callable[[Endpoint], bool]] = {
            "": lambda e: True,
            "PreferSameNode": lambda e: node in e.node_hints,
            "PreferSameZone": lambda e: zone in e.zone_hints,
        }
        cluster = tuple(e for e in endpoints if e.ready and available[mode](e))
        if not cluster:
            cluster = tuple(filter(_falls_back, endpoints))
        has_any = bool(cluster)
    if not port.uses_local_endpoints:
        return Categorized(cluster, (), cluster, has_any)

    has_any = has_any or any(e.ready or _falls_back(e) for e in endpoints)
    local = tuple(e for e in endpoints if e.is_local and e.ready)
    fallback_local = not local
    if fallback_local:
        local = tuple(e for e in endpoints if e.is_local and _falls_back(e))
    if not port.uses_cluster_endpoints:
        return Categorized((), local, local, has_any)
    if not mode and not (fallback_local and local):
        # Every local endpoint is ready, and every ready endpoint is in `cluster`.
        return Categorized(cluster, local, cluster, has_any)
    # Upstream merges through a Go map, whose order is random; string order is what it has everywhere else.
    both = {str(e): e for e in (*cluster, *local)}
    return Categorized(cluster, local, tuple(both[text] for text in sorted(both)), has_any)
