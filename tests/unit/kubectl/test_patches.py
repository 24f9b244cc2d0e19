"""The patches that apply and edit send."""

from __future__ import annotations

from epkit.kubectl.builtin import merge_keys
from epkit.kubectl.builtin.threeway import json_merge, three_way, two_way

SERVICE = merge_keys.of_kind("", "Service")
DEPLOYMENT = merge_keys.of_kind("apps", "Deployment")


def _ports(*ports: dict[str, object]) -> dict[str, object]:
    return {"spec": {"ports": list(ports)}}


def test_items_are_told_apart_by_their_merge_key() -> None:
    before = _ports({"port": 80, "name": "http"}, {"port": 443, "name": "https"})
    after = _ports({"port": 443, "name": "https"}, {"port": 80, "name": "http", "targetPort": 8080})
    assert two_way(before, after, SERVICE) == {
        "spec": {
            "$setElementOrder/ports": [{"port": 443}, {"port": 80}],
            "ports": [{"targetPort": 8080, "port": 80}],
        }
    }


def test_an_item_that_is_gone_is_deleted() -> None:
    patch = two_way(_ports({"port": 80}, {"port": 443}), _ports({"port": 443}), SERVICE)
    assert patch == {
        "spec": {
            "$setElementOrder/ports": [{"port": 443}],
            "ports": [{"$patch": "delete", "port": 80}],
        }
    }


def test_other_lists_are_replaced() -> None:
    schema = merge_keys.of_kind("discovery.k8s.io", "EndpointSlice")
    before, after = {"endpoints": [{"addresses": ["10.0.0.1"]}]}, {"endpoints": [{"addresses": ["10.0.0.2"]}]}
    assert two_way(before, after, schema) == after


def test_three_way_keeps_what_others_set() -> None:
    applied = {"spec": {"replicas": 1, "paused": True}}
    wanted = {"spec": {"replicas": 2}}
    live = {"spec": {"replicas": 1, "paused": True, "minReadySeconds": 5}}
    assert three_way(applied, wanted, live, DEPLOYMENT) == {"spec": {"paused": None, "replicas": 2}}


def test_three_way_of_containers() -> None:
    def pods(*containers: dict[str, str]) -> dict[str, object]:
        return {"spec": {"template": {"spec": {"containers": list(containers)}}}}

    applied = pods({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    wanted = pods({"name": "b", "image": "2"})
    live = pods({"name": "a", "image": "1"}, {"name": "b", "image": "1"}, {"name": "sidecar", "image": "1"})
    patch = three_way(applied, wanted, live, DEPLOYMENT)
    assert patch["spec"]["template"]["spec"] == {
        "$setElementOrder/containers": [{"name": "b"}],
        "containers": [{"image": "2", "name": "b"}, {"$patch": "delete", "name": "a"}],
    }


def test_the_strategy_says_which_keys_it_retains() -> None:
    before = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    after = {"spec": {"strategy": {"type": "Recreate"}}}
    assert two_way(before, after, DEPLOYMENT) == {
        "spec": {"strategy": {"rollingUpdate": None, "type": "Recreate", "$retainKeys": ["type"]}}
    }


def test_finalizers_are_merged_one_by_one() -> None:
    before, after = {"metadata": {"finalizers": ["a", "b"]}}, {"metadata": {"finalizers": ["b", "c"]}}
    assert two_way(before, after, SERVICE) == {
        "metadata": {
            "finalizers": ["c"],
            "$deleteFromPrimitiveList/finalizers": ["a"],
            "$setElementOrder/finalizers": ["b", "c"],
        }
    }


def test_nothing_to_change_is_an_empty_patch() -> None:
    state = {"metadata": {"labels": {"a": "b"}}, "spec": {"ports": [{"port": 80}]}}
    assert three_way(state, state, state, SERVICE) == {}


def test_a_kind_that_kubectl_was_not_built_with_gets_a_json_merge_patch() -> None:
    assert merge_keys.of_kind("example.com", "Widget") is None
    assert three_way({"a": 1, "b": 1}, {"a": 2}, {"a": 1, "b": 1, "c": 1}, None) == {"a": 2, "b": None}


def test_true_is_not_one() -> None:
    assert json_merge({"a": 1}, {"a": True}) == {"a": True}
