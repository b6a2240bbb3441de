"""Reads a request body once, within limits of size and time."""

import asyncio
from typing import Protocol

from starlette.types import Receive

from gateway.context import RequestContext
from gateway.errors import RequestTimeoutError, RequestTooLargeError

_SLOWEST_BODY_SECONDS = 120.0  # 32 MB over a 2 Mbit line


class ClientLeftError(Exception):
    """The client closed the connection; nobody is left to answer."""


class BodySource(Protocol):
    """Where the body of a request comes from."""

    def arrived(self) -> bytes | None:
        """The body, when it has come as a whole already."""

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body; some more than the limit of one that is longer.

        Raises ClientLeftError.
        """


class AsgiBody:
    """The body of a request that a server hands over by ASGI's messages."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def arrived(self) -> bytes | None:
        """Nothing: that has to be asked for."""
        return None

    async def read(self, limit_bytes: int) -> bytes:
        """See BodySource."""
        pieces: list[bytes] = []
        size, is_more = 0, True
        while is_more and size <= limit_bytes:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            piece: bytes = message.get("body", b"")
            size += len(piece)
            pieces.append(piece)
            is_more = message.get("more_body", False)
        return b"".join(pieces)


async def read_body(source: BodySource, context: RequestContext, limit_bytes: int) -> bytes:
    """The whole body. Raises RequestTooLargeError, RequestTimeoutError and ClientLeftError."""
    declared = context.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    body = source.arrived()
    if body is None:
        try:
            async with asyncio.timeout(_SLOWEST_BODY_SECONDS):
                body = await source.read(limit_bytes)
        except TimeoutError as error:
            raise RequestTimeoutError("the request body did not arrive in time") from error
    if len(body) > limit_bytes:
        raise _too_large(limit_bytes)
    return body


def _too_large(limit_bytes: int) -> RequestTooLargeError:
    return RequestTooLargeError(f"the request body is larger than {limit_bytes:,} bytes", param="$")
