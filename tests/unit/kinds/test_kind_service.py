"""Services: defaults, allocation, what a type brings and takes, validation."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from kind_rules import Rules

from epkit.fake.kinds.base import Refused
from epkit.fake.kinds.service import SERVICE
from epkit.fake.kinds.service_allocation import NODE_PORTS, SERVICE_CIDR


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    spec.setdefault("ports", [{"port": 80}])
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def refusal(rules: Rules, obj: dict[str, Any]) -> list[str]:
    with pytest.raises(Refused) as refused:
        rules.prepared(obj)
    return [str(fault) for fault in refused.value.errors]


def test_a_service_as_the_api_server_completes_it(rules: Rules) -> None:
    made = rules.create(service(selector={}))
    spec = made["spec"]
    address = spec["clusterIP"]
    assert ipaddress.ip_address(address) in SERVICE_CIDR
    assert spec == {
        "clusterIP": address,
        "clusterIPs": [address],
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "type": "ClusterIP",
    }
    assert made["status"] == {"loadBalancer": {}}


def test_session_affinity_gets_a_timeout(rules: Rules) -> None:
    made = rules.create(service(sessionAffinity="ClientIP"))
    assert made["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    config = {"clientIP": {"timeoutSeconds": 86401}}
    assert rules.faults(service(sessionAffinity="ClientIP", sessionAffinityConfig=config)) == [
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater "
        "than 0 and less than 86400"
    ]


def test_new_addresses_and_node_ports_leave_the_lower_band_to_people(rules: Rules) -> None:
    first = int(SERVICE_CIDR.network_address)
    for number in range(200):
        spec = rules.create(service(f"s{number}", type="NodePort"))["spec"]
        assert int(ipaddress.ip_address(spec["clusterIP"])) - first >= 256
        assert spec["ports"][0]["nodePort"] >= NODE_PORTS.start + 86
    everyone = [made["spec"] for made in rules.objects["services"]]
    assert (
        len({spec["clusterIP"] for spec in everyone}) == len({spec["ports"][0]["nodePort"] for spec in everyone}) == 200
    )


def test_a_full_upper_band_falls_back_to_the_lower_one(rules: Rules) -> None:
    taken = [{"port": number, "nodePort": port, "protocol": "TCP"} for number, port in enumerate(NODE_PORTS[86:], 1)]
    rules.objects["services"] = [service("greedy", type="NodePort", ports=taken)]
    assert rules.create(service(type="NodePort"))["spec"]["ports"][0]["nodePort"] == NODE_PORTS.start


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (
            {"clusterIP": "10.96.7.7"},
            'spec.clusterIPs: Invalid value: ["10.96.7.7"]: failed to allocate IP 10.96.7.7: '
            "provided IP is already allocated",
        ),
        (
            {"clusterIP": "10.97.0.5"},
            'spec.clusterIPs: Invalid value: ["10.97.0.5"]: failed to allocate IP 10.97.0.5: '
            "the provided network does not match the current range",
        ),
        (
            {"clusterIP": "nonsense"},
            'spec.clusterIPs[0]: Invalid value: "nonsense": must be a valid IP address, (e.g. '
            "10.9.8.7 or 2001:db8::ffff)",
        ),
        (
            {"clusterIP": "fd00::1"},
            'spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster',
        ),
        ({"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
            "this cluster is not configured for dual-stack services",
        ),
        (
            {"ipFamilies": ["IPv4", "IPv6"]},
            "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' "
            "when multiple IP families are specified",
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]},
            "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
            "The range of valid ports is 30000-32767",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(rules: Rules, spec: dict[str, Any], fault: str) -> None:
    rules.create(service("first", clusterIP="10.96.7.7", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    assert refusal(rules, service(**spec)) == [fault]


def test_prefer_dual_stack_is_content_with_one_family(rules: Rules) -> None:
    spec = rules.create(service(ipFamilyPolicy="PreferDualStack"))["spec"]
    assert spec["ipFamilies"] == ["IPv4"] and len(spec["clusterIPs"]) == 1


def test_headless_services(rules: Rules) -> None:
    with_selector = rules.create(service("a", clusterIP="None", selector={"app": "web"}))["spec"]
    assert (with_selector["clusterIPs"], with_selector["ipFamilies"], with_selector["ipFamilyPolicy"]) == (
        ["None"], ["IPv4"], "SingleStack",
    )  # fmt: skip
    without = rules.create(service("b", clusterIP="None"))["spec"]
    assert (without["ipFamilies"], without["ipFamilyPolicy"]) == (["IPv4", "IPv6"], "RequireDualStack")
    assert rules.faults(service("c", clusterIP="None", type="NodePort")) == [
        "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"
    ]


def test_the_same_port_of_two_protocols_shares_a_node_port(rules: Rules) -> None:
    ports = [{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "m", "port": 9153}]
    made = rules.create(service(type="NodePort", ports=ports))["spec"]["ports"]
    assert made[0]["nodePort"] == made[1]["nodePort"] != made[2]["nodePort"]


def test_load_balancers(rules: Rules) -> None:
    made = rules.create(service("a", type="LoadBalancer", externalTrafficPolicy="Local"))["spec"]
    assert made["allocateLoadBalancerNodePorts"] is True
    assert made["healthCheckNodePort"] in NODE_PORTS and made["healthCheckNodePort"] != made["ports"][0]["nodePort"]
    bare = rules.create(service("b", type="LoadBalancer", allocateLoadBalancerNodePorts=False))["spec"]
    assert "nodePort" not in bare["ports"][0] and bare["externalTrafficPolicy"] == "Cluster"


def test_a_health_check_port_that_is_taken_is_an_internal_error(rules: Rules) -> None:
    rules.create(service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    wanted = service("b", type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30080)
    with pytest.raises(Refused) as refused:
        rules.prepared(wanted)
    assert refused.value.internal == (
        "failed to allocate requested HealthCheck NodePort 30080: provided port is already allocated"
    )


def test_a_node_port_twice_in_an_update_is_an_error_without_a_reason(rules: Rules) -> None:
    old = rules.create(service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    both = [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81, "nodePort": 30080}]
    with pytest.raises(Refused) as refused:
        rules.update(old, spec={**old["spec"], "ports": both})
    assert refused.value.unknown == "duplicate nodePort: {TCP 30080}"
    both[1]["protocol"] = "UDP"
    new, faults = rules.update(old, spec={**old["spec"], "ports": both})
    assert faults == [] and [port["nodePort"] for port in new["spec"]["ports"]] == [30080, 30080]


def test_a_load_balancer_class_on_another_type_is_told_of_twice_in_an_update(rules: Rules) -> None:
    wrong = "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"
    assert rules.faults(service(loadBalancerClass="example.com/lb")) == [wrong]
    old = rules.create(service())
    _, faults = rules.update(old, spec={**old["spec"], "loadBalancerClass": "example.com/lb"})
    assert faults == [wrong, wrong]


def test_a_service_changes_its_type_and_comes_back(rules: Rules) -> None:
    old = rules.create(service())
    address = old["spec"]["clusterIP"]
    as_node_port, faults = rules.update(old, spec={**old["spec"], "type": "NodePort"})
    assert faults == [] and as_node_port["spec"]["externalTrafficPolicy"] == "Cluster"
    port = as_node_port["spec"]["ports"][0]["nodePort"]
    as_balancer, faults = rules.update(as_node_port, spec={**as_node_port["spec"], "type": "LoadBalancer"})
    assert faults == [] and as_balancer["spec"]["ports"][0]["nodePort"] == port
    named = {**as_balancer["spec"], "type": "ExternalName", "externalName": "example.com"}
    as_name, faults = rules.update(as_balancer, spec=named)
    assert faults == []
    assert as_name["spec"] == {
        "type": "ExternalName", "externalName": "example.com", "sessionAffinity": "None",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
    }  # fmt: skip
    back, faults = rules.update(as_name, spec={"ports": [{"port": 80}]})
    assert faults == [] and back["spec"]["type"] == "ClusterIP" and back["spec"]["clusterIP"] != address
    _, faults = rules.update(old, spec={**old["spec"], "type": "ExternalName"})
    assert faults == ["spec.externalName: Required value"]


def test_an_update_that_leaves_out_allocated_values_keeps_them(rules: Rules) -> None:
    old = rules.create(service(type="NodePort", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}]))
    sent = {"type": "NodePort", "ports": [{"name": "b", "port": 81}, {"name": "a", "port": 8080}]}
    new, faults = rules.update(old, spec=sent)
    assert faults == [] and new["spec"]["clusterIP"] == old["spec"]["clusterIP"]
    before = {port["name"]: port["nodePort"] for port in old["spec"]["ports"]}
    assert {port["name"]: port["nodePort"] for port in new["spec"]["ports"]} == before


def test_a_cluster_ip_may_not_change(rules: Rules) -> None:
    old = rules.create(service(clusterIP="10.96.1.1"))
    _, faults = rules.update(old, spec={**old["spec"], "clusterIP": "10.96.1.2", "clusterIPs": ["10.96.1.2"]})
    assert faults == ['spec.clusterIPs[0]: Invalid value: ["10.96.1.2"]: may not change once set']


def test_a_released_port_can_be_taken(rules: Rules) -> None:
    old = rules.create(service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    new, _ = rules.update(old, spec={**old["spec"], "type": "ClusterIP"})
    assert "nodePort" not in new["spec"]["ports"][0] and "externalTrafficPolicy" not in new["spec"]
    rules.objects["services"] = [new]
    assert rules.create(service("b", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({"ports": []}, ["spec.ports: Required value"]),
        (
            {"ports": [{"port": 80}, {"port": 81}]},
            ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
        ),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 80}]},
            [
                'spec.ports[1].name: Duplicate value: "a"',
                'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,'
                '"TargetPort":0,"NodePort":0}',
            ],
        ),
        (
            {"ports": [{"port": 70000, "protocol": "HTTP", "targetPort": "8080"}]},
            [
                "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
                'spec.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"',
                'spec.ports[0].targetPort: Invalid value: "8080": must contain at least one letter (a-z)',
            ],
        ),
        (
            {"type": "Odd"},
            [
                'spec.type: Unsupported value: "Odd": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
                '"NodePort"'
            ],
        ),
        (
            {"trafficDistribution": "Far"},
            [
                'spec.trafficDistribution: Unsupported value: "Far": supported values: '
                '"PreferClose", "PreferSameZone", '
                '"PreferSameNode"'
            ],
        ),
        (
            {"externalTrafficPolicy": "Local"},
            ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
        ),
        (
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"]},
            [
                'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": '
                "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            ],
        ),
        (
            {"externalIPs": ["127.0.0.1"]},
            [
                'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range '
                "(127.0.0.0/8, ::1/128)"
            ],
        ),
    ],
)
def test_invalid_services(rules: Rules, spec: dict[str, Any], faults: list[str]) -> None:
    assert rules.faults(service(**spec)) == faults


def test_the_two_topology_annotations_must_agree(rules: Rules) -> None:
    odd = service()
    old, new = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
    odd["metadata"]["annotations"] = {new: "Auto", old: "Disabled"}
    assert rules.faults(odd) == [
        f'metadata.annotations[{new}]: Invalid value: "Auto": must match annotations[{old}] when both are specified'
    ]
    assert SERVICE.warnings(odd, None) == [f"annotation {old} is deprecated, please use {new} instead"]


def test_the_status_of_a_load_balancer(rules: Rules) -> None:
    balancer = rules.create(service("lb", type="LoadBalancer"))
    new, faults = rules.status(balancer, {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}})
    assert faults == [] and new["status"]["loadBalancer"]["ingress"] == [{"ip": "203.0.113.7", "ipMode": "VIP"}]
    _, faults = rules.status(rules.create(service("c")), {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}})
    assert faults == ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]


def test_a_service_without_a_name_fails_when_its_address_is_recorded(rules: Rules) -> None:
    nameless = service()
    del nameless["metadata"]["name"]
    (fault,) = refusal(rules, nameless)
    assert fault.startswith(
        'spec.clusterIPs: Invalid value: [""]: failed to allocate IP: IPAddress.networking.k8s.io "10.96.'
    )
    assert fault.endswith("is invalid: spec.parentRef.name: Required value")


def test_warnings(rules: Rules) -> None:
    def of(**spec: Any) -> list[str]:
        return SERVICE.warnings(rules.prepared(service(**spec)), None)

    assert of(trafficDistribution="PreferClose") == [
        'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
    ]
    assert of(externalIPs=["203.0.113.9"]) == [
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    ]
    assert of(clusterIP="None", externalIPs=["203.0.113.9"], sessionAffinity="ClientIP") == [
        "spec.externalIPs is ignored for headless services",
        "spec.SessionAffinity is ignored for headless services",
    ]
    assert of(type="ExternalName", externalName="example.com", externalIPs=["203.0.113.9"]) == [
        'spec.externalIPs is ignored when spec.type is "ExternalName"'
    ]
    assert of(type="LoadBalancer", externalIPs=["2001:DB8::9"], loadBalancerIP="203.0.113.007") == [
        'spec.externalIPs[0]: IPv6 address "2001:DB8::9" should be in RFC 5952 canonical format ("2001:db8::9")',
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        'spec.loadBalancerIP: non-standard IP address "203.0.113.007" will be considered invalid in a future '
        'Kubernetes release: use "203.0.113.7"',
    ]
    assert of() == []
