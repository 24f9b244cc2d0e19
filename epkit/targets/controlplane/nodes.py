"""Simulated nodes on a real control plane: their kubelets, and the network between their pods.

The kubelets are the built-in cluster's (:class:`epkit.fake.kubelet.KubeletSim`), as clients of another API server. A
thread moves their clock with the wall's. The loop's lock stands around all they do, their requests included: that is
unlike the built-in cluster, where no I/O happens under it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from epkit.client import Answer, Client, Transport
from epkit.errors import EpkitError
from epkit.executed import Executed
from epkit.fake.clock import Clock
from epkit.fake.http import Response
from epkit.fake.kubelet import KubeletSim, NodeSpec
from epkit.fake.loop import Loop
from epkit.fake.names import Names
from epkit.fake.pace import Pace, Realtime
from epkit.fake.wire import errors
from epkit.objects import Obj
from epkit.targets.controlplane.watches import Cached, Watches

if TYPE_CHECKING:
    from epkit.fake.containers import Container
    from epkit.fake.traffic import Traffic

#: the longest that the thread sleeps without looking, and that the first lists may take, in seconds
_LONGEST_SLEEP, _LISTS = 10.0, 30.0
#: the user that follows all pods; each kubelet writes as `system:node:NAME`
WATCHER = "epkit"

_log = logging.getLogger(__name__)

Connect = Callable[[str], Transport]


class Nodes:
    """Some simulated nodes, from :meth:`start` to :meth:`stop`.

    Args:
        specs: what they are.
        connect: the way to the API server in the name of a user.
        api_server: the address and the port that the Service ``kubernetes`` leads to.

    It is a :class:`epkit.fake.simulation.Simulation`.
    """

    def __init__(self, specs: Sequence[NodeSpec], connect: Connect, api_server: tuple[str, int]) -> None:
        self.clock = Clock(time.time())
        self.loop = Loop(self.clock)
        self.pace: Pace = Realtime(time.time, self.clock.now)
        self.names = Names()
        self.api_server = api_server
        self._connect = connect
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="epkit-nodes", daemon=True)
        self.source = self.store = Watches(self.client(WATCHER), self.loop, self._wake.set)
        self.kubelet: KubeletSim = Kubelets(self, specs)
        self.kubelet.shell = self._check_by_command

    def start(self) -> None:
        """Register the nodes and run what is bound to them.

        Raises:
            EpkitError: the API server does not answer, or refuses.
        """
        self.source.start(_LISTS)
        with self.loop.lock:
            self.kubelet.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop all kubelets, without a word to the API server, as when the machines are switched off."""
        self._stopped = True
        self.source.stop()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def client(self, user: str) -> Client:
        """A client in the name of a user; CoreDNS reads what the watches know."""
        if user == "coredns":
            return Client(Cached(self.store))
        return Client(Patient(self._connect(user)), manager="")

    def public(self, path: str) -> Response:
        """The API server's own answer, where simulated pods ask for it."""
        answer = Patient(self._connect(WATCHER)).send("GET", path, accept="*/*")
        if isinstance(answer.body, str):
            return Response(answer.code, answer.body.encode(), "text/plain")
        return Response(answer.code, orjson.dumps(answer.body))

    # -- time ----------------------------------------------------------------------------------------------------------

    def proceed(self) -> None:
        """Do what is due now."""
        with self.loop.lock:
            self.pace.after(self.loop)
        self._wake.set()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            with self.loop.lock:
                if self._stopped:
                    return
                try:
                    self.pace.after(self.loop)
                except Exception:  # one pod's trouble must not stop the heartbeats of all nodes
                    _log.exception("a task of the simulated nodes failed")
                delay = self.pace.next_due(self.loop)
                idle = self.loop.idle
            if idle or delay:
                self._wake.wait(_LONGEST_SLEEP if delay is None else min(delay, _LONGEST_SLEEP))

    # -- containers ----------------------------------------------------------------------------------------------------

    @cached_property
    def traffic(self) -> Traffic:
        """The network between the pods."""
        from epkit.fake.traffic import Traffic

        return Traffic(self)

    def exec(self, namespace: str, pod: str, container: str, argv: Sequence[str], stdin: str = "") -> Executed:
        """Run a command in a container to its end; see :meth:`epkit.fake.plane.Plane.exec`."""
        from epkit.fake.exec import execute

        return execute(self, namespace, pod, container, argv, stdin, time.sleep)

    def _check_by_command(self, container: Container, argv: list[str]) -> tuple[int, str]:
        from epkit.fake.probeshell import check

        return check(self, container, argv)


class Kubelets(KubeletSim):
    """The kubelets of some nodes, each with its own name for the API server."""

    def client_of(self, node: str) -> Client:
        return self.kit.client(f"system:node:{node}")


class Patient:
    """A transport whose server may be away for a moment: an answer like any other, so that what asks tries again."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    def send(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, **how: str
    ) -> Answer:
        try:
            return self._inner.send(method, path, query, body, **how)
        except EpkitError as error:
            return Answer(503, errors.status(503, "ServiceUnavailable", str(error)))

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        return self._inner.watch(path, query, accept=accept)
