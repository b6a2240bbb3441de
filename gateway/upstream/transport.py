"""HTTP to Claude's API for live requests: open, read as bytes come, abort.

Through the SDK a live request costs seven to fourteen times as much CPU, and its typed events even
more.
"""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from gateway.errors import UpstreamCutError, UpstreamTimeoutError, UpstreamUnreachableError
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.http_connection import Answer, Take
from gateway.version import VERSION

_END_OF_BODY_SECONDS = 1.0
_KNOWN_HEADS = 64  # requests in the gateway's own form have one or two
_LINE_BREAK = re.compile(r"[\r\n\0]")


class UpstreamResponse:
    """An answer whose head has arrived; the body is read piece by piece.

    `headers` are by lower-case name.
    """

    def __init__(self, answer: Answer, on_end: Callable[[], None]) -> None:
        self._answer = answer
        self._on_end: Callable[[], None] | None = on_end
        self.status = answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer."""
        return self._answer.headers

    async def read(self) -> bytes:
        """All bytes that have arrived since the last call, at least one; b"" at the end.

        Raises UpstreamTimeoutError after the idle limit and UpstreamCutError when the connection
        breaks or the body is shorter than its framing promised.
        """
        try:
            return await self._answer.read()
        except OSError as error:
            raise _read_error(error) from error

    def pass_on(self, take: Take) -> Awaitable[None]:
        """Gives to `take` what comes, in the call it comes by, for as long as it returns True.

        Ends as well when there is something that `read` has to tell, as the end.
        """
        return self._answer.pass_on(take)

    def arrived(self) -> bytes:
        """What `read` gives without waiting; b"" when nothing is here. Raises as `read` does."""
        try:
            return self._answer.arrived()
        except OSError as error:
            raise _read_error(error) from error

    async def read_all(self, limit_bytes: float = math.inf) -> bytes:
        """The rest of the body, or what has come of it once the limit is reached."""
        pieces: list[bytes] = []
        size = 0
        while size < limit_bytes and (piece := await self.read()):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    @property
    def is_complete(self) -> bool:
        """True when all of it has come, the end of its framing as well."""
        return self._answer.complete

    async def finish(self) -> None:
        """Read the end of the framing after the last event: the connection is used again."""
        if self.is_complete:  # it mostly came with the last event
            return
        try:
            async with asyncio.timeout(_END_OF_BODY_SECONDS):
                while await self._answer.read():
                    pass
        except OSError:
            self.abort()

    def abort(self) -> None:
        """Drop the connection if the answer is unfinished; Claude stops generating. Idempotent."""
        self._answer.abort()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()


class UpstreamTransport:
    """Connections to one base URL. Use `async with`.

    `requests_sent` counts since the start; `in_flight` are those whose answers are still held.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        first_byte_seconds: float,
        idle_seconds: float,
    ) -> None:
        self._base_url = self._root(base_url)
        self.first_byte_seconds = first_byte_seconds
        self._idle_seconds = idle_seconds
        parts = urlsplit(self._base_url)
        self._prefix = quote(parts.path, safe="/%")
        own = {
            "host": parts.netloc.rpartition("@")[2],
            "accept-encoding": "identity",
            "user-agent": f"coding-gateway/{VERSION}",
            **self._credentials(api_key),
        }
        self._own_names = frozenset({*own, "content-length"})
        self._own = _header_lines(own)
        self._heads: dict[tuple[object, ...], str] = {}
        self._pool: ConnectionPool | None = None
        self.requests_sent = 0
        self.in_flight = 0

    @staticmethod
    def _root(base_url: str) -> str:
        """What stands before the path of a call."""
        return base_url.rstrip("/").removesuffix("/v1")

    @staticmethod
    def _credentials(api_key: str) -> dict[str, str]:
        """The key in both forms: the SDK sends the first, older servers read the second."""
        return {"authorization": f"Bearer {api_key}", "x-api-key": api_key}

    async def __aenter__(self) -> Self:
        self._pool = ConnectionPool(self._base_url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.close()

    async def open(self, path: str, body: bytes, headers: Mapping[str, str]) -> UpstreamResponse:
        """POST `body` and wait for the head of the answer, whatever its status.

        `headers` need not hold the credential. Raises UpstreamTimeoutError when no head came within
        the limit and UpstreamUnreachableError when connecting, TLS or HTTP failed.
        """
        if self._pool is None:
            raise RuntimeError("the transport is used outside its context")
        self.requests_sent += 1
        self.in_flight += 1
        try:
            answer = await self._answered(path, body, headers)
        except BaseException:
            self._ended()
            raise
        return UpstreamResponse(answer, self._ended)

    def _ended(self) -> None:
        self.in_flight -= 1

    async def _answered(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer to a request, its head read."""
        assert self._pool is not None  # noqa: S101 - `open` has looked
        deadline = asyncio.get_running_loop().time() + self.first_byte_seconds
        try:
            connection = self._pool.take_idle()
            if connection is None:
                async with asyncio.timeout_at(deadline):
                    connection = await self._pool.connect()
            answer = connection.send(self._head(path, len(body), headers), body, self._idle_seconds)
            try:
                await answer.head(deadline)
            except BaseException:
                answer.abort()
                raise
        except TimeoutError as error:
            raise UpstreamTimeoutError(
                "the upstream did not answer in time", status=504, retryable=True
            ) from error
        except OSError as error:
            raise UpstreamUnreachableError(
                "the upstream cannot be reached", retryable=True, detail=type(error).__name__
            ) from error
        return answer

    def _head(self, path: str, length: int, headers: Mapping[str, str]) -> bytes:
        key = (path, *headers.items())
        head = self._heads.get(key)
        if head is None:
            given = {
                name: value
                for name, value in headers.items()
                if name.lower() not in self._own_names
            }
            head = f"POST {self._prefix}{path} HTTP/1.1\r\n{self._own}{_header_lines(given)}"
            if len(self._heads) < _KNOWN_HEADS:
                self._heads[key] = head
        return f"{head}content-length: {length}\r\n\r\n".encode()


def _header_lines(headers: Mapping[str, str]) -> str:
    """The lines of a head; nothing in a value can begin another."""
    return "".join(f"{name}: {_LINE_BREAK.sub(' ', value)}\r\n" for name, value in headers.items())


def _read_error(error: OSError) -> UpstreamTimeoutError | UpstreamCutError:
    if isinstance(error, TimeoutError):
        return UpstreamTimeoutError("the upstream fell silent", status=504)
    return UpstreamCutError(
        "the upstream closed the connection before the answer was complete",
        detail=type(error).__name__,
    )
