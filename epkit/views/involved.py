"""What belongs to a Service in a story: itself, its slices and Endpoints, its pods, and who owns and hosts those."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from epkit.errors import EpkitError
from epkit.objects import Obj, controller_of, labels_of, name_of, namespace_of
from epkit.selectors import of_map
from epkit.views.lookup import SERVICE_NAME, not_found
from epkit.views.text import clean

if TYPE_CHECKING:
    from epkit.story import Story, Written

PLURALS = {
    "Deployment": "deployments", "ReplicaSet": "replicasets", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets",
    "Job": "jobs",
}  # fmt: skip
Key = tuple[str, str]  # resource, name; of a node the namespace does not matter


def of_service(story: Story, namespace: str, name: str) -> list[Written]:
    """The writes of a story that tell of one Service, oldest first.

    Pods count that a selector of the Service ever matched or that a slice of it listed, with the workloads that own
    them and the nodes that they ran on; Events and Leases do not.

    Raises:
        EpkitError: the story knows no such Service; the text names the nearest ones.
    """
    selectors, services = [], set()
    for obj in states(story, "services"):
        if namespace_of(obj) == namespace:
            services.add(name_of(obj))
            if name_of(obj) == name:
                selectors.append((obj.get("spec") or {}).get("selector"))
    if name not in services:
        elsewhere = {namespace_of(obj) for obj in states(story, "services") if name_of(obj) == name}
        raise EpkitError(not_found("Service", name, namespace, services, elsewhere))
    wanted: set[Key] = {("services", name), ("endpoints", name)}
    listed = set()
    for obj in states(story, "endpointslices"):
        if namespace_of(obj) == namespace and labels_of(obj).get(SERVICE_NAME) == name:
            wanted.add(("endpointslices", name_of(obj)))
            listed |= {(endpoint.get("targetRef") or {}).get("name") for endpoint in obj.get("endpoints") or ()}
    matchers = [of_map(selector) for selector in selectors if selector]
    for obj in states(story, "pods"):
        if namespace_of(obj) != namespace:
            continue
        if name_of(obj) in listed or any(matches(labels_of(obj)) for matches in matchers):
            wanted.add(("pods", name_of(obj)))
            wanted.add(("nodes", (obj.get("spec") or {}).get("nodeName", "")))
            wanted |= _owner(obj)
    for obj in states(story, "replicasets"):
        if namespace_of(obj) == namespace and ("replicasets", name_of(obj)) in wanted:
            wanted |= _owner(obj)
    return [
        write for write in story.writes
        if (write.resource, name_of(write.obj)) in wanted and namespace_of(write.obj) in ("", namespace)
    ]


def moment(story: Story, since: float | str | None) -> float | None:
    """The moment that `since` means: one of the cluster's time, or that of the write with a resource version.

    Raises:
        EpkitError: the story ends before it, or it is neither of the two.
    """
    if isinstance(since, str):
        if not since.isdigit():
            raise EpkitError(f"since={clean(since)!r} is no resource version, such as one that a list came with.")
        before = [write.at for write in story.writes if write.version <= int(since)]
        return before[-1] if before else story.start
    if since is not None and since > story.end:
        raise EpkitError(
            f"The story ends at {story.end:.1f}, {since - story.end:.1f} s before the moment {since:.1f} that was "
            "asked for. Give a moment of the past, such as one kept from cluster.now."
        )
    return since


def is_after(write: Written, since: float | str | None) -> bool:
    """Does a write belong to what happened since a moment, or after a resource version?"""
    if since is None:
        return True
    return write.version > int(since) if isinstance(since, str) else write.at >= since


def states(story: Story, resource: str) -> Iterator[Obj]:
    """Every state of every object of a resource that a story knows."""
    yield from story.beginning.get(resource, ())
    for write in story.writes:
        if write.resource == resource:
            yield write.obj


def _owner(obj: Obj) -> set[Key]:
    owner = controller_of(obj)
    return {(PLURALS[owner["kind"]], owner["name"])} if owner and owner.get("kind") in PLURALS else set()
