"""The whole cluster: a control plane, its simulated nodes, and what every cluster has from the start."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epkit.client import Client
from epkit.errors import EpkitError
from epkit.fake import addons
from epkit.fake.nodes import KUBELET_VERSION
from epkit.objects import name_of
from epkit.targets.controlplane import binaries
from epkit.targets.controlplane.components import ADVERTISED, MASTERS, NODES, flags_of
from epkit.targets.controlplane.nodes import WATCHER, Nodes
from epkit.targets.controlplane.start import ControlPlaneProcesses
from epkit.targets.fake import parse_nodes
from epkit.targets.http import CONNECTIONS, HttpTransport, without_proxy_here

if TYPE_CHECKING:
    from epkit.client import Transport

#: Each simulated node has a certificate and connections of its own, and all of them share one thread.
MOST_NODES = 50
#: seconds for the namespaces and the accounts of a new cluster to come, and for its nodes to be free
LONGEST, _PAUSE = 30.0, 0.1
#: the field manager of what kubeadm installs
INSTALLER = "kubeadm"


class LocalCluster:
    """A real control plane on this machine with simulated nodes; it ends with :meth:`close`, or with this process.

    Args:
        nodes: a number, or ``name=zone,name=zone…``.
        flags: flags by controller or program (:func:`epkit.targets.controlplane.components.flags_of`).
        audit: a file for kube-apiserver's audit log.
        port: kube-apiserver's; any free one if 0.
        tell: shows a line of progress.

    Attributes:
        kubeconfig: the administrator's, in a private folder.
        version: of kube-apiserver.
        nodes: the simulated ones.

    Raises:
        EpkitError: programs are missing, one of them does not start, or an argument cannot be understood.
    """

    def __init__(
        self,
        nodes: str = "3",
        flags: Mapping[str, Mapping[str, Any]] | None = None,
        audit: Path | None = None,
        port: int = 0,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        specs, passed_on = parse_nodes(nodes), flags_of(flags or {})
        if not 1 <= len(specs) <= MOST_NODES:
            raise EpkitError(f"A local control plane takes 1 to {MOST_NODES} simulated nodes, not {len(specs)}.")
        if audit is not None:
            _writable(audit)
        found = binaries.find()
        self.version = found.kubernetes
        self._processes = ControlPlaneProcesses(found, passed_on, audit, port, tell)
        self.kubeconfig, self.server = self._processes.kubeconfig, self._processes.server
        self.nodes = Nodes(specs, self._transport, (ADVERTISED, self._processes.port))
        try:
            self._furnish()
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Raise EpkitError if one of the programs has ended."""
        self._processes.check()

    def halt_nodes(self) -> None:
        """Stop the kubelets; the control plane goes on."""
        self.nodes.stop()

    def close(self) -> None:
        """End everything; nothing is left."""
        self.nodes.stop()
        self._processes.close()

    def _furnish(self) -> None:
        """Wait for what the control plane makes by itself, then bring nodes and DNS."""
        client = Client(self._transport(INSTALLER), manager=INSTALLER)
        for name in addons.NAMESPACES:
            self._wait(partial(client.find, "namespaces", name), f"the namespace {name}")
        self.nodes.start()
        addons.install(client)
        # Pods are refused in a namespace without its account, and placed on no node that is not known to be ready.
        self._wait(partial(client.find, "serviceaccounts", "default", "default"), "the first ServiceAccount")
        self._wait(lambda: not _tainted(client), "the nodes to be ready")

    def _wait(self, done: Callable[[], object], what: str) -> None:
        end = time.monotonic() + LONGEST
        while not done():
            self.check()
            if time.monotonic() > end:
                raise EpkitError(f"The control plane runs, but after {LONGEST:g} s it still lacks {what}.")
            time.sleep(_PAUSE)

    def _transport(self, user: str) -> Transport:
        """The way to kube-apiserver in the name of a user. All of them have all rights: one process plays them all."""
        from kubernetes.client import ApiClient

        groups = (MASTERS, NODES) if user.startswith("system:node:") else (MASTERS,)
        files = self._processes.files
        pair = files.user(user, *groups)
        configuration = without_proxy_here()
        configuration.host = self.server
        configuration.connection_pool_maxsize = CONNECTIONS
        configuration.ssl_ca_cert = str(files.ca.file)
        configuration.cert_file, configuration.key_file = str(pair.certificate), str(pair.key)
        transport = HttpTransport(ApiClient(configuration))
        transport.agent = user if user in (WATCHER, INSTALLER) else f"kubelet/{KUBELET_VERSION}"
        return transport


def _tainted(client: Client) -> list[str]:
    """The nodes that take no pods yet."""
    return [name_of(node) for node in client.list("nodes") if node["spec"].get("taints")]


def _writable(file: Path) -> None:
    try:
        file.touch(mode=0o600)
    except OSError as error:
        raise EpkitError(f"The audit log cannot be written to {file}: {error.strerror}. Name another file.") from None
