"""``kubectl describe`` of Services, Endpoints and EndpointSlices.

Source: ``k8s.io/kubectl/pkg/describe/describe.go``.
"""
from __future__ import annotations

from epkit.errors import ApiError
from epkit.kubectl.builtin.describe.writer import Writer, find_events
from epkit.kubectl.builtin.gotext import plain
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.tables import format_labels
from epkit.objects import Obj

_SHOWN = 3


def service(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec = obj["metadata"], obj["spec"]
    slices = _slices(session, meta["namespace"], meta["name"])
    w.head(obj)
    w.put(0, f"Selector:\t{format_labels(spec.get('selector'))}")
    w.put(0, f"Type:\t{spec.get('type', '')}")
    if spec.get("ipFamilyPolicy") is not None:
        w.put(0, f"IP Family Policy:\t{spec['ipFamilyPolicy']}")
    w.put(0, f"IP Families:\t{','.join(spec.get('ipFamilies') or ()) or '<none>'}")
    w.put(0, f"IP:\t{spec.get('clusterIP', '')}")
    w.put(0, f"IPs:\t{','.join(spec.get('clusterIPs') or ()) or '<none>'}")
    if spec.get("externalIPs"):
        w.put(0, f"External IPs:\t{','.join(spec['externalIPs'])}")
    if spec.get("loadBalancerIP"):
        w.put(0, f"Desired LoadBalancer IP:\t{spec['loadBalancerIP']}")
    if spec.get("externalName"):
        w.put(0, f"External Name:\t{spec['externalName']}")
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    if ingress:
        w.put(0, f"LoadBalancer Ingress:\t{', '.join(_ingress(entry) for entry in ingress)}")
    for port in spec.get("ports") or ():
        _port(w, port, slices)
    w.put(0, f"Session Affinity:\t{spec.get('sessionAffinity', '')}")
    if spec.get("externalTrafficPolicy"):
        w.put(0, f"External Traffic Policy:\t{spec['externalTrafficPolicy']}")
    if spec.get("internalTrafficPolicy") is not None:
        w.put(0, f"Internal Traffic Policy:\t{spec['internalTrafficPolicy']}")
    if spec.get("healthCheckNodePort"):
        w.put(0, f"HealthCheck NodePort:\t{spec['healthCheckNodePort']}")
    if spec.get("loadBalancerSourceRanges"):
        w.put(0, f"LoadBalancer Source Ranges:\t{','.join(spec['loadBalancerSourceRanges'])}")
    w.events(find_events(session, obj))
    return w.text()


def _slices(session: Session, namespace: str, name: str) -> list[Obj]:
    mapping = session.resources.find("endpointslices.discovery.k8s.io")
    try:
        return session.list(mapping, namespace, labelSelector=f"kubernetes.io/service-name={name}")
    except ApiError:
        return []  # as upstream: a description without endpoints


def _ingress(entry: Obj) -> str:
    if not entry.get("ip"):
        return str(entry.get("hostname", ""))
    return f"{entry['ip']} ({entry['ipMode']})" if entry.get("ipMode") is not None else str(entry["ip"])


def _port(w: Writer, port: Obj, slices: list[Obj]) -> None:
    name, protocol = port.get("name") or "<unset>", port.get("protocol", "")
    w.put(0, f"Port:\t{name}\t{port['port']}/{protocol}")
    w.put(0, f"TargetPort:\t{port.get('targetPort', 0)}/{protocol}")
    if port.get("nodePort"):
        w.put(0, f"NodePort:\t{name}\t{port['nodePort']}/{protocol}")
    w.put(0, f"Endpoints:\t{ready_endpoints(slices, port.get('name', ''))}")


def ready_endpoints(slices: list[Obj], port_name: str) -> str:
    """The first three ready addresses of all slices, with their port; ``<none>`` when there is no slice.

    As upstream, ``+ 0 more...`` appears when an endpoint that is not ready follows three that are.
    """
    if not slices:
        return "<none>"
    shown: list[str] = []
    more, count = False, 0
    for item in slices:
        for port in item.get("ports") or [None]:
            if port is not None and (port.get("name") or "") != port_name:
                continue
            for endpoint in item.get("endpoints") or ():
                more = more or len(shown) == _SHOWN
                if (endpoint.get("conditions") or {}).get("ready") is False:
                    continue
                if not more:
                    address = endpoint["addresses"][0]
                    shown.append(address if port is None else _join(address, port.get("port", 0)))
                count += 1
    text = ",".join(shown)
    return f"{text} + {count - _SHOWN} more..." if more else text


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def endpoints(session: Session, obj: Obj) -> str:
    w = Writer(session)
    w.head(obj)
    w.put(0, "Subsets:")
    for subset in obj.get("subsets") or ():
        for title, field in (("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")):
            addresses = ",".join(address["ip"] for address in subset.get(field) or ())
            w.put(1, f"{title}:\t{addresses or '<none>'}")
        if subset.get("ports"):
            w.put(1, "Ports:")
            w.put(2, "Name\tPort\tProtocol")
            w.put(2, "----\t----\t--------")
            for port in subset["ports"]:
                w.put(2, f"{port.get('name') or '<unset>'}\t{port['port']}\t{port.get('protocol', '')}")
        w.put(0, "")
    w.events(find_events(session, obj))
    return w.text()


def endpoint_slice(session: Session, obj: Obj) -> str:
    w = Writer(session)
    w.head(obj)
    w.put(0, f"AddressType:\t{obj['addressType']}")
    ports = obj.get("ports")
    w.put(0, "Ports:" if ports else "Ports: <unset>")
    if ports:
        w.put(1, "Name\tPort\tProtocol")
        w.put(1, "----\t----\t--------")
        for port in ports:
            number = port.get("port")
            shown = "<unset>" if number is None else number
            w.put(1, f"{port.get('name') or '<unset>'}\t{shown}\t{port.get('protocol', '')}")
    w.put(0, "Endpoints:" if obj.get("endpoints") else "Endpoints: <none>")
    for endpoint in obj.get("endpoints") or ():
        w.put(1, f"- Addresses:\t{', '.join(endpoint.get('addresses') or ()) or '<none>'}")
        ready = (endpoint.get("conditions") or {}).get("ready")
        w.put(2, "Conditions:")
        w.put(3, f"Ready:\t{'<unset>' if ready is None else plain(ready)}")
        w.put(2, f"Hostname:\t{_or_unset(endpoint, 'hostname')}")
        if endpoint.get("targetRef"):
            target = endpoint["targetRef"]
            w.put(2, f"TargetRef:\t{target.get('kind', '')}/{target.get('name', '')}")
        w.put(2, f"NodeName:\t{_or_unset(endpoint, 'nodeName')}")
        w.put(2, f"Zone:\t{_or_unset(endpoint, 'zone')}")
    w.events(find_events(session, obj))
    return w.text()


def _or_unset(endpoint: Obj, field: str) -> str:
    value = endpoint.get(field)
    return "<unset>" if value is None else str(value)
