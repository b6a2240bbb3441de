"""One HTTP request and its answer over ASGI, with a watch on whether the client leaves.

uvicorn's `send` returns in silence after a disconnect; only `receive` tells. So while an answer
is under way a task waits on `receive`, and every pause ends at once when the client leaves.
"""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from simulator.errors import ApiError
from simulator.recorder import Record
from simulator.wire import JsonValue, dumps, new_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TRANSPORT_KEY = "simulator.transport"  # set in the scope by `server.SimulatorProtocol`
MAX_BODY_BYTES = 32 * 1024 * 1024
_CLOSE_SECONDS = 5.0  # how long a closed connection may take to be reported

ORGANIZATION = "00000000-0000-4000-8000-000000000001"
_STANDARD_HEADERS = (
    (b"anthropic-organization-id", ORGANIZATION.encode()),
    (b"x-simulator", b"coding-gateway"),
)


class ClientLeft(Exception):  # noqa: N818 - an event of the connection, not a fault
    """The client closed the connection before the answer's end."""


class Exchange:
    """A request, its record, and the means to answer it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, number: int) -> None:
        """Takes the three ASGI arguments; `number` counts requests."""
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport | None = scope.get(TRANSPORT_KEY)
        self._left = asyncio.Event()
        self._watched = False
        self.request_id = new_id("req_")
        pairs = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        self.headers: dict[str, str] = {name.lower(): value for name, value in pairs}
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.record = Record(
            number,
            self.method,
            self.path,
            self.query,
            pairs,
            time.time(),
            request_id=self.request_id,
        )

    @property
    def client_left(self) -> bool:
        """Whether the client has left."""
        return self._left.is_set()

    async def read_body(self, limit: int = MAX_BODY_BYTES) -> bytes:
        """The whole body; 413 when it is larger than `limit`."""
        declared = self.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise ApiError(413, "Request exceeds the maximum size")
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._note_left()
                raise ClientLeft
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise ApiError(413, "Request exceeds the maximum size")
            more = message.get("more_body", False)
        self.record.body = parts[0] if len(parts) == 1 else b"".join(parts)
        return self.record.body

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Notices at once when the client leaves, as long as the context lasts."""
        watcher = asyncio.create_task(self._watch())
        self._watched = True
        try:
            yield
        finally:
            watcher.cancel()

    async def _watch(self) -> None:
        while not self._left.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._note_left()

    def _note_left(self) -> None:
        if self.record.left_at is None and self.record.ended_at is None:
            self.record.left_at = time.time()
        self._left.set()

    async def pause(self, seconds: float) -> None:
        """Waits; raises `ClientLeft` as soon as the client leaves."""
        if seconds > 0:
            try:
                await asyncio.wait_for(self._left.wait(), seconds)
            except TimeoutError:
                return
        elif self._watched:
            await asyncio.sleep(0)
        if self._left.is_set():
            raise ClientLeft

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Sends the response head."""
        self.record.status = status
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    *headers,
                    (b"request-id", self.request_id.encode()),
                    *_STANDARD_HEADERS,
                ],
            }
        )

    async def write(self, data: bytes) -> None:
        """Sends a part of the body; raises `ClientLeft` when nobody is there."""
        if self._left.is_set():
            raise ClientLeft
        self.record.bytes_sent += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Sends the last part of the body."""
        self.record.bytes_sent += len(data)
        self.record.ended_at = time.time()
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def answer_json(
        self, status: int, value: JsonValue, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Sends a whole JSON response."""
        data = b"" if self.method == "HEAD" else dumps(value)
        await self.start(
            status,
            [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(data)).encode()),
                *(headers or []),
            ],
        )
        await self.finish(data)

    async def answer_error(self, error: ApiError) -> None:
        """Sends an error response."""
        self.record.error = error.error()
        headers = [(name.encode(), value.encode()) for name, value in error.headers.items()]
        if error.retry_after is not None:
            headers.append((b"retry-after", error.retry_after.encode()))
        await self.answer_json(error.status, error.body(self.request_id), headers)

    async def cut(self, reset: bool) -> None:
        """Closes the connection in the middle: with FIN, or with RST when `reset`."""
        self.record.ended_at = time.time()
        transport = self._transport
        if transport is None:
            return
        if reset:
            sock = transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        # The server complains about an unfinished answer unless it saw the connection close.
        try:
            await asyncio.wait_for(self._left.wait(), _CLOSE_SECONDS)
        except TimeoutError:
            return
