"""kubectl's JSONPath. What a template prints was compared with kubectl 1.32."""

from __future__ import annotations

import pytest

from epkit.kubectl.builtin.jsonpath import JsonPath, JsonPathError

SERVICE = {
    "kind": "Service",
    "metadata": {"name": "web", "labels": {"k8s.io/team": "red", "app": "web"}},
    "spec": {
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}, {"port": 443, "protocol": "UDP"}],
        "selector": None,
        "half": 0.5,
        "on": True,
    },
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.metadata.name}", "web"),
        ("plain", "plain"),
        ("{.kind} is {'here'}", "Service is here"),
        (r"{.metadata.labels.k8s\.io/team}", "red"),
        (r"{.metadata.labels['k8s\.io/team']}", "red"),
        ("{.metadata.labels}", '{"app":"web","k8s.io/team":"red"}'),
        ("{.spec.ports[*].port}", "80 443"),
        ("{.spec.ports[-1].port}", "443"),
        ("{.spec.ports[0:1].port}", "80"),
        ("{.spec.ports[::2].port}", "80"),
        ("{.spec.ports[0,1].port}", "80 443"),
        ("{.metadata['name','labels']}", 'web {"app":"web","k8s.io/team":"red"}'),
        ("{.spec.ports[?(@.port==80)].name}", "http"),
        ("{.spec.ports[?(@.port>80)].port}", "443"),
        ("{.spec.ports[?(@.name)].port}", "80"),
        ('{.spec.ports[?(@.protocol=="UDP")].port}', "443"),
        ('{range .spec.ports[*]}{.port}{"\\t"}{.name}{"\\n"}{end}', "80\thttp\n443\t\n"),
        ("{range .spec.ports[*]}[{.port}]{end}done", "[80][443]done"),
        ("{range .spec.nothing[*]}{.port}{end}done", "done"),
        ("{..port}", "80 443"),
        ("{.spec.selector} {.spec.half} {.spec.on}", "null 0.5 true"),
        ("{.missing}{.missing.deeper[0]}", ""),
        ("{$.kind}", "Service"),
        ('{"say \\"hi\\""}', 'say "hi"'),
    ],
)
def test_prints(template: str, text: str) -> None:
    assert JsonPath(template).text(SERVICE) == text


def test_nested_ranges_keep_their_places() -> None:
    slices = {"items": [{"endpoints": [{"a": 1}, {"a": 2}], "name": "x"}, {"endpoints": [], "name": "y"}]}
    template = "{range .items[*]}{.name}:{range .endpoints[*]}{.a},{end};{end}|"
    assert JsonPath(template).text(slices) == "x:1,2,;y:;|"


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{.kind", "unclosed action"),
        ("{%}", "unrecognized character in action: U+0025 '%'"),
        ("{.spec.ports[a]}", "invalid array index a"),
        ("{.spec.ports[", "unterminated array"),
        ('{"abc', "unterminated quoted string"),
        ("{.spec.ports[?(@.port}", "unterminated filter"),
        ("{....x}", "invalid multiple recursive descent"),
    ],
)
def test_malformed(template: str, fault: str) -> None:
    with pytest.raises(JsonPathError) as raised:
        JsonPath(template)
    assert str(raised.value) == fault


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{.spec.ports[5]}", "array index out of bounds: index 5, length 2"),
        ("{.spec.ports[1:0]}", "starting index 1 is greater than ending index 0"),
        ("{.kind[0]}", "string is not array or slice"),
        ("{foo}", "unrecognized identifier foo"),
        ("{end}", "not in range, nothing to end"),
        ('{.spec.ports[?(@.port=="80")]}', "incompatible types for comparison"),
    ],
)
def test_does_not_fit_the_data(template: str, fault: str) -> None:
    with pytest.raises(JsonPathError) as raised:
        JsonPath(template).text(SERVICE)
    assert str(raised.value) == fault


def test_as_json() -> None:
    assert JsonPath("{.spec.ports[*].port}").json(SERVICE) == "[\n    80,\n    443\n]\n"


def test_missing_keys_can_be_an_error() -> None:
    with pytest.raises(JsonPathError, match="nothing is not found"):
        JsonPath("{.nothing}", missing_is_error=True).text(SERVICE)
