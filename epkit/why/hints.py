"""Hints: which zones and nodes an endpoint is kept for, and who is left out by that.

Source: ``pkg/proxy/topology.go`` (CategorizeEndpoints) and ``staging/src/k8s.io/endpointslice`` (``trafficdist``,
``topologycache``) of Kubernetes v1.36.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from epkit.objects import annotations_of, labels_of, name_of
from epkit.why.case import ZONE, Case, Row, slice_label
from epkit.why.finding import BROKEN, DEGRADED, NOTE, Finding, count, listed, quoted

ANNOTATIONS = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")
#: So much more of the nodes than of the endpoints in a zone is worth a word.
_OVERLOAD = 2.0


def hints(case: Case) -> Iterator[Finding]:
    """What hints do to the traffic of a Service: nothing at all, or too much."""
    if case.external_name or case.headless:
        return
    for family in case.families:
        ready = [row for row in case.rows if row.ready and row.slice.get("addressType") == family]
        if not ready:
            continue
        hinted = [row for row in ready if zones_of(row) or nodes_of(row)]
        if not hinted:
            yield from _off(case, family)
        elif len(hinted) < len(ready):
            yield _ignored(case, ready, hinted)
        elif case.knows_nodes:
            yield from _kept_away(case, ready)
            yield from _overloaded(case, ready)


def zones_of(row: Row) -> frozenset[str]:
    return frozenset(str(entry.get("name")) for entry in (row.endpoint.get("hints") or {}).get("forZones") or ())


def nodes_of(row: Row) -> frozenset[str]:
    return frozenset(str(entry.get("name")) for entry in (row.endpoint.get("hints") or {}).get("forNodes") or ())


def _off(case: Case, family: str) -> Iterator[Finding]:
    """Hints were asked for and none are there."""
    annotations = annotations_of(case.service)
    key = next((key for key in ANNOTATIONS if key in annotations), None)
    said = next(
        (
            text
            for text in case.warnings_about("Service", case.name)
            if family in text and ("endpoint" in text.lower() or "node" in text.lower())
        ),
        "",
    )
    if key is not None and annotations[key] in ("Auto", "auto"):
        field, seen = f"metadata.annotations[{key}]", annotations[key]
        means = f"No {family} endpoint has hints, so traffic goes to every zone."
        means += (
            f" The controller said: {said}."
            if said
            else (" Auto needs two zones, a zone label on every node, and about three endpoints a zone.")
        )
        means += " spec.trafficDistribution: PreferSameZone has no such thresholds."
    elif key is not None and annotations[key] not in ("Disabled", "disabled"):
        field, seen = f"metadata.annotations[{key}]", annotations[key]
        means = (
            "This value is none that the controller knows (Auto): no hints are written, and traffic goes to every zone."
        )
    elif key is None and case.spec.get("trafficDistribution") and case.managed:
        field, seen = "spec.trafficDistribution", case.spec["trafficDistribution"]
        means = (
            f"No ready {family} endpoint has a zone, as its node has no label {ZONE}. So there are no hints, and "
            "traffic goes to every zone."
        )
    else:
        return
    yield case.finding(
        "HintsOff",
        NOTE,
        case.label,
        field,
        seen,
        means.replace("..", "."),
        f"describe service {quoted(case.name)}",
        f"get nodes -L {ZONE}",
    )


def _ignored(case: Case, ready: list[Row], hinted: list[Row]) -> Finding:
    """Some endpoints have hints and some have not: then kube-proxy follows none."""
    bare = [row for row in ready if not (zones_of(row) or nodes_of(row))]
    row = bare[0]
    cause = "nobody has given it hints"
    if name_of(row.slice) in case.controlled_names and not row.endpoint.get("zone"):
        cause = f"its node {row.endpoint.get('nodeName', '')} has no label {ZONE}"
    return case.finding(
        "HintsIgnored",
        NOTE,
        slice_label(row.slice),
        "endpoints[].hints",
        f"unset for {row.address}, set for {count(len(hinted), 'other')}",
        f"One ready endpoint without hints is enough, and kube-proxy follows no hints of this Service; here {cause}. "
        "Traffic goes to every zone.",
        f"{case.get_slices} -o yaml",
        f"get nodes -L {ZONE}",
    )


def unreachable(case: Case, ready: list[Row]) -> list[Row]:
    """The ready endpoints that no node sends traffic to, because of the hints of all of them."""
    zones = {name_of(node): labels_of(node).get(ZONE, "") for node in case.workers}
    by_node = all(map(nodes_of, ready))
    named = frozenset().union(*map(nodes_of, ready)) if by_node else frozenset()
    hinted = frozenset().union(*map(zones_of, ready)) if all(map(zones_of, ready)) else frozenset()
    # A node that is named uses the endpoints kept for it; any other those of its zone; and all where there are none.
    rest = [zone for node, zone in zones.items() if node not in named]
    if not zones or any(zone not in hinted for zone in rest):
        return []
    served = frozenset(rest)
    return [row for row in ready if not (by_node and nodes_of(row) & zones.keys()) and not zones_of(row) & served]


def _kept_away(case: Case, ready: list[Row]) -> Iterator[Finding]:
    away = unreachable(case, ready)
    subject = [row for row in away if case.pod is None or case.is_of_pod(row)]
    if not subject:
        return
    row = subject[0]
    kept = sorted(nodes_of(row) or zones_of(row))
    yield case.finding(
        "HintsKeepTrafficAway",
        BROKEN if case.pod is not None else DEGRADED,
        slice_label(row.slice),
        "endpoints[].hints",
        f"{row.address} is kept for {listed(kept)}",
        "No node that is ready is there, and all other nodes have endpoints of their own. So "
        f"{count(len(subject), 'ready endpoint')} {'gets' if len(subject) == 1 else 'get'} no traffic: "
        f"{listed(one.address for one in subject)}.",
        f"{case.get_slices} -o yaml",
        f"get nodes -L {ZONE}",
    )


def _overloaded(case: Case, ready: list[Row]) -> Iterator[Finding]:
    """A zone with many nodes and few endpoints: PreferSameZone has no protection against that."""
    if case.pod is not None or not case.spec.get("trafficDistribution") or not case.workers:
        return
    nodes = Counter(labels_of(node).get(ZONE, "") for node in case.workers)
    endpoints = Counter(zone for row in ready for zone in zones_of(row))
    total = sum(endpoints.values())
    for zone, number in sorted(endpoints.items()):
        load = nodes[zone] / len(case.workers) / (number / total)
        if load >= _OVERLOAD:
            yield case.finding(
                "ZoneOverload",
                NOTE,
                case.label,
                "spec.trafficDistribution",
                case.spec["trafficDistribution"],
                f"Zone {zone} has {nodes[zone]} of {count(len(case.workers), 'node')} and {number} of "
                f"{count(total, 'endpoint')}. If clients are spread like nodes, each endpoint there takes {load:.1f} "
                "times the average. Spread the pods over the zones.",
                f"get nodes -L {ZONE}",
                f"{case.get_slices} -o yaml",
            )
