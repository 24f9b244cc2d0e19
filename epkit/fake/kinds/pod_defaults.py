"""What the API server fills into a pod's spec, in pods and in the templates of workloads alike.

Source: ``pkg/apis/core/v1/defaults.go`` and ``conversion.go``.
"""

from __future__ import annotations

from functools import lru_cache

from epkit.fake.kinds.base import Obj
from epkit.fake.kinds.common import drop_zero

_READ_ONLY = 0o644


def default_template(template: Obj) -> None:
    """Fill in the pod template of a workload."""
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))


def default_pod_spec(spec: Obj) -> None:
    """Fill in a pod's spec; idempotent."""
    drop_zero(spec, "hostNetwork", "hostPID", "hostIPC", "nodeName", "hostname", "subdomain", "priorityClassName",
              "serviceAccountName", "serviceAccount", "dnsPolicy", "restartPolicy", "schedulerName")  # fmt: skip
    if "dnsPolicy" not in spec:
        spec["dnsPolicy"] = "ClusterFirst"
    if "restartPolicy" not in spec:
        spec["restartPolicy"] = "Always"
    if "schedulerName" not in spec:
        spec["schedulerName"] = "default-scheduler"
    if "securityContext" not in spec:
        spec["securityContext"] = {}
    if "terminationGracePeriodSeconds" not in spec:
        spec["terminationGracePeriodSeconds"] = 30
    # serviceAccount is the old name of serviceAccountName: both are shown, the new one wins
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account and not spec.get("serviceAccountName") == spec.get("serviceAccount") == account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for key in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(key) or ():
            _default_container(container)
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def _default_container(container: Obj) -> None:
    container.setdefault("resources", {})
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = "Always" if _is_latest(container.get("image", "")) else "IfNotPresent"
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    for port in container.get("ports") or ():
        drop_zero(port, "name", "hostPort", "hostIP")
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _default_probe(container[probe])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and "httpGet" in hook:
            _default_http_get(hook["httpGet"])
    for variable in container.get("env") or ():
        drop_zero(variable, "value")
        field = (variable.get("valueFrom") or {}).get("fieldRef")
        if field is not None and not field.get("apiVersion"):
            field["apiVersion"] = "v1"


@lru_cache(maxsize=1024)
def _is_latest(image: str) -> bool:
    """Does the image have the tag ``latest``, said or implied? One with a digest and no tag does not."""
    name, _, digest = image.partition("@")
    repository, _, last = name.rpartition("/")
    _, colon, tag = last.partition(":")
    return tag == "latest" if colon else not digest


def _default_probe(probe: Obj) -> None:
    drop_zero(probe, "initialDelaySeconds")
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not probe.get(key):
            probe[key] = value
    if "httpGet" in probe:
        _default_http_get(probe["httpGet"])
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _default_http_get(action: Obj) -> None:
    drop_zero(action, "host")
    if not action.get("path"):
        action["path"] = "/"
    if not action.get("scheme"):
        action["scheme"] = "HTTP"


def _default_volume(volume: Obj) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
        return
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", _READ_ONLY)
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        _default_field(item)
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            _default_field(item)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")


def _default_field(item: Obj) -> None:
    if "fieldRef" in item and not item["fieldRef"].get("apiVersion"):
        item["fieldRef"]["apiVersion"] = "v1"
