"""Responses request fields beside the items: policies, tools, and what a Response echoes."""

from typing import Any

import pytest

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.errors import GatewayError, UnsupportedValueError
from gateway.protocols.model_fit import FitOptions, fit_to_model
from tests.support.responses_stream import translated

MODELS = load_catalog().models
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
NAMESPACE = {
    "type": "namespace",
    "name": "mcp__fs",
    "description": "Files",
    "tools": [{**FUNCTION, "name": "read"}, {"type": "custom", "name": "patch"}],
}


def refusal(**fields: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        translated(**fields)
    assert caught.value.status == 400
    return caught.value


def tools_of(*tools: Any, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = translated(tools=list(tools), **fields).draft.body
    return made


def test_limits_and_identity_are_mapped() -> None:
    draft = translated(
        max_output_tokens=50,
        temperature=0,
        top_p=0.5,
        user="me@example.com",
        prompt_cache_key="key",
        service_tier="flex",
    ).draft
    assert draft.max_tokens == 50
    assert (draft.temperature, draft.top_p) == (0, 0.5)
    assert draft.user_key == "key"
    assert draft.body["service_tier"] == "standard_only"
    assert "example" not in str(draft.body["metadata"])


def test_reasoning_sets_effort_and_summary() -> None:
    made = translated(reasoning={"effort": "low", "summary": "auto"})
    assert made.draft.effort == "low"
    assert made.draft.reply.show_reasoning
    fitted = fit_to_model(made.draft, MODELS["claude-opus-5-5"], OPTIONS)
    assert fitted.body["thinking"] == {"type": "adaptive", "display": "summarized"}
    for reasoning in ({}, None, {"summary": None}, {"summary": "none", "effort": None}):
        made = translated(reasoning=reasoning)
        assert not made.draft.reply.show_reasoning
        fitted = fit_to_model(made.draft, MODELS["claude-opus-5-5"], OPTIONS)
        assert "display" not in fitted.body.get("thinking", {})
    assert translated(reasoning={"generate_summary": "concise"}).draft.reply.show_reasoning


def test_structured_output_is_flat() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    made = translated(text={"format": form, "verbosity": "low"})
    assert made.draft.output_schema == schema
    assert made.draft.reply.json_mode == "schema"
    assert made.draft.ignored == ["text.verbosity"]
    fitted = fit_to_model(made.draft, MODELS["claude-sonnet-5-5"], OPTIONS)
    assert fitted.body["output_config"]["format"]["schema"]["properties"]["a"]
    assert translated(text={"format": {"type": "json_object"}}).draft.reply.json_mode == "object"
    assert translated(text={"format": {"type": "text"}}).draft.reply.json_mode == "none"


def test_a_strict_schema_that_cannot_be_enforced_names_its_path() -> None:
    form = {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "array"}}
    draft = translated(text={"format": form}).draft
    draft.output_schema = {"$ref": "#/nowhere"}
    with pytest.raises(UnsupportedValueError) as caught:
        fit_to_model(draft, MODELS["claude-sonnet-5-5"], OPTIONS)
    assert caught.value.param == "text.format.schema"


def test_namespaces_are_flattened_and_remembered() -> None:
    made = translated(tools=[NAMESPACE, FUNCTION])
    assert [tool["name"] for tool in made.draft.body["tools"]] == [
        "f",
        "mcp__fs__patch",
        "mcp__fs__read",
    ]
    assert made.plan.namespaces == {
        "mcp__fs__read": ("mcp__fs", "read"),
        "mcp__fs__patch": ("mcp__fs", "patch"),
    }
    assert made.draft.reply.custom_tools == {"mcp__fs__patch"}


def test_a_namespaced_name_that_is_too_long_is_still_known() -> None:
    long = {**NAMESPACE, "name": "n" * 60}
    made = translated(tools=[long])
    sent = made.draft.body["tools"][0]["name"]
    assert len(sent) <= 64
    assert made.plan.namespaces[sent][0] == "n" * 60


def test_a_custom_tool_shows_its_grammar() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: A"}
    tool = tools_of({"type": "custom", "name": "p", "description": "D", "format": grammar})
    assert tool["tools"][0]["description"] == (
        "D\n\nThe input must follow this lark grammar:\nstart: A"
    )


def test_hosted_tools_are_dropped_and_named() -> None:
    draft = translated(
        tools=[FUNCTION, {"type": "web_search", "external_web_access": False}, {"type": "mcp"}]
    ).draft
    assert [tool["name"] for tool in draft.body["tools"]] == ["f"]
    assert draft.ignored == ["tools.web_search", "tools.mcp"]


def test_only_hosted_tools_leave_none() -> None:
    assert "tools" not in tools_of({"type": "local_shell"}, tool_choice="auto")
    assert refusal(tools=[{"type": "local_shell"}], tool_choice="required").param == "tool_choice"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "name": "f"}, {"type": "tool", "name": "f"}),
        ({"type": "custom", "name": "c"}, {"type": "tool", "name": "c"}),
        (
            {"type": "function", "name": "read", "namespace": "mcp__fs"},
            {"type": "tool", "name": "mcp__fs__read"},
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [FUNCTION]},
            {"type": "tool", "name": "f"},
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]},
            {"type": "none"},
        ),
    ],
)
def test_p16_tool_choice_is_flat(choice: Any, expected: Any) -> None:
    made = tools_of(FUNCTION, {"type": "custom", "name": "c"}, NAMESPACE, tool_choice=choice)
    assert made.get("tool_choice") == expected


def test_allowed_tools_may_name_a_namespace() -> None:
    allowed = [{"type": "namespace", "name": "mcp__fs"}, {"type": "web_search"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    draft = translated(tools=[FUNCTION, NAMESPACE], tool_choice=choice).draft
    assert draft.body["tool_choice"] == {"type": "any"}
    assert draft.instructions == [
        "In this answer, call no other tools than these: `mcp__fs__patch`, `mcp__fs__read`."
    ]


def test_p16_parallel_calls_can_be_switched_off() -> None:
    made = tools_of(FUNCTION, parallel_tool_calls=False)
    assert made["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": "yes"}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"model": None}, "model"),
        ({"model": 4}, "model"),
        ({"instructions": 4}, "instructions"),
        ({"instructions": ["a"]}, "instructions"),
        ({"max_output_tokens": "4"}, "max_output_tokens"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "long"}}, "reasoning.summary"),
        ({"text": []}, "text"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": 1}}}, "text.format.schema"),
        ({"include": "x"}, "include"),
        ({"include": [1]}, "include[0]"),
        ({"store": 1}, "store"),
        ({"stream": "yes"}, "stream"),
        ({"truncation": "middle"}, "truncation"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"a": "x" * 513}}, "metadata"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"type": "mystery"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "namespace", "tools": []}]}, "tools[0].name"),
        ({"tools": [{**NAMESPACE, "tools": [FUNCTION, 4]}]}, "tools[0].tools[1]"),
        ({"tools": [{**NAMESPACE, "tools": [{"type": "mcp"}]}]}, "tools[0].tools[0].type"),
        ({"tools": [{**NAMESPACE, "tools": [{"name": 4}]}]}, "tools[0].tools[0].name"),
        ({"tools": [FUNCTION, {**FUNCTION, "description": "other"}]}, "tools[1].name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}},
         "tool_choice.name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "tools": []}},
         "tool_choice.tools"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "tools": [4]}},
         "tool_choice.tools[0]"),
    ],
)  # fmt: skip
def test_errors_name_the_path(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields).param == param


def test_fields_without_a_counterpart_are_named() -> None:
    draft = translated(
        client_metadata={"session_id": "x"},
        max_tool_calls=4,
        truncation="auto",
        include=["reasoning.encrypted_content", "file_search_call.results"],
        background=False,
        prompt=None,
        store=True,
        top_logprobs=0,
        stream_options={"include_obfuscation": False},
    ).draft
    assert draft.ignored == [
        "client_metadata",
        "max_tool_calls",
        "truncation",
        "include.file_search_call.results",
    ]


def test_store_and_include_are_read() -> None:
    made = translated()
    assert made.plan.store
    assert not made.plan.encrypted
    made = translated(store=False, include=["reasoning.encrypted_content"], stream=True)
    assert not made.plan.store
    assert made.plan.encrypted
    assert made.draft.reply.stream


def test_the_echo_has_openais_defaults() -> None:
    echo = translated().plan.echo
    assert echo == {
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": "gpt-5",
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


def test_the_echo_repeats_what_was_sent() -> None:
    sent: dict[str, Any] = {
        "instructions": "Be brief",
        "temperature": 0,
        "tool_choice": "none",
        "tools": [NAMESPACE, {"type": "web_search"}],
        "parallel_tool_calls": False,
        "metadata": {"a": "b"},
        "store": False,
        "max_output_tokens": 9,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
    }
    plan = translated(**sent).plan
    assert {name: plan.echo[name] for name in sent} == sent
    assert wire.loads(plan.echo_json) == plan.echo


def test_p36_cache_marks_of_parts_are_kept() -> None:
    part = {"type": "input_text", "text": "a", "prompt_cache_breakpoint": True}
    made = translated(
        input=[{"role": "user", "content": [part]}], prompt_cache_options={"ttl": "30m"}
    ).draft
    block = made.body["messages"][0]["content"][0]
    assert block["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_deep_nesting_is_refused_with_a_path() -> None:
    deep: Any = {}
    for _ in range(600):
        deep = {"a": deep}
    for fields in (
        {"tools": [{**FUNCTION, "parameters": deep}]},
        {"tool_choice": deep},
        {"text": {"other": deep}},
        {"input": [{"role": "user", "content": [{"type": deep}]}]},
    ):
        assert refusal(**fields).param


def test_naming_a_namespace_over_and_over_costs_nothing() -> None:
    many = [{"type": "function", "name": f"t{n}"} for n in range(2000)]
    allowed = [{"type": "namespace", "name": "mcp"}] * 20_000
    choice = {"type": "allowed_tools", "mode": "auto", "tools": allowed}
    space = {"type": "namespace", "name": "mcp", "tools": many}
    assert tools_of(space, tool_choice=choice)["tool_choice"] == {"type": "auto"}
