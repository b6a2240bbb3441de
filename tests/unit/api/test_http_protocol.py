"""The server's HTTP protocol: one write for an answer, checked heads, a call when clients leave.

Against a real uvicorn on a real socket.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from api.http_protocol import DISCONNECT, LiveProtocol

App = Callable[[Any, Any, Any], Awaitable[None]]
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


@asynccontextmanager
async def connected(
    app: App,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client of a server with the protocol."""
    config = uvicorn.Config(
        app,
        port=0,
        http=LiveProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        server_header=False,
        date_header=False,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await serving


def answering(
    *pieces: bytes, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
) -> App:
    """An application that sends these pieces."""

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers or []})
        for index, piece in enumerate(pieces):
            more = index < len(pieces) - 1
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    return app


async def said(app: App, request: bytes = GET) -> bytes:
    """Everything the server answers until it closes."""
    async with connected(app) as (reader, writer):
        writer.write(request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        return await reader.read()


async def test_head_and_body_of_a_whole_answer() -> None:
    app = answering(b"hello", headers=[(b"Content-Length", b"5"), (b"X-A", b"b")])
    head, _, body = (await said(app)).partition(b"\r\n\r\n")
    assert body == b"hello"
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 200 OK",
        b"content-length: 5",
        b"x-a: b",
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
    await said(answering(b"hello", headers=[(b"content-length", b"5")]))
    assert [piece.count(b"\r\n\r\nhello") for piece in written] == [1]
    written.clear()
    await said(answering(b"one", b"two", b""))
    assert len(written) == 3  # head and first piece, second piece, end
    assert written[0].endswith(b"\r\n\r\n3\r\none\r\n")
    assert written[1:] == [b"3\r\ntwo\r\n", b"0\r\n\r\n"]


async def test_a_head_is_sent_at_once_when_the_body_takes_time() -> None:
    go_on = asyncio.Event()

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"late"})

    async with connected(app) as (reader, writer):
        writer.write(GET)
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        go_on.set()
        assert await reader.readuntil(b"0\r\n\r\n") == b"4\r\nlate\r\n0\r\n\r\n"


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(status: int) -> None:
    answer = await said(answering(b"", status=status))
    assert answer.endswith(b"\r\n\r\n")
    assert b"transfer-encoding" not in answer


async def test_head_requests_get_the_head_alone() -> None:
    app = answering(b"hello", headers=[(b"content-length", b"5")])
    answer = await said(app, b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert b"content-length: 5" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_several_requests_on_one_connection() -> None:
    async with connected(answering(b"hi", headers=[(b"content-length", b"2")])) as (reader, writer):
        writer.write(GET * 3)
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"hi"


async def test_an_application_can_end_the_connection() -> None:
    app = answering(b"hi", headers=[(b"content-length", b"2"), (b"connection", b"close")])
    async with connected(app) as (reader, writer):
        writer.write(GET)
        assert (await reader.read()).count(b"connection: close") == 1


@pytest.mark.parametrize(
    "header",
    [
        *(
            (b"x-a", b"b" + odd)
            for odd in (b"\r\nx-evil: 1", b"\nx-evil: 1", b"\r", b"\rc", b"\x00")
        ),
        *((name, b"b") for name in (b"x a", b"x:a", b"")),
    ],
)
@pytest.mark.parametrize("before", [[], [(b"content-length", b"2")], [(b"content-length", b"99")]])
async def test_a_header_that_is_none_is_never_sent(
    header: tuple[bytes, bytes], before: list[tuple[bytes, bytes]]
) -> None:
    answer = await said(answering(b"hi", headers=[*before, header]))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"content-length: 21" in head
    assert body == b"Internal Server Error"
    assert b"evil" not in answer


@pytest.mark.parametrize("body", [b"long", b"a"])
async def test_a_body_of_another_length_than_promised_ends_the_connection(body: bytes) -> None:
    answer = await said(answering(body, headers=[(b"content-length", b"2")]))
    assert not answer.endswith(b"long")


async def test_a_client_that_leaves_is_told_of_once() -> None:
    calls: list[str] = []
    left, served = asyncio.Event(), asyncio.Event()

    def on_left() -> None:
        calls.append("left")
        left.set()

    async def app(scope: Any, __: Any, send: Any) -> None:
        call = scope["extensions"][DISCONNECT]["call"]
        call(on_left)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        served.set()
        await left.wait()
        call(on_left)  # it has left already
        await send({"type": "http.response.body", "body": b"to nobody"})

    async with connected(app) as (reader, writer):
        writer.write(GET)
        async with asyncio.timeout(5):
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await left.wait()
    assert calls == ["left", "left"]


async def test_a_client_that_leaves_after_its_answer_is_no_news() -> None:
    calls: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"][DISCONNECT]["call"](lambda: calls.append("left"))
        await answering(b"hi", headers=[(b"content-length", b"2")])(scope, receive, send)

    async with connected(app) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"hi")
    assert calls == []
