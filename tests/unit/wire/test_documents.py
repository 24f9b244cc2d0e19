"""Discovery, OpenAPI and the forms of errors."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from epkit.fake import kinds
from epkit.fake.kinds.base import FieldError, Kind
from epkit.fake.wire import discovery, errors, openapi, schema

RECORDED = json.loads(Path(__file__).with_name("discovery_recorded.json").read_text())["documents"]
SERVER = discovery.Discovery(kinds.KINDS)
AGGREGATED = ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
              "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json")


def get(path: str, accept: str = "application/json, */*") -> Any:
    found = SERVER.answer(path, accept)
    assert found is not None
    return json.loads(found[0])


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_a_resource_is_announced_as_kubernetes_does(path: str) -> None:
    def lines(document: Any) -> dict[tuple[str, str], Any]:
        return {(group["metadata"].get("name", ""), one["resource"]): one
                for group in document["items"] for version in group["versions"] for one in version["resources"]}

    found = SERVER.answer(path, AGGREGATED)
    assert found is not None
    assert found[1] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    document, recorded = json.loads(found[0]), RECORDED[path]
    assert {key: document[key] for key in document if key != "items"} == {
        key: recorded[key] for key in recorded if key != "items"}
    real = lines(recorded)
    for name, line in lines(document).items():
        # What the fake does not serve, such as pods/proxy, it does not announce.
        subresources = [one for one in real[name].get("subresources", ())
                        if one["subresource"] in {sub["subresource"] for sub in line.get("subresources", ())}]
        expected = {**real[name], "subresources": subresources} if subresources else {
            key: value for key, value in real[name].items() if key != "subresources"}
        assert line == expected
    order = [group["metadata"].get("name", "") for group in recorded["items"]]
    mine = [group["metadata"].get("name", "") for group in document["items"]]
    assert mine == [group for group in order if group in mine]


def test_older_and_plainer_forms() -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
    assert get("/apis", accept)["apiVersion"] == "apidiscovery.k8s.io/v2beta1"
    assert get("/api")["versions"] == ["v1"]
    assert get("/apis/")["kind"] == "APIGroupList"
    assert get("/apis/apps")["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    core = get("/api/v1")
    assert core["groupVersion"] == "v1" and "apiVersion" not in core
    pods = next(one for one in core["resources"] if one["name"] == "pods")
    assert pods["shortNames"] == ["po"] and pods["storageVersionHash"] == "xPOwRZ+Yhw8="
    eviction = next(one for one in core["resources"] if one["name"] == "pods/eviction")
    assert eviction == {"name": "pods/eviction", "singularName": "", "namespaced": True, "group": "policy",
                        "version": "v1", "kind": "Eviction", "verbs": ["create"]}
    names = [one["name"] for one in core["resources"]]
    assert names == sorted(names)
    assert "storageVersionHash" not in get("/apis/authorization.k8s.io/v1")["resources"][0]


@pytest.mark.parametrize("path", ["/apis/nothing", "/apis/apps/v2", "/api/v2", "/apis/apps/v1/deployments", "/"])
def test_what_is_no_discovery(path: str) -> None:
    assert SERVER.answer(path) is None


def openapi_of(path: str) -> Any:
    found = openapi.document(path, kinds.KINDS)
    assert found is not None
    return json.loads(found)


def test_the_index_leads_to_the_documents() -> None:
    for name, entry in openapi_of("/openapi/v3")["paths"].items():
        path, _, query = entry["serverRelativeURL"].partition("?")
        assert path == f"/openapi/v3/{name}" and query.startswith("hash=")
        assert openapi_of(path)["openapi"] == "3.0.0"
    assert openapi.document("/openapi/v3/apis/apps/v2", kinds.KINDS) is None


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.kind)
def test_a_kind_can_be_validated_patched_and_explained(kind: Kind) -> None:
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    document = openapi_of(f"/openapi/v3{base}")
    namespace = "/namespaces/{namespace}" if kind.namespaced else ""
    patch = document["paths"][f"{base}{namespace}/{kind.plural}/{{name}}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {
        "group": kind.group, "version": kind.version, "kind": kind.kind}
    assert "fieldValidation" in [one["name"] for one in patch["parameters"]]
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    schemas = document["components"]["schemas"]
    own = schemas[kind.schema]
    assert own["x-kubernetes-group-version-kind"] == [patch["x-kubernetes-group-version-kind"]]
    assert own["description"] and own["properties"]["metadata"]["description"]
    missing = {ref for ref in _references(schemas) if ref not in schemas}
    assert not missing


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].rsplit("/", 1)[-1]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def test_a_property_carries_its_merge_rules() -> None:
    spec = openapi_of("/openapi/v3/api/v1")["components"]["schemas"]["io.k8s.api.core.v1.ServiceSpec"]
    ports = {key: value for key, value in spec["properties"]["ports"].items() if key != "description"}
    assert ports == {
        "type": "array", "items": {"$ref": "#/components/schemas/io.k8s.api.core.v1.ServicePort"},
        "x-kubernetes-list-map-keys": ["port", "protocol"], "x-kubernetes-list-type": "map",
        "x-kubernetes-patch-merge-key": "port", "x-kubernetes-patch-strategy": "merge",
    }
    assert spec["properties"]["selector"]["x-kubernetes-map-type"] == "atomic"
    assert spec["properties"]["ipFamilies"]["items"]["enum"] == ["", "IPv4", "IPv6"]


def test_the_schema_knows_go() -> None:
    port = schema.definition("io.k8s.api.core.v1.ServicePort").fields
    assert (port["protocol"].go_type, port["port"].go_type, port["targetPort"].go_type) == (
        "v1.Protocol", "int32", "intstr.IntOrString")
    slice_ = schema.definition("io.k8s.api.discovery.v1.EndpointSlice").fields
    assert (slice_["endpoints"].go_type, slice_["endpoints"].go_item) == ("[]v1.Endpoint", "v1.Endpoint")


# errors


def test_not_found_and_already_exists() -> None:
    error = errors.not_found("endpointslices", "s", "discovery.k8s.io")
    assert list(error.status) == ["kind", "apiVersion", "metadata", "status", "message", "reason", "details", "code"]
    assert error.status == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": 'endpointslices.discovery.k8s.io "s" not found', "reason": "NotFound",
        "details": {"name": "s", "group": "discovery.k8s.io", "kind": "endpointslices"}, "code": 404,
    }
    assert errors.already_exists("pods", "a").status["details"] == {"name": "a", "kind": "pods"}


def test_invalid_tells_equal_faults_once_and_causes_each_time() -> None:
    one = FieldError("FieldValueRequired", "metadata.name", "Required value")
    other = FieldError("FieldValueForbidden", "spec", "Forbidden: no")
    assert errors.invalid("Service", "web", [one]).message == 'Service "web" is invalid: metadata.name: Required value'
    both = errors.invalid("EndpointSlice", "", [one, other, one], "discovery.k8s.io")
    assert both.message == ('EndpointSlice.discovery.k8s.io "" is invalid: '
                            "[metadata.name: Required value, spec: Forbidden: no]")
    assert [cause["field"] for cause in both.status["details"]["causes"]] == ["metadata.name", "spec", "metadata.name"]
    assert "name" not in both.status["details"]


@pytest.mark.parametrize(("error", "code", "reason", "message"), [
    (errors.conflict("services", "a", errors.MODIFIED), 409, "Conflict",
     'Operation cannot be fulfilled on services "a": the object has been modified; please apply your changes to the '
     "latest version and try again"),
    (errors.forbidden("pods", "", "no"), 403, "Forbidden", "pods is forbidden: no"),
    (errors.method_not_supported("bindings", "list"), 405, "MethodNotAllowed",
     'list is not supported on resources of kind "bindings"'),
    (errors.not_acceptable(["application/json"]), 406, "NotAcceptable",
     "only the following media types are accepted: application/json"),
    (errors.unsupported_media_type(), 415, "UnsupportedMediaType",
     "the body of the request was in an unknown format - accepted media types include: application/json, "
     "application/yaml, application/vnd.kubernetes.protobuf"),
    (errors.body_too_large(), 413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"),
    (errors.unknown("odd"), 500, "", "odd"),
    (errors.internal("odd"), 500, "InternalError", "Internal error occurred: odd"),
    (errors.timeout("slow", 1), 504, "Timeout", "Timeout: slow"),
    (errors.wrong_api_version("v1beta1", "v1"), 400, "BadRequest",
     "the API version in the data (v1beta1) does not match the expected API version (v1)"),
    (errors.name_mismatch("a", "b"), 400, "BadRequest",
     "the name of the object (a) does not match the name on the URL (b)"),
])
def test_other_errors(error: errors.ApiError, code: int, reason: str, message: str) -> None:
    assert (error.code, error.reason, error.message) == (code, reason, message)
    assert ("reason" in error.status) == bool(reason)
