"""Rows of tables."""

from __future__ import annotations

from typing import Any

import pytest

from epkit.fake import kinds
from epkit.fake.kinds import printing

NOW = printing.seconds_of("2026-01-01T01:00:00Z")
META = {"name": "x", "namespace": "demo", "creationTimestamp": "2026-01-01T00:00:00Z"}


def row(obj: dict[str, Any]) -> list[Any]:
    kind = kinds.by_kind(obj["apiVersion"], obj["kind"])
    assert kind is not None and kind.row is not None
    return kind.row({"metadata": META, **obj}, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-0.5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (121, "2m1s"), (599, "9m59s"),
        (600, "10m"), (10799, "179m"), (10800, "3h"), (10860, "3h1m"), (28799, "7h59m"), (28800, "8h"),
        (172799, "47h"), (172800, "2d"),
        (176400, "2d1h"), (691200, "8d"), (63072000, "2y"), (63158400, "2y1d"), (252288000, "8y"),
    ],
)  # fmt: skip
def test_human_durations(seconds: float, text: str) -> None:
    assert printing.human_duration(seconds) == text


def pod(status: dict[str, Any], spec: dict[str, Any] | None = None, **meta: Any) -> list[Any]:
    spec = {"containers": [{"name": "a"}, {"name": "b"}], **(spec or {})}
    return row({"apiVersion": "v1", "kind": "Pod", "metadata": {**META, **meta}, "spec": spec, "status": status})


def running(name: str, ready: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": name, "ready": ready, "restartCount": 0, "state": {"running": {}}, **more}


DONE = {"name": "b", "ready": False, "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("status", "ready", "shown"),
    [
        ({"phase": "Pending"}, "0/2", "Pending"),
        ({"phase": "Running", "containerStatuses": [running("a"), running("b", False)]}, "1/2", "Running"),
        ({"phase": "Succeeded", "containerStatuses": [DONE, DONE]}, "0/2", "Completed"),
        ({"phase": "Running", "conditions": READY, "containerStatuses": [running("a"), DONE]}, "1/2", "Running"),
        ({"phase": "Running", "containerStatuses": [running("a"), DONE]}, "1/2", "NotReady"),
        ({"phase": "Failed", "reason": "Evicted"}, "0/2", "Evicted"),
        (
            {
                "phase": "Running",
                "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
            },
            "0/2",
            "CrashLoopBackOff",
        ),
        (
            {"phase": "Failed", "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 3}}}]},
            "0/2",
            "ExitCode:3",
        ),
        (
            {"phase": "Failed", "containerStatuses": [{"name": "a", "state": {"terminated": {"signal": 9}}}]},
            "0/2",
            "Signal:9",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            },
            "0/2",
            "SchedulingGated",
        ),
    ],
)
def test_what_status_says_of_a_pod(status: dict[str, Any], ready: str, shown: str) -> None:
    assert pod(status)[1:3] == [ready, shown]


def test_init_containers_show_until_they_are_done() -> None:
    spec = {"initContainers": [{"name": "i"}, {"name": "j"}]}
    waiting = {"name": "j", "state": {"waiting": {"reason": "PodInitializing"}}}
    done = {"name": "i", "state": {"terminated": {"exitCode": 0}}}
    assert pod({"phase": "Pending", "initContainerStatuses": [done, waiting]}, spec)[2] == "Init:1/2"
    failed = {"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    assert pod({"phase": "Pending", "initContainerStatuses": [failed]}, spec)[2:4] == ["Init:Error", "2"]


def test_a_sidecar_counts_as_a_container() -> None:
    spec = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}
    status = {
        "phase": "Running",
        "initContainerStatuses": [running("s", started=True)],
        "containerStatuses": [running("a")],
    }
    assert pod(status, spec)[1] == "2/3"


def test_a_pod_that_is_being_deleted() -> None:
    dying = {"deletionTimestamp": "2026-01-01T00:30:00Z"}
    assert pod({"phase": "Running"}, **dying)[2] == "Terminating"
    assert pod({"phase": "Running", "reason": "NodeLost"}, **dying)[2] == "Unknown"
    assert pod({"phase": "Succeeded"}, **dying)[2] == "Succeeded"


def test_restarts_say_when_the_last_one_was() -> None:
    last = {"terminated": {"finishedAt": "2026-01-01T00:59:55Z"}}
    assert pod({"containerStatuses": [running("a", restartCount=3, lastState=last)]})[3] == "3 (5s ago)"
    assert pod({"containerStatuses": [running("a", restartCount=3)]})[3] == "3"


def test_the_wide_columns_of_a_pod() -> None:
    spec = {"nodeName": "n1", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    status = {"podIPs": [{"ip": "10.1.2.3"}], "conditions": [{"type": "a", "status": "True"}]}
    assert pod(status, spec)[5:] == ["10.1.2.3", "n1", "<none>", "1/2"]
    assert pod({})[5:] == ["<none>"] * 4


def service(spec: dict[str, Any], status: dict[str, Any] | None = None) -> list[Any]:
    return row({"apiVersion": "v1", "kind": "Service", "spec": spec, "status": status or {}})[1:5]


def test_services() -> None:
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]
    assert service({"type": "ClusterIP", "clusterIPs": ["10.96.0.9"], "ports": ports[1:]}) == [
        "ClusterIP", "10.96.0.9", "<none>", "53/UDP",
    ]  # fmt: skip
    assert service({"type": "NodePort", "clusterIPs": ["10.96.0.9"], "ports": ports})[3] == "80:30080/TCP,53/UDP"
    assert service({"type": "ExternalName", "externalName": "example.com"}) == [
        "ExternalName", "<none>", "example.com", "<none>",
    ]  # fmt: skip
    assert service({"type": "LoadBalancer"})[2] == "<pending>"
    ingress = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"hostname": "b.example.com"}]}}
    assert (
        service({"type": "LoadBalancer", "externalIPs": ["1.2.3.4"]}, ingress)[2] == "203.0.113.7,b.example.com,1.2.3.4"
    )


def endpoints(*subsets: dict[str, Any]) -> str:
    return str(row({"apiVersion": "v1", "kind": "Endpoints", "subsets": list(subsets)})[1])


def test_endpoints_show_three_pairs_and_only_ready_ones() -> None:
    two = [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]
    ports = [{"port": 53}, {"port": 53}, {"port": 9153}]
    assert endpoints({"addresses": two, "ports": ports}) == "10.0.0.1:53,10.0.0.2:53,10.0.0.1:53 + 3 more..."
    assert endpoints({"addresses": two}) == "10.0.0.1,10.0.0.2"
    assert endpoints({"notReadyAddresses": two, "ports": ports}) == ""
    assert endpoints({"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}) == "[fd00::1]:80"
    assert endpoints() == "<none>"


def endpoint_slice(ports: list[dict[str, Any]] | None, *addresses: list[str]) -> list[Any]:
    listed = [{"addresses": entry} for entry in addresses] or None
    obj = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
    return row({**obj, "ports": ports, "endpoints": listed})[2:4]


def test_endpoint_slices_show_every_address_ready_or_not() -> None:
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 2}, {"name": "c"}, {"port": 4}]
    assert endpoint_slice(ports, ["a"], ["b"], ["c", "d"]) == ["1,2,c + 1 more...", "a,b,c + 1 more..."]
    assert endpoint_slice([{}]) == ["*", "<unset>"]
    assert endpoint_slice([{"name": ""}]) == ["<unset>", "<unset>"]
    assert endpoint_slice(None) == ["<unset>", "<unset>"]


def test_nodes() -> None:
    def node(spec: dict[str, Any], status: dict[str, Any], labels: dict[str, str] | None = None) -> list[Any]:
        return row(
            {"apiVersion": "v1", "kind": "Node", "metadata": {**META, "labels": labels}, "spec": spec, "status": status}
        )

    ready = [{"type": "Ready", "status": "True"}]
    roles = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}
    assert node({}, {})[1:3] == ["Unknown", "<none>"]
    assert node({"unschedulable": True}, {"conditions": ready}, roles)[1:3] == [
        "Ready,SchedulingDisabled",
        "control-plane,worker",
    ]
    status = {
        "conditions": [{"type": "Ready", "status": "Unknown"}],
        "addresses": [{"type": "InternalIP", "address": "172.20.0.11"}],
        "nodeInfo": {"kubeletVersion": "v1.36.2", "osImage": "", "kernelVersion": "6.1"},
    }
    assert node({}, status)[1:] == [
        "NotReady", "<none>", "60m", "v1.36.2", "172.20.0.11", "<none>", "<unknown>", "6.1", "<unknown>",
    ]  # fmt: skip


def test_events() -> None:
    event = {
        "apiVersion": "v1", "kind": "Event", "type": "Normal", "reason": "Started", "message": " Started container \n",
        "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{c}"},
        "source": {"component": "kubelet", "host": "n1"}, "count": 2,
        "firstTimestamp": "2026-01-01T00:50:00Z", "lastTimestamp": "2026-01-01T00:59:30Z",
    }  # fmt: skip
    assert row(event) == [
        "30s", "Normal", "Started", "pod/web", "spec.containers{c}", "kubelet, n1", "Started container", "10m", 2, "x",
    ]  # fmt: skip
    newer = {
        **event, "source": {}, "reportingComponent": "scheduler", "count": 0,
        "firstTimestamp": None, "lastTimestamp": None,
        "eventTime": "2026-01-01T00:59:00.123456Z",
    }  # fmt: skip
    assert [row(newer)[index] for index in (0, 5, 7, 8)] == ["59s", "scheduler", "59s", 1]


def test_workloads() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "nginx:1"}, {"name": "b", "image": "redis"}]}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    status = {"replicas": 3, "readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}
    apps = {"apiVersion": "apps/v1", "spec": spec, "status": status}
    assert row({**apps, "kind": "Deployment"})[1:] == ["1/3", 2, 1, "60m", "a,b", "nginx:1,redis", "app=x"]
    assert row({**apps, "kind": "ReplicaSet"})[1:] == [3, 3, 1, "60m", "a,b", "nginx:1,redis", "app=x"]
    assert row({**apps, "kind": "StatefulSet"})[1:] == ["1/3", "60m", "a,b", "nginx:1,redis"]


def test_jobs() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "i"}]}}

    def job(spec: dict[str, Any], status: dict[str, Any]) -> list[Any]:
        return row({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template, **spec}, "status": status})[
            1:4
        ]

    started = {"startTime": "2026-01-01T00:58:00Z"}
    assert job({"completions": 2}, {"succeeded": 1, **started}) == ["Running", "1/2", "2m"]
    assert job({"parallelism": 3}, {}) == ["Running", "0/1 of 3", ""]
    done = {"conditions": [{"type": "Complete", "status": "True"}], "completionTime": "2026-01-01T00:58:07Z", **started}
    assert job({"completions": 1}, done) == ["Complete", "0/1", "7s"]


def test_selectors_as_text() -> None:
    selector = {
        "matchLabels": {"b": "1", "a": "2"},
        "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["y", "x"]},
            {"key": "d", "operator": "DoesNotExist"},
        ],
    }
    assert printing.label_selector(selector) == "a=2,b=1,c in (x,y),!d"
    assert printing.label_selector({}) == ""
