"""Hints for ``spec.trafficDistribution``: every ready endpoint is for its own zone, or its own node.

There is no arithmetic in it. A zone with few endpoints and many clients gets no help; that is the price of a rule which
everybody can predict.

Source: ``staging/src/k8s.io/endpointslice/trafficdist/trafficdist.go``, Kubernetes v1.36.
"""
from __future__ import annotations

from epkit.fake.controllers.endpointslice.topology import endpoint_ready
from epkit.fake.controllers.endpointslice.utils import SlicesByAction, endpoints_of, hints_enabled
from epkit.objects import Obj

PREFER_SAME_NODE = "PreferSameNode"
#: PreferClose is the old name of PreferSameZone.
TRAFFIC_DISTRIBUTIONS = frozenset(("PreferClose", "PreferSameZone", PREFER_SAME_NODE))


def traffic_distribution_of(service: Obj) -> str | None:
    """The value that is to be followed; None if there is none or if ``topology-mode: Auto`` takes precedence."""
    value = service["spec"].get("trafficDistribution")
    return value if value in TRAFFIC_DISTRIBUTIONS and not hints_enabled(service) else None


def reconcile_hints(traffic_distribution: str, slices: SlicesByAction) -> None:
    """Put the right hints on what will be written. Slices that have missing or wrong hints are to be updated."""
    node_hints = traffic_distribution == PREFER_SAME_NODE
    slices.update_where(
        lambda slice: not all(_hints_are_right(endpoint, node_hints) for endpoint in endpoints_of(slice))
    )
    for slice in [*slices.to_create, *slices.to_update]:
        endpoints = slice["endpoints"]
        for index, endpoint in enumerate(endpoints):
            if not _hints_are_right(endpoint, node_hints):
                endpoints[index] = _with_hints(endpoint, wanted_hints(endpoint, node_hints))


def wanted_hints(endpoint: Obj, node_hints: bool) -> Obj:
    """The hints of a ready endpoint; empty without a zone (and, for node hints, without a node)."""
    hints: Obj = {}
    if "zone" in endpoint:
        hints["forZones"] = [{"name": endpoint["zone"]}]
    if node_hints and "nodeName" in endpoint:
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints


def _hints_are_right(endpoint: Obj, node_hints: bool) -> bool:
    # What an endpoint that is not ready carries is left alone: nobody looks at it.
    return not endpoint_ready(endpoint) or _given_hints(endpoint) == wanted_hints(endpoint, node_hints)


def _given_hints(endpoint: Obj) -> Obj:
    return {kind: listed for kind, listed in (endpoint.get("hints") or {}).items() if listed}


def _with_hints(endpoint: Obj, hints: Obj) -> Obj:
    bare = {key: value for key, value in endpoint.items() if key != "hints"}
    return {**bare, "hints": hints} if hints else bare
