"""Real connections through a real kernel that has our rules loaded go where `send` says they go."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from netns_network import Network
from recorded_cases import RECORDINGS, proxy
from test_real_kernel_rules import jumps
from test_recorded_routes import SOURCES, likely

from epkit.proxy import Proxy
from epkit.proxy.names import family_of

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(shutil.which("nfacct") is None, reason="needs nfacct, for the counters that rules refer to"),
]
#: One of each kind of way that a packet can take.
CASES = (
    "02-three-ready",
    "27-nodeport-local-with",
    "28-nodeport-local-without",
    "30-nodeport-no-endpoints",
    "33-itp-etp-local",
    "34-affinity",
    "48-lb-source-ranges",
    "53-lb-no-endpoints",
    "54-udp",
    "59-dual-stack",
    "63-hairpin",
    "64-host-network-endpoint",
    "70-external-ips-local-without",
    "72-clusterip-other-port",
)
CONNECTIONS = 16


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network(f"epkit-{os.getpid()}-") as made:
        for counter in ("localhost_nps_accepted_pkts", "ct_state_invalid_dropped_pkts"):
            made.run("node", f"nfacct add {counter}")
        yield made


def load(network: Network, model: Proxy, transaction: str) -> None:
    network.run("node", "conntrack -F")
    if model.mode == "nftables":
        network.run("node", "nft -f -", transaction)
    else:
        tool = "ip6tables" if model.family == "IPv6" else "iptables"
        network.run("node", f"{tool}-restore", jumps(model.rules()))
        network.run("node", f"{tool}-restore --noflush", transaction)


def expected(model: Proxy, src: str, probe: dict[str, Any]) -> tuple[set[str], set[str]]:
    """What connections may get, and the answers among it ("endpoint|source seen"), with no memory of clients."""
    got = set()
    for seed in range(80):
        (walk,) = model.send(src, probe["dst"], probe["port"], probe["proto"], seed=seed).walks
        model.clock.advance(1e6)
        if walk.outcome == "delivered":
            got.add(f"{walk.endpoint}|{walk.source}")
        elif walk.outcome == "passed":
            got.add("refused" if walk.to_node else "unreachable")
        else:
            got.add({"rejected": "refused", "dropped": "timeout"}[walk.outcome])
    return got, {answer for answer in got if "|" in answer}


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("name", CASES)
def test_real_connections_go_where_send_says(network: Network, name: str, mode: str) -> None:
    probes = json.loads((RECORDINGS / f"{name}.routes.json").read_text())["probes"]
    network.run("node", "nft flush ruleset")
    models: dict[str, Proxy] = {}
    for family in sorted({family_of(probe["dst"]) for probe in probes}):
        models[family] = proxy(name, mode, family, pod_cidrs=True)
        transaction = models[family].last_report.transaction
        load(network, models[family], transaction)
    for probe in probes:
        if "gap" in probe:
            continue  # it would take real time
        family = family_of(probe["dst"])
        src = "node-1" if probe["from"] == "node" else probe.get("src") or SOURCES[probe["from"]][family]
        may_get, answers = expected(models[family], src, probe)
        where = "world" if probe["from"] == "ext" else probe["from"]
        got = network.connect(
            where,
            None if src == "node-1" else src,
            probe["dst"],
            probe["port"],
            probe["proto"],
            min(CONNECTIONS, probe["n"]),
        )
        assert set(got) <= may_get, (probe["from"], probe["dst"], probe["port"])
        if len(answers) > 1 and name != "34-affinity":
            counts = Counter(got)
            for answer in answers:
                assert likely(counts[answer], len(got), 1 / len(answers)), counts
        if name == "34-affinity":
            assert len(set(got)) == 1
