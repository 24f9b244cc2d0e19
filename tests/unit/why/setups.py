"""Broken set-ups, each with the reason that must be named first; and some that are odd, and not broken.

A set-up builds on a `Stage` and returns what to ask, if that is not ``svc/web``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stage import MANAGED_BY, SERVICE_NAME, Stage

Ask = tuple[str, ...] | None
Build = Callable[[Stage], Ask]


@dataclass(frozen=True)
class Setup:
    build: Build
    reason: str
    severity: str
    also: tuple[str, ...]  # further reasons that must be there
    options: dict[str, object]

    @property
    def name(self) -> str:
        return self.build.__name__


SETUPS: list[Setup] = []


def first(reason: str, severity: str = "broken", *also: str, **options: object) -> Callable[[Build], Build]:
    def remember(build: Build) -> Build:
        SETUPS.append(Setup(build, reason, severity, also, options))
        return build

    return remember


# -- the Service ---------------------------------------------------------------------------------------------------


@first("ExternalName")
def external_name_with_a_selector(on: Stage) -> Ask:
    on.kubectl("run web --image=nginx --labels=app=web")
    on.service(type="ExternalName", externalName="example.com", selector={"app": "web"})


@first("ExternalName")
def a_pod_behind_an_external_name(on: Stage) -> Ask:
    on.kubectl("run web --image=nginx")
    on.service(type="ExternalName", externalName="example.com")
    return "pod/web", "svc/web"


@first("ServiceTerminating")
def service_held_by_a_finalizer(on: Stage) -> Ask:
    on.web()
    on.patch("services", "web", "{metadata: {finalizers: [example.com/hold]}}")
    on.client.delete("services", "web", "default")
    on.kubectl("scale deployment web --replicas=0")


@first("ServiceProxyName", "degraded")
def service_for_another_proxy(on: Stage) -> Ask:
    on.web()
    on.kubectl("label service web service.kubernetes.io/service-proxy-name=other")


@first("SelectorRemoved", "degraded")
def selector_removed(on: Stage) -> Ask:
    on.web()
    on.patch("services", "web", "{spec: {selector: null}}")
    on.kubectl("scale deployment web --replicas=1")


@first("SelectorRemoved", "degraded", "DuplicateAddress")
def selector_removed_and_mirrored(on: Stage) -> Ask:
    on.web()
    on.patch("services", "web", "{spec: {selector: null}}")
    on.kubectl("annotate endpoints web touched=yes")


@first("NoSelectorNoSlice")
def neither_selector_nor_slice(on: Stage) -> Ask:
    on.service()


@first("NoSelector")
def a_pod_and_a_service_without_selector(on: Stage) -> Ask:
    on.kubectl("run web --image=nginx")
    on.service()
    on.slice("web-1", "web", "192.0.2.10")
    return "pod/web", "svc/web"


# -- the selector --------------------------------------------------------------------------------------------------


@first("SelectorMatchesNothing")
def selector_with_a_typo(on: Stage) -> Ask:
    on.web()
    on.patch("services", "web", "{spec: {selector: {app: wbe}}}")


@first("SelectorMatchesNothing")
def one_pair_of_the_selector_is_wrong(on: Stage) -> Ask:
    on.kubectl("run one --image=nginx --labels=app=web,tier=frontend")
    on.service(selector={"app": "web", "tier": "front"})


@first("SelectorMatchesNothing")
def the_label_has_another_key(on: Stage) -> Ask:
    on.kubectl("run one --image=nginx --labels=app.kubernetes.io/name=web")
    on.service(selector={"app": "web"})


@first("SelectorMatchesNothing")
def no_pods_at_all(on: Stage) -> Ask:
    on.service(selector={"app": "web"})


@first("SelectorMismatch")
def the_pod_lost_its_label(on: Stage) -> Ask:
    on.web()
    name = on.pods()[0]
    on.kubectl(f"label pod {name} app-")
    return name, "web"


@first("SelectorMismatch")
def the_pod_has_another_case(on: Stage) -> Ask:
    on.web()
    on.kubectl("run other --image=nginx --labels=app=Web")
    return "pod/other", "svc/web"


@first("OtherNamespace")
def the_pods_are_elsewhere(on: Stage) -> Ask:
    on.kubectl("create namespace shop", "create deployment web --image=nginx -n shop")
    on.service(selector={"app": "web"})


@first("OtherNamespace")
def the_pod_is_elsewhere(on: Stage) -> Ask:
    on.web()
    on.kubectl("create namespace shop", "run web --image=nginx -n shop --labels=app=web")
    return "shop/pod/web", "svc/web"


@first("ScaledToZero")
def deployment_at_zero(on: Stage) -> Ask:
    on.web()
    on.kubectl("scale deployment web --replicas=0")


@first("ScaledToZero")
def stateful_set_at_zero(on: Stage) -> Ask:
    on.service(clusterIP="None", selector={"app": "db"}, name="db")
    on.apply("""
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 0
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: postgres}]}}
""")
    return ("svc/db",)


@first("WorkloadWithoutPods")
def deployment_that_makes_no_pods(on: Stage) -> Ask:
    on.cluster.controller("replicaset").stop()
    on.web()


@first("SelectorTooBroad", "degraded")
def debug_pod_with_the_same_label(on: Stage) -> Ask:
    on.web()
    on.kubectl("run debug --image=httpd --labels=app=web")


@first("SelectorTooBroad", "degraded")
def job_with_the_same_label(on: Stage) -> Ask:
    on.web()
    on.apply("""
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {restartPolicy: Never, containers: [{name: c, image: busybox, command: [sleep, "3600"]}]}
""")


# -- the pods ------------------------------------------------------------------------------------------------------


@first("PublishNotReady", "degraded", "ReadinessProbeFails")
def not_ready_pods_are_published(on: Stage) -> Ask:
    probed(on, "readinessProbe: {httpGet: {path: /, port: 81}}")
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
    probed(on, "startupProbe: {tcpSocket: {port: 81}, failureThreshold: 1000}")
    on.service(selector={"app": "web"})


@first("ReadinessProbeFails")
def readiness_probe_on_a_wrong_port(on: Stage) -> Ask:
    probed(on, "readinessProbe: {httpGet: {path: /healthz, port: 8081}}")
    on.service(selector={"app": "web"})


@first("ReadinessProbeFails", "degraded")
def one_pod_of_several_is_not_ready(on: Stage) -> Ask:
    on.kubectl("run fine --image=nginx --labels=app=web")
    probed(on, "readinessProbe: {httpGet: {path: /healthz, port: 8081}}")
    on.service(selector={"app": "web"})


@first("ReadinessProbeFails")
def the_pod_asked_for_is_not_ready(on: Stage) -> Ask:
    on.kubectl("run fine --image=nginx --labels=app=web")
    probed(on, "readinessProbe: {exec: {command: [cat, /tmp/ready]}}")
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


def named(on: Stage, name: str, number: int, port: str = "http", protocol: str = "TCP") -> None:
    on.apply(f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: web}}}}
spec:
  containers:
  - {{name: c, image: app, ports: [{{name: {port}, containerPort: {number}, protocol: {protocol}}}]}}
""")


def probed(on: Stage, probe: str) -> None:
    on.apply(f"""
apiVersion: v1
kind: Pod
metadata: {{name: one, labels: {{app: web}}}}
spec: {{containers: [{{name: c, image: nginx, {probe}}}]}}
""")


@first("NamedPortMissing")
def no_container_port_of_this_name(on: Stage) -> Ask:
    named(on, "one", 8080, port="web")
    on.service(selector={"app": "web"}, ports=[{"port": 80, "targetPort": "http"}])


@first("NamedPortMissing")
def the_named_port_is_udp(on: Stage) -> Ask:
    named(on, "one", 53, port="dns", protocol="UDP")
    on.service(selector={"app": "web"}, ports=[{"port": 53, "targetPort": "dns"}])


@first("NamedPortMissing", "degraded", "NamedPortDiffers")
def some_pods_lack_the_named_port(on: Stage) -> Ask:
    named(on, "one", 8080)
    named(on, "two", 9090)
    named(on, "three", 8080, port="web")
    on.service(selector={"app": "web"}, ports=[{"port": 80, "targetPort": "http"}])


@first("NamedPortMissing")
def one_port_of_two_is_missing(on: Stage) -> Ask:
    named(on, "one", 8080)
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
    named(on, "one", 8080)
    on.service(selector={"app": "web"}, ports=[{"port": 80, "targetPort": 80}])


# -- the controllers -----------------------------------------------------------------------------------------------


@first("SliceRelabelled", "degraded")
def managed_by_changed(on: Stage) -> Ask:
    on.web()
    on.kubectl(
        f"label endpointslice {on.slice_name()} {MANAGED_BY}=me --overwrite", "scale deployment web --replicas=3"
    )


@first("SliceRelabelled")
def service_name_changed(on: Stage) -> Ask:
    on.web()
    on.kubectl(f"label endpointslice {on.slice_name()} {SERVICE_NAME}=old --overwrite")


@first("SliceRelabelled", "degraded")
def managed_by_removed(on: Stage) -> Ask:
    on.web()
    on.kubectl(f"label endpointslice {on.slice_name()} {MANAGED_BY}-")


@first("NoSlices")
def relabelled_and_deleted(on: Stage) -> Ask:
    on.web()
    name = on.slice_name()
    on.kubectl(f"label endpointslice {name} {MANAGED_BY}=me --overwrite", f"delete endpointslice {name}")


@first("NoSlices")
def the_controller_is_down(on: Stage) -> Ask:
    on.cluster.controller("endpointslice").stop()
    on.web()


@first("SlicesStale", "degraded")
def scaled_while_the_controller_is_down(on: Stage) -> Ask:
    on.web()
    on.cluster.controller("endpointslice").stop()
    on.kubectl("scale deployment web --replicas=3")


@first("SlicesStale")
def the_pod_came_while_the_controller_is_down(on: Stage) -> Ask:
    on.web()
    on.cluster.controller("endpointslice").stop()
    on.kubectl("run new --image=nginx --labels=app=web")
    return "new", "web"


@first("SlicesStale", "degraded")
def a_managed_slice_edited_a_moment_ago(on: Stage) -> Ask:
    on.web()
    on.cluster.pause()
    endpoints = [*on.slices()[0]["endpoints"], {"addresses": ["10.10.4.4"]}]
    on.client.patch("endpointslices", on.slice_name(), {"endpoints": endpoints}, "default")


@first("SlicesStale")
def the_port_changed_while_the_controller_is_down(on: Stage) -> Ask:
    on.web()
    on.cluster.controller("endpointslice").stop()
    on.patch("services", "web", "{spec: {ports: [{port: 8080, targetPort: 80, name: http}]}}")


@first("ReservedManagedBy", "degraded")
def an_imposter_slice(on: Stage) -> Ask:
    on.web()
    on.cluster.pause()
    on.slice("web-mine", "web", "192.0.2.10", labels={MANAGED_BY: "endpointslice-controller.k8s.io"})


@first("EndpointsNotMirrored")
def endpoints_that_skip_mirroring(on: Stage) -> Ask:
    on.service()
    on.endpoints("web", "192.0.2.10", labels={"endpointslice.kubernetes.io/skip-mirror": "true"})


@first("EndpointsNotMirrored")
def endpoints_for_leader_election(on: Stage) -> Ask:
    on.service()
    on.endpoints("web", "192.0.2.10", annotations={"control-plane.alpha.kubernetes.io/leader": "{}"})


@first("EndpointsNotMirrored")
def the_mirroring_controller_is_down(on: Stage) -> Ask:
    on.cluster.controller("endpointslice-mirroring").stop()
    on.service()
    on.endpoints("web", "192.0.2.10")


@first("MirroringTruncated", "degraded")
def more_endpoints_than_are_mirrored(on: Stage) -> Ask:
    on.service()
    on.endpoints("web", *(f"10.20.{i // 250}.{i % 250 + 1}" for i in range(1200)))


# -- slices of one's own -------------------------------------------------------------------------------------------


@first("SliceWithoutServiceName")
def a_slice_without_the_label(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", None, "192.0.2.10")


@first("SliceWithoutServiceName")
def a_slice_with_a_misspelt_label(on: Stage) -> Ask:
    on.service("legacy-db")
    on.slice("db-1", "legacy-bd", "192.0.2.10")
    return ("legacy-db",)


@first("SliceInOtherNamespace")
def a_slice_in_another_namespace(on: Stage) -> Ask:
    on.kubectl("create namespace shop")
    on.service()
    on.slice("web-1", "web", "192.0.2.10", namespace="shop")


@first("SliceHeadlessLabel")
def a_slice_with_the_headless_label(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", "192.0.2.10", labels={MANAGED_BY: "staff", "service.kubernetes.io/headless": ""})


@first("SliceFamily")
def a_slice_of_another_family(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", "2001:db8::10", addressType="IPv6")


@first("SliceFamily")
def a_slice_of_names(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", "db.example.com", addressType="FQDN")


@first("SlicePortName")
def the_slice_has_no_port_name(on: Stage) -> Ask:
    on.service(ports=[{"name": "pg", "port": 5432}])
    on.slice("web-1", "web", "192.0.2.10", ports=[{"port": 5432}])


@first("SlicePortName")
def the_slice_has_another_protocol(on: Stage) -> Ask:
    on.service(ports=[{"name": "dns", "port": 53, "protocol": "UDP"}])
    on.slice("web-1", "web", "192.0.2.10", ports=[{"name": "dns", "port": 53}])


@first("SlicePortName")
def the_slice_has_no_ports(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", "192.0.2.10", ports=None)


@first("SlicePortNumber")
def the_slice_has_port_0(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", "192.0.2.10", ports=[{"port": 0}])


@first("SlicePortNumber", "degraded")
def the_slice_has_port_99999(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", "192.0.2.10", ports=[{"port": 99999}])


@first("EndpointsNotReady")
def all_taken_out_by_hand(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", {"addresses": ["192.0.2.10"], "conditions": {"ready": False, "serving": False}})


@first("EndpointsTerminating", "degraded")
def all_leaving_by_hand(on: Stage) -> Ask:
    on.service()
    leaving = {"ready": False, "serving": True, "terminating": True}
    on.slice("web-1", "web", {"addresses": ["192.0.2.10"], "conditions": leaving})


@first("SliceEmpty")
def a_slice_without_endpoints(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web")


@first("SliceOlderThanService", "degraded")
def ghosts_of_an_earlier_service(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", "192.0.2.10")
    on.cluster.sleep(3600)
    on.client.delete("services", "web", "default")
    on.service()


@first("EndpointIsClusterIP", "degraded")
def a_cluster_ip_as_endpoint(on: Stage) -> Ask:
    on.service("behind", clusterIP="10.96.7.7")
    on.service()
    on.slice("web-1", "web", "10.96.7.7")


@first("DuplicateAddress", "degraded", "ForeignSlice")
def slices_that_contradict_each_other(on: Stage) -> Ask:
    on.web()
    address = on.slices()[0]["endpoints"][0]["addresses"][0]
    on.slice("web-out", "web", {"addresses": [address], "conditions": {"ready": False}})


# -- the Endpoints object ------------------------------------------------------------------------------------------


@first("EndpointsEdited", "degraded")
def endpoints_edited(on: Stage) -> Ask:
    on.web()
    subsets = [{"addresses": [{"ip": "10.10.4.4"}], "ports": [{"port": 80}]}]
    on.client.patch("endpoints", "web", {"subsets": subsets}, "default")


@first("EndpointsStale", "degraded")
def endpoints_that_do_not_follow(on: Stage) -> Ask:
    on.web()
    on.cluster.controller("endpoints").stop()
    on.kubectl("scale deployment web --replicas=3")


# -- traffic -------------------------------------------------------------------------------------------------------


def hinted(address: str, *zones: str) -> dict[str, object]:
    return {
        "addresses": [address],
        "conditions": {"ready": True},
        "hints": {"forZones": [{"name": zone} for zone in zones]},
    }


@first("HintsKeepTrafficAway", "degraded")
def an_endpoint_for_a_zone_without_nodes(on: Stage) -> Ask:
    on.service()
    on.slice(
        "web-1", "web", hinted("192.0.2.1", "zone-a"), hinted("192.0.2.2", "zone-b"), hinted("192.0.2.3", "zone-z")
    )


@first("HintsKeepTrafficAway")
def the_pod_is_kept_for_a_zone_without_nodes(on: Stage) -> Ask:
    on.bare_node()
    on.pod("one", ip="10.244.9.2")
    on.service()
    on.slice(
        "web-1", "web", hinted("192.0.2.1", "zone-a"), hinted("192.0.2.2", "zone-b"), hinted("10.244.9.2", "zone-z")
    )
    return "one", "web"


@first("InternalTrafficPolicyLocal", "degraded")
def internal_local_with_one_pod(on: Stage) -> Ask:
    on.web(1)
    on.patch("services", "web", "{spec: {internalTrafficPolicy: Local}}")


@first("InternalTrafficPolicyLocal")
def internal_local_without_any_node(on: Stage) -> Ask:
    on.service(internalTrafficPolicy="Local")
    on.slice("web-1", "web", "192.0.2.10")


@first("ExternalTrafficPolicyLocal", "degraded")
def external_local_with_one_pod(on: Stage) -> Ask:
    on.web(1, "--port=80 --type=NodePort")
    on.patch("services", "web", "{spec: {externalTrafficPolicy: Local}}")


# -- odd, and not broken -------------------------------------------------------------------------------------------


@first("ExternalName", "note")
def external_name(on: Stage) -> Ask:
    on.service(type="ExternalName", externalName="example.com")


@first("FinishedPodListed", "note")
def an_evicted_pod_lingers(on: Stage) -> Ask:
    on.bare_node()
    on.pod("one", ip="10.244.9.2")
    on.pod("two", ip="10.244.9.3", ready=False)
    on.service(selector={"app": "web"})
    on.client.patch(
        "pods", "two", {"status": {"phase": "Failed", "reason": "Evicted"}}, "default", subresource="status"
    )


@first("NamedPortDiffers", "note")
def one_name_and_two_numbers(on: Stage) -> Ask:
    named(on, "one", 8080)
    named(on, "two", 9090)
    on.service(selector={"app": "web"}, ports=[{"port": 80, "targetPort": "http"}])


@first("ReservedManagedBy", "note")
def the_controllers_name_without_a_selector(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", "192.0.2.10", labels={MANAGED_BY: "endpointslice-controller.k8s.io"})


@first("ForeignSlice", "note", "SliceManners")
def an_extra_slice(on: Stage) -> Ask:
    on.web()
    on.slice("web-extra", "web", "192.0.2.10")


@first("SliceManners", "note")
def a_slice_with_the_least_that_works(on: Stage) -> Ask:
    on.service()
    on.slice("web-1", "web", {"addresses": ["192.0.2.10"]}, labels={})


@first("EndpointsTruncated", "note", nodes="0")
def more_than_a_thousand_pods(on: Stage) -> Ask:
    on.bare_node()
    on.service(selector={"app": "web"})
    on.cluster.pause()  # one sync for all of them
    pods = ((f"p{i}", f"10.30.{i // 250}.{i % 250 + 1}") for i in range(1020))
    for name, ip in pods:
        meta = {"name": name, "namespace": "default", "labels": {"app": "web"}}
        on.client.create(
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": meta,
                "spec": {"nodeName": "bare", "containers": [{"name": "c", "image": "app"}]},
            },
        )
        status = {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        on.client.patch("pods", name, {"status": status}, "default", subresource="status")
    on.cluster.settle()


@first("HintsOff", "note")
def auto_with_too_few_endpoints(on: Stage) -> Ask:
    on.web(1)
    on.kubectl("annotate service web service.kubernetes.io/topology-mode=Auto")


@first("HintsOff", "note")
def auto_misspelt(on: Stage) -> Ask:
    on.web(4)
    on.kubectl("annotate service web service.kubernetes.io/topology-mode=AUTO")


@first("HintsOff", "note", nodes="node-1,node-2")
def same_zone_without_zones(on: Stage) -> Ask:
    on.web()
    on.patch("services", "web", "{spec: {trafficDistribution: PreferSameZone}}")


@first("HintsIgnored", "note", nodes="node-1=zone-a,node-2")
def one_node_without_a_zone(on: Stage) -> Ask:
    on.web(4)
    on.patch("services", "web", "{spec: {trafficDistribution: PreferSameZone}}")


@first("ZoneOverload", "note", nodes="node-1=zone-a,node-2=zone-b,node-3=zone-b,node-4=zone-b")
def a_zone_with_few_endpoints(on: Stage) -> Ask:
    for name, node in (("a1", "node-1"), ("a2", "node-1"), ("a3", "node-1"), ("b1", "node-2")):
        on.kubectl(f"""run {name} --image=nginx --labels=app=web --overrides='{{"spec":{{"nodeName":"{node}"}}}}'""")
    on.service(selector={"app": "web"}, trafficDistribution="PreferSameZone")


@first("TopologyAnnotation", "note")
def the_old_annotation(on: Stage) -> Ask:
    on.web(6)
    on.kubectl("annotate service web service.kubernetes.io/topology-aware-hints=Auto")


@first("ExternalTrafficPolicyLocal", "note")
def a_load_balancer_that_asks_the_nodes(on: Stage) -> Ask:
    on.web(1, "--port=80 --type=LoadBalancer")
    on.patch("services", "web", "{spec: {externalTrafficPolicy: Local}}")


@first("HeadlessPort", "note")
def a_headless_service_with_another_target_port(on: Stage) -> Ask:
    on.kubectl("create deployment web --image=nginx")
    on.service(clusterIP="None", selector={"app": "web"}, ports=[{"port": 8080, "targetPort": 80}])
