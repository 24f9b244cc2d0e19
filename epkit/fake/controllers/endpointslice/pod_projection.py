"""Which Services does a change of a pod concern? The EndpointSlice and the Endpoints controller ask alike.

Source: ``staging/src/k8s.io/endpointslice/util/controller_utils.go`` (``GetPodUpdateProjectionKey``,
``GetServicesToUpdate``), Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Iterable

from epkit.fake.controllers.endpointslice.endpoints import is_pod_ready
from epkit.objects import Obj, key_of, labels_of, namespace_of
from epkit.selectors import format_map


class PodProjectionKey(str):
    """All that is needed of a changed pod to find its Services: a key for a queue of pods.

    As text it is the namespace and the labels, so equal changes of several pods are one.

    Attributes:
        namespace: where to look for Services.
        labels: the pod's labels.
        old_labels: its labels before, if they, or its hostname or subdomain, have changed; else None.
        pod_changed: its endpoints may have changed, too: then both old and new Services are concerned, else only those
            that the pod has joined or left.
    """

    namespace: str
    labels: dict[str, str]
    old_labels: dict[str, str] | None
    pod_changed: bool

    def __new__(cls, pod: Obj, old_labels: dict[str, str] | None = None, pod_changed: bool = False) -> PodProjectionKey:
        text = f"{namespace_of(pod)}/{format_map(labels_of(pod))}"
        if old_labels is not None:
            text += f" ({'' if pod_changed else 'only '}relabelled from {format_map(old_labels)})"
        key = super().__new__(cls, text)
        key.namespace = namespace_of(pod)
        key.labels = labels_of(pod)
        key.old_labels = old_labels
        key.pod_changed = pod_changed
        return key


def pod_update_projection_key(old: Obj, new: Obj) -> PodProjectionKey | None:
    """The key for a pod's change; None if it does not matter to any Service."""
    if old["metadata"].get("resourceVersion") == new["metadata"].get("resourceVersion"):
        return None  # a resync, not a change
    pod_changed, labels_changed = pod_endpoints_changed(old, new)
    if not pod_changed and not labels_changed:
        return None
    return PodProjectionKey(new, labels_of(old), pod_changed) if labels_changed else PodProjectionKey(new)


def pod_endpoints_changed(old: Obj, new: Obj) -> tuple[bool, bool]:
    """Whether the pod's endpoints may have changed, and whether the set of its Services may have.

    Phase, annotations, container statuses and nodeName do not count.
    """
    labels_changed = labels_of(old) != labels_of(new) or any(
        old["spec"].get(name, "") != new["spec"].get(name, "") for name in ("hostname", "subdomain")
    )
    # Upstream compares pointers to the deletion's time, which always differ: every update of a terminating pod counts.
    terminating = bool(old["metadata"].get("deletionTimestamp") or new["metadata"].get("deletionTimestamp"))
    pod_changed = terminating or is_pod_ready(old) != is_pod_ready(new) or _pod_ips(old) != _pod_ips(new)
    return pod_changed, labels_changed


def services_to_update(services: Iterable[Obj], key: PodProjectionKey) -> list[str]:
    """The keys of those of the namespace's Services that must be synced."""
    found = []
    for service in services:
        selector = service["spec"].get("selector")
        if selector is None:
            continue  # no selector matches nothing, not everything
        matches = _matches(selector, key.labels)
        if key.old_labels is not None:
            matched = _matches(selector, key.old_labels)
            matches = (matches or matched) if key.pod_changed else (matches != matched)
        if matches:
            found.append(key_of(service))
    return found


def _matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in selector.items())


def _pod_ips(pod: Obj) -> list[str]:
    return [entry.get("ip", "") for entry in (pod.get("status") or {}).get("podIPs") or ()]
