"""uvicorn's HTTP protocol, with three things live requests are served faster by.

Head and body of an answer leave in one system call. The values of the head are checked together,
where uvicorn asks two regular expressions of every header. And what an application has named is
called when its client leaves: by ASGI's messages alone that takes a task for each request.
"""

import asyncio
import re
from collections.abc import Callable

from uvicorn._types import ASGI3Application, ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

DISCONNECT = "coding_gateway.disconnect"
"""The ASGI extension, under "extensions" in a scope: its "call" takes a function to call when the
client leaves before its answer is complete; None takes it back."""

OnDisconnect = Callable[[Callable[[], None] | None], None]

_NOT_IN_NAMES = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")  # RFC 9110, 5.6.2
_NOT_IN_LINES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_KNOWN_NAMES = 1024
_NO_BODY = frozenset({204, 304})


class LiveProtocol(HttpToolsProtocol):
    """A connection of a client; it serves one request at a time."""

    _serving: RequestResponseCycle | None = None
    _on_left: Callable[[], None] | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # uvicorn makes its cycles itself; this one only writes in another way.
        cycle.__class__ = LiveCycle
        cycle.scope["extensions"] = {DISCONNECT: {"call": self._call_when_left}}
        self._serving = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or has had enough."""
        super().connection_lost(exc)
        served, self._serving = self._serving, None
        on_left, self._on_left = self._on_left, None
        if served is None:
            return
        served.scope.pop("extensions", None)  # it leads back to here, which only gc would notice
        if not served.response_complete:
            served.disconnected = True
            served.message_event.set()
            if on_left is not None:
                on_left()

    def _call_when_left(self, on_left: Callable[[], None] | None) -> None:
        """See DISCONNECT. Called at once when the client has left already."""
        self._on_left = on_left
        if on_left is None:
            return
        self.flow.resume_reading()  # a paused connection does not notice its end
        if self._serving is None:
            on_left()


class LiveCycle(RequestResponseCycle):
    """One request and its answer. The head of an answer waits for the body that follows it."""

    _head: bytes = b""

    async def send(self, message: ASGISendEvent) -> None:
        """Take a message of the application."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._begin(message)
        elif message["type"] == "http.response.body" and not self.response_complete:
            self._go_on(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"an ASGI message out of turn: {message['type']}")

    def _begin(self, message: HTTPResponseStartEvent) -> None:
        """Note status and headers: one system call sends them and what comes at once."""
        status = message["status"]
        given = [*self.default_headers, *message.get("headers", ())]
        headers = [(name.lower(), value) for name, value in given]
        lines = [_BEGINNINGS[name] + value for name, value in headers]
        said = b"\r\n".join([*lines, b""])
        if said.count(b"\n") != len(lines) or _NOT_IN_LINES.search(said):
            raise RuntimeError("a value of a response header has control characters")
        known = dict(headers)
        for name in _FRAMING & known.keys():
            self._note_framing(name, known[name])
        if not self.keep_alive and b"connection" not in known:
            said += b"connection: close\r\n"
        if self.chunked_encoding is None and self._may_have_body(status):
            self.chunked_encoding = True
            said += b"transfer-encoding: chunked\r\n"
        self.response_started = True
        self.waiting_for_100_continue = False
        self._head = b"%b%b\r\n" % (STATUS_LINE[status], said)
        if self.chunked_encoding:  # else its body is there already, and about to be sent
            asyncio.get_running_loop().call_soon(self._send_head)

    def _send_head(self) -> None:
        """Send the head alone where no body came at once."""
        if self._head and not self.disconnected:
            self.transport.write(self._head)
            self._head = b""

    def _note_framing(self, name: bytes, value: bytes) -> None:
        """Keep what a header says of how the body goes, and of what comes after it."""
        if name == b"connection":
            tokens = [token.strip() for token in value.lower().split(b",")]
            self.keep_alive = self.keep_alive and b"close" not in tokens
        elif name == b"transfer-encoding":
            self.chunked_encoding = value.lower() == b"chunked" or self.chunked_encoding
        elif self.chunked_encoding is None:
            self.expected_content_length = int(value)
            self.chunked_encoding = False

    def _may_have_body(self, status: int) -> bool:
        return self.scope["method"] != "HEAD" and status not in _NO_BODY

    def _go_on(self, body: bytes, more_body: bool) -> None:
        """Write a piece of the body, and end the answer with the last."""
        if self.scope["method"] == "HEAD":
            self.expected_content_length, body = 0, b""
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more_body:
                body += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("a body longer than its content-length")
        if self._head:
            body = self._head + body
            self._head = b""
        if body:
            self.transport.write(body)
        if not more_body:
            self._end()

    def _end(self) -> None:
        if self.expected_content_length != 0:
            raise RuntimeError("a body shorter than its content-length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class _Beginnings(dict[bytes, bytes]):
    """How the line of each header begins. Raises RuntimeError for what is no name."""

    def __missing__(self, name: bytes) -> bytes:
        if not name or _NOT_IN_NAMES.search(name):
            raise RuntimeError("the name of a response header is none")
        beginning = name + b": "
        if len(self) < _KNOWN_NAMES:
            self[name] = beginning
        return beginning


_BEGINNINGS = _Beginnings()
