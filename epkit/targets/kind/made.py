"""Which kind cluster is epkit's own: what tells it from one that somebody else made, also when both are called epkit.

The ids of the nodes' containers, which no other container ever has, are written to a file in epkit's home as soon as
they appear. kind adds no node to a cluster that exists, so a cluster is epkit's if one of its containers is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from epkit.errors import EpkitError
from epkit.targets.learner import home

#: the cluster's name for kind, and its context in the kubeconfig
NAME, CONTEXT = "epkit", "kind-epkit"


@dataclass(frozen=True, slots=True)
class Node:
    """A node's container."""

    name: str
    id: str
    running: bool


@dataclass(slots=True)
class Made:
    """What epkit knows of the kind cluster.

    Attributes:
        engine: what its containers run with, ``docker`` or ``podman``.
        daemon: which Docker that was; empty for Podman.
        ours: epkit made it; else it was taken over and is never removed.
        nodes: the ids of its containers, by the node's name.
        complete: it was ready once.
    """

    engine: str
    daemon: str
    ours: bool
    nodes: dict[str, str] = field(default_factory=dict)
    complete: bool = False

    def is_of(self, nodes: Sequence[Node]) -> bool:
        """Whether epkit made the cluster of these containers."""
        return self.ours and any(node.id in self.nodes.values() for node in nodes)

    def note(self, nodes: Sequence[Node]) -> None:
        """Write down containers that are seen for the first time."""
        found = {node.name: node.id for node in nodes}
        if found and found != self.nodes:
            self.nodes = found
            self.save()

    def save(self) -> None:
        """Replace the file in one step.

        Raises:
            EpkitError: it cannot be written.
        """
        file = path()
        part = file.with_suffix(f".{os.getpid()}")
        try:
            part.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
            part.replace(file)
        except OSError as error:
            raise EpkitError(
                f"{file} cannot be written: {error.strerror or error}. It says which cluster is epkit's to remove. "
                "Make room, or set EPKIT_HOME to a folder that you may write."
            ) from None


def path() -> Path:
    return home() / "kind.json"


def kubeconfig() -> Path:
    """The kubeconfig of the cluster, a file of its own: yours is neither read nor changed."""
    return home() / "kind.kubeconfig"


def log() -> Path:
    return home() / "kind.log"


def read() -> Made | None:
    """What is known of the cluster; None if epkit made none and took none over.

    Raises:
        EpkitError: the file cannot be understood.
    """
    try:
        found = json.loads(path().read_text(encoding="utf-8"))
        return Made(
            str(found["engine"]),
            str(found["daemon"]),
            bool(found["ours"]),
            dict(found["nodes"]),
            bool(found["complete"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise EpkitError(
            f"{path()} cannot be understood. It says which kind cluster is epkit's own. Move it away; if there is a "
            f"cluster left of before, remove it with `kind delete cluster --name {NAME}`."
        ) from None


def forget() -> None:
    """The cluster is gone, or no business of ours any more."""
    for file in (path(), kubeconfig(), kubeconfig().with_name(kubeconfig().name + ".lock")):
        file.unlink(missing_ok=True)


@contextmanager
def alone() -> Iterator[int]:
    """Be the only epkit that makes or removes the cluster; gives the file that holds the lock.

    A kind that outlives a killed epkit inherits the lock, so that nobody works against it.

    Raises:
        EpkitError: another one is at work, or the home cannot be written.
    """
    file = home() / "kind.lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = file.open("a")
    except OSError as error:
        raise EpkitError(
            f"{file} cannot be written: {error.strerror or error}. Set EPKIT_HOME to a folder that you may write."
        ) from None
    with handle:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            else:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EpkitError(
                "Another epkit is making or removing the kind cluster right now. Wait until it is done, then run the "
                "command again."
            ) from None
        yield handle.fileno()
