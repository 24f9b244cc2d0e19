"""The tape: what concerns a Service, and the way there and back."""

from __future__ import annotations

import pytest

from epkit.cluster import Cluster
from epkit.fake.loop import Loop
from epkit.fake.pace import Pace
from epkit.live import tape as tapes
from epkit.live.feed import BuiltIn, Forgotten
from epkit.live.tape import Tape


def names(tape: Tape) -> set[str]:
    return {f"{write.resource}/{write.name}" for write in tape.writes(1, tape.length)}


def test_it_holds_what_concerns_the_service_and_nothing_else(cluster: Cluster) -> None:
    cluster.kubectl("create deployment other --image=nginx")
    cluster.kubectl("expose deployment other --port=80")
    cluster.kubectl("create namespace far")
    cluster.kubectl("create deployment web --image=nginx -n far")
    tape = Tape("default", "web", cluster.story)
    assert {name.split("/")[0] for name in names(tape)} == {
        "deployments", "replicasets", "pods", "services", "endpoints", "endpointslices",
    }  # fmt: skip
    assert all(name.split("/")[1:][:1] == ["default"] and name.split("/")[2].startswith("web") for name in names(tape))


def test_what_was_written_before_the_service_was_there_concerns_it(bare: Cluster) -> None:
    feed = BuiltIn(bare._plane)
    tape = Tape("default", "web", feed.story())
    bare.kubectl("create deployment web --image=nginx")
    tape.add(feed.news())
    assert tape.length == 0
    bare.kubectl("expose deployment web --port=80")
    tape.add(feed.news())
    assert tape.write(1).who == "kubectl"
    assert f"{tape.write(1).resource}/{tape.write(1).name}" == "deployments/default/web"


def test_a_pod_that_was_relabelled_and_a_slice_that_lost_its_label_still_concern_it(cluster: Cluster) -> None:
    feed = BuiltIn(cluster._plane)
    tape = Tape("default", "web", feed.story())
    pod = cluster.client.list("pods", "default").items[0]["metadata"]["name"]
    cluster.kubectl(f"label pod {pod} app=quarantined --overwrite")
    tape.add(feed.news())
    assert "kubectl" in [write.who for write in tape.writes(1, tape.length) if write.name == f"default/{pod}"]
    one = cluster.client.list("endpointslices", "default", labels="kubernetes.io/service-name=web").items[0]["metadata"]
    cluster.kubectl(f"label endpointslice {one['name']} kubernetes.io/service-name-")
    tape.add(feed.news())
    assert [write.name for write in tape.gone()] == [f"default/{one['name']}"]


def test_a_node_concerns_it_when_its_readiness_changes(cluster: Cluster) -> None:
    feed = BuiltIn(cluster._plane)
    tape = Tape("default", "web", feed.story())
    cluster.sleep(600)  # heartbeats
    tape.add(feed.news())
    assert "nodes/node-1" not in names(tape)
    node = cluster.client.get("nodes", "node-1")
    conditions = [
        {**one, "status": "Unknown"} if one["type"] == "Ready" else one for one in node["status"]["conditions"]
    ]
    cluster.client.update(
        "nodes", {**node, "status": {**node["status"], "conditions": conditions}}, subresource="status"
    )
    tape.add(feed.news())
    assert "nodes/node-1" in names(tape)


def test_of_many_writes_the_oldest_are_forgotten(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = BuiltIn(cluster._plane)
    tape = Tape("default", "web", feed.story())
    length = tape.length
    first = tape.write(length)
    monkeypatch.setattr(tapes, "MOST_WRITES", len(tape._all) + 5)
    cluster.kubectl("scale deployment web --replicas=3")
    added = feed.news()
    forgotten = tape.add(added)
    assert 0 < forgotten < length
    assert tape.write(length - forgotten) is first
    topology = tape.topology()
    assert topology is not None and len(topology.endpoints) == 3
    for position in range(tape.length, -1, -1):
        tape.topology(position)
    topology = tape.topology(tape.length)
    assert topology is not None and len(topology.endpoints) == 3


def test_listening_to_a_feed_moves_nothing(cluster: Cluster) -> None:
    cluster._plane.set_pace(Waiting())
    feed = BuiltIn(cluster._plane)
    before = (cluster._plane.clock.now, cluster._plane.store.version)
    feed.story()
    feed.news()
    assert (cluster._plane.clock.now, cluster._plane.store.version) == before
    cluster.client.list("services")  # a request does
    assert cluster._plane.clock.now > before[0]


class Waiting(Pace):
    """A second passes with every request."""

    def before(self, loop: Loop) -> None:
        loop.run_until(loop.clock.now + 1)


def test_a_feed_says_when_the_cluster_has_forgotten(cluster: Cluster) -> None:
    feed = BuiltIn(cluster._plane)
    feed.story()
    cluster.kubectl("create configmap a")
    cluster._plane.store.compact()
    with pytest.raises(Forgotten):
        feed.news()
    feed.story()
    assert feed.news() == []
