"""Faults other gateways had with requests, each shown not to be here."""

import base64
from typing import Any

import pytest

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.errors import InvalidRequestError
from gateway.protocols.model_fit import FitOptions, Fitted, fit_to_model, with_max_tokens
from gateway.protocols.openai_chat import translate
from tests.unit.protocols.messages_rules import broken_rules

MODELS = load_catalog().models
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)
USER = {"role": "user", "content": "hi"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(12)).decode()


def function(name: str, parameters: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def calling(*calls: tuple[str, str], content: Any = None) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
            for call_id, name in calls
        ],
    }


def result(call_id: str, content: Any = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def fitted(name: str, *messages: Any, **fields: Any) -> Fitted:
    body = {"model": "auto", "messages": list(messages) or [USER], **fields}
    made = fit_to_model(translate(body), MODELS[name], OPTIONS)
    assert broken_rules(made.body, MODELS[name]) == []
    return made


def everywhere(*messages: Any, **fields: Any) -> list[Fitted]:
    """The request fitted to every model; each body keeps the API's rules."""
    return [fitted(name, *messages, **fields) for name in MODELS]


@pytest.mark.parametrize("stream", [True, False])
def test_p01_tools_choice_and_calls_survive_with_and_without_streaming(stream: bool) -> None:
    for made in everywhere(
        USER,
        calling(("t1", "read")),
        result("t1"),
        tools=[function("read"), function("write")],
        tool_choice="auto",
        stream=stream,
    ):
        body = made.body
        assert [tool["name"] for tool in body["tools"]] == ["read", "write"]
        assert body["tool_choice"] == {"type": "auto"}
        assert body["messages"][1]["content"][0]["type"] == "tool_use"
        assert body["messages"][2]["content"][0]["type"] == "tool_result"
        assert made.reply.stream is stream


def test_p04_the_name_the_client_asked_for_is_kept_for_the_answer() -> None:
    body = {"model": "MYMODEL:claude-opus-5-5", "messages": [USER]}
    draft = translate(body)
    assert draft.asked_model == draft.reply.asked_model == "MYMODEL:claude-opus-5-5"
    made = fit_to_model(draft, MODELS["claude-sonnet-5-5"], OPTIONS)
    assert made.body["model"] == "claude-sonnet-5-5"
    assert made.reply.asked_model == "MYMODEL:claude-opus-5-5"


@pytest.mark.parametrize("blank", [None, "", " ", "\n\t", [], [{"type": "text", "text": " "}]])
def test_p05_blank_content_of_any_role_never_reaches_the_api(blank: Any) -> None:
    first = [
        {"role": "system", "content": blank},
        {"role": "user", "content": blank},
        {"role": "assistant", "content": blank},
        USER,
        calling(("t1", "read"), content=blank),
        result("t1", blank),
    ]
    now = fitted("claude-opus-5-5", *first).body["messages"]
    later = fitted("claude-opus-5-5", *first, calling(content="done"), USER).body["messages"]
    assert wire.dumps(later).startswith(wire.dumps(now)[:-1])
    everywhere(*first)


def test_p06_odd_tool_names_are_mapped_reversibly_whatever_the_order() -> None:
    names = ["srv.read", "srv/read", "srv read", "x" * 90, "werkzeug_ü", "plain"]
    tools = [function(name) for name in names]
    history = [USER, calling(("t1", "srv.read"), ("t2", "x" * 90)), result("t1"), result("t2")]
    choice = {"type": "function", "function": {"name": "srv/read"}}
    one = fitted("claude-haiku-5-5", *history, tools=tools, tool_choice=choice)
    other = fitted("claude-haiku-5-5", *history, tools=tools[::-1], tool_choice=choice)
    assert wire.dumps(one.body) == wire.dumps(other.body)
    back = one.reply.original_tool_names
    sent = [tool["name"] for tool in one.body["tools"]]
    assert sorted(back.get(name, name) for name in sent) == sorted(names)
    assert back[one.body["tool_choice"]["name"]] == "srv/read"
    uses = [block["name"] for block in one.body["messages"][1]["content"]]
    assert [back[name] for name in uses] == ["srv.read", "x" * 90]


def test_p07_combinations_at_the_top_of_a_schema_do_not_fail_the_request() -> None:
    branch = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    for word in ("oneOf", "anyOf", "allOf"):
        for schema in ({word: [branch, branch]}, {word: [branch, {"type": "string"}]}):
            everywhere(tools=[function("f", schema)])
    everywhere(tools=[function("f", {"properties": {"a": {}}}), function("g", {}), function("h")])


def test_p08_the_same_tool_twice_is_sent_once_and_a_conflict_is_named() -> None:
    made = fitted("claude-opus-5-5", tools=[function("f"), function("f"), function("g")])
    assert [tool["name"] for tool in made.body["tools"]] == ["f", "g"]
    with pytest.raises(InvalidRequestError) as caught:
        fitted("claude-opus-5-5", tools=[function("f"), function("f", description="other")])
    assert caught.value.param == "tools[1].function.name"


def test_p09_parallel_results_share_one_turn_in_call_order_and_orphans_are_mended() -> None:
    body = fitted(
        "claude-opus-5-5",
        USER,
        calling(("a", "f"), ("b", "f"), ("c", "f")),
        result("b", "2"),
        {"role": "user", "content": "and now?"},
        result("a", "1"),
        result("ghost", "3"),
    ).body
    blocks = body["messages"][2]["content"]
    assert [block.get("tool_use_id") for block in blocks] == ["a", "b", "c", None, None]
    assert blocks[2]["is_error"] is True
    assert blocks[4]["text"] == "[tool result for ghost] 3"


def test_p10_images_in_tool_results_are_kept() -> None:
    parts = [
        {"type": "text", "text": "the page"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    body = fitted("claude-opus-5-5", USER, calling(("a", "shot")), result("a", parts)).body
    inside = body["messages"][2]["content"][0]["content"]
    assert [block["type"] for block in inside] == ["text", "image"]
    assert inside[1]["source"]["data"] == PNG


def test_p11_sampling_never_reaches_the_api_and_is_named() -> None:
    for made in everywhere(temperature=1.7, top_p=0.9):
        assert {"temperature", "top_p"} <= set(made.ignored)


def test_p12_the_limit_is_the_models_own_and_a_clients_limit_counts() -> None:
    for name, model in MODELS.items():
        assert fitted(name).body["max_tokens"] == model.max_output_tokens
        assert fitted(name, max_tokens=5000).body["max_tokens"] == 5000


def test_p13_an_injected_limit_is_told_apart_and_can_be_shrunk() -> None:
    injected = fitted("claude-opus-4-5")
    assert injected.max_tokens_injected
    assert not fitted("claude-opus-4-5", max_tokens=64_000).max_tokens_injected
    shrunk = with_max_tokens(injected.body, 12_345)
    assert shrunk["max_tokens"] == 12_345
    assert {**shrunk, "max_tokens": 64_000} == injected.body


def test_p14_a_conversation_is_never_cut_to_hide_an_overflow() -> None:
    """The client has to see the API's own overflow error to compact its history."""
    long = {"role": "user", "content": "word " * 500_000}
    made = fitted("claude-haiku-4-5", long)
    assert made.body["messages"][0]["content"][0]["text"] == long["content"]


def test_p15_late_system_messages_do_not_change_the_system_prompt() -> None:
    history = [{"role": "system", "content": "base"}, USER]
    for name in MODELS:
        late = {"role": "system", "content": "rule"}
        before = fitted(name, *history).body
        after = fitted(name, *history, calling(content="a"), USER, late).body
        assert after["system"] == before["system"]
        assert after["messages"][: len(before["messages"])] == before["messages"]
        assert "rule" in wire.dumps_text(after["messages"][-1])


def test_p16_every_choice_and_the_parallel_switch_arrive() -> None:
    named = {"type": "function", "function": {"name": "f"}}
    tools = [function("f"), function("g")]
    expected = [
        ("none", {"type": "none"}),
        ("auto", {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
        (named, {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
    ]
    for choice, sent in expected:
        made = fitted(
            "claude-haiku-5-5", tools=tools, tool_choice=choice, parallel_tool_calls=False
        )
        assert made.body["tool_choice"] == sent
        # Forced choices do not go with manual thinking, and not with every model.
        everywhere(tools=tools, tool_choice=choice, reasoning_effort="high")


@pytest.mark.parametrize("stream", [True, False])
def test_p17_a_json_schema_is_native_and_leaves_the_tools_alone(stream: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    made = fitted(
        "claude-opus-5-5",
        tools=[function("f")],
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        stream=stream,
    )
    assert made.body["output_config"]["format"]["type"] == "json_schema"
    assert [tool["name"] for tool in made.body["tools"]] == ["f"]
    assert "tool_choice" not in made.body
