"""The relay of a live answer: one write for each read, kept alive, settled whatever happens."""

import asyncio
from typing import Any

import pytest

from api.live_connection import AsgiConnection
from api.middleware import Edge
from api.sse import serve_live
from gateway.config import Settings
from gateway.context import RequestContext
from gateway.errors import (
    AuthenticationError,
    GatewayError,
    RateLimitError,
    RequestTooLargeError,
    UpstreamCutError,
)
from gateway.pipeline.reply import WriteNow

NEVER = 3600.0


class Client:
    """A client of the application: sends a body, collects what comes, leaves when told to."""

    def __init__(self, *pieces: bytes, headers: dict[str, str] | None = None) -> None:
        self.context = RequestContext("req_1", "/v1/chat/completions", headers or {}, 0.0)
        self.sent: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.stranger = False
        self.received = 0
        self._messages = [
            {"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
            for index, piece in enumerate(pieces)
        ]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    async def authenticate(self, context: RequestContext) -> None:
        if self.stranger:
            raise AuthenticationError("no key")

    async def receive(self) -> dict[str, Any]:
        self.received += 1
        if self._messages:
            return self._messages.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def ask(self, reply: "Reply", **settings: Any) -> None:
        values = {"keep_alive_seconds": 15.0, "max_body_bytes": 1024, **settings}
        connection = AsgiConnection({"headers": ()}, self.receive, self.send)
        edge = Edge(Settings(**values))
        await serve_live(connection, self.context, edge, self.authenticate, reply.open)


class Reply:
    """An answer of scripted pieces; a number is a wait in seconds, an error is raised."""

    status = 200
    keep_alive = b": ping\n\n"

    def __init__(self, *pieces: bytes | float | Exception, stream: bool = True) -> None:
        self.stream = stream
        self.asked: list[bytes] = []
        self.settled = 0
        self.opened = asyncio.Event()
        self._pieces = list(pieces)

    async def open(self, context: RequestContext, body: bytes) -> "Reply":
        self.asked.append(body)
        self.opened.set()
        return self

    async def next(self) -> bytes | None:
        while self._pieces:
            piece = self._pieces.pop(0)
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, bytes):
                return piece
            await asyncio.sleep(piece)
        return None

    async def pass_on(self, write: WriteNow) -> None:
        raise AssertionError("this connection cannot send without a wait")

    async def whole(self) -> bytes:
        return await self.next() or b""

    def interrupt(self, error: GatewayError) -> bytes:
        return b"event: error " + error.message.encode()

    def settle(self) -> None:
        self.settled += 1


async def test_each_read_is_one_write() -> None:
    client, reply = Client(b"{}"), Reply(b"one", b"", b"two")
    await client.ask(reply)
    assert [message.get("body") for message in client.sent[1:]] == [b"one", b"two", b""]
    assert client.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert client.sent[-1]["more_body"] is False
    assert (reply.asked, reply.settled) == ([b"{}"], 1)


async def test_a_whole_answer_has_its_length_and_the_headers_of_the_context() -> None:
    client, reply = Client(b"{}"), Reply(b'{"a":1}', stream=False)
    client.context.set_header("X-Routed-Model", "claude-opus-5-5")
    await client.ask(reply)
    assert client.headers[b"content-length"] == b"7"
    assert client.headers[b"x-routed-model"] == b"claude-opus-5-5"
    assert client.body == b'{"a":1}'


async def test_a_body_that_comes_in_pieces_is_joined() -> None:
    client, reply = Client(b'{"a"', b":", b"1}"), Reply(b"ok")
    await client.ask(reply)
    assert reply.asked == [b'{"a":1}']


@pytest.mark.parametrize(
    "client",
    [
        Client(b"x", headers={"content-length": "1025"}),
        Client(b"x" * 1025),
        Client(b"x" * 1000, b"x" * 25),
    ],
)
async def test_a_body_over_the_limit_is_refused(client: Client) -> None:
    reply = Reply(b"ok")
    with pytest.raises(RequestTooLargeError):
        await client.ask(reply)
    assert reply.asked == []


async def test_p30_a_silent_stream_gets_comments() -> None:
    client, reply = Client(b"{}"), Reply(b"one", 0.5, b"two")
    await client.ask(reply, keep_alive_seconds=0.1)
    bodies = [message["body"] for message in client.sent[1:]]
    assert bodies[0] == b"one"
    assert bodies[-2:] == [b"two", b""]
    assert 2 <= bodies.count(Reply.keep_alive) <= 5


async def test_a_lively_stream_gets_no_comments() -> None:
    pieces: list[bytes | float] = [b"x", 0.05] * 8
    client, reply = Client(b"{}"), Reply(*pieces)
    await client.ask(reply, keep_alive_seconds=5.0)
    assert Reply.keep_alive not in client.body


async def test_p46_a_client_that_leaves_ends_the_stream_and_is_settled() -> None:
    client, reply = Client(b"{}"), Reply(b"one", NEVER)
    asking = asyncio.ensure_future(client.ask(reply))
    await reply.opened.wait()
    client.left.set()
    await asyncio.wait_for(asking, 5)
    assert reply.settled == 1


async def test_p46_a_client_that_leaves_before_the_answer_cancels_the_opening() -> None:
    client, reply = Client(b"{}"), Reply()
    cancelled = asyncio.Event()

    async def opening(context: RequestContext, body: bytes) -> Reply:
        reply.opened.set()
        try:
            await asyncio.sleep(NEVER)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return reply

    reply.open = opening  # type: ignore[method-assign]
    asking = asyncio.ensure_future(client.ask(reply))
    await reply.opened.wait()
    client.left.set()
    await asyncio.wait_for(asking, 5)
    assert cancelled.is_set()
    assert client.sent == []


async def test_a_client_that_leaves_in_its_own_body_is_not_answered() -> None:
    client, reply = Client(), Reply(b"ok")
    client.left.set()
    await client.ask(reply)
    assert (client.sent, reply.asked) == ([], [])


async def test_a_cancelled_server_task_is_settled_and_stays_cancelled() -> None:
    client, reply = Client(b"{}"), Reply(b"one", NEVER)
    asking = asyncio.ensure_future(client.ask(reply))
    await reply.opened.wait()
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert reply.settled == 1
    # The client is told, in the words of its protocol, that this was not the end.
    assert client.body == b"oneevent: error the gateway is stopping; please send the request again"
    assert client.sent[-1]["more_body"] is False


async def test_a_client_that_takes_nothing_is_given_up() -> None:
    client, reply = Client(b"{}"), Reply(b"one", b"two")
    taken = asyncio.Event()

    async def send(message: Any) -> None:
        client.sent.append(message)
        if message["type"] == "http.response.body":
            await taken.wait()

    client.send = send  # type: ignore[method-assign]
    async with asyncio.timeout(5):
        await client.ask(reply, keep_alive_seconds=0.05, client_stall_seconds=0.1)
    assert reply.settled == 1
    assert client.body == b"one"


async def test_a_failing_whole_answer_is_raised_and_settled() -> None:
    client, reply = Client(b"{}"), Reply(UpstreamCutError("cut"), stream=False)
    with pytest.raises(UpstreamCutError):
        await client.ask(reply)
    assert (client.sent, reply.settled) == ([], 1)


async def test_a_refused_request_is_raised_before_anything_is_sent() -> None:
    client, reply = Client(b"{}"), Reply()

    async def refuse(context: RequestContext, body: bytes) -> Reply:
        raise RateLimitError("slow down", retry_after_seconds=3.2)

    reply.open = refuse  # type: ignore[method-assign]
    with pytest.raises(RateLimitError):
        await client.ask(reply)
    assert client.sent == []


async def test_a_stranger_is_refused_before_the_body_is_read() -> None:
    client, reply = Client(b"{}"), Reply()
    client.stranger = True
    with pytest.raises(AuthenticationError):
        await client.ask(reply)
    assert (client.received, reply.asked) == (0, [])
