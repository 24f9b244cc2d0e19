"""What holds after any history: of pods that come, change and go, nodes that are lost, and Services that are edited."""
from __future__ import annotations

from collections import Counter
from math import ceil

from endpoints_double import ControlPlane, make_node, make_pod, make_service
from hypothesis import given, settings
from hypothesis import strategies as st

from epkit.fake.controllers.endpoints import EndpointsController
from epkit.fake.controllers.endpointslice import EndpointSliceController
from epkit.objects import Obj, copy

LIMIT = 4
PORTS = (8080, 8081, None)  # the pod's named port; None: it has none of that name

pods = st.integers(0, 24)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), pods, st.sampled_from(PORTS)),
        st.tuples(st.just("delete"), pods),
        st.tuples(st.just("terminate"), pods),
        st.tuples(st.just("flip"), pods),
        st.tuples(st.just("relabel"), pods),
        st.tuples(st.just("finish"), pods),
        st.tuples(st.just("lose"), st.sampled_from(("node-1", "node-2"))),
        st.tuples(st.just("find"), st.sampled_from(("node-1", "node-2"))),
        st.tuples(st.just("label the service"), st.integers(0, 2)),
        st.tuples(st.just("families"), st.sampled_from((["IPv4"], ["IPv6", "IPv4"]))),
        st.tuples(st.just("edit"), st.integers(0, 9)),
        st.tuples(st.just("remove"), st.integers(0, 9)),
        st.tuples(st.just("let pass"), st.integers(0, 3)),
    ),
    max_size=40,
)


def play(cp: ControlPlane, step: tuple) -> None:
    """Do one step of a history, as clients and kubelets would."""
    action, *rest = step
    store = cp.store
    if action == "create":
        number, port = rest
        name = f"pod-{number:02d}"
        if store.get("pods", "ns", name) is None:
            ports = {"http": port} if port else {}
            node = f"node-{1 + number % 2}"
            cp.put("pods", make_pod(name, [f"10.0.0.{number + 1}", f"fd00::{number + 1:x}"], node=node, ports=ports))
    elif action in ("delete", "terminate", "flip", "relabel", "finish"):
        pod = store.get("pods", "ns", f"pod-{rest[0]:02d}")
        if pod is None:
            return
        name = pod["metadata"]["name"]
        if action == "delete":
            cp.delete("pods", name)
        elif action == "terminate":
            cp.change("pods", name, metadata__deletionTimestamp="2026-01-01T00:00:00Z")
        elif action == "flip":
            ready = pod["status"]["conditions"][0]["status"] == "True"
            cp.change("pods", name, status__conditions=[{"type": "Ready", "status": "False" if ready else "True"}])
        elif action == "relabel":
            selected = pod["metadata"]["labels"]["app"] == "web"
            cp.change("pods", name, metadata__labels={"app": "db" if selected else "web"})
        else:
            cp.change("pods", name, status__phase="Failed", status__conditions=[{"type": "Ready", "status": "False"}])
    elif action == "lose" and store.get("nodes", "", rest[0]):
        cp.delete("nodes", rest[0], "")
    elif action == "find" and not store.get("nodes", "", rest[0]):
        cp.put("nodes", make_node(rest[0], f"zone-of-{rest[0]}"))
    elif action == "label the service":
        cp.change("services", "web", metadata__labels={"version": str(rest[0])})
    elif action == "families":
        cp.change("services", "web", spec__ipFamilies=rest[0])
    elif action in ("edit", "remove"):
        slices = store.list("endpointslices", "ns")
        if slices:
            name = slices[rest[0] % len(slices)]["metadata"]["name"]
            cp.change("endpointslices", name, endpoints=[]) if action == "edit" else cp.delete("endpointslices", name)
    elif action == "let pass":
        cp.sleep(rest[0])


def history(cp: ControlPlane, played: list[tuple]) -> EndpointSliceController:
    """Play it all, and let the controller come to rest with a Service that has just been touched."""
    for node in ("node-1", "node-2"):
        cp.put("nodes", make_node(node, f"zone-of-{node}"))
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}]
    cp.put("services", make_service(ports=ports))
    controller: EndpointSliceController = cp.run(EndpointSliceController, max_endpoints_per_slice=LIMIT)
    for step in played:
        play(cp, step)
        cp.settle()
    cp.sleep(3)
    cp.change("services", "web", metadata__annotations={"touched": "yes"})
    cp.settle()
    return controller


def expected(cp: ControlPlane, family: str) -> dict[str, tuple[str, int | None]]:
    """Pod -> its address and port, for all that belong into the slices of a family."""
    return {
        pod["metadata"]["name"]: (pod["status"]["podIPs"][family == "IPv6"]["ip"], port_of(pod))
        for pod in cp.store.list("pods", "ns")
        if pod["metadata"]["labels"] == {"app": "web"}
        and pod["status"]["phase"] != "Failed"
        and cp.store.get("nodes", "", pod["spec"]["nodeName"])
    }


def port_of(pod: Obj) -> int | None:
    return next((port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]), None)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(steps)
def test_every_pod_is_in_one_slice_of_each_family_and_no_slice_is_too_full(played: list[tuple]) -> None:
    cp = ControlPlane()
    history(cp, played)
    service = cp.store.get("services", "ns", "web")
    assert service is not None
    for family in ("IPv4", "IPv6"):
        slices = cp.slices(address_type=family)
        if family not in service["spec"]["ipFamilies"]:
            assert slices == []
            continue
        assert slices, "there is always a slice, if only the placeholder"
        assert all(len(slice["endpoints"]) <= LIMIT for slice in slices)
        found = [
            (endpoint["targetRef"]["name"], (endpoint["addresses"][0], (slice["ports"] or [{"port": None}])[0]["port"]))
            for slice in slices
            for endpoint in slice["endpoints"]
        ]
        assert len(found) == len(dict(found)), "a pod is in two slices"
        assert dict(found) == expected(cp, family)
        for slice in slices:
            for endpoint in slice["endpoints"]:
                conditions = endpoint["conditions"]
                assert conditions["ready"] == (conditions["serving"] and not conditions["terminating"])
            assert slice["endpoints"] or len(slices) == 1, "an empty slice stays only as the placeholder"
            assert slice["metadata"]["labels"].get("version") == service["metadata"].get("labels", {}).get("version")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps)
def test_at_rest_another_sync_writes_nothing(played: list[tuple]) -> None:
    cp = ControlPlane()
    controller = history(cp, played)
    before = controller.client.counts()
    cp.change("services", "web", metadata__annotations={"touched": "again"})
    cp.sleep(5)
    assert controller.client.counts() == before


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps)
def test_the_same_history_gives_the_same_slices(played: list[tuple]) -> None:
    one, other = ControlPlane(), ControlPlane()
    history(one, played)
    history(other, played)
    assert one.store.list("endpointslices") == other.store.list("endpointslices")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    existing=st.lists(st.integers(1, LIMIT), max_size=6),
    gone=st.sets(st.integers(0, 23), max_size=8),
    flipped=st.sets(st.integers(0, 23), max_size=4),
    added=st.integers(0, 12),
)
def test_the_number_of_writes_is_upstreams(existing: list[int], gone: set[int], flipped: set[int], added: int) -> None:
    """One sync over slices of given sizes: the writes follow from the sizes alone, in the words of upstream's comment.

    Slices that lose or change an endpoint are updated, or deleted when they are empty; updated ones take in new
    endpoints, the fullest first; what is left goes into one unchanged slice that has room for all of it, or into new
    ones; a slice to delete and one to create are one update.
    """
    cp = ControlPlane()
    cp.put("nodes", make_node("node-1", "zone"))
    cp.put("services", make_service())
    controller: EndpointSliceController = cp.run(EndpointSliceController, max_endpoints_per_slice=LIMIT)
    (placeholder,) = cp.slices()
    cp.loop.run_due()

    # Slices of these sizes, each full of pods of its own, as if they had come about in a long history.
    number, members = 0, []
    for size in existing:
        slice = copy(placeholder)
        for field in ("name", "uid", "resourceVersion"):
            slice["metadata"].pop(field, None)
        slice["ports"] = [{"name": "http", "protocol": "TCP", "port": 8080}]
        numbers = range(number, number + size)
        number += size
        members.append(set(numbers))
        for each in numbers:
            name = f"pod-{each:02d}"
            pod = cp.put("pods", make_pod(name, f"10.0.0.{each}", ready=each not in flipped))
            endpoint = {
                "addresses": [f"10.0.0.{each}"],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "targetRef": {"kind": "Pod", "namespace": "ns", "name": name, "uid": pod["metadata"]["uid"]},
                "nodeName": "node-1",
                "zone": "zone",
            }
            slice["endpoints"] = [*slice["endpoints"], endpoint]
        cp.put("endpointslices", slice)
    if existing:
        controller.tracker.expect_deletion(placeholder)
        cp.delete("endpointslices", placeholder["metadata"]["name"])
    for each in gone & set(range(number)):
        cp.delete("pods", f"pod-{each:02d}")
    for each in range(100, 100 + added):
        cp.put("pods", make_pod(f"pod-{each}", f"10.0.1.{each}"))

    before = Counter(controller.client.counts())
    names_before = {slice["metadata"]["name"]: slice["endpoints"] for slice in cp.slices()}
    cp.settle()
    writes = Counter(controller.client.counts()) - before

    kept = [group - gone for group in members]
    touched = [bool(group & gone) or bool(group & flipped) for group in members]
    updated = sorted((len(group) for group, hit in zip(kept, touched, strict=True) if hit and group), reverse=True)
    deleted = sum(1 for group, hit in zip(kept, touched, strict=True) if hit and not group)
    unchanged = [len(group) for group, hit in zip(kept, touched, strict=True) if not hit]
    left = max(added - sum(LIMIT - size for size in updated), 0)
    updates, creates = len(updated), 0
    if left:
        creates, rest = divmod(left, LIMIT)
        if rest:
            fits = any(size + rest <= LIMIT and size > 0 for size in unchanged)
            updates, creates = (updates + 1, creates) if fits else (updates, creates + 1)
    if not existing:  # the placeholder is there, and is used for the first slice
        updates, creates = (updates + 1, creates - 1) if creates else (updates, creates)
    elif deleted == len(members) and not creates:
        creates = 1  # it becomes the placeholder
    recycled = min(deleted, creates)
    assert writes == +Counter(
        create=creates - recycled, update=updates + recycled, delete=deleted - recycled
    )

    # Nobody has moved.
    now = {each["targetRef"]["name"]: slice["metadata"]["name"] for slice in cp.slices() for each in slice["endpoints"]}
    for name, endpoints in names_before.items():
        for endpoint in endpoints:
            assert now.get(endpoint["targetRef"]["name"], name) == name
    assert len(cp.slices()) >= ceil(len(now) / LIMIT)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(steps)
def test_endpoints_and_slices_agree_on_who_is_ready(played: list[tuple]) -> None:
    cp = ControlPlane()
    cp.run(EndpointsController)
    history(cp, played)
    endpoints = cp.store.get("endpoints", "ns", "web")
    service = cp.store.get("services", "ns", "web")
    assert endpoints is not None and service is not None
    listed = {address["ip"] for subset in endpoints.get("subsets", []) for address in subset.get("addresses", [])}
    in_slices = {
        each["addresses"][0]
        for slice in cp.slices(address_type=service["spec"]["ipFamilies"][0])
        if slice["ports"]
        for each in slice["endpoints"]
        if each["conditions"]["ready"]
    }
    nodes = {node["metadata"]["name"] for node in cp.store.list("nodes")}
    on_lost_nodes = {
        entry["ip"]
        for pod in cp.store.list("pods", "ns")
        if pod["spec"]["nodeName"] not in nodes
        for entry in pod["status"]["podIPs"]
    }
    assert listed - on_lost_nodes == in_slices, "Endpoints do not ask for the Node; otherwise they say the same"
