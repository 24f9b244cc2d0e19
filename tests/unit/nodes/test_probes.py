"""Readiness, liveness and startup probes, and what an instant clock does about them."""
from __future__ import annotations

from simulated_nodes import Nodes

HTTP = {"httpGet": {"port": 80, "path": "/"}}
FILE = {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 5}


def test_a_pod_is_ready_when_its_probe_says_so_after_the_initial_delay(nodes: Nodes) -> None:
    nodes.pod("web", container={"readinessProbe": {**HTTP, "initialDelaySeconds": 5}}, nodeName="node-1", settle=False)
    nodes.sleep(5.9)
    assert not nodes.is_ready("web")
    nodes.sleep(0.2)
    assert nodes.is_ready("web")


def test_an_instant_clock_waits_for_a_probe_that_is_about_to_succeed(nodes: Nodes) -> None:
    nodes.pod("web", container={"readinessProbe": {**HTTP, "initialDelaySeconds": 20}})
    assert nodes.is_ready("web")


def test_an_instant_clock_does_not_wait_for_a_probe_that_keeps_failing(nodes: Nodes) -> None:
    began = nodes.plane.clock.now
    nodes.pod("web", container={"readinessProbe": {"tcpSocket": {"port": 81}}}, nodeName="node-1")
    assert not nodes.is_ready("web") and nodes.plane.clock.now - began < 2
    nodes.sleep(0.1)
    text = "Readiness probe failed: dial tcp 10.244.1.3:81: connect: connection refused"
    assert f"Unhealthy {text}" in nodes.events("web")


def test_a_repeated_failure_is_counted_in_one_event(nodes: Nodes) -> None:
    nodes.pod("web", container={"readinessProbe": FILE})
    nodes.sleep(30)
    events = [event for event in nodes.client.list("events", "default") if event["reason"] == "Unhealthy"]
    assert len(events) == 1 and events[0]["count"] >= 6
    assert events[0]["message"] == "Readiness probe failed: cat: /tmp/ready: No such file or directory\n"


def test_a_file_makes_a_pod_ready_and_its_removal_takes_it_out_after_three_failures(nodes: Nodes) -> None:
    nodes.pod("web", container={"readinessProbe": FILE})
    container = nodes.kubelet.container("default", "web")
    container.write("/tmp/ready")
    nodes.settle()
    assert nodes.is_ready("web")
    began = nodes.plane.clock.now
    container.remove("/tmp/ready")
    nodes.settle()
    assert not nodes.is_ready("web") and 10 <= nodes.plane.clock.now - began <= 15


def test_probes_that_repeat_their_result_write_nothing(nodes: Nodes) -> None:
    nodes.pod("web", container={"readinessProbe": HTTP, "livenessProbe": HTTP})
    version = nodes.plane.store.version
    nodes.sleep(60)
    assert nodes.writes(version, "pods") == []


def test_a_failing_liveness_probe_restarts_the_container(nodes: Nodes) -> None:
    nodes.pod("web", container={"livenessProbe": {**HTTP, "periodSeconds": 5}})
    nodes.kubelet.container("default", "web").listen(80, False)
    nodes.settle()
    assert nodes.container("web")["restartCount"] == 1 and nodes.is_ready("web")
    events = nodes.events("web")
    assert "Killing Container c failed liveness probe, will be restarted" in events
    assert any(event.startswith('Unhealthy Liveness probe failed: Get "http://') for event in events)


def test_the_documentations_liveness_example_runs_as_described(nodes: Nodes) -> None:
    script = "touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600"
    probe = {"exec": {"command": ["cat", "/tmp/healthy"]}, "initialDelaySeconds": 5, "periodSeconds": 5}
    nodes.pod("liveness", image="busybox:1", container={"args": ["/bin/sh", "-c", script], "livenessProbe": probe})
    nodes.sleep(25)
    assert nodes.container("liveness")["restartCount"] == 0
    nodes.sleep(50)
    assert nodes.container("liveness")["restartCount"] == 1


def test_other_probes_wait_for_the_startup_probe(nodes: Nodes) -> None:
    startup = {"exec": {"command": ["test", "-f", "/tmp/up"]}, "periodSeconds": 2, "failureThreshold": 30}
    nodes.pod("web", container={"startupProbe": startup, "livenessProbe": {"tcpSocket": {"port": 81}}}, settle=False)
    nodes.sleep(10)
    assert nodes.container("web")["started"] is False and not nodes.is_ready("web")
    assert not any("Liveness" in event for event in nodes.events("web"))
    nodes.kubelet.container("default", "web").write("/tmp/up")
    nodes.sleep(2)
    assert nodes.container("web")["started"] is True and nodes.is_ready("web")


def test_a_startup_probe_that_never_succeeds_has_the_container_killed(nodes: Nodes) -> None:
    startup = {"tcpSocket": {"port": 81}, "periodSeconds": 1, "failureThreshold": 3}
    nodes.pod("web", container={"startupProbe": startup})
    assert "Killing Container c failed startup probe, will be restarted" in nodes.events("web")
    assert nodes.container("web")["restartCount"] >= 1


def test_named_ports_and_success_thresholds(nodes: Nodes) -> None:
    probe = {"tcpSocket": {"port": "http"}, "periodSeconds": 3, "successThreshold": 3}
    container = {"ports": [{"name": "http", "containerPort": 80}], "readinessProbe": probe}
    nodes.pod("web", container=container, settle=False)
    nodes.sleep(6.5)
    assert not nodes.is_ready("web")
    nodes.sleep(1)
    assert nodes.is_ready("web")
