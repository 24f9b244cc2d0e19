"""``kubectl logs``, ``exec`` and their neighbours, with the real kubectl against ``epkit up``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.kubectl

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
MANIFEST = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "nginx", "image": "nginx"}]},
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "client"},
            "spec": {
                "containers": [{"name": "c", "image": "busybox", "command": ["sleep", "infinity"]}],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "probed", "labels": {"app": "probed"}},
            "spec": {
                "containers": [
                    {
                        "name": "c",
                        "image": "busybox",
                        "command": ["sleep", "infinity"],
                        "readinessProbe": {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1},
                    }
                ],
            },
        },
    ],
}


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory, real_kubectl: Path | None) -> Iterator[Kubectl]:
    """A kubectl that talks to a cluster of its own, in which something runs."""
    folder = tmp_path_factory.mktemp("up")
    config = folder / "kubeconfig"
    up = subprocess.Popen([sys.executable, "-m", "epkit", "up", "--kubeconfig", str(config)], stdout=subprocess.DEVNULL)
    environment = {**os.environ, "KUBECONFIG": str(config), "KUBECACHEDIR": str(folder / "cache")}
    # kubectl 1.29 can speak WebSocket, and has to be told to
    environment["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = "true"

    def run(*args: str, stdin: str = "", timeout: float = 30) -> subprocess.CompletedProcess[str]:
        command = [str(real_kubectl), *args]
        return subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, timeout=timeout)

    try:
        deadline = time.monotonic() + 30
        while not config.exists():
            assert up.poll() is None and time.monotonic() < deadline, "epkit up did not come up"
            time.sleep(0.05)
        assert run("apply", "-f", "-", stdin=json.dumps(MANIFEST)).returncode == 0
        assert run("wait", "pod", "client", "--for=condition=Ready", "--timeout=20s").returncode == 0
        assert run("rollout", "status", "deployment", "web", "--timeout=20s").returncode == 0
        yield run
    finally:
        up.terminate()
        up.wait(timeout=10)


@pytest.mark.parametrize(
    ("command", "code", "stdout", "stderr"),
    [
        (["hostname"], 0, "client\n", ""),
        (["sh", "-c", "echo out; echo err >&2; exit 7"], 7, "out\n", "err\ncommand terminated with exit code 7\n"),
        (["nosuch"], 127, "",
         'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": '
         "executable file not found in $PATH\ncommand terminated with exit code 127\n"),
        (["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://web"], 0, "200", ""),
        (["sh", "-c", "sleep 1; echo rested"], 0, "rested\n", ""),
    ],
)  # fmt: skip
def test_exec(kubectl: Kubectl, command: list[str], code: int, stdout: str, stderr: str) -> None:
    done = kubectl("exec", "client", "--", *command)
    assert (done.returncode, done.stdout, done.stderr) == (code, stdout, stderr)


def test_a_request_that_nobody_answers_takes_its_time(kubectl: Kubectl) -> None:
    begun = time.monotonic()
    done = kubectl("exec", "client", "--", "curl", "-sS", "-m", "1", "10.244.1.200")
    assert done.returncode == 28 and done.stderr.startswith("curl: (28) Connection timed out after 1")
    assert time.monotonic() - begun >= 1


def test_exec_with_input(kubectl: Kubectl) -> None:
    assert kubectl("exec", "-i", "client", "--", "cat", stdin="a\nb\n").stdout == "a\nb\n"
    done = kubectl("exec", "-i", "client", "--", "sh", stdin="hostname\nexit 4\n")
    assert (done.stdout, done.returncode) == ("client\n", 4)


def test_exec_where_there_is_nothing(kubectl: Kubectl) -> None:
    done = kubectl("exec", "nosuch", "--", "ls")
    assert (done.returncode, done.stderr) == (1, 'Error from server (NotFound): pods "nosuch" not found\n')
    done = kubectl("exec", "client", "-c", "nosuch", "--", "ls")
    assert done.returncode == 1 and "container nosuch is not valid for pod client" in done.stderr


def test_a_file_makes_a_pod_an_endpoint(kubectl: Kubectl) -> None:
    assert kubectl("expose", "pod", "probed", "--port=80").returncode == 0
    ready = "-o=jsonpath={.items[*].endpoints[*].conditions.ready}"
    slices = ("get", "endpointslices", "-l", "kubernetes.io/service-name=probed", ready)
    deadline = time.monotonic() + 20
    while kubectl(*slices).stdout != "false":
        assert time.monotonic() < deadline
    assert kubectl("exec", "probed", "--", "touch", "/tmp/ready").returncode == 0
    while kubectl(*slices).stdout != "true":
        assert time.monotonic() < deadline


def test_logs(kubectl: Kubectl) -> None:
    pod = kubectl("get", "pods", "-l", "app=web", "-o", "name").stdout.split()[0]
    kubectl("exec", pod, "--", "curl", "-s", "localhost")
    lines = kubectl("logs", pod).stdout.splitlines()
    assert lines[0].startswith("/docker-entrypoint.sh")
    assert lines[-1].endswith('"GET / HTTP/1.1" 200 615 "-" "curl/8.14.1" "-"')
    assert kubectl("logs", pod, "--tail=1").stdout.splitlines() == lines[-1:]
    stamped = kubectl("logs", pod, "--tail=1", "--timestamps").stdout
    assert stamped.endswith("Z " + lines[-1] + "\n")
    done = kubectl("logs", pod, "--previous")
    assert done.returncode == 1
    assert f'previous terminated container "nginx" in pod "{pod[4:]}" not found' in done.stderr


def test_a_log_is_followed_to_its_end(kubectl: Kubectl) -> None:
    kubectl("run", "talks", "--image=busybox", "--restart=Never", "--", "sh", "-c", "echo one; sleep 2; echo two")
    kubectl("wait", "pod", "talks", "--for=jsonpath={.status.containerStatuses[0].started}=true", "--timeout=10s")
    assert kubectl("logs", "-f", "talks").stdout == "one\ntwo\n"


def test_a_token_can_be_had(kubectl: Kubectl) -> None:
    done = kubectl("create", "token", "default", "--duration=10m")
    assert done.returncode == 0 and done.stdout.strip().count(".") == 2


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("auth can-i create pods", "yes\n"),
        ("auth can-i --list", "*.*         []                  []               [*]\n"),
        ("auth whoami", "Username    kubernetes-admin\n"),
        ("cluster-info", "CoreDNS is running at http://127.0.0.1:"),
        ("explain endpointslice.endpoints.conditions", "ready\t<boolean>\n"),
        ("api-resources --api-group=discovery.k8s.io", "discovery.k8s.io/v1   true         EndpointSlice\n"),
        ("get --raw /readyz?verbose", "readyz check passed\n"),
    ],
)
def test_questions_about_the_cluster(kubectl: Kubectl, command: str, output: str) -> None:
    done = kubectl(*command.split())
    assert done.returncode == 0 and output in done.stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("top pods", "error: Metrics API not available\n"),
        ("port-forward pod/client 8080:80", "the built-in cluster cannot forward ports"),
        ("attach client", "the built-in cluster cannot attach to a container"),
    ],
)
def test_what_cannot_be_had_says_so(kubectl: Kubectl, command: str, message: str) -> None:
    done = kubectl(*command.split())
    assert done.returncode == 1 and message in done.stderr
