"""The simulator as the official anthropic package sees it, over HTTP."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import orjson
import pytest
import pytest_asyncio

ROOT = Path(__file__).parents[2]
TOOLS: list[Any] = [
    {
        "name": "read_file",
        "description": "Reads a file",
        "input_schema": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
        },
    }
]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A simulator process of this module; its address is the line it writes."""
    command = [sys.executable, "-m", "simulator", "--delta-delay", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield orjson.loads(line)["base_url"]
        process.terminate()
        process.wait(timeout=10)


@pytest_asyncio.fixture
async def client(base_url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="test", base_url=base_url, max_retries=0) as sdk:
        yield sdk
        await control(base_url, "POST", "reset")


async def control(base_url: str, method: str, path: str, body: Any = None) -> Any:
    content = None if body is None else orjson.dumps(body)
    async with httpx2.AsyncClient(base_url=base_url) as http:
        response = await http.request(method, f"/_sim/{path}", content=content)
        assert response.status_code == 200, response.text
        return response.json()


def ask(text: str, **fields: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


async def test_a_stream_gives_the_same_message_as_its_events(client: Any) -> None:
    async with client.messages.stream(**ask("hello there, who are you?")) as stream:
        texts = [text async for text in stream.text_stream]
        message = await stream.get_final_message()
    assert len(texts) > 5
    assert "".join(texts) == message.content[-1].text
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > len(texts)


async def test_raw_events_have_the_api_sequence(client: Any) -> None:
    stream = await client.messages.create(**ask("hello"), stream=True)
    types = [event.type async for event in stream]
    assert types[0] == "message_start"
    assert types[-2:] == ["message_delta", "message_stop"]
    assert types.count("content_block_start") == types.count("content_block_stop") == 2


async def test_a_tool_loop_with_thinking_round_trips(client: Any) -> None:
    messages: list[Any] = [{"role": "user", "content": "read notes.txt and tell me"}]
    fields = {"tools": TOOLS, "system": "be brief"}
    first = await client.messages.create(**ask("", **fields) | {"messages": messages})
    assert first.stop_reason == "tool_use"
    thought, call = first.content
    assert (thought.type, thought.thinking, bool(thought.signature)) == ("thinking", "", True)
    assert (call.name, call.input) == ("read_file", {"path": "notes.txt"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "forty-two"}
    messages += [first.to_param(), {"role": "user", "content": [result]}]
    second = await client.messages.create(**ask("", **fields) | {"messages": messages})
    assert second.stop_reason == "end_turn"
    assert "forty-two" in second.content[-1].text


async def test_a_streamed_tool_call_can_be_sent_back(client: Any) -> None:
    fields = {"tools": TOOLS}
    body = ask('[[sim:thinking hm]][[sim:tool read_file {"path": "ä.py"}]]', **fields)
    async with client.messages.stream(**body) as stream:
        first = await stream.get_final_message()
    call = first.content[-1]
    assert call.input == {"path": "ä.py"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "ok"}
    body["messages"] += [first.to_param(), {"role": "user", "content": [result]}]
    assert (await client.messages.create(**body)).stop_reason == "end_turn"
    with pytest.raises(anthropic.BadRequestError, match="bound to a different conversation"):
        await client.messages.create(**body, system="changed")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (402, anthropic.APIStatusError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (409, anthropic.ConflictError),
        (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (503, anthropic.InternalServerError),
        (504, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
async def test_errors_are_typed(client: Any, status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        await client.messages.create(**ask(f"[[sim:error {status}]]"))
    error = caught.value
    assert isinstance(error, anthropic.APIStatusError)
    assert error.status_code == status
    assert error.request_id
    assert error.request_id.startswith("req_")
    assert error.type


async def test_error_codes_and_retry_after_reach_the_client(client: Any) -> None:
    text = "[[sim:error 429 retry_after=7 code=ramp_limit_exceeded]]"
    with pytest.raises(anthropic.RateLimitError) as caught:
        await client.messages.create(**ask(text))
    assert caught.value.error_code == "ramp_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("after", [0, 4])
async def test_an_error_can_come_inside_the_stream(client: Any, after: int) -> None:
    seen: list[str] = []

    async def read() -> None:
        body = ask(f"[[sim:text some words in a row]][[sim:error overloaded after={after}]]")
        stream = await client.messages.create(**body, stream=True)
        async for event in stream:
            seen.append(event.type)  # noqa: PERF401 - what came before the error is kept

    with pytest.raises(anthropic.APIStatusError) as caught:
        await read()
    assert (caught.value.status_code, caught.value.type) == (200, "overloaded_error")
    assert bool(seen) is (after > 0)


async def test_a_refusal_carries_its_details(client: Any) -> None:
    message = await client.messages.create(**ask("[[sim:refusal category=cyber]]"))
    assert message.content == []
    assert (message.stop_reason, message.stop_details.category) == ("refusal", "cyber")


async def test_structured_output_fits_its_schema(client: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    config = {"format": {"type": "json_schema", "schema": schema}}
    message = await client.messages.create(**ask("who?", output_config=config))
    assert set(orjson.loads(message.content[-1].text)) == {"name", "age"}


async def test_prompt_caching_is_accounted(client: Any) -> None:
    system = [
        {"type": "text", "text": "rule about code. " * 800, "cache_control": {"type": "ephemeral"}}
    ]
    first = await client.messages.create(**ask("one", system=system))
    second = await client.messages.create(**ask("two", system=system))
    written = first.usage.cache_creation_input_tokens
    assert written > 2000
    assert first.usage.cache_creation.ephemeral_5m_input_tokens == written
    assert second.usage.cache_read_input_tokens == written
    assert second.usage.cache_creation_input_tokens == 0


async def test_count_tokens_agrees_with_usage(client: Any) -> None:
    body = ask("how many tokens is this?", tools=TOOLS, system="s")
    counted = await client.messages.count_tokens(
        **{key: value for key, value in body.items() if key != "max_tokens"}
    )
    message = await client.messages.create(**body)
    assert counted.input_tokens == message.usage.input_tokens


async def test_models_are_listed_with_capabilities(client: Any) -> None:
    page = await client.models.list(limit=5)
    assert len(page.data) == 5
    assert page.has_more
    everything = [model async for model in client.models.list(limit=7)]
    ids = [model.id for model in everything]
    assert len(ids) == len(set(ids)) == 18
    retired = await client.models.list(lifecycle=["retired"], limit=1000)
    assert {model.lifecycle for model in retired.data} == {"retired"}
    opus = await client.models.retrieve("claude-opus-5-5")
    assert opus.capabilities.thinking.types.adaptive.supported
    assert not opus.capabilities.thinking.types.disabled.supported
    assert opus.capabilities.effort.xhigh.supported
    assert (opus.max_input_tokens, opus.max_tokens) == (1_000_000, 128_000)
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("claude-none")


async def test_drop_block_reports_input_transformations(client: Any) -> None:
    first = await client.messages.create(**ask("hello"))
    body = ask("", system="new") | {
        "messages": [
            {"role": "user", "content": "hello"},
            first.to_param(),
            {"role": "user", "content": "more"},
        ]
    }
    message = await client.beta.messages.create(
        **body,
        betas=["thinking-binding-controls-2026-08-01"],
        thinking={
            "type": "adaptive",
            "block_binding": {"prefix_mismatch_behavior": "drop_block"},
        },
    )
    assert [entry.path for entry in message.input_transformations] == ["messages.1.content.0"]


async def test_scripts_are_used_once_and_by_match(client: Any, base_url: str) -> None:
    scripts = [
        {"blocks": [{"type": "text", "text": "special"}], "match": {"contains": "magic"}},
        {"blocks": [{"type": "text", "text": "next"}]},
    ]
    await control(base_url, "POST", "scripts", {"scripts": scripts})
    answers = []
    for text in ("plain", "some magic", "plain"):
        message = await client.messages.create(**ask(text))
        answers.append(message.content[-1].text[:7])
    assert answers == ["next", "special", "You ask"]


async def test_requests_are_recorded_without_credentials(client: Any, base_url: str) -> None:
    await control(base_url, "DELETE", "requests")
    await client.messages.create(**ask("recorded"))
    (record,) = (await control(base_url, "GET", "requests?path=/v1/messages"))["requests"]
    headers = dict(record["headers"])
    assert headers["authorization"] == "Bearer ***"
    assert record["body"]["messages"][0]["content"] == "recorded"
    assert record["status"] == 200
    assert not record["client_left"]
    assert record["usage"]["output_tokens"] > 0


@pytest.fixture
def guarded_url(tmp_path: Path) -> Iterator[str]:
    """A simulator that takes one key only; its address is read from the port file."""
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "simulator", "--api-key", "right", "--instant"]
    with subprocess.Popen(
        [*command, "--port-file", str(port_file)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield orjson.loads(port_file.read_bytes())["base_url"]
        process.terminate()
        process.wait(timeout=10)


async def test_the_wrong_key_is_refused_when_one_is_set(guarded_url: str) -> None:
    right = anthropic.AsyncAnthropic(api_key="right", base_url=guarded_url, max_retries=0)
    wrong = anthropic.AsyncAnthropic(api_key="wrong", base_url=guarded_url, max_retries=0)
    async with right, wrong:
        assert (await right.models.list()).data
        with pytest.raises(anthropic.AuthenticationError, match="Invalid bearer"):
            await wrong.models.list()
