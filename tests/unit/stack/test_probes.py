"""Probes tell ready from starting, and a reason from silence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.stack import probes
from gateway.stack.errors import StackError

HOST = "127.0.0.1"


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[int]:
    """Answers every connection with `answer` once something was sent, then closes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(answer)
        await writer.drain()
        writer.close()

    running = await asyncio.start_server(talk, HOST, 0)
    async with running:
        yield running.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"R\0\0\0\x08\0\0\0\x0a", None),
        (b"E\0\0\0\x40SFATAL\0VFATAL\0C28000\0Mno such role\0\0", None),
        (b"E\0\0\0\x40SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0", "still"),
        (b"", "connection closed"),
    ],
    ids=["asks for a password", "refuses the role", "starts up", "closes"],
)
async def test_postgres(answer: bytes, expected: str | None) -> None:
    async with server(answer) as port:
        found = await probes.postgres(HOST, port)
    assert found is None if expected is None else expected in str(found)


@pytest.mark.parametrize(
    ("answer", "password", "expected"),
    [
        (b"+PONG\r\n", "", None),
        (b"+OK\r\n+PONG\r\n", "pw", None),
        (b"-LOADING Valkey is loading the dataset in memory\r\n", "", "LOADING"),
        (b"-WRONGPASS invalid password\r\n", "pw", "WRONGPASS"),
        (b"", "", "connection closed"),
    ],
    ids=["ready", "ready behind a password", "loads", "wrong password", "closes"],
)
async def test_valkey(answer: bytes, password: str, expected: str | None) -> None:
    async with server(answer) as port:
        found = await probes.valkey(HOST, port, password)
    assert found is None if expected is None else expected in str(found)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{}", None),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", None),
        (b"HTTP/1.1 503 No\r\n\r\nwaits for its parts", "HTTP 503: waits for its parts"),
        (b"SSH-2.0-x\r\n", "no HTTP answer"),
    ],
    ids=["ready", "wants a header", "not ready", "something else"],
)
async def test_http(answer: bytes, expected: str | None) -> None:
    async with server(answer) as port:
        assert await probes.answers(HOST, port, "/health/ready") == expected


async def test_a_closed_port_is_refused_in_every_protocol() -> None:
    async with server(b"") as port:
        pass
    asked: list[Callable[[], Awaitable[str | None]]] = [
        lambda: probes.listens(HOST, port),
        lambda: probes.postgres(HOST, port),
        lambda: probes.valkey(HOST, port, ""),
        lambda: probes.answers(HOST, port, "/"),
    ]
    assert [await ask() for ask in asked] == ["connection refused"] * 4


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+asyncpg://u:p@db/x", ("db", 5432)),
        ("postgres://u:p@db:6000/x", ("db", 6000)),
        ("rediss://:p@cache/0", ("cache", 6379)),
        ("temporal:7000", ("temporal", 7000)),
        ("temporal", ("temporal", 7233)),
        ("http://[::1]:8080/v1", ("::1", 8080)),
        ("https://api.anthropic.com", ("api.anthropic.com", 443)),
    ],
)
def test_the_address_of_a_url(url: str, expected: tuple[str, int]) -> None:
    assert probes.address_of(url) == expected


@pytest.mark.parametrize("url", ["redis://:hidden#x@cache:1/0", "foo:hidden", "http://[hidden"])
def test_a_url_without_an_address_is_not_repeated(url: str) -> None:
    with pytest.raises(StackError) as refused:
        probes.address_of(url)
    assert "hidden" not in str(refused.value)
