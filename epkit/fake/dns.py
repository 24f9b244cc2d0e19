"""Cluster DNS: which names a cluster answers, and with what, as CoreDNS does.

    dns = Dns(client)
    dns.query("web.default.svc.cluster.local", "A").addresses      # ['10.96.14.7']
    dns.query("_http._tcp.web.default.svc.cluster.local", "SRV")

A Service's name leads to its cluster IP, whatever its endpoints do. The name of a *headless* Service leads to its ready
endpoints, read from EndpointSlices: that is the one place where a client sees slices directly.

Outside the cluster there is nothing: the resolver that CoreDNS forwards to answers NXDOMAIN to every name.

Source: ``plugin/kubernetes`` of CoreDNS 1.14 (parse.go, kubernetes.go, reverse.go) with kubeadm's Corefile: ``pods
insecure``, ``ttl 30``, ``loadbalance``.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from epkit.client import Client
from epkit.objects import Obj, labels_of, name_of, namespace_of

ZONE = "cluster.local"
TTL = 30
SERVICE_NAME = "kubernetes.io/service-name"
NOERROR, NXDOMAIN = "NOERROR", "NXDOMAIN"
_LABEL = re.compile(r"[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?")
#: what a slice without ports counts as having, so that its addresses are still found by name
_NO_PORT: Obj = {"name": "", "protocol": "", "port": -1}
#: CNAMEs of CNAMEs that are followed
_LONGEST_CHAIN = 7


@dataclass(frozen=True)
class Record:
    """A resource record. `data` is an address, or the target name of a CNAME, PTR or SRV; the numbers are SRV's."""

    name: str
    type: str
    data: str
    priority: int = 0
    weight: int = 0
    port: int = 0
    ttl: int = TTL


@dataclass(frozen=True)
class Reply:
    """What the server said: a code, and the records of the answer. NOERROR without records is what is called NODATA."""

    code: str
    records: tuple[Record, ...] = ()
    extra: tuple[Record, ...] = ()

    @property
    def addresses(self) -> list[str]:
        return [record.data for record in self.records if record.type in ("A", "AAAA")]

    @property
    def canonical_name(self) -> str:
        """The name that the last CNAME points to, or an empty string."""
        return next((record.data for record in reversed(self.records) if record.type == "CNAME"), "")


@dataclass(frozen=True)
class _Target:
    """Something that a name leads to: an address and a port of it, under a name of its own; or another name."""

    name: str
    address: str = ""
    port: int = 0
    alias: str = ""


class _NoSuchName(Exception):
    """NXDOMAIN."""


class Dns:
    """The DNS server of a cluster. It reads Services and EndpointSlices anew for every query.

    Args:
        client: of the cluster.

    Like CoreDNS's ``loadbalance`` it gives the addresses of a name in another order each time: here by turns, so that
    the same queries get the same answers in every run.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turns: dict[str, int] = {}

    def query(self, name: str, type: str = "A") -> Reply:
        """Answer one question. `name` is taken as fully qualified; `type` is A, AAAA, SRV, CNAME or PTR."""
        name = name.rstrip(".").lower()
        try:
            return self._answer(name, type, _LONGEST_CHAIN)
        except _NoSuchName:
            return Reply(NXDOMAIN)

    def _answer(self, name: str, type: str, chain: int) -> Reply:
        if name.endswith((".in-addr.arpa", ".ip6.arpa")):
            return self._reverse(name)
        if name != ZONE and not name.endswith("." + ZONE):
            raise _NoSuchName  # that is where CoreDNS would ask the resolver of its node
        targets = list(self._targets(name))
        if type == "SRV":
            return self._services(name, targets)
        aliases = [target for target in targets if target.alias]
        if aliases and type in ("A", "AAAA", "CNAME"):
            return self._follow(name, aliases[0].alias, type, chain)
        family = {"A": 4, "AAAA": 6}.get(type)
        found = dict.fromkeys(t.address for t in targets if t.address and _version(t.address) == family)
        return Reply(NOERROR, tuple(Record(name, type, address) for address in self._turn(name, type, list(found))))

    def _follow(self, name: str, alias: str, type: str, chain: int) -> Reply:
        """A CNAME, and what its target leads to where that can be found."""
        records = [Record(name, "CNAME", alias)]
        if type != "CNAME" and chain:
            try:
                records += self._answer(alias.rstrip(".").lower(), type, chain - 1).records
            except _NoSuchName:
                pass  # the answer is the CNAME alone, and no error
        return Reply(NOERROR, tuple(records))

    def _services(self, name: str, targets: list[_Target]) -> Reply:
        """SRV records: each target with its port, and the addresses of the targets beside them."""
        places = dict.fromkeys((target.name, target.port) for target in targets if target.address)
        # Every target has weight 100; the weights of a priority are scaled to make 100 together.
        weight = max(1, math.floor(100 / len(places))) if places else 0
        records = [Record(name, "SRV", host, weight=weight, port=port) for host, port in places]
        extra = dict.fromkeys(
            Record(target.name, "A" if _version(target.address) == 4 else "AAAA", target.address)
            for target in targets
            if target.address
        )
        return Reply(NOERROR, tuple(records), tuple(extra))

    def _turn(self, name: str, type: str, addresses: list[str]) -> list[str]:
        if len(addresses) < 2:
            return addresses
        turn = self._turns[name + type] = self._turns.get(name + type, -1) + 1
        start = turn % len(addresses)
        return addresses[start:] + addresses[:start]

    # -- names of the cluster --------------------------------------------------------------------------------------

    def _targets(self, name: str) -> Iterator[_Target]:
        """What a name of the zone leads to. Nothing is NODATA; _NoSuchName is NXDOMAIN.

        ==============================================  =====================================================
        ``SERVICE.NAMESPACE.svc.ZONE``                  a Service; a headless one: its endpoints
        ``ENDPOINT.SERVICE.NAMESPACE.svc.ZONE``         an endpoint: its hostname, or its address with dashes
        ``_PORT._PROTOCOL.SERVICE.NAMESPACE.svc.ZONE``  a named port
        ``10-244-1-2.NAMESPACE.pod.ZONE``               that address, whether there is such a pod or not
        ==============================================  =====================================================
        """
        labels = name.removesuffix(ZONE).rstrip(".").split(".")
        if labels == [""] or labels in (["svc"], ["pod"]):
            return
        if name == f"ns.dns.{ZONE}":
            yield from (_Target(name, target.address) for target in self._targets(f"kube-dns.kube-system.svc.{ZONE}"))
            return
        *rest, kind = labels
        if kind not in ("svc", "pod") or len(rest) > 4 or not all(map(_LABEL.fullmatch, rest)):
            raise _NoSuchName
        if not rest or self._client.find("namespaces", rest[-1]) is None:
            raise _NoSuchName
        *rest, namespace = rest
        if not rest:
            return
        if kind == "pod":
            yield _Target(name, _dashed(rest[-1]))
            return
        *rest, service = rest
        endpoint = port = protocol = ""
        if len(rest) == 1:
            endpoint = rest[0]
        elif rest:
            port, protocol = (label.removeprefix("_") for label in rest)
        yield from self._of_service(service, namespace, endpoint, port, protocol)

    def _of_service(self, name: str, namespace: str, endpoint: str, port: str, protocol: str) -> Iterator[_Target]:
        service = self._client.find("services", name, namespace)
        if service is None:
            raise _NoSuchName
        spec = service["spec"]
        full = f"{name}.{namespace}.svc.{ZONE}"

        def wanted(candidate: Obj) -> bool:
            names = (candidate.get("name") or "").lower(), (candidate.get("protocol") or "").lower()
            return port in ("", names[0]) and protocol in ("", names[1])

        if spec.get("type") == "ExternalName":
            if endpoint or _is_address(spec["externalName"]):
                raise _NoSuchName  # an alias is a name: an address is none
            yield _Target(full, alias=spec["externalName"])
            return
        found = False
        if spec.get("clusterIP") == "None" or endpoint:
            for host, address, entry in self._endpoints(name, namespace):
                if endpoint in ("", host) and wanted(entry):
                    found = True
                    yield _Target(f"{host}.{full}", address, entry["port"])
        else:
            for entry in spec.get("ports") or ():
                if wanted(entry):
                    found = True
                    for address in spec.get("clusterIPs") or [spec["clusterIP"]]:
                        yield _Target(full, address, entry["port"])
        if not found:
            raise _NoSuchName

    def _endpoints(self, service: str, namespace: str) -> Iterator[tuple[str, str, Obj]]:
        """Host name, address and port of every ready endpoint. An unset ``ready`` counts as true."""
        slices = self._client.list("endpointslices", namespace, labels=f"{SERVICE_NAME}={service}")
        for entry in sorted(slices, key=name_of):
            if entry.get("addressType") == "FQDN":
                continue
            ports = entry.get("ports") or [_NO_PORT]
            for endpoint in entry.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is False:
                    continue
                for address in endpoint.get("addresses") or ():
                    host = (endpoint.get("hostname") or "").lower() or _dashes(address)
                    for port in ports:
                        yield host, address, {**port, "port": port.get("port") or 0}

    # -- addresses to names ----------------------------------------------------------------------------------------

    def _reverse(self, name: str) -> Reply:
        """PTR: the Service with that cluster IP, or the endpoints with that address."""
        address = _unarpa(name)
        if not address:
            raise _NoSuchName
        for service in self._client.list("services"):
            if address in _canonical(service["spec"].get("clusterIPs") or ()):
                return _pointers(name, [f"{name_of(service)}.{namespace_of(service)}.svc.{ZONE}"])
        hosts = []
        for entry in self._client.list("endpointslices"):
            service_name = labels_of(entry).get(SERVICE_NAME)
            for endpoint in entry.get("endpoints") or ():
                ready = (endpoint.get("conditions") or {}).get("ready") is not False
                if ready and service_name and address in _canonical(endpoint.get("addresses") or ()):
                    host = endpoint.get("hostname") or _dashes(address)
                    hosts.append(f"{host}.{service_name}.{namespace_of(entry)}.svc.{ZONE}")
        if not hosts:
            raise _NoSuchName
        return _pointers(name, list(dict.fromkeys(hosts)))


def _pointers(name: str, hosts: list[str]) -> Reply:
    return Reply(NOERROR, tuple(Record(name, "PTR", host) for host in hosts))


def reverse_name(address: str) -> str:
    """The name under which an address is looked up.

    >>> reverse_name("10.96.0.10")
    '10.0.96.10.in-addr.arpa'
    """
    return ipaddress.ip_address(address).reverse_pointer


def _unarpa(name: str) -> str:
    labels = name.split(".")[:-2][::-1]
    text = ".".join(labels)
    if name.endswith(".ip6.arpa"):
        digits = "".join(labels)
        text = ":".join(digits[i : i + 4] for i in range(0, len(digits), 4))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _dashed(label: str) -> str:
    """The address in the name of a pod. Raises _NoSuchName where it is none."""
    dotted = label.count("-") == 3 and "--" not in label
    try:
        return str(ipaddress.ip_address(label.replace("-", "." if dotted else ":")))
    except ValueError:
        raise _NoSuchName from None


def _dashes(address: str) -> str:
    """
    >>> _dashes("10.244.1.2")
    '10-244-1-2'
    """
    return address.replace(".", "-").replace(":", "-")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _canonical(addresses: Iterable[str]) -> set[str]:
    return {str(ipaddress.ip_address(address)) for address in addresses if address != "None"}


def _version(address: str) -> int:
    return 6 if ":" in address else 4
