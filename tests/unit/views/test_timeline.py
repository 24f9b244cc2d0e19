"""The states of endpoints over time: lanes of segments, each in a look of its own."""

from __future__ import annotations

import pytest
import view_objects as made
import view_pictures as pictures

import epkit
from epkit.errors import EpkitError
from epkit.views import palette, timeline

CONTROLLER = "endpointslice-controller"


def one_slice(*entries: made.Obj, name: str = "web-abc") -> made.Obj:
    return made.endpoint_slice(name, entries)


def a_life() -> made.Told:
    """Two endpoints: one comes, becomes ready, goes away; the other stays."""
    first, other = ("10.0.0.1", "web-1"), made.endpoint("10.0.0.2", made.READY, "web-2")
    states = [made.NOT_READY, made.READY, made.TERMINATING, made.GOING]
    told = made.Told(made.service()).write(one_slice(), CONTROLLER)
    for state in states:
        told.write(one_slice(made.endpoint(first[0], state, first[1]), other), CONTROLLER)
    return told.write(one_slice(other), CONTROLLER)


def test_every_state_of_every_endpoint_in_words() -> None:
    assert timeline.of_service(a_life().story, "svc/web").sentence.splitlines() == [
        "2 endpoints of svc/web over 6.0 s, 5 changes:",
        "10.0.0.1 in pod web-1: not ready from +1.0s; ready from +2.0s; serving, terminating from +3.0s; "
        "terminating from +4.0s; gone at +5.0s",
        "10.0.0.2 in pod web-2: ready from +1.0s",
    ]


def test_a_segment_for_every_state_with_colour_pattern_line_and_sign() -> None:
    diagram = timeline.of_service(a_life().story, "svc/web")
    for look in palette.LOOKS.values():
        patterned = f"url(#epkit-{look.pattern}-{look.colour[1:]})" if look.pattern else look.fill
        bars = pictures.all_of(diagram, "rect", fill=patterned, stroke=look.colour, stroke_width="1.5")
        assert len(bars) == (2 if look is palette.READY else 1), look.word
        dash = {"solid": None, "dashed": "6 3", "dotted": "1.5 3"}[look.line]
        assert all(bar.get("stroke-dasharray") == dash for bar in bars)
    words = pictures.words(diagram)
    assert {"10.0.0.1", "web-1", "10.0.0.2", "web-2", "+0.0s", "+1.0s", "+5.0s"} <= set(words)
    assert words.count("✔ ready") == 3 and words.count("✖ not ready") == 2  # once in the legend
    pictures.check(diagram)


def test_segments_meet_and_stay_inside_the_lanes() -> None:
    diagram = timeline.of_service(a_life().story, "svc/web")
    bars = [bar for bar in pictures.all_of(diagram, "rect", stroke_width="1.5") if bar.get("y") == "40"]
    edges = [(float(bar.get("x", 0)), float(bar.get("x", 0)) + float(bar.get("width", 0))) for bar in bars]
    assert len(edges) == 4
    assert all(abs(right + 2 - left) < 0.2 for (_, right), (left, _) in zip(edges, edges[1:], strict=False))


def test_writes_that_change_no_state_make_no_column() -> None:
    told = made.Told(made.service())
    for _ in range(5):
        told.write(one_slice(made.endpoint("10.0.0.1")), CONTROLLER)
    assert timeline.of_service(told.story, "web").sentence.splitlines() == [
        "1 endpoint of svc/web over 5.0 s, 0 changes:",
        "10.0.0.1: ready from +0.0s",
    ]


def test_since_a_moment_or_a_version_begins_with_what_was_there() -> None:
    story = a_life().story
    by_time = timeline.of_service(story, "web", since=made.MOMENT + 4.5).sentence.splitlines()
    assert by_time == [
        "2 endpoints of svc/web over 2.5 s, 2 changes:",
        "10.0.0.1 in pod web-1: serving, terminating from +0.0s; terminating from +0.5s; gone at +1.5s",
        "10.0.0.2 in pod web-2: ready from +0.0s",
    ]
    by_version = timeline.of_service(story, "web", since="106").sentence.splitlines()
    assert by_version == ["1 endpoint of svc/web over 1.0 s, 0 changes:", "10.0.0.2 in pod web-2: ready from +0.0s"]


def test_an_endpoint_in_two_slices_is_one_lane_and_ready_where_one_says_so() -> None:
    told = made.Told(made.service())
    told.write(one_slice(made.endpoint("10.0.0.1", made.READY)), CONTROLLER)
    told.write(one_slice(made.endpoint("10.0.0.1", made.NOT_READY), name="web-b"), CONTROLLER)
    told.delete(one_slice(made.endpoint("10.0.0.1", made.READY)), CONTROLLER)
    assert timeline.of_service(told.story, "web").sentence.splitlines()[1:] == [
        "10.0.0.1: ready from +0.0s; not ready from +2.0s"
    ]


def test_many_endpoints_alike_share_a_lane() -> None:
    told = made.Told(made.service())
    entries = [made.endpoint(address) for address in made.addresses(1000)]
    told.write(one_slice(*entries), CONTROLLER)
    told.write(one_slice(*entries[:900]), CONTROLLER)
    diagram = timeline.of_service(told.story, "web")
    assert diagram.sentence.splitlines() == [
        "1,000 endpoints of svc/web over 2.0 s, 1 change:",
        "900 endpoints: ready from +0.0s",
        "100 endpoints: ready from +0.0s; gone at +1.0s",
    ]
    pictures.check(diagram)


def test_many_changes_and_many_histories_are_cut_and_counted() -> None:
    told = made.Told(made.service())
    for number in range(1, 41):
        told.write(one_slice(*map(made.endpoint, made.addresses(number))), CONTROLLER)
    diagram = timeline.of_service(told.story, "web")
    lines = diagram.sentence.splitlines()
    assert lines[0] == "40 endpoints of svc/web over 22.0 s, the last 21 changes, 18 before them left out:"
    assert lines[1] == "19 endpoints: ready from +0.0s" and lines[-1] == "and 2 endpoints more"
    assert "and 2 endpoints more" in pictures.words(diagram)
    pictures.check(diagram)


def test_many_changes_at_one_moment_are_drawn_as_their_outcome() -> None:
    told = made.Told(made.service())
    for number in range(1, 41):
        told.write(one_slice(*map(made.endpoint, made.addresses(number % 3))), CONTROLLER, at=number // 10)
    lines = timeline.of_service(told.story, "web").sentence.splitlines()
    assert lines[0].endswith("over 5.0 s, 4 changes:")


def test_nothing_was_listed() -> None:
    diagram = timeline.of_service(made.Told(made.service()).story, "web")
    assert diagram.sentence == "No endpoint was listed for svc/web."
    assert "no endpoint was listed" in pictures.words(diagram)
    pictures.check(diagram)


def test_hostile_names_and_a_service_that_is_not_there() -> None:
    hostile = "</text><script>\x1b&"
    told = made.Told(made.service()).write(one_slice(made.endpoint(hostile, pod=hostile)), CONTROLLER)
    diagram = timeline.of_service(told.story, "web")
    assert "<script" not in diagram.svg and "\x1b" not in diagram.sentence
    assert "</text><script>\ufffd&" in pictures.words(diagram)
    with pytest.raises(EpkitError, match="The nearest name is web"):
        timeline.of_service(told.story, "wbe")


def test_on_a_cluster_and_the_same_twice() -> None:
    drawn = []
    for _ in range(2):
        with epkit.Cluster({"start": made.MOMENT}) as cluster:
            cluster.kubectl("create deployment web --image=nginx --replicas=2")
            cluster.kubectl("expose deployment web --port=80")
            cluster.settle()
            cluster.kubectl("scale deployment web --replicas=1")
            cluster.settle()
            drawn.append(cluster.timeline("svc/web"))
    first, second = drawn
    assert first.svg == second.svg and first.sentence == second.sentence
    assert "; serving, terminating from +0.0s" in first.sentence and "gone at" in first.sentence
    pictures.check(first)


def test_what_is_looked_at_grows_with_the_writes_and_not_with_writes_times_endpoints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0
    of_endpoint = palette.of_endpoint

    def counted(endpoint: made.Obj) -> palette.Look:
        nonlocal looks
        looks += 1
        return of_endpoint(endpoint)

    entries = [made.endpoint(address) for address in made.addresses(2000)]
    slices = [one_slice(*entries[start : start + 10], name=f"web-{start}") for start in range(0, 2000, 10)]
    told = made.Told(made.service(), *slices)
    for one in slices:
        told.write(made.changed(one, metadata={"resourceVersion": "2"}), CONTROLLER)
        told.write(one_slice(*one["endpoints"][1:], name=one["metadata"]["name"]), CONTROLLER)
    monkeypatch.setattr(palette, "of_endpoint", counted)
    diagram = timeline.of_service(told.story, "web")
    assert looks <= 2 * 20 * len(slices) + timeline.MOST_COLUMNS * 2000
    assert "the last 21 changes, 179 before them left out" in diagram.sentence
