"""The workload controllers together with the real API, scheduler and kubelets of the fake."""
from __future__ import annotations

from typing import Any

import pytest

from epkit.client import Client
from epkit.errors import ApiError
from epkit.fake.plane import Plane, default_nodes
from epkit.fake.transports import InProcess
from epkit.objects import Obj, annotations_of, condition, name_of

LABELS = {"app": "web"}


@pytest.fixture
def plane() -> Plane:
    return Plane(nodes=default_nodes(3))


@pytest.fixture
def client(plane: Plane) -> Client:
    return Client(InProcess(plane))


def a_template(image: str = "nginx:1", **spec: Any) -> Obj:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def a_workload(kind: str, **spec: Any) -> Obj:
    wanted = {"selector": {"matchLabels": LABELS}, "template": a_template(), **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": wanted}


def a_service() -> Obj:
    spec = {"selector": LABELS, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def ready_endpoints(plane: Plane) -> int:
    return sum(
        bool(endpoint["conditions"]["ready"])
        for slice in plane.store.list("endpointslices.discovery.k8s.io", "default")
        if slice["metadata"]["labels"].get("kubernetes.io/service-name") == "web"
        for endpoint in slice["endpoints"] or ()
    )


def test_a_rolling_update_keeps_the_service_served(plane, client):
    client.create("deployments", a_workload("Deployment", replicas=4), "default")
    client.create("services", a_service(), "default")
    plane.settle()
    assert ready_endpoints(plane) == 4
    served = []
    plane.store.subscribe(lambda event: served.append(ready_endpoints(plane)))
    client.patch("deployments", "web", {"spec": {"template": a_template("nginx:2")}}, "default")
    plane.settle()
    assert min(served) >= 3
    images = {pod["spec"]["containers"][0]["image"] for pod in client.list("pods", "default", labels="app=web")}
    assert images == {"nginx:2"}


def test_the_template_of_a_replicaset_stays_as_it_was_written(plane, client):
    client.create("deployments", a_workload("Deployment", replicas=2), "default")
    plane.settle()
    (replicaset,) = client.list("replicasets", "default", labels="app=web")
    assert "volumes" not in replicaset["spec"]["template"]["spec"]
    assert "volumeMounts" not in replicaset["spec"]["template"]["spec"]["containers"][0]


def test_a_status_write_with_the_revision_raises_no_generation(plane, client):
    client.create("deployments", a_workload("Deployment"), "default")
    plane.settle()
    deployment = client.get("deployments", "web", "default")
    assert annotations_of(deployment)["deployment.kubernetes.io/revision"] == "1"
    assert (deployment["metadata"]["generation"], deployment["status"]["observedGeneration"]) == (1, 1)


def test_at_rest_nobody_writes(plane, client):
    for kind in ("Deployment", "DaemonSet", "StatefulSet"):
        workload = a_workload(kind)
        workload["metadata"]["name"] = kind.lower()
        workload["spec"]["selector"] = {"matchLabels": {"app": kind}}
        workload["spec"]["template"]["metadata"] = {"labels": {"app": kind}}
        client.create(f"{kind.lower()}s", workload, "default")
    plane.settle()
    before = plane.store.version
    plane.settle()
    assert plane.store.version == before
    assert [name for name, found in plane.controllers.items() for queue in found.queues if queue.stuck] == []


def test_a_deleted_deployment_takes_its_pods_with_it(plane, client):
    client.create("deployments", a_workload("Deployment", replicas=3), "default")
    plane.settle()
    client.delete("deployments", "web", "default")
    plane.settle()
    assert list(client.list("replicasets", "default")) == []
    assert list(client.list("pods", "default")) == []


def test_a_statefulset_comes_up_in_order_under_its_names(plane, client):
    client.create("statefulsets", a_workload("StatefulSet", replicas=3, serviceName="web"), "default")
    plane.settle()
    pods = client.list("pods", "default", labels="app=web").items
    assert [name_of(pod) for pod in pods] == ["web-0", "web-1", "web-2"]
    started = [pod["status"]["startTime"] for pod in pods]
    assert started == sorted(started) and len(set(started)) == 3


def test_a_daemonset_is_on_every_node(plane, client):
    client.create("daemonsets", a_workload("DaemonSet"), "default")
    plane.settle()
    nodes = {pod["spec"]["nodeName"] for pod in client.list("pods", "default", labels="app=web")}
    assert nodes == {"node-1", "node-2", "node-3"}


def test_a_job_completes_and_goes_without_leaving_pods(plane, client):
    template = a_template("busybox", restartPolicy="Never")
    template["metadata"] = {"annotations": {"fake/exit": "0"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum"}}
    client.create("jobs", {**job, "spec": {"completions": 3, "parallelism": 2, "template": template}}, "default")
    plane.settle()
    found = client.get("jobs", "sum", "default")
    assert condition(found, "Complete")["status"] == "True"
    assert found["status"]["succeeded"] == 3
    client.delete("jobs", "sum", "default", propagation="Background")
    plane.settle()
    assert list(client.list("pods", "default")) == []


class TestEviction:
    def evict(self, client: Client, pod: Obj) -> None:
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name_of(pod)}}
        client.create_sub("pods", name_of(pod), "eviction", eviction, "default")

    def test_a_budget_refuses_the_second_one(self, plane, client):
        client.create("deployments", a_workload("Deployment", replicas=2), "default")
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}}
        spec = {"minAvailable": 1, "selector": {"matchLabels": LABELS}}
        client.create("poddisruptionbudgets", {**budget, "spec": spec}, "default")
        plane.settle()
        assert client.get("poddisruptionbudgets", "web", "default")["status"]["disruptionsAllowed"] == 1
        first, second = client.list("pods", "default", labels="app=web")
        # Two evictions before anybody has noticed the first: the API server keeps the count itself.
        with plane.loop.lock:
            plane.client("kubectl").create_sub("pods", name_of(first), "eviction", {}, "default")
            with pytest.raises(ApiError) as refused:
                plane.client("kubectl").create_sub("pods", name_of(second), "eviction", {}, "default")
        assert refused.value.code == 429
        plane.settle()
        self.evict(client, second)

    def test_the_pod_says_why_it_goes(self, plane, client):
        client.create("deployments", a_workload("Deployment", replicas=1), "default")
        plane.settle()
        (pod,) = client.list("pods", "default", labels="app=web")
        said = []
        plane.store.subscribe(lambda event: said.append(condition(event.obj, "DisruptionTarget")))
        self.evict(client, pod)
        assert next(filter(None, said))["reason"] == "EvictionByEvictionAPI"
