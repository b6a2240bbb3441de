"""One live request on a connection of the server's own, see `api.http_protocol`."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.live_connection import TAKEN, Headers
from api.request_body import ClientLeftError

_CHUNK = b"%x\r\n%b\r\n"

_log = logging.getLogger("gateway.api")


class LiveExchange:
    """One live request and its answer: a LiveConnection.

    The head of an answer in pieces waits a moment for the first of them.
    """

    has_begun = False
    response_complete = False
    _size = 0
    _limit: float = HIGH_WATER_LIMIT  # until somebody says what may come
    more_body = True
    _arrival: asyncio.Future[None] | None = None
    _has_left = False
    _on_left: Callable[[], None] | None = None
    _head = b""
    _is_told = False

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        version = protocol.parser.get_http_version()
        self.headers = protocol.headers
        self.keep_alive = version != "1.0" and protocol.parser.should_keep_alive()
        self._protocol = protocol
        self._transport = protocol.transport
        self._knows_chunks = version == "1.1"
        self._pieces: list[bytes] = []

    # --- the request ---

    def arrived(self) -> bytes | None:
        """The body, when it has come as a whole already."""
        return None if self.more_body else self._body()

    async def read(self, limit_bytes: int) -> bytes:
        """See BodySource."""
        self._limit = limit_bytes
        if self._waits_for_word():
            self._is_told = True
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.more_body and not (self._has_left or self._size > limit_bytes):
            self._protocol.flow.resume_reading()
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        if self._has_left:
            raise ClientLeftError
        return self._body()

    def add(self, piece: bytes) -> None:
        """A piece of the body has come."""
        if self.response_complete:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._limit:
            self._protocol.flow.pause_reading()
            self._wake()

    def complete(self) -> None:
        """All of the body has come."""
        self.more_body = False
        self._wake()

    def lose(self) -> None:
        """The client has left."""
        self._has_left = True
        self._wake()
        on_left, self._on_left = self._on_left, None
        if on_left is not None and not self.response_complete:
            on_left()

    def watch(self, on_left: Callable[[], None] | None) -> None:
        """See LiveConnection."""
        self._on_left = on_left
        if on_left is None:
            return
        if self._has_left:
            on_left()
        else:
            self._protocol.flow.resume_reading()  # a paused connection does not notice its end

    def _body(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _waits_for_word(self) -> bool:
        """True while the client may be waiting for a word before it sends its body."""
        if self._size or self._is_told or not self.more_body or not self._knows_chunks:
            return False
        named = [value.lower() for name, value in self.headers if name.lower() == b"expect"]
        return b"100-continue" in named

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    # --- the answer ---

    def answer(self, status: int, headers: Headers, body: bytes) -> Awaitable[None]:
        """See LiveConnection."""
        if self.has_begun:
            raise RuntimeError("the request is being answered")
        head = self._framed(status, headers, f"content-length: {len(body)}\r\n")
        self.has_begun = True
        self._send(head + body)
        self._end()
        return TAKEN

    def begin(self, headers: Headers) -> Awaitable[None]:
        """See LiveConnection."""
        if not self._knows_chunks:
            self.keep_alive = False  # the end of the connection is that of the answer
        framing = "transfer-encoding: chunked\r\n" if self._knows_chunks else ""
        self._head = self._framed(200, headers, framing)
        self.has_begun = True
        asyncio.get_running_loop().call_soon(self._send_head)
        return TAKEN

    def write(self, piece: bytes, *, is_last: bool = False) -> Awaitable[None]:
        """See LiveConnection."""
        self._write(piece, is_last=is_last)
        if is_last:
            return TAKEN  # nothing is held back any more
        flow = self._protocol.flow
        return flow.drain() if flow.write_paused else TAKEN

    def write_now(self, piece: bytes) -> bool:
        """See LiveConnection."""
        if self._head or not self._knows_chunks or self._has_left:
            self._write(piece)
        else:
            self._transport.write(_CHUNK % (len(piece), piece))
        return not self._protocol.flow.write_paused

    def _write(self, piece: bytes, *, is_last: bool = False) -> None:
        if self.response_complete:
            raise RuntimeError("the answer is complete")
        if self._knows_chunks:
            piece = _CHUNK % (len(piece), piece) if piece else b""
            if is_last:
                piece += b"0\r\n\r\n"
        if self._head:
            piece = self._head + piece
            self._head = b""
        self._send(piece)
        if is_last:
            self._end()

    def served(self, task: asyncio.Task[None]) -> None:
        """Whoever served the request is done; one that failed has not answered to the end."""
        self._protocol.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a live request failed", exc_info=error)
        if self.response_complete or self._has_left:
            return
        if self._protocol.flow.write_paused:
            self._transport.abort()  # it takes nothing, and would never take the rest
        elif self.has_begun:
            self._transport.close()
        else:
            _ = self.answer(500, _FAILED, b"Internal Server Error")

    def _framed(self, status: int, headers: Headers, framing: str) -> bytes:
        """The head of an answer. Raises RuntimeError for a header that is none."""
        lines = list(map(str.__add__, map(_beginning, headers), headers.values()))
        text = "\r\n".join([*lines, framing]).encode("latin-1")
        breaks = len(lines) + (framing != "")
        printable = len(text.translate(None, _CONTROLS))
        if text.count(b"\r\n") != breaks or printable + 2 * breaks != len(text):
            raise RuntimeError("a value of a response header has control characters")
        if self._waits_for_word():
            self.keep_alive = False  # it may send its body now or never (RFC 9110, 10.1.1)
        if "connection" in headers:
            self.keep_alive = False  # the only thing the gateway says of it is that it closes
        elif not self.keep_alive:
            text += b"connection: close\r\n"
        return b"%b%b\r\n" % (STATUS_LINE[status], text)

    def _send_head(self) -> None:
        """Send the head alone where nothing came at once."""
        head, self._head = self._head, b""
        self._send(head)

    def _send(self, data: bytes) -> None:
        if data and not self._has_left:
            self._transport.write(data)

    def _end(self) -> None:
        self.response_complete = True
        self._pieces = []  # of a body that was not wanted
        if self._has_left:
            return
        if not self.keep_alive:
            self._transport.close()
        self._protocol.on_response_complete()


_FAILED = {"content-type": "text/plain; charset=utf-8", "connection": "close"}
_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09})
_NOT_IN_NAMES = re.compile(r"[^!#$%&'*+.^_`|~0-9a-z-]")  # RFC 9110, 5.6.2, in lower case


@lru_cache(maxsize=1024)
def _beginning(name: str) -> str:
    """How the line of a header begins. Raises RuntimeError for what is no name."""
    lower = name.lower()
    if not name or _NOT_IN_NAMES.search(lower):
        raise RuntimeError("the name of a response header is none")
    return lower + ": "
