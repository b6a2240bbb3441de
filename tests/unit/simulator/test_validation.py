"""What is accepted, and what depends on headers, models and settings."""

from typing import Any

import pytest

from tests.unit.simulator.parts import (
    CALL,
    CLOSED,
    MESSAGES,
    RESULT,
    TOOL,
    assistant,
    image,
    png,
    schema_format,
    text,
    user,
)

ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("plain", {}),
    ("prefill on 4.5", {"model": "claude-haiku-4-5", "messages": [MESSAGES, assistant(text("x"))]}),
    ("merged users", {"messages": [MESSAGES, MESSAGES]}),
    (
        "tool loop",
        {"messages": [MESSAGES, assistant(text("ok"), CALL), user(RESULT, text("go on"))]},
    ),
    (
        "results split over two messages",
        {
            "messages": [
                MESSAGES,
                assistant(CALL, {**CALL, "id": "b"}),
                user(RESULT),
                user({**RESULT, "tool_use_id": "b"}),
            ]
        },
    ),
    ("sampling on 4.6", {"temperature": 0.2}),
    ("neutral temperature on a new model", {"model": "claude-opus-4-7", "temperature": 1}),
    ("forced tools", {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "read"}}),
    ("server tool", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    (
        "inline system",
        {"model": "claude-opus-5", "messages": [MESSAGES, {"role": "system", "content": "x"}]},
    ),
    ("image", {"messages": [user(image(png(100, 100)))]}),
    ("format", schema_format(CLOSED)),
    ("prewarm", {"max_tokens": 0}),
    (
        "empty tool result",
        {"messages": [MESSAGES, assistant(CALL), user({**RESULT, "content": []})]},
    ),
    (
        "paused turn sent back",
        {
            "messages": [
                MESSAGES,
                assistant(
                    {
                        "type": "server_tool_use",
                        "id": "srvtoolu_1",
                        "name": "web_search",
                        "input": {},
                    }
                ),
            ]
        },
    ),
]


@pytest.mark.parametrize("fields", [case[1] for case in ACCEPTED], ids=[c[0] for c in ACCEPTED])
def test_a_legal_request_is_accepted(world: Any, fields: Any) -> None:
    body = world.body(**fields)
    assert world.prepare(body).request.body is body


@pytest.mark.parametrize("field", ["temperature", "top_p", "top_k"])
def test_version_2026_10_21_has_no_sampling_parameters(world: Any, field: str) -> None:
    new = {"anthropic-version": "2026-10-21"}
    error = world.refusal(world.body(**{field: 1}), headers=new)
    assert error.message == f"{field}: Extra inputs are not permitted"


def test_version_2026_10_21_refuses_documents_of_the_assistant_and_citations_of_users(
    world: Any,
) -> None:
    new = {"anthropic-version": "2026-10-21"}
    document = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "x"},
    }
    old_only = [
        world.body(messages=[MESSAGES, assistant(document), MESSAGES]),
        world.body(messages=[user(text("x", citations=[{"type": "char_location"}]))]),
    ]
    for body in old_only:
        assert world.prepare(body)
        assert "not permitted in" in world.refusal(body, headers=new).message


@pytest.mark.parametrize("name", ["claude-nothing", "claude-sonnet-4-0", "claude-opus-4-1"])
def test_unknown_and_retired_models_are_not_found(world: Any, name: str) -> None:
    error = world.refusal(world.body(model=name))
    assert (error.status, error.kind, error.message) == (404, "not_found_error", f"model: {name}")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"anthropic-version": "1999-01-01"}, "is not a valid version"),
        ({"anthropic-beta": "nonsense"}, "Unexpected value(s) `nonsense`"),
    ],
)
def test_headers_are_checked(world: Any, headers: dict[str, str], words: str) -> None:
    assert words in world.refusal(world.body(), headers=headers).message


def test_a_prompt_beyond_the_window_is_too_long(world: Any, words: Any) -> None:
    body = world.body(model="claude-haiku-4-5", messages=[user(text(words(210_000)))])
    message = world.refusal(body).message
    assert message.startswith("prompt is too long: 231")
    assert message.endswith("tokens > 200000 maximum")


def test_strict_window_counts_max_tokens_too(world: Any, words: Any) -> None:
    body = world.body(
        model="claude-haiku-4-5", max_tokens=64_000, messages=[user(text(words(150_000)))]
    )
    assert world.prepare(body)
    world.state.settings = type(world.state.settings)(strict_window=True)
    assert "input length and `max_tokens` exceed context limit" in world.refusal(body).message


def test_a_beta_header_opens_its_field(world: Any) -> None:
    headers = {"anthropic-beta": "context-management-2025-06-27"}
    assert world.prepare(world.body(context_management={"edits": []}), headers=headers)
