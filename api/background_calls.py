"""What the routes of responses in the background share."""

import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from starlette.responses import StreamingResponse

from api.deps import services_of
from gateway.errors import GatewayError, InvalidRequestError
from gateway.pipeline.reply import LiveReply

JSON_OR_EVENTS: dict[str, Any] = {"content": {"application/json": {}, "text/event-stream": {}}}
"""What a route answers that can be asked for a stream."""

_MOST_DIGITS = 15


def event_to_go_on_behind(request: Request, starting_after: int | None) -> int:
    """The number of the last event that the client has; -1 for none.

    Browsers and SDKs that connect anew send it as Last-Event-ID. Raises InvalidRequestError.
    """
    if starting_after is not None:
        return starting_after
    seen = request.headers.get("last-event-id", "")
    if not seen:
        return -1
    if not (seen.isascii() and seen.isdecimal() and len(seen) <= _MOST_DIGITS):
        raise InvalidRequestError("Last-Event-ID must be the number of an event")
    return int(seen)


def as_events(request: Request, reply: LiveReply) -> StreamingResponse:
    """The stream of a reply, kept alive while there is nothing to say."""
    seconds = services_of(request).settings.keep_alive_seconds
    return StreamingResponse(
        _events(reply, seconds),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
    )


async def _events(reply: LiveReply, keep_alive_seconds: float) -> AsyncIterator[bytes]:
    wrote = time.monotonic()
    try:
        while (data := await reply.next()) is not None:
            if not data:
                if time.monotonic() - wrote < keep_alive_seconds:
                    continue
                data = reply.keep_alive
            wrote = time.monotonic()
            yield data
    except GatewayError as error:
        yield reply.interrupt(error)
