"""`epkit`, the command for terminals.

Each subcommand lives in the module that does its work, which is imported when the command is asked for:
`epkit --help` imports none of them.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from epkit import __version__
from epkit.errors import EpkitError

# Command → (module with `register(subparsers)`, help). `register` adds the parser of that name with `run=` as a
# default: a function of the parsed arguments that returns the exit status.
COMMANDS = {
    "up": ("epkit.targets.up", "run a built-in cluster for terminals, until Ctrl-C, or make another target ready"),
    "down": ("epkit.targets.up", "remove what epkit made: the kind cluster, the namespaces on a live cluster"),
    "assets": ("epkit.targets.controlplane.assets", "fetch the programs of a real control plane"),
    "targets": ("epkit.targets.table", "tell where a cluster can come from, and what differs"),
    "rules": ("epkit.proxy.commands", "print the rules that kube-proxy writes on a node"),
    "doctor": ("epkit.preflight", "look whether everything that the course needs is in place"),
    "send": ("epkit.proxy.commands", "tell a packet's way through kube-proxy's rules"),
    "why": ("epkit.why.command", "say why a Service, or a pod behind it, gets no traffic"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one `epkit` command; returns its exit status: 0 fine, 1 no, 2 an error that is told in one sentence.

    >>> main(["up", "--nodes", "3"])  # doctest: +SKIP
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="epkit", description="Kubernetes Endpoints and EndpointSlices, on a cluster that epkit brings along."
    )
    parser.add_argument("--version", action="store_true", help="print epkit's version")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    asked_for = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module, about) in COMMANDS.items():
        if name == asked_for:
            importlib.import_module(module).register(subparsers)
        elif name not in subparsers.choices:
            subparsers.add_parser(name, help=about)
    options = parser.parse_args(arguments)
    if options.version:
        print(f"epkit {__version__}")
        return 0
    if not hasattr(options, "run"):
        parser.print_help()
        return 2
    try:
        return int(options.run(options) or 0)
    except EpkitError as error:
        print(f"epkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
