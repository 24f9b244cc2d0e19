"""The life of one pod on its node: sandbox, init containers, containers, restarts, and the end.

Source: ``pkg/kubelet/pod_workers.go``, ``kuberuntime_manager.go`` and ``kuberuntime_container.go`` of Kubernetes v1.36.

A worker never writes the pod itself: it changes its containers and calls :meth:`PodWorker.report`; the kubelet's status
queue then works out the status and sends it, once for all that has changed at one moment.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from epkit.fake import program
from epkit.fake.clock import Timer, parse_time
from epkit.fake.containers import RUNNING, TERMINATED, Container
from epkit.fake.images import full_name
from epkit.fake.probes import LIVENESS, READINESS, STARTUP, Probe
from epkit.objects import Obj, annotations_of, key_of, name_of, namespace_of, uid_of

if TYPE_CHECKING:
    from epkit.fake.kubelet import KubeletSim, NodeState

#: switches of the simulation, annotations of a pod: its containers end with that code; they take that long to stop
EXIT_ANNOTATION = "fake/exit"
STOP_ANNOTATION = "fake/term-delay"

#: seconds between a container's end and its first restart, which has no back-off
RESTART_DELAY = 1.0
#: the back-off of later restarts, in seconds: the first, the longest, and how long a good run makes it forgotten
BACKOFF, LONGEST_BACKOFF, BACKOFF_FORGOTTEN = 10.0, 300.0, 600.0
#: seconds from the end of the last container to the pod's removal from the API
CLEANUP = 0.5
SIGKILLED, SIGTERMED = 137, 143


class PodWorker:
    """One pod that a simulated kubelet looks after.

    Attributes:
        pod: the pod as the API server has it, as far as the kubelet knows.
        sandbox: its network is there; `ip` is its address.
        terminating: it has been deleted and is being stopped.
        finished: none of its containers runs again.
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
        self.finished = False
        self.gone = False
        self.reported: Obj | None = None
        spec = pod["spec"]
        self.init = [self._container(entry, init=True) for entry in spec.get("initContainers") or ()]
        self.main = [self._container(entry) for entry in spec.get("containers") or ()]
        self._probes: dict[str, dict[str, Probe]] = {}
        self._timers: dict[str, Timer] = {}
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
    def never_started(self) -> bool:
        return all(container.ended is None and container.state != RUNNING for container in self.main)

    @property
    def now(self) -> float:
        return self.kubelet.clock.now

    def shell(self, container: Container, argv: list[str]) -> tuple[int, str]:
        return self.kubelet.shell(container, argv)

    # -- what it does to others ------------------------------------------------------------------------------------

    def after(self, delay: float, run: Callable[[], None], what: str, *, settles: bool) -> Timer:
        """Call `run` later, unless the pod is gone by then."""
        label = f"kubelet {self.node.name}: {what}"
        return self.kubelet.clock.call_later(delay, lambda: None if self.gone else run(), settles=settles, label=label)

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
        self.report()
        self._timers["start"] = self.after(self.node.start_delay, self._start, f"starts pod {self.key}", settles=True)

    def _start(self) -> None:
        self.ip = self.kubelet.address_for(self)
        self.sandbox = True
        self._go_on()
        self.report()

    def _go_on(self) -> None:
        """Start what is next: init containers one after the other, then all the others together."""
        if self.terminating or self.finished:
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
        self._pull(container)
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

    def _pull(self, container: Container) -> None:
        image, policy = container.spec.get("image", ""), container.spec.get("imagePullPolicy")
        name = full_name(image)
        if policy == "Always" or (policy != "Never" and name not in self.node.images):
            took = f"{300 + container.image.size % 700}ms"
            self.event("Normal", "Pulling", f'Pulling image "{image}"', container)
            text = f'Successfully pulled image "{image}" in {took} ({took} including waiting). '
            self.event("Normal", "Pulled", f"{text}Image size: {container.image.size} bytes.", container)
        else:
            text = f'Container image "{image}" already present on machine and can be accessed by the pod'
            self.event("Normal", "Pulled", text, container)
        self.node.images.add(name)

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
        step, rest, process = steps[0], steps[1:], container.id

        def act() -> None:
            if not container.running or container.id != process:
                return
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
        ends = container.init or self.pod["spec"].get("restartPolicy", "Always") != "Always"
        self.after(step.after, act, f"{self.key}/{container.name} runs its program", settles=ends or step.what == "exit")

    # -- changes ---------------------------------------------------------------------------------------------------

    def updated(self, pod: Obj) -> None:
        """The pod has changed in the API."""
        old, self.pod = self.pod, pod
        if pod["metadata"].get("deletionTimestamp"):
            if self._deadline(old) != self._deadline(pod):
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
        process = container.id

        def end() -> None:
            if container.running and container.id == process:
                self._exit(container, int(code) if code.isdigit() else 1)

        self.after(program.SHORTEST, end, f"{self.key}/{container.name} ends", settles=True)

    # -- the end of a container ------------------------------------------------------------------------------------

    def _exit(self, container: Container, code: int) -> None:
        container.end(self.now, code)
        self._stopping.discard(container.name)
        for probe in self._probes.pop(container.name, {}).values():
            probe.stop()
        if self.terminating:
            self._one_less()
        elif self._restarts(container, code):
            self._restart(container)
        elif container.init and code != 0:
            self._finish()
        elif container.init:
            self._go_on()
        elif all(other.state == TERMINATED for other in self.main):
            self._finish()
        self.report()

    def _restarts(self, container: Container, code: int) -> bool:
        """By its restart policy. An exit annotation of "0" completes a pod even where it would be restarted."""
        if container.sidecar:
            return not self.finished
        if not container.init and code == 0 and annotations_of(self.pod).get(EXIT_ANNOTATION) == "0":
            return False
        policy = self.pod["spec"].get("restartPolicy", "Always")
        return policy == "Always" and not (container.init and code == 0) or (policy == "OnFailure" and code != 0)

    def _restart(self, container: Container) -> None:
        """At once the first time; then after 10 s, doubled each time, at most 5 minutes. No clock jumps over that."""
        if self.now - container.backoff_at > BACKOFF_FORGOTTEN:
            container.backoff = 0.0
        if not container.backoff:
            self._timers[container.name] = self.after(
                RESTART_DELAY, lambda: self._start_again(container), f"restarts {self.key}/{container.name}", settles=True
            )
            return
        seconds = int(container.backoff)
        shown = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
        pod = f"{name_of(self.pod)}_{namespace_of(self.pod)}({self.uid})"
        container.wait("CrashLoopBackOff", f"back-off {shown} restarting failed container={container.name} pod={pod}")
        self.event("Warning", "BackOff", f"Back-off restarting failed container {container.name} in pod {pod}", container)
        self._timers[container.name] = self.after(
            container.backoff, lambda: self._start_again(container), f"restarts {self.key}/{container.name}", settles=False
        )

    def _start_again(self, container: Container) -> None:
        container.backoff = min(container.backoff * 2, LONGEST_BACKOFF) if container.backoff else BACKOFF
        container.backoff_at = self.now
        self._start_container(container)
        self.report()

    def _finish(self) -> None:
        """None of its main containers runs again: the sidecars go too."""
        self.finished = True
        for container in self.everyone:
            if container.running:
                self._stop_container(container)
        self.report()

    # -- the end of the pod ----------------------------------------------------------------------------------------

    def terminate(self) -> None:
        """The pod has been deleted: stop its containers, at the latest when its grace period is over."""
        deadline = self._deadline(self.pod) or self.now
        if (timer := self._timers.pop("kill", None)) is not None:
            timer.cancel()
        self._timers["kill"] = self.after(
            max(0.0, deadline - self.now), self._kill, f"kills what is left of {self.key}", settles=True
        )
        if self.terminating:
            return
        self.terminating = True
        for name, timer in self._timers.items():
            if name != "kill":
                timer.cancel()
        for probes in self._probes.values():
            for kind in (LIVENESS, STARTUP):
                if kind in probes:
                    probes[kind].stop()
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
        process = container.id
        grace = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        wait = _hook_time(container) + self._stop_time(container)
        code = 0 if wait <= grace else SIGKILLED

        def end() -> None:
            if container.running and container.id == process:
                self._exit(container, code)

        self.after(min(wait, grace), end, f"{self.key}/{container.name} stops", settles=True)

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
        if not self.gone and "cleanup" not in self._timers:
            self.report()
            self._timers["cleanup"] = self.after(CLEANUP, self._stopped, f"cleans up after {self.key}", settles=True)

    def _stopped(self) -> None:
        self.finished = True
        self.report()

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
        for timer in self._timers.values():
            timer.cancel()
        self.gone = True

    @staticmethod
    def _deadline(pod: Obj) -> float | None:
        text = pod["metadata"].get("deletionTimestamp")
        return parse_time(text) if text else None

    # -- files -----------------------------------------------------------------------------------------------------

    def _base_files(self) -> dict[str, str]:
        """What every container finds: names, DNS, its service account, and what a web server shows."""
        return self.kubelet.files_of(self)


def _hook_time(container: Container) -> float:
    """How long the preStop hook takes: a sleep of either form; whatever else it does takes no time."""
    hook = (container.spec.get("lifecycle") or {}).get("preStop") or {}
    if "sleep" in hook:
        return float(hook["sleep"].get("seconds", 0))
    command = (hook.get("exec") or {}).get("command") or []
    return sum(step.after for step in program.steps(command, container.image, must_end=True)) if command else 0.0
