"""What a fresh cluster holds before anybody has created anything: the system namespaces, and DNS.

Source: ``pkg/controlplane/controller/systemnamespaces`` and kubeadm's ``cmd/kubeadm/app/phases/addons/dns``.
"""
from __future__ import annotations

from epkit.client import Client
from epkit.objects import Obj

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
DNS_ADDRESS = "10.96.0.10"
_DNS_LABELS = {"k8s-app": "kube-dns"}
_COREFILE = """.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""


def namespaces(client: Client) -> None:
    """Create the namespaces that every cluster has."""
    for name in NAMESPACES:
        client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def install(client: Client) -> None:
    """Install CoreDNS as kubeadm does: two pods behind the Service ``kube-system/kube-dns``."""
    for resource, obj in (
        ("serviceaccounts", _object("v1", "ServiceAccount", "coredns")),
        ("configmaps", _object("v1", "ConfigMap", "coredns") | {"data": {"Corefile": _COREFILE}}),
        ("services", dns_service()),
        ("deployments", dns_deployment()),
    ):
        client.create(resource, obj)


def dns_service() -> Obj:
    service = _object("v1", "Service", "kube-dns")
    service["metadata"] |= {
        "labels": _DNS_LABELS | {"kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
        "annotations": {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"},
    }
    service["spec"] = {
        "selector": _DNS_LABELS,
        "clusterIP": DNS_ADDRESS,
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
        ],
    }
    return service


def dns_deployment() -> Obj:
    deployment = _object("apps/v1", "Deployment", "coredns")
    deployment["metadata"]["labels"] = _DNS_LABELS
    apart = {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]},
            "topologyKey": "kubernetes.io/hostname",
        },
    }
    deployment["spec"] = {
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "selector": {"matchLabels": _DNS_LABELS},
        "template": {
            "metadata": {"labels": _DNS_LABELS},
            "spec": {
                "priorityClassName": "system-cluster-critical",
                "serviceAccountName": "coredns",
                "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}},
                "tolerations": [
                    {"key": "CriticalAddonsOnly", "operator": "Exists"},
                    {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
                ],
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "containers": [_dns_container()],
                "dnsPolicy": "Default",
                "volumes": [
                    {
                        "name": "config-volume",
                        "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
                    }
                ],
            },
        },
    }
    return deployment


def _dns_container() -> Obj:
    return {
        "name": "coredns",
        "image": "registry.k8s.io/coredns/coredns:v1.14.2",
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
        "ports": [
            {"containerPort": 53, "name": "dns", "protocol": "UDP"},
            {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
            {"containerPort": 9153, "name": "metrics", "protocol": "TCP"},
            {"containerPort": 8080, "name": "liveness-probe", "protocol": "TCP"},
            {"containerPort": 8181, "name": "readiness-probe", "protocol": "TCP"},
        ],
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": "liveness-probe", "scheme": "HTTP"},
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
            "successThreshold": 1,
            "failureThreshold": 5,
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "readiness-probe", "scheme": "HTTP"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def _object(version: str, kind: str, name: str) -> Obj:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "kube-system"}}
