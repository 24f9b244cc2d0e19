"""Endpoints, core/v1: deprecated since v1.33, still written for every Service with a selector.

Source: ``pkg/apis/core/validation`` (``ValidateEndpointsCreate``) and ``formatEndpoints`` of the printers.
"""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import addresses, names, printing
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, invalid, required, unsupported
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.common import drop_empty, drop_zero
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.pod_validation import PROTOCOLS


def default(endpoints: Obj) -> None:
    drop_empty(endpoints)
    for subset in endpoints.get("subsets") or ():
        for key in ("addresses", "notReadyAddresses"):
            for address in subset.get(key) or ():
                drop_zero(address, "hostname")
        for port in subset.get("ports") or ():
            drop_zero(port, "name")
            if not port.get("protocol"):
                port["protocol"] = "TCP"


def validate(endpoints: Obj, context: Context) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        path, ports = f"subsets[{index}]", subset.get("ports") or ()
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for key in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(key) or ()):
                if not _is_plain(address):
                    errors += _validate_address(address, f"{path}.{key}[{number}]")
        for number, port in enumerate(ports):
            errors += _validate_port(port, len(ports) > 1, f"{path}.ports[{number}]")
    return errors


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    """Subsets that do not change are not looked at again."""
    return [] if new.get("subsets") == old.get("subsets") else validate(new, context)


def _is_plain(address: Obj) -> bool:
    """A quick look at what almost every address is: a usable IP, nothing else to check."""
    ip, node = address.get("ip", ""), address.get("nodeName")
    usable = not addresses.ip(ip) and not addresses.endpoint_ip(ip)
    return usable and not address.get("hostname") and (node is None or not names.dns_subdomain(node))


def _validate_address(address: Obj, path: str) -> list[FieldError]:
    ip, hostname, node = address.get("ip", ""), address.get("hostname", ""), address.get("nodeName")
    errors = [invalid(f"{path}.ip", ip, fault) for fault in addresses.ip(ip)]
    if hostname:
        errors += (invalid(f"{path}.hostname", hostname, fault) for fault in names.dns_label(hostname))
    if node is not None:
        errors += (invalid(f"{path}.nodeName", node, fault) for fault in names.dns_subdomain(node))
    return errors + [invalid(f"{path}.ip", ip, fault) for fault in addresses.endpoint_ip(ip)]


def _validate_port(port: Obj, needs_name: bool, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    name, number, protocol = port.get("name", ""), port.get("port", 0), port.get("protocol", "")
    if needs_name and not name:
        errors.append(required(f"{path}.name"))
    elif name:
        errors += (invalid(f"{path}.name", name, fault) for fault in names.dns_label(name))
    errors += (invalid(f"{path}.port", number, fault) for fault in names.port_number(number))
    if protocol not in PROTOCOLS:
        errors.append(unsupported(f"{path}.protocol", protocol, PROTOCOLS))
    if port.get("appProtocol") is not None:
        text = port["appProtocol"]
        errors += (invalid(f"{path}.appProtocol", text, fault) for fault in names.label_key(text))
    return errors


def row(endpoints: Obj, now: float) -> list[Any]:
    return [endpoints["metadata"]["name"], _pairs(endpoints.get("subsets") or ()), printing.age(endpoints, now)]


def _pairs(subsets: Any) -> str:
    """The first three ready address and port pairs; not-ready addresses are not shown."""
    if not subsets:
        return printing.NONE
    shown: list[str] = []
    total = 0
    for subset in subsets:
        ready, ports = subset.get("addresses") or (), subset.get("ports") or ()
        total += len(ready) * max(len(ports), 1)
        if len(shown) < 3:
            for port in ports or (None,):
                shown += (_pair(address["ip"], port) for address in ready[:3])
    return printing.first_three(shown, total)


def _pair(ip: str, port: Obj | None) -> str:
    if port is None:
        return ip
    return f"[{ip}]:{port['port']}" if ":" in ip else f"{ip}:{port['port']}"


ENDPOINTS = Kind(
    group="",
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    singular="endpoints",
    schema="io.k8s.api.core.v1.Endpoints",
    short_names=("ep",),
    columns=(NAME, column("Endpoints", "Endpoints.subsets"), AGE),
    row=row,
    default=default,
    validate=validate,
    validate_update=validate_update,
    deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    validate_name=name_is_subdomain,
    generation=None,
    create_on_update=True,
)
