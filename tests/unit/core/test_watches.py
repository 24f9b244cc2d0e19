"""Watches as newer clients open them: the list first, as events, and a bookmark where it ends."""

from __future__ import annotations

from epkit.fake.plane import Plane

SLICES = "/apis/discovery.k8s.io/v1/endpointslices"


def test_a_watch_may_begin_with_what_there_is_and_say_where_that_ends(plane: Plane) -> None:
    query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    stream = plane.request("GET", SLICES, query, {"accept": "application/json"}).watch
    assert stream is not None
    events = stream.watch.take()
    assert [event.type for event in events] == ["ADDED", "BOOKMARK"]
    assert events[0].obj["metadata"]["name"] == "kubernetes"
    end = events[1].obj["metadata"]
    assert end["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert end["resourceVersion"] == str(plane.store.version)
    stream.watch.close()


def test_a_watch_from_before_the_history_is_told_so(plane: Plane) -> None:
    plane.store.compact()
    stream = plane.request("GET", SLICES, "watch=1&resourceVersion=1", {"accept": "application/json"}).watch
    assert stream is not None
    (event,) = stream.watch.take()
    assert (event.type, event.obj["code"], event.obj["reason"]) == ("ERROR", 410, "Expired")
    assert stream.watch.ended
