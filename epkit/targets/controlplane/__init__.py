"""A real control plane on this machine: etcd, kube-apiserver, kube-controller-manager and kube-scheduler.

They run as ordinary processes of yours on 127.0.0.1, with certificates of their own and data in a private folder, and
end with the kernel. The nodes are simulated: their kubelets are the built-in cluster's, as clients of kube-apiserver.

    cluster = epkit.connect("controlplane", nodes=3, flags={"kube-controller-manager": {"max-endpoints-per-slice": 3}})

======================  ==================================================================
:mod:`.binaries`        finds the programs
:mod:`.assets`          fetches them: ``epkit assets``
:mod:`.components`      their command lines
:mod:`.certificates`    who is who
:mod:`.processes`       starts what ends with the kernel, by way of :mod:`.supervisor`
:mod:`.start`           one after the other, until all are ready
:mod:`.nodes`           simulated nodes, fed by :mod:`.watches`
:mod:`.local`           all of it together
======================  ==================================================================
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epkit.client import Answer, Client, Transport
from epkit.errors import ApiError, EpkitError
from epkit.executed import Executed
from epkit.fake.kubelet import KubeletSim
from epkit.objects import Obj
from epkit.targets.base import given
from epkit.targets.live import Live
from epkit.traffic import Responses

if TYPE_CHECKING:
    from epkit.targets.controlplane.local import LocalCluster

OPTIONS = ("nodes", "flags", "audit")


class ControlPlane(Live):
    """A local control plane with simulated nodes, as a target.

    Args:
        options: ``nodes`` (a number or ``"name=zone,…"``), ``flags`` (of controllers as on the built-in cluster, or of
            programs: ``{"kube-scheduler": {"v": 4}}``) and ``audit`` (a file for kube-apiserver's audit log).

    Raises:
        EpkitError: programs are missing, or one of them does not start.
    """

    name = "controlplane"
    powers = frozenset({"kubelets", "story", "exec", "request"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        from epkit.targets.controlplane.components import flags_of
        from epkit.targets.controlplane.local import LocalCluster

        given(dict(options), OPTIONS, self.name)
        audit = Path(options["audit"]).expanduser().absolute() if options.get("audit") else None
        nodes = str(options.get("nodes", 3))
        self._flags = flags_of(options.get("flags") or {})
        self.local: LocalCluster = LocalCluster(nodes, options.get("flags"), audit, tell=self.tell)
        try:
            super().__init__(str(self.local.kubeconfig), "epkit")
        except BaseException:
            self.local.close()
            raise
        self.transport = WithPods(self.transport, self)
        self.client = Client(self.transport)

    def describe(self) -> str:
        count = len(self.local.nodes.kubelet.nodes)
        return f"local control plane, Kubernetes {self.version}, {count} simulated node{'s' if count > 1 else ''}"

    @property
    def places(self) -> int:
        return int(self._flags.get("kube-controller-manager", {}).get("max-endpoints-per-slice", 0))

    @property
    def kubelet(self) -> KubeletSim:
        return self.local.nodes.kubelet

    def proceed(self) -> None:
        """Have the simulated nodes do what is due."""
        self.local.nodes.proceed()

    def settle(self) -> None:
        self.local.check()
        super().settle()

    def exec(self, namespace: str, pod: str, container: str, words: Sequence[str], stdin: str) -> Executed:
        return self.local.nodes.exec(self.real(namespace), pod, container, words, stdin)

    def request(self, url: str, namespace: str, from_pod: str, from_node: str, n: int, over: float) -> Responses:
        """Simulated requests, by the rules that kube-proxy would write for the real Services and slices."""
        from epkit.fake.sending import send, source_of

        nodes = self.local.nodes
        return send(nodes, source_of(nodes, self.real(namespace), from_pod, from_node), url, n, over)

    def close(self) -> None:
        self.local.halt_nodes()
        super().close()
        self.local.close()


class WithPods:
    """The transport of a control plane with simulated nodes: what kube-apiserver would ask a kubelet, they answer."""

    def __init__(self, inner: Transport, target: ControlPlane) -> None:
        self._inner = inner
        self._target = target

    def send(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, **how: str
    ) -> Answer:
        if path.endswith("/log") and method == "GET" and "/pods/" in path:
            return self._log(path, query or {})
        return self._inner.send(method, path, query, body, **how)

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        return self._inner.watch(path, query, accept=accept)

    def exec(self, namespace: str, pod: str, container: str, command: list[str], stdin: str) -> tuple[str, str, int]:
        """Run a command; its stdout, stderr and exit code."""
        done = self._target.run_for_kubectl(namespace, pod, container, command, stdin)
        return done.stdout, done.stderr, done.returncode

    def _log(self, path: str, query: Mapping[str, str]) -> Answer:
        from dataclasses import replace

        from epkit.fake.podaccess import PodAccess
        from epkit.fake.requests import route_of

        nodes, route = self._target.local.nodes, route_of(path)
        route = replace(route, namespace=self._target.real(route.namespace))
        try:
            with nodes.loop.lock:
                response = PodAccess(nodes).answer("GET", route, query, {}, lambda: None)
                body = response.body
                if (stream := response.watch) is not None:  # followed: what there is now
                    body = stream.encode(stream.watch.take())
                    stream.watch.close()
        except ApiError as error:
            return Answer(error.code, error.status)
        return Answer(response.code, body.decode())


def up(arguments: argparse.Namespace) -> int:
    """``epkit up --target controlplane``: run one for terminals until Ctrl-C or SIGTERM."""
    from epkit.targets.controlplane.local import LocalCluster
    from epkit.targets.fake import flags_of

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    file: Path | None = arguments.kubeconfig
    written = False
    try:
        with closing(LocalCluster(arguments.nodes, flags_of(arguments), port=arguments.port, tell=tell)) as local:
            if file is not None:
                _copy(local.kubeconfig, file)
                written = True
            print(f"export KUBECONFIG={file or local.kubeconfig}", flush=True)
            tell(f"Kubernetes {local.version} answers at {local.server}. Ctrl-C ends it.")
            tell("Its nodes are simulated: kubectl logs and kubectl exec work in notebooks alone.")
            while True:
                time.sleep(1.0)
                local.check()
    except KeyboardInterrupt:
        tell("The cluster has ended.")
    finally:
        signal.signal(signal.SIGTERM, before)
        if written and file is not None:
            file.unlink(missing_ok=True)
    return 0


def _copy(kubeconfig: Path, file: Path) -> None:
    try:
        shutil.copyfile(kubeconfig, file)
        file.chmod(0o600)
    except OSError as error:
        raise EpkitError(
            f"The kubeconfig cannot be written to {file}: {error.strerror}. Choose another --kubeconfig."
        ) from None
