"""Which pod and which container a request for logs or exec means.

Source: ``pkg/registry/core/pod/strategy.go`` (validateContainer) of Kubernetes v1.36.
"""

from __future__ import annotations

from epkit.fake.simulation import Objects
from epkit.fake.wire import errors
from epkit.objects import Obj, name_of


def pod_of(store: Objects, namespace: str, name: str) -> Obj:
    """The pod. Raises the API server's 404."""
    pod = store.get("pods", namespace, name)
    if pod is None:
        raise errors.not_found("pods", name)
    return pod


def container_of(pod: Obj, container: str) -> str:
    """The name of the container that is meant: the one that is named, or the only one. Raises the API server's 400."""
    spec = pod["spec"]
    every = [entry["name"] for kind in ("initContainers", "containers") for entry in spec.get(kind) or ()]
    if container:
        if container not in every:
            raise errors.bad_request(f"container {container} is not valid for pod {name_of(pod)}")
        return container
    main = [entry["name"] for entry in spec.get("containers") or ()]
    if len(main) == 1:
        return str(main[0])
    raise errors.bad_request(
        f"a container name must be specified for pod {name_of(pod)}, choose one of: [{' '.join(every)}]"
    )
