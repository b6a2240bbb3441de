"""Bytes of an answer that are passed on in the call they come by."""

import asyncio

import pytest

from gateway.errors import UpstreamCutError, UpstreamTimeoutError
from gateway.upstream.transport import UpstreamResponse
from tests.support.scripted_upstream import (
    Steps,
    answering,
    write_chunk,
    write_head,
    write_slowly,
)


async def test_what_comes_is_passed_on_until_the_taker_wants_no_more() -> None:
    steps, taken = Steps(), list[bytes]()

    def take(data: bytes) -> bool:
        taken.append(data)
        steps.say(b"%d" % len(taken))
        return len(taken) < 3

    async with answering(steps) as response:
        steps.say(b"0")
        await response.pass_on(take)
        assert taken == [b"0", b"1", b"2"]
        assert await response.read() == b"3"
        steps.say(None)
        assert await response.read() == b""


async def test_what_is_here_already_is_for_who_reads() -> None:
    steps = Steps()
    async with answering(steps) as response:
        steps.say(b"read ")
        received = await response.read()
        steps.say(b"here")
        await asyncio.sleep(0.1)  # it comes meanwhile; if it does not, nothing is tested
        await response.pass_on(lambda _: pytest.fail("it was here before"))
        assert received + await response.read() == b"read here"


async def test_the_end_is_for_who_reads() -> None:
    steps, taken = Steps(), list[bytes]()

    def take(data: bytes) -> bool:
        taken.append(data)
        steps.say(None)
        return True

    async with answering(steps) as response:
        steps.say(b"all")
        await response.pass_on(take)
        assert (taken, await response.read(), response.is_complete) == ([b"all"], b"", True)


async def test_an_answer_that_breaks_is_for_who_reads() -> None:
    async def breaks(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write_head(writer)
        await write_chunk(writer, b"some")
        writer.close()

    async with answering(breaks) as response:
        await response.pass_on(lambda _: True)
        with pytest.raises(UpstreamCutError):
            await response.read_all()


async def test_the_silence_counts_from_the_newest_bytes() -> None:
    async def stops(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await write_slowly(writer, 6)  # the pauses are what is tested, longer together than one
        await asyncio.Event().wait()

    taken = bytearray()

    def take(data: bytes) -> bool:
        taken.extend(data)
        return True

    async def all_of(response: UpstreamResponse) -> None:
        while True:
            taken.extend(await response.read())
            await response.pass_on(take)

    async with answering(stops, idle_seconds=0.4) as response:
        with pytest.raises(UpstreamTimeoutError):
            await all_of(response)
        assert taken == b"x" * 6


async def test_a_taker_that_fails_fails_where_the_answer_is_waited_for() -> None:
    def take(_: bytes) -> bool:
        raise ZeroDivisionError

    steps = Steps()
    async with answering(steps) as response:
        steps.say(b"a")
        with pytest.raises(ZeroDivisionError):
            await response.pass_on(take)
        steps.say(b"b")
        assert await response.read() == b"b"


async def test_nothing_is_passed_on_once_it_was_called_off() -> None:
    steps = Steps()
    async with answering(steps) as response:
        passing = asyncio.ensure_future(response.pass_on(lambda _: True))
        await asyncio.sleep(0)
        passing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await passing
        steps.say(b"later")
        assert await response.read() == b"later"
