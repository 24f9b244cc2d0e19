"""Go's hash of an object, as far as it can be seen: it decides the order of ports in slices and in subsets.

Kubernetes sorts ports by a hash of what the library spew prints of the Go struct. The order looks like chance and is
not: the same ports always come in the same order. So the same text is built here and hashed the same way.

Sources: ``DeepHashObject`` in ``pkg/util/hash/hash.go``, ``portsInOrder`` in
``staging/src/k8s.io/endpointslice/util/controller_utils.go``, ``portsByHash`` in ``pkg/api/v1/endpoints/util.go``.
"""
from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from epkit.objects import Obj

_OFFSET = 0x6C62272E07BB014262B821756295C58D
_PRIME = 0x0000000001000000000000000000013B
_MASK = (1 << 128) - 1


def fnv128a(text: str) -> int:
    """The 128-bit FNV-1a hash (Go's ``hash/fnv``).

    >>> f"{fnv128a('a'):032x}"
    'd228cb696f1a8caf78912b704e4a8964'
    """
    value = _OFFSET
    for byte in text.encode():
        value = ((value ^ byte) * _PRIME) & _MASK
    return value


def sort_slice_ports(ports: Iterable[Obj]) -> list[Obj]:
    """The ports of an EndpointSlice in the controller's order."""
    return sorted(ports, key=_slice_port_hash)


def sort_subset_ports(ports: Iterable[Obj]) -> list[Obj]:
    """The ports of an Endpoints subset in the controller's order, which is another one."""
    return sorted(ports, key=lambda port: _hash(f"(v1.EndpointPort){dump_subset_port(port)}"))


def dump_subset_port(port: Obj) -> str:
    """spew's text of a ``v1.EndpointPort`` of core/v1, without its type."""
    return (
        f"{{Name:(string){port.get('name', '')} Port:(int32){port['port']} "
        f"Protocol:(v1.Protocol){port.get('protocol', '')} AppProtocol:{_pointer('string', port.get('appProtocol'))}}}"
    )


def _slice_port_hash(port: Obj) -> int:
    return _hash(
        f"(v1.EndpointPort){{Name:{_pointer('string', port.get('name'))} "
        f"Protocol:{_pointer('v1.Protocol', port.get('protocol'))} Port:{_pointer('int32', port.get('port'))} "
        f"AppProtocol:{_pointer('string', port.get('appProtocol'))}}}"
    )


def _pointer(type: str, value: Any) -> str:
    return f"(*{type}){'<nil>' if value is None else value}"


@lru_cache(maxsize=4096)
def _hash(text: str) -> int:
    return fnv128a(text)
