"""A cluster on which set-ups are built: real workloads on simulated nodes, and pods whose status a test writes."""

from __future__ import annotations

from typing import Any

import yaml

from epkit.cluster import Cluster
from epkit.objects import Obj
from epkit.why import Report

SERVICE_NAME, MANAGED_BY = "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"
PLURALS = {
    "Endpoints": "endpoints",
    "EndpointSlice": "endpointslices",
    "Service": "services",
    "Pod": "pods",
    "Node": "nodes",
}


class Stage:
    """Short ways to make what a set-up needs."""

    def __init__(self, **options: Any) -> None:
        self.cluster = Cluster({"start": 0.0, **options})
        self.client = self.cluster.client

    def kubectl(self, *commands: str) -> None:
        for command in commands:
            done = self.cluster.kubectl(command)
            assert done.returncode == 0, f"{command}: {done}"

    def apply(self, text: str) -> None:
        done = self.cluster.kubectl("apply -f -", stdin=text)
        assert done.returncode == 0, done

    def web(self, replicas: int = 2, expose: str = "--port=80") -> None:
        """The Deployment web, and a Service in front of it."""
        self.kubectl(f"create deployment web --image=nginx --replicas={replicas}", f"expose deployment web {expose}")

    def service(self, name: str = "web", namespace: str = "default", **spec: Any) -> Obj:
        meta = {"name": name, "namespace": namespace}
        return self.client.create(
            "services",
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 80}], **spec}},
        )

    def slice(self, name: str, service: str | None, *endpoints: Any, **fields: Any) -> Obj:
        """A slice of one's own; an endpoint is an address, or the fields of one."""
        labels = fields.pop("labels", {MANAGED_BY: "staff"})
        meta = {
            "name": name,
            "namespace": fields.pop("namespace", "default"),
            **fields.pop("metadata", {}),
            "labels": {**({SERVICE_NAME: service} if service is not None else {}), **labels},
        }
        listed = [
            one if isinstance(one, dict) else {"addresses": [one], "conditions": {"ready": True}} for one in endpoints
        ]
        obj = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta,
            "addressType": "IPv4",
            "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
            "endpoints": listed,
            **fields,
        }
        return self.client.create("endpointslices", obj)

    def endpoints(self, name: str, *addresses: str, **metadata: Any) -> None:
        obj = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": name, "namespace": "default", **metadata},
            "subsets": [{"addresses": [{"ip": ip} for ip in addresses], "ports": [{"port": 80}]}],
        }
        self.client.create("endpoints", obj)

    def node(self, name: str, zone: str = "", ready: str = "True") -> None:
        """A Node object behind which no kubelet is."""
        labels = {"topology.kubernetes.io/zone": zone} if zone else {}
        self.client.create("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
        status = {"conditions": [{"type": "Ready", "status": ready, "reason": "Told"}], "allocatable": {"cpu": "4"}}
        self.client.patch("nodes", name, {"status": status}, subresource="status")

    def pod(self, name: str, app: str = "web", node: str = "bare", **status: Any) -> None:
        """A pod on a node without kubelet; its status is as it is given: `ip`, `ready`, `phase`, `conditions`, …"""
        spec = {"containers": [{"name": "c", "image": "app"}], "nodeName": node, **status.pop("spec", {})}
        meta = {
            "name": name,
            "namespace": status.pop("namespace", "default"),
            "labels": {"app": app, **status.pop("labels", {})},
        }
        meta |= status.pop("metadata", {})
        self.client.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        ip, ready = status.pop("ip", ""), status.pop("ready", True)
        conditions = [{"type": kind, "status": "True" if ready else "False"} for kind in ("Ready", "ContainersReady")]
        given: Obj = {"phase": "Running", "conditions": conditions, **status}
        if ip:
            given |= {"podIP": ip, "podIPs": [{"ip": ip}]}
        self.client.patch("pods", name, {"status": given}, meta["namespace"], subresource="status")
        self.cluster.settle()

    def named(self, name: str, number: int, port: str = "http", protocol: str = "TCP") -> None:
        self.apply(f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: web}}}}
spec:
  containers:
  - {{name: c, image: app, ports: [{{name: {port}, containerPort: {number}, protocol: {protocol}}}]}}
""")

    def probed(self, probe: str) -> None:
        self.apply(f"""
apiVersion: v1
kind: Pod
metadata: {{name: one, labels: {{app: web}}}}
spec: {{containers: [{{name: c, image: nginx, {probe}}}]}}
""")

    def bare_node(self) -> None:
        self.node("bare", "zone-a")

    def event(self, about: tuple[str, str], reason: str, at: str, *, component: str = "kubelet", **fields: str) -> None:
        """An Event about an object, given as its kind and name, at a moment of the first minutes of 1970."""
        kind, name = about
        namespace = {} if kind == "Node" else {"namespace": "default"}
        obj = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{reason.lower()}.{component}", "namespace": "default"},
            "involvedObject": {"apiVersion": "v1", "kind": kind, "name": name, **namespace},
            "type": "Normal",
            "reason": reason,
            "source": {"component": component},
            "firstTimestamp": at,
            "lastTimestamp": at,
            **fields,
        }
        self.client.create("events", obj)

    def slices(self, service: str = "web") -> list[Obj]:
        return self.client.list("endpointslices", "default", labels=f"{SERVICE_NAME}={service}").items

    def slice_name(self, service: str = "web") -> str:
        return str(self.slices(service)[0]["metadata"]["name"])

    def pods(self, **labels: str) -> list[str]:
        wanted = ",".join(f"{key}={value}" for key, value in (labels or {"app": "web"}).items())
        return [pod["metadata"]["name"] for pod in self.client.list("pods", "default", labels=wanted)]

    def patch(self, resource: str, name: str, text: str, namespace: str = "default") -> None:
        self.client.patch(resource, name, yaml.safe_load(text), None if resource == "nodes" else namespace)

    def why(self, *what: str) -> Report:
        return self.cluster.why(*what)

    def close(self) -> None:
        self.cluster.close()
