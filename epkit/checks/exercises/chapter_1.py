"""Chapter 1: Introduction to Endpoints & EndpointSlices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.checks.look import addresses, endpoints, listed, slices
from epkit.checks.model import Chapter, Exercise, Quiz, Verdict, Wrong

if TYPE_CHECKING:
    from epkit.cluster import Cluster


def _joined(cluster: Cluster, namespace: str) -> Verdict:
    found = slices(cluster, namespace, "shop")
    pods = [(endpoint.get("targetRef") or {}).get("name", "") for endpoint in endpoints(found)]
    if "loner" not in pods:
        return Verdict(False, f"the slices of the Service shop list {listed(sorted(pods))}; loner is not among them.")
    loner = cluster.client.find("pods", "loner", namespace)
    uid = (loner or {}).get("metadata", {}).get("uid")
    told = next(e["targetRef"]["uid"] for e in endpoints(found) if e["targetRef"]["name"] == "loner")
    if loner is None or uid != told:
        return Verdict(False, "the slice points to a pod loner that is not there.")
    if len(pods) < 3:
        return Verdict(
            False, f"loner is in, but the slices now list only {listed(sorted(pods))}; the other two belong there too."
        )
    return Verdict(True, f"the slices of shop list {listed(sorted(pods))}.")


def _counted(cluster: Cluster, namespace: str) -> Verdict:
    listing = [
        one
        for one in slices(cluster, namespace)
        for e in one.get("endpoints") or ()
        if (e.get("targetRef") or {}).get("name") == "popular"
    ]
    if len(listing) < 3:
        return Verdict(False, f"the pod popular is in {len(listing)} slices; it should be in three.")
    services = {one["metadata"]["labels"]["kubernetes.io/service-name"] for one in listing}
    if len(services) < 3:
        return Verdict(False, f"popular is in {len(listing)} slices, but of {len(services)} Services.")
    return Verdict(True, f"popular is an endpoint of {listed(sorted(services))}.")


def _unready(cluster: Cluster, namespace: str) -> Verdict:
    found = slices(cluster, namespace, "queue")
    ready, waiting = addresses(found, "ready"), addresses(found, "not ready")
    ready_now = "1 endpoint is ready" if len(ready) == 1 else f"{len(ready)} endpoints are ready"
    pods = cluster.client.list("pods", namespace).items
    if not waiting:
        return Verdict(False, f"{ready_now} and none is listed as not ready.")
    if not ready:
        return Verdict(False, f"none of the {len(waiting)} endpoints is ready; one should still be.")
    return Verdict(
        True, f"of {len(pods)} pods, {len(ready)} is ready and {len(waiting)} is listed without being ready."
    )


CHAPTER = Chapter(
    id="1",
    title="Introduction to Endpoints & EndpointSlices",
    notebook="01-introduction.ipynb",
    minutes=25,
    exercises=(
        Exercise(
            id="1.1",
            goal="The pod loner becomes an endpoint of the Service shop, beside the two that are there. Create nothing.",
            check=_joined,
            hints=(
                "Which pods does the Service shop select? `kubectl get service shop -o wide` shows its selector.",
                "A Service asks for nothing but labels. Compare those of loner with those of the other pods.",
            ),
            setup="""
%kubectl create deployment shop --image=nginx --replicas=2 -n ex-1-1
%kubectl expose deployment shop --port=80 -n ex-1-1
%kubectl run loner --image=nginx -n ex-1-1
""",
            solution="%kubectl label pod loner app=shop -n ex-1-1",
            wrong=(
                Wrong("%kubectl label pod loner app=loner -n ex-1-1", "loner is not among them"),
                Wrong("%kubectl set selector service shop run=loner -n ex-1-1", "the other two belong there too"),
            ),
        ),
        Exercise(
            id="1.2",
            goal="The pod popular is an endpoint of three Services.",
            check=_counted,
            hints=(
                "A pod is an endpoint once for every Service whose selector it matches.",
                "`kubectl expose` works on pods too, and takes a --name.",
            ),
            setup="%kubectl run popular --image=nginx --labels=app=popular -n ex-1-2",
            solution="""
%kubectl expose pod popular --name=first --port=80 -n ex-1-2
%kubectl expose pod popular --name=second --port=80 -n ex-1-2
%kubectl expose pod popular --name=third --port=80 -n ex-1-2
""",
            wrong=(
                Wrong("%kubectl expose pod popular --name=first --port=80 -n ex-1-2", "popular is in 1 slices"),
                Wrong("%kubectl create service clusterip popular2 --tcp=80 -n ex-1-2", "popular is in 0 slices"),
            ),
        ),
        Exercise(
            id="1.3",
            goal="The Service queue lists two endpoints, one of them ready and the other one not.",
            check=_unready,
            hints=(
                "Which component says whether a pod is ready, and what does it ask?",
                "A second pod with the label app=queue and a readiness probe that cannot succeed will do.",
            ),
            setup="""
%kubectl run queue --image=nginx --labels=app=queue -n ex-1-3
%kubectl create service clusterip queue --tcp=80 -n ex-1-3
""",
            solution="""
%%kubectl apply -f -
apiVersion: v1
kind: Pod
metadata: {name: waiting, namespace: ex-1-3, labels: {app: queue}}
spec:
  containers:
  - name: nginx
    image: nginx
    readinessProbe: {tcpSocket: {port: 81}}
""",
            wrong=(
                Wrong(
                    "%kubectl run second --image=nginx --labels=app=queue -n ex-1-3", "2 endpoints are ready and none"
                ),
                Wrong(
                    "%kubectl delete pod queue -n ex-1-3",
                    "0 endpoints are ready and none is listed as not ready",
                ),
            ),
        ),
    ),
    quizzes=(
        Quiz(
            "1.q1",
            "A Service has a selector that no pod matches. How many slices does it have?",
            ("none", "one, and it is empty", "one for each node"),
            1,
            "The controller makes an empty placeholder as soon as the Service exists, and fills the same object later.",
        ),
        Quiz(
            "1.q2",
            "`kubectl get endpointslices` shows three addresses. How many backends may get traffic?",
            ("three", "at most three: the table shows endpoints whether they are ready or not", "at least three"),
            1,
            "The table of slices shows every endpoint. The conditions say which of them are ready.",
        ),
        Quiz(
            "1.q3",
            "Which object does kube-proxy read?",
            ("Endpoints", "EndpointSlices", "both, and it takes the newer one"),
            1,
            "kube-proxy has read slices since v1.19 on Linux, and Endpoints not at all.",
        ),
    ),
)
