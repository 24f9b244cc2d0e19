"""The health check of a load balancer: does this node have endpoints for the Service?

A Service of type LoadBalancer with ``externalTrafficPolicy: Local`` gets a ``healthCheckNodePort``. kube-proxy answers
HTTP there on every node, so that the load balancer sends traffic only where there is an endpoint.

Source: pkg/proxy/healthcheck/service_health.go of Kubernetes v1.36.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from epkit.proxy.names import NamespacedName


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The answer on one ``healthCheckNodePort``; the path of the request does not matter.

    >>> check = HealthCheck(NamespacedName("demo", "web"), 30200, 0)
    >>> check.status
    503
    """

    service: NamespacedName
    port: int
    local_endpoints: int
    proxy_healthy: bool = True

    @property
    def status(self) -> int:
        """200 with at least one ready endpoint on this node, else 503."""
        return 200 if self.local_endpoints and self.proxy_healthy else 503

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "X-Content-Type-Options": "nosniff",
            "X-Load-Balancing-Endpoint-Weight": str(self.local_endpoints),
        }

    @property
    def body(self) -> str:
        answer = {
            "service": {"namespace": self.service.namespace, "name": self.service.name},
            "localEndpoints": self.local_endpoints,
            "serviceProxyHealthy": self.proxy_healthy,
        }
        return json.dumps(answer, indent="\t")
