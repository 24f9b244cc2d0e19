"""One run of the built-in kubectl: where it writes, what it asks the server, and how long it may wait."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

from epkit.client import Transport
from epkit.errors import ApiError
from epkit.kubectl.builtin import discovery
from epkit.kubectl.builtin.args import Args
from epkit.kubectl.builtin.failures import KubectlError
from epkit.objects import Obj


@dataclass(slots=True)
class Output:
    """What the command printed: two streams."""

    _out: list[str] = field(default_factory=list)
    _err: list[str] = field(default_factory=list)

    def out(self, text: str) -> None:
        self._out.append(text)

    def err(self, text: str) -> None:
        self._err.append(text)

    @property
    def stdout(self) -> str:
        return "".join(self._out)

    @property
    def stderr(self) -> str:
        return "".join(self._err)


#: how the text of KUBE_EDITOR, or a function in its place, changes what ``kubectl edit`` shows
Editor = Callable[[str], str]


@dataclass
class Session:
    """What every command works with.

    `timeout` bounds all waiting of the command, in seconds; `paused` tells whether the cluster's clock stands still;
    `now` is the cluster's time in seconds since 1970, against which ages are counted.
    """

    transport: Transport
    args: Args
    output: Output = field(default_factory=Output)
    default_namespace: str = "default"
    stdin: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    editor: Editor | None = None
    timeout: float = 60.0
    paused: Callable[[], bool] = lambda: False
    now: Callable[[], float] = time.time
    _warned: set[str] = field(default_factory=set)

    @property
    def namespace(self) -> str:
        return self.args["namespace"] or self.default_namespace

    @property
    def namespace_given(self) -> bool:
        return "namespace" in self.args.given

    @cached_property
    def resources(self) -> discovery.Resources:
        return discovery.read(lambda path, accept: self.send("GET", path, accept=accept))

    def out(self, text: str) -> None:
        self.output.out(text)

    def err(self, text: str) -> None:
        self.output.err(text)

    def warn(self, text: str) -> None:
        self.output.err(f"Warning: {text}\n")

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Any:
        """One request; the server's warnings go to stderr, each once.

        Raises:
            ApiError: the server refused.
        """
        answer = self.transport.send(method, path, query, body, content_type=content_type, accept=accept)
        for warning in answer.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self.warn(warning)
        if answer.code >= 400:
            body = answer.body
            raise ApiError(body if isinstance(body, dict) else {"code": answer.code, "message": str(body)})
        return answer.body

    def list(self, mapping: discovery.Mapping, namespace: str, **query: str) -> list[Obj]:
        """All objects of a resource; every item with its kind."""
        items: list[Obj] = []
        query = {key: value for key, value in query.items() if value} | {"limit": "500"}
        while True:
            body = self.send("GET", mapping.path(namespace), query)
            items += [{"apiVersion": mapping.api_version, "kind": mapping.kind} | i for i in body.get("items") or ()]
            token = (body.get("metadata") or {}).get("continue")
            if not token:
                return items
            query["continue"] = token

    def find(self, mapping: discovery.Mapping, namespace: str, name: str) -> Obj | None:
        try:
            return self.send("GET", mapping.path(namespace, name))
        except ApiError as error:
            if error.reason == "NotFound":
                return None
            raise

    def follow(self, mapping: discovery.Mapping, namespace: str, name: str, seconds: float) -> Iterator[Obj | None]:
        """The object now and after each of its changes (None: it is not there), for as long as there is time.

        It ends when the time is over, when the clock stands still, or when the server says that nothing more will come.
        """
        limit = min(seconds, self.timeout) if seconds > 0 else self.timeout
        end = time.monotonic() + limit
        idle, seen = 0, ""
        while True:
            body = self.send("GET", mapping.path(namespace), {"fieldSelector": f"metadata.name={name}"})
            kind = {"apiVersion": mapping.api_version, "kind": mapping.kind}
            found = [kind | item for item in body.get("items") or ()]
            version = found[0]["metadata"].get("resourceVersion", "") if found else "none"
            if version != seen:
                yield found[0] if found else None
            seen = version
            remaining = end - time.monotonic()
            if self.paused() or remaining <= 0 or idle >= 2:
                return
            query = {
                "fieldSelector": f"metadata.name={name}",
                "resourceVersion": (body.get("metadata") or {}).get("resourceVersion", ""),
                "timeoutSeconds": str(max(1, int(remaining))),
                "watch": "true",
            }
            began, came = time.monotonic(), False
            for event in self.transport.watch(mapping.path(namespace), query):
                if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                    came = True
                    gone = event["type"] == "DELETED"
                    seen = "none" if gone else event["object"]["metadata"].get("resourceVersion", "")
                    yield None if gone else event["object"]
                elif event["type"] == "ERROR":
                    break
                if time.monotonic() > end:
                    return
            # a watch that ends at once, twice and with nothing to tell: nothing more is going to happen
            idle = 0 if came or time.monotonic() - began > 0.5 else idle + 1

    def give_up(self, what: str) -> NoReturn:
        """Stop waiting.

        Raises:
            KubectlError: always, with what was waited for.
        """
        if self.paused():
            raise KubectlError(
                f"kubectl {self.args.command} would wait for {what}, but the clock is paused: call cluster.step(), "
                "cluster.sleep(seconds) or cluster.resume(), then run it again"
            )
        raise KubectlError(
            f"timed out waiting for the condition\nkubectl {self.args.command} was waiting for {what}; nothing more "
            f"was going to happen by itself within {self.timeout:g} s"
        )
