"""`why` against packets: what it says of recorded Services, and whether a real kernel let their connections through.

The objects and the routes were recorded on Kubernetes v1.36.2 nodes (tests/proxy/recordings).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import objects_only
import pytest
import yaml

from epkit.objects import Obj, name_of
from epkit.why import why

RECORDINGS = Path(__file__).resolve().parents[2] / "proxy" / "recordings"
NAMES = sorted(path.stem for path in RECORDINGS.glob("*.yaml"))
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
#: What is first, where something is wrong, or odd.
FIRST = {
    "04-zero-endpoints": "SliceEmpty", "05-no-slices": "NoSelectorNoSlice", "06-all-not-ready": "EndpointsNotReady",
    "08-terminating-only": "EndpointsTerminating", "10-publish-not-ready": "PublishNotReady",
    "13-duplicate-address": "DuplicateAddress", "22-headless-service": "HeadlessPort",
    "23-proxy-name-on-service": "ServiceProxyName", "28-nodeport-local-without": "ExternalTrafficPolicyLocal",
    "32-itp-local-without": "InternalTrafficPolicyLocal", "38-zone-hints-one-missing": "HintsIgnored",
    "60-wrong-address-type": "SliceFamily", "68-duplicate-undefined": "DuplicateAddress",
    "70-external-ips-local-without": "ExternalTrafficPolicyLocal",
}  # fmt: skip


@cache
def services(name: str) -> tuple[list[Obj], list[Obj]]:
    objects = list(yaml.load_all((RECORDINGS / f"{name}.yaml").read_text(), Loader))
    return objects, [obj for obj in objects if obj["kind"] == "Service"]


def probes(name: str, service: Obj) -> list[dict[str, Any]]:
    """The connections from the node and its pods to a cluster IP and port of the Service."""
    path = RECORDINGS / f"{name}.routes.json"
    ports = {port["port"] for port in service["spec"].get("ports") or ()}
    return [
        probe
        for probe in (json.loads(path.read_text())["probes"] if path.exists() else [])
        if probe["dst"] in service["spec"].get("clusterIPs", ())
        and probe["port"] in ports
        and probe["from"] in ("node", "pod")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_agrees_with_what_packets_met(name: str) -> None:
    objects, found = services(name)
    for service in found:
        report = why(objects_only.client(objects), name_of(service), namespace="demo")
        for probe in probes(name, service):
            if probe["iptables"].get("answers"):
                assert "broken" not in {finding.severity for finding in report.findings}, report
            else:
                assert not report.ok, report


@pytest.mark.parametrize("name", sorted(FIRST))
def test_the_first_reason_of_recorded_services(name: str) -> None:
    objects, found = services(name)
    report = why(objects_only.client(objects), name_of(found[0]), namespace="demo")
    assert report.findings[0].reason == FIRST[name]


def test_the_recordings_are_there() -> None:
    assert len(NAMES) >= 30
    assert (
        sum(
            not probe["iptables"].get("answers")
            for name in NAMES
            for one in services(name)[1]
            for probe in probes(name, one)
        )
        >= 10
    )
