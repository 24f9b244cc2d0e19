"""A pod ends: deletion, grace periods, hooks, completion, restarts and their back-off."""
from __future__ import annotations

from simulated_nodes import Nodes

from epkit.objects import Obj


def history(nodes: Nodes, name: str) -> list[tuple[str, str, bool]]:
    """What happened to a pod from its deletion on: event, phase, ready."""
    found = []
    for event in nodes.plane.store.history:
        if event.resource == "pods" and event.name == name and event.obj["metadata"].get("deletionTimestamp"):
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in event.obj["status"]["conditions"])
            found.append((event.type, event.obj["status"]["phase"], ready))
    return found


def test_a_deleted_pod_first_serves_on_then_is_not_ready_then_is_gone(nodes: Nodes) -> None:
    nodes.pod("web")
    nodes.delete("web")
    nodes.settle()
    assert nodes.get("web") is None
    assert history(nodes, "web") == [
        ("MODIFIED", "Running", True),
        ("MODIFIED", "Running", False),
        ("MODIFIED", "Succeeded", False),
        ("MODIFIED", "Succeeded", False),
        ("DELETED", "Succeeded", False),
    ]
    assert "Killing Stopping container c" in nodes.events("web")


def test_nginx_stops_at_once_and_others_within_a_second(nodes: Nodes) -> None:
    for image in ("nginx:1", "example.com/server:1"):
        nodes.pod("web", image=image)
        began = nodes.plane.clock.now
        nodes.delete("web")
        nodes.settle()
        assert nodes.get("web") is None and nodes.plane.clock.now - began <= 1.0


def test_fake_term_delay_keeps_a_pod_serving_that_long(nodes: Nodes) -> None:
    nodes.pod("web", annotations={"fake/term-delay": "8"})
    nodes.delete("web")
    nodes.sleep(7.9)
    assert nodes.is_ready("web") and nodes.kubelet.container("default", "web").listens(80)
    nodes.sleep(1)
    assert nodes.get("web") is None


def test_a_pod_is_killed_when_its_grace_period_is_over(nodes: Nodes) -> None:
    nodes.pod("web", annotations={"fake/term-delay": "50"}, terminationGracePeriodSeconds=5)
    nodes.delete("web")
    nodes.sleep(5.1)
    assert nodes.container("web")["state"]["terminated"]["exitCode"] == 137
    nodes.settle()
    assert nodes.get("web") is None and history(nodes, "web")[-1][1] == "Failed"


def test_a_pre_stop_sleep_comes_before_sigterm(nodes: Nodes) -> None:
    for name, hook in (("a", {"sleep": {"seconds": 5}}), ("b", {"exec": {"command": ["sleep", "5"]}})):
        nodes.pod(name, container={"lifecycle": {"preStop": hook}})
        nodes.delete(name)
        nodes.sleep(4.9)
        assert nodes.is_ready(name)
        nodes.sleep(1)
        assert nodes.get(name) is None


def test_a_second_deletion_shortens_the_wait(nodes: Nodes) -> None:
    nodes.pod("web", annotations={"fake/term-delay": "25"})
    nodes.delete("web")
    nodes.sleep(1)
    nodes.delete("web", grace=3)
    nodes.sleep(3.6)
    assert nodes.get("web") is None


def test_sidecars_stop_after_the_main_containers(nodes: Nodes) -> None:
    side = {"name": "side", "image": "proxy:1", "restartPolicy": "Always"}
    nodes.pod("web", image="server:1", initContainers=[side])
    nodes.delete("web")
    nodes.sleep(0.7)
    assert "terminated" in nodes.container("web")["state"]
    assert "running" in nodes.container("web", "initContainerStatuses")["state"]
    nodes.settle()
    assert nodes.get("web") is None


def test_a_forced_deletion_frees_the_address_without_a_word(nodes: Nodes) -> None:
    nodes.pod("web")
    address = nodes.status("web")["podIP"]
    assert nodes.kubelet.containers_at(address)
    nodes.delete("web", grace=0)
    nodes.settle()
    assert nodes.get("web") is None and not nodes.kubelet.containers_at(address)


def test_a_pod_deleted_before_it_has_started_goes_without_starting(nodes: Nodes) -> None:
    nodes.pod("web", nodeName="node-1", settle=False)
    nodes.plane.loop.run_due()
    nodes.delete("web")
    nodes.settle()
    assert nodes.get("web") is None and "Created Container created" not in nodes.events("web")


def test_a_pod_of_the_same_name_starts_afresh(nodes: Nodes) -> None:
    first = nodes.pod("db-0")
    nodes.delete("db-0")
    nodes.settle()
    second = nodes.pod("db-0")
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert nodes.is_ready("db-0") and nodes.container("db-0")["restartCount"] == 0


def test_a_pod_that_backs_off_can_be_deleted(nodes: Nodes) -> None:
    crash(nodes)
    nodes.delete("bad")
    nodes.settle()
    assert nodes.get("bad") is None


def test_a_deleted_pod_leaves_nothing_to_wait_for(nodes: Nodes) -> None:
    nodes.pod("job", image="busybox:1", restartPolicy="Never", container={"command": ["sleep", "50"]}, settle=False)
    nodes.sleep(2)
    nodes.delete("job")
    nodes.sleep(2)
    before = nodes.plane.clock.now
    nodes.settle()
    assert nodes.get("job") is None and nodes.plane.clock.now == before


def test_a_finished_pod_stops_its_sidecar_before_it_is_finished(nodes: Nodes) -> None:
    side = {"name": "side", "image": "proxy:1", "restartPolicy": "Always"}
    command = {"command": ["sh", "-c", "sleep 2"]}
    nodes.pod("job", image="busybox:1", restartPolicy="Never", initContainers=[side], container=command)
    assert nodes.status("job")["phase"] == "Succeeded"
    assert "terminated" in nodes.container("job", "initContainerStatuses")["state"]


def test_fake_exit_completes_a_running_pod(nodes: Nodes) -> None:
    nodes.pod("a")
    nodes.annotate("a", fake__exit="0")
    status = nodes.status("a")
    assert status["phase"] == "Succeeded" and nodes.container("a")["restartCount"] == 0
    assert nodes.container("a")["state"]["terminated"]["reason"] == "Completed"
    reasons = {entry["type"]: entry.get("reason") for entry in status["conditions"]}
    assert reasons["Ready"] == reasons["ContainersReady"] == "PodCompleted"


def test_a_pod_that_is_not_restarted_fails_with_its_container(nodes: Nodes) -> None:
    nodes.pod("job", image="busybox:1", restartPolicy="Never", container={"command": ["sh", "-c", "sleep 3; exit 2"]})
    assert nodes.status("job")["phase"] == "Failed"
    ended = nodes.container("job")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (2, "Error")


def test_a_program_that_ends_completes_its_pod(nodes: Nodes) -> None:
    nodes.pod("job", image="busybox:1", restartPolicy="OnFailure", container={"command": ["echo", "hello"]})
    assert nodes.status("job")["phase"] == "Succeeded"
    assert [line for _, line in nodes.kubelet.container("default", "job").log()] == ["hello"]


def crash(nodes: Nodes, name: str = "bad") -> Obj:
    return nodes.pod(name, image="busybox:1", container={"command": ["false"]})


def test_a_crashing_container_is_restarted_once_at_once_and_then_backs_off(nodes: Nodes) -> None:
    crash(nodes)
    state = nodes.container("bad")
    assert state["restartCount"] == 1
    assert state["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    message = state["state"]["waiting"]["message"]
    assert message.startswith("back-off 10s restarting failed container=c pod=bad_default(")
    assert state["lastState"]["terminated"]["exitCode"] == 1
    assert nodes.status("bad")["phase"] == "Running"
    text = "BackOff Back-off restarting failed container c in pod bad_default("
    assert any(event.startswith(text) for event in nodes.events("bad"))


def test_no_clock_jumps_over_the_back_off_and_each_is_twice_as_long(nodes: Nodes) -> None:
    crash(nodes)
    began = nodes.plane.clock.now
    nodes.settle()
    assert nodes.plane.clock.now == began
    restarts = []
    for _ in range(200):
        nodes.sleep(1)
        restarts.append(nodes.container("bad")["restartCount"])
    assert [restarts.index(count) for count in (2, 3, 4)] == [9, 30, 70]  # 10, 20, 40 s after each end
