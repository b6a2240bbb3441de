"""Refusals about the body and the conversation, in the words of the API."""

from typing import Any

import pytest

from tests.unit.simulator.parts import CALL, MESSAGES, RESULT, assistant, text, user

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no max_tokens", {"max_tokens": None}, "max_tokens: Field required"),
    ("no messages", {"messages": None}, "messages: Field required"),
    ("no model", {"model": None}, "model: Field required"),
    ("unknown field", {"foo": 1}, "foo: Extra inputs are not permitted"),
    ("beta field", {"context_management": {}}, "context_management: Extra inputs are not"),
    ("empty messages", {"messages": []}, "messages: at least one message is required"),
    ("bad role", {"messages": [{"role": "x", "content": "y"}]}, "messages.0.role: Input should be"),
    (
        "text missing",
        {"messages": [user({"type": "text"})]},
        "messages.0.content.0.text.text: Field",
    ),
    ("unknown block", {"messages": [user({"type": "zz"})]}, "messages.0.content.0: Input tag 'zz'"),
    ("first role", {"messages": [assistant(text("x"))]}, 'first message must use the "user" role'),
    ("empty content", {"messages": [user()]}, "messages.0: all messages must have non-empty"),
    ("empty text", {"messages": [user(text(""))]}, "text content blocks must be non-empty"),
    ("blank text", {"messages": [user(text("  \n"))]}, "must contain non-whitespace text"),
    ("empty system", {"system": [text("")]}, "system: text content blocks must be non-empty"),
    ("system role", {"messages": [MESSAGES, {"role": "system", "content": "x"}]}, "role 'system'"),
    (
        "big max_tokens",
        {"max_tokens": 200_000},
        "max_tokens: 200000 > 128000, which is the maximum",
    ),
    ("float max_tokens", {"max_tokens": 1.5}, "max_tokens: Input should be a valid integer"),
    ("blank stop", {"stop_sequences": [" "]}, "each stop sequence must contain non-whitespace"),
    ("email user", {"metadata": {"user_id": "a@b.co"}}, "metadata.user_id: user_id appears"),
    ("service tier", {"service_tier": "flex"}, "service_tier: Input should be 'auto' or"),
    (
        "prefill",
        {"messages": [MESSAGES, assistant(text("x"))]},
        "does not support assistant message",
    ),
    (
        "trailing space",
        {"model": "claude-haiku-4-5", "messages": [MESSAGES, assistant(text("x "))]},
        "final assistant content cannot end with trailing whitespace",
    ),
    (
        "unanswered call",
        {"messages": [MESSAGES, assistant(CALL), user(text("next"))]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: "
        "toolu_1",
    ),
    (
        "call at the end",
        {"model": "claude-haiku-4-5", "messages": [MESSAGES, assistant(CALL)]},
        "`tool_use` ids were found without `tool_result` blocks immediately after",
    ),
    (
        "text before result",
        {"messages": [MESSAGES, assistant(CALL), user(text("x"), RESULT)]},
        "`tool_use` ids were found without `tool_result` blocks immediately after",
    ),
    (
        "orphan result",
        {"messages": [user(RESULT)]},
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1",
    ),
    (
        "two results",
        {"messages": [MESSAGES, assistant(CALL), user(RESULT, RESULT)]},
        "each tool_use must have a single result",
    ),
    (
        "duplicate ids",
        {"messages": [MESSAGES, assistant(CALL, CALL), user(RESULT)]},
        "`tool_use` ids must be unique",
    ),
    (
        "bad tool id",
        {"messages": [MESSAGES, assistant({**CALL, "id": "a|b"})]},
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
]


@pytest.mark.parametrize(
    ("fields", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_broken_rule_is_refused_in_the_words_of_the_api(
    world: Any, fields: Any, words: str
) -> None:
    error = world.refusal(world.body(**fields))
    assert words in error.message
    assert (error.status, error.kind) == (400, "invalid_request_error")
