"""What a Cluster hands out: the official client's APIs, and switches on controllers and kubelets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from epkit.errors import EpkitError

if TYPE_CHECKING:
    from epkit.fake.controllers.framework import Controller
    from epkit.fake.plane import Plane
    from epkit.targets.base import Target


class Api:
    """The official client's APIs that the course uses, each made when first asked for."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        classes = {
            "core": "CoreV1Api",
            "apps": "AppsV1Api",
            "discovery": "DiscoveryV1Api",
            "batch": "BatchV1Api",
            "policy": "PolicyV1Api",
            "networking": "NetworkingV1Api",
            "coordination": "CoordinationV1Api",
            "version": "VersionApi",
        }
        if name not in classes:
            raise AttributeError(f"cluster.api has no {name!r}; it has: {', '.join(classes)}")
        import kubernetes.client

        api = getattr(kubernetes.client, classes[name])(self.client)
        setattr(self, name, api)
        return api


class ControllerHandle:
    """A switch on one controller of the built-in cluster."""

    def __init__(self, plane: Plane, name: str) -> None:
        from epkit.fake.controllers import ALL

        full = name if name in ALL else f"{name}-controller"
        if full not in ALL:
            raise EpkitError(f"There is no controller {name!r}. There are: {', '.join(ALL)}.")
        self.name = full
        self._plane = plane

    @property
    def running(self) -> bool:
        return self.name in self._plane.controllers

    def stop(self) -> None:
        """Stop it, as if its process were gone: caches, queues and trackers are lost."""
        with self._plane.loop.lock:
            self._plane.stop_controller(self.name)

    def start(self, **flags: Any) -> Controller:
        """Start it anew, with these flags; it lists everything and works from there."""
        try:
            with self._plane.loop.lock:
                controller = self._plane.start_controller(self.name, **flags)
        except TypeError as error:
            raise EpkitError(f"{error}.") from None
        self._plane.proceed()
        return controller

    def lag(self, seconds: float) -> None:
        """Let its caches hear of every change this much later; 0 ends that."""
        for informer in self._started().informers.values():
            informer.lag = seconds

    @property
    def log(self) -> list[str]:
        """What it has logged since it was started, oldest first, each line with the cluster's time (UTC).

        >>> cluster.controller("endpointslice").log[-1]
        '2026-01-01T00:01:09Z Error syncing default/web, retrying: EndpointSlice informer cache is out of date'
        """
        from epkit.fake.clock import format_time

        return [f"{format_time(moment)} {line}" for moment, line in self._started().log_lines]

    def metrics(self, name: str = "") -> str:
        """What it shows Prometheus, one sample a line; with `name`, the samples whose names contain it.

        >>> print(cluster.controller("endpointslice").metrics("syncs"))
        endpoint_slice_controller_syncs{result="success"} 12
        """
        controller = self._started()
        if not hasattr(controller, "metrics_text"):
            raise EpkitError(f"{self.name} of the built-in cluster has no metrics; the two controllers of slices have.")
        lines = controller.metrics_text().splitlines()
        samples = (line for line in lines if not line.startswith("#"))
        return "\n".join(line for line in samples if name in line.split("{")[0].split(" ")[0])

    def _started(self) -> Controller:
        controller = self._plane.controllers.get(self.name)
        if controller is None:
            raise EpkitError(f"{self.name} is stopped. Start it first.")
        return controller


class KubeletHandle:
    """A switch on the kubelet of one simulated node."""

    def __init__(self, target: Target, node: str) -> None:
        self._kubelet = target.kubelet
        self._target = target
        if node not in self._kubelet.nodes:
            raise EpkitError(f"There is no simulated node {node!r}. There are: {', '.join(self._kubelet.nodes)}.")
        self.node = node

    @property
    def running(self) -> bool:
        return not self._kubelet.nodes[self.node].stopped

    def stop(self) -> None:
        """Stop it, as when the machine hangs: no heartbeats, no reports. Its containers run on, and nobody knows."""
        with self._kubelet.kit.loop.lock:
            self._kubelet.stop(self.node)

    def start(self) -> None:
        """Start it again; it tells the API server how its node and its pods are."""
        with self._kubelet.kit.loop.lock:
            self._kubelet.start(self.node)
        self._target.proceed()
