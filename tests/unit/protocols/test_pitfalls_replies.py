"""Faults that users of other gateways reported: what this one shows instead, in answers."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from gateway import wire
from gateway.errors import UpstreamCutError
from gateway.protocols.openai_chat_stream import ChatStream
from gateway.protocols.shared.failures import upstream_error
from gateway.protocols.shared.sse import SSEFramer
from gateway.protocols.shared.usage import UsageMeter, openai_usage
from gateway.structs import replace
from tests.support.messages_stream import (
    CREATED,
    PLAN,
    PLAN_WITH_USAGE,
    arguments,
    assemble,
    block,
    chunks,
    content,
    delta,
    deltas,
    end,
    event,
    finish_reasons,
    openai_sdk,
    start,
    text,
    thinking,
    tool,
    translate,
    whole_answer,
)

SEARCH = block(2, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"})


def tool_deltas(out: bytes) -> list[dict[str, Any]]:
    return [call for each in deltas(out) for call in each.get("tool_calls", ())]


def test_p14_overflow_in_either_wording_has_the_code_clients_compact_on() -> None:
    for message in (
        "prompt is too long: 208310 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
    ):
        body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
        error = upstream_error(400, {}, wire.dumps(body))
        assert (error.status, error.code, error.message) == (
            400,
            "context_length_exceeded",
            message,
        )


def test_p18_tool_index_counts_tools_only() -> None:
    script = start() + thinking(0, "hm") + text(1, "a") + SEARCH
    script += tool(3, "read", "{}") + text(4, "b") + tool(5, "list", "{}")
    out, _ = translate(script + end("tool_use"))
    opened = [(call["index"], call["id"]) for call in tool_deltas(out) if "id" in call]
    assert opened == [(0, "toolu_3"), (1, "toolu_5")]
    assert set(arguments(out)) == {0, 1}


def test_p19_index_is_always_there_and_name_and_id_only_once() -> None:
    out, _ = translate(start() + tool(0, "read", '{"a"', ":1", "}") + end("tool_use"))
    calls = tool_deltas(out)
    assert len(calls) == 4
    assert all(call["index"] == 0 for call in calls)
    assert set(calls[0]) == {"index", "id", "type", "function"}
    assert all(set(call) == {"index", "function"} for call in calls[1:])
    assert all(set(call["function"]) == {"arguments"} for call in calls[1:])


@pytest.mark.parametrize("parts", [(), ("",), ("{}",), ("{", "}")])
def test_p20_a_call_without_arguments_has_an_empty_object(parts: tuple[str, ...]) -> None:
    script = start() + tool(0, "list", *parts) + tool(1, "list", *parts) + end("tool_use")
    assert arguments(translate(script)[0]) == {0: "{}", 1: "{}"}
    calls = whole_answer(script)["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ["{}", "{}"]


@pytest.mark.parametrize(
    ("stop_reason", "calls", "expected"),
    [
        ("tool_use", True, "tool_calls"),
        ("end_turn", True, "tool_calls"),
        ("end_turn", False, "stop"),
        ("stop_sequence", False, "stop"),
        ("max_tokens", False, "length"),
        ("max_tokens", True, "length"),
        ("model_context_window_exceeded", False, "length"),
        ("refusal", False, "content_filter"),
        ("pause_turn", False, "stop"),
    ],
)
def test_p21_finish_reason_is_the_same_streamed_and_whole(
    stop_reason: str, calls: bool, expected: str
) -> None:
    script = start() + text(0, "a") + (tool(1, "t", '{"a":1}') if calls else b"") + end(stop_reason)
    assert finish_reasons(translate(script)[0]) == [expected]
    assert whole_answer(script)["choices"][0]["finish_reason"] == expected


@pytest.mark.parametrize("parts", [(), ('{"path": "a', ' b"'), ('{"path": ',)])
@pytest.mark.parametrize("stop", ["max_tokens", "model_context_window_exceeded", "refusal"])
def test_p22_a_call_that_was_cut_can_not_be_run(parts: tuple[str, ...], stop: str) -> None:
    script = start() + tool(0, "whole", '{"a":1}') + tool(1, "cut", *parts) + end(stop)
    out, _ = translate(script)
    assert finish_reasons(out)[0] in ("length", "content_filter")
    with pytest.raises(wire.JSONDecodeError):
        wire.loads(arguments(out)[1])
    assert arguments(out)[1] != ""
    assert wire.loads(arguments(out)[0]) == {"a": 1}
    message = whole_answer(script)["choices"][0]["message"]
    assert "cut" not in str(message.get("tool_calls"))


def test_p22_a_stream_that_ends_early_never_finishes_its_call() -> None:
    whole = start() + tool(0, "rm", '{"path": ', '"/tmp/x"}') + end("tool_use")
    for at in range(len(whole) - 1):
        out, stream = translate(whole[:at])
        assert not stream.meter.completed
        assert finish_reasons(out) == []
        assert b"[DONE]" not in out


def test_p22_an_early_end_does_not_supply_missing_arguments() -> None:
    out, _ = translate(start() + tool(0, "rm"))
    assert arguments(out) == {0: ""}
    assert assemble(start() + tool(0, "rm")).message["content"] == []


async def test_p23_an_error_event_reaches_the_client_as_an_error() -> None:
    overloaded = {"type": "overloaded_error", "message": "Overloaded"}
    before = start() + text(0, "half an ")
    out, stream = translate(before + event("error", error=overloaded) + text(1, "x") + end())
    assert stream.failure is not None
    assert (stream.failure.upstream_kind, stream.failure.retryable) == ("overloaded_error", True)
    assert not stream.meter.completed
    assert content(out) == "half an "
    out += stream.error(stream.failure)
    assert b'finish_reason":"' not in out
    assert b"[DONE]" not in out
    async with openai_sdk(out) as client:
        reply = await client.chat.completions.create(model="m", messages=[], stream=True)
        with pytest.raises(openai.APIError, match="Overloaded") as caught:
            async for _ in reply:
                pass
    assert (caught.value.code, caught.value.type) == ("overloaded", "server_error")


async def test_p24_an_end_without_message_stop_is_told_and_becomes_an_error() -> None:
    whole = start() + text(0, "half an answer") + end()
    out, stream = translate(whole[: whole.index(b"event: message_stop")])
    assert not stream.meter.completed
    out += stream.error(UpstreamCutError("the answer was cut"))
    async with openai_sdk(out) as client:
        reply = await client.chat.completions.create(model="m", messages=[], stream=True)
        with pytest.raises(openai.APIError, match="cut") as caught:
            async for _ in reply:
                pass
    assert caught.value.code == "upstream_cut"


def test_p25_nothing_is_said_before_the_message_starts() -> None:
    out, stream = translate(
        event("ping") + event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    )
    assert out == b""
    assert stream.failure is not None
    assert stream.failure.status == 503


def test_p26_a_second_start_adds_no_second_role() -> None:
    out, _ = translate(start() + start() + text(0, "a") + end())
    assert [each for each in deltas(out) if "role" in each] == deltas(out)[:1]


@pytest.mark.parametrize("first", [text(0, "a"), tool(0, "t"), thinking(0, "a"), b""])
def test_p27_the_first_chunk_always_has_the_role(first: bytes) -> None:
    out, _ = translate(start() + first + end())
    assert deltas(out)[0] == {"role": "assistant", "content": ""}


def test_p28_one_usage_chunk_and_only_if_asked() -> None:
    script = start() + text(0, "a") + end()
    seen = chunks(translate(script, PLAN_WITH_USAGE)[0])
    with_usage = [chunk for chunk in seen if chunk["usage"] is not None]
    assert with_usage == seen[-1:]
    assert with_usage[0]["choices"] == []
    assert (with_usage[0]["id"], with_usage[0]["model"]) == (seen[0]["id"], seen[0]["model"])
    assert all("usage" not in chunk for chunk in chunks(translate(script)[0]))
    for chunk in seen:
        ChatCompletionChunk.model_validate(chunk)


def test_p29_characters_split_between_reads_stay_whole() -> None:
    words = "Grüße, 日本語 und 👩‍👩‍👧‍👦 \u2028"
    script = (
        start() + text(0, words) + tool(1, "t", wire.dumps_text({"a": words})) + end("tool_use")
    )
    for size in (1, 2, 3, 5, 7):
        out, _ = translate(script, read_size=size)
        assert content(out) == words
        assert wire.loads(arguments(out)[0]) == {"a": words}
        assert "\ufffd" not in out.decode()


def test_p30_pings_are_relayed_as_comments_clients_ignore() -> None:
    out, _ = translate(start() + event("ping") + text(0, "a") + event("ping"))
    assert out.count(b": ping\n\n") == 2
    assert SSEFramer().feed(ChatStream.KEEP_ALIVE) == []


def test_p31_a_ping_is_no_sign_of_an_answer() -> None:
    stream = ChatStream(PLAN, CREATED, "chatcmpl-1")
    stream.feed(SSEFramer().feed(start()))
    before = replace(stream.meter)
    assert stream.feed([("ping", b'{"type":"ping"}')]) == ChatStream.KEEP_ALIVE
    assert stream.meter == before
    assert not stream.meter.completed


@pytest.mark.parametrize(
    ("uncached", "read", "written"), [(10, 0, 0), (0, 500, 0), (3, 1000, 200), (0, 0, 0)]
)
def test_p45_prompt_tokens_include_cache_reads_and_writes(
    uncached: int, read: int, written: int
) -> None:
    script = start(
        input_tokens=uncached, cache_read_input_tokens=read, cache_creation_input_tokens=written
    )
    script += text(0, "a") + end()
    streamed = chunks(translate(script, PLAN_WITH_USAGE)[0])[-1]["usage"]
    assert streamed == whole_answer(script)["usage"]
    assert streamed["prompt_tokens"] == uncached + read + written
    assert streamed["prompt_tokens_details"]["cached_tokens"] == read
    assert streamed["total_tokens"] == streamed["prompt_tokens"] + streamed["completion_tokens"]


def test_p46_an_answer_left_early_counts_what_was_seen() -> None:
    partial = start(cache_read_input_tokens=900) + text(0, "word " * 700)
    _, stream = translate(partial)
    meter = stream.meter
    assert (meter.prompt_tokens, meter.output_tokens) == (910, 1)
    assert meter.estimated_output_tokens == 1000
    assert assemble(partial).meter.estimated_output_tokens == 1000


def test_p46_thinking_and_arguments_count_too_and_hidden_ones_as_well() -> None:
    script = start() + thinking(0, "x" * 350) + tool(1, "t", "y" * 350)
    _, shown = translate(script)
    _, hidden = translate(script, replace(PLAN, show_reasoning=False))
    assert shown.meter.estimated_output_tokens == hidden.meter.estimated_output_tokens == 200


def test_p46_the_final_count_wins_over_the_estimate_even_when_it_is_zero() -> None:
    _, stream = translate(start() + text(0, "x" * 700) + end("refusal", output_tokens=0))
    assert stream.meter.estimated_output_tokens == 0


def test_p46_nothing_seen_is_zero() -> None:
    meter = UsageMeter()
    assert (meter.prompt_tokens, meter.estimated_output_tokens) == (0, 0)
    assert openai_usage(meter)["total_tokens"] == 0


def test_p62_the_bytes_of_an_upstream_error_are_kept() -> None:
    body = (
        b'{ "type":"error" , "error":{"type":"invalid_request_error","message":"x https://i"} }\n'
    )
    assert upstream_error(400, {}, body).upstream_body is body


def test_p22_a_delta_after_the_cut_block_changes_nothing() -> None:
    script = start() + tool(0, "t", '{"a"') + delta(0, "input_json_delta", partial_json=":1}")
    out, _ = translate(script + end("max_tokens"))
    assert arguments(out) == {0: '{"a"'}
