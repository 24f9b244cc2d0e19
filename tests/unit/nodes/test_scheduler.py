"""Which node a pod gets, and what the scheduler says when there is none."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from simulated_nodes import Nodes

from epkit.fake.controllers import taints
from epkit.fake.kubelet import NodeSpec
from epkit.objects import Obj, condition

CLAIMS = "no new claims to deallocate, preemption: 0/3 nodes are available:"
HELPLESS = f"{CLAIMS} 3 Preemption is not helpful for scheduling."


def node_of(nodes: Nodes, name: str) -> str:
    pod = nodes.get(name)
    assert pod is not None
    return str(pod["spec"].get("nodeName", ""))


def why(nodes: Nodes, name: str) -> str:
    pod = nodes.get(name)
    assert pod is not None
    entry = condition(pod, "PodScheduled")
    assert entry is not None and (entry["status"], entry["reason"]) == ("False", "Unschedulable")
    return str(entry["message"])


def requests(**resources: str) -> Obj:
    return {"resources": {"requests": resources}}


def required(**term: list[Obj]) -> Obj:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def test_pods_of_one_owner_are_spread_over_nodes_evenly(nodes: Nodes) -> None:
    for index in range(9):
        nodes.pod(f"p{index}", labels={"app": "web"}, settle=False)
    nodes.settle()
    assert Counter(node_of(nodes, f"p{index}") for index in range(9)) == {"node-1": 3, "node-2": 3, "node-3": 3}


def test_zones_are_evened_out_among_equal_nodes(make: Callable[..., Nodes]) -> None:
    nodes = make(*(NodeSpec(f"n{i}", zone=zone, number=i) for i, zone in enumerate("aaab", start=1)))
    for index in range(2):
        nodes.pod(f"p{index}", labels={"app": "web"})
    labels = [nodes.node(node_of(nodes, f"p{index}"))["metadata"]["labels"] for index in range(2)]
    assert {entry["topology.kubernetes.io/zone"] for entry in labels} == {"a", "b"}


def test_a_binding_is_told_in_an_event(nodes: Nodes) -> None:
    nodes.pod("web")
    event = next(e for e in nodes.client.list("events", "default") if e["reason"] == "Scheduled")
    assert event["message"] == f"Successfully assigned default/web to {node_of(nodes, 'web')}"
    assert (event["reportingComponent"], event["action"]) == ("default-scheduler", "Binding")
    assert event["eventTime"] and event["lastTimestamp"] is None and event["source"] == {}


def test_without_nodes_a_pod_waits_and_gets_the_first_that_comes(make: Callable[..., Nodes]) -> None:
    nodes = make()
    nodes.pod("web")
    assert why(nodes, "web") == "no nodes available to schedule pods"
    assert nodes.events("web") == ["FailedScheduling no nodes available to schedule pods"]
    nodes.kubelet.add_node(NodeSpec("late"))
    nodes.settle()
    assert node_of(nodes, "web") == "late" and nodes.is_ready("web")


def test_a_cordoned_node_gets_no_pods_until_it_is_uncordoned(nodes: Nodes) -> None:
    for number in (1, 2, 3):
        nodes.client.patch("nodes", f"node-{number}", {"spec": {"unschedulable": True}})
    nodes.settle()
    nodes.pod("web")
    assert why(nodes, "web") == f"0/3 nodes are available: 3 node(s) were unschedulable. {HELPLESS}"
    nodes.client.patch("nodes", "node-2", {"spec": {"unschedulable": None}})
    nodes.settle()
    assert node_of(nodes, "web") == "node-2"


def test_taints_keep_pods_away_that_do_not_tolerate_them(nodes: Nodes) -> None:
    for number in (1, 2, 3):
        taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
        nodes.client.patch("nodes", f"node-{number}", {"spec": {"taints": [taint]}})
    nodes.settle()
    nodes.pod("web")
    assert why(nodes, "web") == f"0/3 nodes are available: 3 node(s) had untolerated taint(s). {HELPLESS}"
    nodes.pod("db", tolerations=[{"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}])
    assert node_of(nodes, "db")


@pytest.mark.parametrize(
    ("toleration", "taint", "matches"),
    [
        ({"operator": "Exists"}, {"key": "a", "effect": "NoExecute"}, True),
        ({"key": "a", "operator": "Exists"}, {"key": "a", "value": "v", "effect": "NoExecute"}, True),
        ({"key": "a", "value": "v"}, {"key": "a", "value": "w", "effect": "NoExecute"}, False),
        ({"key": "a"}, {"key": "a", "effect": "NoExecute"}, True),
        ({"key": "a", "operator": "Exists", "effect": "NoSchedule"}, {"key": "a", "effect": "NoExecute"}, False),
        ({"key": "b", "operator": "Exists"}, {"key": "a", "effect": "NoExecute"}, False),
    ],
)
def test_which_toleration_matches_which_taint(toleration: Obj, taint: Obj, matches: bool) -> None:
    assert taints.tolerates(toleration, taint) is matches


def test_node_selectors_and_affinity(nodes: Nodes) -> None:
    nodes.pod("selected", nodeSelector={"topology.kubernetes.io/zone": "zone-c"})
    assert node_of(nodes, "selected") == "node-3"
    expression = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["node-1", "node-3"]}
    nodes.pod("affine", affinity=required(matchExpressions=[expression]))
    assert node_of(nodes, "affine") == "node-2"
    nodes.pod("nowhere", nodeSelector={"disk": "ssd"})
    text = "3 node(s) didn't match Pod's node affinity/selector"
    assert why(nodes, "nowhere") == f"0/3 nodes are available: {text}. {HELPLESS}"


def test_a_pod_for_one_node_by_name_as_a_daemonset_asks_for_it(nodes: Nodes) -> None:
    field = {"key": "metadata.name", "operator": "In", "values": ["node-2"]}
    affinity = required(matchFields=[field])
    nodes.pod("agent", affinity=affinity)
    assert node_of(nodes, "agent") == "node-2"
    nodes.pod("huge", container=requests(cpu="64"), affinity=affinity)
    assert why(nodes, "huge").startswith(
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
    )


def test_cpu_and_memory_requests_fill_a_node(nodes: Nodes) -> None:
    for index in range(4):
        nodes.pod(f"p{index}", container=requests(cpu="3", memory="1Gi"))
    assert len({node_of(nodes, f"p{index}") for index in range(3)}) == 3
    assert why(nodes, "p3") == (
        f"0/3 nodes are available: 3 Insufficient cpu. {CLAIMS} 3 No preemption victims found for incoming pod."
    )
    assert nodes.plane.controllers["scheduler"].unschedulable == ["default/p3"]  # type: ignore[attr-defined]
    nodes.delete("p0")
    nodes.settle()
    assert node_of(nodes, "p3")
    nodes.pod("big", container=requests(memory="64Gi"))
    assert "3 Insufficient memory" in why(nodes, "big")


def test_host_ports_collide(nodes: Nodes) -> None:
    port = {"ports": [{"containerPort": 80, "hostPort": 80}]}
    for index in range(4):
        nodes.pod(f"p{index}", container=port)
    assert "3 node(s) didn't have free ports for the requested pod ports" in why(nodes, "p3")


def test_a_node_takes_no_more_pods_than_it_allows(make: Callable[..., Nodes]) -> None:
    nodes = make(NodeSpec("only", pods=4))  # two of them are DNS
    for index in range(3):
        nodes.pod(f"p{index}")
    assert why(nodes, "p2").startswith("0/1 nodes are available: 1 Too many pods. ")


def test_a_repeated_failure_is_counted_as_a_series(nodes: Nodes) -> None:
    nodes.pod("web", nodeSelector={"disk": "ssd"})
    for value in ("a", "b"):
        nodes.client.patch("nodes", "node-1", {"metadata": {"labels": {"other": value}}})
        nodes.settle()
    (event,) = [event for event in nodes.client.list("events", "default") if event["reason"] == "FailedScheduling"]
    assert event["series"]["count"] == 3


def test_finished_pods_take_no_room(nodes: Nodes) -> None:
    for index in range(3):
        nodes.pod(f"p{index}", container=requests(cpu="3"))
    nodes.annotate("p0", fake__exit="0")
    nodes.pod("next", container=requests(cpu="3"))
    assert node_of(nodes, "next") == node_of(nodes, "p0")


def test_pods_of_another_scheduler_and_gated_ones_are_left_alone(nodes: Nodes) -> None:
    nodes.pod("other", schedulerName="nobody")
    nodes.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    assert node_of(nodes, "other") == node_of(nodes, "gated") == ""
    nodes.client.patch("pods", "gated", {"spec": {"schedulingGates": None}}, "default")
    nodes.settle()
    assert node_of(nodes, "gated")


def test_heartbeats_do_not_make_the_scheduler_try_again(nodes: Nodes) -> None:
    nodes.sleep(6)  # the nodes have been seen
    nodes.pod("web", nodeSelector={"disk": "ssd"})
    version = nodes.plane.store.version
    nodes.sleep(400)
    assert nodes.writes(version, "events") == []
