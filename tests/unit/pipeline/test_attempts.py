"""Attempts until the first event: retried, repaired, or reported with the true status."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway import wire
from gateway.errors import UpstreamCutError, UpstreamError
from gateway.pipeline.attempts import Attempts, UpstreamCall
from gateway.pipeline.repairs import repairs_of
from gateway.protocols.model_fit import Fitted
from gateway.protocols.shared.draft import ReplyPlan
from gateway.reliability.circuit_breaker import CircuitBreaker
from gateway.reliability.retry import RetryPolicy
from gateway.upstream.pool import Upstream, UpstreamPool
from gateway.upstream.specs import UpstreamSpec
from gateway.upstream.transport import UpstreamTransport
from tests.support.scripted_upstream import (
    Handler,
    ScriptedUpstream,
    refuses,
    scripted_upstream,
    streams,
    write_head,
)

START = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
OVERLOADED_EVENT = (
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
)


def _error(kind: str, message: str) -> bytes:
    return wire.dumps({"type": "error", "error": {"type": kind, "message": message}})


OVERLOADED = refuses("529 Overloaded", _error("overloaded_error", "Overloaded"))


@asynccontextmanager
async def attempts(
    *handlers: Handler, retries: int = 3
) -> AsyncIterator[tuple[ScriptedUpstream, Attempts, list[UpstreamError]]]:
    failures: list[UpstreamError] = []
    policy = RetryPolicy(True, retries, 0.0)
    async with (
        scripted_upstream(*handlers) as upstream,
        UpstreamTransport(
            upstream.base_url, "key", first_byte_seconds=0.5, idle_seconds=30
        ) as transport,
    ):
        pool = UpstreamPool([Upstream(UpstreamSpec("claude", upstream.base_url, "key"), transport)])
        breaker = CircuitBreaker(enabled=True, threshold=1000, timeout_seconds=1.0)
        sender = Attempts(pool, breaker, policy, lambda failed: failures.append(failed.error))
        yield upstream, sender, failures


def _call(
    client_retries: int = 0, loose_schema: wire.JSONObject | None = None, **body: object
) -> UpstreamCall:
    request = {"model": "claude-haiku-4-5", "max_tokens": 64_000, "messages": [], **body}
    fitted = Fitted(
        request,
        ReplyPlan("claude-haiku-4-5"),
        max_tokens_injected=True,
        loose_schema=loose_schema,
    )
    return UpstreamCall(
        "/v1/messages",
        wire.dumps(request),
        {},
        "claude-haiku-4-5",
        client_retries=client_retries,
        repair=repairs_of(fitted),
    )


async def test_the_first_event_is_there_when_an_attempt_counts_as_good() -> None:
    async with attempts(streams(PING, START)) as (_, sender, failures):
        begun = await sender.begin(_call())
        assert [name for name, _ in begun.events] == ["ping", "message_start"]
        assert begun.attempts == 1
        assert failures == []
        begun.response.abort()


async def _resets_after_the_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    write_head(writer)
    await writer.drain()
    writer.transport.abort()


async def _is_silent_after_the_head(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    write_head(writer)
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize(
    "first",
    [
        OVERLOADED,
        streams(PING, OVERLOADED_EVENT),
        streams(),
        _resets_after_the_head,
        _is_silent_after_the_head,
    ],
)
async def test_p25_overload_before_the_first_token_is_tried_again(first: Handler) -> None:
    async with attempts(first, streams(START)) as (upstream, sender, failures):
        begun = await sender.begin(_call())
        assert begun.attempts == 2
        assert len(upstream.bodies) == 2
        assert len(failures) == 1
        begun.response.abort()


async def test_attempts_are_bounded_and_the_last_error_is_reported() -> None:
    async with attempts(OVERLOADED) as (upstream, sender, failures):
        with pytest.raises(UpstreamError) as caught:
            await sender.begin(_call())
        assert (caught.value.status, caught.value.upstream_status) == (503, 529)
        assert len(upstream.bodies) == len(failures) == 3


async def test_retries_of_the_client_are_taken_off_our_own() -> None:
    async with attempts(OVERLOADED) as (upstream, sender, _):
        with pytest.raises(UpstreamError):
            await sender.begin(_call(client_retries=2))
        assert len(upstream.bodies) == 1


async def test_a_refused_request_is_not_repeated() -> None:
    refused = refuses("400 Bad Request", _error("invalid_request_error", "messages: no"))
    async with attempts(refused) as (upstream, sender, _):
        with pytest.raises(UpstreamError) as caught:
            await sender.begin(_call())
        assert caught.value.status == 400
        assert len(upstream.bodies) == 1


async def test_an_empty_answer_is_no_answer() -> None:
    async with attempts(streams(), retries=1) as (_, sender, _):
        with pytest.raises(UpstreamCutError):
            await sender.begin(_call())


async def test_p13_an_injected_max_tokens_is_shrunk_to_the_room_once() -> None:
    exceeds = refuses(
        "400 Bad Request",
        _error(
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 190000 + 64000 > 200000, "
            "decrease input length or `max_tokens` and try again",
        ),
    )
    async with attempts(exceeds, streams(START)) as (upstream, sender, _):
        begun = await sender.begin(_call())
        assert wire.loads(upstream.bodies[1])["max_tokens"] == 10_000
        begun.response.abort()
    async with attempts(exceeds) as (upstream, sender, _):
        with pytest.raises(UpstreamError) as caught:
            await sender.begin(_call())
        assert caught.value.code == "context_length_exceeded"
        assert len(upstream.bodies) == 2


async def test_system_messages_become_text_where_the_model_refuses_them() -> None:
    refused = refuses(
        "400 Bad Request",
        _error("invalid_request_error", "messages.1: role 'system' is not supported on this model"),
    )
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
    ]
    async with attempts(refused, streams(START)) as (upstream, sender, _):
        begun = await sender.begin(_call(messages=messages))
        sent = wire.loads(upstream.bodies[1])["messages"]
        assert [message["role"] for message in sent] == ["user"]
        assert "be brief" in wire.dumps_text(sent)
        begun.response.abort()


async def test_a_schema_that_claude_refuses_is_asked_for_in_words_unless_it_is_strict() -> None:
    refused = refuses(
        "400 Bad Request",
        _error("invalid_request_error", "output_config.format.schema: too complex"),
    )
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    }
    async with attempts(refused, streams(START)) as (upstream, sender, _):
        begun = await sender.begin(_call(loose_schema={"type": "object"}, **body))
        sent = wire.loads(upstream.bodies[1])
        assert "output_config" not in sent
        assert "schema" in wire.dumps_text(sent["messages"])
        begun.response.abort()
    async with attempts(refused) as (upstream, sender, _):
        with pytest.raises(UpstreamError):
            await sender.begin(_call(**body))
        assert len(upstream.bodies) == 1
