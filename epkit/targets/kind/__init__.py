"""A real cluster of three nodes in two zones, in containers of this machine: ``epkit up --target kind``.

kind makes it from ``cluster.yaml`` beside this file, which is ``labs/kind.yaml`` too. Its kubeconfig is a file in
epkit's home, so that yours and your current context stay as they are. What epkit made it removes, on ``epkit down`` and
on Ctrl-C; a cluster named epkit that somebody else made is taken over if it works, and never removed.
"""

from __future__ import annotations

import argparse
from typing import Any

from epkit.errors import EpkitError
from epkit.targets.base import given
from epkit.targets.kind import made
from epkit.targets.kind.making import Making
from epkit.targets.kind.needs import refuse_proxies
from epkit.targets.kind.programs import Programs, Signals, say
from epkit.targets.live import Live


class Kind(Live):
    """The kind cluster that ``epkit up --target kind`` made or took over.

    Raises:
        EpkitError: there is none, or it does not answer.

    >>> cluster = epkit.connect("kind")
    """

    name = "kind"

    def __init__(self, options: dict[str, Any]) -> None:
        given(options, (), self.name)
        if not made.kubeconfig().is_file():
            raise EpkitError(
                "There is no kind cluster of epkit's. Run `epkit up --target kind` in a terminal (some minutes the "
                "first time), then connect again."
            )
        refuse_proxies()
        try:
            super().__init__(str(made.kubeconfig()), made.CONTEXT)
        except EpkitError as error:
            raise EpkitError(
                f"{error} Run `epkit up --target kind` in a terminal: it starts the cluster again, or makes it anew. "
                "Then connect again."
            ) from None


def up(arguments: argparse.Namespace) -> int:
    """``epkit up --target kind``: make the cluster, or take over the one that is there."""
    _refuse_options(arguments)
    with made.alone() as lock, Signals() as signals:
        made.log().unlink(missing_ok=True)
        try:
            Making(Programs(made.log(), signals, lock)).up()
        except KeyboardInterrupt:
            say("stopped; nothing that was begun is left behind")
            return 130
    return 0


def down(arguments: argparse.Namespace) -> int:
    """``epkit down --target kind``: remove the cluster if epkit made it. Ctrl-C does not break that off half way."""
    with made.alone() as lock, Signals() as signals, signals.shield():
        Making(Programs(made.log(), signals, lock)).down()
    return 0


def _refuse_options(arguments: argparse.Namespace) -> None:
    """Say so where an option has no meaning here, rather than let it pass in silence."""
    from epkit.targets.fake import FLAGS

    if getattr(arguments, "kubeconfig", None):
        raise EpkitError(
            f"The kubeconfig of the kind cluster is always {made.kubeconfig()}; leave --kubeconfig out, and copy it if "
            "you need it elsewhere."
        )
    if getattr(arguments, "nodes", "3") != "3":
        raise EpkitError("The kind cluster has the three nodes of labs/kind.yaml; leave --nodes out.")
    set_flags = [flag for flag, (_, option, _, _) in FLAGS.items() if getattr(arguments, option, None) is not None]
    if set_flags:
        raise EpkitError(
            f"--{set_flags[0]} is a flag of a controller, which kind runs with its defaults. Use --target fake or "
            "--target controlplane for it."
        )
