"""Exec probes run the simulated commands and leave no trace."""

from __future__ import annotations

import pytest

from epkit.objects import condition


def ready(inside, *command: str, image: str = "nginx", **probe: int) -> bool:
    name = f"probed-{inside.plane.store.version}"
    inside.pod(name, image, container={"readinessProbe": {"exec": {"command": list(command)}, **probe}})
    found = condition(inside.api.get("pods", name, "default"), "Ready")
    return bool(found and found["status"] == "True")


@pytest.mark.parametrize(
    ("script", "succeeds"),
    [
        ("test -f /etc/hosts && test -f /tmp/ready", False),
        ("test -f /etc/hosts || test -f /tmp/ready", True),
        ("curl -fs localhost/", True),
        ("curl -fs localhost/nosuch", False),
        ("curl -s localhost:9", False),
        ("cat /etc/hostname | grep -q probed", True),
        ("pg_isready -U postgres", True),
        ("for i in 1; do false; done", True),
    ],
)
def test_a_script_decides(inside, script: str, succeeds: bool) -> None:
    assert ready(inside, "sh", "-c", script) is succeeds


def test_what_is_not_simulated_succeeds(inside) -> None:
    assert ready(inside, "redis-cli", "ping", image="redis")
    assert ready(inside, "/bin/grpc_health_probe", "-addr=:5000", image="registry.k8s.io/pause:3.10")


def test_a_probe_that_takes_too_long_fails(inside) -> None:
    assert not ready(inside, "sleep", "3")
    assert ready(inside, "sleep", "3", timeoutSeconds=5)


def test_a_probe_writes_and_logs_nothing(inside) -> None:
    inside.pod("quiet", "nginx", container={
        "readinessProbe": {"exec": {"command": ["sh", "-c", "echo a > /tmp/trace; curl -s localhost"]}},
    })  # fmt: skip
    inside.plane.sleep(30)
    container = inside.plane.kubelet.container("default", "quiet")
    assert container.ready and container.read("/tmp/trace") is None
    assert not [line for _, line in container.log() if "GET" in line]
