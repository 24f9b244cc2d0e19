"""Set-ups in which pods, their probes or their ports are the cause."""

from __future__ import annotations

from typing import Any

from setups import Ask, first
from stage import Stage

# -- the pods ------------------------------------------------------------------------------------------------------


@first("PublishNotReady", "degraded", "ReadinessProbeFails")
def not_ready_pods_are_published(on: Stage) -> Ask:
    on.probed("readinessProbe: {httpGet: {path: /, port: 81}}")
    on.service(selector={"app": "web"}, publishNotReadyAddresses=True)


@first("PodFinished")
def the_only_pod_has_ended(on: Stage) -> Ask:
    on.kubectl("run web --image=busybox --labels=app=web --restart=Never -- true")
    on.service(selector={"app": "web"})


@first("PodFinished")
def the_pod_asked_for_has_ended(on: Stage) -> Ask:
    on.web()
    on.kubectl("run once --image=busybox --labels=app=web --restart=Never -- true")
    return "once", "web"


@first("NodeMissing", "degraded")
def node_deleted_and_service_synced(on: Stage) -> Ask:
    on.web(4)
    on.kubectl("delete node node-2", "label service web touched=yes")


@first("NodeMissing", "degraded")
def node_deleted_and_not_yet_synced(on: Stage) -> Ask:
    on.bare_node()
    on.pod("one", ip="10.244.9.2")
    on.service(selector={"app": "web"})
    on.kubectl("delete node bare")
    return "one", "web"


@first("NodeNotReady", "degraded")
def node_that_went_silent(on: Stage) -> Ask:
    on.web(4)
    on.cluster._plane.kubelet.stop("node-2")
    on.cluster.sleep(70)


@first("NodeNotReady", "degraded")
def node_gone_for_long(on: Stage) -> Ask:
    on.web(4)
    on.cluster._plane.kubelet.stop("node-2")
    on.cluster.sleep(400)


@first("PodTerminating", "degraded")
def the_last_pods_are_leaving(on: Stage) -> Ask:
    on.bare_node()
    on.pod("one", ip="10.244.9.2")
    on.service(selector={"app": "web"})
    on.client.delete("pods", "one", "default")


@first("PodTerminating", "broken", "EndedBeforeDrained")
def held_by_a_finalizer(on: Stage) -> Ask:
    on.bare_node()
    ended = [{"name": "c", "ready": False, "state": {"terminated": {"exitCode": 0}}}]
    on.pod("one", ip="10.244.9.2", ready=False, containerStatuses=ended, metadata={"finalizers": ["example.com/hold"]})
    on.service(selector={"app": "web"})
    on.client.delete("pods", "one", "default")


@first("PodNotScheduled")
def no_node_fits(on: Stage) -> Ask:
    on.kubectl("""run web --image=nginx --labels=app=web --overrides='{"spec":{"nodeSelector":{"disk":"ssd"}}}'""")
    on.service(selector={"app": "web"})


@first("PodNoAddress")
def the_image_cannot_be_pulled(on: Stage) -> Ask:
    on.bare_node()
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "app"'}
    on.pod(
        "one",
        phase="Pending",
        ready=False,
        containerStatuses=[{"name": "c", "ready": False, "state": {"waiting": waiting}}],
    )
    on.service(selector={"app": "web"})


@first("PodWithoutFamily")
def a_pod_of_the_other_family(on: Stage) -> Ask:
    on.bare_node()
    on.pod("one", ip="fd00:10:244::2")
    on.service(selector={"app": "web"})


@first("ContainerWaiting")
def the_container_crashes(on: Stage) -> Ask:
    on.kubectl("run web --image=busybox --labels=app=web -- false")
    on.cluster.sleep(60)
    on.service(selector={"app": "web"})


@first("ContainerEnded")
def one_container_of_two_has_ended(on: Stage) -> Ask:
    on.bare_node()
    states = [
        {"name": "c", "ready": True, "state": {"running": {}}},
        {"name": "helper", "ready": False, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
    ]
    containers = [{"name": name, "image": "app"} for name in ("c", "helper")]
    on.pod("one", ip="10.244.9.2", ready=False, containerStatuses=states, spec={"containers": containers})
    on.service(selector={"app": "web"})


@first("StartupProbeFails")
def startup_probe_on_a_wrong_port(on: Stage) -> Ask:
    on.probed("startupProbe: {tcpSocket: {port: 81}, failureThreshold: 1000}")
    on.service(selector={"app": "web"})


@first("ReadinessProbeFails")
def readiness_probe_on_a_wrong_port(on: Stage) -> Ask:
    on.probed("readinessProbe: {httpGet: {path: /healthz, port: 8081}}")
    on.service(selector={"app": "web"})


@first("ReadinessProbeFails", "degraded")
def one_pod_of_several_is_not_ready(on: Stage) -> Ask:
    on.kubectl("run fine --image=nginx --labels=app=web")
    on.probed("readinessProbe: {httpGet: {path: /healthz, port: 8081}}")
    on.service(selector={"app": "web"})


@first("ReadinessProbeFails")
def all_pods_fail_their_probe_at_once(on: Stage) -> Ask:
    probe = "{exec: {command: [cat, /shared/database-is-up]}}"
    on.apply(f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: c, image: nginx, readinessProbe: {probe}}}]}}
""")
    on.service(selector={"app": "web"})


@first("ReadinessProbeFails")
def the_pod_asked_for_is_not_ready(on: Stage) -> Ask:
    on.kubectl("run fine --image=nginx --labels=app=web")
    on.probed("readinessProbe: {exec: {command: [cat, /tmp/ready]}}")
    on.service(selector={"app": "web"})
    return "one", "web"


@first("ReadinessProbeFails", "broken", "PeersNotPublished")
def peers_wait_for_each_other(on: Stage) -> Ask:
    on.service(clusterIP="None", selector={"app": "db"}, ports=[{"port": 5432}], name="db")
    on.apply("""
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: nginx, readinessProbe: {tcpSocket: {port: 5432}}}]}
""")
    return ("svc/db",)


def kubelet_started(on: Stage, at: str, ready: bool, changed: str, probed: str = "readinessProbe") -> None:
    """A container that has run since 00:01:00, on a node whose kubelet was started at a moment."""
    on.bare_node()
    conditions = [
        {"type": kind, "status": str(ready), "lastTransitionTime": changed} for kind in ("Ready", "ContainersReady")
    ]
    running: dict[str, Any] = {"name": "c", "ready": ready, "started": True}
    running["state"] = {"running": {"startedAt": "1970-01-01T00:01:00Z"}}
    spec = {"containers": [{"name": "c", "image": "app", probed: {"tcpSocket": {"port": 80}}}]}
    on.pod("one", ip="10.244.9.2", conditions=conditions, containerStatuses=[running], spec=spec)
    on.event(("Node", "bare"), "Starting", at)
    on.service(selector={"app": "web"})


@first("KubeletRestarted")
def the_kubelet_was_started_a_moment_ago(on: Stage) -> Ask:
    kubelet_started(on, at="1970-01-01T01:00:00Z", ready=False, changed="1970-01-01T01:00:02Z")


@first("KubeletRestarted", "note")
def the_pod_is_ready_again_after_the_kubelets_restart(on: Stage) -> Ask:
    kubelet_started(on, at="1970-01-01T01:00:00Z", ready=True, changed="1970-01-01T01:00:09Z")


@first("ReadinessProbeFails")
def the_probe_has_failed_since_the_kubelets_restart(on: Stage) -> Ask:
    kubelet_started(on, at="1970-01-01T01:00:00Z", ready=False, changed="1970-01-01T01:00:02Z")
    message = "Readiness probe failed: connection refused"
    on.event(("Pod", "one"), "Unhealthy", "1970-01-01T01:00:12Z", type="Warning", message=message)


@first("ReadinessProbeFails")
def the_kubelet_was_started_long_before(on: Stage) -> Ask:
    kubelet_started(on, at="1970-01-01T01:00:00Z", ready=False, changed="1970-01-01T01:30:00Z")


@first("ReadinessProbeFails")
def kube_proxy_was_started_and_not_the_kubelet(on: Stage) -> Ask:
    kubelet_started(on, at="1970-01-01T00:30:00Z", ready=False, changed="1970-01-01T01:30:00Z")
    on.event(("Node", "bare"), "Starting", "1970-01-01T01:29:59Z", component="kube-proxy")


@first("ReadinessGate")
def a_readiness_gate_is_closed(on: Stage) -> Ask:
    on.apply("""
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: web}}
spec: {containers: [{name: c, image: nginx}], readinessGates: [{conditionType: example.com/in-load-balancer}]}
""")
    on.service(selector={"app": "web"})


@first("ReadyConditionStale")
def the_kubelet_forgot_to_say_ready(on: Stage) -> Ask:
    on.bare_node()
    conditions = [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}]
    on.pod(
        "one",
        ip="10.244.9.2",
        conditions=conditions,
        containerStatuses=[{"name": "c", "ready": True, "state": {"running": {}}}],
    )
    on.service(selector={"app": "web"})


@first("PodNotReady")
def not_ready_without_a_reason(on: Stage) -> Ask:
    on.bare_node()
    on.pod("one", ip="10.244.9.2", ready=False)
    on.service(selector={"app": "web"})


# -- ports ---------------------------------------------------------------------------------------------------------


@first("NamedPortMissing")
def no_container_port_of_this_name(on: Stage) -> Ask:
    on.named("one", 8080, port="web")
    on.service(selector={"app": "web"}, ports=[{"port": 80, "targetPort": "http"}])


@first("NamedPortMissing")
def the_named_port_is_udp(on: Stage) -> Ask:
    on.named("one", 53, port="dns", protocol="UDP")
    on.service(selector={"app": "web"}, ports=[{"port": 53, "targetPort": "dns"}])


@first("NamedPortMissing", "degraded", "NamedPortDiffers")
def some_pods_lack_the_named_port(on: Stage) -> Ask:
    on.named("one", 8080)
    on.named("two", 9090)
    on.named("three", 8080, port="web")
    on.service(selector={"app": "web"}, ports=[{"port": 80, "targetPort": "http"}])


@first("NamedPortMissing")
def one_port_of_two_is_missing(on: Stage) -> Ask:
    on.named("one", 8080)
    ports = [
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "metrics", "port": 9090, "targetPort": "metrics"},
    ]
    on.service(selector={"app": "web"}, ports=ports)


@first("TargetPort", "degraded")
def nginx_exposed_on_8080(on: Stage) -> Ask:
    on.web(2, "--port=8080")


@first("TargetPort", "degraded")
def the_declared_port_is_another(on: Stage) -> Ask:
    on.named("one", 8080)
    on.service(selector={"app": "web"}, ports=[{"port": 80, "targetPort": 80}])
