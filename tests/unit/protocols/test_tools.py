"""Tool definitions, names, ids, arguments and choices."""

from typing import Any

import pytest

from gateway.errors import InvalidRequestError
from gateway.protocols.openai_chat import translate
from gateway.protocols.shared.draft import Draft
from gateway.protocols.shared.tool_arguments import tool_input
from gateway.protocols.shared.tool_names import legal

OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}


def function(name: str, parameters: Any = OBJECT, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def drafted(**fields: Any) -> Draft:
    return translate({"model": "auto", "messages": [{"role": "user", "content": "x"}], **fields})


def refusal(**fields: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        drafted(**fields)
    return caught.value


def test_a_function_tool_becomes_a_tool() -> None:
    draft = drafted(tools=[function("f", description="does f", strict=False)])
    assert draft.body["tools"] == [{"name": "f", "description": "does f", "input_schema": OBJECT}]
    assert "tool_choice" not in draft.body


def test_tools_are_sorted_by_name() -> None:
    draft = drafted(tools=[function("b"), function("a"), function("C")])
    assert [tool["name"] for tool in draft.body["tools"]] == ["C", "a", "b"]


@pytest.mark.parametrize("tools", [None, []])
def test_no_tools_means_no_tools(tools: Any) -> None:
    draft = drafted(tools=tools, tool_choice="auto", parallel_tool_calls=False)
    assert "tools" not in draft.body
    assert "tool_choice" not in draft.body


def test_flat_bare_and_anthropic_tools_are_taken_too() -> None:
    draft = drafted(
        tools=[
            {"type": "function", "name": "a", "parameters": OBJECT},
            {"name": "b", "description": "d", "input_schema": OBJECT},
            {"type": "custom", "name": "c", "input_schema": OBJECT},
        ]
    )
    assert [tool["name"] for tool in draft.body["tools"]] == ["a", "b", "c"]
    assert all(tool["input_schema"] == OBJECT for tool in draft.body["tools"])
    assert draft.reply.custom_tools == frozenset()


def test_a_custom_tool_takes_one_string_and_tells_its_grammar() -> None:
    form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: WORD"}}
    draft = drafted(
        tools=[
            {"type": "custom", "custom": {"name": "p.q", "description": "Patch.", "format": form}}
        ]
    )
    (tool,) = draft.body["tools"]
    assert tool["input_schema"]["required"] == ["input"]
    assert tool["description"] == (
        "Patch.\n\nThe input must follow this lark grammar:\nstart: WORD"
    )
    assert draft.reply.custom_tools == frozenset({tool["name"]})
    assert draft.reply.original_tool_names == {tool["name"]: "p.q"}


def test_legacy_functions_are_tools_and_answered_in_kind() -> None:
    draft = drafted(functions=[{"name": "f"}], function_call={"name": "f"})
    assert draft.body["tool_choice"] == {"type": "tool", "name": "f"}
    assert draft.reply.legacy_functions
    assert not drafted(tools=[function("f")]).reply.legacy_functions


def test_the_mark_of_any_tool_goes_to_the_last_one() -> None:
    marked = {**function("z"), "cache_control": {"type": "ephemeral"}}
    tools = drafted(tools=[{**marked, "function": {"name": "a"}}, function("b")]).body["tools"]
    assert "cache_control" not in tools[0]
    assert tools[1]["cache_control"] == {"type": "ephemeral"}


def test_strict_is_dropped_and_named() -> None:
    draft = drafted(tools=[function("f", strict=True)])
    assert "strict" not in draft.body["tools"][0]
    assert "tools.strict" in draft.ignored


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ({}, "tools"),
        ([1], "tools[0]"),
        ([{}], "tools[0].function"),
        ([{"type": "web_search"}], "tools[0].type"),
        ([{"type": 1}], "tools[0].type"),
        ([{"type": "custom"}], "tools[0].custom"),
        ([{"type": "function", "function": {}}], "tools[0].function.name"),
        ([{"type": "function", "function": {"name": ["f"]}}], "tools[0].function.name"),
        ([function("f", "x")], "tools[0].function.parameters"),
        ([function("f", description=1)], "tools[0].function.description"),
        ([{"name": "f", "input_schema": 1}], "tools[0].input_schema"),
    ],
)
def test_malformed_tools_are_refused_with_their_path(tools: Any, param: str) -> None:
    assert refusal(tools=tools).param == param


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ("any", {"type": "any"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ({"type": "function", "name": "f"}, {"type": "tool", "name": "f"}),
        ({"type": "custom", "custom": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ({"type": "auto"}, {"type": "auto"}),
        ({"type": "any"}, {"type": "any"}),
        ({"type": "tool", "name": "f"}, {"type": "tool", "name": "f"}),
        (
            {"type": "any", "disable_parallel_tool_use": True},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_tool_choices(choice: Any, sent: dict[str, Any]) -> None:
    assert (
        drafted(tools=[function("f"), function("g")], tool_choice=choice).body["tool_choice"]
        == sent
    )


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ("sometimes", "tool_choice"),
        (3, "tool_choice"),
        ({}, "tool_choice.name"),
        ({"type": "function"}, "tool_choice.function.name"),
        ({"type": "function", "function": {"name": "h"}}, "tool_choice.function.name"),
        ({"type": "function", "function": {"name": 1}}, "tool_choice.function.name"),
        ({"type": "wish"}, "tool_choice.type"),
        ({"type": "allowed_tools"}, "tool_choice.tools"),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "x", "tools": [{"name": "f"}]}},
            "tool_choice.allowed_tools.mode",
        ),
    ],
)
def test_choices_that_make_no_sense_are_refused(choice: Any, param: str) -> None:
    assert refusal(tools=[function("f")], tool_choice=choice).param == param


def test_a_forced_choice_needs_tools() -> None:
    assert refusal(tool_choice="required").param == "tool_choice"


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
        ("none", {"type": "none"}),
    ],
)
def test_parallel_calls_can_be_switched_off(choice: Any, sent: dict[str, Any]) -> None:
    draft = drafted(tools=[function("f")], tool_choice=choice, parallel_tool_calls=False)
    assert draft.body["tool_choice"] == sent
    assert "tool_choice" not in drafted(tools=[function("f")], parallel_tool_calls=True).body


def test_allowed_tools_keep_all_tools_and_say_which_may_be_called() -> None:
    def choose(mode: str, *names: str) -> Draft:
        allowed = [{"type": "function", "function": {"name": name}} for name in names]
        return drafted(
            tools=[function("f"), function("g.h"), function("i")],
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {"mode": mode, "tools": allowed},
            },
        )

    some = choose("auto", "g.h", "f")
    assert len(some.body["tools"]) == 3
    assert some.body["tool_choice"] == {"type": "auto"}
    assert some.instructions == [
        f"In this answer, call no other tools than these: `f`, `{legal('g.h')}`."
    ]
    assert choose("required", "f").body["tool_choice"] == {"type": "tool", "name": "f"}
    everything = choose("required", "f", "g.h", "i")
    assert everything.body["tool_choice"] == {"type": "any"}
    assert everything.instructions == []


def test_a_history_with_calls_but_no_tools_gets_stubs_that_cannot_be_called() -> None:
    draft = translate(
        {
            "model": "auto",
            "messages": [
                {"role": "user", "content": "x"},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "1", "function": {"name": "z"}},
                        {"id": "2", "function": {"name": "a"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "1", "content": "r"},
            ],
        }
    )
    assert [tool["name"] for tool in draft.body["tools"]] == ["a", "z"]
    assert draft.body["tool_choice"] == {"type": "none"}


def test_legal_names_and_ids_pass_unchanged_and_others_get_a_digest() -> None:
    assert legal("read_file-2") == "read_file-2"
    assert legal("a.b") != legal("a:b")
    assert legal("a.b").startswith("a_b_")
    assert len(legal("x" * 65)) == 64
    assert legal("x" * 65) != legal("x" * 66)
    assert legal("toolu_01ABC") == "toolu_01ABC"
    assert legal("a\n") != "a\n"
    assert legal("\ud83d")  # half an emoji, as cut streams contain


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ('{"a":1}', {"a": 1}),
        ("", {}),
        ("  ", {}),
        (None, {}),
        ("null", {}),
        ({"a": 1}, {"a": 1}),
        ("[1,2]", {"value": [1, 2]}),
        ("7", {"value": 7}),
        ('"word"', {"value": "word"}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ('{"a": "cut', {"a": "cut"}),
        ('{"a": "cut\\', {"a": "cut"}),
        ('{"a": "q\\"', {"a": 'q"'}),
        ('{"a": [1, {"b": 2', {"a": [1, {"b": 2}]}),
        ('{"a": 1,}', {"a": 1}),
        ('{"a": 1}{"a": 1}', {"a": 1}),
        ('{"a": "x\ny"}', {"a": "x\ny"}),
        ('{"re": "\\d+"}', {"re": "\\d+"}),
        ('{"a":', {"INVALID_JSON": '{"a":'}),
        ("{]", {"INVALID_JSON": "{]"}),
        ("nonsense", {"INVALID_JSON": "nonsense"}),
    ],
)
def test_arguments_become_an_object(arguments: Any, value: dict[str, Any]) -> None:
    assert tool_input(arguments) == value


def test_arguments_nested_beyond_what_can_be_written_stay_text() -> None:
    deep = '{"a":' * 300 + "1" + "}" * 300
    assert tool_input(deep) == {"INVALID_JSON": deep}
    wide = '{"a":[' + ",".join(["{}"] * 300) + "]}"
    assert tool_input(wide) == {"a": [{}] * 300}


def test_hostile_arguments_are_read_in_linear_time() -> None:
    """Quadratic reading of these would take minutes and run into the test's time-out."""
    hostile = '{"a":"' + '\\"' * 500_000 + "\\"
    assert tool_input(hostile) == {"a": '"' * 500_000}


def test_custom_calls_keep_their_raw_text() -> None:
    assert tool_input("*** Begin", custom=True) == {"input": "*** Begin"}
    assert tool_input('{"input":"x"}', custom=True) == {"input": "x"}
    assert tool_input('{"other":"x"}', custom=True) == {"input": '{"other":"x"}'}
    assert tool_input(None, custom=True) == {"input": ""}


def test_arguments_of_wrapped_tools_are_wrapped_again() -> None:
    draft = translate(
        {
            "model": "auto",
            "messages": [
                {"role": "user", "content": "x"},
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "[1]"}}],
                },
            ],
            "tools": [function("f", {"type": "array", "items": {"type": "integer"}})],
        }
    )
    assert draft.reply.wrapped_tools == frozenset({"f"})
    assert draft.body["messages"][1]["content"][0]["input"] == {"value": [1]}
