"""Reasons that lie in slices that people and programs write themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from epkit.objects import Obj, labels_of, name_of, namespace_of
from epkit.why import nearest
from epkit.why.case import (
    HEADLESS,
    MANAGED_BY,
    Case,
    Row,
    protocol_of,
    rows_of,
    serves,
    slice_label,
)
from epkit.why.desired import canonical
from epkit.why.finding import BROKEN, DEGRADED, NOTE, Finding, count, listed, quoted
from epkit.why.reading import SERVICE_NAME

#: A slice may be a little older than its Service: both come from one file.
_SAME_FILE = timedelta(minutes=1)


def none(case: Case) -> Iterator[Finding]:
    """No selector and no slice: nearly always a slice that is there and does not say whose it is."""
    if case.selector or case.external_name or case.slices or case.reading.slices is None:
        return
    if case.reading.endpoints is not None and case.reading.endpoints.get("subsets"):
        return  # these are to be mirrored: another reason
    for one in sorted(case.reading.slices, key=lambda one: -_relation(case, one)):
        if _relation(case, one) > 0:
            yield _without_name(case, one)
            return
    if case.reading.slices_elsewhere:
        one = case.reading.slices_elsewhere[0]
        yield case.finding(
            "SliceInOtherNamespace",
            BROKEN,
            slice_label(one),
            "metadata.namespace",
            namespace_of(one),
            f"It names {case.name}, but a slice belongs to a Service of its own namespace, and {case.label} is in "
            f"{case.namespace}.",
            f"get endpointslices -A -l {quoted(f'{SERVICE_NAME}={case.name}')}",
        )
        return
    yield case.finding(
        "NoSelectorNoSlice",
        BROKEN,
        case.label,
        "spec.selector",
        "unset",
        "Without a selector no controller writes slices, and nobody else has written one. Give the Service a "
        f"selector, or write an EndpointSlice with the label {SERVICE_NAME}: {case.name}.",
        f"get service {quoted(case.name)} -o wide",
        case.get_slices,
    )


def _relation(case: Case, one: Obj) -> float:
    """How much an unlabelled slice seems meant for this Service; 0 for not at all."""
    named = labels_of(one).get(SERVICE_NAME)
    services = {name_of(service) for service in case.reading.services}
    if named in services or (named is None and case.is_of_the_api_server):
        return 0
    if case.owns(one):
        return 3
    if named is not None:
        return 2 * nearest.likeness(named, case.name) if nearest.alike(named, case.name) else 0
    return 1.0 if name_of(one).startswith(case.name) else 0


def _without_name(case: Case, one: Obj) -> Finding:
    named = labels_of(one).get(SERVICE_NAME)
    there = f"says {named}, and there is no such Service" if named is not None else "is not there"
    return case.finding(
        "SliceWithoutServiceName",
        BROKEN,
        slice_label(one),
        f"metadata.labels[{SERVICE_NAME}]",
        "unset" if named is None else named,
        f"{case.label} has no slice. This one looks as if it were meant, but the label that ties it to the Service "
        f"{there}. Set it to {case.name}.",
        f"get endpointslice {quoted(name_of(one))} --show-labels",
        case.get_slices,
    )


def unusable(case: Case) -> Iterator[Finding]:
    """Slices that carry the Service's name and are passed over all the same."""
    for one in case.own:
        family = str(one.get("addressType"))
        if HEADLESS in labels_of(one) and not case.headless:
            yield case.finding(
                "SliceHeadlessLabel",
                _unless_others(case, one),
                slice_label(one),
                f"metadata.labels[{HEADLESS}]",
                labels_of(one)[HEADLESS] or '""',
                "kube-proxy does not see slices with this label, and the Service is not headless. Remove the label.",
                f"get endpointslice {quoted(name_of(one))} --show-labels",
            )
        elif family not in case.families:
            means = (
                "FQDN slices have no meaning to kube-proxy or to DNS. Use addresses."
                if family == "FQDN"
                else (
                    f"The Service's families are {listed(case.families)}, so nobody looks at this slice. Make one with "
                    f"addressType {case.families[0]}."
                )
            )
            yield case.finding(
                "SliceFamily",
                _unless_others(case, one),
                slice_label(one),
                "addressType",
                family,
                means,
                f"get service {quoted(case.name)} -o jsonpath='{{.spec.ipFamilies}}'",
                case.get_slices,
            )
        elif not case.headless and one.get("endpoints"):
            yield from _ports(case, one)


def _ports(case: Case, one: Obj) -> Iterator[Finding]:
    """The slice's ports against the Service's: name and protocol must be equal, and the number one that exists."""
    entries = one.get("ports") or ()
    bad = [entry for entry in entries if not 0 < (entry.get("port") or 0) < 65536]
    if bad:
        yield case.finding(
            "SlicePortNumber",
            _unless_others(case, one),
            slice_label(one),
            "ports[].port",
            bad[0].get("port", "unset"),
            "The API takes any number here. kube-proxy passes over 0 and unset, and no packet has a port above 65535.",
            f"get endpointslice {quoted(name_of(one))} -o yaml",
        )
        return
    wanted = [port for port in case.ports if not serves(one, port)]
    strange = [entry for entry in entries if not any(_same(entry, port) for port in case.ports)]
    if not wanted or not (strange or not entries or not any(serves(one, port) for port in case.ports)):
        return  # a slice may serve some of the ports
    have = listed(_entry(entry) for entry in strange or entries) or "none"
    protocol = [entry for entry in strange if any(entry.get("name", "") == port.get("name", "") for port in wanted)]
    means = (
        "Protocols must be equal"
        if protocol
        else "Ports are matched by name, not by number, and the names must be equal"
    )
    yield case.finding(
        "SlicePortName",
        _unless_others(case, one),
        slice_label(one),
        "ports[].protocol" if protocol else "ports[].name",
        have,
        f"{means}. The Service's {'port is' if len(wanted) == 1 else 'ports are'} "
        f"{listed(_entry(port) for port in wanted)}: this slice has nothing for it.",
        f"get service {quoted(case.name)} -o jsonpath='{{.spec.ports}}'",
        f"get endpointslice {quoted(name_of(one))} -o jsonpath='{{.ports}}'",
    )


def _same(entry: Obj, port: Obj) -> bool:
    return (entry.get("name", ""), protocol_of(entry)) == (port.get("name", ""), protocol_of(port))


def _entry(port: Obj) -> str:
    name = f'named "{port["name"]}"' if port.get("name") else "unnamed"
    return f"{name} ({port.get('port')}/{protocol_of(port)})"


def _unless_others(case: Case, one: Obj) -> str:
    """Broken, unless every port is answered without this slice."""
    return BROKEN if any(state.dead for state in case.states) else DEGRADED


def taken_out(case: Case) -> Iterator[Finding]:
    """Where nothing else answers: endpoints that a hand set to not ready or terminating, and slices without any."""
    if case.managed or case.external_name or any(state.ready for state in case.states):
        return
    used = [
        one for family in case.families for one in case.used_slices(family) if name_of(one) not in case.controlled_names
    ]
    usable = [one for one in used if case.headless or any(serves(one, port) for port in case.ports)]
    rows = [row for one in usable for row in rows_of(one) if case.pod is None or case.is_of_pod(row)]
    leaving = [row for row in rows if row.falls_back]
    if leaving:
        yield case.finding(
            "EndpointsTerminating",
            DEGRADED,
            slice_label(leaving[0].slice),
            "endpoints[].conditions.terminating",
            f"true for {listed(row.address for row in leaving)}",
            "No endpoint is ready. Traffic still goes to those that are terminating and serving; when they are gone, "
            "nobody is left.",
            f"{case.get_slices} -o yaml",
        )
    elif rows:
        yield case.finding(
            "EndpointsNotReady",
            BROKEN,
            slice_label(rows[0].slice),
            "endpoints[].conditions.ready",
            f"false for {listed(row.address for row in rows)}",
            "Every endpoint is set to not ready, so nobody gets the traffic. Nothing checks such addresses: whoever "
            "writes the slice must set them to ready.",
            f"{case.get_slices} -o yaml",
        )
    elif used and case.pod is None and not any(one.get("endpoints") for one in used):
        yield case.finding(
            "SliceEmpty",
            BROKEN,
            slice_label(used[0]),
            "endpoints",
            "none",
            "The slice lists no address. Whoever writes it must add one.",
            f"get endpointslice {quoted(name_of(used[0]))} -o yaml",
        )


def left_over(case: Case) -> Iterator[Finding]:
    """Slices older than the Service: of an earlier Service of the same name, whose addresses get the traffic now."""
    made = _time(case.service)
    for one in case.own:
        if case.owns(one) or made is None:
            continue
        slice_made = _time(one)
        if slice_made is not None and made - slice_made > _SAME_FILE and one.get("endpoints"):
            yield case.finding(
                "SliceOlderThanService",
                DEGRADED,
                slice_label(one),
                "metadata.creationTimestamp",
                f"{one['metadata']['creationTimestamp']}; {case.label} was made at "
                f"{case.service['metadata']['creationTimestamp']}",
                "This slice was there before the Service and has no owner: it may be left over from an earlier "
                "Service of this name, and its addresses get traffic. Delete it, or set an owner reference to the "
                "Service.",
                f"get endpointslice {quoted(name_of(one))} -o yaml",
            )


def cluster_ips(case: Case) -> Iterator[Finding]:
    """Addresses that are cluster IPs: kube-proxy does not send traffic from one to the other."""
    virtual = {
        canonical(address): name_of(service)
        for service in case.reading.services
        for address in (service.get("spec") or {}).get("clusterIPs") or ()
        if address != "None"
    }
    for row in (row for one in case.own for row in rows_of(one)):
        owner = virtual.get(canonical(row.address))
        if owner is not None:
            yield case.finding(
                "EndpointIsClusterIP",
                DEGRADED,
                slice_label(row.slice),
                "endpoints[].addresses",
                row.address,
                f"This is the cluster IP of service/{owner}. kube-proxy does not support cluster IPs as endpoints: "
                "list the addresses behind it, or use ExternalName.",
                f"get service {quoted(owner)}",
            )
            return


def manners(case: Case) -> Iterator[Finding]:
    """What a slice of one's own should have, and works without."""
    for one in case.own if case.pod is None else ():
        lacking: dict[str, str] = {}
        if MANAGED_BY not in labels_of(one):
            lacking[f"metadata.labels[{MANAGED_BY}]"] = "the label that says who looks after it"
        if not one["metadata"].get("ownerReferences"):
            lacking["metadata.ownerReferences"] = "an owner, as it outlives the Service without one"
        if any((endpoint.get("conditions") or {}).get("ready") is None for endpoint in one.get("endpoints") or ()):
            lacking["endpoints[].conditions.ready"] = "ready, as not every reader knows that unset means true"
        if lacking:
            yield case.finding(
                "SliceManners",
                NOTE,
                slice_label(one),
                ", ".join(lacking),
                "unset",
                f"The slice works without, but should have {listed(lacking.values())}.",
                f"get endpointslice {quoted(name_of(one))} -o yaml",
            )


def duplicates(case: Case) -> Iterator[Finding]:
    """One address in several slices, of which at least one is not the controller's."""
    seen: dict[tuple[str, str, object], list[Row]] = {}
    if len(case.slices) < 2:
        return
    for one in case.slices:
        ports = [(entry.get("name") or "", entry.get("port")) for entry in one.get("ports") or ()] or [("", None)]
        for row in rows_of(one):
            for name, number in ports:
                seen.setdefault((canonical(row.address), name, number), []).append(row)
    twice = {
        address: rows
        for (address, *_), rows in seen.items()
        if len({name_of(row.slice) for row in rows}) > 1
        and any(name_of(row.slice) not in case.controlled_names for row in rows)
    }
    if not twice:
        return
    disagree = {
        address: rows for address, rows in twice.items() if len({(row.ready, row.terminating) for row in rows}) > 1
    }
    address, rows = next(iter((disagree or twice).items()))
    said = ", ".join(f"ready: {str(row.ready).lower()} in {name_of(row.slice)}" for row in rows[:3])
    means = (
        f"{count(len(twice), 'address', 'addresses')} {'stands' if len(twice) == 1 else 'stand'} in more than one "
        "slice. "
    )
    means += (
        "The slices disagree, and which of them kube-proxy takes is not defined."
        if disagree
        else "kube-proxy counts an address and port once; other readers may count it twice."
    )
    yield case.finding(
        "DuplicateAddress",
        DEGRADED if disagree else NOTE,
        slice_label(rows[0].slice),
        "endpoints[].addresses",
        f"{address} ({said})",
        means,
        f"{case.get_slices} -L {MANAGED_BY}",
    )


def _time(obj: Obj) -> datetime | None:
    try:
        return datetime.fromisoformat(str(obj["metadata"].get("creationTimestamp")).replace("Z", "+00:00"))
    except ValueError:
        return None


__all__ = ["cluster_ips", "duplicates", "left_over", "manners", "none", "taken_out", "unusable"]
