"""Reasons that lie with the controllers: slices that are missing, stuck, or not up to date."""

from __future__ import annotations

from collections.abc import Iterator

from epkit.objects import annotations_of, labels_of, name_of
from epkit.why.case import CONTROLLER, MANAGED_BY, MIRRORING, Case, slice_label
from epkit.why.desired import drift
from epkit.why.finding import BROKEN, DEGRADED, NOTE, Finding, count, listed, quoted
from epkit.why.reading import SERVICE_NAME

_LEASE = "get lease kube-controller-manager --namespace kube-system -o jsonpath='{.spec.renewTime}'"


def relabelled(case: Case) -> Iterator[Finding]:
    """A slice of the controller that lost one of its two labels: the controller waits for it for ever."""
    for one in case.relabelled if case.managed else ():
        labels = labels_of(one)
        key = SERVICE_NAME if labels.get(SERVICE_NAME) != case.name else MANAGED_BY
        wanted = case.name if key == SERVICE_NAME else CONTROLLER
        yield case.finding(
            "SliceRelabelled",
            case.severity,
            slice_label(one),
            f"metadata.labels[{key}]",
            labels.get(key, "unset"),
            "The controller made this slice and no longer finds it. It takes its cache for stale, so it changes "
            f"nothing for this Service: new pods get no traffic, gone ones stay. Set the label back to {wanted}; do "
            "not delete the slice.",
            f"get endpointslice {quoted(name_of(one))} --show-labels",
            f"get events --field-selector involvedObject.name={quoted(case.name)}",
        )


def missing(case: Case) -> Iterator[Finding]:
    """A Service with a selector always has a slice of every family, if only an empty one."""
    if not case.managed or case.reading.slices is None or case.relabelled:
        return
    there = {str(one.get("addressType")) for one in case.controlled}
    for family in case.families:
        if family not in there:
            yield case.finding(
                "NoSlices",
                case.severity if case.pod is None else BROKEN,
                case.label,
                "EndpointSlices",
                f"no {family} slice of the EndpointSlice controller",
                "A Service with a selector has one within moments, even if no pod matches. The controller does not "
                "run, lags behind, or is stuck with this Service because one of its slices was relabelled and deleted."
                + _said(case),
                f"{case.get_slices} -L {MANAGED_BY}",
                _LEASE,
            )


def stale(case: Case) -> Iterator[Finding]:
    """The controller's slices do not say what the pods say."""
    if not case.managed or not case.controlled or case.relabelled or case.reading.pods is None:
        return
    found = drift(case)
    if case.pod is not None:
        found = [one for one in found if one.pod == name_of(case.pod)]
    strangers = (
        [row for row in case.rows if name_of(row.slice) in case.controlled_names and not row.pod_name]
        if case.pod is None
        else []
    )
    if not found and not strangers:
        return
    if found:
        first = found[0]
        where, field = (slice_label(first.row.slice), "endpoints") if first.row else (case.label, "EndpointSlices")
        seen, number = f"pod/{first.pod}: {first.text}", len(found)
    else:
        where, field, number = slice_label(strangers[0].slice), "endpoints", len(strangers)
        seen = f"lists {strangers[0].address}, which belongs to no pod"
    yield case.finding(
        "SlicesStale",
        case.severity,
        where,
        field,
        seen,
        f"{count(number, 'entry', 'entries')} of the slices {'does' if number == 1 else 'do'} not follow from the "
        "pods. Within a second or two this is normal, and a slice that somebody edited is put right in that time. If "
        f"it stays, the EndpointSlice controller does not run, or fails for this Service.{_said(case)}",
        f"{case.get_slices} -o yaml",
        _LEASE,
    )


def _said(case: Case) -> str:
    said = [text for text in case.warnings_about("Service", case.name) if "Endpoint Slices" in text]
    return f" It said last: {said[0]}" if said else ""


def imposters(case: Case) -> Iterator[Finding]:
    """Slices that carry a controller's name and are not its own."""
    for one in case.managed_by(CONTROLLER):
        if not case.owns(one) and not case.external_name:
            fate = "deletes it within moments" if case.managed else "would delete it if the Service ever got a selector"
            yield case.finding(
                "ReservedManagedBy",
                DEGRADED if case.managed else NOTE,
                slice_label(one),
                f"metadata.labels[{MANAGED_BY}]",
                CONTROLLER,
                "This is the name of the EndpointSlice controller, which did not make this slice for this Service and "
                f"{fate}. Use a name of your own, such as staff.",
                f"{case.get_slices} -L {MANAGED_BY}",
            )


def mirroring(case: Case) -> Iterator[Finding]:
    """Hand-made Endpoints that are not mirrored, or not all of them."""
    endpoints = case.reading.endpoints
    if endpoints is None or case.managed or case.external_name or case.is_of_the_api_server:
        return
    subsets = endpoints.get("subsets") or []
    total = [len(subset.get("addresses") or ()) + len(subset.get("notReadyAddresses") or ()) for subset in subsets]
    skip = "endpointslice.kubernetes.io/skip-mirror"
    leader = "control-plane.alpha.kubernetes.io/leader"
    mirrored = case.managed_by(MIRRORING)
    if any(total) and not mirrored and not case.rows and case.reading.slices is not None:
        if labels_of(endpoints).get(skip) == "true":
            field, seen, means = (
                f"metadata.labels[{skip}]",
                "true",
                "This label keeps the Endpoints from being mirrored to slices",
            )
        elif leader in annotations_of(endpoints):
            field, seen, means = (
                f"metadata.annotations[{leader}]",
                "set",
                "Endpoints that serve leader election are not mirrored to slices",
            )
        else:
            field, seen = "subsets", f"{count(sum(total), 'address', 'addresses')}, and no mirrored slice"
            means = "The EndpointSliceMirroring controller does not run or lags behind: these addresses are in no slice"
        yield case.finding(
            "EndpointsNotMirrored",
            BROKEN,
            f"endpoints/{case.name}",
            field,
            seen,
            f"{means}. kube-proxy reads slices alone, so nobody gets the traffic. Write an EndpointSlice instead: "
            "Endpoints are deprecated.",
            f"get endpoints {quoted(case.name)} --show-labels",
            case.get_slices,
        )
    largest = max(total, default=0)
    if mirrored and largest > 1000:
        yield case.finding(
            "MirroringTruncated",
            DEGRADED,
            f"endpoints/{case.name}",
            "subsets",
            f"{largest:,} addresses in one subset",
            f"At most 1,000 of a subset are mirrored to slices; {largest - 1000:,} get no traffic. Write "
            "EndpointSlices instead.",
            f"describe endpoints {quoted(case.name)}",
            case.get_slices,
        )


def foreign(case: Case) -> Iterator[Finding]:
    """Somebody's own slices beside the controller's: they are used, and nobody else looks after them."""
    if not case.managed or not case.own or case.pod is not None:
        return
    managers = sorted({labels_of(one).get(MANAGED_BY, "") or "nobody" for one in case.own})
    yield case.finding(
        "ForeignSlice",
        NOTE,
        slice_label(case.own[0]),
        f"metadata.labels[{MANAGED_BY}]",
        labels_of(case.own[0]).get(MANAGED_BY) or "unset",
        f"{count(len(case.own), 'slice')} of this Service {'is' if len(case.own) == 1 else 'are'} managed by "
        f"{listed(managers)}, beside those that follow the selector. Their endpoints get traffic too. If they are left "
        "over from before there was a selector, delete them.",
        f"{case.get_slices} -L {MANAGED_BY}",
    )


__all__ = ["foreign", "imposters", "mirroring", "missing", "relabelled", "stale"]
