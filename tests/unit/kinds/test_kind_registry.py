"""The registry, and what the kinds say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from epkit.fake import kinds
from epkit.fake.kinds.base import Kind

RECORDED = [
    line.split(": ", 1)
    for line in (Path(__file__).parent / "table_columns.txt").read_text().splitlines()
    if not line.startswith("#")
]


def test_kinds_are_found_by_plural_and_by_kind() -> None:
    for kind in kinds.KINDS:
        assert kinds.by_plural(kind.group, kind.version, kind.plural) is kind
        assert kinds.by_kind(kind.api_version, kind.kind) is kind
    assert kinds.by_plural("", "v1", "widgets") is None
    assert kinds.by_kind("discovery.k8s.io/v1beta1", "EndpointSlice") is None


@pytest.mark.parametrize(("plural", "columns"), RECORDED, ids=[plural for plural, _ in RECORDED])
def test_columns_are_those_of_the_real_api_server(plural: str, columns: str) -> None:
    kind = next(kind for kind in kinds.KINDS if kind.plural == plural)
    shown = [
        f"{column.name}[{column.type}{':' + column.format if column.format else ''}]{'*' if column.wide else ''}"
        for column in kind.columns
    ]
    assert ", ".join(shown) == columns


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.plural)
def test_every_column_has_a_description(kind: Kind) -> None:
    assert all(column.description for column in kind.columns)


def test_kubectl_get_all_covers_what_it_covers_in_reality() -> None:
    listed = {kind.plural for kind in kinds.KINDS if "all" in kind.categories}
    assert listed == {"pods", "services", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs"}


def test_put_creates_services_endpoints_events_and_leases_only() -> None:
    assert {kind.plural for kind in kinds.KINDS if kind.create_on_update} == {
        "services",
        "endpoints",
        "events",
        "leases",
    }


def test_paths_and_resources() -> None:
    slices, nodes = kinds.by_kind("discovery.k8s.io/v1", "EndpointSlice"), kinds.by_kind("v1", "Node")
    assert slices is not None and nodes is not None
    assert slices.path("demo", "a") == "/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices/a"
    assert slices.resource == "endpointslices.discovery.k8s.io"
    assert nodes.path(name="n1") == "/api/v1/nodes/n1"
