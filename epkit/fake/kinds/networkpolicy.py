"""NetworkPolicy, networking.k8s.io/v1. Source: ``pkg/apis/networking`` (``defaults.go``, ``validation``)."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import addresses, printing, selectors
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, forbidden, invalid, required, unsupported
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.common import drop_empty
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.pod_validation import PROTOCOLS, validate_port

_TYPES = frozenset({"Egress", "Ingress"})


def default(policy: Obj) -> None:
    drop_empty(policy)
    spec = policy.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for direction in ("ingress", "egress"):
        for rule in spec.get(direction) or ():
            for port in rule.get("ports") or ():
                port.setdefault("protocol", "TCP")


def validate(policy: Obj, context: Context) -> list[FieldError]:
    spec = policy["spec"]
    errors = selectors.validate_label_selector(spec["podSelector"], "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{index}]"
            for number, port in enumerate(rule.get("ports") or ()):
                errors += _validate_port(port, f"{path}.ports[{number}]")
            for number, peer in enumerate(rule.get(peers) or ()):
                errors += _validate_peer(peer, f"{path}.{peers}[{number}]")
    if len(spec["policyTypes"]) > 2:
        errors.append(invalid("spec.policyTypes", spec["policyTypes"], "may not specify more than two policyTypes"))
    for index, kind in enumerate(spec["policyTypes"]):
        if kind not in _TYPES:
            errors.append(unsupported(f"spec.policyTypes[{index}]", kind, _TYPES))
    return errors


def _validate_port(port: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if port["protocol"] not in PROTOCOLS:
        errors.append(unsupported(f"{path}.protocol", port["protocol"], PROTOCOLS))
    first, last = port.get("port"), port.get("endPort")
    if first is not None:
        errors += validate_port(first, f"{path}.port")
        if isinstance(first, int) and last is not None and last < first:
            errors.append(invalid(f"{path}.endPort", last, "must be greater than or equal to `port`"))
        if isinstance(first, str) and last is not None:
            errors.append(invalid(f"{path}.endPort", last, "may not be specified when `port` is non-numeric"))
    elif last is not None:
        errors.append(required(f"{path}.port", "must be specified when `endPort` is specified"))
    return errors


def _validate_peer(peer: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in ("podSelector", "namespaceSelector"):
        if peer.get(key) is not None:
            errors += selectors.validate_label_selector(peer[key], f"{path}.{key}")
    if peer.get("ipBlock") is not None:
        cidr = peer["ipBlock"].get("cidr", "")
        if not cidr:
            errors.append(required(f"{path}.ipBlock.cidr"))
        else:
            errors += (invalid(f"{path}.ipBlock.cidr", cidr, fault) for fault in addresses.cidr(cidr))
        if len(peer) > 1:
            errors.append(forbidden(path, "may not specify both ipBlock and another peer"))
    if not peer:
        errors.append(required(path, "must specify a peer"))
    return errors


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    return [] if new["spec"] == old["spec"] else validate(new, context)


def row(policy: Obj, now: float) -> list[Any]:
    selector = printing.label_selector(policy["spec"].get("podSelector"))
    return [policy["metadata"]["name"], selector or printing.NONE, printing.age(policy, now)]


NETWORK_POLICY = Kind(
    group="networking.k8s.io",
    version="v1",
    kind="NetworkPolicy",
    plural="networkpolicies",
    schema="io.k8s.api.networking.v1.NetworkPolicy",
    short_names=("netpol",),
    columns=(NAME, column("Pod-Selector", "NetworkPolicySpec.podSelector"), AGE),
    row=row,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_name=name_is_subdomain,
)
