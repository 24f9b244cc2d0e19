"""What every namespace gets: the ServiceAccount ``default`` and the ConfigMap ``kube-root-ca.crt``.

Source: ``pkg/controller/serviceaccount/serviceaccounts_controller.go`` and
``pkg/controller/certificates/rootcacertpublisher/publisher.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any

from epkit.errors import ApiError
from epkit.fake.controllers.framework import Controller, Kit
from epkit.objects import Obj, name_of, namespace_of

ROOT_CA = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
#: A certificate in form only: it was made once, its key was thrown away, and nothing in the fake speaks TLS.
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBgTCCASegAwIBAgIUOnBt3hSDiu4yNKIv3d33tGvomOowCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKa3ViZXJuZXRlczAgFw0yNjExMjIwODE0NDlaGA8yMTI2MTAy
OTA4MTQ0OVowFTETMBEGA1UEAwwKa3ViZXJuZXRlczBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABMNEUGggdH6X9pBMCYtyS3DK7Dyijx4YcAyrzQ2O7kMuBNfoJ1OD
EgVjPzJJBPBwRhe/yYEWjojYggr8gY+Ra2ajUzBRMB0GA1UdDgQWBBSzInhdB5+l
w+LysoAOZHHOpssIIjAfBgNVHSMEGDAWgBSzInhdB5+lw+LysoAOZHHOpssIIjAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCICoIVIq0fALh+y5haOq+
CHhTvwynIsoBTfxR1YmmagwlAiEA4i/TsjHShZBv2OBqa4g3QjGo9Rjp4dFfcjf4
MkSLa8s=
-----END CERTIFICATE-----
"""


class ServiceAccountController(Controller):
    """Makes both objects in each active namespace, and makes them again when somebody deletes or changes them."""

    name = "serviceaccount-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("serviceaccount", self.sync)
        self.namespaces = self.informer("namespaces")
        self.namespaces.on(add=lambda ns: self.queue.add(name_of(ns)), update=lambda _, ns: self.queue.add(name_of(ns)))
        self.accounts = self.informer("serviceaccounts")
        self.accounts.on(delete=self._lost)
        self.config_maps = self.informer("configmaps")
        self.config_maps.on(update=lambda _, config_map: self._lost(config_map), delete=self._lost)

    def _lost(self, obj: Obj) -> None:
        if name_of(obj) in ("default", ROOT_CA):
            self.queue.add(namespace_of(obj))

    def sync(self, namespace: str) -> None:
        found = self.namespaces.get("", namespace)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return
        if self.accounts.get(namespace, "default") is None:
            self._create("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount"}, "default", namespace)
        config_map = self.config_maps.get(namespace, ROOT_CA)
        content: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": CERTIFICATE}}
        annotations = {"kubernetes.io/description": DESCRIPTION}
        if config_map is None:
            self._create("configmaps", content, ROOT_CA, namespace, annotations=annotations)
        elif config_map.get("data") != content["data"]:
            self.client.update("configmaps", {**config_map, "data": content["data"]})

    def _create(self, resource: str, content: Obj, name: str, namespace: str, **metadata: Any) -> None:
        try:
            self.client.create(resource, {**content, "metadata": {"name": name, "namespace": namespace, **metadata}})
        except ApiError as error:
            # It is there already, or the namespace is going away: both are fine.
            if error.reason not in ("AlreadyExists", "NotFound", "Forbidden"):
                raise
