"""A pod comes up on its node: addresses, phases, conditions, containers and the events about them."""
from __future__ import annotations

from collections.abc import Callable

import pytest
from simulated_nodes import Nodes

from epkit.errors import EpkitError
from epkit.fake.kubelet import NodeSpec
from epkit.objects import condition


def test_a_pod_is_created_pending_and_runs_about_a_second_later(nodes: Nodes) -> None:
    began = nodes.plane.clock.now
    nodes.pod("web", settle=False)
    nodes.plane.loop.run_due()
    assert nodes.status("web")["phase"] == "Pending"
    assert nodes.container("web")["state"] == {"waiting": {"reason": "ContainerCreating"}}
    nodes.settle()
    assert nodes.status("web")["phase"] == "Running"
    assert 1.0 <= nodes.plane.clock.now - began < 2.0


def test_its_conditions_stand_in_the_kubelets_order(nodes: Nodes) -> None:
    nodes.pod("web")
    conditions = nodes.status("web")["conditions"]
    assert [entry["type"] for entry in conditions] == [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    assert {entry["status"] for entry in conditions} == {"True"}
    assert {entry["observedGeneration"] for entry in conditions} == {1}


def test_its_container_status_names_the_image_in_full(nodes: Nodes) -> None:
    nodes.pod("web", image="nginx:1")
    status = nodes.container("web")
    assert status["image"] == "docker.io/library/nginx:1"
    assert status["imageID"].startswith("docker.io/library/nginx@sha256:")
    assert status["containerID"].startswith("containerd://")
    assert (status["ready"], status["started"], status["restartCount"]) == (True, True, 0)


def test_addresses_are_given_out_in_order_and_not_again_at_once(nodes: Nodes) -> None:
    for name in ("a", "b"):
        nodes.pod(name, nodeName="node-3")
    assert [nodes.status(name)["podIP"] for name in ("a", "b")] == ["10.244.3.2", "10.244.3.3"]
    nodes.delete("a")
    nodes.settle()
    nodes.pod("c", nodeName="node-3")
    assert nodes.status("c")["podIP"] == "10.244.3.4"


def test_a_pod_on_the_host_network_has_the_nodes_address(nodes: Nodes) -> None:
    nodes.pod("agent", nodeName="node-2", hostNetwork=True)
    assert nodes.status("agent")["podIP"] == nodes.status("agent")["hostIP"] == "172.18.0.4"


def test_pods_of_one_node_come_up_together_and_those_of_the_next_a_little_later(nodes: Nodes) -> None:
    for index in range(6):
        nodes.pod(f"p{index}", nodeName=f"node-{index % 3 + 1}", settle=False)
    nodes.settle()
    came_up: dict[str, set[float]] = {}
    for event in nodes.plane.store.history:
        if event.resource == "pods" and event.name.startswith("p") and event.obj["status"].get("podIP"):
            came_up.setdefault(event.obj["spec"]["nodeName"], set()).add(round(event.time, 3))
    moments = [times for _, times in sorted(came_up.items())]
    assert all(len(times) == 1 for times in moments)
    assert moments[0] < moments[1] or min(moments[0]) < min(moments[1]) < min(moments[2])


def test_two_writes_bring_a_pod_up(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-1", settle=False)
    version = nodes.plane.store.version
    nodes.settle()
    assert nodes.writes(version, "pods") == ["MODIFIED web", "MODIFIED web"]


def test_the_events_of_a_start(nodes: Nodes) -> None:
    nodes.pod("web", image="nginx:1", container={"imagePullPolicy": "Never"}, nodeName="node-1")
    assert nodes.events("web") == [
        'Pulled Container image "nginx:1" already present on machine and can be accessed by the pod',
        "Created Container created",
        "Started Container started",
    ]
    nodes.pod("latest", image="nginx", nodeName="node-1")
    assert nodes.events("latest")[0] == 'Pulling Pulling image "nginx"'
    assert nodes.events("latest")[1].startswith('Pulled Successfully pulled image "nginx" in ')


def test_an_event_of_a_kubelet_says_where_it_comes_from(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-2")
    event = next(e for e in nodes.client.list("events", "default") if e["reason"] == "Started")
    assert event["source"] == {"component": "kubelet", "host": "node-2"}
    assert event["involvedObject"]["fieldPath"] == "spec.containers{c}"


def test_init_containers_run_one_after_the_other_and_sidecars_keep_running(nodes: Nodes) -> None:
    init = [
        {"name": "prepare", "image": "busybox:1", "command": ["sh", "-c", "echo ready; sleep 2"]},
        {"name": "side", "image": "proxy:1", "restartPolicy": "Always"},
        {"name": "check", "image": "busybox:1", "command": ["true"]},
    ]
    nodes.pod("web", initContainers=init, settle=False)
    nodes.plane.loop.run_due()
    waiting = condition({"status": nodes.status("web")}, "Initialized")
    assert waiting is not None and waiting["message"] == "containers with incomplete status: [prepare side check]"
    nodes.settle()
    states = [entry["state"] for entry in nodes.status("web")["initContainerStatuses"]]
    assert [next(iter(state)) for state in states] == ["terminated", "running", "terminated"]
    assert states[0]["terminated"]["reason"] == "Completed"
    started = [state.get("running", state.get("terminated"))["startedAt"] for state in states]
    assert started == sorted(started)
    assert nodes.is_ready("web")
    assert nodes.kubelet.container("default", "web", "prepare").log()[0][1] == "ready"


def test_a_pod_with_fake_ready_false_runs_and_never_becomes_ready(nodes: Nodes) -> None:
    nodes.pod("slow", annotations={"fake/ready": "false"})
    assert nodes.status("slow")["phase"] == "Running" and not nodes.is_ready("slow")
    assert not nodes.container("slow")["ready"]
    nodes.annotate("slow", fake__ready=None)
    assert nodes.is_ready("slow")


def test_readiness_gates_hold_a_pod_back_until_somebody_sets_their_condition(nodes: Nodes) -> None:
    nodes.pod("web", readinessGates=[{"conditionType": "example.com/open"}])
    ready = condition({"status": nodes.status("web")}, "Ready")
    assert ready is not None and ready["reason"] == "ReadinessGatesNotReady"
    conditions = [*nodes.status("web")["conditions"], {"type": "example.com/open", "status": "True"}]
    nodes.client.patch("pods", "web", {"status": {"conditions": conditions}}, "default", subresource="status")
    nodes.settle()
    assert nodes.is_ready("web")


def test_a_status_that_somebody_else_has_written_is_put_right(nodes: Nodes) -> None:
    nodes.pod("web")
    nodes.client.patch("pods", "web", {"status": {"phase": "Failed"}}, "default", subresource="status")
    nodes.settle()
    assert nodes.status("web")["phase"] == "Running"


def test_a_container_can_be_looked_into(nodes: Nodes) -> None:
    nodes.create("services", "db", spec={"clusterIP": "10.96.7.7", "ports": [{"port": 5432}]})
    nodes.settle()
    field = {"fieldRef": {"fieldPath": "status.podIP"}}
    env = [{"name": "ME", "valueFrom": field}, {"name": "URL", "value": "pg://$(DB_SERVICE_HOST)"}]
    nodes.pod("web", container={"env": env}, nodeName="node-1")
    container = nodes.kubelet.container("default", "web")
    assert container.listens(80) and not container.listens(8080)
    assert container.env["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
    assert container.env["DB_PORT_5432_TCP"] == "tcp://10.96.7.7:5432"
    assert container.env["URL"] == "pg://10.96.7.7" and container.env["ME"] == nodes.status("web")["podIP"]
    assert container.read("/etc/hostname") == "web\n"
    with pytest.raises(EpkitError, match="has no container other; it has: c"):
        nodes.kubelet.container("default", "web", "other")
    with pytest.raises(EpkitError, match="does not run on a simulated node"):
        nodes.kubelet.container("default", "nobody")


def test_an_image_that_is_not_known_listens_on_the_ports_that_the_container_declares(nodes: Nodes) -> None:
    nodes.pod("api", image="example.com/api:2", container={"ports": [{"containerPort": 9000}]})
    assert nodes.kubelet.container("default", "api").ports == {9000}


def test_nodes_without_a_simulated_kubelet_are_left_alone(nodes: Nodes) -> None:
    nodes.create("nodes", "foreign", None)
    nodes.pod("there", nodeName="foreign")
    assert nodes.status("there")["phase"] == "Pending" and "podIP" not in nodes.status("there")


def test_a_node_is_registered_as_a_kubelet_does() -> None:
    nodes = Nodes(NodeSpec("node-1", zone="zone-a", region="here", cpu="8", memory="16Gi", pods=20))
    node = nodes.node("node-1")
    assert node["metadata"]["labels"]["topology.kubernetes.io/zone"] == "zone-a"
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
    assert node["status"]["allocatable"]["pods"] == "20" and node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.2"
    assert [entry["type"] for entry in node["status"]["conditions"]] == [
        "MemoryPressure",
        "DiskPressure",
        "PIDPressure",
        "Ready",
    ]
    lease = nodes.get("node-1", "leases", "kube-node-lease")
    assert lease is not None and lease["spec"]["holderIdentity"] == "node-1"
    assert nodes.taints("node-1") == []


def test_a_full_node_refuses_pods_that_were_bound_past_the_scheduler(make: Callable[..., Nodes]) -> None:
    nodes = make(NodeSpec("only", pods=3))  # two of them are DNS
    nodes.pod("fits", nodeName="only")
    nodes.pod("more", nodeName="only")
    status = nodes.status("more")
    text = "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfpods")
    assert status["message"] == f"Pod was rejected: {text}"
    assert nodes.events("more") == [f"OutOfpods {text}"]


def test_a_pod_without_an_address_to_be_had_waits_for_one(make: Callable[..., Nodes]) -> None:
    nodes = make(NodeSpec("only", pod_cidr="10.9.9.0/29"))  # .2 to .6, two of them DNS's
    for index in range(4):
        nodes.pod(f"p{index}")
    assert nodes.status("p2")["podIP"] == "10.9.9.6"
    assert nodes.status("p3")["phase"] == "Pending"
    assert any(event.startswith("FailedCreatePodSandBox") for event in nodes.events("p3"))
    nodes.delete("p0")
    nodes.sleep(11)
    assert nodes.status("p3")["podIP"] == "10.9.9.4"


def test_starting_a_cluster_takes_little_virtual_time_and_no_failed_scheduling(nodes: Nodes) -> None:
    assert nodes.start - 1767225600 < 2
    assert all(pod["status"]["phase"] == "Running" for pod in nodes.client.list("pods", "kube-system"))
    assert not [event for event in nodes.client.list("events") if event["type"] == "Warning"]
