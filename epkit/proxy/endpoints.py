"""Endpoints as kube-proxy sees them: the EndpointsMap, merged from all EndpointSlices of a Service.

    EndpointSlice ──> EndpointSliceCache ──(at a sync)──> EndpointsMap

Three things happen on the way that surprise people: a slice belongs to the Service that its label
``kubernetes.io/service-name`` names, whoever made it; its port finds the Service's port by *name*; and an address that
stands in two slices counts once.

Source: pkg/proxy/endpointslicecache.go and pkg/proxy/endpointschangetracker.go of Kubernetes v1.36.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from epkit.objects import Obj, annotations_of, labels_of, name_of, namespace_of
from epkit.proxy.names import NamespacedName, ServicePortName, join_host_port

LABEL_SERVICE_NAME = "kubernetes.io/service-name"
LABEL_HEADLESS = "service.kubernetes.io/headless"
ANNOTATION_TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and port behind a service port, as one node sees it: `is_local` depends on the node.

    `node_name` is the node that the endpoint runs on, "" where the slice does not say.
    """

    ip: str
    port: int
    is_local: bool = False
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zone_hints: frozenset[str] = frozenset()
    node_hints: frozenset[str] = frozenset()
    node_name: str = ""

    def __str__(self) -> str:
        return join_host_port(self.ip, self.port)


@dataclass(frozen=True, slots=True)
class _SliceInfo:
    """What kube-proxy keeps of a slice. Two equal ones need no sync, so the order of the lists does not count."""

    ports: tuple[tuple[str, int, str], ...]
    endpoints: tuple[Endpoint, ...]  # with port 0; `is_local` is already decided


def _slice_info(endpoint_slice: Obj, node: str) -> _SliceInfo:
    ports = tuple(
        sorted(
            (
                (port.get("name") or "", int(port.get("port") or 0), port.get("protocol") or "TCP")
                for port in endpoint_slice.get("ports") or ()
            ),
            key=lambda port: (port[1], port[0]),
        )
    )
    endpoints = []
    for entry in endpoint_slice.get("endpoints") or ():
        addresses = entry.get("addresses") or ()
        if not addresses:
            continue
        conditions, hints = entry.get("conditions") or {}, entry.get("hints") or {}
        # Each condition may be absent. Absent means: ready, serving, not terminating.
        ready, serving = conditions.get("ready"), conditions.get("serving")
        endpoints.append(
            Endpoint(
                ip=str(ipaddress.ip_address(addresses[0])),  # the API allows more addresses; kube-proxy reads the first
                port=0,
                is_local=bool(node) and entry.get("nodeName") == node,
                node_name=entry.get("nodeName") or "",
                ready=True if ready is None else bool(ready),
                serving=True if serving is None else bool(serving),
                terminating=bool(conditions.get("terminating")),
                zone_hints=frozenset(zone["name"] for zone in hints.get("forZones") or ()),
                node_hints=frozenset(hint["name"] for hint in hints.get("forNodes") or ()),
            )
        )
    return _SliceInfo(ports, tuple(sorted(endpoints, key=lambda endpoint: endpoint.ip)))


EndpointsMap = dict[ServicePortName, tuple[Endpoint, ...]]


def merge_slices(service: NamespacedName, slices: Mapping[str, _SliceInfo]) -> EndpointsMap:
    """All endpoints of a Service by service port, each "ip:port" once, in string order of "ip:port".

    Where an address stands in two slices, one that is not terminating wins over one that is. Where both are alike, the
    last one wins; kube-proxy walks a Go map there, so *which* is undefined. Here slices are taken in order of their
    names, to give the same answer each time.
    """
    merged: dict[ServicePortName, dict[str, Endpoint]] = {}
    for slice_name in sorted(slices):
        info = slices[slice_name]
        for port_name, port, protocol in info.ports:
            if port == 0:
                continue  # "Ignoring invalid endpoint port": without a number it would mean all ports
            endpoints = merged.setdefault(ServicePortName(service, port_name, protocol), {})
            for entry in info.endpoints:
                text = join_host_port(entry.ip, port)
                if text not in endpoints or not entry.terminating:
                    endpoints[text] = replace(entry, port=port)
    return {name: tuple(found[text] for text in sorted(found)) for name, found in merged.items() if found}


@dataclass(slots=True)
class _SliceTracker:
    applied: dict[str, _SliceInfo] = field(default_factory=dict)
    pending: dict[str, _SliceInfo | None] = field(default_factory=dict)  # None: the slice is gone


@dataclass(frozen=True, slots=True)
class EndpointsUpdate:
    """What `EndpointsChangeTracker.apply` did: the Services that changed, whether a UDP one is among them, and when the
    changes were triggered (the annotation that the EndpointSlice controller sets, to measure the way to here)."""

    services: frozenset[NamespacedName]
    conntrack_cleanup: bool
    trigger_times: tuple[str, ...]


@dataclass(slots=True)
class EndpointsChangeTracker:
    """Keeps all slices of one address family (the EndpointSliceCache) and what changed since the last sync.

    The slices of a Service are kept apart by name, because an endpoint may move from one to another: only merging all
    of them tells whether it is gone.
    """

    family: str
    node: str
    slices: dict[NamespacedName, _SliceTracker] = field(default_factory=dict)
    trigger_times: dict[NamespacedName, list[str]] = field(default_factory=dict)

    def update(self, endpoint_slice: Obj, *, removed: bool = False) -> bool:
        """Note that a slice was added, updated or removed. Is a sync needed?

        Slices of the other family, of type FQDN and without a Service's name are passed over, and so are those that the
        watch of kube-proxy does not show it: the ones with the label ``service.kubernetes.io/headless``.
        """
        labels = labels_of(endpoint_slice)
        name = labels.get(LABEL_SERVICE_NAME)
        if not name or endpoint_slice.get("addressType") != self.family:
            return False
        # An update that adds the label looks like a delete to a watch with a selector.
        removed = removed or LABEL_HEADLESS in labels
        service = NamespacedName(namespace_of(endpoint_slice), name)
        info = None if removed else _slice_info(endpoint_slice, self.node)
        tracker = self.slices.setdefault(service, _SliceTracker())
        slice_name = name_of(endpoint_slice)
        known = tracker.pending[slice_name] if slice_name in tracker.pending else tracker.applied.get(slice_name)
        if info == known:
            return False
        tracker.pending[slice_name] = info
        trigger_time = annotations_of(endpoint_slice).get(ANNOTATION_TRIGGER_TIME)
        if removed:
            self.trigger_times.pop(service, None)
        elif trigger_time:
            self.trigger_times.setdefault(service, []).append(trigger_time)
        return True

    def apply(self, endpoints_map: EndpointsMap) -> EndpointsUpdate:
        """Bring `endpoints_map` up to date and mark the pending slices as applied."""
        updated, udp = set(), False
        for service, tracker in self.slices.items():
            if not tracker.pending:
                continue
            previous = merge_slices(service, tracker.applied)
            for name, info in tracker.pending.items():
                if info is None:
                    tracker.applied.pop(name, None)
                else:
                    tracker.applied[name] = info
            tracker.pending.clear()
            current = merge_slices(service, tracker.applied)
            for port_name in previous:
                endpoints_map.pop(port_name, None)
            endpoints_map.update(current)
            updated.add(service)
            udp = udp or any(port_name.protocol == "UDP" for port_name in (*previous, *current))
        for service in updated:
            if not self.slices[service].applied:
                del self.slices[service]
        times = tuple(time for found in self.trigger_times.values() for time in found)
        self.trigger_times.clear()
        return EndpointsUpdate(frozenset(updated), udp, times)


def local_ready_endpoints(endpoints_map: Mapping[ServicePortName, Iterable[Endpoint]]) -> dict[NamespacedName, int]:
    """How many *ready* addresses on this node each Service has: what the health check of a load balancer is told.

    An address counts once, whatever number of ports it has. Terminating endpoints do not count, although they may still
    get traffic: the load balancer is to stop sending new connections here.
    """
    ips: dict[NamespacedName, set[str]] = {}
    for name, endpoints in endpoints_map.items():
        for endpoint in endpoints:
            if endpoint.ready and endpoint.is_local:
                ips.setdefault(name.service, set()).add(endpoint.ip)
    return {service: len(found) for service, found in ips.items()}
