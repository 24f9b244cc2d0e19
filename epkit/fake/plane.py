"""The built-in control plane, put together: store, API, controllers, kubelets, and the clock that moves them.

    plane = Plane(nodes=default_nodes(3))
    plane.request("GET", "/api/v1/nodes").code

It is plain Python: no thread, no socket, no file, no wall clock. :mod:`epkit.fake.server` adds those around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from epkit.client import Client
from epkit.fake import addons, controllers, podaccess
from epkit.fake.api import Api
from epkit.fake.clock import Clock
from epkit.fake.controllers.apiserver_services import KubernetesServiceController
from epkit.fake.controllers.framework import Controller
from epkit.fake.http import Http, Response
from epkit.fake.kubelet import KubeletSim, NodeSpec
from epkit.fake.loop import Loop
from epkit.fake.names import Names
from epkit.fake.pace import Instant, Pace
from epkit.fake.store import Store
from epkit.fake.transports import Direct, StoreSource

if TYPE_CHECKING:
    from epkit.executed import Executed
    from epkit.fake.containers import Container
    from epkit.fake.traffic import Traffic

#: A moment to start at when none is given: the same in every run.
EPOCH = 1_767_225_600.0  # 2026-01-01T00:00:00Z
ZONES = ("zone-a", "zone-b")


def default_nodes(count: int) -> list[NodeSpec]:
    """Nodes ``node-1`` to ``node-count``, in the zones a and b by turns."""
    return [NodeSpec(name=f"node-{i}", zone=ZONES[(i - 1) % len(ZONES)], number=i) for i in range(1, count + 1)]


class Plane:
    """A whole cluster in memory.

    Args:
        nodes: its simulated nodes; without any it is a bare control plane.
        start: virtual time at the start, in seconds since the epoch.
        seed: what generated names, uids and addresses derive from.
        flags: flags of controllers by name, such as ``{"endpointslice-controller": {"max_endpoints_per_slice": 3}}``.
    """

    def __init__(
        self,
        nodes: Sequence[NodeSpec] = (),
        *,
        start: float = EPOCH,
        seed: str = "epkit",
        flags: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.clock = Clock(start)
        self.loop = Loop(self.clock)
        self.pace: Pace = Instant()
        self.store = Store(lambda: self.clock.now)
        self.names = Names(seed)
        self.api = Api(self.store, self.clock, self.names)
        self.http = Http(self.api, self._metrics)
        self.source = StoreSource(self.store)
        self.flags: dict[str, dict[str, Any]] = {name: dict(given) for name, given in (flags or {}).items()}
        self.controllers: dict[str, Controller] = {}
        #: told after every change of time or work, so that a driver can look at the next timer anew
        self.on_change: list[Callable[[], None]] = []
        with self.loop.lock:
            addons.namespaces(self.client("kube-apiserver"))
            for name in controllers.ALL:
                self.start_controller(name)
            self.kubelet = KubeletSim(self, nodes)
            self.kubelet.shell = self._check_by_command
            self.kubelet.start()
            self.http.below = dict.fromkeys((("pods", name) for name in podaccess.NAMES), podaccess.PodAccess(self))
            if nodes:
                addons.install(self.client("kubeadm"))
            self.loop.settle()

    # -- controllers -----------------------------------------------------------------------------------------------

    def client(self, user: str) -> Client:
        """A client of the control plane's own components: what it sends is taken as it is, in the name of `user`."""
        return Client(Direct(self, user), manager="")

    def start_controller(self, name: str, **flags: Any) -> Controller:
        """Start a controller with its configured flags and these; one that runs is stopped first."""
        self.stop_controller(name)
        given = {**self.flags.get(name, {}), **flags}
        controller = controllers.load(name)(self, **given)
        self.controllers[name] = controller
        controller.start()
        return controller

    def stop_controller(self, name: str) -> None:
        controller = self.controllers.pop(name, None)
        if controller is not None:
            controller.stop()

    # -- requests --------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        notify: Callable[[], None] = lambda: None,
    ) -> Response:
        """Answer a request in process and then let time do its work."""
        response = self.answer(method, path, query, headers or {}, body, notify)
        self.proceed()
        return response

    def answer(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        notify: Callable[[], None] = lambda: None,
    ) -> Response:
        """The answer alone; whoever sends it calls :meth:`proceed` when it has gone out."""
        with self.loop.lock:
            self.pace.before(self.loop)
            return self.http.handle(method, path, query, headers, body, notify)

    def proceed(self) -> None:
        """Let time do what the last request has started."""
        with self.loop.lock:
            self.pace.after(self.loop)
        self._changed()

    @property
    def api_server(self) -> tuple[str, int]:
        """The address and the port that the Service ``kubernetes`` leads to."""
        known = {**KubernetesServiceController.flags, **self.flags.get(KubernetesServiceController.name, {})}
        return known["advertise_address"], known["secure_port"]

    def public(self, path: str) -> Response:
        """The answer to a GET by somebody who does not say who he is."""
        return self.http.handle("GET", path, "", {}, b"")

    # -- containers ------------------------------------------------------------------------------------------------

    @cached_property
    def traffic(self) -> Traffic:
        """The network between the simulated pods."""
        from epkit.fake.traffic import Traffic

        return Traffic(self)

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: Sequence[str],
        stdin: str = "",
        sleep: Callable[[float], None] | None = None,
    ) -> Executed:
        """Run a command in a container to its end; the only container where none is named.

        Args:
            sleep: passes seconds of the wall's clock, for a command that waits while time runs with the wall's.

        Raises:
            ApiError: there is no such pod or container, or it does not run (:class:`epkit.fake.exec.NotStarted`).
            EpkitError: the command waits for what does not come.

        >>> plane.exec("default", "web-0", "", ["hostname"]).stdout
        'web-0\\n'
        """
        from epkit.fake.exec import execute

        return execute(self, namespace, pod, container, argv, stdin, sleep)

    def _check_by_command(self, container: Container, argv: list[str]) -> tuple[int, str]:
        from epkit.fake.probeshell import check

        return check(self, container, argv)

    # -- time ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything come to rest, over waits that end by themselves within a minute."""
        self.loop.settle()
        self._changed()

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass, with everything that happens in it: leases, back-off and tolerations too."""
        with self.loop.lock:
            self.loop.run_until(self.clock.now + seconds)
        self._changed()

    def step(self) -> str | None:
        """Do one thing and say what it was; None when nothing is left to do."""
        label = self.loop.step()
        self._changed()
        return label

    def set_pace(self, pace: Pace) -> None:
        with self.loop.lock:
            self.pace.before(self.loop)
            self.pace = pace
        self._changed()

    def _changed(self) -> None:
        for notify in self.on_change:
            notify()

    def _metrics(self) -> str:
        return "".join(
            controller.metrics_text() for controller in self.controllers.values() if hasattr(controller, "metrics_text")
        )
