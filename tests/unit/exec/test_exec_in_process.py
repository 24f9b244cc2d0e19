"""``exec`` without a connection: which container, what fails and in which words."""

from __future__ import annotations

import pytest

import epkit
from epkit.errors import ApiError, EpkitError
from epkit.fake.exec import NotStarted
from epkit.fake.pace import Pace, Realtime


def failure(inside, pod: str, container: str = "", command: str = "ls") -> ApiError:
    with pytest.raises(ApiError) as caught:
        inside.plane.exec("default", pod, container, [command])
    return caught.value


def test_output_errors_and_exit_code(inside) -> None:
    done = inside.plane.exec("default", "client", "", ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.stdout, done.stderr, done.returncode, done.ok) == ("out\n", "err\n", 3, False)
    assert repr(done) == "out\nerr\ncommand terminated with exit code 3"
    assert str(done) == "out\n"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
        ("/usr/bin/nosuch", 'exec: "/usr/bin/nosuch": stat /usr/bin/nosuch: no such file or directory'),
    ],
)
def test_a_command_that_is_not_there(inside, command: str, why: str) -> None:
    done = inside.plane.exec("default", "client", "", [command])
    start = "OCI runtime exec failed: exec failed: unable to start container process: "
    assert (done.returncode, done.stdout, done.stderr) == (127, "", f"{start}{why}\n")


def test_an_image_without_a_shell_has_no_commands(inside) -> None:
    inside.pod("bare", "registry.k8s.io/pause:3.10")
    assert inside.run("sh", "-c", "true", pod="bare").returncode == 127


def test_a_pod_or_container_that_is_not_there(inside) -> None:
    error = failure(inside, "nosuch")
    assert (error.code, error.message) == (404, 'pods "nosuch" not found')
    error = failure(inside, "client", "nosuch")
    assert (error.code, error.message) == (400, "container nosuch is not valid for pod client")


def test_a_pod_with_two_containers(inside) -> None:
    containers = [{"name": "a", "image": "nginx"}, {"name": "b", "image": "busybox", "command": ["sleep", "infinity"]}]
    meta = {"name": "two", "namespace": "default"}
    inside.api.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": containers}})
    inside.plane.settle()
    error = failure(inside, "two")
    assert (error.code, error.message) == (400, "a container name must be specified for pod two, choose one of: [a b]")
    assert inside.plane.exec("default", "two", "b", ["curl", "-s", "localhost"]).ok, "they share their network"
    assert inside.plane.exec("default", "two", "b", ["ls", "/usr/share/nginx/html"]).returncode == 2, (
        "and not their files"
    )


def test_a_container_that_does_not_run(inside) -> None:
    inside.pod("done", "busybox", "true", restartPolicy="Never")
    error = failure(inside, "done")
    assert isinstance(error, NotStarted)
    assert error.message == (
        "Internal error occurred: unable to upgrade connection: container is in CONTAINER_EXITED state"
    )


def test_a_node_that_hangs(inside) -> None:
    inside.plane.kubelet.stop(inside.api.get("pods", "client", "default")["spec"]["nodeName"])
    error = failure(inside, "client")
    assert isinstance(error, NotStarted) and error.message.endswith(":10250: connect: no route to host")


def test_a_command_ends_with_its_container(inside) -> None:
    inside.pod("short", "busybox", "sleep", "100")
    assert inside.run("sleep", "150", pod="short").returncode == 137


def test_what_never_ends_is_not_waited_for(inside) -> None:
    with pytest.raises(EpkitError, match="never ends by itself"):
        inside.run("sleep", "infinity")


def test_while_time_stands_still_nobody_waits(inside) -> None:
    inside.plane.set_pace(Pace())
    assert inside.run("hostname").ok
    with pytest.raises(EpkitError, match=r"`sleep 5` waits 5 s, and time stands still"):
        inside.run("sleep", "5")


def test_with_the_wall_s_clock_the_caller_sleeps_as_long(inside) -> None:
    wall, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        wall[0] += seconds

    inside.plane.set_pace(Realtime(lambda: wall[0], inside.now, speed=10))
    before = inside.now
    assert inside.plane.exec("default", "client", "", ["sleep", "30"], sleep=sleep).ok
    assert slept == [3.0] and inside.now == pytest.approx(before + 30)


def test_a_notebook_runs_commands_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPKIT_MODE", "ci")
    with epkit.connect(nodes=1) as cluster:
        cluster.kubectl("run client --image=busybox -- sleep infinity")
        assert cluster.exec("client", "sh -c 'echo $HOSTNAME; cat'", stdin="more\n").stdout == "client\nmore\n"
        assert cluster.kubectl("exec client -- hostname -i").text.strip() == "10.244.1.4"
        told = cluster.kubectl("exec client -- nosuch")
        assert told.returncode == 127 and "executable file not found in $PATH" in told.text
