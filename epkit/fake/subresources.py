"""What hangs below an object: status, scale, a pod's binding and eviction, a namespace's finalize.

Source: the storages under ``pkg/registry`` that serve them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.fake.kinds.base import FieldError, invalid
from epkit.fake.requests import Options, Route
from epkit.fake.wire import errors
from epkit.objects import Obj
from epkit.selectors import format_map

if TYPE_CHECKING:
    from epkit.fake.api import Api

_SCHEMAS = {
    "scale": "io.k8s.api.autoscaling.v1.Scale",
    "binding": "io.k8s.api.core.v1.Binding",
    "eviction": "io.k8s.api.policy.v1.Eviction",
}


def served(route: Route) -> bool:
    """Is there such a subresource of that kind, to be read and written like an object?"""
    kind, subresource = route.kind, route.subresource
    match subresource:
        case "":
            return True
        case "status":
            return kind.status
        case "scale":
            return kind.scale
        case "finalize":
            return kind.plural == "namespaces"
    return False


def schema(route: Route) -> str | None:
    """The OpenAPI name of what a subresource's body holds, where it is not the object's own kind."""
    return _SCHEMAS.get(route.subresource)


def view(route: Route, obj: Obj) -> Obj:
    """The object as the subresource shows it."""
    return scale_of(obj) if route.subresource == "scale" else obj


def merge(route: Route, old: Obj, sent: Obj) -> Obj:
    """`old` with what `sent` may change through this subresource."""
    if route.subresource == "scale":
        replicas = (sent.get("spec") or {}).get("replicas", 0)
        if replicas < 0:
            fault = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            raise errors.invalid("Scale", route.name, [fault], "autoscaling")
        version = sent.get("metadata", {}).get("resourceVersion")
        meta = {**old["metadata"], "resourceVersion": version or ""}
        return {**old, "metadata": meta, "spec": {**old["spec"], "replicas": replicas}}
    if route.subresource == "finalize":
        spec = {**(old.get("spec") or {}), "finalizers": (sent.get("spec") or {}).get("finalizers") or []}
        if not spec["finalizers"]:
            del spec["finalizers"]
        return {**old, "metadata": sent["metadata"], "spec": spec, "status": old.get("status", {})}
    return {**old, "metadata": sent["metadata"], "status": sent.get("status") or {}}


def scale_of(obj: Obj) -> Obj:
    """The ``autoscaling/v1`` Scale of a workload."""
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    shown = {
        key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if key in meta
    }
    selector = spec.get("selector") or {}
    parts = [format_map(selector["matchLabels"])] if selector.get("matchLabels") else []
    for entry in selector.get("matchExpressions") or ():
        values = ",".join(sorted(entry.get("values") or ()))
        match entry["operator"]:
            case "Exists":
                parts.append(entry["key"])
            case "DoesNotExist":
                parts.append("!" + entry["key"])
            case operator:
                parts.append(f"{entry['key']} {operator.lower()} ({values})")
    scale_status: Obj = {"replicas": status.get("replicas", 0)}
    if parts:
        scale_status["selector"] = ",".join(parts)
    wanted = spec.get("replicas", 1)
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": shown,
        "spec": {"replicas": wanted} if wanted else {},
        "status": scale_status,
    }


def bind(api: Api, route: Route, binding: Obj, options: Options) -> Obj:
    """POST pods/binding: the scheduler's decision. Answers with a Status.

    Source: ``pkg/registry/core/pod/storage/storage.go`` ``setPodNodeAndMetadata``.
    """
    pod = api.existing(Route(route.kind, route.namespace, route.name))
    node_name = (binding.get("target") or {}).get("name") or ""
    if (binding.get("target") or {}).get("kind") not in ("", None, "Node"):
        fault = FieldError(
            "FieldValueNotSupported",
            "target.kind",
            f'Unsupported value: "{binding["target"]["kind"]}": supported values: "Node", "<empty>"',
        )
        raise errors.invalid("Binding", route.name, [fault])
    if not node_name:
        from epkit.fake.kinds.base import required

        raise errors.invalid("Binding", route.name, [required("target.name")])
    why = ""
    if pod["metadata"].get("deletionTimestamp"):
        why = f"pod {route.name} is being deleted, cannot be assigned to a host"
    elif pod["spec"].get("nodeName"):
        why = f'pod {route.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
    elif pod["spec"].get("schedulingGates"):
        why = f"pod {route.name} has non-empty .spec.schedulingGates"
    if why:
        raise errors.conflict("pods/binding", route.name, why)
    from epkit.fake.kinds.pod_admission import copy_topology_labels

    bound = {**pod, "metadata": dict(pod["metadata"]), "spec": {**pod["spec"], "nodeName": node_name}}
    given = binding.get("metadata") or {}
    for key in ("labels", "annotations"):
        if given.get(key):
            bound["metadata"][key] = {**(bound["metadata"].get(key) or {}), **given[key]}
    node = api.store.get("nodes", "", node_name)
    if node is not None:
        copy_topology_labels(bound, node)
    status = dict(pod.get("status") or {})
    conditions = [entry for entry in status.get("conditions") or [] if entry["type"] != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
    conditions.append({**scheduled, "lastTransitionTime": api.clock.timestamp()})
    bound["status"] = {**status, "conditions": conditions}
    if not options.dry_run:
        api.store.put(route.kind.resource, bound, options.actor)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def evict(api: Api, route: Route, eviction: Obj, options: Options) -> Obj:
    """POST pods/eviction: a delete that asks the PodDisruptionBudgets first. Answers with a Status.

    Source: ``pkg/registry/core/pod/storage/eviction.go``.
    """
    from epkit.fake.controllers import disruption_rules
    from epkit.fake.requests import delete_options

    pod_route = Route(route.kind, route.namespace, route.name)
    pod = api.existing(pod_route)
    asked = delete_options({}, eviction.get("deleteOptions"), options.actor)
    asked.dry_run = asked.dry_run or options.dry_run
    budgets, now = api.store.list("poddisruptionbudgets.policy", route.namespace), api.clock.timestamp()
    changed = disruption_rules.evict(pod, budgets, now)
    if not asked.dry_run:
        if changed is not None:
            api.store.put("poddisruptionbudgets.policy", changed, options.actor)
        api.store.put(route.kind.resource, disruption_rules.as_disruption_target(pod, now), options.actor)
    api.delete(pod_route, {}, None, asked)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


#: Namespaces that nobody may delete (``plugin/pkg/admission/namespace/lifecycle``).
IMMORTAL = ("default", "kube-system", "kube-public")


def holds_content(obj: Obj) -> bool:
    """A namespace that the namespace controller has not emptied yet."""
    return obj.get("kind") == "Namespace" and bool((obj.get("spec") or {}).get("finalizers"))


def begin_namespace_deletion(namespace: Obj, now: str) -> Obj | None:
    """The namespace as its deletion leaves it, or None once its content is gone and so it may go too.

    Source: ``pkg/registry/core/namespace/storage/storage.go``.
    """
    if namespace["metadata"]["name"] in IMMORTAL:
        raise errors.forbidden("namespaces", namespace["metadata"]["name"], "this namespace may not be deleted")
    if namespace["metadata"].get("deletionTimestamp"):
        return namespace if holds_content(namespace) else None
    meta = {**namespace["metadata"], "deletionTimestamp": now}
    return {**namespace, "metadata": meta, "status": {**(namespace.get("status") or {}), "phase": "Terminating"}}


def bad_version(text: str) -> errors.ApiError:
    """500 of a PUT whose resourceVersion is no number."""
    from epkit.fake.lists import invalid_version

    return invalid_version(text)
