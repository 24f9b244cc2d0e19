"""``kubectl describe node``.

Source: ``k8s.io/kubectl/pkg/describe/describe.go`` (describeNode); ``k8s.io/kubectl/pkg/util/resource``.
"""
from __future__ import annotations

from fractions import Fraction

from epkit.errors import ApiError
from epkit.kubectl.builtin import quantity
from epkit.kubectl.builtin.describe.writer import Writer, find_events
from epkit.kubectl.builtin.gotext import plain, rfc1123
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj, labels_of

_ROLE = "node-role.kubernetes.io/"
_STANDARD = ("cpu", "memory", "ephemeral-storage", "pods", "storage")


def node(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Roles:\t{','.join(_roles(obj)) or '<none>'}")
    w.labels("Labels", meta.get("labels"))
    w.annotations("Annotations", meta.get("annotations"))
    w.put(0, f"CreationTimestamp:\t{rfc1123(meta['creationTimestamp'])}")
    w.taints(spec.get("taints"))
    w.put(0, f"Unschedulable:\t{plain(bool(spec.get('unschedulable')))}")
    _lease(w, session, meta["name"])
    if status.get("conditions"):
        w.put(0, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage")
        w.put(1, "----\t------\t-----------------\t------------------\t------\t-------")
        for c in status["conditions"]:
            times = f"{rfc1123(c.get('lastHeartbeatTime'))} \t{rfc1123(c.get('lastTransitionTime'))}"
            w.put(1, f"{c['type']} \t{c['status']} \t{times} \t{c.get('reason', '')} \t{c.get('message', '')}")
    w.put(0, "Addresses:")
    for address in status.get("addresses") or ():
        w.put(1, f"{address['type']}:\t{address['address']}")
    for title in ("capacity", "allocatable"):
        if status.get(title):
            w.put(0, f"{title.capitalize()}:")
            for name, amount in sorted(status[title].items()):
                w.put(1, f"{name}:\t{amount}")
    _system(w, status.get("nodeInfo") or {})
    if spec.get("podCIDR"):
        w.put(0, f"PodCIDR:\t{spec['podCIDR']}")
    if spec.get("podCIDRs"):
        w.put(0, f"PodCIDRs:\t{','.join(spec['podCIDRs'])}")
    if spec.get("providerID"):
        w.put(0, f"ProviderID:\t{spec['providerID']}")
    fields = f"spec.nodeName={meta['name']},status.phase!=Succeeded,status.phase!=Failed"
    _resources(w, session.list(session.resources.find("pods"), "", fieldSelector=fields), status)
    events = find_events(session, obj)
    if events is not None:
        # controllers name a node by its uid, the kubelet by its name
        w.events(events + (find_events(session, obj, uid=meta["name"]) or []))
    return w.text()


def _roles(obj: Obj) -> list[str]:
    roles = {key.removeprefix(_ROLE) for key in labels_of(obj) if key.startswith(_ROLE)}
    return sorted(role for role in roles | {labels_of(obj).get("kubernetes.io/role", "")} if role)


def _lease(w: Writer, session: Session, name: str) -> None:
    try:
        lease = session.send("GET", session.resources.find("leases").path("kube-node-lease", name))
    except ApiError as error:
        w.put(0, f"Lease:\tFailed to get lease: {error}")
        return
    spec = lease.get("spec") or {}
    w.put(0, "Lease:")
    w.put(1, f"HolderIdentity:\t{spec.get('holderIdentity') or '<unset>'}")
    for title, field in (("AcquireTime", "acquireTime"), ("RenewTime", "renewTime")):
        w.put(1, f"{title}:\t{rfc1123(spec[field]) if spec.get(field) else '<unset>'}")


def _system(w: Writer, info: Obj) -> None:
    w.put(0, "System Info:")
    for title, field in (
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
        ("Kube-Proxy Version", "kubeProxyVersion"),
    ):
        w.put(1, f"{title}:\t{info.get(field, '')}")


class _Amounts:
    """Sums of quantities by resource name; the first one's form stays."""

    def __init__(self) -> None:
        self.value: dict[str, Fraction] = {}
        self.binary: dict[str, bool] = {}

    def add(self, amounts: Obj | None) -> None:
        for name, text in (amounts or {}).items():
            self.binary.setdefault(name, quantity.is_binary(str(text)))
            self.value[name] = self.value.get(name, Fraction(0)) + quantity.parse(str(text))

    def raise_to(self, amounts: Obj | None) -> None:
        for name, text in (amounts or {}).items():
            if quantity.parse(str(text)) > self.value.get(name, Fraction(0)):
                self.value[name] = quantity.parse(str(text))
                self.binary[name] = quantity.is_binary(str(text))

    def text(self, name: str) -> str:
        return quantity.text(self.value.get(name, Fraction(0)), self.binary.get(name, False))

    def shown(self, name: str, whole: Obj) -> str:
        """``100m (2%)``"""
        total = quantity.parse(str(whole.get(name, "0")))
        share = self.value.get(name, Fraction(0)) / total * 100 if total else Fraction(0)
        return f"{self.text(name)} ({int(share)}%)"


def _of_pod(pod: Obj, field: str) -> _Amounts:
    """A pod's requests or limits: its containers' sum, at least what any one init container needs, and overhead."""
    amounts = _Amounts()
    spec = pod["spec"]
    for container in spec.get("containers") or ():
        amounts.add((container.get("resources") or {}).get(field))
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            amounts.add((container.get("resources") or {}).get(field))
        else:
            amounts.raise_to((container.get("resources") or {}).get(field))
    amounts.add(spec.get("overhead"))
    return amounts


def _resources(w: Writer, pods: list[Obj], status: Obj) -> None:
    whole = status.get("allocatable") or status.get("capacity") or {}
    w.put(0, f"Non-terminated Pods:\t({len(pods)} in total)")
    w.put(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge")
    w.put(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---")
    requests, limits = _Amounts(), _Amounts()
    for pod in pods:
        wanted, most = _of_pod(pod, "requests"), _of_pod(pod, "limits")
        meta = pod["metadata"]
        cells = [wanted.shown("cpu", whole), most.shown("cpu", whole)]
        cells += [wanted.shown("memory", whole), most.shown("memory", whole)]
        w.put(1, "\t".join([meta["namespace"], meta["name"], "", *cells, w.since(meta["creationTimestamp"])]))
        for total, one in ((requests, wanted), (limits, most)):
            for name, value in one.value.items():
                total.binary.setdefault(name, one.binary[name])
                total.value[name] = total.value.get(name, Fraction(0)) + value
    w.put(0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)")
    w.put(1, "Resource\tRequests\tLimits")
    w.put(1, "--------\t--------\t------")
    huge = sorted(name for name in whole if name.startswith("hugepages-"))
    for name in ("cpu", "memory", "ephemeral-storage", *huge):
        w.put(1, f"{name}\t{requests.shown(name, whole)}\t{limits.shown(name, whole)}")
    for name in sorted(name for name in whole if name not in _STANDARD and name not in huge):
        w.put(1, f"{name}\t{requests.text(name)}\t{limits.text(name)}")
