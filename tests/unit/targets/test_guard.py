"""The guard: whatever is asked of it, what is sent is a question, or is inside a namespace of the learner's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from epkit.client import Client
from epkit.cluster import Cluster
from epkit.targets import own as owns
from epkit.targets.guard import Guard, place_of, renamed
from epkit.targets.learner import Learner
from epkit.targets.own import CHAPTER, LEARNER, NAME, Own

SERVER = "https://rancher.example.org/k8s/clusters/c-1"
ANN = Learner("aaaaaaaaaaaa")


class Answered:
    status = 200
    data = b"{}"


class Wire:
    """Stands where the connections are: what gets here would have been sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []

    def request(self, method: str, url: str, body: Any = None, **_: Any) -> Answered:
        self.sent.append((method, url, body))
        return Answered()

    def clear(self) -> None:
        self.cleared = True


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    """Ann in chapter 4, with the chapter's namespace, one exercise's, and one that the text calls elsewhere."""
    with Cluster({}) as cluster:
        own = Own(Client(cluster.transport), ANN, "ann", clock=lambda: 0.0)
        own.enter("4")
        for name in ("", "ex-4-1", "elsewhere"):
            own.ensure(name)
        label = {"epkit/learner": "bbbbbbbbbbbb"}
        theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "epkit-ann-4-2", "labels": label}}
        cluster.client.create("namespaces", theirs)
        cluster.client.create("namespaces", {**theirs, "metadata": {"name": "epkit-of-nobody"}})
        yield own


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def guard(own: Own, wire: Wire) -> Guard:
    return Guard(wire, own, SERVER)


def ask(guard: Guard, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = guard.request(method, SERVER + path, body=body)
    return answer.status, "" if answer.status < 300 else json.loads(answer.data)["message"]


# -- what is sent ------------------------------------------------------------------------------------------------------

INSIDE = [
    ("POST", "/api/v1/namespaces/ex-4-1/pods", "/api/v1/namespaces/epkit-ann-4-1/pods"),
    ("POST", "/api/v1/namespaces/epkit-ann-4-1/pods", "/api/v1/namespaces/epkit-ann-4-1/pods"),
    ("PUT", "/api/v1/namespaces/epkit-ann-4/services/web", "/api/v1/namespaces/epkit-ann-4/services/web"),
    (
        "PATCH",
        "/apis/discovery.k8s.io/v1/namespaces/elsewhere/endpointslices/a?fieldManager=me",
        "/apis/discovery.k8s.io/v1/namespaces/epkit-ann-4-elsewhere/endpointslices/a?fieldManager=me",
    ),
    ("DELETE", "/api/v1/namespaces/ex-4-1/pods", "/api/v1/namespaces/epkit-ann-4-1/pods"),
    ("DELETE", "/api/v1/namespaces/ex-4-1/pods/web", "/api/v1/namespaces/epkit-ann-4-1/pods/web"),
    ("POST", "/api/v1/namespaces/ex-4-1/pods/web/eviction", "/api/v1/namespaces/epkit-ann-4-1/pods/web/eviction"),
    ("POST", "/api/v1/namespaces/ex-4-1/pods/web/exec", "/api/v1/namespaces/epkit-ann-4-1/pods/web/exec"),
    ("POST", "/api/v1/namespaces/ex-4-1/pods/web/binding", "/api/v1/namespaces/epkit-ann-4-1/pods/web/binding"),
    ("POST", "/api/v1/namespaces/ex-4-1/bindings", "/api/v1/namespaces/epkit-ann-4-1/bindings"),
    (
        "POST",
        "/api/v1/namespaces/ex-4-1/serviceaccounts/default/token",
        "/api/v1/namespaces/epkit-ann-4-1/serviceaccounts/default/token",
    ),
    ("GET", "/api/v1/namespaces/ex-4-1/pods/web/exec", "/api/v1/namespaces/epkit-ann-4-1/pods/web/exec"),
    ("patch", "/apis/apps/v1/namespaces/ex-4-1/deployments/w", "/apis/apps/v1/namespaces/epkit-ann-4-1/deployments/w"),
]
QUESTIONS = [
    ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
    ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
    ("POST", "/apis/authorization.k8s.io/v1/namespaces/shop/localsubjectaccessreviews"),
]
READS = ["/version", "/api", "/apis/apps/v1/", "/openapi/v3", "/api/v1/pods", "/api/v1/nodes/node-1",
         "/api/v1/namespaces/shop/pods/web/log", "/api/v1/namespaces", "/readyz?verbose"]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "sent"), INSIDE, ids=lambda value: str(value)[-40:])
def test_what_is_inside_is_sent_under_the_real_name(
    guard: Guard, wire: Wire, method: str, path: str, sent: str
) -> None:
    assert ask(guard, method, path)[0] == 200
    assert wire.sent == [(method, SERVER + sent, None)]
    assert guard.writes == 1


@pytest.mark.parametrize(("method", "path"), QUESTIONS)
def test_a_review_is_a_question(guard: Guard, wire: Wire, method: str, path: str) -> None:
    guard.why_not = "epkit only looks"
    assert ask(guard, method, path, b'{"spec": {}}')[0] == 200
    assert wire.sent == [(method, SERVER + path, b'{"spec": {}}')] and guard.writes == 0


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reads_are_sent(guard: Guard, wire: Wire, method: str, path: str) -> None:
    guard.why_not = "epkit only looks"
    assert ask(guard, method, path)[0] == 200
    assert wire.sent == [(method, SERVER + path.removesuffix("/"), None)] or wire.sent == [
        (method, SERVER + path, None)
    ]
    assert guard.writes == 0


# -- what is not -------------------------------------------------------------------------------------------------------

OUTSIDE = [
    "/api/v1/namespaces/shop/configmaps/prices",
    "/api/v1/namespaces/shop/pods",
    "/api/v1/namespaces/default/services/kubernetes",
    "/api/v1/namespaces/epkit-ann-4-2/pods",  # its name is as ours, its label is not
    "/api/v1/namespaces/epkit-of-nobody/pods",
    "/api/v1/namespaces/epkit-ann-9/pods",  # there is none
    "/api/v1/namespaces/shop",
    "/api/v1/namespaces/epkit-ann-4-2",
    "/api/v1/namespaces/epkit-of-nobody",
    "/api/v1/nodes/node-1",
    "/api/v1/nodes",
    "/api/v1/nodes/node-1/status",
    "/api/v1/nodes/epkit-ann-4/proxy/run",
    "/api/v1/persistentvolumes/namespaces/epkit-ann-4",
    "/api/v1/persistentvolumes",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles",
    "/apis/certificates.k8s.io/v1/certificatesigningrequests/a/approval",
    "/api/v1/namespaces/shop/pods/web/eviction",
    "/api/v1/namespaces/shop/pods/web/exec",
    "/api/v1/namespaces/shop/serviceaccounts/default/token",
    "/api/v1/namespaces/shop/services/web/proxy/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/authorization.k8s.io/v1/namespaces/shop/rolebindings",
    "/api/v1/proxy/namespaces/epkit-ann-4/pods/web",
    "/api/v1/watch/namespaces/epkit-ann-4/pods",
    "/version",
    "/",
]
#: paths that one reads in one way and another in another way
UNCLEAR = [
    "/api/v1/namespaces/epkit-ann-4/../shop/pods",
    "/api/v1/namespaces/epkit-ann-4/%2e%2e/shop/pods",
    "/api/v1/namespaces/epkit-ann-4%2F..%2Fshop/pods",
    "/api/v1/namespaces/epkit-ann-4/pods/..%2f..%2fshop",
    "/api/v1/namespaces/./epkit-ann-4/pods",
    "/api/v1//namespaces/epkit-ann-4/pods",
    "//api/v1/namespaces/epkit-ann-4/pods",
    "/api/v1/namespaces/epkit-ann-4//pods",
    "/api/v1/namespaces/epkit-ann-4\\..\\shop/pods",
    "/api/v1/namespaces/epkit-ann-4/po%20ds",
    "/api/v1/namespaces/epkit-ann-4/pods%00",
]


@pytest.mark.parametrize("path", [*OUTSIDE, *UNCLEAR])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "delete"])
def test_no_other_write_is_sent(guard: Guard, wire: Wire, method: str, path: str) -> None:
    status, message = ask(guard, method, path, b'{"metadata": {"namespace": "epkit-ann-4", "name": "a"}}')
    assert status == 403 and "epkit" in message
    assert wire.sent == [] and guard.writes == 0


@pytest.mark.parametrize("path", ["/API/v1/namespaces/epkit-ann-4/pods", "/api/v1/Namespaces/epkit-ann-4/pods",
                                  "/api/v1/namespaces/EPKIT-ANN-4/pods"])  # fmt: skip
def test_upper_case_is_another_path(guard: Guard, wire: Wire, path: str) -> None:
    assert ask(guard, "POST", path)[0] == 403 and wire.sent == []


@pytest.mark.parametrize("server", ["https://elsewhere.example.org", "https://rancher.example.org",
                                    "https://rancher.example.org/k8s/clusters/c-10"])  # fmt: skip
def test_no_other_server_is_written_to(guard: Guard, wire: Wire, server: str) -> None:
    answer = guard.request("POST", f"{server}/api/v1/namespaces/epkit-ann-4/pods")
    assert answer.status == 403 and wire.sent == []


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward", "proxy", "proxy/shutdown"])
def test_no_connection_leads_into_a_foreign_pod_though_it_is_a_get(guard: Guard, wire: Wire, subresource: str) -> None:
    for path in ("namespaces/shop/pods/web", "nodes/node-1"):
        assert ask(guard, "GET", f"/api/v1/{path}/{subresource}")[0] == 403
    assert wire.sent == []


def test_a_namespace_is_deleted_and_otherwise_left_as_it_is(own: Own, wire: Wire) -> None:
    guard = Guard(wire, own, SERVER)
    for method, path in (
        ("PUT", "/api/v1/namespaces/ex-4-1"),
        ("PATCH", "/api/v1/namespaces/ex-4-1"),
        ("PUT", "/api/v1/namespaces/ex-4-1/finalize"),
        ("PUT", "/api/v1/namespaces/ex-4-1/status"),
        ("DELETE", "/api/v1/namespaces/ex-4-1/finalize"),
        ("DELETE", "/api/v1/namespaces"),
        ("PATCH", "/api/v1/namespaces/new"),
    ):
        assert ask(guard, method, path)[0] == 403, (method, path)
    assert wire.sent == []
    for what in ("/api/v1/namespaces/ex-4-1?dryRun=All", "/api/v1/namespaces/ex-4-1"):
        body = None if "dryRun" in what else b'{"kind": "DeleteOptions", "dryRun": ["All"]}'
        assert ask(guard, "DELETE", what, body)[0] == 200
        assert own.holds("epkit-ann-4-1"), "a dry run deletes nothing"


def test_nothing_is_written_before_the_yes(guard: Guard, wire: Wire) -> None:
    guard.why_not = "epkit only looks at the cluster of the context x"
    for method, path, _ in INSIDE:
        status, message = ask(guard, method, path)
        assert status == 403 and message.startswith("epkit only looks at the cluster of the context x: ")
    assert wire.sent == [] and guard.writes == 0


# -- namespaces that are made ------------------------------------------------------------------------------------------


def made(guard: Guard, wire: Wire, body: Any, query: str = "?dryRun=All") -> Any:
    """The namespace that would be made; the dry run keeps it from being remembered."""
    status, message = ask(guard, "POST", f"/api/v1/namespaces{query}", body)
    assert status == 200, message
    return json.loads(wire.sent[-1][2])


def test_a_namespace_gets_the_real_name_and_our_labels(guard: Guard, wire: Wire, own: Own) -> None:
    theirs = {LEARNER: "bbbbbbbbbbbb", CHAPTER: "9", NAME: "shop", "team": "blue"}
    body = json.dumps({"kind": "Namespace", "metadata": {"name": "new", "labels": theirs, "finalizers": ["x/y"]}})
    for sent in (body, body.encode()):
        about = made(guard, wire, sent)["metadata"]
        assert about == {
            "name": "epkit-ann-4-new",
            "labels": {LEARNER: ANN.id, CHAPTER: "4", NAME: "new", "team": "blue"},
        }
    assert "epkit-ann-4-new" not in own.names, "a dry run makes nothing"
    assert made(guard, wire, yaml.safe_dump({"metadata": {"name": "ex-4-3"}}))["metadata"] == {
        "name": "epkit-ann-4-3",
        "labels": {LEARNER: ANN.id, CHAPTER: "4", NAME: "ex-4-3"},
    }
    assert made(guard, wire, b'{"metadata": {"name": "epkit-ann-4-new"}}')["metadata"]["name"] == "epkit-ann-4-new"


@pytest.mark.parametrize(
    "body",
    [None, b"", b"[]", b'"a"', b"{}", b'{"metadata": null}', b'{"metadata": {"generateName": "shop-"}}',
     b'{"metadata": {"name": 5}}', b'{"metadata": {"name": ""}}', b"\xff\xfe", b"a: [", b"--- \na: b\n---\nc: d\n"],
)  # fmt: skip
def test_a_namespace_without_a_name_is_not_made(guard: Guard, wire: Wire, body: Any) -> None:
    status, message = ask(guard, "POST", "/api/v1/namespaces", body)
    assert status == 403 and "give it metadata.name" in message and wire.sent == []


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_a_body_names_the_real_namespace_too(own: Own) -> None:
    obj = {"kind": "Pod", "metadata": {"name": "a", "namespace": "ex-4-1"}}
    for body in (json.dumps(obj), json.dumps(obj).encode(), yaml.safe_dump(obj), yaml.safe_dump(obj).encode()):
        assert json.loads(renamed(body, "epkit-ann-4-1", own.real)) == {
            "kind": "Pod",
            "metadata": {"name": "a", "namespace": "epkit-ann-4-1"},
        }


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"metadata": {"namespace": "ex-4-1"}},  # the client encodes before
        b'[{"op": "replace", "path": "/metadata/namespace", "value": "shop"}]',
        b'{"metadata": {"namespace": "shop"}}',  # the server refuses it: it is not the path's
        b'{"metadata": {"namespace": "epkit-ann-4-1", "n": 1}}',
        b'{"metadata": {"namespace": 5}}',
        b'{"metadata": ["namespace"]}',
        b"namespace \xff",
        b"when: 2024-99-99 # namespace",
        b"a: b # namespace\n---\nc: d\n",
        b"name: a",
    ],
)
def test_what_needs_no_other_name_stays_as_it_is(own: Own, body: Any) -> None:
    assert renamed(body, "epkit-ann-4-1", own.real) == body


# -- the property ------------------------------------------------------------------------------------------------------

WORDS = ["api", "v1", "apis", "apps", "authorization.k8s.io", "authentication.k8s.io", "namespaces", "proxy", "watch",
         "epkit-ann-4", "epkit-ann-4-1", "ex-4-1", "elsewhere", "shop", "epkit-ann-4-2", "default", "nodes", "pods",
         "selfsubjectaccessreviews", "web", "exec", "status", "finalize", "log", "..", ".", "", "%2e%2e", "%2F",
         "%2f..", "epkit-ann-4%2F..%2Fshop", "%6Eamespaces", "names%70aces", "a;b", "a\\b", "%00", "%252e",
         "ä", " "]  # fmt: skip
paths = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=9).map("/".join),
    st.lists(st.sampled_from(WORDS), max_size=6).map(lambda rest: "/".join(["api", "v1", "namespaces", *rest])),
    st.lists(st.sampled_from(WORDS), max_size=4).map(
        lambda rest: "/".join(["apis", "apps", "v1", "namespaces", *rest])
    ),
    st.text(max_size=30),
)
bodies = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.sampled_from([
        b'{"metadata": {"name": "shop", "namespace": "shop"}}', b'{"metadata": {"generateName": "shop"}}',
        '{"metadata": {"name": "ex-4-1", "namespace": "ex-4-1"}}', b'{"dryRun": ["All"]}',
    ]),
)  # fmt: skip
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "post", "Delete"])


@given(method=methods, path=paths, body=bodies)
def test_whatever_is_asked_only_what_may_be_is_sent(own: Own, method: str, path: str, body: Any) -> None:
    wire = Wire()
    guard = Guard(wire, own, SERVER)
    before = dict(own._real)
    try:
        guard.request(method, f"{SERVER}/{path}", body=body)
    finally:
        held = set(own._real.values())
        own._real = before
    for method, url, sent in wire.sent:
        assert allowed(method, url, sent, held | set(before.values())), (method, url, sent)


def allowed(method: str, url: str, body: Any, own: set[str]) -> bool:
    """Judges anew, by what urllib3 makes of the URL and what the API server reads from that."""
    assert url.startswith(SERVER)
    path = unquote(parse_url(url).path or "").removeprefix(urlsplit(SERVER).path)
    parts = [part for part in path.split("/") if part]
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:] if parts[:1] == ["apis"] else []
    inside = rest[1] if rest[:1] == ["namespaces"] and len(rest) > 1 else ""
    into = rest[4:5] if inside else rest[2:3]
    connects = rest[:1] == ["proxy"] or {"exec", "attach", "portforward", "proxy"} & set(into)
    if method in ("GET", "HEAD"):
        return not connects or inside in own
    if parts[:1] == ["apis"] and parts[1:2] in (["authorization.k8s.io"], ["authentication.k8s.io"]):
        return method.upper() == "POST" and parts[-1].endswith("reviews")
    if rest == ["namespaces"]:
        about = json.loads(body)["metadata"]
        return (
            method.upper() == "POST" and about["name"].startswith("epkit-ann-4") and about["labels"][LEARNER] == ANN.id
        )
    if len(rest) == 2 or (len(rest) == 3 and rest[2] in ("status", "finalize")):
        return inside in own and method.upper() == "DELETE" and len(rest) == 2
    return inside in own


def test_a_place_is_read_as_the_api_server_reads_it() -> None:
    def read(path: str) -> tuple[str, str, str, str]:
        place = place_of(path.strip("/").split("/"))
        assert place is not None
        return place.namespace, place.resource, place.name, place.subresource

    assert read("/api/v1/namespaces/a") == ("a", "namespaces", "a", "")
    assert read("/api/v1/namespaces/a/status") == ("a", "namespaces", "a", "status")
    assert read("/api/v1/namespaces/a/pods/b/log") == ("a", "pods", "b", "log")
    assert read("/apis/apps/v1/namespaces/a/deployments/b/scale") == ("a", "deployments", "b", "scale")
    assert read("/api/v1/nodes/b/status") == ("", "nodes", "b", "status")
    assert read("/apis/apps/v1") == ("", "", "", "")


def test_the_pool_is_closed_through_it(guard: Guard, wire: Wire) -> None:
    guard.clear()
    assert wire.cleared


# -- whose a namespace is may change -----------------------------------------------------------------------------------


def test_a_name_that_somebody_else_has_taken_meanwhile_is_not_written_to(wire: Wire) -> None:
    now = 0.0
    with Cluster({}) as cluster:
        own = Own(Client(cluster.transport), ANN, "ann", clock=lambda: now)
        own.enter("4")
        own.ensure("")
        guard = Guard(wire, own, SERVER)
        assert ask(guard, "POST", "/api/v1/namespaces/epkit-ann-4/pods")[0] == 200
        cluster.kubectl("delete namespace epkit-ann-4")
        other = Own(Client(cluster.transport), Learner("bbbbbbbbbbbb"), "ann", clock=lambda: now)
        other.enter("4")
        other.ensure("")
        now = owns.SURE + 1
        status, message = ask(guard, "POST", "/api/v1/namespaces/epkit-ann-4/pods")
        assert status == 403 and "is there already, and it is not yours" in message and "EPKIT_USER" in message
        assert len(wire.sent) == 1


def test_the_chapters_namespace_comes_back_when_something_is_written_to_it(wire: Wire) -> None:
    now = 0.0
    with Cluster({}) as cluster:
        own = Own(Client(cluster.transport), ANN, "ann", clock=lambda: now)
        own.enter("4")
        own.ensure("")
        guard = Guard(wire, own, SERVER)
        cluster.kubectl("delete namespace epkit-ann-4")  # in a terminal
        now = owns.SURE + 1
        assert ask(guard, "POST", "/api/v1/namespaces/epkit-ann-4/pods")[0] == 200
        assert cluster.client.find("namespaces", "epkit-ann-4") is not None
