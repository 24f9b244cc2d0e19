"""Reasons that lie in the pods: why one is no endpoint, or not a ready one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from epkit.objects import Obj, condition, name_of
from epkit.why import readiness
from epkit.why.case import Case, addresses_of, is_ready, pod_label, pods_in_words
from epkit.why.desired import address_of, is_finished, is_terminating, node_is_missing
from epkit.why.finding import BROKEN, DEGRADED, NOTE, Finding, count, listed, quoted


@dataclass(frozen=True)
class Cause:
    """Why one pod is no ready endpoint. `excludes`: it is no endpoint at all."""

    reason: str
    obj: str
    field: str
    seen: str
    means: str
    check: tuple[str, ...]
    excludes: bool = False


def pods(case: Case) -> Iterator[Finding]:
    """The pods in question that are no ready endpoints, grouped by reason, in order of cause."""
    groups: dict[str, list[tuple[Obj, Cause]]] = {}
    for pod in case.subjects:
        cause = _cause(case, pod)
        if cause is not None:
            groups.setdefault(cause.reason, []).append((pod, cause))
    # A finished pod beside others is ordinary: a Job that is done, an evicted pod. So is one that is leaving.
    others = len(case.subjects) - len(groups.get("PodFinished", ())) - len(groups.get("PodTerminating", ()))
    for reason in sorted(groups, key=_ORDER.index):
        if reason in ("PodFinished", "PodTerminating") and others and case.pod is None:
            continue
        yield _finding(case, reason, groups[reason])


def _finding(case: Case, reason: str, group: list[tuple[Obj, Cause]]) -> Finding:
    first = group[0][1]
    severity = case.severity
    if case.publishes and not first.excludes and reason != "PodTerminating":
        severity = NOTE  # it is published all the same
    if reason == "PodTerminating" and any(state.fallback for state in case.states):
        severity = DEGRADED
    means = first.means
    if case.pod is None and len(case.subjects) > 1:
        affected = [pod for pod, _ in group]
        whole = "All" if len(group) == len(case.subjects) else f"{len(group):,} of"
        means += f" {whole} {count(len(case.subjects), 'pod')}: {pods_in_words(affected)}."
        if reason == "ReadinessProbeFails" and len(group) == len(case.subjects):
            means += " If they failed together, see whether the probe depends on something that they share."
    return case.finding(reason, severity, first.obj, first.field, first.seen, means, *first.check)


#: In order of cause.
_ORDER = [
    "PodFinished", "NodeMissing", "NodeNotReady", "PodTerminating", "PodNotScheduled", "PodNoAddress",
    "PodWithoutFamily", *readiness.REASONS,
]  # fmt: skip


def _cause(case: Case, pod: Obj) -> Cause | None:
    """The first thing that keeps this pod from being a ready endpoint."""
    name, status = quoted(name_of(pod)), pod.get("status") or {}
    if is_finished(pod):
        return Cause(
            "PodFinished",
            pod_label(pod),
            "status.phase",
            _with_reason(status),
            "A pod that has ended is never an endpoint.",
            (f"get pod {name}",),
            excludes=True,
        )
    node = (pod.get("spec") or {}).get("nodeName")
    if case.knows_nodes and node_is_missing(case, pod):
        return _node_missing(case, pod, str(node))
    if (
        node in case.nodes
        and not is_ready(case.nodes[node])
        and not is_ready(pod)
        and condition(case.nodes[node], "Ready")
    ):
        return _node_not_ready(pod, case.nodes[node])
    if is_terminating(pod):
        return _terminating(case, pod)
    if not node:
        reason = condition(pod, "PodScheduled") or {}
        return Cause(
            "PodNotScheduled",
            pod_label(pod),
            "spec.nodeName",
            "unset" + (f": {reason['message']}" if reason.get("message") else ""),
            "No node has taken the pod yet. It has no address, and so it is no endpoint.",
            (f"describe pod {name}",),
            excludes=True,
        )
    if not addresses_of(pod):
        return _no_address(case, pod)
    missing = [family for family in case.families if address_of(pod, family) is None]
    if missing:
        return Cause(
            "PodWithoutFamily",
            pod_label(pod),
            "status.podIPs",
            ", ".join(addresses_of(pod)),
            f"The Service's families are {listed(case.families)}. The pod has no {listed(missing)} address, so no "
            f"{listed(missing)} slice lists it.",
            (f"get pod {name} -o jsonpath='{{.status.podIPs}}'", case.get_slices),
            excludes=len(missing) == len(case.families),
        )
    if not is_ready(pod):
        return Cause(**readiness.of(case, pod))
    return None


def _with_reason(status: Obj) -> str:
    return str(status.get("phase")) + (f" ({status['reason']})" if status.get("reason") else "")


def _node_missing(case: Case, pod: Obj, node: str) -> Cause:
    listed_in = case.rows_by_pod.get(name_of(pod))
    if case.publishes:
        effect = "The Service publishes it all the same, without a zone."
    elif listed_in:
        effect = (
            "The slice still lists it, and drops it at the next sync of the Service: a node's deletion starts none."
        )
    else:
        effect = "The controller leaves the pod out of the slices and tries again with back-off."
    return Cause(
        "NodeMissing",
        pod_label(pod),
        "spec.nodeName",
        f"{node}, and there is no such Node",
        f"{effect} Pod garbage collection removes the pod about a minute after the Node; deleting the pod is quicker.",
        (f"get pods -o wide --field-selector spec.nodeName={quoted(node)}", "get nodes"),
        excludes=not case.publishes,
    )


def _node_not_ready(pod: Obj, node: Obj) -> Cause:
    ready = condition(node, "Ready") or {}
    means = (
        "The kubelet of this node does not report, or says that the node is not well. Its pods were marked not ready, "
        "and are deleted when their toleration ends (300 s by default)."
    )
    if is_terminating(pod):
        means += " They stay Terminating: only the kubelet, or the deletion of the Node, can end that."
    message = f" ({ready['reason']})" if ready.get("reason") else ""
    return Cause(
        "NodeNotReady",
        f"node/{name_of(node)}",
        "status.conditions[Ready]",
        f"{ready.get('status', 'Unknown')}{message}",
        means,
        (
            f"describe node {quoted(name_of(node))}",
            f"get pods -o wide --field-selector spec.nodeName={quoted(name_of(node))}",
        ),
    )


def _terminating(case: Case, pod: Obj) -> Cause:
    means = "The pod is being deleted. It stays in the slice as terminating until it is gone, and is not ready."
    if any(state.fallback for state in case.states):
        means += " As no endpoint is ready, traffic still goes to those that are serving, until they end."
    finalizers = pod["metadata"].get("finalizers")
    if finalizers:
        means += f" The finalizer {listed(finalizers)} holds it."
    return Cause(
        "PodTerminating",
        pod_label(pod),
        "metadata.deletionTimestamp",
        str(pod["metadata"]["deletionTimestamp"]),
        means,
        (f"get pod {quoted(name_of(pod))} -o yaml", f"{case.get_slices} -o yaml"),
        excludes=False,
    )


def _no_address(case: Case, pod: Obj) -> Cause:
    waiting = readiness.waiting(pod)
    field, seen = ("status.podIPs", "none")
    if waiting:
        field, seen = f"status.containerStatuses[{waiting[0]}].state.waiting", waiting[1]
    warning = next(iter(case.warnings_about("Pod", name_of(pod))), "")
    means = "The pod has no address yet, so it is no endpoint. It gets one when its sandbox starts."
    if warning:
        means += f" The last warning: {warning}"
    return Cause(
        "PodNoAddress",
        pod_label(pod),
        field,
        seen,
        means,
        (f"describe pod {quoted(name_of(pod))}",),
        excludes=True,
    )


def ended_before_drained(case: Case) -> Iterator[Finding]:
    """Terminating pods whose containers are gone already, without a preStop hook: errors during every rollout."""
    early = [
        pod
        for pod in case.subjects
        if is_terminating(pod) and not is_finished(pod) and not is_ready(pod) and _ended(pod) and not _has_pre_stop(pod)
    ]
    if early:
        pod = early[0]
        yield case.finding(
            "EndedBeforeDrained",
            NOTE,
            pod_label(pod),
            "status.containerStatuses[].state",
            "terminated, while the pod is terminating",
            "The container ended as soon as it was told to. Nodes hear of it about a second later, so connections in "
            "between are refused. A preStop sleep of a few seconds closes that gap.",
            f"get pod {quoted(name_of(pod))} -o yaml",
        )


def finished_but_listed(case: Case) -> Iterator[Finding]:
    """A pod that ended while it was not ready: nothing tells the controller, and the entry stays."""
    left = [pod for pod in case.matched if is_finished(pod) and name_of(pod) in case.rows_by_pod]
    if left:
        yield case.finding(
            "FinishedPodListed",
            NOTE,
            pod_label(left[0]),
            "status.phase",
            _with_reason(left[0]["status"]),
            f"The slice still lists {pods_in_words(left)}, as not ready. It gets no traffic; the next sync of the "
            "Service removes it.",
            f"{case.get_slices} -o yaml",
        )


def publish_not_ready(case: Case) -> Iterator[Finding]:
    """publishNotReadyAddresses on a Service for clients: they are sent to pods that cannot answer."""
    if not case.publishes or case.headless or case.external_name:
        return
    unready = [
        row
        for row in case.rows
        if row.ready and not (row.serving and not row.terminating) and (case.pod is None or case.is_of_pod(row))
    ]
    if unready:
        row = unready[0]
        yield case.finding(
            "PublishNotReady",
            DEGRADED,
            case.label,
            "spec.publishNotReadyAddresses",
            "true",
            f"{count(len(unready), 'endpoint')} {'is' if len(unready) == 1 else 'are'} ready in the slice although the "
            f"pod is not, such as {row.address} (ready: true, serving: {str(row.serving).lower()}). Clients are sent "
            "there. Keep this setting for a headless Service between peers, and give clients a Service of their own.",
            f"{case.get_slices} -o yaml",
        )


def peers_not_published(case: Case) -> Iterator[Finding]:
    """Peers of a StatefulSet that cannot find each other before one of them is ready."""
    peers = [pod for pod in case.subjects if (pod.get("spec") or {}).get("subdomain") == case.name]
    if case.headless and not case.publishes and peers and not any(map(is_ready, peers)):
        yield case.finding(
            "PeersNotPublished",
            NOTE,
            case.label,
            "spec.publishNotReadyAddresses",
            "unset",
            "DNS has no name for any of these pods while none is ready. If they must find each other first, they "
            "never will be: set publishNotReadyAddresses on this headless Service.",
            f"get service {quoted(case.name)} -o yaml",
            f"{case.get_slices} -o yaml",
        )


def _ended(pod: Obj) -> bool:
    return any(
        "terminated" in (entry.get("state") or {}) for entry in (pod.get("status") or {}).get("containerStatuses") or ()
    )


def _has_pre_stop(pod: Obj) -> bool:
    return any((one.get("lifecycle") or {}).get("preStop") for one in (pod.get("spec") or {}).get("containers") or ())


__all__ = ["BROKEN", "ended_before_drained", "finished_but_listed", "peers_not_published", "pods", "publish_not_ready"]
