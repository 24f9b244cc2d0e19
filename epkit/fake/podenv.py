"""What a container finds around it: environment variables and files.

Source: ``pkg/kubelet/envvars/envvars.go`` and ``pkg/kubelet/kubelet_pods.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

import re
from collections.abc import Iterable

from epkit.objects import Obj, annotations_of, labels_of, name_of, namespace_of, uid_of

CLUSTER_DNS = "10.96.0.10"
DOMAIN = "cluster.local"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def environment(
    pod: Obj, container: Obj, ip: str, host_ip: str, services: Iterable[Obj], master: Obj | None
) -> dict[str, str]:
    """The variables of a container: those of Services, then its own, which may refer to both as ``$(NAME)``."""
    found = {"PATH": _PATH, "HOSTNAME": hostname(pod), "HOME": "/root"}
    if master is not None:
        found |= service_variables(master)
    for service in services:
        found |= service_variables(service)
    for entry in container.get("env") or ():
        value = entry.get("value", "")
        if path := ((entry.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath"):
            value = _field(pod, path, ip, host_ip)
        found[entry["name"]] = re.sub(r"\$\(([A-Za-z_]\w*)\)", lambda match: found.get(match[1], match[0]), value)
    return found


def service_variables(service: Obj) -> dict[str, str]:
    """``WEB_SERVICE_HOST`` and the like of one Service; a headless one has none.

    >>> service_variables({"metadata": {"name": "web"}, "spec": {"clusterIP": "None"}})
    {}
    """
    spec = service["spec"]
    address, ports = spec.get("clusterIP") or "", spec.get("ports") or []
    if address in ("", "None") or not ports:
        return {}
    name = name_of(service).upper().replace("-", "_")
    found = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            found[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    host = f"[{address}]" if ":" in address else address
    for index, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{host}:{port['port']}"
        prefix = f"{name}_PORT_{port['port']}_{protocol}"
        if index == 0:
            found[f"{name}_PORT"] = url
        found |= {
            prefix: url,
            f"{prefix}_PROTO": protocol.lower(),
            f"{prefix}_PORT": str(port["port"]),
            f"{prefix}_ADDR": address,
        }
    return found


def hostname(pod: Obj) -> str:
    return str(pod["spec"].get("hostname") or name_of(pod))[:63]


def files(pod: Obj, ip: str) -> dict[str, str]:
    """The files that the kubelet puts into every container, and the start page of a web server."""
    namespace = namespace_of(pod)
    name = hostname(pod)
    subdomain = pod["spec"].get("subdomain")
    long_name = f"{name}.{subdomain}.{namespace}.svc.{DOMAIN}\t{name}" if subdomain else name
    return {
        "/etc/hostname": name + "\n",
        "/etc/hosts": "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
        f"::1\tlocalhost ip6-localhost ip6-loopback\n{ip}\t{long_name}\n",
        "/etc/resolv.conf": resolv_conf(namespace),
        f"{_TOKEN}/namespace": namespace,
        f"{_TOKEN}/token": "a token of the simulation: it opens nothing\n",
        "/tmp/.keep": "",
    }


def resolv_conf(namespace: str) -> str:
    """What the kubelet writes for a pod with the dnsPolicy ClusterFirst."""
    return f"search {namespace}.svc.{DOMAIN} svc.{DOMAIN} {DOMAIN}\nnameserver {CLUSTER_DNS}\noptions ndots:5\n"


def _field(pod: Obj, path: str, ip: str, host_ip: str) -> str:
    """A field of the downward API."""
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        values = labels_of(pod) if match[1] == "labels" else annotations_of(pod)
        return values.get(match[2], "")
    return {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.podIP": ip,
        "status.podIPs": ip,
        "status.hostIP": host_ip,
        "status.hostIPs": host_ip,
    }.get(path, "")
