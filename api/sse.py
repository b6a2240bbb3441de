"""The relay of one live answer: one loop, one write for each read, nothing buffered between.

uvicorn's `send` returns silently after the client has left, so a watcher waits for the disconnect
and cancels the relay; the answer's `settle` then runs without an await and drops the upstream.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from api.request_body import ClientLeftError, read_body
from gateway.context import RequestContext

_STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class LiveReply(Protocol):
    """An admitted request whose upstream has begun to answer well."""

    @property
    def stream(self) -> bool:
        """True when the client asked for a stream."""

    @property
    def keep_alive(self) -> bytes:
        """A comment that clients of the protocol ignore."""

    async def next(self) -> bytes | None:
        """The next bytes for the client, None after the last."""

    async def whole(self) -> bytes:
        """The complete answer of a request that is not streamed."""

    def settle(self) -> None:
        """Account for the request and let go of the upstream. Idempotent, never waits."""


class LiveOpener(Protocol):
    """Does everything up to the first event of the upstream."""

    async def __call__(self, context: RequestContext, body: bytes) -> LiveReply:
        """The reply. Raises GatewayError while an HTTP status can still be given."""


Authenticate = Callable[[RequestContext], Awaitable[None]]
"""Finds the caller of a request. Raises GatewayError."""


class ClientWatch:
    """Notices that the client has left and keeps a silent stream alive."""

    def __init__(self, receive: Receive, send: Send, keep_alive_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._keep_alive_seconds = keep_alive_seconds
        self._comment = b""
        self._timer: asyncio.TimerHandle | None = None
        self._commenting: asyncio.Task[None] | None = None
        self._last_write = 0.0
        self.left = False

    async def cancel_when_left(self, task: asyncio.Task[object]) -> None:
        """Wait for the disconnect, then cancel `task`."""
        message: Message = {"type": "http.request"}
        while message["type"] != "http.disconnect":
            message = await self._receive()
        self.left = True
        task.cancel()

    def start_keep_alive(self, comment: bytes) -> None:
        """From now on write `comment` whenever the stream has been silent for too long."""
        self._comment = comment
        self.wrote()
        self._schedule(self._keep_alive_seconds)

    def wrote(self) -> None:
        """Note that bytes have just been sent."""
        self._last_write = time.monotonic()

    def close(self) -> None:
        """Stop the timer and a comment that a slow client has not taken yet."""
        if self._timer is not None:
            self._timer.cancel()
        if self._commenting is not None:
            self._commenting.cancel()

    def _schedule(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    def _tick(self) -> None:
        silent = time.monotonic() - self._last_write
        remaining = self._keep_alive_seconds - silent
        if remaining <= 0:
            remaining = self._keep_alive_seconds
            if self._commenting is None or self._commenting.done():
                self._commenting = asyncio.ensure_future(self._write_comment())
        self._schedule(remaining)

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
    watch = ClientWatch(receive, send, settings.keep_alive_seconds)
    watching = asyncio.ensure_future(watch.cancel_when_left(task))
    try:
        reply = await opener(context, body)
        try:
            await _relay(reply, context, send, watch)
        finally:
            reply.settle()
    except asyncio.CancelledError:
        if not watch.left:
            raise
    finally:
        watching.cancel()
        watch.close()


async def _relay(reply: LiveReply, context: RequestContext, send: Send, watch: ClientWatch) -> None:
    if not reply.stream:
        await _send_whole(await reply.whole(), context, send)
        return
    await send(_start([*_STREAM_HEADERS, *_extra_headers(context)]))
    watch.start_keep_alive(reply.keep_alive)
    while (data := await reply.next()) is not None:
        if data:
            watch.wrote()
            await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_whole(body: bytes, context: RequestContext, send: Send) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        *_extra_headers(context),
    ]
    await send(_start(headers))
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _start(headers: list[tuple[bytes, bytes]]) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _extra_headers(context: RequestContext) -> list[tuple[bytes, bytes]]:
    return [
        (_header_name(name), value.encode("ascii"))
        for name, value in context.response_headers.items()
    ]


@lru_cache(maxsize=256)
def _header_name(name: str) -> bytes:
    return name.lower().encode("ascii")
