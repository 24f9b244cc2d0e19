"""The topology of a Service: its slices, their endpoints, the pods behind them, on nodes in zones.

What is read is in this file, and what it comes to in words; :mod:`epkit.views.topology_dot` draws it.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from epkit.errors import ApiError
from epkit.objects import Obj, labels_of, name_of, namespace_of, uid_of
from epkit.selectors import of_map
from epkit.views import palette
from epkit.views.diagram import Diagram
from epkit.views.lookup import SERVICE_NAME, find_service
from epkit.views.near import near_miss
from epkit.views.text import clean, count, listing

if TYPE_CHECKING:
    from epkit.cluster import Cluster
    from epkit.story import Past

#: Beyond this many endpoints a slice is drawn as counts.
MOST_ROWS = 12
#: Beyond this many endpoints altogether, or slices, everything is drawn in groups.
MOST_ENDPOINTS = 60
MOST_SLICES = 12
#: So many pods beside the slices are drawn or named; of the others there is a count.
MOST_ASIDE = 8
ZONE = "topology.kubernetes.io/zone"


@dataclass
class Topology:
    """What there is to draw, read once.

    `services`: all of the namespace. `zones`: the zone of each node. `refused`: what the API server would not show.
    """

    service: Obj
    slices: list[Obj]
    pods: dict[str, Obj]
    zones: dict[str, str] = field(default_factory=dict)
    services: list[Obj] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @cached_property
    def endpoints(self) -> list[Obj]:
        return [endpoint for one in self.slices for endpoint in one.get("endpoints") or ()]

    @property
    def grouped(self) -> bool:
        """Are there too many endpoints to draw each?"""
        return len(self.endpoints) > MOST_ENDPOINTS or len(self.slices) > MOST_SLICES

    def pod_of(self, endpoint: Obj) -> Obj | None:
        reference = endpoint.get("targetRef") or {}
        return self.pods.get(reference.get("name", "")) if reference.get("kind") == "Pod" else None

    def gone(self, endpoint: Obj) -> str:
        """The name of the pod that an endpoint refers to and that is not there; "" for every other endpoint."""
        reference = endpoint.get("targetRef") or {}
        name, uid = reference.get("name", ""), reference.get("uid")
        if reference.get("kind") != "Pod" or "pods" in self.refused:
            return ""
        pod = self.pods.get(name)
        return name if pod is None or (uid and uid_of(pod) != uid) else ""

    def place_of(self, endpoint: Obj) -> tuple[str, str]:
        """The zone and the node of an endpoint; "" for what is not known."""
        pod = self.pod_of(endpoint)
        node = endpoint.get("nodeName") or ((pod or {}).get("spec") or {}).get("nodeName", "")
        return endpoint.get("zone") or self.zones.get(node, ""), node

    @cached_property
    def listed(self) -> set[str]:
        """The names of the pods that slices list."""
        return {(endpoint.get("targetRef") or {}).get("name", "") for endpoint in self.endpoints}

    @cached_property
    def left_out(self) -> list[Obj]:
        """Pods that the selector matches and no slice lists."""
        matches = of_map((self.service.get("spec") or {}).get("selector") or None)
        return [pod for name, pod in sorted(self.pods.items()) if name not in self.listed and matches(labels_of(pod))]

    @cached_property
    def near_misses(self) -> dict[str, str]:
        """Pods whose labels almost match, with the reason. A pod that another Service selects is meant as it is."""
        selector = (self.service.get("spec") or {}).get("selector") or {}
        others = [
            of_map(one["spec"]["selector"]) for one in self.services
            if (one.get("spec") or {}).get("selector") and name_of(one) != name_of(self.service)
        ]
        found = {}
        for name, pod in sorted(self.pods.items()):
            labels = labels_of(pod)
            reasons = near_miss(selector, labels)
            over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            if reasons and not over and name not in self.listed and not any(matches(labels) for matches in others):
                found[name] = " and ".join(reasons)
        return found


def read(cluster: Cluster | Past, what: str) -> Topology:
    """Read what belongs to a Service.

    Raises:
        EpkitError: there is no such Service; the text names the nearest ones.
    """
    service = find_service(cluster, what)
    namespace, name = namespace_of(service), name_of(service)
    refused: list[str] = []

    def everything(resource: str, namespace: str | None) -> list[Obj]:
        try:
            return cluster.client.list(resource, namespace).items
        except ApiError as error:
            if error.code != 403:
                raise
            refused.append(resource)
            return []

    slices = cluster.client.list("endpointslices", namespace, labels=f"{SERVICE_NAME}={name}").items
    pods = {name_of(pod): pod for pod in everything("pods", namespace)}
    zones = {name_of(node): labels_of(node).get(ZONE, "") for node in everything("nodes", None)}
    return Topology(service, slices, pods, zones, everything("services", namespace), refused)


def of_service(cluster: Cluster | Past, what: str) -> Diagram:
    """The picture of a Service, given as ``svc/web``, ``service/web`` or ``web``, with a namespace as ``demo/svc/web``.

    Raises:
        EpkitError: there is no such Service; the text names the nearest ones.
    """
    from epkit.views.topology_dot import dot

    topology = read(cluster, what)
    return Diagram(describe(topology), dot(topology))


def describe(topology: Topology) -> str:
    """The picture in one sentence; in a few, where something about it needs saying."""
    service, slices, endpoints = topology.service, topology.slices, topology.endpoints
    spec = service.get("spec") or {}
    address = spec.get("clusterIP") or spec.get("externalName") or "no address"
    subject = f"Service {clean(name_of(service))} ({'headless' if address == 'None' else clean(address)})"
    if slices:
        ready = looks_of(endpoints)[palette.READY]
        parts = _groups_in_words(topology) if topology.grouped else [_slice_in_words(topology, one) for one in slices]
        has = f"{count(len(slices), 'slice')}, {ready:,} of {len(endpoints):,} endpoints ready"
        text = f"{subject} has {has}: {'; '.join(parts)}"
    else:
        text = f"{subject} has no slices"
    if topology.left_out:
        text += f"; not in a slice: {listing([clean(name_of(pod)) for pod in topology.left_out], MOST_ASIDE)}"
    if topology.near_misses:
        misses = [f"{clean(name)} ({clean(why)})" for name, why in topology.near_misses.items()]
        text += f"; almost selected: {listing(misses, MOST_ASIDE)}"
    text += "."
    if topology.grouped:
        text += " There are too many to draw each: the picture counts them."
    if topology.refused:
        text += f" You may not list {' and '.join(topology.refused)}: what depends on them is missing here."
    return text


def looks_of(endpoints: Iterable[Obj]) -> Counter[palette.Look]:
    """How many endpoints are in which state, in the order of :data:`palette.LOOKS`."""
    found = Counter(palette.of_endpoint(endpoint) for endpoint in endpoints)
    return Counter({look: found[look] for look in palette.LOOKS.values() if found[look]})


def slices_alike(slices: Iterable[Obj]) -> dict[tuple[str, str], list[Obj]]:
    """Slices by their address type and ports."""
    groups: dict[tuple[str, str], list[Obj]] = {}
    for one in slices:
        groups.setdefault((one["addressType"], ports_of(one)), []).append(one)
    return groups


def in_order(one: Obj) -> list[Obj]:
    """The endpoints of a slice by their addresses."""
    return sorted(one.get("endpoints") or (), key=lambda endpoint: [_numeric(each) for each in endpoint["addresses"]])


def ports_of(one: Obj) -> str:
    """The ports of a slice, such as ``80/TCP, 53/UDP``, or ``unset``."""
    shown = (f"{port.get('port') or '*'}/{port.get('protocol') or 'TCP'}" for port in one.get("ports") or ())
    return clean(", ".join(shown)) or "unset"


def _slice_in_words(topology: Topology, one: Obj) -> str:
    return f"{clean(name_of(one))} ({one['addressType']}, {ports_of(one)}) with {_endpoints_in_words(topology, one)}"


def _endpoints_in_words(topology: Topology, one: Obj) -> str:
    endpoints = in_order(one)
    if not endpoints:
        return "no endpoints"
    if len(endpoints) > MOST_ROWS:
        return f"{len(endpoints)} endpoints ({_counts_in_words(endpoints)})"
    words = []
    for endpoint in endpoints:
        zone, node = topology.place_of(endpoint)
        pod, gone = topology.pod_of(endpoint), topology.gone(endpoint)
        where = f" in pod {gone} (gone)" if gone else f" in pod {name_of(pod)}" if pod else ""
        where += "".join((f" on {node}" if node else "", f" in {zone}" if zone else ""))
        words.append(clean(f"{', '.join(endpoint['addresses'])} {palette.of_endpoint(endpoint).word}{where}"))
    return ", ".join(words)


def _groups_in_words(topology: Topology) -> list[str]:
    parts = []
    for (kind, ports), slices in slices_alike(topology.slices).items():
        endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or ()]
        text = f"{count(len(slices), 'slice')} ({kind}, {ports}) with {count(len(endpoints), 'endpoint')}"
        parts.append(text + (f" ({_counts_in_words(endpoints)})" if endpoints else ""))
    zones = Counter(topology.place_of(endpoint)[0] for endpoint in topology.endpoints)
    where = [f"{number:,} in {clean(zone) or 'no zone'}" for zone, number in sorted(zones.items())]
    return [*parts, listing(where, MOST_ASIDE)] if where else parts


def _counts_in_words(endpoints: Iterable[Obj]) -> str:
    return ", ".join(f"{number:,} {look.word}" for look, number in looks_of(endpoints).items())


def _numeric(address: str) -> tuple[int, tuple[int, ...], str]:
    parts = address.split(".")
    if all(part.isascii() and part.isdigit() for part in parts):
        return 0, tuple(map(int, parts)), ""
    return 1, (), address
