"""The way between a client and a live endpoint, whatever server the request came by.

`api.http_protocol` has its own, which the gateway's server uses; `AsgiConnection` serves under any
other ASGI server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from api.request_body import AsgiBody, BodySource

Headers = Mapping[str, str]
"""The headers of an answer, by any spelling of their names; none says its length."""

Taken = Awaitable[None] | None
"""What to wait for before more is sent; None when nothing is in the way."""


class LiveConnection(BodySource, Protocol):
    """A request, its body, and the way of its answer. What is sent to a client that has left is
    dropped without a word.
    """

    @property
    def headers(self) -> Iterable[tuple[bytes, bytes]]:
        """The headers of the request as they came."""

    @property
    def has_begun(self) -> bool:
        """True once something of an answer is on its way."""

    def watch(self, on_left: Callable[[], None] | None) -> None:
        """From now on call `on_left` when the client leaves, at once when it has; None for nothing.

        The body has been read by then.
        """

    def answer(self, status: int, headers: Headers, body: bytes) -> Taken:
        """Send a whole answer; its length is said here."""

    def begin(self, headers: Headers) -> Taken:
        """Begin an answer of status 200 that comes in pieces."""

    def write(self, piece: bytes, *, is_last: bool = False) -> Taken:
        """Send a piece of it."""


class AsgiConnection(AsgiBody):
    """A connection by ASGI's messages."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(receive)
        self.headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
        self.has_begun = False
        self._send = send
        self._watching: asyncio.Task[None] | None = None

    def watch(self, on_left: Callable[[], None] | None) -> None:
        """See LiveConnection. Only one who receives hears that a client has left."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if on_left is not None:
            self._watching = asyncio.ensure_future(self._wait_for_disconnect(on_left))

    async def _wait_for_disconnect(self, on_left: Callable[[], None]) -> None:
        message: Message = {"type": "http.request"}
        while message["type"] != "http.disconnect":
            message = await self._receive()
        on_left()

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """See LiveConnection."""
        await self._start(status, {**headers, "content-length": str(len(body))})
        await self.write(body, is_last=True)

    async def begin(self, headers: Headers) -> None:
        """See LiveConnection."""
        await self._start(200, headers)

    async def write(self, piece: bytes, *, is_last: bool = False) -> None:
        """See LiveConnection."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": not is_last})

    async def _start(self, status: int, headers: Headers) -> None:
        self.has_begun = True
        pairs = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in headers.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})
