"""The relay of one live answer: one loop, one write for each read, nothing buffered between.

uvicorn's `send` returns silently after the client has left, so a watcher hears of the disconnect
and cancels the relay; the answer's `settle` then runs without an await and drops the upstream.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache

from starlette.types import Message, Receive, Scope, Send

from api.http_protocol import DISCONNECT, OnDisconnect
from api.request_body import ClientLeftError, read_body
from gateway.config import Settings
from gateway.context import RequestContext
from gateway.errors import UnavailableError
from gateway.pipeline.reply import LiveOpener, LiveReply

_GOODBYE_SECONDS = 1.0
_STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


Authenticate = Callable[[RequestContext], Awaitable[None]]
"""Finds the caller of a request. Raises GatewayError."""


class ClientWatch:
    """Notices that the client has left, or takes nothing, and keeps a silent stream alive.

    `task` serves the client and is cancelled then. `is_sending` is set while a write waits for the
    client to take it.
    """

    def __init__(
        self, receive: Receive, send: Send, settings: Settings, task: asyncio.Task[object]
    ) -> None:
        self._receive = receive
        self._send = send
        self._keep_alive_seconds = settings.keep_alive_seconds
        self._stall_seconds = settings.client_stall_seconds
        self._task = task
        self._watching: asyncio.Task[None] | None = None
        self._on_disconnect: OnDisconnect | None = None
        self.is_sending = False
        self._comment = b""
        self._timer: asyncio.TimerHandle | None = None
        self._commenting: asyncio.Task[None] | None = None
        self._last_write = 0.0
        self.left = False

    def start(self, scope: Scope) -> None:
        """From now on cancel the task when the client leaves."""
        self._on_disconnect = scope.get("extensions", {}).get(DISCONNECT, {}).get("call")
        if self._on_disconnect is not None:
            self._on_disconnect(self._leave)
        else:
            self._watching = asyncio.ensure_future(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        message: Message = {"type": "http.request"}
        while message["type"] != "http.disconnect":
            message = await self._receive()
        self._leave()

    def start_keep_alive(self, comment: bytes) -> None:
        """From now on write `comment` whenever the stream has been silent for too long."""
        self._comment = comment
        self.wrote()
        self._schedule(self._keep_alive_seconds)

    def wrote(self) -> None:
        """Note that bytes have just been sent."""
        self._last_write = time.monotonic()

    def close(self) -> None:
        """Stop to watch: also the timer, and a comment that a slow client has not taken yet."""
        if self._on_disconnect is not None:
            self._on_disconnect(None)
        if self._watching is not None:
            self._watching.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._commenting is not None:
            self._commenting.cancel()

    def _schedule(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    def _tick(self) -> None:
        silent = time.monotonic() - self._last_write
        if self.is_sending and silent >= self._stall_seconds:
            self._leave()
            return
        remaining = self._keep_alive_seconds - silent
        if remaining <= 0:
            remaining = self._keep_alive_seconds
            if self.is_sending:
                pass  # what it has not taken yet will keep it alive
            elif self._commenting is None or self._commenting.done():
                self._commenting = asyncio.ensure_future(self._write_comment())
        self._schedule(remaining)

    def _leave(self) -> None:
        self.left = True
        self._task.cancel()

    async def _write_comment(self) -> None:
        self.wrote()
        await self._send({"type": "http.response.body", "body": self._comment, "more_body": True})


async def serve_live(
    scope: Scope,
    receive: Receive,
    send: Send,
    authenticate: Authenticate,
    opener: LiveOpener,
) -> None:
    """Serve one live request from its key to the last byte of the answer.

    The key comes first: nobody sends megabytes to a gateway that does not know them.
    """
    context: RequestContext = scope["state"]["context"]
    settings = scope["app"].state.settings
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a request is always served inside a task")
    await authenticate(context)
    try:
        body = await read_body(receive, context, settings.max_body_bytes)
    except ClientLeftError:
        return
    watch = ClientWatch(receive, send, settings, task)
    watch.start(scope)
    try:
        reply = await opener(context, body)
        del body  # a stream may be open for long
        try:
            await _relay(reply, context, send, watch)
        except asyncio.CancelledError:
            if not watch.left and reply.stream:
                await _end_early(reply, send)
            raise
        finally:
            reply.settle()
    except asyncio.CancelledError:
        if not watch.left:
            raise
    finally:
        watch.close()


async def _relay(reply: LiveReply, context: RequestContext, send: Send, watch: ClientWatch) -> None:
    if not reply.stream:
        body = await reply.whole()
        reply.settle()  # before anybody is told: what was used is on the disk
        await _send_whole(body, reply.status, context, send)
        return
    await send(_start(200, [*_STREAM_HEADERS, *_extra_headers(context)]))
    watch.start_keep_alive(reply.keep_alive)
    while (data := await reply.next()) is not None:
        if data:
            watch.wrote()
            watch.is_sending = True
            await send({"type": "http.response.body", "body": data, "more_body": True})
            watch.is_sending = False
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _end_early(reply: LiveReply, send: Send) -> None:
    """Tell the client of a stream that this process has to end."""
    error = UnavailableError("the gateway is stopping; please send the request again")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GOODBYE_SECONDS):
            body = reply.interrupt(error)
            await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send_whole(body: bytes, status: int, context: RequestContext, send: Send) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        *_extra_headers(context),
    ]
    await send(_start(status, headers))
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _extra_headers(context: RequestContext) -> list[tuple[bytes, bytes]]:
    return [
        (_header_name(name), value.encode("ascii"))
        for name, value in context.response_headers.items()
    ]


@lru_cache(maxsize=256)
def _header_name(name: str) -> bytes:
    return name.lower().encode("ascii")
