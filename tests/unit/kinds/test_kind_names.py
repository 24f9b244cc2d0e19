"""Names, addresses and metadata: the words of the faults."""

from __future__ import annotations

import pytest

from epkit.fake import kinds
from epkit.fake.kinds import addresses, metadata, names

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
    "start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ("web-1", ()),
        ("1web", ()),
        ("with.dot", ("must not contain dots",)),
        ("Upper", (LABEL,)),
        ("-a", (LABEL,)),
        ("a\n", (LABEL,)),
        ("a" * 63, ()),
        ("a" * 64, ("must be no more than 63 characters",)),
    ],
)
def test_dns_labels(value: str, faults: tuple[str, ...]) -> None:
    assert names.dns_label(value) == faults


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ("app", ()),
        ("example.com/app", ()),
        ("/app", ("prefix part must be non-empty",)),
        ("example.com/", ("name part must be non-empty", NAME_PART)),
        ("a b", (NAME_PART,)),
        ("x" * 64, ("name part must be no more than 63 characters",)),
    ],
)
def test_label_keys(value: str, faults: tuple[str, ...]) -> None:
    assert names.label_key(value) == faults


def test_a_label_key_has_at_most_one_slash() -> None:
    assert names.label_key("a/b/c")[0].startswith("a valid label key must consist of alphanumeric characters")


def test_port_names() -> None:
    assert names.port_name("http") == ()
    assert names.port_name("8080") == ("must contain at least one letter (a-z)",)
    assert names.port_name("a--b") == ("must not contain consecutive hyphens",)
    assert names.port_name("longer-than-fifteen") == ("must be no more than 15 characters",)


def test_a_name_prefix_may_end_in_a_dash() -> None:
    assert names.name_is_subdomain("web-", True) == []
    assert names.name_is_subdomain("web-", False) != []


@pytest.mark.parametrize(
    ("address", "faults"),
    [
        ("10.1.2.3", ()),
        ("fd00::1", ()),
        ("10.001.2.3", ("must not have leading 0s",)),
        ("::ffff:10.1.2.3", ("must not be an IPv4-mapped IPv6 address",)),
        ("300.1.2.3", (addresses.NOT_AN_IP,)),
        ("10.1.2.3:80", (addresses.NOT_AN_IP,)),
        ("fe80::1%eth0", (addresses.NOT_AN_IP,)),
        ("", (addresses.NOT_AN_IP,)),
    ],
)
def test_addresses(address: str, faults: tuple[str, ...]) -> None:
    assert addresses.ip(address) == faults


def test_newer_fields_want_the_canonical_form() -> None:
    assert addresses.ip("FD00:0:0::1") == ()
    assert addresses.canonical_ip("FD00:0:0::1") == ('must be in canonical form ("fd00::1")',)


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("::1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("fe80::1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("224.0.0.5", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        ("ff02::1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        ("0.0.0.0", "may not be unspecified (0.0.0.0)"),
        ("::", "may not be unspecified (::)"),
        ("nonsense", "must be a valid IP address"),
    ],
)
def test_addresses_that_cannot_be_endpoints(address: str, fault: str) -> None:
    assert addresses.endpoint_ip(address) == (fault,)


@pytest.mark.parametrize("address", ["10.0.0.1", "225.0.0.5", "192.0.2.1", "fd00::1", "203.0.113.9"])
def test_addresses_that_can_be_endpoints(address: str) -> None:
    assert addresses.endpoint_ip(address) == ()


@pytest.mark.parametrize(
    ("cidr", "faults"),
    [
        ("10.0.0.0/8", ()),
        ("fd00::/64", ()),
        ("10.0.0.0", (addresses.NOT_A_CIDR,)),
        ("10.0.0.0/33", (addresses.NOT_A_CIDR,)),
        ("10.0.0.1/8", ("must not have bits set beyond the prefix length",)),
        ("010.0.0.0/8", ("must not have leading 0s in IP or prefix length",)),
    ],
)
def test_cidrs(cidr: str, faults: tuple[str, ...]) -> None:
    assert addresses.cidr(cidr) == faults


def test_domain_names() -> None:
    assert addresses.fqdn("example.com.") == ()
    assert addresses.fqdn("db") == ("should be a domain with at least two segments separated by dots",)


def faults_of(meta: dict) -> list[str]:
    kind = kinds.by_kind("v1", "ConfigMap")
    assert kind is not None
    return [str(fault) for fault in metadata.validate_metadata(kind, {"metadata": {"namespace": "demo", **meta}})]


def test_a_name_is_required() -> None:
    assert faults_of({}) == ["metadata.name: Required value: name or generateName is required"]


def test_labels_and_annotations_are_checked_on_the_map_s_own_path() -> None:
    found = faults_of({"name": "a", "labels": {"ok": "bad value!"}, "annotations": {"Bad Key": "x", "UPPER": "y"}})
    assert [fault.split(": ")[0] for fault in found] == ["metadata.labels", "metadata.annotations"]
    assert found[1] == f'metadata.annotations: Invalid value: "Bad Key": {NAME_PART}'


def test_annotations_have_a_limit() -> None:
    assert faults_of({"name": "a", "annotations": {"k": "x" * 262143}}) == []
    assert faults_of({"name": "a", "annotations": {"k": "x" * 262144}}) == [
        "metadata.annotations: Too long: may not be more than 262144 bytes"
    ]


def test_owners_and_finalizers() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    assert faults_of({"name": "a", "ownerReferences": [owner], "finalizers": ["example.com/x", "orphan"]}) == []
    found = faults_of({"name": "a", "ownerReferences": [{}, owner, owner], "finalizers": ["unqualified"]})
    assert 'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty' in found
    assert any("Only one reference can have Controller set to true" in fault for fault in found)
    assert found[-1] == (
        'metadata.finalizers[0]: Invalid value: "unqualified": '
        "name is neither a standard finalizer name nor is it fully qualified"
    )


def test_no_new_finalizers_on_a_dying_object() -> None:
    old = {"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/a"]}}
    new = {"metadata": {**old["metadata"], "finalizers": ["example.com/a", "example.com/b"]}}
    assert [str(fault) for fault in metadata.validate_metadata_update(new, old)] == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"example.com/b"}'
    ]


def test_what_of_the_metadata_is_immutable() -> None:
    old = {"metadata": {"name": "a", "uid": "1", "generation": 3}}
    found = metadata.validate_metadata_update({"metadata": {"name": "b", "uid": "2", "generation": 2}}, old)
    assert [fault.path for fault in found] == ["metadata.generation", "metadata.name", "metadata.uid"]
