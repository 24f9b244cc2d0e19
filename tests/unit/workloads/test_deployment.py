"""The Deployment controller, after the tests in ``pkg/controller/deployment``."""
from __future__ import annotations

import re
from typing import Any

import pytest
from workload_double import Double

from epkit.fake.controllers import deployment_util as util
from epkit.fake.controllers.deployment import DeploymentController
from epkit.fake.controllers.replicaset import ReplicaSetController
from epkit.fake.controllers.workloads import compute_hash, scaled_value, slow_start_batch
from epkit.fake.wire import errors
from epkit.objects import Obj, annotations_of, condition, copy, labels_of, name_of


def a_template(image: str = "nginx:1") -> Obj:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def a_deployment(replicas: int = 3, surge: int | str = 1, unavailable: int | str = 0, **spec: Any) -> Obj:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    wanted: Obj = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": a_template(),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        **spec,
    }
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": wanted}


@pytest.fixture
def controller(kit: Double) -> DeploymentController:
    kit.run(ReplicaSetController)
    return kit.run(DeploymentController)


def roll_to(kit: Double, image: str) -> None:
    kit.change("deployments", "web", spec={"template": a_template(image)})


def replicasets(kit: Double) -> dict[str, Obj]:
    """By image."""
    return {rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs for rs in kit.all("replicasets")}


def sizes(kit: Double) -> dict[str, int]:
    return {image: rs["spec"]["replicas"] for image, rs in replicasets(kit).items()}


def status(kit: Double) -> Obj:
    return kit.get("deployments", "web")["status"]


def said(kit: Double, kind: str) -> tuple[str, str, str]:
    entry = condition(kit.get("deployments", "web"), kind)
    assert entry is not None
    return entry["status"], entry["reason"], entry["message"]


class TestNewReplicaSet:
    def test_it_is_named_after_the_hash_of_its_template(self, kit, controller):
        deployment = kit.add("deployments", a_deployment())
        kit.settle()
        (replicaset,) = kit.all("replicasets")
        token = labels_of(replicaset)["pod-template-hash"]
        assert re.fullmatch("[bcdf456789]{6,10}", token)
        assert name_of(replicaset) == f"web-{token}"
        assert replicaset["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": token}
        assert replicaset["spec"]["template"]["metadata"]["labels"] == {"app": "web", "pod-template-hash": token}
        assert replicaset["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]
        assert annotations_of(replicaset) == {
            "deployment.kubernetes.io/revision": "1",
            "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4",
        }

    def test_the_first_rollout_tells_what_it_does(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=2))
        kit.settle()
        (replicaset,) = kit.all("replicasets")
        assert kit.events("ScalingReplicaSet") == [f"Scaled up replica set {name_of(replicaset)} from 0 to 2"]
        assert annotations_of(kit.get("deployments", "web"))["deployment.kubernetes.io/revision"] == "1"
        progress = f'ReplicaSet "{name_of(replicaset)}" is progressing.'
        assert said(kit, "Progressing") == ("True", "ReplicaSetUpdated", progress)
        minimum = "Deployment does not have minimum availability."
        assert said(kit, "Available") == ("False", "MinimumReplicasUnavailable", minimum)
        kit.run_pods()
        done = f'ReplicaSet "{name_of(replicaset)}" has successfully progressed.'
        assert said(kit, "Progressing") == ("True", "NewReplicaSetAvailable", done)
        assert said(kit, "Available") == ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")

    def test_its_status_counts_what_its_replicasets_report(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=2))
        kit.run_pods()
        assert {key: value for key, value in status(kit).items() if key != "conditions"} == {
            "observedGeneration": 1,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "terminatingReplicas": 0,
        }

    def test_annotations_are_copied_but_for_those_that_are_its_own(self, kit, controller):
        wanted = a_deployment()
        wanted["metadata"]["annotations"] = {
            "kubernetes.io/change-cause": "first",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        }
        kit.add("deployments", wanted)
        kit.settle()
        annotations = annotations_of(kit.all("replicasets")[0])
        assert annotations["kubernetes.io/change-cause"] == "first"
        assert "kubectl.kubernetes.io/last-applied-configuration" not in annotations

    def test_a_refusal_is_a_condition_and_an_event(self, kit, controller):
        def refuse(obj: Obj) -> None:
            raise errors.forbidden("replicasets", name_of(obj), "no", "apps")

        kit.refuse["POST", "replicasets"] = refuse
        kit.add("deployments", a_deployment())
        kit.settle()
        outcome, reason, message = said(kit, "Progressing")
        assert (outcome, reason) == ("False", "ReplicaSetCreateError")
        text = r'Failed to create new replica set "web-\w+": replicasets.apps "web-\w+" is forbidden: no'
        assert re.fullmatch(text, message)
        assert kit.events("ReplicaSetCreateError") == [message]

    def test_a_name_that_is_taken_by_something_else_counts_as_a_collision(self, kit, controller):
        token = compute_hash(a_template())
        spec = {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": a_template("other")}
        kit.add("replicasets", {"metadata": {"name": f"web-{token}", "namespace": "default"}, "spec": spec})
        kit.add("deployments", a_deployment(replicas=1))
        kit.settle()
        assert status(kit)["collisionCount"] == 1
        assert f"web-{compute_hash(a_template(), 1)}" in {name_of(rs) for rs in kit.all("replicasets")}

    def test_one_that_matches_is_adopted(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=1, paused=True))
        kit.settle()
        labels = {"app": "web", "pod-template-hash": "x"}
        template = a_template() | {"metadata": {"labels": labels}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        kit.add("replicasets", {"metadata": {"name": "web-x", "namespace": "default", "labels": labels}, "spec": spec})
        kit.change("deployments", "web", spec={"paused": False})
        kit.run_pods()
        (replicaset,) = kit.all("replicasets")
        assert replicaset["metadata"]["ownerReferences"][0]["name"] == "web"
        assert said(kit, "Progressing")[1] == "NewReplicaSetAvailable"


class TestRollingUpdate:
    def test_it_surges_and_then_takes_away(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=3, surge=1, unavailable=0))
        kit.run_pods()
        roll_to(kit, "nginx:2")
        kit.settle()
        assert sizes(kit) == {"nginx:1": 3, "nginx:2": 1}
        kit.run_pods()
        assert sizes(kit) == {"nginx:1": 0, "nginx:2": 3}
        old, new = name_of(replicasets(kit)["nginx:1"]), name_of(replicasets(kit)["nginx:2"])
        assert kit.events("ScalingReplicaSet")[1:] == [
            f"Scaled up replica set {new} from 0 to 1",
            f"Scaled down replica set {old} from 3 to 2",
            f"Scaled up replica set {new} from 1 to 2",
            f"Scaled down replica set {old} from 2 to 1",
            f"Scaled up replica set {new} from 2 to 3",
            f"Scaled down replica set {old} from 1 to 0",
        ]

    @pytest.mark.parametrize("surge, unavailable", [(1, 0), (0, 1), (2, 2), ("25%", "25%"), (0, "30%"), ("100%", 0)])
    def test_there_are_never_too_many_pods_nor_too_few(self, kit, controller, surge, unavailable):
        kit.add("deployments", a_deployment(replicas=8, surge=surge, unavailable=unavailable))
        kit.run_pods()
        most = 8 + scaled_value(surge, 8, round_up=True)
        fewest = 8 - scaled_value(unavailable, 8, round_up=False)

        def check(event: Any) -> None:
            pods = [pod for pod in kit.all("pods") if "deletionTimestamp" not in pod["metadata"]]
            ready = [pod for pod in pods if pod["status"]["phase"] == "Running"]
            assert len(pods) <= most and len(ready) >= fewest

        kit.store.subscribe(check)
        roll_to(kit, "nginx:2")
        kit.run_pods()
        assert sizes(kit) == {"nginx:1": 0, "nginx:2": 8}

    def test_pods_that_are_unhealthy_anyway_go_first(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=4, surge=0, unavailable=1))
        kit.run_pods()
        sick = kit.all("pods")[2]
        kit.set_pod(sick, ready=False)
        roll_to(kit, "nginx:2")
        kit.settle()
        assert "deletionTimestamp" in kit.get("pods", name_of(sick))["metadata"]
        assert sizes(kit) == {"nginx:1": 3, "nginx:2": 1}

    def test_a_template_that_never_becomes_ready_stops_it(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=4, surge=1, unavailable=1))
        kit.run_pods()
        roll_to(kit, "broken")
        kit.settle()
        kit.sleep(60)
        assert sizes(kit) == {"nginx:1": 3, "broken": 2}

    def test_one_that_makes_no_progress_exceeds_its_deadline(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=1, progressDeadlineSeconds=100))
        kit.loop.run_due()
        kit.sleep(99)
        assert said(kit, "Progressing")[1] == "ReplicaSetUpdated"
        kit.sleep(3)
        name = name_of(kit.all("replicasets")[0])
        late = f'ReplicaSet "{name}" has timed out progressing.'
        assert said(kit, "Progressing") == ("False", "ProgressDeadlineExceeded", late)

    def test_a_finished_rollout_exceeds_no_deadline(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=1, progressDeadlineSeconds=10))
        kit.run_pods()
        kit.set_pod(kit.all("pods")[0], ready=False)
        kit.sleep(100)
        assert said(kit, "Progressing")[1] == "NewReplicaSetAvailable"
        assert said(kit, "Available")[0] == "False"


class TestHistory:
    def test_each_template_is_a_revision(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=1))
        kit.run_pods()
        roll_to(kit, "nginx:2")
        kit.run_pods()
        revisions = {image: annotations_of(rs)[util.REVISION] for image, rs in replicasets(kit).items()}
        assert revisions == {"nginx:1": "1", "nginx:2": "2"}
        assert annotations_of(kit.get("deployments", "web"))[util.REVISION] == "2"

    def test_going_back_makes_the_old_replicaset_the_newest_revision(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=1))
        for image in ("nginx:2", "nginx:1", "nginx:2"):
            kit.run_pods()
            roll_to(kit, image)
        kit.run_pods()
        annotations = annotations_of(replicasets(kit)["nginx:2"])
        assert annotations[util.REVISION] == "4"
        assert annotations[util.REVISION_HISTORY] == "2"
        assert len(kit.all("replicasets")) == 2

    def test_only_so_many_old_ones_are_kept(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=1, revisionHistoryLimit=2))
        for number in range(2, 7):
            kit.run_pods()
            roll_to(kit, f"nginx:{number}")
        kit.run_pods()
        assert set(replicasets(kit)) == {"nginx:4", "nginx:5", "nginx:6"}


class TestRecreate:
    def test_new_pods_are_made_when_the_last_old_one_is_gone(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=2, strategy={"type": "Recreate"}))
        kit.run_pods()
        roll_to(kit, "nginx:2")
        kit.settle()
        assert sizes(kit) == {"nginx:1": 0}
        going = kit.all("pods")
        assert all("deletionTimestamp" in pod["metadata"] for pod in going)
        kit.end(going[0])
        kit.settle()
        assert sizes(kit) == {"nginx:1": 0}
        kit.end(going[1])
        kit.settle()
        assert sizes(kit) == {"nginx:1": 0, "nginx:2": 2}


class TestScaling:
    def test_the_only_replicaset_follows(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=2))
        kit.run_pods()
        kit.change("deployments", "web", spec={"replicas": 5})
        kit.run_pods()
        assert sizes(kit) == {"nginx:1": 5}
        (replicaset,) = kit.all("replicasets")
        assert annotations_of(replicaset)[util.DESIRED_REPLICAS] == "5"
        assert kit.events("ScalingReplicaSet")[-1] == f"Scaled up replica set {name_of(replicaset)} from 2 to 5"

    def test_in_the_middle_of_a_rollout_all_follow_in_proportion(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=10, surge=3, unavailable=2))
        kit.run_pods()
        roll_to(kit, "nginx:2")
        kit.settle()
        assert sizes(kit) == {"nginx:1": 8, "nginx:2": 5}
        kit.change("deployments", "web", spec={"replicas": 15})
        kit.settle()
        # The documentation's own example: of 5 more, 3 go to the larger and 2 to the smaller.
        assert sizes(kit) == {"nginx:1": 11, "nginx:2": 7}

    def test_to_nothing_and_back(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=2))
        kit.run_pods()
        kit.change("deployments", "web", spec={"replicas": 0})
        kit.run_pods()
        assert kit.all("pods") == []
        assert said(kit, "Available")[0] == "True"
        kit.change("deployments", "web", spec={"replicas": 2})
        kit.run_pods()
        assert len(kit.all("pods")) == 2


class TestPause:
    def test_a_paused_deployment_scales_and_does_not_roll(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=1))
        kit.run_pods()
        kit.change("deployments", "web", spec={"paused": True})
        kit.settle()
        assert said(kit, "Progressing") == ("Unknown", "DeploymentPaused", "Deployment is paused")
        roll_to(kit, "nginx:2")
        kit.change("deployments", "web", spec={"replicas": 3})
        kit.run_pods()
        assert sizes(kit) == {"nginx:1": 3}

    def test_resumed_it_goes_on(self, kit, controller):
        kit.add("deployments", a_deployment(replicas=1, paused=True))
        kit.settle()
        assert kit.all("replicasets") == []
        kit.change("deployments", "web", spec={"paused": False})
        kit.run_pods()
        assert said(kit, "Progressing")[1] == "NewReplicaSetAvailable"


def test_a_conflict_is_met_by_the_next_sync(kit, controller):
    kit.add("deployments", a_deployment(replicas=1))
    kit.run_pods()
    assert controller.queue.stuck == []


def test_a_deleted_deployment_is_left_alone(kit, controller):
    wanted = a_deployment()
    wanted["metadata"] |= {"finalizers": ["foregroundDeletion"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    kit.add("deployments", wanted)
    kit.settle()
    assert kit.all("replicasets") == []


@pytest.mark.parametrize(
    "surge, unavailable, replicas, expected",
    [
        ("25%", "25%", 4, (1, 1)),
        ("25%", "25%", 1, (1, 0)),
        ("0%", "1%", 2, (0, 1)),
        (0, "25%", 1, (0, 1)),
        (2, 0, 10, (2, 0)),
    ],
)
def test_surge_rounds_up_and_unavailability_down(surge, unavailable, replicas, expected):
    assert util.fenceposts(a_deployment(replicas, surge, unavailable)) == expected


def test_templates_are_compared_without_their_hash():
    hashed = copy(a_template())
    hashed["metadata"]["labels"]["pod-template-hash"] = "x"
    assert util.same_template(a_template(), hashed)
    assert not util.same_template(a_template(), a_template("other"))


def test_slow_start_doubles_until_something_fails():
    calls = []

    def create() -> None:
        calls.append(1)
        if len(calls) > 3:
            raise errors.forbidden("pods", "", "quota")

    successes, failure = slow_start_batch(10, create)
    # Batches of 1, 2 and 4: the third fails, and the remaining three are not tried.
    assert (successes, len(calls), str(failure)) == (3, 7, "pods is forbidden: quota")
