"""The pods of a DaemonSet: which nodes get one, and what is added to the template for that.

Source: ``pkg/controller/daemon/util/daemonset_util.go`` and ``daemon_controller.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from epkit.fake.controllers import taints
from epkit.fake.controllers.history import REVISION_LABEL
from epkit.fake.controllers.scheduler_plugins import matches_node
from epkit.objects import Obj, annotations_of, labels_of, name_of

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
TEMPLATE_GENERATION_LABEL = "pod-template-generation"
_PRESSURES = ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")


def node_should_run(node: Obj, daemon_set: Obj) -> tuple[bool, bool]:
    """Is a pod to be started on the node; may one that runs there stay?"""
    spec = daemon_set["spec"]["template"]["spec"]
    if spec.get("nodeName") not in (None, "", name_of(node)) or not matches_node({"spec": spec}, node):
        return False, False
    accepted = tolerations_of(spec)
    if taints.untolerated(taints.of(node), accepted, (taints.NO_EXECUTE, taints.NO_SCHEDULE)) is None:
        return True, True
    return False, taints.untolerated(taints.of(node), accepted, (taints.NO_EXECUTE,)) is None


def tolerations_of(spec: Obj) -> list[Obj]:
    """The pod's tolerations and those of every daemon: it stays on a node that is in trouble."""
    added = [(taints.NOT_READY, taints.NO_EXECUTE), (taints.UNREACHABLE, taints.NO_EXECUTE)]
    added += [(f"node.kubernetes.io/{name}", taints.NO_SCHEDULE) for name in _PRESSURES]
    if spec.get("hostNetwork"):
        added.append(("node.kubernetes.io/network-unavailable", taints.NO_SCHEDULE))
    own = list(spec.get("tolerations") or ())
    wanted = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in added]
    return own + [toleration for toleration in wanted if toleration not in own]


def template_for(daemon_set: Obj, token: str) -> Obj:
    """The template with the tolerations of a daemon and the labels of its revision (``CreatePodTemplate``)."""
    template = daemon_set["spec"]["template"]
    metadata = dict(template.get("metadata") or {})
    labels = dict(metadata.get("labels") or {})
    generation = annotations_of(daemon_set).get(TEMPLATE_GENERATION)
    if generation is not None:
        labels[TEMPLATE_GENERATION_LABEL] = generation
    labels[REVISION_LABEL] = token
    metadata["labels"] = labels
    spec = {**template["spec"], "tolerations": tolerations_of(template["spec"])}
    return {"metadata": metadata, "spec": spec}


def bound_to(template: Obj, node_name: str) -> Obj:
    """The template with the node affinity that makes the scheduler choose this node and no other."""
    only = {"key": "metadata.name", "operator": "In", "values": [node_name]}
    affinity = dict(template["spec"].get("affinity") or {})
    required = {"nodeSelectorTerms": [{"matchFields": [only]}]}
    affinity["nodeAffinity"] = {
        **(affinity.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": required,
    }
    return {**template, "spec": {**template["spec"], "affinity": affinity}}


def target_node(pod: Obj) -> str:
    """The node that the pod is on, or is meant for; empty when its affinity names none."""
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In" and len(field["values"]) == 1:
                return str(field["values"][0])
    return ""


def is_updated(pod: Obj, daemon_set: Obj, token: str) -> bool:
    """The pod was made from the present template."""
    labels, generation = labels_of(pod), annotations_of(daemon_set).get(TEMPLATE_GENERATION)
    if generation is not None and labels.get(TEMPLATE_GENERATION_LABEL) == generation:
        return True
    return labels.get(REVISION_LABEL) == token


def oldest_first(pods: list[Obj]) -> list[Obj]:
    """Those on a node first, then by age."""

    def order(pod: Obj) -> tuple[bool, str, str]:
        return not pod["spec"].get("nodeName"), pod["metadata"].get("creationTimestamp", ""), name_of(pod)

    return sorted(pods, key=order)
