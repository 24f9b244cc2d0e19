"""``kubectl expose``: a Service for what runs already.

Source: ``k8s.io/kubectl/pkg/cmd/expose/expose.go`` and ``pkg/polymorphichelpers``.
"""
from __future__ import annotations

import re
from typing import Any

from epkit.kubectl.builtin import decoding, formats, writing
from epkit.kubectl.builtin.create import meta
from epkit.kubectl.builtin.failures import KubectlError, raise_all
from epkit.kubectl.builtin.gotext import plain, quote
from epkit.kubectl.builtin.overrides import overridden
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj, labels_of

_POD_TEMPLATES = (("apps", "Deployment"), ("apps", "ReplicaSet"), ("", "ReplicationController"))


def expose(session: Session) -> None:
    """Make a Service whose selector, ports and labels are those of a workload, a pod or another Service."""
    show = formats.printer(session, "exposed")
    selection = select(session, selecting=False)
    raise_all(selection.failures)
    for info in selection.infos:
        service = overridden(session, _service(session, info))
        if formats.dry_run(session) == "client":
            if session.namespace_given:
                head = service["metadata"]
                service = service | {"metadata": {"name": head["name"], "namespace": session.namespace} | head}
            show(service)
            continue
        if session.args["save-config"]:
            service = writing.with_note(service)
        mapping = session.resources.find("services")
        target = Info(mapping, session.namespace, service["metadata"]["name"], service)
        show(formats.ordered(writing.create(session, target, service)))


def _service(session: Session, info: Info) -> Obj:
    args = session.args
    kind = (info.mapping.group, info.mapping.kind)
    if kind not in (("", "Service"), ("", "Pod"), *_POD_TEMPLATES):
        raise KubectlError(f"cannot expose a {info.mapping.group_kind}")
    fault = decoding.typed_fault(info.mapping.kind, info.obj)
    if fault:
        raise KubectlError(f"unable to decode {quote(info.source)}: {fault}")
    try:
        selector = parse_labels(args["selector"]) if args["selector"] else _selector(info)
    except KubectlError as error:
        if args["selector"]:
            raise
        raise KubectlError(f"couldn't retrieve selectors via --selector flag or introspection: {error}") from None
    ports = _ports(session, info)
    labels = parse_labels(args["labels"]) if args["labels"] else labels_of(info.obj)
    spec: Obj = {"ports": ports} if ports else {}
    spec["selector"] = selector
    if args["cluster-ip"]:
        spec["clusterIP"] = args["cluster-ip"]
    if args["type"]:
        spec["type"] = args["type"]
    if args["external-ip"]:
        spec["externalIPs"] = [args["external-ip"]]
    if args["session-affinity"]:
        if args["session-affinity"] not in ("None", "ClientIP"):
            raise KubectlError(f"unknown session affinity: {args['session-affinity']}")
        spec["sessionAffinity"] = args["session-affinity"]
    if args["type"] == "LoadBalancer" and args["load-balancer-ip"]:
        spec["loadBalancerIP"] = args["load-balancer-ip"]
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": meta(args["name"] or info.name[:63], dict(sorted(labels.items()))),
        "spec": spec,
        "status": {"loadBalancer": {}},
    }


def _selector(info: Info) -> dict[str, str]:
    spec = info.obj.get("spec") or {}
    if info.mapping.kind == "Pod":
        if not labels_of(info.obj):
            raise KubectlError("the pod has no labels and cannot be exposed")
        return labels_of(info.obj)
    if info.mapping.kind == "Service":
        if spec.get("selector") is None:
            raise KubectlError("the service has no pod selector set")
        return dict(spec["selector"])
    selector = spec.get("selector") or {}
    if info.mapping.kind == "ReplicationController":
        return dict(selector)
    if not selector.get("matchLabels"):
        raise KubectlError(f"invalid {info.mapping.kind.lower()}: no selectors, therefore cannot be exposed")
    expressions = selector.get("matchExpressions")
    if expressions:
        shown = " ".join(
            f"{{Key:{e['key']} Operator:{e['operator']} Values:{plain(e.get('values') or [])}}}" for e in expressions
        )
        raise KubectlError(f'couldn\'t convert expressions - "[{shown}]" to map-based selector format')
    return dict(selector["matchLabels"])


def _declared(info: Info) -> list[tuple[str, str]]:
    """The ports that the object declares, as (number, protocol)."""
    spec = info.obj.get("spec") or {}
    if info.mapping.kind == "Service":
        return [(str(port["port"]), port.get("protocol", "TCP")) for port in spec.get("ports") or ()]
    pod = spec if info.mapping.kind == "Pod" else (spec.get("template") or {}).get("spec") or {}
    return [
        (str(port["containerPort"]), port.get("protocol", "TCP"))
        for container in pod.get("containers") or ()
        for port in container.get("ports") or ()
    ]


def _ports(session: Session, info: Info) -> list[Obj]:
    args = session.args
    declared = _declared(info)
    protocols: dict[str, list[str]] = {}
    for port, protocol in declared:
        protocols.setdefault(port, []).append(protocol)
    wanted = [args["port"]] if args["port"] else list(dict.fromkeys(port for port, _ in declared))
    if not wanted and args["cluster-ip"] != "None":
        raise KubectlError("couldn't find port via --port flag or introspection")
    wanted = wanted[0].split(",") if len(wanted) == 1 else wanted
    ports: list[Obj] = []
    for position, text in enumerate(wanted, 1):
        if not re.fullmatch(r"[-+]?\d+", text):
            raise KubectlError(f"strconv.Atoi: parsing {quote(text)}: invalid syntax")
        name = f"port-{position}" if len(wanted) > 1 else ""
        several = [] if args["protocol"] else protocols.get(text, [])
        if len(several) > 1:
            ports += [_port(args, f"port-{position}-{each.lower()}", int(text), each) for each in several]
        else:
            ports.append(_port(args, name, int(text), args["protocol"] or (several or ["TCP"])[0]))
    return ports


def _port(args: Any, name: str, port: int, protocol: str) -> Obj:
    target: int | str = port
    if args["target-port"]:
        given = args["target-port"]
        target = int(given) if re.fullmatch(r"[-+]?\d+", given) else given
    found: Obj = {"name": name} if name else {}
    return found | {"protocol": protocol, "port": port, "targetPort": target}


def parse_labels(text: str) -> dict[str, str]:
    """``a=b,c=d`` as a map.

    Raises:
        KubectlError: it has another form.
    """
    labels = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or "=" in value:
            raise KubectlError(f"unexpected label spec: {part}")
        if not key:
            raise KubectlError("unexpected empty label key")
        labels[key] = value
    return labels
