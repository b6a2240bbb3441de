"""The fields of a chat request beside messages and tools."""

from typing import Any

import pytest

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocols.openai_chat import translate
from gateway.protocols.shared.draft import Draft


def drafted(**fields: Any) -> Draft:
    body = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
    return translate({**body, **fields})


def test_a_plain_request_has_nothing_but_messages() -> None:
    draft = drafted()
    assert list(draft.body) == ["messages"]
    assert draft.ignored == []
    assert draft.max_tokens is None
    assert not draft.reply.stream


def test_the_newer_limit_wins() -> None:
    assert drafted(max_tokens=10).max_tokens == 10
    assert drafted(max_tokens=10, max_completion_tokens=20).max_tokens == 20
    assert drafted(max_tokens=None).max_tokens is None
    assert drafted(max_tokens=64.0).max_tokens == 64


@pytest.mark.parametrize(
    ("stop", "sequences"),
    [
        ("END", ["END"]),
        (["a", " ", "b", ""], ["a", "b"]),
        ([], None),
        ("\n", None),
        (None, None),
    ],
)
def test_stop_sequences(stop: Any, sequences: Any) -> None:
    assert drafted(stop=stop).body.get("stop_sequences") == sequences


def test_users_are_hashed_and_the_safety_identifier_wins() -> None:
    one = drafted(user="jane@example.com").body["metadata"]["user_id"]
    assert "jane" not in one
    assert len(one) == 64
    assert drafted(user="x", safety_identifier="jane@example.com").body["metadata"] == {
        "user_id": one
    }
    assert "metadata" not in drafted(user="").body


@pytest.mark.parametrize(
    ("tier", "sent"),
    [
        ("auto", "auto"),
        ("priority", "auto"),
        ("default", "standard_only"),
        ("flex", "standard_only"),
        ("scale", "standard_only"),
        (None, None),
    ],
)
def test_service_tiers(tier: Any, sent: Any) -> None:
    draft = drafted(service_tier=tier)
    assert draft.body.get("service_tier") == sent
    assert draft.reply.echo_service_tier is (tier is not None)


def test_the_fast_tier_is_a_speed() -> None:
    draft = drafted(service_tier="fast")
    assert draft.speed_fast
    assert "service_tier" not in draft.body


def test_what_the_answer_must_know() -> None:
    reply = drafted(model="gpt-4o", stream=True, stream_options={"include_usage": True}).reply
    assert reply.asked_model == "gpt-4o"
    assert reply.stream
    assert reply.include_usage
    assert reply.json_mode == "none"


def test_cache_wishes() -> None:
    draft = drafted(prompt_cache_key="k", prompt_cache_options={"mode": "explicit", "ttl": "12h"})
    assert (draft.user_key, draft.cache_ttl, draft.cache_explicit) == ("k", "1h", True)
    assert drafted(prompt_cache_retention="24h").cache_ttl == "1h"
    assert drafted(prompt_cache_retention="in_memory").cache_ttl is None


@pytest.mark.parametrize(
    ("fields", "effort", "thinking"),
    [
        ({"reasoning_effort": "high"}, "high", None),
        ({"reasoning_effort": None}, None, None),
        ({"reasoning": {"effort": "low"}}, "low", None),
        ({"reasoning_effort": "max", "reasoning": {"effort": "low"}}, "max", None),
        ({"reasoning": {"max_tokens": 9000}}, None, {"type": "enabled", "budget_tokens": 9000}),
        ({"reasoning": {"enabled": True}}, None, {"type": "adaptive"}),
        ({"reasoning": {"enabled": False}}, "none", None),
        ({"thinking": {"type": "disabled"}}, None, {"type": "disabled"}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000, "x": 1}},
            None,
            {"type": "enabled", "budget_tokens": 2000},
        ),
    ],
)
def test_reasoning_wishes(fields: Any, effort: Any, thinking: Any) -> None:
    draft = drafted(**fields)
    assert (draft.effort, draft.thinking) == (effort, thinking)
    assert draft.ignored == []


def test_reasoning_can_be_hidden() -> None:
    assert drafted().reply.show_reasoning
    assert not drafted(reasoning={"exclude": True}).reply.show_reasoning
    assert not drafted(include_reasoning=False).reply.show_reasoning


def test_odd_thinking_extras_are_ignored_and_named() -> None:
    assert drafted(thinking="yes", reasoning=True).ignored == ["reasoning", "thinking"]
    assert drafted(thinking={"type": "auto"}).ignored == ["thinking"]


def test_dropped_fields_are_named_and_neutral_values_are_not() -> None:
    draft = drafted(
        seed=3, logit_bias={"1": 2}, frequency_penalty=0, presence_penalty=0.5, store=False, n=1,
        verbosity="low", logprobs=False, top_logprobs=None, modalities=["text"],
        metadata={"a": "b"},
        prediction={"type": "content"}, provider={"order": []}, transforms=[],
    )  # fmt: skip
    assert sorted(draft.ignored) == [
        "logit_bias", "metadata", "prediction", "presence_penalty", "provider", "seed",
        "transforms", "verbosity",
    ]  # fmt: skip


def test_names_of_unknown_fields_are_fit_for_a_header() -> None:
    odd = {"a\r\nb": 1, "ü": 1, "x" * 200: 1, "fine_one": 1}
    assert drafted(**odd).ignored == ["other", "fine_one"]
    assert len(drafted(**{f"f{n}": 1 for n in range(500)}).ignored) < 50


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
    ],
)
def test_what_would_lose_its_meaning_is_refused(fields: Any, param: str) -> None:
    with pytest.raises(UnsupportedValueError) as caught:
        drafted(**fields)
    assert caught.value.param == param
    assert caught.value.code == "unsupported_value"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": " "}, "model"),
        ({"model": 3}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": 3}, "stop"),
        ({"stop": ["a", 3]}, "stop[1]"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"service_tier": "gold"}, "service_tier"),
        ({"user": 3}, "user"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": 3}}},
            "response_format.json_schema.schema",
        ),
        ({"functions": {}}, "functions"),
        ({"functions": [1]}, "functions[0]"),
    ],
)
def test_wrong_values_are_refused_with_their_path(fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        drafted(**fields)
    assert caught.value.param == param


def test_response_formats() -> None:
    assert drafted(response_format={"type": "text"}).reply.json_mode == "none"
    assert drafted(response_format={"type": "json_object"}).reply.json_mode == "object"
    named = {"name": "n", "strict": True, "description": "D", "schema": {"type": "string"}}
    draft = drafted(response_format={"type": "json_schema", "json_schema": named})
    assert draft.reply.json_mode == "schema"
    assert draft.schema_strict
    assert draft.output_schema == {"type": "string", "description": "D"}
    free = drafted(response_format={"type": "json_schema", "json_schema": {"name": "n"}})
    assert free.reply.json_mode == "object"
