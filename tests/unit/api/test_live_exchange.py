"""One live request on its short way: one write for an answer, checked heads, joined bodies, a call
when clients leave.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from api.http_protocol import LiveProtocol
from api.live_connection import TAKEN, Headers
from api.live_exchange import LiveExchange
from api.request_body import ClientLeftError
from tests.support.live_server import POST, Handler, connected, echo, one, said


def answering(body: bytes = b"hello", status: int = 200, headers: Headers | None = None) -> Handler:
    """A handler that answers this."""

    async def handler(exchange: LiveExchange) -> None:
        await exchange.answer(status, headers or {}, body)

    return handler


def streaming(*pieces: bytes, headers: Headers | None = None) -> Handler:
    """A handler that answers in pieces."""

    async def handler(exchange: LiveExchange) -> None:
        await exchange.begin(headers or {})
        for index, piece in enumerate(pieces):
            await exchange.write(piece, is_last=index == len(pieces) - 1)

    return handler


async def test_head_and_body_of_a_whole_answer() -> None:
    head, _, body = (await said(answering(headers={"X-A": "b"}))).partition(b"\r\n\r\n")
    assert body == b"hello"
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 200 OK",
        b"x-a: b",
        b"content-length: 5",
        b"connection: close",
    ]


async def test_head_and_first_piece_leave_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    made = LiveProtocol.connection_made

    class Watched:
        """A transport that notes what is written."""

        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def write(self, data: bytes) -> None:
            written.append(data)
            self._transport.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

    def watched(self: LiveProtocol, transport: Any) -> None:
        made(self, Watched(transport))  # type: ignore[arg-type]

    monkeypatch.setattr(LiveProtocol, "connection_made", watched)
    await said(answering())
    assert [piece.count(b"\r\n\r\nhello") for piece in written] == [1]
    written.clear()
    await said(streaming(b"one", b"two", b""))
    assert len(written) == 3  # head and first piece, second piece, end
    assert written[0].endswith(b"\r\n\r\n3\r\none\r\n")
    assert written[1:] == [b"3\r\ntwo\r\n", b"0\r\n\r\n"]


async def test_a_head_is_sent_at_once_when_the_body_takes_time() -> None:
    go_on = asyncio.Event()

    async def handler(exchange: LiveExchange) -> None:
        await exchange.begin({})
        await go_on.wait()
        await exchange.write(b"late", is_last=True)

    async with connected(handler) as (reader, writer):
        writer.write(POST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        go_on.set()
        assert await reader.readuntil(b"0\r\n\r\n") == b"4\r\nlate\r\n0\r\n\r\n"


async def test_a_client_of_http_1_0_gets_no_chunks() -> None:
    request = POST.replace(b"HTTP/1.1", b"HTTP/1.0")
    async with connected(streaming(b"one", b"two", b"")) as (reader, writer):
        writer.write(request)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert body == b"onetwo"
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head


async def test_a_handler_can_end_the_connection() -> None:
    async with connected(answering(headers={"connection": "close"})) as (reader, writer):
        writer.write(POST)
        assert (await reader.read()).count(b"connection: close") == 1


ODD_HEADERS = [
    *({"x-a": "b" + odd} for odd in ("\r\nx-evil: 1", "\nx-evil: 1", "\r", "\rc", "\x00", "\x7f")),
    *({name: "b"} for name in ("x a", "x:a", "", "xé")),
    {"x-a": "b\r", "x-b": "\nx-evil: 1"},
]


@pytest.mark.parametrize("headers", ODD_HEADERS)
@pytest.mark.parametrize("handler", [answering, streaming])
async def test_a_header_that_is_none_is_never_sent(
    headers: dict[str, str], handler: Callable[..., Handler]
) -> None:
    answer = await said(handler(b"hi", headers=headers))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert body == b"Internal Server Error"
    assert b"evil" not in answer


async def test_a_handler_that_fails_in_the_middle_ends_the_connection() -> None:
    async def handler(exchange: LiveExchange) -> None:
        await exchange.begin({})
        await exchange.write(b"one")
        raise RuntimeError("oh")

    async with connected(handler) as (reader, writer):
        writer.write(POST)
        answer = await reader.read()
    assert answer.endswith(b"3\r\none\r\n")  # without the end that chunks have


async def test_a_handler_that_answers_nothing_is_a_failure() -> None:
    async def handler(_: LiveExchange) -> None:
        pass

    assert (await said(handler)).startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("answered", [answering(), streaming(b"one", b"hello")])
async def test_nothing_is_sent_behind_the_end_of_an_answer(answered: Handler) -> None:
    async def handler(exchange: LiveExchange) -> None:
        await answered(exchange)
        with pytest.raises(RuntimeError):
            await exchange.write(b"more")
        with pytest.raises(RuntimeError):
            await exchange.answer(500, {}, b"more")

    assert b"more" not in await said(handler)


async def test_a_slow_client_is_waited_for() -> None:
    waited = asyncio.Event()

    async def handler(exchange: LiveExchange) -> None:
        await exchange.begin({})
        for _ in range(64):
            if (taken := exchange.write(b"x" * 2**20)) is not TAKEN:
                waited.set()
                await taken
        assert exchange.write(b"x", is_last=True) is TAKEN  # nothing is held back any more

    async with connected(handler) as (reader, writer):
        writer.write(POST)
        await waited.wait()
        received = bytearray()
        while not received.endswith(b"\r\n0\r\n\r\n"):
            piece = await reader.read(2**20)
            assert piece, "the answer has an end of its own"
            received += piece
        assert received.count(b"x") == 64 * 2**20 + 1


# --- bodies ---


async def test_a_body_in_pieces_is_joined() -> None:
    body = bytes(range(256)) * 4096
    async with connected(echo) as (reader, writer):
        writer.write(POST.replace(b": 2", b": %d" % len(body))[:-2])
        for start in range(0, len(body), 2**17):
            writer.write(body[start : start + 2**17])
            await writer.drain()
            await asyncio.sleep(0.01)
        assert await one(reader) == body


async def test_a_chunked_body_is_joined() -> None:
    request = POST.replace(b"content-length: 2", b"transfer-encoding: chunked")[:-2]
    assert (await said(echo, request + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")).endswith(b"\r\n\r\n{}")


async def test_no_more_than_the_limit_is_kept_of_a_body_and_the_rest_is_skipped() -> None:
    kept: list[int] = []

    async def handler(exchange: LiveExchange) -> None:
        body = exchange.arrived()
        kept.append(len(await exchange.read(1000) if body is None else body))
        await exchange.answer(413, {}, b"no")

    length = 2**23
    async with connected(handler) as (reader, writer):
        writer.write(POST.replace(b": 2", b": %d" % length)[:-2])
        writer.write(b"x" * length)
        assert await one(reader) == b"no"
        await writer.drain()
        writer.write(POST)
        assert await one(reader) == b"no"
    assert 1000 < kept[0] < length
    assert kept[1] == 2


async def test_a_body_that_nobody_asks_for_is_not_collected() -> None:
    go_on, sizes = asyncio.Event(), list[int]()

    async def handler(exchange: LiveExchange) -> None:
        await go_on.wait()
        sizes.append(exchange._size)
        await exchange.answer(200, {}, b"ok")

    length = 2**26
    async with connected(handler) as (reader, writer):
        writer.write(POST.replace(b": 2", b": %d" % length)[:-2])
        writer.write(b"x" * length)
        await asyncio.sleep(0.3)
        go_on.set()
        assert await one(reader) == b"ok"
    assert sizes[0] < 2**21


async def test_a_client_that_waits_is_told_to_go_on() -> None:
    async with connected(echo) as (reader, writer):
        writer.write(POST[:-2].replace(b"\r\n\r\n", b"\r\nexpect: 100-Continue\r\n\r\n"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert await one(reader) == b"{}"


async def test_a_client_of_http_1_0_is_told_nothing_before_its_answer() -> None:
    async with connected(echo) as (reader, writer):
        head, body = POST[:-2].replace(b"/1.1", b"/1.0"), b"{}"
        writer.write(head.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
        await asyncio.sleep(0.05)
        writer.write(body)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_waits_and_is_refused_is_not_waited_for() -> None:
    async def refuses(exchange: LiveExchange) -> None:
        await exchange.answer(401, {}, b"no")

    async with connected(refuses) as (reader, writer):
        writer.write(POST[:-2].replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
        answer = await reader.read()  # to the end of the connection
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in answer


async def test_a_client_that_sends_its_body_unasked_keeps_its_connection() -> None:
    async with connected(echo) as (reader, writer):
        for _ in range(2):
            writer.write(POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
            assert await one(reader) == b"{}"


# --- clients that leave ---


async def test_a_client_that_leaves_is_told_of_once() -> None:
    calls: list[str] = []
    left, ended = asyncio.Event(), asyncio.Event()

    def on_left() -> None:
        calls.append("left")
        left.set()

    async def handler(exchange: LiveExchange) -> None:
        exchange.watch(on_left)
        await exchange.begin({})
        await left.wait()
        exchange.watch(on_left)  # it has left already
        await exchange.write(b"to nobody", is_last=True)
        ended.set()

    async with connected(handler) as (reader, writer):
        writer.write(POST)
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await ended.wait()
    assert calls == ["left", "left"]


async def test_a_client_that_leaves_in_its_own_body_ends_the_reading() -> None:
    ended = asyncio.Event()

    async def handler(exchange: LiveExchange) -> None:
        with pytest.raises(ClientLeftError):
            await exchange.read(1000)
        ended.set()

    async with connected(handler) as (_, writer):
        writer.write(POST[:-1])
        await writer.drain()
        writer.close()
        await ended.wait()


async def test_a_client_that_leaves_after_its_answer_is_no_news() -> None:
    calls: list[str] = []
    go_on = asyncio.Event()

    async def handler(exchange: LiveExchange) -> None:
        exchange.watch(lambda: calls.append("left"))
        await exchange.answer(200, {}, b"hi")
        await go_on.wait()

    async with connected(handler) as (reader, writer):
        writer.write(POST)
        assert await one(reader) == b"hi"
        writer.close()
        await asyncio.sleep(0.05)
        go_on.set()
    assert calls == []
