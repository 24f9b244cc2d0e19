"""The way to any API server over HTTP, as a kubeconfig describes it.

The official client reads the kubeconfig (certificates, tokens, exec plugins, proxies) and keeps the connections. What
goes over them are plain dictionaries, so that nothing is lost which its classes do not know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import orjson

from epkit.client import Answer
from epkit.errors import EpkitError
from epkit.objects import Obj

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration
    from urllib3 import BaseHTTPResponse

#: Seconds to connect, and to wait for the next bytes of an answer.
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0

#: so many connections are kept
CONNECTIONS = 64

_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


class HttpTransport:
    """A :class:`epkit.client.Transport` to one API server.

    Attributes:
        server: its URL.
        namespace: the context's, for commands that name none.

    >>> transport = HttpTransport.from_kubeconfig(context="kind-epkit")
    >>> Client(transport).list("services", transport.namespace)

    Both verbs raise :class:`epkit.errors.EpkitError` when the server does not answer.
    """

    #: who asks: the first part of it is the field manager of what is written
    agent = "epkit"

    def __init__(self, api: ApiClient, namespace: str = "default") -> None:
        self.api = api
        self.server = str(api.configuration.host).rstrip("/")
        self.namespace = namespace
        self._watches: set[BaseHTTPResponse] = set()

    @classmethod
    def from_kubeconfig(cls, path: str = "", context: str = "") -> Self:
        """As kubectl chooses: `path`, else KUBECONFIG, else ~/.kube/config; `context`, else the current one.

        The file is only read: refreshed tokens are not written back.

        Raises:
            EpkitError: there is no usable kubeconfig, or no such context.
        """
        import yaml
        from kubernetes import config
        from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

        file = path or os.environ.get("KUBECONFIG") or None
        try:
            contexts, current = _contexts(file or KUBE_CONFIG_DEFAULT_LOCATION)
            if not contexts:
                raise config.ConfigException(f"there is no context in {file or KUBE_CONFIG_DEFAULT_LOCATION}")
            context = context or current
            if context not in contexts:
                there = ", ".join(sorted(contexts))
                raise EpkitError(
                    f"The kubeconfig has no context {context}. There are: {there}."
                    if context
                    else f"The kubeconfig has no current context. Name one of: {there}."
                )
            api = config.new_client_from_config(
                config_file=file,
                context=context,
                persist_config=False,
                client_configuration=without_proxy_here(),
            )
        except (
            config.ConfigException,
            yaml.YAMLError,
            OSError,
            TypeError,
            ValueError,
            KeyError,
            AttributeError,
        ) as error:
            raise EpkitError(
                f"No kubeconfig can be used ({' '.join(str(error).split())}). Name one with --kubeconfig or "
                "KUBECONFIG, and see that kubectl works."
            ) from None
        # Without this, threads that watch more at once than there are processors make the client log warnings.
        api.rest_client.pool_manager.connection_pool_kw["maxsize"] = CONNECTIONS
        return cls(api, contexts[context])

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
        """Carry out one request."""
        data = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {"Accept": accept} | ({} if data is None else {"Content-Type": content_type})
        response = self._request(method, path, query, headers, data, preload_content=True, read_seconds=READ_SECONDS)
        answer = Answer(response.status, _decoded(response), _warnings(response))
        if answer.code >= 400 and not isinstance(answer.body, dict):
            # Not the API server but something before it, such as a proxy, answered.
            message = str(answer.body)[:200].strip() or f"{self.server} answered {answer.code}"
            answer.body = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": message,
                "code": answer.code,
            }
        elif accept.startswith("application/json") and not isinstance(answer.body, dict):
            raise EpkitError(
                f"What answers at {self.server} is no Kubernetes API. See that the kubeconfig names the right server."
            )
        return answer

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        """The events of a watch, until the server ends it.

        Raises:
            EpkitError: what comes is no watch, or nothing comes long after `timeoutSeconds`.
        """
        from urllib3.exceptions import HTTPError

        headers = {"Accept": accept}
        # A connection that was cut without a word must not be listened to for ever.
        longest = float(query["timeoutSeconds"]) + CONNECT_SECONDS if "timeoutSeconds" in query else None
        response = self._request(
            "GET", path, {**query, "watch": "true"}, headers, None, preload_content=False, read_seconds=longest
        )
        self._watches.add(response)
        try:
            if response.status >= 400:
                yield {"type": "ERROR", "object": _decoded(response)}
                return
            rest = b""
            for chunk in response.stream(amt=None):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (self._event(line) for line in lines if line)
        except HTTPError as error:
            raise self._silent(error) from None
        finally:
            self._watches.discard(response)
            response.close()

    def end_watches(self) -> None:
        """End the watches that other threads listen to; each of them raises an error there."""
        for response in list(self._watches):
            try:
                response.shutdown()
            except (ValueError, RuntimeError, OSError, AttributeError):  # it has ended, or never began
                continue

    def _event(self, line: bytes) -> Obj:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
            raise EpkitError(
                f"What answers at {self.server} is no Kubernetes API, or the answer broke off: {line[:80]!r}. See that "
                "the kubeconfig names the right server."
            )
        return event

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: dict[str, str],
        data: bytes | None,
        *,
        preload_content: bool,
        read_seconds: float | None,
    ) -> BaseHTTPResponse:
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        headers["User-Agent"] = self.agent
        self.api.update_params_for_auth(headers, [], ["BearerToken"], path, method, data)
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        try:
            return self.api.rest_client.pool_manager.request(
                method,
                url,
                body=data,
                headers=headers,
                retries=False,
                preload_content=preload_content,
                timeout=Timeout(connect=CONNECT_SECONDS, read=read_seconds),
            )
        except (HTTPError, OSError) as error:
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> EpkitError:
        reason = str(error).rsplit(": ", 1)[-1].strip("()' ")
        return EpkitError(
            f"The cluster at {self.server} does not answer: {reason}. See that it runs, and that kubectl reaches it."
        )


def without_proxy_here() -> Configuration:
    """A configuration of the official client that asks this machine itself past any proxy, as kubectl does."""
    from kubernetes.client import Configuration

    configuration = Configuration()
    configuration.no_proxy = ",".join(filter(None, ["127.0.0.1", "localhost", "::1", configuration.no_proxy]))
    return configuration


def _contexts(files: str) -> tuple[dict[str, str], str]:
    """Every context with its namespace, and the current one's name.

    Of several files the first that names something counts, as for kubectl (``staging/src/k8s.io/client-go/tools/
    clientcmd/loader.go``); the official client takes the last file's current context.
    """
    import yaml

    contexts: dict[str, str] = {}
    current = ""
    for file in filter(None, files.split(os.pathsep)):
        path = Path(file).expanduser()
        if not path.exists():
            continue
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for one in document.get("contexts") or ():
            contexts.setdefault(str(one["name"]), str((one.get("context") or {}).get("namespace") or "default"))
        current = current or str(document.get("current-context") or "")
    return contexts, current


def _decoded(response: BaseHTTPResponse) -> Any:
    try:
        return orjson.loads(response.data or b"null")
    except orjson.JSONDecodeError:
        return response.data.decode(errors="replace")


def _warnings(response: BaseHTTPResponse) -> list[str]:
    """The texts of the Warning headers (RFC 9110, obsolete there and used by Kubernetes)."""
    found = (match for value in response.headers.getlist("Warning") for match in _WARNING.findall(value))
    return [re.sub(r"\\(.)", r"\1", text) for text in found]
