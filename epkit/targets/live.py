"""Clusters that stay: what they have in common, whether epkit made them or a kubeconfig names them.

epkit writes in namespaces of its own (:mod:`epkit.targets.own`), waits by watching (:mod:`epkit.targets.settling`), and
knows the story from the moment of connecting on (:mod:`epkit.targets.recorder`).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from epkit.client import Client
from epkit.errors import ApiError, EpkitError
from epkit.executed import Executed
from epkit.objects import name_of
from epkit.story import Story
from epkit.targets import learner as learners
from epkit.targets.base import Target
from epkit.targets.guard import Guard, guard_streams
from epkit.targets.http import HttpTransport
from epkit.targets.own import Own
from epkit.targets.recorder import Recorder
from epkit.targets.sender import Sender
from epkit.targets.settling import LONGEST, Settling
from epkit.traffic import Responses

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

#: from this one on, what the course shows is there: a server's minor version of Kubernetes 1
OLDEST_MINOR = 29
#: the channel on which a command's end is told
ERROR_CHANNEL = 3
#: how long a namespace may take to go
GOING = 120.0


class LiveTransport(HttpTransport):
    """The way to a live cluster, for epkit's client and its kubectl: plain requests, and commands in containers."""

    run: Callable[[str, str, str, Sequence[str], str], Executed]

    def exec(self, namespace: str, pod: str, container: str, command: list[str], stdin: str) -> tuple[str, str, int]:
        """Run a command; its stdout, stderr and exit code."""
        done = self.run(namespace, pod, container, command, stdin)
        return done.stdout, done.stderr, done.returncode


class Live(Target):
    """A cluster that a kubeconfig describes.

    Args:
        file: the kubeconfig; as kubectl finds it if empty.
        context: its context; the current one if empty.
        why_not: why nothing is written, said of each write that is held back; empty where epkit may write.

    Raises:
        EpkitError: there is no such context, its cluster does not answer, or it is older than 1.29.
    """

    powers = frozenset({"story", "exec", "request"})
    guarded = True

    def __init__(self, file: str = "", context: str = "", *, why_not: str = "") -> None:
        self._file, self._context = file, context
        self._bare = HttpTransport.from_kubeconfig(file, context)
        self.version = self._ask_version()
        self._refuse_old()
        self.learner = learners.read()
        self.own = Own(Client(self._bare), self.learner, self.learner.name_on(self.identity))
        self._http = LiveTransport.from_kubeconfig(file, context)
        self._http.run = self.run_for_kubectl
        self._guard = Guard(self._http.api.rest_client.pool_manager, self.own, self._http.server, why_not)
        self._http.api.rest_client.pool_manager = self._guard
        guard_streams(self._http.api, self._guard)
        self.transport = self._http
        self.client = Client(self.transport)
        self._recorder = Recorder(self._bare, self._of_interest)
        self._settling = Settling(self._recorder, self.tell)
        self._seen = 0  # writes of ours that were waited for
        self._written_at = float("-inf")
        self._held = 0
        if not why_not:
            self._begin()
        else:
            self.namespace = self._bare.namespace
            self._follow(self.namespace)

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """What tells this cluster and this way to it from others, in the learner's file.

        With the cluster's authority: behind a tunnel, one address and one context may be one cluster today and another
        one tomorrow.
        """
        named = f"{self._bare.server} {self._context or 'current'}"
        authority = self._bare.api.configuration.ssl_ca_cert
        if not authority:
            return named
        return f"{named} {hashlib.sha256(Path(authority).read_bytes()).hexdigest()[:12]}"

    @property
    def writable(self) -> bool:
        return not self._guard.why_not

    def describe(self) -> str:
        return f"{self.name}, {self._bare.server}, Kubernetes {self.version}"

    def kubeconfig(self) -> Path:
        return Path(self._file)

    def api_client(self) -> ApiClient:
        return self._http.api

    def now(self) -> float:
        return time.time()

    def moment_of(self, version: int) -> float | None:
        return next((write.at for write in self._recorder.writes_since(0) if write.version == version), None)

    def tell(self, line: str) -> None:
        """Show progress to the learner."""
        print(line, flush=True)

    # -- time ----------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait for two quiet seconds in the learner's namespaces, a minute at most (:mod:`epkit.targets.settling`)."""
        self._note_writes()
        self._settling.settle(self._written_at)
        self._seen = self._guard.writes

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @contextmanager
    def together(self) -> Iterator[None]:
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self.after_command()

    def rest(self) -> None:
        self._note_writes()
        if self._guard.writes != self._seen:
            self.settle()

    def after_command(self) -> None:
        self._note_writes()
        if not self._held:
            self.rest()

    def _note_writes(self) -> None:
        if self._guard.writes != self._seen:
            self._written_at = time.monotonic()

    # -- the learner's namespaces --------------------------------------------------------------------------------------

    def real(self, namespace: str) -> str:
        return self.own.real(namespace)

    def enter(self, chapter: str) -> None:
        """Go into a chapter's namespace, empty: what is left of an earlier run is deleted first."""
        self.own.enter(chapter)
        self.namespace = self.own.namespace
        self.remove(self.own.left(chapter))
        self.own.ensure()

    def vacate(self, namespace: str) -> None:
        self.remove([self.own.real(namespace)])

    def remove(self, namespaces: Sequence[str]) -> None:
        """Delete namespaces of the learner and wait until they are gone.

        Raises:
            EpkitError: one of them is still there after two minutes.
        """
        if not namespaces:
            return
        begin, said = time.monotonic(), 0.0
        while self.own.empty(namespaces) and time.monotonic() - begin < GOING / 4:
            self._recorder.wait(0.5)
        self.own.delete(list(namespaces))
        while left := [name for name in namespaces if self._still_there(name)]:
            passed = time.monotonic() - begin
            if passed > GOING:
                raise EpkitError(
                    f"The namespaces {', '.join(left)} do not go: look at `kubectl get namespace {left[0]} -o yaml`, "
                    "whose conditions say what holds them, then start again."
                )
            if passed - said > 5.0:
                said = passed
                what = ", ".join(left) if len(left) < 4 else f"{len(left)} namespaces"
                self.tell(f"… {passed:.0f} s: {what} {'is' if len(left) == 1 else 'are'} being deleted")
            self._recorder.wait(0.5)

    def _still_there(self, namespace: str) -> bool:
        found = Client(self._bare).find("namespaces", namespace)
        return found is not None and self.own.is_mine(found, going=True)

    def _begin(self) -> None:
        """Writing is allowed: know the learner's namespaces, and follow them."""
        self.learner.keep()
        self.own.find()
        self.namespace = self.own.namespace
        self.own.on_change.append(self._follow_own)
        self._follow_own()

    def _follow_own(self) -> None:
        self._follow(*self.own.names)

    def _follow(self, *namespaces: str) -> None:
        if not self._recorder.whole:
            for namespace in namespaces:
                self._recorder.follow(namespace)

    def _of_interest(self, namespace: str) -> bool:
        return not self.writable or self.own.current(namespace)

    # -- powers --------------------------------------------------------------------------------------------------------

    def story(self) -> Story:
        """What was written since you connected; who is the field manager that changed last, where it says so."""
        return self._recorder.story()

    def exec(self, namespace: str, pod: str, container: str, words: Sequence[str], stdin: str) -> Executed:
        from kubernetes.client import CoreV1Api
        from kubernetes.client.exceptions import ApiException
        from kubernetes.stream import stream

        namespace = self.real(namespace)
        if stdin:
            raise EpkitError("On a live cluster exec takes no standard input here; use kubectl in a terminal.")
        if self.writable and not self.own.holds(namespace):
            raise EpkitError(f"epkit runs commands only in pods of its own namespaces; {namespace} is none of them.")
        found = self.client.get("pods", pod, namespace)
        container = container or str(found["spec"]["containers"][0]["name"])
        # The stream puts itself in the place of the client's requests, so it gets a client of its own.
        core = CoreV1Api(HttpTransport.from_kubeconfig(self._file, self._context).api)
        try:
            answer = stream(
                core.connect_get_namespaced_pod_exec, pod, namespace, command=list(words), container=container,
                stdin=False, stdout=True, stderr=True, tty=False, _preload_content=False,
            )  # fmt: skip
        except ApiException as error:
            raise EpkitError(f"The command could not be run in pod {pod}: {_why(error)}.") from None
        answer.run_forever(timeout=LONGEST)
        if answer.is_open():
            answer.close()
            raise EpkitError(f"The command in pod {pod} still ran after {LONGEST:g} s and was left alone.")
        return _ended(answer)

    def run_for_kubectl(self, namespace: str, pod: str, container: str, words: Sequence[str], stdin: str) -> Executed:
        """As :meth:`exec`; and the command that ran it is followed by a wait, as one that wrote something is."""
        done = self.exec(namespace, pod, container, words, stdin)
        if (found := self.client.find("pods", pod, self.real(namespace))) is not None:
            self._settling.touch(found)
        self._seen = -1
        return done

    def request(self, url: str, namespace: str, from_pod: str, from_node: str, n: int, over: float) -> Responses:
        """Real requests, by curl in a pod."""
        namespace = self.real(namespace)
        if not from_pod:
            from_pod = self._sender_on(from_node or self.nodes[0], namespace)
        return self._sender.send(url, namespace, from_pod, n, over)

    @cached_property
    def _sender(self) -> Sender:
        return Sender(self.client, self.exec, self.now, lambda: self.own.of_chapter(self.own.chapter))

    def _sender_on(self, node: str, namespace: str) -> str:
        if not self.writable:
            raise EpkitError("On a cluster that is only read, requests come from a pod that has curl: give from_pod.")
        pod = self._sender.pod_on(node, namespace)
        self.after_command()
        running = (self.client.get("pods", pod, namespace).get("status") or {}).get("phase") == "Running"
        if not running:
            raise EpkitError(
                f"The pod {pod}, from which the requests would be sent, does not run. See: kubectl describe pod {pod}"
            )
        return pod

    @property
    def nodes(self) -> list[str]:
        """The nodes that take ordinary pods, by name."""
        try:
            found = self.client.list("nodes").items
        except ApiError:
            raise EpkitError("You may not list this cluster's nodes. Name one, or give from_pod.") from None
        taken = ("NoSchedule", "NoExecute")
        free = [
            name_of(node)
            for node in found
            if not any(taint.get("effect") in taken for taint in node["spec"].get("taints") or ())
        ]
        return sorted(free or map(name_of, found))

    def close(self) -> None:
        self._recorder.stop()

    # -- within --------------------------------------------------------------------------------------------------------

    def _ask_version(self) -> str:
        answer = self._bare.send("GET", "/version")
        if answer.code >= 400:
            told = str(answer.body.get("message", answer.code)).rstrip(".")
            raise EpkitError(
                f"The cluster at {self._bare.server} does not say its version: {told}. See that `kubectl version` "
                "works with this context; perhaps you have to log in again."
            )
        return str(answer.body.get("gitVersion", "?"))

    def _refuse_old(self) -> None:
        found = re.match(r"v1\.(\d+)", self.version)
        if found is None or int(found[1]) < OLDEST_MINOR:
            raise EpkitError(
                f"The cluster at {self._bare.server} runs Kubernetes {self.version}; the course needs 1.{OLDEST_MINOR} "
                "or newer, since older ones write slices in other ways. Choose another one, or the built-in cluster."
            )


def _ended(stream: Any) -> Executed:
    """The outcome of a command: its last channel carries a Status (``k8s.io/apimachinery/pkg/util/remotecommand``)."""
    out, told = stream.read_stdout(), stream.read_stderr()
    try:
        status = orjson.loads(stream.read_channel(ERROR_CHANNEL))
    except orjson.JSONDecodeError:
        raise EpkitError("The connection to the pod broke off before the command ended.") from None
    if status.get("status") == "Success":
        return Executed(out, told, 0)
    causes = (status.get("details") or {}).get("causes") or []
    code = next((one["message"] for one in causes if one.get("reason") == "ExitCode"), "")
    if code.isdigit():
        return Executed(out, told, int(code))
    return Executed(out, f"{told}{status.get('message', '')}\n", 126)  # there was no command to end


def _why(error: Any) -> str:
    """What the server said in place of opening a stream, without the headers that the client puts around it."""
    found = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', str(error.reason).replace("\\'", "'"))
    return found[1].rstrip(".") if found else str(error.reason or error).partition(" -+-+-")[0]
