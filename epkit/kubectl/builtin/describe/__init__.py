"""``kubectl describe``.

Source: ``k8s.io/kubectl/pkg/cmd/describe/describe.go``; the forms of the kinds are in the other files of this folder.
"""
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from epkit.errors import ApiError
from epkit.kubectl.builtin.discovery import Mapping
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, raise_all
from epkit.kubectl.builtin.selection import select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj

#: (group, kind) -> module:function; kinds that kubectl describes field by field are not listed
_FORMS = {
    ("", "Pod"): "pods:pod",
    ("", "Service"): "services:service",
    ("", "Endpoints"): "services:endpoints",
    ("discovery.k8s.io", "EndpointSlice"): "services:endpoint_slice",
    ("apps", "Deployment"): "workloads:deployment",
    ("apps", "ReplicaSet"): "workloads:replica_set",
    ("apps", "StatefulSet"): "workloads:stateful_set",
    ("apps", "DaemonSet"): "workloads:daemon_set",
    ("batch", "Job"): "workloads:job",
    ("", "Node"): "nodes:node",
    ("", "Namespace"): "others:namespace",
    ("", "ConfigMap"): "others:config_map",
    ("", "Secret"): "others:secret",
    ("", "ServiceAccount"): "others:service_account",
    ("policy", "PodDisruptionBudget"): "others:disruption_budget",
    ("networking.k8s.io", "NetworkPolicy"): "policies:network_policy",
}
#: kinds that kubectl has a form for and the built-in one does not
_MISSING = frozenset(
    {
        ("", "ReplicationController"), ("", "LimitRange"), ("", "ResourceQuota"), ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"), ("autoscaling", "HorizontalPodAutoscaler"), ("networking.k8s.io", "Ingress"),
        ("networking.k8s.io", "IngressClass"), ("networking.k8s.io", "ServiceCIDR"), ("networking.k8s.io", "IPAddress"),
        ("batch", "CronJob"), ("certificates.k8s.io", "CertificateSigningRequest"), ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "CSINode"), ("storage.k8s.io", "VolumeAttributesClass"),
        ("rbac.authorization.k8s.io", "Role"), ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "RoleBinding"), ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
    }
)  # fmt: skip


def describe(session: Session) -> None:
    """Describe objects by name, by the beginning of a name, by file or by selector."""
    args = session.args
    if not args.words and not args["filename"]:
        raise KubectlError(
            'You must specify the type of resource to describe. Use "kubectl api-resources" for a complete list of '
            "supported resources."
        )
    selection = select(session, everything=True, latest=True)
    failures = list(selection.failures)
    if len(failures) == 1 and len(args.words) == 2 and selection.named and _not_found(failures[0]):
        return _by_beginning(session, failures[0])
    first = True
    for info in selection.infos:
        try:
            text = form_of(info.mapping)(session, info.obj)
        except ApiError as error:
            failures.append(error)
            continue
        session.out(text if first else "\n\n" + text)
        first = False
    if not selection.infos and not failures:
        everywhere = args["all-namespaces"]
        session.err("No resources found\n" if everywhere else f"No resources found in {session.namespace} namespace.\n")
    raise_all(failures)


def _not_found(failure: Exception) -> bool:
    return isinstance(failure, ApiError) and failure.reason == "NotFound"


def _by_beginning(session: Session, failure: Exception) -> None:
    """There is no object of that name: describe those whose names begin with it."""
    kind, beginning = session.args.words
    found = False
    for info in select(session, [kind], everything=True, stop_at_first=True).infos:
        if info.name.startswith(beginning):
            found = True
            session.out(form_of(info.mapping)(session, info.obj) + "\n")
    if not found:
        raise failure


def form_of(mapping: Mapping) -> Callable[[Session, Obj], str]:
    """The function that describes a kind.

    Raises:
        NotInSubset: the kind has a form of its own that is not here.
    """
    key = (mapping.group, mapping.kind)
    if key in _MISSING:
        raise NotInSubset(f"describe {mapping.plural}")
    module, _, function = _FORMS.get(key, "others:anything").partition(":")
    found: Callable[[Session, Obj], str] = getattr(import_module(f"{__name__}.{module}"), function)
    return found
