"""``epkit rules`` and ``epkit send``: what kube-proxy programs on a node, and where a packet goes through it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from epkit.objects import Obj
from epkit.proxy.errors import ObjectError, ProxyError
from epkit.proxy.live import load_cluster
from epkit.proxy.names import family_of, split_host_port
from epkit.proxy.node import DEFAULT_CLUSTER_CIDR, DEFAULT_SERVICE_CIDR
from epkit.proxy.objects import load
from epkit.proxy.proxier import Proxy
from epkit.proxy.validate import KINDS

Subparsers = argparse._SubParsersAction


def register(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add both commands to the parser of ``epkit``; one that is there already is left alone."""
    for name, add in (("rules", _add_rules), ("send", _add_send)):
        if name not in subparsers.choices:
            add(subparsers)


def _add_rules(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "rules",
        help="print the rules that kube-proxy writes on a node",
        description="Print the rules that kube-proxy v1.36 writes on a node, as iptables-save or nft list print them.",
    )
    _add_common(parser)
    parser.add_argument("--family", choices=("IPv4", "IPv6"), default="IPv4", help="default: %(default)s")
    parser.set_defaults(run=run_rules)


def _add_send(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "send",
        help="tell a packet's way through kube-proxy's rules",
        description="Send connections through the rules that kube-proxy v1.36 writes on a node; tell where they go.",
    )
    _add_common(parser)
    parser.add_argument(
        "--from",
        dest="source",
        metavar="ADDRESS",
        help="the sender: a pod, a machine outside (default: the node itself)",
    )
    parser.add_argument("--to", required=True, metavar="ADDRESS:PORT", help="where it is sent; IPv6 as [ADDRESS]:PORT")
    parser.add_argument("--protocol", choices=("TCP", "UDP", "SCTP"), default="TCP", help="default: %(default)s")
    parser.add_argument("-n", type=_count, default=1, metavar="N", help="how many connections (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="for the choice of endpoints (default: %(default)s)")
    parser.set_defaults(run=run_send)


def _add_common(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "-f", "--filename", metavar="FILE", help="Nodes, Services and EndpointSlices in YAML; - is stdin"
    )
    source.add_argument(
        "--kubeconfig",
        nargs="?",
        const="",
        metavar="FILE",
        help="read them from a cluster instead; without FILE, kubectl's",
    )
    parser.add_argument("--context", default="", help="with --kubeconfig: the context to use")
    parser.add_argument("--node", required=True, metavar="NAME", help="the node whose rules these are")
    parser.add_argument("--mode", choices=("iptables", "nftables"), default="iptables", help="default: %(default)s")
    parser.add_argument(
        "--cluster-cidr",
        default=DEFAULT_CLUSTER_CIDR,
        metavar="CIDRS",
        help='where pods live, a range of each family; "" for not known (default: %(default)s)',
    )
    parser.add_argument(
        "--service-cidr",
        default=DEFAULT_SERVICE_CIDR,
        metavar="CIDRS",
        help='where cluster IPs come from; "" for not known (default: %(default)s)',
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def run_rules(options: argparse.Namespace) -> int:
    """Print the rules. Raises `ProxyError` before anything is printed."""
    print(_proxy(options, options.family).rules(), end="")
    return 0


def run_send(options: argparse.Namespace) -> int:
    """Print a packet's way. That nobody takes it is an answer, with status 0. Raises `ProxyError` for bad input."""
    try:
        address, port = split_host_port(options.to)
    except ValueError:
        raise ProxyError(f"--to {options.to}: expected ADDRESS:PORT, such as 10.96.0.1:443 or [fd00::1]:443") from None
    proxy = _proxy(options, family_of(address))
    sent = proxy.send(options.source or options.node, address, port, options.protocol, n=options.n, seed=options.seed)
    print(sent)
    return 0


def _proxy(options: argparse.Namespace, family: str) -> Proxy:
    live = options.kubeconfig is not None
    if options.context and not live:
        raise ProxyError("--context goes with --kubeconfig")
    objects = load_cluster(options.kubeconfig, options.context) if live else load(options.filename)
    proxy = Proxy(
        options.node,
        options.mode,
        family,
        cluster_cidr=options.cluster_cidr,
        service_cidr=options.service_cidr,
    )
    try:
        proxy.sync(objects)
    except ObjectError as error:
        raise error.at(options.filename or options.kubeconfig or "the kubeconfig") from None
    _tell_ignored(objects)
    return proxy


def _tell_ignored(objects: list[Obj]) -> None:
    ignored = Counter(str(obj["kind"]) for obj in objects if obj["kind"] not in KINDS)
    if ignored:
        what = ", ".join(f"{count} {kind}" for kind, count in sorted(ignored.items()))
        print(f"epkit: passed over {what}: kube-proxy reads Services, EndpointSlices and its Node", file=sys.stderr)
