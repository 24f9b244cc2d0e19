"""Chapter 3: How EndpointSlices work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.checks.look import CONTROLLER, MANAGED_BY, addresses, endpoints, listed, slices
from epkit.checks.model import Chapter, Exercise, Quiz, Verdict, Wrong
from epkit.objects import Obj, labels_of, name_of, state_of_endpoint
from epkit.views.text import count

if TYPE_CHECKING:
    from epkit.cluster import Cluster

ZONE = "topology.kubernetes.io/zone"
TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"


def _leaving(cluster: Cluster, namespace: str) -> Verdict:
    by_pod = {(one.get("targetRef") or {}).get("name"): one for one in endpoints(slices(cluster, namespace, "till"))}
    old, new = by_pod.get("till-old"), by_pod.get("till-new")
    if old is None:
        exists = cluster.client.find("pods", "till-old", namespace) is not None
        return Verdict(False, f"till-old is in no slice of till; the pod {'runs on' if exists else 'is gone'}.")
    if new is None:
        return Verdict(False, "till-new is in no slice of till any more.")
    if state_of_endpoint(new) != "ready":
        return Verdict(False, f"till-new is {state_of_endpoint(new)}; it should be ready.")
    says = old.get("conditions") or {}
    if says.get("ready"):
        also = "terminating and " if says.get("terminating") else ""
        return Verdict(False, f"till-old is {also}ready: it still gets new traffic.")
    if not says.get("terminating"):
        return Verdict(False, "till-old is not ready, but nobody has told it to stop.")
    if not says.get("serving"):
        return Verdict(False, "till-old is terminating, but it no longer serves.")
    return Verdict(True, "till-old is serving and terminating, and new traffic goes to till-new alone.")


def _packed(cluster: Cluster, namespace: str) -> Verdict:
    found = slices(cluster, namespace, "depot")
    foreign = [name_of(one) for one in found if labels_of(one).get(MANAGED_BY) != CONTROLLER]
    if foreign:
        return Verdict(False, f"the slice {listed(foreign)} is not managed by the controller.")
    full = [one for one in found if one.get("endpoints")]
    ready = len(addresses(full, "ready"))
    if len(full) > 1:
        return Verdict(False, f"{count(ready, 'ready endpoint')} in {len(full)} slices; there should be one slice.")
    if ready != 10:
        return Verdict(False, f"{count(ready, 'ready endpoint')}; there should be ten.")
    ports = [port.get("port") for port in full[0].get("ports") or ()]
    if ports != [80]:
        return Verdict(False, f"all ten stand in one slice, but its traffic goes to {listed([str(one) for one in ports])}.")
    return Verdict(True, f"all ten endpoints stand in the slice {name_of(full[0])}, with port 80.")


def _truthful(cluster: Cluster, namespace: str) -> Verdict:
    pods = [pod for pod in cluster.client.list("pods", namespace) if name_of(pod) in ("kiosk-a", "kiosk-b")]
    if len(pods) < 2:
        return Verdict(False, f"of kiosk-a and kiosk-b there is only {listed([name_of(pod) for pod in pods])}.")
    for pod in pods:
        said, true = labels_of(pod).get(ZONE), _zone_of_node(cluster, pod)
        if said is not None and said != true:
            return Verdict(False, f"{name_of(pod)} says that it is in {said}, and its node is in {true}.")
    ready = {
        (one.get("targetRef") or {}).get("name")
        for one in endpoints(slices(cluster, namespace, "kiosk"))
        if state_of_endpoint(one) == "ready"
    }
    if ready >= {"kiosk-a", "kiosk-b"}:
        return Verdict(True, "both pods are endpoints of kiosk, whatever their zone.")
    service = cluster.client.find("services", "kiosk", namespace)
    if service is None:
        return Verdict(False, "the Service kiosk is gone.")
    selector = service["spec"].get("selector")
    if not selector:
        return Verdict(False, "the Service kiosk has no selector any more, so nobody keeps its slices.")
    pairs = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
    return Verdict(False, f"kiosk selects {pairs}, and has the pods {listed(sorted(filter(None, ready)))} as endpoints.")


def _near(cluster: Cluster, namespace: str) -> Verdict:
    service = cluster.client.get("services", "near", namespace)
    ready = [one for one in endpoints(slices(cluster, namespace, "near")) if state_of_endpoint(one) == "ready"]
    if len(ready) < 3:
        return Verdict(False, f"near has {count(len(ready), 'ready endpoint')}; there should be at least three.")
    bare = [one["addresses"][0] for one in ready if not (one.get("hints") or {}).get("forZones")]
    asked = (service["metadata"].get("annotations") or {}).get(TOPOLOGY_MODE)
    field = service["spec"].get("trafficDistribution")
    if bare:
        mode = f"the annotation says {asked}" if asked else "there is no annotation"
        text = f"{len(bare)} of {len(ready)} ready endpoints have no hint; {mode}, trafficDistribution is {field or 'not set'}."
        return Verdict(False, text)
    away = [one["addresses"][0] for one in ready if [zone["name"] for zone in one["hints"]["forZones"]] != [one.get("zone")]]
    if away:
        return Verdict(False, f"{listed(away)} is meant for another zone than its own.")
    return Verdict(True, f"all {len(ready)} ready endpoints are meant for their own zone.")


def _zone_of_node(cluster: Cluster, pod: Obj) -> str | None:
    node = cluster.client.find("nodes", pod["spec"].get("nodeName", ""))
    return None if node is None else labels_of(node).get(ZONE)


CHAPTER = Chapter(
    id="3",
    title="How EndpointSlices work",
    notebook="03-how-they-work.ipynb",
    minutes=35,
    setup="""
%kubectl create deployment web --image=nginx --replicas=3
%kubectl expose deployment web --port=80
""",
    show="svc/web",
    options={"nodes": 4},
    exercises=(
        Exercise(
            id="3.1",
            goal="The endpoint of till-old is serving and terminating and not ready; till-new is ready.",
            check=_leaving,
            hints=(
                "terminating is true for a pod that has been told to stop and is still there.",
                "This pod takes its time to stop, so kubectl would wait for it. It need not.",
            ),
            setup="""
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: till, namespace: ex-3-1}
spec: {selector: {app: till}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: till-old, namespace: ex-3-1, labels: {app: till}}
spec:
  nodeSelector: {kubernetes.io/hostname: node-1}
  terminationGracePeriodSeconds: 3600
  containers:
  - {name: nginx, image: nginx, lifecycle: {preStop: {sleep: {seconds: 3500}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: till-new, namespace: ex-3-1, labels: {app: till}}
spec:
  nodeSelector: {kubernetes.io/hostname: node-2}
  containers:
  - {name: nginx, image: nginx}
""",
            solution="%kubectl delete pod till-old --wait=false -n ex-3-1",
            wrong=(
                Wrong("%kubectl delete pod till-old --force --grace-period=0 -n ex-3-1", "the pod is gone"),
                Wrong("%kubectl label pod till-old app- -n ex-3-1", "the pod runs on"),
                Wrong(
                    """
%kubectl patch service till -p '{"spec":{"publishNotReadyAddresses":true}}' -n ex-3-1
%kubectl delete pod till-old --wait=false -n ex-3-1
""",
                    "till-old is terminating and ready",
                ),
                Wrong("%kubectl delete pod till-new -n ex-3-1", "till-new is in no slice of till any more"),
            ),
        ),
        Exercise(
            id="3.2",
            needs=("controllers",),
            goal="All ten ready endpoints of depot stand in one slice of the controller's, with port 80.",
            check=_packed,
            hints=(
                "The controller never moves an endpoint from one slice to another. When does it fill slices afresh?",
                "Slices are grouped by their ports. What if the port changes, and changes back?",
            ),
            setup="""
cluster.controller("endpointslice").start(max_endpoints_per_slice=5)
%kubectl create deployment depot --image=nginx --replicas=10 -n ex-3-2
%kubectl expose deployment depot --port=80 -n ex-3-2
cluster.controller("endpointslice").start()
cluster.settle()
""",
            solution="""
%kubectl patch service depot -p '{"spec":{"ports":[{"port":80,"targetPort":8080}]}}' -n ex-3-2
%kubectl patch service depot -p '{"spec":{"ports":[{"port":80,"targetPort":80}]}}' -n ex-3-2
""",
            wrong=(
                Wrong(
                    """%kubectl patch service depot -p '{"spec":{"ports":[{"port":80,"targetPort":8080}]}}' -n ex-3-2""",
                    "its traffic goes to 8080",
                ),
                Wrong("%kubectl label service depot packed=please -n ex-3-2", "10 ready endpoints in 2 slices"),
                Wrong("%kubectl scale deployment depot --replicas=11 -n ex-3-2", "11 ready endpoints in 2 slices"),
                Wrong(
                    """
first, second = cluster.client.list("endpointslices", "ex-3-2").items
name = first["metadata"]["name"]
cluster.client.patch("endpointslices", name, {"endpoints": first["endpoints"] + second["endpoints"]}, "ex-3-2")
label = {"metadata": {"labels": {"endpointslice.kubernetes.io/managed-by": "me"}}}
cluster.client.patch("endpointslices", name, label, "ex-3-2")
""",
                    "is not managed by the controller",
                ),
            ),
        ),
        Exercise(
            id="3.3",
            goal="kiosk-a and kiosk-b are both endpoints of kiosk, and their labels tell the truth.",
            check=_truthful,
            hints=(
                "Compare the selector of the Service with the labels of both pods.",
                "Somebody's kubectl expose copied a label that depends on the node. A selector can lose a key.",
            ),
            setup="""
%%kubectl apply -f -
apiVersion: v1
kind: Pod
metadata: {name: kiosk-a, namespace: ex-3-3, labels: {run: kiosk}}
spec:
  nodeSelector: {kubernetes.io/hostname: node-1}
  containers:
  - {name: nginx, image: nginx}
---
apiVersion: v1
kind: Pod
metadata: {name: kiosk-b, namespace: ex-3-3, labels: {run: kiosk}}
spec:
  nodeSelector: {kubernetes.io/hostname: node-2}
  containers:
  - {name: nginx, image: nginx}
# ---
%kubectl expose pod kiosk-a --name=kiosk --port=80 -n ex-3-3
""",
            solution="""%kubectl patch service kiosk --type=json -p '[{"op":"replace","path":"/spec/selector","value":{"run":"kiosk"}}]' -n ex-3-3""",
            wrong=(
                Wrong("%kubectl label pod kiosk-b topology.kubernetes.io/zone=zone-a --overwrite -n ex-3-3", "and its node is in zone-b"),
                Wrong(
                    """%kubectl patch service kiosk -p '{"spec":{"selector":{"topology.kubernetes.io/zone":"zone-b"}}}' -n ex-3-3""",
                    "has the pods kiosk-b as endpoints",
                ),
                Wrong(
                    """%kubectl patch service kiosk --type=json -p '[{"op":"remove","path":"/spec/selector"}]' -n ex-3-3""",
                    "has no selector any more",
                ),
                Wrong("%kubectl delete pod kiosk-b -n ex-3-3", "there is only kiosk-a"),
            ),
        ),
        Exercise(
            id="3.4",
            goal="At least three endpoints of near are ready, and each is meant for its own zone.",
            check=_near,
            hints=(
                "The Service's events say why there are no hints.",
                "With the annotation, the number of endpoints decides. With the field trafficDistribution it does not.",
                "Of the two, the annotation wins.",
            ),
            setup="""
%kubectl create deployment near --image=nginx -n ex-3-4
%kubectl expose deployment near --port=80 -n ex-3-4
%kubectl annotate service near service.kubernetes.io/topology-mode=Auto -n ex-3-4
""",
            solution="""
%kubectl scale deployment near --replicas=3 -n ex-3-4
%kubectl annotate service near service.kubernetes.io/topology-mode- -n ex-3-4
%kubectl patch service near -p '{"spec":{"trafficDistribution":"PreferSameZone"}}' -n ex-3-4
""",
            wrong=(
                Wrong("%kubectl scale deployment near --replicas=2 -n ex-3-4", "2 ready endpoints; there should be"),
                Wrong("%kubectl scale deployment near --replicas=3 -n ex-3-4", "the annotation says Auto, trafficDistribution is not set"),
                Wrong(
                    """
%kubectl scale deployment near --replicas=3 -n ex-3-4
%kubectl patch service near -p '{"spec":{"trafficDistribution":"PreferSameZone"}}' -n ex-3-4
""",
                    "the annotation says Auto, trafficDistribution is PreferSameZone",
                ),
                Wrong(
                    """
%kubectl scale deployment near --replicas=4 -n ex-3-4
%kubectl annotate service near service.kubernetes.io/topology-mode=Enabled --overwrite -n ex-3-4
""",
                    "the annotation says Enabled",
                ),
            ),
        ),
    ),
    quizzes=(
        Quiz(
            "3.q1",
            "kube-controller-manager is down for a minute while pods come and go. What do the slices say meanwhile?",
            ("they are empty", "what they said before", "what kube-proxy writes into them"),
            1,
            "Nobody else writes them. When it is back, it lists everything and syncs every Service once.",
        ),
        Quiz(
            "3.q2",
            "A pod has been created and has no address yet. Where is its endpoint?",
            ("in the slice, not ready", "in the slice, without an address", "nowhere"),
            2,
            "An endpoint is an address. Until the kubelet reports one there is nothing to list.",
        ),
        Quiz(
            "3.q3",
            "Hundreds of half-empty slices, left over from a scale-down. What makes the controller pack them?",
            ("the next resync, within a day", "new pods: they fill the gaps", "a change of the Service's target port"),
            2,
            "A resync finds nothing to change, and new pods fill some gaps at best. Other ports mean other slices, filled afresh.",
        ),
    ),
)
