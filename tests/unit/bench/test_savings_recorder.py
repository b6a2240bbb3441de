"""The stand-in for Claude: answers as recorded, bills what arrives, refuses what the API does."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from bench.savings_recorder import Expected, Recorder, running_recorder
from gateway.catalog.models import load_catalog
from gateway.savings.billing import Billing, TokenCounter
from gateway.savings.token_counts import by_characters

Json = dict[str, Any]

MODEL = load_catalog().models["claude-sonnet-5-5"]
HEADERS = {"anthropic-version": "2023-06-01", "content-type": "application/json"}
MARK = {"type": "ephemeral"}
CALL = {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "é" * 5000}}
TOOL = {"name": "read", "input_schema": {"type": "object"}}


def text(value: str, **more: Any) -> Json:
    return {"type": "text", "text": value, **more}


def body(*messages: Json, **fields: Any) -> Json:
    given = messages or ({"role": "user", "content": [text("hello " * 2000)]},)
    return {"model": MODEL.id, "max_tokens": 100, "messages": list(given), **fields}


def expected(*answer: Json) -> Expected:
    billing = Billing(MODEL, TokenCounter(by_characters(), MODEL))
    return Expected(billing, 0.0, list(answer))


class Client:
    def __init__(self, recorder: Recorder, port: int, session: aiohttp.ClientSession) -> None:
        self.recorder = recorder
        self.url = f"http://127.0.0.1:{port}/v1/messages"
        self.session = session

    async def post(self, value: Json) -> tuple[int, bytes]:
        async with self.session.post(self.url, json=value, headers=HEADERS) as answer:
            return answer.status, await answer.read()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with running_recorder() as (recorder, port), aiohttp.ClientSession() as session:
        yield Client(recorder, port, session)


def events(data: bytes) -> list[Json]:
    lines = [line for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [orjson.loads(line.removeprefix(b"data: ")) for line in lines]


async def test_an_answer_as_it_was_recorded(client: Client) -> None:
    wanted = client.recorder.expected = expected(text("I look."), CALL)
    status, data = await client.post(body(tools=[TOOL]))
    assert status == 200
    message = orjson.loads(data)
    assert message["content"] == [text("I look."), CALL]
    assert message["stop_reason"] == "tool_use"
    assert wanted.bill is not None
    assert message["usage"] == wanted.bill.usage()
    assert wanted.bill.input_tokens > 1000
    assert len(wanted.bodies) == 1


async def test_the_same_answer_as_a_stream(client: Client) -> None:
    client.recorder.expected = expected(text("I look."), CALL)
    status, data = await client.post(body(tools=[TOOL], stream=True))
    assert status == 200
    told = events(data)
    assert [told[0]["type"], told[-1]["type"]] == ["message_start", "message_stop"]
    pieces = [each["delta"] for each in told if each["type"] == "content_block_delta"]
    assert pieces[0] == {"type": "text_delta", "text": "I look."}
    assert len(pieces) > 2
    arguments = "".join(piece["partial_json"] for piece in pieces[1:])
    assert orjson.loads(arguments) == CALL["input"]
    (end,) = [each for each in told if each["type"] == "message_delta"]
    assert end["delta"]["stop_reason"] == "tool_use"


async def test_time_is_that_of_the_session(client: Client) -> None:
    marked = body({"role": "user", "content": [text("hello " * 2000, cache_control=MARK)]})
    billing = expected().billing
    read = []
    for seconds in (0.0, 100.0, 500.0):
        wanted = client.recorder.expected = Expected(billing, seconds, [])
        await client.post(marked)
        assert wanted.bill is not None
        read.append(wanted.bill.cache_read_tokens > 0)
    assert read == [False, True, False]


def said(*content: Json) -> Json:
    return {"role": "assistant", "content": list(content)}


def user(*content: Json) -> Json:
    return {"role": "user", "content": list(content)}


RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s", "cache_control": MARK}
REFUSED: dict[str, Json] = {
    "five marks": body(user(*(text(f"a{n}", cache_control=MARK) for n in range(5)))),
    "an hour behind five minutes": body(
        user(text("a", cache_control=MARK), text("b", cache_control={**MARK, "ttl": "1h"}))
    ),
    "a mark on thinking": body(user(text("a")), said(THOUGHT, text("b")), user(text("c"))),
    "an empty text": body(user(text(""))),
    "no message": {**body(), "messages": []},
    "no max_tokens": {key: value for key, value in body().items() if key != "max_tokens"},
    "a call without its result": body(user(text("a")), said(CALL), user(text("b")), tools=[TOOL]),
    "a result without its call": body(user(RESULT), tools=[TOOL]),
    "a prefill": body(user(text("a")), said(text("b"))),
    "temperature": body(temperature=0.5),
    "an unknown model": {**body(), "model": "claude-nobody-knows"},
    "an unknown field": body(surprise=1),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_what_the_api_refuses_is_refused_and_not_billed(client: Client, name: str) -> None:
    wanted = client.recorder.expected = expected(text("hi"))
    status, data = await client.post(REFUSED[name])
    assert status in (400, 404)
    assert orjson.loads(data)["type"] == "error"
    assert wanted.bill is None
    assert wanted.refusal
    assert wanted.bodies == [REFUSED[name]]


async def test_a_request_that_comes_unasked_fails(client: Client) -> None:
    status, _ = await client.post(body())
    assert status == 500
