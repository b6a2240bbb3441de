"""Streams that are passed on: what comes by no call of `next` is the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import GatewayError
from gateway.pipeline.attempts import Begun
from gateway.pipeline.forward import ForwardedStream, UsageReader
from gateway.pipeline.reply import Relay, StreamedReply
from gateway.protocols.openai_chat_stream import ChatStream
from gateway.protocols.shared.sse import SSEFramer
from gateway.protocols.shared.usage import UsageMeter
from gateway.upstream.transport import UpstreamTransport
from tests.support.messages_stream import CREATED, PLAN, delta, end, event, start
from tests.support.scripted_upstream import Steps, scripted_upstream

OPENED = start() + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "later"})


def say(text: str) -> bytes:
    return delta(0, "text_delta", text=text)


def settle(_: UsageMeter, __: GatewayError | None, ___: bool) -> None: ...


class Passing:
    """A reply to a stream that says `pieces`, each once the one before it has been passed on."""

    def __init__(self, steps: Steps, reply: Relay, *pieces: bytes) -> None:
        self.reply = reply
        self.passed: list[bytes] = []
        self.has_passed = asyncio.Event()
        self._steps = steps
        self._pieces = list(pieces)

    def write(self, data: bytes) -> bool:
        self.passed.append(data)
        self.has_passed.set()
        self.go_on()
        return True

    def go_on(self) -> None:
        if self._pieces:
            self._steps.say(self._pieces.pop(0))


@asynccontextmanager
async def passing(kind: type[Relay], *pieces: bytes) -> AsyncIterator[Passing]:
    steps = Steps()
    async with (
        scripted_upstream(steps) as server,
        UpstreamTransport(
            server.base_url, "sk-key", first_byte_seconds=5, idle_seconds=5
        ) as transport,
        asyncio.timeout(10),
    ):
        response = await transport.open("/v1/messages", b"{}", {})
        framer = SSEFramer()
        begun = Begun(response, framer, framer.feed(OPENED), OPENED, 1)
        reply: Relay
        if kind is StreamedReply:
            stream = ChatStream(PLAN, CREATED, "chatcmpl-1")
            reply = StreamedReply(begun, stream, stream.feed(begun.events), settle)
        else:
            reader = UsageReader()
            reader.feed(begun.events)
            reply = ForwardedStream(begun, reader, settle)
        yield Passing(steps, reply, *pieces)
        reply.settle()


KINDS = pytest.mark.parametrize("kind", [StreamedReply, ForwardedStream])


@KINDS
async def test_each_read_is_passed_on_until_the_answer_has_ended(kind: type[Relay]) -> None:
    texts = [b"one ", b"two ", b"three"]
    async with passing(kind, *[say(text.decode()) for text in texts], end()) as case:
        assert await case.reply.next()
        case.go_on()
        await case.reply.pass_on(case.write)
        assert [text in data for text, data in zip(texts, case.passed, strict=False)] == [True] * 3
        assert (len(case.passed), case.reply.finished, case.reply.failure) == (4, True, None)


@KINDS
async def test_an_error_ends_what_is_passed_on(kind: type[Relay]) -> None:
    async with passing(kind, say("one"), OVERLOADED, say("two")) as case:
        assert await case.reply.next()
        case.go_on()
        await case.reply.pass_on(case.write)
        assert b"one" in case.passed[0]
        assert b"overloaded" in case.passed[-1]
        assert b"two" not in b"".join(case.passed)
        assert case.reply.finished
        assert case.reply.failure is not None


@KINDS
async def test_a_torn_event_is_passed_on_when_it_is_whole(kind: type[Relay]) -> None:
    torn = say("whole")
    async with passing(kind, torn[:30], torn[30:]) as case:
        assert await case.reply.next()
        case.go_on()
        passing_on = asyncio.ensure_future(case.reply.pass_on(case.write))
        await asyncio.sleep(0.1)
        assert case.passed == []
        case.go_on()
        await case.has_passed.wait()
        passing_on.cancel()
        assert b"whole" in case.passed[0]


@KINDS
async def test_nothing_is_passed_on_before_what_came_first(kind: type[Relay]) -> None:
    async with passing(kind, say("one")) as case:
        case.go_on()
        await case.reply.pass_on(case.write)
        assert case.passed == []
        assert await case.reply.next()
