"""What a kubelet says about its node.

Source: ``pkg/kubelet/nodestatus/setters.go`` and ``pkg/kubelet/kubelet_node_status.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network

from epkit.objects import Obj, name_of, uid_of

KUBELET_VERSION = "v1.36.2"


@dataclass(frozen=True)
class NodeSpec:
    """A simulated node to be.

    Attributes:
        name: of the node.
        zone, region: its topology labels; none where empty.
        cpu, memory, pods: its capacity, as quantities.
        number: its place among the nodes, from 1; addresses that are not given derive from it.
        internal_ip: the node's own address, by default 172.18.0.2 + `number`.
        pod_cidr: where the addresses of its pods come from, by default 10.244.`number`.0/24.
    """

    name: str
    zone: str = ""
    region: str = ""
    cpu: str = "4"
    memory: str = "8Gi"
    pods: int = 110
    number: int = 0
    internal_ip: str = ""
    pod_cidr: str = ""

    @property
    def address(self) -> str:
        if self.internal_ip:
            return self.internal_ip
        return str(IPv4Network("172.18.0.0/16")[2 + self.number])

    @property
    def network(self) -> IPv4Network:
        if self.pod_cidr:
            network = ip_network(self.pod_cidr)
            if not isinstance(network, IPv4Network):
                raise ValueError(f"node {self.name}: {self.pod_cidr} is no IPv4 range, and simulated pods need one")
            return network
        return IPv4Network((int(IPv4Network("10.244.0.0/16")[0]) + 256 * self.number, 24))


def node_object(spec: NodeSpec, now: str) -> Obj:
    """The Node that the kubelet registers."""
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": spec.name,
        "kubernetes.io/os": "linux",
    }
    if spec.region:
        labels["topology.kubernetes.io/region"] = spec.region
    if spec.zone:
        labels["topology.kubernetes.io/zone"] = spec.zone
    annotations = {
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": spec.name, "labels": labels, "annotations": annotations},
        "spec": {"podCIDR": str(spec.network), "podCIDRs": [str(spec.network)]},
        "status": node_status(spec, now),
    }


def node_status(spec: NodeSpec, now: str) -> Obj:
    """The status of a node that is well."""
    machine = uuid.UUID(bytes=hashlib.sha256(spec.name.encode()).digest()[:16], version=4)
    resources = {
        "cpu": spec.cpu,
        "ephemeral-storage": "100Gi",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": spec.memory,
        "pods": str(spec.pods),
    }
    return {
        "addresses": [{"type": "InternalIP", "address": spec.address}, {"type": "Hostname", "address": spec.name}],
        "allocatable": resources,
        "capacity": dict(resources),
        "conditions": [
            _condition("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", now),
            _condition("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", now),
            _condition("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available", now),
            _condition("Ready", "KubeletReady", "kubelet is posting ready status", now),
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": str(uuid.uuid5(machine, "boot")),
            "containerRuntimeVersion": "containerd://2.2.0",
            "kernelVersion": "6.12.48+deb13-amd64",
            "kubeProxyVersion": "",
            "kubeletVersion": KUBELET_VERSION,
            "machineID": machine.hex,
            "operatingSystem": "linux",
            "osImage": "Debian GNU/Linux 13 (trixie)",
            "systemUUID": str(machine),
        },
    }


def _condition(kind: str, reason: str, message: str, now: str) -> Obj:
    return {
        "type": kind,
        "status": "True" if kind == "Ready" else "False",
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


def lease_object(node: Obj, namespace: str, now: str) -> Obj:
    """The Lease by which a kubelet says every ten seconds that it lives; `now` is a MicroTime."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": name_of(node), "uid": uid_of(node)}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name_of(node), "namespace": namespace, "ownerReferences": [owner]},
        "spec": {"holderIdentity": name_of(node), "leaseDurationSeconds": 40, "renewTime": now},
    }
