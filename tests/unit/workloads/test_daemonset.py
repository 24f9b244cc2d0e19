"""The DaemonSet controller, after ``pkg/controller/daemon/daemon_controller_test.go`` and ``update_test.go``."""
from __future__ import annotations

from typing import Any

import pytest
from workload_double import Double

from epkit.fake.controllers.daemonset import DaemonSetController
from epkit.fake.controllers.daemonset_pods import target_node
from epkit.objects import Obj, labels_of, name_of


def a_template(image: str = "agent:1", **spec: Any) -> Obj:
    containers = [{"name": "c", "image": image}]
    return {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": containers, **spec}}


def a_daemonset(unavailable: int | str = 1, surge: int | str = 0, **spec: Any) -> Obj:
    rolling = {"maxUnavailable": unavailable, "maxSurge": surge}
    wanted = {
        "selector": {"matchLabels": {"app": "agent"}},
        "template": a_template(),
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "revisionHistoryLimit": 10,
        **spec,
    }
    return {"metadata": {"name": "agent", "namespace": "default"}, "spec": wanted}


def a_node(name: str, taints: list[Obj] | None = None, **labels: str) -> Obj:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": taints or []}}


@pytest.fixture
def controller(kit: Double) -> DaemonSetController:
    return kit.run(DaemonSetController)


@pytest.fixture
def nodes(kit: Double) -> Double:
    for name in ("a", "b", "c"):
        kit.add("nodes", a_node(name))
    return kit


def run_pods(kit: Double) -> None:
    """As the scheduler and the kubelets do: each pod on the node that it is meant for."""
    while True:
        kit.settle()
        going = [pod for pod in kit.all("pods") if "deletionTimestamp" in pod["metadata"]]
        waiting = [pod for pod in kit.all("pods") if pod["status"]["phase"] == "Pending" and pod not in going]
        for pod in going:
            kit.end(pod)
        for pod in waiting:
            kit.set_pod(pod, node=target_node(pod))
        if not going and not waiting:
            return


def where(kit: Double) -> list[str]:
    return sorted(target_node(pod) for pod in kit.all("pods"))


def images(kit: Double) -> list[str]:
    return sorted(pod["spec"]["containers"][0]["image"] for pod in kit.all("pods"))


def status(kit: Double) -> Obj:
    return kit.get("daemonsets", "agent")["status"]


def roll_to(kit: Double, image: str) -> None:
    kit.change("daemonsets", "agent", spec={"template": a_template(image)})


class TestPlacement:
    def test_each_node_gets_a_pod_that_only_it_can_take(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset())
        nodes.settle()
        assert where(nodes) == ["a", "b", "c"]
        (first,) = [pod for pod in nodes.all("pods") if target_node(pod) == "a"]
        assert "nodeName" not in first["spec"]
        assert first["spec"]["affinity"] == {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}
                    ]
                }
            }
        }

    def test_a_pod_tolerates_a_node_in_trouble(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset())
        nodes.settle()
        assert nodes.all("pods")[0]["spec"]["tolerations"] == [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect}
            for key, effect in (
                ("not-ready", "NoExecute"),
                ("unreachable", "NoExecute"),
                ("disk-pressure", "NoSchedule"),
                ("memory-pressure", "NoSchedule"),
                ("pid-pressure", "NoSchedule"),
                ("unschedulable", "NoSchedule"),
            )
        ]

    def test_a_new_node_gets_one_too(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset())
        run_pods(nodes)
        nodes.add("nodes", a_node("d"))
        run_pods(nodes)
        assert where(nodes) == ["a", "b", "c", "d"]

    def test_the_template_chooses_nodes(self, kit, controller):
        kit.add("nodes", a_node("a", disk="ssd"))
        kit.add("nodes", a_node("b"))
        kit.add("daemonsets", a_daemonset(template=a_template(nodeSelector={"disk": "ssd"})))
        run_pods(kit)
        assert where(kit) == ["a"]
        kit.change("nodes", "b", metadata={**kit.get("nodes", "b")["metadata"], "labels": {"disk": "ssd"}})
        run_pods(kit)
        assert where(kit) == ["a", "b"]
        kit.change("nodes", "a", metadata={**kit.get("nodes", "a")["metadata"], "labels": {}})
        run_pods(kit)
        assert where(kit) == ["b"]

    @pytest.mark.parametrize("effect, stays", [("NoSchedule", True), ("NoExecute", False)])
    def test_a_taint_keeps_new_pods_away_and_may_drive_out_old_ones(self, nodes, controller, effect, stays):
        nodes.add("daemonsets", a_daemonset())
        run_pods(nodes)
        nodes.change("nodes", "a", spec={"taints": [{"key": "mine", "effect": effect}]})
        run_pods(nodes)
        assert ("a" in where(nodes)) == stays
        assert status(nodes)["desiredNumberScheduled"] == 2
        assert status(nodes)["numberMisscheduled"] == int(stays)

    def test_a_failed_pod_is_deleted_and_made_again_and_not_too_often(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset())
        run_pods(nodes)
        for _ in range(2):
            pod = next(pod for pod in nodes.all("pods") if target_node(pod) == "a")
            nodes.set_pod(pod, phase="Failed", ready=False, node="a")
            nodes.loop.run_due()
        assert len(nodes.events("FailedDaemonPod")) == 1
        nodes.end(pod)
        run_pods(nodes)
        assert where(nodes) == ["a", "b", "c"]

    def test_no_pod_is_made_twice_while_the_cache_lags(self, nodes, controller):
        controller.pods.lag = 2.0
        nodes.add("daemonsets", a_daemonset())
        nodes.loop.run_due()
        nodes.add("nodes", a_node("d"))
        nodes.settle()
        assert where(nodes) == ["a", "b", "c", "d"]


class TestRollingUpdate:
    def test_one_node_after_the_other(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset())
        run_pods(nodes)
        roll_to(nodes, "agent:2")
        nodes.settle()
        going = [pod for pod in nodes.all("pods") if "deletionTimestamp" in pod["metadata"]]
        assert len(going) == 1
        run_pods(nodes)
        assert images(nodes) == ["agent:2"] * 3
        assert status(nodes) == {
            "currentNumberScheduled": 3,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 3,
            "numberReady": 3,
            "observedGeneration": 2,
            "updatedNumberScheduled": 3,
            "numberAvailable": 3,
        }

    def test_a_pod_that_does_not_serve_goes_at_once(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset())
        run_pods(nodes)
        sick = nodes.all("pods")[0]
        nodes.set_pod(sick, ready=False, node=target_node(sick))
        roll_to(nodes, "agent:2")
        nodes.settle()
        going = {name_of(pod) for pod in nodes.all("pods") if "deletionTimestamp" in pod["metadata"]}
        assert name_of(sick) in going

    def test_with_surge_the_new_pod_comes_before_the_old_one_goes(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset(unavailable=0, surge=1))
        run_pods(nodes)
        roll_to(nodes, "agent:2")
        nodes.settle()
        assert images(nodes) == ["agent:1"] * 3 + ["agent:2"]
        assert all("deletionTimestamp" not in pod["metadata"] for pod in nodes.all("pods"))
        run_pods(nodes)
        assert images(nodes) == ["agent:2"] * 3

    def test_on_delete_waits_for_somebody_to_delete(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset(updateStrategy={"type": "OnDelete"}))
        run_pods(nodes)
        roll_to(nodes, "agent:2")
        run_pods(nodes)
        assert images(nodes) == ["agent:1"] * 3
        nodes.client("me").delete("pods", name_of(nodes.all("pods")[0]), "default", grace=0)
        run_pods(nodes)
        assert images(nodes) == ["agent:1", "agent:1", "agent:2"]


class TestHistory:
    def test_pods_carry_the_label_of_their_revision(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset())
        nodes.settle()
        (revision,) = nodes.all("controllerrevisions")
        token = labels_of(revision)["controller-revision-hash"]
        assert name_of(revision) == f"agent-{token}"
        assert {labels_of(pod)["controller-revision-hash"] for pod in nodes.all("pods")} == {token}

    def test_going_back_makes_the_old_revision_the_newest(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset())
        for image in ("agent:2", "agent:1"):
            run_pods(nodes)
            roll_to(nodes, image)
        run_pods(nodes)
        assert sorted(revision["revision"] for revision in nodes.all("controllerrevisions")) == [2, 3]

    def test_only_so_many_old_ones_are_kept(self, nodes, controller):
        nodes.add("daemonsets", a_daemonset(revisionHistoryLimit=1))
        for number in range(2, 6):
            run_pods(nodes)
            roll_to(nodes, f"agent:{number}")
        run_pods(nodes)
        nodes.settle()
        assert sorted(revision["revision"] for revision in nodes.all("controllerrevisions")) == [4, 5]
