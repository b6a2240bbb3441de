"""A summary of the API's own is nothing a client of OpenAI's protocols sees, but is paid for."""

from typing import Any

from tests.support import responses_stream
from tests.support.messages_stream import (
    block,
    content,
    delta,
    deltas,
    end,
    finish_reasons,
    start,
    text,
    tool,
    translate,
    whole_answer,
)

SUMMARY = block(
    0,
    {"type": "compaction", "content": None},
    delta(0, "compaction_delta", content="so far", encrypted_content="opaque"),
)
ITERATIONS: list[Any] = [
    {"type": "compaction", "input_tokens": 60_000, "output_tokens": 300},
    {"type": "message", "input_tokens": 10, "output_tokens": 20},
]
ANSWER = start() + SUMMARY + text(1, "Go", " on") + tool(2, "read", "{}")
STREAM = ANSWER + end("tool_use", iterations=ITERATIONS)


def test_a_chat_stream_goes_on_as_if_it_were_not_there() -> None:
    out, stream = translate(STREAM)
    assert stream.failure is None
    assert content(out) == "Go on"
    calls = [each["tool_calls"][0] for each in deltas(out) if "tool_calls" in each]
    assert calls[0]["index"] == 0
    assert finish_reasons(out) == ["tool_calls"]
    assert b"so far" not in out
    assert b"opaque" not in out


def test_a_whole_chat_answer_neither() -> None:
    message = whole_answer(STREAM)["choices"][0]["message"]
    assert message["content"] == "Go on"
    assert len(message["tool_calls"]) == 1


def test_a_responses_stream_and_answer_neither() -> None:
    out, stream = responses_stream.stream_out(STREAM)
    assert stream.failure is None
    assert [item["type"] for item in responses_stream.final(out)["output"]] == [
        "message",
        "function_call",
    ]
    assert b"so far" not in out
    body = responses_stream.whole(STREAM).response
    assert [item["type"] for item in body["output"]] == ["message", "function_call"]


def test_what_it_used_is_counted() -> None:
    _, stream = translate(STREAM)
    assert stream.meter.input_tokens == 60_010
    assert stream.meter.output_tokens == 320
