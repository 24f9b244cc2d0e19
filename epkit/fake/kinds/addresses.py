"""IP addresses, CIDRs and domain names as Kubernetes v1.36 judges them.

Source: ``k8s.io/apimachinery/pkg/util/validation/ip.go`` (with ``StrictIPCIDRValidation``, on since v1.36) and
``ValidateEndpointIP`` of ``pkg/apis/core/validation``.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from epkit.fake.kinds.names import Faults, dns_label, dns_subdomain

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_is_dotted = re.compile(r"\d{1,3}(\.\d{1,3}){3}").fullmatch


@lru_cache(maxsize=16384)
def parse(value: str) -> Address | None:
    """The address, read as leniently as Go's ``ParseIPSloppy``: IPv4 numbers may have leading zeros.

    An IPv4-mapped IPv6 address counts as IPv4, as in Go.
    """
    if _is_dotted(value):
        numbers = [int(part) for part in value.split(".")]
        return ipaddress.IPv4Address(bytes(numbers)) if max(numbers) < 256 else None
    if "%" in value:
        return None
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return None
    return address.ipv4_mapped or address


def family(value: str) -> str:
    """``IPv4``, ``IPv6``, or an empty string for what is no address."""
    address = parse(value)
    return "" if address is None else f"IPv{address.version}"


@lru_cache(maxsize=16384)
def ip(value: str) -> Faults:
    """Faults of an address in a field that once accepted more (``IsValidIPForLegacyField``)."""
    address = parse(value)
    if address is None:
        return (NOT_AN_IP,)
    if address.version == 4:
        if ":" in value:
            return ("must not be an IPv4-mapped IPv6 address",)
        if str(address) != value:
            return ("must not have leading 0s",)
    return ()


@lru_cache(maxsize=16384)
def canonical_ip(value: str) -> Faults:
    """Faults of an address in a newer field, which must also be written in its canonical form (``IsValidIP``)."""
    faults = ip(value)
    if faults:
        return faults
    text = str(parse(value))
    return () if text == value else (f'must be in canonical form ("{text}")',)


@lru_cache(maxsize=16384)
def endpoint_ip(value: str) -> Faults:
    """Faults of an address as an endpoint: loopback, link-local and the like cannot be one."""
    address = parse(value)
    if address is None:
        return ("must be a valid IP address",)
    faults = []
    if address.is_unspecified:
        faults.append(f"may not be unspecified ({value})")
    if address.is_loopback:
        faults.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        faults.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    packed = address.packed
    if packed[:3] == b"\xe0\x00\x00" if address.version == 4 else packed[0] == 0xFF and packed[1] & 0x0F == 2:
        faults.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return tuple(faults)


@lru_cache(maxsize=1024)
def cidr(value: str) -> Faults:
    """Faults of a CIDR such as 10.9.8.0/24 (``IsValidCIDRForLegacyField``)."""
    text, slash, bits = value.partition("/")
    address = parse(text)
    if address is None or not slash or not bits.isdecimal() or int(bits) > (32 if ":" not in text else 128):
        return (NOT_A_CIDR,)
    if ":" in text and address.version == 4:
        return ("must not have an IPv4-mapped IPv6 address",)
    if address.version == 4 and str(address) != text or bits != str(int(bits)):
        return ("must not have leading 0s in IP or prefix length",)
    network = ipaddress.ip_network(f"{text}/{bits}", strict=False)
    if network.network_address != address:
        return ("must not have bits set beyond the prefix length",)
    return ()


@lru_cache(maxsize=4096)
def fqdn(value: str) -> Faults:
    """Faults of a fully qualified domain name of at least two labels; a dot may end it."""
    name = value.removesuffix(".")
    if dns_subdomain(name):
        return (",".join(dns_subdomain(name)),)
    if "." not in name:
        return ("should be a domain with at least two segments separated by dots",)
    for label in name.split("."):
        if dns_label(label):
            return (",".join(dns_label(label)),)
    return ()


def warnings(value: str, path: str) -> list[str]:
    """What to say of an address that is accepted but written unusually (``GetWarningsForIP``)."""
    address = parse(value)
    if address is None or str(address) == value:
        return []
    if address.version == 4:
        text = "non-standard IP address"
        return [f'{path}: {text} "{value}" will be considered invalid in a future Kubernetes release: use "{address}"']
    return [f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")']
