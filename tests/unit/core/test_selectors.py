"""Label and field selectors, with the API server's words for what is wrong with them."""

from __future__ import annotations

import pytest

from epkit import selectors


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ("", {}, True),
        ("app=web", {"app": "web"}, True),
        ("app==web", {"app": "web"}, True),
        ("app=web", {"app": "db"}, False),
        ("app!=web", {}, True),
        ("app", {"app": ""}, True),
        ("!app", {"app": ""}, False),
        ("tier in (front, back)", {"tier": "back"}, True),
        ("tier notin (front)", {}, True),
        ("a=1,b=2", {"a": "1", "b": "2"}, True),
        ("a=1,b=2", {"a": "1"}, False),
        ("app=", {"app": ""}, True),
        ("size>3", {"size": "4"}, True),
        ("size<3", {"size": "4"}, False),
        ("example.com/a.b=c", {"example.com/a.b": "c"}, True),
    ],
)
def test_labels(selector: str, labels: dict[str, str], expected: bool) -> None:
    assert selectors.parse(selector)(labels) is expected


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("app in", "found '' expected: '('"),
        ("app in (a", "found '', expected: ',' or ')'"),
        ("a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
    ],
)
def test_what_is_wrong_with_a_selector(selector: str, message: str) -> None:
    with pytest.raises(selectors.SelectorError) as caught:
        selectors.parse(selector)
    assert str(caught.value) == message


def test_a_service_without_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert selectors.of_map(None)({"app": "web"}) is False
    assert selectors.of_map({})({"app": "web"}) is True


def test_label_selectors_of_workloads() -> None:
    matches = selectors.of_label_selector(
        {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}]}
    )
    assert matches({"app": "web"}) and not matches({"app": "web", "old": ""}) and not matches({})


def test_fields() -> None:
    assert selectors.parse_fields("metadata.name=a,status.phase!=Running") == (
        ("metadata.name", "a", True),
        ("status.phase", "Running", False),
    )
    assert selectors.parse_fields(r"a=b\,c") == (("a", "b,c", True),)
    with pytest.raises(selectors.SelectorError, match="invalid selector: 'nonsense'; can't understand 'nonsense'"):
        selectors.parse_fields("nonsense")
