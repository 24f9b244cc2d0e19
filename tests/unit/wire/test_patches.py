"""JSON, merge and strategic merge patches, and what the API server says of wrong ones."""
from __future__ import annotations

import json
from typing import Any

import pytest

from epkit.fake import kinds
from epkit.fake.wire import jsonpatch, patches, strategic
from epkit.fake.wire.errors import ApiError

SERVICE = next(one for one in kinds.KINDS if one.kind == "Service")
POD = "io.k8s.api.core.v1.Pod"


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "finalizers": ["a/b", "c/d"]},
            "spec": {"ports": [{"port": 80, "name": "x"}, {"port": 81, "name": "y"}], **spec}}


def patched(patch_type: str, patch: Any, validation: str = "Warn") -> tuple[dict[str, Any], list[str]]:
    body = patch if isinstance(patch, bytes) else json.dumps(patch).encode()
    return patches.patched(patch_type, service(), body, SERVICE, None, validation)


def refusal(patch_type: str, patch: Any, validation: str = "Warn") -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        patched(patch_type, patch, validation)
    return caught.value.code, caught.value.message


# JSON patch


@pytest.mark.parametrize(("before", "operations", "after"), [
    ({"a": [1, 2]}, [{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3]}),
    ({"a": [1, 2]}, [{"op": "add", "path": "/a/0", "value": 3}], {"a": [3, 1, 2]}),
    ({"a": [1, 2]}, [{"op": "add", "path": "/a/-1", "value": 3}], {"a": [1, 2, 3]}),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-1"}], {"a": [1]}),
    ({"a": 1}, [{"op": "replace", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    ({"a/b": {"~": 1}}, [{"op": "remove", "path": "/a~1b/~0"}], {"a/b": {}}),
    ({"a": [1, 2]}, [{"op": "move", "from": "/a/0", "path": "/a/-"}], {"a": [2, 1]}),
    ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}, {"op": "test", "path": "/b", "value": None}], {"a": 1}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
])
def test_operations(before: Any, operations: list[Any], after: Any) -> None:
    original = json.dumps(before)
    assert jsonpatch.apply(before, operations) == after
    assert json.dumps(before) == original


@pytest.mark.parametrize("operation", [
    {"op": "test", "path": "/spec/type", "value": "NodePort"},
    {"op": "test", "path": "/spec/ports/0/port", "value": True},
    {"op": "remove", "path": "/spec/ports/9"},
    {"op": "remove", "path": "/spec/nothing"},
    {"op": "add", "path": "/nowhere/deeper", "value": 1},
    {"op": "add", "path": "/spec/ports/3", "value": {}},
    {"op": "add", "path": "/spec/ports/one", "value": {}},
    {"op": "move", "path": "/spec/a"},
    {"op": "jump", "path": "/spec"},
    {"path": "/spec"},
    {"op": "add"},
])
def test_an_operation_that_does_not_apply(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        patched(patches.JSON_PATCH, [operation])
    assert caught.value.status == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the server rejected our request due to an error in our request", "reason": "Invalid",
        "details": {}, "code": 422,
    }


@pytest.mark.parametrize(("patch", "why"), [
    ({"op": "add"}, "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
    (["x"], "json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
    ([{"op": 5}], "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
    (b"[", "unexpected end of JSON input"),
])
def test_a_json_patch_that_cannot_be_read(patch: Any, why: str) -> None:
    assert refusal(patches.JSON_PATCH, patch) == (400, f"error decoding patch: {why}")


def test_strict_faults_of_a_json_patch() -> None:
    patch = [{"op": "replace", "path": "/spec/type", "value": "NodePort", "colour": 1}]
    assert patched(patches.JSON_PATCH, patch)[1] == ['json patch unknown field "[0].colour"']
    assert patched(patches.JSON_PATCH, patch, "Ignore")[1] == []
    code, text = refusal(patches.JSON_PATCH, patch, "Strict")
    assert code == 422 and text.endswith('strict decoding error: json patch unknown field "[0].colour"')


def test_too_many_operations() -> None:
    patch = [{"op": "test", "path": "/spec/type", "value": None}] * 10_001
    assert refusal(patches.JSON_PATCH, patch) == (
        413, "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001")


# merge patch


def test_a_merge_patch_replaces_lists_and_removes_with_null() -> None:
    obj, _ = patched(patches.MERGE, {"metadata": {"finalizers": None}, "spec": {"ports": [{"port": 9}]}})
    assert obj["metadata"] == {"name": "web"}
    assert [port["port"] for port in obj["spec"]["ports"]] == [9]


@pytest.mark.parametrize(("patch", "validation", "code", "why"), [
    (b"{nonsense", "Warn", 400,
     "error decoding patch: invalid character 'n' looking for beginning of object key string"),
    (b"[]", "Warn", 400,
     "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
    ({"spec": None, "colour": "red"}, "Strict", 422,
     ' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"v1\\",\\"colour\\":\\"red\\",'
     '\\"kind\\":\\"Service\\",\\"metadata\\":{\\"finalizers\\":[\\"a/b\\",\\"c/d\\"],\\"name\\":\\"web\\"}}": '
     'strict decoding error: unknown field "colour"'),
    ({"spec": {"ports": [{"port": "x"}]}}, "Warn", 422,
     ' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"v1\\",\\"kind\\":\\"Service\\",\\"metadata\\":'
     '{\\"finalizers\\":[\\"a/b\\",\\"c/d\\"],\\"name\\":\\"web\\"},'
     '\\"spec\\":{\\"ports\\":[{\\"port\\":\\"x\\"}]}}": '
     "json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32"),
])
def test_a_merge_patch_that_is_refused(patch: Any, validation: str, code: int, why: str) -> None:
    assert refusal(patches.MERGE, patch, validation) == (code, why)


def test_a_merge_patch_warns_of_unknown_fields() -> None:
    assert patched(patches.MERGE, b'{"colour":1,"spec":{"type":"","type":""}}')[1] == [
        'duplicate field "spec.type"', 'unknown field "colour"']


# strategic merge patch


def ports(patch: dict[str, Any]) -> list[Any]:
    obj, warnings = patched(patches.STRATEGIC, {"spec": patch})
    assert not warnings
    return [{key: value for key, value in port.items() if key != "targetPort"} for port in obj["spec"]["ports"]]


@pytest.mark.parametrize(("patch", "after"), [
    ({"ports": [{"port": 81, "nodePort": 3}, {"port": 82}]},
     [{"port": 80, "name": "x"}, {"port": 81, "name": "y", "nodePort": 3}, {"port": 82}]),
    ({"ports": [{"$patch": "delete", "port": 80}]}, [{"port": 81, "name": "y"}]),
    ({"ports": [{"$patch": "replace"}, {"port": 9}]}, [{"port": 9}]),
    ({"ports": [{"port": 80, "name": None}]}, [{"port": 80}, {"port": 81, "name": "y"}]),
    ({"$setElementOrder/ports": [{"port": 81}, {"port": 80}]},
     [{"port": 81, "name": "y"}, {"port": 80, "name": "x"}]),
    ({"$setElementOrder/ports": [{"port": 82}, {"port": 81}, {"port": 80}], "ports": [{"port": 82}]},
     [{"port": 82}, {"port": 81, "name": "y"}, {"port": 80, "name": "x"}]),
])
def test_lists_merge_by_key(patch: dict[str, Any], after: list[Any]) -> None:
    assert ports(patch) == after


def test_lists_of_plain_values() -> None:
    obj, _ = patched(patches.STRATEGIC, {"metadata": {"finalizers": ["e/f", "a/b"]}})
    assert sorted(obj["metadata"]["finalizers"]) == ["a/b", "c/d", "e/f"]
    obj, _ = patched(patches.STRATEGIC, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}})
    assert obj["metadata"]["finalizers"] == ["c/d"]


def test_maps_merge_unless_they_are_replaced() -> None:
    pod = {"metadata": {"labels": {"a": "1"}}}
    merged = strategic.merge(pod, {"metadata": {"labels": {"b": "2"}}}, POD)
    assert merged == {"metadata": {"labels": {"a": "1", "b": "2"}}}
    replaced = strategic.merge(pod, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}}, POD)
    assert replaced == {"metadata": {"labels": {"b": "2"}}}
    assert strategic.merge(pod, {"metadata": {"labels": {"$patch": "delete"}}}, POD) == {"metadata": {"labels": {}}}
    assert pod == {"metadata": {"labels": {"a": "1"}}}


def test_retain_keys() -> None:
    deployment = "io.k8s.api.apps.v1.Deployment"
    before = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic.merge(before, patch, deployment) == {"spec": {"strategy": {"type": "Recreate"}}}
    with pytest.raises(strategic.StrategicError, match="invalid patch format of retainKeys"):
        strategic.merge(before, {"spec": {"strategy": {"$retainKeys": [], "type": "Recreate"}}}, deployment)


@pytest.mark.parametrize(("patch", "code", "why"), [
    (b'{"a', 400, "unexpected end of JSON input"),
    (b"[]", 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    ({"spec": 5}, 422, ' "" is invalid: patch: Invalid value: "map[spec:5]": cannot restore struct from: int64'),
    ({"spec": {"ports": "x"}}, 422,
     ' "" is invalid: patch: Invalid value: "map[spec:map[ports:x]]": cannot restore slice from string'),
    ({"spec": {"ports": [{"port": "x"}]}}, 422,
     ' "" is invalid: patch: Invalid value: "map[spec:map[ports:[map[port:x]]]]": unrecognized type: int32'),
    ({"spec": {"type": 5}}, 422,
     ' "" is invalid: patch: Invalid value: "map[spec:map[type:5]]": cannot convert int64 to v1.ServiceType'),
    ({"spec": {"ports": [{"name": "x"}]}}, 500, "map: map[name:x] does not contain declared merge key: port"),
    ({"spec": {"ports": [{"$patch": "turn", "port": 80}]}}, 500,
     "unknown patch type: turn in map: map[$patch:turn port:80]"),
    ({"metadata": {"$deleteFromPrimitiveList": ["a"]}}, 400, "invalid patch format of primitive list"),
    ({"spec": {"ports": [[1]]}}, 500,
     "list element types are not identical: [[map[name:x port:80] map[name:y port:81]] [[1]]]"),
])
def test_a_strategic_patch_that_is_refused(patch: Any, code: int, why: str) -> None:
    assert refusal(patches.STRATEGIC, patch) == (code, why)


# what kind of patch


@pytest.mark.parametrize("patch_type", ["application/json", "text/plain", ""])
def test_a_type_that_is_no_patch(patch_type: str) -> None:
    with pytest.raises(ApiError) as caught:
        patches.parse(patch_type, b"{}", SERVICE)
    assert (caught.value.code, caught.value.message) == (415, "415: Unsupported Media Type")
    assert caught.value.status["details"] == {}


@pytest.mark.parametrize(("body", "why"), [
    (b"a: b: c", "error converting YAML to JSON: yaml: line 1: mapping values are not allowed in this context"),
    (b"[]", "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type "
            "map[string]interface {}"),
])
def test_a_configuration_to_apply_that_cannot_be_read(body: bytes, why: str) -> None:
    with pytest.raises(ApiError) as caught:
        patches.parse(patches.APPLY, body, SERVICE)
    assert (caught.value.code, caught.value.message) == (400, f"error decoding YAML: {why}")
