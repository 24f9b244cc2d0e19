"""Simulated nodes as clients of an API server over HTTP: the built-in one, without nodes of its own."""

from __future__ import annotations

import time
from typing import Any

import pytest
from test_processes import soon

from epkit.client import Client
from epkit.errors import EpkitError
from epkit.fake import kubeconfig
from epkit.fake.pace import Realtime
from epkit.fake.plane import Plane, default_nodes
from epkit.fake.server import Server
from epkit.objects import condition
from epkit.targets.controlplane import nodes as simulated
from epkit.targets.controlplane.nodes import Nodes, Patient
from epkit.targets.http import HttpTransport


class Cut(HttpTransport):
    """A way to the server that can be cut."""

    down = False
    users: list[str]

    def _request(self, *what: Any, **how: Any) -> Any:
        if Cut.down:
            raise EpkitError("The cluster does not answer")
        return super()._request(*what, **how)


@pytest.fixture
def plane():
    made = Plane(start=time.time())
    made.set_pace(Realtime(time.time, made.clock.now))
    return made


@pytest.fixture
def nodes(plane, tmp_path):
    asked: list[str] = []
    with Server(plane) as server:
        kubeconfig.write(tmp_path / "config", kubeconfig.content(server.url, server.secret))

        def connect(user: str) -> HttpTransport:
            asked.append(user)
            return Cut.from_kubeconfig(str(tmp_path / "config"))

        made = Nodes(default_nodes(2), connect, plane.api_server)
        made.users = asked
        made.start()
        yield made
        Cut.down = False
        made.stop()


def pod(name: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "nginx"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def phase(plane: Plane, name: str) -> str:
    return plane.store.get("pods", "default", name)["status"].get("phase", "")


def test_each_kubelet_has_a_name_of_its_own(nodes):
    assert {"epkit", "system:node:node-1", "system:node:node-2"} <= set(nodes.users)


def test_pods_run_and_commands_run_in_them(plane, nodes):
    plane.client("test").create("pods", pod("web"))
    assert soon(lambda: phase(plane, "web") == "Running")
    assert nodes.exec("default", "web", "", ["hostname"]).stdout == "web\n"
    assert nodes.exec("default", "web", "", ["sleep", "0.2"]).returncode == 0


def test_an_api_server_that_is_away_for_a_while_is_waited_for(plane, nodes, monkeypatch):
    plane.client("test").create("pods", pod("before"))
    assert soon(lambda: phase(plane, "before") == "Running")
    Cut.down = True
    with nodes.loop.lock:
        nodes.kubelet._heartbeat()
    assert "does not answer" in nodes.kubelet.log_lines[-1][1]
    nodes.kubelet.container("default", "before").end(nodes.clock.now, 1)
    plane.client("test").create("pods", pod("meanwhile"))
    Cut.down = False
    assert soon(lambda: phase(plane, "meanwhile") == "Running")


def test_a_node_that_is_there_already_is_taken_over(plane, nodes, tmp_path):
    nodes.stop()
    server_nodes = plane.client("test").list("nodes").items
    with Server(plane) as server:
        kubeconfig.write(tmp_path / "again", kubeconfig.content(server.url, server.secret))
        again = Nodes(
            default_nodes(2), lambda _: HttpTransport.from_kubeconfig(str(tmp_path / "again")), plane.api_server
        )
        again.start()
        uids = [node["metadata"]["uid"] for node in plane.client("test").list("nodes")]
        assert uids == [node["metadata"]["uid"] for node in server_nodes]
        assert condition(plane.store.get("nodes", "", "node-1"), "Ready")["status"] == "True"
        again.stop()


def test_one_pods_trouble_is_not_everybodys(plane, nodes, monkeypatch, caplog):
    def fail() -> None:
        raise RuntimeError("a bug")

    with nodes.loop.lock:
        nodes.loop.post(fail, "test")
    nodes._wake.set()
    plane.client("test").create("pods", pod("web"))
    assert soon(lambda: phase(plane, "web") == "Running")
    assert "a task of the simulated nodes failed" in caplog.text
    assert simulated._log.name in {record.name for record in caplog.records}


def test_no_answer_is_an_answer(nodes):
    Cut.down = True
    answer = Patient(nodes._connect("epkit")).send("GET", "/api/v1/pods")
    assert (answer.code, answer.body["reason"]) == (503, "ServiceUnavailable")
    Cut.down = False
    assert Client(nodes._connect("epkit")).list("pods").items == []
