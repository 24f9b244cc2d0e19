"""The controllers of kube-controller-manager, and what else of a control plane follows the API and writes to it."""
from __future__ import annotations

from importlib import import_module

from epkit.fake.controllers.framework import Controller

#: upstream's name -> module and class, in the order in which they are started
_HOMES = {
    "kubernetes-service-controller": ("apiserver_services", "KubernetesServiceController"),
    "serviceaccount-controller": ("serviceaccount", "ServiceAccountController"),
    "namespace-controller": ("namespace", "NamespaceController"),
    "garbage-collector-controller": ("garbagecollector", "GarbageCollectorController"),
    "scheduler": ("scheduler", "Scheduler"),
    "ttl-controller": ("ttl", "TTLController"),
    "deployment-controller": ("deployment", "DeploymentController"),
    "replicaset-controller": ("replicaset", "ReplicaSetController"),
    "statefulset-controller": ("statefulset", "StatefulSetController"),
    "daemonset-controller": ("daemonset", "DaemonSetController"),
    "job-controller": ("job", "JobController"),
    "ttl-after-finished-controller": ("ttlafterfinished", "TTLAfterFinishedController"),
    "disruption-controller": ("disruption", "DisruptionController"),
    "endpoints-controller": ("endpoints", "EndpointsController"),
    "endpointslice-controller": ("endpointslice.controller", "EndpointSliceController"),
    "endpointslice-mirroring-controller": ("endpointslicemirroring", "EndpointSliceMirroringController"),
    "node-lifecycle-controller": ("nodelifecycle", "NodeLifecycleController"),
    "taint-eviction-controller": ("tainteviction", "TaintEvictionController"),
    "pod-garbage-collector-controller": ("podgc", "PodGCController"),
}
ALL = tuple(_HOMES)


def load(name: str) -> type[Controller]:
    """The class of a controller by upstream's name."""
    module, cls = _HOMES[name]
    found: type[Controller] = getattr(import_module(f"{__name__}.{module}"), cls)
    return found
