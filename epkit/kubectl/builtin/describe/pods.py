"""``kubectl describe pod``, and the pod template in a workload.

Source: ``k8s.io/kubectl/pkg/describe/describe.go`` (describePod, DescribePodTemplate).
"""
from __future__ import annotations

from epkit.kubectl.builtin.describe.containers import containers, field_of, resources
from epkit.kubectl.builtin.describe.volumes import volumes
from epkit.kubectl.builtin.describe.writer import Writer, find_events, format_selector
from epkit.kubectl.builtin.gotext import rfc1123
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj, controller_of

_MIRROR = "kubernetes.io/config.mirror"


def pod(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Namespace:\t{meta.get('namespace', '')}")
    if spec.get("priority") is not None:
        w.put(0, f"Priority:\t{spec['priority']}")
    for title, field in (
        ("Priority Class Name", "priorityClassName"),
        ("Runtime Class Name", "runtimeClassName"),
        ("Service Account", "serviceAccountName"),
    ):
        if spec.get(field):
            w.put(0, f"{title}:\t{spec[field]}")
    w.put(0, f"Node:\t{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else "Node:\t<none>")
    if status.get("startTime"):
        w.put(0, f"Start Time:\t{rfc1123(status['startTime'])}")
    w.labels("Labels", meta.get("labels"))
    w.annotations("Annotations", meta.get("annotations"))
    _phase(w, obj)
    seccomp = (spec.get("securityContext") or {}).get("seccompProfile")
    if seccomp:
        w.put(0, f"SeccompProfile:\t{seccomp['type']}")
        if seccomp["type"] == "Localhost":
            w.put(0, f"LocalhostProfile:\t{seccomp['localhostProfile']}")
    _addresses(w, status)
    owner = controlled_by(obj)
    if owner:
        w.put(0, f"Controlled By:\t{owner}")
    if status.get("nominatedNodeName"):
        w.put(0, f"NominatedNodeName:\t{status['nominatedNodeName']}")
    if spec.get("resources"):
        w.put(0, "Resources:")
        resources(w, spec["resources"], 1)
    _containers(w, obj)
    _conditions(w, spec, status)
    volumes(w, spec.get("volumes"), "")
    w.put(0, f"QoS Class:\t{status.get('qosClass', 'BestEffort')}")
    _placement(w, spec, "")
    uid = (meta.get("annotations") or {}).get(_MIRROR)
    w.events(find_events(session, obj, kind="", uid=uid))
    return w.text()


def template(w: Writer, given: Obj | None) -> None:
    """The ``Pod Template:`` block of a workload."""
    w.put(0, "Pod Template:")
    meta, spec = (given or {}).get("metadata") or {}, (given or {}).get("spec") or {}
    w.labels("  Labels", meta.get("labels"))
    if meta.get("annotations"):
        w.annotations("  Annotations", meta["annotations"])
    if spec.get("serviceAccountName"):
        w.put(1, f"Service Account:\t{spec['serviceAccountName']}")
    if spec.get("initContainers"):
        containers(w, "Init Containers", spec["initContainers"], None, None, "  ")
    containers(w, "Containers", spec.get("containers"), None, None, "  ")
    volumes(w, spec.get("volumes"), "  ")
    _spread(w, spec, "  ")
    if spec.get("priorityClassName"):
        w.put(1, f"Priority Class Name:\t{spec['priorityClassName']}")
    w.labels("  Node-Selectors", spec.get("nodeSelector"))
    w.tolerations("  Tolerations", spec.get("tolerations"))


def controlled_by(obj: Obj) -> str:
    """``ReplicaSet/web-756c974b94``"""
    owner = controller_of(obj)
    return f"{owner['kind']}/{owner['name']}" if owner else ""


def _phase(w: Writer, obj: Obj) -> None:
    meta, status = obj["metadata"], obj.get("status") or {}
    if meta.get("deletionTimestamp") and status.get("phase") not in ("Failed", "Succeeded"):
        w.put(0, f"Status:\tTerminating (lasts {w.since(meta['deletionTimestamp'])})")
        w.put(0, f"Termination Grace Period:\t{meta.get('deletionGracePeriodSeconds', 0)}s")
    else:
        w.put(0, f"Status:\t{status.get('phase', '')}")
    for title, field in (("Reason", "reason"), ("Message", "message")):
        if status.get(field):
            w.put(0, f"{title}:\t{status[field]}")


def _addresses(w: Writer, status: Obj) -> None:
    w.put(0, f"IP:\t{status.get('podIP', '')}")
    if not status.get("podIPs"):
        w.put(0, "IPs:\t<none>")
        return
    w.put(0, "IPs:")
    for entry in status["podIPs"]:
        w.put(1, f"IP:\t{entry['ip']}")


def _containers(w: Writer, obj: Obj) -> None:
    spec, status = obj["spec"], obj.get("status") or {}
    blocks = (
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    )
    for title, field, statuses in blocks:
        if spec.get(field) or field == "containers":
            containers(w, title, spec.get(field), status.get(statuses), field_of(obj), "")


def _conditions(w: Writer, spec: Obj, status: Obj) -> None:
    conditions = status.get("conditions") or ()
    if spec.get("readinessGates"):
        w.put(0, "Readiness Gates:\n  Type\tStatus")
        for gate in spec["readinessGates"]:
            state = next((c["status"] for c in conditions if c["type"] == gate["conditionType"]), "<none>")
            w.put(1, f"{gate['conditionType']} \t{state} ")
    if conditions:
        w.put(0, "Conditions:\n  Type\tStatus")
        for condition in conditions:
            w.put(1, f"{condition['type']} \t{condition['status']} ")


def _placement(w: Writer, spec: Obj, space: str) -> None:
    w.labels("Node-Selectors", spec.get("nodeSelector"))
    w.tolerations("Tolerations", spec.get("tolerations"))
    _spread(w, spec, space)


def _spread(w: Writer, spec: Obj, space: str) -> None:
    constraints = sorted(spec.get("topologySpreadConstraints") or (), key=lambda c: c["topologyKey"])
    if constraints:
        w.column("Topology Spread Constraints", [_constraint(c) for c in constraints], space)


def _constraint(given: Obj) -> str:
    text = f"{given['topologyKey']}:{given['whenUnsatisfiable']} when max skew {given['maxSkew']} is exceeded"
    if given.get("labelSelector") is not None:
        text += f" for selector {format_selector(given['labelSelector'])}"
    return text
