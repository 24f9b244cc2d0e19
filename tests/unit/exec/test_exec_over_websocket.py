"""``exec`` over a WebSocket: the channels, the end, and what the official client makes of them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from epkit.fake.pace import Pace
from epkit.fake.server import Server

POD = "/api/v1/namespaces/default/pods/client"
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"


@pytest.fixture
def server(inside) -> Iterator[Server]:
    with Server(inside.plane) as running:
        yield running


def open_exec(server: Server, query: str, *protocols: str, path: str = POD, **options: object) -> ClientConnection:
    url = server.url.replace("http:", "ws:") + path + "/exec?" + query
    return connect(url, subprotocols=[Subprotocol(each) for each in protocols or (V5, V4)], open_timeout=5, **options)


def rest(connection: ClientConnection) -> dict[int, bytes]:
    """What comes until the end, by channel."""
    found: dict[int, bytes] = {}
    try:
        while True:
            message = connection.recv(timeout=5)
            assert isinstance(message, bytes)
            found[message[0]] = found.get(message[0], b"") + message[1:]
    except ConnectionClosed as end:
        assert end.rcvd is not None and end.rcvd.code == 1000
    return found


def test_stdout_stderr_and_a_good_end(server: Server) -> None:
    with open_exec(server, "command=sh&command=-c&command=echo+a;+echo+b+>%262&stdout=true&stderr=true") as connection:
        assert connection.subprotocol == V5
        found = rest(connection)
    assert (found[1], found[2]) == (b"a\n", b"b\n")
    assert json.loads(found[3]) == {"metadata": {}, "status": "Success"}


@pytest.mark.parametrize(("script", "code"), [("exit+7", "7"), ("nosuch", "127")])
def test_an_exit_code_is_a_status(server: Server, script: str, code: str) -> None:
    with open_exec(server, f"command=sh&command=-c&command={script}&stdout=true&stderr=true") as connection:
        status = json.loads(rest(connection)[3])
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": code}]


def test_the_newest_protocol_that_both_speak(server: Server) -> None:
    with open_exec(server, "command=true&stdout=true", V4) as connection:
        assert connection.subprotocol == V4
    with pytest.raises(InvalidStatus) as caught:
        open_exec(server, "command=true&stdout=true", "v3.channel.k8s.io")
    assert "server accepts [v5.channel.k8s.io v4.channel.k8s.io]" in json.loads(caught.value.response.body)["message"]


def test_version_5_tells_when_stdin_has_ended(server: Server) -> None:
    with open_exec(server, "command=cat&stdin=true&stdout=true") as connection:
        connection.send(b"\x00typed")
        connection.send(b"\xff\x00")
        assert rest(connection)[1] == b"typed"


def test_a_shell_answers_line_by_line(server: Server) -> None:
    with open_exec(server, "command=sh&stdin=true&stdout=true") as connection:
        assert connection.recv(timeout=5) == b"\x01", "the connection stands"
        connection.send(b"\x00hostname\n")
        assert connection.recv(timeout=5) == b"\x01client\n"
        connection.send(b"\x00exit 5\n")
        assert json.loads(rest(connection)[3])["details"]["causes"][0]["message"] == "5"


def test_at_a_terminal_keys_are_shown(server: Server) -> None:
    with open_exec(server, "command=sh&stdin=true&stdout=true&tty=true") as connection:
        connection.send(b"\x00hostnaem\x7f\x7fme\r")
        connection.send(b"\x00\x04")
        shown = rest(connection)[1].decode()
    assert shown == "/ # hostnaem\b \b\b \bme\r\nclient\r\n/ # "


def test_a_long_output_comes_in_pieces(server: Server, inside) -> None:
    inside.plane.kubelet.container("default", "client").write("/tmp/long", "x" * 100_000)
    with open_exec(server, "command=cat&command=/tmp/long&stdout=true") as connection:
        assert len(rest(connection)[1]) == 100_000


def test_what_the_api_server_refuses_is_refused_at_the_handshake(server: Server) -> None:
    for path, query, code in (
        (POD.replace("client", "nosuch"), "command=ls", 404),
        (POD, "command=ls&container=nosuch", 400),
        (POD, "stdout=true", 400),
    ):
        with pytest.raises(InvalidStatus) as caught:
            open_exec(server, query, path=path)
        assert caught.value.response.status_code == code
        assert json.loads(caught.value.response.body)["kind"] == "Status"


def test_what_the_node_refuses_comes_at_the_end(server: Server, inside) -> None:
    inside.pod("done", "busybox", "true", restartPolicy="Never")
    with open_exec(server, "command=ls&stdout=true", path=POD.replace("client", "done")) as connection:
        status = json.loads(rest(connection)[3])
    assert status["reason"] == "InternalError" and "unable to upgrade connection" in status["message"]


def test_while_time_stands_still_a_command_that_waits_says_so(server: Server, inside) -> None:
    inside.plane.set_pace(Pace())
    with open_exec(server, "command=sleep&command=5&stdout=true") as connection:
        status = json.loads(rest(connection)[3])
    assert status["message"].endswith("`sleep 5` waits 5 s, and the built-in cluster's clock is paused")


def test_a_client_that_goes_leaves_nothing_behind(server: Server, inside) -> None:
    with open_exec(server, "command=sleep&command=infinity&stdout=true") as connection:
        connection.recv(timeout=5)
    assert inside.run("hostname").ok
    server.stop()


def test_a_web_page_and_a_stranger_are_refused(server: Server) -> None:
    with pytest.raises(InvalidStatus) as caught:
        open_exec(server, "command=true", origin=Origin("http://localhost:8888"))
    assert caught.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as caught:
        connect(f"ws://127.0.0.1:{server.port}{POD}/exec?command=true", subprotocols=[Subprotocol(V5)])
    assert caught.value.response.status_code == 401


@pytest.mark.parametrize("subresource", ["portforward", "attach"])
def test_what_cannot_be_served_says_why(server: Server, subresource: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{server.url}{POD}/{subresource}", method="POST"), timeout=5)
    status = json.loads(caught.value.read())
    assert (status["code"], status["reason"]) == (501, "NotImplemented")
    assert "built-in cluster cannot" in status["message"]


def test_spdy_is_told_to_use_websocket(server: Server) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    request = urllib.request.Request(f"{server.url}{POD}/exec?command=ls", method="POST", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    assert "speaks exec over WebSocket alone" in json.loads(caught.value.read())["message"]


# -- the official client ----------------------------------------------------------------------------------------------


@pytest.fixture
def core(server: Server) -> CoreV1Api:
    configuration = Configuration()
    configuration.host = server.url
    return CoreV1Api(ApiClient(configuration))


def test_the_official_client_reads_output_and_exit_code(core: CoreV1Api) -> None:
    given = {"stdin": False, "stdout": True, "stderr": True, "tty": False}
    execute = core.connect_get_namespaced_pod_exec
    assert stream(execute, "client", "default", command=["hostname"], **given) == "client\n"
    session = stream(execute, "client", "default", command=["sh", "-c", "exit 3"], _preload_content=False, **given)
    session.run_forever(timeout=5)
    assert session.returncode == 3


def test_the_official_client_is_told_what_is_not_there(core: CoreV1Api) -> None:
    with pytest.raises(ApiException) as caught:
        stream(core.connect_get_namespaced_pod_exec, "nosuch", "default", command=["ls"], stdout=True)
    assert "404" in str(caught.value)


def test_the_official_client_follows_a_log(core: CoreV1Api, inside) -> None:
    [pod] = inside.web(1)
    text = core.read_namespaced_pod_log(pod, "default", tail_lines=1)
    assert text.endswith("start worker processes\n")
