"""Each broken set-up gets its reason first, with evidence that kubectl shows too; whole ones get none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from setups import Setup, setups
from stage import MANAGED_BY, Stage

from epkit.why import REASONS, Report

SETUPS = setups()
#: What the built-in cluster cannot have; its tests are in the module beside this one.
ELSEWHERE = {"WebhookUnanswered": "test_consumers.py"}


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(**getattr(request, "param", {}))
    yield made
    made.close()


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_the_first_reason_is_the_cause(setup: Setup) -> None:
    stage = Stage(**setup.options)
    try:
        what = setup.build(stage) or ("svc/web",)
        report = stage.why(*what)
        found = [finding.reason for finding in report.findings]
        assert found[:1] == [setup.reason], report
        assert report.findings[0].severity == setup.severity, report
        assert set(setup.also) <= set(found), report
        assert report.exit_status == (0 if setup.severity == "note" else 1)
        assert report.ok == (setup.severity == "note")
        check_evidence(stage, report)
    finally:
        stage.close()


def check_evidence(stage: Stage, report: Report) -> None:
    """Every finding names a field, says what it means in a sentence or three, and how to see it; that works."""
    for finding in report.findings:
        assert finding.reason in REASONS
        assert finding.object and finding.field and finding.seen and finding.check
        assert finding.means.endswith((".", "…")) and ".." not in finding.means, finding.means
        assert "  " not in finding.means and "None" not in re.sub(r"None (of|comes|in)", "", finding.means), (
            finding.means
        )
        for command in finding.check:
            assert command.startswith("kubectl ")
            done = stage.cluster.kubectl(shlex.join(shlex.split(command)[1:]))
            gone_by_design = "get lease" in command
            assert done.returncode == 0 or gone_by_design, (command, str(done))


def test_every_reason_is_the_first_of_some_set_up() -> None:
    covered = {setup.reason for setup in SETUPS} | {reason for setup in SETUPS for reason in setup.also}
    assert sorted(set(REASONS) - covered) == sorted(ELSEWHERE)
    assert sum(setup.severity != "note" for setup in SETUPS) >= 40


# -- whole ---------------------------------------------------------------------------------------------------------


def nothing(report: Report) -> None:
    assert report.findings == () and report.exit_status == 0 and report.ok, report


def test_a_deployment_and_its_service(stage: Stage) -> None:
    stage.web(3)
    nothing(stage.why("svc/web"))
    nothing(stage.why(f"pod/{stage.pods()[0]}", "svc/web"))


def test_the_service_of_the_api_server(stage: Stage) -> None:
    nothing(stage.why("svc/kubernetes"))
    nothing(stage.why("kube-system/svc/kube-dns"))


def test_a_slice_of_ones_own_with_everything_it_should_have(stage: Stage) -> None:
    service = stage.service(ports=[{"name": "pg", "port": 5432}])
    owner = {"apiVersion": "v1", "kind": "Service", "name": "web", "uid": service["metadata"]["uid"]}
    out = {"addresses": ["192.0.2.11"], "conditions": {"ready": False}}
    stage.slice(
        "web-1",
        "web",
        "192.0.2.10",
        out,
        ports=[{"name": "pg", "port": 5432}],
        labels={MANAGED_BY: "staff"},
        metadata={"ownerReferences": [owner]},
    )
    nothing(stage.why("svc/web"))


def test_mirrored_endpoints(stage: Stage) -> None:
    stage.service()
    stage.endpoints("web", "192.0.2.10")
    nothing(stage.why("svc/web"))


def test_a_headless_service_of_a_stateful_set(stage: Stage) -> None:
    stage.service(clusterIP="None", selector={"app": "db"}, ports=[{"port": 5432}], name="db")
    stage.apply("""
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: postgres}]}}
""")
    nothing(stage.why("svc/db"))
    nothing(stage.why("db-0", "db"))


def test_finished_pods_beside_running_ones(stage: Stage) -> None:
    stage.web()
    stage.kubectl("run once --image=busybox --labels=app=web --restart=Never -- true")
    nothing(stage.why("svc/web"))


def test_a_daemon_set_with_local_policies(stage: Stage) -> None:
    stage.apply("""
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: nginx}]}}
""")
    stage.service(
        type="NodePort", selector={"app": "web"}, internalTrafficPolicy="Local", externalTrafficPolicy="Local"
    )
    nothing(stage.why("svc/web"))


def test_hints_that_leave_nobody_out(stage: Stage) -> None:
    stage.web(6)
    stage.patch("services", "web", "{spec: {trafficDistribution: PreferSameZone}}")
    nothing(stage.why("svc/web"))


def test_auto_with_enough_endpoints_in_every_zone(stage: Stage) -> None:
    stage.web(12)
    stage.kubectl("annotate service web service.kubernetes.io/topology-mode=Auto")
    assert "forZones" in str(stage.slices())
    nothing(stage.why("svc/web"))


def test_peers_that_are_published_before_they_are_ready(stage: Stage) -> None:
    stage.apply("""
apiVersion: v1
kind: Pod
metadata: {name: peer-0, labels: {app: peer}}
spec: {containers: [{name: db, image: app, readinessProbe: {tcpSocket: {port: 5432}}}]}
""")
    stage.service(
        "peers", clusterIP="None", selector={"app": "peer"}, publishNotReadyAddresses=True, ports=[{"port": 5432}]
    )
    report = stage.why("svc/peers")
    assert report.ok and [finding.severity for finding in report.findings] == ["note"], report


@pytest.mark.parametrize(
    "stage", [{"flags": {"endpointslice-controller": {"max_endpoints_per_slice": 2}}}], indirect=True
)
def test_several_slices(stage: Stage) -> None:
    stage.web(5)
    assert len(stage.slices()) == 3
    nothing(stage.why("svc/web"))


def test_what_was_broken_and_is_mended(stage: Stage) -> None:
    stage.web()
    name = stage.slice_name()
    stage.kubectl(f"label endpointslice {name} {MANAGED_BY}=me --overwrite")
    assert not stage.why("svc/web").ok
    stage.kubectl(
        f"label endpointslice {name} {MANAGED_BY}=endpointslice-controller.k8s.io --overwrite",
        "scale deployment web --replicas=3",
    )
    stage.cluster.sleep(30)
    nothing(stage.why("svc/web"))
