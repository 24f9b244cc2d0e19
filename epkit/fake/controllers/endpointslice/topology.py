"""Hints for ``topology-mode: Auto``: endpoints are shared out among zones by the CPUs of their nodes.

The idea: a zone with half of all CPUs sends half of the traffic, so half of the endpoints should be for it. Zones that
have too few of their own get some of other zones' endpoints. Where that cannot come out roughly right, there are no
hints at all.

Source: ``staging/src/k8s.io/endpointslice/topologycache``, Kubernetes v1.36.
"""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from epkit.fake.controllers.endpointslice.endpoints import ZONE_LABEL
from epkit.fake.controllers.endpointslice.quantity import milli_value
from epkit.fake.controllers.endpointslice.utils import SlicesByAction, endpoints_of
from epkit.objects import Obj, condition, labels_of

#: How much more than its share of the traffic an endpoint may get, before there are no hints.
OVERLOAD_THRESHOLD = 0.2

NO_ZONE = "One or more endpoints do not have a zone specified"
NO_HINTS = "No hints allocated for zones"
ENABLED = "Topology Aware Hints has been enabled"
DISABLED = "Topology Aware Hints has been disabled"
INSUFFICIENT_NODES = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
ONE_ZONE = "Nodes only ready in one zone"
TOO_FEW_ENDPOINTS = "Insufficient number of endpoints"
OVER_THRESHOLD = (
    "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
)

_EXCLUDED_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


class HintsEvent(NamedTuple):
    """An Event to be recorded on the Service."""

    type: str
    reason: str
    message: str


class Allocation(NamedTuple):
    """How many endpoints are to be for a zone."""

    minimum: int
    maximum: int
    desired: float


def enabled(address_type: str) -> HintsEvent:
    return HintsEvent("Normal", "TopologyAwareHintsEnabled", f"{ENABLED}, addressType: {address_type}")


def disabled(why: str, address_type: str) -> HintsEvent:
    return HintsEvent("Warning", "TopologyAwareHintsDisabled", f"{why}, addressType: {address_type}")


class TopologyCache:
    """The zones' shares of the cluster's CPUs, and how the hints of each Service are spread over the zones."""

    def __init__(self) -> None:
        #: zone -> its share of all CPUs; None if it is not known of every node
        self.cpu_ratios_by_zone: dict[str, float] | None = None
        self._hints_by_service: dict[str, dict[str, Mapping[str, int]]] = {}
        self._populated: set[str] = set()

    def set_nodes(self, nodes: Iterable[Obj]) -> None:
        """Work out the zones' shares anew. One ready node without zone or CPU spoils it for all."""
        cpu_by_zone: Counter[str] = Counter()
        self.cpu_ratios_by_zone = None
        for node in nodes:
            if any(label in labels_of(node) for label in _EXCLUDED_LABELS) or not is_node_ready(node):
                continue
            zone = labels_of(node).get(ZONE_LABEL)
            cpu = milli_value(((node.get("status") or {}).get("allocatable") or {}).get("cpu", 0))
            if not zone or not cpu:
                return
            cpu_by_zone[zone] += cpu
        if len(cpu_by_zone) >= 2:
            total = cpu_by_zone.total()
            self.cpu_ratios_by_zone = {zone: cpu / total for zone, cpu in sorted(cpu_by_zone.items())}

    def add_hints(self, service_key: str, address_type: str, slices: SlicesByAction) -> list[HintsEvent]:
        """Hint all ready endpoints of one address type, or none. Returns what is to be told about it.

        Slices that have the wrong hints are moved from the unchanged to those that will be updated.
        """

        def give_up(why: str) -> list[HintsEvent]:
            self.remove_hints(service_key, address_type)
            remove_hints_from_slices(slices)
            return [disabled(why, address_type)]

        everything = [*slices.to_create, *slices.to_update, *slices.unchanged]
        allocations, why = self.allocations(sum(_ready_endpoints(slice) for slice in everything))
        if allocations is None:
            return give_up(why)
        hints_by_zone = _keep_good_slices(slices, allocations)
        written = [*slices.to_create, *slices.to_update]

        # 1. Every endpoint is for its own zone, to begin with.
        for slice in written:
            endpoints = slice["endpoints"]
            for index, endpoint in enumerate(endpoints):
                if not endpoint_ready(endpoint):
                    continue
                zone = endpoint.get("zone")
                if not zone:
                    return give_up(NO_ZONE)
                hints_by_zone[zone] += 1
                endpoints[index] = _hinted(endpoint, zone)

        # 2. Which zones have endpoints to give, and which need some?
        giving, receiving = giving_and_receiving_zones(allocations, hints_by_zone)

        # 3. Hand them over.
        hints_by_zone.update(redistribute_hints(written, giving, receiving))

        if not hints_by_zone:
            return give_up(NO_HINTS)
        was_enabled = self.has_populated_hints(service_key)
        self.set_hints(service_key, address_type, hints_by_zone)
        return [] if was_enabled else [enabled(address_type)]

    def allocations(self, endpoints: int) -> tuple[dict[str, Allocation] | None, str]:
        """What each zone is to get of so many ready endpoints; or None, and why there can be no hints."""
        ratios = self.cpu_ratios_by_zone
        if ratios is None:
            return None, INSUFFICIENT_NODES
        if len(ratios) < 2:
            return None, ONE_ZONE
        count = f"({endpoints} endpoints, {len(ratios)} zones)"
        if len(ratios) > endpoints:
            return None, f"{TOO_FEW_ENDPOINTS} {count}"
        desired = {zone: ratio * endpoints for zone, ratio in ratios.items()}
        minimum = {zone: math.ceil(share * (1 / (1 + OVERLOAD_THRESHOLD))) for zone, share in desired.items()}
        spare = endpoints - sum(minimum.values())
        if spare < 0:
            return None, f"{OVER_THRESHOLD} {count}"
        return {
            zone: Allocation(minimum[zone], minimum[zone] + spare, max(desired[zone], minimum[zone])) for zone in ratios
        }, ""

    def overloaded_services(self) -> list[str]:
        """The Services whose hints leave some zone with too few endpoints, now that the nodes have changed."""
        return [
            service
            for service, by_address_type in self._hints_by_service.items()
            if any(self._overloaded(hints_by_zone) for hints_by_zone in by_address_type.values())
        ]

    def has_populated_hints(self, service_key: str) -> bool:
        return service_key in self._populated

    def set_hints(self, service_key: str, address_type: str, hints_by_zone: Mapping[str, int]) -> None:
        self._hints_by_service.setdefault(service_key, {})[address_type] = dict(hints_by_zone)
        self._populated.add(service_key)

    def remove_hints(self, service_key: str, address_type: str) -> None:
        by_address_type = self._hints_by_service.get(service_key, {})
        by_address_type.pop(address_type, None)
        if not by_address_type:
            self._hints_by_service.pop(service_key, None)
        self._populated.discard(service_key)

    def _overloaded(self, hints_by_zone: Mapping[str, int]) -> bool:
        if not hints_by_zone:
            return False
        if not self.cpu_ratios_by_zone:
            return True
        total = sum(hints_by_zone.values())
        return any(
            zone not in hints_by_zone
            or hints_by_zone[zone] < math.ceil(total * ratio * (1 / (1 + OVERLOAD_THRESHOLD)))
            for zone, ratio in self.cpu_ratios_by_zone.items()
        )


def remove_hints_from_slices(slices: SlicesByAction) -> None:
    """Take all hints off. Slices that had some are to be updated."""
    slices.update_where(lambda slice: any("hints" in endpoint for endpoint in endpoints_of(slice)))
    for slice in [*slices.to_create, *slices.to_update]:
        endpoints = slice["endpoints"]
        for index, endpoint in enumerate(endpoints):
            if "hints" in endpoint:
                endpoints[index] = {key: value for key, value in endpoint.items() if key != "hints"}


def giving_and_receiving_zones(
    allocations: Mapping[str, Allocation], hints_by_zone: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """How many endpoints each zone gives away, and how many each gets.

    The largest surplus is paired with the largest need, again and again, while both are at least half an endpoint and
    one of them is a whole one.
    """
    surplus = {zone: hints_by_zone.get(zone, 0) - each.desired for zone, each in allocations.items()}
    need = {zone: -number for zone, number in surplus.items()}
    giving: Counter[str] = Counter()
    receiving: Counter[str] = Counter()
    while True:
        giver, to_give = _most(surplus)
        receiver, to_receive = _most(need)
        if min(to_give, to_receive) < 0.5 or max(to_give, to_receive) < 1.0:
            return giving, receiving
        giving[giver] += 1
        surplus[giver] -= 1
        receiving[receiver] += 1
        need[receiver] -= 1


def redistribute_hints(slices: Iterable[Obj], giving: Mapping[str, int], receiving: Mapping[str, int]) -> Counter[str]:
    """Give ready endpoints of giving zones hints for receiving ones. Returns how many hints more or less a zone has."""
    to_give, to_receive = Counter(giving), Counter(receiving)
    changes: Counter[str] = Counter()
    for slice in slices:
        endpoints = slice["endpoints"]
        for index, endpoint in enumerate(endpoints):
            zone = endpoint.get("zone")
            if not endpoint_ready(endpoint) or not zone or to_give[zone] <= 0:
                continue
            receiver = next((zone for zone in sorted(to_receive) if to_receive[zone] > 0), None)
            if receiver is None:
                return changes
            endpoints[index] = _hinted(endpoint, receiver)
            to_give[zone] -= 1
            to_receive[receiver] -= 1
            changes[zone] -= 1
            changes[receiver] += 1
    return changes


def hints_of_slice(
    slice: Obj, hints_by_zone: Mapping[str, int], allocations: Mapping[str, Allocation]
) -> Counter[str] | None:
    """The number of a slice's hints by zone; None if it must be rewritten.

    That is so if a ready endpoint has no hint or one for a zone that wants none, or if its hints, together with
    `hints_by_zone`, give a zone so many that too few are left for the others.
    """
    counted: Counter[str] = Counter()
    for endpoint in endpoints_of(slice):
        if not endpoint_ready(endpoint):
            continue
        zones = [each["name"] for each in (endpoint.get("hints") or {}).get("forZones") or ()]
        if not zones or any(zone not in allocations for zone in zones):
            return None
        counted.update(zones)
    if any(number + hints_by_zone.get(zone, 0) > allocations[zone].maximum for zone, number in counted.items()):
        return None
    return counted


def endpoint_ready(endpoint: Obj) -> bool:
    """Whether it says so: here, unlike for consumers, no word means no."""
    return (endpoint.get("conditions") or {}).get("ready") is True


def is_node_ready(node: Obj) -> bool:
    ready = condition(node, "Ready")
    return ready is not None and ready.get("status") == "True"


def _keep_good_slices(slices: SlicesByAction, allocations: Mapping[str, Allocation]) -> Counter[str]:
    """Count the hints of unchanged slices; have those updated whose hints will not do."""
    hints_by_zone: Counter[str] = Counter()

    def is_bad(slice: Obj) -> bool:
        hints = hints_of_slice(slice, hints_by_zone, allocations)
        if hints is not None:
            hints_by_zone.update(hints)
        return hints is None

    slices.update_where(is_bad)
    return hints_by_zone


def _ready_endpoints(slice: Obj) -> int:
    return sum(endpoint_ready(endpoint) for endpoint in endpoints_of(slice))


def _hinted(endpoint: Obj, zone: str) -> Obj:
    return {**endpoint, "hints": {"forZones": [{"name": zone}]}}


def _most(zones: Mapping[str, float]) -> tuple[str, float]:
    return max(zones.items(), key=lambda item: item[1], default=("", 0.0))
