"""No false alarm where a conformance scenario ends well, and the same reasons on what a real cluster recorded.

Whether a Service is well is decided here by other means: all its pods and all its endpoints are ready, and every slice
has all its ports.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import objects_only
import pytest
import replaying
import yaml

from epkit.client import Client
from epkit.cluster import Cluster
from epkit.objects import Obj, condition, labels_of, name_of
from epkit.selectors import of_map
from epkit.why import Report, why

DEMO = replaying.replay.NAMESPACE
NAMES = replaying.scenarios()
GROUP = {
    name: yaml.safe_load((replaying.FOLDER / "scenarios" / f"{name}.yaml").read_text()).get("group", "default")
    for name in NAMES
}
#: The tutorial's own mistake, which chapter 5 teaches: nginx exposed on a port on which it does not listen.
REFUSED_ALL_THE_SAME = {("kubelet-tutorial", "my-deployment")}
#: Scenario and Service → the first reason at each snapshot of the real cluster; "" for none.
RECORDED = {
    ("slice-managed-by-removed", "web"): ["SliceRelabelled"],
    ("slice-service-name-label-changed", "web"): ["SliceRelabelled"],
    ("mirror-service-gains-selector", "db"): ["", "SelectorMatchesNothing", "SelectorRemoved", "SelectorRemoved"],
    ("slice-publish-not-ready-addresses", "web"): ["PublishNotReady", "PodNotReady"],
    ("slice-of-your-own", "web"): ["SelectorMatchesNothing"],
    ("slice-of-your-own", "db"): ["SliceManners"],
    ("slice-missing-node", "lost"): ["NodeMissing", ""],
}


@dataclass
class Played:
    """What was seen of one scenario.

    Attributes:
        well: the Services that are well at its end.
        reports: what `why` says there of every Service.
        real, fake: first reasons at every snapshot, on slices and Endpoints of the real cluster and the built-in one.
    """

    well: set[str] = field(default_factory=set)
    reports: dict[str, Report] = field(default_factory=dict)
    real: list[dict[str, str]] = field(default_factory=list)
    fake: list[dict[str, str]] = field(default_factory=list)


@cache
def played(name: str) -> Played:
    golden = json.loads((replaying.FOLDER / "golden" / f"{name}.json").read_text())
    seen = Played()

    def look(cluster: Cluster, norm: Any, number: int, step: dict[str, Any]) -> None:
        if "endpointslices" in step.get("snapshot", ()) and GROUP[name] in ("default", "max3"):
            seen.real.append(first_reasons(cluster, norm, golden[number]))
            seen.fake.append(first_reasons(cluster, norm, {}))

    with replaying.played(name, look) as cluster:
        for service in cluster.client.list("services", DEMO):
            seen.reports[name_of(service)] = why(cluster.client, name_of(service), namespace=DEMO)
            if is_well(cluster.client, service):
                seen.well.add(name_of(service))
    return seen


def is_well(client: Client, service: Obj) -> bool:
    name, spec = name_of(service), service["spec"]
    slices = client.list("endpointslices", DEMO, labels=f"kubernetes.io/service-name={name}").items
    endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or ()]
    if not endpoints or not all(endpoint["conditions"].get("ready") for endpoint in endpoints):
        return False
    wanted = {port.get("name", "") for port in spec.get("ports") or ()}
    if not all(wanted <= {port["name"] for port in one.get("ports") or ()} for one in slices):
        return False
    matches = of_map(spec.get("selector"))
    pods = [pod for pod in client.list("pods", DEMO) if matches(labels_of(pod))]
    running = [pod for pod in pods if pod["status"].get("phase") not in ("Succeeded", "Failed")]
    listed = {(endpoint.get("targetRef") or {}).get("name") for endpoint in endpoints}
    return all((condition(pod, "Ready") or {}).get("status") == "True" and name_of(pod) in listed for pod in running)


def first_reasons(cluster: Cluster, norm: Any, recorded: dict[str, list[Obj]]) -> dict[str, str]:
    """The first reason for every Service, on objects as the replayer normalises them; `recorded` ones where given."""
    objects: list[Obj] = []
    for plural, kind in (
        ("services", "Service"),
        ("pods", "Pod"),
        ("endpoints", "Endpoints"),
        ("endpointslices", "EndpointSlice"),
    ):
        items = cluster.client.list(plural, DEMO).items
        norm.learn(items)
        objects += ({"kind": kind, **obj} for obj in recorded.get(plural) or norm.object({"items": items})["items"])
    objects += ({"kind": "Node", **node} for node in cluster.client.list("nodes"))
    client = objects_only.client(objects)
    names = [name_of(obj) for obj in objects if obj["kind"] == "Service" and "<" not in name_of(obj)]
    findings = {name: why(client, name, namespace=DEMO).findings for name in names}
    return {name: found[0].reason if found else "" for name, found in findings.items()}


@pytest.mark.parametrize("name", [name for name in NAMES if GROUP[name] != "large"])
def test_no_false_alarm_and_no_false_calm(name: str) -> None:
    for service, report in played(name).reports.items():
        if service in played(name).well:
            alarm = (name, service) in REFUSED_ALL_THE_SAME
            assert report.ok != alarm, report
        elif " 0 of " in report.summary:
            assert not report.ok or "Traffic goes" in report.summary, report


def test_enough_scenarios_end_well() -> None:
    assert sum(len(played(name).well) for name in NAMES if GROUP[name] != "large") >= 30


@pytest.mark.parametrize("name", [name for name in NAMES if GROUP[name] in ("default", "max3")])
def test_the_objects_of_a_real_cluster_get_their_reasons(name: str) -> None:
    seen = played(name)
    assert seen.real == seen.fake
    for (scenario, service), expected in RECORDED.items():
        if scenario == name:
            assert [moment[service] for moment in seen.real if service in moment] == expected
