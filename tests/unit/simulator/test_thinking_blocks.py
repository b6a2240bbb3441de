"""Thinking signatures, and the binding of blocks to their conversation."""

from typing import Any

import pytest

BETA = {"anthropic-beta": "thinking-binding-controls-2026-08-01"}
CALLING = {
    "blocks": [
        {"type": "thinking", "thinking": ""},
        {"type": "tool_use", "name": "read", "input": {"path": "a"}, "id": "toolu_1"},
    ]
}
TOOLS = [{"name": "read", "input_schema": {"type": "object", "properties": {}}}]


def next_turn(world: Any, model: str, **fields: Any) -> dict[str, Any]:
    """A request that sends a thinking tool call back with its result."""
    first = world.body(
        model=model,
        system="be brief",
        tools=TOOLS,
        messages=[{"role": "user", "content": "read a"}],
        **fields,
    )
    answered = world.answer(first, CALLING)
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "text"}
    return {
        **first,
        "messages": [
            *first["messages"],
            {"role": "assistant", "content": answered["content"]},
            {"role": "user", "content": [result]},
        ],
    }


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-opus-5", "claude-opus-4-6"])
def test_an_echoed_block_is_accepted(world: Any, model: str) -> None:
    assert world.prepare(next_turn(world, model)).reviewed.dropped == frozenset()


def test_cache_markers_are_no_change(world: Any) -> None:
    body = next_turn(world, "claude-opus-5-5")
    body["system"] = [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}]
    body["messages"][-1]["content"][0]["cache_control"] = {"type": "ephemeral"}
    assert world.prepare(body)


def test_an_edited_block_of_the_latest_turn_cannot_be_modified(world: Any) -> None:
    body = next_turn(world, "claude-opus-5")
    body["messages"][1]["content"][0]["thinking"] = "edited"
    assert world.refusal(body).message == (
        "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant "
        "message cannot be modified. These blocks must remain as they were in the original "
        "response."
    )


@pytest.mark.parametrize("signature", ["", "c2lnbmF0dXJl", "not base64!"])
def test_a_foreign_signature_is_invalid(world: Any, signature: str) -> None:
    body = next_turn(world, "claude-opus-5")
    body["messages"][1]["content"][0]["signature"] = signature
    assert world.refusal(body).message == (
        "messages.1.content.0: Invalid `signature` in `thinking` block"
    )


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "system": ({"system": "be long"}, "The `system` prompt differs"),
    "tools": ({"tools": [*TOOLS, {**TOOLS[0], "name": "b"}]}, "The `tools` differ"),
}


@pytest.mark.parametrize("change", [*CHANGES, "messages"])
def test_a_changed_conversation_breaks_preserved_thinking(world: Any, change: str) -> None:
    body = next_turn(world, "claude-opus-5-5")
    if change == "messages":
        body["messages"][0] = {"role": "user", "content": "read b"}
        words = "The `messages` before it differ"
    else:
        fields, words = CHANGES[change]
        body.update(fields)
    message = world.refusal(body).message
    assert message.startswith(
        "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a "
        "different conversation."
    )
    assert words in message


def test_models_without_preserved_thinking_do_not_mind(world: Any) -> None:
    body = next_turn(world, "claude-opus-5")
    assert world.prepare({**body, "system": "be long"})


def test_older_accounts_are_checked_only_when_they_ask(world: Any) -> None:
    world.state.settings = type(world.state.settings)(prefix_binding=False)
    body = {**next_turn(world, "claude-opus-5-5"), "system": "be long"}
    allowed = world.prepare(body).reviewed
    assert [entry["type"] for entry in allowed.transformations] == ["thinking_mismatch_allowed"]
    body["thinking"] = {
        "type": "adaptive",
        "block_binding": {"prefix_mismatch_behavior": "error"},
    }
    with pytest.raises(Exception, match="bound to a different conversation"):
        world.prepare(body, headers=BETA)


def test_drop_block_removes_and_reports(world: Any) -> None:
    body = {**next_turn(world, "claude-opus-5-5"), "system": "be long"}
    body["thinking"] = {
        "type": "adaptive",
        "block_binding": {"prefix_mismatch_behavior": "drop_block"},
    }
    message = world.answer(body, {"blocks": []}, headers=BETA)
    assert message["input_transformations"] == [
        {
            "type": "thinking_dropped",
            "path": "messages.1.content.0",
            "reason": "prefix_binding_mismatch",
        }
    ]


def test_another_model_drops_the_block_in_silence(world: Any) -> None:
    body = {**next_turn(world, "claude-opus-5-5"), "model": "claude-opus-5"}
    assert world.prepare(body).reviewed.dropped == {"messages.1.content.0"}
    assert "input_transformations" not in world.answer(body, {"blocks": []})


@pytest.mark.parametrize("separate", [True, False])
def test_account_bound_blocks_stay_in_their_organization(world: Any, separate: bool) -> None:
    world.state.settings = type(world.state.settings)(account_per_key=separate)
    body = next_turn(world, "claude-sonnet-5-5")
    reviewed = world.prepare(body, account="other").reviewed
    reasons = [entry["reason"] for entry in reviewed.transformations]
    assert reasons == (["organization_binding_mismatch"] if separate else [])


def test_redacted_blocks_travel_too(world: Any) -> None:
    first = world.body(model="claude-opus-5-5")
    message = world.answer(
        first, {"blocks": [{"type": "redacted_thinking"}, {"type": "text", "text": "x"}]}
    )
    body = {
        **first,
        "messages": [
            *first["messages"],
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": "more"},
        ],
    }
    assert world.prepare(body)
    body["messages"][1]["content"][0]["data"] = "AAAA"
    assert "Invalid `signature` in `redacted_thinking` block" in world.refusal(body).message
