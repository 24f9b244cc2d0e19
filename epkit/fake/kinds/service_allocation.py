"""Cluster IPs, IP families, node ports and health check ports of Services.

There is no table of allocations: what is taken is what the stored Services have. So nothing can leak, whether a write
fails later or is a dry run. New values come from the upper band of each range, which leaves the lower one to values
that people choose (KEP-3070 and KEP-3668).

Source: ``pkg/registry/core/service/storage/alloc.go``, for a cluster whose only service CIDR is an IPv4 one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from epkit.fake.kinds import addresses, service_fields
from epkit.fake.kinds.base import Context, FieldError, Obj, Refused, invalid
from epkit.fake.kinds.service_validation import validate_cluster_ips

SERVICE_CIDR = ipaddress.IPv4Network("10.96.0.0/16")
NODE_PORTS = range(30000, 32768)
FAMILIES = ("IPv4",)
_FIRST_DYNAMIC_ADDRESS = 256  # as many as a sixteenth of the range, at most 256
_FIRST_DYNAMIC_PORT = len(NODE_PORTS) // 32


def allocate_create(service: Obj, context: Context) -> None:
    """Fill in all that a new Service needs.

    Raises:
        Refused: an address or port that it names cannot be had.
    """
    spec = service["spec"]
    service_fields.normalize_cluster_ips(spec, None)
    init_ip_families(spec, None)
    others = context.list("services")
    if spec.get("type") != "ExternalName" and not service_fields.is_headless(spec):
        _allocate_cluster_ip(service, others, context)
    if service_fields.needs_node_ports(spec):
        _init_node_ports(service, _Ports(service, others, context))
    if service_fields.needs_health_check(spec):
        _allocate_health_check(service, _Ports(service, others, context, also=spec.get("ports") or ()))


def allocate_update(new: Obj, old: Obj, context: Context) -> None:
    """Fill in what an updated Service needs in addition; what it no longer names is free again.

    Raises:
        Refused: an address or port that it names cannot be had.
    """
    after, before = new["spec"], old["spec"]
    service_fields.keep_allocated(after, before)
    service_fields.normalize_cluster_ips(after, before)
    init_ip_families(after, before)
    others = [other for other in context.list("services") if not _is_same(other, old)]
    if (
        before.get("type") == "ExternalName"
        and after.get("type") != "ExternalName"
        and not service_fields.is_headless(after)
    ):
        _allocate_cluster_ip(new, others, context)
    if service_fields.needs_node_ports(after):
        ports = _Ports(new, others, context)
        ports.taken |= service_fields.node_ports(before)
        _update_node_ports(new, service_fields.node_ports(before), ports)
    if service_fields.needs_health_check(after) and not service_fields.needs_health_check(before):
        _allocate_health_check(new, _Ports(new, others, context, also=after.get("ports") or ()))


def _is_same(one: Obj, other: Obj) -> bool:
    return all(one["metadata"].get(key) == other["metadata"].get(key) for key in ("name", "namespace"))


# IP families


def init_ip_families(spec: Obj, old: Obj | None) -> None:
    """Set ipFamilyPolicy and ipFamilies where they are left out, and refuse what this cluster cannot give.

    Raises:
        Refused: families or addresses that contradict each other or that the cluster does not have.
    """
    if spec.get("type") == "ExternalName" or _is_same_dual_stack(spec, old):
        return
    selectorless = service_fields.is_headless(spec) and not spec.get("selector")
    if not spec.get("ipFamilyPolicy"):
        before = (old or {}).get("ipFamilyPolicy")
        spec["ipFamilyPolicy"] = before or ("RequireDualStack" if selectorless else "SingleStack")
    policy = spec["ipFamilyPolicy"]
    if errors := validate_cluster_ips(spec, old):
        raise Refused(errors)
    errors = _check_policy(spec, old) if old is None or policy == "SingleStack" else _check_reduction(spec, old)
    families = list(spec.get("ipFamilies") or ())
    for index, address in enumerate(spec.get("clusterIPs") or ()):
        if address == "None":
            break
        if index >= len(families):
            family = addresses.family(address)
            if family not in FAMILIES:
                text = f"{family} is not configured on this cluster"
                errors.append(invalid(f"spec.clusterIPs[{index}]", spec["clusterIPs"], text))
            else:
                families.append(family)
    if errors:
        raise Refused(errors)
    if selectorless:  # nothing is allocated for it, so it may have any families
        families = families or [FAMILIES[0]]
        if len(families) < 2 and policy != "SingleStack":
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        spec["ipFamilies"] = families
        return
    if policy == "RequireDualStack":
        errors.append(invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"))
    for index, family in enumerate(families):
        if family not in FAMILIES:
            errors.append(invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
    if errors:
        raise Refused(errors)
    spec["ipFamilies"] = families or [FAMILIES[0]]


def _is_same_dual_stack(spec: Obj, old: Obj | None) -> bool:
    """A Service that prefers dual stack and whose families do not change is neither upgraded nor downgraded."""
    return (
        old is not None
        and spec.get("ipFamilyPolicy") == old.get("ipFamilyPolicy") == "PreferDualStack"
        and all(spec.get(key) == old.get(key) for key in ("type", "clusterIPs", "ipFamilies"))
    )


def _check_policy(spec: Obj, old: Obj | None) -> list[FieldError]:
    if old is not None:  # one family is asked for: the second goes, unless it is named anew
        for key in ("clusterIPs", "ipFamilies"):
            if spec.get(key) == old.get(key) and len(spec.get(key) or ()) > 1:
                spec[key] = spec[key][:1]
    errors: list[FieldError] = []
    if spec["ipFamilyPolicy"] == "SingleStack":
        for key, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
            if len(spec.get(key) or ()) == 2:
                text = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                errors.append(invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], text))
    return errors


def _check_reduction(spec: Obj, old: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        before, after = old.get(key) or [], spec.get(key) or []
        if after and len(after) < len(before):
            text = f"must be 'SingleStack' to release the secondary {what}"
            errors.append(invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], text))
    return errors


# Addresses


def _allocate_cluster_ip(service: Obj, others: Iterable[Obj], context: Context) -> None:
    spec = service["spec"]
    wanted = (spec.get("clusterIPs") or [""])[0]
    taken = {address for other in others for address in other["spec"].get("clusterIPs") or ()}
    if not wanted:
        address = _free_address(service, taken, context)
        _check_owner(service, address, [""], "failed to allocate IP")
    else:
        address = str(addresses.parse(wanted))
        failed = f"failed to allocate IP {wanted}"
        number = ipaddress.IPv4Address(address)
        if number not in SERVICE_CIDR or number in (SERVICE_CIDR.network_address, SERVICE_CIDR.broadcast_address):
            text = f"{failed}: the provided network does not match the current range"
            raise Refused([invalid("spec.clusterIPs", spec["clusterIPs"], text)])
        if address in taken:
            raise Refused(
                [invalid("spec.clusterIPs", spec["clusterIPs"], f"{failed}: provided IP is already allocated")]
            )
        _check_owner(service, address, spec["clusterIPs"], failed)
    spec["clusterIP"], spec["clusterIPs"] = address, [address]


def _check_owner(service: Obj, address: str, shown: list[str], failed: str) -> None:
    """The allocation is an IPAddress object upstream, which must name the Service that owns it."""
    if not service["metadata"].get("name"):
        text = f'{failed}: IPAddress.networking.k8s.io "{address}" is invalid: spec.parentRef.name: Required value'
        raise Refused([invalid("spec.clusterIPs", shown, text)])


def _free_address(service: Obj, taken: set[str], context: Context) -> str:
    metadata, first = service["metadata"], int(SERVICE_CIDR.network_address)
    upper = SERVICE_CIDR.num_addresses - 1 - _FIRST_DYNAMIC_ADDRESS
    start = context.number(upper, "clusterIP", metadata.get("namespace", ""), metadata.get("name", ""))
    in_upper = (_FIRST_DYNAMIC_ADDRESS + (start + step) % upper for step in range(upper))
    in_lower = range(1, _FIRST_DYNAMIC_ADDRESS)
    for offsets in (in_upper, in_lower):
        for offset in offsets:
            address = str(ipaddress.IPv4Address(first + offset))
            if address not in taken:
                return address
    raise Refused([invalid("spec.clusterIPs", [""], "failed to allocate IP: range is full")])


# Ports


class _Ports:
    """The node ports that are free for one Service."""

    def __init__(self, service: Obj, others: Iterable[Obj], context: Context, also: Iterable[Obj] = ()) -> None:
        self.context, self.metadata = context, service["metadata"]
        self.taken: set[int] = {port["nodePort"] for port in also if port.get("nodePort")}
        for other in others:
            spec = other["spec"]
            if service_fields.needs_node_ports(spec):
                self.taken |= service_fields.node_ports(spec)
                if spec.get("healthCheckNodePort"):
                    self.taken.add(spec["healthCheckNodePort"])

    def take(self, port: int) -> str:
        """Take a certain port; answers with what is wrong, or an empty string."""
        if port not in NODE_PORTS:
            return (
                "provided port is not in the valid range. "
                f"The range of valid ports is {NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
            )
        if port in self.taken:
            return "provided port is already allocated"
        self.taken.add(port)
        return ""

    def next(self) -> int:
        """Take any port; 0 when none is left."""
        upper = len(NODE_PORTS) - _FIRST_DYNAMIC_PORT
        start = self.context.number(
            upper, "nodePort", self.metadata.get("namespace", ""), self.metadata.get("name", "")
        )
        for offset in [
            *(_FIRST_DYNAMIC_PORT + (start + step) % upper for step in range(upper)),
            *range(_FIRST_DYNAMIC_PORT),
        ]:
            port = NODE_PORTS[offset]
            if port not in self.taken:
                self.taken.add(port)
                return port
        return 0


def _init_node_ports(service: Obj, ports: _Ports) -> None:
    """One node port for each port; the same number of two protocols shares one, as DNS does."""
    spec = service["spec"]
    by_port: dict[int, int] = {}
    for index, port in enumerate(spec.get("ports") or ()):
        asked, number = port.get("nodePort", 0), port.get("port", 0)
        if not asked and not service_fields.allocates_node_ports(spec):
            continue
        allocated = by_port.get(number, 0)
        if not allocated:
            asked = next((p["nodePort"] for p in spec["ports"] if p.get("port") == number and p.get("nodePort")), 0)
            if asked:
                _take(ports, asked, index)
            port["nodePort"] = by_port[number] = asked or _any(ports, index)
        elif not asked:
            port["nodePort"] = allocated
        elif asked != allocated:
            _take(ports, asked, index)


def _update_node_ports(service: Obj, before: set[int], ports: _Ports) -> None:
    spec = service["spec"]
    known = set(before)
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        asked = port.get("nodePort", 0)
        if asked:
            if asked not in known:
                _take(ports, asked, index)
                known.add(asked)
        elif service_fields.allocates_node_ports(spec):
            port["nodePort"] = _any(ports, index)
            known.add(port["nodePort"])
        else:
            continue
        pair = (port.get("protocol", ""), port["nodePort"])
        if pair in seen:
            raise Refused(unknown=f"duplicate nodePort: {{{pair[0]} {pair[1]}}}")
        seen.add(pair)


def _take(ports: _Ports, port: int, index: int) -> None:
    if fault := ports.take(port):
        raise Refused([invalid(f"spec.ports[{index}].nodePort", port, fault)])


def _any(ports: _Ports, index: int) -> int:
    port = ports.next()
    if not port:
        raise Refused([invalid(f"spec.ports[{index}].nodePort", 0, "failed to allocate a nodePort: range is full")])
    return port


def _allocate_health_check(service: Obj, ports: _Ports) -> None:
    spec = service["spec"]
    asked = spec.get("healthCheckNodePort", 0)
    if asked and (fault := ports.take(asked)):
        raise Refused(internal=f"failed to allocate requested HealthCheck NodePort {asked}: {fault}")
    spec["healthCheckNodePort"] = asked or ports.next()
