"""Legacy completions through the official OpenAI package."""

import asyncio
import secrets
import time
from typing import Any

import asyncpg
import httpx2
import openai
import pytest

from tests.contract.harness.gateway import Gateway
from tests.contract.harness.simulator import Simulator

SMALL = "claude-haiku-5-5"


def say(text: str) -> str:
    return f"def f(): # [[sim:text {text}]]"


def test_a_prompt_is_completed(client: Any, simulator: Simulator) -> None:
    answer = client.completions.with_raw_response.create(model="auto", prompt=say("return 1"))
    completion = answer.parse()
    assert (completion.object, completion.model) == ("text_completion", "auto")
    assert completion.id.startswith("cmpl-")
    (choice,) = completion.choices
    assert (choice.text, choice.finish_reason, choice.logprobs) == ("return 1", "stop", None)
    assert completion.usage.total_tokens > 0
    assert answer.headers["x-routed-model"] == SMALL
    sent = simulator.last()
    assert (sent["model"], sent["max_tokens"]) == (SMALL, 16)
    assert sent["thinking"] == {"type": "disabled"}


def test_the_stream_says_the_same(client: Any) -> None:
    fields = {"model": "auto", "prompt": say("return one or two"), "max_tokens": 60}
    whole = client.completions.create(**fields)
    chunks = list(
        client.completions.create(**fields, stream=True, stream_options={"include_usage": True})
    )
    *texts, last = chunks
    assert "".join(chunk.choices[0].text for chunk in texts) == whole.choices[0].text
    assert [chunk.choices[0].finish_reason for chunk in texts][-1] == "stop"
    assert last.choices == []
    assert last.usage == whole.usage
    assert {chunk.object for chunk in chunks} == {"text_completion"}


async def test_a_gap_is_filled(async_client: Any, simulator: Simulator) -> None:
    completion = await async_client.completions.create(
        model=SMALL, prompt="def f(", suffix="):\n  pass [[sim:text a, b]]", max_tokens=30
    )
    assert completion.choices[0].text == "a, b"
    (message,) = simulator.last()["messages"]
    assert message["content"][0]["text"].startswith("<prefix>def f(</prefix>\n<suffix>):")


@pytest.mark.parametrize("stream", [False, True])
def test_no_fence_reaches_an_editor(client: Any, simulator: Simulator, stream: bool) -> None:
    text = "```python\nreturn a\n```\n"
    simulator.script({"blocks": [{"type": "text", "text": text}]})
    answer = client.completions.create(model=SMALL, prompt="def f(a):", stream=stream)
    parts = list(answer) if stream else [answer]
    assert "".join(part.choices[0].text for part in parts) == "return a"


async def usage_row(gateway: Gateway, session: str) -> asyncpg.Record:
    """The usage row of a session, once it is there."""
    connection = await asyncpg.connect(gateway.environment["DATABASE_URL"])
    try:
        deadline = time.monotonic() + 10
        query = "select * from usage_events where session_id = $1"
        while not (rows := await connection.fetch(query, session)):
            assert time.monotonic() < deadline, "the usage row did not come"
            await asyncio.sleep(0.1)
        (row,) = rows
        return row
    finally:
        await connection.close()


async def test_a_whole_line_ends_where_the_client_says(
    async_client: Any, simulator: Simulator, gateway: Gateway
) -> None:
    mark = f"mark-{secrets.token_hex(8)}"
    completion = await async_client.completions.create(
        model=SMALL,
        prompt=f"{mark} [[sim:text return a\nprint(b)]]",
        stop=["\n"],
        max_tokens=90,
        extra_headers={"x-session-id": mark},
    )
    (choice,) = completion.choices
    assert (choice.text, choice.finish_reason) == ("return a", "stop")
    assert "stop_sequences" not in simulator.last()
    row = await usage_row(gateway, mark)
    assert (row["status"], row["estimated"]) == ("ok", False)
    assert row["output_tokens"] == completion.usage.completion_tokens


async def test_a_streamed_line_ends_at_once_and_frees_the_upstream(
    async_client: Any, simulator: Simulator, gateway: Gateway
) -> None:
    mark = f"mark-{secrets.token_hex(8)}"
    words = " ".join(["word"] * 400)
    stream = await async_client.completions.create(
        model=SMALL,
        prompt=f"{mark} [[sim:text return a\n{words}]] [[sim:pace 0.1]]",
        stop=["\n"],
        max_tokens=900,
        stream=True,
        extra_headers={"x-session-id": mark},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].text for chunk in chunks) == "return a"
    assert chunks[-1].choices[0].finish_reason == "stop"
    record = await asyncio.to_thread(simulator.until_left, mark, 10)
    assert record["events_sent"] < 200
    row = await usage_row(gateway, mark)
    assert (row["status"], row["http_status"], row["estimated"]) == ("ok", 200, True)
    assert row["output_tokens"] >= 2


def test_the_path_without_a_version_and_echo(http: httpx2.Client) -> None:
    prompt = say("x")
    response = http.post("/completions", json={"prompt": [prompt], "echo": True})
    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["text"] == prompt + "x"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"n": 2}, "n"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 1}, "logprobs"),
    ],
)
def test_what_claude_cannot_do_is_refused(client: Any, fields: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**{"model": "auto", "prompt": "a", **fields})
    assert caught.value.param == param


def test_an_error_of_the_upstream_keeps_its_status(client: Any) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.completions.create(model=SMALL, prompt="[[sim:error 404]]")
    assert caught.value.status_code == 404


def test_a_cut_stream_is_an_error(client: Any) -> None:
    stream = client.completions.create(
        model=SMALL, prompt="[[sim:text a b c d e f]] [[sim:cut events=5]]", stream=True
    )
    with pytest.raises(openai.APIError):
        list(stream)
