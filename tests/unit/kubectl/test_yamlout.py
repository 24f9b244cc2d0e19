"""YAML as Go writes it. Every form here was printed by kubectl 1.32 (``create configmap --dry-run=client -o yaml``)."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from epkit.kubectl.builtin.yamlout import dump


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("yes", '"yes"'),
        ("on", '"on"'),
        ("y", '"y"'),
        ("null", '"null"'),
        ("~", '"~"'),
        ("1.5", '"1.5"'),
        ("0x1f", '"0x1f"'),
        ("0b_", "0b_"),
        ("010", '"010"'),
        ("1_000", '"1_000"'),
        ("1e3", '"1e3"'),
        (".5", '".5"'),
        (".9_", ".9_"),
        ("+1", '"+1"'),
        (".inf", '".inf"'),
        ("1:30", '"1:30"'),
        ("2026-11-22", '"2026-11-22"'),
        ("2026-11-22T05:47:20Z", '"2026-11-22T05:47:20Z"'),
        ("a: b", "'a: b'"),
        ("a:", "'a:'"),
        (":a", ":a"),
        ("#x", "'#x'"),
        ("a #b", "'a #b'"),
        ("it's", "it's"),
        ("'q", "'''q'"),
        (" lead", "' lead'"),
        ("*a", "'*a'"),
        ("- a", "'- a'"),
        ("-", "'-'"),
        ("-a", "-a"),
        ("?a", "?a"),
        ("{a}", "'{a}'"),
        ("a,b", "a,b"),
        ("%a", "'%a'"),
        ("=", "="),
        ("<a>&", "<a>&"),
        ("x\ty", '"x\\ty"'),
        ("a\rb", '"a\\rb"'),
        ("\x01", '"\\x01"'),
        ("ü€😀", '"ü€\\U0001F600"'),
        ("l1\nl2 ", '"l1\\nl2 "'),
        ("a\n\nb\n", "|\n    a\n\n    b"),
        ("  l1\nl2", "|2-\n      l1\n    l2"),
        ("a\nb\n\n", "|+\n    a\n    b\n"),
        (80, "80"),
        (True, "true"),
        (None, "null"),
        (1e21, "1e+21"),
        ({}, "{}"),
        ([], "[]"),
    ],
)
def test_scalar(value: object, form: str) -> None:
    assert dump({"data": {"key": value}}) == f"data:\n  key: {form}\n"


def test_long_text_folds_at_80_columns() -> None:
    text = " ".join(["some long text"] * 8)
    assert dump({"data": {"b": text}}) == (
        "data:\n"
        "  b: some long text some long text some long text some long text some long text some\n"
        "    long text some long text some long text\n"
    )


def test_lists_are_flush_with_their_key_and_keys_are_sorted() -> None:
    value = {"ports": [{"port": 80, "name": "http"}], "items": [["a", "b"], []], "10": 1, "9": 2, "on": 3}
    assert dump(value) == (
        '"9": 2\n"10": 1\nitems:\n- - a\n  - b\n- []\n"on": 3\nports:\n- name: http\n  port: 80\n'
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=90),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abXY019.-_/", min_size=1), inner, max_size=3),
    max_leaves=12,
)


@given(_JSON)
def test_what_is_written_reads_back(value: object) -> None:
    assert yaml.safe_load(dump({"value": value})) == {"value": value}
