"""What the EndpointSlice controller would write for a pod, in short: enough to see where slices and pods disagree.

Source: ``staging/src/k8s.io/endpointslice`` of Kubernetes v1.36 (``utils.go``, ``util/controller_utils.go``,
``reconciler.go``).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from epkit.objects import Obj, name_of
from epkit.why.case import Case, Row, addresses_of, is_ready, protocol_of


def is_finished(pod: Obj) -> bool:
    """Succeeded and Failed pods are never endpoints."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_terminating(pod: Obj) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def address_of(pod: Obj, family: str) -> str | None:
    """The pod's address of a family in its canonical form, or None."""
    for address in addresses_of(pod):
        if (":" in address) == (family == "IPv6"):
            return canonical(address)
    return None


def canonical(address: str) -> str:
    """
    >>> canonical("fd00:0::1"), canonical("10.0.0.1"), canonical("db.example.com")
    ('fd00::1', '10.0.0.1', 'db.example.com')
    """
    if ":" not in address:
        return address  # the API takes IPv4 in one form alone
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def containers_of(pod: Obj) -> list[Obj]:
    """The containers that run beside each other: the ordinary ones, then sidecars (restartable init containers)."""
    spec = pod.get("spec") or {}
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return [*(spec.get("containers") or ()), *sidecars]


def find_port(pod: Obj, port: Obj) -> int | None:
    """The number of a Service port in this pod; None where its name is not found (``FindPort``)."""
    target = port.get("targetPort", port.get("port"))
    if not isinstance(target, str):
        return int(target) if target else int(port["port"])
    for container in containers_of(pod):
        for declared in container.get("ports") or ():
            if declared.get("name") == target and protocol_of(declared) == protocol_of(port):
                return int(declared["containerPort"])
    return None


Port = tuple[str, int, str]


def ports_of(case: Case, pod: Obj) -> tuple[Port, ...]:
    """The ports of the slice that this pod belongs in: (name, number, protocol), sorted."""
    found = ((port.get("name", ""), find_port(pod, port), protocol_of(port)) for port in case.ports)
    return tuple(sorted((name, number, protocol) for name, number, protocol in found if number is not None))


def conditions_of(case: Case, pod: Obj) -> tuple[bool, bool, bool]:
    """Ready, serving and terminating, as the controller would write them."""
    serving, terminating = is_ready(pod), is_terminating(pod)
    return case.publishes or (serving and not terminating), serving, terminating


@dataclass(frozen=True)
class Drift:
    """A disagreement of the slices with the pods.

    Attributes:
        pod: the name of the pod.
        row: what a slice says of it, or None where no slice does.
        text: the difference in words.
    """

    pod: str
    row: Row | None
    text: str


def drift(case: Case) -> list[Drift]:
    """Where the controller's slices do not say what follows from the pods and the Service.

    Left out is what other rules explain: a pod on a missing node, and a finished pod that is still listed.
    """
    found: list[Drift] = []
    matched = {name_of(pod): pod for pod in case.matched}
    rows: dict[tuple[str, str], list[Row]] = {}
    for name, of_pod in case.rows_by_pod.items():
        for row in of_pod:
            if name_of(row.slice) in case.controlled_names:
                rows.setdefault((name, str(row.slice.get("addressType"))), []).append(row)
    for family in case.families:
        for name, pod in matched.items():
            address = address_of(pod, family)
            listed_as = rows.pop((name, family), [])
            missing_node = case.knows_nodes and node_is_missing(case, pod)
            if is_finished(pod) or address is None:
                if listed_as and not is_finished(pod):
                    found.append(
                        Drift(name, listed_as[0], f"lists {listed_as[0].address}, which the pod does not have")
                    )
            elif not listed_as:
                if not missing_node or case.publishes:
                    found.append(Drift(name, None, f"no slice lists {address}"))
            elif not missing_node:
                found += _differences(case, pod, address, listed_as)
    for (name, family), stale in rows.items():
        if family in case.families and name not in matched:
            gone = "does not exist" if name not in case.pods_by_name else "is not matched by the selector"
            found.append(Drift(name, stale[0], f"lists {stale[0].address}; the pod {gone}"))
    return found


def node_is_missing(case: Case, pod: Obj) -> bool:
    node = (pod.get("spec") or {}).get("nodeName")
    return bool(node) and node not in case.nodes


def _differences(case: Case, pod: Obj, address: str, rows: list[Row]) -> list[Drift]:
    """What the slices say of a listed pod that is not so; a move between slices lists it twice for a moment."""
    name, texts = name_of(pod), []
    ready, serving, terminating = conditions_of(case, pod)
    ports = ports_of(case, pod)
    for row in rows:
        entries = row.slice.get("ports") or ()
        slice_ports = tuple(
            sorted((entry.get("name") or "", entry.get("port") or 0, protocol_of(entry)) for entry in entries)
        )
        if canonical(row.address) != address:
            texts.append(f"lists {row.address}; the pod has {address}")
        elif (row.ready, row.serving, row.terminating) != (ready, serving, terminating):
            said = f"ready={row.ready}, serving={row.serving}, terminating={row.terminating}"
            texts.append(f"says {said}; the pod makes that {ready}, {serving}, {terminating}".lower())
        elif slice_ports != ports:
            texts.append(f"has the ports {_ports(slice_ports)}; Service and pod make that {_ports(ports)}")
        else:
            return []
    return [Drift(name, rows[0], texts[0])]


def _ports(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"{name or 'unnamed'} {number}/{protocol}" for name, number, protocol in ports) or "<unset>"
