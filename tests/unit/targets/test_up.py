"""``epkit up``, ``epkit down`` and ``epkit targets``, on a cluster of somebody's."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from epkit import cli, cluster
from epkit.client import Answer
from epkit.cluster import Cluster
from epkit.errors import EpkitError
from epkit.targets import learner as learners
from epkit.targets import live, table
from epkit.targets.base import POWERS
from epkit.targets.http import HttpTransport

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def kubeconfig(server: Cluster, tmp_path: Path) -> Path:
    """Two contexts of one cluster; one is named as production is."""
    document = yaml.safe_load(server.kubeconfig.read_text())
    there = document["contexts"][0]
    document["contexts"] = [{**there, "name": name} for name in ("epkit", "acme-prod-eu")]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture
def run(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs epkit on that kubeconfig; its status, and all that it printed."""

    def ran(command: str) -> tuple[int, str]:
        code = cli.main([*command.split(), "--kubeconfig", str(kubeconfig)])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return ran


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What will be typed, in order; an error is raised."""
    typed: list[Any] = []

    def answer(prompt: str) -> str:
        print(prompt)
        said = typed.pop(0)
        if isinstance(said, BaseException):
            raise said
        return str(said)

    monkeypatch.setattr(builtins, "input", answer)
    return typed


def namespaces(server: Cluster) -> set[str]:
    return {one["metadata"]["name"] for one in server.client.list("namespaces")}


# -- asking ------------------------------------------------------------------------------------------------------------


def test_it_shows_what_it_will_do_and_asks_once(
    run: Run, answers: list[Any], server: Cluster, kubeconfig: Path
) -> None:
    before, file = namespaces(server), kubeconfig.read_bytes()
    answers += ["y"]
    code, shown = run("up --target context:epkit")
    assert code == 0
    assert re.search(r"^Cluster: +http://127\.0\.0\.1:\d+/\S+ \(context epkit\)$", shown, re.MULTILINE)
    assert re.search(r"^You are: +\S+$", shown, re.MULTILINE)
    assert re.search(r"^Server: +Kubernetes v1\.36\.2$", shown, re.MULTILINE)
    number = learners.read().id
    assert f"namespaces epkit-ann-<chapter>, labelled epkit/learner={number}" in shown
    assert "ResourceQuota (pods 100, " in shown and "epkit down --target context:epkit" in shown
    assert "enough for all eight chapters" in shown and "Go on? [y/N]" in shown
    assert f"export KUBECONFIG={kubeconfig}\nexport EPKIT_TARGET=context:epkit\n" in shown
    assert namespaces(server) - before == {"epkit-ann-0"}
    code, shown = run("up --target context:epkit")  # nothing is left to answer: who is asked again fails
    assert code == 0 and "epkit may write there already, in the namespaces epkit-ann-0…" in shown
    assert kubeconfig.read_bytes() == file


@pytest.mark.parametrize("said", ["n", "", "yes please", "nope", EOFError(), RuntimeError("raw_input was called")])
def test_without_a_yes_nothing_is_made(run: Run, answers: list[Any], server: Cluster, home: Path, said: Any) -> None:
    before = server._plane.store.version
    answers += [said]
    code, shown = run("up --target context:epkit")
    assert code == 2
    if isinstance(said, str):
        assert "Nothing was created. The cluster can still be looked at." in shown
    else:
        assert (
            "nobody can be asked here. Run `epkit up --target context:epkit` in a terminal, or set EPKIT_YES=1" in shown
        )
    assert server._plane.store.version == before and not home.exists()


@pytest.mark.parametrize("said", ["y", "yes", "acme", "epkit"])
def test_for_production_the_contexts_name_is_to_be_typed(
    run: Run, answers: list[Any], server: Cluster, said: str
) -> None:
    before = server._plane.store.version
    answers += [said, "acme-prod-eu"]
    code, shown = run("up --target context:acme-prod-eu")
    assert code == 2 and "Type the context's name, acme-prod-eu, to go on: " in shown
    assert server._plane.store.version == before
    assert run("up --target context:acme-prod-eu")[0] == 0


@pytest.mark.parametrize("way", ["--yes", "EPKIT_YES"])
def test_a_yes_beforehand_shows_what_is_done_and_asks_nothing(
    run: Run, answers: list[Any], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "EPKIT_YES":
        monkeypatch.setenv("EPKIT_YES", "1")
    code, shown = run("up --target context:acme-prod-eu" + (" --yes" if way == "--yes" else ""))
    assert (
        code == 0 and "Creates:     namespaces epkit-ann-<chapter>" in shown and "Ready: context acme-prod-eu" in shown
    )


@pytest.mark.parametrize(
    ("name", "careful"),
    [("prod", True), ("PROD", True), ("eks-production-1", True), ("prod2", True), ("acmeprod", True), ("live", True),
     ("eu-prd", True), ("kind-dev", False), ("staging", False), ("oliver", False), ("delivery", False)],
)  # fmt: skip
def test_names_of_production(server: Cluster, kubeconfig: Path, tmp_path: Path, name: str, careful: bool) -> None:
    from epkit.targets.context import Context

    document = yaml.safe_load(kubeconfig.read_text())
    document["contexts"][0]["name"] = name
    file = tmp_path / "named"
    file.write_text(yaml.safe_dump(document))
    context = Context(name, {"kubeconfig": str(file)})
    try:
        assert context.like_production is careful
    finally:
        context.close()


# -- the end -----------------------------------------------------------------------------------------------------------


def test_down_removes_what_it_made_and_nothing_else(
    run: Run, server: Cluster, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    before = namespaces(server)
    configmaps = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in server.client.list("configmaps")}
    run("up --target context:epkit --yes")
    monkeypatch.setenv("EPKIT_HOME", str(home.with_name("bobs")))
    assert "namespaces epkit-ann-" in run("up --target context:epkit --yes")[1], "another ann"
    monkeypatch.setenv("EPKIT_HOME", str(home))
    (theirs,) = namespaces(server) - before - {"epkit-ann-0"}
    assert re.fullmatch(r"epkit-ann-[0-9a-f]{4}-0", theirs)
    assert run("down --target context:epkit") == (0, "Removed: epkit-ann-0\n")
    assert namespaces(server) - before == {theirs}
    there = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in server.client.list("configmaps")}
    assert configmaps <= there
    assert run("down --target context:epkit") == (0, "There was nothing to remove.\n")
    assert learners.read().clusters == {}, "the next use asks again"


def test_down_opens_nothing_on_the_way(run: Run, server: Cluster, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPKIT_YES", "1")
    before = server._plane.store.version
    assert run("down --target context:epkit") == (0, "There was nothing to remove.\n")
    assert server._plane.store.version == before and not home.exists()


def test_down_goes_on_where_a_deletion_has_begun(run: Run, server: Cluster) -> None:
    run("up --target context:epkit --yes")
    server.kubectl("run web --image=nginx -n epkit-ann-0")
    server.client.delete("namespaces", "epkit-ann-0")
    assert run("down --target context:epkit")[0] == 0
    assert "epkit-ann-0" not in namespaces(server)


def test_a_namespace_that_does_not_go_is_told(run: Run, server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "GOING", 0.3)
    run("up --target context:epkit --yes")
    about = {"name": "held", "finalizers": ["example.org/held"]}
    server.client.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about}, "epkit-ann-0")
    code, shown = run("down --target context:epkit")
    assert code == 2 and "The namespaces epkit-ann-0 do not go: look at `kubectl get namespace epkit-ann-0" in shown


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("up --target moon", "There is no target 'moon'. Choose one of fake, controlplane, kind or context:NAME."),
        ("up --target fake:x", "There is no target 'fake:x'."),
        ("down --target moon", "There is no target 'moon'."),
        ("down", "Say what to take down: --target kind or --target context:NAME."),
        ("down --target fake", "Say what to take down"),
        ("down --target controlplane", "end with their kernel, or with Ctrl-C"),
        ("up --target context:absent", "The kubeconfig has no context absent. There are: acme-prod-eu, epkit."),
    ],
)
def test_what_cannot_be_is_one_sentence(run: Run, command: str, why: str) -> None:
    code, shown = run(command)
    assert code == 2 and why in shown and "Traceback" not in shown


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            Answer(200, {"gitVersion": "v1.28.15"}),
            "runs Kubernetes v1.28.15; the course needs 1.29 or newer, since older",
        ),
        (Answer(200, {"gitVersion": "v1.9.0"}), "runs Kubernetes v1.9.0"),
        (Answer(200, {}), "runs Kubernetes ?"),
        (
            Answer(401, {"message": "Unauthorized"}),
            "does not say its version: Unauthorized. See that `kubectl version`",
        ),
    ],
)
def test_old_servers_are_refused_with_the_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch, answer: Answer, why: str
) -> None:
    plain = HttpTransport.send

    def send(self: HttpTransport, method: str, path: str, *how: Any, **more: Any) -> Answer:
        return answer if path == "/version" else plain(self, method, path, *how, **more)

    monkeypatch.setattr(HttpTransport, "send", send)
    code, shown = run("up --target context:epkit --yes")
    assert code == 2 and why in shown


@pytest.mark.parametrize("version", ["v1.29.0", "v1.31.4-gke.1256000", "v1.34.1+k3s1", "v1.36.2"])
def test_newer_ones_are_not(run: Run, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    plain = HttpTransport.send

    def send(self: HttpTransport, method: str, path: str, *how: Any, **more: Any) -> Answer:
        return Answer(200, {"gitVersion": version}) if path == "/version" else plain(self, method, path, *how, **more)

    monkeypatch.setattr(HttpTransport, "send", send)
    assert run("up --target context:epkit --yes")[0] == 0


def test_a_dead_server_is_told(run: Run, server: Cluster) -> None:
    server.close()
    code, shown = run("up --target context:epkit --yes")
    assert code == 2 and "does not answer" in shown and "See that it runs, and that kubectl reaches it." in shown


# -- which target ------------------------------------------------------------------------------------------------------


def test_the_environment_names_the_target(
    run: Run, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, server: Cluster
) -> None:
    monkeypatch.setenv("EPKIT_TARGET", "context:epkit")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert run("up --yes")[0] == 0
    cluster.disconnect()
    with cluster.connect() as connected:
        assert connected.called == "context:epkit" and "namespaces epkit-ann-0" in repr(connected)
        assert cluster.connect() is connected is cluster.connect("context:epkit")
        with pytest.raises(EpkitError, match="This kernel is connected to context:epkit already. Call cluster.close"):
            cluster.connect("fake")
    with cluster.connect("fake") as built_in:
        assert "built-in" in repr(built_in), "what is said goes before the environment"
    assert run("down")[1] == "Removed: epkit-ann-0\n"


@pytest.mark.parametrize("target", ["moon", "fake:x", "kind:x"])
def test_an_unknown_target_is_told(target: str) -> None:
    with pytest.raises(EpkitError, match="There are: fake, controlplane, kind and context:NAME"):
        table.open_target(target, {})


def test_the_table_tells_every_power_of_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["targets"]) == 0
    shown = capsys.readouterr().out
    header = next(line for line in shown.splitlines() if line.split() == list(table.TARGETS))
    starts = [header.index(name) for name in table.TARGETS]
    for power, text in table.ROWS.items():
        line = next(line for line in shown.splitlines() if line.startswith(text))
        told = [line[start:].split()[0] for start in starts]
        assert told == ["yes" if power in table.class_of(name).powers else "no" for name in table.TARGETS]
    assert set(table.ROWS) == set(POWERS)
    assert all(len(values) == len(table.TARGETS) for values in table.FACTS.values())
    assert max(map(len, shown.splitlines())) <= 120
