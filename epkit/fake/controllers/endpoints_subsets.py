"""Subsets of Endpoints: their canonical form, and how they are cut to a thousand addresses.

Endpoints repeat every address for every set of ports, so the same addresses can be written down in many ways. The
canonical form is the one in which equal Endpoints are equal texts.

Sources: ``pkg/api/v1/endpoints/util.go`` (``RepackSubsets``) and ``pkg/controller/endpoint/endpoints_controller.go``
(``truncateEndpoints``), Kubernetes v1.36.
"""
from __future__ import annotations

import math
from collections.abc import Iterable

from epkit.fake.controllers.endpointslice.hashes import dump_subset, fnv128a, sort_subset_ports
from epkit.objects import Obj

#: More addresses than this are never written into one Endpoints object.
MAX_CAPACITY = 1000

AddressKey = tuple[str, bool, str]  # what addresses are told apart and sorted by: IP, target or none, the target's uid
PortKey = tuple[str, int, str, str | None]

_NO_PORT: PortKey = ("", -1, "", None)


def repack_subsets(subsets: Iterable[Obj]) -> list[Obj]:
    """The same endpoints in canonical form.

    - Each address is ready or not ready, for a given port: not ready wins.
    - Ports with the same addresses share a subset.
    - Addresses are sorted as texts (10.2.0.10 before 10.2.0.2), ports and subsets by their hash.

    >>> repack_subsets([
    ...     {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "a", "port": 80, "protocol": "TCP"}]},
    ...     {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "b", "port": 81, "protocol": "TCP"}]},
    ... ])[0]["addresses"]
    [{'ip': '10.1.2.3'}]
    """
    addresses: dict[tuple[str, str], Obj] = {}
    ports: dict[PortKey, Obj] = {}
    ready_by_port: dict[PortKey, dict[tuple[str, str], bool]] = {}
    for subset in subsets:
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            continue
        keys = []
        for port in subset.get("ports") or ():
            key = (port.get("name", ""), port["port"], port.get("protocol", ""), port.get("appProtocol"))
            ports.setdefault(key, port)
            keys.append(key)
        for port_key in keys or [_NO_PORT]:
            readiness = ready_by_port.setdefault(port_key, {})
            for field, ready in (("addresses", True), ("notReadyAddresses", False)):
                for address in subset.get(field) or ():
                    identity = (address["ip"], (address.get("targetRef") or {}).get("uid", ""))
                    addresses.setdefault(identity, address)
                    readiness[identity] = ready and readiness.get(identity, True)

    # Ports whose addresses, and their readiness, are the same come together.
    ports_by_addresses: dict[frozenset[tuple[tuple[str, str], bool]], list[Obj]] = {}
    for port_key, readiness in ready_by_port.items():
        together = ports_by_addresses.setdefault(frozenset(readiness.items()), [])
        if port_key != _NO_PORT:
            together.append(ports[port_key])

    packed: list[Obj] = []
    for members, together in ports_by_addresses.items():
        subset = {}
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            chosen = [addresses[identity] for identity, is_ready in members if is_ready is ready]
            if chosen:
                subset[field] = sorted(chosen, key=_address_order)
        if together:
            subset["ports"] = sort_subset_ports(together)
        packed.append(subset)
    return packed if len(packed) < 2 else sorted(packed, key=_subset_order)


def truncate_subsets(subsets: list[Obj]) -> tuple[list[Obj], bool]:
    """At most a thousand addresses, and whether some had to go.

    Addresses that are not ready go first. Subsets share the places by their number of addresses, rounded up as long as
    there are any; in each the first addresses stay.
    """
    total_ready = sum(len(subset.get("addresses") or ()) for subset in subsets)
    total_not_ready = sum(len(subset.get("notReadyAddresses") or ()) for subset in subsets)
    if total_ready + total_not_ready <= MAX_CAPACITY:
        return subsets, False
    if total_ready > MAX_CAPACITY:
        field, places, total = "addresses", MAX_CAPACITY, total_ready
    else:
        field, places, total = "notReadyAddresses", MAX_CAPACITY - total_ready, total_not_ready
    left = places
    truncated = []
    for subset in subsets:
        listed = subset.get(field) or []
        kept = listed[: min(math.ceil(len(listed) / total * places), left)]
        left -= len(kept)
        gone = (field, "notReadyAddresses") if field == "addresses" else (field,)
        cut = {key: value for key, value in subset.items() if key not in gone}
        truncated.append({field: kept, **cut} if kept else cut)
    return truncated, True


def _address_order(address: Obj) -> AddressKey:
    target = address.get("targetRef")
    return address["ip"], target is not None, (target or {}).get("uid", "")


def _subset_order(subset: Obj) -> int:
    # Uids are chance, and so is the order of subsets with uids in them. There the ports alone must do: to hash
    # thousands of addresses after every change of one would be a high price for chance.
    listed = [*(subset.get("addresses") or ()), *(subset.get("notReadyAddresses") or ())]
    if any((address.get("targetRef") or {}).get("uid") for address in listed):
        subset = {"ports": subset.get("ports") or []}
    return fnv128a(dump_subset(subset))
