"""The real iptables-restore and nft take what the backends write, sync after sync, and list what `rules()` says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator

import canonical_rules as canonical
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_clusters import clusters

from epkit.proxy import Proxy

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(shutil.which("nfacct") is None, reason="needs nfacct, for the counters that rules refer to"),
]
QUICK = settings(
    max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
NAMESPACE = f"epkit-rules-{os.getpid()}"


def run(command: str, given_text: str = "", namespace: str = NAMESPACE) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, *command.split()],
        input=given_text,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}\n{given_text}"
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def namespace() -> Iterator[None]:
    """A network namespace for this module alone."""
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        for counter in ("localhost_nps_accepted_pkts", "ct_state_invalid_dropped_pkts"):
            run(f"nfacct add {counter}")
        yield
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True)


def jumps(rules: str) -> str:
    """The rules in the kernel's own chains, which kube-proxy puts there one by one before its first restore."""
    lines = []
    for line in rules.splitlines():
        words = line.split()
        if line.startswith(("*", "COMMIT")) or (
            line.startswith(":") and words[1] == "-" and "KUBE-S" not in words[0][6:]
        ):
            lines.append(line)
        elif line.startswith("-A") and not words[1].startswith("KUBE-"):
            lines.append(line)
    return "\n".join(lines) + "\n"


def load_iptables(family: str) -> Callable[[Proxy, str, bool], str]:
    tool = "ip6tables" if family == "IPv6" else "iptables"

    def load(proxy: Proxy, transaction: str, first: bool) -> str:
        if first:
            run(f"{tool}-restore", jumps(proxy.rules()))
        run(f"{tool}-restore --noflush", transaction)
        listed = run(f"{tool}-save -t filter") + run(f"{tool}-save -t nat")
        assert canonical.iptables(listed) == canonical.iptables(proxy.rules())
        return listed

    return load


def load_nft(family: str) -> Callable[[Proxy, str, bool], str]:
    ip = "ip6" if family == "IPv6" else "ip"

    def load(proxy: Proxy, transaction: str, first: bool) -> str:
        if first:
            run("nft flush ruleset")
        run("nft -f -", transaction)
        listed = run(f"nft -s list table {ip} kube-proxy")
        assert canonical.nft(listed) == canonical.nft(proxy.rules())
        return listed

    return load


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_the_kernel_lists_what_rules_says_after_every_sync(mode: str, family: str) -> None:
    load = load_iptables(family) if mode == "iptables" else load_nft(family)
    syncs = 0

    @QUICK
    @given(st.lists(clusters(family), min_size=2, max_size=4), st.lists(st.sampled_from((0.5, 1.5, 40.0)), min_size=4))
    def syncs_in_a_row(states: list[list[dict]], pauses: list[float]) -> None:
        nonlocal syncs
        proxy = Proxy("node-1", mode, family)
        for i, (state, pause) in enumerate(zip(states, pauses, strict=False)):
            report = proxy.sync(state)
            if report.lines:
                load(proxy, report.transaction, i == 0)
                syncs += 1
            proxy.clock.advance(pause)

    syncs_in_a_row()
    assert syncs > 20
