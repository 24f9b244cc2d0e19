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
    return sorted(ports, key=lambda port: _hash(f"(v1.EndpointPort){_dump_subset_port(port)}"))


def dump_subset(subset: Obj) -> str:
    """spew's text of a ``v1.EndpointSubset``, the hash of which orders subsets."""
    return (
        f"(v1.EndpointSubset){{Addresses:{_list('EndpointAddress', map(_dump_address, subset.get('addresses') or ()))} "
        f"NotReadyAddresses:{_list('EndpointAddress', map(_dump_address, subset.get('notReadyAddresses') or ()))} "
        f"Ports:{_list('EndpointPort', map(_dump_subset_port, subset.get('ports') or ()))}}}"
    )


def _dump_address(address: Obj) -> str:
    target = address.get("targetRef")
    if target is not None:
        fields = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        names = ("Kind", "Namespace", "Name", "UID", "APIVersion", "ResourceVersion", "FieldPath")
        target = "{" + " ".join(
            f"{name}:({'types.UID' if name == 'UID' else 'string'}){target.get(field, '')}"
            for name, field in zip(names, fields, strict=True)
        ) + "}"
    return (
        f"{{IP:(string){address['ip']} Hostname:(string){address.get('hostname', '')} "
        f"NodeName:{_pointer('string', address.get('nodeName'))} TargetRef:{_pointer('v1.ObjectReference', target)}}}"
    )


def _dump_subset_port(port: Obj) -> str:
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


def _list(type: str, items: Iterable[str]) -> str:
    listed = " ".join(items)
    return f"([]v1.{type}){f'[{listed}]' if listed else '<nil>'}"


@lru_cache(maxsize=4096)
def _hash(text: str) -> int:
    return fnv128a(text)
