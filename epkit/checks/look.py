"""What checks look at, in a few words each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.objects import Obj, name_of, state_of_endpoint

if TYPE_CHECKING:
    from epkit.cluster import Cluster

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"


def services(cluster: Cluster, namespace: str) -> list[Obj]:
    return cluster.client.list("services", namespace).items


def slices(cluster: Cluster, namespace: str, service: str = "") -> list[Obj]:
    """The slices of a namespace, or of one Service in it."""
    return cluster.client.list("endpointslices", namespace, labels=f"{SERVICE_NAME}={service}" if service else "").items


def endpoints(found: list[Obj]) -> list[Obj]:
    return [endpoint for one in found for endpoint in one.get("endpoints") or ()]


def addresses(found: list[Obj], state: str = "") -> list[str]:
    """The addresses in slices, of endpoints in one state if it is given, in order."""
    return sorted(
        address
        for endpoint in endpoints(found)
        if not state or state_of_endpoint(endpoint) == state
        for address in endpoint["addresses"]
    )


def listed(names: list[str]) -> str:
    """Names in a sentence: ``a``, ``a and b``, ``a, b and c``, or ``none``."""
    if not names:
        return "none"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def names(objects: list[Obj]) -> str:
    return listed([name_of(obj) for obj in objects])
