"""Filled and free places, before and after, and the writes in between."""

from __future__ import annotations

import pytest
import view_objects as made
import view_pictures as pictures

import epkit
from epkit.errors import EpkitError
from epkit.views import packing, palette
from epkit.views.packing import FREE, KEPT, LEFT, NEW


def of_range(name: str, first: int, last: int, version: int = 1) -> made.Obj:
    """A slice with the endpoints of a range of numbers."""
    entries = [made.endpoint(address) for address in made.addresses(last)[first:]]
    return made.endpoint_slice(name, entries, version=version)


def marks(diagram: packing.Diagram) -> dict[str, int]:
    """How many marks of each sort stand in the slices; the legend's are not counted."""
    shapes = {
        KEPT.word: len(pictures.all_of(diagram, "rect", fill=KEPT.colour)),
        NEW.word: len(pictures.all_of(diagram, "circle", fill=NEW.colour)),
        LEFT.word: len(pictures.all_of(diagram, "polyline", stroke=LEFT.colour)) // 2,
        FREE.word: len(pictures.all_of(diagram, "rect", stroke=FREE.colour)),
    }
    legend = pictures.words(diagram) + ([KEPT.word] if "filled" in pictures.words(diagram) else [])
    return {word: number - (word in legend) for word, number in shapes.items()}


def test_127_more_endpoints_on_slices_of_62_and_61() -> None:
    before = [of_range("web-a", 0, 62), of_range("web-b", 100, 161)]
    after = [of_range("web-a", 0, 62), of_range("web-b", 100, 188, version=2), of_range("web-c", 300, 400)]
    diagram = packing.of(before, after, title="svc/web")
    assert diagram.sentence == (
        "Packing of svc/web, 100 places a slice: 123 endpoints in 2 slices became 250 endpoints in 3 slices; "
        "1 create, 1 update, 0 deletes: web-a 62 (unchanged), web-b 61 → 88 (27 new, 0 left), web-c 100 (created)."
    )
    free = 2 * 38 + 39 + 12
    assert marks(diagram) == {"kept": 2 * (62 + 61), "new": 27 + 100, "left": 0, "free": free}
    assert {"before", "after", "unchanged", "update", "create"} <= set(pictures.words(diagram))
    assert "writes: 1 create, 1 update, 0 deletes" in pictures.words(diagram)
    pictures.check(diagram)


def test_what_leaves_is_crossed_out_before_and_free_afterwards() -> None:
    diagram = packing.of([of_range("web-a", 0, 3), of_range("web-b", 3, 4)], [of_range("web-a", 1, 3, 2)], places=3)
    assert diagram.sentence == (
        "Packing, 3 places a slice: 4 endpoints in 2 slices became 2 endpoints in 1 slice; 0 creates, 1 update, "
        "1 delete: web-a 3 → 2 (0 new, 1 left), web-b 1 (deleted)."
    )
    assert marks(diagram) == {"kept": 2 + 2, "new": 0, "left": 2, "free": 2 + 1}
    pictures.check(diagram)


def test_an_address_that_another_pod_got_is_a_new_endpoint() -> None:
    old = made.endpoint_slice("web-a", [made.endpoint("10.0.0.1", pod="web-1")])
    new = made.endpoint_slice("web-a", [made.endpoint("10.0.0.1", pod="web-2")], version=2)
    assert "web-a 1 → 1 (1 new, 1 left)" in packing.of([old], [new]).sentence


def test_a_write_that_changes_no_endpoint_is_an_update() -> None:
    old = of_range("web-a", 0, 2)
    assert "0 creates, 1 update, 0 deletes" in packing.of([old], [of_range("web-a", 0, 2, version=2)]).sentence
    assert "0 creates, 0 updates, 0 deletes" in packing.of([old], [old]).sentence


def test_one_moment_alone() -> None:
    diagram = packing.of(None, [of_range("web-a", 0, 3), of_range("web-b", 3, 5)], places=3, title="svc/web")
    assert diagram.sentence == "Packing of svc/web, 3 places a slice: 5 endpoints in 2 slices: web-a 3, web-b 2."
    assert marks(diagram) == {"kept": 5, "new": 0, "left": 0, "free": 1}
    assert {"3 of 3", "2 of 3", "filled"} <= set(pictures.words(diagram))
    assert not {"before", "after"} & set(pictures.words(diagram))
    pictures.check(diagram)


def test_an_over_full_slice_reaches_beyond_its_frame() -> None:
    diagram = packing.of(None, [of_range("web-a", 0, 5)], places=3)
    assert diagram.sentence.endswith("web-a 5, over-full.")
    frame = pictures.all_of(diagram, "rect", stroke=palette.INK)[0]
    bottom = float(frame.get("y", 0)) + float(frame.get("height", 0))
    filled = pictures.all_of(diagram, "rect", fill=KEPT.colour)[:-1]
    assert sum(float(cell.get("y", 0)) > bottom - 2 for cell in filled) == 2
    pictures.check(diagram)


def test_a_mark_stands_for_several_places_where_a_slice_has_more_than_a_hundred() -> None:
    diagram = packing.of(None, [of_range("web-a", 0, 1000), of_range("web-b", 0, 41)], places=1000)
    assert marks(diagram)["kept"] == 100 + 5 and marks(diagram)["free"] == 95
    assert "a mark is up to 10 places" in pictures.words(diagram)


def test_many_slices_alike_are_one_row_and_what_was_written_comes_first() -> None:
    before = [of_range(f"web-{number:03}", number * 10, number * 10 + 10) for number in range(100)]
    after = [of_range(f"web-{number:03}", number * 10, number * 10 + 9, 2) for number in range(20)] + before[20:99]
    diagram = packing.of(before, after, places=10, title="svc/web")
    assert diagram.sentence.endswith(
        "0 creates, 20 updates, 1 delete: 20 slices 10 → 9 (0 new, 1 left), web-099 10 (deleted), "
        "79 slices 10 (unchanged)."
    )
    assert {"20 slices", "20 updates", "79 slices", "web-099"} <= set(pictures.words(diagram))
    assert len(pictures.all_of(diagram, "rect", stroke=palette.INK)) == 5
    pictures.check(diagram)


def test_many_slices_of_many_sizes_are_cut_and_counted() -> None:
    slices = [of_range(f"web-{number:02}", 0, number) for number in range(40)]
    diagram = packing.of(None, slices, places=50)
    assert "and 26 slices more" in pictures.words(diagram) and diagram.sentence.endswith("and 28 more.")
    pictures.check(diagram)


def test_nothing_to_pack() -> None:
    diagram = packing.of([], [], title="svc/web")
    assert "0 endpoints in 0 slices became 0 endpoints in 0 slices" in diagram.sentence
    assert "no slices" in pictures.words(diagram)
    pictures.check(diagram)


def test_no_places_are_refused() -> None:
    with pytest.raises(EpkitError, match="A slice has at least 1 place, not 0."):
        packing.of([], [], places=0)


def test_writes_are_counted_in_the_story_and_not_only_what_they_came_to() -> None:
    told = made.Told(made.service(), of_range("web-a", 0, 1))
    for version in range(2, 5):
        told.write(of_range("web-a", 0, version, version), "endpointslice-controller")
    told.write(of_range("web-b", 10, 11), "endpointslice-controller")
    told.write(made.endpoint_slice("db-a", service="db"), "endpointslice-controller")
    sentence = packing.of_service(told.story, "svc/web", since=made.MOMENT).sentence
    assert "1 endpoint in 1 slice became 5 endpoints in 2 slices; 1 create, 3 updates, 0 deletes" in sentence
    late = packing.of_service(told.story, "svc/web", since=made.MOMENT + 4).sentence
    assert "4 endpoints in 1 slice became 5 endpoints in 2 slices; 1 create, 0 updates, 0 deletes" in late
    assert "became" not in packing.of_service(told.story, "svc/web").sentence


def test_a_service_that_is_not_there() -> None:
    with pytest.raises(EpkitError, match="no Service wbe in the namespace default. The nearest name is web"):
        packing.of_service(made.Told(made.service()).story, "svc/wbe")


def test_on_a_cluster_with_small_slices_and_the_same_twice() -> None:
    drawn = []
    flags = {"endpointslice-controller": {"max_endpoints_per_slice": 3}}
    for _ in range(2):
        with epkit.Cluster({"start": made.MOMENT, "flags": flags}) as cluster:
            cluster.kubectl("create deployment web --image=nginx --replicas=5")
            cluster.kubectl("expose deployment web --port=80")
            cluster.settle()
            before = cluster.client.list("pods").resource_version
            assert ", 3 places a slice: 5 endpoints in 2 slices: " in cluster.packing("svc/web").sentence
            cluster.kubectl("scale deployment web --replicas=7")
            cluster.settle()
            drawn.append(cluster.packing("svc/web", since=before))
    first, second = drawn
    assert first.svg == second.svg and first.sentence == second.sentence
    assert "5 endpoints in 2 slices became 7 endpoints in 3 slices; 1 create" in first.sentence
    pictures.check(first)
