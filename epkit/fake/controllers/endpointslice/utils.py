"""What a slice is made of besides its endpoints: name, labels, owner, annotation.

Source: ``staging/src/k8s.io/endpointslice/utils.go``, Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from epkit.errors import ApiError
from epkit.fake.clock import format_time
from epkit.fake.controllers.framework import SyncError
from epkit.fake.kinds.addresses import family
from epkit.fake.kinds.names import name_is_subdomain
from epkit.objects import Obj, annotations_of, labels_of, name_of, namespace_of, owner_reference, uid_of

#: The value of the managed-by label on the slices that are this controller's.
CONTROLLER_NAME = "endpointslice-controller.k8s.io"

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
HEADLESS_LABEL = "service.kubernetes.io/headless"
RESERVED_LABELS = frozenset((SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL))

TRIGGER_TIME_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"
TOPOLOGY_MODE_ANNOTATION = "service.kubernetes.io/topology-mode"
TOPOLOGY_AWARE_HINTS_ANNOTATION = "service.kubernetes.io/topology-aware-hints"  # its older spelling


@dataclass(slots=True)
class SlicesByAction:
    """What is to become of slices in a sync, and how many endpoints come and go with that.

    Slices that are to be created or updated are the controller's own and may still be changed. The others are cached.
    """

    to_create: list[Obj] = field(default_factory=list)
    to_update: list[Obj] = field(default_factory=list)
    to_delete: list[Obj] = field(default_factory=list)
    unchanged: list[Obj] = field(default_factory=list)
    added: int = 0
    removed: int = 0

    def append(self, other: SlicesByAction) -> None:
        """Take over what is to become of another group of slices."""
        self.to_create += other.to_create
        self.to_update += other.to_update
        self.to_delete += other.to_delete
        self.unchanged += other.unchanged
        self.added += other.added
        self.removed += other.removed

    def update_where(self, wrong: Callable[[Obj], bool]) -> None:
        """Have unchanged slices updated that something is wrong with: a copy of each joins the others."""
        checked, self.unchanged = self.unchanged, []
        for slice in checked:
            if wrong(slice):
                self.to_update.append(changed_copy(slice))
            else:
                self.unchanged.append(slice)


def new_endpoint_slice(service: Obj, ports: list[Obj], address_type: str) -> Obj:
    """An empty slice for `service`. The API server will make its name: the Service's and five characters."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": slice_prefix(name_of(service)),
            "namespace": namespace_of(service),
            "labels": slice_labels(service),
            "ownerReferences": [owner_reference({"apiVersion": "v1", "kind": "Service", **service})],
        },
        "addressType": address_type,
        "endpoints": [],
        "ports": ports,
    }


def changed_copy(slice: Obj, *, endpoints: list[Obj] | None = None, labels: dict[str, str] | None = None) -> Obj:
    """A copy of a cached slice that may be changed: its metadata and its list of endpoints are its own.

    The endpoints themselves are still shared. Replace one, do not change it.
    """
    metadata = dict(slice["metadata"])
    if labels is not None:
        metadata["labels"] = labels
    endpoints = list(endpoints_of(slice) if endpoints is None else endpoints)
    return {**slice, "metadata": metadata, "endpoints": endpoints}


def endpoints_of(slice: Obj) -> list[Obj]:
    """A slice's endpoints. The API stores an empty list as null."""
    return slice.get("endpoints") or []


def slice_prefix(name: str) -> str:
    """``web-`` for ``web``: what the name of a slice starts with. A name that is too long for the dash goes without."""
    return name if name_is_subdomain(f"{name}-", True) else f"{name}-"


def slice_labels(service: Obj) -> dict[str, str]:
    """The labels of the Service's slices: its own, but for the reserved ones, which only the controller sets."""
    labels = {key: value for key, value in labels_of(service).items() if key not in RESERVED_LABELS}
    if not is_service_ip_set(service):
        labels[HEADLESS_LABEL] = ""
    labels[SERVICE_NAME_LABEL] = name_of(service)
    labels[MANAGED_BY_LABEL] = CONTROLLER_NAME
    return labels


def labels_changed(slice: Obj, service: Obj) -> bool:
    """Whether slice and Service differ in labels other than the reserved ones."""
    return _unreserved(labels_of(slice)) != _unreserved(labels_of(service))


def _unreserved(labels: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key not in RESERVED_LABELS}


def is_service_ip_set(service: Obj) -> bool:
    return service["spec"].get("clusterIP") not in ("None", "", None)


def owned_by(slice: Obj, service: Obj) -> bool:
    """Whether the slice belongs to this very Service, not to one of the same name that is gone."""
    return any(
        owner["uid"] == uid_of(service) and owner["kind"] == "Service" and owner["apiVersion"] == "v1"
        for owner in slice["metadata"].get("ownerReferences") or ()
    )


def same_placeholder(slice: Obj, placeholder: Obj) -> bool:
    """Whether a slice is that placeholder already: empty, and with the same labels. Its name does not matter."""
    labels, wanted = labels_of(slice), labels_of(placeholder)
    return (
        not endpoints_of(slice)
        and not slice.get("ports")
        and slice["addressType"] == placeholder["addressType"]
        and all(labels.get(key, "") == wanted.get(key, "") for key in labels.keys() | wanted.keys())
    )


def set_trigger_time(slice: Obj, trigger_time: float | None) -> None:
    """Note on a slice about to be written what time its cause happened; take the note off if there is no new cause."""
    metadata = slice["metadata"]
    annotations = {key: value for key, value in annotations_of(slice).items() if key != TRIGGER_TIME_ANNOTATION}
    if trigger_time is not None:
        annotations[TRIGGER_TIME_ANNOTATION] = format_time(trigger_time)
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations


def service_key_of(slice: Obj) -> str | None:
    """``namespace/name`` of the Service that the slice is for; None without the label."""
    name = labels_of(slice).get(SERVICE_NAME_LABEL)
    return f"{namespace_of(slice)}/{name}" if name else None


def managed_by(slice: Obj, controller: str) -> bool:
    return labels_of(slice).get(MANAGED_BY_LABEL) == controller


def address_types(service: Obj) -> list[str]:
    """The address types of the Service's slices: its IP families.

    A Service that an old API server left without families has that of its cluster IP, or both if it is headless.
    """
    families = [each for each in service["spec"].get("ipFamilies") or () if each in ("IPv4", "IPv6")]
    if families:
        return families
    if is_service_ip_set(service):
        return ["IPv6" if family(service["spec"]["clusterIP"]) == "IPv6" else "IPv4"]
    return ["IPv4", "IPv6"]


def hints_enabled(service: Obj) -> bool:
    """``topology-mode: Auto``. The older annotation wins when both are there, whatever it says."""
    annotations = annotations_of(service)
    mode = annotations.get(TOPOLOGY_AWARE_HINTS_ANNOTATION, annotations.get(TOPOLOGY_MODE_ANNOTATION))
    return mode in ("Auto", "auto")


def is_namespace_terminating(error: ApiError) -> bool:
    """Whether a create failed since its namespace is going away: trying again would not help."""
    causes: Iterable[Any] = (error.status.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Turn what the API server refuses inside into a failed sync, worded "`what`: the server's words"."""
    try:
        yield
    except ApiError as error:
        raise SyncError(f"{what}: {error}") from error


def raise_all(errors: list[SyncError]) -> None:
    """Raise one error for them all, worded as Go's aggregate: ``[one, another]``, none twice."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    if texts:
        raise SyncError(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
