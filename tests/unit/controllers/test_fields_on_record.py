"""Who set which field of a slice: the controllers are on record, as kube-controller-manager is on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from epkit.cluster import Cluster
from epkit.objects import Obj

BY_HAND = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}}}
addressType: IPv4
endpoints: [{{addresses: [192.0.2.1]}}]
"""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("EPKIT_MODE", "ci")
    with Cluster({}) as made:
        made.kubectl("create deployment web --image=nginx --replicas=2")
        made.kubectl("expose deployment web --port=80")
        yield made


def the_slice(cluster: Cluster) -> Obj:
    return cluster.client.list("endpointslices", "default", labels="kubernetes.io/service-name=web").items[0]


def managers(slice: Obj) -> dict[str, set[str]]:
    return {entry["manager"]: set(entry["fieldsV1"]) for entry in slice["metadata"]["managedFields"]}


def test_the_controllers_are_kube_controller_manager(cluster: Cluster) -> None:
    (entry,) = the_slice(cluster)["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("kube-controller-manager", "Update")
    assert {"f:addressType", "f:endpoints", "f:ports", "f:metadata"} == set(entry["fieldsV1"])


def test_server_side_apply_conflicts_with_the_controller(cluster: Cluster) -> None:
    name = the_slice(cluster)["metadata"]["name"]
    done = cluster.kubectl("apply --server-side -f -", stdin=BY_HAND.format(name=name))
    assert done.returncode and 'conflict with "kube-controller-manager"' in done.text and ".endpoints" in done.text


def test_what_is_forced_is_the_controllers_again_when_it_has_put_it_back(cluster: Cluster) -> None:
    name = the_slice(cluster)["metadata"]["name"]
    cluster.kubectl("apply --server-side --force-conflicts -f -", stdin=BY_HAND.format(name=name))
    cluster.settle()
    found = managers(the_slice(cluster))
    assert "f:endpoints" in found["kube-controller-manager"] and "f:endpoints" not in found["kubectl"]
