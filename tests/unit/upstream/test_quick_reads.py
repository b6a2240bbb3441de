"""Answers that come in many quick pieces: fewer reads, the same bytes."""

import asyncio
import select
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from gateway.errors import UpstreamCutError
from gateway.upstream.quick_reads import MOST_IN_A_ROW, REST_SECONDS, QuickReads, Rests
from gateway.upstream.transport import UpstreamResponse, UpstreamTransport
from tests.support.certificates import self_signed
from tests.support.scripted_upstream import (
    Handler,
    Steps,
    answering,
    scripted_upstream,
    write_chunk,
    write_end,
    write_head,
)

PIECES = [b"%04d" % number for number in range(300)]
MANY = len(PIECES) // 2  # reads; more would hardly be gathered ones

ReadAll = Callable[[UpstreamResponse, list[bytes]], Awaitable[None]]
Begun = list[Callable[[], None]]


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> Begun:
    """The rests that were begun."""
    begun: Begun = []
    begin = Rests.begin

    def counted(self: Rests, end: Callable[[], None]) -> None:
        begun.append(end)
        begin(self, end)

    monkeypatch.setattr(Rests, "begin", counted)
    return begun


def flowing(seconds: float, *, pieces: int = len(PIECES), cut: bool = False) -> Handler:
    """The first pieces, so many seconds apart, and then a good end or none."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write_head(writer)
        for piece in PIECES[:pieces]:
            await write_chunk(writer, piece)
            await asyncio.sleep(seconds)
        if cut:
            writer.close()
        else:
            await write_end(writer)

    return handle


async def read(response: UpstreamResponse, taken: list[bytes]) -> None:
    while data := await response.read():
        taken.append(data)


async def pass_on(response: UpstreamResponse, taken: list[bytes]) -> None:
    def take(data: bytes) -> bool:
        taken.append(data)
        return True

    while data := await response.read():
        taken.append(data)
        await response.pass_on(take)


@pytest.mark.parametrize("read_all", [read, pass_on])
async def test_quick_pieces_are_read_together(read_all: ReadAll, rests: Begun) -> None:
    taken: list[bytes] = []
    async with answering(flowing(0.001)) as response:
        await read_all(response, taken)
        assert response.is_complete
    assert b"".join(taken) == b"".join(PIECES)
    assert len(rests) > 5
    assert len(taken) < MANY


async def test_answers_that_rest_at_once_all_go_on(
    rests: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    call_later = loop.call_later

    def counted(delay: float, *rest: object) -> asyncio.TimerHandle:
        if delay == REST_SECONDS:
            timers.append(delay)
        return call_later(delay, *rest)  # type: ignore[arg-type] # a callback and its arguments

    monkeypatch.setattr(loop, "call_later", counted)
    async with (
        scripted_upstream(flowing(0.001)) as server,
        UpstreamTransport(
            server.base_url, "sk-key", first_byte_seconds=5, idle_seconds=5
        ) as transport,
        asyncio.timeout(10),
    ):

        async def asked() -> bytes:
            return await (await transport.open("/v1/messages", b"{}", {})).read_all()

        answers = await asyncio.gather(*(asked() for _ in range(4)))
    assert answers == [b"".join(PIECES)] * 4
    assert len(timers) < len(rests) / 2


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("through_tls", [True, False])
@pytest.mark.parametrize("read_all", [read, pass_on])
def test_nothing_is_lost_when_the_upstream_closes_in_a_rest(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    through_tls: bool,
    read_all: ReadAll,
    rests: Begun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, context = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = context if through_tls else None

    async def cut_once() -> bytes:
        taken: list[bytes] = []
        async with answering(flowing(0.001, pieces=40, cut=True), tls=tls) as response:
            with pytest.raises(UpstreamCutError):
                await read_all(response, taken)
        return b"".join(taken)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        for _ in range(3):
            rests.clear()
            assert runner.run(cut_once()) == b"".join(PIECES[:40])
            assert rests


async def test_pieces_that_come_by_themselves_never_wait(rests: Begun) -> None:
    steps, taken = Steps(), list[bytes]()

    def take(data: bytes) -> bool:
        taken.append(data)
        asyncio.get_running_loop().call_later(0.02, steps.say, b"x")
        return len(taken) < 3 * MOST_IN_A_ROW

    async with answering(steps) as response:
        steps.say(b"x")
        await response.pass_on(take)
    assert taken == [b"x"] * 3 * MOST_IN_A_ROW
    assert not rests


async def test_an_answer_rests_no_more_once_it_comes_slowly(rests: Begun) -> None:
    steps = Steps()
    async with answering(steps) as response:
        while not rests:
            steps.say(b"quick")
            assert await response.read()
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        response.arrived()
        rests.clear()
        for _ in range(2 * MOST_IN_A_ROW):
            steps.say(b"slow")
            assert await response.read() == b"slow"
            await asyncio.sleep(0.02)
        assert not rests


async def test_a_client_that_leaves_in_a_rest_closes_the_connection(rests: Begun) -> None:
    closed = asyncio.Event()

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write_head(writer)
        try:
            while True:
                await write_chunk(writer, b"x")
                await asyncio.sleep(0.001)
        except ConnectionError:
            closed.set()

    async with answering(handle) as response:
        while not rests:
            await response.read()
        response.abort()
        async with asyncio.timeout(5):
            await closed.wait()
        await asyncio.sleep(2 * REST_SECONDS)  # the rest ends, and finds nothing to do


async def test_a_process_that_stood_still_reads_before_it_says_that_nothing_came(
    rests: Begun,
) -> None:
    taken: list[bytes] = []
    async with answering(flowing(0.001), idle_seconds=0.3) as response:
        while not rests:
            taken.append(await response.read())
        time.sleep(0.5)  # noqa: ASYNC251 - that is what is tested
        await pass_on(response, taken)
    assert b"".join(taken) == b"".join(PIECES)


async def test_the_next_answer_on_the_connection_begins_anew(rests: Begun) -> None:
    few = MOST_IN_A_ROW - 2
    async with (
        scripted_upstream(flowing(0.001), flowing(0.001, pieces=few)) as server,
        UpstreamTransport(
            server.base_url, "sk-key", first_byte_seconds=5, idle_seconds=5
        ) as transport,
    ):
        for expected in (PIECES, PIECES[:few]):
            rests.clear()
            response = await transport.open("/v1/messages", b"{}", {})
            assert await response.read_all() == b"".join(expected)
        assert server.connections == 1
        assert not rests


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
    with here, there:
        yield here, there


def is_readable(connection: socket.socket, seconds: float = 0.1) -> bool:
    return bool(select.select([connection], [], [], seconds)[0])


async def resting(connection: socket.socket) -> QuickReads:
    """The reads of a connection, whose rest has begun in this turn of the loop."""
    reads = QuickReads(connection, Rests())
    now = asyncio.get_running_loop().time()
    reads.count(now - 1)
    for _ in range(MOST_IN_A_ROW):
        reads.count(now - 1)
    assert reads.has_rested(now)
    return reads


async def test_in_a_rest_little_waits_and_much_or_the_end_does_not(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    await resting(here)
    there.sendall(b"x" * 1000)
    assert not is_readable(here)
    there.sendall(b"x" * 70_000)
    assert is_readable(here)
    while len(here.recv(2**20)) == 2**20:
        pass
    there.sendall(b"x")
    there.shutdown(socket.SHUT_WR)
    assert is_readable(here)


async def test_the_end_of_a_rest_or_the_next_answer_ends_the_wait(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    there.sendall(b"x")
    reads = await resting(here)
    assert not is_readable(here)
    reads.begin()
    assert is_readable(here)
    await resting(here)
    assert not is_readable(here)
    await asyncio.sleep(2 * REST_SECONDS)
    assert is_readable(here)


async def test_a_connection_that_is_closed_has_no_rest(
    pair: tuple[socket.socket, socket.socket], rests: Begun
) -> None:
    here, _ = pair
    here.close()
    reads = QuickReads(here, Rests())
    for _ in range(2 * MOST_IN_A_ROW):
        reads.count(asyncio.get_running_loop().time())
    assert not rests
