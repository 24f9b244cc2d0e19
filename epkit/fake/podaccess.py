"""The subresources of a pod behind which there is a node: log, exec, attach, portforward, proxy.

exec needs a connection that can be upgraded: :mod:`epkit.fake.websocket` serves that. What comes here instead is told
why it is not served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from epkit.fake.http import Response, Stream
from epkit.fake.logs import LogFollow, LogOptions, container_for, lines_of
from epkit.fake.pods import container_of, pod_of
from epkit.fake.requests import Route
from epkit.fake.wire import errors

if TYPE_CHECKING:
    from epkit.fake.simulation import Simulation

NAMES = ("attach", "exec", "log", "portforward", "proxy")
TEXT = "text/plain"


class PodAccess:
    """Answers for simulated nodes."""

    def __init__(self, plane: Simulation) -> None:
        self._plane = plane

    def answer(
        self,
        method: str,
        route: Route,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        notify: Callable[[], None],
    ) -> Response:
        """Answer a plain request. Raises ApiError."""
        if route.subresource == "log":
            if method != "GET":
                raise errors.method_not_allowed()
            return self._log(route, query, notify)
        pod = pod_of(self._plane.store, route.namespace, route.name)
        if route.subresource in ("exec", "attach"):
            container_of(pod, query.get("container", ""))
        raise refusal(route.subresource, headers)

    def _log(self, route: Route, query: Mapping[str, str], notify: Callable[[], None]) -> Response:
        options = LogOptions.parse(query, route.name)
        container = container_for(self._plane, route.namespace, route.name, options)
        now = self._plane.clock.now
        if container is None:
            return Response(200, b"", TEXT)
        if options.follow and container.running and not options.previous:
            follow = LogFollow(container, options, now, notify)
            return Response(200, b"", TEXT, watch=Stream(follow, options.encode, None))
        return Response(200, options.encode(options.chosen(lines_of(container, options), now)), TEXT)


def refusal(subresource: str, headers: Mapping[str, str]) -> errors.ApiError:
    """Why a request for one of them is not served: it cannot be here, or not in this way."""
    if subresource == "portforward":
        return _unserved(
            "the built-in cluster cannot forward ports: its containers are simulated, and no packets go to them. "
            "Ask from inside: kubectl exec POD -- curl -s localhost:PORT"
        )
    if subresource == "attach":
        return _unserved(
            "the built-in cluster cannot attach to a container: its program is simulated and has no terminal. "
            "kubectl logs shows what it writes, kubectl exec runs a command beside it"
        )
    if subresource == "proxy":
        return _unserved("the built-in cluster has no proxy to pods. Ask from inside: kubectl exec POD -- curl")
    if "spdy" in headers.get("upgrade", "").lower():
        return _unserved(
            "the built-in cluster speaks exec over WebSocket alone, and this client asks for SPDY. Use kubectl 1.30 or "
            "newer, or kubectl 1.29 with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true"
        )
    return errors.bad_request("Upgrade request required")


def _unserved(message: str) -> errors.ApiError:
    return errors.ApiError(errors.status(501, "NotImplemented", message))
