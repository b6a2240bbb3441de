"""In the place of Claude: refuses what the API refuses, bills what arrives, answers as recorded.

It takes one request at a time. Time is that of the recorded session, not of the clock on the wall.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from bench.processes import LOOPBACK
from gateway.savings.billing import Bill, Billing, RefusedError
from simulator.errors import ApiError
from simulator.models import load_catalogue
from simulator.validation.request import RequestChecks

Json = dict[str, Any]

_MOST_BODY_BYTES = 64 * 2**20
_DELTA_CHARS = 4_000


@dataclass(slots=True)
class Expected:
    """What is known of the request to come, and what became of it: `bill` stays None when it was
    refused, and `bodies` has more than one when it was sent again.
    """

    billing: Billing
    seconds: float
    answer: list[Json]
    bodies: list[Json] = field(default_factory=list)
    bill: Bill | None = None
    refusal: str = ""


class Recorder:
    """The server's state. Set `expected` before each request."""

    def __init__(self) -> None:
        self.expected: Expected | None = None
        self._checks = RequestChecks(load_catalogue())

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/messages`."""
        body = orjson.loads(await request.read())
        expected = self.expected
        if expected is None:
            return _error(500, "api_error", "nothing is expected now")
        expected.bodies.append(body)
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self._checks.check(body, headers)
            bill = expected.billing.bill(body, expected.seconds, expected.answer)
        except ApiError as error:
            expected.refusal = error.message
            return _error(error.status, error.kind, error.message)
        except RefusedError as error:
            expected.refusal = str(error)
            return _error(400, "invalid_request_error", str(error))
        expected.bill = bill
        message = _message(body, expected.answer, bill)
        if not body.get("stream"):
            return web.json_response(message)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"".join(_events(message)))
        await response.write_eof()
        return response


@contextlib.asynccontextmanager
async def running_recorder() -> AsyncIterator[tuple[Recorder, int]]:
    """A recorder and the port of loopback it listens on."""
    recorder = Recorder()
    app = web.Application(client_max_size=_MOST_BODY_BYTES)
    app.router.add_post("/v1/messages", recorder.messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        yield recorder, runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _error(status: int, kind: str, message: str) -> web.Response:
    error = {"type": kind, "message": message}
    return web.json_response({"type": "error", "error": error}, status=status)


def _message(body: Json, answer: list[Json], bill: Bill) -> Json:
    content = answer or [{"type": "text", "text": "ok"}]
    calls = any(block["type"] == "tool_use" for block in content)
    return {
        "id": "msg_recorded",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": bill.usage(),
    }


def _events(message: Json) -> list[bytes]:
    """The stream of a message."""
    begun = {**message, "content": [], "stop_reason": None}
    begun["usage"] = {**message["usage"], "output_tokens": 1}
    events = [_event("message_start", message=begun)]
    for index, block in enumerate(message["content"]):
        events += _block_events(index, block)
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    used = {"output_tokens": message["usage"]["output_tokens"]}
    events += [_event("message_delta", delta=stop, usage=used), _event("message_stop")]
    return events


def _block_events(index: int, block: Json) -> list[bytes]:
    empty: Json = {"type": "text", "text": ""}
    if block["type"] == "text":
        whole = block["text"]
        kind, name = "text_delta", "text"
    else:
        empty, whole = {**block, "input": {}}, orjson.dumps(block["input"]).decode()
        kind, name = "input_json_delta", "partial_json"
    events = [_event("content_block_start", index=index, content_block=empty)]
    for begin in range(0, len(whole), _DELTA_CHARS):
        delta = {"type": kind, name: whole[begin : begin + _DELTA_CHARS]}
        events.append(_event("content_block_delta", index=index, delta=delta))
    return [*events, _event("content_block_stop", index=index)]


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))
