"""The namespace controller: empties a namespace that is being deleted, says how far it is, and lets it go.

Source: ``pkg/controller/namespace/deletion/namespaced_resources_deleter.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from epkit.client import RESOURCES
from epkit.errors import ApiError
from epkit.fake.controllers.framework import Controller, Kit
from epkit.objects import Obj, condition, name_of

#: Upstream's guess, in seconds, for how long somebody else needs who holds an object by a finalizer.
FINALIZER_ESTIMATE = 15
FINALIZER = "kubernetes"


@dataclass
class Remaining:
    """What is still in the namespace after a round of deletions."""

    estimate: int = 0
    counts: dict[str, int] = field(default_factory=dict)  # "pods." -> how many
    finalizers: dict[str, int] = field(default_factory=dict)
    stopping: bool = True  # all that is left are pods that stop by themselves


class NamespaceController(Controller):
    """Empties namespaces that are being deleted, pods first, then removes the finalizer ``kubernetes``."""

    name = "namespace-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("namespace", self.sync)
        self._waiting: set[str] = set()
        self.namespaces = self.informer("namespaces")
        self.namespaces.on(add=self._changed, update=lambda _, namespace: self._changed(namespace))

    def _changed(self, namespace: Obj) -> None:
        if namespace["metadata"].get("deletionTimestamp") and name_of(namespace) not in self._waiting:
            self.queue.add(name_of(namespace))

    def sync(self, name: str) -> None:
        """One round: delete what there is; finish when nothing is left, else come back later."""
        namespace = self.client.find("namespaces", name)
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return
        if FINALIZER not in ((namespace.get("spec") or {}).get("finalizers") or ()):
            return
        remaining = self._delete_content(name)
        namespace = self._write_conditions(namespace, remaining)
        if remaining.counts:
            self._come_back(name, remaining)
            return
        kept = [entry for entry in namespace["spec"]["finalizers"] if entry != FINALIZER]
        finalized = {**namespace, "spec": {**namespace["spec"], "finalizers": kept}}
        self.client.update("namespaces", finalized, subresource="finalize")

    def _come_back(self, name: str, remaining: Remaining) -> None:
        """Try again after half the estimate and a second, as upstream; other changes do not hasten it."""

        def again() -> None:
            self._waiting.discard(name)
            self.queue.add(name)

        self._waiting.add(name)
        label = f"looks again what is left in namespace {name}"
        self.later(remaining.estimate // 2 + 1, again, label, settles=remaining.stopping)

    def _delete_content(self, namespace: str) -> Remaining:
        """Delete all there is of every kind; the pods go before everything that they may still need."""
        remaining = Remaining()
        self._delete_kind("pods", namespace, remaining)
        if remaining.counts:
            return remaining
        for resource, (_, _, namespaced) in RESOURCES.items():
            if namespaced and resource != "pods":
                self._delete_kind(resource, namespace, remaining)
        return remaining

    def _delete_kind(self, resource: str, namespace: str, remaining: Remaining) -> None:
        for obj in self.client.list(resource, namespace):
            try:
                self.client.delete(resource, name_of(obj), namespace, propagation="Background")
            except ApiError as error:
                if error.reason != "NotFound":
                    raise
        left = list(self.client.list(resource, namespace))
        if not left:
            return
        group = RESOURCES[resource][0].rpartition("/")[0]
        remaining.counts[f"{resource}.{group}"] = len(left)
        for obj in left:
            for finalizer in obj["metadata"].get("finalizers") or ():
                remaining.finalizers[finalizer] = remaining.finalizers.get(finalizer, 0) + 1
                remaining.estimate = max(remaining.estimate, FINALIZER_ESTIMATE)
                remaining.stopping = False
            if resource == "pods":
                grace = obj["spec"].get("terminationGracePeriodSeconds", 0)
                remaining.estimate = max(remaining.estimate, grace)

    def _write_conditions(self, namespace: Obj, remaining: Remaining) -> Obj:
        status = namespace.get("status") or {}
        now = self.clock.timestamp()
        conditions = []
        for entry in conditions_of(remaining):
            old = condition(namespace, entry["type"])
            same = old is not None and old["status"] == entry["status"]
            conditions.append({**entry, "lastTransitionTime": old["lastTransitionTime"] if old and same else now})
        wanted = {**status, "phase": "Terminating", "conditions": conditions}
        if wanted == status:
            return namespace
        return self.client.update("namespaces", {**namespace, "status": wanted}, subresource="status")


def conditions_of(remaining: Remaining) -> list[Obj]:
    """The five conditions of a namespace that is going, in upstream's words (``status_condition_utils.go``)."""
    left = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(remaining.counts.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(remaining.finalizers.items()))
    return [
        _condition("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        _condition("NamespaceContentRemaining", "SomeResourcesRemain", f"Some resources are remaining: {left}", "True")
        if left
        else _condition("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
        _condition(
            "NamespaceFinalizersRemaining",
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {held}",
            "True",
        )
        if held
        else _condition(
            "NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"
        ),
    ]


def _condition(kind: str, reason: str, message: str, status: str = "False") -> Obj:
    return {"type": kind, "status": status, "reason": reason, "message": message}
