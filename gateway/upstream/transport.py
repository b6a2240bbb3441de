"""HTTP to Claude's API for live requests: open, read as bytes come, abort.

aiohttp directly: through the SDK a live request costs seven to fourteen times as much CPU, and its
typed events even more.
"""

import asyncio
import math
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
import yarl

from gateway.errors import UpstreamCutError, UpstreamTimeoutError, UpstreamUnreachableError

_CONNECT_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 55.0  # below the 60 s after which common load balancers drop idle connections
_END_OF_BODY_SECONDS = 1.0
_READ_BUFFER_BYTES = 2**18  # pause the upstream once a slow client leaves this much unread


class UpstreamResponse:
    """An answer whose head has arrived; the body is read piece by piece."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._aborted = False
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        """All bytes that have arrived since the last call, at least one; b"" at the end.

        Raises UpstreamTimeoutError after the idle limit and UpstreamCutError when the connection
        breaks or the body is shorter than its framing promised.
        """
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise _read_error(error) from error

    def arrived(self) -> bytes:
        """What `read` gives without waiting; b"" when nothing is here. Raises as `read` does."""
        try:
            return self._response.content.read_nowait()
        except (aiohttp.ClientError, OSError) as error:
            raise _read_error(error) from error

    async def read_all(self, limit_bytes: float = math.inf) -> bytes:
        """The rest of the body, or what has come of it once the limit is reached."""
        pieces: list[bytes] = []
        size = 0
        while size < limit_bytes and (piece := await self.read()):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    async def finish(self) -> None:
        """Read the end of the framing after the last event: the connection is used again."""
        content = self._response.content
        if content.at_eof():  # it mostly came with the last event
            return
        try:
            async with asyncio.timeout(_END_OF_BODY_SECONDS):
                while not content.at_eof():
                    await content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError):
            self.abort()

    def abort(self) -> None:
        """Drop the connection if the answer is unfinished; Claude stops generating. Idempotent."""
        if not self._aborted:
            self._aborted = True
            self._response.close()


class UpstreamTransport:
    """One connection pool to one base URL. Use `async with`."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        first_byte_seconds: float,
        idle_seconds: float,
    ) -> None:
        self._base_url = base_url.rstrip("/").removesuffix("/v1")
        self._urls: dict[str, yarl.URL] = {}
        self.first_byte_seconds = first_byte_seconds
        self._idle_seconds = idle_seconds
        # Both forms: the current SDK sends the first, older compatible servers read the second.
        self._credentials = {"authorization": f"Bearer {api_key}", "x-api-key": api_key}
        self._session: aiohttp.ClientSession | None = None
        self.requests_sent = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS, ttl_dns_cache=60
            ),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_SECONDS, sock_read=self._idle_seconds
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            read_bufsize=_READ_BUFFER_BYTES,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def open(self, path: str, body: bytes, headers: Mapping[str, str]) -> UpstreamResponse:
        """POST `body` and wait for the head of the answer, whatever its status.

        `headers` need not hold the credential. Raises UpstreamTimeoutError when no head came within
        the limit and UpstreamUnreachableError when connecting, TLS or HTTP failed.
        """
        if self._session is None:
            raise RuntimeError("the transport is used outside its context")
        self.requests_sent += 1
        try:
            async with asyncio.timeout(self.first_byte_seconds):
                response = await self._session.post(
                    self._url(path),
                    data=body,
                    headers={**headers, **self._credentials},
                    allow_redirects=False,
                )
        except TimeoutError as error:
            raise UpstreamTimeoutError(
                "the upstream did not answer in time", status=504, retryable=True
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamUnreachableError(
                "the upstream cannot be reached", retryable=True, detail=type(error).__name__
            ) from error
        return UpstreamResponse(response)

    def _url(self, path: str) -> yarl.URL:
        """The address of `path`, parsed once; the paths are a handful of constants."""
        if path not in self._urls:
            self._urls[path] = yarl.URL(self._base_url + path)
        return self._urls[path]


def _read_error(error: Exception) -> UpstreamTimeoutError | UpstreamCutError:
    if isinstance(error, TimeoutError):
        return UpstreamTimeoutError("the upstream fell silent", status=504)
    return UpstreamCutError(
        "the upstream closed the connection before the answer was complete",
        detail=type(error).__name__,
    )
