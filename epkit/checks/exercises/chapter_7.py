"""Chapter 7: Use cases and best practices."""
from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.checks.look import CONTROLLER, MANAGED_BY, addresses, endpoints, listed, slices
from epkit.checks.model import Chapter, Exercise, Quiz, Verdict, Wrong
from epkit.objects import Obj, labels_of, name_of

if TYPE_CHECKING:
    from epkit.cluster import Cluster

ZONE = "topology.kubernetes.io/zone"
SLEEP = 5


def _nothing_left_behind(cluster: Cluster, namespace: str) -> Verdict:
    service = cluster.client.find("services", "orders", namespace)
    if service is None:
        return Verdict(False, "the Service orders is gone.")
    if not service["spec"].get("selector"):
        return Verdict(False, "the Service orders has no selector any more, so it does not follow its pods.")
    pods = {pod["status"].get("podIP") for pod in cluster.client.list("pods", namespace, labels="app=orders")}
    found = slices(cluster, namespace, "orders")
    foreign = [one for one in found if labels_of(one).get(MANAGED_BY) != CONTROLLER]
    used = sorted(set(addresses(found, "ready")) - pods)
    if used:
        return Verdict(False, f"{listed(used)} still gets a share of the traffic, and is no pod of orders.")
    if foreign:
        return Verdict(False, f"no traffic leaves the pods now, but the slice {listed([name_of(one) for one in foreign])} "
                              "is still there, and one write brings its addresses back.")
    ready = addresses(found, "ready")
    if len(ready) < 2:
        return Verdict(False, f"{len(ready)} of the two pods of orders gets traffic.")
    return Verdict(True, f"only the pods of orders, {listed(ready)}, get traffic.")


def _stays_in_zone(cluster: Cluster, namespace: str) -> Verdict:
    zones = sorted({labels_of(node)[ZONE] for node in cluster.client.list("nodes") if ZONE in labels_of(node)})
    ready = [one for one in endpoints(slices(cluster, namespace, "search")) if (one.get("conditions") or {}).get("ready", True)]
    if not ready:
        return Verdict(False, "the Service search has no ready endpoint.")
    where: dict[str, int] = {zone: sum(one.get("zone") == zone for one in ready) for zone in zones}
    seen = listed([f"{count} in {zone}" for zone, count in where.items()])
    empty = [zone for zone, count in where.items() if not count]
    hinted = [one for one in ready if (one.get("hints") or {}).get("forZones")]
    if empty:
        also = " Its endpoints have hints, which clients there do not follow." if hinted else ""
        return Verdict(False, f"ready endpoints: {seen}. Clients in {listed(empty)} must leave their zone.{also}")
    if len(hinted) < len(ready):
        return Verdict(False, f"ready endpoints: {seen}. {len(ready) - len(hinted)} of them have no hint for a zone, so "
                              "kube-proxy uses all of them from everywhere.")
    away = [one for one in hinted if one.get("zone") not in {zone["name"] for zone in one["hints"]["forZones"]}]
    if away:
        return Verdict(False, f"the endpoint {away[0]['addresses'][0]} is hinted for clients in another zone than its own.")
    return Verdict(True, f"ready endpoints: {seen}, each with a hint for its own zone.")


def _serves_on(cluster: Cluster, namespace: str) -> Verdict:
    deployment = cluster.client.find("deployments", "api", namespace)
    if deployment is None:
        return Verdict(False, "the Deployment api is gone.")
    faults = [fault for fault in (_fault(pod["spec"]) for pod in _ready_pods(cluster, namespace)) if fault]
    template = _fault(deployment["spec"]["template"]["spec"])
    if template:
        return Verdict(False, f"a pod that the Deployment makes {template}.")
    if faults:
        return Verdict(False, f"new pods would be right, but {len(faults)} of those that run {faults[0]}.")
    ready = addresses(slices(cluster, namespace, "api"), "ready")
    if len(ready) < 3:
        return Verdict(False, f"ready endpoints of api: {len(ready)}; there should be three.")
    return Verdict(True, f"{len(ready)} pods, each of which serves on for {SLEEP} seconds or more before it gets SIGTERM.")


def _fault(spec: Obj) -> str:
    """Why a pod would not serve on long enough; an empty string if it would."""
    container = spec["containers"][0]
    hook = (container.get("lifecycle") or {}).get("preStop") or {}
    command = (hook.get("exec") or {}).get("command") or []
    seconds = float((hook.get("sleep") or {}).get("seconds", 0))
    words = " ".join(command).split()
    if "sleep" in words[:-1] and words[words.index("sleep") + 1].rstrip("s").isdigit():
        seconds = float(words[words.index("sleep") + 1].rstrip("s"))
    grace = spec.get("terminationGracePeriodSeconds", 30)
    if not hook:
        return "has no preStop hook: SIGTERM comes at once"
    if seconds < SLEEP:
        return f"waits for {seconds:g} seconds before SIGTERM"
    if grace <= seconds:
        return f"is killed after {grace} seconds, in the middle of its hook of {seconds:g}"
    return ""


def _ready_pods(cluster: Cluster, namespace: str) -> list[Obj]:
    refs = {(one.get("targetRef") or {}).get("name") for one in endpoints(slices(cluster, namespace, "api"))
            if (one.get("conditions") or {}).get("ready", True)}
    return [pod for pod in cluster.client.list("pods", namespace) if name_of(pod) in refs]


def _read_well(cluster: Cluster, namespace: str) -> Verdict:
    written = cluster.client.find("configmaps", "backends", namespace)
    if written is None:
        return Verdict(False, "there is no ConfigMap backends.")
    text = (written.get("data") or {}).get("list")
    if text is None:
        return Verdict(False, f"the ConfigMap backends has no key list; it has {listed(sorted(written.get('data') or {}))}.")
    lines = text.split()
    right, not_ready = _catalog(cluster, namespace)
    twice = sorted({line for line in lines if lines.count(line) > 1})
    wrong = sorted(set(lines) - right)
    missing = sorted(right - set(lines))
    seen = f"{len(lines)} lines"
    if twice:
        return Verdict(False, f"{seen}; {twice[0]} stands there more than once.")
    if shut := [line for line in wrong if line in not_ready]:
        return Verdict(False, f"{seen}; {shut[0]} is listed in a slice, but it is not ready.")
    if wrong:
        return Verdict(False, f"{seen}; {wrong[0]} is no backend of the Service's port.")
    if missing:
        unsaid = [line for line in missing if line in _unsaid(cluster, namespace)]
        why = " Its slice does not say whether it is ready." if unsaid else ""
        return Verdict(False, f"{seen}, {len(right)} backends are ready; {(unsaid or missing)[0]} is missing.{why}")
    return Verdict(True, f"all {len(right)} ready backends, each once.")


def _catalog(cluster: Cluster, namespace: str) -> tuple[set[str], set[str]]:
    """The ready backends of catalog's port and those that are not, as ``address:port``."""
    name = cluster.client.get("services", "catalog", namespace)["spec"]["ports"][0].get("name") or ""
    ready: set[str] = set()
    rest: set[str] = set()
    for one in slices(cluster, namespace, "catalog"):
        ports = [port["port"] for port in one.get("ports") or () if (port.get("name") or "") == name]
        for endpoint in one.get("endpoints") or ():
            said = (endpoint.get("conditions") or {}).get("ready")
            chosen = rest if said is False else ready
            chosen |= {f"{endpoint['addresses'][0]}:{port}" for port in ports}
    return ready, rest - ready


def _unsaid(cluster: Cluster, namespace: str) -> set[str]:
    return {
        f"{endpoint['addresses'][0]}:{port['port']}"
        for one in slices(cluster, namespace, "catalog") for port in one.get("ports") or ()
        for endpoint in one.get("endpoints") or () if "ready" not in (endpoint.get("conditions") or {})
    }


_CATALOG = """
%%kubectl apply -f -
apiVersion: v1
kind: Service
metadata: {name: catalog, namespace: ex-7-4}
spec:
  ports: [{name: http, port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: catalog-east
  namespace: ex-7-4
  labels: {kubernetes.io/service-name: catalog, endpointslice.kubernetes.io/managed-by: east}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [192.0.2.1], conditions: {ready: true}}
- {addresses: [192.0.2.2], conditions: {ready: true, serving: true, terminating: false}}
- {addresses: [192.0.2.3], conditions: {ready: false}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: catalog-west
  namespace: ex-7-4
  labels: {kubernetes.io/service-name: catalog, endpointslice.kubernetes.io/managed-by: west}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: admin, port: 9090}]
endpoints:
- {addresses: [192.0.2.2], conditions: {ready: true}}
- {addresses: [192.0.2.4]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: moved-in
  namespace: ex-7-4
  labels: {kubernetes.io/service-name: catalog, endpointslice.kubernetes.io/managed-by: staff}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints:
- {addresses: [192.0.2.4], conditions: {ready: true}}
"""

_WRITE = """
def put(lines):
    cluster.client.create("configmaps", {{
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "backends", "namespace": "ex-7-4"}},
        "data": {{"list": "\\n".join(lines)}},
    }})


slices = cluster.client.list("endpointslices", "ex-7-4", labels="kubernetes.io/service-name=catalog").items
{rest}"""

_SPREAD = """%kubectl patch deployment search -n ex-7-2 -p '{"spec":{"template":{"spec":{"nodeSelector":null}}}}'"""
_PREFER = """%kubectl patch service search -n ex-7-2 -p '{"spec":{"trafficDistribution":"PreferSameZone"}}'"""


def _api(lifecycle: str, grace: int | None = None) -> str:
    """The command that gives the pods of api a lifecycle and a grace period."""
    end = "" if grace is None else f'"terminationGracePeriodSeconds":{grace},'
    patch = f'{{"spec":{{"template":{{"spec":{{{end}"containers":[{{"name":"nginx","lifecycle":{lifecycle}}}]}}}}}}}}'
    return f"%kubectl patch deployment api -n ex-7-3 -p '{patch}'"


CHAPTER = Chapter(
    id="7",
    title="Use cases and best practices",
    notebook="07-use-cases-and-best-practices.ipynb",
    minutes=35,
    setup="""
%kubectl create deployment web --image=nginx --replicas=4
%kubectl expose deployment web --port=80
%kubectl run client --image=nginx
%kubectl create namespace elsewhere
%kubectl run old-1 --image=nginx -n elsewhere
%kubectl run old-2 --image=nginx -n elsewhere
""",
    show="svc/web",
    options={"nodes": "4"},
    exercises=(
        Exercise(
            id="7.1",
            goal="All traffic of the Service orders goes to its own pods, and nothing else is left in its slices.",
            check=_nothing_left_behind,
            hints=(
                "How many slices does the Service have, and who manages each of them?",
                "An endpoint that is no pod has no targetRef.",
                "Whoever writes a slice of their own must take it away too.",
            ),
            setup="""
%kubectl create deployment orders --image=nginx --replicas=2 -n ex-7-1
%kubectl expose deployment orders --port=80 -n ex-7-1
# ---
%%kubectl apply -f -
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: orders-outside
  namespace: ex-7-1
  labels: {kubernetes.io/service-name: orders, endpointslice.kubernetes.io/managed-by: staff}
addressType: IPv4
ports: [{name: "", port: 80}]
endpoints: [{addresses: [192.0.2.50], conditions: {ready: true}}]
""",
            solution="%kubectl delete endpointslice orders-outside -n ex-7-1",
            wrong=(
                Wrong("%kubectl delete endpointslices -n ex-7-1 -l endpointslice.kubernetes.io/managed-by=" + CONTROLLER,
                      "192.0.2.50 still gets a share of the traffic"),
                Wrong("""%kubectl patch endpointslice orders-outside -n ex-7-1 --type=json """
                      """-p '[{"op":"replace","path":"/endpoints/0/conditions/ready","value":false}]'""",
                      "one write brings its addresses back"),
                Wrong("""%kubectl patch service orders -n ex-7-1 --type=json -p '[{"op":"remove","path":"/spec/selector"}]'""",
                      "has no selector any more"),
                Wrong("""
%kubectl delete endpointslice orders-outside -n ex-7-1
%kubectl scale deployment orders --replicas=1 -n ex-7-1
""", "1 of the two pods"),
            ),
        ),
        Exercise(
            id="7.2",
            goal="The Service search has ready endpoints in each zone, all with a hint for their own zone.",
            check=_stays_in_zone,
            hints=(
                "In which zones do the pods run, and why? Look at the Deployment's template.",
                "Which field of a Service asks for traffic that stays in its zone?",
                "It takes both: pods in every zone, and hints.",
            ),
            setup="""
%%kubectl apply -f -
apiVersion: apps/v1
kind: Deployment
metadata: {name: search, namespace: ex-7-2}
spec:
  replicas: 3
  selector: {matchLabels: {app: search}}
  template:
    metadata: {labels: {app: search}}
    spec:
      nodeSelector: {topology.kubernetes.io/zone: zone-a}
      containers: [{name: nginx, image: nginx}]
# ---
%kubectl expose deployment search --port=80 -n ex-7-2
""",
            solution=f"{_SPREAD}\n{_PREFER}",
            wrong=(
                Wrong(_PREFER, "which clients there do not follow"),
                Wrong(_SPREAD, "have no hint for a zone"),
                Wrong("%kubectl scale deployment search --replicas=6 -n ex-7-2", "6 in zone-a and 0 in zone-b"),
                Wrong("%kubectl scale deployment search --replicas=0 -n ex-7-2", "has no ready endpoint"),
            ),
        ),
        Exercise(
            id="7.3",
            goal="Each pod of the Deployment api serves on for at least five seconds before it gets SIGTERM.",
            check=_serves_on,
            hints=(
                "What can a container do between the moment its pod is deleted and SIGTERM?",
                "A preStop hook can simply sleep. The pod's grace period counts from the same moment.",
            ),
            setup="""
%kubectl create deployment api --image=nginx --replicas=3 -n ex-7-3
%kubectl expose deployment api --port=80 -n ex-7-3
""",
            solution=_api('{"preStop":{"sleep":{"seconds":10}}}', 45),
            wrong=(
                Wrong(_api('{"preStop":{"sleep":{"seconds":2}}}'), "waits for 2 seconds before SIGTERM"),
                Wrong("""%kubectl patch deployment api -n ex-7-3 -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":60}}}}'""",
                      "has no preStop hook"),
                Wrong(_api('{"preStop":{"exec":{"command":["sleep","8"]}}}', 5), "is killed after 5 seconds"),
                Wrong("""%kubectl rollout pause deployment/api -n ex-7-3\n"""
                      + _api('{"preStop":{"sleep":{"seconds":10}}}'), "of those that run has no preStop hook"),
                Wrong(_api('{"preStop":{"sleep":{"seconds":10}}}') + "\n%kubectl scale deployment api --replicas=1 -n ex-7-3",
                      "ready endpoints of api: 1"),
            ),
        ),
        Exercise(
            id="7.4",
            goal="The ConfigMap backends lists each ready backend of the Service catalog once.",
            check=_read_well,
            hints=(
                "Which label do all slices of the Service carry? How many are there, and what are their ports?",
                "Match the port by the Service's name for it. A backend is an address and a port; the same pair twice is one.",
                "An endpoint that does not say whether it is ready, is.",
            ),
            setup=_CATALOG,
            solution=_WRITE.format(rest="""
put({
    f"{endpoint['addresses'][0]}:{port['port']}"
    for one in slices
    for port in one.get("ports") or [] if port["name"] == "http"
    for endpoint in one.get("endpoints") or [] if endpoint.get("conditions", {}).get("ready") is not False
})
"""),
            wrong=(
                Wrong(_WRITE.format(rest="""
put([f"{e['addresses'][0]}:8080" for e in slices[0]["endpoints"] if e["conditions"]["ready"]])
"""), "Its slice does not say whether it is ready"),
                Wrong(_WRITE.format(rest="""
put([f"{e['addresses'][0]}:{s['ports'][0]['port']}" for s in slices for e in s["endpoints"]
     if e.get("conditions", {}).get("ready") is not False])
"""), "192.0.2.2:8080 stands there more than once"),
                Wrong(_WRITE.format(rest="""
put({f"{e['addresses'][0]}:{s['ports'][0]['port']}" for s in slices for e in s["endpoints"]})
"""), "192.0.2.3:8080 is listed in a slice, but it is not ready"),
                Wrong(_WRITE.format(rest="""
put({f"{e['addresses'][0]}:{p['port']}" for s in slices for p in s["ports"] for e in s["endpoints"]
     if e.get("conditions", {}).get("ready") is not False})
"""), "192.0.2.2:9090 is no backend of the Service's port"),
                Wrong("%kubectl create configmap backends -n ex-7-4 --from-literal=addresses=192.0.2.1:8080", "has no key list"),
            ),
        ),
    ),
    quizzes=(
        Quiz(
            "7.q1", "You switch the selector from blue to green. A client has an open connection to a blue pod. What happens to it?",
            ("it is cut at once", "it moves to a green pod", "it stays with the blue pod until it ends"), 2,
            "Where a connection goes is decided when it is opened. Slices and rules decide about new ones only.",
        ),
        Quiz(
            "7.q2", "A Service prefers the same zone. You write a slice of your own for it, with one ready endpoint and no hints. What changes?",
            ("nothing, the others have hints", "kube-proxy ignores the zone hints of all its endpoints", "the new endpoint gets no traffic"), 1,
            "One ready endpoint without a hint, and the hints of the whole Service are ignored.",
        ),
        Quiz(
            "7.q3", "An endpoint in somebody's slice has no conditions at all. A correct consumer",
            ("uses it", "leaves it out", "uses it only where no other is left"), 0,
            "ready that is not said means true, serving too, and terminating means false.",
        ),
    ),
)
