"""Responses events from Messages streams: what each block becomes."""

from gateway.protocols.openai_responses_plan import response_of_item
from gateway.protocols.openai_responses_stream import ResponsesStream
from tests.support.messages_stream import (
    assemble,
    block,
    delta,
    end,
    event,
    start,
    text,
    thinking,
)
from tests.support.responses_scripts import RICH, RICH_FRAME, TOOLS
from tests.support.responses_stream import (
    CREATED,
    RESPONSE_ID,
    SEAL,
    events,
    final,
    joined_deltas,
    kinds,
    make_frame,
    stream_out,
)


def test_a_text_answer_has_the_events_of_the_api_in_order() -> None:
    out, stream = stream_out(start() + text(0, "Hel", "lo") + end(), make_frame())
    assert kinds(out) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert stream.meter.completed
    response = final(out)
    assert response["status"] == "completed"
    assert response["id"] == RESPONSE_ID
    assert response["created_at"] == response["completed_at"] == CREATED
    assert response["output"] == [
        {
            "id": "msg_0a1b_0",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello"}
            ],
        }
    ]


def test_the_first_events_carry_the_whole_request_and_no_output() -> None:
    frame = make_frame(instructions="Be brief", tools=TOOLS, metadata={"a": "b"}, store=False)
    out, _ = stream_out(start() + text(0, "x") + end(), frame)
    for opened in events(out)[:2]:
        response = opened["response"]
        assert response["status"] == "in_progress"
        assert response["output"] == []
        assert response["usage"] is None
        assert response["completed_at"] is None
        assert response["instructions"] == "Be brief"
        assert response["tools"] == TOOLS
        assert response["metadata"] == {"a": "b"}
        assert response["store"] is False
        assert response["model"] == "gpt-5"


def test_deltas_join_to_what_the_items_say() -> None:
    out, _ = stream_out(RICH, RICH_FRAME)
    joined = joined_deltas(out)
    by_id = {item["id"]: item for item in final(out)["output"]}
    assert [item["type"] for item in by_id.values()] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "reasoning",
        "custom_tool_call",
        "function_call",
        "function_call",
        "message",
    ]
    for (kind, item_id), written in joined.items():
        item = by_id[item_id]
        if kind == "response.output_text.delta":
            assert written == "".join(part["text"] for part in item["content"])
        elif kind == "response.function_call_arguments.delta":
            assert written == item["arguments"]
        elif kind == "response.custom_tool_call_input.delta":
            assert written == item["input"] == "*** Begin\n+a🙂"
        else:
            assert written == item["summary"][0]["text"] == "Let me see 日本."
    calls = [item for item in by_id.values() if item["type"] == "function_call"]
    assert [(call["name"], call["arguments"]) for call in calls] == [
        ("read_file", '{"path": "ä.py"}'),
        ("list", "{}"),
        ("pick", '"b"'),
        ("stat", '{"p":1}'),
    ]
    assert calls[-1]["namespace"] == "mcp.fs"
    assert [call["call_id"] for call in calls] == ["toolu_3", "toolu_4", "toolu_7", "toolu_8"]


def test_adjacent_text_blocks_are_parts_of_one_message() -> None:
    out, _ = stream_out(RICH, RICH_FRAME)
    parts = final(out)["output"][1]["content"]
    assert [part["text"] for part in parts] == ["Reading the file 🙂…", "at once"]
    added = [each for each in events(out) if each["type"] == "response.content_part.added"]
    assert [(each["output_index"], each["content_index"]) for each in added] == [
        (1, 0),
        (1, 1),
        (8, 0),
    ]


def test_output_indices_count_items_and_ids_name_the_response() -> None:
    out, _ = stream_out(RICH, RICH_FRAME)
    added = [each for each in events(out) if each["type"] == "response.output_item.added"]
    done = [each for each in events(out) if each["type"] == "response.output_item.done"]
    assert [each["output_index"] for each in added] == list(range(9))
    assert sorted(each["output_index"] for each in done) == list(range(9))
    assert [each["item"] for each in sorted(done, key=lambda each: each["output_index"])] == final(
        out
    )["output"]
    for each in added:
        item = each["item"]
        assert item["status"] == "in_progress"
        assert response_of_item(item["id"]) == RESPONSE_ID
    assert len({each["item"]["id"] for each in added}) == 9


def test_reasoning_is_sealed_only_when_asked_for_but_always_kept() -> None:
    script = start() + thinking(0, "Hm", signature="sig") + text(1, "x") + end()
    hidden, stream = stream_out(script, make_frame(reasoning={"summary": "auto"}))
    assert "encrypted_content" not in final(hidden)["output"][0]
    assert b"encrypted_content" not in hidden
    opened = SEAL.open(stream.items[0]["encrypted_content"])
    assert opened is not None
    assert opened.block == {"type": "thinking", "thinking": "Hm", "signature": "sig"}
    assert opened.model == "claude-sonnet-5-5"
    shown, stream = stream_out(script, RICH_FRAME)
    assert final(shown)["output"][0] == stream.items[0]
    assert SEAL.open(final(shown)["output"][0]["encrypted_content"]) is not None


def test_without_a_summary_wish_no_thinking_is_shown() -> None:
    out, stream = stream_out(
        start() + thinking(0, "secret") + text(1, "x") + end(), make_frame(include=[])
    )
    assert b"secret" not in out
    assert final(out)["output"][0]["summary"] == []
    assert stream.message["content"][0]["thinking"] == "secret"


def test_redacted_and_omitted_thinking_are_items_without_text() -> None:
    redacted = block(0, {"type": "redacted_thinking", "data": "abc"})
    out, stream = stream_out(start() + redacted + thinking(1) + text(2, "x") + end(), RICH_FRAME)
    items = final(out)["output"]
    assert [item["type"] for item in items] == ["reasoning", "reasoning", "message"]
    opened = [SEAL.open(item["encrypted_content"]) for item in items[:2]]
    assert [one and one.block for one in opened] == stream.message["content"][:2]
    assert not any("summary" in kind for kind in kinds(out))


def test_thinking_without_a_signature_is_not_sealed() -> None:
    script = start() + thinking(0, "cut", signature="") + end("max_tokens")
    out, stream = stream_out(script, RICH_FRAME)
    assert "encrypted_content" not in final(out)["output"][0]
    assert "encrypted_content" not in stream.items[0]


def test_without_a_seal_nothing_is_sealed() -> None:
    frame = make_frame(seal=None, include=["reasoning.encrypted_content"])
    out, _ = stream_out(start() + thinking(0, "a") + end(), frame)
    assert "encrypted_content" not in final(out)["output"][0]


def test_web_citations_become_annotations_of_their_part() -> None:
    citation = {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": "A",
        "cited_text": "…",
    }
    cited = block(
        1,
        {"type": "text", "text": ""},
        delta(1, "citations_delta", citation=citation),
        delta(1, "citations_delta", citation={"type": "char_location"}),
        delta(1, "text_delta", text="fact"),
    )
    out, _ = stream_out(start() + text(0, "It is a ") + cited + end())
    annotation = {
        "type": "url_citation",
        "url": "https://a.example",
        "title": "A",
        "start_index": 0,
        "end_index": 4,
    }
    added = [
        each for each in events(out) if each["type"] == "response.output_text.annotation.added"
    ]
    assert [(each["content_index"], each["annotation"]) for each in added] == [(1, annotation)]
    assert final(out)["output"][0]["content"][1]["annotations"] == [annotation]


def test_server_tools_are_kept_but_not_shown() -> None:
    search = block(
        1,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        delta(1, "input_json_delta", partial_json='{"query":"x"}'),
    )
    result = block(2, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1"})
    script = start() + text(0, "a") + search + result + text(3, "b") + end()
    out, stream = stream_out(script)
    assert [item["type"] for item in final(out)["output"]] == ["message", "message"]
    assert stream.message["content"] == assemble(script).message["content"]
    assert ResponsesStream.KEEP_ALIVE in out


def test_usage_has_the_details_the_sdk_demands() -> None:
    usage = {"cache_read_input_tokens": 7, "cache_creation_input_tokens": 5}
    details = {"thinking_tokens": 3}
    out, _ = stream_out(start(**usage) + text(0, "x") + end(output_tokens_details=details))
    assert final(out)["usage"] == {
        "input_tokens": 22,
        "input_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 5},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 42,
    }


def test_the_service_tier_is_reported_to_those_who_asked() -> None:
    script = start(service_tier="priority") + text(0, "x") + end()
    assert "service_tier" not in final(stream_out(script)[0])
    asked = make_frame(service_tier="auto")
    assert final(stream_out(script, asked)[0])["service_tier"] == "priority"


def test_pings_become_comments_and_no_events() -> None:
    out, _ = stream_out(event("ping") + start() + event("ping") + end())
    assert out.count(ResponsesStream.KEEP_ALIVE) == 1
