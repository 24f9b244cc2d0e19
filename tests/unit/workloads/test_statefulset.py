"""The StatefulSet controller, after ``pkg/controller/statefulset/stateful_set_control_test.go``."""
from __future__ import annotations

from typing import Any

import pytest
from workload_double import Double

from epkit.fake.controllers.statefulset import StatefulSetController
from epkit.fake.wire import errors
from epkit.objects import Obj, controller_of, labels_of, name_of


def a_template(image: str = "db:1") -> Obj:
    return {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def a_statefulset(replicas: int = 3, **spec: Any) -> Obj:
    wanted = {
        "replicas": replicas,
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": a_template(),
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "revisionHistoryLimit": 10,
        **spec,
    }
    return {"metadata": {"name": "db", "namespace": "default"}, "spec": wanted}


@pytest.fixture
def controller(kit: Double) -> StatefulSetController:
    return kit.run(StatefulSetController)


def names(kit: Double) -> list[str]:
    return [name_of(pod) for pod in kit.all("pods")]


def images(kit: Double) -> list[str]:
    return [pod["spec"]["containers"][0]["image"] for pod in kit.all("pods")]


def status(kit: Double) -> Obj:
    return kit.get("statefulsets", "db")["status"]


def roll_to(kit: Double, image: str) -> None:
    kit.change("statefulsets", "db", spec={"template": a_template(image)})


class TestIdentity:
    def test_a_pod_has_a_name_a_hostname_and_an_index_of_its_own(self, kit, controller):
        kit.add("statefulsets", a_statefulset(1))
        kit.settle()
        pod = kit.get("pods", "db-0")
        revision = status(kit)["updateRevision"]
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-0", "db")
        assert labels_of(pod) == {
            "app": "db",
            "statefulset.kubernetes.io/pod-name": "db-0",
            "apps.kubernetes.io/pod-index": "0",
            "controller-revision-hash": revision,
        }
        assert pod["metadata"]["generateName"] == "db-"
        assert controller_of(pod)["kind"] == "StatefulSet"

    def test_ordinals_may_start_elsewhere(self, kit, controller):
        kit.add("statefulsets", a_statefulset(2, ordinals={"start": 5}))
        kit.run_pods()
        assert names(kit) == ["db-5", "db-6"]

    def test_a_label_that_was_taken_away_comes_back(self, kit, controller):
        kit.add("statefulsets", a_statefulset(1))
        kit.run_pods()
        pod = kit.get("pods", "db-0")
        labels = {key: value for key, value in labels_of(pod).items() if "pod-name" not in key}
        kit.change("pods", "db-0", metadata={**pod["metadata"], "labels": labels})
        kit.settle()
        assert labels_of(kit.get("pods", "db-0"))["statefulset.kubernetes.io/pod-name"] == "db-0"

    def test_claims_are_volumes_of_the_pod_and_told_of_when_they_cannot_be_made(self, kit, controller):
        claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
        kit.add("statefulsets", a_statefulset(1, volumeClaimTemplates=[claim]))
        kit.settle()
        assert names(kit) == []
        said = "create Claim data-db-0 Pod db-0 in StatefulSet db failed error:"
        assert kit.events("FailedCreate")[0].startswith(said)


class TestOrder:
    def test_each_pod_waits_for_the_one_before_to_be_ready(self, kit, controller):
        kit.add("statefulsets", a_statefulset(3))
        kit.settle()
        assert names(kit) == ["db-0"]
        kit.set_pod("db-0", ready=False)
        kit.settle()
        assert names(kit) == ["db-0"]
        kit.set_pod("db-0")
        kit.settle()
        assert names(kit) == ["db-0", "db-1"]
        kit.run_pods()
        assert names(kit) == ["db-0", "db-1", "db-2"]
        assert kit.events("SuccessfulCreate") == [
            "create Pod db-0 in StatefulSet db successful",
            "create Pod db-1 in StatefulSet db successful",
            "create Pod db-2 in StatefulSet db successful",
        ]

    def test_each_pod_waits_for_the_one_before_to_be_available(self, kit, controller):
        kit.add("statefulsets", a_statefulset(2, minReadySeconds=10))
        kit.loop.run_due()
        kit.set_pod("db-0")
        kit.sleep(8)
        assert names(kit) == ["db-0"]
        kit.sleep(4)
        assert names(kit) == ["db-0", "db-1"]

    def test_in_parallel_all_come_at_once(self, kit, controller):
        kit.add("statefulsets", a_statefulset(3, podManagementPolicy="Parallel"))
        kit.settle()
        assert names(kit) == ["db-0", "db-1", "db-2"]

    def test_scaled_down_the_last_goes_first_and_is_waited_for(self, kit, controller):
        kit.add("statefulsets", a_statefulset(3))
        kit.run_pods()
        kit.change("statefulsets", "db", spec={"replicas": 1})
        kit.settle()
        going = [name_of(pod) for pod in kit.all("pods") if "deletionTimestamp" in pod["metadata"]]
        assert going == ["db-2"]
        kit.run_pods()
        assert names(kit) == ["db-0"]
        assert kit.events("SuccessfulDelete") == [
            "delete Pod db-2 in StatefulSet db successful",
            "delete Pod db-1 in StatefulSet db successful",
        ]

    def test_nothing_is_scaled_down_while_another_pod_is_not_ready(self, kit, controller):
        kit.add("statefulsets", a_statefulset(3))
        kit.run_pods()
        kit.set_pod("db-0", ready=False)
        kit.settle()
        kit.change("statefulsets", "db", spec={"replicas": 2})
        kit.settle()
        assert all("deletionTimestamp" not in pod["metadata"] for pod in kit.all("pods"))

    def test_a_deleted_pod_comes_back_under_its_name_when_it_is_gone(self, kit, controller):
        kit.add("statefulsets", a_statefulset(2))
        kit.run_pods()
        before = kit.get("pods", "db-0")["metadata"]["uid"]
        kit.client("me").delete("pods", "db-0", "default")
        kit.settle()
        assert kit.get("pods", "db-0")["metadata"]["uid"] == before
        kit.run_pods()
        assert kit.get("pods", "db-0")["metadata"]["uid"] != before

    def test_a_finished_pod_is_deleted_and_made_again(self, kit, controller):
        kit.add("statefulsets", a_statefulset(1))
        kit.run_pods()
        kit.set_pod("db-0", phase="Failed", ready=False)
        kit.run_pods()
        assert kit.get("pods", "db-0")["status"]["phase"] == "Running"

    def test_a_cache_that_lags_makes_no_second_pod(self, kit, controller):
        controller.pods.lag = 2.0
        kit.add("statefulsets", a_statefulset(1))
        kit.settle()
        assert names(kit) == ["db-0"]
        assert kit.events("FailedCreate") == []

    def test_a_refusal_is_told_of_and_tried_again(self, kit, controller):
        def refuse(pod: Obj) -> None:
            raise errors.forbidden("pods", name_of(pod), "no")

        kit.refuse["POST", "pods"] = refuse
        kit.add("statefulsets", a_statefulset(1))
        kit.loop.run_due()
        said = 'create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: no'
        assert kit.events("FailedCreate") == [said]
        del kit.refuse["POST", "pods"]
        kit.sleep(1)
        assert names(kit) == ["db-0"]


class TestRollingUpdate:
    def test_pods_are_replaced_from_the_highest_ordinal_down(self, kit, controller):
        kit.add("statefulsets", a_statefulset(3))
        kit.run_pods()
        roll_to(kit, "db:2")
        kit.settle()
        going = [name_of(pod) for pod in kit.all("pods") if "deletionTimestamp" in pod["metadata"]]
        assert going == ["db-2"]
        kit.run_pods()
        assert images(kit) == ["db:2"] * 3
        assert kit.events("SuccessfulDelete") == [f"delete Pod db-{n} in StatefulSet db successful" for n in (2, 1, 0)]

    def test_it_ends_with_the_new_revision_as_the_current_one(self, kit, controller):
        kit.add("statefulsets", a_statefulset(2))
        kit.run_pods()
        first = status(kit)["currentRevision"]
        roll_to(kit, "db:2")
        kit.settle()
        assert status(kit)["currentRevision"] == first != status(kit)["updateRevision"]
        kit.run_pods()
        second = status(kit)["updateRevision"]
        assert status(kit) == {
            "replicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "currentReplicas": 2,
            "updatedReplicas": 2,
            "currentRevision": second,
            "updateRevision": second,
            "observedGeneration": 2,
            "collisionCount": 0,
        }

    def test_below_the_partition_the_old_revision_stays(self, kit, controller):
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
        kit.add("statefulsets", a_statefulset(3, updateStrategy=rolling))
        kit.run_pods()
        roll_to(kit, "db:2")
        kit.run_pods()
        assert images(kit) == ["db:1", "db:1", "db:2"]
        kit.client("me").delete("pods", "db-0", "default", grace=0)
        kit.run_pods()
        assert images(kit) == ["db:1", "db:1", "db:2"]

    def test_several_may_be_missing_at_once(self, kit, controller):
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 2}}
        kit.add("statefulsets", a_statefulset(4, updateStrategy=rolling))
        kit.run_pods()
        roll_to(kit, "db:2")
        kit.settle()
        going = [name_of(pod) for pod in kit.all("pods") if "deletionTimestamp" in pod["metadata"]]
        assert going == ["db-2", "db-3"]

    def test_on_delete_waits_for_somebody_to_delete(self, kit, controller):
        kit.add("statefulsets", a_statefulset(2, updateStrategy={"type": "OnDelete"}))
        kit.run_pods()
        roll_to(kit, "db:2")
        kit.run_pods()
        assert images(kit) == ["db:1", "db:1"]
        kit.client("me").delete("pods", "db-0", "default", grace=0)
        kit.run_pods()
        assert images(kit) == ["db:2", "db:1"]

    def test_with_parallel_a_broken_pod_does_not_block_its_own_repair(self, kit, controller):
        kit.add("statefulsets", a_statefulset(2, podManagementPolicy="Parallel"))
        kit.run_pods()
        kit.set_pod("db-0", ready=False)
        kit.settle()
        roll_to(kit, "db:2")
        kit.run_pods()
        assert images(kit) == ["db:2", "db:2"]


class TestHistory:
    def test_each_template_is_a_revision_and_going_back_makes_no_new_one(self, kit, controller):
        kit.add("statefulsets", a_statefulset(1))
        for image in ("db:2", "db:1"):
            kit.run_pods()
            roll_to(kit, image)
        kit.run_pods()
        revisions = {
            revision["data"]["spec"]["template"]["spec"]["containers"][0]["image"]: revision["revision"]
            for revision in kit.all("controllerrevisions")
        }
        assert revisions == {"db:2": 2, "db:1": 3}

    def test_a_revision_stores_the_patch_that_brings_its_template_back(self, kit, controller):
        kit.add("statefulsets", a_statefulset(1))
        kit.settle()
        (revision,) = kit.all("controllerrevisions")
        assert revision["data"] == {"spec": {"template": {**a_template(), "$patch": "replace"}}}
        token = labels_of(revision)["controller.kubernetes.io/hash"]
        assert name_of(revision) == f"db-{token}" == status(kit)["currentRevision"]

    def test_only_so_many_old_ones_are_kept(self, kit, controller):
        kit.add("statefulsets", a_statefulset(1, revisionHistoryLimit=1))
        for number in range(2, 6):
            kit.run_pods()
            roll_to(kit, f"db:{number}")
        kit.run_pods()
        kit.settle()
        assert [revision["revision"] for revision in history_of(kit)] == [4, 5]


def history_of(kit: Double) -> list[Obj]:
    return sorted(kit.all("controllerrevisions"), key=lambda revision: revision["revision"])


def test_one_that_is_being_deleted_only_counts(kit, controller):
    wanted = a_statefulset(2)
    wanted["metadata"] |= {"finalizers": ["foregroundDeletion"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    kit.add("statefulsets", wanted)
    kit.settle()
    assert names(kit) == []
    assert status(kit)["replicas"] == 0
