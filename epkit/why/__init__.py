"""Why is my pod no endpoint of this Service, not a ready one, or without traffic?

>>> from epkit.why import why
>>> why(client, "svc/web")
>>> why(client, "pod/web-1", "svc/web").findings[0].reason
'ReadinessProbeFails'

It reads through :class:`epkit.client.Client` alone, one list per kind, and writes nothing; so it works on any cluster.

| module | what it holds |
|---|---|
| `reading` | what is read, and what may not be |
| `case` | the Service with its pods, slices and nodes, and who answers for each of its ports |
| `service`, `pods`, `readiness`, `restarts`, `ports` | reasons in the Service, its pods and their ports |
| `control`, `own`, `endpoints` | reasons in the slices: the controllers', people's own, and the old Endpoints |
| `hints`, `traffic` | reasons on the way from a client to an endpoint |
| `consumers` | reasons with those who read slices: kube-proxy, DNS, the API server |
| `desired`, `nearest` | what the controller would write; the nearest name or label |
| `reasons`, `finding`, `summary`, `command` | how it is told: to scripts, in Python, in words, in a terminal |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from epkit.client import Client
from epkit.errors import ApiError, EpkitError
from epkit.objects import labels_of, name_of
from epkit.selectors import of_map
from epkit.why import consumers, control, endpoints, hints, own, pods, ports, restarts, service, traffic
from epkit.why.case import Case, is_ready
from epkit.why.desired import drift
from epkit.why.finding import SEVERITIES, Finding, Report, Unknown, listed, plain
from epkit.why.reading import POD_WORDS, SERVICE_WORDS, Reading, parse, read, read_more
from epkit.why.reasons import REASONS
from epkit.why.summary import summary

Rule = Callable[[Case], Iterator[Finding]]

#: The rules, in order of cause: what stands first explains what follows.
RULES: tuple[Rule, ...] = (
    service.external_name,
    service.terminating,
    service.proxy_name,
    service.selector_removed,
    own.none,
    service.no_selector,
    service.selector,
    pods.publish_not_ready,
    pods.pods,
    pods.ended_before_drained,
    pods.finished_but_listed,
    pods.peers_not_published,
    restarts.recovered,
    ports.named_port_missing,
    ports.nothing_listens,
    ports.named_port_differs,
    control.relabelled,
    control.missing,
    control.stale,
    control.imposters,
    control.mirroring,
    own.unusable,
    own.taken_out,
    own.left_over,
    own.cluster_ips,
    control.foreign,
    own.duplicates,
    endpoints.differs,
    endpoints.truncated,
    service.too_broad,
    hints.hints,
    service.topology_annotation,
    traffic.local_policies,
    traffic.headless_port,
    consumers.old_dns,
    consumers.udp_flows,
    consumers.webhooks,
    own.manners,
)
#: Those that look at the Service and its pods alone.
OF_OBJECTS: tuple[Rule, ...] = (
    service.external_name,
    service.terminating,
    service.proxy_name,
    service.selector,
    pods.pods,
    ports.named_port_missing,
    ports.nothing_listens,
    restarts.recovered,
    service.too_broad,
)


def why(client: Client, *what: str, namespace: str = "default", kubectl: str = "kubectl") -> Report:
    """The reasons, in order, that a Service or one pod behind it gets no traffic.

    Args:
        client: of any cluster; it is only read from.
        what: ``"svc/web"``, or ``"pod/web-1", "svc/web"``. A name may carry its namespace: ``"demo/svc/web"``.
        namespace: for names without one.
        kubectl: how command lines begin that reach this cluster, such as ``kubectl --context kind``.

    Raises:
        EpkitError: there is no such Service or pod (the text has the nearest names), the cluster does not answer, or
            Services may not be read.
    """
    try:
        pod, name = _asked(client, what, namespace)
        reading = read(client, name, pod, namespace)
        case = Case(reading, kubectl)
        read_more(
            client,
            reading,
            nobody_matches=case.managed and case.pod is None and reading.pods is not None and not case.matched,
            no_slices=not (case.selector or case.external_name or reading.slices is None or case.slices),
            unwell=_unwell(case),
            flipped=any(map(restarts.may_be_cause, case.subjects)),
            asks_dns=consumers.asks_dns(case),
            unanswered=case.pod is None and any(state.dead for state in case.states),
        )
    except ApiError as error:
        raise EpkitError(f"The cluster refuses to tell: {plain(error.message)}") from None
    return report(reading, kubectl)


def report(reading: Reading, kubectl: str = "kubectl") -> Report:
    """The answer from what was read; no cluster is asked here."""
    case = Case(reading, kubectl)
    # Without slices only what the Service and its pods say can be told.
    rules = RULES if reading.slices is not None else OF_OBJECTS
    found = [finding for rule in rules for finding in rule(case)]
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))  # stable: causes stay before effects
    subject = f"svc/{case.name}" if case.pod is None else f"pod/{name_of(case.pod)} and svc/{case.name}"
    return Report(
        subject,
        case.namespace,
        summary(case),
        tuple(found),
        tuple(reading.unknown),
        case.name,
        None if case.pod is None else name_of(case.pod),
    )


def _unwell(case: Case) -> bool:
    """May the last warnings tell more than the objects do?"""
    wants_hints = any(key in (case.service["metadata"].get("annotations") or {}) for key in hints.ANNOTATIONS)
    return (
        not all(map(is_ready, case.subjects))
        or wants_hints
        or (case.managed and (not case.controlled or bool(drift(case))))
    )


def _asked(client: Client, what: tuple[str, ...], namespace: str) -> tuple[str | None, str]:
    """The pod, if any, and the Service that were named.

    Raises:
        EpkitError: nothing, too much, or a pod without a Service was named.
    """
    if len(what) == 2:
        first_is_service = "/" in what[0] and what[0].split("/")[-2].lower() in SERVICE_WORDS
        return (what[1], what[0]) if first_is_service else (what[0], what[1])
    if len(what) != 1:
        raise EpkitError('Name a Service, such as "svc/web", or a pod and a Service: "pod/web-1", "svc/web".')
    (only,) = what
    if "/" in only and only.split("/")[-2].lower() in POD_WORDS:
        raise EpkitError(_which_service(client, only, namespace))
    return None, only


def _which_service(client: Client, pod: str, namespace: str) -> str:
    """What to ask about a pod alone."""
    namespace, name = parse(pod, POD_WORDS, namespace)
    found = client.find("pods", name, namespace)
    if found is None:
        return f"There is no pod {plain(name)} in the namespace {plain(namespace)}. Name a pod and a Service."
    services = [
        one
        for one in client.list("services", namespace)
        if (selector := (one.get("spec") or {}).get("selector")) and of_map(selector)(labels_of(found))
    ]
    names = listed((f"svc/{name_of(one)}" for one in services), conjunction="or")
    hint = f"These select it: {names}." if services else "None in its namespace selects it."
    return f"Name the Service too, as a pod can be an endpoint of many. {hint}"


__all__ = ["REASONS", "Finding", "Report", "Unknown", "report", "why"]
