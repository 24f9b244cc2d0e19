"""Requests on a real network: curl in a pod, and who answered.

An answer that is a pod's name tells by itself. Where it is something else, such as nginx's page, the request's own
mark is looked for in what the pods have logged.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shlex
import time
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
#: so many requests go into one command: it travels in a URL, and must end in time even if none is answered
_AT_ONCE = 10
#: seconds for one request
_LONGEST = 5
SENDER = "epkit-sender"
#: how shells and container runtimes say that there is no such program
_MISSING = re.compile(r"not found|no such file", re.IGNORECASE)

Exec = Callable[[str, str, str, Sequence[str], str], Executed]

#: a client's pod: it asks for so little that the strictest of the Pod Security Standards admits it
_SPEC: Obj = {
    "containers": [
        {
            "name": "agnhost",
            "image": LAB_IMAGE,
            "args": ["pause"],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
    "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
    "terminationGracePeriodSeconds": 0,
    "enableServiceLinks": False,
    "automountServiceAccountToken": False,
}


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
        sleep: waits between requests that are spread over time.
    """

    def __init__(
        self,
        client: Client,
        exec: Exec,
        now: Callable[[], float],
        namespaces: Callable[[], list[str]] = list,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
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
        begin, pause = self._now(), over / n
        at_once = 1 if pause else _AT_ONCE  # the waits between requests are here, where they may be long
        for first in range(0, n, at_once):
            if first:
                self._sleep(max(0.0, begin + first * pause - self._now()))
            count, at = min(at_once, n - first), self._now()
            done = self._exec(namespace, pod, "", ["sh", "-c", script(url, mark, first, count)], "")
            found = read(done.stdout, mark)
            said = done.stderr.strip() or "the command does not say why"
            if any(one.code == 127 for one in found) or (not found and _MISSING.search(said)):
                raise EpkitError(f"The pod {pod} has no curl. Choose one whose image brings curl and a shell.")
            if len(found) < count or any(one.code in (2, 3) for one in found):  # options or a URL that it does not know
                raise EpkitError(f"From the pod {pod}, curl cannot send to {url!r}: {said}.")
            sent += [(one, at) for one in found]
        # The sender's own namespace comes last, so that of two pods of one name its own is meant.
        around = [*(other for other in self._namespaces() if other != namespace), namespace]
        pods = {name_of(one): one for where in around for one in self._client.list("pods", where)}
        answered_by = self._by_mark(sent, pods, mark, self._now() - begin)
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
        name = sender_on(node)
        found = self._client.find("pods", name, namespace)
        if found is not None and (found.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
            self._client.delete("pods", name, namespace, grace=0)  # evicted, or its node was started anew
            found = None
        if found is None:
            about = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "epkit"}}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": {"nodeName": node, **_SPEC}}
            self._client.create("pods", pod, namespace)
        return name

    def zones(self) -> dict[str, str]:
        """Every node's zone; nothing where nodes may not be listed."""
        try:
            nodes = self._client.list("nodes").items
        except ApiError:
            return {}
        return {name_of(one): labels_of(one).get("topology.kubernetes.io/zone", "") for one in nodes}

    def _by_mark(self, sent: list[tuple[Sent, float]], pods: dict[str, Obj], mark: str, took: float) -> dict[int, str]:
        """The number of a request → the pod that answered it."""
        by = {one.number: one.body for one, _ in sent if one.body in pods}
        if all(one.number in by for one, _ in sent if one.code == 0):
            return by
        for name, pod in pods.items():
            if (pod.get("status") or {}).get("phase") != "Running":
                continue
            query = {"sinceSeconds": str(int(took) + 60), "container": str(pod["spec"]["containers"][0]["name"])}
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


def sender_on(node: str) -> str:
    """The name of the client's pod on a node; of two nodes with long names they differ too.

    >>> sender_on("ip-10-0-1-2.ec2.internal")
    'epkit-sender-ip-10-0-1-2.ec2.internal'
    """
    name = f"{SENDER}-{node}"
    return name if len(name) <= 253 else f"{name[:240].rstrip('-.')}-{hashlib.sha256(node.encode()).hexdigest()[:10]}"


def script(url: str, mark: str, first: int, count: int) -> str:
    """Shell commands that send requests `first` to `first + count - 1`, each followed by a line that tells its end."""
    lines = []
    for number in range(first, first + count):
        told = shlex.quote(f"\n{mark} %{{http_code}} ")
        # No proxy of the pod's environment, and no meaning in brackets, which IPv6 has in URLs.
        options = f"-sgm {_LONGEST} --noproxy '*' -A epkit-{mark}-{number} -w {told}"
        lines.append(f"curl {options} --url {shlex.quote(url)}; echo $? {number} {mark}")
    return "\n".join(lines)


def read(output: str, mark: str) -> list[Sent]:
    """What came of the commands of :func:`script`.

    >>> read("web-1\\nabc 200 0 7 abc\\n", "abc")
    [Sent(code=0, http=200, body='web-1', number=7)]
    """
    found, body = [], []
    for line in output.splitlines():
        told = re.fullmatch(rf"(?:{mark} (\d+) )?(\d+) (\d+) {mark}", line)  # without curl, only the shell's part
        if told is None:
            body.append(line)
            continue
        found.append(Sent(int(told[2]), int(told[1] or 0), "\n".join(body).strip(), int(told[3])))
        body = []
    return found
