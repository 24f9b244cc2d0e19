"""Chapter 4: Creating and managing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.checks.look import CONTROLLER, MANAGED_BY, SERVICE_NAME, addresses, listed, slices
from epkit.checks.model import Chapter, Exercise, Quiz, Verdict, Wrong
from epkit.objects import labels_of, name_of

if TYPE_CHECKING:
    from epkit.cluster import Cluster

BACKENDS = ["192.0.2.20", "192.0.2.21"]


def _by_hand(cluster: Cluster, namespace: str) -> Verdict:
    service = cluster.client.find("services", "billing", namespace)
    if service is None:
        return Verdict(False, "the Service billing is gone.")
    if service["spec"].get("selector"):
        return Verdict(False, "the Service billing has a selector now, so its slices belong to the controller.")
    found = slices(cluster, namespace, "billing")
    if not found:
        loose = [name_of(one) for one in slices(cluster, namespace) if SERVICE_NAME not in labels_of(one)]
        seen = f" The slice {listed(loose)} carries no {SERVICE_NAME} label." if loose else ""
        return Verdict(False, f"no slice belongs to billing.{seen}")
    taken = [name_of(one) for one in found if labels_of(one).get(MANAGED_BY) == CONTROLLER]
    if taken:
        return Verdict(False, f"the slice {listed(taken)} says that the controller manages it, which will delete it.")
    wanted = {(port.get("name") or "", port["port"]) for port in service["spec"]["ports"]}
    named = {port.get("name") or "" for one in found for port in one.get("ports") or ()}
    if not {name for name, _ in wanted} <= named:
        return Verdict(
            False, f"the Service's port is named pg, the slice's ports are named {listed(sorted(named) or [''])!r}."
        )
    ready, out = addresses(found, "ready"), addresses(found, "not ready")
    if ready == BACKENDS[:1] and out == BACKENDS[1:]:
        return Verdict(True, f"billing reaches {ready[0]}, and {out[0]} is listed and out of rotation.")
    return Verdict(False, f"ready: {listed(ready)}; listed and not ready: {listed(out)}.")


def _named(cluster: Cluster, namespace: str) -> Verdict:
    found = slices(cluster, namespace, "api")
    bare = [name_of(one) for one in found if one.get("endpoints") and not one.get("ports")]
    if bare:
        return Verdict(False, f"the slice {listed(bare)} lists endpoints without any port.")
    ports = sorted({port["port"] for one in found for port in one.get("ports") or ()})
    ready = addresses(found, "ready")
    if len(ready) < 2:
        return Verdict(
            False, f"ready endpoints: {len(ready)}, in slices with the ports {ports}; there should be two."
        )
    service = cluster.client.get("services", "api", namespace)
    if not isinstance(service["spec"]["ports"][0]["targetPort"], str):
        return Verdict(False, "traffic would flow, but the Service's target port is a number now; keep the name.")
    return Verdict(True, f"both pods are endpoints, with the ports {ports}.")


def _owned(cluster: Cluster, namespace: str) -> Verdict:
    service = cluster.client.find("services", "legacy", namespace)
    found = slices(cluster, namespace, "legacy")
    if service is None:
        return Verdict(False, "the Service legacy is gone.")
    if not found:
        return Verdict(False, "no slice belongs to legacy any more.")
    for one in found:
        owners = one["metadata"].get("ownerReferences") or []
        if not owners:
            return Verdict(False, f"the slice {name_of(one)} has no owner: it would outlive its Service.")
        if all(owner["uid"] != service["metadata"]["uid"] for owner in owners):
            return Verdict(
                False,
                f"the slice {name_of(one)} is owned by {owners[0]['kind']} {owners[0]['name']}, "
                f"with the uid {owners[0]['uid']}, which is not that of the Service legacy.",
            )
    return Verdict(True, f"the slice {name_of(found[0])} goes with its Service.")


CHAPTER = Chapter(
    id="4",
    title="Creating and managing",
    notebook="04-creating-and-managing.ipynb",
    minutes=35,
    setup="""
%kubectl create deployment web --image=nginx --replicas=3
%kubectl expose deployment web --port=80
""",
    show="svc/web",
    exercises=(
        Exercise(
            id="4.1",
            goal="The Service billing reaches 192.0.2.20; 192.0.2.21 is listed and out of rotation.",
            check=_by_hand,
            hints=(
                "The Service has no selector, so its slices are yours to write.",
                "Four things tie a slice of your own to its Service: a label, a managed-by of your own, the port's name, "
                "and plain addresses.",
                "An endpoint is out of rotation when its condition ready is false.",
            ),
            setup="""
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: billing, namespace: ex-4-1}
spec:
  ports: [{name: pg, port: 5432}]
""",
            solution="""
%%kubectl apply -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: billing-1
  namespace: ex-4-1
  labels:
    kubernetes.io/service-name: billing
    endpointslice.kubernetes.io/managed-by: staff
addressType: IPv4
ports: [{name: pg, port: 5432}]
endpoints:
- addresses: [192.0.2.20]
  conditions: {ready: true}
- addresses: [192.0.2.21]
  conditions: {ready: false}
""",
            wrong=(
                Wrong(
                    """
%%kubectl apply -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: billing-1, namespace: ex-4-1}
addressType: IPv4
ports: [{name: pg, port: 5432}]
endpoints:
- addresses: [192.0.2.20]
""",
                    "carries no kubernetes.io/service-name label",
                ),
                Wrong(
                    """
%%kubectl apply -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: billing-1, namespace: ex-4-1, labels: {kubernetes.io/service-name: billing}}
addressType: IPv4
ports: [{port: 5432}]
endpoints:
- addresses: [192.0.2.20]
- addresses: [192.0.2.21]
  conditions: {ready: false}
""",
                    "the Service's port is named pg",
                ),
                Wrong(
                    """
%%kubectl apply -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: billing-1, namespace: ex-4-1, labels: {kubernetes.io/service-name: billing}}
addressType: IPv4
ports: [{name: pg, port: 5432}]
endpoints:
- addresses: [192.0.2.20]
- addresses: [192.0.2.21]
""",
                    "ready: 192.0.2.20 and 192.0.2.21; listed and not ready: none",
                ),
            ),
        ),
        Exercise(
            id="4.2",
            goal="Both pods of the Service api are endpoints with a port; its target port stays a name.",
            check=_named,
            hints=(
                "One slice has endpoints and no ports. Which pod is in it, and what are its ports called?",
                "A target port by name is looked up in each pod: the same name and the same protocol.",
                "Pods cannot change their ports. Replace the one that is wrong.",
            ),
            setup="""
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: api, namespace: ex-4-2}
spec:
  selector: {app: api}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: v1
kind: Pod
metadata: {name: api-good, namespace: ex-4-2, labels: {app: api}}
spec:
  containers:
  - {name: c, image: nginx, ports: [{name: http, containerPort: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: api-odd, namespace: ex-4-2, labels: {app: api}}
spec:
  containers:
  - {name: c, image: nginx, ports: [{name: www, containerPort: 80}]}
""",
            solution="""
%kubectl delete pod api-odd -n ex-4-2
# ---
%%kubectl apply -f -
apiVersion: v1
kind: Pod
metadata: {name: api-odd, namespace: ex-4-2, labels: {app: api}}
spec:
  containers:
  - {name: c, image: nginx, ports: [{name: http, containerPort: 80}]}
""",
            wrong=(
                Wrong("%kubectl delete pod api-odd -n ex-4-2", "ready endpoints: 1"),
                Wrong(
                    """%kubectl patch service api -n ex-4-2 --type=json -p '[{"op":"replace","path":"/spec/ports/0/targetPort","value":80}]'""",
                    "keep the name",
                ),
                Wrong(
                    """%kubectl patch service api -n ex-4-2 --type=json -p '[{"op":"replace","path":"/spec/ports/0/targetPort","value":"www"}]'""",
                    "lists endpoints without any port",
                ),
            ),
        ),
        Exercise(
            id="4.3",
            goal="The slice of the Service legacy goes when the Service goes.",
            check=_owned,
            hints=(
                "Who deletes a controller's slice when its Service is deleted, and how does it know?",
                "An owner reference needs the owner's kind, name and uid.",
            ),
            setup="""
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: legacy, namespace: ex-4-3}
spec:
  ports: [{port: 5432}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: legacy-1
  namespace: ex-4-3
  labels: {kubernetes.io/service-name: legacy, endpointslice.kubernetes.io/managed-by: staff}
addressType: IPv4
ports: [{name: "", port: 5432}]
endpoints: [{addresses: [192.0.2.10]}]
""",
            solution="""
uid = cluster.client.get("services", "legacy", "ex-4-3")["metadata"]["uid"]
owner = {"apiVersion": "v1", "kind": "Service", "name": "legacy", "uid": uid}
cluster.client.patch("endpointslices", "legacy-1", {"metadata": {"ownerReferences": [owner]}}, "ex-4-3")
""",
            wrong=(
                Wrong("%kubectl delete endpointslice legacy-1 -n ex-4-3", "no slice belongs to legacy any more"),
                Wrong(
                    """
uid = cluster.client.get("configmaps", "kube-root-ca.crt", "ex-4-3")["metadata"]["uid"]
owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "kube-root-ca.crt", "uid": uid}
cluster.client.patch("endpointslices", "legacy-1", {"metadata": {"ownerReferences": [owner]}}, "ex-4-3")
""",
                    "is owned by ConfigMap kube-root-ca.crt",
                ),
            ),
        ),
    ),
    quizzes=(
        Quiz(
            "4.q1",
            "You lower --max-endpoints-per-slice from 100 to 50. What happens to a slice with 80 endpoints?",
            (
                "it is split into two",
                "nothing, until its Service changes in some way",
                "nothing; it is only no longer filled",
            ),
            2,
            "The controller never rebalances. The slice stays as it is, and new endpoints go elsewhere.",
        ),
        Quiz(
            "4.q2",
            "PORTS says <unset>, ENDPOINTS lists three addresses. What is the likely cause?",
            (
                "the pods are not ready",
                "the named target port is not in those pods",
                "the Service is headless and has ports",
            ),
            1,
            "A pod without the named port is an endpoint all the same, in a slice without ports.",
        ),
        Quiz(
            "4.q3",
            "Where is the limit of endpoints per slice set?",
            ("in the Service", "in an annotation of the namespace", "in a flag of kube-controller-manager"),
            2,
            "It holds for the whole cluster. On a managed cluster you usually cannot change it.",
        ),
    ),
)
