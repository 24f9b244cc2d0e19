"""EndpointSlice, discovery.k8s.io/v1.

Source: ``pkg/apis/discovery/validation``, ``pkg/registry/discovery/endpointslice/strategy.go`` and
``printEndpointSlice`` of the printers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epkit.fake.kinds import addresses, names, printing
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, duplicate, invalid, required, too_many, unsupported
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.common import drop_empty
from epkit.fake.kinds.metadata import immutable
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.pod_validation import PROTOCOLS

_ADDRESS_TYPES = frozenset({"IPv4", "IPv6", "FQDN"})
_MOST_ENDPOINTS, _MOST_ADDRESSES, _MOST_PORTS, _MOST_HINTS = 1000, 100, 20000, 8


def default(endpoint_slice: Obj) -> None:
    drop_empty(endpoint_slice)
    for port in endpoint_slice.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
    for endpoint in endpoint_slice.get("endpoints") or ():
        endpoint.setdefault("conditions", {})
        endpoint.setdefault("addresses", None)
        endpoint.pop("deprecatedTopology", None)  # a leftover of v1beta1, which v1 does not store
    # both lists lack omitempty: an empty one is written as null
    endpoint_slice.setdefault("endpoints", None)
    endpoint_slice.setdefault("ports", None)


def generation_rises(new: Obj, old: Obj) -> bool:
    """Any change outside the metadata counts, and one of the labels; annotations do not."""
    if new["metadata"].get("labels") != old["metadata"].get("labels"):
        return True
    return any(new.get(key) != old.get(key) for key in (new.keys() | old.keys()) - {"metadata"})


def validate(endpoint_slice: Obj, context: Context) -> list[FieldError]:
    kind = endpoint_slice.get("addressType", "")
    errors = _validate_address_type(kind) + _validate_endpoints(endpoint_slice.get("endpoints") or (), kind)
    return errors + _validate_ports(endpoint_slice)


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    """Endpoints that do not change are not looked at again."""
    kind = new.get("addressType", "")
    errors = _validate_address_type(kind)
    if new.get("endpoints") != old.get("endpoints"):
        errors += _validate_endpoints(new.get("endpoints") or (), kind)
    if new.get("ports") != old.get("ports"):
        errors += _validate_ports(new)
    return errors + immutable("addressType", kind, old.get("addressType", ""))


def _validate_address_type(kind: str) -> list[FieldError]:
    if not kind:
        return [required("addressType")]
    return [] if kind in _ADDRESS_TYPES else [unsupported("addressType", kind, _ADDRESS_TYPES)]


def _validate_endpoints(endpoints: Any, kind: str) -> list[FieldError]:
    if len(endpoints) > _MOST_ENDPOINTS:
        return [too_many("endpoints", len(endpoints), _MOST_ENDPOINTS)]
    faults_of = _RULES.get(kind, _no_rule)
    errors: list[FieldError] = []
    for index, endpoint in enumerate(endpoints):
        listed = endpoint.get("addresses") or ()
        for address in listed:
            if faults_of(address):
                errors += _address_errors(endpoint, kind, f"endpoints[{index}].addresses")
                break
        if not 0 < len(listed) <= _MOST_ADDRESSES:
            errors += _count_errors(listed, f"endpoints[{index}].addresses")
        node = endpoint.get("nodeName")
        if node is not None and names.dns_subdomain(node):
            errors += (invalid(f"endpoints[{index}].nodeName", node, fault) for fault in names.dns_subdomain(node))
        if endpoint.get("hostname") is not None:
            hostname = endpoint["hostname"]
            errors += (invalid(f"endpoints[{index}].hostname", hostname, fault) for fault in names.dns_label(hostname))
        if endpoint.get("hints") is not None:
            errors += _validate_hints(endpoint["hints"], f"endpoints[{index}].hints")
    return errors


def _count_errors(listed: Any, path: str) -> list[FieldError]:
    if not listed:
        return [required(path, "must contain at least 1 address")]
    return [too_many(path, len(listed), _MOST_ADDRESSES)]


def _address_errors(endpoint: Obj, kind: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, address in enumerate(endpoint["addresses"]):
        for fault in _RULES[kind](address):
            on_list = fault in _WRONG_FAMILY.values()  # upstream reports these on the list
            errors.append(invalid(path if on_list else f"{path}[{index}]", address, fault))
    return errors


_WRONG_FAMILY = {"IPv4": "must be an IPv4 address", "IPv6": "must be an IPv6 address"}


def _ip_of(family: str) -> Callable[[str], names.Faults]:
    def rule(address: str) -> names.Faults:
        faults = addresses.canonical_ip(address)
        if faults:
            return faults
        if addresses.family(address) != family:
            faults = (_WRONG_FAMILY[family],)
        return faults + addresses.endpoint_ip(address)

    return rule


def _no_rule(_: str) -> names.Faults:
    return ()


_RULES: dict[str, Callable[[str], names.Faults]] = {
    "IPv4": _ip_of("IPv4"),
    "IPv6": _ip_of("IPv6"),
    "FQDN": addresses.fqdn,
}


def _validate_hints(hints: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, rule in (("forZones", names.label_value), ("forNodes", names.dns_subdomain)):
        entries = hints.get(key) or ()
        if len(entries) > _MOST_HINTS:
            errors.append(too_many(f"{path}.{key}", len(entries), _MOST_HINTS))
            continue
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            here, name = f"{path}.{key}[{index}].name", entry.get("name", "")
            if name in seen:
                errors.append(duplicate(here, name))
            seen.add(name)
            errors += (invalid(here, name, fault) for fault in rule(name))
    return errors


def _validate_ports(endpoint_slice: Obj) -> list[FieldError]:
    """Names must be unique, the unnamed one included; the number is not checked at all."""
    ports = endpoint_slice.get("ports") or ()
    if len(ports) > _MOST_PORTS:
        return [too_many("ports", len(ports), _MOST_PORTS)]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name, protocol = f"ports[{index}]", port["name"], port["protocol"]
        if name:
            errors += (invalid(f"{path}.name", name, fault) for fault in names.dns_label(name))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        if protocol not in PROTOCOLS:
            errors.append(unsupported(f"{path}.protocol", protocol, PROTOCOLS))
        if port.get("appProtocol") is not None:
            text = port["appProtocol"]
            errors += (invalid(f"{path}.appProtocol", text, fault) for fault in names.label_key(text))
    return errors


def warnings(new: Obj, old: Obj | None) -> list[str]:
    if new.get("addressType") == "FQDN":  # upstream says "spec", though a slice has none
        return ["spec.addressType: FQDN endpoints are deprecated"]
    return []


def row(endpoint_slice: Obj, now: float) -> list[Any]:
    ports, endpoints = endpoint_slice.get("ports") or (), endpoint_slice.get("endpoints") or ()
    shown = [str(port["port"] if port.get("port") is not None else port.get("name", "*")) for port in ports[:3]]
    listed = [address for endpoint in endpoints[:3] for address in endpoint.get("addresses") or ()]
    total = sum(len(endpoint.get("addresses") or ()) for endpoint in endpoints)
    return [
        endpoint_slice["metadata"]["name"],
        endpoint_slice.get("addressType", ""),
        printing.first_three(shown, len(ports)) or printing.UNSET,
        printing.first_three(listed, total) or printing.UNSET,
        printing.age(endpoint_slice, now),
    ]


ENDPOINT_SLICE = Kind(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    schema="io.k8s.api.discovery.v1.EndpointSlice",
    columns=(
        NAME,
        column("AddressType", "EndpointSlice.addressType"),
        column("Ports", "EndpointSlice.ports"),
        column("Endpoints", "EndpointSlice.endpoints"),
        AGE,
    ),
    row=row,
    default=default,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    validate_name=name_is_subdomain,
    generation=generation_rises,
)
