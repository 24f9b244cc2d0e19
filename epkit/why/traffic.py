"""Reasons on the way from a client to an endpoint: traffic policies, and Services without a cluster IP."""

from __future__ import annotations

from collections.abc import Iterator

from epkit.objects import name_of
from epkit.why.case import Case, is_ready, port_label
from epkit.why.finding import BROKEN, DEGRADED, NOTE, Finding, count, listed, quoted


def local_policies(case: Case) -> Iterator[Finding]:
    """Local traffic policies: a node without an endpoint of its own drops the traffic."""
    if case.external_name or case.headless or not case.knows_nodes:
        return
    ready = [row for row in case.rows if row.ready] or [row for row in case.rows if row.falls_back]
    here = {str(row.endpoint.get("nodeName")) for row in ready if row.endpoint.get("nodeName")}
    nodes = [name_of(node) for node in case.workers]
    without = sorted(node for node in nodes if node not in here)
    if not ready or not without:
        return  # nobody answers anywhere: another reason
    local = (
        f"{count(len(without), 'node')} of {len(nodes):,} {'has' if len(without) == 1 else 'have'} no endpoint of "
        f"this Service: {listed(without)}."
    )
    check = (f"{case.get_slices} -o jsonpath='{{.items[*].endpoints[*].nodeName}}'", "get nodes")
    if case.spec.get("internalTrafficPolicy") == "Local":
        yield case.finding(
            "InternalTrafficPolicyLocal",
            BROKEN if not set(nodes) & here else DEGRADED,
            case.label,
            "spec.internalTrafficPolicy",
            "Local",
            f"{local} Pods there that connect to the cluster IP run into a timeout. Run one on every node (a "
            "DaemonSet), or use the policy Cluster.",
            *check,
        )
    if case.spec.get("externalTrafficPolicy") == "Local":
        balanced = case.spec.get("type") == "LoadBalancer"
        severity = NOTE if balanced else DEGRADED
        means = f"{local} Connections from outside to those nodes run into a timeout."
        if balanced:
            means += (
                f" A load balancer that asks healthCheckNodePort {case.spec.get('healthCheckNodePort', '')} "
                "passes them over."
            )
        yield case.finding(
            "ExternalTrafficPolicyLocal",
            severity if set(nodes) & here else BROKEN,
            case.label,
            "spec.externalTrafficPolicy",
            "Local",
            means,
            *check,
        )


def headless_port(case: Case) -> Iterator[Finding]:
    """A headless Service translates nothing: clients must use the pod's own port."""
    if not case.headless:
        return
    different = [port for port in case.ports if port.get("targetPort", port.get("port")) != port.get("port")]
    if different:
        port = different[0]
        yield case.finding(
            "HeadlessPort",
            NOTE,
            case.label,
            f"spec.ports[{port_label(port)}].targetPort",
            port.get("targetPort"),
            "DNS answers with the addresses of the pods, and nothing translates ports on the way. Clients must "
            f"connect to the target port, not to {port.get('port')}.",
            f"get service {quoted(case.name)} -o yaml",
            case.get_slices,
        )


__all__ = ["headless_port", "is_ready", "local_policies"]
