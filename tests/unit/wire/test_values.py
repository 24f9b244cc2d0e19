"""Quantities, times, base64, and the texts of Go's JSON scanner."""
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epkit.fake.wire import gojson, goyaml, values


@pytest.mark.parametrize(("sent", "canonical"), [
    ("1000m", "1"), ("0.5", "500m"), ("1.5Gi", "1536Mi"), ("1Gi", "1Gi"), ("1024Ki", "1Mi"),
    ("1.1Gi", "1181116006400m"),
    ("100Mi", "100Mi"), ("1e3", "1e3"), ("1e4", "10e3"), ("1000", "1k"), ("0", "0"), ("0.0", "0"), ("-0.5", "-500m"),
    ("2", "2"), ("123456789n", "123456789n"), ("0.0000000001", "1n"), ("1000k", "1M"), ("1.25Ki", "1280"),
])
def test_quantities(sent: str, canonical: str) -> None:
    assert values.quantity(sent) == canonical
    assert values.quantity(canonical) == canonical


@pytest.mark.parametrize(("sent", "text"), [
    ("", "quantities must match"), ("abc", "quantities must match"), ("1x", "quantities must match"),
    ("1.2.3", "quantities must match"), ("1K", "unable to parse quantity's suffix"), ("1mi", "unable to parse"),
])
def test_wrong_quantities(sent: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        values.quantity(sent)


@pytest.mark.parametrize(("sent", "text"), [
    ("2026-13-02T03:04:05Z", 'parsing time "2026-13-02T03:04:05Z": month out of range'),
    ("2026-02-30T03:04:05Z", 'parsing time "2026-02-30T03:04:05Z": day out of range'),
    ("2026-01-02", 'parsing time "2026-01-02" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'),
    ("2026-01-02T03:04:05Zx", 'parsing time "2026-01-02T03:04:05Zx": extra text: "x"'),
])
def test_wrong_times(sent: str, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        values.time(sent)
    assert str(caught.value) == text


def test_micro_times_have_six_decimals() -> None:
    assert values.micro_time("2026-01-02T03:04:05.000001+00:30") == "2026-01-02T02:34:05.000001Z"
    with pytest.raises(ValueError, match='cannot parse "Z" as ".000000"'):
        values.micro_time("2026-01-02T03:04:05Z")


@pytest.mark.parametrize(("body", "text"), [
    (b"", "unexpected end of JSON input"),
    (b'{"a" 1}', "invalid character '1' after object key"),
    (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b"{}x", "invalid character 'x' after top-level value"),
    (b"{'a':1}", r"invalid character '\'' looking for beginning of object key string"),
    (b"trux", "invalid character 'x' in literal true (expecting 'e')"),
    (b'{"a":01}', "invalid character '1' after object key:value pair"),
    (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
    (b"-x", "invalid character 'x' in numeric literal"),
    (b"1ex", "invalid character 'x' in exponent of numeric literal"),
    (b'"\\q"', "invalid character 'q' in string escape code"),
    (b'"\\u12x4"', "invalid character 'x' in \\u hexadecimal character escape"),
    (b'"a\nb"', "invalid character '\\n' in string literal"),
    (b"[1,]", "invalid character ']' looking for beginning of value"),
    (b"\xff", "invalid character 'ÿ' looking for beginning of value"),
])
def test_the_scanner_names_the_fault(body: bytes, text: str) -> None:
    assert gojson.syntax_error(body) == text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10,
)


@given(_JSON)
def test_the_scanner_takes_what_is_json(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False)):
        body = text.encode("utf-8", "surrogatepass")
        assert gojson.syntax_error(body) == ""
        if "\\u" not in text:
            assert gojson.plain(gojson.read(body)) == value


@given(st.text(alphabet='{}[]":,\\ab01eE.-+tfn \n', max_size=12))
def test_the_scanner_refuses_what_is_not(text: str) -> None:
    try:
        json.loads(text, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        assert gojson.syntax_error(text.encode())
    else:
        assert not gojson.syntax_error(text.encode())


def test_yaml_is_that_of_go() -> None:
    text = b"a: yes\nb: 2026-01-01\n1: 0755\nc: 1:30\nd: 1e3\ne: ~\ntrue: off\n<<: {f: .5}\n"
    assert goyaml.load(text) == {"a": True, "b": "2026-01-01", "1": 493, "c": "1:30", "d": 1000, "e": None,
                                 "true": False, "f": 0.5}
