"""A thin backend: it takes items from a stream, and has rules written when it is told that they make sense together.

There is no tracker, no slice, no topology and no traffic policy in this file. Compare `epkit.proxy.proxier`.

Source: client/localsink and backends/nft of kubernetes-retired/kpng.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from epkit.proxy.backend import Backend, LocalServicePort, SyncReport
from epkit.proxy.endpoints import Endpoint
from epkit.proxy.kpng.diffstore import Delete, Item, Set, Value
from epkit.proxy.names import NamespacedName, ServicePortName
from epkit.proxy.services import ServicePort


class BackendSink:
    """Feeds one of the two backends of `epkit.proxy` from a node's stream.

    It counts the endpoints that it knows; kube-proxy counts also those that its node may not use. So large cluster mode
    may begin later here.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._ports: dict[ServicePortName, Value] = {}
        self._endpoints: dict[ServicePortName, dict[str, Value]] = {}
        self._changed: set[ServicePortName] = set()
        self._model: dict[ServicePortName, LocalServicePort] = {}
        self._synced = False

    def apply(self, items: Iterable[Item], now: float = 0.0) -> SyncReport | None:
        """Take items; the report of the last `Sync` among them, None without one. `now` is the time in seconds."""
        report = None
        for item in items:
            if isinstance(item, Set | Delete):
                self._take(item)
            else:
                report = self._sync(now)
        return report

    def _take(self, item: Set | Delete) -> None:
        kind, namespace, service, protocol, port, *rest = item.path.split("/")
        name = ServicePortName(NamespacedName(namespace, service), port, protocol)
        self._changed.add(name)
        if kind == "services":
            if isinstance(item, Set):
                self._ports[name] = item.value
            else:
                del self._ports[name]
        elif isinstance(item, Set):
            self._endpoints.setdefault(name, {})[rest[0]] = item.value
        else:
            del self._endpoints[name][rest[0]]

    def _sync(self, now: float) -> SyncReport:
        for name in self._changed:
            if name in self._ports:
                self._model[name] = self._service_port(name)
            else:
                self._model.pop(name, None)
        services = {name.service for name in self._changed}
        self._changed.clear()
        full, self._synced = not self._synced, True
        return self.backend.sync(self._model, services, full=full, now=now)

    def _service_port(self, name: ServicePortName) -> LocalServicePort:
        # Over a wire, tuples become lists.
        value: dict[str, Any] = {
            key: tuple(part) if isinstance(part, list) else part for key, part in self._ports[name].items()
        }
        has_endpoints = bool(value.pop("has_endpoints"))
        port = ServicePort(**value)
        known = self._endpoints.get(name, {})
        endpoints = {text: Endpoint(v["ip"], v["port"], v["is_local"]) for text, v in sorted(known.items())}

        def scope(wanted: str) -> tuple[Endpoint, ...]:
            return tuple(endpoint for text, endpoint in endpoints.items() if wanted in known[text]["scopes"])

        reachable = tuple(endpoints.values())
        return LocalServicePort(
            name, port, scope("cluster"), scope("local"), reachable, has_endpoints, total_endpoints=len(reachable)
        )
