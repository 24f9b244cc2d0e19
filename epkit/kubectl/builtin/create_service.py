"""``kubectl create service`` in its four types.

Source: ``k8s.io/kubectl/pkg/cmd/create/create_service.go``.
"""
from __future__ import annotations

import re

from epkit.kubectl.builtin import writing
from epkit.kubectl.builtin.create import meta, typed
from epkit.kubectl.builtin.failures import KubectlError
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj


def cluster_ip(session: Session) -> None:
    """``kubectl create service clusterip NAME --tcp=80:8080``"""
    _create(session, "ClusterIP", headless=session.args["clusterip"] == "None")


def node_port(session: Session) -> None:
    """``kubectl create service nodeport NAME --tcp=80:8080``"""
    _create(session, "NodePort")


def load_balancer(session: Session) -> None:
    """``kubectl create service loadbalancer NAME --tcp=80:8080``"""
    _create(session, "LoadBalancer")


def external_name(session: Session) -> None:
    """``kubectl create service externalname NAME --external-name=example.com``"""
    if "external-name" not in session.args.given:
        raise KubectlError('required flag(s) "external-name" not set')
    _create(session, "ExternalName", headless=True)


def _create(session: Session, kind: str, headless: bool = False) -> None:
    args = session.args
    name = writing.one_name(session)
    if not args["tcp"] and not headless:
        raise KubectlError("at least one tcp port specifier must be provided")
    external = args.get("external-name", "")
    if external and not re.fullmatch(_SUBDOMAIN, external):
        raise KubectlError(f"invalid service external name {external}")
    ports = [_port(given, args.get("node-port", 0)) for given in args["tcp"]]
    spec: Obj = {"ports": ports} if ports else {}
    spec["selector"] = {"app": name}
    if args.get("clusterip"):
        spec["clusterIP"] = args["clusterip"]
    spec["type"] = kind
    if external:
        spec["externalName"] = external
    obj = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": meta(name, {"app": name}),
        "spec": spec,
        "status": {"loadBalancer": {}},
    }
    typed(session, obj, what=f"{kind} service")


_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"


def _port(given: str, node_port: int) -> Obj:
    """One ``--tcp=port[:targetPort]``; a target may be a name."""
    first, _, second = given.partition(":")
    second = second.partition(":")[0] if given.count(":") > 1 else second
    port = _number(first)
    target: int | str = port
    if second:
        target = _number(second) if second.isdigit() else second
        if isinstance(target, str) and not re.fullmatch(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?", target):
            raise KubectlError(f"must contain at least one letter (a-z), not {quote(target)}")
    name = given.replace(":", "-")
    found: Obj = {"name": name, "protocol": "TCP", "port": port, "targetPort": target}
    return found | {"nodePort": node_port} if node_port else found


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]+", text):
        raise KubectlError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    if int(text) > 65535:
        raise KubectlError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return int(text)
