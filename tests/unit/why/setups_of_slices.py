"""Set-ups in which slices, Endpoints or their controllers are the cause."""

from __future__ import annotations

from setups import Ask, first
from stage import MANAGED_BY, SERVICE_NAME, Stage

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


@first("ForeignSlice", "note")
def a_selector_came_to_a_service_with_a_slice_of_its_own(on: Stage) -> Ask:
    on.kubectl("create deployment web --image=nginx")
    on.service()
    on.slice("web-1", "web", "192.0.2.10")
    on.patch("services", "web", "{spec: {selector: {app: web}}}")


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
