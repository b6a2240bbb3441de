"""Whole answers through the official package: text, usage, and errors that say what may help."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway import wire
from gateway.errors import UpstreamError, UpstreamTimeoutError, UpstreamUnreachableError
from gateway.upstream.messages_client import MessagesClient
from tests.support.scripted_upstream import Handler, ScriptedUpstream, refuses, scripted_upstream

JSON = "content-type: application/json"
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-5-5",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": " So "},
        {"type": "text", "text": "far.\n"},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 40, "output_tokens": 7, "cache_read_input_tokens": 2},
}
BODY = {
    "model": "claude-haiku-5-5",
    "max_tokens": 99,
    "messages": [{"role": "user", "content": "a"}],
}


@asynccontextmanager
async def asking(
    *answers: Handler, timeout_seconds: float = 10
) -> AsyncIterator[tuple[ScriptedUpstream, MessagesClient]]:
    async with (
        scripted_upstream(*answers) as server,
        MessagesClient(
            f"{server.base_url}/v1/", "sk-key", timeout_seconds=timeout_seconds
        ) as client,
    ):
        yield server, client


async def test_an_answer_gives_its_text_and_what_it_used() -> None:
    async with asking(refuses("200 OK", wire.dumps(MESSAGE), JSON)) as (server, client):
        answered = await client.ask(BODY)
        assert answered.text == "So far."
        assert answered.usage.prompt_tokens == 42
        assert answered.usage.output_tokens == 7
        assert answered.usage.stop_reason == "end_turn"
        assert wire.loads(server.bodies[0]) == BODY
        assert server.heads[0].startswith(b"POST /v1/messages ")


@pytest.mark.parametrize(("status", "retryable"), [(529, True), (429, True), (400, False)])
async def test_an_error_says_whether_another_try_can_help_and_is_not_tried_here(
    status: int, retryable: bool
) -> None:
    kinds = {529: "overloaded_error", 429: "rate_limit_error", 400: "invalid_request_error"}
    body = {"type": "error", "error": {"type": kinds[status], "message": "no"}}
    answer = refuses(f"{status} No", wire.dumps(body), JSON, "retry-after: 7")
    async with asking(answer) as (server, client):
        with pytest.raises(UpstreamError) as caught:
            await client.ask(BODY)
        assert caught.value.retryable is retryable
        assert caught.value.retry_after_seconds == 7
        assert len(server.bodies) == 1


async def test_silence_and_refused_connections_may_be_tried_again() -> None:
    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with asking(say_nothing, timeout_seconds=0.5) as (_, client):
        with pytest.raises(UpstreamTimeoutError) as late:
            await client.ask(BODY)
        assert late.value.retryable
    async with MessagesClient("http://127.0.0.1:1", "sk-key", timeout_seconds=0.5) as client:
        with pytest.raises(UpstreamUnreachableError) as gone:
            await client.ask(BODY)
        assert gone.value.retryable
