"""A Service, and a pod if one was asked for, with everything that follows from what was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from epkit.objects import Obj, condition, labels_of, name_of, namespace_of, uid_of
from epkit.selectors import format_map, of_map
from epkit.why.finding import BROKEN, DEGRADED, Finding, listed, quoted, short
from epkit.why.reading import SERVICE_NAME, Reading

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
ZONE = "topology.kubernetes.io/zone"
CONTROLLER = "endpointslice-controller.k8s.io"
MIRRORING = "endpointslicemirroring-controller.k8s.io"


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint of one slice; what is unset reads as the API says (``discovery/v1`` types.go)."""

    slice: Obj
    endpoint: Obj
    address: str
    ready: bool
    serving: bool
    terminating: bool

    @property
    def falls_back(self) -> bool:
        """Gets traffic where no endpoint is ready (KEP-1669)."""
        return self.serving and self.terminating

    @property
    def pod_name(self) -> str:
        reference = self.endpoint.get("targetRef") or {}
        return str(reference.get("name", "")) if reference.get("kind") == "Pod" else ""


@dataclass(frozen=True, slots=True)
class PortState:
    """Who answers for one port of the Service in one address family."""

    port: Obj | None  # None: a headless Service, whose addresses DNS gives out whatever their ports
    family: str
    listed: int
    ready: int
    fallback: int

    @property
    def dead(self) -> bool:
        return not self.ready and not self.fallback

    @property
    def name(self) -> str:
        return port_label(self.port) if self.port else "any port"


class Case:
    """What the rules look at. `kubectl` is how a command line begins that reaches this cluster."""

    def __init__(self, reading: Reading, kubectl: str = "kubectl") -> None:
        self.reading = reading
        self.kubectl = kubectl
        self.service = reading.service
        self.spec: Obj = reading.service.get("spec") or {}
        self.name = name_of(reading.service)
        self.namespace = reading.namespace
        self.pod = reading.pod

    # -- saying it -------------------------------------------------------------------------------------------------

    def command(self, words: str) -> str:
        """A kubectl command, in the Service's namespace unless it names another or needs none."""
        elsewhere = words.startswith(("get node", "describe node")) or " -A" in words or " --namespace" in words
        return f"{self.kubectl} {words}" + ("" if elsewhere else f" -n {quoted(self.namespace)}")

    def finding(
        self,
        reason: str,
        severity: str,
        obj: str,
        field: str,
        seen: object,
        means: str,
        *check: str,
    ) -> Finding:
        """A finding; commands in `check` are without ``kubectl`` and namespace."""
        return Finding(reason, severity, obj, field, short(seen), means, tuple(map(self.command, check)))

    @property
    def label(self) -> str:
        return f"service/{self.name}"

    @property
    def get_slices(self) -> str:
        return f"get endpointslices -l {quoted(f'{SERVICE_NAME}={self.name}')}"

    # -- the Service -----------------------------------------------------------------------------------------------

    @property
    def external_name(self) -> bool:
        return self.spec.get("type") == "ExternalName"

    @property
    def selector(self) -> dict[str, str]:
        return self.spec.get("selector") or {}

    @property
    def managed(self) -> bool:
        """Does the EndpointSlice controller write the slices of this Service?"""
        return bool(self.selector) and not self.external_name

    @property
    def headless(self) -> bool:
        return self.spec.get("clusterIP") == "None"

    @property
    def publishes(self) -> bool:
        return bool(self.spec.get("publishNotReadyAddresses"))

    @property
    def ports(self) -> list[Obj]:
        return self.spec.get("ports") or []

    @cached_property
    def families(self) -> tuple[str, ...]:
        """The address families: ``ipFamilies``, or what an old Service's addresses tell."""
        given = self.spec.get("ipFamilies")
        if given:
            return tuple(given)
        return ("IPv6",) if ":" in str(self.spec.get("clusterIP") or "") else ("IPv4",)

    @property
    def is_of_the_api_server(self) -> bool:
        """``default/kubernetes``: kube-apiserver itself writes its Endpoints and its slice."""
        return self.namespace == "default" and self.name == "kubernetes"

    # -- pods ------------------------------------------------------------------------------------------------------

    @cached_property
    def matched(self) -> list[Obj]:
        """The pods of the namespace that the selector matches."""
        if not self.managed:
            return []
        matches = of_map(self.selector)
        return sorted((pod for pod in self.reading.pods or () if matches(labels_of(pod))), key=name_of)

    @cached_property
    def subjects(self) -> list[Obj]:
        """The pods in question: the one asked for, or all that the selector matches."""
        if self.pod is None:
            return self.matched
        return [self.pod] if any(uid_of(one) == uid_of(self.pod) for one in self.matched) else []

    @cached_property
    def pods_by_name(self) -> dict[str, Obj]:
        return {name_of(pod): pod for pod in self.reading.pods or ()}

    def warnings_about(self, kind: str, name: str) -> list[str]:
        """The messages of Warning events about an object, latest first."""
        found = [event for event in self.reading.warnings if _about(event, kind, name)]
        found.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""), reverse=True)
        return [" ".join(str(event.get("message", "")).split()) for event in found]

    # -- nodes -----------------------------------------------------------------------------------------------------

    @cached_property
    def nodes(self) -> dict[str, Obj]:
        return {name_of(node): node for node in self.reading.nodes or ()}

    @property
    def knows_nodes(self) -> bool:
        return self.reading.nodes is not None

    @cached_property
    def workers(self) -> list[Obj]:
        """The nodes that clients' pods can run on: not of the control plane, and ready for all that is known."""
        roles = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
        ready = (node for node in self.nodes.values() if is_ready(node) or condition(node, "Ready") is None)
        return [node for node in ready if not any(role in labels_of(node) for role in roles)]

    # -- slices ----------------------------------------------------------------------------------------------------

    @cached_property
    def slices(self) -> list[Obj]:
        """The slices that carry this Service's name, by name."""
        return sorted(
            (one for one in self.reading.slices or () if labels_of(one).get(SERVICE_NAME) == self.name), key=name_of
        )

    def managed_by(self, *managers: str) -> list[Obj]:
        return [one for one in self.slices if labels_of(one).get(MANAGED_BY, "") in managers]

    @cached_property
    def controlled(self) -> list[Obj]:
        """The slices that the EndpointSlice controller takes for its own: by label and by owner."""
        return [one for one in self.managed_by(CONTROLLER) if self.owns(one)]

    @cached_property
    def controlled_names(self) -> frozenset[str]:
        return frozenset(map(name_of, self.controlled))

    @cached_property
    def own(self) -> list[Obj]:
        """The slices that neither controller manages: somebody's own."""
        if self.is_of_the_api_server:
            return []
        return [
            one
            for one in self.slices
            if labels_of(one).get(MANAGED_BY, "") not in (CONTROLLER, MIRRORING) and one not in self.relabelled
        ]

    @cached_property
    def relabelled(self) -> list[Obj]:
        """Slices that the controller made for this Service and can no longer find by its labels."""
        prefix = f"{self.name}-"[:58]
        return [
            one
            for one in self.reading.slices or ()
            if self.owns(one, controller=True)
            and str(one["metadata"].get("generateName", "")).startswith(prefix)
            and (labels_of(one).get(SERVICE_NAME) != self.name or labels_of(one).get(MANAGED_BY) != CONTROLLER)
        ]

    def owns(self, one: Obj, controller: bool = False) -> bool:
        """Does an owner reference of the slice name this Service, by its uid?"""
        references = one["metadata"].get("ownerReferences") or ()
        return any(
            ref.get("uid") == uid_of(self.service) and (ref.get("controller") or not controller) for ref in references
        )

    @cached_property
    def rows(self) -> list[Row]:
        """Every endpoint of the Service's slices."""
        return [row for one in self.slices for row in rows_of(one)]

    @cached_property
    def rows_by_pod(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.pod_name:
                found.setdefault(row.pod_name, []).append(row)
        return found

    def used_slices(self, family: str) -> list[Obj]:
        """The slices of a family that kube-proxy, or DNS for a headless Service, looks at."""
        return [
            one
            for one in self.slices
            if one.get("addressType") == family and (self.headless or HEADLESS not in labels_of(one))
        ]

    # -- who answers -----------------------------------------------------------------------------------------------

    @cached_property
    def states(self) -> list[PortState]:
        """Who answers for every port, in every family. With a pod asked for, whether it does."""
        if self.external_name:
            return []
        ports: Sequence[Obj | None] = [None] if self.headless else self.ports
        return [self._state(port, family) for family in self.families for port in ports]

    def _state(self, port: Obj | None, family: str) -> PortState:
        listed_ones = ready = fallback = 0
        for one in self.used_slices(family):
            if port is not None and not serves(one, port):
                continue
            for row in rows_of(one):
                if self.pod is not None and not self.is_of_pod(row):
                    continue
                listed_ones += 1
                ready += row.ready
                fallback += row.falls_back and not row.ready
        return PortState(port, family, listed_ones, ready, fallback)

    def is_of_pod(self, row: Row) -> bool:
        """Is this the endpoint of the pod asked for?"""
        assert self.pod is not None
        reference = row.endpoint.get("targetRef") or {}
        if reference.get("uid"):
            return bool(reference["uid"] == uid_of(self.pod))
        return row.address in addresses_of(self.pod)

    @property
    def severity(self) -> str:
        """How bad it is that something is missing: broken where nobody, or not the pod asked for, answers."""
        if self.reading.slices is None:
            return DEGRADED  # who answers is not known
        by_family = (all(state.dead for state in self.states if state.family == family) for family in self.families)
        return BROKEN if not self.states or any(by_family) else DEGRADED

    def severity_of_port(self, port: Obj | None) -> str:
        return BROKEN if any(state.dead for state in self.states if state.port is port) else DEGRADED


def rows_of(one: Obj) -> Iterator[Row]:
    """The endpoints of a slice; kube-proxy reads the first address of each."""
    for endpoint in one.get("endpoints") or ():
        conditions, addresses = endpoint.get("conditions") or {}, endpoint.get("addresses") or ()
        yield Row(
            one,
            endpoint,
            str(addresses[0]) if addresses else "",
            conditions.get("ready") is not False,
            conditions.get("serving") is not False,
            bool(conditions.get("terminating")),
        )


def serves(one: Obj, port: Obj) -> bool:
    """Has the slice a port for this port of the Service? They are matched by name and protocol, and 0 is none."""
    return any(
        entry.get("port")
        and entry.get("name") is not None
        and (entry["name"], protocol_of(entry)) == (port.get("name", ""), protocol_of(port))
        for entry in one.get("ports") or ()
    )


def protocol_of(port: Obj) -> str:
    return str(port.get("protocol") or "TCP")


def port_label(port: Obj) -> str:
    """``http (80/TCP)``, or ``80/TCP`` where the port has no name."""
    number = f"{port.get('port')}/{protocol_of(port)}"
    return f"{port['name']} ({number})" if port.get("name") else number


def addresses_of(pod: Obj) -> list[str]:
    """The pod's addresses, as its status has them."""
    status = pod.get("status") or {}
    found = [str(entry["ip"]) for entry in status.get("podIPs") or () if entry.get("ip")]
    return found or ([str(status["podIP"])] if status.get("podIP") else [])


def is_ready(obj: Obj) -> bool:
    """The Ready condition of a pod or a node."""
    return (condition(obj, "Ready") or {}).get("status") == "True"


def pod_label(pod: Obj) -> str:
    return f"pod/{name_of(pod)}"


def slice_label(one: Obj) -> str:
    return f"endpointslice/{name_of(one)}"


def pods_in_words(pods: Iterable[Obj]) -> str:
    return listed(pod_label(pod) for pod in pods)


def in_other_namespace(case: Case) -> bool:
    """Is the pod asked for in another namespace than the Service?"""
    return case.pod is not None and namespace_of(case.pod) != case.namespace


def selector_text(case: Case) -> str:
    return format_map(case.selector)


def _about(event: Obj, kind: str, name: str) -> bool:
    involved = event.get("involvedObject") or {}
    return involved.get("kind") == kind and involved.get("name") == name
