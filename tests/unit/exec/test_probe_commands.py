"""Exec probes run the simulated commands and leave no trace; HTTP probes are answered by the simulated servers."""

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


@pytest.mark.parametrize(
    ("image", "get", "message"),
    [
        ("nginx", {"port": 80, "path": "/"}, ""),
        ("nginx", {"port": 80, "path": "/healthz"}, "HTTP probe failed with statuscode: 404"),
        (
            "nginx",
            {"port": 81, "path": "/"},
            'Get "http://ADDRESS:81/": dial tcp ADDRESS:81: connect: connection refused',
        ),
        ("postgres", {"port": 5432}, 'Get "http://ADDRESS:5432/": EOF'),
        ("example.com/shop", {"port": 8080, "path": "/healthz"}, ""),
    ],
)
def test_a_server_answers_a_probe(inside, image: str, get: dict[str, object], message: str) -> None:
    ports = [{"containerPort": 8080}]
    inside.pod("probed", image, container={"readinessProbe": {"httpGet": get, "periodSeconds": 5}, "ports": ports})
    events = [event["message"] for event in inside.api.list("events", "default") if event["reason"] == "Unhealthy"]
    expected = message.replace("ADDRESS", inside.address("probed"))
    assert events == ([f"Readiness probe failed: {expected}"] if message else [])
    assert inside.plane.kubelet.container("default", "probed").ready is not bool(message)


def test_nginx_logs_the_probes_of_the_kubelet(inside) -> None:
    inside.pod("probed", "nginx", container={"livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 10}})
    inside.plane.sleep(35)
    lines = [line for _, line in inside.plane.kubelet.container("default", "probed").log() if "GET / " in line]
    assert len(lines) == 4 and all(line.endswith('200 615 "-" "kube-probe/1.36" "-"') for line in lines)
