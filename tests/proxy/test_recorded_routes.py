"""Packets go where real connections went: the same endpoints, verdicts, sources and affinity.

How often each endpoint answered is chance. A recorded count is allowed where the model's distribution makes it likely
enough: for a binomial count c out of n with chance p, Chernoff's bound gives

    P(count at least as far off as c) <= 2 exp(-n KL(c/n || p)),

and with COUNTS counts altogether a true model fails once in 1/FALSE_ALARM runs if each count may have a bound of
FALSE_ALARM / COUNTS.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest
from recorded_cases import NAMES, RECORDINGS, proxy

from epkit.proxy import Proxy
from epkit.proxy.names import family_of

SOURCES = {
    "pod": {"IPv4": "10.244.1.100", "IPv6": "fd00:10:244:1::100"},
    "p2": {"IPv4": "10.244.1.2", "IPv6": "fd00:10:244:1::2"},
    "p3": {"IPv4": "10.244.1.3", "IPv6": "fd00:10:244:1::3"},
    "rpod": {"IPv4": "10.244.2.9", "IPv6": "fd00:10:244:2::9"},
}
MODES = {"iptables": "iptables", "nft": "nftables"}
FALSE_ALARM = 1e-6
COUNTS = 5000  # more than there are


def _probes() -> list[tuple[str, int, str]]:
    found = []
    for name in NAMES:
        probes = json.loads((RECORDINGS / f"{name}.routes.json").read_text())["probes"]
        found += [(name, i, mode) for i in range(len(probes)) for mode in MODES]
    return found


def likely(count: int, n: int, p: float) -> bool:
    """Is a count of a binomial variable within the bound above?"""
    q = count / n
    divergence = sum(a * math.log(a / b) for a, b in ((q, p), (1 - q, 1 - p)) if a > 0 and b > 0)
    if (p in (0, 1)) and q != p:
        return False
    return 2 * math.exp(-n * divergence) >= FALSE_ALARM / COUNTS


def verdicts(recorded: dict[str, Any]) -> set[tuple[str, bool | None]]:
    """(outcome, ended on the node itself) of the errors that the clients saw."""
    words = {
        "(icmp 3/3)": ("rejected", None),
        "timeout": ("dropped", None),
        "no route": ("passed", False),
        "(rst)": ("passed", True),
    }
    return {next(verdict for word, verdict in words.items() if word in text) for text in recorded.get("errors", {})}


def send(model: Proxy, probe: dict[str, Any], n: int, seed: int) -> list[Any]:
    family = family_of(probe["dst"])
    src = "node-1" if probe["from"] == "node" else probe.get("src") or SOURCES[probe["from"]][family]
    walks = []
    for i in range(n):
        walks += model.send(src, probe["dst"], probe["port"], probe["proto"], seed=seed + i).walks
        model.clock.advance(probe.get("gap", 0.01))
    return walks


PROBES = _probes()


@pytest.mark.parametrize(("name", "index", "recorded_mode"), PROBES, ids=["-".join(map(str, p)) for p in PROBES])
def test_connections_go_where_real_ones_went(name: str, index: int, recorded_mode: str) -> None:
    probe = json.loads((RECORDINGS / f"{name}.routes.json").read_text())["probes"][index]
    recorded = probe[recorded_mode]
    model = proxy(name, MODES[recorded_mode], family_of(probe["dst"]), pod_cidrs=True)
    walks = send(model, probe, probe["n"], seed=index * 10_000)

    # What the clients saw who got no answer.
    refused = {(w.outcome, w.to_node if w.outcome == "passed" else None) for w in walks if w.outcome != "delivered"}
    assert refused == verdicts(recorded)

    answers = recorded.get("answers", {})
    if not answers:
        return
    ours = Counter(walk.endpoint for walk in walks)
    if len(answers) == 1:
        # One endpoint for all: because there is no other, or because the client stays with its first one.
        assert len(ours) == 1
    # Everything that can be chosen: with long enough pauses, no client is remembered.
    chosen = {str(walk.endpoint) for walk in (*walks, *send(model, {**probe, "gap": 1e5}, 64, seed=1_000_000))}
    assert answers.keys() <= chosen
    n = sum(answers.values())
    if len(answers) > 1:
        assert len(ours) > 1
        for endpoint in chosen:
            assert likely(answers.get(endpoint, 0), n, 1 / len(chosen)), f"recorded {endpoint}: {answers}"
            assert likely(ours.get(endpoint, 0), len(walks), 1 / len(chosen)), f"ours {endpoint}: {ours}"

    # The source that each endpoint saw: recorded per source, so compare the sources that the recorded answers imply.
    seen_by = {walk.endpoint: walk.source for walk in walks}
    if answers.keys() <= seen_by.keys():
        expected: Counter[str] = Counter()
        for endpoint, count in answers.items():
            expected[seen_by[endpoint]] += count
        assert expected == Counter(recorded["client_seen_as"])
