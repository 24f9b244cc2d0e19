"""Whatever is done to a workload, it comes to rest as it was asked for, and keeps its promises on the way."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from test_deployment import a_deployment
from test_statefulset import a_statefulset
from workload_double import Double

from epkit.fake.controllers import deployment_util as util
from epkit.fake.controllers.deployment import DeploymentController
from epkit.fake.controllers.replicaset import ReplicaSetController
from epkit.fake.controllers.statefulset import StatefulSetController
from epkit.fake.controllers.statefulset_pods import ordinal_of
from epkit.objects import Obj, controller_of, name_of

Action = Callable[[Double, str, str], None]


def _template(image: str, app: str) -> Obj:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def _pod(kit: Double, number: int) -> Obj | None:
    live = [pod for pod in kit.all("pods") if "deletionTimestamp" not in pod["metadata"]]
    return live[number % len(live)] if live else None


def scale(to: int) -> Action:
    return lambda kit, resource, name: _ignore(kit.change(resource, name, spec={"replicas": to}))


def roll(to: int) -> Action:
    def act(kit: Double, resource: str, name: str) -> None:
        app = kit.get(resource, name)["spec"]["template"]["metadata"]["labels"]["app"]
        kit.change(resource, name, spec={"template": _template(f"image:{to}", app)})

    return act


def fail(number: int) -> Action:
    def act(kit: Double, resource: str, name: str) -> None:
        if (pod := _pod(kit, number)) is not None:
            kit.set_pod(pod, phase="Failed", ready=False)

    return act


def sicken(number: int) -> Action:
    def act(kit: Double, resource: str, name: str) -> None:
        if (pod := _pod(kit, number)) is not None and pod["status"]["phase"] == "Running":
            kit.set_pod(pod, ready=False)

    return act


def delete(number: int) -> Action:
    def act(kit: Double, resource: str, name: str) -> None:
        if (pod := _pod(kit, number)) is not None:
            kit.client("me").delete("pods", name_of(pod), "default")

    return act


def wait(_: int) -> Action:
    return lambda kit, resource, name: kit.settle()


def _ignore(_: Any) -> None:
    return None


numbers = st.integers(min_value=0, max_value=6)
actions = st.lists(
    st.one_of(*(st.builds(action, numbers) for action in (scale, roll, fail, sicken, delete, wait))), max_size=8
)
#: An ordered StatefulSet waits for a failed pod above the lowest unhealthy one for ever when it scales down, as
#: upstream's does: no pod of it fails here.
ordered_actions = st.lists(
    st.one_of(*(st.builds(action, numbers) for action in (scale, roll, sicken, delete, wait))), max_size=8
)


def heal(kit: Double) -> None:
    """Every pod that runs becomes ready, until nothing changes any more."""
    for _ in range(30):
        kit.run_pods()
        sick = [
            pod
            for pod in kit.all("pods")
            if pod["status"]["phase"] == "Running" and pod["status"]["conditions"][0]["status"] == "False"
        ]
        for pod in sick:
            kit.set_pod(pod)
        if not sick:
            return
    raise AssertionError("it does not come to rest")


def image_of(pod: Obj) -> str:
    return str(pod["spec"]["containers"][0]["image"])


@settings(max_examples=40, deadline=None)
@given(actions, st.integers(0, 3), st.integers(0, 3))
def test_a_deployment_ends_up_as_it_was_asked_for(done, surge, unavailable):
    kit = Double()
    kit.run(ReplicaSetController)
    kit.run(DeploymentController)
    kit.add("deployments", a_deployment(3, surge, unavailable))
    heal(kit)
    for action in done:
        action(kit, "deployments", "web")
    heal(kit)
    deployment = kit.get("deployments", "web")
    pods = [pod for pod in kit.all("pods") if pod["status"]["phase"] == "Running"]
    wanted = util.replicas_of(deployment)
    assert [image_of(pod) for pod in pods] == [image_of(deployment["spec"]["template"])] * wanted
    assert util.is_complete(deployment, deployment["status"])
    owners = {controller_of(pod)["name"] for pod in pods}
    assert len(owners) <= 1


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.tuples(ordered_actions, st.just("OrderedReady")), st.tuples(actions, st.just("Parallel"))))
def test_a_statefulset_ends_up_as_it_was_asked_for(case):
    done, policy = case
    kit = Double()
    kit.run(StatefulSetController)
    kit.add("statefulsets", a_statefulset(3, podManagementPolicy=policy))
    heal(kit)
    for action in done:
        action(kit, "statefulsets", "db")
    heal(kit)
    stateful_set = kit.get("statefulsets", "db")
    pods = kit.all("pods")
    assert sorted(map(ordinal_of, pods)) == list(range(stateful_set["spec"]["replicas"]))
    assert {image_of(pod) for pod in pods} <= {image_of(stateful_set["spec"]["template"])}
    status = stateful_set["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert status.get("readyReplicas", 0) == stateful_set["spec"]["replicas"]


@settings(max_examples=20, deadline=None)
@given(actions)
def test_the_same_actions_give_the_same_writes(done):
    histories = []
    for _ in range(2):
        kit = Double()
        kit.run(ReplicaSetController)
        kit.run(DeploymentController)
        kit.add("deployments", a_deployment(3))
        for action in done:
            action(kit, "deployments", "web")
        heal(kit)
        histories.append([(event.type, event.resource, event.name, event.version) for event in kit.store.history])
    assert histories[0] == histories[1]
