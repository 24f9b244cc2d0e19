"""Who wrote what, when: the steps in words, and the diagram that draws them."""

from __future__ import annotations

from pathlib import Path

import pytest
import view_objects as made
import view_pictures as pictures

import epkit
from epkit.errors import EpkitError
from epkit.views import palette, sequence

HOSTILE = "</text><script>&\x1b[31m\u202e"


def owned(obj: made.Obj, kind: str, name: str) -> made.Obj:
    return made.changed(obj, metadata={"ownerReferences": [{"kind": kind, "name": name, "controller": True}]})


def workload(kind: str, name: str, replicas: int) -> made.Obj:
    meta = {"name": name, "namespace": "default", "resourceVersion": "1"}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": {"replicas": replicas}, "status": {}}


def with_ready(pod: made.Obj, ready: str, phase: str = "Running", address: str = "10.0.0.1") -> made.Obj:
    return made.changed(
        pod, status={"phase": phase, "podIP": address, "conditions": [{"type": "Ready", "status": ready}]}
    )


def whole_life() -> made.Told:
    deployment = workload("Deployment", "web", 1)
    replica_set = owned(workload("ReplicaSet", "web-1", 1), "Deployment", "web")
    pod = owned(made.pod("web-1-a", phase="Pending"), "ReplicaSet", "web-1")
    bound = made.changed(pod, spec={"nodeName": "node-1"})
    placeholder = made.endpoint_slice("web-abc", ports=[])
    listed = made.endpoint_slice("web-abc", [made.endpoint("10.0.0.1", made.NOT_READY, "web-1-a")])
    ready = made.endpoint_slice("web-abc", [made.endpoint("10.0.0.1", made.READY, "web-1-a")])
    leaving = made.endpoint_slice("web-abc", [made.endpoint("10.0.0.1", made.TERMINATING, "web-1-a")])
    going = {"deletionTimestamp": "2026-01-01T00:00:10Z", "deletionGracePeriodSeconds": 30}
    marked = made.changed(with_ready(bound, "True"), metadata=going)
    controller = "endpointslice-controller"
    return (
        made.Told()
        .write(deployment)
        .write(replica_set, "deployment-controller")
        .write(made.changed(deployment, status={"replicas": 1}), "deployment-controller")
        .write(pod, "replicaset-controller")
        .write(bound, "scheduler")
        .write(made.service())
        .write(placeholder, controller)
        .write(with_ready(bound, "False"), "kubelet")
        .write(listed, controller)
        .write(with_ready(bound, "True"), "kubelet")
        .write(ready, controller)
        .write(marked)
        .write(leaving, controller)
        .delete(marked, "kubelet")
        .write(placeholder, controller)
        .delete(made.service())
        .delete(placeholder, "garbage-collector-controller")
    )


def test_the_steps_of_a_service_from_its_deployment_to_its_end() -> None:
    assert sequence.of_service(whole_life().story, "svc/web").sentence.splitlines() == [
        "16 steps by 7 writers for svc/web; 1 write of mere status left out:",
        "+0.0s kubectl: create Deployment web (replicas 1)",
        "+1.0s deployment-controller: create ReplicaSet web-1 (replicas 1)",
        "+3.0s replicaset-controller: create Pod web-1-a",
        "+4.0s scheduler: bind Pod web-1-a to node-1",
        "+5.0s kubectl: create Service web",
        "+6.0s endpointslice-controller: create EndpointSlice web-abc (no endpoints)",
        "+7.0s kubelet: status of Pod web-1-a: Running, not ready, 10.0.0.1",
        "+8.0s endpointslice-controller: update EndpointSlice web-abc: ports 8080/TCP; + 10.0.0.1 not ready",
        "+9.0s kubelet: status of Pod web-1-a: ready",
        "+10.0s endpointslice-controller: update EndpointSlice web-abc: 10.0.0.1 not ready → ready",
        "+11.0s kubectl: delete Pod web-1-a (grace 30 s)",
        "+12.0s endpointslice-controller: update EndpointSlice web-abc: 10.0.0.1 ready → serving, terminating",
        "+13.0s kubelet: remove Pod web-1-a",
        "+14.0s endpointslice-controller: update EndpointSlice web-abc: ports unset; − 10.0.0.1",
        "+15.0s kubectl: delete Service web",
        "+16.0s garbage-collector-controller: delete EndpointSlice web-abc",
    ]


def test_columns_people_then_the_api_server_then_components_on_a_pods_way() -> None:
    words = pictures.words(sequence.of_service(whole_life().story, "svc/web"))
    heads = words[: words.index("+0.0s")]
    assert heads == [
        "kubectl", "API", "server", "deployment-", "controller", "replicaset-", "controller", "scheduler", "kubelet",
        "endpointslice-", "controller", "garbage-collector-", "controller",
    ]  # fmt: skip


def test_every_step_is_an_arrow_to_the_api_server_in_the_look_of_what_it_did() -> None:
    diagram = sequence.of_service(whole_life().story, "svc/web")
    arrows = pictures.all_of(diagram, "polygon")
    assert len(arrows) == 16
    tips = {float(arrow.get("points", "").split(",")[0]) for arrow in arrows}
    assert len(tips) == 2  # kubectl points at it from the left, components from the right
    dashes = {palette.BLUE: None, palette.GREEN: "6 3", palette.ORANGE: "1.5 3"}
    for colour, dash in dashes.items():
        lines = pictures.all_of(diagram, "polyline", stroke=colour, stroke_width="1.6")
        assert lines and all(line.get("stroke-dasharray") == dash for line in lines)
    assert {"+", "~", "−"} <= set(pictures.words(diagram))


def test_it_reads_on_a_dark_page() -> None:
    pictures.check(sequence.of_service(whole_life().story, "svc/web"))


def test_since_a_moment_and_since_a_resource_version() -> None:
    story = whole_life().story
    by_time = sequence.of_service(story, "svc/web", since=made.MOMENT + 16)
    assert by_time.sentence.splitlines()[1:] == [
        "+0.0s kubectl: delete Service web",
        "+1.0s garbage-collector-controller: delete EndpointSlice web-abc",
    ]
    assert by_time.sentence.splitlines()[0] == "2 steps by 2 writers for svc/web:"
    by_version = sequence.of_service(story, "svc/web", since="115")
    assert by_version.sentence.splitlines()[1:] == [
        "+0.0s kubectl: delete Service web",
        "+1.0s garbage-collector-controller: delete EndpointSlice web-abc",
    ]


def test_nothing_written() -> None:
    diagram = sequence.of_service(made.Told(made.service()).story, "svc/web")
    assert diagram.sentence == "Nothing was written for svc/web."
    assert "nothing was written" in pictures.words(diagram)
    pictures.check(diagram)


@pytest.mark.parametrize(
    ("what", "since", "text"),
    [
        ("wbe", None, "There is no Service wbe in the namespace default. The nearest name is web; there are: web."),
        ("pod/web", None, "This picture is of a Service, such as svc/web, and not of pod/web."),
        ("web", made.MOMENT + 100, "The story ends at 1767225618.0, 82.0 s before the moment 1767225700.0 that was "
                                   "asked for. Give a moment of the past, such as one kept from cluster.now."),
        ("web", "soon", "since='soon' is no resource version, such as one that a list came with."),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said(what: str, since: float | str | None, text: str) -> None:
    with pytest.raises(EpkitError) as caught:
        sequence.of_service(whole_life().story, what, since=since)
    assert str(caught.value) == text


def test_other_services_pods_and_events_are_left_out() -> None:
    told = made.Told(made.service())
    told.write(made.pod("db-1", {"app": "db"}))
    told.write(made.service("db"))
    told.write(made.endpoint_slice("db-abc", service="db"))
    told.write({"kind": "Event", "metadata": {"name": "web.1", "namespace": "default"}})
    told.write(made.pod("web-1"))
    lines = sequence.of_service(told.story, "web").sentence.splitlines()
    assert lines == ["1 step by 1 writer for svc/web:", "+0.0s kubectl: create Pod web-1"]


def test_writes_alike_at_one_moment_are_one_step_and_many_steps_are_cut_in_the_middle() -> None:
    told = made.Told(made.service())
    for number in range(300):
        told.write(made.pod(f"web-{number}"), "replicaset-controller", at=1)
    assert "create 300 Pods" in sequence.of_service(told.story, "web").sentence
    for number in range(300):
        told.write(made.endpoint_slice(f"web-{number}"), "endpointslice-controller")
    diagram = sequence.of_service(told.story, "web")
    lines = diagram.sentence.splitlines()
    assert lines[0].startswith("301 steps") and "… 262 steps not shown …" in lines and len(lines) == 1 + 39 + 1
    assert len(pictures.all_of(diagram, "polygon")) == 39
    pictures.check(diagram)


def test_where_there_are_many_steps_those_alike_at_a_moment_are_gathered() -> None:
    told = made.Told(made.service(), *(made.pod(f"web-{number}") for number in range(50)))
    for number in range(50):
        told.write(made.pod(f"web-{number}", phase="Succeeded"), "kubelet", at=1)
        told.delete(made.pod(f"web-{number}", phase="Succeeded"), "kubelet", at=1)
    for number in range(3):
        told.write(made.endpoint_slice(f"web-{number}"), "endpointslice-controller", at=1)
    assert sequence.of_service(told.story, "web").sentence.splitlines() == [
        "3 steps by 2 writers for svc/web:",
        "+0.0s kubelet: status of 50 Pods: Succeeded",
        "+0.0s kubelet: delete 50 Pods",
        "+0.0s endpointslice-controller: create 3 EndpointSlices",
    ]


def test_hostile_names_and_writers() -> None:
    told = made.Told(made.service()).write(made.pod(HOSTILE), HOSTILE)
    diagram = sequence.of_service(told.story, "web")
    assert "<script" not in diagram.svg and "\x1b" not in diagram.svg + diagram.sentence
    assert any("</text><script>&\ufffd[31m\ufffd" in words for words in pictures.words(diagram))


def test_a_cordon_and_a_node_that_is_lost() -> None:
    pod = made.pod("web-1", node="node-1")
    ready, unknown = ({"conditions": [{"type": "Ready", "status": status}]} for status in ("True", "Unknown"))
    node = {"kind": "Node", "metadata": {"name": "node-1"}, "status": ready}
    lost = made.changed(node, status=unknown)
    told = made.Told(made.service(), pod, node).write(lost, "node-lifecycle-controller")
    told.write(made.changed(lost, spec={"unschedulable": True}))
    told.write(with_ready(pod, "Unknown", address=""), "node-lifecycle-controller")
    assert sequence.of_service(told.story, "web").sentence.splitlines()[1:] == [
        "+0.0s node-lifecycle-controller: Node node-1: readiness unknown",
        "+1.0s kubectl: cordon Node node-1",
        "+2.0s node-lifecycle-controller: status of Pod web-1: readiness unknown",
    ]


def test_on_a_cluster_and_the_same_twice() -> None:
    pictures_drawn = []
    for _ in range(2):
        with epkit.Cluster({"start": made.MOMENT}) as cluster:
            cluster.kubectl("create deployment web --image=nginx --replicas=2")
            cluster.kubectl("expose deployment web --port=80")
            pictures_drawn.append(cluster.sequence("svc/web"))
    first, second = pictures_drawn
    assert first.svg == second.svg and first.sentence == second.sentence
    assert "scheduler: bind 2 Pods" in first.sentence
    assert first.sentence.splitlines()[-1].startswith("+1.2s endpointslice-controller: create EndpointSlice web-")
    pictures.check(first)


def test_a_story_that_was_handed_on_gives_the_same_pictures(tmp_path: Path) -> None:
    ready, other = (made.endpoint_slice("web-abc", [made.endpoint("10.0.0.1")], version=version) for version in (1, 2))
    told = made.Told(made.service()).write(ready).delete(ready).write(other)
    replayed = epkit.replay(told.story.export(tmp_path / "story.json"))
    assert replayed.writes[2].old is None, "an object that came again under the name of one that went"
    for draw in ("sequence", "timeline", "packing"):
        mine, its = (getattr(story, draw)("svc/web") for story in (told.story, replayed))
        assert (its.sentence, its.svg) == (mine.sentence, mine.svg)
    assert "gone at +1.0s; ready from +2.0s" in replayed.timeline("svc/web").sentence
