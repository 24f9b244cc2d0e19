"""Cluster: the one object that a notebook talks to."""

from __future__ import annotations

import atexit
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epkit.client import Client, Transport
from epkit.errors import EpkitError
from epkit.handles import Api, ControllerHandle, KubeletHandle

if TYPE_CHECKING:
    from epkit.executed import Executed
    from epkit.fake.plane import Plane
    from epkit.kubectl import Completed
    from epkit.live.view import LiveView
    from epkit.story import Difference, Past, Story, Writes
    from epkit.targets.base import Target
    from epkit.traffic import Responses
    from epkit.views.diagram import Diagram
    from epkit.why import Report

_current: Cluster | None = None


def connect(target: str = "", **options: Any) -> Cluster:
    """The cluster of this kernel; called again, the same one.

    Args:
        target: where it comes from: ``fake``, the default, is the built-in cluster; ``kind``, ``controlplane`` and
            ``context:NAME`` are live ones (``epkit targets`` tells what differs). `EPKIT_TARGET` sets it too.
        options: of the built-in cluster: ``nodes`` (a number or ``"name=zone,…"``), ``clock`` (``instant``,
            ``realtime`` or ``paused``), ``speed``, ``seed``, ``start`` (seconds since the epoch) and ``flags``
            (of controllers, by name). Of the others: see their classes.

    Raises:
        EpkitError: there is no such target, or a cluster with other options is already connected.

    >>> cluster = connect()
    >>> cluster.kubectl("get services")
    """
    global _current
    asked = target
    target = target or os.environ.get("EPKIT_TARGET", "") or "fake"
    if _current is not None and not _current.closed:
        if asked and asked != _current.called:
            raise EpkitError(
                f"This kernel is connected to {_current.called} already. Call cluster.close() first, then "
                f"connect({asked!r})."
            )
        if options and options != _current.options:
            raise EpkitError(
                "A cluster is connected already. Call cluster.close() first, then connect() with the new options."
            )
        return _current
    from epkit.targets.table import open_target

    _current = Cluster(options, open_target(target, options))
    _current.called = target
    _load_magic()
    return _current


def current() -> Cluster | None:
    """The cluster of this kernel, if one is connected."""
    return None if _current is None or _current.closed else _current


def disconnect() -> None:
    """Close the cluster of this kernel, if there is one."""
    if (cluster := current()) is not None:
        cluster.close()


class Cluster:
    """A cluster and what one does with it. Make one with :func:`connect`.

    Attributes:
        client: epkit's own small client, on dictionaries (:class:`epkit.client.Client`).
        called: the target as :func:`connect` was given it.
    """

    def __init__(self, options: dict[str, Any], target: Target | None = None) -> None:
        if target is None:
            from epkit.targets.builtin import BuiltIn

            target = BuiltIn(options)
        self.options = dict(options)
        self.target = target
        self.transport: Transport = target.transport
        self.client: Client = target.client
        self.called = target.name
        self._live_views: list[LiveView] = []
        self.closed = False
        atexit.register(self.close)

    def __repr__(self) -> str:
        return "<Cluster: closed>" if self.closed else f"<Cluster: {self.target.describe()}>"

    @property
    def _plane(self) -> Plane:
        """The built-in control plane. Raises EpkitError on any other target."""
        return self.target.plane

    @property
    def namespace(self) -> str:
        """Where commands work that name no namespace: ``default``; on a live cluster the chapter's own."""
        return self.target.namespace

    def own(self, namespace: str) -> str:
        """The name here of a namespace that the course names: ``ex-4-1`` is ``epkit-ann-4-1`` on a live cluster."""
        return self.target.real(namespace)

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes that take ordinary pods, in order."""
        return self.target.nodes

    # -- asking ----------------------------------------------------------------------------------------------------

    def kubectl(
        self,
        command: str,
        *,
        stdin: str = "",
        env: dict[str, str] | None = None,
        editor: Callable[[str], str] | None = None,
    ) -> Completed:
        """Run a kubectl command; what it prints is the result's text.

        For ``kubectl edit``, `editor` stands in for yours: a function from the text to the edited text.

        >>> cluster.kubectl("get endpointslices -l kubernetes.io/service-name=web")
        """
        from epkit.kubectl import run

        self._check()
        done = run(command, self, stdin=stdin, env=env, namespace=self.namespace, editor=editor)
        self.target.after_command()
        return done

    def exec(
        self, pod: str, command: str | Sequence[str], *, container: str = "", namespace: str = "", stdin: str = ""
    ) -> Executed:
        """Run a command in a container of a pod, as ``kubectl exec`` does; the first container if none is named.

        Args:
            command: words, or one text that is split at blanks as a shell would; it goes to no shell.

        Raises:
            ApiError: there is no such pod or container, or it does not run.

        >>> cluster.exec("client", "curl -s http://web").returncode
        0
        """
        self._check()
        words = shlex.split(command) if isinstance(command, str) else list(command)
        namespace = self.target.real(namespace or self.namespace)
        if not container and (found := self.client.find("pods", pod, namespace)) is not None:
            container = str(found["spec"]["containers"][0]["name"])
        return self.target.exec(namespace, pod, container, words, stdin)

    def request(
        self, url: str, *, from_pod: str = "", from_node: str = "", n: int = 1, over: float = 0.0, namespace: str = ""
    ) -> Responses:
        """Send `n` HTTP requests, each on a connection of its own, and tell who answered how often.

        They go through kube-proxy's rules on the node of the client: of `from_pod`, or of a client that is there for
        this alone, on `from_node` or else on the first node.

        Args:
            over: spreads the requests over so many seconds of the cluster's time; by default all come at once.

        Raises:
            EpkitError: there is no such pod or node, or the URL cannot be read.

        >>> cluster.request("http://web", from_pod="client", n=100)
        100 requests from pod client to http://web: web-abc answered 52, web-def 48.
        """
        self._check()
        if n < 1 or over < 0:
            raise EpkitError(f"request sends 1 request or more, over 0 seconds or more; not n={n}, over={over:g}.")
        if from_pod and from_node:
            raise EpkitError("A request comes from a pod or from a node: give from_pod or from_node, not both.")
        return self.target.request(url, self.target.real(namespace or self.namespace), from_pod, from_node, n, over)

    @cached_property
    def api(self) -> Api:
        """The official Python client, on this cluster: ``cluster.api.discovery.list_namespaced_endpoint_slice(…)``."""
        self._check()
        return Api(self.target.api_client())

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig for this cluster, for programs outside the kernel. It goes when the cluster is closed."""
        self._check()
        return self.target.kubeconfig()

    def show(self, what: str) -> Diagram:
        """Draw a Service and everything behind it: slices, endpoints, pods, nodes, zones.

        >>> cluster.show("svc/web")
        """
        from epkit.views import topology

        self._check()
        return topology.of_service(self, what)

    def why(self, *what: str) -> Report:
        """The reasons, in order, that a Service, or one pod behind it, has no endpoints or gets no traffic.

        >>> cluster.why("svc/web")
        >>> cluster.why("pod/web-1", "svc/web")
        """
        from epkit.why import why

        self._check()
        return why(self.client, *what, namespace=self.namespace)

    def live(self, what: str) -> LiveView:
        """Follow a Service beside the notebook: topology, slices with what changed, who wrote what; hold its clock.

        Raises:
            EpkitError: there is no such Service; the text names the nearest ones.

        >>> cluster.live("svc/web")
        """
        from epkit.live.view import open_view

        self._check()
        return open_view(self, what, self._live_views)

    def source(self, controller: str) -> str:
        """The Python source of a controller's heart, such as ``"endpointslice"``: it is meant to be read."""
        import inspect
        from importlib import import_module

        modules = {"endpointslice": "endpointslice.reconciler", "endpoints": "endpoints"}
        if controller not in modules:
            raise EpkitError(f"There is no source for {controller!r}. There is one for: {', '.join(modules)}.")
        return inspect.getsource(import_module(f"epkit.fake.controllers.{modules[controller]}"))

    # -- time ------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The cluster's time, in seconds since the epoch."""
        return self.target.now()

    @property
    def paused(self) -> bool:
        """Does time stand still?"""
        return self.target.paused

    def moment_of(self, version: int) -> float | None:
        """When the write with this resource version happened, in seconds since the epoch; None if that is not known."""
        return self.target.moment_of(version)

    def settle(self) -> None:
        """Wait until the cluster has come to rest. The built-in one jumps over waits that end by themselves."""
        self._check()
        self.target.settle()

    def sleep(self, seconds: float) -> None:
        """Let the cluster's time pass: leases, back-off and tolerations too."""
        self._check()
        if seconds < 0:
            raise EpkitError(f"Time does not run backwards: sleep takes 0 seconds or more, not {seconds:g}.")
        self.target.sleep(seconds)

    def step(self) -> str | None:
        """Do the next single thing and return what it was, or None when nothing is left to do."""
        self._check()
        return self.target.step()

    def pause(self) -> None:
        """Stop time: nothing moves any more but by :meth:`step` and :meth:`sleep`."""
        self._set_clock("paused")

    def resume(self, clock: str = "instant", speed: float = 1.0) -> None:
        """Let time move again: ``instant``, or ``realtime`` with a `speed`."""
        self._set_clock(clock, speed)

    @contextmanager
    def watching(self, *resources: str, namespace: str | None = None, conditions: bool = False) -> Iterator[None]:
        """Print what happens to these resources while the block runs, as ``kubectl get --watch`` would.

        With `conditions`, rows of slices show ready, serving and terminating of every endpoint.

        >>> with cluster.watching("endpointslices"):
        ...     cluster.kubectl("scale deployment web --replicas=3")
        """
        from epkit.kubectl.watching import Recording

        self._check()
        namespace = self.target.real(self.namespace if namespace is None else namespace)
        recording = Recording(self, resources, namespace, conditions)
        yield
        recording.print()

    @property
    def story(self) -> Story:
        """Everything that was written to this cluster, as far back as it remembers."""
        self._check()
        return self.target.story()

    def events(self, *resources: str, namespace: str | None = None, who: str | None = None) -> Writes:
        """What was written, by whom, when.

        >>> cluster.events("endpointslices", namespace="default")
        """
        return self.story.events(*resources, namespace=namespace and self.target.real(namespace), who=who)

    def at(self, moment: float) -> Past:
        """The cluster as it was at a moment of its time (see :attr:`now`), to be looked at and not changed."""
        return self.story.at(moment)

    def diff(self, first: float, second: float) -> Difference:
        """What became of which object between two moments."""
        return self.story.diff(first, second)

    def sequence(self, what: str, since: float | str | None = None) -> Diagram:
        """Draw who wrote what, when, for a Service and its pods; `since` a moment, or after a resource version."""
        return self.story.sequence(what, since, self.namespace)

    def packing(self, what: str, since: float | str | None = None) -> Diagram:
        """Draw the filled and free places of a Service's slices: now, or since a moment or after a resource version."""
        from epkit.views import packing

        self._check()
        places = self.target.places or packing.PLACES
        if since is None:
            return packing.now(self, what, places)
        return self.story.packing(what, since, self.namespace, places)

    def rules(self, what: str, **how: Any) -> Diagram:
        """Draw a packet's way to a Service through kube-proxy's rules on the sender's node, chain by chain.

        It takes what :func:`epkit.views.rules.of_service` does: ``from_pod``, ``from_node``, ``port``, ``mode``, ``n``.

        >>> cluster.rules("svc/web", from_pod="client", mode="nftables")
        """
        from epkit.views import rules

        self._check()
        return rules.of_service(self, what, **how)

    def timeline(self, what: str, since: float | str | None = None) -> Diagram:
        """Draw the states of a Service's endpoints over time; `since` a moment, or after a resource version."""
        return self.story.timeline(what, since, self.namespace)

    def export(self, path: str | Path) -> Path:
        """Write the story of this cluster to a file; :func:`epkit.replay` reads it anywhere."""
        return self.story.export(path)

    def controller(self, name: str) -> ControllerHandle:
        """A controller of the built-in cluster, to stop, start and slow down.

        >>> cluster.controller("endpointslice").stop()
        """
        self._check()
        return ControllerHandle(self._plane, name)

    def kubelet(self, node: str) -> KubeletHandle:
        """The kubelet of a simulated node, to stop, as when the machine hangs, and to start again.

        >>> cluster.kubelet("node-3").stop()
        """
        self._check()
        return KubeletHandle(self.target, node)

    # -- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the cluster and everything that was started for it."""
        if self.closed:
            return
        self.closed = True
        atexit.unregister(self.close)
        for view in self._live_views:
            view.close()
        self.target.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_clock(self, clock: str, speed: float = 1.0) -> None:
        self._check()
        self.target.set_clock(clock, speed)

    def _check(self) -> None:
        if self.closed:
            raise EpkitError("This cluster is closed. Call epkit.connect() for a new one.")


def _load_magic() -> None:
    """In IPython, make ``%kubectl`` and ``%%needs`` known."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is not None:
        from epkit import needs
        from epkit.kubectl import magic

        magic.load_ipython_extension(shell)
        needs.load_ipython_extension(shell)
