"""Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs."""

from __future__ import annotations

from typing import Any

import pytest
from kind_rules import Rules

from epkit.fake.kinds.deployment import DEPLOYMENT, generation_rises


def workload(kind: str, group: str = "apps/v1", restart: str = "", **spec: Any) -> dict[str, Any]:
    pods = {"containers": [{"name": "c", "image": "nginx:1"}]} | ({"restartPolicy": restart} if restart else {})
    spec = {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": pods},
        **spec,
    }
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "w", "uid": "0815"}, "spec": spec}


def filled_in(rules: Rules, obj: dict[str, Any]) -> dict[str, Any]:
    spec = rules.create(obj)["spec"]
    return {key: value for key, value in spec.items() if key not in ("selector", "template")}


def test_defaults_of_deployments(rules: Rules) -> None:
    assert filled_in(rules, workload("Deployment")) == {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    }
    recreate = filled_in(rules, workload("Deployment", strategy={"type": "Recreate"}, replicas=0))
    assert recreate["strategy"] == {"type": "Recreate"} and recreate["replicas"] == 0


def test_defaults_of_replica_sets(rules: Rules) -> None:
    assert filled_in(rules, workload("ReplicaSet")) == {"replicas": 1}
    assert rules.objects["replicasets"][0]["status"] == {"replicas": 0}


def test_defaults_of_stateful_sets(rules: Rules) -> None:
    assert filled_in(rules, workload("StatefulSet", serviceName="db")) == {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "serviceName": "db",
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }


def test_defaults_of_daemon_sets(rules: Rules) -> None:
    assert filled_in(rules, workload("DaemonSet")) == {
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
    }


def test_a_daemon_set_counts_its_templates(rules: Rules) -> None:
    key = "deprecated.daemonset.template.generation"
    old = rules.create(workload("DaemonSet"))
    assert old["metadata"]["annotations"] == {key: "1"}
    same, _ = rules.update(old, spec={**old["spec"], "minReadySeconds": 5})
    assert same["metadata"]["annotations"] == {key: "1"}
    template = {**old["spec"]["template"], "metadata": {"labels": {"app": "x", "version": "2"}}}
    newer, _ = rules.update(old, spec={**old["spec"], "template": template})
    assert newer["metadata"]["annotations"] == {key: "2"}


def job(**spec: Any) -> dict[str, Any]:
    made = workload("Job", "batch/v1", restart="Never", **spec)
    del made["spec"]["selector"]
    return made


def test_defaults_of_jobs(rules: Rules) -> None:
    assert filled_in(rules, job()) == {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed",
        "suspend": False,
    }
    spec = rules.objects["jobs"][0]["spec"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "0815"}}
    assert spec["template"]["metadata"]["labels"] == {
        "app": "x",
        "controller-uid": "0815",
        "job-name": "w",
        "batch.kubernetes.io/controller-uid": "0815",
        "batch.kubernetes.io/job-name": "w",
    }


def test_a_template_gets_a_pod_s_defaults(rules: Rules) -> None:
    template = rules.create(workload("Deployment"))["spec"]["template"]["spec"]
    assert template["restartPolicy"] == "Always" and template["containers"][0]["resources"] == {}
    assert "tolerations" not in template and "serviceAccountName" not in template


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"])
def test_the_selector_must_select_the_template(rules: Rules, kind: str) -> None:
    assert rules.faults(workload(kind, selector={"matchLabels": {"app": "y"}})) == [
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`'
    ]
    (fault,) = rules.faults(workload(kind, selector={}))
    assert fault.startswith("spec.selector: Invalid value: {}: empty selector is invalid for ")
    without = workload(kind)
    del without["spec"]["selector"]
    assert rules.faults(without)[0] == "spec.selector: Required value"


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"])
def test_pods_of_a_workload_run_for_ever(rules: Rules, kind: str) -> None:
    assert rules.faults(workload(kind, restart="Never")) == [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'
    ]


def test_pods_of_a_job_come_to_an_end(rules: Rules) -> None:
    always = job()
    always["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    assert rules.faults(always) == [
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
    ]


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet"])
def test_selectors_are_immutable(rules: Rules, kind: str) -> None:
    old = rules.create(workload(kind))
    labels = {"app": "y"}
    template = {**old["spec"]["template"], "metadata": {"labels": labels}}
    _, faults = rules.update(old, spec={**old["spec"], "selector": {"matchLabels": labels}, "template": template})
    assert faults == ['spec.selector: Invalid value: {"matchLabels":{"app":"y"}}: field is immutable']


def test_what_may_change_of_a_stateful_set(rules: Rules) -> None:
    old = rules.create(workload("StatefulSet", serviceName="db"))
    assert rules.update(old, spec={**old["spec"], "replicas": 3})[1] == []
    assert rules.update(old, spec={**old["spec"], "serviceName": "other"})[1] == [
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
        "'minReadySeconds' are forbidden"
    ]


def test_a_job_s_template_is_immutable(rules: Rules) -> None:
    old = rules.create(job())
    template = {
        **old["spec"]["template"],
        "metadata": {**old["spec"]["template"]["metadata"], "annotations": {"a": "b"}},
    }
    (fault,) = rules.update(old, spec={**old["spec"], "template": template})[1]
    assert fault.startswith("spec.template: Invalid value: {") and fault.endswith(": field is immutable")


def test_counts_and_strategies_of_deployments(rules: Rules) -> None:
    def faults(**spec: Any) -> list[str]:
        return rules.faults(workload("Deployment", **spec))

    def rolling(**parameters: Any) -> dict[str, Any]:
        return {"type": "RollingUpdate", "rollingUpdate": parameters}

    assert faults(replicas=-1) == ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]
    assert faults(strategy=rolling(maxSurge=0, maxUnavailable="0%")) == [
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'
    ]
    assert faults(strategy=rolling(maxUnavailable="110%")) == [
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "110%": must not be greater than 100%'
    ]
    assert faults(strategy={"type": "Recreate", "rollingUpdate": {}}) == [
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
    ]
    assert faults(minReadySeconds=600) == [
        "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"
    ]


def test_an_annotation_raises_a_deployment_s_generation(rules: Rules) -> None:
    old = rules.create(workload("Deployment"))
    annotated = {**old, "metadata": {**old["metadata"], "annotations": {"a": "b"}}}
    labelled = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    assert generation_rises(annotated, old) and not generation_rises(labelled, old)
    assert not generation_rises({**old, "status": {"replicas": 1}}, old)


def test_a_plain_write_leaves_the_status_alone(rules: Rules) -> None:
    old = rules.create({**workload("Deployment"), "status": {"replicas": 9}})
    assert old["status"] == {}
    observed, _ = rules.status(old, {"replicas": 2})
    assert observed["status"] == {"replicas": 2} and observed["spec"] == old["spec"]
    assert rules.update(observed, status={"replicas": 7})[0]["status"] == {"replicas": 2}


def test_warnings_of_names() -> None:
    odd = workload("Deployment")
    odd["metadata"]["name"] = "a.b"
    odd["spec"]["template"]["spec"]["containers"] = []
    assert DEPLOYMENT.warnings(odd, None) == [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
        "a DNS label is recommended: [must not contain dots]"
    ]
    assert DEPLOYMENT.warnings(odd, odd) == []
