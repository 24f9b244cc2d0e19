"""The way to a cluster over HTTP: which one a kubeconfig means, and what may come in place of an API's answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from epkit.errors import EpkitError
from epkit.targets.http import HttpTransport


def written(file: Path, current: str, **servers: str) -> Path:
    """A kubeconfig with a context for each server; a namespace stands after a bar."""
    document = {
        "clusters": [{"name": name, "cluster": {"server": url.partition("|")[0]}} for name, url in servers.items()],
        "users": [{"name": "me", "user": {}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": "me", "namespace": url.partition("|")[2]}}
            for name, url in servers.items()
        ],
        "current-context": current,
    }
    file.write_text(yaml.safe_dump(document))
    return file


def test_the_current_context_is_the_first_files(tmp_path: Path) -> None:
    """As for kubectl. The official client would take the last one's, which is another cluster."""
    first = written(tmp_path / "a", "a", a="http://a|shop", both="http://first")
    second = written(tmp_path / "b", "b", b="http://b", both="http://second")
    files = os.pathsep.join([str(tmp_path / "absent"), str(first), "", str(second)])
    chosen = HttpTransport.from_kubeconfig(files)
    assert (chosen.server, chosen.namespace) == ("http://a", "shop")
    assert HttpTransport.from_kubeconfig(files, "b").server == "http://b"
    assert HttpTransport.from_kubeconfig(files, "both").server == "http://first"
    empty = written(tmp_path / "c", "", c="http://c")
    assert HttpTransport.from_kubeconfig(os.pathsep.join([str(empty), str(second)])).server == "http://b"


@pytest.mark.parametrize("current", ["", "gone"])
def test_a_named_context_needs_no_current_one(tmp_path: Path, current: str) -> None:
    file = str(written(tmp_path / "a", current, a="http://a"))
    assert HttpTransport.from_kubeconfig(file, "a").server == "http://a"
    with pytest.raises(EpkitError, match="no current context. Name one of: a" if not current else "no context gone"):
        HttpTransport.from_kubeconfig(file)


@pytest.mark.parametrize("text", ["", "a: [", "[]", "contexts: 5", "contexts: [{}]", "contexts:\n- {name: a}\n"])
def test_what_is_no_kubeconfig_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(EpkitError, match="No kubeconfig can be used"):
        HttpTransport.from_kubeconfig(str(file), "a")


# -- answers that are no API's -----------------------------------------------------------------------------------------

Serve = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Serve], HttpTransport]]:
    """A server that answers every GET by a function."""
    servers = []

    def served(answer: Serve) -> HttpTransport:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: Any) -> None:
                """Nothing of it is shown."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        from kubernetes.client import ApiClient, Configuration

        configuration = Configuration()
        configuration.host = f"http://127.0.0.1:{server.server_port}"
        return HttpTransport(ApiClient(configuration))

    yield served
    for server in servers:
        server.shutdown()
        server.server_close()


def answering(code: int, kind: str, body: bytes) -> Serve:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    "body",
    [b"<html>\nLog in\n</html>\n", b"hello\n", b"5\n", b'{"type": "ADDED"}\n', b'{"type": "ADDED", "object": 5}\n'],
)
def test_a_watch_that_is_none_is_told(serve: Callable[[Serve], HttpTransport], body: bytes) -> None:
    transport = serve(answering(200, "text/plain", body))
    with pytest.raises(EpkitError, match="no Kubernetes API, or the answer broke off"):
        list(transport.watch("/api/v1/pods", {}))


def test_a_refused_watch_is_an_error_event(serve: Callable[[Serve], HttpTransport]) -> None:
    events = list(serve(answering(403, "text/plain", b"no")).watch("/api/v1/pods", {}))
    assert events == [{"type": "ERROR", "object": "no"}]


def test_a_watch_that_breaks_off_is_told(serve: Callable[[Serve], HttpTransport]) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b'2d\r\n{"type": "ADDED", "object": {}}\n{"type": "DEL\r\n')

    found = []
    with pytest.raises(EpkitError, match="does not answer"):
        for event in serve(answer).watch("/api/v1/pods", {}):
            found.append(event)
    assert found == [{"type": "ADDED", "object": {}}]


def test_a_watch_is_ended_from_outside(serve: Callable[[Serve], HttpTransport]) -> None:
    asked, end = threading.Event(), threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.flush()
        asked.set()
        end.wait(10)

    transport = serve(answer)
    ended = threading.Event()

    def listen() -> None:
        try:
            list(transport.watch("/api/v1/pods", {}))
        except EpkitError:
            pass  # so it ends
        ended.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert asked.wait(5)
    while not ended.wait(0.02):  # it may not have begun to read
        transport.end_watches()
        assert thread.is_alive() or ended.is_set()
    end.set()
    transport.end_watches()  # when there is none it does nothing
