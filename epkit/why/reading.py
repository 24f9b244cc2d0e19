"""What `why` reads from a cluster: one list per kind, and a few more only where a question needs them.

Everything is read, nothing is written. What may not be read is remembered with what cannot be said because of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from epkit.client import Client
from epkit.errors import ApiError, EpkitError
from epkit.objects import Obj, name_of, namespace_of
from epkit.selectors import format_map
from epkit.why.finding import Unknown, count, listed, plain
from epkit.why.nearest import names

SERVICE_WORDS = ("svc", "service", "services")
POD_WORDS = ("po", "pod", "pods")
SERVICE_NAME = "kubernetes.io/service-name"

#: Kind → what cannot be said when it may not be listed.
UNSURE = {
    "services": "whether an endpoint is another Service's cluster IP is not known",
    "pods": "whether the selector matches pods, why they are not ready and whether the slices are up to date is not "
    "known",
    "endpointslices": "which addresses the Service has, and who gets its traffic, is not known",
    "endpoints": "whether the Endpoints object agrees with the slices is not known",
    "nodes": "whether pods are on nodes that are gone or not ready, and what hints and Local policies do, is not known",
    "events": "what the last warnings said (of probes, the scheduler and the slice controller) is not known",
    "deployments": "whether a Deployment for these pods is scaled to zero is not known",
    "statefulsets": "whether a StatefulSet for these pods is scaled to zero is not known",
    "daemonsets": "whether a DaemonSet for these pods makes none is not known",
    "kubelet starts": "whether a kubelet that was started again made pods not ready is not known",
    "dns": "whether CoreDNS is so old that it gives out endpoints that are not ready is not known",
    "webhooks": "whether the API server needs this Service for a webhook is not known",
}
#: Where the cluster's DNS server is, in clusters that kubeadm and most others make.
DNS_SERVER, DNS_NAMESPACE = "coredns", "kube-system"
#: The configurations of webhooks: kind → resource.
WEBHOOKS = {
    f"{kind}WebhookConfiguration": f"admissionregistration.k8s.io/v1/{kind.lower()}webhookconfigurations"
    for kind in ("Validating", "Mutating")
}
ELSEWHERE = {
    "pods": "whether pods with these labels are in another namespace is not known",
    "endpointslices": "whether a slice for this Service is in another namespace is not known",
}


@dataclass
class Reading:
    """The objects that an answer rests on. None stands for what may not be read."""

    namespace: str
    service: Obj
    services: list[Obj]
    pods: list[Obj] | None = None
    slices: list[Obj] | None = None
    endpoints: Obj | None = None
    nodes: list[Obj] | None = None
    pod: Obj | None = None
    warnings: list[Obj] = field(default_factory=list)
    workloads: list[Obj] = field(default_factory=list)
    pods_elsewhere: list[Obj] = field(default_factory=list)
    slices_elsewhere: list[Obj] = field(default_factory=list)
    kubelet_starts: list[Obj] = field(default_factory=list)
    dns: Obj | None = None
    webhooks: list[Obj] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)


def parse(what: str, kinds: tuple[str, ...], namespace: str) -> tuple[str, str]:
    """The namespace and the name in ``web``, ``svc/web`` or ``demo/svc/web``.

    Raises:
        EpkitError: it is the name of another kind of object, or of none.
    """
    parts = what.split("/")
    name = parts.pop()
    if parts and parts[-1].lower() in kinds:
        parts.pop()
    elif parts and len(parts) == 1:
        raise EpkitError(
            f"{plain(what)} is not a {_singular(kinds)}. Write {kinds[0]}/{plain(name)}, or the name alone."
        )
    if not name or len(parts) > 1 or "" in parts:
        raise EpkitError(f"{plain(what) or 'An empty word'} names no {_singular(kinds)}. Write {kinds[0]}/NAME.")
    return (parts[0] if parts else namespace), name


class Reader:
    """Lists of one cluster, where refusals are remembered and not raised."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.unknown: list[Unknown] = []

    def webhooks(self) -> list[Obj]:
        """The configurations of all webhooks; a cluster that serves none, such as the built-in one, has none."""
        found: list[Obj] = []
        for kind, resource in WEBHOOKS.items():
            try:
                found += ({"kind": kind, **one} for one in self.client.list(resource))  # items of a list carry no kind
            except ApiError as error:
                if error.code != 404:
                    unknown = Unknown(resource.rpartition("/")[2], plain(error.message), UNSURE["webhooks"])
                    self.unknown.append(unknown)
                    break  # one who may not read the one kind may not read the other
        return found

    def list(
        self, resource: str, namespace: str | None, unsure: str, *, labels: str = "", fields: str = "", of: str = ""
    ) -> list[Obj] | None:
        """The objects, or None where listing them is refused. `of`: what they are of, where that is not plain."""
        try:
            return self.client.list(resource, namespace, labels=labels, fields=fields).items
        except ApiError as error:
            if error.code == 401:
                raise _not_known(error) from None
            where = resource.rpartition("/")[2]
            if of or not (namespace or resource == "nodes"):
                where += f" of {of or 'all namespaces'}"
            self.unknown.append(Unknown(where, plain(error.message), unsure))
            return None

    def find(self, resource: str, name: str, namespace: str, unsure: str) -> Obj | None:
        try:
            return self.client.find(resource, name, namespace)
        except ApiError as error:
            self.unknown.append(Unknown(resource, plain(error.message), unsure))
            return None


def read(client: Client, service: str, pod: str | None, namespace: str) -> Reading:
    """Everything for one Service, and one pod if it is asked for.

    Raises:
        EpkitError: there is no such Service or pod, with the nearest names; or Services may not be read at all.
    """
    reader = Reader(client)
    namespace, name = parse(service, SERVICE_WORDS, namespace)
    pod_namespace, pod_name = parse(pod, POD_WORDS, namespace) if pod is not None else (namespace, "")
    found = _services(reader, name, namespace)
    pods = reader.list("pods", namespace, UNSURE["pods"])
    reading = Reading(namespace, next(one for one in found if name_of(one) == name), found, pods)
    if pod is not None:
        reading.pod = _pod(reader, pod_name, pod_namespace, pods if pod_namespace == namespace else None)
    reading.slices = reader.list("endpointslices", namespace, UNSURE["endpointslices"])
    reading.endpoints = reader.find("endpoints", name, namespace, UNSURE["endpoints"])
    reading.nodes = reader.list("nodes", None, UNSURE["nodes"])
    reading.unknown = reader.unknown
    return reading


def read_more(
    client: Client,
    reading: Reading,
    *,
    nobody_matches: bool,
    no_slices: bool,
    unwell: bool,
    flipped: bool,
    asks_dns: bool,
    unanswered: bool,
) -> None:
    """What only some answers need: other namespaces, the makers of pods, the last warnings, and who else is concerned.

    Args:
        nobody_matches: the Service has a selector, and it matches no pod.
        no_slices: the Service has no selector, and no slice either.
        unwell: something does not work, of which events may tell why.
        flipped: the Ready condition of a pod changed while its containers ran.
        asks_dns: what DNS says depends on whether its server looks at conditions.
        unanswered: nobody answers for a port of the Service.
    """
    reader = Reader(client)
    name, namespace = name_of(reading.service), reading.namespace
    if nobody_matches:
        for resource, kind in (
            ("deployments", "Deployment"),
            ("statefulsets", "StatefulSet"),
            ("daemonsets", "DaemonSet"),
        ):
            listed_ones = reader.list(resource, namespace, UNSURE[resource]) or ()
            reading.workloads += [{"kind": kind, **one} for one in listed_ones]  # items of a list carry no kind
        labels = format_map(reading.service["spec"]["selector"])
        found = reader.list("pods", None, ELSEWHERE["pods"], labels=labels) or ()
        reading.pods_elsewhere = [one for one in found if namespace_of(one) != namespace]
    if no_slices:
        found = reader.list("endpointslices", None, ELSEWHERE["endpointslices"], labels=f"{SERVICE_NAME}={name}") or ()
        reading.slices_elsewhere = [one for one in found if namespace_of(one) != namespace]
    if unwell:
        reading.warnings = reader.list("events", namespace, UNSURE["events"], fields="type=Warning") or []
    if flipped:
        # Events about Nodes, which have no namespace, are in this one.
        fields = "involvedObject.kind=Node,reason=Starting"
        starts = reader.list("events", "default", UNSURE["kubelet starts"], fields=fields, of="nodes, in default")
        reading.kubelet_starts = starts or []
    if asks_dns:
        reading.dns = reader.find("deployments", DNS_SERVER, DNS_NAMESPACE, UNSURE["dns"])
    if unanswered:
        reading.webhooks = reader.webhooks()
    reading.unknown += reader.unknown


def _services(reader: Reader, name: str, namespace: str) -> list[Obj]:
    """The Services of the namespace, the one asked for among them; it alone where listing is refused."""
    services = reader.list("services", namespace, UNSURE["services"])
    if services is None:
        try:
            service = reader.client.find("services", name, namespace)
        except ApiError as error:
            raise EpkitError(
                f"Services cannot be read in the namespace {plain(namespace)}: {plain(error.message)}. Without them "
                f"nothing can be said. See what you may do with: kubectl auth can-i --list -n {plain(namespace)}"
            ) from None
        services = [] if service is None else [service]
    if any(name_of(one) == name for one in services):
        return services
    raise EpkitError(_no_service(reader, name, namespace, services))


def _no_service(reader: Reader, name: str, namespace: str, services: list[Obj]) -> str:
    text = f"There is no Service {plain(name)} in the namespace {plain(namespace)}."
    near = names(name, map(name_of, services))
    if near:
        text += f" The nearest {'name is' if len(near) == 1 else 'names are'} {listed(map(plain, near))}."
    elif services:
        text += f" There are {count(len(services), 'Service')} there, none of a name like it."
    else:
        text += " There are no Services there."
    everywhere = reader.list("services", None, "", fields=f"metadata.name={name}")
    homes = sorted(namespace_of(one) for one in everywhere or () if name_of(one) == name)
    if homes:
        text += (
            f" There is one of this name in {listed(map(plain, homes))}: choose a namespace with -n, or "
            f"{plain(f'{homes[0]}/svc/{name}')}."
        )
    leftover = reader.find("endpoints", name, namespace, "")
    if leftover is not None:
        text += (
            f" An Endpoints object {plain(name)} exists without a Service: it is not mirrored to slices, and "
            "nobody reads it."
        )
    return text


def _pod(reader: Reader, name: str, namespace: str, pods: list[Obj] | None) -> Obj:
    if pods is not None:
        found = next((one for one in pods if name_of(one) == name), None)
    else:
        try:
            found = reader.client.find("pods", name, namespace)
        except ApiError as error:
            raise EpkitError(f"The pod {plain(name)} cannot be read: {plain(error.message)}.") from None
    if found is not None:
        return found
    there = pods if pods is not None else reader.list("pods", namespace, "") or []
    near = names(name, map(name_of, there))
    text = f"There is no pod {plain(name)} in the namespace {plain(namespace)}."
    if near:
        text += f" The nearest {'name is' if len(near) == 1 else 'names are'} {listed(map(plain, near))}."
    elif not there:
        text += " There are no pods there."
    raise EpkitError(text)


def _not_known(error: ApiError) -> EpkitError:
    return EpkitError(
        f"The cluster does not accept your credentials (401: {plain(error.message)}). Log in again, or choose another "
        "context with --context."
    )


def _singular(kinds: tuple[str, ...]) -> str:
    return "Service" if kinds is SERVICE_WORDS else "pod"
