"""Properties of the request translation over arbitrary and over broken conversations."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.errors import GatewayError
from gateway.protocols.model_fit import FitOptions, fit_to_model, without_system_messages
from gateway.protocols.openai_chat import translate
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
        "text", "type", "name", "content", "role", "user", "assistant", "tool", "system", "object",
        "function", "tool_use", "tool_result", "image_url", "file", "custom", "id", "input",
        "url", "data:image/png;base64,AAAA", "properties", "$ref", "#", "#/$defs/a", "anyOf",
        "items", "auto", "required", "none", "high", "enabled", "json_schema", "schema",
        "cache_control", "ephemeral", "arguments", "{", '{"a":1}', "allowed_tools", "a b",
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
_texts = st.sampled_from(["", " ", "hello", "a\n", "\t", "ok ", "π"])
_parts = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, _texts)
    | st.just({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})
    | st.builds(
        lambda text: {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}, _texts
    ),
    max_size=3,
)
_mark = st.sampled_from([{}, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, {}])
_arguments = st.sampled_from(["", "{}", '{"a":1}', '{"a":', "[1]", "no", '{"a":"x\n"}'])
_calls = st.lists(
    st.builds(
        lambda client_id, name, arguments: {
            "id": client_id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        },
        _ids,
        _names,
        _arguments,
    ),
    max_size=3,
)
_user = st.builds(
    lambda content, mark: {"role": "user", "content": content, **mark},
    _texts | _parts | st.none(),
    _mark,
)
_system = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["system", "developer"]),
    _texts,
)
_assistant = st.builds(
    lambda content, calls: {"role": "assistant", "content": content, "tool_calls": calls},
    _texts | st.none(),
    _calls,
) | st.builds(
    lambda name: {"role": "assistant", "function_call": {"name": name, "arguments": "{}"}}, _names
)
_tool = st.builds(
    lambda client_id, content: {"role": "tool", "tool_call_id": client_id, "content": content},
    _ids,
    _texts | _parts,
)
_function = st.builds(lambda name: {"role": "function", "name": name, "content": "1"}, _names)
_message = _user | _assistant | _tool | _system | _function
_history = st.lists(_message, min_size=1, max_size=12)
_tools = st.dictionaries(
    _names.filter(bool),
    st.sampled_from([None, {"type": "object", "properties": {"a": {"type": "string"}}}]),
    max_size=3,
).map(
    lambda schemas: [
        {"type": "function", "function": {"name": name, "parameters": schema}}
        for name, schema in schemas.items()
    ]
)
_fields = {
    "model": _anything, "messages": _anything, "tools": _anything, "tool_choice": _anything,
    "functions": _anything, "function_call": _anything, "parallel_tool_calls": _anything,
    "max_tokens": _anything, "max_completion_tokens": _anything, "temperature": _anything,
    "top_p": _anything, "top_k": _anything, "stop": _anything, "stream": _anything,
    "stream_options": _anything, "n": _anything, "response_format": _anything,
    "reasoning_effort": _anything, "reasoning": _anything, "thinking": _anything,
    "user": _anything, "safety_identifier": _anything, "service_tier": _anything,
    "prompt_cache_key": _anything, "prompt_cache_options": _anything, "logprobs": _anything,
    "modalities": _anything, "metadata": _anything, "system": _anything, "unknown": _anything,
}  # fmt: skip


def _good_base() -> dict[str, Any]:
    return {
        "model": "auto",
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "done"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    }


def _is_refused(error: GatewayError) -> bool:
    """True for a refusal as it should be: 400, with the path of the value."""
    return error.status == 400 and bool(error.param)


def _check(body: dict[str, Any]) -> None:
    """Either a GatewayError that names a path, or a body every model would accept."""
    before = copy.deepcopy(body)
    draft = _attempt(lambda: translate(body))
    assert body == before
    for model in MODELS if draft else ():
        fitted = _attempt(lambda model=model: fit_to_model(draft, model, OPTIONS))
        if fitted is None:
            continue
        assert broken_rules(fitted.body, model) == []
        wire.dumps(fitted.body)
        for value in fitted.notes.values():
            assert value.isascii()
            assert value.isprintable()
        assert all(name.isascii() for name in fitted.ignored)


def _attempt(step: Any) -> Any:
    """What `step` gives, None when it refuses the request properly."""
    try:
        return step()
    except GatewayError as error:
        if not _is_refused(error):
            raise
        return None


@given(st.fixed_dictionaries({}, optional=_fields))
@settings(max_examples=150, deadline=None)
def test_arbitrary_json_in_any_field_gives_an_error_with_a_path_or_a_legal_body(
    extra: dict[str, Any],
) -> None:
    _check({**_good_base(), **extra})


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_arbitrary_json_anywhere_inside_gives_an_error_with_a_path_or_a_legal_body(
    data: st.DataObject,
) -> None:
    body = _good_base()
    body["messages"] += copy.deepcopy(data.draw(_history))
    body["response_format"] = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
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


@given(_anything)
@settings(max_examples=150, deadline=None)
def test_arbitrary_tool_schema_is_refused_or_made_legal(parameters: Any) -> None:
    body = _good_base()
    body["tools"][0]["function"]["parameters"] = parameters
    _check(body)


@given(_history, _tools, st.sampled_from([None, "auto", "none", "required"]))
@settings(max_examples=300, deadline=None)
def test_any_history_becomes_a_legal_conversation(
    history: list[Any], tools: list[Any], choice: str | None
) -> None:
    body: dict[str, Any] = {"model": "auto", "messages": history}
    if tools:
        body |= {"tools": tools, "tool_choice": choice}
    draft = translate(body)
    for model in MODELS:
        assert broken_rules(fit_to_model(draft, model, OPTIONS).body, model) == []


@given(_history)
@settings(max_examples=100, deadline=None)
def test_translation_is_deterministic(history: list[Any]) -> None:
    body = {"model": "auto", "messages": history}
    first, second = translate(copy.deepcopy(body)), translate(copy.deepcopy(body))
    assert wire.dumps(first.body) == wire.dumps(second.body)


@given(_history, _history)
@settings(max_examples=400, deadline=None)
def test_the_next_turn_begins_with_the_bytes_of_this_one(
    before: list[Any], after: list[Any]
) -> None:
    """A turn ends with anything but the assistant; the client then appends the answer and more."""
    history = [*before, {"role": "user", "content": "now"}]
    answer = {"role": "assistant", "content": "answer"}
    now = _without_marks(history)
    later = _without_marks([*history, answer, *after])
    assert later[: len(now)] == now


@given(_history, _history)
@settings(max_examples=400, deadline=None)
def test_even_after_an_empty_answer_no_earlier_block_changes(
    before: list[Any], after: list[Any]
) -> None:
    history = [*before, {"role": "tool", "tool_call_id": "a", "content": "late"}]
    now = _blocks(_without_marks(history))
    later = _blocks(_without_marks([*history, {"role": "assistant", "content": ""}, *after]))
    assert later[: len(now)] == now


@given(_history, _history)
@settings(max_examples=200, deadline=None)
def test_prefixes_also_hold_for_models_without_system_messages(
    before: list[Any], after: list[Any]
) -> None:
    history = [*before, {"role": "user", "content": "now"}]
    extended = [*history, {"role": "assistant", "content": "answer"}, *after]
    now, later = (
        without_system_messages({"messages": _without_marks(messages)})["messages"]
        for messages in (history, extended)
    )
    assert later[: len(now)] == now


def _without_marks(history: list[Any]) -> list[dict[str, Any]]:
    """The translated messages; cache marks may move from turn to turn, they are not content."""
    body = copy.deepcopy({"model": "auto", "messages": history})
    messages: list[dict[str, Any]] = translate(body).body["messages"]
    for message in messages:
        for block in message["content"]:
            block.pop("cache_control", None)
    return messages


def _blocks(messages: list[dict[str, Any]]) -> list[tuple[str, bytes]]:
    return [
        (message["role"], wire.dumps(block)) for message in messages for block in message["content"]
    ]


@given(_tools, st.randoms())
@settings(max_examples=60, deadline=None)
def test_order_of_tools_does_not_matter(tools: list[Any], random: Any) -> None:
    shuffled = list(tools)
    random.shuffle(shuffled)
    bodies = [
        translate({"model": "auto", "messages": [{"role": "user", "content": "x"}], "tools": some})
        for some in (tools, shuffled)
    ]
    assert wire.dumps(bodies[0].body) == wire.dumps(bodies[1].body)
    assert bodies[0].reply == bodies[1].reply
