"""What counts as an address for the API, and what it says about others.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/ip.go and pkg/apis/core/validation (ValidateEndpointIP) of
Kubernetes v1.36.
"""

from __future__ import annotations

import ipaddress
import re

from epkit.proxy.errors import ObjectError

VALID_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
VALID_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
LEADING_ZERO = re.compile(r"(^|\.)0\d")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _invalid(field: str, text: str, message: str) -> ObjectError:
    return ObjectError(f'Invalid value: "{text}": {message}', field=field)


def check_address(field: str, text: str) -> Address:
    """An IP address in canonical form. Raises `ObjectError`."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if ":" not in text and LEADING_ZERO.search(text):
            raise _invalid(field, text, "must not have leading 0s") from None
        raise _invalid(field, text, VALID_IP) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise _invalid(field, text, VALID_IP)
        if address.ipv4_mapped:
            raise _invalid(field, text, "must not be an IPv4-mapped IPv6 address")
    if str(address) != text:
        raise _invalid(field, text, f'must be in canonical form ("{address}")')
    return address


def check_range(field: str, text: str) -> None:
    """A range of addresses such as "10.0.0.0/8". Raises `ObjectError`."""
    try:
        if "/" not in text:
            raise ValueError
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise _invalid(field, text, VALID_CIDR) from None


def check_endpoint_address(path: str, at: str, text: str, family: str) -> None:
    """An address that a slice of `family` may have: of that family, and one that a packet can be sent to."""
    field = f"{path}.{at}"
    address = check_address(field, text)
    if (address.version == 6) != (family == "IPv6"):
        raise _invalid(f"{path}.addresses", text, f"must be an {family} address")
    if address.is_unspecified:
        raise _invalid(field, text, f"may not be unspecified ({address})")
    if address.is_loopback:
        raise _invalid(field, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        raise _invalid(field, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address in ipaddress.ip_network("224.0.0.0/24" if address.version == 4 else "ff02::/16"):
        raise _invalid(field, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
