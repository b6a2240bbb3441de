"""One pipelined connection to Valkey: commands out in batches, replies back in order.

RESP2 by hiredis. Replies carry no number, so a reply that does not come in time cannot be skipped:
the whole connection is dropped and everything in flight fails.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import hiredis

from gateway.errors import UnavailableError

Argument: TypeAlias = str | bytes | int | float
"""What a command may be made of."""

Command: TypeAlias = tuple[Argument, ...] | bytes
"""A command; bytes are one that is packed already."""

MAX_CALLS_IN_FLIGHT = 20_000
MAX_UNSENT_BYTES = 16 * 2**20

_SECOND_LOOK_SECONDS = 0.005
_MORE = object()
# Answers of a server that is not, or no longer, the one to talk to: a new connection may find it.
_WRONG_SERVER = ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH")

_Waiting: TypeAlias = "tuple[asyncio.Future[Any], tuple[Argument, ...] | None, float]"


class ValkeyDown(UnavailableError):  # noqa: N818 - the state of the part, as it is spoken of
    """Valkey did not answer; the caller goes on without it."""


class ValkeyRefused(ValkeyDown):
    """Valkey answered with an error; `detail` has its words."""


class ValkeyConnection(asyncio.Protocol):
    """A connection that is up until `on_lost` is called, once, with the reason.

    `round_trips` counts writes to the socket: commands that leave together wait together.
    """

    def __init__(
        self, timeout_seconds: float, on_lost: Callable[["ValkeyConnection", str], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_seconds = timeout_seconds
        self._on_lost = on_lost
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._transport: asyncio.Transport | None = None
        self._queued: list[tuple[bytes, asyncio.Future[Any], tuple[Argument, ...] | None]] = []
        self._waiting: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._flush_planned = False
        self._late: _Waiting | None = None
        self.is_lost = False
        self.timed_out = False
        self.round_trips = 0

    def send(
        self, command: Command, fallback: tuple[Argument, ...] | None = None
    ) -> asyncio.Future[Any]:
        """The future reply. `fallback` is sent instead when the server lacks the script.

        An idle connection writes at once, so that the reply travels while the caller works on; a
        busy one gathers what the other requests of this turn of the loop have to send.
        """
        if self._transport is None or self.is_lost:
            return failed(self._loop, ValkeyDown("Valkey is not connected"))
        if len(self._waiting) + len(self._queued) >= MAX_CALLS_IN_FLIGHT:
            return failed(self._loop, ValkeyDown("too many Valkey calls in flight"))
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            return failed(self._loop, ValkeyDown("Valkey does not take what is sent"))
        future: asyncio.Future[Any] = self._loop.create_future()
        data = command if isinstance(command, bytes) else packed(command)
        self._queue(data, future, fallback)
        return future

    def close(self) -> None:
        """Give the connection up; what is in flight fails and `on_lost` is not called."""
        self._on_lost = _ignore
        self._lose("closed")

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop when the socket is open."""
        # Not checked by isinstance: uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop with the server's bytes: settles the oldest waiting futures."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _MORE:
                future, fallback, _ = self._waiting.popleft()
                if isinstance(reply, hiredis.ReplyError):
                    self._refused(future, fallback, str(reply))
                elif not future.done():
                    future.set_result(reply)
        except hiredis.ProtocolError:
            self._lose("the server does not speak RESP")
        except IndexError:
            self._lose("the server sent a reply nobody asked for")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop when the socket is gone."""
        self._lose(type(exc).__name__ if exc else "the server closed the connection")

    # --- inside ---

    def _queue(
        self, data: bytes, future: asyncio.Future[Any], fallback: tuple[Argument, ...] | None
    ) -> None:
        self._queued.append((data, future, fallback))
        if self._flush_planned:
            return
        if self._waiting:
            self._flush_planned = True
            self._loop.call_soon(self._flush)
        else:
            self._flush()

    def _flush(self) -> None:
        self._flush_planned = False
        if self.is_lost or self._transport is None or not self._queued:
            return
        queued, self._queued = self._queued, []
        deadline = self._loop.time() + self._timeout_seconds
        for _, future, fallback in queued:
            self._waiting.append((future, fallback, deadline))
        self.round_trips += 1
        self._transport.write(b"".join([command for command, _, _ in queued]))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        """Drop the connection when its oldest reply is overdue.

        The loop itself may have been late, and runs its timers before it reads its sockets: a
        reply gets a second look after the loop has read what already arrived.
        """
        self._timer = None
        if not self._waiting:
            return
        oldest = self._waiting[0]
        if self._loop.time() < oldest[2]:
            self._timer = self._loop.call_at(oldest[2], self._check_deadline)
        elif self._late is not oldest:
            self._late = oldest
            self._timer = self._loop.call_later(_SECOND_LOOK_SECONDS, self._check_deadline)
        else:
            self.timed_out = True
            self._lose(f"no answer within {self._timeout_seconds * 1000:.0f} ms")

    def _refused(
        self, future: asyncio.Future[Any], fallback: tuple[Argument, ...] | None, text: str
    ) -> None:
        if fallback is not None and text.startswith("NOSCRIPT") and not future.done():
            self._queue(packed(fallback), future, None)
            return
        if not future.done():
            _fail(future, ValkeyRefused("Valkey refused a command", detail=text[:200]))
        if text.startswith(_WRONG_SERVER):
            self._lose(f"the server answered {text.split(' ', 1)[0]}")

    def _lose(self, reason: str) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        unanswered = [waiting[0] for waiting in self._waiting]
        unanswered += [future for _, future, _ in self._queued]
        self._waiting.clear()
        self._queued.clear()
        for future in unanswered:
            if not future.done():
                _fail(future, ValkeyDown("Valkey did not answer", detail=reason))
        self._on_lost(self, reason)


def packed(command: tuple[Argument, ...]) -> bytes:
    """A command as it goes over the wire."""
    # The published annotation is that of a tuple with one item.
    data: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return data


def failed(loop: asyncio.AbstractEventLoop, error: ValkeyDown) -> asyncio.Future[Any]:
    """A future that has already failed."""
    future: asyncio.Future[Any] = loop.create_future()
    _fail(future, error)
    return future


def _fail(future: asyncio.Future[Any], error: ValkeyDown) -> None:
    future.set_exception(error)
    # Reading the exception marks it as seen: a request that was refused before it awaited its
    # admission must not leave "exception was never retrieved" in the log.
    future.exception()


def _ignore(connection: ValkeyConnection, reason: str) -> None:
    """Nobody is told of a connection that was closed on purpose."""
