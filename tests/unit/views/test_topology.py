"""The topology of a Service: what is drawn, what is said, and what becomes of many and of hostile objects."""

from __future__ import annotations

import re
import shutil

import pytest
import view_objects as made
import view_pictures as pictures

from epkit.errors import EpkitError
from epkit.views import palette, topology
from epkit.views.near import near_miss
from epkit.views.text import cut

HOSTILE = '</text><script>alert(1)</script>&amp;"\'\\n\x1b[31m\u202e]]>:80'


def three_pods() -> made.Past:
    return made.cluster(
        made.service(),
        made.node("node-1", "zone-a"),
        made.node("node-2", "zone-b"),
        made.pod("web-1", node="node-1"),
        made.pod("web-2", node="node-2"),
        made.pod("web-3", node="node-2"),
        made.endpoint_slice(
            "web-abc",
            [
                made.endpoint("10.0.0.10", made.TERMINATING, "web-3", "node-2", "zone-b"),
                made.endpoint("10.0.0.1", made.READY, "web-1", "node-1", "zone-a"),
                made.endpoint("10.0.0.2", made.NOT_READY, "web-2", "node-2", "zone-b"),
            ],
        ),
    )


def edges(diagram: topology.Diagram) -> list[tuple[str, str]]:
    """The ends of all arrows that are seen, in Graphviz's ids without ports."""
    lines = [line for line in diagram.dot.splitlines() if "->" in line and "style=invis" not in line]
    ids = [re.findall(r"(\w+)(?::\w+)*(?= ->| \[|$)", line) for line in lines]
    return [(found[0], found[1]) for found in ids]


def test_a_sentence_for_every_endpoint_by_its_address() -> None:
    assert topology.of_service(three_pods(), "svc/web").sentence == (
        "Service web (10.96.0.9) has 1 slice, 1 of 3 endpoints ready: web-abc (IPv4, 8080/TCP) with "
        "10.0.0.1 ready in pod web-1 on node-1 in zone-a, "
        "10.0.0.2 not ready in pod web-2 on node-2 in zone-b, "
        "10.0.0.10 serving, terminating in pod web-3 on node-2 in zone-b."
    )


def test_states_have_a_colour_a_sign_a_word_and_a_line_of_their_own() -> None:
    diagram = topology.of_service(three_pods(), "web")
    words = " ".join(pictures.words(diagram))
    for look in (palette.READY, palette.NOT_READY, palette.TERMINATING):
        assert look.sign in words and look.word in words
        assert f'color="{look.colour}" style={look.line}' in diagram.dot
    assert len({look.sign for look in palette.LOOKS.values()}) == len(palette.LOOKS)
    assert len({(look.fill, look.pattern) for look in palette.LOOKS.values()}) == len(palette.LOOKS)
    assert edges(diagram)[1:] == [("slice0", "box1"), ("slice0", "box2"), ("slice0", "box3")]


def test_pods_stand_on_their_nodes_in_their_zones() -> None:
    words = pictures.words(topology.of_service(three_pods(), "web"))
    assert {"zone zone-a", "node node-1", "zone zone-b", "node node-2", "web-1", "web-2", "web-3"} <= set(words)


@pytest.mark.parametrize("name", ["three", "crowd", "hostile", "bare"])
def test_every_picture_reads_on_a_dark_page(name: str) -> None:
    clusters = {"three": three_pods, "crowd": lambda: made.crowd(250), "hostile": hostile, "bare": bare}
    pictures.check(topology.of_service(clusters[name](), "web"))


def bare() -> made.Past:
    return made.cluster(made.service(selector={}, clusterIP="None"))


def hostile() -> made.Past:
    return made.cluster(
        made.service(),
        made.node("node-1", HOSTILE),
        made.pod("web-1", node="node-1"),
        made.pod(HOSTILE, {"app": "wbe"}, node="node-1"),
        made.endpoint_slice(HOSTILE, [made.endpoint("10.0.0.1", pod="web-1", zone=HOSTILE)], manager=HOSTILE),
    )


def test_hostile_names_are_text_and_nothing_else() -> None:
    diagram = topology.of_service(hostile(), "web")
    shown = HOSTILE.replace("\x1b", "\ufffd").replace("\u202e", "\ufffd")
    words = pictures.words(diagram)  # parses: no tag came in
    assert words.count(shown) == 1 and f"≈ {shown}" in words and f"zone {shown}" in words
    assert cut(f"managed by {shown}") in words
    assert "<script" not in diagram.svg
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", diagram.svg + diagram.sentence)


def test_pods_that_the_selector_matches_and_no_slice_lists() -> None:
    cluster = made.cluster(made.service(), made.pod("web-1", phase="Pending"), made.endpoint_slice("web-abc", ports=[]))
    diagram = topology.of_service(cluster, "web")
    assert diagram.sentence == (
        "Service web (10.96.0.9) has 1 slice, 0 of 0 endpoints ready: web-abc (IPv4, unset) with no endpoints; "
        "not in a slice: web-1."
    )
    assert {"– web-1", "not an endpoint, Pending", "no endpoints"} <= set(pictures.words(diagram))


def test_near_misses_are_grey_and_tell_their_labels() -> None:
    cluster = made.cluster(
        made.service(),
        made.service("canary", {"app": "web-2"}),
        made.pod("slip", {"app": "wbe"}),
        made.pod("meant", {"app": "web-2"}),
        made.pod("other", {"app": "database"}),
        made.pod("done", {"app": "wbe"}, phase="Succeeded"),
        made.endpoint_slice("web-abc", ports=[]),
    )
    diagram = topology.of_service(cluster, "web")
    assert diagram.sentence.endswith("; almost selected: slip (app=wbe instead of app=web).")
    assert {"≈ slip", "app=wbe instead of app=web"} <= set(pictures.words(diagram))
    assert not {"meant", "other", "done"} & set(pictures.words(diagram))


@pytest.mark.parametrize(
    ("selector", "labels", "reasons"),
    [
        ({"app": "web"}, {"app": "web"}, []),
        ({"app": "web"}, {"app": "wbe"}, ["app=wbe instead of app=web"]),
        ({"app": "web"}, {"app": "Web"}, ["app=Web instead of app=web"]),
        ({"app": "web"}, {"App": "web"}, ["App=web instead of app=web"]),
        ({"app": "web"}, {"app.kubernetes.io/name": "web"}, ["app.kubernetes.io/name=web instead of app=web"]),
        ({"app": "web"}, {"app": "database"}, []),
        ({"app": "web"}, {}, []),
        ({"sidecar": "true"}, {"debug": "true"}, []),
        ({"app": "web", "tier": "front"}, {"app": "web", "tier": "back"}, ["tier=back instead of tier=front"]),
        ({"app": "web", "tier": "front"}, {"app": "web"}, ["no label tier=front"]),
        ({"app": "web", "tier": "front"}, {"app": "database", "tier": "back"}, []),
        ({"app": "web", "tier": "front"}, {"app": "wbe", "tier": "frnt"},
         ["app=wbe instead of app=web", "tier=frnt instead of tier=front"]),
        ({}, {"app": "web"}, []),
    ],
)  # fmt: skip
def test_what_counts_as_a_near_miss(selector: dict[str, str], labels: dict[str, str], reasons: list[str]) -> None:
    assert near_miss(selector, labels) == reasons


def test_a_pod_that_is_gone_and_one_that_took_its_name() -> None:
    entries = [made.endpoint("10.0.0.1", pod="web-1"), made.endpoint("10.0.0.2", pod="web-2")]
    entries[1]["targetRef"]["uid"] = "an earlier one"
    cluster = made.cluster(made.service(), made.pod("web-2"), made.endpoint_slice("web-abc", entries))
    diagram = topology.of_service(cluster, "web")
    assert "10.0.0.1 ready in pod web-1 (gone), 10.0.0.2 ready in pod web-2 (gone)" in diagram.sentence
    assert pictures.words(diagram).count("gone: no such pod") == 2


def test_twelve_endpoints_of_a_slice_are_rows_and_thirteen_are_counts() -> None:
    twelve, thirteen = (topology.of_service(made.crowd(number), "web") for number in (12, 13))
    assert len(edges(twelve)) == 1 + 12 and "✔ 13 ready" not in pictures.words(twelve)
    assert "web-s0 (IPv4, 8080/TCP) with 13 endpoints (13 ready)" in thirteen.sentence
    assert len(edges(thirteen)) == 1 + 9 and "✔ 13 ready" in pictures.words(thirteen)


def test_beyond_sixty_endpoints_everything_is_grouped_and_says_so() -> None:
    sixty, more = (topology.of_service(made.crowd(number, places=10), "web") for number in (60, 61))
    assert "too many" not in sixty.sentence and len(edges(sixty)) == 6 + 60
    assert more.sentence == (
        "Service web (10.96.0.9) has 7 slices, 61 of 61 endpoints ready: 7 slices (IPv4, 8080/TCP) with 61 endpoints "
        "(61 ready); 21 in zone-a, 20 in zone-b, 20 in zone-c. "
        "There are too many to draw each: the picture counts them."
    )
    assert "21 endpoints on 3 nodes" in pictures.words(more)


def test_ten_thousand_endpoints_are_a_handful_of_boxes() -> None:
    diagram = topology.of_service(made.crowd(10_000, nodes=90), "web")
    assert len(diagram.dot.splitlines()) < 60 and len(diagram.sentence) < 400
    assert {"100 slices", "✔ 10,000 ready", "3,334 endpoints on 30 nodes"} <= set(pictures.words(diagram))


def test_what_is_looked_at_grows_with_the_endpoints_and_not_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    of_endpoint = palette.of_endpoint

    def counted(endpoint: made.Obj) -> palette.Look:
        nonlocal looks
        looks += 1
        return of_endpoint(endpoint)

    monkeypatch.setattr(palette, "of_endpoint", counted)
    topology.of_service(made.crowd(1000), "web")
    assert looks <= 6 * 1000


def test_a_hand_made_slice_names_its_manager_or_nobody() -> None:
    entries = [made.endpoint("192.0.2.1")]
    cluster = made.cluster(
        made.service(selector={}),
        made.endpoint_slice("mine", entries, manager="me"),
        made.endpoint_slice("nobodys", entries, manager=""),
    )
    words = pictures.words(topology.of_service(cluster, "web"))
    assert "managed by me" in words and "managed by nobody" in words


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("wbe", "There is no Service wbe in the namespace default. The nearest name is web; there are: db, web."),
        ("zzz", "There is no Service zzz in the namespace default. There are: db, web."),
        ("demo/svc/web", "There is no Service web in the namespace demo. There is one in the namespace default: write "
                         "default/svc/web. There are none."),
        ("pod/web", "This picture is of a Service, such as svc/web, and not of pod/web."),
        ("a/b/c", "'a/b/c' names no Service. Write svc/web, or demo/svc/web for one in the namespace demo."),
        ("", "'' names no Service. Write svc/web, or demo/svc/web for one in the namespace demo."),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_with_the_nearest_names(what: str, text: str) -> None:
    cluster = made.cluster(made.service(), made.service("db"))
    with pytest.raises(EpkitError) as caught:
        topology.of_service(cluster, what)
    assert str(caught.value) == text


def test_the_same_cluster_gives_the_same_picture() -> None:
    first, second = (topology.of_service(three_pods(), "web") for _ in range(2))
    assert first.dot == second.dot and first.svg == second.svg


def test_without_graphviz_the_sentence_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "pygraphviz", None)
    diagram = topology.of_service(three_pods(), "web")
    shown = diagram._repr_mimebundle_()
    assert shown["text/plain"].startswith(diagram.sentence + "\n(Pictures need Graphviz.")
    assert "image/svg+xml" not in shown
