"""Chapter 2: The importance of EndpointSlices."""
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from epkit.checks.look import CONTROLLER, MANAGED_BY, SERVICE_NAME, addresses, listed, slices
from epkit.checks.model import Chapter, Exercise, Quiz, Verdict, Wrong
from epkit.objects import labels_of, name_of

if TYPE_CHECKING:
    from epkit.cluster import Cluster

PER_SLICE = 100  # the controller's default, which kube-controller-manager has a flag for
FLEET = [f"192.0.2.{number}" for number in range(1, 31)]
LEGACY = [f"10.200.{third}.{fourth}" for third in range(11) for fourth in range(1, 101)]


def _too_many_for_two(cluster: Cluster, namespace: str) -> Verdict:
    if cluster.client.find("services", "edge", namespace) is None:
        return Verdict(False, "the Service edge is gone.")
    found = slices(cluster, namespace, "edge")
    foreign = [name_of(one) for one in found if labels_of(one).get(MANAGED_BY) != CONTROLLER]
    if foreign:
        return Verdict(False, f"the slice {listed(foreign)} was not made by the controller. Let it decide by itself.")
    count = len(addresses(found))
    seen = f"the Service edge has {_number(count, 'endpoint')} in {_number(len(found), 'slice')}"
    if count <= 2 * PER_SLICE:
        return Verdict(False, f"{seen}; packed well, so many fit into two.")
    if count > 2 * PER_SLICE + 1:
        return Verdict(False, f"{seen}; fewer would be too many for two slices as well.")
    return Verdict(True, f"{seen}: two full ones would leave one over.")


def _small_slices(cluster: Cluster, namespace: str) -> Verdict:
    found = slices(cluster, namespace, "fleet")
    if verdict := _each_once(found, FLEET, "fleet"):
        return verdict
    large = [f"{name_of(one)} has {len(addresses([one]))} endpoints" for one in found if len(addresses([one])) > 10]
    if large:
        return Verdict(False, f"{listed(large)}: a change of one of them sends all of them.")
    ports = {(port.get("name") or "", port.get("port")) for one in found for port in one.get("ports") or ()}
    if ports != {("grpc", 9000)} or any(not one.get("ports") for one in found if addresses([one])):
        return Verdict(False, "not every slice of fleet has the port 9000 with the Service's name for it, grpc.")
    largest = max(len(addresses([one])) for one in found)
    return Verdict(True, f"30 addresses in {len(found)} slices; a change sends at most {largest} endpoints.")


def _beyond_the_mirror(cluster: Cluster, namespace: str) -> Verdict:
    service = cluster.client.find("services", "legacy", namespace)
    if service is None:
        return Verdict(False, "the Service legacy is gone.")
    found = slices(cluster, namespace, "legacy")
    if verdict := _each_once(found, LEGACY, "legacy"):
        return verdict
    ready = addresses(found, "ready")
    if len(ready) < len(LEGACY):
        return Verdict(False, f"all are listed, but only {len(ready):,} of them are ready.")
    wanted = {port.get("name") or "" for port in service["spec"]["ports"]}
    for one in found:
        ports = {port.get("name") or "": port.get("port") for port in one.get("ports") or ()}
        if addresses([one]) and ports != dict.fromkeys(wanted, 5432):
            return Verdict(False, f"the slice {name_of(one)} does not have the Service's port, 5432.")
    return Verdict(True, f"all 1,100 addresses, each once, in {_number(len(found), 'slice')}.")


def _each_once(found: list[dict[str, object]], wanted: list[str], service: str) -> Verdict | None:
    """What is wrong with the addresses in slices; None where each of the wanted is there once and nothing else."""
    counts = Counter(addresses(found))
    missing = [address for address in wanted if address not in counts]
    if missing:
        lost = "" if found else f" No slice has the label {SERVICE_NAME}={service}."
        return Verdict(False, f"{len(missing):,} of {len(wanted):,} addresses are in no slice of {service}, "
                              f"{missing[0]} for one.{lost}")
    twice = [address for address, count in counts.items() if count > 1]
    if twice:
        return Verdict(False, f"{_number(len(twice), 'address')} listed more than once, {twice[0]} for one.")
    foreign = sorted(set(counts) - set(wanted))
    if foreign:
        return Verdict(False, f"{listed(foreign[:3])} should not be in a slice of {service}.")
    return None


def _number(count: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


_WRITE_FLEET = """
def write(name, numbers):
    return {{
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {{"name": name, "namespace": "ex-2-2", "labels": {{
            "kubernetes.io/service-name": "fleet", "endpointslice.kubernetes.io/managed-by": "staff"}}}},
        "ports": [{{"name": "grpc", "port": 9000}}],
        "endpoints": [{{"addresses": [f"192.0.2.{{number}}"], "conditions": {{"ready": True}}}} for number in numbers],
    }}
{rest}"""

_WRITE_LEGACY = """
every = [f"10.200.{{third}}.{{fourth}}" for third in range(11) for fourth in range(1, 101)]


def write(name, chosen):
    cluster.client.create("endpointslices", {{
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {{"name": name, "namespace": "ex-2-3", "labels": {{
            "kubernetes.io/service-name": "legacy", "endpointslice.kubernetes.io/managed-by": "staff"}}}},
        "ports": [{{"name": "pg", "port": 5432}}],
        "endpoints": [{{"addresses": [address], "conditions": {{"ready": True}}}} for address in chosen],
    }})
{rest}"""

CHAPTER = Chapter(
    id="2",
    title="The importance of EndpointSlices",
    notebook="02-importance.ipynb",
    minutes=25,
    setup="""
%%kubectl apply -f -
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, rotation: in}}
    spec: {containers: [{name: nginx, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web, rotation: in}
  ports: [{port: 80}]
""",
    show="svc/web",
    options={"nodes": "12"},
    exercises=(
        Exercise(
            id="2.1",
            goal="The Service edge has the smallest number of endpoints that do not fit into two slices, however well packed.",
            check=_too_many_for_two,
            hints=(
                "How many endpoints fit into one slice, if nobody has changed the controller's flag?",
                "Two slices hold 200. Do not be misled by the number of slices that you see: they fill as pods arrive.",
            ),
            setup="""
%kubectl create deployment edge --image=nginx --replicas=1 -n ex-2-1
%kubectl expose deployment edge --port=80 -n ex-2-1
""",
            solution="%kubectl scale deployment edge --replicas=201 -n ex-2-1",
            wrong=(
                Wrong("%kubectl scale deployment edge --replicas=200 -n ex-2-1", "so many fit into two"),
                Wrong("%kubectl scale deployment edge --replicas=202 -n ex-2-1", "fewer would be too many for two slices as well"),
                Wrong("%kubectl delete service edge -n ex-2-1", "the Service edge is gone"),
            ),
        ),
        Exercise(
            id="2.2",
            goal="Each of the 30 addresses of the Service fleet is in one slice, and no slice has more than 10 endpoints.",
            check=_small_slices,
            hints=(
                "You wrote this slice, so the controller does not divide it for you.",
                "How many slices of 10 do you need? What ties each of them to the Service, and what names its port?",
                "Write the new slices, and take from fleet-1 what they hold.",
            ),
            setup=_WRITE_FLEET.format(rest="""

service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "fleet", "namespace": "ex-2-2"},
           "spec": {"ports": [{"name": "grpc", "port": 9000}]}}
cluster.client.create("services", service)
cluster.client.create("endpointslices", write("fleet-1", range(1, 31)))
"""),
            solution=_WRITE_FLEET.format(rest="""

cluster.client.create("endpointslices", write("fleet-2", range(11, 21)))
cluster.client.create("endpointslices", write("fleet-3", range(21, 31)))
cluster.client.update("endpointslices", write("fleet-1", range(1, 11)))
"""),
            wrong=(
                Wrong(_WRITE_FLEET.format(rest='\ncluster.client.update("endpointslices", write("fleet-1", range(1, 11)))'),
                      "20 of 30 addresses are in no slice of fleet"),
                Wrong(_WRITE_FLEET.format(rest="""
cluster.client.create("endpointslices", write("fleet-2", range(11, 21)))
cluster.client.create("endpointslices", write("fleet-3", range(21, 31)))
"""), "20 addresses listed more than once, 192.0.2.11 for one"),
                Wrong(_WRITE_FLEET.format(rest="""
cluster.client.create("endpointslices", write("fleet-2", range(16, 31)))
cluster.client.update("endpointslices", write("fleet-1", range(1, 16)))
"""), "fleet-1 has 15 endpoints and fleet-2 has 15 endpoints"),
                Wrong(_WRITE_FLEET.format(rest="""
for number in range(3):
    obj = write(f"part-{number}", range(1 + 10 * number, 11 + 10 * number))
    del obj["ports"]
    cluster.client.create("endpointslices", obj)
cluster.client.delete("endpointslices", "fleet-1", "ex-2-2")
"""), "not every slice of fleet has the port 9000"),
                Wrong(_WRITE_FLEET.format(rest="""
for number in range(3):
    obj = write(f"part-{number}", range(1 + 10 * number, 11 + 10 * number))
    del obj["metadata"]["labels"]
    cluster.client.create("endpointslices", obj)
cluster.client.delete("endpointslices", "fleet-1", "ex-2-2")
"""), "No slice has the label kubernetes.io/service-name=fleet"),
            ),
        ),
        Exercise(
            id="2.3",
            goal="Each of the 1,100 addresses of legacy is ready in exactly one slice of that Service, on port 5432.",
            check=_beyond_the_mirror,
            hints=(
                "Who made the slice that is there? `kubectl get endpointslices -n ex-2-3 --show-labels` names it, and "
                "`kubectl get events -n ex-2-3` says what it left out.",
                "The mirror takes at most 1,000 addresses. Slices that you write yourself know no such limit for a Service, "
                "only for one slice.",
                "Either add what the mirror left out, or replace the mirror altogether. Not both.",
            ),
            setup="""
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: legacy, namespace: ex-2-3}
spec:
  ports: [{name: pg, port: 5432}]
# ---
every = [f"10.200.{third}.{fourth}" for third in range(11) for fourth in range(1, 101)]
cluster.client.create("endpoints", {
    "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "legacy", "namespace": "ex-2-3"},
    "subsets": [{"addresses": [{"ip": ip} for ip in every], "ports": [{"name": "pg", "port": 5432}]}],
})
""",
            solution=_WRITE_LEGACY.format(rest="""

cluster.client.delete("endpoints", "legacy", "ex-2-3")
write("legacy-1", every[:550])
write("legacy-2", every[550:])
"""),
            wrong=(
                Wrong("%kubectl delete endpoints legacy -n ex-2-3", "1,100 of 1,100 addresses are in no slice of legacy"),
                Wrong(_WRITE_LEGACY.format(rest='\nwrite("legacy-1", every[:550])\nwrite("legacy-2", every[550:])'),
                      "1,000 addresses listed more than once"),
                Wrong(_WRITE_LEGACY.format(rest="""

write("legacy-2", every[:550])
write("legacy-3", every[550:])
for name in ("legacy-2", "legacy-3"):
    port = {"ports": [{"name": "db", "port": 5432}]}
    cluster.client.patch("endpointslices", name, port, "ex-2-3")
cluster.client.delete("endpoints", "legacy", "ex-2-3")
"""), "does not have the Service's port"),
                Wrong("%kubectl delete service legacy -n ex-2-3", "the Service legacy is gone"),
            ),
        ),
    ),
    quizzes=(
        Quiz(
            "2.q1", "A Service has 60 endpoints, all in one slice. One of them changes. Compared with Endpoints, a watcher of slices is sent",
            ("a sixtieth", "about as much, or somewhat more", "60 times as much"), 1,
            "The slice is sent whole, and says more about each endpoint. It saves bytes only where it is one of several.",
        ),
        Quiz(
            "2.q2", "You set --max-endpoints-per-slice to 1000. What gets worse?",
            ("nothing, there are fewer objects", "the API server refuses the slices", "one change sends up to ten times as much to every node"), 2,
            "1,000 is allowed, and there are fewer objects. Each event carries up to 1,000 endpoints.",
        ),
        Quiz(
            "2.q3", "A Service has 1,500 ready pods. How many of them does kube-proxy use?",
            ("100", "1,000", "1,500"), 2,
            "kube-proxy reads slices, and merges all slices of a Service. Only readers of Endpoints stop at 1,000.",
        ),
    ),
)
