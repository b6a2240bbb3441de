"""The transport against real sockets: deadlines, cuts, and connections used again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import UpstreamCutError, UpstreamTimeoutError, UpstreamUnreachableError
from gateway.upstream.transport import UpstreamResponse, UpstreamTransport
from tests.support.scripted_upstream import (
    Handler,
    ScriptedUpstream,
    refuses,
    scripted_upstream,
    streams,
    write_chunk,
    write_head,
)


@asynccontextmanager
async def upstream(answer: Handler) -> AsyncIterator[tuple[ScriptedUpstream, UpstreamTransport]]:
    async with (
        scripted_upstream(answer) as server,
        UpstreamTransport(
            server.base_url + "/v1/", "sk-key", first_byte_seconds=0.5, idle_seconds=0.5
        ) as transport,
    ):
        yield server, transport


_good = streams(b"event: a\n\n")


async def test_a_body_is_read_as_it_comes_and_the_connection_is_used_again() -> None:
    async with upstream(_good) as (server, transport):
        for _ in range(3):
            response = await transport.open("/v1/messages", b"{}", {})
            assert (response.status, await response.read()) == (200, b"event: a\n\n")
            await response.finish()
            response.abort()
        assert server.connections == 1
        assert transport.requests_sent == 3


async def test_the_key_is_sent_in_both_forms_and_the_path_is_not_doubled() -> None:
    async with upstream(_good) as (server, transport):
        response = await transport.open("/v1/messages", b"{}", {"anthropic-version": "2023-06-01"})
        response.abort()
        head = server.heads[0].lower()
        assert head.startswith(b"post /v1/messages http/1.1")
        assert b"authorization: bearer sk-key" in head
        assert b"x-api-key: sk-key" in head
        assert b"anthropic-version: 2023-06-01" in head


async def test_no_head_in_time_is_a_retryable_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with upstream(silent) as (_, transport):
        with pytest.raises(UpstreamTimeoutError) as caught:
            await transport.open("/v1/messages", b"{}", {})
        assert (caught.value.status, caught.value.retryable) == (504, True)


async def test_p31_silence_in_the_middle_is_a_timeout() -> None:
    async def stops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write_head(writer)
        await write_chunk(writer, b"event: a\n\n")
        await reader.read()

    async with upstream(stops) as (_, transport):
        response = await transport.open("/v1/messages", b"{}", {})
        await response.read()
        with pytest.raises(UpstreamTimeoutError):
            await response.read()
        response.abort()


async def _read_to_the_end(response: UpstreamResponse) -> None:
    while await response.read():
        pass


async def test_a_cut_connection_is_an_error_and_not_an_end() -> None:
    async def cuts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write_head(writer)
        await write_chunk(writer, b"event: a\n\n")
        writer.transport.abort()

    async with upstream(cuts) as (_, transport):
        response = await transport.open("/v1/messages", b"{}", {})
        with pytest.raises(UpstreamCutError):
            await _read_to_the_end(response)
        response.abort()


async def test_a_closed_port_is_a_retryable_failure_without_the_address() -> None:
    async with UpstreamTransport(
        "http://127.0.0.1:1", "sk-key", first_byte_seconds=1, idle_seconds=1
    ) as transport:
        with pytest.raises(UpstreamUnreachableError) as caught:
            await transport.open("/v1/messages", b"{}", {})
        assert caught.value.retryable
        assert "127.0.0.1" not in caught.value.message


async def test_an_abort_closes_the_connection_at_once() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write_head(writer)
        await write_chunk(writer, b"event: a\n\n")
        await reader.read()

    async with upstream(endless) as (server, transport):
        response = await transport.open("/v1/messages", b"{}", {})
        await response.read()
        response.abort()
        response.abort()
        await asyncio.wait_for(server.closed.wait(), 1)


async def test_an_answer_that_is_no_stream_is_read_whole() -> None:
    overloaded = refuses("529 Overloaded", b"{}", "retry-after: 3")
    async with upstream(overloaded) as (_, transport):
        response = await transport.open("/v1/messages", b"{}", {})
        assert (response.status, response.headers["retry-after"]) == (529, "3")
        assert await response.read_all() == b"{}"
        response.abort()
