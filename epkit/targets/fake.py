"""The built-in cluster as a target: made in this process, served on loopback when somebody outside asks for it."""

from __future__ import annotations

import argparse
import gc
import re
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from epkit.errors import EpkitError
from epkit.fake import kubeconfig
from epkit.fake.kubelet import NodeSpec
from epkit.fake.pace import Instant, Pace, Realtime
from epkit.fake.plane import Plane, default_nodes

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def make(
    *,
    nodes: str = "3",
    clock: str = "instant",
    speed: float = 1.0,
    start: float | None = None,
    seed: str = "epkit",
    flags: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plane:
    """A new built-in cluster.

    Args:
        nodes: a number, or ``name=zone,name=zone…``.
        clock: ``instant``, ``realtime`` or ``paused``.
        start: seconds since the epoch; the wall's now if left out.
        flags: flags of controllers by their names.

    Raises:
        EpkitError: `nodes` or `clock` cannot be understood.
    """
    plane = Plane(parse_nodes(nodes), start=time.time() if start is None else start, seed=seed, flags=flags)
    plane.set_pace(pace_of(clock, plane.clock.now, speed))
    return plane


def pace_of(clock: str, now: float, speed: float = 1.0) -> Pace:
    """The pace by its name."""
    match clock:
        case "instant":
            return Instant()
        case "realtime":
            return Realtime(time.time, now, speed)
        case "paused":
            return Pace()
    raise EpkitError(f"There is no clock {clock!r}. Choose one of instant, realtime and paused.")


def parse_nodes(text: str) -> list[NodeSpec]:
    """The nodes that ``--nodes`` asks for.

    >>> [(node.name, node.zone) for node in parse_nodes("a=zone-1,b=zone-2")]
    [('a', 'zone-1'), ('b', 'zone-2')]
    """
    if text.strip().isdigit():
        count = int(text)
        if count > 1000:
            raise EpkitError(f"--nodes {count} is too many: the built-in cluster takes up to 1,000 nodes.")
        return default_nodes(count)
    nodes = []
    for number, part in enumerate(text.split(","), 1):
        name, _, zone = (piece.strip() for piece in part.partition("="))
        if not _NAME.fullmatch(name):
            raise EpkitError(
                f"--nodes {text!r} cannot be understood at {part!r}. Give a number, such as 3, or names with zones, "
                "such as node-1=zone-a,node-2=zone-b."
            )
        nodes.append(NodeSpec(name=name, zone=zone, number=number))
    return nodes


def seconds(text: str) -> float:
    """A Go duration such as ``500ms``, ``1.5s`` or ``2m`` in seconds.

    >>> seconds("1m30s")
    90.0
    """
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    if re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h))+", text):
        return sum(float(number) * units[unit] for number, _, unit in re.findall(r"(\d+(\.\d+)?)(ms|s|m|h)", text))
    if text == "0":
        return 0.0
    raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 500ms, 1s or 2m")


#: flags of kube-controller-manager: name -> (controller, its option, type, what it does)
FLAGS: dict[str, tuple[str, str, Any, str]] = {
    "max-endpoints-per-slice": (
        "endpointslice-controller",
        "max_endpoints_per_slice",
        int,
        "endpoints per slice, 1 to 1000 (default: 100)",
    ),
    "endpointslice-updates-batch-period": (
        "endpointslice-controller",
        "endpointslice_updates_batch_period",
        seconds,
        "wait before syncs that pods cause",
    ),
    "endpoint-updates-batch-period": (
        "endpoints-controller",
        "endpoint_updates_batch_period",
        seconds,
        "the same for Endpoints",
    ),
    "mirroring-max-endpoints-per-subset": (
        "endpointslice-mirroring-controller",
        "mirroring_max_endpoints_per_subset",
        int,
        "mirrored addresses per subset",
    ),
    "node-monitor-grace-period": (
        "node-lifecycle-controller",
        "node_monitor_grace_period",
        seconds,
        "silence before a node is Unknown (default: 50s)",
    ),
}


def flags_of(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The controllers' flags that were given, checked as kube-controller-manager checks them."""
    given: dict[str, dict[str, Any]] = {}
    for name, (controller, option, _, _) in FLAGS.items():
        value = getattr(arguments, option)
        if value is None:
            continue
        if name in ("max-endpoints-per-slice", "mirroring-max-endpoints-per-subset") and not 1 <= value <= 1000:
            bound = "less than 1" if value < 1 else "more than 1000"
            raise EpkitError(f"{name} must not be {bound}, but got {value}")
        given.setdefault(controller, {})[option] = value
    return given


def up(arguments: argparse.Namespace) -> int:
    """``epkit up``: serve a cluster until Ctrl-C or SIGTERM."""
    from epkit.fake.server import Server

    plane = make(nodes=arguments.nodes, clock=arguments.clock, flags=flags_of(arguments))
    # This process does nothing else. Its objects are trees without cycles, which the collector would walk in vain: a
    # fifth of every write. What boot has made is left out, and the rest is looked at rarely.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    folder = None if arguments.kubeconfig else kubeconfig.private_folder()
    path: Path = arguments.kubeconfig if folder is None else folder / "kubeconfig"
    server = Server(plane, arguments.port)
    try:
        kubeconfig.write(path, kubeconfig.content(server.url, server.secret))
    except OSError as error:
        raise EpkitError(
            f"The kubeconfig cannot be written to {path}: {error.strerror}. Choose another --kubeconfig."
        ) from None
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with server:
            print(f"export KUBECONFIG={path}", flush=True)
            print("The cluster answers. Ctrl-C ends it.", file=sys.stderr, flush=True)
            server.join()
    except KeyboardInterrupt:
        print("The cluster has ended.", file=sys.stderr)
    finally:
        path.unlink(missing_ok=True)
        if folder is not None:
            folder.rmdir()
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


