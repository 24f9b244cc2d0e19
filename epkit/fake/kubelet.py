"""Simulated nodes: their kubelets run the pods that are bound to them, probe them, and stop them.

    kubelet = KubeletSim(kit, [NodeSpec("node-1", zone="zone-a")])
    kubelet.start()
    kubelet.container("default", "web-0").write("/tmp/ready")

One :class:`KubeletSim` plays the kubelets of all its nodes. It is a client of the API like any controller, so it serves
a real control plane as well as the built-in one. Nodes that it did not register are none of its business.

Source: ``pkg/kubelet/kubelet.go``, ``kubelet_node_status.go``, ``status/status_manager.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from epkit.client import Client
from epkit.errors import ApiError, EpkitError
from epkit.fake import podstatus
from epkit.fake.containers import Container
from epkit.fake.controllers.framework import Controller, Kit, Recorder
from epkit.fake.nodes import NodeSpec, lease_object, node_object, node_status
from epkit.fake.podenv import environment, files
from epkit.fake.podworker import PodWorker
from epkit.fake.probes import Shell, minimal_shell
from epkit.objects import Obj, condition, key_of, name_of, namespace_of, uid_of

#: seconds from the moment a kubelet sees a pod to the start of its containers; how much longer the next node takes
START_DELAY, NODE_OFFSET = 1.0, 0.1
LEASE_NAMESPACE = "kube-node-lease"
#: seconds between two renewals of a node's lease, and between two reports of an unchanged node status
RENEWAL, STATUS_REPORT = 10.0, 300.0


@dataclass(eq=False)
class NodeState:
    """A simulated node and what its kubelet remembers."""

    spec: NodeSpec
    client: Client
    recorder: Recorder
    stopped: bool = False
    workers: dict[str, PodWorker] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    used: set[int] = field(default_factory=set)  # addresses in use, by their place in the node's range
    last: int = 1  # the place that was given out last: .1 is the node's own
    reported_at: float = 0.0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def internal_ip(self) -> str:
        return self.spec.address

    @property
    def start_delay(self) -> float:
        return START_DELAY + NODE_OFFSET * ((self.spec.number - 1) % 10)

    def take_address(self) -> tuple[int, str] | None:
        """The next free address after the last one given out, as CNI's host-local plugin picks it, if one is left."""
        network = self.spec.network
        usable = network.num_addresses - 2
        for step in range(1, usable + 1):
            place = (self.last - 1 + step) % usable + 1
            if place > 1 and place not in self.used:
                self.last = place
                self.used.add(place)
                return place, str(network[place])
        return None


class KubeletSim(Controller):
    """The kubelets of some nodes."""

    name = "kubelet"

    def __init__(self, kit: Kit, nodes: Sequence[NodeSpec] = (), **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.nodes: dict[str, NodeState] = {}
        #: runs the commands of exec probes; the module that serves `kubectl exec` puts a fuller one here
        self.shell: Shell = minimal_shell
        self._workers: dict[str, PodWorker] = {}
        self._addresses: dict[str, tuple[NodeState, int]] = {}
        self._unsent: dict[str, None] = {}
        self.retries = self.new_queue("kubelet: status", self._sync_status)
        self.pods = self.informer("pods")
        self.pods.on(add=self._pod_added, update=self._pod_updated, delete=self._pod_deleted)
        self.services = self.informer("services")
        for spec in nodes:
            self.add_node(spec)
        self.every(RENEWAL, self._heartbeat, "kubelet: renews leases")

    # -- what others ask -------------------------------------------------------------------------------------------

    def container(self, namespace: str, pod: str, container: str = "") -> Container:
        """A container of a simulated pod; the first one if none is named.

        Raises:
            EpkitError: there is no such pod or container on the simulated nodes.
        """
        worker = self._workers.get(f"{namespace}/{pod}")
        if worker is None:
            raise EpkitError(f"Pod {namespace}/{pod} does not run on a simulated node. Is it bound to one yet?")
        for candidate in worker.main if not container else worker.everyone:
            if container in ("", candidate.name):
                return candidate
        names = ", ".join(candidate.name for candidate in worker.everyone)
        raise EpkitError(f"Pod {namespace}/{pod} has no container {container}; it has: {names}.")

    def containers_at(self, address: str) -> list[Container]:
        """The containers of the pod with that address: who may listen there."""
        for worker in self._workers.values():
            if worker.ip == address and not worker.pod["spec"].get("hostNetwork"):
                return worker.everyone
        return []

    def worker(self, namespace: str, pod: str) -> PodWorker | None:
        """Who looks after a pod; None for one that does not run on a simulated node."""
        return self._workers.get(f"{namespace}/{pod}")

    def worker_of(self, container: Container) -> PodWorker:
        """Who looks after a container. Raises KeyError where its pod is gone."""
        for worker in self._workers.values():
            if worker.uid == container.pod_uid:
                return worker
        raise KeyError(container.name)

    def workers_at(self, address: str) -> list[PodWorker]:
        """The pod with that address; of a node's own address its pods with ``hostNetwork``."""
        return [worker for worker in self._workers.values() if worker.ip == address]

    def node_at(self, address: str) -> NodeState | None:
        """The simulated node with that address."""
        return next((state for state in self.nodes.values() if state.internal_ip == address), None)

    # -- nodes -----------------------------------------------------------------------------------------------------

    def add_node(self, spec: NodeSpec) -> None:
        """Add a node; it is registered when the kubelet is started, or at once if it runs."""
        number = spec.number or len(self.nodes) + 1
        client = self.client_of(spec.name)
        recorder = Recorder(client, self.kit.loop, "kubelet", host=spec.name)
        self.nodes[spec.name] = NodeState(replace(spec, number=number), client, recorder)
        if self._running:
            self._register(self.nodes[spec.name])

    def client_of(self, node: str) -> Client:
        """The client in the name of a node's kubelet. The built-in cluster asks nobody who he is: one does for all."""
        return self.client

    def start(self, node: str | None = None) -> None:
        """Start the kubelets of all nodes, or again the one that was stopped."""
        if node is None:
            super().start()
            for state in self.nodes.values():
                self._register(state)
            return
        state = self._node(node)
        state.stopped = False
        self._register(state)
        for pod in self.pods.list():  # what it has missed
            if pod["spec"].get("nodeName") == node:
                self._see(pod)
        for worker in list(state.workers.values()):
            if self.pods.get(namespace_of(worker.pod), name_of(worker.pod)) is None:
                self._drop(worker)
            else:
                worker.report()

    def stop(self, node: str | None = None) -> None:
        """Stop the kubelet of a node, as when the machine hangs: no heartbeats, no reports, no care for its pods.

        Without a node: stop them all for good.
        """
        if node is None:
            super().stop()
        else:
            self._node(node).stopped = True

    def _node(self, name: str) -> NodeState:
        if name not in self.nodes:
            raise EpkitError(f"No simulated node {name}; there are: {', '.join(self.nodes) or 'none'}.")
        return self.nodes[name]

    def _register(self, state: NodeState) -> None:
        """Create the Node, or tell the API server that it is well again; then renew its lease."""
        now = self.clock.timestamp()
        found = state.client.find("nodes", state.name)
        state.reported_at = self.clock.now
        if found is None:
            created = state.client.create("nodes", node_object(state.spec, now))
            if condition(created, "Ready") is None:  # a server that does not take a status with a new node
                self._patch_node(state, node_status(state.spec, now))
        else:
            was = (condition(found, "Ready") or {}).get("status")
            self._report_node(state, found)
            if was != "True":
                about = {**found, "metadata": {**found["metadata"], "uid": state.name}}
                state.recorder.event(about, "Normal", "NodeReady", f"Node {state.name} status is now: NodeReady")
        self._renew(state)

    def _report_node(self, state: NodeState, found: Obj) -> None:
        """Send the node's whole status; a condition keeps its time as long as its status."""
        state.reported_at = self.clock.now
        status = node_status(state.spec, self.clock.timestamp())
        own = {entry["type"] for entry in status["conditions"]}
        for entry in status["conditions"]:
            old = condition(found, entry["type"])
            if old is not None and old["status"] == entry["status"]:
                entry["lastTransitionTime"] = old["lastTransitionTime"]
        foreign = [entry for entry in found["status"].get("conditions") or () if entry["type"] not in own]
        status["conditions"] = [*foreign, *status["conditions"]]
        self._patch_node(state, status)

    def _patch_node(self, state: NodeState, status: Obj) -> None:
        state.client.patch("nodes", state.name, {"status": status}, subresource="status")

    def _heartbeat(self) -> None:
        for state in self.nodes.values():
            if state.stopped:
                continue
            try:
                self._renew(state)
                if self.clock.now - state.reported_at >= STATUS_REPORT:
                    found = state.client.find("nodes", state.name)
                    if found is not None:
                        self._report_node(state, found)
            except ApiError as error:  # the next heartbeat tries again
                self.log(f"failed to report on {state.name}: {error}")

    def _renew(self, state: NodeState) -> None:
        now = self.clock.micro_timestamp()
        try:
            state.client.patch("leases", state.name, {"spec": {"renewTime": now}}, LEASE_NAMESPACE)
        except ApiError as error:
            if error.reason != "NotFound":
                self.log(f"failed to update lease of {state.name}: {error}")
                return
            node = state.client.find("nodes", state.name)
            if node is not None:
                state.client.create("leases", lease_object(node, LEASE_NAMESPACE, now))

    # -- pods ------------------------------------------------------------------------------------------------------

    def _pod_added(self, pod: Obj) -> None:
        if pod["spec"].get("nodeName") in self.nodes:
            self._see(pod)

    def _pod_updated(self, old: Obj, pod: Obj) -> None:
        if pod["spec"].get("nodeName") in self.nodes:
            self._see(pod)

    def _pod_deleted(self, pod: Obj) -> None:
        worker = self._workers.get(key_of(pod))
        if worker is not None and worker.uid == uid_of(pod) and not worker.node.stopped:
            self._drop(worker)

    def _see(self, pod: Obj) -> None:
        node, key = self.nodes[pod["spec"]["nodeName"]], key_of(pod)
        if node.stopped:
            return
        worker = self._workers.get(key)
        if worker is not None and worker.uid != uid_of(pod):
            self._drop(worker)
            worker = None
        if worker is not None:
            worker.updated(pod)
            if pod.get("status") is not worker.reported and pod.get("status") != worker.reported:
                worker.report()  # somebody else has written a status that is the kubelet's to write
            return
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return
        self._workers[key] = node.workers[key] = worker = PodWorker(self, node, pod)
        worker.begin()

    def _drop(self, worker: PodWorker) -> None:
        worker.vanish()
        self._workers.pop(worker.key, None)
        worker.node.workers.pop(worker.key, None)
        if (address := self._addresses.pop(worker.uid, None)) is not None:
            address[0].used.discard(address[1])

    # -- what its pod workers ask ----------------------------------------------------------------------------------

    def refuse(self, worker: PodWorker) -> tuple[str, str] | None:
        """Why a node does not take a pod that was bound past the scheduler: it is full (``lifecycle/predicate.go``)."""
        capacity = worker.node.spec.pods
        if len(worker.node.workers) <= capacity:
            return None
        used = sum(not other.finished for other in worker.node.workers.values()) - 1
        if used < capacity:
            return None
        text = f"Node didn't have enough resource: pods, requested: 1, used: {used}, capacity: {capacity}"
        return "OutOfpods", text

    def address_for(self, worker: PodWorker) -> str | None:
        if worker.pod["spec"].get("hostNetwork"):
            return worker.node.internal_ip
        found = worker.node.take_address()
        if found is None:
            return None
        self._addresses[worker.uid] = (worker.node, found[0])
        return found[1]

    def environment(self, worker: PodWorker, container: Container) -> Callable[[], dict[str, str]]:
        """The container's variables; the Services are those of now, whenever it is asked."""
        namespace = namespace_of(worker.pod)
        services = self.services.list(namespace) if worker.pod["spec"].get("enableServiceLinks", True) else []
        master = self.services.get("default", "kubernetes")
        pod, ip = worker.pod, worker.ip
        return lambda: environment(pod, container.spec, ip, worker.node.internal_ip, services, master)

    def files_of(self, worker: PodWorker) -> dict[str, str]:
        return files(worker.pod, worker.ip)

    def record(self, worker: PodWorker, type: str, reason: str, message: str, path: str) -> None:
        if worker.node.stopped:
            return
        try:
            worker.node.recorder.event(worker.pod, type, reason, message, path)
        except ApiError as error:  # events are best effort
            self.log(f"failed to record {reason} of pod {worker.key}: {error}")

    def report(self, worker: PodWorker) -> None:
        """Have the pod's status sent, together with all others that change at this moment (``syncBatch``)."""
        if worker.gone or worker.node.stopped:
            return
        if not self._unsent:
            self.kit.loop.post(self._send_statuses, "kubelet: sends the status of pods")
        self._unsent[worker.key] = None

    def _send_statuses(self) -> None:
        unsent, self._unsent = self._unsent, {}
        for key in unsent:
            try:
                self._sync_status(key)
            except ApiError as error:
                self.log(f"Failed to update status for pod {key}: {error}")
                self.retries.add_rate_limited(key)

    def _sync_status(self, key: str) -> None:
        """The status manager: send what differs, and delete the pod when all of it has stopped."""
        worker = self._workers.get(key)
        if worker is None or worker.node.stopped:
            return
        name, namespace = name_of(worker.pod), namespace_of(worker.pod)
        client = worker.node.client
        live = client.find("pods", name, namespace)
        if live is None or uid_of(live) != worker.uid:
            self._drop(worker)
            return
        status = podstatus.generate(worker, live, self.clock.now)
        worker.reported = live.get("status")
        if status != worker.reported:
            patch = {"metadata": {"uid": worker.uid}, "status": status}
            live = client.patch("pods", name, patch, namespace, subresource="status")
            worker.reported = live.get("status")
        if worker.finished and worker.terminating:
            client.delete("pods", name, namespace, grace=0, uid=worker.uid)


__all__ = ["KubeletSim", "NodeSpec", "NodeState"]
