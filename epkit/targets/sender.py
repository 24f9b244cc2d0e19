"""Requests on a real network: curl in a pod, and who answered.

An answer that is a pod's name tells by itself. Where it is something else, such as nginx's page, the request's own
mark is looked for in what the pods have logged.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from epkit.client import Client, path_of
from epkit.errors import ApiError, EpkitError
from epkit.executed import Executed
from epkit.objects import Obj, labels_of, name_of, namespace_of
from epkit.targets.images import LAB_IMAGE
from epkit.traffic import ANSWERED, FAILED, REFUSED, TIMED_OUT, UNRESOLVED, Response, Responses

#: exit codes of curl, as ``man curl`` lists them
_CURL = {0: ANSWERED, 6: UNRESOLVED, 7: REFUSED, 28: TIMED_OUT}
#: so many requests go into one command: it travels in a URL
_AT_ONCE = 20
#: seconds for one request
_LONGEST = 5
SENDER = "epkit-sender"

Exec = Callable[[str, str, str, Sequence[str], str], Executed]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, and what curl said of it."""

    code: int
    http: int
    body: str
    number: int


class Sender:
    """Sends from pods of a live cluster.

    Args:
        exec: runs a command in a pod: namespace, pod, container, words, standard input.
        namespaces: where else than beside the sender the answer may come from.
    """

    def __init__(
        self, client: Client, exec: Exec, now: Callable[[], float], namespaces: Callable[[], list[str]] = list
    ) -> None:
        self._client = client
        self._exec = exec
        self._now = now
        self._namespaces = namespaces

    def send(self, url: str, namespace: str, pod: str, n: int, over: float) -> Responses:
        """Send `n` requests from a pod that has curl, one after the other, and tell who answered.

        Raises:
            EpkitError: there is no such pod, it has no curl, or no command can be run in it.
        """
        sender = self._client.get("pods", pod, namespace)
        mark = secrets.token_hex(4)
        sent: list[tuple[Sent, float]] = []
        pause = over / n if over else 0.0
        for first in range(0, n, _AT_ONCE):
            count, at = min(_AT_ONCE, n - first), self._now()
            done = self._exec(namespace, pod, "", ["sh", "-c", script(url, mark, first, count, pause)], "")
            found = read(done.stdout, mark)
            if not found or any(one.code == 127 for one in found):
                why = "has no curl" if found or "not found" in done.stderr else f"cannot send: {done.stderr.strip()}"
                raise EpkitError(f"The pod {pod} {why}. Choose one whose image brings curl and a shell.")
            sent += [(one, at) for one in found]
        # The sender's own namespace comes last, so that of two pods of one name its own is meant.
        around = [*(other for other in self._namespaces() if other != namespace), namespace]
        pods = {name_of(one): one for where in around for one in self._client.list("pods", where)}
        answered_by = self._by_mark(sent, pods, mark)
        zones = self.zones()
        node = str(sender["spec"].get("nodeName", ""))
        items = [self._response(one, at, pods.get(answered_by.get(one.number, "")), zones) for one, at in sent]
        told = f"a client on {node}" if pod.startswith(SENDER) else f"pod {pod}"
        return Responses(url, told, node, zones.get(node, ""), items)

    def pod_on(self, node: str, namespace: str) -> str:
        """The name of a pod with curl on a node; it is started if it is not there yet. Wait until it runs.

        Raises:
            EpkitError: there is no such node.
        """
        nodes = sorted(self.zones())
        if nodes and node not in nodes:
            raise EpkitError(f"There is no node {node!r}. There are: {', '.join(nodes)}; see cluster.nodes.")
        name = f"{SENDER}-{node}"[:63].rstrip("-.")
        if self._client.find("pods", name, namespace) is None:
            container = {
                "name": "agnhost",
                "image": LAB_IMAGE,
                "args": ["pause"],
                "securityContext": {"allowPrivilegeEscalation": False},
            }
            spec = {
                "nodeName": node,
                "containers": [container],
                "terminationGracePeriodSeconds": 0,
                "enableServiceLinks": False,
            }
            about = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "epkit"}}
            self._client.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})
        return name

    def zones(self) -> dict[str, str]:
        """Every node's zone; nothing where nodes may not be listed."""
        try:
            nodes = self._client.list("nodes").items
        except ApiError:
            return {}
        return {name_of(one): labels_of(one).get("topology.kubernetes.io/zone", "") for one in nodes}

    def _by_mark(self, sent: list[tuple[Sent, float]], pods: dict[str, Obj], mark: str) -> dict[int, str]:
        """The number of a request → the pod that answered it."""
        by = {one.number: one.body for one, _ in sent if one.body in pods}
        if all(one.number in by for one, _ in sent if one.code == 0):
            return by
        for name, pod in pods.items():
            if (pod.get("status") or {}).get("phase") != "Running":
                continue
            query = {"sinceSeconds": "120", "container": str(pod["spec"]["containers"][0]["name"])}
            path = path_of("pods", namespace_of(pod), name, "log")
            answer = self._client.transport.send("GET", path, query, accept="*/*")
            if answer.code < 300:
                by |= {int(number): name for number in re.findall(rf"epkit-{mark}-(\d+)", str(answer.body))}
        return by

    def _response(self, one: Sent, at: float, pod: Obj | None, zones: dict[str, str]) -> Response:
        node = str(pod["spec"].get("nodeName", "")) if pod else ""
        outcome = _CURL.get(one.code, FAILED)
        name = name_of(pod) if pod and outcome == ANSWERED else ""
        return Response(outcome, name, node, zones.get(node, ""), one.http, one.body, at)


def script(url: str, mark: str, first: int, count: int, pause: float) -> str:
    """Shell commands that send requests `first` to `first + count - 1`, each followed by a line that tells its end."""
    lines = []
    for number in range(first, first + count):
        wait = f"sleep {pause:.3f}; " if pause and number else ""
        agent = f"epkit-{mark}-{number}"
        told = shlex.quote(f"\n{mark} %{{http_code}} ")
        lines.append(f"{wait}curl -s -m {_LONGEST} -A {agent} -w {told} {shlex.quote(url)}; echo $? {number}")
    return "\n".join(lines)


def read(output: str, mark: str) -> list[Sent]:
    """What came of the commands of :func:`script`.

    >>> read("web-1\\nabc 200 0 7\\n", "abc")
    [Sent(code=0, http=200, body='web-1', number=7)]
    """
    found, body = [], []
    for line in output.splitlines():
        told = re.fullmatch(rf"{mark} (\d+) (\d+) (\d+)", line) or re.fullmatch(r"(?:())?(127) (\d+)", line)
        if told is None:
            body.append(line)
            continue
        found.append(Sent(int(told[2]), int(told[1] or 0), "\n".join(body).strip(), int(told[3])))
        body = []
    return found
