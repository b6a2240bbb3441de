"""The connection against a server scripted byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.storage.valkey_connection import (
    MAX_CALLS_IN_FLIGHT,
    ValkeyConnection,
    ValkeyDown,
    ValkeyRefused,
)


class Server:
    """Takes one connection on loopback; a test writes the replies."""

    def __init__(self) -> None:
        self.port = 0
        self.received = b""
        self.writer: asyncio.StreamWriter | None = None
        self.lost: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        while piece := await reader.read(2**16):
            self.received += piece

    def reply(self, data: bytes) -> None:
        assert self.writer is not None
        self.writer.write(data)


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not fact():  # noqa: ASYNC110 - the fact is the other side's, nobody would set an event
            await asyncio.sleep(0.005)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()
    if made.writer is not None:
        made.writer.close()
    await listening.wait_closed()


async def connect(server: Server, timeout_seconds: float = 30.0) -> ValkeyConnection:
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: ValkeyConnection(
            timeout_seconds, lambda _connection, reason: server.lost.append(reason)
        ),
        "127.0.0.1",
        server.port,
    )
    await until(lambda: server.writer is not None)
    return connection


async def test_replies_split_at_any_byte_are_put_together(server: Server) -> None:
    connection = await connect(server)
    calls = [connection.send(("GET", "k")) for _ in range(3)]
    stream = b"$5\r\nhello\r\n*2\r\n:1\r\n$-1\r\n-WRONGTYPE bad\r\n"
    for position in range(len(stream)):
        server.reply(stream[position : position + 1])
        await asyncio.sleep(0)
    assert await calls[0] == b"hello"
    assert await calls[1] == [1, None]
    with pytest.raises(ValkeyRefused):
        await calls[2]
    connection.close()
    assert server.lost == []


async def test_p53_an_overdue_reply_drops_the_connection_and_fails_everything_in_flight(
    server: Server,
) -> None:
    connection = await connect(server, timeout_seconds=0.05)
    calls = [connection.send(("GET", "k")) for _ in range(3)]
    server.reply(b"$1\r\na\r\n")
    assert await calls[0] == b"a"
    for call in calls[1:]:
        with pytest.raises(ValkeyDown):
            await call
    assert connection.timed_out
    assert server.lost == ["no answer within 50 ms"]
    with pytest.raises(ValkeyDown):
        await connection.send(("GET", "k"))


async def test_a_closed_connection_fails_what_is_in_flight(server: Server) -> None:
    connection = await connect(server)
    call = connection.send(("GET", "k"))
    await until(lambda: bool(server.received))
    assert server.writer is not None
    server.writer.close()
    with pytest.raises(ValkeyDown):
        await call
    assert server.lost == ["the server closed the connection"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "the server does not speak RESP"),
        (b"+OK\r\n+OK\r\n", "the server sent a reply nobody asked for"),
        (b"-READONLY no writes\r\n", "the server answered READONLY"),
        (b"-LOADING the dataset\r\n", "the server answered LOADING"),
    ],
)
async def test_a_server_that_is_the_wrong_one_is_left(
    server: Server, answer: bytes, reason: str
) -> None:
    connection = await connect(server)
    call = connection.send(("GET", "k"))
    server.reply(answer)
    await until(lambda: bool(server.lost))
    assert server.lost == [reason]
    await asyncio.gather(call, return_exceptions=True)
    assert call.done()


async def test_p53_calls_in_flight_are_bounded(server: Server) -> None:
    connection = await connect(server)
    calls = [connection.send(("PING",)) for _ in range(MAX_CALLS_IN_FLIGHT)]
    with pytest.raises(ValkeyDown):
        await connection.send(("PING",))
    assert not connection.is_lost
    connection.close()
    assert all(call.done() for call in calls)
