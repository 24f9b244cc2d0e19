"""The official Python client on the built-in cluster: in process and over HTTP, with the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, watch

from epkit.cluster import Api, Cluster


@pytest.fixture(params=["in process", "over HTTP"])
def api(request: pytest.FixtureRequest) -> Iterator[Any]:
    with Cluster({"start": 0.0}) as cluster:
        cluster.kubectl("create deployment web --image=nginx --replicas=2")
        cluster.kubectl("expose deployment web --port=80")
        yield (
            cluster.api
            if request.param == "in process"
            else Api(config.new_client_from_config(str(cluster.kubeconfig)))
        )


def test_a_slice_arrives_as_a_typed_object(api: Any) -> None:
    found = api.discovery.list_namespaced_endpoint_slice(
        "default", label_selector="kubernetes.io/service-name=web"
    ).items
    assert [endpoint.conditions.ready for endpoint in found[0].endpoints] == [True, True]
    assert found[0].ports[0].port == 80


def test_an_empty_slice_has_no_endpoints_and_is_no_error(api: Any) -> None:
    spec = client.V1ServiceSpec(selector={"app": "nobody"}, ports=[client.V1ServicePort(port=80)])
    service = client.V1Service(metadata=client.V1ObjectMeta(name="empty"), spec=spec)
    created = api.core.create_namespaced_service("default", service)
    assert created.spec.cluster_ip.startswith("10.96.")
    selector = "kubernetes.io/service-name=empty"
    found = api.discovery.list_namespaced_endpoint_slice("default", label_selector=selector).items
    assert len(found) == 1 and not found[0].endpoints


def test_a_watch_with_a_timeout_tells_what_there_is_and_ends(api: Any) -> None:
    follow = api.discovery.list_namespaced_endpoint_slice
    events = [
        (e["type"], e["object"].metadata.name) for e in watch.Watch().stream(follow, "default", timeout_seconds=1)
    ]
    assert ("ADDED", "kubernetes") in events and len(events) == 2


def test_a_patch_scales_and_the_slice_follows(api: Any) -> None:
    api.apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 3}})
    found = api.discovery.list_namespaced_endpoint_slice(
        "default", label_selector="kubernetes.io/service-name=web"
    ).items
    assert len(found[0].endpoints) == 3


def test_errors_are_the_clients_own(api: Any) -> None:
    with pytest.raises(client.exceptions.ApiException) as caught:
        api.core.read_namespaced_pod("absent", "default")
    assert caught.value.status == 404
    assert 'pods \\"absent\\" not found' in str(caught.value.body)


def test_the_version_is_that_of_the_course(api: Any) -> None:
    assert api.version.get_code().git_version == "v1.36.2"
