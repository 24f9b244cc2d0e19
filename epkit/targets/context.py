"""Any cluster that a kubeconfig names, looked at and not changed.

``epkit.connect("context:NAME")`` reads with your rights. Its pictures, ``why`` and the story from the moment you
connect work as on the built-in cluster. It writes nothing: a command that would change the cluster is refused before it
is sent. The one thing it does there is :meth:`Context.exec`, and :meth:`Context.request` by it, in a pod that you name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epkit.client import Answer, Client, Transport
from epkit.errors import ApiError, EpkitError
from epkit.executed import Executed
from epkit.objects import Obj, key_of
from epkit.story import Story, Written
from epkit.targets.base import Target, given
from epkit.targets.http import HttpTransport
from epkit.traffic import ANSWERED, FAILED, REFUSED, TIMED_OUT, UNRESOLVED, Response, Responses

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

#: what the story follows
FOLLOWED = ("services", "endpoints", "endpointslices", "pods", "nodes", "deployments", "replicasets")
#: the cluster is at rest after so many seconds without a change, and is not waited for longer than so many
QUIET, LONGEST = 2.0, 60.0
#: a watch ends by itself after so many seconds, so that a closed cluster leaves no thread behind
_WATCH_SECONDS = 2
#: exit codes of curl, as ``man curl`` lists them
_CURL = {0: ANSWERED, 6: UNRESOLVED, 7: REFUSED, 28: TIMED_OUT}


class Context(Target):
    """One context of a kubeconfig.

    Args:
        context: its name; the current one if empty.
        options: ``kubeconfig`` names another file, ``namespace`` another namespace than the context's.

    Raises:
        EpkitError: there is no such context, or its cluster does not answer.
    """

    name = "context"
    powers = frozenset({"story", "exec", "request"})

    def __init__(self, context: str, options: dict[str, Any]) -> None:
        given(options, ("kubeconfig", "namespace"), self.name)
        self._context, self._file = context, str(options.get("kubeconfig") or "")
        self._http = HttpTransport.from_kubeconfig(self._file, context)
        self.namespace = str(options.get("namespace") or self._http.namespace)
        self.transport: Transport = ReadOnly(self._http, context)
        self.client = Client(self.transport)
        self._version = str((self._http.send("GET", "/version").body or {}).get("gitVersion", "?"))
        self._recorder = Recorder(self.client)

    def describe(self) -> str:
        return f"context {self._context or 'current'}, {self._http.server}, Kubernetes {self._version}, read-only"

    def kubeconfig(self) -> Path:
        raise EpkitError(
            "epkit hands no kubeconfig of your cluster to programs, since it only looks. "
            "Use kubectl in a terminal to change it."
        )

    def api_client(self) -> ApiClient:
        raise EpkitError(
            "The official client could change this cluster, and epkit only looks at it. Use cluster.client."
        )

    def now(self) -> float:
        return time.time()

    def settle(self) -> None:
        """Wait for two seconds without a change to Services, slices, Endpoints and pods, a minute at most.

        Raises:
            EpkitError: something still moves; the text names it.
        """
        end, last, since = time.monotonic() + LONGEST, self._versions(), time.monotonic()
        while time.monotonic() - since < QUIET:
            if time.monotonic() > end:
                moving = sorted(key for key, version in self._versions().items() if last.get(key) != version)
                raise EpkitError(
                    f"After {LONGEST:g} s the cluster still moves: {', '.join(moving[:5]) or 'it just did'}."
                )
            time.sleep(0.2)
            found = self._versions()
            if found != last:
                last, since = found, time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def story(self) -> Story:
        """What was written since you connected; who is the field manager that changed last, where it says so."""
        return self._recorder.story()

    def exec(self, namespace: str, pod: str, container: str, words: Sequence[str], stdin: str) -> Executed:
        from kubernetes.client import CoreV1Api
        from kubernetes.client.exceptions import ApiException
        from kubernetes.stream import stream

        if stdin:
            raise EpkitError("On a live cluster exec takes no standard input here; use kubectl in a terminal.")
        core = CoreV1Api(HttpTransport.from_kubeconfig(self._file, self._context).api)
        where = {"container": container} if container else {}
        try:
            answer = stream(
                core.connect_get_namespaced_pod_exec, pod, namespace, command=list(words), stdin=False, stdout=True,
                stderr=True, tty=False, _preload_content=False, **where,
            )  # fmt: skip
            answer.run_forever(timeout=LONGEST)
            return Executed(answer.read_stdout(), answer.read_stderr(), int(answer.returncode or 0))
        except ApiException as error:
            raise EpkitError(f"The command could not be run in pod {pod}: {error.reason or error}.") from None

    def request(self, url: str, namespace: str, from_pod: str, from_node: str, n: int, over: float) -> Responses:
        """Real requests, by curl in a pod. Who answered is known where the answer is the pod's name."""
        if not from_pod:
            raise EpkitError("On a live cluster requests come from a pod that has curl: give from_pod.")
        client = self.client.get("pods", from_pod, namespace)
        node = str(client["spec"].get("nodeName", ""))
        zones = self._zones()
        items = []
        for number in range(n):
            if over and number:
                time.sleep(over / n)
            done = self.exec(namespace, from_pod, "", ["curl", "-s", "-m", "5", url], "")
            if done.returncode == 127:
                raise EpkitError(f"The pod {from_pod} has no curl. Choose one whose image brings it.")
            outcome = _CURL.get(done.returncode, FAILED)
            body = done.stdout.strip()
            pod = self.client.find("pods", body, namespace) if outcome == ANSWERED and _is_name(body) else None
            on = str(pod["spec"].get("nodeName", "")) if pod else ""
            items.append(Response(outcome, body if pod else "", on, zones.get(on, ""), 0, body, time.time()))
        return Responses(url, f"pod {from_pod}", node, zones.get(node, ""), items)

    def close(self) -> None:
        self._recorder.stop()

    def _zones(self) -> dict[str, str]:
        try:
            nodes = self.client.list("nodes")
        except ApiError:  # many users may not list nodes: then the zones are not known
            return {}
        return {
            str(node["metadata"]["name"]): (node["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone", "")
            for node in nodes
        }

    def _versions(self) -> dict[str, str]:
        return {
            f"{resource}/{key_of(obj)}": str(obj["metadata"].get("resourceVersion", ""))
            for resource in ("services", "endpointslices", "endpoints", "pods")
            for obj in self.client.list(resource, self.namespace)
        }


class ReadOnly:
    """A transport that lets reads through, and tells what it holds back."""

    def __init__(self, inner: Transport, context: str) -> None:
        self._inner = inner
        self._context = context

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        if method in ("GET", "HEAD") or path.startswith("/apis/authorization.k8s.io/"):
            return self._inner.send(method, path, query, body, content_type=content_type, accept=accept)
        where = self._context or "that is current"
        text = f"epkit only looks at the cluster of the context {where}: {method} was not sent"
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "message": text}
        return Answer(403, {**status, "code": 403})

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        return self._inner.watch(path, query, accept=accept)


class Recorder:
    """Follows a live cluster from now on, in a thread for each resource, and remembers what was written."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._start = time.time()
        self._beginning: dict[str, list[Obj]] = {}
        self._writes: list[Written] = []
        self._stopped = threading.Event()
        self._threads = []
        for resource in FOLLOWED:
            try:
                listed = client.list(resource)
            except ApiError:  # what you may not list is not in the story
                continue
            self._beginning[resource] = listed.items
            last = {key_of(obj): obj for obj in listed.items}
            thread = threading.Thread(
                target=self._follow,
                args=(resource, listed.resource_version, last),
                name=f"epkit-{resource}",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)

    def story(self) -> Story:
        with self._lock:
            writes = sorted(self._writes, key=lambda write: (write.at, write.version))
        return Story(self._beginning, writes, self._start, time.time())

    def stop(self) -> None:
        """End the threads; each of them ends with its watch."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=2 * _WATCH_SECONDS)

    def _follow(self, resource: str, version: str, last: dict[str, Obj]) -> None:
        while not self._stopped.is_set():
            try:
                for event in self._client.watch(resource, since=version, timeoutSeconds=str(_WATCH_SECONDS)):
                    obj = event["object"]
                    if event["type"] == "ERROR":
                        version = self._catch_up(resource, last)
                        break
                    version = obj["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._write(resource, event["type"], {"kind": "", "apiVersion": "", **obj}, last)
            except EpkitError:
                self._stopped.wait(1.0)  # the server is away for a moment: try again from where we were

    def _catch_up(self, resource: str, last: dict[str, Obj]) -> str:
        """List anew after a watch was refused: what was missed in between is told as one write for each object."""
        listed = self._client.list(resource)
        there = {key_of(obj): obj for obj in listed.items}
        for key in [key for key in last if key not in there]:
            self._write(resource, "DELETED", last[key], last)
        for key, obj in there.items():
            if key not in last or last[key]["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._write(resource, "MODIFIED" if key in last else "ADDED", obj, last)
        return listed.resource_version

    def _write(self, resource: str, type: str, obj: Obj, last: dict[str, Obj]) -> None:
        old = last.get(key_of(obj))
        if type == "DELETED":
            last.pop(key_of(obj), None)
        else:
            last[key_of(obj)] = obj
        managers = obj["metadata"].get("managedFields") or []
        who = max(managers, key=lambda entry: str(entry.get("time", "")))["manager"] if managers else "unknown"
        written = Written(time.time(), who, type, resource, int(obj["metadata"]["resourceVersion"]), old, obj)
        with self._lock:
            self._writes.append(written)


def _is_name(text: str) -> bool:
    return bool(text) and len(text) < 254 and all(char.isalnum() or char in "-." for char in text)
