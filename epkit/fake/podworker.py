"""The life of one pod on its node: sandbox, init containers, containers, restarts, and the end.

Source: ``pkg/kubelet/pod_workers.go``, ``kuberuntime_manager.go`` and ``kuberuntime_container.go`` of Kubernetes v1.36.

A worker never writes the pod itself: it changes its containers and calls :meth:`PodWorker.report`; the kubelet's status
queue then works out the status and sends it, once for all that has changed at one moment.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from epkit.fake import images, program
from epkit.fake.clock import Timer
from epkit.fake.containers import RUNNING, TERMINATED, WAITING, Container
from epkit.fake.probes import LIVENESS, READINESS, STARTUP, Probe
from epkit.objects import Obj, annotations_of, key_of, name_of, namespace_of, uid_of

if TYPE_CHECKING:
    from epkit.fake.kubelet import KubeletSim, NodeState

#: switches of the simulation, annotations of a pod: its containers end with that code; they take that long to stop
EXIT_ANNOTATION = "fake/exit"
STOP_ANNOTATION = "fake/term-delay"

#: seconds between a container's end and its first restart, which has no back-off
RESTART_DELAY = 1.0
#: seconds from the end of the last container to the pod's removal from the API
CLEANUP = 0.5
#: seconds until a pod gets another try that has not got an address
SANDBOX_RETRY = 10.0
SIGKILLED = 137


class PodWorker:
    """One pod that a simulated kubelet looks after.

    Attributes:
        pod: the pod as the API server has it, as far as the kubelet knows.
        sandbox: its network is there; `ip` is its address.
        terminating: it has been deleted and is being stopped.
        finished: it has come to its end: none of its containers runs, and none will again.
        refused: why its node would not take it: a reason and a message.
    """

    def __init__(self, kubelet: KubeletSim, node: NodeState, pod: Obj) -> None:
        self.kubelet = kubelet
        self.node = node
        self.pod = pod
        self.key = key_of(pod)
        self.uid = uid_of(pod)
        self.seen_at = kubelet.clock.now
        self.ip = ""
        self.sandbox = False
        self.terminating = False
        self.refused: tuple[str, str] | None = None
        self.gone = False
        self.reported: Obj | None = None
        spec = pod["spec"]
        self.init = [self._container(entry, init=True) for entry in spec.get("initContainers") or ()]
        self.main = [self._container(entry) for entry in spec.get("containers") or ()]
        self._ending = False
        self._probes: dict[str, dict[str, Probe]] = {}
        self._timers: dict[str, list[Timer]] = {}
        self._stopping: set[str] = set()

    def _container(self, spec: Obj, init: bool = False) -> Container:
        container = Container(spec, self.uid, self._base_files, dict, init=init)
        if init or self.pod["spec"].get("initContainers"):
            container.why = "PodInitializing"
        return container

    # -- what it is asked ------------------------------------------------------------------------------------------

    @property
    def everyone(self) -> list[Container]:
        return [*self.init, *self.main]

    @property
    def finished(self) -> bool:
        return self._ending and not any(container.running for container in self.everyone)

    @property
    def never_started(self) -> bool:
        return all(container.ended is None and container.state != RUNNING for container in self.main)

    @property
    def now(self) -> float:
        return self.kubelet.clock.now

    def shell(self, container: Container, argv: list[str]) -> tuple[int, str]:
        return self.kubelet.shell(container, argv)

    # -- what it does to others ------------------------------------------------------------------------------------

    def after(self, delay: float, run: Callable[[], None], what: str, *, settles: bool) -> Timer:
        """Call `run` later; `what` is for whoever steps through time."""
        label = f"kubelet {self.node.name}: {what} ({self.key})"
        return self.kubelet.clock.call_later(delay, run, settles=settles, label=label)

    def _later(self, who: str, delay: float, run: Callable[[], None], what: str, *, settles: bool) -> None:
        """As :meth:`after`, until :meth:`_cancel` is called for `who`: a container's name, or a stage of the pod's."""
        timers = self._timers.setdefault(who, [])
        timers[:] = [timer for timer in timers if timer.when > self.now and not timer.cancelled]
        timers.append(self.after(delay, run, what, settles=settles))

    def _cancel(self, who: str) -> None:
        for timer in self._timers.pop(who, ()):
            timer.cancel()

    def report(self) -> None:
        """Have the status sent, if it differs from what the API server has."""
        self.kubelet.report(self)

    def event(self, type: str, reason: str, message: str, container: Container | None = None) -> None:
        path = ""
        if container is not None:
            path = f"spec.{'initContainers' if container.init else 'containers'}{{{container.name}}}"
        self.kubelet.record(self, type, reason, message, path)

    # -- start -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The kubelet has just seen the pod."""
        if self.pod["metadata"].get("deletionTimestamp"):
            self.terminate()
            return
        self.refused = self.kubelet.refuse(self)
        if self.refused is not None:
            self.event("Warning", *self.refused)
            self._end()
            return
        self.report()
        self._later("start", self.node.start_delay, self._start, "starts the pod", settles=True)

    def _start(self) -> None:
        address = self.kubelet.address_for(self)
        if address is None:
            text = 'Failed to create pod sandbox: plugin type="host-local" failed (add): no IP addresses available'
            self.event("Warning", "FailedCreatePodSandBox", f"{text} in {self.node.spec.network}")
            self._later("start", SANDBOX_RETRY, self._start, "tries again to start the pod", settles=False)
            return
        self.ip, self.sandbox = address, True
        self._go_on()
        self.report()

    def _go_on(self) -> None:
        """Start what is next: init containers one after the other, then all the others together."""
        if self.terminating or self._ending:
            return
        for container in self.init:
            if container.sidecar:
                if container.ended is None and not container.running:
                    self._start_container(container)
                if not container.started:
                    return
            elif container.state == TERMINATED and container.ended is not None and container.ended.code == 0:
                continue
            else:
                if container.state != TERMINATED and not container.running and container.ended is None:
                    self._start_container(container)
                return
        for container in self.main:
            if container.ended is None and not container.running:
                self._start_container(container)

    def _start_container(self, container: Container) -> None:
        for reason, message in images.pull(container.spec, self.node.images):
            self.event("Normal", reason, message, container)
        env = self.kubelet.environment(self, container)
        container.base_env = lambda: env()
        container.start(self.now)
        self.event("Normal", "Created", "Container created", container)
        self.event("Normal", "Started", "Container started", container)
        kinds = [kind for kind in (STARTUP, READINESS, LIVENESS) if f"{kind}Probe" in container.spec]
        self._probes[container.name] = {kind: Probe(self, container, kind) for kind in kinds}
        if STARTUP in kinds:
            self._probes[container.name][STARTUP].start()
        else:
            self._started(container)
        self._run(container, program.steps(container.argv, container.image, container.init and not container.sidecar))
        if not container.init:
            self._follow_exit_annotation(container)

    def _started(self, container: Container) -> None:
        """Its startup probe, if it has one, has succeeded: the other probes begin."""
        container.started = True
        probes = self._probes[container.name]
        container.ready = READINESS not in probes
        for kind in (READINESS, LIVENESS):
            if kind in probes:
                probes[kind].start()

    def _run(self, container: Container, steps: list[program.Step]) -> None:
        """Have what its program does happen in its time."""
        if not steps or not container.running:
            return
        step, rest = steps[0], steps[1:]

        def act() -> None:
            match step.what:
                case "write":
                    container.write(step.path, step.text)
                case "remove":
                    container.remove(step.path)
                case "say":
                    container.say(self.now, step.text.replace("$(hostname)", name_of(self.pod)))
                case "exit":
                    self._exit(container, step.code)
                    return
            self._run(container, rest)

        if step.after <= 0:
            act()
            return
        # A pod that is there to come to an end is waited for; a server's own doings are not.
        policy = self.pod["spec"].get("restartPolicy", "Always")
        settles = container.init or policy != "Always" or step.what == "exit"
        self._later(container.name, step.after, act, f"{container.name} runs its program", settles=settles)

    # -- changes ---------------------------------------------------------------------------------------------------

    def updated(self, pod: Obj) -> None:
        """The pod has changed in the API."""
        old, self.pod = self.pod, pod
        if pod["metadata"].get("deletionTimestamp"):
            if _grace(old) != _grace(pod):
                self.terminate()
        if annotations_of(old) != annotations_of(pod):
            if annotations_of(old).get(EXIT_ANNOTATION) != annotations_of(pod).get(EXIT_ANNOTATION):
                for container in self.main:
                    self._follow_exit_annotation(container)
            self.report()

    def probed(self, probe: Probe) -> None:
        """A probe has come to another result."""
        container = probe.container
        if probe.kind == READINESS:
            container.ready = bool(probe.result)
            self.report()
        elif probe.kind == STARTUP and probe.result:
            probe.stop()
            self._started(container)
            self._go_on()
            self.report()
        elif not probe.result and not self.terminating:
            probe.stop()
            text = f"Container {container.name} failed {probe.kind} probe, will be restarted"
            self.event("Normal", "Killing", text, container)
            self._stop_container(container)

    def _follow_exit_annotation(self, container: Container) -> None:
        code = annotations_of(self.pod).get(EXIT_ANNOTATION)
        if code is None or not container.running:
            return
        status = int(code) if code.isdigit() else 1
        end = partial(self._exit, container, status)
        self._later(container.name, program.SHORTEST, end, f"{container.name} ends", settles=True)

    # -- the end of a container ------------------------------------------------------------------------------------

    def _exit(self, container: Container, code: int) -> None:
        """Its process has ended: what now?"""
        self._cancel(container.name)
        container.end(self.now, code)
        self._stopping.discard(container.name)
        for probe in self._probes.pop(container.name, {}).values():
            probe.stop()
        if self.terminating:
            self._one_less()
        elif self._restarts(container, code):
            self._restart(container)
        elif container.init and code == 0:
            self._go_on()
        elif container.init or all(other.state == TERMINATED for other in self.main):
            self._end()
        self.report()

    def _restarts(self, container: Container, code: int) -> bool:
        """By its restart policy. An exit annotation of "0" completes a pod even where it would be restarted."""
        if self._ending or container.sidecar:
            return not self._ending
        if not container.init and code == 0 and annotations_of(self.pod).get(EXIT_ANNOTATION) == "0":
            return False
        policy = self.pod["spec"].get("restartPolicy", "Always")
        return policy == "Always" and not (container.init and code == 0) or (policy == "OnFailure" and code != 0)

    def _restart(self, container: Container) -> None:
        """At once the first time; then after 10 s, doubled each time, at most 5 minutes. No clock jumps over that."""
        start = partial(self._start_again, container)
        wait = container.backoff_at(self.now)
        if not wait:
            self._later(container.name, RESTART_DELAY, start, f"restarts {container.name}", settles=True)
            return
        shown = f"{wait // 60}m{wait % 60}s" if wait >= 60 else f"{wait}s"
        pod = f"{name_of(self.pod)}_{namespace_of(self.pod)}({self.uid})"
        container.wait("CrashLoopBackOff", f"back-off {shown} restarting failed container={container.name} pod={pod}")
        text = f"Back-off restarting failed container {container.name} in pod {pod}"
        self.event("Warning", "BackOff", text, container)
        self._later(container.name, wait, start, f"restarts {container.name}", settles=False)

    def _start_again(self, container: Container) -> None:
        container.raise_backoff(self.now)
        self._start_container(container)
        self.report()

    def _end(self) -> None:
        """Its work is done, or has failed for good: what still runs of it stops."""
        if not self._ending:
            self._ending = True
            for container in self.everyone:
                if container.running:
                    self._stop_container(container)
        self.report()

    # -- the end of the pod ----------------------------------------------------------------------------------------

    def terminate(self) -> None:
        """The pod has been deleted: stop its containers, at the latest when its grace period is over.

        A later deletion with a shorter grace period starts that one.
        """
        self._cancel("kill")
        self._later("kill", _grace(self.pod) or 0, self._kill, "kills what is left of the pod", settles=True)
        if self.terminating:
            return
        self.terminating = True
        self._cancel("start")
        for probes in self._probes.values():
            for kind in (LIVENESS, STARTUP):
                if kind in probes:
                    probes[kind].stop()
        for container in self.everyone:
            if container.state == WAITING and container.ended is not None:  # it waits for its next start
                self._cancel(container.name)
                container.state = TERMINATED
        for container in self.main:
            self._stop_with_event(container)
        self._one_less()

    def _stop_with_event(self, container: Container) -> None:
        if container.running and container.name not in self._stopping:
            self.event("Normal", "Killing", f"Stopping container {container.name}", container)
            self._stop_container(container)

    def _stop_container(self, container: Container) -> None:
        """Its preStop hook, then SIGTERM; it ends when its program does, or by SIGKILL after the grace period."""
        self._stopping.add(container.name)
        self._cancel(container.name)
        grace = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        wait = program.hook_time(container.spec, container.image) + self._stop_time(container)
        end = partial(self._exit, container, 0 if wait <= grace else SIGKILLED)
        self._later(container.name, min(wait, grace), end, f"{container.name} stops", settles=True)

    def _stop_time(self, container: Container) -> float:
        given = annotations_of(self.pod).get(STOP_ANNOTATION, "")
        try:
            return max(0.0, float(given))
        except ValueError:
            return container.image.stop_time

    def _one_less(self) -> None:
        """Sidecars stop after the main containers, in reverse order; after the last one the pod can go."""
        if any(container.running for container in self.main):
            return
        for container in reversed(self.init):
            if container.running:
                self._stop_with_event(container)
                return
        if "cleanup" not in self._timers:
            self.report()
            self._later("cleanup", CLEANUP, self._end, "cleans up after the pod", settles=True)

    def _kill(self) -> None:
        for container in self.everyone:
            if container.running:
                self._exit(container, SIGKILLED)

    def vanish(self) -> None:
        """The pod is no longer in the API: whatever runs of it ends without a word."""
        for container in self.everyone:
            if container.running:
                container.end(self.now, SIGKILLED)
        for probes in self._probes.values():
            for probe in probes.values():
                probe.stop()
        for who in list(self._timers):
            self._cancel(who)
        self.gone = True

    # -- files -----------------------------------------------------------------------------------------------------

    def _base_files(self) -> dict[str, str]:
        """What every container finds: names, DNS, its service account, and what a web server shows."""
        return self.kubelet.files_of(self)


def _grace(pod: Obj) -> int | None:
    """The grace period of its deletion, in seconds; None while it is not deleted."""
    meta = pod["metadata"]
    return int(meta.get("deletionGracePeriodSeconds") or 0) if meta.get("deletionTimestamp") else None
