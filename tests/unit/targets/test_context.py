"""A cluster of a kubeconfig: looked at, never changed. The built-in one stands in, over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import epkit
from epkit.client import ObjectList
from epkit.cluster import Cluster
from epkit.targets.context import Context
from epkit.targets.recorder import Recorder, _Followed


@pytest.fixture(scope="module")
def served() -> Iterator[Cluster]:
    with Cluster({}) as cluster:
        for command in (
            "create deployment web --image=registry.k8s.io/serve_hostname --replicas=2",
            "expose deployment web --port=80 --target-port=9376",
            "run client --image=curlimages/curl --command -- sleep infinity",
            "wait --for=condition=Available deployment/web --timeout=30s",
            "wait --for=condition=Ready pod/client --timeout=30s",
        ):
            done = cluster.kubectl(command)
            assert done.returncode == 0, done.text
        yield cluster


@pytest.fixture(scope="module")
def looking(served: Cluster) -> Iterator[Cluster]:
    with Cluster({}, Context("", {"kubeconfig": str(served.kubeconfig)})) as cluster:
        yield cluster


def test_it_says_where_it_is(looking: Cluster) -> None:
    assert "Kubernetes v1.36.2, read-only" in repr(looking)


def test_pictures_and_reasons_read_it_as_any_other(looking: Cluster) -> None:
    assert "2 of 2 endpoints ready" in looking.show("svc/web").sentence
    assert looking.why("svc/web").ok


@pytest.mark.parametrize(
    "command",
    ["delete service web", "scale deployment web --replicas=5", "label service web a=b", "create configmap a"],
)
def test_nothing_is_changed(looking: Cluster, served: Cluster, command: str) -> None:
    before = served._plane.store.version
    done = looking.kubectl(command)
    assert done.returncode == 1
    assert "epkit only looks at the cluster" in done.stderr
    changed = [write for write in served.events("services", "deployments", "configmaps") if write.version > before]
    assert changed == []


def test_what_others_write_is_in_its_story_from_then_on(looking: Cluster, served: Cluster) -> None:
    served.kubectl("annotate service web noticed=yes --overwrite")
    looking.settle()
    writes = looking.events("services", namespace="default")
    assert [(write.type, write.who) for write in writes] == [("MODIFIED", "kubectl-annotate")]
    assert "web" in repr(writes)


def test_the_live_view_follows_it_and_offers_no_clock(looking: Cluster) -> None:
    view = looking.live("svc/web")
    assert repr(view).startswith("Live view of Service web in the namespace default: 1 slice, 2 of 2 endpoints ready")
    view.close()


def test_its_past_can_be_looked_at(looking: Cluster, served: Cluster) -> None:
    served.kubectl("annotate service web noticed=again --overwrite")
    looking.settle()
    story = looking.story
    assert "2 of 2 endpoints ready" in looking.at(story.end).show("svc/web").sentence


def test_requests_are_real_and_counted_by_pod(looking: Cluster) -> None:
    told = looking.request("http://web", from_pod="client", n=6)
    assert told.answered == 6 and sum(told.by_pod.values()) == 6
    assert all(pod.startswith("web-") for pod in told.by_pod)
    refused = looking.request("http://web:81", from_pod="client")
    assert refused.answered == 0


def test_what_it_cannot_do_is_one_sentence(looking: Cluster) -> None:
    for act, words in (
        (looking.step, "cannot be stepped by hand"),
        (looking.pause, "cannot stop or speed up time"),
        (lambda: looking.controller("endpointslice"), "cannot stop, start and slow down"),
        (lambda: looking.request("http://web"), "give from_pod"),
        (lambda: looking.kubeconfig, "hands no kubeconfig"),
    ):
        with pytest.raises(epkit.EpkitError, match=words):
            act()


def test_it_leaves_no_thread_behind(served: Cluster) -> None:
    before = set(threading.enumerate())
    with Cluster({}, Context("", {"kubeconfig": str(served.kubeconfig)})):
        assert len(set(threading.enumerate()) - before) >= 5
    assert set(threading.enumerate()) <= before


def test_a_context_that_is_not_there_is_named(served: Cluster, tmp_path: Path) -> None:
    with pytest.raises(epkit.EpkitError, match="There are: epkit"):
        Context("absent", {"kubeconfig": str(served.kubeconfig)})
    with pytest.raises(epkit.EpkitError, match="No kubeconfig can be used"):
        Context("", {"kubeconfig": str(tmp_path / "absent")})


def test_an_unknown_target_is_refused_with_those_there_are() -> None:
    epkit.cluster.disconnect()
    with pytest.raises(epkit.EpkitError, match="There are: fake, controlplane, kind and context:NAME"):
        epkit.connect("moon")


def test_what_a_refused_watch_has_missed_is_told_after_a_new_list() -> None:
    """A server that forgot the version answers 410: the changes in between are found by listing anew."""

    def pod(name: str, version: str) -> dict[str, object]:
        return {"metadata": {"namespace": "default", "name": name, "resourceVersion": version}}

    class Forgetful:
        def list(self, resource: str, namespace: str | None = None) -> ObjectList:
            return ObjectList([pod("changed", "7"), pod("kept", "2"), pod("new", "8")], "9")

    recorder = Recorder.__new__(Recorder)
    recorder._client, recorder._only, recorder._writes = Forgetful(), lambda namespace: True, []  # type: ignore[assignment]
    recorder._changed, recorder._heard = threading.Condition(), []
    last = {f"default/{name}": pod(name, version) for name, version in (("changed", "1"), ("kept", "2"), ("gone", "3"))}
    assert recorder._catch_up(_Followed("pods", None, last=last)) == "9"
    told = {(write.type, write.name) for write in recorder._writes}
    assert told == {("DELETED", "default/gone"), ("MODIFIED", "default/changed"), ("ADDED", "default/new")}
    assert sorted(last) == ["default/changed", "default/kept", "default/new"]


def test_two_new_kernels_of_one_learner_have_the_same_namespaces(served: Cluster, home: Path) -> None:
    """Each made up a number before either was written down: the one that is written first is theirs."""
    first, second = (Context("", {"kubeconfig": str(served.kubeconfig)}) for _ in range(2))
    try:
        assert first.learner.id != second.learner.id
        for one in (first, second):
            one.confirm(yes=True)
        assert first.learner.id == second.learner.id and first.own.namespace == second.own.namespace
    finally:
        first.down()
        for one in (first, second):
            one.close()
