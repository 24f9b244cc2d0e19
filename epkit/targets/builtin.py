"""The built-in cluster as a target of :func:`epkit.connect`: it lives in this process and goes with it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epkit.client import Client
from epkit.fake.plane import EPOCH, Plane
from epkit.fake.transports import InProcess, WithExec
from epkit.targets.base import POWERS, Target, given
from epkit.targets.fake import make, pace_of

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from epkit.executed import Executed
    from epkit.fake.kubelet import KubeletSim
    from epkit.fake.server import Server
    from epkit.story import Story
    from epkit.traffic import Responses

OPTIONS = ("nodes", "clock", "speed", "start", "seed", "flags")


class BuiltIn(Target):
    """A :class:`Plane` of this process, served on loopback once somebody outside asks for it."""

    name = "fake"
    powers = frozenset(POWERS)

    def __init__(self, options: dict[str, Any]) -> None:
        given(options, OPTIONS, self.name)
        chosen: dict[str, Any] = {key: str(value) if key == "nodes" else value for key, value in options.items()}
        if os.environ.get("EPKIT_MODE"):
            # Under test, and where stored outputs are made, time starts at a fixed moment.
            chosen.setdefault("start", EPOCH)
        self._plane: Plane = make(**chosen)
        self._server: Server | None = None
        self._folder: Path | None = None
        self.transport = WithExec(self._plane, "kubectl", time.sleep)
        self.client = Client(InProcess(self._plane, "epkit"))

    @property
    def plane(self) -> Plane:
        return self._plane

    @property
    def kubelet(self) -> KubeletSim:
        return self._plane.kubelet

    @property
    def places(self) -> int:
        controller = self._plane.controllers.get("endpointslice-controller")
        return int(controller.options["max_endpoints_per_slice"]) if controller is not None else 0

    def describe(self) -> str:
        nodes = len(self.client.list("nodes"))
        noun = "node" if nodes == 1 else "nodes"
        return f"built-in, Kubernetes v1.36, {nodes} {noun}, {self._plane.pace.name} clock"

    def kubeconfig(self) -> Path:
        from epkit.fake import kubeconfig
        from epkit.fake.server import Server

        if self._server is None or self._folder is None:
            self._folder = kubeconfig.private_folder()
            self._server = Server(self._plane).start()
            text = kubeconfig.content(self._server.url, self._server.secret, self.namespace)
            kubeconfig.write(self._folder / "kubeconfig", text)
        return self._folder / "kubeconfig"

    def api_client(self) -> ApiClient:
        from epkit.targets.pool import api_client

        return api_client(self._plane)

    def now(self) -> float:
        return self._plane.clock.now

    @property
    def paused(self) -> bool:
        return self._plane.pace.name == "paused"

    def moment_of(self, version: int) -> float | None:
        for event in reversed(self._plane.store.history):
            if event.version <= version:
                return event.time if event.version == version else None
        return None

    def settle(self) -> None:
        self._plane.settle()

    def sleep(self, seconds: float) -> None:
        self._plane.sleep(seconds)

    def proceed(self) -> None:
        self._plane.proceed()

    def step(self) -> str | None:
        return self._plane.step()

    def set_clock(self, clock: str, speed: float) -> None:
        self._plane.set_pace(pace_of(clock, self._plane.clock.now, speed))
        if clock == "realtime":
            self.kubeconfig()  # the server's thread is what moves time on

    def story(self) -> Story:
        from epkit.story import of_plane

        return of_plane(self._plane)

    def exec(self, namespace: str, pod: str, container: str, words: Sequence[str], stdin: str) -> Executed:
        return self._plane.exec(namespace, pod, container, words, stdin, time.sleep)

    def request(self, url: str, namespace: str, from_pod: str, from_node: str, n: int, over: float) -> Responses:
        from epkit.fake.sending import send, source_of

        return send(self._plane, source_of(self._plane, namespace, from_pod, from_node), url, n, over)

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
        if self._folder is not None:
            (self._folder / "kubeconfig").unlink(missing_ok=True)
            self._folder.rmdir()
