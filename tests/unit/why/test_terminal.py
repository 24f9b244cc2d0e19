"""`epkit why` in a terminal, against `epkit up` in another process and against servers that misbehave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from stage import Stage

from epkit import cli
from epkit.client import Client
from epkit.errors import ApiError, EpkitError
from epkit.targets.http import HttpTransport

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`epkit up` with a Service that works and one that does not."""
    path = tmp_path_factory.mktemp("up") / "kubeconfig"
    env = {key: value for key, value in os.environ.items() if key != "EPKIT_MODE"}
    command = [sys.executable, "-m", "epkit", "up", "--kubeconfig", str(path), "--clock", "instant"]
    server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None and server.stdout.readline().startswith("export KUBECONFIG=")
        client = Client(HttpTransport.from_kubeconfig(str(path)))
        for name, selector in (("web", "web"), ("typo", "wbe")):
            client.create(
                "services",
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": name, "namespace": "default"},
                    "spec": {"selector": {"app": selector}, "ports": [{"port": 80}]},
                },
            )
        client.create(
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "web-1", "namespace": "default", "labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
        )
        yield path
    finally:
        server.terminate()
        server.wait(15)


def epkit(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "epkit", *map(str, words)], cwd=ROOT, env={**os.environ, **env},
                          capture_output=True, text=True, timeout=60)  # fmt: skip


def test_nothing_wrong_is_status_0(kubeconfig: Path) -> None:
    done = epkit("why", "pod/web-1", "svc/web", "--kubeconfig", kubeconfig)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pod/web-1 is a ready endpoint of svc/web" in done.stdout and "Nothing is wrong." in done.stdout


def test_something_found_is_status_1(kubeconfig: Path) -> None:
    done = epkit("why", "svc/typo", KUBECONFIG=str(kubeconfig))
    assert (done.returncode, done.stderr) == (1, "")
    assert "1. broken: SelectorMatchesNothing" in done.stdout
    assert "   check  kubectl get pods -l app=wbe -n default" in done.stdout


def test_json_is_the_whole_answer(kubeconfig: Path) -> None:
    done = epkit("why", "typo", "-o", "json", "--kubeconfig", kubeconfig)
    told = json.loads(done.stdout)
    assert done.returncode == told["exitStatus"] == 1
    assert told["findings"][0]["reason"] == "SelectorMatchesNothing"
    assert told["findings"][0]["check"][0] == f"kubectl --kubeconfig={kubeconfig} get pods -l app=wbe -n default"


def test_no_such_service_is_status_2(kubeconfig: Path) -> None:
    done = epkit("why", "wbe", "--kubeconfig", kubeconfig, "-o", "json")
    assert done.returncode == 2
    assert done.stderr == "epkit: There is no Service wbe in the namespace default. The nearest name is web.\n"
    assert "There is no Service wbe" in json.loads(done.stdout)["error"]


def test_a_namespace_may_be_given(kubeconfig: Path) -> None:
    assert epkit("why", "kube-dns", "-n", "kube-system", "--kubeconfig", kubeconfig).returncode == 0


# -- without a process ---------------------------------------------------------------------------------------------


def run(*words: str) -> int:
    return cli.main(["why", *words])


def test_no_kubeconfig(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("web", "--kubeconfig", str(tmp_path / "none")) == 2
    assert "No kubeconfig can be used" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    ["", "{", "- a", "clusters: 7", "kind: Config\ncurrent-context: a\ncontexts: []\nclusters: []\nusers: []"],
)
def test_a_kubeconfig_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    assert run("web", "--kubeconfig", str(path)) == 2
    error = capsys.readouterr().err
    assert error.startswith("epkit: No kubeconfig can be used") and error.count("\n") == 1


def config(path: Path, url: str, **user: Any) -> str:
    context = {"cluster": "c", "user": "u", "namespace": "shop"}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "contexts": [{"name": "here", "context": context}],
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return str(path)


def test_an_unknown_context_is_refused_with_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("web", "--kubeconfig", config(tmp_path / "config", "http://127.0.0.1:1"), "--context", "there") == 2
    assert "The kubeconfig has no context there. There are: here." in capsys.readouterr().err


def test_a_cluster_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("web", "--kubeconfig", config(tmp_path / "config", "http://127.0.0.1:1")) == 2
    error = capsys.readouterr().err
    assert "The cluster at http://127.0.0.1:1 does not answer" in error and "Connection refused" in error


class Scripted(BaseHTTPRequestHandler):
    """Answers everything alike, and remembers what it was asked."""

    code, body, content_type = 200, b"{}", "application/json"
    seen: list[tuple[str, str, str | None]] = []

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Authorization")))
        self.send_response(self.code)
        self.send_header("Content-Type", self.content_type)
        self.send_header("Warning", '299 - "v1 Endpoints is \\"deprecated\\""')
        self.send_header("Warning", '299 - "another"')
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Scripted], str]]:
    handler: type[Scripted] = type("Handler", (Scripted,), {"seen": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_token_and_the_namespace_of_the_context_are_used(
    scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler, url = scripted
    handler.body = b'{"metadata": {}, "items": []}'
    assert run("web", "--kubeconfig", config(tmp_path / "config", url, token="s3cret")) == 2
    assert "There is no Service web in the namespace shop." in capsys.readouterr().err
    assert handler.seen[0] == ("GET", "/api/v1/namespaces/shop/services", "Bearer s3cret")
    assert {method for method, _, _ in handler.seen} == {"GET"}


def test_the_token_of_an_exec_plugin_is_used(scripted: Any, tmp_path: Path) -> None:
    handler, url = scripted
    credential = json.dumps(
        {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "fresh"}}
    )
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "interactiveMode": "Never",
        "args": ["-c", f"print({credential!r})"],
    }
    path = config(tmp_path / "config", url, exec=plugin)
    before = Path(path).read_text()
    HttpTransport.from_kubeconfig(path).send("GET", "/version")
    assert handler.seen[0][2] == "Bearer fresh"
    assert Path(path).read_text() == before


def test_credentials_that_are_refused(scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler, url = scripted
    handler.code, handler.body = (
        401,
        b'{"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "Unauthorized"}',
    )
    assert run("web", "--kubeconfig", config(tmp_path / "config", url)) == 2
    assert "The cluster does not accept your credentials (401: Unauthorized). Log in again" in capsys.readouterr().err


def test_a_proxy_that_answers_in_its_own_words(
    scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler, url = scripted
    handler.code, handler.body, handler.content_type = 502, b"<html>Bad \x1b[31mGateway</html>", "text/html"
    assert run("web", "--kubeconfig", config(tmp_path / "config", url)) == 2
    assert "<html>Bad \\x1b[31mGateway</html>" in capsys.readouterr().err


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"[]", b'"yes"'])
def test_a_server_that_is_no_api_server(
    scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    handler, url = scripted
    handler.body, handler.content_type = body, "text/html"
    assert run("web", "--kubeconfig", config(tmp_path / "config", url)) == 2
    assert "is no Kubernetes API. See that the kubeconfig names the right server." in capsys.readouterr().err


# -- the transport, which other targets use too --------------------------------------------------------------------


def test_the_transport_carries_every_verb(kubeconfig: Path) -> None:
    client = Client(HttpTransport.from_kubeconfig(str(kubeconfig)))
    made = client.create(
        "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    )
    client.patch("configmaps", "a", {"data": {"k": "v"}}, "default")
    assert client.get("configmaps", "a", "default")["data"] == {"k": "v"}
    version = made["metadata"]["resourceVersion"]
    events = client.watch("configmaps", "default", since=version, fields="metadata.name=a", timeoutSeconds="1")
    assert next(event["object"]["data"] for event in events if event["type"] == "MODIFIED") == {"k": "v"}
    client.delete("configmaps", "a", "default")
    with pytest.raises(ApiError, match='configmaps "a" not found'):
        client.get("configmaps", "a", "default")


def test_warnings_are_handed_on(scripted: Any, tmp_path: Path) -> None:
    answer = HttpTransport.from_kubeconfig(config(tmp_path / "config", scripted[1])).send("GET", "/version")
    assert answer.warnings == ['v1 Endpoints is "deprecated"', "another"]


def test_a_watch_that_is_refused_is_an_error_event(scripted: Any, tmp_path: Path) -> None:
    handler, url = scripted
    handler.code, handler.body = 410, b'{"kind": "Status", "code": 410}'
    transport = HttpTransport.from_kubeconfig(config(tmp_path / "config", url))
    assert list(transport.watch("/api/v1/pods", {})) == [{"type": "ERROR", "object": {"kind": "Status", "code": 410}}]


def test_a_watch_on_nobody_is_told(tmp_path: Path) -> None:
    with pytest.raises(EpkitError, match="does not answer"):
        list(HttpTransport.from_kubeconfig(config(tmp_path / "config", "http://127.0.0.1:1")).watch("/api/v1/pods", {}))


def test_in_a_notebook_the_report_is_its_text() -> None:
    stage = Stage()
    stage.web()
    report = stage.why("svc/web")
    assert not hasattr(report, "_repr_html_") and "2 of 2 endpoints ready" in repr(report)
    stage.close()
