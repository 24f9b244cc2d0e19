"""What a cluster can do depends on where it comes from: a target, and the powers it has.

:class:`epkit.cluster.Cluster` is the same on every target. What a target lacks it refuses in one sentence, which names
the power; a notebook's cell asks beforehand with ``%%needs``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epkit.client import Client, Transport
from epkit.errors import EpkitError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from epkit.executed import Executed
    from epkit.fake.kubelet import KubeletSim
    from epkit.fake.plane import Plane
    from epkit.story import Story
    from epkit.traffic import Responses

#: power -> what it is, as a sentence goes on after "cannot"
POWERS = {
    "step": "be stepped by hand",
    "pause": "stop or speed up time",
    "controllers": "stop, start and slow down single controllers",
    "kubelets": "stop and start the kubelet of a node",
    "everywhere": "be written to outside the namespaces of the course",
    "crowd": "hold a thousand pods",
    "history": "tell what was written before you connected",
    "story": "tell what was written, by whom and when",
    "exec": "run commands in containers",
    "request": "send requests and tell who answered",
}


class Target:
    """One place that a cluster comes from. A subclass says what it has; the rest is refused.

    Attributes:
        name: as in :func:`epkit.connect`.
        powers: the keys of :data:`POWERS` that it has.
        transport: the way to its API server for kubectl.
        client: epkit's own client.
        namespace: where commands work that name none.
    """

    name = ""
    powers: frozenset[str] = frozenset()
    transport: Transport
    client: Client
    namespace = "default"
    #: does the built-in kubectl answer, even where there is a real one, since epkit holds back some requests?
    guarded = False

    def describe(self) -> str:
        """What it is, in a few words, for the text form of a Cluster."""
        raise NotImplementedError

    def kubeconfig(self) -> Path:
        """A kubeconfig for programs outside the kernel."""
        raise NotImplementedError

    def api_client(self) -> ApiClient:
        """The official client's way to it."""
        raise NotImplementedError

    def now(self) -> float:
        """Its time, in seconds since the epoch."""
        raise NotImplementedError

    def settle(self) -> None:
        """Wait until it has come to rest."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Let its time pass."""
        raise NotImplementedError

    def close(self) -> None:
        """End what was started for it."""

    # -- for the course ----------------------------------------------------------------------------------------------

    def enter(self, chapter: str) -> None:
        """Make ready for a chapter: on a cluster that stays, what is left from an earlier run of it goes."""

    def real(self, namespace: str) -> str:
        """The name here of a namespace that the course names."""
        return namespace

    def vacate(self, namespace: str) -> None:
        """Delete a namespace that the course names, if it is there, and wait until it is gone."""
        from epkit.kubectl import run

        if self.client.find("namespaces", namespace) is not None:
            run(f"delete namespace {namespace}", self.transport)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let commands follow each other without coming to rest in between."""
        yield

    def rest(self) -> None:
        """Come to rest, where time is the wall's and something was written since the last time."""

    def after_command(self) -> None:
        """A command has ended: come to rest, unless it is one of several that belong together."""

    # -- powers, refused where a target has them not -----------------------------------------------------------------

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes that take ordinary pods, in order."""
        return [str(node["metadata"]["name"]) for node in self.client.list("nodes")]

    @property
    def places(self) -> int:
        """How many endpoints its controller puts into a slice; 0 where that is not known."""
        return 0

    @property
    def paused(self) -> bool:
        return False

    @property
    def plane(self) -> Plane:
        """The built-in control plane."""
        raise self.lacks("controllers")

    @property
    def kubelet(self) -> KubeletSim:
        """The simulated kubelets."""
        raise self.lacks("kubelets")

    def moment_of(self, version: int) -> float | None:
        """When the write with this resource version happened; None where that is not known."""
        return None

    def proceed(self) -> None:
        """Let its time do what a switch has started; where time runs by itself there is nothing to do."""

    def step(self) -> str | None:
        raise self.lacks("step")

    def set_clock(self, clock: str, speed: float) -> None:
        raise self.lacks("pause")

    def story(self) -> Story:
        raise self.lacks("story")

    def exec(self, namespace: str, pod: str, container: str, words: Sequence[str], stdin: str) -> Executed:
        raise self.lacks("exec")

    def request(self, url: str, namespace: str, from_pod: str, from_node: str, n: int, over: float) -> Responses:
        raise self.lacks("request")

    def lacks(self, power: str) -> EpkitError:
        """The refusal of something that this target cannot do."""
        return EpkitError(
            f"This cluster ({self.describe()}) cannot {POWERS[power]}. The built-in one can: "
            'epkit.connect("fake") in a new kernel.'
        )


def given(options: dict[str, Any], known: Sequence[str], target: str) -> None:
    """Refuse options that a target does not know."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise EpkitError(
            f"The target {target} has no option {unknown[0]!r}. It has: {', '.join(known) or 'none'}."
        )
