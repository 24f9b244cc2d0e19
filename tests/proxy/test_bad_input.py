"""Objects that Kubernetes would refuse and commands that make no sense: one clear error, and nothing written."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from random_clusters import node
from recorded_cases import RECORDINGS, objects
from test_sync import endpoint_slice, service

from epkit.proxy import ObjectError, Proxy, ProxyError, load
from epkit.proxy.commands import register
from epkit.proxy.validate import check_objects

Change = Callable[[dict[str, Any]], object]


def port(**fields: Any) -> Change:
    return lambda s: s["spec"]["ports"][0].update(fields)


def spec(**fields: Any) -> Change:
    return lambda s: s["spec"].update(fields)


def entry(**fields: Any) -> Change:
    return lambda s: s["endpoints"][0].update(fields)


VALID_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
SERVICES: dict[str, tuple[Change, str]] = {
    "port 0": (port(port=0), "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
    "port as text": (port(port="80"), 'spec.ports[0].port: Invalid value: "80": must be an integer'),
    "protocol": (
        port(protocol="HTTP"),
        'spec.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"',
    ),
    "no ports": (spec(ports=[]), "spec.ports: Required value"),
    "names": (
        spec(ports=[{"name": "a", "port": 1}, {"name": "a", "port": 2}]),
        'spec.ports[1].name: Duplicate value: "a"',
    ),
    "no name": (spec(ports=[{"port": 1}, {"name": "a", "port": 2}]), "spec.ports[0].name: Required value"),
    "node port": (
        port(nodePort=30000),
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
    "no cluster IP": (
        lambda s: (s["spec"].pop("clusterIP"), s["spec"].pop("clusterIPs")),
        "spec.clusterIP: Required value: the API server allocates it; take the Service from the cluster "
        "(kubectl get -o yaml)",
    ),
    "cluster IP": (
        spec(clusterIP="10.96.0.300", clusterIPs=["10.96.0.300"]),
        f'spec.clusterIP: Invalid value: "10.96.0.300": {VALID_IP}',
    ),
    "leading zeros": (
        spec(externalIPs=["010.0.0.1"]),
        'spec.externalIPs[0]: Invalid value: "010.0.0.1": must not have leading 0s',
    ),
    "not canonical": (
        spec(externalIPs=["FD00:0::1"]),
        'spec.externalIPs[0]: Invalid value: "FD00:0::1": must be in canonical form ("fd00::1")',
    ),
    "one family twice": (
        spec(clusterIPs=["10.96.10.1", "10.96.10.2"]),
        'spec.clusterIPs: Invalid value: ["10.96.10.1", "10.96.10.2"]: '
        "may specify no more than one IP for each IP family",
    ),
    "families": (
        spec(ipFamilies=["IPv6"]),
        'spec.clusterIPs[0]: Invalid value: "10.96.10.1": expected an IPv6 value as indicated by `ipFamilies[0]`',
    ),
    "policy": (
        spec(externalTrafficPolicy="Local"),
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    ),
    "affinity": (
        spec(sessionAffinity="Cookie"),
        'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"',
    ),
    "timeout": (
        spec(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 86401}}),
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: "
        "must be greater than 0 and less than 86400",
    ),
    "range": (
        spec(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.1"]),
        'spec.loadBalancerSourceRanges[0]: Invalid value: "10.0.0.1": '
        "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
    ),
    "load balancer": (
        lambda s: s.update(status={"loadBalancer": {"ingress": [{"ip": "nowhere"}]}}),
        f'status.loadBalancer.ingress[0].ip: Invalid value: "nowhere": {VALID_IP}',
    ),
    "version": (lambda s: s.update(apiVersion="v2"), 'apiVersion: "v2" is not what this reads: v1'),
}
SLICES: dict[str, tuple[Change, str]] = {
    "no type": (lambda s: s.pop("addressType"), "addressType: Required value"),
    "type": (
        lambda s: s.update(addressType="IP"),
        'addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"',
    ),
    "no address": (entry(addresses=[]), "endpoints[0].addresses: Required value: must contain at least 1 address"),
    "a name": (
        entry(addresses=["db.example.com"]),
        f'endpoints[0].addresses[0]: Invalid value: "db.example.com": {VALID_IP}',
    ),
    "mixed families": (
        entry(addresses=["fd00::1"]),
        'endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address',
    ),
    "loopback": (
        entry(addresses=["127.0.0.1"]),
        'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": '
        "may not be in the loopback range (127.0.0.0/8, ::1/128)",
    ),
    "nobody's": (
        entry(addresses=["0.0.0.0"]),
        'endpoints[0].addresses[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
    ),
    "link-local": (
        entry(addresses=["169.254.1.1"]),
        'endpoints[0].addresses[0]: Invalid value: "169.254.1.1": '
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
    ),
    "condition": (
        entry(conditions={"ready": "yes"}),
        'endpoints[0].conditions.ready: Invalid value: "yes": must be true or false',
    ),
    "too many": (
        lambda s: s.update(endpoints=[{"addresses": ["10.0.0.1"]}] * 1001),
        "endpoints: Too many: 1001: must have at most 1000 items",
    ),
    "port names": (
        lambda s: s.update(ports=[{"name": "a", "port": 1}, {"name": "a", "port": 2}]),
        'ports[1].name: Duplicate value: "a"',
    ),
    "hints": (
        entry(hints={"forZones": [{"name": str(i)} for i in range(9)]}),
        "endpoints[0].hints.forZones: Too many: 9: must have at most 8 items",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_services_that_the_api_refuses(name: str) -> None:
    change, message = SERVICES[name]
    web = service("web", 1)
    change(web)
    with pytest.raises(ObjectError) as caught:
        check_objects([web])
    assert str(caught.value) in (f"Service demo/web: {message}", f"Service web: {message}")


@pytest.mark.parametrize("name", SLICES)
def test_slices_that_the_api_refuses(name: str) -> None:
    change, message = SLICES[name]
    web = endpoint_slice("web", 1)
    change(web)
    with pytest.raises(ObjectError) as caught:
        check_objects([web])
    assert str(caught.value) == f"EndpointSlice demo/web-1: {message}"


def test_what_cannot_be_allocated_twice() -> None:
    with pytest.raises(ObjectError, match=r"demo/b: spec.clusterIPs\[0\]: .*already allocated \(by Service demo/a\)"):
        check_objects([service("a", 1), service("b", 1)])
    ports = [{"name": "http", "port": 80, "nodePort": 30080}]
    pair = [service(name, i, type="NodePort", ports=ports) for i, name in enumerate("ab", 1)]
    with pytest.raises(
        ObjectError, match=r"demo/b: spec.ports\[0\].nodePort: Invalid value: 30080: .*already allocated"
    ):
        check_objects(pair)


def test_the_same_object_twice() -> None:
    with pytest.raises(ObjectError, match="Service demo/a: stands there twice"):
        check_objects([service("a", 1), service("a", 2)])


def test_refused_objects_leave_the_rules_as_they_were() -> None:
    proxy = Proxy("node-1")
    proxy.sync([node("node-1", None), service("web", 1), endpoint_slice("web", 2)])
    before = proxy.rules()
    with pytest.raises(ObjectError):
        proxy.sync([node("node-1", None), service("web", 1), endpoint_slice("web", 1), {"kind": "Service"}])
    assert proxy.rules() == before
    proxy.sync([node("node-1", None), service("web", 1), endpoint_slice("web", 1)])
    assert proxy.rules() != before


# Sending ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("src", "dst", "port", "protocol", "message"),
    [
        ("10.244.1.9", "fd00::1", 80, "TCP", "destination: fd00::1 is IPv6, and this proxy serves IPv4"),
        ("fd00::1", "10.96.10.2", 80, "TCP", "source: fd00::1 is IPv6, and this proxy serves IPv4"),
        ("node-2", "10.96.10.2", 80, "TCP", "source: 'node-2' is not an address, nor the name of this node, node-1"),
        ("0.0.0.0", "10.96.10.2", 80, "TCP", "source: nobody owns 0.0.0.0, so no packet comes from it"),
        ("10.96.10.2", "10.96.10.2", 80, "TCP", "source: 10.96.10.2 is the cluster IP of demo/web; nobody owns it"),
        ("10.244.1.9", "10.96.10.2", 0, "TCP", "0 is not a port: 1 to 65535"),
        ("10.244.1.9", "10.96.10.2", 80, "ICMP", "unknown protocol 'ICMP': TCP, UDP or SCTP"),
    ],
)
def test_packets_that_cannot_be(src: str, dst: str, port: int, protocol: str, message: str) -> None:
    proxy = Proxy("node-1")
    proxy.sync(objects("02-three-ready"))
    with pytest.raises(ProxyError) as caught:
        proxy.send(src, dst, port, protocol)
    assert message in str(caught.value)


@pytest.mark.parametrize(("mode", "outcome"), [("iptables", "passed"), ("nftables", "dropped")])
def test_a_packet_to_nowhere_is_an_answer(mode: str, outcome: str) -> None:
    proxy = Proxy("node-1", mode)
    proxy.sync(objects("02-three-ready"))
    assert proxy.send("10.244.1.9", "10.96.77.77", 80).outcomes == {outcome: 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "ipvs"}, "unknown mode 'ipvs': iptables or nftables"),
        ({"family": "IPv5"}, "unknown family 'IPv5': IPv4 or IPv6"),
        ({"cluster_cidr": "10.0.0.1/8"}, "cluster-cidr: '10.0.0.1/8' is not a range of addresses"),
        ({"cluster_cidr": "10.0.0.0/8,11.0.0.0/8"}, "cluster-cidr: one range of each family at most"),
    ],
)
def test_settings_that_make_no_proxy(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        Proxy("node-1", **arguments)


# The commands -------------------------------------------------------------------------------------------------------

WEB = RECORDINGS / "48-lb-source-ranges.yaml"


def run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="epkit")
    register(parser.add_subparsers())
    options = parser.parse_args(words)
    return int(options.run(options))


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_the_rules_command_prints_what_the_proxy_writes(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rules", "-f", str(WEB), "--node", "node-1", "--mode", mode) == 0
    proxy = Proxy("node-1", mode)
    proxy.sync(load(WEB))
    out = capsys.readouterr()
    assert (out.out, out.err) == (proxy.rules(), "")


def test_the_send_command_tells_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    common = ("-f", str(WEB), "--node", "node-1", "--mode", "nftables")
    assert run("send", *common, "--from", "198.51.100.99", "--to", "203.0.113.9:80") == 0
    assert "firewall-check" in (out := capsys.readouterr().out) and "dropped: the client gets nothing" in out
    assert run("send", *common, "--to", "10.96.10.48:80", "-n", "50", "--seed", "3") == 0
    assert "50 connections, each a new one:" in capsys.readouterr().out


def test_other_kinds_are_passed_over_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "demo", "name": "web"}}
    file = tmp_path / "all.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, *load(WEB)]}))
    assert run("rules", "-f", str(file), "--node", "node-1") == 0
    assert (
        capsys.readouterr().err == "epkit: passed over 1 Pod: kube-proxy reads Services, EndpointSlices and its Node\n"
    )


def test_objects_without_a_namespace_are_in_default(tmp_path: Path) -> None:
    web = service("web", 1)
    del web["metadata"]["namespace"]
    file = tmp_path / "web.yaml"
    file.write_text(yaml.safe_dump_all([web, node("node-1", None)]))
    proxy = Proxy("node-1")
    proxy.sync(load(file))
    assert [str(name) for name in proxy.service_map] == ["default/web:http"]


BROKEN = {
    "not YAML": ("a: [1, 2", "not YAML, line 2, column 1: did not find expected ',' or ']'"),
    "tabs": ("a:\n\t- b", "not YAML, line 2, column 1"),
    "only text": ("good morning", "document 1 is not an API object but str"),
    "no kind": ("metadata: {name: web}", "not an API object, since it has no kind"),
    "binary": ("\x00\x01", "not YAML"),
    "refused": (
        yaml.safe_dump(service("web", 1, ports=[{"port": 0}])),
        "Service demo/web: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_cannot_be_used_are_named_and_nothing_is_printed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, message = BROKEN[name]
    file = tmp_path / "objects.yaml"
    file.write_text(text)
    with pytest.raises(ProxyError) as caught:
        run("rules", "-f", str(file), "--node", "node-1")
    assert str(caught.value).startswith(f"{file}: {message}") and "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_missing_file_and_an_unknown_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProxyError, match="nowhere.yaml: cannot be read: No such file or directory"):
        run("rules", "-f", str(tmp_path / "nowhere.yaml"), "--node", "node-1")
    with pytest.raises(
        ProxyError, match=r"48-lb.*yaml: Node node-9: not found.*the nodes here are node-1, node-2, node-3"
    ):
        run("rules", "-f", str(WEB), "--node", "node-9")
    with pytest.raises(ProxyError, match="--to 10.96.0.1: expected ADDRESS:PORT"):
        run("send", "-f", str(WEB), "--node", "node-1", "--to", "10.96.0.1")
    assert capsys.readouterr().out == ""


# A cluster ----------------------------------------------------------------------------------------------------------

PATHS = {
    "/api/v1/nodes": "Node",
    "/api/v1/services": "Service",
    "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice",
}


@pytest.fixture
def api_server() -> Iterator[str]:
    """An API server that lists the objects of one recorded case, as real ones do: without their kind."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind = PATHS[self.path.partition("?")[0]]
            items = [
                {k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in load(WEB) if o["kind"] == kind
            ]
            body = json.dumps({"kind": f"{kind}List", "items": items}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def kubeconfig(path: Path, server: str) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "c", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_objects_come_from_a_cluster(api_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rules", "--kubeconfig", str(kubeconfig(tmp_path / "config", api_server)), "--node", "node-1") == 0
    proxy = Proxy("node-1")
    proxy.sync(load(WEB))
    assert capsys.readouterr().out == proxy.rules()


def test_a_cluster_that_cannot_be_reached(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    with pytest.raises(ProxyError, match=r"config: Nodes cannot be read from http://127.0.0.1:1"):
        run("rules", "--kubeconfig", str(file), "--node", "node-1")
    with pytest.raises(ProxyError, match="nothing: no kubeconfig that can be used"):
        run("rules", "--kubeconfig", str(tmp_path / "nothing"), "--node", "node-1")
    with pytest.raises(ProxyError, match="--context goes with --kubeconfig"):
        run("rules", "-f", str(WEB), "--context", "x", "--node", "node-1")
