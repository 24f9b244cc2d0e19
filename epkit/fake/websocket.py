"""``kubectl exec`` over a WebSocket: the channels of ``v4.channel.k8s.io`` and ``v5.channel.k8s.io``.

Every message starts with a byte that names its channel: 0 stdin, 1 stdout, 2 stderr, 3 the end, 4 the terminal's size.
The end is a Status: Success, or a Failure with the exit code. Version 5 adds ``255 0``: stdin has ended.

Source: ``k8s.io/apiserver/pkg/util/proxy/{websocket,streamtranslator}.go`` and
``k8s.io/client-go/tools/remotecommand/{v4,v5,websocket}.go`` of Kubernetes v1.36; KEP-4006.
"""

from __future__ import annotations

import asyncio
import codecs
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import orjson

from epkit.errors import ApiError
from epkit.fake.commands.run import Input
from epkit.fake.exec import NotStarted, Session, open_session
from epkit.fake.podaccess import refusal
from epkit.fake.requests import is_true, route_of
from epkit.fake.terminal import Terminal
from epkit.fake.wire import errors
from epkit.objects import Obj

if TYPE_CHECKING:
    from epkit.fake.plane import Plane

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: the newest first
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, END, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
#: bytes of a message at most, without its channel
LONGEST = 32 * 1024


async def serve(plane: Plane, path: str, query: str, protocols: list[str], receive: Receive, send: Send) -> None:
    """Serve one WebSocket connection from its handshake to its end."""
    await receive()  # websocket.connect
    asked = parse_qs(query, keep_blank_values=True)
    try:
        route = route_of(path)
        if (route.kind.plural, route.subresource) != ("pods", "exec"):
            raise refusal(route.subresource, {})
        protocol = next((each for each in PROTOCOLS if each in protocols), "")
        if not protocol:
            supported, offered = " ".join(PROTOCOLS), " ".join(protocols)
            raise errors.bad_request(
                f"unable to negotiate a protocol for exec: client supports [{offered}], server accepts [{supported}]"
            )
        terminal = _flag(asked, "tty")
        stdin = Input(closed=not _flag(asked, "stdin"))
        failure: ApiError | None = None
        session: Session | None = None
        with plane.loop.lock:
            plane.pace.before(plane.loop)
            container = asked.get("container", [""])[0]
            try:
                session = open_session(plane, route.namespace, route.name, container, asked.get("command", []), stdin)
            except NotStarted as error:  # the node's word comes when the connection stands
                failure = error
    except ApiError as error:
        await deny(error, send)
        return
    await send({"type": "websocket.accept", "subprotocol": protocol})
    connection = _Connection(plane, receive, send, terminal)
    # An empty message tells the client that the connection stands.
    await connection.write(STDOUT, b"")
    if session is None:
        await connection.end(failure.status if failure is not None else {})
    else:
        await connection.run(session)


class _Connection:
    """An accepted connection."""

    def __init__(self, plane: Plane, receive: Receive, send: Send, terminal: bool) -> None:
        self._plane = plane
        self._receive = receive
        self._send = send
        self._terminal = Terminal() if terminal else None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._news = asyncio.Event()
        self._gone = False

    async def run(self, session: Session) -> None:
        """Let the command run, its input come and its output go, until one of the two sides has had enough."""
        plane = self._plane
        session.run.terminal = self._terminal is not None
        reader = asyncio.ensure_future(self._read(session))
        try:
            while not self._gone:
                with plane.loop.lock:
                    plane.pace.before(plane.loop)
                    session.advance()
                await self._flush(session)
                await asyncio.sleep(0)
                plane.proceed()
                if session.code is not None:
                    await self.end(_status(session.code))
                    return
                if not await self._wait(session):
                    return
        finally:
            reader.cancel()

    async def _wait(self, session: Session) -> bool:
        """Wait for input or let time pass; False when the command can never go on."""
        seconds = session.pause
        self._news.clear()
        if seconds is None or math.isinf(seconds):
            if seconds is None and self._readable(session):
                return True
            await self._news.wait()
            return True
        delay = self._plane.pace.delay(seconds)
        if delay is None:
            why = f"`{' '.join(session.argv)}` waits {seconds:g} s, and the built-in cluster's clock is paused"
            await self.end(errors.internal(why).status)
            return False
        if delay == 0:
            self._plane.sleep(seconds)
            return True
        due = asyncio.get_running_loop().time() + delay
        while not self._gone and (left := due - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                break
            self._news.clear()
        return True

    @staticmethod
    def _readable(session: Session) -> bool:
        return session.stdin.closed or session.stdin.has_line

    async def _read(self, session: Session) -> None:
        """Take what the client sends until it goes."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._gone = True
                self._news.set()
                return
            data = message.get("bytes") or (message.get("text") or "").encode()
            if not data:
                continue
            channel, data = data[0], data[1:]
            if channel == STDIN and data:
                await self._typed(session, self._decoder.decode(data))
            elif channel == CLOSE and data[:1] == bytes([STDIN]):
                session.stdin.closed = True
            else:
                continue  # the size of a terminal makes no difference here
            self._news.set()

    async def _typed(self, session: Session, text: str) -> None:
        if self._terminal is None:
            session.stdin.feed(text)
            return
        typed = self._terminal.type(text)
        session.stdin.feed(typed.lines)
        session.stdin.closed = session.stdin.closed or typed.ended
        if typed.echo:
            await self.write(STDOUT, typed.echo.encode())

    async def _flush(self, session: Session) -> None:
        for stream, text in session.take():
            if self._terminal is not None:  # a terminal has one output, and its lines start at the left
                stream, text = STDOUT, text.replace("\n", "\r\n")
            data = text.encode()
            for start in range(0, len(data), LONGEST):
                await self.write(stream, data[start : start + LONGEST])

    async def write(self, channel: int, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": bytes([channel]) + data})

    async def end(self, status: Obj) -> None:
        """Say how it ended, and close."""
        await self.write(END, orjson.dumps(status))
        await self._send({"type": "websocket.close", "code": 1000})


def _status(code: int) -> Obj:
    """The Status of an exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def deny(error: ApiError, send: Send) -> None:
    """Refuse the handshake with an ordinary answer."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": error.code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": orjson.dumps(error.status)})
    await asyncio.sleep(0)  # uvicorn calls a handshake complete when the connection is closed, a moment later


def _flag(query: dict[str, list[str]], name: str) -> bool:
    return name in query and is_true(query[name][0])
