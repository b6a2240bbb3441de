"""Bodies of other protocols on the chat path: what becomes of them, and whose paths errors name."""

import copy
from typing import Any

import pytest

from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.protocols.chat_dialects import chat_form, translate
from gateway.protocols.openai_chat import translate as translate_chat

Json = dict[str, Any]
CHAT: Json = {
    "model": "auto",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f"}},
        {"type": "function", "name": "g", "parameters": {}},
        {"name": "h", "input_schema": {"type": "object"}},
        {"type": "custom", "custom": {"name": "c"}},
    ],
}
PATCH = {"type": "custom", "name": "patch", "format": {"type": "text"}}


def responses(*items: Any, **fields: Any) -> Json:
    return {"model": "auto", "input": list(items), **fields}


def test_a_chat_request_is_itself() -> None:
    assert chat_form(CHAT).body is CHAT
    for strange in ({}, {"messages": None}, {"messages": "x"}, {"messages": [1]}, {"tools": [1]}):
        assert chat_form(strange).body is strange


def test_the_client_body_is_never_changed() -> None:
    body = responses(
        {"role": "user", "content": "hi"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        tools=[PATCH, {"type": "web_search"}],
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [PATCH]},
        text={"format": {"type": "json_schema", "schema": {"type": "object"}}},
    )
    before = copy.deepcopy(body)
    translate(body)
    assert body == before


def test_p02_flat_and_bare_tools_need_no_conversion() -> None:
    names = [tool["name"] for tool in translate(CHAT).body["tools"]]
    assert names == ["c", "f", "g", "h"]


def test_p02_parts_of_the_messages_api_among_chat_messages() -> None:
    body = {
        "model": "claude-opus-5-5",
        "stop_sequences": ["END"],
        "messages": [
            {"role": "user", "content": "go"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "u", "function": {"name": "f"}}],
            },
            {"role": "tool", "tool_call_id": "u", "content": "2"},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "tool", "name": "f"},
    }
    draft = translate(body)
    assert draft.body["stop_sequences"] == ["END"]
    assert draft.body["tool_choice"] == {"type": "tool", "name": "f"}
    used = [message["content"][0] for message in draft.body["messages"][1:]]
    assert [block["type"] for block in used] == ["tool_use", "tool_result"] * 2


def test_p03_a_conversation_of_items_is_read_to_its_end() -> None:
    raw = "*** Begin Patch\n*** End Patch"
    draft = translate(
        responses(
            {"role": "user", "content": "go"},
            {"type": "reasoning", "id": "rs", "summary": []},
            {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": raw},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Done"}],
            },
            {"role": "user", "content": [{"type": "input_text", "text": "thanks"}]},
            tools=[PATCH],
            store=False,
            include=["reasoning.encrypted_content"],
        )
    )
    assert draft.reply.custom_tools == {"patch"}
    assert [message["role"] for message in draft.body["messages"]] == ["user", "assistant"] * 2 + [
        "user"
    ]
    assert draft.body["messages"][1]["content"][0]["input"] == {"input": raw}
    assert "input.reasoning" in draft.ignored
    assert "store" not in draft.ignored


def test_p03_a_custom_call_comes_back_as_the_function_it_was_streamed_as() -> None:
    given = wire.dumps_text({"input": "text"})
    draft = translate(
        responses(
            {"role": "user", "content": "go"},
            {"type": "function_call", "call_id": "c", "name": "patch", "arguments": given},
            {"type": "function_call_output", "call_id": "c", "output": "ok"},
            tools=[PATCH],
        )
    )
    assert draft.body["messages"][1]["content"][0]["input"] == {"input": "text"}


def test_a_string_is_what_the_user_says() -> None:
    draft = translate({"model": "auto", "input": "hi", "instructions": "short"})
    assert draft.body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert draft.body["system"] == [{"type": "text", "text": "short"}]


def test_instructions_stand_before_the_messages_too() -> None:
    draft = translate({**CHAT, "instructions": "first"})
    assert [block["text"] for block in draft.body["system"]] == ["first", "s"]


def test_fields_of_the_other_protocols_are_read() -> None:
    draft = translate(
        responses(
            {"role": "user", "content": "hi"},
            max_output_tokens=99,
            reasoning={"effort": "xhigh", "summary": "auto"},
            text={"format": {"type": "json_object"}, "verbosity": "low"},
        )
    )
    assert (draft.max_tokens, draft.effort, draft.reply.json_mode) == (99, "xhigh", "object")
    assert draft.ignored == ["text.verbosity"]
    messages = translate({**CHAT, "output_config": {"effort": "low"}, "stop_sequences": ["x"]})
    assert (messages.effort, messages.body["stop_sequences"]) == ("low", ["x"])


def test_the_chat_field_wins_over_its_foreign_twin() -> None:
    draft = translate(
        {
            **CHAT,
            "max_tokens": 5,
            "max_output_tokens": 6,
            "stop": "a",
            "stop_sequences": ["b"],
            "input": "not this",
            "response_format": {"type": "json_object"},
            "text": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        }
    )
    assert (draft.max_tokens, draft.body["stop_sequences"]) == (5, ["a"])
    assert draft.reply.json_mode == "object"
    assert set(draft.ignored) == {"max_output_tokens", "stop_sequences", "input", "text.format"}


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview", "web_search_20250305", "mcp"])
def test_tools_a_provider_runs_are_dropped_and_named(kind: str) -> None:
    draft = translate({**CHAT, "tools": [{"type": kind, "name": "x"}]})
    assert "tools" not in draft.body
    assert f"tools.{kind}" in draft.ignored
    with pytest.raises(InvalidRequestError) as caught:
        translate({**CHAT, "tools": [{"type": kind}], "tool_choice": {"type": kind}})
    assert caught.value.param == "tool_choice.type"


def test_tools_a_client_runs_for_the_messages_api_are_refused_by_their_type() -> None:
    tools = [{"type": "web_search"}, {"type": "bash_20250124", "name": "bash"}]
    with pytest.raises(InvalidRequestError) as caught:
        translate({**CHAT, "tools": tools})
    assert (caught.value.param, caught.value.code) == ("tools[1].type", "unsupported_tool")


def test_allowed_tools_lose_what_was_dropped() -> None:
    function = {"type": "function", "name": "g"}
    choice = {"type": "allowed_tools", "mode": "required", "tools": [function, {"type": "mcp"}]}
    tools = [*CHAT["tools"], {"type": "mcp"}]
    draft = translate({**CHAT, "tools": tools, "tool_choice": choice})
    assert draft.body["tool_choice"] == {"type": "tool", "name": "g"}
    nested = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "mcp"}]},
    }
    draft = translate({**CHAT, "tools": tools, "tool_choice": nested})
    assert draft.body["tool_choice"] == {"type": "none"}


def test_tools_brought_by_an_item_are_tools() -> None:
    draft = translate(
        responses(
            {"role": "user", "content": "hi"},
            {"type": "additional_tools", "role": "developer", "tools": [PATCH]},
        )
    )
    assert [tool["name"] for tool in draft.body["tools"]] == ["patch"]


USER = {"role": "user", "content": "hi"}


def mixed(item: Json) -> Json:
    return {"model": "auto", "messages": [USER, item]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (responses(), "input"),
        ({"model": "auto", "input": None}, "input"),
        ({"model": "auto", "input": 5}, "input"),
        (responses({"type": "reasoning"}), "input"),
        (responses(USER, 7), "input[1]"),
        (responses(USER, {"content": "x"}), "input[1].role"),
        (responses(USER, {"role": "robot", "content": "x"}), "input[1].role"),
        (responses(USER, {"type": 5}), "input[1].type"),
        (responses(USER, {"type": "strange"}), "input[1].type"),
        (responses(USER, {"type": "compaction"}), "input[1]"),
        (responses(USER, {"type": "item_reference", "id": "x"}), "input[1].id"),
        (responses(USER, {"id": "x"}), "input[1].id"),
        (responses({"type": "reasoning"}, {"role": "user", "content": 5}), "input[1].content"),
        (
            responses({"type": "reasoning"}, {"role": "user", "content": [{"type": "audio"}]}),
            "input[1].content[0]",
        ),
        (responses(USER, {"type": "function_call", "name": 5}), "input[1].name"),
        (responses(USER, {"type": "function_call", "call_id": 5}), "input[1].call_id"),
        (responses(USER, {"type": "function_call", "id": 5}), "input[1].id"),
        (responses(USER, {"type": "custom_tool_call", "name": 5}), "input[1].name"),
        (
            responses(
                USER,
                {"type": "function_call_output", "output": [{"type": "input_text", "text": 5}]},
            ),
            "input[1].output[0].text",
        ),
        (responses(USER, {"type": "function_call_output", "call_id": 5}), "input[1].call_id"),
        (responses(USER, instructions=5), "instructions"),
        (responses(USER, max_output_tokens="x"), "max_output_tokens"),
        (responses(USER, max_output_tokens=0), "max_output_tokens"),
        (responses(USER, text=5), "text"),
        (responses(USER, text={"format": 5}), "text.format"),
        (responses(USER, text={"format": {"type": "xml"}}), "text.format.type"),
        (
            responses(USER, text={"format": {"type": "json_schema", "schema": 5}}),
            "text.format.schema",
        ),
        (responses(USER, tools=[{"type": "mcp"}, {"type": "function"}]), "tools[1].function"),
        (
            responses(USER, tools=[{"type": "namespace", "name": "n", "tools": [{"name": 5}]}]),
            "tools[0].tools[0].name",
        ),
        (responses(USER, tools={}), "tools"),
        (responses(USER, background=True), "background"),
        (responses(USER, previous_response_id="resp_1"), "previous_response_id"),
        ({**CHAT, "stop_sequences": [5]}, "stop_sequences[0]"),
        ({**CHAT, "output_config": {"effort": "huge"}}, "output_config.effort"),
        ({**CHAT, "output_config": []}, "output_config"),
        (mixed({"type": "function_call", "name": 5}), "messages[1].name"),
        (mixed({"type": "strange"}), "messages[1].type"),
        (mixed({"text": "x"}), "messages[1].role"),
        ({"model": "auto", "instructions": "x"}, "messages"),
        (responses(USER, {"type": "additional_tools", "tools": [5]}), "input[1].tools[0]"),
    ],
)  # fmt: skip
def test_errors_name_the_path_the_client_knows(body: Json, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        translate(body)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)
    assert str(caught.value) == caught.value.message


def test_a_strict_schema_that_cannot_be_kept_is_named_by_its_own_path() -> None:
    text = {"format": {"type": "json_schema", "strict": True, "schema": {"type": "object"}}}
    assert translate(responses(USER, text=text)).schema_param == "text.format.schema"


def test_an_ordinary_body_has_the_very_same_draft() -> None:
    assert translate(CHAT) == translate_chat(CHAT)


def test_p02_a_result_block_inside_a_tool_message_is_that_result() -> None:
    draft = translate(
        {
            "model": "auto",
            "messages": [
                {"role": "user", "content": "go"},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                },
                {
                    "role": "tool",
                    "tool_call_id": "call_1",
                    "content": [{"type": "tool_result", "content": "the result"}],
                },
            ],
        }
    )
    (result,) = draft.body["messages"][-1]["content"]
    assert (result["type"], result["tool_use_id"]) == ("tool_result", "call_1")
    assert "the result" in str(result["content"])
