"""Chapter 6: Editing EndpointSlices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.checks.look import CONTROLLER, MANAGED_BY, addresses, listed, slices
from epkit.checks.model import Chapter, Exercise, Quiz, Verdict, Wrong
from epkit.objects import Obj, labels_of, name_of
from epkit.views.text import count

if TYPE_CHECKING:
    from epkit.cluster import Cluster

OUTSIDE = "192.0.2.50"


def _mended(cluster: Cluster, namespace: str) -> Verdict:
    pods = _ready_pods(cluster, namespace, "shop")
    found = slices(cluster, namespace, "shop")
    if not found:
        return Verdict(False, f"shop has no slice at all, and {count(len(pods), 'ready pod')}.")
    if len(pods) < 4:
        return Verdict(False, f"only {count(len(pods), 'pod')} of shop is ready; there should be four.")
    foreign = [one for one in found if labels_of(one).get(MANAGED_BY) != CONTROLLER]
    own = addresses([one for one in found if one not in foreign], "ready")
    if foreign and not own:
        text = f"the slice {listed([name_of(one) for one in foreign])} is managed by {_managers(foreign)}; the controller has none."
        return Verdict(False, text)
    if foreign:
        dead = [one for one in addresses(foreign) if one not in pods]
        beside = f", with {listed(dead)} in it, where no pod is" if dead else ""
        return Verdict(False, f"beside the controller's slice there is {listed([name_of(one) for one in foreign])}{beside}.")
    if own != pods:
        return Verdict(False, f"the controller's slices list {listed(own)} as ready, and the pods are {listed(pods)}.")
    return Verdict(True, "the controller lists all four pods again.")


def _beside(cluster: Cluster, namespace: str) -> Verdict:
    service = cluster.client.find("services", "api", namespace)
    if service is None:
        return Verdict(False, "the Service api is gone.")
    if not service["spec"].get("selector"):
        return Verdict(False, "the Service api has no selector any more, so nobody follows its pods.")
    found = slices(cluster, namespace, "api")
    own = [one for one in found if labels_of(one).get(MANAGED_BY) == CONTROLLER]
    pods = _ready_pods(cluster, namespace, "api")
    if addresses(own, "ready") != pods or not pods:
        return Verdict(False, f"the controller's slices list {listed(addresses(own, 'ready'))}, and the pods are {listed(pods)}.")
    holding = [one for one in found if OUTSIDE in addresses([one])]
    if not holding:
        loose = [name_of(one) for one in slices(cluster, namespace) if OUTSIDE in addresses([one])]
        extra = f" The slice {listed(loose)} lists it and does not belong to api." if loose else ""
        return Verdict(False, f"{OUTSIDE} is in no slice of api.{extra}")
    if OUTSIDE not in addresses(holding, "ready"):
        return Verdict(False, f"{OUTSIDE} is listed and not ready.")
    wanted = {(port.get("name") or "", port.get("port")) for one in own for port in one.get("ports") or ()}
    has = {(port.get("name") or "", port.get("port")) for one in holding for port in one.get("ports") or ()}
    if has != wanted:
        return Verdict(False, f"the pods' slice has the ports {_ports(wanted)}, and the slice of {OUTSIDE} has {_ports(has)}.")
    return Verdict(True, f"api has {count(len(pods), 'pod')} and {OUTSIDE}, in slices of two managers.")


def _agreeing(cluster: Cluster, namespace: str) -> Verdict:
    service = cluster.client.find("services", "mail", namespace)
    if service is None or not service["spec"].get("selector"):
        return Verdict(False, f"the Service mail {'is gone' if service is None else 'has no selector any more'}.")
    endpoints = cluster.client.find("endpoints", "mail", namespace)
    if endpoints is None:
        return Verdict(False, "there is no Endpoints object mail.")
    older = sorted(one["ip"] for subset in endpoints.get("subsets") or () for one in subset.get("addresses") or ())
    newer = addresses(slices(cluster, namespace, "mail"), "ready")
    if older != newer:
        return Verdict(False, f"the Endpoints object lists {listed(older)}, and the slices list {listed(newer)}.")
    pods = _ready_pods(cluster, namespace, "mail")
    if newer != pods or len(pods) < 2:
        return Verdict(False, f"both lists agree on {listed(newer)}; the two pods should be in them, and ready are {listed(pods)}.")
    return Verdict(True, f"both lists say {listed(newer)}.")


def _handed_over(cluster: Cluster, namespace: str) -> Verdict:
    found = cluster.client.find("endpointslices", "db-1", namespace)
    if found is None:
        return Verdict(False, "the slice db-1 is gone.")
    has = addresses([found])
    if has != ["192.0.2.11"]:
        return Verdict(False, f"db-1 lists {listed(has)}.")
    managers = [
        f"{entry['manager']} ({entry['operation']})"
        for entry in found["metadata"].get("managedFields") or ()
        if "f:endpoints" in entry.get("fieldsV1", {})
    ]
    if managers != ["ops (Apply)"]:
        return Verdict(False, f"db-1 lists 192.0.2.11 alone; on record for its endpoints: {listed(managers)}.")
    return Verdict(True, "db-1 lists 192.0.2.11 alone, and ops has applied that.")


def _ready_pods(cluster: Cluster, namespace: str, app: str) -> list[str]:
    """The addresses of the ready pods of an app, in order."""
    return sorted(
        pod["status"]["podIP"]
        for pod in cluster.client.list("pods", namespace, labels=f"app={app}")
        if not pod["metadata"].get("deletionTimestamp")
        and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or ())
    )


def _managers(found: list[Obj]) -> str:
    return listed(sorted({labels_of(one).get(MANAGED_BY, "nobody") for one in found}))


def _ports(ports: set[tuple[str, int | None]]) -> str:
    return listed([f"{number} named {name!r}" for name, number in sorted(ports, key=str)])


CHAPTER = Chapter(
    id="6",
    title="Editing EndpointSlices",
    notebook="06-editing.ipynb",
    minutes=30,
    setup="""
%kubectl create deployment web --image=nginx --replicas=3
%kubectl expose deployment web --port=80
""",
    show="svc/web",
    exercises=(
        Exercise(
            id="6.1",
            goal="The controller's slices list all four pods of shop as ready, and no other slice is left.",
            check=_mended,
            hints=(
                "Print the slices with the label that says who manages them.",
                "The controller waits for a slice that it remembers and cannot find. Let it find it.",
            ),
            setup="""
%kubectl create deployment shop --image=nginx --replicas=2 -n ex-6-1
%kubectl expose deployment shop --port=80 -n ex-6-1
%kubectl label endpointslice -n ex-6-1 -l app=shop endpointslice.kubernetes.io/managed-by=me --overwrite
%kubectl scale deployment shop --replicas=4 -n ex-6-1
""",
            solution="""%kubectl label endpointslice -n ex-6-1 -l app=shop endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io --overwrite""",
            wrong=(
                Wrong("%kubectl delete endpointslice -n ex-6-1 -l app=shop", "shop has no slice at all, and 4 ready pods"),
                Wrong("%kubectl scale deployment shop --replicas=1 -n ex-6-1", "only 1 pod of shop is ready"),
                Wrong("%kubectl rollout restart deployment shop -n ex-6-1", "is managed by me; the controller has none"),
                Wrong(
                    """
%kubectl rollout restart deployment shop -n ex-6-1
cluster.controller("endpointslice").start()
cluster.settle()
""",
                    "where no pod is",
                ),
            ),
        ),
        Exercise(
            id="6.2",
            goal="The Service api has its two pods, kept by the controller, and 192.0.2.50 as a third backend for good.",
            check=_beside,
            hints=(
                "What you write into the controller's slice is gone a second later. Whose slice is left alone?",
                "A slice belongs to a Service by one label, and to its writer by another.",
                "The name of the port has to be the one in the controller's slice.",
            ),
            setup="""
%kubectl create deployment api --image=nginx --replicas=2 -n ex-6-2
# ---
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: api, namespace: ex-6-2}
spec:
  selector: {app: api}
  ports: [{name: http, port: 8080, targetPort: 80}]
""",
            solution="""
%%kubectl apply -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: api-outside
  namespace: ex-6-2
  labels: {kubernetes.io/service-name: api, endpointslice.kubernetes.io/managed-by: staff}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [192.0.2.50], conditions: {ready: true}}]
""",
            wrong=(
                Wrong(
                    """
name = cluster.client.list("endpointslices", "ex-6-2").items[0]["metadata"]["name"]
patch = '[{"op":"add","path":"/endpoints/-","value":{"addresses":["192.0.2.50"]}}]'
cluster.kubectl(f"patch endpointslice {name} --type=json -p '{patch}' -n ex-6-2")
""",
                    "192.0.2.50 is in no slice of api.",
                ),
                Wrong(
                    """
%%kubectl apply -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: api-outside, namespace: ex-6-2, labels: {app: api}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [192.0.2.50]}]
""",
                    "The slice api-outside lists it and does not belong to api",
                ),
                Wrong(
                    """
%%kubectl apply -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: api-outside, namespace: ex-6-2, labels: {kubernetes.io/service-name: api}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [192.0.2.50]}]
""",
                    "has the ports 80 named 'http', and the slice of 192.0.2.50 has 8080 named 'http'",
                ),
                Wrong(
                    """
%kubectl patch service api -n ex-6-2 --type=json -p '[{"op":"remove","path":"/spec/selector"}]'
""",
                    "has no selector any more, so nobody follows its pods",
                ),
            ),
        ),
        Exercise(
            id="6.3",
            goal="The Endpoints object and the slices of mail agree, with both pods in them.",
            check=_agreeing,
            hints=(
                "Who writes the Endpoints object, and what makes it look?",
                "It listens to the Service, to its pods, and to one kind of change of the Endpoints object itself.",
            ),
            setup="""
%kubectl create deployment mail --image=nginx --replicas=2 -n ex-6-3
%kubectl expose deployment mail --port=25 --target-port=80 -n ex-6-3
cluster.client.patch("endpoints", "mail", {"subsets": [{"addresses": [{"ip": "10.10.4.4"}], "ports": [{"port": 80}]}]}, "ex-6-3")
""",
            solution="%kubectl delete endpoints mail -n ex-6-3",
            wrong=(
                Wrong("%kubectl annotate endpoints mail note=please -n ex-6-3", "the Endpoints object lists 10.10.4.4, and the slices list"),
                Wrong("%kubectl scale deployment mail --replicas=0 -n ex-6-3", "both lists agree on none"),
                Wrong(
                    """
%kubectl patch service mail -n ex-6-3 --type=json -p '[{"op":"remove","path":"/spec/selector"}]'
""",
                    "has no selector any more",
                ),
            ),
        ),
        Exercise(
            id="6.4",
            goal="The slice db-1 lists 192.0.2.11 alone, and ops is the only manager on record for its endpoints.",
            check=_handed_over,
            hints=(
                "Who set which field stands in metadata.managedFields; kubectl get shows it when asked.",
                "A manager gets a field from another by applying another value, and saying that it means it.",
            ),
            setup="""
%%kubectl apply --server-side --field-manager=alice -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-1
  namespace: ex-6-4
  labels: {kubernetes.io/service-name: db, endpointslice.kubernetes.io/managed-by: staff}
addressType: IPv4
ports: [{name: pg, port: 5432}]
endpoints: [{addresses: [192.0.2.10]}, {addresses: [192.0.2.11]}]
""",
            solution="""
%%kubectl apply --server-side --field-manager=ops --force-conflicts -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: ex-6-4}
addressType: IPv4
endpoints: [{addresses: [192.0.2.11]}]
""",
            wrong=(
                Wrong(
                    """
%%kubectl apply --server-side --field-manager=ops -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: ex-6-4}
addressType: IPv4
endpoints: [{addresses: [192.0.2.11]}]
""",
                    "db-1 lists 192.0.2.10 and 192.0.2.11",
                ),
                Wrong(
                    """%kubectl patch endpointslice db-1 -n ex-6-4 --type=json -p '[{"op":"remove","path":"/endpoints/0"}]'""",
                    "on record for its endpoints: kubectl-patch (Update)",
                ),
                Wrong(
                    """
%%kubectl apply --server-side --force-conflicts -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: ex-6-4}
addressType: IPv4
endpoints: [{addresses: [192.0.2.11]}]
""",
                    "on record for its endpoints: kubectl (Apply)",
                ),
                Wrong("%kubectl delete endpointslice db-1 -n ex-6-4", "the slice db-1 is gone"),
            ),
        ),
    ),
    quizzes=(
        Quiz(
            "6.q1",
            "The Endpoints object of a Service lists an address that no slice knows. What is the likely cause?",
            ("the slice is behind by a second", "somebody edited the Endpoints object", "the pod is not ready"),
            1,
            "Slices follow within milliseconds, and neither list shows a pod that the other does not know. The controller of Endpoints does not notice edits.",
        ),
        Quiz(
            "6.q2",
            "New pods get no traffic. The slice's managed-by says `me`. What do you do first?",
            ("delete the slice", "put the label back", "restart the pods"),
            1,
            "Then the controller finds the slice that it remembers, and heals it within a second. Deleted, it would leave the Service without any slice.",
        ),
        Quiz(
            "6.q3",
            "Two teams must each keep some backends of one Service. How?",
            ("one slice, each team patches its endpoints", "one slice, both use server-side apply", "a slice for each team"),
            2,
            "The list of endpoints is atomic: one field, one owner. A Service may have as many slices as it has writers.",
        ),
    ),
)
