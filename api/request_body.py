"""Reads a request body once, within limits of size and time."""

import asyncio

from starlette.types import Message, Receive

from gateway.context import RequestContext
from gateway.errors import RequestTimeoutError, RequestTooLargeError

_SLOWEST_BODY_SECONDS = 120.0  # 32 MB over a 2 Mbit line


class ClientLeftError(Exception):
    """The client closed the connection; nobody is left to answer."""


async def read_body(receive: Receive, context: RequestContext, limit_bytes: int) -> bytes:
    """The whole body. Raises RequestTooLargeError, RequestTimeoutError and ClientLeftError."""
    declared = context.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return _within(message.get("body", b""), limit_bytes)
    try:
        async with asyncio.timeout(_SLOWEST_BODY_SECONDS):
            return await _collect(message, receive, limit_bytes)
    except TimeoutError as error:
        raise RequestTimeoutError("the request body did not arrive in time") from error


async def _collect(message: Message, receive: Receive, limit_bytes: int) -> bytes:
    """A body that comes in pieces; `message` is the first."""
    pieces: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)
        message = await receive()


def _within(body: bytes, limit_bytes: int) -> bytes:
    if len(body) > limit_bytes:
        raise _too_large(limit_bytes)
    return body


def _too_large(limit_bytes: int) -> RequestTooLargeError:
    return RequestTooLargeError(f"the request body is larger than {limit_bytes:,} bytes", param="$")
