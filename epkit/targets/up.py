"""``epkit up`` and ``epkit down``: make a target ready, and remove what epkit made."""

from __future__ import annotations

import argparse
import os
import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

from epkit.errors import EpkitError
from epkit.targets.context import Context
from epkit.targets.fake import FLAGS

TARGETS = "fake, controlplane, kind or context:NAME"


def register(commands: Any) -> None:
    """Add both commands to the command line; one that is there already is left alone."""
    for name, add in (("up", _register_up), ("down", _register_down)):
        if name not in commands.choices:
            add(commands)


def _register_up(commands: Any) -> None:
    parser = commands.add_parser(
        "up",
        help="run a cluster for terminals",
        description="Run the built-in cluster and serve it to kubectl until Ctrl-C, or make another target ready.",
    )
    parser.add_argument("--target", default="", metavar="TARGET", help=f"{TARGETS} (default: EPKIT_TARGET, else fake)")
    parser.add_argument("--yes", action="store_true", help="context: do not ask whether epkit may write")
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="write the kubeconfig here; with context: read this one"
    )
    parser.add_argument(
        "--nodes", default="3", metavar="N | name=zone,…", help="simulated nodes (default: 3, in two zones)"
    )
    parser.add_argument(
        "--clock", choices=("realtime", "instant"), default="realtime", help="fake: how time moves (default: realtime)"
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    for flag, (_, option, kind, text) in FLAGS.items():
        parser.add_argument(f"--{flag}", dest=option, type=kind, metavar=kind.__name__.upper(), help=text)
    parser.set_defaults(run=up)


def _register_down(commands: Any) -> None:
    parser = commands.add_parser(
        "down",
        help="remove what epkit made",
        description="Remove what epkit made: the kind cluster, or the namespaces on a cluster of your kubeconfig.",
    )
    parser.add_argument("--target", default="", metavar="TARGET", help="kind or context:NAME (default: EPKIT_TARGET)")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="context: the kubeconfig to read")
    parser.set_defaults(run=down)


def up(arguments: argparse.Namespace) -> int:
    """Run or make ready what was asked for."""
    kind, name = _target(arguments, "fake")
    if kind == "fake":
        from epkit.targets import fake

        return fake.up(arguments)
    if kind == "kind":
        import epkit.targets.kind as clusters

        return int(clusters.up(arguments))
    if kind == "controlplane":
        from epkit.targets import controlplane

        return int(controlplane.up(arguments))
    return _up_context(name, arguments)


def down(arguments: argparse.Namespace) -> int:
    """Remove what epkit made there, and nothing else."""
    kind, name = _target(arguments, "")
    if kind == "kind":
        import epkit.targets.kind as clusters

        return int(clusters.down(arguments))
    if kind == "context":
        # Without a yes: what is taken down need not be opened for writing first.
        with closing(Context(name, {**_options(arguments), "yes": False})) as context:
            names = context.down()
        print(f"Removed: {', '.join(names)}" if names else "There was nothing to remove.")
        return 0
    raise EpkitError(
        "Say what to take down: --target kind or --target context:NAME. The built-in cluster and the control plane "
        "end with their kernel, or with Ctrl-C."
    )


def _up_context(name: str, arguments: argparse.Namespace) -> int:
    with closing(Context(name, {**_options(arguments), "yes": False})) as context:
        if context.writable:
            print(f"epkit may write there already, in the namespaces {context.own.namespace}…")
            print(context.allowed)
        else:
            yes = arguments.yes or bool(os.environ.get("EPKIT_YES"))
            if yes:  # who is not asked sees all the same what will be done
                print(context.plan())
            context.confirm(yes=yes)
            print(f"Ready: {context.describe()}")
    if arguments.kubeconfig:
        print(f"export KUBECONFIG={shlex.quote(str(arguments.kubeconfig))}")
    print(f"export EPKIT_TARGET={shlex.quote(f'context:{name}')}")
    return 0


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"kubeconfig": str(arguments.kubeconfig)} if arguments.kubeconfig else {}


def _target(arguments: argparse.Namespace, otherwise: str) -> tuple[str, str]:
    """The kind of target, and a context's name.

    Raises:
        EpkitError: there is no such target.
    """
    target = str(arguments.target or os.environ.get("EPKIT_TARGET", "") or otherwise)
    kind, colon, name = target.partition(":")
    if kind not in ("fake", "controlplane", "kind", "context", "") or (colon and kind != "context"):
        raise EpkitError(f"There is no target {target!r}. Choose one of {TARGETS}.")
    return kind, name
