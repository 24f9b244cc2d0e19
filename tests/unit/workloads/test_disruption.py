"""PodDisruptionBudgets, after ``pkg/controller/disruption`` and ``pkg/registry/core/pod/storage/eviction_test.go``."""
from __future__ import annotations

from typing import Any

import pytest
from test_deployment import a_deployment
from workload_double import Double

from epkit.errors import ApiError
from epkit.fake.controllers import disruption_rules as rules
from epkit.fake.controllers.deployment import DeploymentController
from epkit.fake.controllers.disruption import DisruptionController
from epkit.fake.controllers.replicaset import ReplicaSetController
from epkit.objects import Obj, condition, copy, name_of

NOW = "2026-01-01T00:00:00Z"


def a_budget(**spec: Any) -> Obj:
    wanted = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    return {"metadata": {"name": "few", "namespace": "default"}, "spec": wanted}


@pytest.fixture
def pods(kit: Double) -> Double:
    """Four ready pods of a Deployment, and the controller."""
    for controller in (ReplicaSetController, DeploymentController, DisruptionController):
        kit.run(controller)
    kit.add("deployments", a_deployment(replicas=4))
    kit.run_pods()
    return kit


def status(kit: Double) -> Obj:
    return kit.get("poddisruptionbudgets", "few")["status"]


class TestStatus:
    @pytest.mark.parametrize(
        "spec, desired, allowed",
        [
            ({"minAvailable": 3}, 3, 1),
            ({"minAvailable": "50%"}, 2, 2),
            ({"minAvailable": "51%"}, 3, 1),
            ({"maxUnavailable": 1}, 3, 1),
            ({"maxUnavailable": "30%"}, 2, 2),
            ({"maxUnavailable": 0}, 4, 0),
            ({"minAvailable": 7}, 7, 0),
        ],
    )
    def test_it_says_how_many_pods_may_be_disrupted(self, pods, spec, desired, allowed):
        pods.add("poddisruptionbudgets", a_budget(**spec))
        pods.settle()
        enough = allowed > 0
        assert status(pods) == {
            "disruptionsAllowed": allowed,
            "currentHealthy": 4,
            "desiredHealthy": desired,
            "expectedPods": 4,
            "observedGeneration": 1,
            "conditions": [
                {
                    "type": "DisruptionAllowed",
                    "status": "True" if enough else "False",
                    "observedGeneration": 1,
                    "lastTransitionTime": NOW,
                    "reason": "SufficientPods" if enough else "InsufficientPods",
                    "message": "",
                }
            ],
        }

    def test_it_follows_the_pods(self, pods):
        pods.add("poddisruptionbudgets", a_budget(maxUnavailable=1))
        pods.settle()
        pods.set_pod(pods.all("pods")[0], ready=False)
        pods.settle()
        assert (status(pods)["currentHealthy"], status(pods)["disruptionsAllowed"]) == (3, 0)

    def test_pods_that_nobody_scales_make_it_fail_safe(self, kit):
        kit.run(DisruptionController)
        owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}
        meta = {"name": "p", "namespace": "default", "labels": {"app": "web"}, "ownerReferences": [owner]}
        kit.add("pods", {"metadata": meta, "spec": {}})
        kit.add("poddisruptionbudgets", a_budget(maxUnavailable=1))
        kit.settle()
        failed = condition(kit.get("poddisruptionbudgets", "few"), "DisruptionAllowed")
        assert (failed["status"], failed["reason"]) == ("False", "SyncFailed")
        assert failed["message"] == "daemonsets.apps does not implement the scale subresource"

    def test_pods_without_a_controller_are_told_of(self, kit):
        kit.run(DisruptionController)
        kit.add("pods", {"metadata": {"name": "p", "namespace": "default", "labels": {"app": "web"}}, "spec": {}})
        kit.add("poddisruptionbudgets", a_budget(maxUnavailable=1))
        kit.settle()
        shown = "&LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{},"
        assert shown in kit.events("UnmanagedPods")[0]
        assert status(kit)["disruptionsAllowed"] == 0


class TestEviction:
    def evict(self, kit: Double, pod: Obj) -> None:
        """What the API server does with the verdict."""
        budget = rules.evict(pod, kit.all("poddisruptionbudgets"), kit.clock.timestamp())
        if budget is not None:
            kit.change("poddisruptionbudgets", name_of(budget), status=budget["status"])
        kit.client("me").delete("pods", name_of(pod), "default")

    def test_each_uses_up_a_disruption_until_none_is_left(self, pods):
        pods.add("poddisruptionbudgets", a_budget(maxUnavailable=1))
        pods.settle()
        first, second, *_ = pods.all("pods")
        self.evict(pods, first)
        pods.settle()
        assert status(pods)["disruptionsAllowed"] == 0
        with pytest.raises(ApiError) as refused:
            self.evict(pods, second)
        assert refused.value.status == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "Cannot evict pod as it would violate the pod's disruption budget.",
            "reason": "TooManyRequests",
            "details": {
                "causes": [
                    {
                        "reason": "DisruptionBudget",
                        "message": "The disruption budget few needs 3 healthy pods and has 3 currently",
                    }
                ]
            },
            "code": 429,
        }
        pods.run_pods()
        self.evict(pods, second)

    def test_the_controller_forgets_one_that_did_not_come(self, pods):
        pods.add("poddisruptionbudgets", a_budget(maxUnavailable=1))
        pods.settle()
        pod = pods.all("pods")[0]
        budget = rules.evict(pod, pods.all("poddisruptionbudgets"), pods.clock.timestamp())
        pods.change("poddisruptionbudgets", "few", status=budget["status"])
        pods.settle()
        assert status(pods)["disruptedPods"] == {name_of(pod): NOW}
        assert status(pods)["disruptionsAllowed"] == 0
        pods.sleep(121)
        pods.change("pods", name_of(pod), metadata={**pod["metadata"], "annotations": {"a": "b"}})
        pods.settle()
        assert "disruptedPods" not in status(pods)
        assert status(pods)["disruptionsAllowed"] == 1
        assert pods.events("NotDeleted") == ["Pod was expected by PDB default/default to be deleted but it wasn't"]

    def test_a_budget_that_was_not_looked_at_yet_says_try_later(self, pods):
        budget = pods.add("poddisruptionbudgets", a_budget(maxUnavailable=1))
        with pytest.raises(ApiError) as refused:
            rules.evict(pods.all("pods")[0], [budget], NOW)
        assert refused.value.status["details"] == {
            "causes": [
                {
                    "reason": "DisruptionBudget",
                    "message": "The disruption budget few is still being processed by the server.",
                }
            ],
            "retryAfterSeconds": 10,
        }

    def test_two_budgets_for_a_pod_are_one_too_many(self, pods):
        budgets = [a_budget(), a_budget()]
        with pytest.raises(ApiError, match="more than one PodDisruptionBudget") as refused:
            rules.evict(pods.all("pods")[0], budgets, NOW)
        assert refused.value.code == 500

    @pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
    def test_a_pod_that_serves_nobody_may_always_go(self, pods, phase):
        pod = copy(pods.all("pods")[0])
        pod["status"] = {"phase": phase}
        assert rules.evict(pod, [a_budget(maxUnavailable=0)], NOW) is None

    @pytest.mark.parametrize(
        "policy, healthy, may_go",
        [("AlwaysAllow", 1, True), ("IfHealthyBudget", 3, True), ("IfHealthyBudget", 2, False), (None, 3, True)],
    )
    def test_an_unhealthy_pod_may_go_if_that_takes_nothing_away(self, pods, policy, healthy, may_go):
        budget = a_budget(minAvailable=3) | {"status": {"currentHealthy": healthy, "desiredHealthy": 3}}
        if policy:
            budget["spec"]["unhealthyPodEvictionPolicy"] = policy
        pod = copy(pods.all("pods")[0])
        pod["status"]["conditions"] = []
        if may_go:
            assert rules.evict(pod, [budget], NOW) is None
        else:
            with pytest.raises(ApiError, match="disruption budget"):
                rules.evict(pod, [budget], NOW)


def test_a_pod_is_no_disruption_target_for_ever(kit):
    kit.run(DisruptionController)
    kit.add("pods", {"metadata": {"name": "p", "namespace": "default"}, "spec": {}})
    entry = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "lastTransitionTime": NOW}
    kit.change("pods", "p", status={"phase": "Running", "conditions": [entry]})
    kit.settle()
    assert condition(kit.get("pods", "p"), "DisruptionTarget")["status"] == "True"
    kit.sleep(121)
    assert condition(kit.get("pods", "p"), "DisruptionTarget")["status"] == "False"
