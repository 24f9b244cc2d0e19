"""Names as CoreDNS answers them."""

from __future__ import annotations

import pytest

from epkit.fake.dns import NOERROR, NXDOMAIN, Dns, reverse_name
from epkit.fake.resolver import Config

ZONE = "default.svc.cluster.local"


@pytest.fixture
def dns(inside) -> Dns:
    return Dns(inside.api)


def records(dns: Dns, name: str, type: str = "A") -> list[tuple[str, str]]:
    reply = dns.query(name, type)
    assert reply.code == NOERROR
    return [(record.type, record.data) for record in reply.records]


def test_a_service_is_its_cluster_ip_whatever_its_endpoints_do(inside, dns) -> None:
    address = inside.service()["spec"]["clusterIP"]
    assert records(dns, f"web.{ZONE}") == [("A", address)]
    assert records(dns, f"WEB.{ZONE.upper()}.") == [("A", address)], "names have no case"


def test_a_headless_service_is_its_ready_endpoints(inside, dns) -> None:
    pods = inside.web(3)
    inside.service(clusterIP="None")
    assert {data for _, data in records(dns, f"web.{ZONE}")} == {inside.address(pod) for pod in pods}
    inside.api.patch("pods", pods[0], {"metadata": {"annotations": {"fake/ready": "false"}}}, "default")
    inside.plane.settle()
    assert {data for _, data in records(dns, f"web.{ZONE}")} == {inside.address(pod) for pod in pods[1:]}


def test_not_ready_addresses_are_published_where_the_service_says_so(inside, dns) -> None:
    inside.web(1, readinessProbe={"exec": {"command": ["false"]}})
    inside.service(clusterIP="None", publishNotReadyAddresses=True)
    assert len(records(dns, f"web.{ZONE}")) == 1


def test_a_headless_service_without_ready_endpoints_does_not_exist(inside, dns) -> None:
    inside.service(clusterIP="None")
    assert dns.query(f"web.{ZONE}").code == NXDOMAIN


def test_the_order_of_addresses_turns(inside, dns) -> None:
    inside.web(3)
    inside.service(clusterIP="None")
    first = [dns.query(f"web.{ZONE}").addresses[0] for _ in range(3)]
    assert len(set(first)) == 3


def test_pods_with_hostname_and_subdomain_have_names(inside, dns) -> None:
    inside.client("a", labels={"app": "db"}, hostname="db-0", subdomain="db")
    inside.service("db", clusterIP="None")
    assert records(dns, f"db-0.db.{ZONE}") == [("A", inside.address("a"))]
    assert inside.says("hostname -f", pod="a") == f"db-0.db.{ZONE}\n"


def test_other_endpoints_have_their_address_for_a_name(inside, dns) -> None:
    [pod] = inside.web(1)
    inside.service()
    dashed = inside.address(pod).replace(".", "-")
    assert records(dns, f"{dashed}.web.{ZONE}") == [("A", inside.address(pod))]
    assert dns.query(f"10-0-0-1.web.{ZONE}").code == NXDOMAIN


def test_named_ports_have_srv_records(inside, dns) -> None:
    inside.service(port=8080)
    [record] = dns.query(f"_http._tcp.web.{ZONE}", "SRV").records
    assert (record.priority, record.weight, record.port, record.data) == (0, 100, 8080, f"web.{ZONE}")
    assert dns.query(f"_other._tcp.web.{ZONE}", "SRV").code == NXDOMAIN
    assert dns.query(f"_http._udp.web.{ZONE}", "SRV").code == NXDOMAIN


def test_srv_records_of_a_headless_service_name_the_endpoints(inside, dns) -> None:
    pods = inside.web(3)
    inside.service(clusterIP="None")
    reply = dns.query(f"_http._tcp.web.{ZONE}", "SRV")
    hosts = {f"{inside.address(pod).replace('.', '-')}.web.{ZONE}" for pod in pods}
    assert {(record.data, record.weight, record.port) for record in reply.records} == {(host, 33, 80) for host in hosts}
    assert {record.name for record in reply.extra} == hosts


def test_an_external_name_is_an_alias(inside, dns) -> None:
    inside.service("ext", type="ExternalName", externalName="db.example.com", selector=None, ports=None)
    assert records(dns, f"ext.{ZONE}") == [("CNAME", "db.example.com")]
    address = inside.service()["spec"]["clusterIP"]
    inside.service("alias", type="ExternalName", externalName=f"web.{ZONE}", selector=None, ports=None)
    assert records(dns, f"alias.{ZONE}") == [("CNAME", f"web.{ZONE}"), ("A", address)]


def test_addresses_of_the_other_family_are_no_data(inside, dns) -> None:
    inside.service()
    assert records(dns, f"web.{ZONE}", "AAAA") == []


def test_ipv6_endpoints_have_aaaa_records(inside, dns) -> None:
    inside.service(clusterIP="None", selector=None)
    meta = {"name": "by-hand", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}}
    endpoints = [{"addresses": ["fd00:10:244::7"]}]
    kind = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv6"}
    inside.api.create("endpointslices", {**kind, "metadata": meta, "endpoints": endpoints, "ports": []})
    assert records(dns, f"web.{ZONE}", "AAAA") == [("AAAA", "fd00:10:244::7")]
    assert records(dns, f"fd00-10-244--7.web.{ZONE}", "AAAA") == [("AAAA", "fd00:10:244::7")]
    assert records(dns, f"web.{ZONE}", "A") == []


@pytest.mark.parametrize(
    "name",
    [
        "nosuch." + ZONE,
        "web.nosuch.svc.cluster.local",
        "x.web.y." + ZONE,
        "web.default.what.cluster.local",
        "example.com",
    ],
)
def test_names_that_do_not_exist(inside, dns, name: str) -> None:
    inside.service()
    assert dns.query(name).code == NXDOMAIN


@pytest.mark.parametrize("name", ["cluster.local", "svc.cluster.local", ZONE, "default.pod.cluster.local"])
def test_names_on_the_way_to_others_are_no_data(dns, name: str) -> None:
    assert records(dns, name) == []


def test_a_pod_s_name_is_its_address(dns) -> None:
    assert records(dns, "10-244-1-9.default.pod.cluster.local") == [("A", "10.244.1.9")]
    assert dns.query("web-0.default.pod.cluster.local").code == NXDOMAIN


def test_addresses_lead_back_to_names(inside, dns) -> None:
    [pod] = inside.web(1)
    service = inside.service()
    assert records(dns, reverse_name(service["spec"]["clusterIP"]), "PTR") == [("PTR", f"web.{ZONE}")]
    dashed = inside.address(pod).replace(".", "-")
    assert records(dns, reverse_name(inside.address(pod)), "PTR") == [("PTR", f"{dashed}.web.{ZONE}")]
    assert dns.query(reverse_name("192.0.2.1"), "PTR").code == NXDOMAIN


def test_the_search_list_comes_first_below_five_dots() -> None:
    config = Config.parse("search a.svc.x svc.x x\nnameserver 10.96.0.10\noptions ndots:5\n")
    assert config.candidates("web") == ["web.a.svc.x", "web.svc.x", "web.x", "web"]
    assert config.candidates("a.b.c.d.e.f")[0] == "a.b.c.d.e.f"
    assert config.candidates("web.") == ["web"]


def test_nslookup_prints_what_it_found(inside) -> None:
    address = inside.service()["spec"]["clusterIP"]
    server = "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10#53\n\n"
    assert inside.says("nslookup", "web") == f"{server}Name:\tweb.{ZONE}\nAddress: {address}\n\n"
    done = inside.run("nslookup", "nosuch")
    assert (done.returncode, done.stdout) == (1, f"{server}** server can't find nosuch: NXDOMAIN\n\n")
    found = inside.says("nslookup", "-type=SRV", "_http._tcp.web")
    assert f"_http._tcp.web.{ZONE}\tservice = 0 100 80 web.{ZONE}.\n" in found
    assert inside.says("nslookup", address).startswith(reverse_name(address) + f"\tname = web.{ZONE}.")


def test_getent_looks_into_the_hosts_file_first(inside) -> None:
    address = inside.service()["spec"]["clusterIP"]
    assert inside.says("getent", "hosts", "web") == f"{address:<15} web.{ZONE}\n"
    inside.says("echo '192.0.2.7 web' >> /etc/hosts")
    assert inside.says("getent", "hosts", "web") == "192.0.2.7       web\n"
    assert inside.run("getent", "hosts", "nosuch").returncode == 2


def test_without_coredns_nothing_has_a_name(inside) -> None:
    inside.web(1)
    address = inside.service()["spec"]["clusterIP"]
    inside.api.patch("deployments", "coredns", {"spec": {"replicas": 0}}, "kube-system")
    inside.plane.settle()
    assert inside.run("curl -s web").returncode == 6
    assert inside.run("curl", "-s", address).ok, "an address needs no name"
    assert "no servers could be reached" in inside.run("nslookup", "web").stdout
