"""EndpointSlices and Endpoints: what is filled in, what is accepted, what counts as a change."""

from __future__ import annotations

from typing import Any

import pytest
from kind_rules import Rules

from epkit.fake.kinds.endpoints import ENDPOINTS
from epkit.fake.kinds.endpointslice import ENDPOINT_SLICE, generation_rises

NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def endpoint_slice(*endpoints: Any, kind: str = "IPv4", ports: Any = None) -> dict[str, Any]:
    listed = [{"addresses": [entry]} if isinstance(entry, str) else entry for entry in endpoints]
    obj = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "s"}, "addressType": kind}
    return {**obj, "endpoints": listed, "ports": ports}


def test_empty_lists_are_stored_as_null(rules: Rules) -> None:
    made = rules.create(endpoint_slice(ports=[]))
    assert made["endpoints"] is None and made["ports"] is None


def test_ports_get_a_name_and_a_protocol_and_endpoints_their_conditions(rules: Rules) -> None:
    made = rules.create(
        endpoint_slice({"addresses": ["10.1.2.3"], "deprecatedTopology": {"a": "b"}}, ports=[{"port": 80}])
    )
    assert made["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    assert made["endpoints"] == [{"addresses": ["10.1.2.3"], "conditions": {}}]


@pytest.mark.parametrize(
    ("kind", "address", "fault"),
    [
        ("IPv4", "fd00::1", 'endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address'),
        ("IPv6", "10.0.0.1", 'endpoints[0].addresses: Invalid value: "10.0.0.1": must be an IPv6 address'),
        ("IPv4", "db.example.com", f'endpoints[0].addresses[0]: Invalid value: "db.example.com": {NOT_AN_IP}'),
        ("IPv4", "10.0.0.1:80", f'endpoints[0].addresses[0]: Invalid value: "10.0.0.1:80": {NOT_AN_IP}'),
        ("IPv4", "010.0.0.1", 'endpoints[0].addresses[0]: Invalid value: "010.0.0.1": must not have leading 0s'),
        (
            "IPv6",
            "FD00:0:0::1",
            'endpoints[0].addresses[0]: Invalid value: "FD00:0:0::1": must be in canonical form ("fd00::1")',
        ),
        (
            "IPv4",
            "0.0.0.0",
            'endpoints[0].addresses[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
        ),
        (
            "FQDN",
            "db",
            'endpoints[0].addresses[0]: Invalid value: "db": should be a domain with at least two '
            "segments separated by dots",
        ),
    ],
)
def test_addresses_must_fit_the_address_type(rules: Rules, kind: str, address: str, fault: str) -> None:
    assert rules.faults(endpoint_slice(address, kind=kind)) == [fault]


@pytest.mark.parametrize("kind", ["", "IP"])
def test_address_types(rules: Rules, kind: str) -> None:
    wanted = "Required value" if not kind else 'Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"'
    assert rules.faults(endpoint_slice("10.0.0.1", kind=kind)) == [f"addressType: {wanted}"]


def test_limits(rules: Rules) -> None:
    hundred = [f"10.0.1.{number}" for number in range(1, 101)]
    assert rules.faults(endpoint_slice(*["10.0.0.1"] * 1000)) == []
    assert rules.faults(endpoint_slice(*["10.0.0.1"] * 1001)) == [
        "endpoints: Too many: 1001: must have at most 1000 items"
    ]
    assert rules.faults(endpoint_slice({"addresses": hundred})) == []
    assert rules.faults(endpoint_slice({"addresses": [*hundred, "10.0.2.1"]})) == [
        "endpoints[0].addresses: Too many: 101: must have at most 100 items"
    ]
    assert rules.faults(endpoint_slice({"addresses": []})) == [
        "endpoints[0].addresses: Required value: must contain at least 1 address"
    ]
    many = [{"name": f"p{number}"} for number in range(20001)]
    assert rules.faults(endpoint_slice(ports=many)) == ["ports: Too many: 20001: must have at most 20000 items"]


def test_hints(rules: Rules) -> None:
    def faults(**hints: list[str]) -> list[str]:
        entry = {key: [{"name": name} for name in listed] for key, listed in hints.items()}
        return rules.faults(endpoint_slice({"addresses": ["10.0.0.1"], "hints": entry}))

    assert faults(forZones=["a", "b"], forNodes=["n1"]) == []
    assert faults(forZones=["a", "a"]) == ['endpoints[0].hints.forZones[1].name: Duplicate value: "a"']
    assert faults(forNodes=["a", "a"]) == ['endpoints[0].hints.forNodes[1].name: Duplicate value: "a"']
    assert faults(forZones=list("abcdefghi")) == ["endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"]


def test_ports_are_unique_by_name_and_of_any_number(rules: Rules) -> None:
    odd = [{"name": "a", "port": 0}, {"name": "b", "port": 70000}, {"name": "c", "port": -1}, {"name": "no-number"}]
    assert rules.faults(endpoint_slice(ports=odd)) == []
    assert rules.faults(endpoint_slice(ports=[{"port": 80}, {"port": 81}])) == ['ports[1].name: Duplicate value: ""']
    found = rules.faults(endpoint_slice(ports=[{"name": "HTTP", "protocol": "HTTP", "appProtocol": "a b"}]))
    assert [fault.split(": ")[0] for fault in found] == ["ports[0].name", "ports[0].protocol", "ports[0].appProtocol"]


def test_the_address_type_is_immutable(rules: Rules) -> None:
    old = rules.create(endpoint_slice("10.0.0.1"))
    assert rules.update(old, addressType="IPv6")[1] == ['addressType: Invalid value: "IPv6": field is immutable']


def test_what_raises_the_generation(rules: Rules) -> None:
    old = rules.create(endpoint_slice("10.0.0.1"))
    assert generation_rises({**old, "endpoints": None}, old)
    assert generation_rises({**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}, old)
    assert not generation_rises({**old, "metadata": {**old["metadata"], "annotations": {"a": "b"}}}, old)


def test_domain_names_are_deprecated() -> None:
    assert ENDPOINT_SLICE.warnings(endpoint_slice(kind="FQDN"), None) == [
        "spec.addressType: FQDN endpoints are deprecated"
    ]
    assert ENDPOINT_SLICE.warnings(endpoint_slice(), None) == []


def endpoints(*subsets: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "e"}, "subsets": list(subsets)}


def test_endpoints_are_deprecated() -> None:
    assert ENDPOINTS.deprecation == "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def test_endpoints_defaults(rules: Rules) -> None:
    made = rules.create(
        endpoints({"addresses": [{"ip": "10.1.2.3", "hostname": ""}], "ports": [{"name": "", "port": 80}]})
    )
    assert made["subsets"] == [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80, "protocol": "TCP"}]}]
    assert "subsets" not in rules.create(endpoints())


@pytest.mark.parametrize(
    ("subset", "faults"),
    [
        ({"ports": [{"port": 80}]}, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
        (
            {"addresses": [{"ip": "300.1.2.3"}]},
            [
                f'subsets[0].addresses[0].ip: Invalid value: "300.1.2.3": {NOT_AN_IP}',
                'subsets[0].addresses[0].ip: Invalid value: "300.1.2.3": must be a valid IP address',
            ],
        ),
        (
            {"notReadyAddresses": [{"ip": "10.1.2.3"}, {"ip": "127.0.0.1"}]},
            [
                'subsets[0].notReadyAddresses[1].ip: Invalid value: "127.0.0.1": '
                "may not be in the loopback range (127.0.0.0/8, ::1/128)"
            ],
        ),
        (
            {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}, {"port": 81, "name": "b"}]},
            ["subsets[0].ports[0].name: Required value"],
        ),
        (
            {"addresses": [{"ip": "10.1.2.3", "hostname": "a.b"}], "ports": [{"port": 0}]},
            [
                'subsets[0].addresses[0].hostname: Invalid value: "a.b": must not contain dots',
                "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        ),
    ],
)
def test_invalid_endpoints(rules: Rules, subset: dict[str, Any], faults: list[str]) -> None:
    assert rules.faults(endpoints(subset)) == faults


def test_old_subsets_are_not_judged_again(rules: Rules) -> None:
    old = endpoints({"addresses": [{"ip": "10.001.2.3"}]})
    old["metadata"]["namespace"] = "default"
    assert rules.update(old, metadata={**old["metadata"], "labels": {"a": "b"}})[1] == []
    assert rules.update(old, subsets=[{"addresses": [{"ip": "10.001.2.4"}]}])[1] == [
        'subsets[0].addresses[0].ip: Invalid value: "10.001.2.4": must not have leading 0s'
    ]
