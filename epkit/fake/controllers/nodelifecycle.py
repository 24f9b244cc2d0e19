"""The node lifecycle controller: notices nodes that have gone silent, and taints them; marks their pods not ready.

Every 5 s it looks at each node's lease and status. After 50 s without news a node is Unknown: its pods become not
ready, and a taint tells the taint eviction controller to delete them in five minutes. How fast nodes are tainted
depends on how many of a zone are down: if all are, the fault may be the control plane's own.

Source: ``pkg/controller/nodelifecycle/node_lifecycle_controller.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from epkit.errors import ApiError
from epkit.fake.clock import parse_time
from epkit.fake.controllers import taints
from epkit.fake.controllers.framework import Controller, Kit, Recorder
from epkit.fake.controllers.podutil import is_ready
from epkit.objects import Obj, condition, key_of, labels_of, name_of, namespace_of, split_key

LEASES = "kube-node-lease"
#: the conditions that become Unknown when a node is silent
SILENCED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
#: condition -> its status -> the taint that it means (``nodeConditionToTaintKeyStatusMap``)
TAINTS = {
    "Ready": {"False": taints.NOT_READY, "Unknown": taints.UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
}
OWN_TAINTS = frozenset({key for kinds in TAINTS.values() for key in kinds.values()} | {taints.UNSCHEDULABLE})
#: seconds from the decision to taint a node to the taint (``scheduler.NodeEvictionPeriod``)
TAINTING_PERIOD = 0.1
NORMAL, PARTIAL, FULL = "Normal", "PartialDisruption", "FullDisruption"


@dataclass(frozen=True)
class Health:
    """What the controller remembers of a node, by its name and beyond its deletion (``nodeHealthData``)."""

    probed_at: float
    ready: Obj | None
    renewed: str = ""


@dataclass
class Zone:
    """The nodes of a zone that are to get a NoExecute taint, and how fast (``RateLimitedTimedQueue``)."""

    rate: float
    state: str = ""
    waiting: dict[str, None] = field(default_factory=dict)
    next_at: float = 0.0
    looking: bool = False


class NodeLifecycleController(Controller):
    """Turns silence into conditions, conditions into taints, and both into pods that are not ready."""

    name = "node-lifecycle-controller"
    component = "node-controller"
    flags = {
        "node_monitor_period": 5.0,
        "node_monitor_grace_period": 50.0,
        "node_startup_grace_period": 60.0,
        "node_eviction_rate": 0.1,
        "secondary_node_eviction_rate": 0.01,
        "large_cluster_size_threshold": 50,
        "unhealthy_zone_threshold": 0.55,
    }

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.recorder = Recorder(self.client, kit.loop, self.component)
        self._known: dict[str, Obj] = {}
        self._health: dict[str, Health] = {}
        self._zones: dict[str, Zone] = {}
        self._retry: set[str] = set()
        self.node_queue = self.new_queue("node lifecycle: NoSchedule taints", self._taint_no_schedule)
        self.pod_queue = self.new_queue("node lifecycle: pods", self._look_at_pod)
        self.nodes = self.informer("nodes")
        self.nodes.on(add=lambda node: self.node_queue.add(name_of(node)), update=self._node_updated)
        self.pods = self.informer("pods")
        self.pods.on(add=self._pod_added, update=self._pod_updated)
        self.leases = self.informer("leases")
        self.every(self.options["node_monitor_period"], self.monitor, "node lifecycle: looks at the nodes")

    def _node_updated(self, old: Obj, node: Obj) -> None:
        if _tainted_for(old) != _tainted_for(node) or taints.of(old) != taints.of(node):
            self.node_queue.add(name_of(node))

    def _pod_added(self, pod: Obj) -> None:
        if pod["spec"].get("nodeName"):
            self.pod_queue.add(key_of(pod))

    def _pod_updated(self, old: Obj, pod: Obj) -> None:
        if pod["spec"].get("nodeName") and old["spec"].get("nodeName") != pod["spec"]["nodeName"]:
            self.pod_queue.add(key_of(pod))

    # -- the look at all nodes -------------------------------------------------------------------------------------

    def monitor(self) -> None:
        """``monitorNodeHealth``: one look at every node."""
        nodes = self.nodes.list()
        self._classify(nodes)
        by_zone: dict[str, list[Obj]] = {}
        for node in nodes:
            observed = condition(node, "Ready")
            node = self._update_health(node)
            current = condition(node, "Ready")
            if current is None:
                continue
            by_zone.setdefault(zone_of(node), []).append(current)
            self._taint_no_execute(node, current)
            if current["status"] != "True" and (observed is not None and observed["status"] == "True"):
                message = f"Node {name_of(node)} status is now: NodeNotReady"
                self.recorder.event(node, "Normal", "NodeNotReady", message)
                self._mark_pods(name_of(node))
            elif name_of(node) in self._retry and current["status"] != "True":
                self._mark_pods(name_of(node))
        self._handle_disruption(by_zone, nodes)

    def _classify(self, nodes: list[Obj]) -> None:
        """Which nodes are new, and which have gone."""
        names = {name_of(node) for node in nodes}
        for node in nodes:
            name = name_of(node)
            if name not in self._known:
                self._event(node, "RegisteredNode", f"Registered Node {name} in Controller")
                self._zone(zone_of(node))
                self._reachable(node)
            self._known[name] = node
        for name in [name for name in self._known if name not in names]:
            self._event(self._known.pop(name), "RemovingNode", f"Removing Node {name} from Controller")

    def _event(self, node: Obj, reason: str, text: str) -> None:
        self.recorder.event(node, "Normal", reason, f"Node {name_of(node)} event: {text}")

    def _update_health(self, node: Obj) -> Obj:
        """``tryUpdateNodeHealth``: note what is new of a node; when nothing has been for too long, write that."""
        name, now, ready = name_of(node), self.clock.now, condition(node, "Ready")
        saved = self._health.get(name)
        grace = self.options["node_monitor_grace_period"]
        if ready is None:
            grace = self.options["node_startup_grace_period"]
            if saved is None:
                saved = Health(parse_time(node["metadata"]["creationTimestamp"]), None)
            else:
                saved = replace(saved, ready=None)
        elif saved is None or saved.ready is None or _heartbeat(saved.ready) != _heartbeat(ready):
            saved = Health(now, ready)
        lease = self.leases.get(LEASES, name)
        renewed = (lease["spec"].get("renewTime") or "") if lease is not None else ""
        if renewed and (not saved.renewed or parse_time(renewed) > parse_time(saved.renewed)):
            saved = replace(saved, renewed=renewed, probed_at=now)
        self._health[name] = saved
        if now <= saved.probed_at + grace:
            return node
        silent = self._silenced(node)
        if silent["status"]["conditions"] == (node.get("status") or {}).get("conditions"):
            return node
        try:
            written = self.client.update("nodes", silent, subresource="status")
        except ApiError as error:
            self.log(f"Update health of Node {name} from Controller error, Skipping - no pods will be evicted: {error}")
            return node
        self._health[name] = replace(saved, ready=condition(written, "Ready"))
        return written

    def _silenced(self, node: Obj) -> Obj:
        """The node with its conditions Unknown."""
        now, conditions = self.clock.timestamp(), []
        status = node.get("status") or {}
        for entry in status.get("conditions") or ():
            if entry["type"] in SILENCED and entry["status"] != "Unknown":
                unknown = {"status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": now}
                entry = {**entry, **unknown, "message": "Kubelet stopped posting node status."}
            conditions.append(entry)
        present = {entry["type"] for entry in conditions}
        conditions += [
            {
                "type": kind,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": node["metadata"]["creationTimestamp"],
                "lastTransitionTime": now,
            }
            for kind in SILENCED
            if kind not in present
        ]
        return {**node, "status": {**status, "conditions": conditions}}

    # -- pods ------------------------------------------------------------------------------------------------------

    def _mark_pods(self, node: str) -> None:
        """``MarkPodsNotReady``: the kubelet cannot say any more that they are ready."""
        self._retry.discard(node)
        for pod in self.pods.list():
            if pod["spec"].get("nodeName") == node and not self._mark_pod(pod):
                self._retry.add(node)

    def _mark_pod(self, pod: Obj) -> bool:
        if not is_ready(pod):
            return True
        unready = {"status": "False", "lastTransitionTime": self.clock.timestamp()}
        conditions = [
            {**entry, **unready} if entry["type"] == "Ready" else entry for entry in pod["status"]["conditions"]
        ]
        meta = {key: pod["metadata"][key] for key in ("uid", "resourceVersion")}
        patch = {"metadata": meta, "status": {"conditions": conditions}}
        try:
            self.client.patch("pods", name_of(pod), patch, namespace_of(pod), subresource="status")
        except ApiError as error:
            return error.reason == "NotFound"
        self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
        return True

    def _look_at_pod(self, key: str) -> None:
        """``processPod``: a pod that has just been bound to a node which is not ready is marked too."""
        pod = self.pods.get(*split_key(key))
        health = self._health.get(pod["spec"].get("nodeName", "")) if pod is not None else None
        if pod is None or health is None or health.ready is None or health.ready["status"] == "True":
            return
        if self.nodes.get("", pod["spec"]["nodeName"]) is not None and not self._mark_pod(pod):
            self.pod_queue.add_rate_limited(key)

    # -- taints ----------------------------------------------------------------------------------------------------

    def _taint_no_schedule(self, name: str) -> None:
        """``doNoScheduleTaintingPass``: the node's taints say what its conditions and ``unschedulable`` say."""
        node = self.nodes.get("", name)
        if node is None:
            return
        wanted = _tainted_for(node)
        have = [taint["key"] for taint in taints.of(node) if taint["effect"] == taints.NO_SCHEDULE]
        add = [key for key in wanted if key not in have]
        remove = [key for key in have if key in OWN_TAINTS and key not in wanted]
        self._swap(node, add, remove, taints.NO_SCHEDULE)

    def _taint_no_execute(self, node: Obj, ready: Obj) -> None:
        """``processTaintBaseEviction``: line the node up for its NoExecute taint, or take that off."""
        key = TAINTS["Ready"].get(ready["status"])
        if key is None:
            self._reachable(node)
            return
        other = taints.UNREACHABLE if key == taints.NOT_READY else taints.NOT_READY
        if taints.has(taints.of(node), other, taints.NO_EXECUTE):
            self._swap(node, [key], [other], taints.NO_EXECUTE)
        elif not taints.has(taints.of(node), key, taints.NO_EXECUTE):
            zone = self._zone(zone_of(node))
            zone.waiting[name_of(node)] = None
            self._taint_soon(zone)

    def _taint_soon(self, zone: Zone) -> None:
        if zone.waiting and not zone.looking:
            zone.looking = True
            wait = max(TAINTING_PERIOD, zone.next_at - self.clock.now)
            self.later(wait, lambda: self._taint_next(zone), "taints the next node of a zone")

    def _taint_next(self, zone: Zone) -> None:
        """``doNoExecuteTaintingPass``: taint those who wait, not faster than the zone's rate."""
        zone.looking = False
        while zone.waiting and zone.rate > 0:
            if self.clock.now < zone.next_at:
                self._taint_soon(zone)
                return
            name = next(iter(zone.waiting))
            del zone.waiting[name]
            node = self.client.find("nodes", name)
            key = TAINTS["Ready"].get((condition(node, "Ready") or {}).get("status", "")) if node is not None else None
            if node is None or key is None:
                continue
            other = taints.UNREACHABLE if key == taints.NOT_READY else taints.NOT_READY
            self._swap(node, [key], [other], taints.NO_EXECUTE)
            zone.next_at = self.clock.now + 1 / zone.rate

    def _reachable(self, node: Obj) -> None:
        """``markNodeAsReachable``"""
        self._zone(zone_of(node)).waiting.pop(name_of(node), None)
        self._swap(node, [], [taints.NOT_READY, taints.UNREACHABLE], taints.NO_EXECUTE)

    def _swap(self, node: Obj, add: list[str], remove: list[str], effect: str) -> None:
        """Add and remove taints of one effect, in the node as it is now."""
        present = [(taint["key"], taint["effect"]) for taint in taints.of(node)]
        if not any((key, effect) not in present for key in add) and not any((key, effect) in present for key in remove):
            return
        live = self.client.find("nodes", name_of(node))
        if live is None:
            return
        kept = [taint for taint in taints.of(live) if taint["effect"] != effect or taint["key"] not in (*add, *remove)]
        now = self.clock.timestamp()
        kept += [{"key": key, "effect": effect, "timeAdded": now} for key in add]
        patch = {"metadata": {"resourceVersion": live["metadata"]["resourceVersion"]}, "spec": {"taints": kept or None}}
        self.client.patch("nodes", name_of(node), patch)

    # -- zones -----------------------------------------------------------------------------------------------------

    def _zone(self, key: str) -> Zone:
        if key not in self._zones:
            self._zones[key] = Zone(self.options["node_eviction_rate"])
        return self._zones[key]

    def _handle_disruption(self, by_zone: dict[str, list[Obj]], nodes: list[Obj]) -> None:
        """``handleDisruption``: care where most of a zone is down, nothing at all where the whole cluster is."""
        if not by_zone:
            return
        states = {key: self._state_of(conditions) for key, conditions in by_zone.items()}
        were_down = all(self._zone(key).state == FULL for key in states)
        are_down = all(state == FULL for state in states.values())
        if are_down and were_down:
            return
        if are_down:
            self.log("Controller detected that all Nodes are not-Ready. Entering master disruption mode")
            for node in nodes:
                self._reachable(node)
        elif were_down:
            self.log("Controller detected that some Nodes are Ready. Exiting master disruption mode")
            now = self.clock.now
            self._health |= {
                name_of(node): replace(self._health[name_of(node)], probed_at=now)
                for node in nodes
                if name_of(node) in self._health
            }
        for key, state in states.items():
            zone = self._zone(key)
            if zone.state != state or are_down or were_down:
                zone.rate = 0.0 if are_down else self._rate(state, len(by_zone[key]))
                zone.state = state
                self._taint_soon(zone)

    def _state_of(self, conditions: list[Obj]) -> str:
        ready = sum(entry["status"] == "True" for entry in conditions)
        down = len(conditions) - ready
        if ready == 0 and down > 0:
            return FULL
        if down > 2 and down / len(conditions) >= self.options["unhealthy_zone_threshold"]:
            return PARTIAL
        return NORMAL

    def _rate(self, state: str, size: int) -> float:
        if state != PARTIAL:
            return float(self.options["node_eviction_rate"])
        large = size > self.options["large_cluster_size_threshold"]
        return float(self.options["secondary_node_eviction_rate"]) if large else 0.0


def _heartbeat(ready: Obj) -> str | None:
    return ready.get("lastHeartbeatTime")


def zone_of(node: Obj) -> str:
    labels = labels_of(node)
    region, zone = (labels.get(f"topology.kubernetes.io/{part}", "") for part in ("region", "zone"))
    return f"{region}:\x00:{zone}" if region or zone else ""


def _tainted_for(node: Obj) -> list[str]:
    """The keys of the NoSchedule taints that the node should have."""
    wanted = []
    for entry in (node.get("status") or {}).get("conditions") or ():
        key = TAINTS.get(entry["type"], {}).get(entry["status"])
        if key is not None:
            wanted.append(key)
    if (node.get("spec") or {}).get("unschedulable"):
        wanted.append(taints.UNSCHEDULABLE)
    return wanted
