"""The official Python client on the built-in cluster, without a socket.

The client ends every call in ``rest_client.pool_manager.request(...)``. Putting a :class:`Pool` there keeps all of the
client (encoding, patch types, errors, watches) and replaces only the wire.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from epkit.fake.http import Response as HttpResponse
from epkit.fake.http import Stream

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from epkit.fake.plane import Plane


def api_client(plane: Plane) -> ApiClient:
    """An ``ApiClient`` of the official package that asks `plane` in process.

    >>> CoreV1Api(api_client(plane)).read_namespaced_service("kubernetes", "default").spec.cluster_ip
    '10.96.0.1'
    """
    from kubernetes.client import ApiClient, Configuration

    configuration = Configuration()
    configuration.host = "http://built-in"
    client = ApiClient(configuration)
    client.rest_client.pool_manager = Pool(plane)
    return client


class Pool:
    """Stands where the client has its urllib3 pool."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        fields: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> Answer:
        """Answer as urllib3 would. `fields` is how clients up to 36 pass the query."""
        parts = urlsplit(url)
        query = parts.query or (urlencode(fields) if fields else "")
        data = body.encode() if isinstance(body, str) else body or b""
        wake = threading.Event()
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        response = self._plane.request(method, parts.path, query, lowered, data, wake.set)
        return Answer(response, wake)

    def clear(self) -> None:
        """There are no connections to close."""


class Answer:
    """The part of ``urllib3.HTTPResponse`` that the official client uses."""

    def __init__(self, response: HttpResponse, wake: threading.Event) -> None:
        self._response = response
        self._wake = wake
        self._body = io.BytesIO(response.body)
        self.status = response.code
        self.reason = _REASONS.get(response.code, "")
        self.headers = {"Content-Type": response.content_type}
        if response.warnings:
            self.headers["Warning"] = ", ".join(f'299 - "{text}"' for text in response.warnings)

    @property
    def data(self) -> bytes:
        return self._response.body

    def getheaders(self) -> Mapping[str, str]:
        return self.headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return self.headers.get(name, default)

    def read(self, amt: int | None = None, **_: Any) -> bytes:
        return self._body.read(-1 if amt is None else amt)

    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:
        """The lines of a watch, or the body of anything else.

        A watch with a timeout ends when there is nothing more to tell: virtual time does not pass while one waits. A
        watch without one waits for changes by other threads, as on any cluster.
        """
        if self._response.watch is None:
            yield self._response.body
            return
        stream: Stream = self._response.watch
        try:
            while True:
                self._wake.clear()
                events = stream.watch.take()
                if events:
                    yield stream.encode(events)
                elif stream.timeout is not None or stream.watch.ended:
                    return
                else:
                    self._wake.wait(timeout=0.2)
        finally:
            stream.watch.close()

    def close(self) -> None:
        if self._response.watch is not None:
            self._response.watch.watch.close()

    def release_conn(self) -> None:
        self.close()


_REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    410: "Gone",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    504: "Gateway Timeout",
}
