"""Finding what a picture is about, and saying what there is instead where it is not there."""
from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from epkit.errors import ApiError, EpkitError
from epkit.objects import Obj, name_of
from epkit.views.text import clean, listing

if TYPE_CHECKING:
    from epkit.cluster import Cluster
    from epkit.story import Past

SERVICE_NAME = "kubernetes.io/service-name"
_SERVICE = ("svc", "service", "services")


def parse_service(what: str, namespace: str) -> tuple[str, str]:
    """The namespace and the name that ``web``, ``svc/web`` or ``demo/svc/web`` means.

    Raises:
        EpkitError: it names something else than a Service.
    """
    parts = what.strip().split("/")
    kinds = [part.lower() for part in parts[:-1]]
    if not parts[-1] or len(parts) > 3 or (len(parts) == 3 and kinds[1] not in _SERVICE):
        text = f"{clean(what)!r} names no Service. Write svc/web, or demo/svc/web for one in the namespace demo."
        raise EpkitError(text)
    if len(parts) == 2 and kinds[0] in _OTHER_KINDS:
        raise EpkitError(f"This picture is of a Service, such as svc/web, and not of {clean(what)}.")
    if kinds and kinds[-1] in _SERVICE:
        kinds.pop()
    return (parts[0] if kinds else namespace), parts[-1]


_OTHER_KINDS = frozenset(
    "pod pods po deployment deployments deploy replicaset replicasets rs endpointslice endpointslices endpoints ep "
    "node nodes no statefulset sts daemonset ds job jobs".split()
)


def find_service(cluster: Cluster | Past, what: str) -> Obj:
    """The Service.

    Raises:
        EpkitError: it is not there; the text names the nearest ones.
    """
    namespace, name = parse_service(what, cluster.namespace)
    service = cluster.client.find("services", name, namespace)
    if service is None:
        everywhere = _services(cluster, namespace)
        here = [name_of(one) for one in everywhere if one["metadata"].get("namespace") == namespace]
        elsewhere = [one["metadata"]["namespace"] for one in everywhere if name_of(one) == name]
        raise EpkitError(not_found("Service", name, namespace, here, elsewhere))
    return service


def _services(cluster: Cluster | Past, namespace: str) -> list[Obj]:
    """Those of all namespaces, or of this one where one may not see more."""
    try:
        return cluster.client.list("services").items
    except ApiError:
        return cluster.client.list("services", namespace).items


def not_found(kind: str, name: str, namespace: str, here: Iterable[str], elsewhere: Iterable[str] = ()) -> str:
    """What to tell somebody who asked for something that is not there.

    >>> not_found("Service", "wbe", "default", ["kubernetes", "web"])
    'There is no Service wbe in the namespace default. The nearest name is web; there are: kubernetes, web.'
    """
    names, others = sorted(map(clean, here)), sorted(map(clean, elsewhere))
    name, namespace = clean(name), clean(namespace)
    text = f"There is no {kind} {name} in the namespace {namespace}."
    if others:
        noun = "namespace" if len(others) == 1 else "namespaces"
        text += f" There is one in the {noun} {listing(others)}: write {others[0]}/svc/{name}."
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    there = f"there are: {listing(names, 12)}." if names else "there are none."
    if near:
        verb = "name is" if len(near) == 1 else "names are"
        return f"{text} The nearest {verb} {', '.join(near)}; {there}"
    return f"{text} {there[0].upper()}{there[1:]}"
