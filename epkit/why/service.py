"""Reasons that lie in the Service itself: its type, its labels, its selector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from epkit.objects import Obj, annotations_of, controller_of, labels_of, name_of, namespace_of
from epkit.selectors import format_map, of_map
from epkit.why import nearest
from epkit.why.case import (
    CONTROLLER,
    MIRRORING,
    ZONE,
    Case,
    in_other_namespace,
    is_ready,
    pod_label,
    pods_in_words,
    rows_of,
    selector_text,
    slice_label,
)
from epkit.why.desired import is_finished, is_terminating
from epkit.why.finding import BROKEN, DEGRADED, NOTE, Finding, count, listed, quoted

PROXY_NAME = "service.kubernetes.io/service-proxy-name"


def external_name(case: Case) -> Iterator[Finding]:
    """ExternalName: a CNAME in DNS. It has no endpoints, whatever its selector says."""
    if not case.external_name:
        return
    wrong = case.pod is not None or case.selector
    means = "An ExternalName Service is a CNAME in DNS. It has no cluster IP, no slices and no endpoints"
    means += f"; its selector ({selector_text(case)}) is ignored." if case.selector else "."
    if wrong:
        means += " For pods behind it, make it type ClusterIP and remove externalName."
    yield case.finding(
        "ExternalName",
        BROKEN if wrong else NOTE,
        case.label,
        "spec.type",
        f"ExternalName, to {case.spec.get('externalName', '')}",
        means,
        f"get service {quoted(case.name)} -o wide",
    )


def terminating(case: Case) -> Iterator[Finding]:
    """A Service that is being deleted gets no new slices."""
    if case.service["metadata"].get("deletionTimestamp"):
        held = listed(case.service["metadata"].get("finalizers") or ["foreground deletion"])
        yield case.finding(
            "ServiceTerminating",
            case.severity,
            case.label,
            "metadata.deletionTimestamp",
            case.service["metadata"]["deletionTimestamp"],
            f"The Service is being deleted and is held by {held}. It gets no new slices.",
            f"get service {quoted(case.name)} -o yaml",
        )


def proxy_name(case: Case) -> Iterator[Finding]:
    """The label that tells kube-proxy to leave a Service to another proxy."""
    value = labels_of(case.service).get(PROXY_NAME)
    if value is not None:
        yield case.finding(
            "ServiceProxyName",
            DEGRADED,
            case.label,
            f"metadata.labels[{PROXY_NAME}]",
            value or '""',
            "kube-proxy writes no rules for this Service. Unless a proxy of that name runs on every node, connections "
            "to its cluster IP and node ports go nowhere, however good its endpoints are.",
            f"get service {quoted(case.name)} --show-labels",
        )


def selector_removed(case: Case) -> Iterator[Finding]:
    """Slices that the controller left behind when the Service lost its selector: nobody updates them any more."""
    left = [one for one in case.managed_by(CONTROLLER) if case.owns(one, controller=True)]
    if case.selector or case.external_name or not left:
        return
    gone = sorted(
        {row.pod_name for one in left for row in rows_of(one) if row.pod_name and row.pod_name not in case.pods_by_name}
    )
    copies = case.managed_by(MIRRORING)
    means = "The Service has no selector any more, and nobody updates what the controller wrote while it had one."
    if gone and case.reading.pods is not None:
        means += f" {listed(gone)} {'is' if len(gone) == 1 else 'are'} listed and gone: clients run into timeouts."
    if copies:
        means += (
            f" {slice_label(copies[0])} is a mirrored copy of the left-over Endpoints, so addresses are there twice."
        )
    means += " Restore the selector, or delete these slices and the Endpoints object and write your own slice."
    yield case.finding(
        "SelectorRemoved",
        case.severity,
        slice_label(left[0]),
        "metadata.labels[endpointslice.kubernetes.io/managed-by]",
        f"{CONTROLLER}, while {case.label} has no spec.selector",
        means,
        f"get service {quoted(case.name)} -o wide",
        f"{case.get_slices} -L endpointslice.kubernetes.io/managed-by",
    )


def no_selector(case: Case) -> Iterator[Finding]:
    """A pod can only be an endpoint of a Service without a selector if somebody writes it down."""
    if case.selector or case.external_name or case.pod is None or any(state.listed for state in case.states):
        return
    yield case.finding(
        "NoSelector",
        BROKEN,
        case.label,
        "spec.selector",
        "unset",
        f"Without a selector no controller looks for pods. {pod_label(case.pod)} is an endpoint only if a slice that "
        "somebody writes lists it. Give the Service a selector, or write the slice.",
        f"get service {quoted(case.name)} -o wide",
        case.get_slices,
    )


def selector(case: Case) -> Iterator[Finding]:
    """The selector does not match the pod asked for, or no pod at all."""
    if not case.managed:
        return
    if case.pod is not None:
        yield from _mismatch(case, case.pod)
    elif case.reading.pods is not None and not case.matched:
        yield _matches_nothing(case)


def _mismatch(case: Case, pod: Obj) -> Iterator[Finding]:
    if in_other_namespace(case):
        also = "" if of_map(case.selector)(labels_of(pod)) else " Its labels do not match the selector either."
        yield case.finding(
            "OtherNamespace",
            BROKEN,
            pod_label(pod),
            "metadata.namespace",
            namespace_of(pod),
            f"A Service selects pods of its own namespace alone, and {case.label} is in {case.namespace}.{also}",
            f"get pods -A --field-selector metadata.name={quoted(name_of(pod))} --show-labels",
        )
    elif not case.subjects:
        miss = nearest.of_pod(case.selector, pod)
        yield case.finding(
            "SelectorMismatch",
            BROKEN,
            pod_label(pod),
            "metadata.labels",
            format_map(labels_of(pod)) or "none",
            f"{case.label} wants every pair of {selector_text(case)}. The pod has {listed(miss.differences)}.",
            f"get pod {quoted(name_of(pod))} --show-labels",
            f"get service {quoted(case.name)} -o wide",
        )


def _matches_nothing(case: Case) -> Finding:
    """The selector matches no pod: the nearest explanation of those that were found."""
    matches, wanted = of_map(case.selector), selector_text(case)
    for workload in case.reading.workloads:
        template = (workload.get("spec") or {}).get("template") or {}
        if matches((template.get("metadata") or {}).get("labels") or {}):
            return _without_pods(case, workload)
    if case.reading.pods_elsewhere:
        homes = sorted({namespace_of(pod) for pod in case.reading.pods_elsewhere})
        return case.finding(
            "OtherNamespace",
            case.severity,
            case.label,
            "spec.selector",
            wanted,
            f"No pod in the namespace {case.namespace} has these labels, but "
            f"{count(len(case.reading.pods_elsewhere), 'pod')} in {listed(homes)} "
            f"{'has' if len(case.reading.pods_elsewhere) == 1 else 'have'} them. A Service selects pods of its own "
            "namespace alone.",
            f"get pods -A -l {quoted(wanted)}",
        )
    miss = nearest.miss(case.selector, case.reading.pods or ())
    means = f"No pod in the namespace {case.namespace} has all of these labels."
    if miss is None:
        means = f"There are no pods in the namespace {case.namespace} at all."
    elif miss.near:
        means += f" The nearest is {pod_label(miss.pod)}: it has {listed(miss.differences)}."
    else:
        means += " None comes near."
    return case.finding(
        "SelectorMatchesNothing",
        case.severity,
        case.label,
        "spec.selector",
        wanted,
        means,
        f"get pods -l {quoted(wanted)}",
        "get pods --show-labels",
    )


def _without_pods(case: Case, workload: Obj) -> Finding:
    """A workload whose pods would match has none: scaled to zero, or not allowed to make them."""
    kind, name = str(workload["kind"]).lower(), name_of(workload)
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    if spec.get("replicas", 1) == 0:
        return case.finding(
            "ScaledToZero",
            case.severity,
            f"{kind}/{name}",
            "spec.replicas",
            "0",
            f"Its pods would match {selector_text(case)}, but there are none. An empty slice stays as a placeholder.",
            f"get {kind} {quoted(name)}",
        )
    failed = [
        entry
        for entry in status.get("conditions") or ()
        if (entry.get("type"), entry.get("status")) in (("ReplicaFailure", "True"), ("Progressing", "False"))
    ]
    seen = (
        str(failed[0].get("message", ""))
        if failed
        else f"{status.get('replicas', status.get('currentNumberScheduled', 0))} pods"
    )
    return case.finding(
        "WorkloadWithoutPods",
        case.severity,
        f"{kind}/{name}",
        f"status.conditions[{failed[0]['type']}]" if failed else "status.replicas",
        seen,
        f"Its pods would match {selector_text(case)}, but it has made none.",
        f"describe {kind} {quoted(name)}",
        "get events --field-selector type=Warning",
    )


def too_broad(case: Case) -> Iterator[Finding]:
    """Pods of another kind of origin among those of a workload: a debug pod, or a Job with the same label."""
    if case.pod is not None:
        return
    live = [pod for pod in case.matched if not is_finished(pod) and not is_terminating(pod)]
    origins: dict[str, list[Obj]] = {}
    for pod in live:
        owner = controller_of(pod) or {}
        origins.setdefault(str(owner.get("kind", "")), []).append(pod)
    steady = [pod for kind in ("ReplicaSet", "StatefulSet", "DaemonSet") for pod in origins.get(kind, ())]
    strangers = [pod for kind in ("", "Job") for pod in origins.get(kind, ()) if is_ready(pod)]
    if steady and strangers:
        first = controller_of(strangers[0])
        origin = f"of the Job {first['name']}" if first else "without a controller"
        usual = controller_of(steady[0]) or {}
        yield case.finding(
            "SelectorTooBroad",
            DEGRADED,
            case.label,
            "spec.selector",
            selector_text(case),
            f"It matches {pods_in_words(strangers)} {origin} beside the pods of a {usual.get('kind')}. A part of the "
            "traffic goes there. Select by a label that only the workload's pods have.",
            f"get pods -l {quoted(selector_text(case))} --show-labels",
        )


def _zones_with_few(case: Case) -> list[str]:
    """The zones of nodes with fewer than three ready endpoints, in words, where endpoints have hints at all."""
    ready = [row for row in case.rows if row.ready]
    if case.pod is not None or not any((row.endpoint.get("hints") or {}).get("forZones") for row in ready):
        return []
    endpoints = Counter(str(row.endpoint.get("zone", "")) for row in ready)
    zones = sorted({labels_of(node)[ZONE] for node in case.workers if labels_of(node).get(ZONE)})
    return [f"{zone} has {endpoints[zone]}" for zone in zones if endpoints[zone] < 3]


def topology_annotation(case: Case) -> Iterator[Finding]:
    """The annotations for hints: the old spelling, and both ways at once."""
    annotations = annotations_of(case.service)
    old, new = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
    used = next((key for key in (old, new) if key in annotations), None)
    if used is None:
        return
    auto = annotations[used] in ("Auto", "auto")
    if auto and case.spec.get("trafficDistribution"):
        means = (
            f"The annotation wins: spec.trafficDistribution ({case.spec['trafficDistribution']}) has no effect. "
            "Remove one."
        )
    elif used == old:
        means = "This spelling is deprecated. Use spec.trafficDistribution, or service.kubernetes.io/topology-mode."
    elif auto and (few := _zones_with_few(case)):
        means = (
            "Auto has written hints, and takes them back when endpoints and nodes are out of balance. With three or "
            f"more in every zone that is rare; here {listed(few)}. spec.trafficDistribution: PreferSameZone has no "
            "such thresholds."
        )
    else:
        return
    yield case.finding(
        "TopologyAnnotation",
        NOTE,
        case.label,
        f"metadata.annotations[{used}]",
        annotations[used],
        means,
        f"get service {quoted(case.name)} -o yaml",
    )
