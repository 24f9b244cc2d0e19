"""A learner's own namespaces: their names, who they belong to, what bounds them, and how they go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from epkit.client import Answer, Client
from epkit.cluster import Cluster
from epkit.errors import ApiError, EpkitError
from epkit.targets.learner import Learner
from epkit.targets.own import CHAPTER, LEARNER, NAME, QUOTA, Own, Refused, Taken

ANN, BOB = Learner("aaaaaaaaaaaa"), Learner("bbbbbbbbbbbb")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster({}) as cluster:
        yield cluster


def own_of(cluster: Cluster, learner: Learner = ANN, chapter: str = "4") -> Own:
    own = Own(Client(cluster.transport), learner, "ann")
    own.enter(chapter)
    return own


class Refusing:
    """A way to the cluster on which some requests are forbidden. It takes bounds, which the built-in one has not."""

    def __init__(self, cluster: Cluster, *refused: tuple[str, str]) -> None:
        self._inner = cluster.transport
        self._refused = refused
        self.bounds: list[Any] = []
        self.counted: list[Any] = []  # what the quota's controller told and was not enough

    def send(self, method: str, path: str, query: Any = None, body: Any = None, **how: Any) -> Any:
        if any(method == verb and path.endswith(end) for verb, end in self._refused):
            status = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": f"you may not {method}"}
            return Answer(403, status)
        if method == "POST" and path.endswith(("/limitranges", "/resourcequotas")):
            self.bounds.append(body)
            return Answer(201, body)
        if path.endswith("/resourcequotas"):
            return Answer(200, {"metadata": {"resourceVersion": "7"}, "items": [{**self.bounds[-1], "status": {}}]})
        return self._inner.send(method, path, query, body, **how)


    def watch(self, path: str, query: Any, **how: Any) -> Iterator[Any]:
        """The quota's controller counts in two goes."""
        if not path.endswith("/resourcequotas"):
            yield from self._inner.watch(path, query, **how)
            return
        assert query["resourceVersion"] == "7" and query["timeoutSeconds"]
        for used in ({"pods": "0"}, dict.fromkeys(QUOTA, "0")):
            yield {"type": "MODIFIED", "object": {**self.bounds[-1], "status": {"hard": QUOTA, "used": used}}}
            self.counted.append(used)
        raise AssertionError("nobody waits any longer")


# -- names -------------------------------------------------------------------------------------------------------------


def test_names_follow_the_chapter(cluster: Cluster) -> None:
    own = own_of(cluster)
    assert own.namespace == "epkit-ann-4" == own.named("")
    assert own.named("ex-4-1") == own.real("ex-4-1") == "epkit-ann-4-1"
    assert own.named("ex-7-2") == own.real("ex-7-2") == "epkit-ann-7-2", "of another chapter"
    assert own.named("elsewhere") == "epkit-ann-4-elsewhere"
    assert own.named("epkit-ann-4-elsewhere") == "epkit-ann-4-elsewhere", "as answers show it"
    assert own.real("elsewhere") == "elsewhere", "there is none yet"
    own.ensure("elsewhere")
    assert own.real("elsewhere") == "epkit-ann-4-elsewhere"
    assert own.real("default") == "default" and own.real("") == ""


def test_another_chapters_elsewhere_is_another(cluster: Cluster) -> None:
    own = own_of(cluster, chapter="7")
    own.ensure("elsewhere")
    own.enter("4")
    assert own.real("elsewhere") == "elsewhere"
    own.enter("7")
    assert own.real("elsewhere") == "epkit-ann-7-elsewhere"


def test_a_name_is_never_longer_than_a_namespaces_may_be(cluster: Cluster) -> None:
    own = Own(Client(cluster.transport), ANN, "a" * 30)
    own.enter("4")
    name = own.ensure("b" * 27)
    assert name == f"epkit-{'a' * 30}-4-{'b' * 24}" and len(name) == 63
    assert own.real("b" * 27) == name


# -- whose -------------------------------------------------------------------------------------------------------------


def test_what_is_made_says_whose_it_is(cluster: Cluster) -> None:
    own = own_of(cluster)
    own.ensure("ex-7-2")
    labels = cluster.client.get("namespaces", "epkit-ann-7-2")["metadata"]["labels"]
    assert {key: labels[key] for key in (LEARNER, CHAPTER, NAME)} == {LEARNER: ANN.id, CHAPTER: "7", NAME: "ex-7-2"}


def test_a_new_kernel_finds_what_is_there(cluster: Cluster) -> None:
    first = own_of(cluster)
    for name in ("", "ex-4-1", "elsewhere"):
        first.ensure(name)
    again = own_of(cluster)
    assert again.names == ["epkit-ann-4", "epkit-ann-4-1", "epkit-ann-4-elsewhere"] == again.of_chapter("4")
    assert again.real("elsewhere") == "epkit-ann-4-elsewhere" and again.holds("epkit-ann-4-1")


def test_somebody_elses_is_neither_found_nor_taken(cluster: Cluster) -> None:
    own_of(cluster, BOB).ensure("")
    own = own_of(cluster)
    assert own.names == [] and not own.holds("epkit-ann-4")
    with pytest.raises(Taken, match="it is not yours. Set EPKIT_USER to another name than 'ann'"):
        own.ensure("")
    with pytest.raises(Taken):
        own.need("epkit-ann-4", "nothing was sent")
    own.delete(["epkit-ann-4"])
    assert cluster.client.find("namespaces", "epkit-ann-4") is not None


def test_a_label_alone_makes_no_namespace_ours(cluster: Cluster) -> None:
    """A label can be put on any namespace, by mistake or not: epkit made none that is not called epkit-…"""
    cluster.kubectl("create namespace shop")
    cluster.kubectl(f"label namespace shop {LEARNER}={ANN.id}")
    own = own_of(cluster)
    assert own.names == [] and own.left() == []
    own.delete(["shop"])
    assert cluster.client.find("namespaces", "shop") is not None


def test_one_that_is_there_already_is_taken_up(cluster: Cluster) -> None:
    own, late = own_of(cluster), own_of(cluster)
    own.ensure("")
    assert late.names == []
    assert late.ensure("") == "epkit-ann-4" and late.holds("epkit-ann-4")


def test_one_that_is_going_is_not_there(cluster: Cluster) -> None:
    own = own_of(cluster)
    own.ensure("")
    cluster.kubectl("run web --image=nginx -n epkit-ann-4")
    obj = cluster.client.get("pods", "web", "epkit-ann-4")
    cluster.client.update("pods", {**obj, "metadata": {**obj["metadata"], "finalizers": ["example.org/held"]}})
    cluster.client.delete("namespaces", "epkit-ann-4")
    again = own_of(cluster)
    assert again.names == [] and again.left() == again.left("4") == ["epkit-ann-4"] and again.left("5") == []
    with pytest.raises(Refused, match="still being deleted. Wait a little"):
        again.ensure("")
    again.delete(["epkit-ann-4"])  # once more is no error


def test_where_namespaces_may_not_be_listed_those_of_this_kernel_are_known(cluster: Cluster) -> None:
    own = Own(Client(Refusing(cluster, ("GET", "/namespaces"))), ANN, "ann")
    own.enter("4")
    own.ensure("")
    own.find()
    assert own.names == ["epkit-ann-4"]
    with pytest.raises(ApiError, match="you may not GET"):
        own.left()


def test_where_they_may_not_be_made_the_server_is_quoted(cluster: Cluster) -> None:
    own = Own(Client(Refusing(cluster, ("POST", "/namespaces"))), ANN, "ann")
    with pytest.raises(EpkitError, match="epkit-ann-0 cannot be made: you may not POST. Ask for the right"):
        own.ensure("")


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_limits_come_before_the_quota(cluster: Cluster) -> None:
    way = Refusing(cluster)
    Own(Client(way), ANN, "ann").ensure("")
    limits, quota = way.bounds
    assert limits["kind"] == "LimitRange" and quota["kind"] == "ResourceQuota"
    assert set(limits["spec"]["limits"][0]["defaultRequest"]) == {"cpu", "memory"}
    bounded = {key.removeprefix("requests.") for key in quota["spec"]["hard"] if key.startswith("requests.")}
    assert bounded == {"cpu", "memory"}, "what the quota asks of each pod, the limits give it"


@pytest.mark.parametrize(
    ("refused", "made"), [("limitranges", []), ("resourcequotas", ["LimitRange"])], ids=["limits", "quota"]
)
def test_no_quota_without_limits(cluster: Cluster, refused: str, made: list[str]) -> None:
    """With a quota alone, every pod that asks for nothing would be refused."""
    way = Refusing(cluster, ("POST", f"/{refused}"))
    own = Own(Client(way), ANN, "ann")
    assert own.ensure("") == "epkit-ann-0" and own.holds("epkit-ann-0")
    assert [one["kind"] for one in way.bounds] == made


def test_a_namespace_is_ready_once_its_quota_is_counted(cluster: Cluster) -> None:
    """What is bounded and not yet counted would be refused."""
    way = Refusing(cluster)
    Own(Client(way), ANN, "ann").ensure()
    assert way.counted == [{"pods": "0"}], "the first count is not of everything; after the second nobody waits"


def test_who_may_not_read_the_quota_does_not_wait(cluster: Cluster) -> None:
    way = Refusing(cluster, ("GET", "/resourcequotas"))
    assert Own(Client(way), ANN, "ann").ensure() == "epkit-ann-0"
    assert way.counted == []


def test_an_ordinary_pod_is_admitted_within_the_bounds(cluster: Cluster) -> None:
    own_of(cluster).ensure("")
    done = cluster.kubectl("run web --image=nginx -n epkit-ann-4")
    assert done.returncode == 0, done.text


# -- changes are told, and the end -------------------------------------------------------------------------------------


def test_changes_are_told(cluster: Cluster) -> None:
    own, told = own_of(cluster), []
    own.on_change.append(lambda: told.append(own.names))
    own.ensure("")
    own.ensure("")
    own.delete(["epkit-ann-4", "epkit-ann-9"])
    assert told == [["epkit-ann-4"], []]


def test_namespaces_go_without_their_pods_grace_period(cluster: Cluster) -> None:
    own = own_of(cluster)
    own.ensure("")
    patient = '{"spec": {"terminationGracePeriodSeconds": 3600}}'
    cluster.kubectl(f"run web --image=nginx -n epkit-ann-4 --overrides='{patient}'")
    cluster.kubectl("create deployment api --image=nginx -n epkit-ann-4")
    cluster.settle()
    begin = cluster.now
    while own.empty(["epkit-ann-4"]) and cluster.now - begin < 300:
        cluster.sleep(1)
    own.delete(["epkit-ann-4"])
    while cluster.client.find("namespaces", "epkit-ann-4") is not None and cluster.now - begin < 300:
        cluster.sleep(1)
    assert cluster.now - begin < 30


def test_only_the_learners_namespaces_are_emptied(cluster: Cluster) -> None:
    own_of(cluster, BOB).ensure("")
    cluster.kubectl("run web --image=nginx -n epkit-ann-4")
    assert own_of(cluster).empty(["epkit-ann-4", "absent", "kube-system"]) == 0
    pod = cluster.client.get("pods", "web", "epkit-ann-4")
    assert "deletionTimestamp" not in pod["metadata"]


def test_a_refusal_to_hurry_does_not_matter(cluster: Cluster) -> None:
    own = Own(Client(Refusing(cluster, ("DELETE", "/pods"), ("DELETE", "/deployments"))), ANN, "ann")
    own.ensure("")
    cluster.kubectl("create deployment web --image=nginx -n epkit-ann-0")
    cluster.settle()
    assert own.empty(["epkit-ann-0"]) == 1 == own.empty(["epkit-ann-0"])
    own.delete(["epkit-ann-0"])
    cluster.sleep(120)
    assert cluster.client.find("namespaces", "epkit-ann-0") is None


def test_a_refusal_to_delete_is_told(cluster: Cluster) -> None:
    own = Own(Client(Refusing(cluster, ("DELETE", "/epkit-ann-0"))), ANN, "ann")
    own.ensure("")
    with pytest.raises(ApiError, match="you may not DELETE"):
        own.delete(["epkit-ann-0"])
    assert own.names == ["epkit-ann-0"]


# -- through the whole of a target -------------------------------------------------------------------------------------


def test_the_official_client_is_held_back_too(connect: Callable[..., Cluster], server: Cluster) -> None:
    from kubernetes.client.exceptions import ApiException

    learner = connect()
    learner.target.enter("4")
    core = learner.api.core
    pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    assert core.create_namespaced_pod("epkit-ann-4", pod).metadata.namespace == "epkit-ann-4"
    for act in (
        lambda: core.create_namespaced_pod("shop", pod),
        lambda: core.delete_collection_namespaced_config_map("shop"),
        lambda: core.patch_node("node-1", {"metadata": {"labels": {"a": "b"}}}),
        lambda: core.delete_namespace("shop"),
        lambda: core.create_persistent_volume({"metadata": {"name": "a"}, "spec": {}}),
    ):
        with pytest.raises(ApiException) as caught:
            act()
        assert caught.value.status == 403 and "epkit" in caught.value.body
    assert [one.metadata.name for one in core.list_namespaced_config_map("shop").items if "ca" not in one.metadata.name]
    assert server.client.find("configmaps", "prices", "shop") is not None


def test_kubectl_says_why_as_a_sentence(connect: Callable[..., Cluster]) -> None:
    learner = connect()
    learner.target.enter("4")
    done = learner.kubectl("delete configmap prices -n shop")
    assert done.returncode == 1
    assert done.text == (
        "Error from server (Forbidden): epkit writes only in namespaces of its own (epkit-ann-0, epkit-ann-4): DELETE "
        "/api/v1/namespaces/shop/configmaps/prices was not sent\n"
    )


def test_streams_lead_into_own_pods_alone(connect: Callable[..., Cluster], server: Cluster) -> None:
    from kubernetes.client.exceptions import ApiException
    from kubernetes.stream import stream

    server.kubectl("run web --image=nginx -n shop")
    learner = connect()
    learner.target.enter("4")
    learner.kubectl("run web --image=nginx")
    core = learner.api.core
    how: dict[str, Any] = {"command": ["hostname"], "stderr": True, "stdin": False, "stdout": True, "tty": False}
    for _ in range(2):  # opening one must not wear the client out
        assert stream(core.connect_get_namespaced_pod_exec, "web", "epkit-ann-4", **how) == "web\n"
        with pytest.raises(ApiException) as caught:
            stream(core.connect_get_namespaced_pod_exec, "web", "shop", **how)
        assert caught.value.status == 403 and "exec of pods/web was not sent" in caught.value.body
        with pytest.raises(EpkitError, match="only in pods of its own namespaces; shop is none of them"):
            learner.exec("web", "hostname", namespace="shop")
    assert core.read_namespaced_pod("web", "shop").metadata.name == "web", "reading goes on as before"
    assert learner.exec("web", "hostname").stdout == "web\n"
