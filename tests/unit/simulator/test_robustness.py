"""Whatever is sent, the simulator answers: with a message, or with an error of the API."""

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.agent import act
from simulator.errors import ApiError
from simulator.messages_api import compose, prepare

HEADERS = {"anthropic-version": "2023-06-01"}
BODY: dict[str, Any] = {
    "model": "claude-opus-4-6",
    "max_tokens": 4000,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "read a.py and run x"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "ok"},
                {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a.py"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "r"}],
                },
                {"type": "text", "text": "[[sim:text x]] go on with b.py"},
            ],
        },
    ],
    "tools": [
        {
            "name": "read",
            "description": "d",
            "input_schema": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "n": {"type": "integer"}},
                "required": ["path", "n"],
            },
        }
    ],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {
        "effort": "low",
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/x"}}},
                "required": ["a"],
                "additionalProperties": False,
                "$defs": {"x": {"type": "string", "enum": ["p"]}},
            },
        },
    },
    "stop_sequences": ["END"],
    "metadata": {"user_id": "u"},
    "stream": False,
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", " ", "text", "tool_use", "object", "claude-opus-5-5", "#/$defs/x", "#"]),
    st.lists(st.sampled_from(["x", {}, [], 1, None]), max_size=3),
    st.dictionaries(st.sampled_from(["type", "text", "x"]), st.sampled_from(["text", {}, 1])),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, key))
    return found


PLACES = places(BODY)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_any_body_is_answered_or_refused(world: Any, changes: list[tuple[Any, Any]]) -> None:
    body = copy.deepcopy(BODY)
    for path, value in changes:
        target: Any = body
        for key in path[:-1]:
            if not isinstance(target, dict | list) or (
                isinstance(target, list) and not (isinstance(key, int) and key < len(target))
            ):
                break
            target = target.get(key) if isinstance(target, dict) else target[key]
        if has_place(target, path[-1]):
            target[path[-1]] = value
    kind = outcome(world, body)
    assert kind in ("message", "refused")


def has_place(target: Any, key: Any) -> bool:
    """An earlier change may have put an object where a later one looks for an array."""
    if isinstance(target, dict):
        return isinstance(key, str)
    return isinstance(target, list) and isinstance(key, int) and key < len(target)


def outcome(world: Any, body: dict[str, Any]) -> str:
    """`message` or `refused`; anything else raises."""
    try:
        prepared = prepare(world.state, HEADERS, body, "a")
    except ApiError as error:
        return "refused" if 400 <= error.status < 500 and error.message else "wrong"
    message = compose(world.state, prepared, act(prepared.request)).message()
    return str(message["type"])
