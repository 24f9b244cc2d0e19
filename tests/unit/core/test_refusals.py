"""What cannot be done is refused in Kubernetes' own words, and leaves the store as it was."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epkit.fake.plane import Plane
from epkit.targets.fake import make
from tests.unit.core.conftest import Asking

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def service(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}]}, **more}


REFUSED = [
    (
        "POST",
        SERVICES,
        b"{nonsense",
        "application/json",
        400,
        "BadRequest",
        "the object provided is unrecognized (must be of type Service): couldn't get version/kind; json parse error: "
        "invalid character 'n' looking for beginning of object key string ({nonsense)",
    ),
    (
        "POST",
        SERVICES,
        b"",
        "application/json",
        400,
        "BadRequest",
        "the object provided is unrecognized (must be of type Service): couldn't get version/kind; json parse error: "
        "unexpected end of JSON input (<empty>)",
    ),
    (
        "POST",
        SERVICES,
        b"garbage",
        PROTOBUF,
        400,
        "BadRequest",
        "the object provided is unrecognized (must be of type Service): provided data does not appear to be a protobuf "
        "message, expected prefix [107 56 115 0] (67617262616765)",
    ),
    (
        "POST",
        SERVICES,
        b"a: b",
        "text/plain",
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json, "
        "application/yaml, application/vnd.kubernetes.protobuf",
    ),
    (
        "PATCH",
        f"{SERVICES}/kubernetes",
        b"{}",
        "application/json",
        415,
        "UnsupportedMediaType",
        "415: Unsupported Media Type",
    ),
    (
        "PATCH",
        f"{SERVICES}/kubernetes",
        b"{x",
        MERGE,
        400,
        "BadRequest",
        "error decoding patch: invalid character 'x' looking for beginning of object key string",
    ),
    ("PATCH", f"{SERVICES}/absent", b"{}", MERGE, 404, "NotFound", 'services "absent" not found'),
    (
        "POST",
        SERVICES,
        service(kind="Pod"),
        "application/json",
        400,
        "BadRequest",
        'Pod in version "v1" cannot be handled as a Service: converting (v1.Pod) to (core.Service): unknown conversion',
    ),
    (
        "PUT",
        f"{SERVICES}/kubernetes",
        service(),
        "application/json",
        400,
        "BadRequest",
        "the name of the object (x) does not match the name on the URL (kubernetes)",
    ),
    (
        "POST",
        SERVICES,
        service(metadata={"name": "x", "namespace": "other"}),
        "application/json",
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    (
        "POST",
        f"{SERVICES}?fieldValidation=Strict",
        service(nope=1),
        "application/json",
        400,
        "BadRequest",
        'Service in version "v1" cannot be handled as a Service: strict decoding error: unknown field "nope"',
    ),
    (
        "POST",
        SERVICES,
        service(spec={"ports": [{"port": "80"}]}),
        "application/json",
        400,
        "BadRequest",
        'Service in version "v1" cannot be handled as a Service: json: cannot unmarshal string into Go struct field '
        "ServicePort.spec.ports.port of type int32",
    ),
    (
        "POST",
        "/api/v1/namespaces/absent/services",
        service(),
        "application/json",
        404,
        "NotFound",
        'namespaces "absent" not found',
    ),
    (
        "GET",
        f"{SERVICES}?labelSelector=a%20b",
        b"",
        "",
        400,
        "BadRequest",
        "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    ),
    ("GET", f"{SERVICES}?fieldSelector=nope%3D1", b"", "", 400, "BadRequest", "field label not supported: nope"),
    ("GET", f"{SERVICES}?limit=x", b"", "", 400, "BadRequest", 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("GET", "/api/v1/nonsense", b"", "", 404, "NotFound", "the server could not find the requested resource"),
    (
        "POST",
        f"{SERVICES}/kubernetes",
        service(),
        "application/json",
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    ),
    (
        "POST",
        SERVICES,
        b'{"a":"' + b"x" * (3 * 1024 * 1024) + b'"}',
        "application/json",
        413,
        "RequestEntityTooLarge",
        "Request entity too large: limit is 3145728",
    ),
    ("GET", f"{SERVICES}?resourceVersion=x", b"", "", 400, "BadRequest",
     'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'),
    ("GET", f"{SERVICES}?continue=bogus", b"", "", 400, "BadRequest",
     "invalid continue token: continue key is not valid: illegal base64 data at input byte 4"),
    ("GET", f"{SERVICES}?continue=a!", b"", "", 400, "BadRequest",
     "invalid continue token: continue key is not valid: illegal base64 data at input byte 1"),
    ("PATCH", f"{SERVICES}/kubernetes", {"metadata": {"namespace": "other"}}, MERGE, 400, "BadRequest",
     "the namespace of the provided object does not match the namespace sent on the request"),
    ("PATCH", f"{SERVICES}/kubernetes?fieldManager=me",
     {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other"}}, APPLY, 400, "BadRequest",
     "the name of the object (other) does not match the name on the URL (kubernetes)"),
    ("PATCH", f"{SERVICES}/kubernetes?force=true", {}, MERGE, 422, "Invalid",
     'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch'),
    ("PATCH", f"{SERVICES}/kubernetes?fieldManager={'m' * 129}", {}, MERGE, 422, "Invalid",
     'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes'),
    ("DELETE", f"{SERVICES}/kubernetes?propagationPolicy=Orphan&orphanDependents=true", b"", "", 422, "Invalid",
     'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and '
     "deletionPropagation cannot be both set"),
]


@pytest.mark.parametrize(("method", "path", "body", "kind", "code", "reason", "message"), REFUSED)
def test_refusals(
    plane: Plane, ask: Asking, method: str, path: str, body: Any, kind: str, code: int, reason: str, message: str
) -> None:
    before = plane.store.version
    reply = ask(method, path, body, kind)
    assert (reply.code, reply.body["reason"], reply.message) == (code, reason, message)
    assert plane.store.version == before


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("resourceVersionMatch=Exact&resourceVersion=0",
         'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
        ("resourceVersionMatch=Foo&resourceVersion=1",
         'resourceVersionMatch: Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""'),
        ("resourceVersionMatch=Exact&resourceVersion=1&continue=x",
         "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"),
        ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        ("watch=1&sendInitialEvents=true&resourceVersionMatch=Exact",
         "[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, "
         'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]'),
    ],
)
def test_options_of_a_list_that_go_not_together(ask: Asking, query: str, fault: str) -> None:
    reply = ask("GET", f"{SERVICES}?{query}")
    assert (reply.code, reply.message) == (422, f'ListOptions.meta.k8s.io "" is invalid: {fault}')


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        ({"v": "x", "rv": 1, "start": "a"}, "server does not recognize this encoded version x"),
        ({"v": "meta.k8s.io/v1", "start": "a"}, "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
        ({"v": "meta.k8s.io/v1", "rv": 1}, "encoded start key empty (version meta.k8s.io/v1)"),
    ],
)
def test_a_continue_token_says_where_to_go_on(ask: Asking, token: dict[str, Any], fault: str) -> None:
    text = base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")
    reply = ask("GET", f"{SERVICES}?continue={text}")
    assert (reply.code, reply.message) == (400, f"invalid continue token: continue key is not valid: {fault}")


def test_a_continue_token_brings_its_own_version(plane: Plane, ask: Asking) -> None:
    ask("POST", SERVICES, service())
    first = ask("GET", f"{SERVICES}?limit=1").body["metadata"]
    reply = ask("GET", f"{SERVICES}?limit=1&continue={first['continue']}&resourceVersion=1")
    assert (reply.code, reply.message) == (400, "specifying resource version is not allowed when using continue")
    assert ask("GET", f"{SERVICES}?limit=1&continue={first['continue']}&resourceVersion=0").code == 200


def test_a_limit_with_a_version_lists_exactly_that_version(plane: Plane, ask: Asking) -> None:
    before = plane.store.version
    ask("POST", SERVICES, service())
    assert len(ask("GET", f"{SERVICES}?resourceVersion={before}").body["items"]) == 2
    listed = ask("GET", f"{SERVICES}?resourceVersion={before}&limit=5").body
    assert ([item["metadata"]["name"] for item in listed["items"]], listed["metadata"]) == (
        ["kubernetes"],
        {"resourceVersion": str(before)},
    )


def test_a_table_includes_objects_only_in_ways_it_knows(ask: Asking) -> None:
    reply = ask("GET", f"{SERVICES}?includeObject=Some", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert (reply.code, reply.message) == (
        400,
        'Unable to convert to Table as requested: includeObject: Invalid value: "Some": must be \'Metadata\', '
        "'Object', 'None', or empty",
    )


def test_unknown_fields_are_dropped_with_a_warning_unless_asked_otherwise(ask: Asking) -> None:
    reply = ask("POST", f"{SERVICES}?dryRun=All", service(nope=1))
    assert (reply.code, reply.warnings) == (201, ['unknown field "nope"'])
    reply = ask("POST", f"{SERVICES}?dryRun=All&fieldValidation=Ignore", service(nope=1))
    assert (reply.code, reply.warnings) == (201, [])


def test_a_group_that_is_not_served_gets_the_plain_404(ask: Asking) -> None:
    for path in ("/apis/example.com/v1/things", "/api/v2/pods", "/somewhere"):
        reply = ask("GET", path)
        assert (reply.code, reply.body) == (404, b"404 page not found\n")


def test_a_media_type_that_cannot_be_given_is_refused(ask: Asking) -> None:
    reply = ask("GET", SERVICES, accept="text/html")
    assert (reply.code, reply.body["reason"]) == (406, "NotAcceptable")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "apiVersion",
                    "kind",
                    "metadata",
                    "spec",
                    "name",
                    "ports",
                    "port",
                    "selector",
                    "endpoints",
                    "addresses",
                    "conditions",
                    "ready",
                    "labels",
                    "addressType",
                    "clusterIP",
                    "type",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FUZZED = make(nodes="0", start=1_767_225_600.0)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from([SERVICES, SLICES, "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/endpoints"]),
    st.sampled_from(["POST", "PATCH"]),
    st.binary(max_size=40) | json_values,
)
def test_no_body_is_answered_with_500(path: str, method: str, body: Any) -> None:
    before = FUZZED.store.version
    target, kind = (f"{path}/kubernetes", MERGE) if method == "PATCH" else (path, "application/json")
    reply = Asking(FUZZED)(method, f"{target}?dryRun=All", body, kind)
    assert reply.code < 500 or reply.message == "resourceVersion should not be set on objects to be created"
    assert FUZZED.store.version == before


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=60))
def test_no_protobuf_body_is_answered_with_500(tail: bytes) -> None:
    reply = Asking(FUZZED)("POST", f"{SERVICES}?dryRun=All", b"k8s\0" + tail, PROTOBUF)
    assert reply.code in (400, 422)
