"""Safety on somebody's cluster, by a proxy before it that writes every request down."""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from auditing_proxy import AuditingProxy, Request

from epkit import cluster as clusters
from epkit.checks import engine
from epkit.checks.model import chapters
from epkit.cluster import Cluster
from epkit.errors import EpkitError
from epkit.targets import settling
from epkit.targets.context import Context
from epkit.targets.own import LEARNER
from epkit.targets.permissions import CHAPTERS, Right, rights_of

#: what is tried, and may be refused: bounds, waiting for an account, and pods that are hurried along
TRIED = {("create", "limitranges"), ("create", "resourcequotas"), ("list", "serviceaccounts"),
         ("watch", "serviceaccounts"), ("deletecollection", "pods"), ("deletecollection", "deployments.apps"),
         ("deletecollection", "replicasets.apps")}  # fmt: skip


@pytest.fixture
def proxy(server: Cluster, tmp_path: Path) -> Iterator[AuditingProxy]:
    with AuditingProxy(server.kubeconfig, tmp_path / "before") as proxy:
        yield proxy


@pytest.fixture
def open_one(home: Path) -> Iterator[Callable[..., Cluster]]:
    """Connects through a proxy."""
    with contextlib.ExitStack() as stack:

        def opened(proxy: AuditingProxy, context: str = "epkit", **options: Any) -> Cluster:
            options = {"kubeconfig": str(proxy.kubeconfig), **options}
            cluster = stack.enter_context(Cluster(options, Context(context, options)))
            cluster.called = f"context:{context}"
            clusters._current = cluster
            return cluster

        yield opened
    clusters._current = None


def assert_inside(requests: list[Request], prefix: str) -> None:
    """Every write is in a namespace of the learner's, or makes or deletes one."""
    for one in requests:
        if one.parts == ["namespaces"]:
            about = json.loads(one.body)["metadata"]
            assert one.method == "POST" and about["name"].startswith(prefix) and LEARNER in about["labels"], one
        elif one.inside:
            assert one.namespace.startswith(prefix), one
        else:
            assert one.method == "DELETE" and one.resource == "namespaces" and one.name.startswith(prefix), one


# -- what chapters write, and with which rights ------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_all_that_a_chapter_writes_is_inside(
    chapter: str, proxy: AuditingProxy, open_one: Callable[..., Cluster], server: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("EPKIT_MODE", "solve")
    monkeypatch.setattr(settling, "UNREADY", 0.1)
    learner = open_one(proxy, yes=True)
    before = foreign(server)
    engine.start(chapter)
    for exercise in chapters()[chapter].exercises:
        if exercise.late:
            engine.again(exercise.id)
        card = engine.check(exercise.id)
        assert card.sign in "✔○", card
    assert_inside(proxy.writes, "epkit-ann-")
    assert len(proxy.writes) > 10 and foreign(server) == before
    used = {(one.verb, one.resource) for one in proxy.requests if one.inside and one.namespace.startswith("epkit-ann-")}
    used |= {(one.verb, one.resource) for one in proxy.writes if not one.inside}
    known = {(right.verb, right.resource) for right in rights_of(chapter)}
    assert used - TRIED <= known, "rights that the chapter uses and does not ask for"
    learner.target.down()  # type: ignore[attr-defined]
    assert_inside(proxy.writes, "epkit-ann-")
    assert not [one for one in server.client.list("namespaces") if LEARNER in (one["metadata"].get("labels") or {})]


def foreign(server: Cluster) -> dict[str, str]:
    """The versions of what belongs to others and changes for nobody but them."""
    found = {}
    for resource in ("namespaces", "nodes", "configmaps", "services"):
        for one in server.client.list(resource):
            about = one["metadata"]
            mine = "epkit-ann-" in about.get("namespace", about["name"])
            if not mine:
                found[f"{resource}/{about.get('namespace', '')}/{about['name']}"] = json.dumps(
                    {**one, "metadata": {key: about[key] for key in ("uid", "labels", "annotations") if key in about},
                     "status": None}
                )  # fmt: skip
    return found


def test_the_rights_that_are_asked_for_are_used() -> None:
    """A right that no chapter needs would keep people out for nothing."""
    assert Right("patch", "deployments.apps/scale") in rights_of("2")
    assert all(right.verb != "deletecollection" for chapter in CHAPTERS for right in rights_of(chapter))


# -- production --------------------------------------------------------------------------------------------------------


def test_production_is_only_read_until_it_is_confirmed(
    server: Cluster, tmp_path: Path, open_one: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.kubectl("create deployment web --image=nginx -n shop")
    server.kubectl("expose deployment web --port=80 -n shop")
    said: list[str] = []
    monkeypatch.setattr(builtins, "input", lambda prompt: said.pop(0))
    with AuditingProxy(server.kubeconfig, tmp_path / "prod", context="prod-eu") as proxy:
        looking = open_one(proxy, "prod-eu")
        pod = server.client.list("pods", "shop").items[0]["metadata"]["name"]
        assert "endpoint" in looking.show("shop/svc/web").sentence
        looking.why("shop/svc/web")
        looking.kubectl("get pods -A")
        looking.kubectl("auth can-i create pods")
        for command in ("delete pod --all -n shop", "create namespace ex-4-1",
                        f"label pod {pod} a=b -n shop", "scale deployment web --replicas=0 -n shop",
                        "cordon node-1", "drain node-1", "apply -f -", "delete namespace shop"):  # fmt: skip
            done = looking.kubectl(
                command, stdin='{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}'
            )
            assert done.returncode != 0, command
        for run in (
            lambda: looking.exec(pod, "hostname", namespace="shop"),
            lambda: looking.kubectl(f"exec {pod} -n shop -- hostname"),
        ):
            with pytest.raises(EpkitError, match="looks like production, and epkit has no yes for it"):
                run()
        with pytest.raises(EpkitError, match="looks like production"):
            looking.request("http://web", from_pod=pod, namespace="shop")
        with pytest.raises(EpkitError, match="Nothing was created"):
            said.append("y")
            engine.start("4")
        assert proxy.writes == []
        said.append("prod-eu")
        engine.start("4")
        assert proxy.writes
        assert_inside(proxy.writes, "epkit-ann-")


# -- two learners ------------------------------------------------------------------------------------------------------


def test_two_learners_of_one_name_do_not_meet(
    server: Cluster, tmp_path: Path, open_one: Callable[..., Cluster], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are ann, on two machines, and begin at the same time."""
    anns = []
    with contextlib.ExitStack() as stack:
        for number in range(2):
            proxy = stack.enter_context(AuditingProxy(server.kubeconfig, tmp_path / f"kubeconfig-{number}"))
            monkeypatch.setenv("EPKIT_HOME", str(tmp_path / f"home-{number}"))
            anns.append((proxy, open_one(proxy, yes=False)))
        begin = threading.Barrier(2)
        monkeypatch.setattr(Context, "_free_name", lambda self: (begin.wait(5), "ann")[1])  # neither sees the other
        # A learner's file is named by the environment, which threads share: each says the yes by itself.
        monkeypatch.setattr("epkit.targets.learner.Learner.keep", lambda self: None)
        monkeypatch.setattr("epkit.targets.learner.Learner.confirm", lambda self, *_: None)
        threads = [threading.Thread(target=one.target.confirm, kwargs={"yes": True}) for _, one in anns]  # type: ignore[attr-defined]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        spaces = []
        for proxy, ann in anns:
            clusters._current = ann
            engine.start("4")
            ann.kubectl("create configmap mine")
            made = {json.loads(one.body)["metadata"]["name"] for one in proxy.requests
                    if one.method == "POST" and one.parts == ["namespaces"]}  # fmt: skip
            spaces.append({name for name in made if ann.target.own.holds(name)})  # type: ignore[attr-defined]
            touched = {one.namespace for one in proxy.writes if one.inside}
            assert touched <= spaces[-1]
        first, second = spaces
        assert first and second and not first & second
        anns[0][1].target.down()  # type: ignore[attr-defined]
        there = {one["metadata"]["name"] for one in server.client.list("namespaces")}
        assert second <= there and not first & there
        assert anns[1][1].kubectl("get configmap mine -o name").text == "configmap/mine\n"


# -- a chapter that is begun again -------------------------------------------------------------------------------------


def test_start_twice_is_start_anew(proxy: AuditingProxy, open_one: Callable[..., Cluster]) -> None:
    learner = open_one(proxy, yes=True)
    engine.start("4")
    learner.kubectl("create configmap leftover")
    learner.kubectl("create namespace elsewhere")
    engine.start("4")
    assert learner.client.find("configmaps", "leftover", "epkit-ann-4") is None
    assert learner.client.find("namespaces", "epkit-ann-4-elsewhere") is None
    assert learner.client.find("namespaces", "epkit-ann-4-1") is not None
    assert_inside(proxy.writes, "epkit-ann-")


def test_start_from_what_is_half_deleted(
    proxy: AuditingProxy, open_one: Callable[..., Cluster], server: Cluster
) -> None:
    """A namespace is still going when the chapter begins: it is waited for."""
    learner = open_one(proxy, yes=True)
    engine.start("4")
    about = {"name": "held", "finalizers": ["example.org/held"]}
    server.client.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about}, "epkit-ann-4-1")
    server.client.delete("namespaces", "epkit-ann-4-1")
    uid = server.client.get("namespaces", "epkit-ann-4-1")["metadata"]["uid"]

    def let_go() -> None:
        held = server.client.get("configmaps", "held", "epkit-ann-4-1")
        server.client.update("configmaps", {**held, "metadata": {**held["metadata"], "finalizers": []}})
        server.sleep(60)

    timer = threading.Timer(0.5, let_go)
    timer.start()
    engine.start("4")
    timer.join()
    anew = learner.client.get("namespaces", "epkit-ann-4-1")["metadata"]
    assert anew["uid"] != uid and "deletionTimestamp" not in anew


def test_a_namespace_that_the_learner_deleted_comes_back(
    proxy: AuditingProxy, open_one: Callable[..., Cluster], server: Cluster
) -> None:
    learner = open_one(proxy, yes=True)
    engine.start("4")
    assert learner.kubectl("delete namespace ex-4-1").returncode == 0
    assert "is not there: it was deleted" in engine.check("4.1").text
    assert engine.again("4.1").sign == "↺"
    assert learner.client.find("services", "billing", "epkit-ann-4-1") is not None
    server.kubectl("delete namespace epkit-ann-4")  # in a terminal
    engine.start("4")
    assert learner.kubectl("get deployments").returncode == 0 and learner.namespace == "epkit-ann-4"


def test_a_new_kernel_goes_on_where_the_old_one_was(
    proxy: AuditingProxy, open_one: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_one(proxy, yes=True)
    engine.start("4")
    first.kubectl("create namespace elsewhere")
    first.close()
    monkeypatch.setattr(builtins, "input", lambda prompt: pytest.fail("it has been asked already"))
    second = open_one(proxy)
    second.target.own.enter("4")  # type: ignore[attr-defined]
    assert second.target.real("elsewhere") == "epkit-ann-4-elsewhere"
    engine.start("4")
    assert second.client.find("namespaces", "epkit-ann-4-elsewhere") is None
    assert second.target.down() == ["epkit-ann-0", *(f"epkit-ann-4{end}" for end in ("", "-1", "-2", "-3"))]  # type: ignore[attr-defined]


# -- threads, restricted rights, and a server that dies ----------------------------------------------------------------


def test_closing_leaves_no_thread_and_no_connection(proxy: AuditingProxy, open_one: Callable[..., Cluster]) -> None:
    learner = open_one(proxy, yes=True)
    assert [
        thread for thread in threading.enumerate() if thread.name.startswith("epkit-") and "server" not in thread.name
    ]
    learner.close()
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("epkit-")]
    assert set(left) <= {"epkit-server"}


def test_a_server_that_dies_is_told_in_a_sentence(proxy: AuditingProxy, open_one: Callable[..., Cluster]) -> None:
    learner = open_one(proxy, yes=True)
    engine.start("4")
    proxy.cut()
    for act in (
        lambda: engine.start("4"),
        lambda: learner.kubectl("get pods"),
        lambda: learner.client.list("pods", learner.namespace),
        lambda: learner.exec("web", "hostname"),
        lambda: learner.request("http://web"),
    ):
        with pytest.raises(EpkitError, match="does not answer"):
            act()
    learner.settle()  # and ends
    assert learner.events("deployments"), "what was heard until then is kept"


def test_the_users_kubeconfig_is_only_read(
    proxy: AuditingProxy, open_one: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = proxy.kubeconfig.read_bytes(), os.stat(proxy.kubeconfig).st_mtime_ns
    learner = open_one(proxy, yes=True)
    engine.start("4")
    learner.kubectl("config use-context other")
    learner.kubectl("config set-context --current --namespace=shop")
    with pytest.raises(EpkitError, match="hands no kubeconfig"):
        _ = learner.kubeconfig
    assert (proxy.kubeconfig.read_bytes(), os.stat(proxy.kubeconfig).st_mtime_ns) == before
