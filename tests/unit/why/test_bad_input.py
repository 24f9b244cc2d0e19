"""Names that are not there, clusters that refuse, objects that are hostile, and very many of them."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from objects_only import ObjectsOnly, client
from stage import Stage

from epkit.client import Client
from epkit.errors import EpkitError
from epkit.objects import Obj
from epkit.why import REASONS, Finding, why
from epkit.why.finding import SEVERITIES

ESCAPE = "\x1b]0;gotcha\x07\x1b[31m\u202eevil\n"


def service(name: str = "web", **spec: Any) -> Obj:
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "demo", "uid": f"uid-{name}"},
        "spec": {
            "clusterIP": "10.96.0.7",
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 80}],
            **spec,
        },
    }


def pod(name: str, ip: str, ready: bool = True, **metadata: Any) -> Obj:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "demo", "uid": f"uid-{name}", "labels": {"app": "web"}, **metadata},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "app"}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def slice_of(pods: list[Obj], name: str = "web-abcde", **metadata: Any) -> Obj:
    endpoints = [
        {
            "addresses": [one["status"]["podIP"]],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": "n1",
            "targetRef": {"kind": "Pod", "name": one["metadata"]["name"], "uid": one["metadata"]["uid"]},
        }
        for one in pods
    ]
    labels = {
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    owner = {"kind": "Service", "name": "web", "uid": "uid-web", "controller": True}
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "demo", "labels": labels, "ownerReferences": [owner], **metadata},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        "endpoints": endpoints,
    }


NODE: Obj = {
    "kind": "Node",
    "metadata": {"name": "n1"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


def whole() -> list[Obj]:
    pods = [pod("web-1", "10.1.0.1"), pod("web-2", "10.1.0.2")]
    return [service(), service("db", clusterIP="10.96.0.8"), *pods, slice_of(pods), NODE]


def test_the_whole_one_is_whole() -> None:
    assert why(client(whole()), "web", namespace="demo").exit_status == 0


def test_a_pod_that_lacks_the_second_family() -> None:
    both = pod("web-1", "10.1.0.1")
    both["status"]["podIPs"] = [{"ip": "10.1.0.1"}, {"ip": "FD00:0::1"}]
    single = pod("web-2", "10.1.0.2")
    six = {**slice_of([both], "web-six"), "addressType": "IPv6"}
    six["endpoints"] = [{**six["endpoints"][0], "addresses": ["fd00::1"]}]
    dual = service(ipFamilies=["IPv4", "IPv6"], clusterIPs=["10.96.0.7", "fd00:96::7"])
    report = why(client([dual, both, single, slice_of([both, single]), six, NODE]), "web", namespace="demo")
    assert [(finding.reason, finding.severity) for finding in report.findings] == [("PodWithoutFamily", "degraded")]
    assert "The pod has no IPv6 address" in report.findings[0].means
    report = why(client([dual, single, slice_of([single]), {**six, "endpoints": []}, NODE]), "web", namespace="demo")
    assert report.findings[0].severity == "broken" and "over IPv6" in report.summary


def test_a_refusal_in_the_middle_is_told() -> None:
    with pytest.raises(EpkitError, match="The cluster refuses to tell: pods is forbidden"):
        why(client(whole(), ("pods",)), "pod/web-1", namespace="demo")


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (("wbe",), "There is no Service wbe in the namespace demo. The nearest name is web."),
        (("svc/frontend",), "The nearest names are db and web."),
        (("web-3", "web"), "There is no pod web-3 in the namespace demo. The nearest names are web-1 and web-2."),
        (
            ("pod/web-1",),
            "Name the Service too, as a pod can be an endpoint of many. These select it: svc/web or svc/db.",
        ),
        (("deploy/web",), "deploy/web is not a Service. Write svc/web, or the name alone."),
        (("node/n1", "web"), "node/n1 is not a pod. Write po/n1, or the name alone."),
        (("a/b/svc/web",), "names no Service"),
        (("",), "An empty word names no Service."),
        ((), "Name a Service"),
        (("a", "b", "c"), "Name a Service"),
        (
            ("other/svc/web",),
            "There are no Services there. There is one of this name in demo: choose a namespace with -n, or "
            "demo/svc/web.",
        ),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest_name(what: tuple[str, ...], text: str) -> None:
    with pytest.raises(EpkitError, match=re.escape(text)):
        why(client(whole()), *what, namespace="demo")


def test_a_pod_and_a_service_in_either_order() -> None:
    assert why(client(whole()), "svc/web", "pod/web-1", namespace="demo").subject == "pod/web-1 and svc/web"


def test_endpoints_without_a_service_are_mentioned() -> None:
    lonely = {"kind": "Endpoints", "metadata": {"name": "old", "namespace": "demo"}}
    with pytest.raises(EpkitError, match="An Endpoints object old exists without a Service"):
        why(client([*whole(), lonely]), "old", namespace="demo")


# -- permissions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["pods", "endpointslices", "endpoints", "nodes"])
def test_what_may_not_be_read_is_named_with_what_it_leaves_open(resource: str) -> None:
    report = why(client(whole(), (resource,)), "web", namespace="demo")
    assert report.exit_status == 2 and report.ok, report
    assert [unknown.resource for unknown in report.unknown] == [resource]
    assert "is not known" in report.unknown[0].unsure
    assert "Not everything could be read" in repr(report) and 'User "jane" cannot list' in repr(report)
    assert "Nothing is wrong." not in repr(report)


def test_services_that_may_be_got_but_not_listed() -> None:
    class Narrow(ObjectsOnly):
        def send(self, method: str, path: str, *rest: Any, **how: Any) -> Any:
            self.refused = ("services",) if path.endswith("/services") else ()
            return super().send(method, path, *rest, **how)

    report = why(Client(Narrow(whole())), "web", namespace="demo")
    assert report.exit_status == 2 and [unknown.resource for unknown in report.unknown] == ["services"]


def test_services_that_may_not_be_read_at_all() -> None:
    with pytest.raises(
        EpkitError, match="Services cannot be read in the namespace demo.*kubectl auth can-i --list -n demo"
    ):
        why(client(whole(), ("services",)), "web", namespace="demo")


def test_what_is_found_counts_although_not_everything_could_be_read() -> None:
    objects = [service(selector={"app": "wbe"}), *whole()[2:]]
    report = why(client(objects, ("nodes", "*", "deployments")), "web", namespace="demo")
    assert report.exit_status == 1
    assert {unknown.resource for unknown in report.unknown} >= {"nodes", "deployments", "pods of all namespaces"}


def test_a_pod_of_a_service_with_everything_refused_but_services() -> None:
    report = why(client(whole(), ("pods", "endpointslices", "endpoints", "nodes")), "web", namespace="demo")
    assert report.exit_status == 2 and len(report.unknown) == 4 and report.findings == ()
    assert report.summary.endswith("its slices may not be read.")


# -- hostile objects -----------------------------------------------------------------------------------------------


def hostile() -> list[Obj]:
    """Everything that the API does not check, with what a terminal would obey."""
    bad = pod("web-1", "10.1.0.1", ready=False)
    bad["status"]["containerStatuses"] = [
        {"name": "c", "ready": False, "state": {"waiting": {"reason": ESCAPE, "message": ESCAPE * 500}}}
    ]
    ghost = slice_of([pod(f"x;rm -rf {ESCAPE}", "10.1.0.9")], "web-evil")
    ghost["endpoints"][0] |= {"nodeName": ESCAPE, "zone": ESCAPE, "hints": {"forZones": [{"name": ESCAPE}]}}
    ghost["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] = ESCAPE
    edited = {
        "kind": "Endpoints",
        "metadata": {
            "name": "web",
            "namespace": "demo",
            "managedFields": [{"manager": ESCAPE, "fieldsV1": {"f:subsets": {}}}],
        },
        "subsets": [{"addresses": [{"ip": ESCAPE}]}],
    }
    event = {
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "demo"},
        "involvedObject": {"kind": "Service", "name": "web"},
        "message": f"Error updating Endpoint Slices {ESCAPE}",
    }
    annotated = service()
    annotated["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": ESCAPE}
    return [annotated, bad, ghost, edited, event, NODE]


@pytest.mark.parametrize("what", [("web",), ("web-1", "web")])
def test_nothing_that_a_terminal_obeys_gets_through(what: tuple[str, ...]) -> None:
    report = why(client(hostile()), *what, namespace="demo")
    assert report.findings
    assert all(char.isprintable() or char == "\n" for char in repr(report))
    for finding in report.findings:
        assert all(
            char.isprintable()
            for text in (finding.object, finding.field, finding.seen, finding.means, *finding.check)
            for char in text
        )
        assert len(finding.seen) < 2000 and len(finding.means) < 2000


def test_names_in_commands_are_quoted() -> None:
    objects = [service("web"), pod("a b;c", "10.1.0.1", ready=False), NODE]
    report = why(client(objects), "web", namespace="demo")
    assert any("'a b;c'" in command for finding in report.findings for command in finding.check)


def test_objects_with_holes_are_no_reason_to_fail() -> None:
    bare = [
        {"kind": kind, "metadata": {"name": "web", "namespace": "demo"}} for kind in ("Service", "Pod", "Endpoints")
    ]
    empty = {
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "namespace": "demo", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{}],
        "ports": [{}],
    }
    nodeless = {"kind": "Pod", "metadata": {"name": "p", "namespace": "demo", "labels": {"app": "web"}}}
    for objects in (
        bare,
        [*bare, empty],
        [service(), nodeless, empty],
        [service(), nodeless, {"kind": "Node", "metadata": {"name": "n"}}],
    ):
        assert repr(why(client(objects), "web", namespace="demo"))


# -- very many -----------------------------------------------------------------------------------------------------


def test_ten_thousand_endpoints_take_one_list_a_kind_and_little_time() -> None:
    pods = [pod(f"web-{i}", f"10.{i // 65025}.{i // 255 % 255}.{i % 255}") for i in range(10_000)]
    slices = [slice_of(pods[start : start + 100], f"web-{start}") for start in range(0, 10_000, 100)]
    pods[77]["status"]["conditions"][0]["status"] = "False"
    pods[9_999]["metadata"]["labels"] = {"app": "other"}
    cluster = ObjectsOnly([service(), *pods, *slices, NODE])
    begin = time.process_time()
    report = why(Client(cluster), "web", namespace="demo")
    text = repr(report)
    assert time.process_time() - begin < 3
    assert [finding.reason for finding in report.findings] == ["PodNotReady", "SlicesStale"]
    assert "10,000 of 10,000 endpoints ready" in text and len(text) < 5_000
    asked = [path.split("?")[0].split("/")[-1] for path in cluster.asked]
    assert sorted(asked) == [
        "endpointslices",
        "events",
        "nodes",
        "pods",
        "services",
        "web",
    ]  # web: the Endpoints object
    begin = time.process_time()
    assert why(Client(cluster), "web-5", "web", namespace="demo").exit_status == 0
    assert time.process_time() - begin < 3


# -- the report ----------------------------------------------------------------------------------------------------

FINDING_KEYS = {"reason": str, "severity": str, "object": str, "field": str, "seen": str, "means": str, "check": list}
REPORT_KEYS = {"version": int, "namespace": str, "service": str, "pod": (str, type(None)), "ok": bool,
               "exitStatus": int, "summary": str, "findings": list, "unknown": list,
               "error": (str, type(None))}  # fmt: skip


def test_the_json_form_has_its_keys() -> None:
    report = why(client(hostile(), ("nodes",)), "web-1", "web", namespace="demo").to_json()
    assert {key: isinstance(report[key], kinds) for key, kinds in REPORT_KEYS.items()} == dict.fromkeys(
        REPORT_KEYS, True
    )
    assert report.keys() == REPORT_KEYS.keys()
    for finding in report["findings"]:
        assert {key: isinstance(finding[key], kind) for key, kind in FINDING_KEYS.items()} == dict.fromkeys(
            FINDING_KEYS, True
        )
        assert finding.keys() == FINDING_KEYS.keys()
        assert finding["reason"] in REASONS and finding["severity"] in SEVERITIES
    assert [unknown.keys() for unknown in report["unknown"]] == [{"resource", "problem", "unsure"}]
    assert (report["service"], report["pod"], report["exitStatus"]) == ("web", "web-1", 1)


def test_findings_stand_in_order_of_severity() -> None:
    report = why(client(hostile()), "web", namespace="demo")
    order = [SEVERITIES.index(finding.severity) for finding in report.findings]
    assert order == sorted(order)


def test_a_finding_reads_as_a_paragraph() -> None:
    finding = Finding(
        "NoSelector", "broken", "service/web", "spec.selector", "unset", "Nobody looks for pods.", ("kubectl get svc",)
    )
    assert str(finding) == (
        "broken: NoSelector\n   seen   service/web spec.selector: unset\n   means  Nobody looks for pods.\n   check  "
        "kubectl get svc"
    )


def test_commands_reach_the_cluster_that_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [service(selector={"app": "wbe"}), *whole()[2:]]
    report = why(client(objects), "web", namespace="demo", kubectl="kubectl --context=kind")
    assert all(
        command.startswith("kubectl --context=kind ") for finding in report.findings for command in finding.check
    )


def test_a_closed_cluster_says_so() -> None:
    stage = Stage()
    stage.close()
    with pytest.raises(EpkitError, match="This cluster is closed"):
        stage.why("svc/web")
