"""Bodies in JSON and YAML: what is kept, what is refused, and in which words."""
from __future__ import annotations

import json
from typing import Any

import pytest

from epkit.fake import kinds
from epkit.fake.kinds.base import Kind
from epkit.fake.wire import decode, schema


def kind(name: str) -> Kind:
    return next(one for one in kinds.KINDS if one.kind == name)


SLICE, SERVICE, POD, SECRET = kind("EndpointSlice"), kind("Service"), kind("Pod"), kind("Secret")
NO_OBJECT = ('Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
             'Kind string "json:\\"kind,omitempty\\"" }')


def message(body: bytes, of: Kind = SLICE, media_type: str = "application/json") -> str:
    with pytest.raises(decode.DecodeError) as caught:
        decode.decode_json(body, of, None, media_type)
    return caught.value.message


def slice_fault(body: str) -> str:
    text = message(body.encode())
    prefix = 'EndpointSlice in version "v1" cannot be handled as a EndpointSlice: '
    assert text.startswith(prefix)
    return text.removeprefix(prefix)


@pytest.mark.parametrize(("body", "why"), [
    (b"", "unexpected end of JSON input (<empty>)"),
    (b"{nonsense", "invalid character 'n' looking for beginning of object key string ({nonsense)"),
    (b'{"a":1,}', "invalid character '}' looking for beginning of object key string ({\"a\":1,})"),
    (b"[]", f"json: cannot unmarshal array into {NO_OBJECT} (5b5d)"),
    (b'{"kind":5}', 'json: cannot unmarshal number into Go struct field .kind of type string ({"kind":5})'),
])
def test_a_body_without_a_kind_to_recognise(body: bytes, why: str) -> None:
    assert message(body) == ("the object provided is unrecognized (must be of type EndpointSlice): "
                             f"couldn't get version/kind; json parse error: {why}")


def test_the_summary_of_a_long_body_is_cut() -> None:
    assert message(b'{"a":"' + b"x" * 100).endswith('({"a":"xxxxxxxxxxxxxxxxxxxxxxxx ...)')


@pytest.mark.parametrize(("body", "why"), [
    ('{"ports":[{"port":"80"}]}',
     "json: cannot unmarshal string into Go struct field EndpointPort.ports.port of type int32"),
    ('{"ports":[{"port":80.5}]}',
     "json: cannot unmarshal number 80.5 into Go struct field EndpointPort.ports.port of type int32"),
    ('{"ports":[{"port":99999999999}]}',
     "json: cannot unmarshal number 99999999999 into Go struct field EndpointPort.ports.port of type int32"),
    ('{"ports":[{"port":1e2}]}',
     "json: cannot unmarshal number 1e2 into Go struct field EndpointPort.ports.port of type int32"),
    ('{"metadata":{"generation":99999999999999999999}}',
     "json: cannot unmarshal number 99999999999999999999 into Go struct field ObjectMeta.metadata.generation "
     "of type int64"),
    ('{"ports":[{"protocol":1}]}',
     "json: cannot unmarshal number into Go struct field EndpointPort.ports.protocol of type v1.Protocol"),
    ('{"endpoints":[{"conditions":{"ready":"yes"}}]}',
     "json: cannot unmarshal string into Go struct field EndpointConditions.endpoints.conditions.ready of type bool"),
    ('{"endpoints":{}}',
     "json: cannot unmarshal object into Go struct field EndpointSlice.endpoints of type []v1.Endpoint"),
    ('{"endpoints":["x"]}',
     "json: cannot unmarshal string into Go struct field EndpointSlice.endpoints of type v1.Endpoint"),
    ('{"metadata":{"labels":{"a":1}}}',
     "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
    ('{"metadata":{"creationTimestamp":5}}',
     "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string"),
    ('{"metadata":{"creationTimestamp":"x"}}',
     'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
    ('{"ports":[{"port":"80","colour":1}],"addressType":1}',
     "json: cannot unmarshal string into Go struct field EndpointPort.ports.port of type int32"),
])
def test_a_value_of_the_wrong_type(body: str, why: str) -> None:
    assert slice_fault(body) == why


def test_the_error_of_a_type_with_a_decoder_of_its_own_comes_first() -> None:
    fault = message(b'{"spec":{"ports":[{"port":"80","targetPort":true}]}}', SERVICE)
    assert fault.endswith("cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32")


@pytest.mark.parametrize(("body", "why"), [
    ('{"kind":"Pod","apiVersion":"v1"}',
     'Pod in version "v1" cannot be handled as a EndpointSlice: '
     "converting (v1.Pod) to (discovery.EndpointSlice): unknown conversion"),
    ('{"kind":"endpointslice","apiVersion":"discovery.k8s.io/v1"}',
     'endpointslice in version "v1" cannot be handled as a EndpointSlice: no kind "endpointslice" is registered for '
     'version "discovery.k8s.io/v1" in scheme "pkg/api/legacyscheme/scheme.go:30"'),
    ('{"apiVersion":"discovery.k8s.io/v1beta1"}',
     "the API version in the data (discovery.k8s.io/v1beta1) does not match the expected API version "
     "(discovery.k8s.io/v1)"),
    ('{"apiVersion":"a/b/c"}',
     "the object provided is unrecognized (must be of type EndpointSlice): unexpected GroupVersion string: a/b/c "
     '({"apiVersion":"a/b/c"})'),
])
def test_a_body_of_another_kind(body: str, why: str) -> None:
    assert message(body.encode()) == why


def test_unknown_and_duplicate_fields_are_told_in_the_order_of_the_body() -> None:
    body = (b'{"endpoints":[{"ready":true,"addresses":["10.0.0.1"]}],"colour":1,'
            b'"metadata":{"name":"a","name":"b","labels":{"x":"1","x":"2"}}}')
    obj, strict = decode.decode_json(body, SLICE)
    assert strict == ['unknown field "endpoints[0].ready"', 'unknown field "colour"',
                      'duplicate field "metadata.name"', 'duplicate field "metadata.labels.x"']
    assert obj["metadata"] == {"name": "b", "labels": {"x": "2"}}
    assert obj["endpoints"] == [{"addresses": ["10.0.0.1"], "conditions": {}}]
    assert "colour" not in obj


def test_the_strict_message() -> None:
    body = (b'{"apiVersion":"v1","kind":"Service","metadata":{"name":"d","name":"d"},'
            b'"spec":{"ports":[{"port":80,"targetprt":1}]}}')
    _, strict = decode.decode_json(body, SERVICE)
    assert decode.strict_fault(strict, SERVICE).message == (
        'Service in version "v1" cannot be handled as a Service: strict decoding error: '
        'duplicate field "metadata.name", unknown field "spec.ports[0].targetprt"')


def test_no_more_than_a_hundred_strict_faults() -> None:
    _, strict = decode.decode_json(json.dumps({f"f{i}": 1 for i in range(150)}).encode(), SLICE)
    assert len(strict) == 100


def test_keys_are_case_sensitive() -> None:
    obj, strict = decode.decode_json(b'{"Metadata":{"name":"a"}}', SLICE)
    assert strict == ['unknown field "Metadata"'] and obj["metadata"] == {}


@pytest.mark.parametrize(("sent", "kept"), [
    ({"endpoints": []}, {"endpoints": None, "ports": None, "addressType": "", "metadata": {}}),
    ({"metadata": {"labels": {}, "annotations": None, "creationTimestamp": None}}, {"metadata": {}}),
    ({"metadata": {"labels": {"a": None}}}, {"metadata": {"labels": {"a": ""}}}),
    ({"endpoints": [None]}, {"endpoints": [{"addresses": None, "conditions": {}}]}),
    ({"endpoints": [{"conditions": {"ready": False}, "hostname": ""}]},
     {"endpoints": [{"addresses": None, "conditions": {"ready": False}, "hostname": ""}]}),
    ({"metadata": {"creationTimestamp": "2026-01-01T02:00:00.5+02:00"}},
     {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}),
])
def test_the_form_that_is_given_back(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    obj, strict = decode.decode_json(json.dumps(sent).encode(), SLICE)
    assert not strict
    assert {key: obj[key] for key in kept} == kept
    assert (obj["kind"], obj["apiVersion"]) == ("EndpointSlice", "discovery.k8s.io/v1")
    assert decode.decode_object(obj, SLICE) == (obj, [])


def test_what_go_always_writes() -> None:
    body = b'{"spec":{"containers":[{"name":"a"}]},"status":{"conditions":[{"type":"Ready"}]}}'
    pod, _ = decode.decode_json(body, POD)
    assert pod["spec"]["containers"] == [{"name": "a", "resources": {}}]
    assert pod["status"]["conditions"] == [
        {"type": "Ready", "status": "", "lastProbeTime": None, "lastTransitionTime": None}]
    service, _ = decode.decode_json(b'{"spec":{"type":"","publishNotReadyAddresses":false}}', SERVICE)
    assert service["spec"] == {} and service["status"] == {"loadBalancer": {}}


def test_quantities_become_canonical() -> None:
    body = {"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1000m", "memory": 1024}}}]}}
    pod, _ = decode.decode_json(json.dumps(body).encode(), POD)
    assert pod["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1", "memory": "1024"}}
    body["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "lots"
    assert message(json.dumps(body).encode(), POD).endswith("quantities must match the regular expression "
                                                            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")


def test_bytes_are_base64() -> None:
    assert decode.decode_json(b'{"data":{"a":"YQ=="}}', SECRET)[0]["data"] == {"a": "YQ=="}
    assert message(b'{"data":{"a":"!"}}', SECRET).endswith("illegal base64 data at input byte 0")


def test_yaml() -> None:
    body = b"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - port: 80\n    port: 0o121\n"
    obj, strict = decode.decode_json(body, SERVICE, None, "application/yaml")
    assert strict == ['yaml: unmarshal errors:\n  line 7: key "port" already set in map']
    assert obj["spec"]["ports"][0]["port"] == 81
    assert message(b"a: b: c", SERVICE, "application/yaml") == (
        "the object provided is unrecognized (must be of type Service): "
        "yaml: line 1: mapping values are not allowed in this context (613a20623a2063)")
    assert message(b"metadata: {name: true}", SERVICE, "application/yaml").endswith(
        "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.name of type string")


def test_text_that_is_no_unicode_is_repaired() -> None:
    assert decode.decode_json(b'{"metadata":{"name":"\xff"}}', SLICE)[0]["metadata"]["name"] == "\ufffd"
    assert decode.decode_json(b'{"metadata":{"name":"\\ud800"}}', SLICE)[0]["metadata"]["name"] == "\ufffd"


def test_a_body_of_many_levels_is_refused() -> None:
    assert "exceeded max depth" in message(b'{"a":' + b"[" * 20_000)


def test_a_scale_is_decoded_as_such() -> None:
    deployment = kind("Deployment")
    scale = "io.k8s.api.autoscaling.v1.Scale"
    obj, _ = decode.decode_json(b'{"spec":{"replicas":3}}', deployment, scale)
    assert (obj["kind"], obj["apiVersion"], obj["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 3})
    with pytest.raises(decode.DecodeError, match="Scale in version .v1. cannot be handled as a Scale"):
        decode.decode_json(b'{"spec":{"replicas":"3"}}', deployment, scale)


def test_the_argument_is_left_alone() -> None:
    raw = {"metadata": {"labels": {}}, "colour": 1, "endpoints": [{"addresses": ["a"]}]}
    before = json.dumps(raw)
    decode.decode_object(raw, SLICE)
    assert json.dumps(raw) == before


@pytest.mark.parametrize("name", sorted(schema.kinds().values()))
def test_every_kind_keeps_its_zero_value(name: str) -> None:
    zero, strict = decode.decode_raw({}, name)
    assert decode.decode_raw(zero, name) == (zero, strict)
