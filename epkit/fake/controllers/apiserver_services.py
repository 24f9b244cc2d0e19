"""What kube-apiserver itself keeps: the Service ``default/kubernetes``, its Endpoints and its slice.

No controller selects pods for this Service. Each API server writes its own address into the Endpoints, and a copy of
them into a slice of the same name, which is why that one slice has no random suffix, owner or managed-by label.

Source: ``pkg/controlplane/controller/kubernetesservice``, and ``lease.go`` and ``endpointsadapter.go`` in
``pkg/controlplane/reconcilers``.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epkit.errors import ApiError
from epkit.fake.controllers.framework import Controller, Kit
from epkit.objects import Obj, name_of

SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
SERVICE_NAME = "kubernetes.io/service-name"
#: seconds between two looks (``DefaultEndpointReconcilerInterval``)
INTERVAL = 10.0


class KubernetesServiceController(Controller):
    """Makes the three objects, and every 10 s mends what somebody has changed in them."""

    name = "kubernetes-service-controller"
    flags = {"advertise_address": "172.18.0.2", "secure_port": 6443, "service_cluster_ip": "10.96.0.1"}

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.every(INTERVAL, self.reconcile, "kube-apiserver: looks after the Service kubernetes")

    def start(self) -> None:
        super().start()
        self.reconcile()

    def reconcile(self) -> None:
        """Make the Service, Endpoints and slice what they should be."""
        if self.client.find("namespaces", "default") is None:
            return
        self._service()
        port = {"name": "https", "port": self.options["secure_port"], "protocol": "TCP"}
        address = self.options["advertise_address"]
        self._keep(
            "endpoints",
            {
                "apiVersion": "v1",
                "kind": "Endpoints",
                "metadata": _metadata({SKIP_MIRROR: "true"}),
                "subsets": [{"addresses": [{"ip": address}], "ports": [port]}],
            },
            ("subsets",),
        )
        self._keep(
            "endpointslices",
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": _metadata({SERVICE_NAME: "kubernetes"}),
                "addressType": "IPv6" if ":" in address else "IPv4",
                "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
                "ports": [port],
            },
            ("endpoints", "ports"),
        )

    def _service(self) -> None:
        """The Service is made once. Its ports are mended; the rest is left as somebody has set it."""
        ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": self.options["secure_port"]}]
        found = self.client.find("services", "kubernetes", "default")
        if found is None:
            service = {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": _metadata({"component": "apiserver", "provider": "kubernetes"}),
                "spec": {
                    "clusterIP": self.options["service_cluster_ip"],
                    "clusterIPs": [self.options["service_cluster_ip"]],
                    "ipFamilyPolicy": "SingleStack",
                    "ports": ports,
                    "sessionAffinity": "None",
                    "type": "ClusterIP",
                },
            }
            self._write(lambda: self.client.create("services", service))
        elif found["spec"].get("ports") != ports:
            self._write(lambda: self.client.update("services", {**found, "spec": {**found["spec"], "ports": ports}}))

    def _keep(self, resource: str, wanted: Obj, fields: tuple[str, ...]) -> None:
        """Create the object, or put back those of its fields and labels that differ."""
        found = self.client.find(resource, name_of(wanted), "default")
        if found is None:
            self._write(lambda: self.client.create(resource, wanted))
            return
        labels = {**(found["metadata"].get("labels") or {}), **wanted["metadata"]["labels"]}
        if labels != found["metadata"].get("labels") or any(found.get(key) != wanted[key] for key in fields):
            mended = {**found, **{key: wanted[key] for key in fields}}
            mended["metadata"] = {**found["metadata"], "labels": labels}
            self._write(lambda: self.client.update(resource, mended))

    def _write(self, write: Callable[[], object]) -> None:
        try:
            write()
        except ApiError as error:
            if error.reason not in ("Conflict", "AlreadyExists"):  # somebody was quicker: the next look decides
                raise


def _metadata(labels: dict[str, str]) -> Obj:
    return {"name": "kubernetes", "namespace": "default", "labels": labels}
