"""Reasons that lie with those who read slices: kube-proxy's old flows, an old CoreDNS, and webhooks.

They depend on the version of the reader, so each says for which it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from epkit.objects import Obj, name_of
from epkit.why.case import Case, port_label, protocol_of
from epkit.why.desired import containers_of
from epkit.why.finding import DEGRADED, NOTE, Finding, count, listed, quoted

#: CoreDNS reads EndpointSlices since the first, and leaves out endpoints that are not ready since the second.
_DNS_READS_SLICES, _DNS_READS_READY = (1, 8, 1), (1, 8, 4)
_VERSION = re.compile(r":v?(\d+)\.(\d+)\.(\d+)")


def udp_flows(case: Case) -> Iterator[Finding]:
    """UDP without a serving endpoint: old flows go on to addresses that are gone (kubernetes/kubernetes#139628)."""
    if case.external_name or case.headless or case.pod is not None:
        return
    dead = [state.port for state in case.states if state.port and state.dead and protocol_of(state.port) == "UDP"]
    if dead:
        address = str(case.spec.get("clusterIP") or "CLUSTER-IP")
        yield case.finding(
            "UdpFlowsStay",
            NOTE,
            case.label,
            f"spec.ports[{port_label(dead[0])}].protocol",
            "UDP, and no endpoint serves this port",
            "kube-proxy of Kubernetes 1.32 to 1.36 leaves the conntrack entries of a UDP Service alone while it has no "
            "serving endpoint. If it had one, senders that keep their socket go on sending to its address, and nobody "
            f"refuses them. On a node, `conntrack -L -p udp --dst {address}` lists such flows, and -D deletes them. "
            "Keep one endpoint at least.",
            f"get service {quoted(case.name)} -o wide",
            f"{case.get_slices} -o yaml",
        )


def asks_dns(case: Case) -> bool:
    """Does it matter whether DNS gives out endpoints that are not ready?"""
    return case.headless and not case.external_name and not case.publishes and any(not row.ready for row in case.rows)


def old_dns(case: Case) -> Iterator[Finding]:
    """A CoreDNS that gives out every endpoint of a headless Service, ready or not (coredns/coredns#4580)."""
    if case.reading.dns is None or not asks_dns(case):
        return
    image = _dns_image(case.reading.dns)
    found = _VERSION.search(image)
    version = tuple(map(int, found.groups())) if found else ()
    if not _DNS_READS_SLICES <= version < _DNS_READS_READY:
        return
    unready = [row.address for row in case.rows if not row.ready]
    yield case.finding(
        "DnsListsUnready",
        NOTE,
        f"deployment/{name_of(case.reading.dns)}",
        "spec.template.spec.containers[coredns].image",
        image,
        "CoreDNS 1.8.1 to 1.8.3 reads slices without looking at their conditions, on clusters before 1.25 (it knows "
        "discovery.k8s.io/v1beta1 alone). DNS then answers for this headless Service with endpoints that are not "
        f"ready too: {listed(unready)}. Upgrade CoreDNS to 1.8.4 or later.",
        f"get deployment {quoted(name_of(case.reading.dns))} --namespace kube-system -o wide",
        f"{case.get_slices} -o yaml",
    )


def _dns_image(deployment: Obj) -> str:
    containers = containers_of(((deployment.get("spec") or {}).get("template")) or {})
    images = [str(one.get("image", "")) for one in containers]
    return next((image for image in images if "coredns" in image), images[0] if images else "")


def webhooks(case: Case) -> Iterator[Finding]:
    """A webhook behind the Service, which nobody answers: the API server refuses writes, or goes on without it."""
    if case.pod is not None or not case.reading.webhooks:
        return
    dead = {state.port.get("port") for state in case.states if state.port and state.dead}
    calls = [
        (configuration, hook)
        for configuration in case.reading.webhooks
        for hook in configuration.get("webhooks") or ()
        if _port_called(case, hook) in dead
    ]
    strict = [call for call in calls if call[1].get("failurePolicy", "Fail") == "Fail"]
    if not calls:
        return
    configuration, hook = (strict or calls)[0]
    kind = str(configuration["kind"]).lower()
    means = (
        f'The API server finds no endpoints available for service "{case.name}", and refuses the writes that '
        f"{count(len(strict), 'webhook')} of this Service must allow. Bring its pods up; until then, failurePolicy "
        "Ignore lets writes through."
        if strict
        else "The API server finds nobody to ask, and writes go through without what this webhook checks or adds."
    )
    yield case.finding(
        "WebhookUnanswered",
        DEGRADED if strict else NOTE,
        f"{kind}/{name_of(configuration)}",
        f"webhooks[{hook.get('name', '')}].failurePolicy",
        hook.get("failurePolicy", "Fail"),
        means,
        f"get {kind} {quoted(name_of(configuration))} -o yaml",
        case.get_slices,
    )


def _port_called(case: Case, hook: Obj) -> int | None:
    """The port of this Service that the API server calls for a webhook, if it calls this Service."""
    service = (hook.get("clientConfig") or {}).get("service") or {}
    if (service.get("namespace"), service.get("name")) != (case.namespace, case.name):
        return None
    return int(service.get("port") or 443)
