"""Connections that are used again, and every way in which they and their answers go wrong."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.errors import UpstreamCutError, UpstreamUnreachableError
from gateway.upstream import connection_pool
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.http_connection import HTTPConnection
from gateway.upstream.quick_reads import QuickReads, Rests
from gateway.upstream.transport import UpstreamResponse, UpstreamTransport
from tests.support.certificates import self_signed
from tests.support.scripted_upstream import (
    Handler,
    ScriptedUpstream,
    refuses,
    scripted_upstream,
    streams,
    write_chunk,
    write_end,
    write_head,
    write_slowly,
)


@asynccontextmanager
async def upstream(
    *answers: Handler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[ScriptedUpstream, UpstreamTransport]]:
    async with (
        scripted_upstream(*answers, tls=tls) as server,
        UpstreamTransport(
            server.base_url, "sk-key", first_byte_seconds=2, idle_seconds=2
        ) as transport,
    ):
        yield server, transport


def says(*lines: str, body: bytes = b"") -> Handler:
    """A handler that writes exactly this, and closes when it ends."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        writer.close()

    return handle


async def closes(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def ask(transport: UpstreamTransport, body: bytes = b"{}") -> UpstreamResponse:
    return await transport.open("/v1/messages", body, {})


async def whole(transport: UpstreamTransport) -> bytes:
    response = await ask(transport)
    body = await response.read_all()
    await response.finish()
    response.abort()
    return body


_good = streams(b"event: a\n\n")


async def test_a_connection_the_upstream_closed_meanwhile_is_not_used_again() -> None:
    async def answers_and_leaves(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await _good(reader, writer)
        writer.close()

    async with upstream(answers_and_leaves) as (server, transport):
        for number in range(3):
            server.closed.clear()
            assert await whole(transport) == b"event: a\n\n"
            await server.closed.wait()
            for _ in range(5):  # the end of the connection reaches our side
                await asyncio.sleep(0)
            assert server.connections == number + 1


async def test_a_used_connection_that_dies_under_the_request_may_be_tried_again() -> None:
    async with upstream(_good, closes, _good) as (server, transport):
        await whole(transport)
        with pytest.raises(UpstreamUnreachableError) as caught:
            await ask(transport)
        assert caught.value.retryable
        assert await whole(transport) == b"event: a\n\n"
        assert server.connections == 2


async def test_a_connection_the_upstream_wants_closed_is_not_used_again() -> None:
    closing = refuses("200 OK", b"{}", "connection: close")
    async with upstream(closing) as (server, transport):
        assert [await whole(transport) for _ in range(2)] == [b"{}", b"{}"]
        assert server.connections == 2


_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize("length", [1, 2, 20, len(_OK) - 2, len(_OK) - 1, len(_OK)])
async def test_bytes_nobody_asked_for_end_the_connection(length: int) -> None:
    async def says_too_much(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_OK + _OK[:length])
        await writer.drain()

    async with upstream(says_too_much) as (server, transport):
        assert [await whole(transport) for _ in range(2)] == [b"ok", b"ok"]
        assert server.connections == 2


async def test_an_old_connection_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_pool, "_KEEP_ALIVE_SECONDS", 0.0)
    async with upstream(_good) as (server, transport):
        for _ in range(2):
            await whole(transport)
        assert server.connections == 2


async def test_many_requests_at_once_have_a_connection_each_and_share_them_later() -> None:
    async with upstream(_good) as (server, transport):
        for _ in range(3):
            bodies = await asyncio.gather(*(whole(transport) for _ in range(5)))
            assert bodies == [b"event: a\n\n"] * 5
        assert server.connections == 5


async def test_answers_before_the_answer_do_not_count() -> None:
    early = says(
        "HTTP/1.1 103 Early Hints",
        "link: </x>",
        "",
        "HTTP/1.1 200 OK",
        "content-length: 2",
        "a: 1",
        "A: 2",
        body=b"ok",
    )
    async with upstream(early) as (_, transport):
        response = await ask(transport)
        assert (response.status, await response.read_all()) == (200, b"ok")
        assert response.headers == {"content-length": "2", "a": "1, 2"}


@pytest.mark.parametrize(
    "framing",
    [
        b"HTTP/1.1 200 OK\r\n" + b"a: %b\r\n" % (b"x" * 10_000) * 40 + _OK.partition(b"\r\n")[2],
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 12_000 + _OK,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;"
        + b"x" * 1_000_000
        + b"\r\nok\r\n0\r\n\r\n",
    ],
    ids=["head", "provisional answers", "chunk extension"],
)
async def test_much_framing_without_a_body_is_read_on(framing: bytes) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place in range(0, len(framing), 50_000):
            writer.write(framing[place : place + 50_000])
            await writer.drain()

    async with upstream(handle) as (_, transport):
        assert await whole(transport) == b"ok"


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async with upstream(says("HTTP/1.1 200 OK", body=b"all of it")) as (_, transport):
        assert await whole(transport) == b"all of it"


async def test_an_answer_shorter_than_it_says_is_cut() -> None:
    short = says("HTTP/1.1 200 OK", "content-length: 10", body=b"only")
    async with upstream(short) as (_, transport):
        response = await ask(transport)
        with pytest.raises(UpstreamCutError):
            await response.read_all()
        response.abort()


async def test_chunks_that_are_none_cut_the_answer() -> None:
    wrong = says("HTTP/1.1 200 OK", "transfer-encoding: chunked", body=b"zz\r\n")
    async with upstream(wrong) as (_, transport):
        with pytest.raises((UpstreamCutError, UpstreamUnreachableError)):
            await whole(transport)


async def test_what_is_no_http_is_an_unreachable_upstream() -> None:
    async with upstream(says("220 mail.example ESMTP")) as (_, transport):
        with pytest.raises(UpstreamUnreachableError) as caught:
            await ask(transport)
        assert caught.value.retryable


async def test_an_answer_that_comes_byte_by_byte_is_the_same_answer() -> None:
    async def drips(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        for byte in answer:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with upstream(drips) as (server, transport):
        assert [await whole(transport) for _ in range(2)] == [b"hello", b"hello"]
        assert server.connections == 1


async def test_an_upstream_faster_than_its_reader_is_held_back() -> None:
    piece, count = b"x" * 65_536, 512
    sent = 0

    async def pours(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        write_head(writer)
        for _number in range(count):
            await write_chunk(writer, piece)
            sent += 1
        await write_end(writer)

    async with upstream(pours) as (_, transport):
        response = await ask(transport)
        before = -1
        while before < sent:  # until the upstream cannot send more
            before = sent
            for _ in range(200):
                await asyncio.sleep(0)
        assert sent < count
        assert len(await response.read_all()) == count * len(piece)


async def test_a_large_body_arrives_whole() -> None:
    body = b"[" + b"1," * 4_000_000 + b"1]"
    async with upstream(_good) as (server, transport):
        response = await ask(transport, body)
        await response.read_all()
        assert server.bodies == [body]


async def test_a_header_value_cannot_begin_another_header() -> None:
    async with upstream(_good) as (server, transport):
        response = await transport.open(
            "/v1/messages", b"{}", {"x-odd": "a\r\nx-api-key: mine", "Authorization": "mine"}
        )
        await response.read_all()
        lines = server.heads[0].lower().split(b"\r\n")
        assert b"x-api-key: sk-key" in lines
        assert b"x-api-key: mine" not in lines
        assert [line for line in lines if line.startswith(b"authorization")] == [
            b"authorization: bearer sk-key"
        ]


async def test_an_idle_timer_waits_for_the_newest_silence_only() -> None:
    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await write_slowly(writer, 6)  # the pauses are what is tested, longer together than one
        await write_end(writer)

    async with (
        scripted_upstream(slow) as server,
        UpstreamTransport(
            server.base_url, "sk-key", first_byte_seconds=2, idle_seconds=0.4
        ) as transport,
    ):
        assert await whole(transport) == b"x" * 6


async def test_tls_is_checked_and_its_connections_are_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with upstream(_good, tls=context) as (server, transport):
        assert [await whole(transport) for _ in range(3)] == [b"event: a\n\n"] * 3
        assert server.connections == 1


async def test_a_connection_over_tls_that_is_cut_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cuts(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write_head(writer)
        await write_chunk(writer, b"event: a\n\n")
        writer.transport.abort()

    certificate, context = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with upstream(cuts, tls=context) as (_, transport):
        with pytest.raises(UpstreamCutError):
            await whole(transport)


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_certificate_of_another_host_or_nobodys_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    certificate, context = self_signed(tmp_path, "elsewhere.test" if trusted else "localhost")
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with upstream(_good, tls=context) as (server, transport):
        with pytest.raises(UpstreamUnreachableError) as caught:
            await ask(transport)
        assert caught.value.retryable
        assert server.heads == []


async def test_a_connection_that_ends_with_its_answer_is_not_kept() -> None:
    pool = ConnectionPool("http://127.0.0.1:1")
    kept: list[HTTPConnection] = []
    with socket.socket() as closed:
        reads = QuickReads(closed, Rests())
    for _ in range(2):  # the first one finds an empty pool
        connection = HTTPConnection(pool.keep, kept.append, reads)
        assert not connection.is_open
        pool.keep(connection)
        assert pool.idle_count == 0
