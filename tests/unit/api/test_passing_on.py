"""Streams whose pieces leave in the call they come by."""

import asyncio
from typing import Any

from api.live_exchange import LiveExchange
from api.middleware import Edge
from api.sse import serve_live
from gateway.config import Settings
from gateway.context import RequestContext
from gateway.errors import GatewayError
from gateway.pipeline.reply import WriteNow
from tests.support.live_server import POST, Handler, connected


class Reply:
    """An answer that begins with one piece, and then passes on."""

    stream = True
    status = 200
    keep_alive = b": ping\n\n"

    def __init__(self, *pieces: bytes, pause_seconds: float = 0.0) -> None:
        self._pieces = list(pieces)
        self._pause_seconds = pause_seconds
        self._begun = False
        self.refused = asyncio.Event()
        self.asked_again = False

    async def next(self) -> bytes | None:
        if not self._begun:
            self._begun = True
            return b"first,"
        self.asked_again = self.refused.is_set()
        return None if not self._pieces else b""

    async def pass_on(self, write: WriteNow) -> None:
        while self._pieces:
            await asyncio.sleep(self._pause_seconds)
            if not write(self._pieces.pop(0)):
                self.refused.set()
                return

    async def whole(self) -> bytes:
        raise AssertionError("it is a stream")

    def interrupt(self, error: GatewayError) -> bytes:
        return error.message.encode()

    def settle(self) -> None: ...


def serving(reply: Reply, **settings: Any) -> Handler:
    edge = Edge(Settings(**settings))

    async def authenticate(_: RequestContext) -> None: ...

    async def opened(context: RequestContext, body: bytes) -> Reply:
        assert (context.endpoint, body) == ("/live", b"{}")
        return reply

    async def handler(exchange: LiveExchange) -> None:
        context = RequestContext("req-1", "/live", {}, 0.0)
        await serve_live(exchange, context, edge, authenticate, opened)

    return handler


async def until_end(reader: asyncio.StreamReader) -> bytes:
    received = await reader.readuntil(b"\r\n0\r\n\r\n")
    return received.partition(b"\r\n\r\n")[2]


async def test_each_piece_is_a_chunk_in_its_order() -> None:
    async with connected(serving(Reply(b"second,", b"third"))) as (reader, writer):
        writer.write(POST)
        chunks = b"6\r\nfirst,\r\n7\r\nsecond,\r\n5\r\nthird\r\n0\r\n\r\n"
        assert await until_end(reader) == chunks


async def test_a_stream_that_is_passed_on_gets_no_comments() -> None:
    reply = Reply(*[b"x"] * 20, pause_seconds=0.02)
    async with connected(serving(reply, keep_alive_seconds=0.2)) as (reader, writer):
        writer.write(POST)
        assert b"ping" not in await until_end(reader)


async def test_a_client_that_is_slow_is_waited_for_before_more_is_asked_for() -> None:
    reply = Reply(*[b"x" * 2**20] * 64)
    async with connected(serving(reply)) as (reader, writer):
        writer.write(POST)
        await reply.refused.wait()
        await asyncio.sleep(0.05)
        assert not reply.asked_again
        received = 0
        while reply._pieces:
            received += len(await reader.read(2**20))
        assert reply.asked_again
        while received < 64 * 2**20:
            received += len(await reader.read(2**20))
