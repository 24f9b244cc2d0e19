"""Those who read slices: old versions of CoreDNS, UDP flows, and webhooks, which the built-in cluster does not have."""

from __future__ import annotations

from typing import Any

import objects_only
import pytest

from epkit.objects import Obj
from epkit.why import Report, why


def meta(name: str, namespace: str = "demo", **labels: str) -> Obj:
    return {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": labels}


def service(**spec: Any) -> Obj:
    return {
        "kind": "Service",
        "metadata": meta("hook"),
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 443}], **spec},
    }


def slice_of(ready: bool, **port: Any) -> Obj:
    """A slice of one's own with an endpoint that is ready, or is not, and one that is."""
    endpoints = [{"addresses": ["192.0.2.1"], "conditions": {"ready": ready, "serving": ready}}]
    return {
        "kind": "EndpointSlice",
        "metadata": meta("hook-1", **{"kubernetes.io/service-name": "hook"}),
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8443, "protocol": "TCP", **port}],
        "endpoints": endpoints,
    }


# -- webhooks ------------------------------------------------------------------------------------------------------


def configuration(kind: str = "Validating", name: str = "hook", **hook: Any) -> Obj:
    called = {"name": name, "namespace": "demo", "path": "/"}
    hooks = [{"name": "check.example.com", "clientConfig": {"service": called}, "failurePolicy": "Fail", **hook}]
    return {"kind": f"{kind}WebhookConfiguration", "metadata": {"name": "guard"}, "webhooks": hooks}


def asked(*objects: Obj, refused: tuple[str, ...] = ()) -> Report:
    return why(objects_only.client(list(objects), refused), "hook", namespace="demo")


def reasons(report: Report) -> dict[str, str]:
    return {finding.reason: finding.severity for finding in report.findings}


@pytest.mark.parametrize("kind", ["Validating", "Mutating"])
def test_a_webhook_that_nobody_answers_blocks_writes(kind: str) -> None:
    report = asked(service(), slice_of(False), configuration(kind))
    assert report.findings[0].reason == "EndpointsNotReady"
    assert reasons(report)["WebhookUnanswered"] == "degraded"
    found = next(finding for finding in report.findings if finding.reason == "WebhookUnanswered")
    assert (found.object, found.seen) == (f"{kind.lower()}webhookconfiguration/guard", "Fail")
    assert 'no endpoints available for service "hook"' in found.means
    assert found.check[0] == f"kubectl get {kind.lower()}webhookconfiguration guard -o yaml -n demo"


def test_a_webhook_that_may_fail_is_a_note() -> None:
    report = asked(service(), slice_of(False), configuration(failurePolicy="Ignore"))
    assert reasons(report)["WebhookUnanswered"] == "note"


@pytest.mark.parametrize(
    "objects",
    [
        (service(), slice_of(True), configuration()),
        (service(), slice_of(False), configuration(name="another")),
        (service(), slice_of(False), configuration(clientConfig={"url": "https://hook.example.com"})),
        (service(ports=[{"port": 8080}]), slice_of(False), configuration()),
    ],
    ids=["answered", "of another Service", "at a URL", "at another port"],
)
def test_other_webhooks_are_no_reason(objects: tuple[Obj, ...]) -> None:
    assert "WebhookUnanswered" not in reasons(asked(*objects))


def test_webhooks_are_asked_for_only_where_nobody_answers_and_a_refusal_is_told() -> None:
    refused = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
    assert asked(service(), slice_of(True), refused=refused).unknown == ()
    (unknown,) = asked(service(), slice_of(False), refused=refused).unknown
    assert unknown.resource == "validatingwebhookconfigurations"
    assert "whether the API server needs this Service for a webhook is not known" in str(unknown)


# -- DNS -----------------------------------------------------------------------------------------------------------


def dns(image: str) -> Obj:
    containers = [{"name": "coredns", "image": image}]
    spec = {"template": {"spec": {"containers": containers}}}
    return {"kind": "Deployment", "metadata": meta("coredns", "kube-system"), "spec": spec}


HEADLESS = service(clusterIP="None")


@pytest.mark.parametrize(
    ("image", "old"),
    [
        ("k8s.gcr.io/coredns:1.8.3", True),
        ("602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/coredns:v1.8.3-eksbuild.1", True),
        ("localhost:5000/coredns:v1.8.1@sha256:0123", True),
        ("registry.k8s.io/coredns/coredns:v1.8.4", False),
        ("registry.k8s.io/coredns/coredns:v1.14.2", False),
        ("coredns/coredns:1.8.0", False),  # it reads Endpoints, which list what is not ready apart
        ("coredns/coredns:latest", False),
        ("coredns/coredns", False),
    ],
)
def test_the_versions_of_core_dns_that_look_at_no_conditions(image: str, old: bool) -> None:
    report = asked(HEADLESS, slice_of(False), dns(image))
    assert ("DnsListsUnready" in reasons(report)) == old, report


def test_dns_is_asked_for_only_where_it_matters_and_a_refusal_is_told() -> None:
    old, refused = dns("coredns:1.8.3"), ("deployments",)
    for objects in ((HEADLESS, slice_of(True)), (service(), slice_of(False))):
        assert "DnsListsUnready" not in reasons(asked(*objects, old))
        assert asked(*objects, refused=refused).unknown == ()
    published = service(clusterIP="None", publishNotReadyAddresses=True)
    assert "DnsListsUnready" not in reasons(asked(published, slice_of(False), old))
    (unknown,) = asked(HEADLESS, slice_of(False), refused=refused).unknown
    assert unknown.resource == "deployments" and "whether CoreDNS is so old" in unknown.unsure


# -- UDP -----------------------------------------------------------------------------------------------------------


def test_udp_flows_stay_while_nobody_serves_alone() -> None:
    udp = service(ports=[{"port": 53, "protocol": "UDP"}])
    assert "UdpFlowsStay" in reasons(asked(udp, slice_of(False, protocol="UDP")))
    assert "UdpFlowsStay" not in reasons(asked(udp, slice_of(True, protocol="UDP")))
    assert "UdpFlowsStay" not in reasons(asked(service(), slice_of(False)))
    leaving = slice_of(False, protocol="UDP")
    leaving["endpoints"][0]["conditions"] = {"ready": False, "serving": True, "terminating": True}
    assert "UdpFlowsStay" not in reasons(asked(udp, leaving))


# -- the kubelet ---------------------------------------------------------------------------------------------------


def test_the_starts_of_kubelets_are_asked_for_only_where_they_matter_and_a_refusal_is_told() -> None:
    def pod(changed: str, ready: bool = False, **container: Any) -> list[Obj]:
        one = {"name": "c", "image": "app", "readinessProbe": {"tcpSocket": {"port": 443}}, **container}
        state = {"running": {"startedAt": "2026-01-01T00:01:00Z"}}
        status = {
            "phase": "Running",
            "podIP": "10.1.0.1",
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": changed}],
            "containerStatuses": [{"name": "c", "ready": ready, "state": state}],
        }
        spec = {"nodeName": "n1", "containers": [one]}
        return [
            service(selector={"app": "web"}),
            {"kind": "Pod", "metadata": meta("one", app="web"), "spec": spec, "status": status},
            {
                "kind": "Node",
                "metadata": {"name": "n1"},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            },
        ]

    def unknown(objects: list[Obj]) -> list[str]:
        return [one.resource for one in asked(*objects, refused=("events",)).unknown]

    later, at_first = "2026-01-01T01:00:00Z", "2026-01-01T00:01:30Z"
    of_nodes = "events of nodes, in default"
    assert of_nodes in unknown(pod(later))
    assert of_nodes in unknown(pod(later, ready=True))
    assert of_nodes not in unknown(pod(at_first, ready=True))
    assert of_nodes not in unknown(pod(later, readinessProbe=None))
