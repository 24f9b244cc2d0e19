"""Running commands: what stands around the built-in subset."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from epkit.client import Answer
from epkit.errors import EpkitError
from epkit.fake.pace import Pace
from epkit.fake.plane import Plane, default_nodes
from epkit.fake.transports import InProcess
from epkit.kubectl import binary, magic, run


@pytest.fixture(autouse=True)
def _built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPKIT_KUBECTL", "builtin")


@pytest.fixture
def plane() -> Plane:
    return Plane(default_nodes(3))


def _cluster(plane: Plane) -> Any:
    return SimpleNamespace(
        transport=InProcess(plane, "kubectl"), now=plane.clock.now, paused=plane.pace.name == "paused"
    )


def test_a_line_or_words_with_or_without_kubectl(plane: Plane) -> None:
    cluster = _cluster(plane)
    first = run("kubectl get svc kubernetes -o jsonpath='{.metadata.name}'", cluster)
    assert (first.returncode, first.stdout) == (0, "kubernetes")
    assert run(["get", "svc", "kubernetes", "-o", "jsonpath={.metadata.name}"], cluster).stdout == "kubernetes"
    assert run("get 'svc", cluster).stderr.startswith("error: the command cannot be read: ")


def test_the_clusters_namespace_counts_unless_the_command_names_one(plane: Plane) -> None:
    cluster = _cluster(plane)
    assert run("get deploy -o name", cluster, namespace="kube-system").stdout == "deployment.apps/coredns\n"
    assert run("get svc -n default -o name", cluster, namespace="kube-system").stdout == "service/kubernetes\n"


def test_text_is_warnings_then_output_then_errors(plane: Plane) -> None:
    done = run("get endpoints kubernetes absent", _cluster(plane))
    lines = done.text.splitlines()
    assert lines[0].startswith("Warning: v1 Endpoints is deprecated")
    assert lines[1].split() == ["NAME", "ENDPOINTS", "AGE"]
    assert lines[-1] == 'Error from server (NotFound): endpoints "absent" not found'
    assert done.returncode == 1


def test_an_assignment_in_front_is_the_editor(plane: Plane) -> None:
    cluster = _cluster(plane)
    run("create service clusterip web --tcp=80:8080", cluster)
    done = run('KUBE_EDITOR="sed -i s/8080/9090/" edit service web', cluster)
    assert (done.returncode, done.stdout) == (0, "service/web edited\n")
    assert run("get svc web -o jsonpath={.spec.ports[0].targetPort}", cluster).stdout == "9090"


def test_a_function_can_be_the_editor(plane: Plane) -> None:
    cluster = _cluster(plane)
    run("create service clusterip web --tcp=80:8080", cluster)
    seen: list[str] = []

    def editor(text: str) -> str:
        seen.append(text)
        return text.replace("protocol: TCP", "protocol: XTP") if len(seen) == 1 else text

    done = run("edit service web", cluster, editor=editor)
    assert done.returncode == 1
    assert done.stderr.startswith('error: services "web" is invalid\n')
    assert seen[0].startswith("# Please edit the object below.")
    assert '# services "web" was not valid:\n# * spec.ports[0].protocol: Unsupported value: "XTP"' in seen[1]
    assert run("edit service web", cluster, editor=lambda text: text).stderr == "Edit cancelled, no changes made.\n"


def test_an_editor_that_never_gets_it_right_is_left(plane: Plane) -> None:
    cluster = _cluster(plane)
    run("create service clusterip web --tcp=80:8080", cluster)
    done = run("edit service web", cluster, editor=lambda text: text.replace("protocol: ", "protocol: X"))
    assert "still not valid after 10 tries" in done.stderr


def test_without_an_editor_it_says_how_to_name_one(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("KUBE_EDITOR", raising=False)
    assert "set KUBE_EDITOR" in run("edit service kubernetes", _cluster(plane)).stderr


def test_watch_is_sent_to_the_block(plane: Plane) -> None:
    assert "cluster.watching" in run("get pods -w", _cluster(plane)).stderr


@pytest.mark.parametrize(
    ("line", "waited_for"),
    [
        ("rollout status deployment/web", "deployment.apps/web to be rolled out"),
        ("wait --for=condition=Available deployment/web", "deployment.apps/web: --for=condition=Available"),
        ("delete service held", "service/held to be gone"),
    ],
)
def test_a_command_that_would_wait_on_a_paused_clock_says_so_at_once(
    plane: Plane, line: str, waited_for: str
) -> None:
    cluster = _cluster(plane)
    run("create service clusterip held --tcp=80", cluster)
    run("""patch service held -p '{"metadata":{"finalizers":["example.com/hold"]}}'""", cluster)
    plane.set_pace(Pace())
    cluster.paused = True
    run("create deployment web --image=nginx", cluster)
    done = run(line, cluster)
    assert done.returncode == 1
    assert f"would wait for {waited_for}, but the clock is paused" in done.stderr


def test_waiting_ends_when_nothing_more_will_come(plane: Plane) -> None:
    cluster = _cluster(plane)
    run("create deployment web --image=nginx --replicas=400", cluster)
    done = run("rollout status deployment/web", cluster)
    assert done.returncode == 1
    assert done.stdout.startswith('Waiting for deployment "web" rollout to finish: ')
    assert "was waiting for deployment.apps/web to be rolled out" in done.stderr
    assert run("wait --for=condition=Ready=false node/node-1 --timeout=1s", cluster).stderr == (
        "error: timed out waiting for the condition on nodes/node-1\n"
    )


def test_exec_needs_a_way_to_the_container(plane: Plane) -> None:
    transport = InProcess(plane, "kubectl")
    run("run web --image=nginx", transport)
    assert "not in the built-in subset" in run("exec web -- ls", transport).stderr

    class Executing(InProcess):
        def exec(self, *at: str, **_: str) -> tuple[str, str, int]:
            namespace, pod, container, command, stdin = at
            return f"{namespace}/{pod}/{container}: {command}{stdin}\n", "", 3

    done = run("exec web -- ls -l", Executing(plane, "kubectl"))
    assert done.stdout == "default/web/web: ['ls', '-l']\n"
    assert (done.returncode, done.stderr) == (3, "command terminated with exit code 3\n")


def test_a_server_without_aggregated_discovery_will_do(plane: Plane) -> None:
    class Older(InProcess):
        def send(self, method: str, path: str, *args: Any, accept: str = "application/json", **more: Any) -> Answer:
            accept = "application/json" if "apidiscovery" in accept else accept
            return super().send(method, path, *args, accept=accept, **more)

    assert run("get deploy,ep -A -o name", Older(plane, "kubectl")).stdout == (
        "deployment.apps/coredns\nendpoints/kubernetes\nendpoints/kube-dns\n"
    )


def test_a_server_without_tables_gets_names(plane: Plane) -> None:
    class Plain(InProcess):
        def send(self, method: str, path: str, *args: Any, accept: str = "application/json", **more: Any) -> Answer:
            accept = "application/json" if "as=Table" in accept else accept
            return super().send(method, path, *args, accept=accept, **more)

    assert run("get svc", Plain(plane, "kubectl")).stdout.split() == ["NAME", "AGE", "kubernetes", "<unknown>"]


class Broken:
    """A transport to nowhere in particular."""

    def send(self, method: str, path: str, *_: Any, **__: Any) -> Answer:
        return Answer(503, "upstream is away")

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "") -> Iterator[dict[str, Any]]:
        return iter(())


def test_an_answer_that_is_no_status_is_told() -> None:
    assert run("get pods", Broken()).stderr == "Error from server: upstream is away\n"


# -- the real binary -------------------------------------------------------------------------------------------------


def _script(path: Path, version: str, body: str = "") -> str:
    answer = f'{{"clientVersion":{{"major":"1","minor":"{version}"}}}}'
    path.write_text(f"#!/bin/sh\nif [ \"$1\" = version ]; then echo '{answer}'; exit 0; fi\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for kubectl")
def test_which_kubectl_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = _script(tmp_path / "old", "28"), _script(tmp_path / "kubectl", "33+")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert binary.find() is None
    monkeypatch.setenv("EPKIT_KUBECTL", "")
    monkeypatch.delenv("EPKIT_MODE", raising=False)
    assert binary.find() == new
    monkeypatch.setenv("EPKIT_MODE", "ci")
    assert binary.find() is None
    monkeypatch.setenv("EPKIT_KUBECTL", new)
    assert binary.find() == new
    monkeypatch.setenv("EPKIT_KUBECTL", old)
    with pytest.raises(EpkitError, match="is kubectl 1.28; 1.29 or newer is needed"):
        binary.find()
    monkeypatch.setenv("EPKIT_KUBECTL", "/nonexistent")
    with pytest.raises(EpkitError, match="not a kubectl that runs"):
        binary.find()


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for kubectl")
def test_the_real_one_gets_the_kubeconfig_and_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'case "$*" in *slow*) exec sleep 30;; esac; echo "$KUBECONFIG $*"; cat; echo oops >&2; exit 4'
    monkeypatch.setenv("EPKIT_KUBECTL", _script(tmp_path / "kubectl", "33", body))
    cluster = SimpleNamespace(transport=None, kubeconfig=tmp_path / "config", paused=False)
    done = run("apply -f -", cluster, stdin="body\n", namespace="shop")
    assert done.stdout == f"{tmp_path / 'config'} --namespace=shop apply -f -\nbody\n"
    assert (done.returncode, done.stderr) == (4, "oops\n")
    assert "-A" in run("get pods -A", cluster, namespace="shop").stdout
    assert "--namespace" not in run("get pods -A", cluster, namespace="shop").stdout
    assert "was still waiting after 0.2 s" in run("slow", cluster, timeout=0.2).stderr


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for kubectl")
@pytest.mark.parametrize(("powers", "who"), [({"pause"}, "built-in"), (set(), "real")])
def test_a_command_that_reads_the_clock_gets_the_clusters_own(
    plane: Plane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, powers: set[str], who: str
) -> None:
    monkeypatch.setenv("EPKIT_KUBECTL", _script(tmp_path / "kubectl", "33", "echo real"))
    cluster = _cluster(plane)
    cluster.kubeconfig, cluster.target = tmp_path / "config", SimpleNamespace(powers=powers)
    for command in ("events", "describe service kubernetes"):
        assert (run(command, cluster).stdout == "real\n") == (who == "real")
    assert run("get pods", cluster).stdout == "real\n"
    assert run("describe something-unheard-of x", cluster).stdout == ("" if who == "built-in" else "real\n")


# -- the magic -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expanded"),
    [
        ("get svc {name}", "get svc web"),
        ("get svc $name -o jsonpath='{.spec.ports}{\"\\n\"}'", "get svc web -o jsonpath='{.spec.ports}{\"\\n\"}'"),
        ("scale deploy {pods[0]} --replicas={count}", "scale deploy a --replicas=3"),
        ("{range .items[*]}{.metadata.name}{end}", "{range .items[*]}{.metadata.name}{end}"),
        ("{unknown} $unknown $$name", "{unknown} $unknown $name"),
        ('patch svc web -p \'{"spec":{"ports":null}}\'', 'patch svc web -p \'{"spec":{"ports":null}}\''),
    ],
)
def test_variables_in_a_line(line: str, expanded: str) -> None:
    assert magic.expanded(line, {"name": "web", "pods": ["a"], "count": 3, "end": 1, "range": range}) == expanded
