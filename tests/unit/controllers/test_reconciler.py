"""The packing oracle: upstream's ``staging/src/k8s.io/endpointslice/reconciler_test.go``, told as a specification.

Each test says which slices there are and which pods, lets the reconciler work once, and looks at what it wrote.
"""
from __future__ import annotations

from typing import Any

import pytest
from endpoints_double import START, ControlPlane, make_node, make_pod, make_service, namespace_terminating, not_found

from epkit.fake.controllers.endpointslice.endpoints import pod_to_endpoint
from epkit.fake.controllers.endpointslice.metrics import EndpointSliceMetrics
from epkit.fake.controllers.endpointslice.reconciler import Reconciler, get_slice_to_fill
from epkit.fake.controllers.endpointslice.topology import HintsEvent, TopologyCache
from epkit.fake.controllers.endpointslice.tracker import EndpointSliceTracker
from epkit.fake.controllers.endpointslice.utils import new_endpoint_slice, same_placeholder
from epkit.fake.controllers.framework import SyncError
from epkit.objects import Obj, copy

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


class World:
    """A reconciler with a Service and some nodes; `pods` and the slices in the store are its input."""

    def __init__(self, limit: int = 100, nodes: tuple[str, ...] = ("node-1",), missing_node: str = "skip") -> None:
        self.cp = ControlPlane()
        self.client = self.cp.client("endpointslice-controller")
        self.nodes = {name: make_node(name, zone=f"zone-of-{name}") for name in nodes}
        self.tracker = EndpointSliceTracker()
        self.topology = TopologyCache()
        self.metrics = EndpointSliceMetrics(limit)
        self.told: list[HintsEvent] = []
        self.reconciler = Reconciler(
            self.client, self.nodes.get, limit, self.tracker, self.topology, self.metrics,
            lambda _, event: self.told.append(event), missing_node,
        )
        self.service = self.cp.put("services", make_service())
        self.pods: list[Obj] = []
        self.made = 0

    def serve(self, **fields: Any) -> None:
        """Replace the Service by another of the same name and uid."""
        self.service = self.cp.put("services", make_service(**fields))

    def add_pods(self, count: int, **fields: Any) -> list[Obj]:
        """More pods, of which every third is not ready: that has no influence on packing."""
        added = []
        for _ in range(count):
            number, self.made = self.made, self.made + 1
            ip = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
            fields_of_pod = {"ready": number % 3 != 0, **fields}
            added.append(make_pod(f"pod-{number:04d}", ip, **fields_of_pod))
        self.pods += added
        return added

    def put_slices(self, *sizes: int, service: Obj | None = None) -> None:
        """Slices as the controller would have written them, holding the pods in their order."""
        start = 0
        for size in sizes:
            ports = [{"name": "http", "protocol": "TCP", "port": 8080}]
            slice = new_endpoint_slice(service or self.service, ports, "IPv4")
            for pod in self.pods[start : start + size]:
                slice["endpoints"] += [self.endpoint_of(pod)]
            self.cp.put("endpointslices", slice)
            start += size

    def endpoint_of(self, pod: Obj) -> Obj:
        return copy(pod_to_endpoint(pod, self.nodes.get(pod["spec"]["nodeName"]), self.service, "IPv4"))

    def reconcile(self, trigger_time: float | None = START) -> dict[str, int]:
        """Let it work once. Returns the number of writes by verb; checks that nothing in the caches was changed."""
        existing = self.cp.store.list("endpointslices", "ns")
        before = copy([self.service, self.pods, existing])
        self.client.actions.clear()
        try:
            self.reconciler.reconcile(self.service, self.pods, existing, trigger_time)
        finally:
            assert [self.service, self.pods, existing] == before, "cached objects were changed"
        return self.client.counts()

    @property
    def slices(self) -> list[Obj]:
        return self.cp.store.list("endpointslices", "ns")

    @property
    def sizes(self) -> list[int]:
        return sorted((len(slice["endpoints"]) for slice in self.slices), reverse=True)


@pytest.fixture
def world() -> World:
    return World()


def ports_of(slice: Obj) -> list[int]:
    return [port["port"] for port in slice["ports"]]


# -- The placeholder


def test_a_service_without_pods_gets_a_placeholder(world: World) -> None:
    assert world.reconcile() == {"create": 1}
    (slice,) = world.slices
    assert slice["endpoints"] == [] and slice["ports"] == []
    assert slice["metadata"]["generateName"] == "web-"
    assert slice["metadata"]["labels"] == {SERVICE_NAME: "web", MANAGED_BY: "endpointslice-controller.k8s.io"}
    (owner,) = slice["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "v1",
        "kind": "Service",
        "name": "web",
        "uid": world.service["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert (world.metrics.desired_slices.value(), world.metrics.num_slices.value()) == (1, 1)


def test_a_placeholder_that_is_right_is_left_alone(world: World) -> None:
    world.reconcile()
    assert world.reconcile() == {}


def test_a_placeholder_with_other_labels_is_rewritten(world: World) -> None:
    world.reconcile()
    name = world.slices[0]["metadata"]["name"]
    world.serve(labels={"tier": "front"})
    assert world.reconcile() == {"update": 1}
    assert world.slices[0]["metadata"]["name"] == name
    assert world.slices[0]["metadata"]["labels"]["tier"] == "front"


def test_a_slice_that_loses_its_last_endpoint_becomes_the_placeholder(world: World) -> None:
    world.add_pods(1)
    world.reconcile()
    name = world.slices[0]["metadata"]["name"]
    world.pods.clear()
    assert world.reconcile() == {"update": 1}
    assert world.slices[0]["metadata"]["name"] == name
    assert (world.slices[0]["ports"], world.slices[0]["endpoints"]) == ([], [])

    world.add_pods(1)
    assert world.reconcile() == {"update": 1}, "and the placeholder becomes a slice again"
    assert world.slices[0]["metadata"]["name"] == name


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"metadata": {"name": "other", "namespace": "ns", "labels": {"a": "b"}}}, True),
        ({"metadata": {"name": "same", "namespace": "ns", "creationTimestamp": "x", "labels": {"a": "b"}}}, True),
        ({"metadata": {"name": "same", "namespace": "ns", "labels": {"a": "c"}}}, False),
        ({"ports": [{"port": 80}]}, False),
        ({"endpoints": [{"addresses": ["10.0.0.1"]}]}, False),
        ({"ports": None, "endpoints": None}, True),
        ({"addressType": "IPv6"}, False),
    ],
)
def test_what_makes_a_placeholder_the_same(change: Obj, same: bool) -> None:
    slice = {
        "metadata": {"name": "same", "namespace": "ns", "labels": {"a": "b"}},
        "addressType": "IPv4",
        "ports": [],
        "endpoints": [],
    }
    assert same_placeholder({**slice, **change}, slice) is same


# -- One pod


@pytest.mark.parametrize(
    ("fields", "addresses"),
    [
        ({"ipFamilies": ["IPv4"]}, {"IPv4": "10.0.0.1"}),
        ({"ipFamilies": ["IPv6"], "clusterIP": "fd00::1"}, {"IPv6": "fd00::a"}),
        ({"ipFamilies": ["IPv6", "IPv4"]}, {"IPv4": "10.0.0.1", "IPv6": "fd00::a"}),
        ({"ipFamilies": None, "clusterIP": "10.96.0.1"}, {"IPv4": "10.0.0.1"}),
        ({"ipFamilies": None, "clusterIP": "fd00::1"}, {"IPv6": "fd00::a"}),
        ({"ipFamilies": None, "clusterIP": "None"}, {"IPv4": "10.0.0.1", "IPv6": "fd00::a"}),
    ],
    ids=["ipv4", "ipv6", "dual stack", "cluster IP of v4", "cluster IP of v6", "headless without families"],
)
def test_one_pod_with_two_addresses_is_in_a_slice_of_each_family(
    world: World, fields: Obj, addresses: dict[str, str]
) -> None:
    world.serve(**fields)
    world.pods = [make_pod("a", ["10.0.0.1", "fd00::a"])]
    assert world.reconcile() == {"create": len(addresses)}
    assert {each["addressType"]: each["endpoints"][0]["addresses"][0] for each in world.slices} == addresses
    assert all(each["metadata"]["annotations"][TRIGGER_TIME] == "1970-01-12T13:46:40Z" for each in world.slices)


def test_a_family_that_the_service_gives_up_loses_its_slices(world: World) -> None:
    world.serve(ipFamilies=["IPv4", "IPv6"])
    world.pods = [make_pod("a", ["10.0.0.1", "fd00::a"])]
    world.reconcile()
    world.serve(ipFamilies=["IPv4"])
    assert world.reconcile() == {"delete": 1}
    assert [each["addressType"] for each in world.slices] == ["IPv4"]


def test_not_ready_addresses_are_published_on_demand(world: World) -> None:
    world.serve(publishNotReadyAddresses=True)
    world.add_pods(50)
    world.reconcile()
    assert all(endpoint["conditions"]["ready"] for slice in world.slices for endpoint in slice["endpoints"])


def test_headless_services_without_ports_come_to_rest(world: World) -> None:
    world.serve(clusterIP="None", ports=[])
    world.add_pods(3)
    assert world.reconcile() == {"create": 1}
    assert world.slices[0]["ports"] == []
    assert world.slices[0]["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert world.reconcile() == {}


# -- Packing


def test_many_pods_fill_slices_to_the_limit(world: World) -> None:
    world.add_pods(250)
    assert world.reconcile() == {"create": 3}
    assert world.sizes == [100, 100, 50]
    assert world.reconcile() == {}


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [(50, [50] * 5), (80, [80, 80, 80, 10]), (150, [150, 100]), (250, [250]), (500, [250])],
)
def test_the_limit_can_be_set(limit: int, sizes: list[int]) -> None:
    world = World(limit)
    world.add_pods(250)
    world.reconcile()
    assert world.sizes == sizes


def test_the_rest_goes_into_the_one_slice_that_has_room_for_all_of_it(world: World) -> None:
    world.add_pods(250)
    world.put_slices(62, 61)
    # 127 are new: 100 make a slice, and the 27 that are left fit best to the 62.
    assert world.reconcile() == {"create": 1, "update": 1}
    assert [verb for verb, _, _ in world.client.actions] == ["create", "update"]
    assert world.sizes == [100, 89, 61]


def test_no_slice_is_touched_if_none_has_room_for_all_of_the_rest(world: World) -> None:
    world.add_pods(300)
    world.put_slices(74, 74)
    assert world.reconcile() == {"create": 2}
    assert world.sizes == [100, 74, 74, 52]
    assert (world.metrics.desired_slices.value(), world.metrics.num_slices.value()) == (3, 4)


def test_slices_that_are_written_anyway_are_filled_fullest_first(world: World) -> None:
    world.add_pods(115)
    world.put_slices(80, 20)
    for index in (0, 85):  # one endpoint of each slice has changed
        pod = world.pods[index]
        was_ready = pod["status"]["conditions"][0]["status"] == "True"
        world.pods[index] = make_pod(pod["metadata"]["name"], pod["status"]["podIP"], ready=not was_ready)
    assert world.reconcile() == {"update": 2}
    assert world.sizes == [95, 20]


def test_another_target_port_updates_every_slice_in_place(world: World) -> None:
    world.add_pods(250)
    world.reconcile()
    names = {slice["metadata"]["name"] for slice in world.slices}
    world.serve(ports=[{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8081}])
    assert world.reconcile() == {"update": 3}
    assert world.sizes == [100, 100, 50]
    assert {slice["metadata"]["name"] for slice in world.slices} == names
    assert all(ports_of(slice) == [8081] for slice in world.slices)


def test_slices_are_not_rebalanced_but_recycled(world: World) -> None:
    world.add_pods(300)
    world.put_slices(*[30] * 10)
    assert world.reconcile() == {}, "ten slices of 30 stay ten slices of 30"
    world.serve(ports=[{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8081}])
    assert world.reconcile() == {"update": 3, "delete": 7}
    assert world.sizes == [100, 100, 100]


def test_pods_with_different_ports_are_in_different_slices(world: World) -> None:
    world.serve(ports=[{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}])
    world.add_pods(300)
    for index, pod in enumerate(world.pods):
        pod["spec"]["containers"][0]["ports"] = [
            {"name": "http", "containerPort": 8080 + index % 5, "protocol": "TCP"}
        ]
    assert world.reconcile() == {"create": 5}
    assert world.sizes == [60] * 5
    assert sorted(ports_of(slice)[0] for slice in world.slices) == [8080, 8081, 8082, 8083, 8084]


def test_a_lower_limit_does_not_split_slices() -> None:
    world = World(limit=50)
    world.add_pods(90)
    world.put_slices(80)
    assert world.reconcile() == {"create": 1}
    assert world.sizes == [80, 10]


def test_one_pod_that_goes_costs_one_update(world: World) -> None:
    world.add_pods(250)
    world.reconcile()
    del world.pods[0]
    assert world.reconcile() == {"update": 1}
    assert world.sizes == [100, 99, 50]


def test_slices_of_the_address_type_ip_are_replaced(world: World) -> None:
    world.add_pods(130)
    world.put_slices(80, 50)
    for slice in world.slices:
        world.cp.put("endpointslices", {**slice, "addressType": "IP"})
    assert world.reconcile() == {"create": 2, "delete": 2}
    assert world.sizes == [100, 30]
    assert {slice["addressType"] for slice in world.slices} == {"IPv4"}


@pytest.mark.parametrize(
    ("sizes", "adding", "closest"),
    [([3, 50, 70], 20, 70), ([3, 50, 70], 40, 50), ([3, 50, 80], 97, 3), ([60, 70], 50, None), ([0], 0, None)],
)
def test_get_slice_to_fill(sizes: list[int], adding: int, closest: int | None) -> None:
    found = get_slice_to_fill([{"endpoints": [{}] * size} for size in sizes], adding, 100)
    assert (None if found is None else len(found["endpoints"])) == closest


# -- Labels, annotations, owners


def test_changed_labels_of_the_service_are_copied_to_all_slices(world: World) -> None:
    world.add_pods(250)
    world.reconcile()
    world.serve(labels={"foo": "bar"})
    assert world.reconcile() == {"update": 3}
    assert all(slice["metadata"]["labels"]["foo"] == "bar" for slice in world.slices)
    assert world.reconcile() == {}


def test_reserved_labels_of_the_service_change_nothing(world: World) -> None:
    world.add_pods(250)
    world.reconcile()
    world.serve(labels={SERVICE_NAME: "evil", MANAGED_BY: "evil", "service.kubernetes.io/headless": ""})
    assert world.reconcile() == {}


def test_foreign_annotations_survive_an_update_and_foreign_labels_do_not(world: World) -> None:
    world.add_pods(2)
    world.reconcile()
    (slice,) = world.slices
    world.cp.change(
        "endpointslices", slice["metadata"]["name"],
        metadata__annotations={"note": "mine"}, metadata__labels={**slice["metadata"]["labels"], "mine": "yes"},
    )
    assert world.reconcile(trigger_time=None) == {"update": 1}
    assert world.slices[0]["metadata"]["annotations"] == {"note": "mine"}
    assert "mine" not in world.slices[0]["metadata"]["labels"]


def test_the_trigger_time_is_taken_off_by_a_write_without_one(world: World) -> None:
    world.add_pods(2)
    world.reconcile(trigger_time=START)
    assert TRIGGER_TIME in world.slices[0]["metadata"]["annotations"]
    world.pods.pop()
    world.reconcile(trigger_time=None)
    assert "annotations" not in world.slices[0]["metadata"]


def test_updates_carry_the_resource_version_and_recycled_slices_do_not(world: World) -> None:
    world.add_pods(2)
    world.reconcile()
    old = world.slices[0]
    world.cp.change("endpointslices", old["metadata"]["name"], metadata__annotations={"note": "newer"})
    world.pods.pop()
    with pytest.raises(SyncError, match='failed to update .* EndpointSlice for Service ns/web: Operation cannot be'):
        world.reconciler.reconcile(world.service, world.pods, [old], None)

    world.pods.clear()
    world.reconciler.reconcile(world.service, world.pods, [old], None)  # becomes the placeholder, whatever it was
    assert world.slices[0]["endpoints"] == []
    assert "annotations" not in world.slices[0]["metadata"], "old annotations are gone"


@pytest.mark.parametrize(("uid", "writes"), [("", {}), ("another", {"create": 1, "delete": 1})])
def test_slices_of_a_former_service_of_the_same_name_are_replaced(uid: str, writes: dict[str, int]) -> None:
    world = World()
    world.add_pods(1)
    service = {**world.service, "metadata": {**world.service["metadata"]}}
    service["metadata"]["uid"] = uid or service["metadata"]["uid"]
    world.put_slices(1, service=service)
    assert world.reconcile() == writes
    assert [verb for verb, _, _ in world.client.actions] == list(writes)


# -- What goes wrong


@pytest.mark.parametrize(
    ("publish", "known", "existing", "writes", "endpoints", "fails"),
    [
        (False, ["node-0"], 0, {"create": 1}, 1, True),
        (True, ["node-0"], 0, {"create": 1}, 2, False),
        (False, ["node-0"], 2, {"update": 1}, 1, True),
        (True, [], 2, {}, 2, False),
        (True, ["node-0"], 2, {}, 2, False),
        (False, [], 2, {"update": 1}, 0, True),
    ],
)
def test_pods_on_missing_nodes(
    publish: bool, known: list[str], existing: int, writes: dict[str, int], endpoints: int, fails: bool
) -> None:
    world = World(nodes=tuple(known))
    world.serve(publishNotReadyAddresses=publish)
    world.pods = [make_pod("a", "10.0.0.1", node="node-0"), make_pod("b", "10.0.0.2", node="node-1")]
    if existing:
        world.put_slices(existing)
    if fails:
        with pytest.raises(SyncError, match=r"skipping Pod b for Service ns/web: Node node-1 Not Found"):
            world.reconcile()
    else:
        world.reconcile()
    assert world.client.counts() == writes
    assert sum(world.sizes) == endpoints


def test_before_1_25_a_missing_node_stopped_everything() -> None:
    world = World(missing_node="fail")
    world.pods = [make_pod("a", "10.0.0.1"), make_pod("b", "10.0.0.2", node="gone")]
    with pytest.raises(SyncError, match='node "gone" not found'):
        world.reconcile()
    assert world.client.counts() == {}


@pytest.mark.parametrize(
    ("before", "pods", "writes"),
    [(0, 1, {}), (2, 1, {"update": 1}), (2, 0, {"update": 1}), (1, 1, {})],
    ids=["create is left out", "update", "create and delete become an update", "nothing to do"],
)
def test_a_service_that_is_being_deleted_gets_no_new_slices(before: int, pods: int, writes: dict[str, int]) -> None:
    world = World()
    world.serve(deletionTimestamp="2026-01-01T00:00:00Z")
    world.add_pods(before)
    if before:
        world.put_slices(before)
    world.pods = world.pods[:pods] if before else world.add_pods(pods)
    assert world.reconcile() == writes


def test_a_namespace_that_goes_away_is_no_error(world: World) -> None:
    world.client.refuse = namespace_terminating()
    assert world.reconcile() == {}


def test_a_slice_that_is_gone_already_needs_no_deletion(world: World) -> None:
    world.serve(ipFamilies=["IPv4", "IPv6"])
    world.reconcile()
    world.serve(ipFamilies=["IPv4"])
    world.client.refuse = not_found("endpointslices", "web")
    assert world.reconcile() == {}


def test_several_errors_are_one(world: World) -> None:
    world.pods = [make_pod(name, f"10.0.0.{number}", node=f"gone-{name}") for number, name in enumerate("ab", 1)]
    with pytest.raises(SyncError) as caught:
        world.reconcile()
    assert str(caught.value) == (
        "[skipping Pod a for Service ns/web: Node gone-a Not Found, "
        "skipping Pod b for Service ns/web: Node gone-b Not Found]"
    )


# -- Hints


def test_hints_follow_the_annotation_and_its_end_is_told() -> None:
    world = World(nodes=("node-1", "node-2"))
    world.topology.set_nodes(world.nodes.values())
    world.serve(annotations={"service.kubernetes.io/topology-mode": "Auto"})
    world.add_pods(4, ready=True)
    for pod in world.pods[2:]:
        pod["spec"]["nodeName"] = "node-2"
    world.reconcile()
    endpoints = world.slices[0]["endpoints"]
    assert [each["hints"]["forZones"][0]["name"] for each in endpoints] == [each["zone"] for each in endpoints]
    assert [event.message for event in world.told] == ["Topology Aware Hints has been enabled, addressType: IPv4"]
    assert world.reconcile() == {}

    world.serve()
    assert world.reconcile() == {"update": 1}
    assert not any("hints" in endpoint for endpoint in world.slices[0]["endpoints"])
    assert world.told[-1].message == "Topology Aware Hints has been disabled, addressType: IPv4"


def test_the_annotation_goes_before_traffic_distribution(world: World) -> None:
    world.serve(
        annotations={"service.kubernetes.io/topology-mode": "Auto"}, trafficDistribution="PreferSameNode"
    )
    world.add_pods(2, ready=True)
    world.reconcile()
    assert not any("hints" in endpoint for endpoint in world.slices[0]["endpoints"])
    assert world.told[0].type == "Warning" and "Insufficient Node information" in world.told[0].message


@pytest.mark.parametrize(
    ("value", "hints"),
    [
        (None, None),
        ("PreferClose", {"forZones": [{"name": "zone-of-node-1"}]}),
        ("PreferSameZone", {"forZones": [{"name": "zone-of-node-1"}]}),
        ("PreferSameNode", {"forZones": [{"name": "zone-of-node-1"}], "forNodes": [{"name": "node-1"}]}),
    ],
)
def test_traffic_distribution(world: World, value: str | None, hints: Obj | None) -> None:
    world.add_pods(1, ready=True)
    world.reconcile()
    world.serve(trafficDistribution=value)
    assert world.reconcile() == ({"update": 1} if hints else {})
    assert world.slices[0]["endpoints"][0].get("hints") == hints
    assert world.reconcile() == {}


# -- Metrics


def test_metrics_count_what_came_and_went(world: World) -> None:
    world.add_pods(3)
    world.reconcile()
    world.pods = world.pods[1:]
    world.add_pods(1)
    world.reconcile()
    assert (world.metrics.endpoints_added.value().sum, world.metrics.endpoints_removed.value().sum) == (4, 1)
    assert (world.metrics.endpoints_desired.value(), world.metrics.num_slices.value()) == (3, 1)
    assert (world.metrics.changes.value("create"), world.metrics.changes.value("update")) == (1, 1)
    assert world.metrics.slices_changed.value("Disabled", "").count == 2
    world.metrics.delete_service("ns/web")
    assert (world.metrics.endpoints_desired.value(), world.metrics.num_slices.value()) == (0, 0)
