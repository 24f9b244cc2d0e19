from __future__ import annotations

import pytest
import yaml
from stand_in import FLAGS, parse

from epkit.errors import EpkitError
from epkit.targets.controlplane.binaries import NAMES
from epkit.targets.controlplane.components import Files, Ports, command, flags_of

PORTS = Ports(1, 2, 3, 4, 5)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_is_one_of_the_program(files, tmp_path, name):
    words = command(name, files, PORTS, {}, tmp_path / "audit.log")
    assert parse(name, words).keys() <= FLAGS[name]
    assert all("=" in word for word in words)


def test_all_listen_on_loopback_alone(files):
    for name in NAMES[1:]:
        assert "--bind-address=127.0.0.1" in command(name, files, PORTS, {}, None)
    etcd = parse("etcd", command("etcd", files, PORTS, {}, None))
    assert etcd["listen-client-urls"] == "https://127.0.0.1:1"
    assert etcd["listen-peer-urls"] == "https://127.0.0.1:2"


def test_kubernetes_has_an_address_that_endpoints_may_have(files):
    """Endpoints of the loopback interface are refused, so kube-apiserver could not write its own."""
    flags = parse("kube-apiserver", command("kube-apiserver", files, PORTS, {}, None))
    assert flags["advertise-address"] == "172.18.0.2"


def test_the_audit_log_tells_writes_and_no_secrets(files, tmp_path):
    flags = parse("kube-apiserver", command("kube-apiserver", files, PORTS, {}, tmp_path / "audit.log"))
    assert flags["audit-log-path"] == str(tmp_path / "audit.log")
    with open(flags["audit-policy-file"]) as file:
        policy = yaml.safe_load(file)
    assert policy["kind"] == "Policy"
    assert [rule["level"] for rule in policy["rules"]] == ["Metadata", "Metadata", "Request"]
    assert "secrets" in policy["rules"][1]["resources"][0]["resources"]
    assert "audit-log-path" not in parse("kube-apiserver", command("kube-apiserver", files, PORTS, {}, None))


def test_a_learners_flags_take_the_place_of_ours(files):
    flags = {"kube-api-qps": "20", "max-endpoints-per-slice": "3"}
    words = command("kube-controller-manager", files, PORTS, flags, None)
    assert "--kube-api-qps=20" in words
    assert "--kube-api-qps=200" not in words
    assert "--max-endpoints-per-slice=3" in words


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"endpointslice-controller": {"max_endpoints_per_slice": 3}}, ("max-endpoints-per-slice", "3")),
        (
            {"endpointslice-controller": {"endpointslice_updates_batch_period": 0.5}},
            ("endpointslice-updates-batch-period", "0.5s"),
        ),
        ({"endpoints-controller": {"endpoint_updates_batch_period": "1s"}}, ("endpoint-updates-batch-period", "1s")),
        ({"node-lifecycle-controller": {"node_monitor_grace_period": 20}}, ("node-monitor-grace-period", "20s")),
        ({"kube-controller-manager": {"max-endpoints-per-slice": 3}}, ("max-endpoints-per-slice", "3")),
        ({"kube-controller-manager": {"allocate_node_cidrs": False}}, ("allocate-node-cidrs", "false")),
    ],
)
def test_flags_are_given_as_to_the_built_in_cluster_or_by_program(given, flag):
    assert flags_of(given) == {"kube-controller-manager": dict([flag])}


@pytest.mark.parametrize("given", [{"endpointslice-controller": {"nonsense": 1}}, {"nonsense": {"v": 1}}])
def test_an_option_that_cannot_be_passed_on(given):
    with pytest.raises(EpkitError, match="endpointslice-controller: max_endpoints_per_slice"):
        flags_of(given)


def test_a_kubeconfig_holds_all_that_it_needs(files, tmp_path):
    file = files.kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:3", "kubernetes-admin", "system:masters")
    content = yaml.safe_load(file.read_text())
    assert content["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:3"
    assert content["current-context"] == "epkit"
    assert set(content["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
