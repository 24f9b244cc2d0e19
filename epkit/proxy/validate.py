"""Refuse what Kubernetes would refuse, in its words, before any rule is written from it.

Only what kube-proxy reads is looked at: an API server checks much more. The first thing that is wrong is raised as an
`ObjectError` that names the object and the field.

Source: pkg/apis/core/validation, pkg/apis/discovery/validation and the allocators of pkg/registry/core/service of
Kubernetes v1.36.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from epkit.objects import Obj
from epkit.proxy.errors import ObjectError
from epkit.proxy.validate_addresses import check_address, check_endpoint_address, check_range

KINDS = {"Service": "v1", "EndpointSlice": "discovery.k8s.io/v1", "Node": "v1"}
PROTOCOLS = ("SCTP", "TCP", "UDP")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_HELP = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
TYPES: dict[type, str] = {str: "a string", int: "an integer", bool: "true or false", list: "a list", dict: "an object"}

ObjectKey = tuple[str, str, str]


class _Fields:
    """One JSON object within an API object, with its path, for reading fields of the right type."""

    def __init__(self, obj: Mapping[str, Any], path: str = "") -> None:
        self.obj, self.path = obj, path

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def fail(self, name: str, message: str) -> ObjectError:
        return ObjectError(message, field=self.at(name))

    def invalid(self, name: str, value: Any, message: str) -> ObjectError:
        return self.fail(name, f"Invalid value: {json.dumps(value, default=str)}: {message}")

    def get(self, name: str, kind: type) -> Any:
        """The field, or None where it is absent. Raises for another type; a bool is no integer."""
        value = self.obj.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise self.invalid(name, value, f"must be {TYPES[kind]}")
        return value

    def one_of(self, name: str, values: tuple[str, ...]) -> str | None:
        value = self.get(name, str)
        if value is not None and value not in values:
            supported = ", ".join(f'"{v}"' for v in sorted(values))
            raise self.fail(name, f'Unsupported value: "{value}": supported values: {supported}')
        return value

    def port(self, name: str, lowest: int = 1) -> int | None:
        value = self.get(name, int)
        if value is not None and not lowest <= value <= 65535:
            between = f"must be between {lowest} and 65535, inclusive"
            raise self.invalid(name, value, between)
        return value

    def child(self, name: str) -> _Fields:
        return _Fields(self.get(name, dict) or {}, self.at(name))

    def strings(self, name: str) -> Iterator[tuple[str, str]]:
        """The entries of a list of strings, each with its path relative to here."""
        for i, value in enumerate(self.get(name, list) or ()):
            if not isinstance(value, str):
                raise self.invalid(f"{name}[{i}]", value, "must be a string")
            yield f"{name}[{i}]", value

    def children(self, name: str) -> Iterator[_Fields]:
        for i, value in enumerate(self.get(name, list) or ()):
            if not isinstance(value, dict):
                raise self.invalid(f"{name}[{i}]", value, "must be an object")
            yield _Fields(value, self.at(f"{name}[{i}]"))

    def addresses(self, name: str) -> list[str]:
        found = []
        for at, text in self.strings(name):
            check_address(self.at(at), text)
            found.append(text)
        return found


def check_objects(objects: Iterable[Obj], known: Mapping[ObjectKey, Obj] | None = None) -> list[Obj]:
    """Check objects and return those that kube-proxy reads; other kinds are left out.

    `known` are objects that were checked before: the very same one is not checked again. Raises `ObjectError`.
    """
    found: dict[ObjectKey, Obj] = {}
    for obj in objects:
        if not isinstance(obj, dict) or not isinstance(obj.get("kind"), str):
            raise ObjectError(f"not an API object, since it has no kind: {json.dumps(obj, default=str)[:80]}")
        kind = obj["kind"]
        if kind not in KINDS:
            continue
        key = _key(obj)
        label = f"{kind} {key[1]}/{key[2]}" if key[1] else f"{kind} {key[2]}"
        if key in found:
            raise ObjectError("stands there twice", object=label)
        found[key] = obj
        if known is None or known.get(key) is not obj:
            try:
                _CHECKS[kind](_Fields(obj))
            except ObjectError as error:
                raise ObjectError(error.message, object=label, field=error.field) from None
    _check_allocations(found)
    return list(found.values())


def _key(obj: Obj) -> ObjectKey:
    kind, version = obj["kind"], obj.get("apiVersion")
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        raise ObjectError("Required value: name or generateName is required", object=kind, field="metadata.name")
    if version != KINDS[kind]:
        raise ObjectError(
            f"{json.dumps(version)} is not what this reads: {KINDS[kind]}", object=f"{kind} {name}", field="apiVersion"
        )
    namespace = metadata.get("namespace")
    if kind != "Node" and (not isinstance(namespace, str) or not namespace):
        raise ObjectError(
            "Required value: give objects as the API server shows them (kubectl get -o yaml), with their namespace",
            object=f"{kind} {name}",
            field="metadata.namespace",
        )
    labels = metadata.get("labels")
    if labels is not None and not (isinstance(labels, dict) and all(isinstance(v, str) for v in labels.values())):
        raise ObjectError("must be an object with strings", object=f"{kind} {name}", field="metadata.labels")
    return kind, "" if kind == "Node" else str(namespace), name


# Service --------------------------------------------------------------------------------------------------------------


def _check_service(service: _Fields) -> None:
    spec = service.child("spec")
    kind = spec.one_of("type", ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")) or "ClusterIP"
    if kind == "ExternalName":
        return
    headless = spec.get("clusterIP", str) == "None"
    if not spec.get("ports", list) and not headless:
        raise spec.fail("ports", "Required value")
    _check_service_ports(spec, kind)
    if not headless:
        _check_cluster_ips(spec)
    spec.addresses("externalIPs")
    external = kind in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs", list))
    if spec.one_of("externalTrafficPolicy", ("Cluster", "Local")) and not external:
        value = spec.get("externalTrafficPolicy", str)
        raise spec.invalid("externalTrafficPolicy", value, "may only be set for externally-accessible services")
    spec.one_of("internalTrafficPolicy", ("Cluster", "Local"))
    if spec.one_of("sessionAffinity", ("ClientIP", "None")) == "ClientIP":
        client_ip = spec.child("sessionAffinityConfig").child("clientIP")
        seconds = client_ip.get("timeoutSeconds", int)
        if seconds is not None and not 0 < seconds <= 86400:
            raise client_ip.invalid("timeoutSeconds", seconds, "must be greater than 0 and less than 86400")
    for at, text in spec.strings("loadBalancerSourceRanges"):
        if kind != "LoadBalancer":
            raise spec.fail("loadBalancerSourceRanges", "Forbidden: may only be used when `type` is 'LoadBalancer'")
        check_range(spec.at(at), text.strip())
    if spec.port("healthCheckNodePort", lowest=0) and kind != "LoadBalancer":
        value = spec.get("healthCheckNodePort", int)
        message = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        raise spec.invalid("healthCheckNodePort", value, message)
    for ingress in service.child("status").child("loadBalancer").children("ingress"):
        address = ingress.get("ip", str)
        if address:
            check_address(ingress.at("ip"), address)
        ingress.one_of("ipMode", ("VIP", "Proxy"))


def _check_service_ports(spec: _Fields, kind: str) -> None:
    ports = list(spec.children("ports"))
    names: set[str] = set()
    pairs: set[tuple[int, str]] = set()
    for port in ports:
        name = port.get("name", str) or ""
        if not name and len(ports) > 1:
            raise port.fail("name", "Required value")
        if name and not (LABEL.fullmatch(name) and len(name) <= 63):
            raise port.invalid("name", name, LABEL_HELP)
        if name in names:
            raise port.fail("name", f'Duplicate value: "{name}"')
        names.add(name)
        number = port.port("port")
        if number is None:
            raise port.invalid("port", 0, "must be between 1 and 65535, inclusive")
        pair = (number, port.one_of("protocol", PROTOCOLS) or "TCP")
        if pair in pairs:
            raise ObjectError(f'Duplicate value: {{"port":{number},"protocol":"{pair[1]}"}}', field=port.path)
        pairs.add(pair)
        if port.port("nodePort", lowest=0) and kind not in ("NodePort", "LoadBalancer"):
            raise port.fail("nodePort", "Forbidden: may not be used when `type` is 'ClusterIP'")


def _check_cluster_ips(spec: _Fields) -> None:
    first = spec.get("clusterIP", str)
    if not first:
        raise spec.fail(
            "clusterIP",
            "Required value: the API server allocates it; take the Service from the cluster (kubectl get -o yaml)",
        )
    check_address(spec.at("clusterIP"), first)
    ips = spec.addresses("clusterIPs") or [first]
    if ips[0] != first:
        raise spec.invalid("clusterIPs", ips, "first value must match `clusterIP`")
    families = ["IPv6" if ":" in ip else "IPv4" for ip in ips]
    if len(ips) > 2 or len(set(families)) < len(families):
        message = "may specify no more than one IP for each IP family"
        raise spec.invalid("clusterIPs", ips, message)
    for i, (at, wanted) in enumerate(spec.strings("ipFamilies")):
        if wanted not in ("IPv4", "IPv6"):
            raise spec.fail(at, f'Unsupported value: "{wanted}": supported values: "IPv4", "IPv6"')
        if i < len(families) and families[i] != wanted:
            raise spec.invalid(
                f"clusterIPs[{i}]", ips[i], f"expected an {wanted} value as indicated by `ipFamilies[{i}]`"
            )


def _check_allocations(objects: Mapping[ObjectKey, Obj]) -> None:
    """No two Services may have the same cluster IP, or the same node port of a protocol."""
    owners: dict[tuple[object, ...], str] = {}

    def take(label: str, field: str, what: tuple[object, ...], shown: str, kind: str) -> None:
        owner = owners.setdefault(what, label)
        if owner != label:
            message = f"Invalid value: {shown}: provided {kind} is already allocated (by {owner})"
            raise ObjectError(message, object=label, field=field)

    for (kind, namespace, name), service in objects.items():
        if kind != "Service" or service["spec"].get("type") == "ExternalName":
            continue
        spec, label = service["spec"], f"Service {namespace}/{name}"
        for i, ip in enumerate(spec.get("clusterIPs") or [spec.get("clusterIP")]):
            if ip != "None":
                take(label, f"spec.clusterIPs[{i}]", (ip,), f'"{ip}"', "IP")
        for i, port in enumerate(spec.get("ports") or ()):
            node_port = port.get("nodePort")
            if node_port:
                what = (node_port, port.get("protocol") or "TCP")
                take(label, f"spec.ports[{i}].nodePort", what, str(node_port), "port")


# EndpointSlice --------------------------------------------------------------------------------------------------------


def _check_slice(endpoint_slice: _Fields) -> None:
    family = endpoint_slice.one_of("addressType", ("FQDN", "IPv4", "IPv6"))
    if not family:
        raise endpoint_slice.fail("addressType", "Required value")
    endpoints = list(endpoint_slice.children("endpoints"))
    if len(endpoints) > 1000:
        raise endpoint_slice.fail("endpoints", f"Too many: {len(endpoints)}: must have at most 1000 items")
    for endpoint in endpoints:
        addresses = list(endpoint.strings("addresses"))
        if not addresses:
            raise endpoint.fail("addresses", "Required value: must contain at least 1 address")
        if len(addresses) > 100:
            raise endpoint.fail("addresses", f"Too many: {len(addresses)}: must have at most 100 items")
        if family != "FQDN":
            for at, text in addresses:
                check_endpoint_address(endpoint.path, at, text, family)
        conditions = endpoint.child("conditions")
        for name in ("ready", "serving", "terminating"):
            conditions.get(name, bool)
        endpoint.get("nodeName", str)
        hints = endpoint.child("hints")
        for kind in ("forZones", "forNodes"):
            named = [hint.get("name", str) for hint in hints.children(kind)]
            if len(named) > 8:
                raise hints.fail(kind, f"Too many: {len(named)}: must have at most 8 items")
            if not all(named):
                raise hints.fail(f"{kind}[{[bool(n) for n in named].index(False)}].name", "Required value")
    names: set[str] = set()
    for port in endpoint_slice.children("ports"):
        name = port.get("name", str) or ""
        if name in names:
            raise port.fail("name", f'Duplicate value: "{name}"')
        if name and not (LABEL.fullmatch(name) and len(name) <= 63):
            raise port.invalid("name", name, LABEL_HELP)
        names.add(name)
        port.one_of("protocol", PROTOCOLS)
        port.get("port", int)


# Node -----------------------------------------------------------------------------------------------------------------


def _check_node(node: _Fields) -> None:
    spec = node.child("spec")
    cidrs = [("podCIDR", spec.get("podCIDR", str)), *spec.strings("podCIDRs")]
    for at, text in cidrs:
        if text:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise spec.invalid(
                    at, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                ) from None
    for address in node.child("status").children("addresses"):
        kind, text = address.get("type", str), address.get("address", str)
        if not kind or not text:
            raise address.fail("address" if kind else "type", "Required value")
        if kind in ("InternalIP", "ExternalIP"):
            check_address(address.at("address"), text)


_CHECKS = {"Service": _check_service, "EndpointSlice": _check_slice, "Node": _check_node}
