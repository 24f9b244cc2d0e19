"""Namespaces, nodes, events, config maps, secrets, leases, budgets and network policies."""

from __future__ import annotations

import base64
from typing import Any

from kind_rules import Rules

from epkit.fake.kinds.event import EVENT
from epkit.fake.kinds.node import NODE
from epkit.fake.kinds.poddisruptionbudget import POD_DISRUPTION_BUDGET


def obj(kind: str, api_version: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **fields}


def test_namespaces(rules: Rules) -> None:
    made = rules.create(obj("Namespace", status={"phase": "Terminating"}))
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    assert made["spec"] == {"finalizers": ["kubernetes"]} and made["status"] == {"phase": "Active"}
    assert rules.update(made, spec={})[0]["spec"] == {"finalizers": ["kubernetes"]}


def test_a_new_node_is_tainted_until_it_is_seen_to_be_ready(rules: Rules) -> None:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    made = rules.create(obj("Node", status={"capacity": {"cpu": "4"}}))
    assert made["spec"]["taints"] == [taint]
    assert made["status"]["allocatable"] == {"cpu": "4"}
    assert made["status"]["nodeInfo"]["kubeletVersion"] == ""
    own = {"key": "a", "effect": "NoExecute"}
    assert rules.prepared(obj("Node", spec={"taints": [own, taint]}))["spec"]["taints"] == [own, taint]
    assert rules.faults(obj("Node", spec={"taints": [{"key": "a", "effect": "Never"}]})) == [
        'spec.taints[0].effect: Unsupported value: "Never": '
        'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"'
    ]


def test_a_node_s_field_label() -> None:
    label = NODE.field_labels["spec.unschedulable"]
    assert label({"spec": {}}) == "false" and label({"spec": {"unschedulable": True}}) == "true"


def test_events(rules: Rules) -> None:
    involved = {"kind": "Pod", "name": "web", "namespace": "default"}
    made = rules.create(obj("Event", involvedObject=involved, reason="Started"))
    assert (made["source"], made["firstTimestamp"], made["reportingComponent"]) == ({}, None, "")
    assert EVENT.field_labels["involvedObject.name"](made) == "web"
    assert rules.faults(obj("Event", involvedObject={**involved, "namespace": "other"})) == [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace'
    ]


def test_config_maps(rules: Rules) -> None:
    assert rules.faults(obj("ConfigMap", data={"a b": "x"}))[0].startswith(
        'data[a b]: Invalid value: "a b": a valid config key'
    )
    assert rules.faults(obj("ConfigMap", data={"a": "x"}, binaryData={"a": "eA=="})) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData'
    ]
    frozen = rules.create(obj("ConfigMap", data={"a": "x"}, immutable=True))
    assert rules.update(frozen, data={"a": "y"})[1] == ["data: Forbidden: field is immutable when `immutable` is set"]


def test_secrets(rules: Rules) -> None:
    made = rules.create(obj("Secret", stringData={"password": "hunter2"}))
    assert base64.b64decode(made["data"]["password"]) == b"hunter2" and "stringData" not in made
    assert made["type"] == "Opaque"
    assert rules.update(made, type="other")[1] == ['type: Invalid value: "other": field is immutable']
    assert rules.faults(obj("Secret", type="kubernetes.io/tls", data={"tls.crt": ""})) == [
        "data[tls.key]: Required value"
    ]


def test_leases(rules: Rules) -> None:
    spec = {"holderIdentity": "n1", "leaseDurationSeconds": 0}
    assert rules.faults(obj("Lease", "coordination.k8s.io/v1", spec=spec)) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
    ]


def test_budgets(rules: Rules) -> None:
    selector = {"matchLabels": {"app": "x"}}
    made = rules.create(obj("PodDisruptionBudget", "policy/v1", spec={"minAvailable": "50%", "selector": selector}))
    assert made["status"] == {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    assert POD_DISRUPTION_BUDGET.row is not None
    assert POD_DISRUPTION_BUDGET.row(made, 0.0)[1:4] == ["50%", "N/A", 0]
    both = {"minAvailable": 1, "maxUnavailable": 1, "selector": selector}
    (fault,) = rules.faults(obj("PodDisruptionBudget", "policy/v1", spec=both))
    assert fault.endswith(": minAvailable and maxUnavailable cannot be both set")


def test_network_policies(rules: Rules) -> None:
    spec = {"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}
    made = rules.create(obj("NetworkPolicy", "networking.k8s.io/v1", spec=spec))
    assert made["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert made["spec"]["egress"][0]["ports"] == [{"port": 53, "protocol": "TCP"}]
    block = {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}]}
    assert rules.faults(obj("NetworkPolicy", "networking.k8s.io/v1", spec=block)) == [
        'spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.1/8": must not have bits set '
        "beyond the prefix length"
    ]


def test_controller_revisions(rules: Rules) -> None:
    made = rules.create(obj("ControllerRevision", "apps/v1", data={"spec": {"template": {"labels": {}}}}, revision=1))
    assert made["data"] == {"spec": {"template": {"labels": {}}}}
    assert rules.faults(obj("ControllerRevision", "apps/v1", revision=1)) == ["data: Required value: data is mandatory"]
