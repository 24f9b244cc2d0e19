"""Reasons that lie in the ports: a name that the pod does not have, a number on which nothing listens."""

from __future__ import annotations

from collections.abc import Iterator

from epkit.objects import Obj, name_of
from epkit.why import nearest
from epkit.why.case import Case, pod_label, pods_in_words, port_label, protocol_of
from epkit.why.desired import containers_of, find_port, is_finished
from epkit.why.finding import DEGRADED, NOTE, Finding, count, listed, quoted

#: What the official images listen on as they come (their Dockerfiles' EXPOSE). Used only where nothing in the pod
#: could have changed it.
_IMAGES = {
    "nginx": (80,), "httpd": (80,), "caddy": (80, 443), "traefik": (80,), "redis": (6379,), "valkey": (6379,),
    "memcached": (11211,), "postgres": (5432,), "mysql": (3306, 33060), "mariadb": (3306,), "mongo": (27017,),
    "rabbitmq": (5672, 15672),
}  # fmt: skip


def named_port_missing(case: Case) -> Iterator[Finding]:
    """A named targetPort that some pods do not have: they are listed, in a slice without that port."""
    for port in case.ports if case.managed else ():
        if not isinstance(port.get("targetPort"), str):
            continue
        without = [pod for pod in case.subjects if not is_finished(pod) and find_port(pod, port) is None]
        if without:
            yield _named_port_missing(case, port, without)


def _named_port_missing(case: Case, port: Obj, without: list[Obj]) -> Finding:
    target, pod = str(port["targetPort"]), without[0]
    declared = [(entry, one) for one in containers_of(pod) for entry in one.get("ports") or ()]
    other_protocol = [entry for entry, _ in declared if entry.get("name") == target]
    there = sorted(
        f"{entry['name']} ({entry.get('containerPort')}/{protocol_of(entry)})"
        for entry, _ in declared
        if entry.get("name")
    )
    if other_protocol:
        have = f"{target} there is {protocol_of(other_protocol[0])}, the Service's port is {protocol_of(port)}"
    elif there:
        have = f"its named ports are {listed(there)}"
        near = nearest.names(target, (str(entry["name"]) for entry, _ in declared if entry.get("name")), most=1)
        have += f"; the nearest is {near[0]}" if near and len(there) > 1 else ""
    else:
        unnamed = sorted({f"{entry.get('containerPort')}/{protocol_of(entry)}" for entry, _ in declared})
        have = f"its ports have no names ({listed(unnamed)})" if unnamed else "it declares no ports"
    means = (
        f"{pod_label(pod)} has no port {target}: {have}. The pod is listed in a slice without this port (<unset>), and "
        "gets no traffic through it. Name the container's port, or use a number."
    )
    if case.pod is None and len(case.subjects) > 1:
        whole = "All" if len(without) == len(case.subjects) else f"{len(without):,} of"
        means += f" {whole} {count(len(case.subjects), 'pod')}: {pods_in_words(without)}."
    return case.finding(
        "NamedPortMissing",
        case.severity_of_port(port),
        case.label,
        f"spec.ports[{port_label(port)}].targetPort",
        target,
        means,
        f"get pod {quoted(name_of(pod))} -o jsonpath='{{.spec.containers[*].ports}}'",
        case.get_slices,
    )


def named_port_differs(case: Case) -> Iterator[Finding]:
    """One name, several numbers: one slice for each. It is right, and surprises programs that read one slice."""
    for port in case.ports if case.managed and case.pod is None else ():
        if not isinstance(port.get("targetPort"), str):
            continue
        numbers = sorted({number for pod in case.subjects if not is_finished(pod) and (number := find_port(pod, port))})
        if len(numbers) > 1:
            yield case.finding(
                "NamedPortDiffers",
                NOTE,
                case.label,
                f"spec.ports[{port_label(port)}].targetPort",
                f"{port['targetPort']}: {listed(map(str, numbers))}",
                f"The pods use {len(numbers)} numbers for this name, and there is a slice for each. Nothing is wrong "
                "with that; a program that reads one slice alone sees a part of the endpoints.",
                case.get_slices,
            )


def nothing_listens(case: Case) -> Iterator[Finding]:
    """A numeric targetPort that speaks against everything the pods say of their ports. A hint: nobody checks ports."""
    for port in case.ports if case.managed else ():
        target = port.get("targetPort", port.get("port"))
        if not isinstance(target, int):
            continue
        live = [pod for pod in case.matched if not is_finished(pod)]
        suspects = {name_of(pod): text for pod in live if (text := _suspicion(pod, port, target))}
        pod = next((pod for pod in case.subjects if name_of(pod) in suspects), None)
        if pod is not None:
            text = suspects[name_of(pod)]
            # Where other pods do speak for the port, the author knows it, and leaves it undeclared here.
            severity = DEGRADED if len(suspects) == len(live) else NOTE
            yield case.finding(
                "TargetPort",
                severity,
                case.label,
                f"spec.ports[{port_label(port)}].targetPort",
                target,
                f"Nothing in {pod_label(pod)} seems to listen on {target}: {text}. The slice says {target} all the "
                "same, as nobody checks; connections would be refused by the pod.",
                f"get pod {quoted(name_of(pod))} -o jsonpath='{{.spec.containers[*].ports}}'",
                case.get_slices,
            )


def _suspicion(pod: Obj, port: Obj, target: int) -> str:
    """Why nothing seems to listen on the port, or nothing where it may.

    containerPort is for information only (API reference of v1.36), so one declared port proves nothing. It takes that
    every container declares its ports and none is this one, or an official image that nothing in the pod can have
    changed.
    """
    if protocol_of(port) != "TCP":
        return ""
    every: list[str] = []
    for container in containers_of(pod):
        declared = {
            int(entry["containerPort"]) for entry in container.get("ports") or () if protocol_of(entry) == "TCP"
        }
        if declared:
            if target in declared:
                return ""
            every.append(f"{container.get('name')} declares {listed(map(str, sorted(declared)))}")
            continue
        known = _as_it_comes(pod, container, target)
        if not known or target in known:
            return ""
        every.append(f"{container.get('image')} as it comes listens on {listed(map(str, known))}")
    return listed(every)


def _as_it_comes(pod: Obj, container: Obj, target: int) -> tuple[int, ...]:
    """The ports of an official image that the pod runs unchanged."""
    image = str(container.get("image", "")).removeprefix("docker.io/").removeprefix("library/")
    known = _IMAGES.get(image.split("@")[0].split(":")[0], ())
    mounts = [
        mount
        for mount in container.get("volumeMounts") or ()
        if not str(mount.get("mountPath", "")).startswith("/var/run/secrets/kubernetes.io/serviceaccount")
    ]
    changed = container.get("command") or container.get("args") or mounts or container.get("envFrom")
    named = any(str(target) in str(entry.get("value", entry.get("valueFrom"))) for entry in container.get("env") or ())
    return () if changed or named or len(containers_of(pod)) > 1 else known


__all__ = ["named_port_differs", "named_port_missing", "nothing_listens"]
