"""Responses input items as messages, case by case."""

from typing import Any

import pytest

from gateway.errors import GatewayError, UnsupportedValueError
from tests.support.responses_stream import translated

PNG = "data:image/png;base64,iVBORw0KGgo="


def body(**fields: Any) -> dict[str, Any]:
    """The draft's body."""
    return translated(**fields).draft.body


def messages(*items: Any, **fields: Any) -> list[Any]:
    """The translated messages of these items, after a user's "hi"."""
    made: list[Any] = body(input=[user("hi"), *items], **fields)["messages"]
    assert made[0] == {"role": "user", "content": [text("hi")]}
    return made[1:]


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def user(value: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": value}


def said(value: str, **fields: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": value, "annotations": []}
    return {"type": "message", "role": "assistant", "content": [part], "id": "msg_1", **fields}


def call(call_id: Any, name: Any = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}", **fields}


def output(call_id: Any, value: Any = "ok", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": value, **fields}


def refusal(**fields: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        translated(**fields)
    assert caught.value.status == 400
    return caught.value


def test_a_string_is_a_message_of_the_user() -> None:
    assert body(input="hello")["messages"] == [{"role": "user", "content": [text("hello")]}]


def test_instructions_come_first_then_leading_developer_messages() -> None:
    made = body(
        instructions="One",
        input=[
            {"role": "developer", "content": "Two"},
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "3"}]},
            user("hi"),
        ],
    )
    assert made["system"] == [text("One"), text("Two"), text("3")]


def test_p15_later_developer_messages_stay_in_place() -> None:
    made = messages(said("a"), user("b"), {"role": "developer", "content": "note"}, said("c"))
    assert [(m["role"], m["content"][0]["text"]) for m in made] == [
        ("assistant", "a"),
        ("user", "b"),
        ("system", "note"),
        ("assistant", "c"),
    ]


def test_text_and_calls_in_a_row_are_one_message_in_their_order() -> None:
    made = messages(
        said("I look"), call("a"), said("and"), call("b"), output("b", "2"), output("a", "1")
    )
    assert made == [
        {
            "role": "assistant",
            "content": [
                text("I look"),
                {"type": "tool_use", "id": "a", "name": "f", "input": {}},
                text("and"),
                {"type": "tool_use", "id": "b", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("1")]},
                {"type": "tool_result", "tool_use_id": "b", "content": [text("2")]},
            ],
        },
    ]


def test_parts_of_a_message_stay_blocks_of_their_own() -> None:
    item = said("a")
    item["content"].append({"type": "output_text", "text": "b"})
    item["content"].append({"type": "refusal", "refusal": "no"})
    assert messages(item, user("x"))[0]["content"] == [text("a"), text("b"), text("no")]


@pytest.mark.parametrize("content", ["", " \n", None, [], [{"type": "output_text", "text": ""}]])
def test_p05_blank_messages_of_any_role_are_dropped(content: Any) -> None:
    empty = [{"role": role, "content": content} for role in ("assistant", "user", "developer")]
    made = body(input=[user("hi"), *empty, user("x")])["messages"]
    assert made == [{"role": "user", "content": [text("hi"), text("x")]}]


def test_user_parts_become_blocks() -> None:
    made = body(
        input=[
            user(
                [
                    {"type": "input_text", "text": "see"},
                    {"type": "input_image", "image_url": PNG, "detail": "auto"},
                    {"type": "input_image", "image_url": "https://a.example/b.png"},
                    {"type": "input_file", "file_url": "https://a.example/b.pdf", "filename": "b"},
                    {"type": "input_file", "file_data": "data:text/plain;base64,aGk="},
                ]
            )
        ]
    )
    assert made["messages"][0]["content"] == [
        text("see"),
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        },
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        {
            "type": "document",
            "source": {"type": "url", "url": "https://a.example/b.pdf"},
            "title": "b",
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "hi"},
        },
    ]


def test_image_detail_is_named_as_ignored() -> None:
    image = {"type": "input_image", "image_url": PNG, "detail": "high"}
    assert translated(input=[user([image])]).draft.ignored == ["input_image.detail"]


def test_p10_images_in_outputs_are_kept() -> None:
    parts = [{"type": "input_text", "text": "shot"}, {"type": "input_image", "image_url": PNG}]
    result = messages(call("a"), output("a", parts))[1]["content"][0]
    assert [block["type"] for block in result["content"]] == ["text", "image"]


@pytest.mark.parametrize("value", ["", None, [], [{"type": "input_text", "text": " "}]])
def test_an_empty_output_has_no_content(value: Any) -> None:
    assert messages(call("a"), output("a", value))[1]["content"] == [
        {"type": "tool_result", "tool_use_id": "a"}
    ]


def test_outputs_that_are_other_json_are_written_as_text() -> None:
    result = messages(call("a"), output("a", {"b": [1]}))[1]["content"][0]
    assert result["content"] == [text('{"b":[1]}')]


def test_p09_broken_pairs_are_repaired() -> None:
    made = messages(call("a"), user("stop"), said("ok"), output("zz", "late"), user("x"))
    assert made[1]["content"][0]["is_error"] is True
    assert made[3]["content"][0] == text("[tool result for zz] late")


def test_p20_arguments_of_any_form_become_objects() -> None:
    for arguments, expected in (
        ("", {}),
        ('{"a": 1}', {"a": 1}),
        ("[1]", {"value": [1]}),
        ('{"a": "b', {"a": "b"}),
        ("no", {"INVALID_JSON": "no"}),
        ({"a": 1}, {"a": 1}),
        (None, {}),
    ):
        made = messages(call("a", arguments=arguments), output("a"))
        assert made[0]["content"][0]["input"] == expected


def test_custom_calls_carry_their_text_word_for_word() -> None:
    raw = '{"input": "not unpacked"}'
    items = (
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": raw},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
    )
    made = messages(*items, tools=[{"type": "custom", "name": "apply_patch"}])
    assert made[0]["content"][0]["input"] == {"input": raw}
    assert made[1]["content"][0]["content"] == [text("done")]


def test_namespaced_calls_go_back_under_the_joined_name() -> None:
    made = messages(call("a", "stat", namespace="fs"), output("a"))
    assert made[0]["content"][0]["name"] == "fs__stat"


def test_p06_illegal_names_and_ids_are_rewritten_alike() -> None:
    made = messages(call("call_1|fc_2", "a.b"), output("call_1|fc_2"))
    use, result = made[0]["content"][0], made[1]["content"][0]
    assert use["name"].startswith("a_b_")
    assert use["id"] == result["tool_use_id"] != "call_1|fc_2"


def test_a_call_without_a_call_id_is_known_by_its_id() -> None:
    made = messages(call("", id="fc_9"), output("fc_9", "1"))
    assert made[1]["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "fc_9",
        "content": [text("1")],
    }


def test_calls_of_openais_own_tools_become_plain_calls() -> None:
    made = messages(
        {"type": "local_shell_call", "call_id": "a", "id": "x", "action": {"command": ["ls"]}},
        {"type": "shell_call", "call_id": "b", "action": {"commands": ["ls"]}},
        {"type": "apply_patch_call", "call_id": "c", "operation": {"path": "a", "diff": "+"}},
        {"type": "local_shell_call_output", "id": "a", "output": "one"},
        {"type": "shell_call_output", "call_id": "b", "output": [{"stdout": "two"}]},
        {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no"},
    )
    assert [(use["name"], use["input"]) for use in made[0]["content"]] == [
        ("local_shell", {"command": ["ls"]}),
        ("shell", {"commands": ["ls"]}),
        ("apply_patch", {"path": "a", "diff": "+"}),
    ]
    results = made[1]["content"]
    assert [result["content"][0]["text"] for result in results] == [
        "one",
        '[{"stdout":"two"}]',
        "no",
    ]
    assert [result.get("is_error") for result in results] == [None, None, True]


def test_items_of_hosted_tools_are_dropped_and_named() -> None:
    made = translated(
        input=[
            user("hi"),
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "mcp_list_tools", "id": "m"},
        ]
    ).draft
    assert len(made.body["messages"]) == 1
    assert made.ignored == ["input.web_search_call", "input.mcp_list_tools"]


def test_a_compacted_conversation_of_another_server_is_refused() -> None:
    error = refusal(input=[{"type": "compaction", "encrypted_content": "x"}, user("hi")])
    assert isinstance(error, UnsupportedValueError)
    assert error.param == "input[0]"


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([3], "input[0]"),
        ([user("a"), {"type": "mystery"}], "input[1].type"),
        ([{"type": ["x"]}], "input[0].type"),
        ([{"role": "robot", "content": "x"}], "input[0].role"),
        ([{"role": 5, "content": "x"}], "input[0].role"),
        ([{"content": "x"}], "input[0].role"),
        ([user(7)], "input[0].content"),
        ([user("a"), user([{"type": "input_text", "text": 4}])], "input[1].content[0].text"),
        ([user([{"type": "input_audio"}])], "input[0].content[0]"),
        ([user([{"type": "input_image", "file_id": "f"}])], "input[0].content[0].file_id"),
        ([user([{"type": "input_image"}])], "input[0].content[0].image_url"),
        ([user([{"type": "input_file", "file_id": "f"}])], "input[0].content[0].file_id"),
        ([user([{"type": "input_file", "file_url": "ftp://x"}])], "input[0].content[0].file_url"),
        ([{"role": "developer", "content": [{"type": "input_image"}]}], "input[0].content[0].type"),
        ([call("a", 4)], "input[0].name"),
        ([call(4)], "input[0].call_id"),
        ([call("a", namespace=1)], "input[0].namespace"),
        ([output(["a"])], "input[0].call_id"),
        ([{"type": "reasoning", "encrypted_content": 1}], "input[0].encrypted_content"),
        ([{"type": "item_reference"}], "input[0].id"),
        ([{"type": "item_reference", "id": 1}], "input[0].id"),
        ([{"id": "msg_unknown"}], "input[0].id"),
        ([], "input"),
        (None, "input"),
        ({"a": 1}, "input"),
    ],
)
def test_errors_name_the_path(items: Any, param: str) -> None:
    error = refusal(input=items)
    assert error.param == param
    assert param in error.message


def test_added_tools_are_declared_before_the_calls_that_use_them() -> None:
    custom = {"type": "custom", "name": "patch"}
    items = [
        user("hi"),
        call("a", "patch", arguments="raw"),
        output("a"),
        {"type": "additional_tools", "role": "developer", "tools": [custom]},
    ]
    made = body(input=items)
    assert [tool["name"] for tool in made["tools"]] == ["patch"]
    assert made["messages"][1]["content"][0]["input"] == {"input": "raw"}
    assert refusal(input=[{"type": "additional_tools", "tools": [4]}]).param == "input[0].tools[0]"


def test_tool_blocks_without_tools_get_stubs() -> None:
    made = body(input=[user("hi"), call("a"), output("a")])
    assert [tool["name"] for tool in made["tools"]] == ["f"]
    assert made["tool_choice"] == {"type": "none"}


def test_ten_thousand_items_with_calls_stay_quick() -> None:
    items: list[Any] = [user("hi")]
    for index in range(5000):
        items += [call(f"c{index}"), output(f"c{index}")]
    assert len(body(input=items)["messages"]) == 10_001


def test_too_many_items_are_refused() -> None:
    assert refusal(input=[user("a")] * 100_001).param == "input"
