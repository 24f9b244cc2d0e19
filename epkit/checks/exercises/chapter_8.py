"""Chapter 8: Conclusion. Its exercises are the stages of one incident, in one namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.checks.look import CONTROLLER, MANAGED_BY, addresses, endpoints, listed, slices
from epkit.checks.model import Chapter, Exercise, Quiz, Verdict, Wrong
from epkit.objects import Obj, labels_of, name_of

if TYPE_CHECKING:
    from epkit.cluster import Cluster

LABELS = {"app": "shop", "tier": "frontend"}  # of the pods that should serve
LISTENS = 80


def _pods(cluster: Cluster, namespace: str) -> list[Obj]:
    """The pods of the Deployment shop, whatever else carries some of their labels."""
    found = cluster.client.list("pods", namespace, labels=",".join(f"{key}={value}" for key, value in LABELS.items()))
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def _selects(cluster: Cluster, namespace: str) -> Verdict:
    service = cluster.client.find("services", "shop", namespace)
    if service is None:
        return Verdict(False, "the Service shop is gone.")
    selector = service["spec"].get("selector") or {}
    said = listed([f"{key}={value}" for key, value in sorted(selector.items())])
    pods = cluster.client.list("pods", namespace).items
    chosen = {name_of(pod) for pod in pods if selector and selector.items() <= labels_of(pod).items()}
    wanted = {name_of(pod) for pod in _pods(cluster, namespace)}
    if len(wanted) < 3:
        return Verdict(False, f"{len(wanted)} pods carry app=shop and tier=frontend; there were three.")
    if missing := sorted(wanted - chosen):
        return Verdict(False, f"the selector {said} matches {len(chosen)} pods; {listed(missing)} are not among them.")
    if more := sorted(chosen - wanted):
        return Verdict(False, f"the selector {said} matches {listed(more)} as well, which is no web server.")
    return Verdict(True, f"the selector {said} matches {listed(sorted(chosen))}.")


def _follows(cluster: Cluster, namespace: str) -> Verdict:
    found = slices(cluster, namespace, "shop")
    kept = [one for one in found if labels_of(one).get(MANAGED_BY) == CONTROLLER]
    for one in found:
        dead = [e for e in one.get("endpoints") or () if _is_dead(cluster, namespace, e)]
        if one not in kept and dead:
            manager = labels_of(one).get(MANAGED_BY, "nobody")
            return Verdict(
                False,
                f"the slice {name_of(one)}, managed by {manager}, lists {listed(addresses([one]))}, "
                f"of the pods {listed(sorted(e['targetRef']['name'] for e in dead))}, which are gone.",
            )
    if not kept:
        return Verdict(False, "the controller manages no slice of shop.")
    wanted = {name_of(pod) for pod in _pods(cluster, namespace)}
    told = {(endpoint.get("targetRef") or {}).get("name", "") for endpoint in endpoints(kept)}
    if told != wanted:
        return Verdict(
            False,
            f"the controller's slices list the pods {listed(sorted(told))}; "
            f"the Deployment's pods are {listed(sorted(wanted))}.",
        )
    return Verdict(True, f"the controller's slice {name_of(kept[0])} lists {listed(sorted(told))} again.")


def _is_dead(cluster: Cluster, namespace: str, endpoint: Obj) -> bool:
    reference = endpoint.get("targetRef") or {}
    return reference.get("kind") == "Pod" and cluster.client.find("pods", reference["name"], namespace) is None


def _reaches(cluster: Cluster, namespace: str) -> Verdict:
    kept = [one for one in slices(cluster, namespace, "shop") if labels_of(one).get(MANAGED_BY) == CONTROLLER]
    filled = [one for one in kept if one.get("endpoints")]
    if not filled:
        return Verdict(False, "the controller's slices of shop list no endpoint.")
    if bare := [one for one in filled if not one.get("ports")]:
        return Verdict(False, f"the slice {name_of(bare[0])} lists {len(endpoints(bare))} endpoints and no port.")
    ports = sorted({port["port"] for one in filled for port in one["ports"]})
    if ports != [LISTENS]:
        return Verdict(
            False, f"the slices send traffic to port {listed([str(port) for port in ports])}; nginx listens on 80."
        )
    return Verdict(True, f"all {len(endpoints(filled))} endpoints have port 80.")


def _serves(cluster: Cluster, namespace: str) -> Verdict:
    service = cluster.client.find("services", "shop", namespace)
    if service is not None and service["spec"].get("publishNotReadyAddresses"):
        return Verdict(
            False, "the Service publishes addresses that are not ready: the endpoints are called ready, and none serves."
        )
    pods = _pods(cluster, namespace)
    bare = [name_of(p) for p in pods if not all(c.get("readinessProbe") for c in p["spec"]["containers"])]
    kept = [one for one in slices(cluster, namespace, "shop") if labels_of(one).get(MANAGED_BY) == CONTROLLER]
    ready = addresses(kept, "ready")
    if bare:
        return Verdict(False, f"{len(ready)} endpoints are ready, but {len(bare)} pods have no readiness probe any more.")
    if len(ready) < 3:
        waiting = addresses(kept, "not ready")
        return Verdict(False, f"{len(ready)} of the pods' endpoints are ready; not ready: {listed(waiting)}.")
    return Verdict(True, f"{listed(ready)} are ready, and a probe watches over each.")


def _clean(cluster: Cluster, namespace: str) -> Verdict:
    found = slices(cluster, namespace, "shop")
    strange = [
        (one, endpoint)
        for one in found
        for endpoint in one.get("endpoints") or ()
        if (endpoint.get("targetRef") or {}).get("kind") != "Pod"
    ]
    if strange:
        one, endpoint = strange[0]
        ready = (endpoint.get("conditions") or {}).get("ready") is not False
        how = "as ready" if ready else "as not ready, and stays a trap for whoever sets it back"
        return Verdict(
            False, f"the slice {name_of(one)} lists {endpoint['addresses'][0]}, behind which no pod runs, {how}."
        )
    if not endpoints(found):
        return Verdict(False, "the slices of shop list no endpoint at all.")
    return Verdict(True, f"all {len(endpoints(found))} endpoints of shop are pods.")


INCIDENT = """
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: ex-8-1}
spec:
  ports: [{port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: shop-vm
  namespace: ex-8-1
  labels: {kubernetes.io/service-name: shop, endpointslice.kubernetes.io/managed-by: staff}
addressType: IPv4
ports: [{name: "", port: 80}]
endpoints: [{addresses: [192.0.2.50], conditions: {ready: true}}]
# ---
%kubectl delete service shop -n ex-8-1
# ---
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: ex-8-1}
spec:
  selector: {app: shop, tier: web}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: ex-8-1}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop, tier: web}}
  template:
    metadata: {labels: {app: shop, tier: web}}
    spec:
      containers:
      - {name: nginx, image: nginx, ports: [{name: http, containerPort: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shop-import, namespace: ex-8-1, labels: {app: shop, tier: batch}}
spec:
  containers:
  - {name: import, image: busybox, command: [sleep, "86400"]}
# ---
cluster.settle()
wanted = "kubernetes.io/service-name=shop,endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io"
for one in cluster.client.list("endpointslices", "ex-8-1", labels=wanted):
    name = one["metadata"]["name"]
    cluster.kubectl(f"label endpointslice {name} -n ex-8-1 --overwrite endpointslice.kubernetes.io/managed-by=platform-team")
cluster.settle()
%kubectl delete deployment shop -n ex-8-1
# ---
%%kubectl apply -f -
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: ex-8-1}
spec:
  replicas: 3
  selector: {matchLabels: {app: shop, tier: frontend}}
  template:
    metadata: {labels: {app: shop, tier: frontend}}
    spec:
      containers:
      - name: nginx
        image: nginx
        ports: [{name: web, containerPort: 80}]
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 5}
"""

_SELECTOR = """%kubectl set selector service shop app=shop,tier=frontend -n ex-8-1"""

_LABEL_BACK = """
for one in cluster.client.list("endpointslices", "ex-8-1", labels="endpointslice.kubernetes.io/managed-by=platform-team"):
    name = one["metadata"]["name"]
    cluster.kubectl(f"label endpointslice {name} -n ex-8-1 --overwrite endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io")
"""

_PORT = """%kubectl patch service shop -n ex-8-1 -p '{"spec":{"ports":[{"port":80,"targetPort":"web"}]}}'"""

_PROBE = """%kubectl patch deployment shop -n ex-8-1 -p '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","readinessProbe":{"httpGet":{"port":80}}}]}}}}'"""


CHAPTER = Chapter(
    id="8",
    title="Conclusion",
    notebook="08-conclusion.ipynb",
    minutes=25,
    setup="""
%kubectl create deployment web --image=nginx --replicas=3
%kubectl expose deployment web --port=80
""",
    show="svc/web",
    exercises=(
        Exercise(
            id="8.1",
            goal="The Service shop selects the three pods of the Deployment shop, and no other pod.",
            check=_selects,
            hints=(
                "Ask for pods with the Service's own selector: `kubectl get service shop -o wide`, then `kubectl get pods -l …`.",
                "Every pair of the selector must match. Compare them with `kubectl get pods --show-labels`.",
                "app=shop alone is too much: the pod shop-import carries it too.",
            ),
            setup=INCIDENT,
            late=True,
            solution=_SELECTOR,
            wrong=(
                Wrong("%kubectl set selector service shop app=shop -n ex-8-1", "matches shop-import as well"),
                Wrong("%kubectl set selector service shop app=shop,tier=batch -n ex-8-1", "are not among them"),
                Wrong("%kubectl scale deployment shop --replicas=2 -n ex-8-1", "there were three"),
                Wrong("%kubectl delete service shop -n ex-8-1", "the Service shop is gone"),
            ),
        ),
        Exercise(
            id="8.2",
            goal="The slices of shop follow its pods again: the controller's slice lists the three pods, and no slice lists a pod that is gone.",
            check=_follows,
            hints=(
                "You changed the selector. Did any slice change? Ask who manages each: `-L endpointslice.kubernetes.io/managed-by`.",
                'What does the controller itself say? `cluster.controller("endpointslice").log[-1]`.',
                "One slice carries the name of its Service and five random characters, and yet not the controller's label. "
                "The controller still waits to see it again. Chapter 6 shows this wedge and its cures.",
            ),
            after="8.1",
            solution=_LABEL_BACK,
            wrong=(
                Wrong(
                    """
for one in cluster.client.list("endpointslices", "ex-8-1", labels="endpointslice.kubernetes.io/managed-by=platform-team"):
    cluster.kubectl(f"delete endpointslice {one['metadata']['name']} -n ex-8-1")
""",
                    "the controller manages no slice of shop",
                ),
                Wrong("%kubectl rollout restart deployment shop -n ex-8-1", "which are gone"),
                Wrong(
                    """
cluster.controller("endpointslice").stop()
cluster.controller("endpointslice").start()
""",
                    "managed by platform-team, lists",
                ),
            ),
        ),
        Exercise(
            id="8.3",
            goal="The endpoints of the controller's slice have the port on which nginx listens.",
            check=_reaches,
            hints=(
                "Look at the PORTS of the controller's slice. Which port did the Service ask for, and by what name?",
                "A target port by name is looked up among the pods' container ports. What are those called now?",
            ),
            after="8.2",
            solution=_PORT,
            wrong=(
                Wrong(
                    """%kubectl patch service shop -n ex-8-1 -p '{"spec":{"ports":[{"port":80,"targetPort":8080}]}}'""",
                    "the slices send traffic to port 8080",
                ),
                Wrong("%kubectl rollout restart deployment shop -n ex-8-1", "endpoints and no port"),
                Wrong("%kubectl scale deployment shop --replicas=0 -n ex-8-1", "8.1 comes first: 0 pods carry"),
            ),
        ),
        Exercise(
            id="8.4",
            goal="The three pods' endpoints are ready, and a readiness probe still watches over each pod.",
            check=_serves,
            hints=(
                "`kubectl get pods` says 0/1. Which condition is missing, and who decides it?",
                "`kubectl describe pod` shows the probe, and events that say what it met.",
                "The probe asks port 8080. Mend it in the Deployment's template.",
            ),
            after="8.3",
            solution=_PROBE,
            wrong=(
                Wrong(
                    """%kubectl patch service shop -n ex-8-1 -p '{"spec":{"publishNotReadyAddresses":true}}'""",
                    "publishes addresses that are not ready",
                ),
                Wrong(
                    """%kubectl patch deployment shop -n ex-8-1 -p '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","readinessProbe":null}]}}}}'""",
                    "have no readiness probe any more",
                ),
                Wrong("%kubectl scale deployment shop --replicas=6 -n ex-8-1", "0 of the pods' endpoints are ready"),
            ),
        ),
        Exercise(
            id="8.5",
            goal="Every endpoint of shop is a pod.",
            check=_clean,
            hints=(
                "One request in a few still times out. Which address in the slices belongs to no pod?",
                "Compare the AGE of the slices with the AGE of the Service, and look for owner references.",
                "The slice was made by hand for an earlier Service of the same name. Nobody owns it, so nobody removes it.",
            ),
            after="8.4",
            solution="%kubectl delete endpointslice shop-vm -n ex-8-1",
            wrong=(
                Wrong("%kubectl scale deployment shop --replicas=9 -n ex-8-1", "behind which no pod runs, as ready"),
                Wrong(
                    """
%kubectl delete service shop -n ex-8-1
# ---
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: ex-8-1}
spec:
  selector: {app: shop, tier: frontend}
  ports: [{port: 80, targetPort: web}]
""",
                    "the slice shop-vm lists 192.0.2.50",
                ),
                Wrong(
                    """%kubectl patch endpointslice shop-vm -n ex-8-1 --type=merge -p '{"endpoints":[{"addresses":["192.0.2.50"],"conditions":{"ready":false}}]}'""",
                    "stays a trap",
                ),
            ),
        ),
    ),
    quizzes=(
        Quiz(
            "8.q1",
            "A Service refuses every connection, and its pods are 1/1. What do you ask for first?",
            ("the logs of kube-proxy", "the slices with the label of that Service", "the Endpoints of that name"),
            1,
            "The slices hold what the data plane was told. Their ports, conditions and managers point to the next rung.",
        ),
        Quiz(
            "8.q2",
            "You write a program that needs the backends of a Service. What does it read?",
            (
                "the Endpoints object, which has them all in one place",
                "the slice that is named after the Service",
                "all slices with the Service's label, merged, without duplicates",
            ),
            2,
            "Endpoints is deprecated and cut at 1,000 addresses. A Service may have many slices, and one address may "
            "stand in two of them for a moment.",
        ),
        Quiz(
            "8.q3",
            "An endpoint is ready: false, serving: true, terminating: true. Does it get new connections?",
            (
                "never",
                "only while no endpoint of the Service is ready",
                "yes, until its pod is gone",
            ),
            1,
            "kube-proxy falls back to endpoints that still serve while they terminate, when there is nothing better (KEP-1669). "
            "For traffic policy Local it decides so among the endpoints of its own node.",
        ),
        Quiz(
            "8.q4",
            "Which change keeps a Service's slices from following its pods until somebody notices?",
            (
                "another value of the label managed-by on its slice",
                "an address that somebody added to its slice",
                "a pod that fails its readiness probe",
            ),
            0,
            "An added address lives for about a second, and readiness is what slices are for. A relabelled slice is one "
            "that the controller still expects to see, so every sync stops there.",
        ),
    ),
)
