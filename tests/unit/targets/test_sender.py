"""Requests by curl in a pod: what is sent, what is read from it, and who answered."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epkit.client import Client
from epkit.cluster import Cluster
from epkit.errors import ApiError, EpkitError
from epkit.executed import Executed
from epkit.targets.sender import Sender, Sent, read, script, sender_on
from epkit.traffic import ANSWERED, FAILED, REFUSED, TIMED_OUT, UNRESOLVED

MARK = "abcd1234"


# -- the script and what is read from it -------------------------------------------------------------------------------


def test_each_request_has_a_mark_and_a_line_that_tells_its_end() -> None:
    lines = script("http://web:8080/a?b='c'", MARK, 20, 2).split("; ")
    assert len(lines) == 3 and lines[-1] == f"echo $? 21 {MARK}"
    assert "-A epkit-abcd1234-20 " in lines[0] and "-A epkit-abcd1234-21 " in lines[1]
    assert "--url 'http://web:8080/a?b='\"'\"'c'\"'\"''" in lines[0]


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 6, 7, 28, 52]), st.text(st.characters(codec="ascii", exclude_characters="\r\n")))
    )
)
def test_what_curl_tells_is_read_again(ends: list[tuple[int, str]]) -> None:
    """As a shell shows it: what came, then a new line with the mark and the codes."""
    output = "".join(
        f"{body if code == 0 else ''}\n{MARK} {200 if code == 0 else 0:03} {code} {number} {MARK}\n"
        for number, (code, body) in enumerate(ends)
    )
    found = read(output, MARK)
    assert [(one.code, one.http, one.number) for one in found] == [
        (code, 200 if code == 0 else 0, number) for number, (code, _) in enumerate(ends)
    ]
    kept = [one.body for one in found]
    assert kept == ["\n".join(body.splitlines()).strip() if code == 0 else "" for code, body in ends]


def test_a_body_of_numbers_is_no_end() -> None:
    output = f"127 3\n0 4\n{MARK} 200 0 7 {MARK}\n"
    assert read(output, MARK) == [Sent(code=0, http=200, body="127 3\n0 4", number=7)]


def test_a_shell_without_curl_tells_so() -> None:
    """By a real shell, in which there is no curl."""
    done = subprocess.run(
        ["/bin/sh", "-c", script("http://web", MARK, 0, 3)], env={"PATH": ""}, capture_output=True, text=True
    )
    assert [(one.code, one.number) for one in read(done.stdout, MARK)] == [(127, 0), (127, 1), (127, 2)]
    assert "not found" in done.stderr


def test_a_client_has_its_nodes_name() -> None:
    assert sender_on("ip-10-0-1-2.eu-central-1.compute.internal") == (
        "epkit-sender-ip-10-0-1-2.eu-central-1.compute.internal"
    )
    pool = "gke-a-cluster-with-a-long-name-a-pool-with-a-long-name-1a2b3c4d"
    assert sender_on(f"{pool}-abcd") != sender_on(f"{pool}-efgh")
    long = [sender_on("n." * 120 + end) for end in ("a", "b")]
    assert long[0] != long[1] and max(map(len, long)) <= 253


# -- sending -----------------------------------------------------------------------------------------------------------


class Pod:
    """Runs what is sent in a pod, where curl ends as it was told to."""

    def __init__(self, *codes: int, body: str = "web-1", stderr: str = "") -> None:
        self.codes = list(codes)
        self.body, self.stderr = body, stderr
        self.commands: list[list[str]] = []

    def __call__(self, namespace: str, pod: str, container: str, words: Sequence[str], stdin: str) -> Executed:
        self.commands.append(list(words))
        requests = re.findall(r"echo \$\? (\d+) (\w+)", words[2])
        out = ""
        for number, mark in requests[: len(self.codes)] if self.codes else requests:
            code = self.codes.pop(0) if self.codes else 0
            out += f"{self.body if code == 0 else ''}\n{mark} {200 if code == 0 else 0:03} {code} {number} {mark}\n"
        return Executed(out, self.stderr, 0)


class Times:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def cluster() -> Any:
    with Cluster({}) as cluster:
        for name in ("client", "web-1"):
            cluster.kubectl(f"run {name} --image=nginx")
        cluster.settle()
        yield cluster


def test_outcomes_are_curls(cluster: Cluster) -> None:
    sender = Sender(Client(cluster.transport), Pod(0, 6, 7, 28, 52), lambda: 1.0)
    told = sender.send("http://web", "default", "client", 5, 0.0)
    assert [one.outcome for one in told.items] == [ANSWERED, UNRESOLVED, REFUSED, TIMED_OUT, FAILED]
    assert [one.pod for one in told.items] == ["web-1", "", "", "", ""]
    assert told.by_pod == {"web-1": 1}


def test_many_are_sent_a_few_at_a_time(cluster: Cluster) -> None:
    """So many that they end within a command's time, even if each of them waits in vain."""
    pod = Pod()
    told = Sender(Client(cluster.transport), pod, lambda: 1.0).send("http://web", "default", "client", 25, 0.0)
    assert len(told.items) == 25 and told.answered == 25
    assert [command[2].count("curl ") for command in pod.commands] == [10, 10, 5]


def test_over_a_time_they_wait_here(cluster: Cluster) -> None:
    times, pod = Times(), Pod()
    sender = Sender(Client(cluster.transport), pod, lambda: times.now, sleep=times.sleep)
    told = sender.send("http://web", "default", "client", 4, 600.0)
    assert times.slept == [150.0, 150.0, 150.0]
    assert [one.at for one in told.items] == [100.0, 250.0, 400.0, 550.0]
    assert [command[2].count("curl ") for command in pod.commands] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (Pod(127, 127), "The pod client has no curl. Choose one whose image brings curl and a shell"),
        (Pod(2, 2, stderr="curl: option --x: is unknown"), "cannot send to 'http://web': curl: option --x: is unknown"),
        (Pod(3, 3, stderr="curl: (3) URL rejected"), r"cannot send to 'http://web': curl: \(3\) URL rejected"),
        (Pod(0, stderr="Killed"), "cannot send to 'http://web': Killed"),
    ],
    ids=["no curl", "options", "URL", "half"],
)
def test_what_could_not_be_sent_is_told(cluster: Cluster, pod: Pod, why: str) -> None:
    with pytest.raises(EpkitError, match=why):
        Sender(Client(cluster.transport), pod, lambda: 1.0).send("http://web", "default", "client", 2, 0.0)


@pytest.mark.parametrize("said", ['exec: "sh": executable file not found in $PATH', "sh: no such file or directory"])
def test_a_pod_without_a_shell_is_told(cluster: Cluster, said: str) -> None:
    def fails(*_: object) -> Executed:
        return Executed("", said, 126)

    with pytest.raises(EpkitError, match="has no curl. Choose one whose image brings curl and a shell"):
        Sender(Client(cluster.transport), fails, lambda: 1.0).send("http://web", "default", "client", 2, 0.0)


def test_an_unknown_pod_is_the_servers_to_tell(cluster: Cluster) -> None:
    with pytest.raises(ApiError, match='pods "absent" not found'):
        Sender(Client(cluster.transport), Pod(), lambda: 1.0).send("http://web", "default", "absent", 1, 0.0)


# -- clients on nodes --------------------------------------------------------------------------------------------------


def test_a_client_is_started_once_and_anew_when_it_has_ended(cluster: Cluster) -> None:
    sender = Sender(Client(cluster.transport), Pod(), lambda: 1.0)
    assert sender.pod_on("node-2", "default") == sender.pod_on("node-2", "default") == "epkit-sender-node-2"
    first = cluster.client.get("pods", "epkit-sender-node-2", "default")
    assert first["spec"]["nodeName"] == "node-2"

    class Evicted(Client):
        def find(self, *what: Any) -> Any:
            return {**first, "status": {"phase": "Failed"}}

    Sender(Evicted(cluster.transport), Pod(), lambda: 1.0).pod_on("node-2", "default")
    assert cluster.client.get("pods", "epkit-sender-node-2", "default")["metadata"]["uid"] != first["metadata"]["uid"]


def test_the_strictest_standard_admits_it(cluster: Cluster) -> None:
    """Pod Security Standards, "restricted"."""
    Sender(Client(cluster.transport), Pod(), lambda: 1.0).pod_on("node-1", "default")
    spec = cluster.client.get("pods", "epkit-sender-node-1", "default")["spec"]
    container = spec["containers"][0]["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_an_unknown_node_is_told_with_those_there_are(cluster: Cluster) -> None:
    sender = Sender(Client(cluster.transport), Pod(), lambda: 1.0)
    with pytest.raises(EpkitError, match="There is no node 'node-9'. There are: node-1, node-2, node-3"):
        sender.pod_on("node-9", "default")


# -- over a real connection --------------------------------------------------------------------------------------------


@pytest.fixture
def learner(connect: Callable[..., Cluster]) -> Cluster:
    learner = connect()
    learner.target.enter("3")
    for command in ("create deployment web --image=nginx --replicas=2", "expose deployment web --port=80"):
        assert learner.kubectl(command).returncode == 0
    return learner


def test_an_answer_that_is_no_pods_name_is_found_by_its_mark_in_the_logs(learner: Cluster) -> None:
    told = learner.request("http://web", n=12)
    assert told.answered == 12 and "nginx" in told.items[0].body
    assert set(told.by_pod) == {pod["metadata"]["name"] for pod in learner.client.list("pods", learner.namespace,
                                                                                      labels="app=web")}  # fmt: skip
    assert {one.node for one in told.items} <= set(learner.nodes) and told.sender == "a client on node-1"


def test_a_command_that_is_not_there_is_told(learner: Cluster) -> None:
    done = learner.exec("epkit-sender-node-1", "hostname") if learner.request("http://web") else None
    assert done is not None and done.ok
    missing = learner.exec("epkit-sender-node-1", "no-such-program")
    assert missing.returncode in (126, 127) and "no-such-program" in missing.stderr


def test_an_unknown_pod_or_container_is_told(learner: Cluster) -> None:
    with pytest.raises(ApiError, match='pods "absent" not found'):
        learner.exec("absent", "hostname")
    learner.request("http://web")
    with pytest.raises(EpkitError, match="container"):
        learner.exec("epkit-sender-node-1", "hostname", container="absent")
    with pytest.raises(EpkitError, match="no standard input"):
        learner.exec("epkit-sender-node-1", "cat", stdin="a")
