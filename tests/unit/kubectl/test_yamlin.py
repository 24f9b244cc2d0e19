"""YAML on its way to JSON, and what kubectl itself refuses; the texts are those of kubectl 1.33."""
from __future__ import annotations

from typing import Any

import pytest

from epkit.kubectl.builtin import decoding
from epkit.kubectl.builtin.failures import KubectlError
from epkit.kubectl.builtin.manifests import Document, documents
from epkit.kubectl.builtin.yamlin import Unreadable, load


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("y", True), ("N", False), ("On", True), ("oN", "oN"), ("010", 8), ("08", 8), ("0x1F", 31), ("0b11", 3),
        ("0b12", "0b12"), ("0o17", 15), ("1_000", 1000), ("_1", "_1"), ("1e3", 1000), ("1.0", 1), ("1.10", 1.1),
        ("22:22", "22:22"), ("2026-01-01", "2026-01-01"), (".5", 0.5), ("~", None), ("=", "="), ("-", [None]),
        ("1e400", "1e400"), ("!x 5", 5), ("!!str 5", "5"), ("'5'", "5"), ("!!binary aGk=", "hi"), ("v1", "v1"),
    ],
)  # fmt: skip
def test_values(text: str, value: Any) -> None:
    assert load(text) == value
    assert type(load(text)) is type(value)


def test_keys_become_texts() -> None:
    assert load("{1: a, y: b, 1.5: c, 010: d}") == {"1": "a", "true": "b", "1.5": "c", "8": "d"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("x: 1\na: b: c", "yaml: line 2: mapping values are not allowed in this context"),
        ("x:\n  y: 1\n z: 2\n", "yaml: line 2: did not find expected key"),
        ("x: 1\ny: {a\n", "yaml: line 2: did not find expected ',' or '}'"),
        ("x: 1\n\ty: 2\n", "yaml: line 2: found a tab character that violates indentation"),
        ("x: *a", "yaml: unknown anchor 'a' referenced"),
        ("x: !!int a", "yaml: cannot decode !!str `a` as a !!int"),
        ("x: .nan", "json: unsupported value: NaN"),
        ("<<: 3", "yaml: map merge requires map or sequence of maps as the value"),
        ('~: "15"', 'unsupported map key of type: %!s(<nil>), key: <nil>, value: "15"'),
    ],
)
def test_faults(text: str, fault: str) -> None:
    with pytest.raises(Unreadable) as caught:
        load(text)
    assert str(caught.value) == fault


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([1], "json: cannot unmarshal array into Go value of type unstructured.detector"),
        ({"apiVersion": "v1"}, "Object 'Kind' is missing in '{\"apiVersion\":\"v1\"}'"),
        (
            {"kind": "A", "apiVersion": "v1", "metadata": {"labels": {"version": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            {"kind": "A", "apiVersion": "v1", "metadata": "x"},
            "json: cannot unmarshal string into Go struct field metadataOnlyObject.metadata of type v1.ObjectMeta",
        ),
        ({"kind": "A", "apiVersion": "v1", "metadata": {"labels": None, "name": "a"}}, ""),
    ],
)
def test_undecodable(value: Any, fault: str) -> None:
    assert decoding.fault(value) == fault


def test_what_ends_a_file_and_what_does_not() -> None:
    good = "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}}\n---\n"
    undecodable = "{apiVersion: v1, kind: ConfigMap, metadata: 3}\n---\n"
    assert _names(good % "a" + undecodable + good % "b") == ["a", "unable", "b"]
    assert _names(good % "a" + "x: [\n---\n" + good % "b") == ["a", "error"]
    assert _names(good % "a" + "kind: A\n---\n" + good % "b", validates=True) == ["a", "error"]


def test_json_documents_one_after_another() -> None:
    one = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}}'
    assert _names(one % "a" + " " + one % "b" + "\n---\n" + one % "c") == ["a", "b", "c"]
    assert _names(one % "a" + '\n{"apiVersion": "v1"') == ["error"]


def test_a_list_gives_its_items_their_kind() -> None:
    text = "{apiVersion: v1, kind: ConfigMapList, items: [{metadata: {name: a}}, {kind: B}]}"
    found = list(documents(text, "STDIN"))
    assert isinstance(found[0], Document)
    assert found[0].obj == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    assert isinstance(found[1], KubectlError)


def _names(text: str, validates: bool = False) -> list[str]:
    """The names of the objects, and the first words of the failures."""
    found = documents(text, "STDIN", validates=validates)
    return [str(each).split()[0] if isinstance(each, Exception) else each.obj["metadata"]["name"] for each in found]
