"""The store: versions, order, history."""

from __future__ import annotations

import pytest

from epkit.fake.store import Compacted, Event, Store
from epkit.objects import Obj


def config_map(name: str, namespace: str = "default", **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


@pytest.fixture
def store() -> Store:
    return Store(now=lambda: 0.0, history=5)


def test_every_write_raises_the_one_version(store: Store) -> None:
    assert store.put("configmaps", config_map("a"))["metadata"]["resourceVersion"] == "1"
    assert store.put("secrets", config_map("a"))["metadata"]["resourceVersion"] == "2"
    assert store.delete("secrets", "default", "a")["metadata"]["resourceVersion"] == "3"


def test_lists_are_ordered_by_namespace_and_name(store: Store) -> None:
    for namespace, name in (("b", "1"), ("a", "2"), ("a-b", "1"), ("a", "1")):
        store.put("configmaps", config_map(name, namespace))
    assert [(o["metadata"]["namespace"], o["metadata"]["name"]) for o in store.list("configmaps")] == [
        ("a", "1"),
        ("a", "2"),
        ("a-b", "1"),
        ("b", "1"),
    ]
    assert [o["metadata"]["name"] for o in store.list("configmaps", "a")] == ["1", "2"]


def test_events_say_what_was_before_and_who_wrote(store: Store) -> None:
    seen: list[Event] = []
    store.subscribe(seen.append)
    store.put("configmaps", config_map("a", x="1"), "somebody")
    store.put("configmaps", config_map("a", x="2"), "somebody else")
    store.delete("configmaps", "default", "a", "a third")
    assert [(e.type, e.version, e.actor) for e in seen] == [
        ("ADDED", 1, "somebody"),
        ("MODIFIED", 2, "somebody else"),
        ("DELETED", 3, "a third"),
    ]
    assert seen[0].old is None and seen[1].old is seen[0].obj
    assert seen[2].obj["metadata"]["resourceVersion"] == "3" and seen[2].obj["data"] == {"x": "2"}


def test_history_goes_back_as_far_as_it_is_kept(store: Store) -> None:
    for number in range(7):
        store.put("configmaps", config_map("a", x=str(number)))
    assert [event.version for event in store.since(2)] == [3, 4, 5, 6, 7]
    with pytest.raises(Compacted) as caught:
        store.since(1)
    assert caught.value.oldest == 2


def test_compaction_forgets_everything(store: Store) -> None:
    store.put("configmaps", config_map("a"))
    store.compact()
    with pytest.raises(Compacted):
        store.since(0)
    assert list(store.since(1)) == []


def test_bytes_of_a_stored_object_are_made_once(store: Store) -> None:
    obj = store.put("configmaps", config_map("a", x="1"))
    assert store.encoded(obj) is store.encoded(obj)
    assert b'"kind"' not in store.encoded(obj)
    stranger = config_map("b")
    assert store.encoded(stranger) is not store.encoded(stranger)


def test_nobody_hears_after_unsubscribing(store: Store) -> None:
    seen: list[Event] = []
    end = store.subscribe(seen.append)
    end()
    store.put("configmaps", config_map("a"))
    assert seen == []
