"""Pods: defaults, admission, validation, what may change, how long a delete may take."""

from __future__ import annotations

from typing import Any

import pytest
from kind_rules import Rules

from epkit.fake.kinds.base import Refused
from epkit.fake.kinds.pod import POD, qos_class
from epkit.fake.kinds.pod_admission import copy_topology_labels
from epkit.fake.kinds.pod_defaults import default_pod_spec


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    listed = list(containers) or [{"name": "c", "image": "nginx:1"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": listed, **spec}}


def test_a_pod_as_the_api_server_completes_it(rules: Rules) -> None:
    made = rules.create(pod(automountServiceAccountToken=False))
    assert made["spec"] == {
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "c",
                "image": "nginx:1",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccount": "default",
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 30,
        "tolerations": [
            {"effect": "NoExecute", "key": f"node.kubernetes.io/{key}", "operator": "Exists", "tolerationSeconds": 300}
            for key in ("not-ready", "unreachable")
        ],
    }
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("registry:5000/nginx", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
        ("nginx:latest@sha256:abc", "Always"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": image}]}
    default_pod_spec(spec)
    assert spec["containers"][0]["imagePullPolicy"] == policy


def test_defaults_of_probes_ports_env_and_volumes() -> None:
    spec: dict[str, Any] = {
        "containers": [
            {
                "name": "c",
                "image": "i:1",
                "ports": [{"containerPort": 80}],
                "readinessProbe": {"httpGet": {"port": 80}},
                "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 3, "initialDelaySeconds": 0},
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            }
        ],
        "volumes": [{"name": "a"}, {"name": "b", "configMap": {"name": "m"}}],
    }
    default_pod_spec(spec)
    container = spec["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
    }  # fmt: skip
    assert container["startupProbe"]["periodSeconds"] == 3 and "initialDelaySeconds" not in container["startupProbe"]
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert spec["volumes"] == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "configMap": {"name": "m", "defaultMode": 420}},
    ]


def test_defaults_are_idempotent(rules: Rules) -> None:
    made = rules.create(pod({"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}, hostNetwork=True))
    again, _ = rules.update(made)
    assert again == made
    assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}


def test_the_service_account_s_token_is_mounted_unless_it_is_not_wanted(rules: Rules) -> None:
    made = rules.create(pod())
    assert made["spec"]["containers"][0]["volumeMounts"] == [
        {
            "name": "kube-api-access-bcdfg",
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }
    ]
    volume = made["spec"]["volumes"][0]
    assert volume["projected"]["defaultMode"] == 420
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken", "configMap", "downwardAPI",
    ]  # fmt: skip
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "quiet"}}
    rules.create({**account, "automountServiceAccountToken": False})
    assert "volumes" not in rules.prepared(pod(serviceAccountName="quiet"))["spec"]


def test_a_service_account_must_exist(rules: Rules) -> None:
    with pytest.raises(Refused) as refusal:
        rules.prepared(pod(serviceAccountName="robot"))
    assert refusal.value.forbidden == 'error looking up service account default/robot: serviceaccount "robot" not found'


def test_own_tolerations_replace_the_default_ones(rules: Rules) -> None:
    made = rules.create(pod(tolerations=[{"operator": "Exists"}]))
    assert made["spec"]["tolerations"] == [{"operator": "Exists"}]
    some = rules.prepared(
        pod(tolerations=[{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}])
    )
    assert [entry["key"] for entry in some["spec"]["tolerations"]] == [
        "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable",
    ]  # fmt: skip


def test_a_pod_carries_the_zone_and_region_of_its_node(rules: Rules) -> None:
    labels = {"topology.kubernetes.io/zone": "zone-a", "topology.kubernetes.io/region": "r", "other": "x"}
    node = rules.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": labels}})
    made = rules.create(pod(nodeName="n1"))
    wanted = {"topology.kubernetes.io/zone": "zone-a", "topology.kubernetes.io/region": "r"}
    assert made["metadata"]["labels"] == wanted
    assert "labels" not in rules.prepared(pod(nodeName="absent"))["metadata"]
    shared = {"metadata": {"labels": {"app": "web"}}}
    before = shared["metadata"]["labels"]
    copy_topology_labels(shared, node)
    assert shared["metadata"]["labels"] == {"app": "web", **wanted} and before == {"app": "web"}


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: dict[str, Any], quality: str) -> None:
    assert qos_class(pod({"name": "c", "image": "i", "resources": resources})) == quality


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"containers": []}, ["spec.containers: Required value"]),
        ({"containers": [{"name": "c"}]}, ["spec.containers[0].image: Required value"]),
        (
            {"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]},
            ['spec.containers[1].name: Duplicate value: "c"'],
        ),
        (
            {"restartPolicy": "Sometimes"},
            ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"'],
        ),
        (
            {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 70000, "name": "a--b"}]}]},
            [
                'spec.containers[0].ports[0].name: Invalid value: "a--b": must not contain consecutive hyphens',
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 "
                "and 65535, inclusive",
            ],
        ),
        (
            {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
        ),
        (
            {"containers": [{"name": "c", "image": "i", "livenessProbe": {}}]},
            ["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Equal", "tolerationSeconds": 3}]},
            [
                "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when "
                "`tolerationSeconds` is set"
            ],
        ),
    ],
)
def test_invalid_pods(rules: Rules, changes: dict[str, Any], faults: list[str]) -> None:
    assert rules.faults(pod(**changes)) == faults


def test_the_image_may_change_and_little_else(rules: Rules) -> None:
    old = rules.create(pod())
    spec = old["spec"]
    newer = {**spec, "containers": [{**spec["containers"][0], "image": "nginx:2"}]}
    assert rules.update(old, spec=newer)[1] == []
    _, faults = rules.update(old, spec={**spec, "restartPolicy": "Never"})
    assert len(faults) == 1 and faults[0].startswith(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
        "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
    )
    assert '- \tRestartPolicy: "Always",' in faults[0] and '+ \tRestartPolicy: "Never",' in faults[0]
    _, faults = rules.update(old, spec={**spec, "containers": [*spec["containers"], {"name": "d", "image": "i"}]})
    assert faults == ["spec.containers: Forbidden: pod updates may not add or remove containers"]


def test_tolerations_may_be_added_and_their_seconds_changed(rules: Rules) -> None:
    old = rules.create(pod())
    given = old["spec"]["tolerations"]
    added = [{**given[0], "tolerationSeconds": 5}, given[1], {"key": "x", "operator": "Exists"}]
    assert rules.update(old, spec={**old["spec"], "tolerations": added})[1] == []
    _, faults = rules.update(old, spec={**old["spec"], "tolerations": [{**given[0], "operator": "Equal"}, given[1]]})
    assert faults == [
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    ]


def test_a_status_write_leaves_the_rest_alone(rules: Rules) -> None:
    old = rules.create(pod())
    sent = {"phase": "Running", "podIP": "10.1.2.3", "conditions": [{"type": "Ready", "status": "True"}]}
    new, faults = rules.status(old, sent)
    assert faults == [] and new["spec"] == old["spec"]
    assert new["status"] == {
        "phase": "Running", "qosClass": "BestEffort", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}],
        "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}],
    }  # fmt: skip
    _, faults = rules.status(old, {"podIPs": [{"ip": "nonsense"}]})
    assert faults == [
        'status.podIPs[0]: Invalid value: "nonsense": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
    ]


@pytest.mark.parametrize(
    ("spec", "phase", "asked", "period"),
    [
        ({"nodeName": "n"}, "Running", None, 30),
        ({"nodeName": "n", "terminationGracePeriodSeconds": 5}, "Running", None, 5),
        ({"nodeName": "n"}, "Running", 0, 0),
        ({"nodeName": "n"}, "Running", 7, 7),
        ({"nodeName": "n"}, "Running", -1, 1),
        ({"nodeName": "n"}, "Succeeded", None, 0),
        ({}, "Pending", None, 0),
    ],
)
def test_grace_periods(spec: dict[str, Any], phase: str, asked: int | None, period: int) -> None:
    assert POD.grace_period is not None
    assert POD.grace_period({**pod(**spec), "status": {"phase": phase}}, asked) == period


def test_warnings() -> None:
    ports = [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "TCP"}]
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    odd = pod({"name": "c", "image": "i", "ports": ports, "env": env})
    odd["metadata"]["name"] = "a.b"
    assert POD.warnings(odd, None) == [
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
        "a DNS label is recommended: [must not contain dots]",
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
        "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
    ]
    assert POD.warnings(pod(), None) == []
