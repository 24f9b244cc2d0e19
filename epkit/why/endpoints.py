"""The deprecated Endpoints object of a Service with a selector: where it differs from what the pods say.

kube-proxy does not read it. Whatever still does is misled.
"""

from __future__ import annotations

from collections.abc import Iterator

from epkit.objects import Obj, annotations_of
from epkit.why.case import Case, is_ready
from epkit.why.desired import address_of, find_port, is_finished, is_terminating
from epkit.why.finding import DEGRADED, NOTE, Finding, count, listed, quoted

OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
#: Who writes it in a cluster; "" stands where nobody is named.
_CONTROLLERS = ("kube-controller-manager", "")


def truncated(case: Case) -> Iterator[Finding]:
    """More than 1,000 addresses: Endpoints hold the first thousand."""
    endpoints = case.reading.endpoints
    value = annotations_of(endpoints).get(OVER_CAPACITY) if endpoints is not None and case.managed else None
    if endpoints is not None and value is not None:
        yield case.finding(
            "EndpointsTruncated",
            NOTE,
            f"endpoints/{case.name}",
            f"metadata.annotations[{OVER_CAPACITY}]",
            value,
            f"The Endpoints object holds {count(_size(endpoints), 'address', 'addresses')}, the slices "
            f"{len(case.rows):,}. kube-proxy reads slices and is not affected; let everything else read them too.",
            f"get endpoints {quoted(case.name)}",
            case.get_slices,
        )


def differs(case: Case) -> Iterator[Finding]:
    """Endpoints that do not follow from the pods: an edit by hand stays until the next event of the Service."""
    endpoints = case.reading.endpoints
    if endpoints is None or not case.managed or case.reading.pods is None or OVER_CAPACITY in annotations_of(endpoints):
        return
    ready, not_ready = _stored(endpoints)
    wanted, unready = _wanted(case)
    # Nothing tells the controllers that a pod ended while it was not ready: its entry stays, here as in the slice.
    not_ready -= {str(address_of(pod, case.families[0])) for pod in case.matched if is_finished(pod)} - wanted - unready
    added, lost = (ready | not_ready) - wanted - unready, (wanted | unready) - ready - not_ready
    moved = {address for address in ready & unready if address not in wanted} | (not_ready & wanted - ready - unready)
    if not (added or lost or moved):
        return
    words = [
        f"{what} {listed(sorted(addresses))}"
        for what, addresses in (("lists", added), ("lacks", lost), ("has the wrong state for", moved))
        if addresses
    ]
    editor = _editor(endpoints)
    who = f"{editor} has written it last. " if editor else ""
    yield case.finding(
        "EndpointsEdited" if editor else "EndpointsStale",
        DEGRADED,
        f"endpoints/{case.name}",
        "subsets",
        f"{listed(words)}",
        f"{who}The Endpoints object does not follow from the pods. kube-proxy reads slices and is not affected; "
        "readers of Endpoints are. It stays so until the next change of the Service or its pods. Delete it, and the "
        "controller makes it anew.",
        f"get endpoints {quoted(case.name)} --show-managed-fields -o yaml",
        case.get_slices,
    )


def _stored(endpoints: Obj) -> tuple[set[str], set[str]]:
    ready: set[str] = set()
    not_ready: set[str] = set()
    for subset in endpoints.get("subsets") or ():
        ready |= {str(entry["ip"]) for entry in subset.get("addresses") or ()}
        not_ready |= {str(entry["ip"]) for entry in subset.get("notReadyAddresses") or ()}
    return ready, not_ready


def _wanted(case: Case) -> tuple[set[str], set[str]]:
    """The ready and the other addresses that the Endpoints controller would write (``syncService``)."""
    ready: set[str] = set()
    not_ready: set[str] = set()
    for pod in case.matched:
        address = address_of(pod, case.families[0])
        if is_finished(pod) or address is None or (is_terminating(pod) and not case.publishes):
            continue
        if case.ports and not any(find_port(pod, port) is not None for port in case.ports):
            continue
        (ready if case.publishes or is_ready(pod) else not_ready).add(address)
    return ready, not_ready


def _size(endpoints: Obj) -> int:
    return sum(
        len(subset.get(kind) or ())
        for subset in endpoints.get("subsets") or ()
        for kind in ("addresses", "notReadyAddresses")
    )


def _editor(endpoints: Obj) -> str:
    """Whoever else has written the addresses, by its managed fields; "" for nobody."""
    entries = [
        entry
        for entry in endpoints["metadata"].get("managedFields") or ()
        if "f:subsets" in (entry.get("fieldsV1") or {}) and entry.get("manager", "") not in _CONTROLLERS
    ]
    return str(entries[-1]["manager"]) if entries else ""
