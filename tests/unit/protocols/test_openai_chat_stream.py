"""Chat completion chunks from Messages streams."""

from functools import reduce
from operator import add

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from gateway import wire
from gateway.errors import RateLimitError, UpstreamCutError
from gateway.protocols.openai_chat_stream import ChatStream
from gateway.protocols.shared.sse import SSEFramer
from gateway.structs import replace
from tests.support.messages_stream import (
    CREATED,
    PLAN,
    PLAN_WITH_USAGE,
    arguments,
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
)

RICH = reduce(
    add,
    [
        start(cache_read_input_tokens=7),
        event("ping"),
        thinking(0, "Let me ", "see 日本."),
        text(1, "Reading", " the file 🙂…"),
        tool(2, "read_file", '{"path": "ä', '.py"}'),
        event("a_new_event", anything=1),
        tool(3, "list"),
        thinking(4),
        text(5, "Done\u2028.\n"),
        end("tool_use"),
    ],
)


def test_first_chunk_has_the_role_and_every_chunk_the_same_identity() -> None:
    out, stream = translate(RICH, PLAN_WITH_USAGE)
    seen = chunks(out)
    assert seen[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert {(c["id"], c["created"], c["model"]) for c in seen} == {
        ("chatcmpl-01ABC", CREATED, "gpt-5")
    }
    assert all(c["object"] == "chat.completion.chunk" for c in seen)
    assert all(c["system_fingerprint"] is None for c in seen)
    assert [c for c in seen if "role" in (c["choices"] or [{"delta": {}}])[0]["delta"]] == seen[:1]
    assert stream.meter.completed
    assert out.endswith(b"data: [DONE]\n\n")


def test_a_message_without_an_id_gets_the_callers() -> None:
    out, _ = translate(event("message_start", message={"usage": None}) + text(0, "a") + end())
    assert {chunk["id"] for chunk in chunks(out)} == {"chatcmpl-fallback"}


def test_text_is_set_apart_when_other_blocks_came_between() -> None:
    out, _ = translate(RICH)
    assert content(out) == "Reading the file 🙂…\n\nDone\u2028.\n"


def test_adjacent_text_blocks_and_text_after_a_line_break_get_no_blank_line() -> None:
    out, _ = translate(start() + text(0, "a", "b\n") + tool(1, "t") + text(2, "c") + end())
    assert content(out) == "ab\nc"
    out, _ = translate(start() + text(0, "a") + text(1, "b") + end())
    assert content(out) == "ab"
    out, _ = translate(start() + thinking(0, "x") + text(1, "b") + end())
    assert content(out) == "b"


def test_an_empty_text_block_keeps_the_blank_line_for_the_next() -> None:
    script = text(0, "a") + tool(1, "t") + text(2, "") + text(3, "b")
    assert content(translate(start() + script + end())[0]) == "a\n\nb"


def test_text_in_the_block_start_is_not_lost() -> None:
    given_text = block(0, {"type": "text", "text": "Hi"}, delta(0, "text_delta", text="!"))
    assert content(translate(start() + given_text + end())[0]) == "Hi!"


def test_reasoning_is_shown_under_both_names_and_signed() -> None:
    out, _ = translate(RICH)
    seen = deltas(out)
    assert "".join(d.get("reasoning_content", "") for d in seen) == "Let me see 日本."
    assert "".join(d.get("reasoning", "") for d in seen) == "Let me see 日本."
    details = [detail for d in seen for detail in d.get("reasoning_details", ())]
    common = {"type": "reasoning.text", "signature": "c2ln", "format": "anthropic-claude-v1"}
    assert details == [
        {**common, "text": "Let me see 日本.", "index": 0},
        {**common, "text": "", "index": 1},
    ]


def test_several_thoughts_are_set_apart() -> None:
    out, _ = translate(start() + thinking(0, "a") + tool(1, "t") + thinking(2, "b", "c") + end())
    assert "".join(d.get("reasoning", "") for d in deltas(out)) == "a\n\nbc"


def test_redacted_thinking_is_carried_encrypted() -> None:
    redacted = block(0, {"type": "redacted_thinking", "data": "ZW5j"})
    out, _ = translate(start() + redacted + text(1, "a") + end())
    assert deltas(out)[1] == {
        "reasoning_details": [
            {
                "type": "reasoning.encrypted",
                "data": "ZW5j",
                "format": "anthropic-claude-v1",
                "index": 0,
            }
        ]
    }


def test_without_show_reasoning_nothing_of_it_leaves() -> None:
    out, stream = translate(RICH, replace(PLAN, show_reasoning=False))
    assert b"reasoning" not in out
    assert stream.meter.output_chars > len("Let me see")


def test_unsigned_thinking_has_no_detail() -> None:
    out, _ = translate(start() + thinking(0, "a", signature="") + end())
    assert b"reasoning_details" not in out


def test_tools_get_back_their_clients_names() -> None:
    plan = replace(PLAN, original_tool_names={"server_tool_1a": "server.tool"})
    out, _ = translate(start() + tool(0, "server_tool_1a", "{}") + end("tool_use"), plan)
    assert deltas(out)[1]["tool_calls"][0] == {
        "index": 0,
        "id": "toolu_0",
        "type": "function",
        "function": {"name": "server.tool", "arguments": ""},
    }


def test_wrapped_tools_are_unwrapped() -> None:
    plan = replace(PLAN, wrapped_tools=frozenset({"t"}))
    script = tool(0, "t", '{"value"', ': [1, {"a": "ü"}]}') + tool(1, "t", '{"value": null}')
    out, _ = translate(start() + script + end("tool_use"), plan)
    assert arguments(out) == {0: '[1,{"a":"ü"}]', 1: "null"}


def test_a_wrapped_call_that_was_cut_stays_unreadable() -> None:
    plan = replace(PLAN, wrapped_tools=frozenset({"t"}))
    out, _ = translate(start() + tool(0, "t", '{"value": [1') + end("max_tokens"), plan)
    assert arguments(out) == {0: '{"value": [1'}


def test_custom_tools_stream_as_functions_with_their_input() -> None:
    plan = replace(PLAN, custom_tools=frozenset({"apply_patch"}))
    script = tool(0, "apply_patch", '{"input": "*** Begin', ' Patch"}')
    out, _ = translate(start() + script + end("tool_use"), plan)
    assert {call["type"] for d in deltas(out) for call in d.get("tool_calls", ()) if "type" in call}
    assert wire.loads(arguments(out)[0]) == {"input": "*** Begin Patch"}


def test_input_given_in_the_block_start_is_sent() -> None:
    content_block = {"type": "tool_use", "id": "toolu_9", "name": "t", "input": {"a": 1}}
    out, _ = translate(start() + block(0, content_block) + end("tool_use"))
    assert arguments(out) == {0: '{"a":1}'}


def test_legacy_functions_get_one_function_call() -> None:
    plan = replace(PLAN, legacy_functions=True)
    script = tool(0, "f", '{"a":', "1}") + tool(1, "g", "{}")
    out, _ = translate(start() + script + end("tool_use"), plan)
    assert [d["function_call"] for d in deltas(out) if "function_call" in d] == [
        {"name": "f", "arguments": ""},
        {"arguments": '{"a":'},
        {"arguments": "1}"},
    ]
    assert b"tool_calls" not in out
    assert finish_reasons(out) == ["function_call"]


def test_server_tools_are_a_sign_of_life_but_no_call() -> None:
    content_block = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"}
    search = block(0, content_block, delta(0, "input_json_delta", partial_json='{"query": "x"}'))
    result = block(1, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1"})
    out, _ = translate(start() + search + result + text(2, "It is.") + end())
    assert ChatStream.KEEP_ALIVE in out
    assert b"tool_calls" not in out
    assert finish_reasons(out) == ["stop"]


def test_web_citations_leave_together_with_their_positions() -> None:
    def cited(index: int, words: str, url: str) -> bytes:
        citation = {"type": "web_search_result_location", "url": url, "title": None}
        other = {"type": "char_location", "document_index": 0}
        return block(
            index,
            {"type": "text", "text": ""},
            delta(index, "text_delta", text=words),
            delta(index, "citations_delta", citation=citation),
            delta(index, "citations_delta", citation=other),
        )

    script = text(0, "Hm: ") + cited(1, "one", "https://a") + cited(2, " two", "https://b")
    out, _ = translate(start() + script + end())
    found = [d["annotations"] for d in deltas(out) if "annotations" in d]
    assert len(found) == 1
    cites = [annotation["url_citation"] for annotation in found[0]]
    assert [content(out)[c["start_index"] : c["end_index"]] for c in cites] == ["one", " two"]
    assert [(c["url"], c["title"]) for c in cites] == [("https://a", ""), ("https://b", "")]


def test_a_refusal_says_so_and_is_filtered() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    out, _ = translate(start() + text(0, "Well") + end("refusal", stop_details=details))
    assert deltas(out)[-2:] == [{"refusal": "No."}, {}]
    assert finish_reasons(out) == ["content_filter"]


def test_service_tier_is_told_only_to_who_asked() -> None:
    script = start(service_tier="standard") + text(0, "a") + end()
    assert b"service_tier" not in translate(script)[0]
    seen = chunks(translate(script, replace(PLAN, echo_service_tier=True))[0])
    assert {chunk["service_tier"] for chunk in seen} == {"default"}


def test_unknown_blocks_and_deltas_are_ignored() -> None:
    unknown = block(0, {"type": "hologram"}, delta(0, "hologram_delta", light=1))
    out, stream = translate(start() + unknown + text(1, "a") + end())
    assert (content(out), stream.failure) == ("a", None)


def test_pings_before_the_start_are_not_relayed() -> None:
    out, _ = translate(event("ping") + start() + event("ping"))
    assert out.startswith(b"data: ")
    assert out.endswith(ChatStream.KEEP_ALIVE)


def test_nothing_is_said_after_the_end() -> None:
    whole = start() + text(0, "a") + end()
    assert translate(whole + text(1, "b") + end())[0] == translate(whole)[0]


def test_a_character_split_by_escapes_is_whole_again() -> None:
    halves = b"".join(
        b"event: content_block_delta\ndata: "
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}}\n\n'
        % half
        for half in (rb"a\ud83d", rb"\ude00b", rb"\ud83d")
    )
    opened = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    out, _ = translate(start() + opened + halves + event("content_block_stop", index=0) + end())
    assert content(out) == "a😀b\ufffd"


@pytest.mark.parametrize(
    "broken",
    [
        b"event: content_block_delta\ndata: {oops\n\n",
        b"event: content_block_delta\ndata: [1]\n\n",
        event("content_block_delta", index=0),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": None}),
        event("content_block_start", index=0),
        event("message_delta", delta=None),
    ],
)
def test_an_unreadable_event_is_a_failure_and_keeps_what_came_before(broken: bytes) -> None:
    out, stream = translate(start() + text(0, "kept") + broken + text(1, "lost") + end())
    assert content(out) == "kept"
    assert stream.failure is not None
    assert (stream.failure.status, stream.failure.code) == (502, "upstream_error")
    assert not stream.meter.completed
    assert b"[DONE]" not in out


@pytest.mark.parametrize("first", [text(0, "a"), delta(0, "text_delta", text="a"), end()])
def test_a_stream_without_its_start_is_a_failure(first: bytes) -> None:
    out, stream = translate(first)
    assert out == b""
    assert stream.failure is not None


def test_an_end_without_a_reason_is_a_cut() -> None:
    out, stream = translate(start() + text(0, "a") + end(None))
    assert isinstance(stream.failure, UpstreamCutError)
    assert finish_reasons(out) == []


@settings(max_examples=60)
@given(size=st.integers(1, 400))
def test_reads_of_any_size_give_the_same_bytes(size: int) -> None:
    assert translate(RICH, PLAN_WITH_USAGE, size)[0] == translate(RICH, PLAN_WITH_USAGE)[0]


def test_every_single_split_point_gives_the_same_bytes() -> None:
    expected = translate(RICH)[0]
    for at in range(len(RICH)):
        stream = ChatStream(PLAN, CREATED, "chatcmpl-fallback")
        assert _in_two_reads(stream, at) == expected


def _in_two_reads(stream: ChatStream, at: int) -> bytes:
    framer = SSEFramer()
    return stream.feed(framer.feed(RICH[:at])) + stream.feed(framer.feed(RICH[at:]))


@given(texts=st.lists(st.text(), max_size=8))
def test_any_text_arrives_unchanged_and_in_safe_lines(texts: list[str]) -> None:
    out, _ = translate(start() + text(0, *texts) + end())
    assert content(out) == "".join(texts)
    assert not any(mark in out.decode() for mark in "\u2028\u2029\u0085")


@given(parts=st.lists(st.text(min_size=1), max_size=5), first=st.text())
def test_any_arguments_arrive_unchanged(parts: list[str], first: str) -> None:
    raw = wire.dumps({"text": first, "parts": parts}).decode()
    cut = len(raw) // 2
    out, _ = translate(start() + tool(0, "t", raw[:cut], raw[cut:]) + end("tool_use"))
    assert arguments(out) == {0: raw}


@pytest.mark.parametrize("read_size", [0, 7])
async def test_the_official_client_accumulates_the_stream(read_size: int) -> None:
    out, _ = translate(RICH, PLAN_WITH_USAGE)
    async with (
        openai_sdk(out, read_size=read_size) as client,
        client.chat.completions.stream(
            model="gpt-5", messages=[{"role": "user", "content": "hi"}]
        ) as stream,
    ):
        completion = await stream.get_final_completion()
    choice = completion.choices[0]
    assert completion.id == "chatcmpl-01ABC"
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Reading the file 🙂…\n\nDone\u2028.\n"
    calls = choice.message.tool_calls or []
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        ("toolu_2", "read_file", '{"path": "ä.py"}'),
        ("toolu_3", "list", "{}"),
    ]
    extra = choice.message.model_extra or {}
    assert extra["reasoning_content"] == "Let me see 日本."
    assert [detail["index"] for detail in extra["reasoning_details"]] == [0, 1]
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 17


async def test_the_official_client_raises_on_the_error_event() -> None:
    out, _ = translate(start() + text(0, "par", "tial"))
    out += ChatStream.error(RateLimitError("slow\u2028down"))
    seen: list[str] = []

    async def read(stream: openai.AsyncStream[ChatCompletionChunk]) -> None:
        async for chunk in stream:
            last = chunk.choices[0].delta
            seen.append(last.content or "")

    async with openai_sdk(out) as client:
        stream = await client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        with pytest.raises(openai.APIError, match="slow") as caught:
            await read(stream)
    assert "".join(seen) == "partial"
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "rate_limit_error")
