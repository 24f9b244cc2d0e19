"""Scale: what a change of endpoints costs in bytes and in writes, with Endpoints and with slices.

Every change of one endpoint makes the API server send the whole object that holds it to everybody who watches: to
kube-proxy on each node. An Endpoints object holds all addresses of a Service, a slice at most a hundred. That is why
slices were made (KEP-0752).
"""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epkit.errors import EpkitError
from epkit.objects import Obj, name_of, namespace_of
from epkit.views import palette
from epkit.views.chart import Axis, Curve, draw
from epkit.views.diagram import Diagram
from epkit.views.lookup import SERVICE_NAME, find_service
from epkit.views.text import clean, count, size_in_bytes

if TYPE_CHECKING:
    from epkit.cluster import Cluster
    from epkit.story import Past

#: kube-controller-manager's ``--max-endpoints-per-slice``
PLACES = 100
#: Endpoints hold no more addresses than this, since v1.22 (``maxCapacity`` in pkg/controller/endpoint).
MOST_ADDRESSES = 1000
#: Writes for each pod that a rolling update replaces, counted on Kubernetes v1.36.2.
WRITES_OF_ENDPOINTS, WRITES_OF_SLICES = 2, 3
ENDPOINTS = (10, 50, 100, 500, 1000, 5000, 10_000)
NODES = (100, 5000)


@dataclass(frozen=True)
class Sizes:
    """How large objects are on the wire, in bytes.

    Attributes:
        name: the encoding, with where its numbers are from.
        of_endpoints: the size of an Endpoints object with so many addresses.
        of_slice: the size of a slice with so many endpoints.
    """

    name: str
    of_endpoints: Callable[[int], float]
    of_slice: Callable[[int], float]


#: What kube-proxy asks for. Realistic pods, with targetRef, nodeName and zone.
PROTOBUF = Sizes(
    "protobuf, 84 B an address of Endpoints and 106 B an endpoint of a slice, as measured on Kubernetes v1.36.2",
    lambda number: 84.0 * number, lambda number: 106.0 * number,
)  # fmt: skip


def compact_json(obj: Any) -> bytes:
    """An object as the API server writes it for whoever asks for JSON."""
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode()


def of_objects(endpoints: Obj, one_slice: Obj, encode: Callable[[Obj], bytes] = compact_json, name: str = "") -> Sizes:
    """Sizes measured here, on an Endpoints object and a slice: their first endpoint is repeated and encoded.

    >>> sizes = of_objects(client.get("endpoints", "web", "default"), client.list("endpointslices", "default").items[0])
    >>> sizes.of_slice(100)

    Raises:
        EpkitError: one of them has no endpoint to repeat.
    """
    subsets, entries = endpoints.get("subsets") or [], one_slice.get("endpoints") or []
    key = next((key for key in ("addresses", "notReadyAddresses") if subsets and subsets[0].get(key)), "")
    if not key or not entries:
        raise EpkitError("There is no endpoint to measure. Give objects with at least one: those of a ready pod.")

    def of_endpoints(number: int) -> float:
        return len(encode({**endpoints, "subsets": [{**subsets[0], key: subsets[0][key][:1] * number}]}))

    def of_slice(number: int) -> float:
        return len(encode({**one_slice, "endpoints": entries[:1] * number}))

    return Sizes(name or "JSON, encoded here", of_endpoints, of_slice)


def of_service(cluster: Cluster | Past, what: str) -> Sizes:
    """Sizes in JSON, measured on the objects of a Service.

    Raises:
        EpkitError: there is no such Service, or it has no endpoint.
    """
    service = find_service(cluster, what)
    name, namespace = name_of(service), namespace_of(service)
    slices = cluster.client.list("endpointslices", namespace, labels=f"{SERVICE_NAME}={name}").items
    endpoints = cluster.client.find("endpoints", name, namespace) or {}
    fullest = max(slices, key=lambda one: len(one.get("endpoints") or ()), default={})
    return of_objects(endpoints, fullest, name=f"JSON, measured on the objects of svc/{clean(name)}")


def one_change(
    sizes: Sizes = PROTOBUF, *, endpoints: Sequence[int] = ENDPOINTS, nodes: Sequence[int] = NODES,
    places: int = PLACES, most_addresses: int | None = MOST_ADDRESSES,
) -> Diagram:
    """Bytes that the API server sends to all nodes when one endpoint of a Service changes.

    `most_addresses` None draws Endpoints as they would be if nothing were cut off, as before v1.22.
    """
    _check(endpoints, nodes, places)

    def row(number: int, watchers: int) -> tuple[float, float]:
        kept = number if most_addresses is None else min(number, most_addresses)
        return sizes.of_endpoints(kept) * watchers, sizes.of_slice(min(number, places)) * watchers

    limit = "" if most_addresses is None else f" Endpoints keep {most_addresses:,} addresses at most."
    head = f"Bytes sent to all nodes when one endpoint changes ({sizes.name}).{limit}"
    return _by_endpoints(head, "bytes sent", size_in_bytes, endpoints, nodes, places, row)


def rolling_update(
    sizes: Sizes = PROTOBUF, *, endpoints: Sequence[int] = ENDPOINTS, nodes: Sequence[int] = NODES,
    places: int = PLACES,
) -> Diagram:
    """Bytes that the API server sends to all nodes while a rolling update replaces every pod of a Service."""
    _check(endpoints, nodes, places)

    def row(number: int, watchers: int) -> tuple[float, float]:
        old = WRITES_OF_ENDPOINTS * number * sizes.of_endpoints(min(number, MOST_ADDRESSES)) * watchers
        return old, WRITES_OF_SLICES * number * sizes.of_slice(min(number, places)) * watchers

    head = (
        f"Bytes sent to all nodes while every pod is replaced ({sizes.name}; {WRITES_OF_ENDPOINTS} writes of Endpoints "
        f"and {WRITES_OF_SLICES} of slices for each pod). Endpoints keep {MOST_ADDRESSES:,} addresses at most."
    )
    return _by_endpoints(head, "bytes sent", size_in_bytes, endpoints, nodes, places, row)


def writes(*, endpoints: Sequence[int] = ENDPOINTS, places: int = PLACES) -> Diagram:
    """Writes of Endpoints and of slices: when all endpoints of a Service appear at once, and when all are replaced."""
    _check(endpoints, (1,), places)
    rows = [
        (number, 1, -(-number // places), WRITES_OF_ENDPOINTS * number, WRITES_OF_SLICES * number)
        for number in sorted(endpoints)
    ]
    names = ("Endpoints, all at once", "slices, all at once", "Endpoints, replaced", "slices, replaced")
    looks = zip(names, (palette.ORANGE, palette.BLUE) * 2, ("dashed", "solid") * 2,
                ("square", "circle", "diamond", "triangle"), strict=True)  # fmt: skip
    curves = [
        Curve(name, [(row[0], row[place]) for row in rows], colour, style, marker)
        for place, (name, colour, style, marker) in enumerate(looks, 1)
    ]
    table = [["ENDPOINTS", *(name.upper() for name in names)], *([f"{cell:,}" for cell in row] for row in rows)]
    head = f"Writes when all endpoints of a Service appear at once, and when every pod is replaced; {places} a slice."
    picture = draw(curves, Axis("endpoints", _whole), Axis("writes", _whole), table)
    return Diagram(f"{head}\n{_table(table)}", svg=picture)


def slice_size(
    sizes: Sizes = PROTOBUF, *, endpoints: int = 1000, nodes: int = 500, places: Sequence[int] = (1, 10, 100, 1000)
) -> Diagram:
    """Why a hundred: how many slices there are, and what one change sends, for slices of several sizes."""
    _check((endpoints,), (nodes,), min(places, default=0))
    rows = [(size, -(-endpoints // size), sizes.of_slice(min(size, endpoints)) * nodes) for size in sorted(places)]
    curves = [
        Curve("slices", [(size, number) for size, number, _ in rows], palette.BLUE, "solid", "circle"),
        Curve("bytes sent", [(size, sent) for size, _, sent in rows], palette.ORANGE, "dashed", "square"),
    ]
    table = [["PLACES A SLICE", "SLICES", "ONE CHANGE SENDS"]]
    table += ([f"{size:,}", f"{number:,}", size_in_bytes(sent)] for size, number, sent in rows)
    of_whom = f"{count(endpoints, 'endpoint')} on {count(nodes, 'node')}"
    head = f"Slices of several sizes for {of_whom}: how many, and what one change sends ({sizes.name})."
    picture = draw(curves, Axis("places a slice", _whole), Axis("slices; bytes sent", _short), table)
    return Diagram(f"{head}\n{_table(table)}", svg=picture)


def _ratio(number: float) -> str:
    """Two digits, and no exponent where there are more."""
    return f"{number:.2g}" if number < 99.5 else f"{number:,.0f}"


def _by_endpoints(
    head: str, what: str, write: Callable[[float], str], endpoints: Sequence[int], nodes: Sequence[int], places: int,
    row: Callable[[int, int], tuple[float, float]],
) -> Diagram:
    """A chart and a table of Endpoints against slices: over the number of endpoints, for each number of nodes."""
    endpoints = sorted(endpoints)
    curves, rows = [], []
    markers = (("square", "circle"), ("diamond", "triangle"))
    for place, number_of_nodes in enumerate(sorted(nodes)):
        numbers = [(number, *row(number, number_of_nodes)) for number in endpoints]
        where = count(number_of_nodes, "node")
        square, circle = markers[place % 2]
        old, new = [(x, y) for x, y, _ in numbers], [(x, y) for x, _, y in numbers]
        curves += [
            Curve(f"Endpoints, {where}", old, palette.ORANGE, "dashed", square),
            Curve(f"slices, {where}", new, palette.BLUE, "solid", circle),
        ]
        rows += [
            [f"{number:,}", f"{number_of_nodes:,}", write(with_old), write(with_new), _ratio(with_old / with_new)]
            for number, with_old, with_new in numbers
        ]
    table = [["ENDPOINTS", "NODES", "WITH ENDPOINTS", f"WITH SLICES OF {places}", "RATIO"], *rows]
    picture = draw(curves, Axis("endpoints", _whole), Axis(what, write), table)
    return Diagram(f"{head}\n{_table(table)}", svg=picture)


def _check(endpoints: Sequence[int], nodes: Sequence[int], places: int) -> None:
    if not endpoints or not nodes or min(*endpoints, *nodes, places) < 1:
        raise EpkitError("A scale curve needs numbers of endpoints, nodes and places of 1 or more.")


def _table(table: list[list[str]]) -> str:
    """Columns as kubectl prints them."""
    widths = [max(len(line[place]) for line in table) for place in range(len(table[0]))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
    return "\n".join(line.rstrip() for line in lines)


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def _short(number: float) -> str:
    """1,000, or 10 million: the axis of two things has no unit."""
    for size, word in ((1e9, " billion"), (1e6, " million")):
        if number >= size:
            return f"{number / size:.0f}{word}"
    return f"{number:,.0f}"
