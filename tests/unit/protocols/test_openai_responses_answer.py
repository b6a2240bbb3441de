"""Whole Messages as Responses."""

from typing import Any

import pytest

from gateway import wire
from gateway.protocols.openai_responses_answer import output_items
from gateway.protocols.openai_responses_output import shown_items
from tests.support.messages_stream import end, start, text, thinking, tool
from tests.support.responses_stream import CREATED, RESPONSE_ID, make_frame, whole

CUSTOM = {"type": "custom", "name": "patch"}
WRAPPED = {"type": "function", "name": "pick", "parameters": {"type": "string"}}


def output(upstream: bytes, **fields: Any) -> list[dict[str, Any]]:
    """The output items a client gets."""
    items: list[dict[str, Any]] = whole(upstream, make_frame(**fields)).response["output"]
    return items


def test_a_response_has_its_identity_its_echo_and_its_output() -> None:
    frame = make_frame(metadata={"a": "b"}, instructions="Be brief")
    response = whole(start() + text(0, "Hello") + end(), frame).response
    assert response["id"] == RESPONSE_ID
    assert response["object"] == "response"
    assert response["created_at"] == response["completed_at"] == CREATED
    assert response["status"] == "completed"
    assert response["model"] == "gpt-5"
    assert response["metadata"] == {"a": "b"}
    assert response["instructions"] == "Be brief"
    assert response["output"][0]["content"][0]["text"] == "Hello"
    assert response["usage"]["total_tokens"] == 30


def test_calls_get_the_names_and_forms_the_client_knows() -> None:
    script = start() + tool(0, "patch", '{"input":"+a"}') + tool(1, "pick", '{"value":"b"}')
    items = output(script + end("tool_use"), tools=[CUSTOM, WRAPPED])
    assert items == [
        {
            "id": "ctc_0a1b_0",
            "type": "custom_tool_call",
            "call_id": "toolu_0",
            "name": "patch",
            "input": "+a",
            "status": "completed",
        },
        {
            "id": "fc_0a1b_1",
            "type": "function_call",
            "call_id": "toolu_1",
            "name": "pick",
            "arguments": '"b"',
            "status": "completed",
        },
    ]


def test_a_custom_call_without_its_text_shows_what_was_sent() -> None:
    items = output(start() + tool(0, "patch", '{"x":1}') + end("tool_use"), tools=[CUSTOM])
    assert items[0]["input"] == '{"x":1}'


def test_a_refusal_is_all_that_is_left() -> None:
    script = start() + text(0, "Well") + tool(1, "f", "{}")
    answered = whole(script + end("refusal", stop_details={"explanation": "No."}))
    assert answered.response["status"] == "incomplete"
    assert answered.response["incomplete_details"] == {"reason": "content_filter"}
    assert answered.response["output"] == answered.items
    assert [item["content"] for item in answered.items] == [[{"type": "refusal", "refusal": "No."}]]


def test_p22_a_cut_answer_is_incomplete_and_its_cut_call_gone() -> None:
    script = start() + tool(0, "f", "{}") + text(1, "and") + tool(2, "f", '{"a')
    response = whole(script + end("max_tokens")).response
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["completed_at"] is None
    assert [(item["type"], item["status"]) for item in response["output"]] == [
        ("function_call", "completed"),
        ("message", "incomplete"),
    ]


@pytest.mark.parametrize("form", [{"type": "json_object"}, {"type": "text"}])
def test_a_code_fence_around_json_is_taken_off_where_json_was_asked_for(
    form: dict[str, str],
) -> None:
    fenced = '```json\n{"a":1}\n```'
    frame = make_frame(text={"format": form})
    answered = whole(start() + text(0, fenced) + end(), frame)
    bare = '{"a":1}' if form["type"] == "json_object" else fenced
    assert answered.response["output"][0]["content"][0]["text"] == bare
    assert answered.items[0]["content"][0]["text"] == fenced


def test_reasoning_is_kept_for_the_store_and_shown_when_asked_for() -> None:
    script = start() + thinking(0, "Hm") + text(1, "x") + end()
    hidden = whole(script, make_frame())
    assert hidden.response["output"][0]["summary"] == []
    assert "encrypted_content" not in hidden.response["output"][0]
    assert hidden.items[0]["encrypted_content"]
    assert hidden.response["output"] == shown_items(hidden.items, encrypted=False)
    asked: dict[str, Any] = {
        "reasoning": {"summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    shown = whole(script, make_frame(**asked)).response["output"][0]
    assert shown["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert shown["encrypted_content"]


def test_messages_without_content_have_no_items() -> None:
    frame = make_frame()
    for message in ({}, {"content": None}, {"content": [{"type": "text", "text": ""}]}):
        assert output_items(message, frame) == []
    assert wire.dumps(output(start() + end("end_turn"))) == b"[]"
