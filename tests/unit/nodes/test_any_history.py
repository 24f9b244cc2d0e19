"""Whatever happens to pods and nodes, the simulation comes to rest, and the same happenings give the same bytes."""
from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_nodes import Nodes, three_nodes

PODS = ("a", "b", "c", "d")
SHAPES = ("plain", "probed", "crashing", "ending", "slow")
SWITCHES = ("fake/ready=false", "fake/ready=", "fake/exit=0")
READINESS = {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 5}

actions = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(PODS), st.sampled_from(SHAPES)),
    st.tuples(st.just("delete"), st.sampled_from(PODS), st.sampled_from((None, 0, 2))),
    st.tuples(st.just("annotate"), st.sampled_from(PODS), st.sampled_from(SWITCHES)),
    st.tuples(st.just("touch"), st.sampled_from(PODS), st.none()),
    st.tuples(st.just("stop"), st.sampled_from(("node-1", "node-2")), st.none()),
    st.tuples(st.just("start"), st.sampled_from(("node-1", "node-2")), st.none()),
    st.tuples(st.just("cordon"), st.sampled_from(("node-1", "node-2", "node-3")), st.booleans()),
    st.tuples(st.just("sleep"), st.none(), st.sampled_from((1, 7, 65, 330))),
    st.tuples(st.just("settle"), st.none(), st.none()),
)


def act(nodes: Nodes, what: str, name: str, how: object) -> None:
    there = name in PODS and nodes.get(name) is not None
    match what:
        case "create" if not there:
            shapes = {
                "plain": {},
                "probed": {"container": {"readinessProbe": READINESS}},
                "crashing": {"image": "busybox:1", "container": {"command": ["false"]}},
                "ending": {"image": "busybox:1", "container": {"command": ["sleep", "3"]}, "restartPolicy": "Never"},
                "slow": {"annotations": {"fake/term-delay": "8"}},
            }
            nodes.pod(name, settle=False, **shapes[str(how)])
        case "delete" if there:
            nodes.delete(name, **({} if how is None else {"grace": how}))
        case "annotate" if there:
            key, _, value = str(how).partition("=")
            nodes.client.patch("pods", name, {"metadata": {"annotations": {key: value or None}}}, "default")
        case "touch" if there and nodes.status(name)["phase"] == "Running":
            nodes.kubelet.container("default", name).write("/tmp/ready")
        case "stop":
            nodes.kubelet.stop(name)
        case "start":
            nodes.kubelet.start(name)
        case "cordon":
            nodes.client.patch("nodes", name, {"spec": {"unschedulable": how or None}})
        case "sleep":
            nodes.sleep(float(str(how)))
        case "settle":
            nodes.settle()


def run(history: list[tuple[str, str, object]]) -> Nodes:
    nodes = Nodes(*three_nodes())
    for what, name, how in history:
        act(nodes, what, name, how)
    for number in (1, 2, 3):
        nodes.kubelet.start(f"node-{number}")
        nodes.client.patch("nodes", f"node-{number}", {"spec": {"unschedulable": None}})
    nodes.sleep(12)  # nodes that were silent are well again
    nodes.settle()
    return nodes


def state(nodes: Nodes) -> str:
    kinds = ("pods", "nodes", "events", "leases")
    return json.dumps({kind: nodes.client.list(kind).items for kind in kinds}, sort_keys=True)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(actions, max_size=14))
def test_any_history_comes_to_rest(history: list[tuple[str, str, object]]) -> None:
    nodes = run(history)
    pods = nodes.client.list("pods", "default").items
    assert not [pod for pod in pods if "deletionTimestamp" in pod["metadata"]], "a deleted pod is still there"
    assert all(pod["status"]["phase"] != "Pending" for pod in pods), "a pod has not started"
    assert all(nodes.taints(f"node-{number}") == [] for number in (1, 2, 3))
    running = [pod["status"]["podIP"] for pod in nodes.client.list("pods") if pod["status"]["phase"] == "Running"]
    assert len(running) == len(set(running)), "two pods share an address"
    version = nodes.plane.store.version
    nodes.settle()
    assert nodes.plane.store.version == version, "a cluster at rest still writes"


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(actions, max_size=10))
def test_the_same_history_gives_the_same_bytes(history: list[tuple[str, str, object]]) -> None:
    assert state(run(history)) == state(run(history))
