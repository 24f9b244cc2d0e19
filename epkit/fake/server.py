"""The loopback server: the built-in cluster behind HTTP, for kubectl and everything else outside this process.

Only this file and :mod:`epkit.fake.kubeconfig` know of threads, sockets and the wall's clock. The server listens on
127.0.0.1 alone. Its URL carries a secret, since kubectl drops tokens on plain HTTP; requests with a foreign Host, or
with an Origin (a web page's), are refused, which keeps other sites' scripts out of it.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
import uvicorn

from epkit.errors import EpkitError
from epkit.fake.http import Response, Stream
from epkit.fake.plane import Plane
from epkit.fake.wire import errors

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: What anybody may ask: it tells nothing of the cluster. ``kubectl get --raw /readyz?verbose`` leaves the secret out.
PUBLIC = ("healthz", "livez", "readyz")
#: Seconds between the bookmarks of a watch, as the real API server sends them.
BOOKMARK_PERIOD = 60.0


class Server:
    """Serves a :class:`Plane` on a port of the loopback interface, in a thread of its own.

    >>> with Server(plane) as server:
    ...     print(server.url)
    http://127.0.0.1:40123/k/5Xq…
    """

    def __init__(self, plane: Plane, port: int = 0) -> None:
        self.plane = plane
        self.secret = secrets.token_urlsafe(24)
        self._socket = _listen(port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/k/{self.secret}"
        self._own_origins = {f"http://{name}:{self.port}".encode() for name in ("127.0.0.1", "localhost", "[::1]")}
        self._hosts = {f"{name}:{self.port}".encode() for name in ("127.0.0.1", "localhost", "[::1]")}
        self._prefix = f"/k/{self.secret}"
        self._bearer = f"Bearer {self.secret}".encode()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ready = threading.Event()
        self._stopping = False
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            proxy_headers=False,
            http="httptools",
            ws="websockets-sansio",
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            loop="asyncio",
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=600,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="epkit-server", daemon=True)

    def start(self) -> Server:
        """Start serving; returns when the first request can be answered."""
        self._thread.start()
        self._ready.wait()
        return self

    def stop(self) -> None:
        """End the thread and free the port; open watches end."""
        if self._stopping:
            return
        self._stopping = True
        self.plane.on_change.clear()
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end)
            self._thread.join(timeout=5)
        self._socket.close()

    def join(self) -> None:
        """Wait until the server ends."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.5)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._streams: set[asyncio.Event] = set()
        self.plane.on_change.append(self._reschedule)
        self._reschedule()
        serving = asyncio.ensure_future(self._uvicorn.serve(sockets=[self._socket]))
        while not self._uvicorn.started and not serving.done():
            await asyncio.sleep(0.001)
        self._ready.set()
        await serving

    def _end(self) -> None:
        self._uvicorn.should_exit = True
        for wake in self._streams:
            wake.set()
        if self._timer is not None:
            self._timer.cancel()

    def _reschedule(self) -> None:
        """Look at the clock's next timer anew; called after every change, from any thread."""
        assert self._loop is not None
        if threading.current_thread() is self._thread:
            self._schedule()
        else:
            self._loop.call_soon_threadsafe(self._schedule)

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stopping or self._loop is None:
            return
        with self.plane.loop.lock:
            delay = self.plane.pace.next_due(self.plane.loop)
        if delay is not None:
            self._timer = self._loop.call_later(delay, self.plane.proceed)

    # -- requests --------------------------------------------------------------------------------------------------

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["type"] == "websocket":
            await self._upgraded(scope, headers, receive, send)
            return
        path, refusal = self._admit(scope["path"], headers)
        if refusal is not None:
            await self._answer(refusal, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > errors.MAX_BODY_BYTES:
                await self._answer(_refuse(errors.body_too_large()), send)
                return
            if not message.get("more_body"):
                break
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        wake = asyncio.Event()
        response = self.plane.answer(
            scope["method"], path, scope["query_string"].decode("latin-1"), texts, body, lambda: self._wake(wake)
        )
        if response.watch is None:
            await self._answer(response, send)
        else:
            await self._follow(response, response.watch, wake, receive, send)
        # The answer, and the events that the request itself has made, are out before anything settles.
        await asyncio.sleep(0)
        self.plane.proceed()

    async def _upgraded(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        """Serve a WebSocket. Some clients name an Origin, which is this server's own unless they are a web page."""
        from epkit.fake import websocket  # with the commands and the network, which a server may never need

        if headers.get(b"origin", b"").lower() in self._own_origins:
            del headers[b"origin"]
        path, refusal = self._admit(scope["path"], headers)
        if refusal is not None:
            await receive()
            await websocket.deny(errors.ApiError(orjson.loads(refusal.body)), send)
            return
        query = scope["query_string"].decode("latin-1")
        await websocket.serve(self.plane, path, query, scope["subprotocols"], receive, send)

    def _admit(self, path: str, headers: dict[bytes, bytes]) -> tuple[str, Response | None]:
        """The path without its secret, or a refusal."""
        if headers.get(b"host", b"").lower() not in self._hosts:
            return "", _refuse(
                errors.ApiError(errors.status(403, "Forbidden", "this server answers only to its own name"))
            )
        if b"origin" in headers:
            return "", _refuse(
                errors.ApiError(errors.status(403, "Forbidden", "this server does not answer web pages"))
            )
        if path.split("/")[1] in PUBLIC:
            return path, None
        if hmac.compare_digest(path[: len(self._prefix)].encode(), self._prefix.encode()):
            return path[len(self._prefix) :] or "/", None
        if hmac.compare_digest(headers.get(b"authorization", b""), self._bearer):
            return path, None
        return "", _refuse(errors.ApiError(errors.status(401, "Unauthorized", "Unauthorized")))

    async def _answer(self, response: Response, send: Send) -> None:
        headers = _headers(response)
        headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.code, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _follow(
        self, response: Response, stream: Stream, wake: asyncio.Event, receive: Receive, send: Send
    ) -> None:
        """Send a watch's events until the client goes, the time is up or the server ends."""
        loop = asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": response.code, "headers": _headers(response)})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        gone = asyncio.ensure_future(receive())
        gone.add_done_callback(lambda _: wake.set())
        deadline = None if stream.timeout is None else loop.time() + stream.timeout
        timer = None if deadline is None else loop.call_at(deadline, wake.set)
        self._streams.add(wake)
        try:
            while True:
                with self.plane.loop.lock:
                    data = stream.encode(stream.watch.take())
                if data:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                if gone.done() or self._stopping or stream.watch.ended:
                    break
                if deadline is not None and loop.time() >= deadline:
                    break
                await wake.wait()
                wake.clear()
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._streams.discard(wake)
            stream.watch.close()
            gone.cancel()
            if timer is not None:
                timer.cancel()

    def _wake(self, event: asyncio.Event) -> None:
        """Called under the core's lock, from any thread."""
        if threading.current_thread() is self._thread:
            event.set()
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(event.set)


def _headers(response: Response) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", response.content_type.encode()), (b"cache-control", b"no-cache, private")]
    for text in response.warnings:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        headers.append((b"warning", f'299 - "{quoted}"'.encode()))
    if response.retry_after:
        headers.append((b"retry-after", str(response.retry_after).encode()))
    return headers


def _refuse(error: errors.ApiError) -> Response:
    return Response(error.code, orjson.dumps(error.status))


def _listen(port: int) -> socket.socket:
    # Named TCP, so that asyncio sets TCP_NODELAY on what it accepts: answers go out without waiting for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise EpkitError(
            f"Port {port} of this machine is taken ({error.strerror}). Choose another with --port, or leave it out."
        ) from None
    return listener
