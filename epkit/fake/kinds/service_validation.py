"""Validation and warnings of Services.

Source: ``ValidateServiceCreate`` and its neighbours in ``pkg/apis/core/validation``, ``pkg/api/service/warnings.go``.
"""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import addresses, names, service_fields
from epkit.fake.kinds.base import Context, FieldError, Obj, duplicate, forbidden, invalid, required, unsupported
from epkit.fake.kinds.metadata import validate_labels
from epkit.fake.kinds.pod_validation import PROTOCOLS, validate_port

_TYPES = frozenset({"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"})
_AFFINITIES = frozenset({"ClientIP", "None"})
_POLICIES = frozenset({"Cluster", "Local"})
_FAMILIES = frozenset({"IPv4", "IPv6"})
_FAMILY_POLICIES = frozenset({"SingleStack", "PreferDualStack", "RequireDualStack"})
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_IP_MODES = frozenset({"VIP", "Proxy"})
_LONGEST_AFFINITY = 86400
_TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"


def validate(service: Obj, context: Context) -> list[FieldError]:
    return _validate(service, None)


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    after, before = new["spec"], old["spec"]
    errors: list[FieldError] = []
    if after == before:
        return _validate(new, old)
    if "ExternalName" not in (after.get("type"), before.get("type")):
        errors += _cluster_ips_change(after, before) + _families_change(after, before)
    if after.get("type") == before.get("type") == "LoadBalancer":
        if after.get("loadBalancerClass") != before.get("loadBalancerClass"):
            errors.append(invalid("spec.loadBalancerClass", after.get("loadBalancerClass"), "may not change once set"))
    errors += _load_balancer_class(after)  # which _validate does again: each fault is among the causes twice, as there
    if service_fields.needs_health_check(after) and service_fields.needs_health_check(before):
        if after.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
            errors.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return errors + _validate(new, old)


def _validate(service: Obj, old: Obj | None) -> list[FieldError]:
    spec, before = service["spec"], (old or {}).get("spec") or {}
    annotations = service["metadata"].get("annotations") or {}
    kind, headless = spec.get("type", ""), service_fields.is_headless(spec)
    errors: list[FieldError] = []
    if (
        _TOPOLOGY_MODE in annotations
        and annotations.get(_TOPOLOGY_HINTS, annotations[_TOPOLOGY_MODE]) != annotations[_TOPOLOGY_MODE]
    ):
        text = f"must match annotations[{_TOPOLOGY_HINTS}] when both are specified"
        errors.append(invalid(f"metadata.annotations[{_TOPOLOGY_MODE}]", annotations[_TOPOLOGY_MODE], text))
    ports = spec.get("ports") or ()
    if not ports and not headless and kind != "ExternalName":
        errors.append(required("spec.ports"))
    if kind in ("LoadBalancer", "NodePort") and headless:
        errors.append(invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services"))
    if kind == "ExternalName":
        errors += _external_name(spec)
    seen: set[str] = set()
    for index, port in enumerate(ports):
        errors += _port(port, len(ports) > 1, seen, f"spec.ports[{index}]")
    if spec.get("selector"):
        errors += validate_labels(spec["selector"], "spec.selector")
    errors += _affinity(spec)
    errors += validate_cluster_ips(spec, before)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        if address not in (before.get("externalIPs") or ()):
            faults = addresses.ip(address) or addresses.endpoint_ip(address)
            errors += (invalid(f"spec.externalIPs[{index}]", address, fault) for fault in faults)
    if not kind:
        errors.append(required("spec.type"))
    elif kind not in _TYPES:
        errors.append(unsupported("spec.type", kind, _TYPES))
    errors += _node_ports_and_duplicates(ports, kind)
    errors += _load_balancer(spec, before, kind, annotations, (old or {}).get("metadata", {}).get("annotations") or {})
    errors += _traffic(spec, kind)
    return errors


def _external_name(spec: Obj) -> list[FieldError]:
    errors = [
        forbidden(f"spec.{key}", "may not be set for ExternalName services")
        for key in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(key)
    ]
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        return [*errors, required("spec.externalName")]
    return errors + [invalid("spec.externalName", name, fault) for fault in names.dns_subdomain(name)]


def _port(port: Obj, needs_name: bool, seen: set[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    name, number = port.get("name", ""), port.get("port", 0)
    if not name and needs_name:
        errors.append(required(f"{path}.name"))
    elif name:
        errors += (invalid(f"{path}.name", name, fault) for fault in names.dns_label(name))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    errors += (invalid(f"{path}.port", number, fault) for fault in names.port_number(number))
    if port.get("protocol") not in PROTOCOLS:
        errors.append(unsupported(f"{path}.protocol", port.get("protocol"), PROTOCOLS))
    errors += validate_port(port.get("targetPort", 0), f"{path}.targetPort")
    if port.get("appProtocol") is not None:
        protocol = port["appProtocol"]
        errors += (invalid(f"{path}.appProtocol", protocol, fault) for fault in names.label_key(protocol))
    return errors


def _affinity(spec: Obj) -> list[FieldError]:
    affinity, path, when = (
        spec.get("sessionAffinity", ""),
        "spec.sessionAffinityConfig",
        "when session affinity type is ClientIP",
    )
    if not affinity:
        return [required("spec.sessionAffinity")]
    if affinity not in _AFFINITIES:
        return [unsupported("spec.sessionAffinity", affinity, _AFFINITIES)]
    config = spec.get("sessionAffinityConfig")
    if affinity == "None":
        return [forbidden(path, "must not be set when session affinity is None")] if config is not None else []
    if config is None:
        return [required(path, when)]
    if config.get("clientIP") is None:
        return [required(f"{path}.clientIP", when)]
    seconds = config["clientIP"].get("timeoutSeconds")
    if seconds is None:
        return [required(f"{path}.clientIP.timeoutSeconds", when)]
    if not 0 < seconds <= _LONGEST_AFFINITY:
        text = f"must be greater than 0 and less than {_LONGEST_AFFINITY}"
        return [invalid(f"{path}.clientIP.timeoutSeconds", seconds, text)]
    return []


def _node_ports_and_duplicates(ports: Any, kind: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if kind == "ClusterIP":
        for index, port in enumerate(ports):
            if port.get("nodePort"):
                errors.append(forbidden(f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'"))
    for key in ("nodePort", "port"):
        seen: set[tuple[str, int]] = set()
        for index, port in enumerate(ports):
            pair = (port.get("protocol", ""), port.get(key, 0))
            if pair in seen and key == "nodePort":
                errors.append(duplicate(f"spec.ports[{index}].nodePort", pair[1]))
            elif pair in seen:
                errors.append(_duplicate_port(pair, f"spec.ports[{index}]"))
            if pair[1] or key == "port":
                seen.add(pair)
    return errors


def _duplicate_port(pair: tuple[str, int], path: str) -> FieldError:
    """Upstream shows its internal type, in which only what was compared is set."""
    protocol, port = pair
    shown = f'{{"Name":"","Protocol":"{protocol}","AppProtocol":null,"Port":{port},"TargetPort":0,"NodePort":0}}'
    return FieldError("FieldValueDuplicate", path, f"Duplicate value: {shown}")


def _load_balancer(spec: Obj, before: Obj, kind: str, annotations: Obj, annotations_before: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges:
        path = "spec.LoadBalancerSourceRanges"
        if kind != "LoadBalancer":
            errors.append(forbidden(path, _ONLY_LOAD_BALANCER))
        for index, value in enumerate(ranges):
            if value not in (before.get("loadBalancerSourceRanges") or ()):
                errors += (invalid(f"{path}[{index}]", value.strip(), fault) for fault in addresses.cidr(value.strip()))
    elif _SOURCE_RANGES in annotations:
        path, text = f"metadata.annotations[{_SOURCE_RANGES}]", annotations[_SOURCE_RANGES]
        if kind != "LoadBalancer":
            errors.append(forbidden(path, _ONLY_LOAD_BALANCER))
        if text.strip() and annotations_before.get(_SOURCE_RANGES) != text:
            for value in text.split(","):
                errors += (invalid(path, value.strip(), fault) for fault in addresses.cidr(value.strip()))
    if kind != "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not None:
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_LOAD_BALANCER))
    return errors + _load_balancer_class(spec)


def _load_balancer_class(spec: Obj) -> list[FieldError]:
    name = spec.get("loadBalancerClass")
    if name is None:
        return []
    if spec.get("type") != "LoadBalancer":
        return [forbidden("spec.loadBalancerClass", _ONLY_LOAD_BALANCER)]
    return [invalid("spec.loadBalancerClass", name, fault) for fault in names.label_key(name)]


def _traffic(spec: Obj, kind: str) -> list[FieldError]:
    errors: list[FieldError] = []
    policy, check = spec.get("externalTrafficPolicy", ""), spec.get("healthCheckNodePort", 0)
    if not service_fields.externally_accessible(spec):
        if policy:
            text = "may only be set for externally-accessible services"
            errors.append(invalid("spec.externalTrafficPolicy", policy, text))
    elif not policy:
        errors.append(required("spec.externalTrafficPolicy"))
    elif policy not in _POLICIES:
        errors.append(unsupported("spec.externalTrafficPolicy", policy, _POLICIES))
    if not service_fields.needs_health_check(spec):
        if check:
            text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.append(invalid("spec.healthCheckNodePort", check, text))
    elif not check:
        errors.append(required("spec.healthCheckNodePort"))
    else:
        errors += (invalid("spec.healthCheckNodePort", check, fault) for fault in names.port_number(check))
    internal = spec.get("internalTrafficPolicy")
    if internal is None:
        if kind in service_fields.WITH_CLUSTER_IP:
            errors.append(required("spec.internalTrafficPolicy"))
    elif internal not in _POLICIES:
        errors.append(unsupported("spec.internalTrafficPolicy", internal, _POLICIES))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        errors.append(unsupported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))
    return errors


def validate_cluster_ips(spec: Obj, old: Obj | None) -> list[FieldError]:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy must agree (``ValidateServiceClusterIPsRelatedFields``)."""
    if spec.get("type") == "ExternalName":
        return []
    errors: list[FieldError] = []
    path, ips, families = "spec.clusterIPs", spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    single = spec.get("clusterIP", "")
    if single and not ips:
        errors.append(required(path))
    elif single and ips[0] != single:
        errors.append(invalid(path, ips, "first value must match `clusterIP`"))
    elif ips and not single:
        errors.append(invalid(path, ips, "must be empty when `clusterIP` is not specified"))
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            errors.append(unsupported(f"spec.ipFamilies[{index}]", family, _FAMILIES))
        elif family in families[:index]:
            errors.append(duplicate(f"spec.ipFamilies[{index}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _FAMILY_POLICIES:
        errors.append(unsupported("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES))
    is_bad = False
    for index, address in enumerate(ips):
        if index == 0 and address == "None":
            if len(ips) > 1:
                is_bad = True
                errors.append(invalid(path, ips, "'None' must be the first and only value"))
            continue
        if address not in ((old or {}).get("clusterIPs") or ()):
            faults = addresses.ip(address)
            is_bad = is_bad or bool(faults)
            errors += (invalid(f"{path}[{index}]", address, fault) for fault in faults)
    if len(ips) > 2:
        errors.append(invalid(path, ips, "may only hold up to 2 values"))
    if is_bad:
        return errors
    if len(ips) > 1 and len({addresses.family(address) for address in ips}) == 1:
        errors.append(invalid(path, ips, "may specify no more than one IP for each IP family"))
    if ips != ["None"]:
        for index, (address, family) in enumerate(zip(ips, families, strict=False)):
            if family in _FAMILIES and addresses.family(address) != family:
                text = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
                errors.append(invalid(f"{path}[{index}]", address, text))
    return errors


def _cluster_ips_change(after: Obj, before: Obj) -> list[FieldError]:
    if service_fields.is_headless(after) and service_fields.is_headless(before):
        return []
    new, old, path = after.get("clusterIPs") or [], before.get("clusterIPs") or [], "spec.clusterIPs"
    errors: list[FieldError] = []
    if len(new) == len(old):
        errors += (
            invalid(f"{path}[{index}]", new, "may not change once set")
            for index in range(len(new))
            if new[index] != old[index]
        )
        return errors
    if old and not new:
        errors.append(invalid(f"{path}[0]", None, "primary clusterIP can not be unset"))
    if old and new and new[0] != old[0]:
        errors.append(invalid(f"{path}[0]", new, "may not change once set"))
    if len(old) > len(new) == 1 and after.get("ipFamilyPolicy") != "SingleStack":
        text = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.append(invalid("spec.ipFamilyPolicy", after.get("ipFamilyPolicy"), text))
    return errors


def _families_change(after: Obj, before: Obj) -> list[FieldError]:
    if service_fields.is_headless(after) or service_fields.is_headless(before):
        return []
    new, old, path = after.get("ipFamilies") or [], before.get("ipFamilies") or [], "spec.ipFamilies[0]"
    errors: list[FieldError] = []
    if len(new) == len(old):
        return [
            invalid(path, new, "may not change once set") for one, other in zip(new, old, strict=True) if one != other
        ]
    if new and old and new[0] != old[0]:
        errors.append(invalid(path, after.get("clusterIPs") or [], "may not change once set"))
    if len(old) > len(new) == 1 and after.get("ipFamilyPolicy") != "SingleStack":
        text = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        errors.append(invalid("spec.ipFamilyPolicy", after.get("ipFamilyPolicy"), text))
    return errors


def validate_status(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    """The addresses that a load balancer reports (``ValidateLoadBalancerStatus``)."""
    path = "status.loadBalancer.ingress"
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    if ingress and new["spec"].get("type") != "LoadBalancer":
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    before = {entry.get("ip") for entry in ((old.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()}
    errors: list[FieldError] = []
    for index, entry in enumerate(ingress):
        here, address, mode, hostname = (
            f"{path}[{index}]",
            entry.get("ip", ""),
            entry.get("ipMode"),
            entry.get("hostname", ""),
        )
        if address and address not in before:
            errors += (invalid(f"{here}.ip", address, fault) for fault in addresses.ip(address))
        if mode is None and address:
            errors.append(required(f"{here}.ipMode", "must be specified when `ip` is set"))
        elif mode is not None and not address:
            errors.append(forbidden(f"{here}.ipMode", "may not be specified when `ip` is not set"))
        elif mode is not None and mode not in _IP_MODES:
            errors.append(unsupported(f"{here}.ipMode", mode, _IP_MODES))
        if hostname:
            errors += (invalid(f"{here}.hostname", hostname, fault) for fault in names.dns_subdomain(hostname))
            if addresses.parse(hostname) is not None:
                errors.append(invalid(f"{here}.hostname", hostname, "must be a DNS name, not an IP address"))
    return errors


def warnings(new: Obj, old: Obj | None) -> list[str]:
    spec, annotations = new["spec"], new["metadata"].get("annotations") or {}
    texts: list[str] = []
    if _TOPOLOGY_HINTS in annotations:
        texts.append(f"annotation {_TOPOLOGY_HINTS} is deprecated, please use {_TOPOLOGY_MODE} instead")
    external_ips, external_name = spec.get("externalIPs") or (), spec.get("type") == "ExternalName"
    headless = service_fields.is_headless(spec)
    if headless:
        if spec.get("loadBalancerIP"):
            texts.append("spec.loadBalancerIP is ignored for headless services")
        if external_ips:
            texts.append("spec.externalIPs is ignored for headless services")
        if spec.get("sessionAffinity") != "None":
            texts.append("spec.SessionAffinity is ignored for headless services")
    else:
        for index, address in enumerate(spec.get("clusterIPs") or ()):
            texts += addresses.warnings(address, f"spec.clusterIPs[{index}]")
    for index, address in enumerate(external_ips):
        texts += addresses.warnings(address, f"spec.externalIPs[{index}]")
    if external_ips and not headless and not external_name:
        texts.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    texts += addresses.warnings(spec.get("loadBalancerIP", ""), "spec.loadBalancerIP")
    if external_ips and external_name:
        texts.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec.get("externalName") and not external_name:
        texts.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        texts.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return texts
