"""Properties of the Responses translation over arbitrary and over broken conversations."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.errors import GatewayError
from gateway.protocols.model_fit import FitOptions, fit_to_model
from gateway.protocols.openai_responses import Recalled, state_wanted, stored_input, translate
from gateway.protocols.shared.sealed_thinking import thinking_chain
from tests.support.responses_stream import SEAL
from tests.unit.protocols.messages_rules import broken_rules

MODELS = list(load_catalog().models.values())
OPTIONS = FitOptions(thinking_reserve_tokens=4096, show_reasoning=True)

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
_words = st.sampled_from(
    [
        "type", "name", "content", "role", "user", "assistant", "developer", "object", "function",
        "message", "function_call", "function_call_output", "custom_tool_call", "custom", "id",
        "reasoning", "encrypted_content", "item_reference", "call_id", "arguments", "output",
        "namespace", "tools", "input_text", "output_text", "input_image", "input_file", "refusal",
        "image_url", "file_data", "file_url", "https://a.example", "summary", "format", "schema",
        "json_schema", "auto", "required", "allowed_tools", "mode", "local_shell_call", "action",
        "web_search", "additional_tools", "none", "high", "{", '{"a":1}', "cache_control", "text",
    ]
)  # fmt: skip
_anything = st.recursive(
    _scalars | _words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_words | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
_ids = st.sampled_from(["a", "b", "c", "call_1|fc_2", "", "Bash:12", "call_0"])
_names = st.sampled_from(["read", "srv.read", "b c", "ünï", "x" * 90, ""])
_spaces = st.sampled_from([None, "mcp", "mcp.fs"])
_texts = st.sampled_from(["", " ", "hello", "a\n", "\t", "ok ", "π"])
_arguments = st.sampled_from(["", "{}", '{"a":1}', '{"a":', "[1]", "no", '{"a":"x\n"}'])
_parts = st.lists(
    st.builds(lambda text: {"type": "input_text", "text": text}, _texts)
    | st.just({"type": "input_image", "image_url": "https://example.com/a.png"})
    | st.builds(
        lambda text: {"type": "input_text", "text": text, "prompt_cache_breakpoint": True}, _texts
    ),
    max_size=3,
)
_user = st.builds(lambda content: {"role": "user", "content": content}, _texts | _parts)
_system = st.builds(lambda content: {"role": "developer", "content": content}, _texts)
_assistant = st.builds(
    lambda texts: {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text} for text in texts],
    },
    st.lists(_texts, max_size=3),
)
_call = st.builds(
    lambda call_id, name, space, arguments: {
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "namespace": space,
        "arguments": arguments,
    },
    _ids,
    _names,
    _spaces,
    _arguments,
)
_custom = st.builds(
    lambda call_id, name, text: {
        "type": "custom_tool_call",
        "call_id": call_id,
        "name": name,
        "input": text,
    },
    _ids,
    _names,
    _texts,
)
_output = st.builds(
    lambda kind, call_id, value: {"type": kind, "call_id": call_id, "output": value},
    st.sampled_from(["function_call_output", "custom_tool_call_output", "shell_call_output"]),
    _ids,
    _texts | _parts,
)
_blocks = st.sampled_from(
    [
        {"type": "thinking", "thinking": "", "signature": "s1"},
        {"type": "thinking", "thinking": "x", "signature": "s2"},
        {"type": "redacted_thinking", "data": "d"},
    ]
)
_reasoning = st.builds(
    lambda block, chain: {
        "type": "reasoning",
        "summary": [],
        "encrypted_content": SEAL.seal(block, "claude-sonnet-5-5", chain),
    },
    _blocks,
    st.sampled_from(["", "other"]),
) | st.just({"type": "reasoning", "summary": [], "encrypted_content": "foreign"})
_item = _user | _system | _assistant | _call | _custom | _output | _reasoning
_items = st.lists(_item, max_size=12)
_tools = st.lists(
    st.builds(lambda name: {"type": "function", "name": name}, _names.filter(bool))
    | st.just({"type": "custom", "name": "read c"})
    | st.just({"type": "web_search"})
    | st.builds(
        lambda name: {
            "type": "namespace",
            "name": "mcp",
            "tools": [{"type": "function", "name": name}],
        },
        _names.filter(bool),
    ),
    max_size=4,
)
_NAMES = (
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls",
    "max_output_tokens", "temperature", "top_p", "stream", "stream_options", "text",
    "reasoning", "thinking", "include", "store", "previous_response_id", "metadata", "user",
    "safety_identifier", "service_tier", "prompt_cache_key", "prompt_cache_options",
    "background", "prompt", "conversation", "truncation", "client_metadata", "unknown",
)  # fmt: skip
_fields = dict.fromkeys(_NAMES, _anything)
_USER_NOW = {"role": "user", "content": "now"}
_ANSWER = {"type": "message", "role": "assistant", "content": "answer"}


def _good_base() -> dict[str, Any]:
    return {
        "model": "auto",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {
                "type": "reasoning",
                "summary": [],
                "encrypted_content": SEAL.seal(
                    {"type": "thinking", "thinking": "", "signature": "s"}, "m", ""
                ),
            },
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "done"},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": {}},
            {"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "c"}]},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
    }


def _check(body: dict[str, Any]) -> None:
    """Either a GatewayError that names a path, or a body every model would accept."""
    before = copy.deepcopy(body)
    made = _attempt(lambda: translate(body, None, SEAL))
    assert body == before
    if made is None:
        return
    state_wanted(body)
    wire.dumps(stored_input(body, "resp_x", lambda _: None))
    assert wire.loads(made.plan.echo_json)
    assert made.plan.chain == thinking_chain(made.draft.body["messages"])
    for model in MODELS:
        fitted = _attempt(lambda model=model: fit_to_model(made.draft, model, OPTIONS))
        if fitted is not None:
            assert broken_rules(fitted.body, model) == []
            wire.dumps(fitted.body)
            assert all(name.isascii() for name in fitted.ignored)


def _attempt(step: Any) -> Any:
    """What `step` gives, None when it refuses the request properly."""
    try:
        return step()
    except GatewayError as error:
        if error.status != 400 or not error.param:
            raise
        return None


@given(st.fixed_dictionaries({}, optional=_fields))
@settings(max_examples=200, deadline=None)
def test_arbitrary_json_in_any_field_gives_an_error_with_a_path_or_a_legal_body(
    extra: dict[str, Any],
) -> None:
    _check({**_good_base(), **extra})


@given(st.dictionaries(_words | st.text(max_size=4), _anything, max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_json_object_gives_an_error_with_a_path_or_a_legal_body(body: dict[str, Any]) -> None:
    _check(body)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_arbitrary_json_anywhere_inside_gives_an_error_with_a_path_or_a_legal_body(
    data: st.DataObject,
) -> None:
    body = _good_base()
    body["input"] += copy.deepcopy(data.draw(_items))
    paths = list(_paths(body))
    for _ in range(data.draw(st.integers(1, 2))):
        holder, key = paths[data.draw(st.integers(0, len(paths) - 1))]
        holder[key] = copy.deepcopy(data.draw(_anything))
    _check(body)


def _paths(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _paths(item)


@given(_items, _tools, st.sampled_from([None, "auto", "none"]))
@settings(max_examples=300, deadline=None)
def test_any_history_becomes_a_legal_conversation(
    items: list[Any], tools: list[Any], choice: str | None
) -> None:
    _check({"model": "auto", "input": [*items, _USER_NOW], "tools": tools, "tool_choice": choice})


@given(_items, _items)
@settings(max_examples=400, deadline=None)
def test_the_next_turn_begins_with_the_bytes_of_this_one(
    before: list[Any], after: list[Any]
) -> None:
    """A turn ends with anything but the assistant; the client then appends the answer and more."""
    history = [*before, _USER_NOW]
    now = _without_marks(history)
    later = _without_marks([*history, _ANSWER, *after])
    assert later[: len(now)] == now


@given(_items, _items, st.integers(0, 12))
@settings(max_examples=200, deadline=None)
def test_it_does_not_matter_what_was_stored_and_what_is_sent(
    before: list[Any], after: list[Any], at: int
) -> None:
    items = [*before, _USER_NOW, *after]
    body: dict[str, Any] = {"model": "auto", "input": items}
    sent = translate(copy.deepcopy(body), None, SEAL)
    split = {**body, "input": items[at:], "previous_response_id": "resp_1"}
    recalled = translate(split, Recalled(items[:at]), SEAL)
    assert wire.dumps(recalled.draft.body) == wire.dumps(sent.draft.body)
    assert recalled.plan.chain == sent.plan.chain


def _without_marks(items: list[Any]) -> list[dict[str, Any]]:
    """The translated messages; cache marks may move from turn to turn, they are not content."""
    made = translate(copy.deepcopy({"model": "auto", "input": items}), None, SEAL)
    messages: list[dict[str, Any]] = made.draft.body["messages"]
    for message in messages:
        for block in message["content"]:
            block.pop("cache_control", None)
    return messages


@given(_tools, st.randoms())
@settings(max_examples=60, deadline=None)
def test_order_of_tools_does_not_matter(tools: list[Any], random: Any) -> None:
    shuffled = list(tools)
    random.shuffle(shuffled)
    one, other = (
        translate({"model": "auto", "input": "x", "tools": some}) for some in (tools, shuffled)
    )
    assert wire.dumps(one.draft.body) == wire.dumps(other.draft.body)
    assert one.plan.namespaces == other.plan.namespaces
