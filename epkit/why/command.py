"""``epkit why``: the reasons in a terminal, from any cluster that kubectl reaches."""

from __future__ import annotations

import argparse
import io
import json
import sys
from typing import Any

from epkit.client import Client
from epkit.errors import EpkitError
from epkit.why.finding import failure, quoted


def register(subparsers: Any) -> None:
    """Add the command to the parser of ``epkit``."""
    parser = subparsers.add_parser(
        "why",
        help="say why a Service, or a pod behind it, gets no traffic",
        usage="epkit why [-h] [-n NAMESPACE] [--kubeconfig FILE] [--context NAME] [-o {text,json}] [POD] SERVICE",
        description="Say why a Service has no endpoints, or why a pod is not one of them, is not ready or gets no "
        "traffic. Nothing is written to the cluster.",
        epilog="Exit status: 0 nothing is wrong, 1 something is, 2 it could not be told. Examples: epkit why svc/web; "
        "epkit why pod/web-1 svc/web -n demo",
    )
    parser.add_argument("what", nargs="+", metavar="NAME", help="a Service, such as svc/web; or a pod and a Service")
    parser.add_argument("-n", "--namespace", default="", metavar="NAMESPACE", help="default: the context's")
    parser.add_argument("--kubeconfig", default="", metavar="FILE", help="default: KUBECONFIG, else ~/.kube/config")
    parser.add_argument("--context", default="", metavar="NAME", help="default: the current one")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the report. Raises `EpkitError`, told also as JSON if that was asked for, where there is none."""
    # The client takes a third of a second to import, and --help does not need it.
    from epkit.targets.http import HttpTransport
    from epkit.why import why

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names can hold what this terminal cannot show
    try:
        transport = HttpTransport.from_kubeconfig(options.kubeconfig, options.context)
        namespace = options.namespace or transport.namespace
        report = why(Client(transport), *options.what, namespace=namespace, kubectl=_kubectl(options))
    except EpkitError as error:
        if options.output == "json":
            print(json.dumps(failure(str(error)), indent=2))
        raise
    print(json.dumps(report.to_json(), indent=2) if options.output == "json" else report)
    return report.exit_status


def _kubectl(options: argparse.Namespace) -> str:
    """How kubectl is called for the cluster that was asked."""
    words = ["kubectl"]
    for flag in ("kubeconfig", "context"):
        if getattr(options, flag):
            words.append(f"--{flag}={quoted(getattr(options, flag))}")
    return " ".join(words)
