"""The Job controller, after ``pkg/controller/job/job_controller_test.go`` and ``test/integration/job``."""
from __future__ import annotations

from typing import Any

import pytest
from workload_double import Double

from epkit.fake.controllers import job_indexes as indexes
from epkit.fake.controllers.job import JobController
from epkit.fake.controllers.job_state import TRACKING_FINALIZER
from epkit.fake.controllers.ttlafterfinished import TTLAfterFinishedController
from epkit.objects import Obj, annotations_of, condition, labels_of, name_of

START = "2026-01-01T00:00:00Z"


def a_job(**spec: Any) -> Obj:
    wanted = {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "selector": {"matchLabels": {"job": "sum"}},
        "template": {
            "metadata": {"labels": {"job": "sum"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "sum"}]},
        },
        **spec,
    }
    return {"metadata": {"name": "sum", "namespace": "default"}, "spec": wanted}


@pytest.fixture
def controller(kit: Double) -> JobController:
    return kit.run(JobController)


def status(kit: Double) -> Obj:
    return kit.get("jobs", "sum")["status"]


def live(kit: Double) -> list[Obj]:
    return [pod for pod in kit.all("pods") if pod["status"]["phase"] in ("Pending", "Running")]


def end(kit: Double, pod: Obj, phase: str = "Succeeded") -> None:
    """The pod's container ends."""
    kit.set_pod(pod, phase=phase, ready=False)
    kit.settle()


def said(kit: Double, kind: str) -> tuple[str, str] | None:
    entry = condition(kit.get("jobs", "sum"), kind)
    return (entry["reason"], entry["message"]) if entry is not None and entry["status"] == "True" else None


class TestCompletion:
    def test_one_pod_that_succeeds_completes_it(self, kit, controller):
        kit.add("jobs", a_job())
        kit.settle()
        (pod,) = kit.all("pods")
        assert pod["metadata"]["finalizers"] == [TRACKING_FINALIZER]
        assert name_of(pod).startswith("sum-")
        assert (status(kit)["active"], status(kit)["ready"], status(kit)["startTime"]) == (1, 0, START)
        end(kit, pod)
        reached = ("CompletionsReached", "Reached expected number of succeeded pods")
        assert said(kit, "SuccessCriteriaMet") == said(kit, "Complete") == reached
        assert {key: value for key, value in status(kit).items() if key != "conditions"} == {
            "startTime": START,
            "completionTime": status(kit)["completionTime"],
            "succeeded": 1,
            "ready": 0,
            "terminating": 0,
            "uncountedTerminatedPods": {},
        }
        assert kit.get("pods", name_of(pod))["metadata"]["finalizers"] == []
        assert kit.events("Completed") == ["Job completed"]

    def test_so_many_at_a_time_until_there_are_enough(self, kit, controller):
        kit.add("jobs", a_job(completions=5, parallelism=2))
        kit.settle()
        seen = []
        while live(kit):
            seen.append(len(live(kit)))
            end(kit, live(kit)[0])
        assert seen == [2, 2, 2, 2, 1]
        assert status(kit)["succeeded"] == 5
        assert said(kit, "Complete")

    def test_without_completions_one_success_lets_the_others_finish(self, kit, controller):
        job = a_job(parallelism=3)
        del job["spec"]["completions"]
        kit.add("jobs", job)
        kit.settle()
        first, second, third = live(kit)
        end(kit, first)
        assert len(live(kit)) == 2 and not said(kit, "Complete")
        end(kit, second)
        end(kit, third, "Failed")
        assert said(kit, "Complete")
        assert (status(kit)["succeeded"], status(kit)["failed"]) == (2, 1)

    def test_fewer_at_a_time_deletes_pods(self, kit, controller):
        kit.add("jobs", a_job(completions=4, parallelism=3))
        kit.settle()
        kit.change("jobs", "sum", spec={"parallelism": 1})
        kit.settle()
        assert len(live(kit)) == 1

    def test_no_pod_is_made_twice_while_the_cache_lags(self, kit, controller):
        controller.pods.lag = 3.0
        kit.add("jobs", a_job(completions=3, parallelism=3))
        kit.settle()
        assert len(kit.all("pods")) == 3


class TestFailure:
    def test_a_failed_pod_is_replaced_after_a_while(self, kit, controller):
        kit.add("jobs", a_job())
        kit.loop.run_due()
        kit.set_pod(kit.all("pods")[0], phase="Failed", ready=False)
        kit.sleep(5)
        assert (live(kit), status(kit)["failed"]) == ([], 1)
        kit.sleep(6)
        assert len(live(kit)) == 1
        kit.set_pod(live(kit)[0], phase="Failed", ready=False)
        kit.sleep(15)
        assert live(kit) == []
        kit.sleep(6)
        assert len(live(kit)) == 1

    def test_too_many_failures_fail_it(self, kit, controller):
        kit.add("jobs", a_job(backoffLimit=1, completions=2, parallelism=2))
        kit.settle()
        first, second = live(kit)
        kit.set_pod(second)
        end(kit, first, "Failed")
        third = next(pod for pod in live(kit) if pod["status"]["phase"] == "Pending")
        kit.set_pod(third)
        end(kit, second, "Failed")
        exceeded = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        assert said(kit, "FailureTarget") == exceeded
        assert "deletionTimestamp" in kit.get("pods", name_of(third))["metadata"]
        kit.run_pods()
        assert said(kit, "Failed") == exceeded
        assert kit.events("BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]
        assert status(kit)["failed"] == 3
        assert "active" not in status(kit)

    def test_restarts_count_with_on_failure(self, kit, controller):
        job = a_job(backoffLimit=2)
        job["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
        kit.add("jobs", job)
        kit.settle()
        pod = live(kit)[0]
        kit.set_pod(pod, ready=False)
        kit.change("pods", name_of(pod), status={"containerStatuses": [{"name": "c", "restartCount": 2}]})
        kit.settle()
        assert said(kit, "FailureTarget")[0] == "BackoffLimitExceeded"

    def test_a_deadline_ends_it(self, kit, controller):
        kit.add("jobs", a_job(activeDeadlineSeconds=100))
        kit.settle()
        kit.sleep(98)
        assert not said(kit, "FailureTarget")
        kit.sleep(5)
        kit.run_pods()
        assert said(kit, "Failed") == ("DeadlineExceeded", "Job was active longer than specified deadline")

    def test_a_deleted_pod_counts_as_failed(self, kit, controller):
        kit.add("jobs", a_job())
        kit.settle()
        kit.set_pod(live(kit)[0])
        kit.client("me").delete("pods", name_of(live(kit)[0]), "default")
        kit.settle()
        assert status(kit)["failed"] == 1
        kit.sleep(15)
        assert len(live(kit)) == 2  # the old one still terminates


class TestIndexes:
    def test_each_index_is_a_pod_with_a_hostname_and_a_variable(self, kit, controller):
        kit.add("jobs", a_job(completions=3, parallelism=3, completionMode="Indexed"))
        kit.settle()
        pods = sorted(kit.all("pods"), key=indexes.index_of)
        assert [pod["spec"]["hostname"] for pod in pods] == ["sum-0", "sum-1", "sum-2"]
        assert [annotations_of(pod)[indexes.INDEX] for pod in pods] == ["0", "1", "2"]
        assert labels_of(pods[0])[indexes.INDEX] == "0"
        assert name_of(pods[2]).startswith("sum-2-")
        source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{indexes.INDEX}']"}}
        assert pods[0]["spec"]["containers"][0]["env"] == [{"name": "JOB_COMPLETION_INDEX", "valueFrom": source}]

    def test_it_is_complete_when_each_index_has_succeeded(self, kit, controller):
        kit.add("jobs", a_job(completions=4, parallelism=2, completionMode="Indexed"))
        kit.settle()
        for expected in ("1", "1,2", "0-2", "0-3"):
            pod = max(live(kit), key=indexes.index_of) if expected != "0-2" else min(live(kit), key=indexes.index_of)
            end(kit, pod)
            assert status(kit)["completedIndexes"] == expected
        assert said(kit, "Complete")

    def test_a_failed_index_is_tried_again(self, kit, controller):
        kit.add("jobs", a_job(completions=2, parallelism=2, completionMode="Indexed"))
        kit.settle()
        end(kit, min(live(kit), key=indexes.index_of), "Failed")
        kit.sleep(30)
        assert sorted(indexes.index_of(pod) for pod in live(kit)) == [0, 1]

    @pytest.mark.parametrize("text, numbers", [("", set()), ("3", {3}), ("0,2", {0, 2}), ("0,1,4-6", {0, 1, 4, 5, 6})])
    def test_they_are_written_as_intervals(self, text, numbers):
        assert indexes.format(numbers) == text
        assert indexes.parse(text, 10) == numbers


class TestSuspension:
    def test_a_suspended_job_runs_nothing_until_it_is_resumed(self, kit, controller):
        kit.add("jobs", a_job(suspend=True))
        kit.settle()
        assert kit.all("pods") == []
        assert "startTime" not in status(kit)
        assert said(kit, "Suspended") == ("JobSuspended", "Job suspended")
        kit.change("jobs", "sum", spec={"suspend": False})
        kit.settle()
        assert len(live(kit)) == 1
        assert said(kit, "Suspended") is None
        assert kit.events("Resumed") == ["Job resumed"]

    def test_suspended_on_the_way_its_pods_go(self, kit, controller):
        kit.add("jobs", a_job(completions=3, parallelism=2))
        kit.settle()
        kit.change("jobs", "sum", spec={"suspend": True})
        kit.settle()
        assert live(kit) == []
        assert "active" not in status(kit)


def test_the_pods_of_a_deleted_job_lose_their_finalizer(kit, controller):
    kit.add("jobs", a_job())
    kit.settle()
    kit.client("me").delete("jobs", "sum", "default")
    kit.settle()
    assert kit.all("pods")[0]["metadata"]["finalizers"] == []


def test_a_job_that_somebody_else_manages_is_left_alone(kit, controller):
    kit.add("jobs", a_job(managedBy="example.com/queue"))
    kit.settle()
    assert kit.all("pods") == []


def test_what_is_not_here_is_said(kit, controller):
    kit.add("jobs", a_job(successPolicy={"rules": []}))
    kit.settle()
    assert kit.events("NotImplemented") == ["epkit's Job controller does not follow successPolicy"]


class TestTimeToLive:
    def finished(self, kit: Double, seconds: int) -> None:
        kit.run(TTLAfterFinishedController)
        kit.add("jobs", a_job(ttlSecondsAfterFinished=seconds))
        kit.loop.run_due()
        kit.set_pod(kit.all("pods")[0], phase="Succeeded", ready=False)
        kit.sleep(3)
        assert said(kit, "Complete")

    def test_a_finished_job_is_deleted_when_its_time_is_over(self, kit, controller):
        self.finished(kit, 100)
        kit.sleep(90)
        assert len(kit.all("jobs")) == 1
        kit.sleep(15)
        assert kit.all("jobs") == []

    def test_it_may_be_given_more_time(self, kit, controller):
        self.finished(kit, 100)
        kit.change("jobs", "sum", spec={"ttlSecondsAfterFinished": 200})
        kit.sleep(150)
        assert len(kit.all("jobs")) == 1
        kit.sleep(60)
        assert kit.all("jobs") == []
