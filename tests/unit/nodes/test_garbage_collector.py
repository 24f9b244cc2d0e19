"""Owners and dependents: background, foreground and orphaning deletion."""
from __future__ import annotations

from simulated_nodes import Nodes

from epkit.objects import Obj


def owner(nodes: Nodes, name: str = "owner", **metadata: object) -> Obj:
    return nodes.create("configmaps", name, metadata=metadata)


def owned(nodes: Nodes, name: str, *owners: Obj, block: bool = True, **metadata: object) -> Obj:
    references = [
        {
            "apiVersion": one["apiVersion"],
            "kind": one["kind"],
            "name": one["metadata"]["name"],
            "uid": one["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for one in owners
    ]
    made = nodes.create("configmaps", name, metadata={"ownerReferences": references, **metadata})
    nodes.settle()
    return made


def there(nodes: Nodes, *names: str) -> list[str]:
    return [name for name in names if nodes.get(name, "configmaps") is not None]


def test_dependents_follow_their_owner(nodes: Nodes) -> None:
    first = owner(nodes)
    second = owned(nodes, "child", first)
    owned(nodes, "grandchild", second)
    nodes.delete("owner", "configmaps")
    nodes.settle()
    assert there(nodes, "owner", "child", "grandchild") == []


def test_a_dependent_stays_while_one_owner_is_left(nodes: Nodes) -> None:
    a, b = owner(nodes, "a"), owner(nodes, "b")
    owned(nodes, "child", a, b)
    nodes.delete("a", "configmaps")
    nodes.settle()
    child = nodes.get("child", "configmaps")
    assert child is not None and [ref["name"] for ref in child["metadata"]["ownerReferences"]] == ["b"]
    nodes.delete("b", "configmaps")
    nodes.settle()
    assert there(nodes, "child") == []


def test_an_owner_that_never_was_is_as_good_as_gone(nodes: Nodes) -> None:
    ghost = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "no-such-uid"}}
    owned(nodes, "child", ghost)
    assert there(nodes, "child") == []


def test_an_owner_of_the_same_name_but_another_uid_does_not_count(nodes: Nodes) -> None:
    old = owner(nodes)
    nodes.delete("owner", "configmaps")
    nodes.settle()
    owner(nodes)
    owned(nodes, "child", old)
    assert there(nodes, "child", "owner") == ["owner"]


def test_orphaning_takes_the_owner_off_its_dependents(nodes: Nodes) -> None:
    owned(nodes, "child", owner(nodes))
    nodes.delete("owner", "configmaps", propagation="Orphan")
    nodes.settle()
    child = nodes.get("child", "configmaps")
    assert there(nodes, "owner") == [] and child is not None
    assert "ownerReferences" not in child["metadata"]


def test_foreground_deletion_waits_for_blocking_dependents(nodes: Nodes) -> None:
    owned(nodes, "child", owner(nodes), finalizers=["example.com/hold"])
    nodes.delete("owner", "configmaps", propagation="Foreground")
    nodes.settle()
    waiting = nodes.get("owner", "configmaps")
    assert waiting is not None and waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
    nodes.client.patch("configmaps", "child", {"metadata": {"finalizers": None}}, "default")
    nodes.settle()
    assert there(nodes, "owner", "child") == []


def test_foreground_deletion_goes_down_the_tree_leaves_first(nodes: Nodes) -> None:
    first = owner(nodes)
    owned(nodes, "grandchild", owned(nodes, "child", first))
    nodes.delete("owner", "configmaps", propagation="Foreground")
    nodes.settle()
    deletions = [event for event in nodes.plane.store.history if event.type == "DELETED"]
    assert [event.name for event in deletions[-3:]] == ["grandchild", "child", "owner"]


def test_foreground_deletion_does_not_wait_for_dependents_that_do_not_block(nodes: Nodes) -> None:
    owned(nodes, "child", owner(nodes), block=False, finalizers=["example.com/hold"])
    nodes.delete("owner", "configmaps", propagation="Foreground")
    nodes.settle()
    assert there(nodes, "owner", "child") == ["child"]


def test_an_object_held_by_a_finalizer_outlives_its_owner(nodes: Nodes) -> None:
    owned(nodes, "child", owner(nodes), finalizers=["example.com/hold"])
    nodes.delete("owner", "configmaps")
    nodes.settle()
    child = nodes.get("child", "configmaps")
    assert child is not None and "deletionTimestamp" in child["metadata"]


def test_a_reference_that_is_taken_off_saves_the_object(nodes: Nodes) -> None:
    owned(nodes, "child", owner(nodes))
    nodes.client.patch("configmaps", "child", {"metadata": {"ownerReferences": None}}, "default")
    nodes.settle()
    nodes.delete("owner", "configmaps")
    nodes.settle()
    assert there(nodes, "child") == ["child"]


def test_status_writes_cost_the_collector_nothing(nodes: Nodes) -> None:
    collector = nodes.plane.controllers["garbage-collector-controller"]
    before = [queue.syncs for queue in collector.queues]
    nodes.pod("web")
    assert [queue.syncs for queue in collector.queues] == before
