"""When is a live cluster at rest? Told by a clock that the test moves, and by what a recorder would have heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from epkit.objects import Obj
from epkit.story import Written
from epkit.targets.settling import LONGEST, QUIET, Settling, behind, counted, on_its_way, refused_because, stuck_because

Act = Callable[[], None]


def pod(name: str, phase: str = "Running", *, ready: bool = True, waiting: str = "", **more: Any) -> Obj:
    """A pod as kubelets report it; `waiting` is the reason of its container."""
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    status: Obj = {"phase": phase, "containerStatuses": [{"image": "nginx", "ready": ready, "state": state}]}
    if more.get("conditions"):
        status["conditions"] = more["conditions"]
    about = {"name": name, "namespace": "epkit-ann-4", "uid": f"uid-{name}"}
    if more.get("going"):
        about["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    spec = {} if more.get("homeless") else {"nodeName": "node-1"}
    return {"metadata": about, "spec": spec, "status": status}


def unscheduled(reason: str) -> Obj:
    no = [{"type": "PodScheduled", "status": "False", "reason": reason, "message": "0/3 nodes are available"}]
    found = pod("web", "Pending", homeless=True, conditions=no)
    del found["status"]["containerStatuses"]
    return found


def deployment(generation: int, observed: int) -> Obj:
    about = {"name": "web", "namespace": "epkit-ann-4", "uid": "uid-deployment", "generation": generation}
    return {"metadata": about, "status": {"observedGeneration": observed}}


class Cluster:
    """Stands for a recorder: its time passes by waiting, and what is to happen happens then."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.since = 900.0
        self.told: list[str] = []
        self._objects: dict[str, dict[str, Obj]] = {}
        self._writes: list[tuple[float, Written]] = []
        self._plan: list[tuple[float, Act]] = []

    def settling(self) -> Settling:
        return Settling(self, self.told.append, clock=lambda: self.now)

    def put(self, resource: str, obj: Obj, who: str = "kubelet") -> None:
        name = obj["metadata"]["name"]
        there = self._objects.setdefault(resource, {})
        old, there[name] = there.get(name), obj
        type = "MODIFIED" if old else "ADDED"
        self._writes.append((self.now, Written(self.now + 1e9, who, type, resource, len(self._writes), old, obj)))

    def there(self, resource: str, obj: Obj) -> None:
        """It was there long ago."""
        self._objects.setdefault(resource, {})[obj["metadata"]["name"]] = obj

    def at(self, seconds: float, act: Act) -> None:
        self._plan.append((self.now + seconds, act))

    def objects(self, resource: str) -> list[Obj]:
        return list(self._objects.get(resource, {}).values())

    def recent(self, since: float) -> list[tuple[float, Written]]:
        return [one for one in reversed(self._writes) if one[0] >= since]

    def wait(self, seconds: float) -> None:
        self._plan.sort(key=lambda planned: planned[0])
        if self._plan and self._plan[0][0] <= self.now + seconds:
            self.now, act = self._plan.pop(0)
            act()
        else:
            self.now += seconds


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def took(cluster: Cluster, settling: Settling, since: float = float("-inf")) -> float:
    begin = cluster.now
    settling.settle(since)
    return cluster.now - begin


# -- quiet -------------------------------------------------------------------------------------------------------------


def test_what_is_quiet_already_is_not_waited_for(cluster: Cluster) -> None:
    cluster.there("pods", pod("web"))
    assert took(cluster, cluster.settling()) == 0.0


def test_two_seconds_after_our_own_write(cluster: Cluster) -> None:
    assert took(cluster, cluster.settling(), since=cluster.now) == pytest.approx(QUIET)


def test_two_seconds_after_connecting(cluster: Cluster) -> None:
    """Who has listened for a moment only does not know that it was quiet."""
    cluster.since = cluster.now - 0.5
    assert took(cluster, cluster.settling()) == pytest.approx(QUIET - 0.5)


def test_two_seconds_after_the_last_change(cluster: Cluster) -> None:
    for second in (1.0, 2.5, 4.0):
        cluster.at(second, lambda: cluster.put("endpointslices", pod("web-abc"), "kube-controller-manager"))
    assert took(cluster, cluster.settling(), since=cluster.now) == pytest.approx(4.0 + QUIET)
    assert cluster.told == []


def test_a_nodes_heartbeat_is_no_unrest(cluster: Cluster) -> None:
    node = {"metadata": {"name": "node-1", "uid": "n"}, "status": {}}
    for second in range(20):
        cluster.at(second, lambda: cluster.put("nodes", node))
    assert took(cluster, cluster.settling(), since=cluster.now) == pytest.approx(QUIET)


# -- progress, and an end ----------------------------------------------------------------------------------------------


def test_a_slow_image_is_told_and_waited_for(cluster: Cluster) -> None:
    cluster.put("pods", pod("web", "Pending", ready=False, waiting="ContainerCreating"))
    cluster.at(42.0, lambda: cluster.put("pods", pod("web")))
    assert took(cluster, cluster.settling(), since=cluster.now) == pytest.approx(42.0 + QUIET)
    assert cluster.told == [f"… {n} s: pod web starts (ContainerCreating, image nginx)" for n in (4, 19, 34)]


def test_progress_is_told_when_it_is_another(cluster: Cluster) -> None:
    cluster.put("pods", pod("a", "Pending", homeless=True))
    cluster.put("pods", pod("b", "Pending", homeless=True))
    cluster.at(6.0, lambda: cluster.put("pods", pod("a", "Pending", ready=False)))
    cluster.at(8.0, lambda: cluster.put("pods", pod("b", "Pending", ready=False)))
    cluster.at(9.0, lambda: cluster.put("pods", pod("a")))
    cluster.at(9.5, lambda: cluster.put("pods", pod("b")))
    cluster.settling().settle(cluster.now)
    assert cluster.told == [
        "… 4 s: pod a, pod b wait for a node",
        "… 6 s: pod a starts; pod b waits for a node",
        "… 8 s: pod a, pod b start",
        "… 9 s: pod b starts",
    ]


def test_quick_things_are_not_told(cluster: Cluster) -> None:
    cluster.put("pods", pod("web", "Pending", ready=False))
    cluster.at(1.5, lambda: cluster.put("pods", pod("web")))
    cluster.settling().settle(cluster.now)
    assert cluster.told == []


def test_after_a_minute_it_says_what_moves_and_goes_on(cluster: Cluster) -> None:
    cluster.there("pods", pod("web", "Pending", ready=False))
    settling = cluster.settling()
    assert took(cluster, settling) == pytest.approx(LONGEST)
    assert cluster.told[-1] == "After 60 s the cluster still moves: pod web starts. Going on all the same."
    assert took(cluster, settling, since=cluster.now) == pytest.approx(QUIET), "it is not waited for twice"
    cluster.put("pods", pod("web", "Pending", ready=False, waiting="ContainerCreating"))
    cluster.at(30.0, lambda: cluster.put("pods", pod("web")))
    assert took(cluster, settling) == pytest.approx(30.0 + QUIET), "unless it got on meanwhile"


def test_who_writes_without_end_is_named(cluster: Cluster) -> None:
    for second in range(200):
        cluster.at(second / 2, lambda: cluster.put("services", pod("web"), "kubectl-annotate"))
    assert took(cluster, cluster.settling(), since=cluster.now) == pytest.approx(LONGEST, abs=1.0)
    assert cluster.told[-1] == (
        "After 60 s the cluster still moves: changes are still coming (services/epkit-ann-4/web by kubectl-annotate). "
        "Going on all the same."
    )


def test_a_deployment_that_nobody_has_looked_at_yet_is_waited_for(cluster: Cluster) -> None:
    cluster.there("deployments", deployment(generation=3, observed=2))
    cluster.at(9.0, lambda: cluster.put("deployments", deployment(generation=3, observed=3)))
    assert took(cluster, cluster.settling()) == pytest.approx(9.0 + QUIET)
    assert cluster.told == ["… 4 s: Deployment web waits for its controller"]


# -- a probe that fails ------------------------------------------------------------------------------------------------


def test_a_container_that_is_not_ready_is_given_a_probes_time(cluster: Cluster) -> None:
    cluster.put("pods", pod("web", ready=False))
    assert took(cluster, cluster.settling()) == pytest.approx(12.0, abs=1.0)
    assert took(cluster, cluster.settling()) == 0.0
    labelled = pod("web", ready=False)
    labelled["metadata"]["labels"] = {"a": "b"}
    cluster.put("pods", labelled)
    assert took(cluster, cluster.settling()) == pytest.approx(QUIET), "a label says nothing of its readiness"


def test_the_servers_clock_does_not_matter(cluster: Cluster) -> None:
    """A container that has long been unready is not waited for, though the server's times lie a day ahead."""
    ahead = [{"type": "Ready", "status": "False", "lastTransitionTime": "2999-01-01T00:00:00Z"}]
    cluster.there("pods", pod("web", ready=False, conditions=ahead))
    assert took(cluster, cluster.settling()) == 0.0


# -- stuck -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (pod("web", "Pending", ready=False, waiting="ImagePullBackOff"), "ImagePullBackOff, image nginx"),
        (pod("web", "Pending", ready=False, waiting="ErrImagePull"), "ErrImagePull, image nginx"),
        (pod("web", ready=False, waiting="CrashLoopBackOff"), "CrashLoopBackOff, image nginx"),
        (pod("web", "Pending", waiting="CreateContainerConfigError"), "CreateContainerConfigError, image nginx"),
        (unscheduled("Unschedulable"), "no node takes it: 0/3 nodes are available"),
        (unscheduled("SchedulingGated"), "no node takes it: 0/3 nodes are available"),
    ],
    ids=lambda value: value.partition(",")[0] if isinstance(value, str) else "",
)
def test_what_is_stuck_is_told_once_and_not_waited_for(cluster: Cluster, found: Obj, told: str) -> None:
    cluster.there("pods", found)
    settling = cluster.settling()
    for _ in range(3):
        assert took(cluster, settling) == 0.0
    assert cluster.told == [f"Stuck, and not waited for: pod epkit-ann-4/web: {told}"]


def test_what_only_fails_again_does_not_keep_it_from_settling(cluster: Cluster) -> None:
    for second in range(60):
        state = ("CrashLoopBackOff", "ErrImagePull")[second % 2]
        cluster.at(second, lambda state=state: cluster.put("pods", pod("bad", ready=False, waiting=state)))
    cluster.put("pods", pod("bad", ready=False, waiting="CrashLoopBackOff"))
    assert took(cluster, cluster.settling(), since=cluster.now) == pytest.approx(QUIET, abs=1.0)


def test_others_are_waited_for_beside_what_fails(cluster: Cluster) -> None:
    for second in range(60):
        cluster.at(second, lambda: cluster.put("pods", pod("bad", ready=False, waiting="CrashLoopBackOff")))
    cluster.at(5.5, lambda: cluster.put("services", pod("web")))
    cluster.put("pods", pod("slow", "Pending", ready=False))
    cluster.at(5.0, lambda: cluster.put("pods", pod("slow")))
    assert took(cluster, cluster.settling()) == pytest.approx(5.5 + QUIET, abs=0.1)


def test_a_quota_that_is_used_up_is_told(cluster: Cluster) -> None:
    why = 'pods "web-1" is forbidden: exceeded quota: epkit'
    failure = {"type": "ReplicaFailure", "status": "True", "message": why}
    about = {"name": "web", "namespace": "epkit-ann-4", "uid": "u", "generation": 2}
    cluster.there("replicasets", {"metadata": about, "status": {"conditions": [failure], "observedGeneration": 1}})
    assert took(cluster, cluster.settling()) == 0.0
    assert cluster.told == [f"Stuck, and not waited for: ReplicaSet epkit-ann-4/web: its pods cannot be made: {why}"]


# -- the tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "unchanged", "state"),
    [
        (pod("web"), 0.0, ""),
        (pod("web", "Pending", homeless=True), 99.0, "waits for a node"),
        ({"metadata": {"name": "new"}, "spec": {}}, 0.0, "waits for a node"),
        (pod("web", "Pending", ready=False), 99.0, "starts"),
        (pod("web", ready=False), 1.0, "runs and is not ready yet"),
        (pod("web", ready=False), 13.0, ""),
        (pod("web", "Succeeded", ready=False), 0.0, ""),
        (pod("web", "Failed", ready=False), 0.0, ""),
        (pod("web", ready=False, going=True), 0.0, ""),
        (pod("web", ready=False, waiting="CrashLoopBackOff"), 0.0, ""),
        (unscheduled("Unschedulable"), 0.0, ""),
    ],
)
def test_what_is_on_its_way(found: Obj, unchanged: float, state: str) -> None:
    assert on_its_way(found, unchanged) == state


def test_what_is_not_stuck() -> None:
    assert stuck_because(pod("web", ready=False)) == "", "a failing probe is a state"
    assert stuck_because(pod("web", ready=False, waiting="ErrImagePull", going=True)) == ""
    assert stuck_because(pod("web", "Pending", waiting="ContainerCreating")) == ""
    assert stuck_because({"metadata": {"name": "new"}}) == ""
    init = pod("web", "Pending", ready=False, waiting="PodInitializing")
    init["status"]["initContainerStatuses"] = [
        {"image": "x", "state": {"waiting": {"reason": "ErrImagePull", "message": f"long\n  {'x' * 500}"}}}
    ]
    assert stuck_because(init) == f"ErrImagePull (long {'x' * 155}), image x"


def test_what_a_controller_is_behind_with() -> None:
    assert behind(deployment(2, 1)) == "waits for its controller" and behind(deployment(2, 2)) == ""
    assert behind({"metadata": {"name": "old"}}) == ""
    going = deployment(2, 1)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert behind(going) == "" == refused_because(going)


def test_many_are_counted() -> None:
    assert counted(["pod a"], "runs and is not ready yet") == "pod a runs and is not ready yet"
    assert counted(["pod d", "pod c", "pod b", "pod a"], "runs and is not ready yet") == (
        "pod a, pod b, pod c and 1 more run and are not ready yet"
    )
