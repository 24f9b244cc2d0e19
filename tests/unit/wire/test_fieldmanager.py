"""Managed fields, server-side apply and its conflicts."""
from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epkit.fake import kinds
from epkit.fake.kinds.base import Kind
from epkit.fake.wire import decode, fieldmanager, fieldset, typed
from epkit.fake.wire.errors import ApiError

Obj = dict[str, Any]


def kind(name: str) -> Kind:
    return next(one for one in kinds.KINDS if one.kind == name)


DEPLOYMENT, SERVICE, POD, SLICE = kind("Deployment"), kind("Service"), kind("Pod"), kind("EndpointSlice")


def time(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}Z"


def made(obj: Obj, of: Kind) -> Obj:
    found, strict = decode.decode_object(obj, of)
    assert not strict
    return found


def stored(obj: Obj) -> Obj:
    """As the API keeps it: with a uid."""
    return {**obj, "metadata": {**obj["metadata"], "uid": "u"}}


def fields(obj: Obj, manager: str) -> Obj | None:
    entries = obj["metadata"].get("managedFields") or []
    return next((entry["fieldsV1"] for entry in entries if entry["manager"] == manager), None)


def deployment() -> Obj:
    return made({
        "metadata": {"name": "d", "labels": {"app": "d"}},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {
                "containers": [
                    {"name": "nginx", "image": "nginx", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}},
    }, DEPLOYMENT)


def created(obj: Obj, manager: str = "maker", second: int = 0) -> Obj:
    obj = copy.deepcopy(obj)
    fieldmanager.track(obj, None, None, manager, time(second))
    return stored(obj)


def test_a_create_records_what_was_set() -> None:
    obj = created(deployment(), "kubectl-create")
    assert obj["metadata"]["managedFields"] == [{
        "manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": time(0),
        "fieldsType": "FieldsV1", "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:replicas": {}, "f:selector": {},
                "f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
                "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:containers": {
                    'k:{"name":"nginx"}': {
                        ".": {}, "f:image": {}, "f:name": {}, "f:resources": {},
                        "f:ports": {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {
                            ".": {}, "f:containerPort": {}, "f:protocol": {}}},
                    }}}}},
        },
    }]


def test_lists_without_keys_are_one_field() -> None:
    obj = created(made({"metadata": {"name": "s"}, "addressType": "IPv4", "ports": [{"port": 80}],
                        "endpoints": [{"addresses": ["10.0.0.1"]}]}, SLICE))
    assert fields(obj, "maker") == {"f:addressType": {}, "f:endpoints": {}, "f:ports": {}}


def test_an_update_takes_what_it_changes() -> None:
    old = created(deployment())
    new = copy.deepcopy(old)
    new["spec"]["replicas"] = 3
    new["metadata"]["labels"] = {"x": "y"}
    fieldmanager.track(new, old, None, "editor", time(1))
    assert fields(new, "editor") == {"f:metadata": {"f:labels": {"f:x": {}}}, "f:spec": {"f:replicas": {}}}
    left = fields(new, "maker")
    assert left is not None
    assert left["f:metadata"] == {"f:labels": {}} and "f:replicas" not in left["f:spec"]
    assert [entry["time"] for entry in new["metadata"]["managedFields"]] == [time(0), time(1)]


def test_an_update_without_a_change_leaves_no_trace() -> None:
    old = created(deployment())
    new = copy.deepcopy(old)
    fieldmanager.track(new, old, None, "editor", time(1))
    assert new == old


def test_status_belongs_to_its_subresource() -> None:
    old = created(deployment())
    new = copy.deepcopy(old)
    new["status"] = {"replicas": 1}
    fieldmanager.track(new, old, None, "controller", time(1), "status")
    entry = new["metadata"]["managedFields"][1]
    assert (entry["manager"], entry["subresource"], entry["fieldsV1"]) == (
        "controller", "status", {"f:status": {"f:replicas": {}}})
    other = copy.deepcopy(old)
    other["status"] = {"replicas": 1}
    fieldmanager.track(other, old, None, "editor", time(1))
    assert fields(other, "editor") is None


def test_what_a_client_sends_as_managed_fields() -> None:
    old = created(deployment())
    new = copy.deepcopy(old)
    fieldmanager.track(new, old, [{}], "editor", time(1))
    assert "managedFields" not in new["metadata"]
    later = copy.deepcopy(new)
    later["spec"]["replicas"] = 9
    fieldmanager.track(later, new, None, "editor", time(2))
    assert "managedFields" not in later["metadata"]  # nobody is on record any more
    for ignored in ([], None, [{"manager": "x"}]):
        new = copy.deepcopy(old)
        fieldmanager.track(new, old, ignored, "editor", time(1))
        assert new == old
    mine = [{"manager": "me", "operation": "Apply", "apiVersion": "apps/v1", "time": time(0), "fieldsType": "FieldsV1",
             "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    new = copy.deepcopy(old)
    fieldmanager.track(new, old, mine, "editor", time(1))
    assert new["metadata"]["managedFields"] == mine


def test_old_updaters_share_an_entry() -> None:
    obj = created(deployment())
    for i in range(14):
        new = copy.deepcopy(obj)
        new["metadata"]["labels"][f"l{i}"] = "x"
        fieldmanager.track(new, obj, None, f"manager-{i:02}", time(i + 1))
        obj = new
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == fieldmanager.MAX_UPDATERS
    ancient = fields(obj, "ancient-changes")
    assert ancient is not None and {"f:l0", "f:l1"} <= ancient["f:metadata"]["f:labels"].keys()


# server-side apply

BASE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "demo"}}


def service(spec: Obj | None = None, **metadata: Any) -> Obj:
    return {**BASE, "metadata": {**BASE["metadata"], **metadata}, **({"spec": spec} if spec else {})}


def apply(live: Obj, applied: Obj, manager: str, force: bool = False, second: int = 1, of: Kind = SERVICE) -> Obj:
    before = json.dumps([live, applied])
    found = stored(fieldmanager.apply(live, applied, of, manager, force, time(second)))
    assert json.dumps([live, applied]) == before
    return found


def refusal(live: Obj, applied: Obj, manager: str, of: Kind = SERVICE) -> ApiError:
    with pytest.raises(ApiError) as caught:
        apply(live, applied, manager, of=of)
    return caught.value


RED = service({"selector": {"app": "web"}, "ports": [{"port": 80, "protocol": "TCP"}]}, labels={"team": "red"})


def test_apply_creates_and_owns() -> None:
    obj = apply(BASE, RED, "alice")
    assert obj["spec"]["ports"][0]["port"] == 80
    assert obj["metadata"]["managedFields"] == [{
        "manager": "alice", "operation": "Apply", "apiVersion": "v1", "time": time(1), "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {"f:selector": {}, "f:ports": {
            'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:protocol": {}}}}},
    }]


def test_a_conflict_and_how_force_ends_it() -> None:
    live = apply(BASE, RED, "alice")
    blue = service(labels={"team": "blue"})
    error = refusal(live, blue, "bob")
    assert error.status == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Conflict", "code": 409,
        "message": 'Apply failed with 1 conflict: conflict with "alice": .metadata.labels.team',
        "details": {"causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "alice"',
                                "field": ".metadata.labels.team"}]},
    }
    taken = apply(live, blue, "bob", force=True, second=2)
    assert taken["metadata"]["labels"] == {"team": "blue"}
    assert fields(taken, "bob") == {"f:metadata": {"f:labels": {"f:team": {}}}}
    owned = fields(taken, "alice")
    assert owned is not None and "f:metadata" not in owned


def test_equal_values_are_shared() -> None:
    live = apply(BASE, RED, "alice")
    both = apply(live, service(labels={"team": "red"}), "bob", second=2)
    assert fields(both, "alice") == fields(live, "alice")
    assert fields(both, "bob") == {"f:metadata": {"f:labels": {"f:team": {}}}}
    without = apply(both, service({"ports": [{"port": 80, "protocol": "TCP"}]}), "alice", second=3)
    assert without["metadata"]["labels"] == {"team": "red"}  # bob still wants it
    assert "labels" not in apply(without, service(), "bob", second=4)["metadata"]


def test_several_conflicts() -> None:
    live = stored(made(RED, SERVICE))
    fieldmanager.track(live, None, None, "kubectl-client-side-apply", time(0))
    live = apply(live, service(labels={"tier": "a"}), "carol")
    change = service({"ports": [{"port": 80, "protocol": "TCP", "name": "x"}], "selector": {"app": "other"}},
                     labels={"team": "blue", "tier": "b"})
    assert refusal(live, change, "bob").message == (
        'Apply failed with 3 conflicts: conflicts with "carol":\n- .metadata.labels.tier\n'
        'conflicts with "kubectl-client-side-apply" using v1:\n- .metadata.labels.team\n- .spec.selector')


def test_what_is_applied_no_longer_goes() -> None:
    live = apply(BASE, RED, "alice")
    after = apply(live, service({"ports": [{"port": 81, "protocol": "TCP"}]}), "alice", second=2)
    assert [port["port"] for port in after["spec"]["ports"]] == [81]
    assert "selector" not in after["spec"] and "labels" not in after["metadata"]


def test_what_nobody_owns_stays() -> None:
    live = apply(BASE, service(labels={"team": "red"}), "alice")
    live["spec"]["clusterIP"] = "10.96.0.1"
    after = apply(live, service(), "alice", second=2)
    assert {key: after["metadata"][key] for key in ("name", "namespace", "uid")} == {
        "name": "web", "namespace": "demo", "uid": "u"}
    assert after["spec"] == live["spec"] and "labels" not in after["metadata"]


def test_what_others_set_stays() -> None:
    live = apply(BASE, RED, "alice")
    edited = copy.deepcopy(live)
    edited["metadata"]["labels"]["own"] = "1"
    edited["spec"]["ports"][0]["nodePort"] = 30000
    fieldmanager.track(edited, live, None, "editor", time(2))
    after = apply(edited, service({"ports": [{"port": 80, "protocol": "TCP"}]}), "alice", second=3)
    assert after["metadata"]["labels"] == {"own": "1"}
    assert after["spec"]["ports"][0]["nodePort"] == 30000
    assert "selector" not in after["spec"]


def test_the_same_again_changes_nothing() -> None:
    live = apply(BASE, RED, "alice")
    assert apply(live, RED, "alice", second=9) == live


def test_an_object_from_before_there_was_a_record() -> None:
    live = stored(made(RED, SERVICE))
    assert refusal(live, service(labels={"team": "blue"}), "bob").message == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .metadata.labels.team')
    after = apply(live, service(labels={"more": "1"}), "bob")
    assert {entry["manager"] for entry in after["metadata"]["managedFields"]} == {"bob", "before-first-apply"}


def test_kubectl_takes_over_from_its_client_side_apply() -> None:
    last = json.dumps(service(labels={"team": "red"}))
    live = made(service(RED["spec"], labels={"team": "red"}, annotations={fieldmanager.LAST_APPLIED: last}), SERVICE)
    live = created(live, "kubectl-client-side-apply")
    change = service(labels={"team": "green"})
    after = apply(live, change, "kubectl")
    assert after["metadata"]["labels"] == {"team": "green"}
    told = json.loads(after["metadata"]["annotations"][fieldmanager.LAST_APPLIED])
    assert told["metadata"]["labels"] == {"team": "green"}
    assert refusal(live, change, "bob").code == 409


@pytest.mark.parametrize(("applied", "code", "why"), [
    ({**RED, "apiVersion": "apps/v1"}, 400,
     "Incorrect version specified in apply patch. Specified patch version: apps/v1, expected: v1"),
    (service(managedFields=[]), 400, "metadata.managedFields must be nil"),
    (service({"colour": 1}), 500,
     "failed to create typed patch object (demo/web; /v1, Kind=Service): .spec.colour: field not declared in schema"),
    (service({"ports": [{"port": 81}, {"port": 81, "protocol": "TCP"}], "type": 5, "externalIPs": "x"}), 500,
     "failed to create typed patch object (demo/web; /v1, Kind=Service): errors:\n"
     '  .spec.ports: duplicate entries for key [port=81,protocol="TCP"]\n'
     "  .spec.type: expected string, got &value.valueUnstructured{Value:5}\n"
     "  .spec.externalIPs: expected list, got &{x}"),
    (service({"ports": [{"port": "80"}]}), 500,
     'failed to create typed patch object (demo/web; /v1, Kind=Service): .spec.ports[port="80",protocol="TCP"].port: '
     "expected numeric (int or float), got string"),
    (service({"ports": [{"name": "x"}]}), 500,
     "failed to create typed patch object (demo/web; /v1, Kind=Service): .spec.ports: element 0: associative list with "
     'keys has an element that omits key field "port" (and doesn\'t have default value)'),
])
def test_a_configuration_that_is_refused(applied: Obj, code: int, why: str) -> None:
    error = refusal(BASE, applied, "alice")
    assert (error.code, error.message) == (code, why)


def test_a_set_may_not_hold_a_value_twice() -> None:
    base: Obj = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "s"}}
    applied = {**base, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1", "10.0.0.1"]}]}
    assert refusal(base, applied, "alice", SLICE).message.endswith(
        '.endpoints[0].addresses: duplicate entries for key [="10.0.0.1"]')


def test_the_order_of_merged_lists() -> None:
    pod = typed.type_of("io.k8s.api.core.v1.Pod")

    def merged(live: str, applied: str) -> str:
        def containers(names: str) -> Obj:
            return {"spec": {"containers": [{"name": name} for name in names]}}

        found = typed.merge(containers(live), containers(applied), pod)
        return "".join(one["name"] for one in found["spec"]["containers"])

    assert merged("abc", "cxa") == "bcxa"
    assert merged("abc", "") == "abc"
    assert merged("", "ba") == "ba"
    assert merged("ab", "xb") == "axb"


def test_the_fields_of_a_configuration() -> None:
    pod = typed.type_of("io.k8s.api.core.v1.Pod")
    obj = {"metadata": {"labels": {"a": "b"}, "annotations": {}, "finalizers": ["x/y"], "ownerReferences": []},
           "spec": {"volumes": [{"name": "v", "emptyDir": {}}], "nodeName": None, "containers": []}}
    assert typed.field_set(obj, pod) == {
        "f:metadata": {"f:labels": {"f:a": {}}, "f:annotations": {}, "f:finalizers": {'v:"x/y"': {}}},
        "f:spec": {"f:volumes": {'k:{"name":"v"}': {".": {}, "f:name": {}, "f:emptyDir": {}}}, "f:nodeName": {}},
    }


# sets of fields

_STEPS = st.sampled_from(["f:a", "f:b", 'k:{"x":1}', 'v:"y"'])
_TREES = st.recursive(st.just({}), lambda inner: st.dictionaries(_STEPS, inner, min_size=1, max_size=3), max_leaves=8)


def _paths(tree: Obj) -> set[fieldset.Path]:
    return set(fieldset.paths(tree))


@given(_TREES, _TREES)
def test_sets_of_fields_are_sets_of_paths(one: Obj, other: Obj) -> None:
    both = fieldset.union(one, other)
    assert _paths(both) == _paths(one) | _paths(other)
    assert _paths(fieldset.difference(one, other)) == _paths(one) - _paths(other)
    assert _paths(fieldset.difference(both, other)) == _paths(one) - _paths(other)
    assert _paths(fieldset.intersection(both, other)) == _paths(other)
    assert _paths(fieldset.intersection(one, other)) == _paths(one) & _paths(other)


def test_paths_in_words() -> None:
    path = ("f:metadata", "f:labels", "f:app.kubernetes.io/name")
    assert fieldset.path_text(path) == ".metadata.labels.app.kubernetes.io/name"
    assert fieldset.path_text(("f:finalizers", 'v:"a/b"')) == '.finalizers[="a/b"]'
