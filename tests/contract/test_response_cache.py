"""Kept answers through the official OpenAI package, over two API processes."""

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import openai
import pytest

from gateway.security.keys import hash_key
from tests.contract.harness.gateway import Gateway, api_beside, frozen
from tests.contract.harness.kept_answers import (
    MODEL,
    TOOL,
    Fields,
    ask,
    asked,
    id_of,
    new_mark,
    text_of,
)
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator

HISTORY_OF_CALLS: Any = [
    {"role": "user", "content": "go"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "done"},
]


@pytest.fixture
def mark() -> str:
    """A word that makes a question new, and by which it is found at the upstream."""
    return new_mark()


@pytest.mark.parametrize("first_streams", [False, True])
@pytest.mark.parametrize("then_streams", [False, True])
def test_an_identical_question_is_answered_from_the_cache(
    client: openai.OpenAI, simulator: Simulator, mark: str, first_streams: bool, then_streams: bool
) -> None:
    text = f"{mark} [[sim:text Hello, wörld, how are you today?]]"
    cache, first = asked(client, ask(text, stream=first_streams))
    assert cache == "MISS"
    for _ in range(4):  # whichever process it comes to
        cache, again = asked(client, ask(text, stream=then_streams))
        assert cache == "HIT"
        assert text_of(again) == text_of(first) == "Hello, wörld, how are you today?"
        assert id_of(again) != id_of(first)
        if not (first_streams or then_streams):
            assert again.usage == first.usage
            assert again.choices[0].finish_reason == "stop"
    assert len(simulator.records_with(mark)) == 1


def test_a_kept_answer_is_streamed_in_the_pieces_it_came_in(
    client: openai.OpenAI, mark: str
) -> None:
    text = f"{mark} [[sim:text {'one two three four five ' * 8}]]"
    _, whole = asked(client, ask(text))
    cache, chunks = asked(client, ask(text, stream=True))
    assert cache == "HIT"
    assert text_of(chunks) == text_of(whole)
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) >= 40


def test_each_answer_has_an_id_of_its_own(client: openai.OpenAI, mark: str) -> None:
    ids = {id_of(asked(client, ask(mark))[1]) for _ in range(5)}
    assert len(ids) == 5


def test_responses_are_kept_and_stored_under_new_ids(
    client: openai.OpenAI, simulator: Simulator, mark: str
) -> None:
    answers: list[Any] = []
    for expected in ("MISS", "HIT", "HIT"):
        raw: Any = client.responses.with_raw_response.create(model=MODEL, input=mark, temperature=0)
        assert raw.headers["x-cache"] == expected
        answers.append(raw.parse())
    assert len({answer.id for answer in answers}) == 3
    text = answers[0].output_text
    for answer in answers:
        assert answer.output_text == client.responses.retrieve(answer.id).output_text == text
    assert len(simulator.records_with(mark)) == 1
    simulator.set(prefix_binding=True)
    followed = client.responses.create(
        model=MODEL, input="And now?", previous_response_id=answers[2].id
    )
    assert followed.status == "completed"
    assert [record["status"] for record in simulator.requests()] == [200, 200]


def test_legacy_completions_are_kept_too(
    client: openai.OpenAI, simulator: Simulator, mark: str
) -> None:
    answers = [
        client.completions.create(model=MODEL, prompt=mark, temperature=0, max_tokens=5000)
        for _ in range(3)
    ]
    assert len({answer.choices[0].text for answer in answers}) == 1
    assert len({answer.id for answer in answers}) == 3
    assert len(simulator.records_with(mark)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 1},
        {"temperature": None},
        {"tools": [TOOL]},
        {"functions": [{"name": "f"}]},
        {"messages": HISTORY_OF_CALLS},
        {"extra_headers": {"Cache-Control": "no-store"}},
    ],
)
def test_p57_what_may_not_be_cached_is_asked_each_time(
    client: openai.OpenAI, simulator: Simulator, mark: str, fields: Fields
) -> None:
    body = {**ask(mark), **fields, "user": mark}
    for _ in range(3):
        cache, _answer = asked(client, body)
        assert cache is None
    assert len(simulator.requests()) == 3


def test_a_picture_is_asked_each_time(
    client: openai.OpenAI, simulator: Simulator, mark: str
) -> None:
    image = {"type": "image_url", "image_url": {"url": f"https://example.com/{mark}.png"}}
    content: Any = [{"type": "text", "text": mark}, image]
    body = {**ask(mark), "messages": [{"role": "user", "content": content}]}
    assert [asked(client, body)[0] for _ in range(2)] == [None, None]
    assert len(simulator.records_with(mark)) == 2


def test_p57_any_difference_in_the_request_is_another_question(
    client: openai.OpenAI, simulator: Simulator, mark: str
) -> None:
    history: Any = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    question: Any = {"role": "user", "content": mark}
    for fields in (
        {},
        {"max_tokens": 6000},
        {"model": "claude-opus-5-5"},
        {"messages": [{"role": "system", "content": "be brief"}, question]},
        {"messages": [*history, question]},
        {"stop": ["END"]},
        {"reasoning_effort": "low"},
        {"user": "someone"},
        {"top_p": 0.5},
        {"response_format": {"type": "json_object"}},
    ):
        assert asked(client, {**ask(mark), **fields})[0] == "MISS"
    assert len(simulator.records_with(mark)) == 10


def test_no_cache_gets_a_new_answer_which_is_kept(
    client: openai.OpenAI, simulator: Simulator, mark: str
) -> None:
    body = ask(mark)
    simulator.script({"blocks": [{"type": "text", "text": "old"}]})
    assert asked(client, body)[0] == "MISS"
    simulator.script({"blocks": [{"type": "text", "text": "new"}]})
    cache, fresh = asked(client, body, extra_headers={"Cache-Control": "no-cache"})
    assert (cache, text_of(fresh)) == ("MISS", "new")
    cache, again = asked(client, body)
    assert (cache, text_of(again)) == ("HIT", "new")


async def test_p57_another_project_never_gets_it(
    client: openai.OpenAI, gateway: Gateway, simulator: Simulator, mark: str
) -> None:
    connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    try:
        await connection.execute("insert into projects (id) values ($1)", mark)
        await connection.execute(
            "insert into api_keys (id, project_id, key_hash) values ($1, $1, $2)",
            mark,
            hash_key(f"cgw_{mark}"),
        )
    finally:
        await connection.close()
    assert asked(client, ask("the same question"))[0] in {"MISS", "HIT"}
    with openai.OpenAI(base_url=gateway.base_url, api_key=f"cgw_{mark}", max_retries=0) as other:
        assert asked(other, ask("the same question"))[0] == "MISS"
        assert asked(other, ask("the same question"))[0] == "HIT"
    assert asked(client, ask("the same question"))[0] == "HIT"
    assert len(simulator.requests()) >= 1


@pytest.mark.parametrize("marker", ["error overloaded_error", "error 400"])
def test_p57_errors_are_never_cached(
    client: openai.OpenAI, simulator: Simulator, mark: str, marker: str
) -> None:
    for _ in range(2):
        before = len(simulator.records_with(mark))
        with pytest.raises(openai.APIStatusError):
            asked(client, ask(f"{mark} [[sim:{marker}]]"))
        assert len(simulator.records_with(mark)) > before


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("marker", ["refusal category=cyber", "stop max_tokens"])
def test_refusals_and_answers_that_end_too_soon_are_never_cached(
    client: openai.OpenAI, simulator: Simulator, mark: str, marker: str, stream: bool
) -> None:
    for _ in range(2):
        body = ask(f"{mark} [[sim:text some]][[sim:{marker}]]", stream=stream)
        assert asked(client, body)[0] == "MISS"
    assert len(simulator.records_with(mark)) == 2


def test_a_cut_stream_is_never_cached(
    client: openai.OpenAI, simulator: Simulator, mark: str
) -> None:
    body = ask(f"{mark} [[sim:text a b c d e f g h]][[sim:cut events=6]]", stream=True)
    for _ in range(2):
        with pytest.raises(openai.APIError):
            asked(client, body)
    assert len(simulator.records_with(mark)) == 2


def test_a_conversation_goes_on_behind_a_kept_answer(
    client: openai.OpenAI, simulator: Simulator, mark: str
) -> None:
    """Its thinking is put back, and is legal, whether the answer was new or kept."""
    simulator.set(prefix_binding=True)
    question: Any = {"role": "user", "content": f"{mark} [[sim:thinking hm]][[sim:text forty]]"}
    for expected in ("MISS", "HIT", "HIT"):
        cache, answer = asked(client, {**ask(""), "messages": [question]})
        assert cache == expected
        said = {"role": "assistant", "content": text_of(answer)}
        more = {"role": "user", "content": f"go on {secrets.token_hex(4)}"}
        asked(client, {**ask(""), "messages": [question, said, more]})
        sent = simulator.last()["messages"]
        assert [block["type"] for block in sent[1]["content"]] == ["thinking", "text"]
    assert [record["status"] for record in simulator.requests()] == [200] * 4


async def rows_of(gateway: Gateway, session: str, count: int) -> list[asyncpg.Record]:
    """The usage rows of a session, once there are so many and no more come."""
    connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    query = "select * from usage_events where session_id = $1 order by started_at"
    try:
        deadline = time.monotonic() + 15
        while len(await connection.fetch(query, session)) < count:
            assert time.monotonic() < deadline, "the usage rows did not come"
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)  # a second row of the same request would be written by now
        return list(await connection.fetch(query, session))
    finally:
        await connection.close()


async def test_a_hit_has_one_usage_row_that_costs_nothing(
    client: openai.OpenAI, gateway: Gateway, mark: str
) -> None:
    hits = gateway.metric("gateway_cache_hits_total", cache_type="response")
    for stream in (False, True, False):
        asked(client, ask(mark, stream=stream), extra_headers={"x-session-id": mark})
    paid, *free = await rows_of(gateway, mark, 3)
    assert paid["input_tokens"] > 0
    assert paid["cost_usd"] > 0
    assert len(free) == 2
    for row in free:
        assert (row["status"], row["http_status"], row["model"]) == ("ok", 200, MODEL)
        assert [value for name, value in row.items() if name.endswith("_tokens")] == [0] * 6
        assert row["cost_usd"] == 0
        assert not row["estimated"]
    until(
        lambda: gateway.metric("gateway_cache_hits_total", cache_type="response") >= hits + 2,
        "the hits are counted",
    )


def test_without_valkey_everything_is_served(
    client: openai.OpenAI, gateway: Gateway, simulator: Simulator, mark: str
) -> None:
    assert asked(client, ask(mark))[0] == "MISS"
    with frozen(gateway.pids["valkey"]):
        for _ in range(6):
            cache, answer = asked(client, ask(mark))
            assert cache == "MISS"
            assert text_of(answer)
    until(lambda: asked(client, ask(mark))[0] == "HIT", "it is well again")


@pytest.mark.parametrize(
    ("setting", "fields", "expected"),
    [
        ("all", {"temperature": None}, ["MISS", "HIT"]),
        ("all", {"temperature": None, "tools": [TOOL]}, [None, None]),
        ("off", {}, [None, None]),
    ],
)
def test_the_setting_says_which_answers_are_kept(
    gateway: Gateway,
    contract_home: Path,
    mark: str,
    setting: str,
    fields: Fields,
    expected: list[str | None],
) -> None:
    home = contract_home / mark
    with (
        api_beside(gateway, home, RESPONSE_CACHE=setting) as beside,
        openai.OpenAI(base_url=beside.base_url, api_key=beside.api_key, max_retries=0) as sdk,
    ):
        assert [asked(sdk, {**ask(mark), **fields})[0] for _ in range(2)] == expected


def test_messages_are_passed_on_and_never_cached(
    http: httpx2.Client, simulator: Simulator, mark: str
) -> None:
    body = {**ask(mark), "max_tokens": 100}
    del body["temperature"]
    for _ in range(2):
        answer = http.post("/v1/messages", json=body, headers={"anthropic-version": "2023-06-01"})
        assert answer.status_code == 200
        assert "x-cache" not in answer.headers
    assert len(simulator.records_with(mark)) == 2
