"""Logs of simulated containers, and the words in which there are none."""

from __future__ import annotations

import json

import pytest

from epkit.fake.http import Stream


def log(inside, pod: str, **query: str) -> str:
    code, body = inside.request(
        "GET", f"/api/v1/namespaces/default/pods/{pod}/log", "&".join(f"{k}={v}" for k, v in query.items())
    )
    assert code == 200, body
    return body.decode()


def refusal(inside, pod: str, **query: str) -> tuple[int, str]:
    code, body = inside.request(
        "GET", f"/api/v1/namespaces/default/pods/{pod}/log", "&".join(f"{k}={v}" for k, v in query.items())
    )
    status = json.loads(body)
    assert status["kind"] == "Status" and status["code"] == code
    return code, status["message"]


def test_nginx_logs_its_start_and_what_it_served(inside) -> None:
    [pod] = inside.web(1)
    inside.service()
    inside.says("curl -s web; curl -s -o /dev/null web/nosuch")
    lines = log(inside, pod).splitlines()
    assert lines[0].startswith("/docker-entrypoint.sh: ")
    client = inside.address("client")
    assert lines[-2:] == [
        f'{client} - - [01/Jan/2026:00:00:03 +0000] "GET / HTTP/1.1" 200 615 "-" "curl/8.14.1" "-"',
        f'{client} - - [01/Jan/2026:00:00:03 +0000] "GET /nosuch HTTP/1.1" 404 151 "-" "curl/8.14.1" "-"',
    ]


def test_a_program_s_output_is_its_log(inside) -> None:
    inside.pod("speaks", "busybox", "sh", "-c", "echo one; echo two; sleep infinity")
    assert log(inside, "speaks") == "one\ntwo\n"
    assert log(inside, "speaks", tailLines="1") == "two\n"
    assert log(inside, "speaks", limitBytes="5") == "one\nt"
    assert log(inside, "client") == ""


def test_timestamps_and_since(inside) -> None:
    inside.pod("speaks", "busybox", "sh", "-c", "echo one; sleep 20; echo two; sleep infinity")
    inside.plane.sleep(25)
    stamps = [line.split(" ")[0] for line in log(inside, "speaks", timestamps="true").splitlines()]
    assert len(stamps) == 2 and all(len(stamp) == len("2026-01-01T00:00:01.000000000Z") for stamp in stamps)
    assert log(inside, "speaks", sinceSeconds="10") == "two\n"
    assert log(inside, "speaks", sinceTime=stamps[1][:19] + "Z") == "two\n"


def test_the_log_of_the_process_before(inside) -> None:
    inside.pod("again", "busybox", "sh", "-c", "echo started; sleep 100; exit 1")
    code, message = refusal(inside, "again", previous="true")
    assert (code, message) == (400, 'previous terminated container "c" in pod "again" not found')
    inside.says("true", pod="again")
    inside.plane.sleep(103)
    assert log(inside, "again") == log(inside, "again", previous="true") == "started\n"


def test_a_container_that_waits_for_its_restart_shows_its_last_words(inside) -> None:
    inside.pod("crashes", "busybox", "sh", "-c", "echo dying; sleep 1; exit 1")
    inside.plane.sleep(8)
    state = inside.api.get("pods", "crashes", "default")["status"]["containerStatuses"][0]["state"]
    assert state["waiting"]["reason"] == "CrashLoopBackOff"
    assert log(inside, "crashes") == "dying\n"


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ({"container": "nosuch"}, 400, "container nosuch is not valid for pod client"),
        ({"tailLines": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"tailLines": "-1"}, 422,
         'PodLogOptions "client" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'),
        ({"limitBytes": "0"}, 422,
         'PodLogOptions "client" is invalid: limitBytes: Invalid value: 0: must be greater than 0'),
        ({"sinceSeconds": "0"}, 422,
         'PodLogOptions "client" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0'),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(inside, query: dict[str, str], code: int, message: str) -> None:
    assert refusal(inside, "client", **query) == (code, message)


def test_a_pod_with_more_containers_wants_to_know_which(inside) -> None:
    containers = [{"name": name, "image": "nginx"} for name in ("a", "b")]
    meta = {"name": "two", "namespace": "default"}
    inside.api.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": containers}})
    inside.plane.settle()
    assert refusal(inside, "two") == (400, "a container name must be specified for pod two, choose one of: [a b]")
    assert "start worker processes" in log(inside, "two", container="b")


def test_a_container_that_has_not_started_has_no_log(inside) -> None:
    inside.plane.set_pace(type(inside.plane.pace).__mro__[1]())  # nothing moves: the pod stays as it was created
    meta, spec = {"name": "slow", "namespace": "default"}, {"containers": [{"name": "c", "image": "nginx"}]}
    inside.api.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    assert log(inside, "slow") == "", "a pod on no node has an empty log"
    while not inside.api.get("pods", "slow", "default")["spec"].get("nodeName"):
        inside.plane.step()
    while "containerStatuses" not in (inside.api.get("pods", "slow", "default").get("status") or {}):
        inside.plane.step()
    code, message = refusal(inside, "slow")
    assert (code, message) == (400, 'container "c" in pod "slow" is waiting to start: ContainerCreating')


def test_a_pod_that_is_not_there(inside) -> None:
    assert refusal(inside, "nosuch") == (404, 'pods "nosuch" not found')


def test_a_node_that_hangs_gives_no_logs(inside) -> None:
    node = inside.api.get("pods", "client", "default")["spec"]["nodeName"]
    inside.plane.kubelet.stop(node)
    code, message = refusal(inside, "client")
    assert code == 500 and message.endswith(":10250: connect: no route to host")


def test_a_log_is_followed_until_its_process_ends(inside) -> None:
    told: list[int] = []
    inside.pod("speaks", "busybox", "sh", "-c", "echo one; sleep 5; echo two; sleep 5; exit 0", restartPolicy="Never")
    inside.pod("talks", "busybox", "sh", "-c", "echo one; sleep 5; echo two; sleep 5; exit 0")
    response = inside.plane.request(
        "GET", "/api/v1/namespaces/default/pods/talks/log", "follow=true", {}, b"", lambda: told.append(1)
    )
    stream = response.watch
    assert isinstance(stream, Stream)
    assert stream.encode(stream.watch.take()) == b"one\n"
    assert not told and not stream.watch.ended
    inside.plane.sleep(6)
    assert told and stream.encode(stream.watch.take()) == b"two\n"
    inside.plane.sleep(5)
    assert stream.watch.ended
    stream.watch.close()
