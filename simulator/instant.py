r"""Instant mode: an upstream for benches, as fast as plain ASGI allows.

No checks, no tokenizer, no records; answers are prebuilt bytes. Read from the raw body without
parsing it: `"stream":true`, and a marker that sets the size of the answer:

    [[sim:deltas count=100 chars=5 interval=0.01]]

`count` text deltas (default 20) of `chars` characters (default 5), `interval` seconds apart
(default 0: the whole answer in one write; `burst` deltas are written at a time, default 1, when
there is an interval; interval=step writes each delta on its own without waiting). The headers
`x-sim-deltas`, `x-sim-chars`, `x-sim-interval` and `x-sim-burst` do the same and win.
"""

import asyncio
import re
from collections.abc import MutableMapping

from simulator.exchange import Receive, Scope, Send
from simulator.instant_answers import Prebuilt, Shape
from simulator.state import State

_STREAM = re.compile(rb'"stream"\s*:\s*true')
_MARKER = re.compile(rb"\[\[sim:deltas([^\]]*)\]\]")
_OPTION = re.compile(rb"(count|chars|interval|burst)=([\w.]+)")
_HEADERS = {
    b"x-sim-deltas": "count",
    b"x-sim-chars": "chars",
    b"x-sim-interval": "interval",
    b"x-sim-burst": "burst",
}
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"request-id", b"req_01instant"),
]


def shape_of(headers: list[tuple[bytes, bytes]], body: bytes) -> Shape:
    """The shape asked for by headers or by the marker in the body."""
    values: dict[str, str] = {}
    found = _MARKER.search(body)
    if found:
        values = {k.decode(): v.decode() for k, v in _OPTION.findall(found.group(1))}
    for name, value in headers:
        if name in _HEADERS:
            values[_HEADERS[name]] = value.decode("latin-1")
    if not values:
        return Shape()
    interval = values.get("interval", "0")
    return Shape(
        count=int(values.get("count", 20)),
        chars=int(values.get("chars", 5)),
        interval=0.0 if interval == "step" else float(interval),
        stepped=interval == "step",
        burst=max(int(values.get("burst", 1)), 1),
    )


async def answer_instantly(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a Messages request from prebuilt bytes."""
    parts: list[bytes] = []
    more = True
    while more:
        message: MutableMapping[str, object] = await receive()
        if message["type"] == "http.disconnect":
            return
        parts.append(bytes(message.get("body", b"")))  # type: ignore[call-overload] # ASGI: bytes
        more = bool(message.get("more_body", False))
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    shape = shape_of(scope["headers"], body)
    answer = state.shelf.get(shape)
    if not _STREAM.search(body):
        await send({"type": "http.response.start", "status": 200, "headers": answer.json_head})
        await send({"type": "http.response.body", "body": answer.json_body})
        return
    await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
    if shape.interval or shape.stepped:
        await _paced(state, shape, answer, (receive, send))
    else:
        await send({"type": "http.response.body", "body": answer.sse_body})


async def _paced(
    state: State, shape: Shape, answer: Prebuilt, channel: tuple[Receive, Send]
) -> None:
    """One write for each part; stops at once when the client leaves."""
    receive, send = channel
    counters = state.counters
    counters.streams_open += 1
    counters.streams_started += 1
    left = asyncio.ensure_future(receive())
    loop = asyncio.get_running_loop()
    due = loop.time()
    try:
        for part in answer.parts:
            if left.done():
                counters.clients_left += 1
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
            due += shape.interval
            await asyncio.sleep(max(due - loop.time(), 0))
        left.cancel()
        await send({"type": "http.response.body", "body": b""})
    finally:
        left.cancel()
        counters.streams_open -= 1
