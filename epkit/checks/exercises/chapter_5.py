"""Chapter 5: Live implementation example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.checks.look import addresses, endpoints, listed, slices
from epkit.checks.model import Chapter, Exercise, Quiz, Verdict, Wrong
from epkit.objects import labels_of, name_of

if TYPE_CHECKING:
    from epkit.cluster import Cluster


def _exposed(cluster: Cluster, namespace: str) -> Verdict:
    services = [
        one
        for one in cluster.client.list("services", namespace)
        if (one["spec"].get("selector") or {}).get("app") == "shop"
    ]
    if not services:
        return Verdict(False, "no Service selects the pods of the Deployment shop.")
    service = services[0]
    port = service["spec"]["ports"][0]
    if port["port"] != 8080:
        return Verdict(False, f"the Service {name_of(service)} listens on port {port['port']}, not on 8080.")
    ports = sorted(
        {found["port"] for one in slices(cluster, namespace, name_of(service)) for found in one.get("ports") or ()}
    )
    if ports != [80]:
        return Verdict(
            False, f"its slice sends traffic to port {listed([str(one) for one in ports])}, and nginx listens on 80."
        )
    return Verdict(
        True, f"port 8080 of {name_of(service)} reaches port 80 of {len(addresses(slices(cluster, namespace)))} pods."
    )


def _quarantined(cluster: Cluster, namespace: str) -> Verdict:
    pods = cluster.client.list("pods", namespace).items
    listed_pods = {(e.get("targetRef") or {}).get("name") for e in endpoints(slices(cluster, namespace, "web"))}
    outside = [pod for pod in pods if name_of(pod) not in listed_pods and pod["metadata"]["name"].startswith("web-")]
    if not outside:
        return Verdict(False, f"all {len(pods)} pods are in the slice.")
    if len(addresses(slices(cluster, namespace, "web"), "ready")) < 3:
        ready = len(addresses(slices(cluster, namespace, "web"), "ready"))
        return Verdict(
            False, f"{name_of(outside[0])} is out, but only {ready} endpoints are ready; there should be three again."
        )
    labels = ", ".join(f"{key}={value}" for key, value in sorted(labels_of(outside[0]).items()))
    return Verdict(True, f"{name_of(outside[0])} runs on, with the labels {labels}, and three others serve.")


def _rolled(cluster: Cluster, namespace: str) -> Verdict:
    deployment = cluster.client.find("deployments", "stuck", namespace)
    if deployment is None:
        return Verdict(False, "the Deployment stuck is gone.")
    found = slices(cluster, namespace, "stuck")
    waiting, ready = addresses(found, "not ready"), addresses(found, "ready")
    if waiting:
        return Verdict(False, f"{len(waiting)} endpoints are still not ready: {listed(waiting)}.")
    probe = deployment["spec"]["template"]["spec"]["containers"][0].get("readinessProbe")
    if probe is None:
        return Verdict(
            False, f"{len(ready)} endpoints are ready, but the pods have no readiness probe any more. Keep one."
        )
    if len(ready) < 4:
        return Verdict(False, f"{len(ready)} endpoints are ready; there should be four.")
    return Verdict(True, f"{len(ready)} endpoints are ready, and a probe watches over them.")


CHAPTER = Chapter(
    id="5",
    title="Live implementation example",
    notebook="05-live-example.ipynb",
    minutes=35,
    exercises=(
        Exercise(
            id="5.1",
            goal="A Service listens on port 8080 and reaches the port on which the pods of the Deployment shop listen.",
            check=_exposed,
            hints=(
                "The image is nginx. On which port does it listen?",
                "kubectl expose takes both a port and a target port.",
            ),
            setup="%kubectl create deployment shop --image=nginx --replicas=2 -n ex-5-1",
            solution="%kubectl expose deployment shop --port=8080 --target-port=80 -n ex-5-1",
            wrong=(
                Wrong("%kubectl expose deployment shop --port=8080 -n ex-5-1", "its slice sends traffic to port 8080"),
                Wrong("%kubectl expose deployment shop --port=80 -n ex-5-1", "listens on port 80, not on 8080"),
                Wrong("%kubectl create service clusterip other --tcp=8080:80 -n ex-5-1", "no Service selects the pods"),
            ),
        ),
        Exercise(
            id="5.2",
            goal="One pod of the Deployment web runs on but gets no traffic; three others do.",
            check=_quarantined,
            hints=(
                "What does the Service look at when it chooses its pods? And the ReplicaSet?",
                "Take the label away from one pod. Its ReplicaSet lets it go and makes another.",
            ),
            setup="""
%kubectl create deployment web --image=nginx --replicas=3 -n ex-5-2
%kubectl expose deployment web --port=80 -n ex-5-2
""",
            solution="""
pod = cluster.client.list("pods", "ex-5-2", labels="app=web").items[0]["metadata"]["name"]
cluster.kubectl(f"label pod {pod} app- -n ex-5-2")
""",
            wrong=(
                Wrong("%kubectl scale deployment web --replicas=2 -n ex-5-2", "all 2 pods are in the slice"),
                Wrong(
                    """
%kubectl scale deployment web --replicas=2 -n ex-5-2
pod = cluster.client.list("pods", "ex-5-2", labels="app=web").items[0]["metadata"]["name"]
cluster.kubectl(f"label pod {pod} app- -n ex-5-2")
""",
                    "only 2 endpoints are ready",
                ),
            ),
        ),
        Exercise(
            id="5.3",
            goal="All four pods behind the Service stuck are ready, and a readiness probe still watches over them.",
            check=_rolled,
            hints=(
                "Which pods are not ready, and what does `kubectl describe pod` say about them?",
                "The probe asks port 81. nginx listens on 80.",
            ),
            setup="""
%%kubectl apply -f -
apiVersion: apps/v1
kind: Deployment
metadata: {name: stuck, namespace: ex-5-3}
spec:
  replicas: 4
  selector: {matchLabels: {app: stuck}}
  template:
    metadata: {labels: {app: stuck}}
    spec:
      containers:
      - name: nginx
        image: nginx
        readinessProbe: {tcpSocket: {port: 81}}
# ---
%kubectl expose deployment stuck --port=80 -n ex-5-3
""",
            solution="""%kubectl patch deployment stuck -n ex-5-3 -p '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","readinessProbe":{"tcpSocket":{"port":80}}}]}}}}'""",
            wrong=(
                Wrong("%kubectl scale deployment stuck --replicas=8 -n ex-5-3", "endpoints are still not ready"),
                Wrong(
                    """%kubectl patch deployment stuck -n ex-5-3 -p '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","readinessProbe":null}]}}}}'""",
                    "have no readiness probe any more",
                ),
            ),
        ),
    ),
    quizzes=(
        Quiz(
            "5.q1",
            "A pod is deleted. When does its endpoint leave the slice?",
            ("at once", "when the pod is gone; until then it is listed as terminating", "after 30 seconds"),
            1,
            "It stays listed with terminating true and ready false, and leaves with the pod.",
        ),
        Quiz(
            "5.q2",
            "You edit a managed slice by hand. How long does the edit live?",
            ("about a second", "until the next pod changes", "for ever"),
            0,
            "The controller looks one second after a change that is not its own, and puts back what it computes.",
        ),
        Quiz(
            "5.q3",
            "Who deletes the slice of a deleted Service?",
            ("the endpointslice controller", "the garbage collector", "kube-proxy"),
            1,
            "The slice has an owner reference to the Service; the garbage collector follows it.",
        ),
    ),
)
