"""Answers that come in many quick pieces: fewer reads, the same bytes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.errors import UpstreamCutError
from gateway.upstream.gathered_reads import QUICK_READS, GatheredReads
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


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """The rests that were begun."""
    begun: list[Callable[[], None]] = []
    rest = GatheredReads.rest

    def counted(self: GatheredReads, go_on: Callable[[], None]) -> None:
        begun.append(go_on)
        rest(self, go_on)

    monkeypatch.setattr(GatheredReads, "rest", counted)
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
async def test_quick_pieces_are_read_together(
    read_all: ReadAll, rests: list[Callable[[], None]]
) -> None:
    taken: list[bytes] = []
    async with answering(flowing(0.001)) as response:
        await read_all(response, taken)
        assert response.is_complete
    assert b"".join(taken) == b"".join(PIECES)
    assert len(rests) > 5
    assert len(taken) < MANY


@pytest.mark.parametrize("read_all", [read, pass_on])
async def test_what_came_before_a_cut_is_read_although_it_came_in_a_rest(
    read_all: ReadAll, rests: list[Callable[[], None]]
) -> None:
    taken: list[bytes] = []
    async with answering(flowing(0, cut=True)) as response:
        with pytest.raises(UpstreamCutError):
            await read_all(response, taken)
    assert b"".join(taken) == b"".join(PIECES)
    assert rests


async def test_pieces_that_come_by_themselves_never_wait(
    rests: list[Callable[[], None]],
) -> None:
    steps, taken = Steps(), list[bytes]()

    def take(data: bytes) -> bool:
        taken.append(data)
        asyncio.get_running_loop().call_later(0.02, steps.say, b"x")
        return len(taken) < 3 * QUICK_READS

    async with answering(steps) as response:
        steps.say(b"x")
        await response.pass_on(take)
    assert taken == [b"x"] * 3 * QUICK_READS
    assert not rests


async def test_an_answer_rests_no_more_once_it_comes_slowly(
    rests: list[Callable[[], None]],
) -> None:
    steps = Steps()
    async with answering(steps) as response:
        while not rests:
            steps.say(b"quick")
            assert await response.read()
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        response.arrived()
        rests.clear()
        for _ in range(QUICK_READS):
            steps.say(b"slow")
            assert await response.read() == b"slow"
            await asyncio.sleep(0.02)
        assert not rests


async def test_a_client_that_leaves_in_a_rest_closes_the_connection(
    rests: list[Callable[[], None]],
) -> None:
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


async def test_the_next_answer_on_the_connection_begins_anew(
    rests: list[Callable[[], None]],
) -> None:
    async with (
        scripted_upstream(flowing(0.001), flowing(0.001, pieces=QUICK_READS - 2)) as server,
        UpstreamTransport(
            server.base_url, "sk-key", first_byte_seconds=5, idle_seconds=5
        ) as transport,
    ):
        for expected in (PIECES, PIECES[: QUICK_READS - 2]):
            rests.clear()
            response = await transport.open("/v1/messages", b"{}", {})
            assert await response.read_all() == b"".join(expected)
        assert server.connections == 1
        assert not rests


async def test_quick_pieces_are_read_together_through_tls(
    rests: list[Callable[[], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    taken: list[bytes] = []
    async with answering(flowing(0.001), tls=context) as response:
        await pass_on(response, taken)
    assert b"".join(taken) == b"".join(PIECES)
    assert len(rests) > 5
    assert len(taken) < MANY
