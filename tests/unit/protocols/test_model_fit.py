"""Drafts fitted to models: limits, thinking, effort, choices, formats, endings."""

import copy
from typing import Any

import pytest

from gateway.catalog.models import Model, load_catalog
from gateway.errors import UnsupportedValueError
from gateway.protocols.model_fit import (
    FitOptions,
    Fitted,
    fit_to_model,
    with_max_tokens,
    with_schema_instruction,
    without_system_messages,
    without_thinking,
)
from gateway.protocols.openai_chat import translate

CATALOG = load_catalog()
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)
QUIET = FitOptions(thinking_reserve_tokens=0, show_reasoning=False)
TOOLS = [{"type": "function", "function": {"name": "f"}}]
USER = {"role": "user", "content": "x"}
SHOWN = {"type": "adaptive", "display": "summarized"}


def model(name: str) -> Model:
    found = CATALOG.find(f"claude-{name}")
    assert found is not None
    return found


def fitted(name: str, options: FitOptions = OPTIONS, **fields: Any) -> Fitted:
    draft = translate({"model": "auto", "messages": [USER], **fields})
    return fit_to_model(draft, model(name), options)


def last_texts(result: Fitted) -> list[str]:
    return [block["text"] for block in result.body["messages"][-1]["content"]]


def test_the_body_is_complete_and_streams() -> None:
    body = fitted("sonnet-5-5", max_tokens=8000).body
    assert body == {
        "model": "claude-sonnet-5-5",
        "max_tokens": 8000,
        "stream": True,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "thinking": SHOWN,
    }


def test_a_draft_can_be_fitted_twice() -> None:
    draft = translate(
        {
            "model": "auto",
            "messages": [USER, {"role": "system", "content": "s"}],
            "tools": TOOLS,
            "tool_choice": "required",
            "response_format": {"type": "json_object"},
        }
    )
    before = copy.deepcopy(draft)
    for name in ("opus-5-5", "haiku-4-5", "opus-5-5"):
        fit_to_model(draft, model(name), OPTIONS)
    assert draft == before


@pytest.mark.parametrize(
    ("name", "most"), [("opus-5-5", 128_000), ("haiku-5-5", 128_000), ("haiku-4-5", 64_000)]
)
def test_without_a_limit_the_models_maximum_is_sent(name: str, most: int) -> None:
    result = fitted(name)
    assert result.body["max_tokens"] == most
    assert result.max_tokens_injected


def test_a_limit_above_the_maximum_is_cut_and_noted() -> None:
    result = fitted("haiku-4-5", max_tokens=200_000)
    assert result.body["max_tokens"] == 64_000
    assert result.notes["X-Max-Tokens"].startswith("64000;")
    assert not result.max_tokens_injected


@pytest.mark.parametrize(
    ("name", "asked", "sent"),
    [
        ("opus-5-5", 100, 4196),
        ("sonnet-5-5", 4095, 8191),
        ("sonnet-5-5", 4096, 4096),
        ("haiku-5-5", 100, 4196),
        ("opus-4-8", 100, 100),
        ("haiku-4-5", 100, 100),
    ],
)
def test_small_limits_get_a_reserve_where_thinking_would_eat_them(
    name: str, asked: int, sent: int
) -> None:
    result = fitted(name, max_tokens=asked)
    assert result.body["max_tokens"] == sent
    assert result.notes.get("X-Thinking-Reserve") == ("4096" if sent > asked else None)


def test_the_reserve_can_be_switched_off_and_is_not_needed_without_thinking() -> None:
    assert fitted("opus-5-5", QUIET, max_tokens=100).body["max_tokens"] == 100
    off = fitted("haiku-5-5", max_tokens=100, reasoning_effort="none")
    assert off.body["max_tokens"] == 100
    assert off.body["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(
    ("name", "effort", "thinking", "level"),
    [
        ("opus-5-5", None, SHOWN, None),
        ("opus-5-5", "none", SHOWN, "low"),
        ("opus-5-5", "minimal", SHOWN, "low"),
        ("opus-5-5", "xhigh", SHOWN, "xhigh"),
        ("sonnet-5-5", "none", {"type": "between_tools"}, None),
        ("sonnet-5-5", "max", SHOWN, "max"),
        ("haiku-5-5", "none", {"type": "disabled"}, None),
        ("opus-4-8", None, None, None),
        ("opus-4-8", "none", None, None),
        ("opus-4-8", "high", SHOWN, "high"),
        ("opus-4-6", "xhigh", SHOWN, "high"),
        ("opus-4-6", "max", SHOWN, "max"),
        ("opus-4-5", "low", {"type": "enabled", "budget_tokens": 2048}, "low"),
        ("opus-4-5", "max", {"type": "enabled", "budget_tokens": 32768}, "high"),
        ("haiku-4-5", None, None, None),
        ("haiku-4-5", "none", None, None),
        ("haiku-4-5", "medium", {"type": "enabled", "budget_tokens": 8192}, None),
    ],
)
def test_reasoning_effort_in_each_models_terms(
    name: str, effort: str | None, thinking: Any, level: str | None
) -> None:
    body = fitted(name, reasoning_effort=effort).body
    sent = body.get("thinking")
    if sent is not None and thinking is not None and thinking["type"] == "enabled":
        thinking = {**thinking, "display": "summarized"}
    assert sent == thinking
    assert body.get("output_config", {}).get("effort") == level


@pytest.mark.parametrize(
    ("name", "fields", "thinking", "level"),
    [
        ("opus-5-5", {"thinking": {"type": "enabled", "budget_tokens": 10_000}}, SHOWN, "high"),
        ("opus-5-5", {"reasoning": {"max_tokens": 99_000}}, SHOWN, "max"),
        (
            "haiku-4-5",
            {"reasoning": {"max_tokens": 10}},
            {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
            None,
        ),
        ("opus-4-8", {"thinking": {"type": "adaptive"}}, SHOWN, None),
        (
            "opus-4-8",
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            {"type": "adaptive", "display": "omitted"},
            None,
        ),
        (
            "opus-5",
            {"thinking": {"type": "disabled"}, "reasoning_effort": "max"},
            {"type": "disabled"},
            "high",
        ),
        (
            "sonnet-5-5",
            {"thinking": {"type": "between_tools"}, "reasoning_effort": "xhigh"},
            {"type": "between_tools"},
            "high",
        ),
        ("opus-5-5", {"thinking": {"type": "between_tools"}}, SHOWN, None),
    ],
)
def test_the_clients_own_thinking_in_each_models_terms(
    name: str, fields: Any, thinking: Any, level: str | None
) -> None:
    body = fitted(name, **fields).body
    assert body["thinking"] == thinking
    assert body.get("output_config", {}).get("effort") == level


def test_a_wish_for_no_thinking_that_cannot_be_granted_is_noted() -> None:
    result = fitted("opus-5-5", reasoning_effort="none")
    assert result.notes["X-Thinking"] == "low; claude-opus-5-5 always thinks"


def test_summaries_are_asked_for_only_when_they_can_be_shown() -> None:
    assert "thinking" not in fitted("opus-5-5", QUIET).body
    hidden = fitted("opus-5-5", reasoning={"exclude": True})
    assert "thinking" not in hidden.body
    assert not hidden.reply.show_reasoning
    assert fitted("opus-4-8", QUIET, reasoning_effort="low").body["thinking"] == {
        "type": "adaptive"
    }


@pytest.mark.parametrize(
    ("asked", "limit", "budget", "reserve"),
    [(20_000, 20_000, 16_384, None), (8000, 8000, 4000, None), (500, 1524, 1024, "1024")],
)
def test_a_budget_stays_below_the_limit(
    asked: int, limit: int, budget: int, reserve: str | None
) -> None:
    result = fitted("haiku-4-5", max_tokens=asked, reasoning_effort="high")
    assert result.body["max_tokens"] == limit
    assert result.body["thinking"]["budget_tokens"] == budget
    assert result.notes.get("X-Thinking-Reserve") == reserve


def test_manual_thinking_is_off_in_a_tool_loop_whose_thinking_is_gone() -> None:
    loop = [
        USER,
        {"role": "assistant", "tool_calls": [{"id": "t", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "t", "content": "r"},
    ]
    result = fitted("haiku-4-5", messages=loop, tools=TOOLS, reasoning_effort="high")
    assert "thinking" not in result.body
    assert result.notes["X-Thinking"].startswith("off;")
    draft = translate({"model": "auto", "messages": loop, "reasoning_effort": "high"})
    draft.body["messages"][1]["content"].insert(0, {"type": "thinking", "thinking": ""})
    assert "thinking" in fit_to_model(draft, model("haiku-4-5"), OPTIONS).body


def test_manual_thinking_gives_way_to_a_forced_choice() -> None:
    result = fitted("haiku-4-5", tools=TOOLS, tool_choice="required", reasoning_effort="high")
    assert result.body["tool_choice"] == {"type": "any"}
    assert "thinking" not in result.body


@pytest.mark.parametrize("name", ["opus-5-5", "sonnet-5-5", "fable-5-1"])
def test_a_forced_choice_becomes_an_instruction_where_it_is_not_taken(name: str) -> None:
    result = fitted(
        name,
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "f"}},
        parallel_tool_calls=False,
    )
    assert result.body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert last_texts(result) == ["x", "You must call the tool `f` now; do not answer in text."]
    assert result.notes["X-Tool-Choice"] == f"auto; forced choice not accepted by claude-{name}"


def test_a_forced_choice_is_sent_where_it_is_taken() -> None:
    result = fitted("haiku-5-5", tools=TOOLS, tool_choice="required")
    assert result.body["tool_choice"] == {"type": "any"}
    assert last_texts(result) == ["x"]
    assert "X-Tool-Choice" not in result.notes


def test_sampling_is_dropped_and_named_for_every_model() -> None:
    for name in CATALOG.models:
        result = fitted(name.removeprefix("claude-"), temperature=0, top_p=0.5, top_k=3, seed=1)
        assert not {"temperature", "top_p", "top_k"} & set(result.body)
        assert result.ignored == ["seed", "temperature", "top_p", "top_k"]


def test_fast_mode_needs_the_setting_and_the_model() -> None:
    fast = FitOptions(thinking_reserve_tokens=0, show_reasoning=True, fast_mode=True)
    assert fitted("opus-5-5", fast, service_tier="fast").body["speed"] == "fast"
    for name, options in (("sonnet-5-5", fast), ("opus-5-5", OPTIONS)):
        result = fitted(name, options, service_tier="fast")
        assert "speed" not in result.body
        assert result.ignored == ["service_tier"]


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FREE = {"type": "object", "additionalProperties": {"type": "string"}}


def json_schema(schema: Any, strict: bool | None = None) -> dict[str, Any]:
    named = {"name": "n", "schema": schema, "strict": strict}
    return {"type": "json_schema", "json_schema": named}


def test_a_json_schema_becomes_an_output_format() -> None:
    body = fitted("sonnet-5-5", response_format=json_schema(SCHEMA, True)).body
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {**SCHEMA, "additionalProperties": False},
    }


def test_a_schema_that_does_not_fit_is_asked_for_in_words_or_refused_when_strict() -> None:
    result = fitted("sonnet-5-5", response_format=json_schema(FREE))
    assert "output_config" not in result.body
    assert last_texts(result)[-1].endswith(
        '{"type":"object","additionalProperties":{"type":"string"}}'
    )
    assert result.notes["X-Response-Format"] == "instruction; $ is a map with free keys"
    with pytest.raises(UnsupportedValueError, match="map with free keys") as caught:
        fitted("sonnet-5-5", response_format=json_schema(FREE, True))
    assert caught.value.param == "response_format.json_schema.schema"


def test_json_mode_is_an_instruction_in_the_newest_user_message_only() -> None:
    history = [USER, {"role": "assistant", "content": "y"}, {"role": "user", "content": "z"}]
    result = fitted("sonnet-5-5", messages=history, response_format={"type": "json_object"})
    assert result.body["messages"][0]["content"] == [{"type": "text", "text": "x"}]
    assert "one valid JSON object" in last_texts(result)[-1]


def test_late_system_messages_stay_where_the_model_takes_them() -> None:
    history = [USER, {"role": "system", "content": "rule"}]
    native = fitted("opus-5-5", messages=history).body["messages"]
    assert native[1] == {"role": "system", "content": [{"type": "text", "text": "rule"}]}
    tagged = fitted("opus-4-6", messages=history)
    assert last_texts(tagged) == ["x", "<system-reminder>\nrule\n</system-reminder>"]


def test_an_answer_begun_by_the_client_is_continued_or_kept_as_prefill() -> None:
    history = [USER, {"role": "assistant", "content": "The answer is "}]
    assert last_texts(fitted("opus-5-5", messages=history)) == ["Continue."]
    kept = fitted("haiku-4-5", messages=history).body["messages"][-1]
    assert kept == {
        "role": "assistant",
        "content": [{"type": "text", "text": "The answer is"}],
    }
    thinking = fitted("haiku-4-5", messages=history, reasoning_effort="low")
    assert last_texts(thinking) == ["Continue."]
    formatted = fitted("haiku-4-5", messages=history, response_format=json_schema(SCHEMA))
    assert last_texts(formatted) == ["Continue."]


def test_system_messages_can_be_turned_into_reminders_later() -> None:
    body = fitted("opus-5-5", messages=[USER, {"role": "system", "content": "rule"}]).body
    changed = without_system_messages(body)
    assert [message["role"] for message in changed["messages"]] == ["user"]
    assert len(body["messages"]) == 2


def test_thinking_can_be_taken_out_of_a_history() -> None:
    thought = {"type": "thinking", "thinking": "", "signature": "s"}
    body: dict[str, Any] = {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [
            USER,
            {"role": "assistant", "content": [thought, {"type": "text", "text": "a"}]},
            USER,
            {"role": "assistant", "content": [thought, {"type": "redacted_thinking", "data": ""}]},
        ],
    }
    changed = without_thinking(body)
    assert changed["messages"][1]["content"] == [{"type": "text", "text": "a"}]
    assert changed["messages"][3]["content"] == [{"type": "text", "text": "(no answer)"}]
    assert "thinking" not in changed
    assert "thinking" in body
    assert without_thinking({**body, "thinking": SHOWN})["thinking"] == SHOWN


def test_a_body_can_be_limited_to_fewer_tokens() -> None:
    assert with_max_tokens({"max_tokens": 9}, 5) == {"max_tokens": 5}
    manual = {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}}
    assert with_max_tokens(manual, 4000)["thinking"]["budget_tokens"] == 3999
    assert "thinking" not in with_max_tokens(manual, 1000)


def test_a_schema_the_upstream_refuses_can_be_asked_for_in_words() -> None:
    body = fitted("sonnet-5-5", response_format=json_schema(SCHEMA), reasoning_effort="low").body
    changed = with_schema_instruction(body, SCHEMA)
    assert changed["output_config"] == {"effort": "low"}
    assert "JSON schema" in changed["messages"][-1]["content"][-1]["text"]
    assert "format" in body["output_config"]
    only = fitted("sonnet-5-5", response_format=json_schema(SCHEMA)).body
    assert "output_config" not in with_schema_instruction(only, SCHEMA)
