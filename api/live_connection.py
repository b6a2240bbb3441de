"""The way between a client and a live endpoint, whatever server the request came by.

`api.http_protocol` has its own, which the gateway's server uses; `AsgiConnection` serves under any
other ASGI server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from starlette.types import Message, Receive, Scope, Send

from api.request_body import AsgiBody, BodySource
from gateway.pipeline.reply import WriteNow
from gateway.waits import AT_ONCE

Headers = Mapping[str, str]
"""The headers of an answer, by any spelling of their names; none says its length."""


TAKEN = AT_ONCE
"""What has been taken at once, so that there is nothing to wait for."""


class LiveConnection(BodySource, Protocol):
    """A request, its body, and the way of its answer.

    What is sent has to be awaited before more is: a client may be slow. For one that has left it is
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

    def answer(self, status: int, headers: Headers, body: bytes) -> Awaitable[None]:
        """Send a whole answer; its length is said here."""

    def begin(self, headers: Headers) -> Awaitable[None]:
        """Begin an answer of status 200 that comes in pieces."""

    def write(self, piece: bytes, *, is_last: bool = False) -> Awaitable[None]:
        """Send a piece of it."""

    @property
    def write_now(self) -> WriteNow | None:
        """Sends a piece that need not be awaited; False when what comes next has to wait.

        None where only `write` can send.
        """


LiveHandler = Callable[[LiveConnection], Coroutine[Any, Any, None]]
"""Serves a live request. Raises what happens to an answer that has begun."""


class AsgiConnection(AsgiBody):
    """A connection by ASGI's messages."""

    write_now = None

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
