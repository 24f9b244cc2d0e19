"""The whole target, on stand-ins, and on the real programs where they are found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from control_plane_stand_ins import ROOT, processes_of
from test_processes import soon

from epkit.cluster import Cluster
from epkit.errors import ApiError, EpkitError
from epkit.objects import name_of
from epkit.targets.controlplane import ControlPlane


@pytest.fixture(scope="module")
def opened(assets, tmp_path_factory):
    """A cluster with three nodes that all tests of this module share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EPKIT_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("EPKIT_ASSETS", str(assets))
        target = ControlPlane({"audit": str(tmp_path_factory.mktemp("audit") / "audit.log")})
        cluster = Cluster({}, target)
        pids, folder = target.local._processes.processes.pids, target.local.kubeconfig.parent
        cluster.kubectl("create deployment web --image=nginx --replicas=3")
        cluster.kubectl("expose deployment web --port=80")
        cluster.kubectl("run client --image=busybox -- sleep infinity")
        cluster.settle()
        yield cluster
        cluster.close()
        assert processes_of(pids) == []
        assert not folder.exists()


@pytest.fixture
def cluster(opened):
    return opened


def pods_of(cluster, app: str = "web"):
    return cluster.client.list("pods", cluster.namespace, labels=f"app={app}").items


def ready(cluster, service: str = "web") -> list[str]:
    """The pods that the slices of a Service call ready."""
    slices = cluster.client.list("endpointslices", cluster.namespace, labels=f"kubernetes.io/service-name={service}")
    return sorted(
        endpoint["targetRef"]["name"]
        for one in slices
        for endpoint in one.get("endpoints") or ()
        if endpoint["conditions"]["ready"]
    )


def test_it_says_what_it_is(cluster):
    assert repr(cluster).startswith("<Cluster: local control plane, Kubernetes v1.")
    assert repr(cluster).endswith(", 3 simulated nodes>")


def test_nodes_in_two_zones_are_ready(cluster):
    nodes = cluster.client.list("nodes").items
    zones = {name_of(node): node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert zones == {"node-1": "zone-a", "node-2": "zone-b", "node-3": "zone-a"}
    assert all(any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"]) for n in nodes)
    leases = cluster.client.list("leases", "kube-node-lease")
    assert {name_of(lease) for lease in leases} == set(zones)


def test_pods_run_and_their_slices_say_so(cluster):
    pods = pods_of(cluster)
    assert [pod["status"]["phase"] for pod in pods] == ["Running"] * 3
    assert ready(cluster) == sorted(map(name_of, pods))


def test_the_service_of_the_api_server_leads_to_it(cluster):
    found = cluster.client.get("endpoints", "kubernetes", "default")["subsets"][0]
    assert found["addresses"] == [{"ip": "172.18.0.2"}]
    assert cluster.exec(name_of(pods_of(cluster)[0]), "curl -sk https://kubernetes.default/healthz").stdout == "ok"


def test_dns_is_there_and_names_lead_to_services(cluster):
    address = cluster.client.get("services", "web", cluster.namespace)["spec"]["clusterIP"]
    assert address in cluster.exec("client", "nslookup web").stdout
    assert "Welcome to nginx" in cluster.exec("client", "wget -qO- http://web").stdout


def test_requests_reach_every_pod(cluster):
    answers = cluster.request("http://web", from_pod="client", n=60)
    assert {item.pod for item in answers.items} == set(map(name_of, pods_of(cluster)))
    from_node = cluster.request("http://web", from_node="node-2", n=5)
    assert [item.outcome for item in from_node.items] == ["answered"] * 5


def test_logs_and_exec_are_answered_by_the_simulation(cluster):
    pod = name_of(pods_of(cluster)[0])
    assert "start worker processes" in cluster.kubectl(f"logs {pod}").stdout
    assert cluster.kubectl(f"exec {pod} -- hostname").stdout == f"{pod}\n"
    assert cluster.kubectl("logs nobody").stderr.endswith(
        f'(NotFound): pods "nobody" not found in namespace "{cluster.namespace}"\n'
    )
    with pytest.raises(ApiError, match='pods "nobody" not found'):
        cluster.exec("nobody", "hostname")


def test_a_probe_that_runs_a_command_holds_a_pod_back(cluster):
    probe = {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1}
    container = {"name": "main", "image": "busybox", "command": ["sleep", "infinity"], "readinessProbe": probe}
    labels = {"app": "held"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held", "labels": labels}}
    cluster.client.create("pods", pod | {"spec": {"containers": [container]}}, cluster.namespace)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "held"}}
    service["spec"] = {"selector": labels, "ports": [{"port": 80}]}
    cluster.client.create("services", service, cluster.namespace)
    running = '[{"running"'
    assert soon(lambda: running in json.dumps([
        status["state"] for status in pods_of(cluster, "held")[0]["status"].get("containerStatuses") or ()
    ]))  # fmt: skip
    assert ready(cluster, "held") == []
    cluster.exec("held", "touch /tmp/ready")
    assert soon(lambda: ready(cluster, "held") == ["held"])


def test_a_deleted_pod_goes_and_is_replaced(cluster):
    before = set(map(name_of, pods_of(cluster)))
    gone = sorted(before)[0]
    cluster.kubectl(f"delete pod {gone} --wait=false")
    assert soon(lambda: len(ready(cluster)) == 3 and gone not in ready(cluster), 30)
    assert soon(lambda: gone not in set(map(name_of, pods_of(cluster))), 30)


def test_a_kubelet_that_stops_and_starts_again(cluster):
    switch = cluster.kubelet("node-3")
    switch.stop()
    assert not switch.running
    on_it = [name_of(pod) for pod in pods_of(cluster) if pod["spec"]["nodeName"] == "node-3"]
    if on_it:
        outcomes = {item.outcome for item in cluster.request("http://web", from_node="node-1", n=60).items}
        assert "timed out" in outcomes
    switch.start()
    assert switch.running
    outcomes = {item.outcome for item in cluster.request("http://web", from_node="node-1", n=60).items}
    assert outcomes == {"answered"}
    with pytest.raises(EpkitError, match="There is no simulated node 'node-9'"):
        cluster.kubelet("node-9")


def test_events_come_from_the_kubelet_of_the_node(cluster):
    pod = pods_of(cluster)[0]
    about = f"involvedObject.name={name_of(pod)},reason=Started"
    events = cluster.client.list("events", cluster.namespace, fields=about).items
    assert events[0]["source"] == {"component": "kubelet", "host": pod["spec"]["nodeName"]}


def test_it_writes_an_audit_log(cluster):
    flags = cluster.target.local._processes._audit
    assert Path(flags).read_text().startswith("{")


def test_what_it_lacks_it_refuses(cluster):
    with pytest.raises(EpkitError, match="cannot be stepped by hand"):
        cluster.step()
    with pytest.raises(EpkitError, match="cannot stop, start and slow down single controllers"):
        cluster.controller("endpointslice")


def test_options_are_checked_before_anything_starts():
    with pytest.raises(EpkitError, match="no option 'clock'"):
        ControlPlane({"clock": "instant"})
    with pytest.raises(EpkitError, match="takes 1 to 50 simulated nodes, not 51"):
        ControlPlane({"nodes": 51})
    with pytest.raises(EpkitError, match="no option 'nonsense' of endpointslice-controller"):
        ControlPlane({"flags": {"endpointslice-controller": {"nonsense": 1}}})
    with pytest.raises(EpkitError, match="The audit log cannot be written to /no/such"):
        ControlPlane({"audit": "/no/such/folder/audit.log"})


def test_a_program_that_ends_is_told_when_one_waits(assets, monkeypatch):
    monkeypatch.setenv("EPKIT_ASSETS", str(assets))
    target = ControlPlane({"nodes": 1})
    processes = target.local._processes.processes
    os.kill(processes.pids["kube-controller-manager"], signal.SIGKILL)
    assert soon(lambda: processes.code("kube-controller-manager") is not None)
    with pytest.raises(EpkitError, match="kube-controller-manager ended by signal 9"):
        target.settle()
    target.close()


def test_flags_reach_the_controller_manager(assets, monkeypatch):
    monkeypatch.setenv("EPKIT_ASSETS", str(assets))
    monkeypatch.setenv("STAND_IN_SLICE", "3")  # behind the stand-ins the controllers are kube-apiserver's
    with Cluster({}, ControlPlane({"flags": {"endpointslice-controller": {"max_endpoints_per_slice": 3}}})) as cluster:
        cluster.kubectl("create deployment web --image=nginx --replicas=5")
        cluster.kubectl("expose deployment web --port=80")
        assert soon(lambda: len(ready(cluster)) == 5, 30)
        labels = "kubernetes.io/service-name=web"
        slices = cluster.client.list("endpointslices", cluster.namespace, labels=labels)
        assert sorted(len(one["endpoints"]) for one in slices) == [2, 3]


def test_a_proxy_in_the_environment_is_not_asked(assets, monkeypatch):
    monkeypatch.setenv("EPKIT_ASSETS", str(assets))
    for variable in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, "http://proxy.invalid:3128")
    target = ControlPlane({"nodes": 1})
    assert target.client.list("nodes").items
    target.close()


def test_epkit_up_serves_until_it_is_ended(assets, tmp_path):
    file = tmp_path / "kubeconfig"
    environment = {**os.environ, "EPKIT_ASSETS": str(assets), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "epkit", "up", "--target", "controlplane", "--kubeconfig", str(file), "--nodes=1"]
    command.append("--max-endpoints-per-slice=5")
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == f"export KUBECONFIG={file}\n"
    from epkit.client import Client
    from epkit.targets.http import HttpTransport

    assert name_of(Client(HttpTransport.from_kubeconfig(str(file))).list("nodes").items[0]) == "node-1"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "The cluster has ended." in said
    assert not file.exists()
    assert list(tmp_path.glob("epkit-controlplane-*")) == []


def test_epkit_up_without_programs_says_what_to_do(tmp_path):
    environment = {**os.environ, "EPKIT_ASSETS": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "epkit", "up", "--target", "controlplane"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("epkit: A real control plane needs etcd, kube-apiserver, kube-controller-manager and")


def test_nobody_gets_in_without_a_certificate(cluster):
    """Loopback is shared with everybody on the machine."""
    import ssl

    context = ssl.create_default_context(cafile=str(cluster.target.local._processes.files.ca.file))
    url = f"{cluster.target.local.server}/api/v1/namespaces"
    with pytest.raises(OSError):
        urllib.request.build_opener(urllib.request.HTTPSHandler(context=context)).open(url, timeout=5)
