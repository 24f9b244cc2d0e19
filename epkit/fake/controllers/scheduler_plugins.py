"""What the scheduler knows of a node, which nodes it leaves out, and which of the others it likes best.

The filters and their texts are those of ``pkg/scheduler/framework/plugins``, in the order in which they run. Of the
scores only the two that matter for Services are here: spread the pods of one owner over nodes and zones
(``podtopologyspread`` with the system's default constraints), then take the emptier node.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from epkit.fake.controllers import taints
from epkit.fake.controllers.endpointslice.quantity import milli_value
from epkit.objects import Obj, condition, controller_of, labels_of, name_of, namespace_of, uid_of

ZONE = "topology.kubernetes.io/zone"


@dataclass
class PodNeeds:
    """What of a pod counts against a node, worked out once."""

    owner: str
    cpu: int
    memory: int
    host_ports: frozenset[tuple[str, int]]

    @classmethod
    def of(cls, pod: Obj) -> PodNeeds:
        spec = pod["spec"]
        containers = spec.get("containers") or ()
        cpu = memory = 0
        ports = set()
        for container in containers:
            requests = (container.get("resources") or {}).get("requests") or {}
            cpu += milli_value(requests.get("cpu", 0)) if requests else 0
            memory += milli_value(requests.get("memory", 0)) if requests else 0
            for port in container.get("ports") or ():
                if port.get("hostPort"):
                    ports.add((port.get("protocol", "TCP"), port["hostPort"]))
        sidecars_cpu = sidecars_memory = 0
        for container in spec.get("initContainers") or ():
            requests = (container.get("resources") or {}).get("requests") or {}
            asked_cpu, asked_memory = milli_value(requests.get("cpu", 0)), milli_value(requests.get("memory", 0))
            if container.get("restartPolicy") == "Always":
                sidecars_cpu, sidecars_memory = sidecars_cpu + asked_cpu, sidecars_memory + asked_memory
                cpu, memory = cpu + asked_cpu, memory + asked_memory
            else:  # it runs before the others, beside the sidecars that were started before it
                cpu, memory = max(cpu, sidecars_cpu + asked_cpu), max(memory, sidecars_memory + asked_memory)
        return cls(owner_of(pod), cpu, memory, frozenset(ports))


@dataclass
class NodeInfo:
    """A node and what runs on it (``framework.NodeInfo``)."""

    node: Obj
    zone: str = ""
    room: dict[str, int] = field(default_factory=dict)
    pods: dict[str, PodNeeds] = field(default_factory=dict)
    owners: Counter[str] = field(default_factory=Counter)
    cpu: int = 0
    memory: int = 0

    def set_node(self, node: Obj) -> None:
        self.node = node
        self.zone = labels_of(node).get(ZONE, "")
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        self.room = {name: milli_value(amount) for name, amount in allocatable.items()}

    def add(self, key: str, needs: PodNeeds) -> None:
        if key in self.pods:
            return
        self.pods[key] = needs
        self.owners[needs.owner] += 1
        self.cpu += needs.cpu
        self.memory += needs.memory

    def remove(self, key: str) -> None:
        needs = self.pods.pop(key, None)
        if needs is not None:
            self.owners[needs.owner] -= 1
            self.cpu -= needs.cpu
            self.memory -= needs.memory


def owner_of(pod: Obj) -> str:
    """What pods are spread by: their controller, or their namespace and labels where they have none."""
    controller = controller_of(pod)
    if controller is not None:
        return str(controller["uid"])
    labels = sorted((key, value) for key, value in labels_of(pod).items() if not key.startswith("topology."))
    return f"{namespace_of(pod)} {labels}" if labels else uid_of(pod)


# -- filters -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    """Why a node was left out; `resolvable` means that evicting other pods could change that."""

    reasons: tuple[str, ...]
    resolvable: bool = False


Filter = Callable[[Obj, PodNeeds, NodeInfo], Refusal | None]


def node_unschedulable(pod: Obj, _: PodNeeds, info: NodeInfo) -> Refusal | None:
    taint = {"key": taints.UNSCHEDULABLE, "effect": taints.NO_SCHEDULE}
    if not (info.node.get("spec") or {}).get("unschedulable"):
        return None
    if taints.untolerated([taint], pod["spec"].get("tolerations") or (), (taints.NO_SCHEDULE,)) is None:
        return None
    return Refusal(("node(s) were unschedulable",))


def taint_toleration(pod: Obj, _: PodNeeds, info: NodeInfo) -> Refusal | None:
    """Untolerated taints. A node that is not ready counts as tainted before the node controller has come to it."""
    present = list(taints.of(info.node))
    ready = condition(info.node, "Ready")
    if ready is None or ready["status"] == "False":
        present.append({"key": taints.NOT_READY, "effect": taints.NO_SCHEDULE})
    elif ready["status"] == "Unknown":
        present.append({"key": taints.UNREACHABLE, "effect": taints.NO_SCHEDULE})
    effects = (taints.NO_SCHEDULE, taints.NO_EXECUTE)
    if taints.untolerated(present, pod["spec"].get("tolerations") or (), effects) is None:
        return None
    return Refusal(("node(s) had untolerated taint(s)",))


def node_affinity(pod: Obj, _: PodNeeds, info: NodeInfo) -> Refusal | None:
    if matches_node(pod, info.node):
        return None
    return Refusal(("node(s) didn't match Pod's node affinity/selector",))


def node_ports(_: Obj, needs: PodNeeds, info: NodeInfo) -> Refusal | None:
    if needs.host_ports and any(needs.host_ports & other.host_ports for other in info.pods.values()):
        return Refusal(("node(s) didn't have free ports for the requested pod ports",), resolvable=True)
    return None


def fit(_: Obj, needs: PodNeeds, info: NodeInfo) -> Refusal | None:
    reasons = []
    if "pods" in info.room and 1000 * (len(info.pods) + 1) > info.room["pods"]:
        reasons.append("Too many pods")
    if needs.cpu and needs.cpu > info.room.get("cpu", 0) - info.cpu:
        reasons.append("Insufficient cpu")
    if needs.memory and needs.memory > info.room.get("memory", 0) - info.memory:
        reasons.append("Insufficient memory")
    return Refusal(tuple(reasons), resolvable=True) if reasons else None


FILTERS: tuple[Filter, ...] = (node_unschedulable, taint_toleration, node_affinity, node_ports, fit)


def refuse(pod: Obj, needs: PodNeeds, info: NodeInfo) -> Refusal | None:
    """Why the node cannot take the pod, by the first filter that says so, or None."""
    for check in FILTERS:
        refusal = check(pod, needs, info)
        if refusal is not None:
            return refusal
    return None


def matches_node(pod: Obj, node: Obj) -> bool:
    """Does the node have what the pod's nodeSelector and required node affinity ask for?"""
    spec, labels = pod["spec"], labels_of(node)
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity")) or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    terms = [term for term in required.get("nodeSelectorTerms") or () if term]
    return any(_term_matches(term, node) for term in terms)


def _term_matches(term: Obj, node: Obj) -> bool:
    fields = {"metadata.name": name_of(node)}
    return all(_matches(entry, labels_of(node)) for entry in term.get("matchExpressions") or ()) and all(
        _matches(entry, fields) for entry in term.get("matchFields") or ()
    )


def _matches(requirement: Obj, values: dict[str, str]) -> bool:
    key, wanted = requirement["key"], requirement.get("values") or []
    value = values.get(key)
    match requirement["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            try:
                number, bound = int(value or ""), int(wanted[0])
            except (ValueError, IndexError):
                return False
            return number > bound if operator == "Gt" else number < bound
    return False


def only_nodes(pod: Obj) -> frozenset[str] | None:
    """The nodes that the pod's affinity names (as a DaemonSet's pods do), or None when it names none.

    The ``NodeAffinity`` plugin looks at no other node then.
    """
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity")) or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    names: set[str] = set()
    for term in required.get("nodeSelectorTerms") or ():
        named = [entry for entry in term.get("matchFields") or () if entry["operator"] == "In"]
        if not named:
            return None
        names.update(named[0].get("values") or ())
    return frozenset(names) if names else None


# -- scores ------------------------------------------------------------------------------------------------------------


def best(pod: Obj, needs: PodNeeds, fitting: list[NodeInfo], all_nodes: Iterator[NodeInfo]) -> NodeInfo:
    """The node with the fewest pods of the same owner; then in the zone with the fewest, then the emptiest.

    Where all that is equal, the first by name: upstream draws lots, and a lesson wants the same picture every time.
    """
    zones: Counter[str] = Counter()
    for info in all_nodes:
        zones[info.zone] += info.owners[needs.owner]
    return min(
        fitting,
        key=lambda info: (info.owners[needs.owner], zones[info.zone], len(info.pods), name_of(info.node)),
    )
