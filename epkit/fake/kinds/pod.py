"""Pod, core/v1.

Source: ``pkg/registry/core/pod/strategy.go``; defaults, admission, validation and the row are in files of their own.
"""

from __future__ import annotations

from epkit.fake.kinds import pod_printing, pod_validation, pod_warnings
from epkit.fake.kinds.base import Context, Kind, Obj
from epkit.fake.kinds.common import drop_empty, keep_spec, keep_status
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.pod_admission import add_default_tolerations, admit
from epkit.fake.kinds.pod_defaults import default_pod_spec


def default(pod: Obj) -> None:
    drop_empty(pod)
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        resources = container["resources"]
        if resources.get("limits"):  # a container asks for as much as it may use, unless it says less
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
        if spec.get("hostNetwork"):
            for port in container.get("ports") or ():
                port.setdefault("hostPort", port.get("containerPort"))
    if pod.get("status"):
        _default_status(pod["status"])


def _default_status(status: Obj) -> None:
    """Times are shown even when not set, and podIP and podIPs say the same; where they differ, podIP counts."""
    for condition in status.get("conditions") or ():
        condition.setdefault("lastProbeTime", None)
        condition.setdefault("lastTransitionTime", None)
    address, addresses = status.get("podIP"), status.get("podIPs")
    if address and (not addresses or addresses[0].get("ip") != address):
        status["podIPs"] = [{"ip": address}]
    elif addresses:
        status["podIP"] = addresses[0].get("ip", "")
    for key in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(key) or ():
            for name, empty in (("restartCount", 0), ("ready", False), ("image", ""), ("imageID", "")):
                container.setdefault(name, empty)
            container.setdefault("state", {})
            container.setdefault("lastState", {})


def prepare_create(pod: Obj, context: Context) -> None:
    admit(pod, context)
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(pod)}
    if pod["spec"].get("schedulingGates"):
        text = "Scheduling is blocked due to non-empty scheduling gates"
        condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": text}
        pod["status"]["conditions"] = [{**condition, "lastProbeTime": None, "lastTransitionTime": None}]


def prepare_update(new: Obj, old: Obj, context: Context) -> None:
    keep_status(new, old, context)
    add_default_tolerations(new)


def prepare_status(new: Obj, old: Obj, context: Context) -> None:
    keep_spec(new, old, context)
    for key in ("ownerReferences", "deletionTimestamp"):
        if key in old["metadata"]:
            new["metadata"][key] = old["metadata"][key]
        else:
            new["metadata"].pop(key, None)
    status = new.setdefault("status", {})
    _default_status(status)
    if "qosClass" not in status and "qosClass" in (old.get("status") or {}):
        status["qosClass"] = old["status"]["qosClass"]


def qos_class(pod: Obj) -> str:
    """Guaranteed, Burstable or BestEffort, from what the containers request (``ComputePodQOS``)."""
    spec, guaranteed, anything = pod["spec"], True, False
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for resource in ("cpu", "memory"):
            asked, most = _amount(requests, resource), _amount(limits, resource)
            anything = anything or asked is not None or most is not None
            guaranteed = guaranteed and most is not None and asked == most
    return "BestEffort" if not anything else "Guaranteed" if guaranteed else "Burstable"


def _amount(resources: Obj, name: str) -> str | None:
    value = resources.get(name)
    return None if value in (None, 0, "0") else str(value)


def grace_period(pod: Obj, asked: int | None) -> int:
    """How long a pod may take to stop: none when nothing can run any more (``podStrategy.CheckGracefulDelete``)."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    period = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30)
    if not spec.get("nodeName") or status.get("phase") in ("Failed", "Succeeded"):
        return 0
    return 1 if period < 0 else int(period)


POD = Kind(
    group="",
    version="v1",
    kind="Pod",
    plural="pods",
    schema="io.k8s.api.core.v1.Pod",
    short_names=("po",),
    categories=("all",),
    status=True,
    columns=pod_printing.COLUMNS,
    row=pod_printing.row,
    row_conditions=pod_printing.row_conditions,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=prepare_status,
    validate=pod_validation.validate,
    validate_update=pod_validation.validate_update,
    validate_status=pod_validation.validate_status,
    warnings=pod_warnings.of_pod,
    validate_name=name_is_subdomain,
    grace_period=grace_period,
    field_labels={
        "spec.nodeName": lambda pod: pod["spec"].get("nodeName", ""),
        "spec.restartPolicy": lambda pod: pod["spec"].get("restartPolicy", ""),
        "spec.schedulerName": lambda pod: pod["spec"].get("schedulerName", ""),
        "spec.serviceAccountName": lambda pod: pod["spec"].get("serviceAccountName", ""),
        "spec.hostNetwork": lambda pod: "true" if pod["spec"].get("hostNetwork") else "false",
        "status.phase": lambda pod: (pod.get("status") or {}).get("phase", ""),
        "status.podIP": lambda pod: (pod.get("status") or {}).get("podIP", ""),
        "status.podIPs": lambda pod: (pod.get("status") or {}).get("podIP", ""),
        "status.nominatedNodeName": lambda pod: (pod.get("status") or {}).get("nominatedNodeName", ""),
    },
)
