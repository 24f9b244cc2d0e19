"""Set-ups in which the Service or its selector is the cause."""

from __future__ import annotations

from setups import Ask, first
from stage import Stage

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
