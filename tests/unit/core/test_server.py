"""The loopback server: who is let in, what it leaves behind, what it says over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import stat
import threading
from collections.abc import Iterator

import pytest

import epkit
from epkit.fake.plane import Plane
from epkit.fake.server import Server

SERVICES = "/api/v1/namespaces/default/services"


@pytest.fixture
def server(plane: Plane) -> Iterator[Server]:
    with Server(plane) as running:
        yield running


def get(server: Server, path: str, **headers: str) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


def test_the_secret_in_the_path_lets_in(server: Server) -> None:
    code, answer = get(server, f"/k/{server.secret}{SERVICES}")
    assert (code, answer["kind"]) == (200, "ServiceList")


def test_so_does_the_secret_as_a_token(server: Server) -> None:
    assert get(server, SERVICES, Authorization=f"Bearer {server.secret}")[0] == 200


@pytest.mark.parametrize("path", [SERVICES, "/k/wrong" + SERVICES, "/version", "/"])
def test_without_the_secret_nothing_is_told(server: Server, path: str) -> None:
    code, answer = get(server, path)
    assert (code, answer["reason"]) == (401, "Unauthorized")


def test_a_foreign_host_is_refused(server: Server) -> None:
    code, answer = get(server, f"/k/{server.secret}{SERVICES}", Host="evil.example.com")
    assert (code, answer["reason"]) == (403, "Forbidden")


def test_a_web_page_is_refused(server: Server) -> None:
    code, answer = get(server, f"/k/{server.secret}{SERVICES}", Origin="http://localhost:8888")
    assert (code, answer["reason"]) == (403, "Forbidden")


def test_it_listens_on_loopback_alone(server: Server) -> None:
    assert server._socket.getsockname()[0] == "127.0.0.1"


def test_the_kubeconfig_is_private_and_goes_with_the_cluster() -> None:
    before = set(threading.enumerate())
    cluster = epkit.Cluster({"nodes": 0, "start": 0.0})
    path = cluster.kubeconfig
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    port = int(path.read_text().split("127.0.0.1:")[1].split("/")[0])
    cluster.close()
    assert not path.exists() and not path.parent.exists()
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=2).connect()


def test_a_closed_cluster_says_so() -> None:
    cluster = epkit.Cluster({"nodes": 0, "start": 0.0})
    cluster.close()
    with pytest.raises(epkit.EpkitError, match="This cluster is closed"):
        cluster.settle()


def test_a_watch_hears_of_changes_and_ends_with_the_server(plane: Plane) -> None:
    server = Server(plane).start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", f"/k/{server.secret}/api/v1/namespaces/default/configmaps?watch=1")
    answer = connection.getresponse()
    first = json.loads(answer.readline())
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "kube-root-ca.crt")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}}
    plane.request(
        "POST",
        "/api/v1/namespaces/default/configmaps",
        "",
        {"content-type": "application/json"},
        json.dumps(body).encode(),
    )
    second = json.loads(answer.readline())
    assert (second["type"], second["object"]["metadata"]["name"]) == ("ADDED", "late")
    server.stop()
    assert answer.readline() == b""
