"""Which requests may be answered from the cache, and that the key holds all of a request."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.context import Project
from gateway.policies import ResponseCachePolicy
from gateway.response_cache.question import (
    MAX_QUESTION_CHARS,
    MAX_SYSTEM_CHARS,
    Asked,
    Keepable,
    Question,
    Sampling,
    answer_key,
    read_question,
)
from gateway.structs import replace

Body = dict[str, Any]


def text(words: str, **fields: Any) -> Body:
    return {"type": "text", "text": words, **fields}


def full_body() -> Body:
    """A body with every field a question may have."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}}
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 1000,
        "stream": True,
        "system": [text("be brief"), text("be kind")],
        "messages": [
            {"role": "user", "content": [text("hello"), text("there")]},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, text("hi")],
            },
            {"role": "user", "content": [text("what is a monad?")]},
        ],
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": schema}},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "speed": "fast",
        "inference_geo": "us",
    }


def asked(body: Body | None = None, **fields: Any) -> Asked:
    policy = ResponseCachePolicy(
        fields.pop("answers", "all"), 60, fields.pop("semantic_threshold", 0.0)
    )
    request = Keepable(
        full_body() if body is None else body,
        Sampling(fields.pop("temperature", None), fields.pop("top_p", None)),
        fields.pop("held_out", False),
    )
    project = Project(fields.pop("project", "a"), response_cache=policy)
    return Asked(project, fields.pop("upstream", "anthropic"), {"v": "1"}, request, **fields)


def with_body(original: Asked, body: Body) -> Asked:
    return replace(original, request=replace(original.request, body=body))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside `value`."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


PLACES = [place for place in places(full_body()) if place != ("stream",)]


def changed(body: Body, place: tuple[Any, ...], value: Any) -> Body:
    body = copy.deepcopy(body)
    holder = body
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    return body


def parent(body: Any, place: tuple[Any, ...]) -> Any:
    for step in place[:-1]:
        body = body[step]
    return body


SCALARS = [
    place for place in PLACES if not isinstance(parent(full_body(), place)[place[-1]], dict | list)
]
SIMPLE = st.one_of(st.text(max_size=8), st.integers(-5, 2000), st.booleans(), st.none())


@given(st.sampled_from(SCALARS), SIMPLE)
def test_a_change_of_any_value_changes_the_key(place: tuple[Any, ...], value: Any) -> None:
    before = parent(full_body(), place)[place[-1]]
    after = changed(full_body(), place, value)
    same = type(before) is type(value) and before == value
    assert (answer_key(asked()) == answer_key(asked(after))) is same


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_leaving_anything_out_changes_the_key(place: tuple[Any, ...]) -> None:
    if place in {("messages",)} or place[-1] == "content":
        return  # there is no request without
    body = copy.deepcopy(full_body())
    del parent(body, place)[place[-1]]
    assert answer_key(asked()) != answer_key(asked(body))


@given(st.sampled_from(["role", "type", "zz", "cache"]), st.text(max_size=3))
def test_a_field_that_is_new_changes_the_key(name: str, value: str) -> None:
    for holder in ((), ("messages", 0), ("messages", 0, "content", 0), ("thinking",)):
        body = full_body()
        place = (*holder, f"x_{name}")
        assert answer_key(asked(changed(body, place, value))) != answer_key(asked(body))


def test_where_a_text_ends_counts() -> None:
    one = full_body()
    one["messages"] = [{"role": "user", "content": [text("ab"), text("c")]}]
    other = full_body()
    other["messages"] = [{"role": "user", "content": [text("a"), text("bc")]}]
    assert answer_key(asked(one)) != answer_key(asked(other))


def test_the_order_of_a_schemas_properties_is_that_of_the_answer() -> None:
    body = full_body()
    schema = body["output_config"]["format"]["schema"]
    schema["properties"] = dict(reversed(schema["properties"].items()))
    assert answer_key(asked(body)) != answer_key(asked())


def test_streaming_marks_and_the_order_of_keys_are_no_content() -> None:
    body = full_body()
    body["stream"] = False
    body["cache_control"] = {"type": "ephemeral"}
    body["system"][1]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
    body["messages"][2]["content"][0]["cache_control"] = {"type": "ephemeral"}
    body["messages"][0] = dict(reversed(body["messages"][0].items()))
    assert answer_key(asked(dict(reversed(body.items())))) == answer_key(asked())


@pytest.mark.parametrize(
    "fields",
    [
        {"project": "b"},
        {"upstream": "elsewhere"},
        {"temperature": 0},
        {"temperature": 0.5},
        {"top_p": 0.5},
    ],
)
def test_who_asks_whom_and_how_is_in_the_key(fields: dict[str, Any]) -> None:
    assert answer_key(asked(**fields)) != answer_key(asked())


def test_headers_sent_upstream_are_in_the_key() -> None:
    assert answer_key(replace(asked(), headers={"v": "2"})) != answer_key(asked())


def test_a_whole_number_is_the_number() -> None:
    assert answer_key(asked(temperature=0)) == answer_key(asked(temperature=0.0))


def question(**fields: Any) -> Question | None:
    return read_question(asked(**fields))


def test_policy_decides() -> None:
    assert question(answers="off", temperature=0, semantic_threshold=0.9) is None
    assert question(answers="deterministic") is None
    assert question(answers="deterministic", temperature=1) is None
    assert question(answers="deterministic", temperature=0.01) is None
    assert question(answers="deterministic", temperature=0) is not None
    assert question(answers="all", temperature=1) is not None


TOOL = {"name": "f", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [TOOL]},
        {"tools": []},
        {"tool_choice": {"type": "none"}},
        {"context_management": {}},
        {"mcp_servers": []},
        {"something_new": 1},
        {"messages": [{"role": "assistant", "content": [CALL]}]},
        {"messages": [{"role": "user", "content": [IMAGE]}]},
        {"messages": [{"role": "user", "content": [{"type": "document"}]}]},
        {"messages": [{"role": "user", "content": "not in blocks"}]},
    ],
)
def test_p57_tools_and_all_that_is_no_text_are_never_cached(change: Body) -> None:
    body = {**full_body(), **change}
    assert question(body=body, answers="all", temperature=0, semantic_threshold=0.5) is None


def test_the_clients_header_is_respected() -> None:
    fresh = question(cache_control="No-Cache")
    assert fresh is not None
    assert fresh.fresh
    assert question(cache_control="no-cache, no-store") is None
    plain = question(cache_control="max-age=60")
    assert plain is not None
    assert not plain.fresh


def chat(words: str = "how do I sort a list?", **fields: Any) -> Body:
    body = {
        "model": "m",
        "max_tokens": 10,
        "stream": True,
        "messages": [{"role": "user", "content": [text(words)]}],
    }
    return {**body, **fields}


def test_only_the_first_question_of_a_chat_is_compared_by_meaning() -> None:
    found = question(body=chat(), semantic_threshold=0.9)
    assert found is not None
    assert found.like is not None
    assert (found.like.text, found.like.threshold) == ("how do I sort a list?", 0.9)
    longer = question(body=full_body(), semantic_threshold=0.9)
    assert longer is not None
    assert longer.like is None
    assert question(body=full_body(), semantic_threshold=0.9, answers="deterministic") is None


def test_the_group_holds_all_but_the_question() -> None:
    def group(body: Body, **fields: Any) -> str:
        found = question(body=body, semantic_threshold=0.9, **fields)
        assert found is not None
        assert found.like is not None
        return found.like.group

    assert group(chat()) == group(chat("another question"))
    for change in ({"system": [text("x")]}, {"model": "n"}, {"max_tokens": 11}):
        assert group(chat()) != group(chat(**change))
    assert group(chat()) != group(chat(), project="b")
    assert group(chat()) != group(chat(), temperature=0)


def test_held_out_conversations_and_long_texts_are_not_compared() -> None:
    held = question(body=chat(), semantic_threshold=0.9, held_out=True)
    assert held is not None
    assert held.like is None
    for body in (
        chat("a" * (MAX_QUESTION_CHARS + 1)),
        chat(system=[text("a" * (MAX_SYSTEM_CHARS + 1))]),
    ):
        found = question(body=body, semantic_threshold=0.9)
        assert found is not None
        assert found.like is None
