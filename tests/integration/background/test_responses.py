"""Responses and chat completions in the background, by the official client and over HTTP."""

import secrets

import asyncpg
import openai
import pytest
from temporalio.client import Client

from gateway import wire
from gateway.security.keys import hash_key
from tests.contract.harness.gateway import PROMPT_CANARY, Gateway
from tests.contract.harness.processes import until
from tests.contract.harness.simulator import Simulator
from tests.integration.background.conftest import (
    MODEL,
    ended,
    events_of,
    usage_rows,
)

pytestmark = pytest.mark.timeout(120)

ASYNC = {"Prefer": "respond-async"}


def question(text: str = "hello") -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def test_a_response_is_made_while_its_client_does_something_else(
    client: openai.OpenAI, temporal: Client, database: asyncpg.Connection
) -> None:
    text = f"[[sim:text forty-two]] {PROMPT_CANARY}"
    asked = client.responses.create(
        model=MODEL, input=text, background=True, metadata={"job": "7"}, instructions="Be brief."
    )
    assert (asked.status, asked.background, asked.output) == ("queued", True, [])
    assert (asked.metadata, asked.instructions) == ({"job": "7"}, "Be brief.")
    done = ended(client, asked.id)
    assert (done.id, done.status, done.output_text) == (asked.id, "completed", "forty-two")
    assert (done.metadata, done.background) == ({"job": "7"}, True)
    assert done.created_at == asked.created_at
    assert done.usage is not None
    items = client.responses.input_items.list(asked.id).data
    assert [item.to_dict()["content"][0]["text"] for item in items] == [text]  # type: ignore[index]

    (row,) = await usage_rows(database, asked.id)
    assert (row["status"], row["output_tokens"]) == ("ok", done.usage.output_tokens)
    assert row["endpoint"] == "/v1/responses"
    handle = temporal.get_workflow_handle(f"response-{asked.id}")
    described = await handle.describe()
    found = {key.name: value for key, value in described.typed_search_attributes}
    assert found["GatewayKind"] == "background"
    assert found["GatewayStatus"] == "completed"
    assert PROMPT_CANARY not in (await handle.fetch_history()).to_json()
    stored = await database.fetchrow(
        "select request, shown from background_responses where id = $1", asked.id
    )
    assert stored is not None
    assert all(PROMPT_CANARY not in value for value in stored)


def test_a_conversation_goes_on_from_it(client: openai.OpenAI, upstream: Simulator) -> None:
    first = client.responses.create(model=MODEL, input="[[sim:text one]]", background=True)
    ended(client, first.id)
    second = client.responses.create(
        model=MODEL, input="[[sim:text two]] and then?", background=True,
        previous_response_id=first.id,
    )  # fmt: skip
    assert ended(client, second.id).output_text == "two"
    sent = [each["role"] for each in upstream.last()["messages"]]
    assert sent == ["user", "assistant", "user"]
    third = client.responses.create(
        model=MODEL, input="[[sim:text three]]", previous_response_id=second.id
    )
    assert third.output_text == "three"


def test_a_stream_that_breaks_is_read_on(
    client: openai.OpenAI, gateway: Gateway, upstream: Simulator
) -> None:
    marker = f"once-{secrets.token_hex(4)}"
    stream = client.responses.create(
        model=MODEL,
        input=f"[[sim:deltas count=40 interval=0.03]] {marker}",
        background=True,
        stream=True,
    )
    first = []
    for event in stream:
        first.append(event)
        if len(first) == 8:
            break
    stream.close()
    opening = first[0]
    assert opening.type == "response.created"
    response_id = opening.response.id
    numbers = [event.sequence_number for event in first]
    assert numbers == list(range(8))

    rest = list(client.responses.retrieve(response_id, stream=True, starting_after=numbers[-1]))
    assert [event.sequence_number for event in rest] == list(range(8, 8 + len(rest)))
    assert rest[-1].type == "response.completed"
    text = "".join(
        event.delta for event in first + rest if event.type == "response.output_text.delta"
    )
    assert client.responses.retrieve(response_id).output_text == text

    path = f"/v1/responses/{response_id}"
    with events_of(gateway, path, last_event_id=numbers[-1]) as again:
        numbered = [(event.id, wire.loads(event.data)["sequence_number"]) for event in again]
    assert numbered == [(number, number) for number in range(8, 8 + len(rest))]
    with events_of(gateway, path) as whole:
        assert len(list(whole)) == 8 + len(rest)
    assert len(upstream.records_with(marker)) == 1


async def test_a_chat_completion_is_made_in_the_background(
    gateway: Gateway, client: openai.OpenAI, database: asyncpg.Connection
) -> None:
    body = {"model": MODEL, "messages": question("[[sim:head 0.5]] [[sim:text late]]")}
    with gateway.http() as http:
        answer = http.post("/v1/chat/completions", json=body, headers=ASYNC)
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "respond-async"
        place = answer.headers["location"]
        shown = answer.json()
        assert place == f"/v1/chat/completions/{shown['id']}"
        assert (shown["object"], shown["status"]) == ("chat.completion", "queued")
        assert (shown["model"], shown["choices"]) == (MODEL, [])
        assert http.get(place).status_code == 202

        def done() -> bool:
            return http.get(place).status_code == 200

        until(done, "the completion is there")
    completion = client.chat.completions.retrieve(shown["id"])
    assert completion.id == shown["id"]
    assert completion.choices[0].message.content == "late"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    (row,) = await usage_rows(database, completion.id)
    assert row["output_tokens"] == completion.usage.completion_tokens
    assert client.chat.completions.delete(completion.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(completion.id)


def test_a_chat_stream_in_the_background_can_be_read_again(
    gateway: Gateway, client: openai.OpenAI
) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "[[sim:deltas count=10 interval=0.01]]"}],
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=ASYNC,
        )
    )
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert chunks[0].id.startswith("chatcmpl-bg")
    assert chunks[-1].usage is not None
    with events_of(gateway, f"/v1/chat/completions/{chunks[0].id}", starting_after=2) as again:
        events = list(again)
    assert [event.id for event in events] == list(range(3, 3 + len(events)))
    assert events[-1].data == "[DONE]"
    assert [wire.loads(event.data) for event in events[:-1]] == [
        {**wire.loads(chunk.to_json().encode()), **wire.loads(event.data)}
        for chunk, event in zip(chunks[3:], events[:-1], strict=True)
    ]


def test_what_comes_together_in_the_background_is_streamed_in_its_pieces(
    client: openai.OpenAI,
) -> None:
    chunks = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "[[sim:deltas count=40 interval=0]]"}],
        stream=True,
        extra_headers=ASYNC,
    )
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) == 40


async def test_what_is_cancelled_in_the_middle_ends_there(
    client: openai.OpenAI,
    gateway: Gateway,
    upstream: Simulator,
    temporal: Client,
    database: asyncpg.Connection,
) -> None:
    marker = f"stop-{secrets.token_hex(4)}"
    asked = client.responses.create(
        model=MODEL,
        input=f"[[sim:deltas count=600 interval=0.1]] {marker}",
        background=True,
    )
    with events_of(gateway, f"/v1/responses/{asked.id}") as stream:
        for _ in range(5):
            next(stream)
        assert client.responses.cancel(asked.id).status == "cancelled"
        last = list(stream)[-1]
    shown = wire.loads(last.data)
    assert (shown["type"], shown["response"]["status"]) == ("response.failed", "cancelled")
    upstream.until_left(marker, 20)
    handle = temporal.get_workflow_handle(f"response-{asked.id}")
    assert (await handle.result())["status"] == "cancelled"
    (row,) = await usage_rows(database, asked.id)
    assert row["status"] == "aborted"
    assert row["input_tokens"] > 0
    assert client.responses.cancel(asked.id).status == "cancelled"
    done = client.responses.create(model=MODEL, input="[[sim:text quick]]", background=True)
    ended(client, done.id)
    assert client.responses.cancel(done.id).status == "completed"


async def test_an_upstream_that_is_busy_is_waited_for(
    client: openai.OpenAI, upstream: Simulator, database: asyncpg.Connection
) -> None:
    marker = f"busy-{secrets.token_hex(4)}"
    upstream.script(
        {"error": {"type": "overloaded_error"}},
        {"error": {"type": "rate_limit_error", "retry_after": 1}},
        {"error": {"type": "api_error"}},
    )
    asked = client.responses.create(
        model=MODEL, input=f"[[sim:text at last]] {marker}", background=True
    )
    assert ended(client, asked.id).output_text == "at last"
    assert len(upstream.records_with(marker)) == 4
    (row,) = await usage_rows(database, asked.id)
    assert row["status"] == "ok"


async def test_an_answer_that_breaks_off_is_made_anew_and_paid_for_once_each(
    client: openai.OpenAI, gateway: Gateway, upstream: Simulator, database: asyncpg.Connection
) -> None:
    marker = f"broken-{secrets.token_hex(4)}"
    upstream.script(
        {
            "blocks": [{"type": "text", "text": "lost"}],
            "delivery": {"cut_events": 5, "delay_seconds": 0.2},
        }
    )
    asked = client.responses.create(
        model=MODEL, input=f"[[sim:text the whole text]] {marker}", background=True
    )
    done = ended(client, asked.id)
    assert (done.status, done.error) == ("completed", None)
    assert done.output_text == "the whole text"
    assert done.usage is not None
    assert len(upstream.records_with(marker)) == 2
    (row,) = await usage_rows(database, asked.id)
    assert row["input_tokens"] == 2 * done.usage.input_tokens
    path = f"/v1/responses/{asked.id}"
    with events_of(gateway, path, starting_after=0) as old:
        (told,) = list(old)
    assert wire.loads(told.data)["code"] == "response_made_anew"
    with events_of(gateway, path) as new:
        events = [wire.loads(event.data) for event in new]
    assert events[0]["type"] == "response.created"
    assert events[-1]["response"]["output"] == wire.loads(done.to_json().encode())["output"]


async def test_what_the_upstream_refuses_has_failed(
    client: openai.OpenAI, gateway: Gateway, upstream: Simulator, database: asyncpg.Connection
) -> None:
    refusal = {"error": {"type": "invalid_request_error", "message": "no such thing"}}
    upstream.script(refusal)
    asked = client.responses.create(model=MODEL, input="anything", background=True)
    failed = ended(client, asked.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert "no such thing" in failed.error.message
    with events_of(gateway, f"/v1/responses/{asked.id}") as stream:
        kinds = [wire.loads(event.data)["type"] for event in stream]
    assert kinds == ["error", "response.failed"]
    (row,) = await usage_rows(database, asked.id)
    assert row["status"] == "error"

    upstream.script(refusal)
    chat = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "anything"}], extra_headers=ASYNC
    )

    def is_refused() -> bool:
        try:
            client.chat.completions.retrieve(chat.id)
        except openai.BadRequestError as error:
            return "no such thing" in error.message
        return False

    until(is_refused, "the completion has failed")


def test_one_key_makes_one_response(
    client: openai.OpenAI, gateway: Gateway, upstream: Simulator
) -> None:
    key = {"Idempotency-Key": secrets.token_hex(8)}
    marker = f"same-{secrets.token_hex(4)}"
    first, again = (
        client.responses.create(
            model=MODEL, input=f"[[sim:text once]] {marker}", background=True, extra_headers=key
        )
        for _ in range(2)
    )
    assert first.id == again.id
    assert ended(client, first.id).output_text == "once"
    with pytest.raises(openai.ConflictError):
        client.responses.create(model=MODEL, input="another", background=True, extra_headers=key)
    assert len(upstream.records_with(marker)) == 1


async def test_a_key_of_another_project_gets_404(
    client: openai.OpenAI, gateway: Gateway, database: asyncpg.Connection
) -> None:
    key = "cgw_" + secrets.token_hex(16)
    other = secrets.token_hex(6)
    await database.execute("insert into projects (id) values ($1)", other)
    await database.execute(
        "insert into api_keys (id, project_id, key_hash) values ($1, $1, $2)", other, hash_key(key)
    )
    asked = client.responses.create(model=MODEL, input="mine", background=True)
    chat = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "mine"}], extra_headers=ASYNC
    )
    places = (f"/v1/responses/{asked.id}", f"/v1/chat/completions/{chat.id}")
    with gateway.http(key) as http:
        for place in places:
            assert http.get(place).status_code == 404
            assert http.get(place, params={"stream": "true"}).status_code == 404
            assert http.post(f"{place}/cancel").status_code == 404
            assert http.delete(place).status_code == 404
        assert http.get(f"{places[0]}/input_items").status_code == 404
    assert ended(client, asked.id).status == "completed"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": "yes"}, "background"),
        ({"background": True, "store": False}, "store"),
        ({"background": True, "model": "claude-nobody-1"}, "model"),
        ({"background": True, "previous_response_id": "resp_none"}, "previous_response_id"),
        ({"background": True, "input": [{"role": "user", "content": 4}]}, "input[0].content"),
    ],
)
def test_bad_requests_are_refused_at_once(
    gateway: Gateway, fields: dict[str, object], param: str
) -> None:
    with gateway.http() as http:
        answer = http.post("/v1/responses", json={"model": MODEL, "input": "x", **fields})
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["param"] == param


def test_a_place_in_the_stream_must_be_a_number(gateway: Gateway, client: openai.OpenAI) -> None:
    asked = client.responses.create(model=MODEL, input="[[sim:text x]]", background=True)
    with gateway.http() as http:
        for wrong in ("abc", "-1", "9" * 40):
            answer = http.get(
                f"/v1/responses/{asked.id}?stream=true", headers={"last-event-id": wrong}
            )
            assert answer.status_code == 400
        answer = http.get(f"/v1/responses/{asked.id}?stream=true&starting_after=x")
        assert answer.status_code == 400
        assert http.get("/v1/responses/resp_bg00").status_code == 404
        assert http.get("/v1/chat/completions/chatcmpl-none").status_code == 404


def test_a_response_is_deleted_with_all_that_was_said(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    asked = client.responses.create(
        model=MODEL, input="[[sim:deltas count=600 interval=0.1]]", background=True
    )
    until(lambda: client.responses.retrieve(asked.id).status == "in_progress", "it has begun")
    with events_of(gateway, f"/v1/responses/{asked.id}") as stream:
        next(stream)
        client.responses.delete(asked.id)
        last = wire.loads(list(stream)[-1].data)
    assert last["type"] == "response.failed" or last["code"] == "response_not_found"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(asked.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.input_items.list(asked.id)
