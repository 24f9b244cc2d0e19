"""Set-ups in which hints or traffic policies are the cause; and those that are odd, and not broken."""

from __future__ import annotations

from setups import Ask, first
from stage import MANAGED_BY, Stage

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


@first("ScaledToZero", "broken", "UdpFlowsStay")
def udp_scaled_to_zero(on: Stage) -> Ask:
    on.kubectl("create deployment statsd --image=app", "expose deployment statsd --port=8125 --protocol=UDP")
    on.kubectl("scale deployment statsd --replicas=0")
    return ("svc/statsd",)


@first("EndpointsNotReady", "broken", "UdpFlowsStay")
def the_only_udp_endpoint_is_taken_out(on: Stage) -> Ask:
    on.service(ports=[{"port": 53, "protocol": "UDP"}])
    out = {"addresses": ["192.0.2.10"], "conditions": {"ready": False, "serving": False}}
    on.slice("web-1", "web", out, ports=[{"name": "", "port": 53, "protocol": "UDP"}])


@first("ReadinessProbeFails", "degraded", "DnsListsUnready")
def an_old_core_dns_and_a_pod_that_is_not_ready(on: Stage) -> Ask:
    on.kubectl("set image deployment/coredns coredns=registry.k8s.io/coredns/coredns:v1.8.3 -n kube-system")
    on.kubectl("run fine --image=nginx --labels=app=web")
    on.probed("readinessProbe: {httpGet: {path: /healthz, port: 8081}}")
    on.service(clusterIP="None", selector={"app": "web"})


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
    on.named("one", 8080)
    on.named("two", 9090)
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


@first("EndpointsTruncated", "note")
def more_than_a_thousand_endpoints(on: Stage) -> Ask:
    """The mark that the Endpoints controller leaves; a thousand pods would take seconds here."""
    on.web()
    on.kubectl("annotate endpoints web endpoints.kubernetes.io/over-capacity=truncated")


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


@first("TopologyAnnotation", "note")
def auto_with_few_endpoints_in_a_zone(on: Stage) -> Ask:
    on.web(6)
    on.kubectl("annotate service web service.kubernetes.io/topology-mode=Auto")


@first("TopologyAnnotation", "note")
def both_ways_to_ask_for_hints(on: Stage) -> Ask:
    on.web(12)
    on.patch("services", "web", "{spec: {trafficDistribution: PreferSameZone}}")
    on.kubectl("annotate service web service.kubernetes.io/topology-mode=Auto")


@first("ExternalTrafficPolicyLocal", "note")
def a_load_balancer_that_asks_the_nodes(on: Stage) -> Ask:
    on.web(1, "--port=80 --type=LoadBalancer")
    on.patch("services", "web", "{spec: {externalTrafficPolicy: Local}}")


@first("HeadlessPort", "note")
def a_headless_service_with_another_target_port(on: Stage) -> Ask:
    on.kubectl("create deployment web --image=nginx")
    on.service(clusterIP="None", selector={"app": "web"}, ports=[{"port": 8080, "targetPort": 80}])
