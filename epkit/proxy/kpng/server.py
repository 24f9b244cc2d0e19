"""The central process: one global model, and a choice for every node that listens.

Source: server/jobs/kube2store, store2diff and store2localdiff of kubernetes-retired/kpng.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace

from epkit.objects import Obj, name_of, namespace_of
from epkit.proxy.backend import LocalServicePort, local_service_port
from epkit.proxy.endpoints import Endpoint, EndpointsChangeTracker, EndpointsMap
from epkit.proxy.kpng.diffstore import DiffStore, Item, Sync, Value
from epkit.proxy.names import NamespacedName, ServicePortName
from epkit.proxy.node import NodeView, find_node, node_view
from epkit.proxy.services import ServiceChangeTracker, ServiceMap
from epkit.proxy.validate import check_objects


class Server:
    """Watches the API for all nodes, in one address family.

    It has the same trackers and maps as a kube-proxy, but once, not once a node; and no node is "its own", so whether
    an endpoint is local is decided when a node's share is made.
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self.service_map: ServiceMap = {}
        self.endpoints_map: EndpointsMap = {}
        self._service_changes = ServiceChangeTracker(family)
        self._endpoints_changes = EndpointsChangeTracker(family, node="")
        self._objects: dict[tuple[str, str, str], Obj] = {}
        self._watches: list[Watch] = []

    def update(self, objects: Iterable[Obj]) -> None:
        """Take `objects` for the whole state of the cluster. Raises `ObjectError` for what Kubernetes would refuse."""
        found = {(o["kind"], namespace_of(o), name_of(o)): o for o in check_objects(objects, known=self._objects)}
        for key in self._objects.keys() | found.keys():
            before, after = self._objects.get(key), found.get(key)
            if before is after:
                continue
            if key[0] == "Service":
                self._service_changes.update(before, after)
            elif key[0] == "EndpointSlice":
                if before is not None:
                    self._endpoints_changes.update(before, removed=True)
                if after is not None:
                    self._endpoints_changes.update(after)
        self._objects = found
        changed = self._service_changes.apply(self.service_map)
        changed |= self._endpoints_changes.apply(self.endpoints_map).services
        for watch in self._watches:
            watch.fill(changed)

    def node(self, name: str) -> NodeView:
        """What is known of a node. Raises `ObjectError` where there is none of that name."""
        nodes = (obj for (kind, _, _), obj in self._objects.items() if kind == "Node")
        return node_view(find_node(nodes, name), self.family)

    def watch(self, node: str) -> Watch:
        """Start to stream to a node. Raises `ObjectError` for an unknown node."""
        watch = Watch(self, self.node(node))
        self._watches.append(watch)
        return watch

    def ports_of(self, service: NamespacedName, node: NodeView) -> list[LocalServicePort]:
        """What one node has to know of a Service: the choice is made here, with the function that kube-proxy uses."""
        return [
            local_service_port(name, port, self._seen_from(node, name), node)
            for name, port in self.service_map.items()
            if name.service == service
        ]

    def _seen_from(self, node: NodeView, name: ServicePortName) -> tuple[Endpoint, ...]:
        return tuple(
            replace(endpoint, is_local=endpoint.node_name == node.name) for endpoint in self.endpoints_map.get(name, ())
        )


class Watch:
    """One node's stream. `receive` gives what is new, with a `Sync` at the end; nothing where nothing is."""

    def __init__(self, server: Server, node: NodeView) -> None:
        self.server, self.node = server, node
        self._store = DiffStore()
        self._started = False
        self.fill({name.service for name in server.service_map})

    def fill(self, services: Iterable[NamespacedName]) -> None:
        """Choose again for some Services; for all of them where the node itself changed, as its zone decides."""
        node = self.server.node(self.node.name)
        if node != self.node:
            self.node = node
            services = {*services, *(name.service for name in self.server.service_map)}
        for service in services:
            values: dict[str, Value] = {}
            for port in self.server.ports_of(service, node):
                values.update(local_values(port))
            self._store.fill(str(service), values)

    def receive(self) -> list[Item]:
        items = self._store.differences()
        if not items and self._started:
            return []
        self._started = True
        return [*items, Sync()]


def local_values(sp: LocalServicePort) -> dict[str, Value]:
    """One service port as a node is told of it: a value for the port, and one for each endpoint that the node may use.

    `scopes` says for which traffic: "cluster" and "local" are the traffic policies. An endpoint that this node may not
    use is not mentioned; only that there is one, because that decides between rejecting and dropping.
    """
    key = f"{sp.name.service}/{sp.name.protocol}/{sp.name.port}"
    values: dict[str, Value] = {f"services/{key}": {**asdict(sp.port), "has_endpoints": sp.has_endpoints}}
    cluster, local = set(map(str, sp.cluster)), set(map(str, sp.local))
    for endpoint in sp.reachable:
        text = str(endpoint)
        scopes = [scope for scope, members in (("cluster", cluster), ("local", local)) if text in members]
        values[f"endpoints/{key}/{text}"] = {
            "ip": endpoint.ip,
            "port": endpoint.port,
            "is_local": endpoint.is_local,
            "scopes": scopes,
        }
    return values
