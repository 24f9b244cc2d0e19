"""A node goes silent, comes back, or is deleted: conditions, taints, pods, and who deletes them when."""
from __future__ import annotations

from collections.abc import Callable

from simulated_nodes import Nodes, three_nodes

from epkit.fake.kubelet import NodeSpec
from epkit.objects import condition


def ready(nodes: Nodes, name: str) -> str:
    return str((condition(nodes.node(name), "Ready") or {})["status"])


def test_a_silent_node_is_unknown_after_fifty_seconds_and_its_pods_are_not_ready(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-1")
    nodes.kubelet.stop("node-1")
    nodes.sleep(45)
    assert ready(nodes, "node-1") == "True" and nodes.is_ready("web")
    nodes.sleep(20)
    entry = condition(nodes.node("node-1"), "Ready")
    assert entry is not None
    assert (entry["status"], entry["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert entry["message"] == "Kubelet stopped posting node status."
    assert nodes.taints("node-1") == ["unreachable:NoSchedule", "unreachable:NoExecute"]
    assert not nodes.is_ready("web")
    containers_ready = condition({"status": nodes.status("web")}, "ContainersReady")
    assert containers_ready is not None and containers_ready["status"] == "True"
    assert "NodeNotReady Node node-1 status is now: NodeNotReady" in nodes.events("node-1")
    assert "NodeNotReady Node is not ready" in nodes.events("web")


def test_the_other_nodes_renew_their_leases_meanwhile(nodes: Nodes) -> None:
    nodes.kubelet.stop("node-1")
    nodes.sleep(400)
    assert [ready(nodes, f"node-{i}") for i in (1, 2, 3)] == ["Unknown", "True", "True"]


def test_an_instant_clock_never_waits_for_a_node_to_fail(nodes: Nodes) -> None:
    nodes.kubelet.stop("node-1")
    before = nodes.plane.clock.now
    nodes.settle()
    assert nodes.plane.clock.now == before


def test_its_pods_are_deleted_after_five_minutes_and_stay_terminating(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-1")
    nodes.kubelet.stop("node-1")
    nodes.sleep(60)
    since = nodes.plane.clock.now
    nodes.sleep(285)
    pod = nodes.get("web")
    assert pod is not None and "deletionTimestamp" not in pod["metadata"]
    nodes.sleep(20)
    pod = nodes.get("web")
    assert pod is not None and "deletionTimestamp" in pod["metadata"], nodes.plane.clock.now - since
    target = condition(pod, "DisruptionTarget")
    assert target is not None
    assert (target["reason"], target["message"]) == (
        "DeletionByTaintManager",
        "Taint manager: deleting due to NoExecute taint",
    )
    assert "TaintManagerEviction Marking for deletion Pod default/web" in nodes.events("web")
    nodes.sleep(3600)
    assert nodes.get("web") is not None


def test_when_the_node_comes_back_its_pods_are_ready_again_and_the_deletion_is_off(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-1")
    address = nodes.status("web")["podIP"]
    nodes.kubelet.stop("node-1")
    nodes.sleep(100)
    nodes.kubelet.start("node-1")
    nodes.sleep(10)
    assert ready(nodes, "node-1") == "True" and nodes.taints("node-1") == []
    assert nodes.is_ready("web") and nodes.status("web")["podIP"] == address
    assert nodes.container("web")["restartCount"] == 0
    assert "TaintManagerEviction Cancelling deletion of Pod default/web" in nodes.events("web")
    assert "NodeReady Node node-1 status is now: NodeReady" in nodes.events("node-1")
    nodes.sleep(400)
    assert nodes.is_ready("web")


def test_a_kubelet_that_comes_back_finishes_what_was_deleted_meanwhile(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-1")
    nodes.kubelet.stop("node-1")
    nodes.delete("web")
    nodes.sleep(40)
    assert nodes.get("web") is not None
    nodes.kubelet.start("node-1")
    nodes.settle()
    assert nodes.get("web") is None


def test_pods_bound_to_a_stopped_node_start_when_its_kubelet_does(nodes: Nodes) -> None:
    nodes.kubelet.stop("node-1")
    nodes.pod("web", nodeName="node-1")
    assert nodes.status("web")["phase"] == "Pending"
    nodes.kubelet.start("node-1")
    nodes.settle()
    assert nodes.is_ready("web")


def test_pods_of_a_deleted_node_are_collected_after_the_quarantine(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-1")
    nodes.kubelet.stop("node-1")
    nodes.delete("node-1", "nodes", None)
    nodes.settle()
    nodes.sleep(39)
    assert nodes.get("web") is not None
    nodes.sleep(45)
    assert nodes.get("web") is None
    last = [e.obj for e in nodes.plane.store.history if e.resource == "pods" and e.name == "web"][-1]
    target = condition(last, "DisruptionTarget")
    assert last["status"]["phase"] == "Failed" and target is not None
    assert (target["reason"], target["message"]) == ("DeletionByPodGC", "PodGC: node no longer exists")
    assert nodes.get("node-1", "leases", "kube-node-lease") is None  # it was the node's


def test_an_out_of_service_taint_lets_deleted_pods_go(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-1")
    nodes.kubelet.stop("node-1")
    nodes.sleep(60)
    nodes.delete("web")
    nodes.sleep(30)
    assert nodes.get("web") is not None
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
    spec = {"taints": [*nodes.node("node-1")["spec"]["taints"], taint]}
    nodes.client.patch("nodes", "node-1", {"spec": spec})
    nodes.sleep(21)
    assert nodes.get("web") is None


def test_a_no_execute_taint_evicts_at_once_what_does_not_tolerate_it(nodes: Nodes) -> None:
    nodes.pod("plain", nodeName="node-1")
    brief = {"key": "off", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20}
    nodes.pod("brief", nodeName="node-1", tolerations=[brief])
    nodes.pod("firm", nodeName="node-1", tolerations=[{"key": "off", "operator": "Exists"}])
    nodes.client.patch("nodes", "node-1", {"spec": {"taints": [{"key": "off", "effect": "NoExecute"}]}})
    nodes.settle()
    assert nodes.get("plain") is None
    assert nodes.get("brief") is not None  # no clock jumps over a toleration
    nodes.sleep(25)
    assert nodes.get("brief") is None and nodes.get("firm") is not None


def test_cordoning_taints_the_node(nodes: Nodes) -> None:
    nodes.client.patch("nodes", "node-1", {"spec": {"unschedulable": True}})
    nodes.settle()
    assert nodes.taints("node-1") == ["unschedulable:NoSchedule"]
    nodes.client.patch("nodes", "node-1", {"spec": {"unschedulable": None}})
    nodes.settle()
    assert nodes.taints("node-1") == []


def test_nodes_of_a_zone_are_tainted_one_in_ten_seconds(make: Callable[..., Nodes]) -> None:
    nodes = make(*(NodeSpec(f"n{i}", zone="a", number=i) for i in range(1, 9)))
    for name in ("n1", "n2", "n3"):
        nodes.kubelet.stop(name)
    nodes.sleep(59)
    counts = []
    for _ in range(4):
        counts.append(sum("unreachable:NoExecute" in nodes.taints(f"n{i}") for i in (1, 2, 3)))
        nodes.sleep(10)
    assert counts == [1, 2, 3, 3]


def test_a_zone_that_is_mostly_down_is_not_evicted_in_a_small_cluster(make: Callable[..., Nodes]) -> None:
    nodes = make(*(NodeSpec(f"n{i}", zone="a", number=i) for i in range(1, 5)), NodeSpec("other", zone="b", number=9))
    for name in ("n1", "n2", "n3"):
        nodes.kubelet.stop(name)
    nodes.sleep(200)
    tainted = [f"n{i}" for i in (1, 2, 3) if "unreachable:NoExecute" in nodes.taints(f"n{i}")]
    assert len(tainted) <= 1  # the first may go before the zone's state is known
    assert all("unreachable:NoSchedule" in nodes.taints(f"n{i}") for i in (1, 2, 3))


def test_when_all_nodes_are_silent_nobody_is_evicted(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-1")
    for number in (1, 2, 3):
        nodes.kubelet.stop(f"node-{number}")
    nodes.sleep(600)
    pod = nodes.get("web")
    assert pod is not None and "deletionTimestamp" not in pod["metadata"]
    assert nodes.taints("node-2") == ["unreachable:NoSchedule"]


def test_the_grace_period_is_a_flag(make: Callable[..., Nodes]) -> None:
    nodes = make(*three_nodes(), **{"node-lifecycle-controller": {"node_monitor_grace_period": 20.0}})
    nodes.kubelet.stop("node-1")
    nodes.sleep(36)
    assert ready(nodes, "node-1") == "Unknown"


def test_a_node_created_again_is_still_remembered(make: Callable[..., Nodes]) -> None:
    nodes = make()
    status = {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2020-01-01T00:00:00Z"}]}
    for _ in range(2):
        nodes.create("nodes", "n1", None, status=status)
        nodes.client.patch("nodes", "n1", {"status": status}, subresource="status")
        nodes.sleep(31)
        assert ready(nodes, "n1") == ("True" if nodes.elapsed < 40 else "Unknown")
        if nodes.elapsed < 40:
            nodes.delete("n1", "nodes", None)
            nodes.settle()


def test_the_events_of_coming_and_going(nodes: Nodes) -> None:
    nodes.sleep(6)
    nodes.delete("node-3", "nodes", None)
    nodes.sleep(6)
    assert nodes.events("node-3") == [
        "RegisteredNode Node node-3 event: Registered Node node-3 in Controller",
        "RemovingNode Node node-3 event: Removing Node node-3 from Controller",
    ]


def test_a_kubelet_reports_its_status_every_five_minutes_and_renews_its_lease_every_ten_seconds(nodes: Nodes) -> None:
    version = nodes.plane.store.version
    nodes.sleep(605)
    writes = nodes.writes(version, "nodes")
    assert writes.count("MODIFIED node-1") == 2
    renewals = nodes.writes(version, "leases.coordination.k8s.io")
    assert renewals.count("MODIFIED node-1") in (60, 61)
