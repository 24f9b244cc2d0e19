"""What commands, requests and logs of simulated pods need of the place where these pods run.

There are two such places: the built-in cluster (:class:`epkit.fake.plane.Plane`), and the simulated nodes of a real
control plane (:class:`epkit.targets.controlplane.nodes.Nodes`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from epkit.client import Client
from epkit.objects import Obj

if TYPE_CHECKING:
    from epkit.fake.clock import Clock
    from epkit.fake.http import Response
    from epkit.fake.kubelet import KubeletSim
    from epkit.fake.loop import Loop
    from epkit.fake.names import Names
    from epkit.fake.pace import Pace
    from epkit.fake.traffic import Traffic


class Objects(Protocol):
    """The objects of the cluster as they are now, by resource: ``pods``, ``endpointslices.discovery.k8s.io``."""

    @property
    def version(self) -> int:
        """Another number after every change."""

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        """One object, or None."""

    def list(self, resource: str) -> Iterable[Obj]:
        """All objects of a resource."""


class Simulation(Protocol):
    """Where simulated pods run."""

    @property
    def clock(self) -> Clock: ...

    @property
    def loop(self) -> Loop: ...

    @property
    def pace(self) -> Pace: ...

    @property
    def names(self) -> Names: ...

    @property
    def kubelet(self) -> KubeletSim: ...

    @property
    def traffic(self) -> Traffic: ...

    @property
    def store(self) -> Objects: ...

    @property
    def api_server(self) -> tuple[str, int]:
        """The address and the port that the Service ``kubernetes`` leads to."""

    def client(self, user: str) -> Client:
        """A client in the name of `user`."""

    def public(self, path: str) -> Response:
        """What the API server answers to a GET by somebody who does not say who he is."""

    def proceed(self) -> None:
        """Let time do what has been started."""

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
