"""The ReplicaSet controller, after ``pkg/controller/replicaset/replica_set_test.go``."""
from __future__ import annotations

from typing import Any

import pytest
from workload_double import Double

from epkit.fake.controllers.podutil import DELETION_COST
from epkit.fake.controllers.replicaset import ReplicaSetController
from epkit.fake.wire import errors
from epkit.objects import Obj, condition, controller_of, labels_of, name_of


def a_replicaset(name: str = "web", replicas: int = 3, **spec: Any) -> Obj:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    wanted = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": wanted}


@pytest.fixture
def controller(kit: Double) -> ReplicaSetController:
    return kit.run(ReplicaSetController)


def scale(kit: Double, replicas: int, name: str = "web") -> None:
    kit.change("replicasets", name, spec={"replicas": replicas})
    kit.settle()


def deleted_names(kit: Double) -> set[str]:
    return {name_of(pod) for pod in kit.all("pods") if "deletionTimestamp" in pod["metadata"]}


class TestCreation:
    def test_pods_are_made_from_the_template_and_named_after_the_replicaset(self, kit, controller):
        replicaset = kit.add("replicasets", a_replicaset(replicas=2))
        kit.settle()
        pods = kit.all("pods")
        assert len(pods) == 2
        assert all(name_of(pod).startswith("web-") and len(name_of(pod)) == len("web-") + 5 for pod in pods)
        assert all(labels_of(pod) == {"app": "web"} for pod in pods)
        assert controller_of(pods[0]) == {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "uid": replicaset["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }

    def test_each_creation_is_an_event(self, kit, controller):
        kit.add("replicasets", a_replicaset(replicas=1))
        kit.settle()
        assert kit.events() == [f"Created pod: {name_of(kit.all('pods')[0])}"]

    def test_no_pod_is_made_twice_while_the_cache_lags(self, kit, controller):
        controller.pods.lag = 3.0
        kit.add("replicasets", a_replicaset(replicas=3))
        kit.loop.run_due()
        kit.change("replicasets", "web", metadata={**kit.get("replicasets", "web")["metadata"], "labels": {"a": "b"}})
        kit.settle()
        assert len(kit.all("pods")) == 3

    def test_a_refusal_is_an_event_and_a_condition(self, kit, controller):
        tries = []

        def quota(pod: Obj) -> None:
            tries.append(pod)
            if len(tries) > 3:
                raise errors.forbidden("pods", "", "exceeded quota: few")

        kit.refuse["POST", "pods"] = quota
        kit.add("replicasets", a_replicaset(replicas=10))
        kit.loop.run_due()
        failure = condition(kit.get("replicasets", "web"), "ReplicaFailure")
        assert failure["reason"] == "FailedCreate"
        assert failure["message"] == "pods is forbidden: exceeded quota: few"
        assert kit.get("replicasets", "web")["status"]["replicas"] == 3
        assert "Error creating: pods is forbidden: exceeded quota: few" in kit.events("FailedCreate")
        assert controller.queue.stuck == ["default/web"]

    def test_it_recovers_when_the_refusals_end(self, kit, controller):
        def refuse(pod: Obj) -> None:
            raise errors.forbidden("pods", "", "no")

        kit.refuse["POST", "pods"] = refuse
        kit.add("replicasets", a_replicaset(replicas=2))
        kit.loop.run_due()
        del kit.refuse["POST", "pods"]
        kit.sleep(5)
        assert len(kit.all("pods")) == 2
        assert condition(kit.get("replicasets", "web"), "ReplicaFailure") is None

    def test_a_namespace_that_is_going_away_is_no_failure(self, kit, controller):
        def refuse(pod: Obj) -> None:
            cause = {"reason": "NamespaceTerminating", "message": "", "field": "metadata.namespace"}
            raise errors.forbidden("pods", "", "terminating", causes=[cause])

        kit.refuse["POST", "pods"] = refuse
        kit.add("replicasets", a_replicaset(replicas=2))
        kit.settle()
        assert kit.events() == []
        assert controller.queue.stuck == []

    def test_a_replicaset_that_is_being_deleted_makes_nothing(self, kit, controller):
        wanted = a_replicaset()
        wanted["metadata"] |= {"finalizers": ["foregroundDeletion"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        kit.add("replicasets", wanted)
        kit.settle()
        assert kit.all("pods") == []


class TestReplacement:
    def test_a_terminating_pod_is_replaced_at_once(self, kit, controller):
        kit.add("replicasets", a_replicaset(replicas=2))
        kit.run_pods()
        kit.client("me").delete("pods", name_of(kit.all("pods")[0]), "default")
        kit.settle()
        assert len(kit.all("pods")) == 3
        status = kit.get("replicasets", "web")["status"]
        assert (status["replicas"], status["terminatingReplicas"]) == (2, 1)

    def test_a_finished_pod_is_replaced_and_left_alone(self, kit, controller):
        kit.add("replicasets", a_replicaset(replicas=1))
        kit.run_pods()
        first = kit.all("pods")[0]
        kit.set_pod(first, phase="Failed", ready=False)
        kit.settle()
        assert len(kit.all("pods")) == 2
        assert kit.get("pods", name_of(first))["status"]["phase"] == "Failed"


class TestDeletion:
    def pods_with(self, kit: Double, *states: dict[str, Any]) -> list[str]:
        """A ReplicaSet whose pods are in these states; their names, in that order."""
        kit.add("replicasets", a_replicaset(replicas=len(states)))
        kit.settle()
        names = [name_of(pod) for pod in kit.all("pods")]
        for name, state in zip(names, states, strict=True):
            annotations = state.pop("annotations", {})
            if state:
                kit.set_pod(name, **{**state})
            kit.change("pods", name, metadata={**kit.get("pods", name)["metadata"], "annotations": annotations})
        kit.settle()
        return names

    def left_after_scaling_to(self, kit: Double, replicas: int) -> set[str]:
        scale(kit, replicas)
        return {name_of(pod) for pod in kit.all("pods") if "deletionTimestamp" not in pod["metadata"]}

    @pytest.mark.parametrize(
        "victim",
        [
            pytest.param({}, id="unassigned"),
            pytest.param({"phase": "Pending", "ready": False}, id="pending"),
            pytest.param({"ready": False}, id="not ready"),
            pytest.param({"annotations": {DELETION_COST: "-5"}, "node": "a"}, id="cheap"),
        ],
    )
    def test_the_pod_whose_loss_hurts_least_goes_first(self, kit, controller, victim):
        names = self.pods_with(kit, {"node": "a"}, victim, {"node": "c"})
        assert self.left_after_scaling_to(kit, 2) == {names[0], names[2]}

    def test_of_pods_alike_one_on_the_fullest_node_goes(self, kit, controller):
        names = self.pods_with(kit, {"node": "a"}, {"node": "b"}, {"node": "b"}, {"node": "c"})
        left = self.left_after_scaling_to(kit, 3)
        assert {names[0], names[3]} < left

    def test_pods_of_the_deployments_other_replicasets_count_for_the_node_too(self, kit, controller):
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u", "controller": True}
        for name in ("old", "web"):
            wanted = a_replicaset(name, replicas=2)
            wanted["metadata"]["ownerReferences"] = [owner]
            kit.add("replicasets", wanted)
        kit.settle()
        for pod in kit.all("pods", app="old"):
            kit.set_pod(pod, node="a")
        first, second = kit.all("pods", app="web")
        kit.set_pod(first, node="b")
        kit.set_pod(second, node="a")
        kit.settle()
        scale(kit, 1)
        assert deleted_names(kit) == {name_of(second)}

    def test_of_pods_alike_the_one_ready_for_the_shortest_time_goes(self, kit, controller):
        kit.add("replicasets", a_replicaset(replicas=3))
        kit.settle()
        names = [name_of(pod) for pod in kit.all("pods")]
        for name, node in zip(names, ("a", "b", "c"), strict=True):
            kit.set_pod(name, node=node)
            kit.sleep(60)
        scale(kit, 2)
        assert deleted_names(kit) == {names[2]}

    def test_each_deletion_is_an_event(self, kit, controller):
        names = self.pods_with(kit, {"node": "a"})
        scale(kit, 0)
        assert kit.events("SuccessfulDelete") == [f"Deleted pod: {names[0]}"]


class TestAdoption:
    def test_a_matching_orphan_is_adopted(self, kit, controller):
        kit.add("pods", {"metadata": {"name": "stray", "namespace": "default", "labels": {"app": "web"}}, "spec": {}})
        replicaset = kit.add("replicasets", a_replicaset(replicas=2))
        kit.settle()
        assert len(kit.all("pods")) == 2
        assert controller_of(kit.get("pods", "stray"))["uid"] == replicaset["metadata"]["uid"]

    def test_a_pod_that_loses_its_label_is_released_and_replaced(self, kit, controller):
        kit.add("replicasets", a_replicaset(replicas=2))
        kit.run_pods()
        pod = kit.all("pods")[0]
        kit.change("pods", name_of(pod), metadata={**pod["metadata"], "labels": {"app": "debug"}})
        kit.settle()
        assert controller_of(kit.get("pods", name_of(pod))) is None
        assert len(kit.all("pods", app="web")) == 2

    def test_a_replicaset_that_is_being_deleted_adopts_nothing(self, kit, controller):
        wanted = a_replicaset(replicas=1)
        wanted["metadata"] |= {"finalizers": ["orphan"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        kit.add("pods", {"metadata": {"name": "stray", "namespace": "default", "labels": {"app": "web"}}, "spec": {}})
        kit.add("replicasets", wanted)
        kit.settle()
        assert controller_of(kit.get("pods", "stray")) is None


class TestStatus:
    def test_it_counts_active_ready_and_available_pods(self, kit, controller):
        kit.add("replicasets", a_replicaset(replicas=2))
        kit.settle()
        assert kit.get("replicasets", "web")["status"] == {
            "replicas": 2,
            "fullyLabeledReplicas": 2,
            "terminatingReplicas": 0,
            "observedGeneration": 1,
        }
        kit.run_pods()
        status = kit.get("replicasets", "web")["status"]
        assert (status["readyReplicas"], status["availableReplicas"]) == (2, 2)

    def test_a_pod_is_available_after_min_ready_seconds(self, kit, controller):
        kit.add("replicasets", a_replicaset(replicas=1, minReadySeconds=10))
        kit.loop.run_due()
        kit.set_pod(kit.all("pods")[0])
        kit.sleep(9)
        assert kit.get("replicasets", "web")["status"].get("availableReplicas", 0) == 0
        kit.sleep(2)
        assert kit.get("replicasets", "web")["status"]["availableReplicas"] == 1

    def test_a_status_that_is_right_is_not_written_again(self, kit, controller):
        kit.add("replicasets", a_replicaset(replicas=1))
        kit.run_pods()
        before = len(kit.requests)
        pod = kit.all("pods")[0]
        kit.change("pods", name_of(pod), metadata={**pod["metadata"], "annotations": {"a": "b"}})
        kit.settle()
        assert kit.requests[before:] == []


def test_a_thousand_pods_take_as_many_requests(kit, controller):
    kit.add("replicasets", a_replicaset(replicas=1000))
    kit.settle()
    assert len(kit.all("pods")) == 1000
    assert sum(method == "POST" for method, _, _ in kit.requests) == 1000
