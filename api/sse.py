"""The relay of one live answer: one loop, one write for each read, nothing buffered between.

What is sent to a client that has left is dropped silently, so a watcher hears of the disconnect and
cancels the relay; the answer's `settle` then runs without an await and drops the upstream.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial

from api.live_connection import LiveConnection
from api.middleware import Edge
from api.request_body import ClientLeftError, read_body
from gateway.config import Settings
from gateway.context import RequestContext
from gateway.errors import UnavailableError
from gateway.pipeline.reply import LiveOpener, LiveReply, WriteNow

_GOODBYE_SECONDS = 1.0
_WHOLE_HEADERS = {"content-type": "application/json"}
_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


Authenticate = Callable[[RequestContext], Awaitable[None]]
"""Finds the caller of a request. Raises GatewayError."""


class ClientWatch:
    """Relays a stream and keeps it alive; notices that the client has left, or takes nothing.

    `task` serves the client and is cancelled then.
    """

    left = False
    _is_sending = False  # what was sent waits for the client to take it
    _comment = b""
    _timer: asyncio.TimerHandle | None = None
    _commenting: asyncio.Task[None] | None = None
    _last_write = 0.0

    def __init__(
        self, connection: LiveConnection, settings: Settings, task: asyncio.Task[object]
    ) -> None:
        self._connection = connection
        self._keep_alive_seconds = settings.keep_alive_seconds
        self._stall_seconds = settings.client_stall_seconds
        self._task = task
        connection.watch(self._leave)

    def start_keep_alive(self, comment: bytes) -> None:
        """From now on write `comment` whenever the stream has been silent for too long."""
        self._comment = comment
        self._last_write = time.monotonic()
        self._schedule(self._keep_alive_seconds)

    async def relay(self, reply: LiveReply) -> None:
        """Send all that `reply` has to say, as it comes."""
        write_now = self._connection.write_now
        send_now = None if write_now is None else partial(self._send_now, write_now)
        while (data := await reply.next()) is not None:
            if data:
                await self._send(data)
            if send_now is not None:
                await reply.pass_on(send_now)
                await self._send(b"")

    def _send_now(self, write_now: WriteNow, data: bytes) -> bool:
        self._last_write = time.monotonic()
        return write_now(data)

    async def _send(self, data: bytes) -> None:
        """Send `data` and wait until the client takes more; with none, only wait."""
        if data:
            self._last_write = time.monotonic()
        self._is_sending = True
        await self._connection.write(data)
        self._is_sending = False

    def close(self) -> None:
        """Stop to watch: also the timer, and a comment that a slow client has not taken yet."""
        self._connection.watch(None)
        if self._timer is not None:
            self._timer.cancel()
        if self._commenting is not None:
            self._commenting.cancel()

    def _schedule(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    def _tick(self) -> None:
        silent = time.monotonic() - self._last_write
        if self._is_sending and silent >= self._stall_seconds:
            self._leave()
            return
        remaining = self._keep_alive_seconds - silent
        if remaining <= 0:
            remaining = self._keep_alive_seconds
            if self._is_sending:
                pass  # what it has not taken yet will keep it alive
            elif self._commenting is None or self._commenting.done():
                self._commenting = asyncio.ensure_future(self._write_comment())
        self._schedule(remaining)

    def _leave(self) -> None:
        self.left = True
        self._task.cancel()

    async def _write_comment(self) -> None:
        self._last_write = time.monotonic()
        await self._connection.write(self._comment)


async def serve_live(
    connection: LiveConnection,
    context: RequestContext,
    edge: Edge,
    authenticate: Authenticate,
    opener: LiveOpener,
) -> None:
    """Serve one live request from its key to the last byte of the answer.

    The key comes first: nobody sends megabytes to a gateway that does not know them.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a request is always served inside a task")
    await authenticate(context)
    try:
        body = await read_body(connection, context, edge.settings.max_body_bytes)
    except ClientLeftError:
        return
    watch = ClientWatch(connection, edge.settings, task)
    try:
        reply = await opener(context, body)
        del body  # a stream may be open for long
        try:
            await _relay(reply, context, edge, connection, watch)
        except asyncio.CancelledError:
            if not watch.left and reply.stream:
                await _end_early(reply, connection)
            raise
        finally:
            reply.settle()
    except asyncio.CancelledError:
        if not watch.left:
            raise
    finally:
        watch.close()


async def _relay(
    reply: LiveReply,
    context: RequestContext,
    edge: Edge,
    connection: LiveConnection,
    watch: ClientWatch,
) -> None:
    if not reply.stream:
        body = await reply.whole()
        await context.cohorts.step()
        reply.settle()  # before anybody is told: what was used is on the disk
        await context.cohorts.step()
        headers = _WHOLE_HEADERS | context.response_headers | edge.headers(context)
        await connection.answer(reply.status, headers, body)
        return
    headers = _STREAM_HEADERS | context.response_headers | edge.headers(context)
    await connection.begin(headers)
    watch.start_keep_alive(reply.keep_alive)
    await watch.relay(reply)
    await connection.write(b"", is_last=True)


async def _end_early(reply: LiveReply, connection: LiveConnection) -> None:
    """Tell the client of a stream that this process has to end."""
    error = UnavailableError("the gateway is stopping; please send the request again")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await connection.write(reply.interrupt(error), is_last=True)
