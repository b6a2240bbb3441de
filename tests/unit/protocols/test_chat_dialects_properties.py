"""Properties of the dialects over arbitrary bodies and over long conversations of items."""

import contextlib
import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.errors import InvalidRequestError
from gateway.protocols.chat_dialects import chat_form, translate
from gateway.protocols.model_fit import FitOptions, fit_to_model
from tests.unit.protocols.messages_rules import broken_rules

MODELS = list(load_catalog().models.values())
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)

_words = st.sampled_from(
    [
        "type", "role", "content", "user", "assistant", "message", "function_call", "call_id",
        "function_call_output", "custom_tool_call", "custom_tool_call_output", "output", "input",
        "reasoning", "item_reference", "id", "name", "arguments", "namespace", "tools", "format",
        "json_schema", "schema", "effort", "web_search", "custom", "function", "compaction",
        "additional_tools", "allowed_tools", "mode", "text", "verbosity", "input_text", "tool",
        "local_shell_call", "action", "output_text", "cache_control", "tool_result",
    ]
)  # fmt: skip
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=5),
    max_leaves=16,
)
_FIELDS = (
    "input", "messages", "instructions", "tools", "tool_choice", "text", "output_config",
    "stop_sequences", "max_output_tokens", "reasoning", "store", "include", "stream",
    "previous_response_id", "background",
)  # fmt: skip
_bodies = st.fixed_dictionaries(
    {"model": st.just("auto")},
    optional=dict.fromkeys(_FIELDS, _anything),
)
_ids = st.sampled_from(["a", "b", "call_1|fc_2", ""])
_texts = st.sampled_from(["", " ", "hello", "a\n"])
_items = st.one_of(
    st.builds(lambda text: {"role": "user", "content": text}, _texts),
    st.builds(
        lambda text: {"role": "user", "content": [{"type": "input_text", "text": text}]}, _texts
    ),
    st.builds(
        lambda text: {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": text}],
        },
        _texts,
    ),
    st.builds(lambda text: {"role": "developer", "content": text}, _texts),
    st.builds(
        lambda call, given: {
            "type": "function_call", "call_id": call, "name": "f", "arguments": given,
        },
        _ids,
        st.sampled_from(["{}", "", '{"a":', "no"]),
    ),
    st.builds(
        lambda call: {"type": "custom_tool_call", "call_id": call, "name": "p", "input": "x"}, _ids
    ),
    st.builds(
        lambda call, text: {"type": "function_call_output", "call_id": call, "output": text},
        _ids,
        _texts | st.just([{"type": "input_text", "text": "x"}]),
    ),
    st.builds(lambda call: {"type": "custom_tool_call_output", "call_id": call}, _ids),
    st.just({"type": "reasoning", "id": "rs", "summary": []}),
    st.builds(lambda call: {"role": "tool", "tool_call_id": call, "content": "x"}, _ids),
)  # fmt: skip
_tools = [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}]


def refusal(body: dict[str, Any]) -> InvalidRequestError | None:
    try:
        translate(body)
    except InvalidRequestError as error:
        return error
    return None


def broken(body: dict[str, Any]) -> list[str]:
    """Rules that are broken for any model; a schema no model takes is not one of them."""
    found: list[str] = []
    for model in MODELS:
        with contextlib.suppress(InvalidRequestError):
            found += broken_rules(fit_to_model(translate(body), model, OPTIONS).body, model)
    return found


@settings(max_examples=400, deadline=None)
@given(_bodies)
def test_any_body_is_translated_or_refused_with_a_path(body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    error = refusal(body)
    if error is None:
        assert broken(body) == []
    elif error.param is not None:
        field = error.param.partition("[")[0].partition(".")[0]
        assert field in {*body, "messages", "tool_choice", "function_call"}
    assert body == before


@settings(max_examples=300, deadline=None)
@given(st.lists(_items, min_size=1, max_size=14), st.booleans())
def test_conversations_of_items_keep_the_rules_of_the_api(items: list[Any], mixed: bool) -> None:
    source = "messages" if mixed else "input"
    body = {"model": "auto", source: items, "tools": _tools}
    error = refusal(body)
    if error is not None:  # nothing of the conversation was left
        assert (error.param, {item.get("type") for item in items}) == (source, {"reasoning"})
        return
    assert broken(body) == []
    once, twice = translate(body).body, translate(copy.deepcopy(body)).body
    assert wire.dumps(once) == wire.dumps(twice)


@settings(max_examples=300, deadline=None)
@given(st.lists(_items, min_size=1, max_size=14), st.integers(1, 14))
def test_a_longer_conversation_begins_with_the_shorter_one(items: list[Any], length: int) -> None:
    shorter = chat_form({"input": items[:length]}).body["messages"]
    longer = chat_form({"input": items}).body["messages"]
    assert longer[: len(shorter)] == shorter


@settings(max_examples=200, deadline=None)
@given(st.lists(_items, min_size=1, max_size=10), st.lists(_items, max_size=6))
def test_turns_keep_the_bytes_of_earlier_turns(items: list[Any], more: list[Any]) -> None:
    """Between two turns of an agent the assistant has spoken, and the client has answered."""
    opened = {"role": "user", "content": "go"}
    said = {"role": "assistant", "content": "ok"}
    turn = translate({"model": "auto", "input": [opened, *items, opened], "tools": _tools})
    later = [opened, *items, opened, said, opened, *more]
    longer = translate({"model": "auto", "input": later, "tools": _tools})
    before = wire.dumps(turn.body["messages"])[:-1]
    assert wire.dumps(longer.body["messages"]).startswith(before)
