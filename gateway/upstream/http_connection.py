"""One HTTP/1.1 connection and the answer on it, cut out of the bytes by httptools.

The general clients cost a live request more CPU than its translation, and an API process 9 MB.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from gateway.headers import headers_by_name
from gateway.structs import Struct, field
from gateway.upstream.quick_reads import REST_SECONDS, QuickReads

_READ_BUFFER_BYTES = 2**18  # pause the upstream once a slow client leaves this much unread
_FIRST_FINAL_STATUS = 200
_FRAMING = frozenset({"content-length", "transfer-encoding"})

Take = Callable[[bytes], bool]
"""Takes bytes at once. False when it wants no more for now."""


class ConnectionCutError(OSError):
    """The connection ended, or said what is not HTTP, before the answer was complete."""


class Answer(Struct):
    """The answer to one request, while it comes.

    `raw_headers` are set with `status`. `pieces` are those of the body that are unread; the parser
    puts them there itself. `complete` tells that its last byte has come, `error` what went wrong
    before.
    """

    _connection: "HTTPConnection"
    _idle_seconds: float
    _loop: asyncio.AbstractEventLoop
    status: int = 0
    raw_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    complete: bool = False
    error: OSError | None = None
    pieces: list[bytes] = field(default_factory=list)
    _size: int = 0
    _waiter: asyncio.Future[None] | None = None
    _take: Take | None = None
    _until: float = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name, read when somebody asks: of most good answers nobody does."""
        return headers_by_name(self.raw_headers)

    async def head(self, deadline: float) -> None:
        """Waits for status and headers. Raises TimeoutError and other OSErrors."""
        while not self.status:
            if self.error is not None:
                raise self.error
            await self._wait(deadline)

    async def read(self) -> bytes:
        """All bytes since the last call, at least one; b"" at the end.

        Raises TimeoutError after the idle limit and another OSError at a broken connection.
        """
        while not self.pieces and not self.complete and self.error is None:
            await self._wait(self._loop.time() + self._idle_seconds)
        return self.arrived()

    async def pass_on(self, take: Take) -> None:
        """Gives to `take` what comes, in the call it comes by: no task is woken for it.

        Ends when `take` returns False, and when something has come that `read` has to tell.
        Raises what `take` raises.
        """
        if self.pieces or self.complete or self.error is not None:
            return
        self._take = take
        try:
            await self._wait(self._loop.time() + self._idle_seconds)
        finally:
            self._take = None

    def arrived(self) -> bytes:
        """What `read` gives without waiting; b"" when nothing is here. Raises as `read` does."""
        pieces = self.pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._size = 0
            self._connection.resume()
            return data
        if self.error is not None:
            raise self.error
        return b""

    def abort(self) -> None:
        """Drops the connection unless the answer is complete. Idempotent."""
        if not self.complete:
            self._connection.abort()

    # --- for the connection ---

    def came(self, size: int, now: float) -> bool:
        """As many bytes have come, framing included; True when too much is unread."""
        take, waiter = self._take, self._waiter
        if take is None or waiter is None or waiter.done():
            self._size += size
            self.wake()
            return self._size > _READ_BUFFER_BYTES and bool(self.pieces)
        self._until = now + self._idle_seconds
        data = b"".join(self.pieces)
        self.pieces.clear()
        try:
            if data and not take(data):
                self.wake()
        except Exception as error:  # noqa: BLE001 - raised where the answer is waited for
            waiter.set_exception(error)
        return False

    def end(self, error: OSError | None = None) -> None:
        """Nothing more will come: because all is here, or because of `error`."""
        if self.complete or self.error is not None:
            return
        if error is None:
            self.complete = True
        else:
            self.error = error
        self.wake()

    def wake(self) -> None:
        """Something has changed for who waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def look(self, now: float) -> float | None:
        """When to look again; None when nobody waits any more, or has just done so too long."""
        if self._waiter is None or self._waiter.done():
            return None
        if now < self._until:
            return self._until
        self.end(TimeoutError("nothing came within the limit"))
        return None

    async def _wait(self, until: float) -> None:
        self._until = until
        self._connection.look_at(until)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


class HTTPConnection(asyncio.Protocol):
    """A connection that carries one request at a time.

    `idle` is called when it may carry the next one, `gone` when it is closed. `reads` is told
    of each read of an answer.
    """

    def __init__(
        self,
        idle: Callable[["HTTPConnection"], None],
        gone: Callable[["HTTPConnection"], None],
        reads: QuickReads,
    ) -> None:
        self._idle = idle
        self._gone = gone
        self._reads = reads
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._answer: Answer | None = None
        self.on_body: Callable[[bytes], None] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._paused = False
        self._done = False
        self._whole = 0  # pieces of the body, once it is done
        self._keeps_alive = False
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0.0

    @property
    def is_open(self) -> bool:
        """True while bytes can go both ways."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, head: bytes, body: bytes, idle_seconds: float) -> Answer:
        """Sends a request; its answer comes in time."""
        if self._transport is None:
            raise ConnectionCutError("the connection is not made")
        answer = self._answer = Answer(self, idle_seconds, self._loop)
        # The parser asks for it once. A call of ours for each chunk costs more than the chunk.
        self.on_body = answer.pieces.append
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._done = [], False
        self._reads.begin()
        self._transport.writelines([head, body])
        return answer

    def abort(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()

    def resume(self) -> None:
        """Lets the upstream send again."""
        if self._paused and self.is_open:
            self._paused = False
            cast(asyncio.Transport, self._transport).resume_reading()

    def look_at(self, moment: float) -> None:
        """Look then, or before, whether who waits for the answer has waited too long.

        One timer for all waits on the connection: it mostly finds that the newest has time left.
        """
        if self._timer is not None:
            if self._looks_at <= moment:
                return
            self._timer.cancel()
        self._looks_at = moment
        self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._answer is not None:
            now = self._loop.time()
            rested = self._reads.has_rested(now)
            again = now + REST_SECONDS if rested else self._answer.look(now)
            if again is not None:
                self.look_at(again)

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer. Any that nobody asked for end the connection."""
        answer, parser = self._answer, self._parser
        if answer is None or parser is None:
            self.abort()
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            answer.end(ConnectionCutError(f"no HTTP answer: {type(error).__name__}"))
            self.abort()
            return
        if self._done:
            self._finish(answer)
            return
        now = self._loop.time()
        self._reads.count(now)
        if answer.came(len(data), now):
            self._pause()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come. An answer without a length ends here, any other is cut."""
        self._gone(self)
        if self._timer is not None:
            self._timer.cancel()
        answer, self._answer = self._answer, None
        if answer is None:
            return
        has_length = not _FRAMING.isdisjoint(answer.headers)
        if answer.status and not has_length and exc is None:
            answer.end()
        else:
            answer.end(ConnectionCutError(type(exc).__name__ if exc is not None else "closed"))

    def _finish(self, answer: Answer) -> None:
        self._answer = self._parser = self.on_body = None
        del answer.pieces[self._whole :]
        self.resume()
        answer.end()
        if self._keeps_alive:
            self._idle(self)
        else:
            self.abort()

    # --- httptools ---

    def on_message_begin(self) -> None:
        """An answer begins. A second one behind it is a fault of the upstream."""
        if self._done:
            self._keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of the answer."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete; one of a provisional answer does not count."""
        parser, answer = self._parser, self._answer
        if parser is None or answer is None:
            return
        if self._done:
            return  # the head of an answer that nobody asked for
        status = parser.get_status_code()
        if status >= _FIRST_FINAL_STATUS:
            answer.raw_headers, answer.status = self._headers, status
        self._headers = []

    def on_message_complete(self) -> None:
        """The answer is complete; a second one behind it does not count."""
        if self._parser is None or self._answer is None or not self._answer.status or self._done:
            return
        self._keeps_alive = self._parser.should_keep_alive()
        self._done, self._whole = True, len(self._answer.pieces)

    def _pause(self) -> None:
        if not self._paused and self.is_open:
            self._paused = True
            cast(asyncio.Transport, self._transport).pause_reading()
