"""Context editing and compaction as the API does them: checked, applied, reported, billed."""

from typing import Any

import pytest

from simulator.context_edits import CLEARED

EDITING = {"anthropic-beta": "context-management-2025-06-27"}
COMPACTION = {"anthropic-beta": "compact-2026-01-12"}
TOOLS = [{"name": "read", "input_schema": {"type": "object", "properties": {}}}]
CLEAR: dict[str, Any] = {
    "type": "clear_tool_uses_20250919",
    "trigger": {"type": "input_tokens", "value": 2_000},
    "keep": {"type": "tool_uses", "value": 1},
}
COMPACT: dict[str, Any] = {
    "type": "compact_20260112",
    "trigger": {"type": "input_tokens", "value": 50_000},
}


def loop(world: Any, rounds: int, tokens: int, *edits: Any, **fields: Any) -> dict[str, Any]:
    """A body with so many calls and results, and these edits."""
    messages: list[Any] = [{"role": "user", "content": "read them all"}]
    for number in range(rounds):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "read", "input": {"n": number}}
        outcome = {"type": "tool_result", "tool_use_id": call["id"], "content": "abcd" * tokens}
        messages += [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [outcome]},
        ]
    config = {"context_management": {"edits": list(edits)}} if edits else {}
    body: dict[str, Any] = world.body(messages=messages, tools=TOOLS, **config, **fields)
    return body


def test_without_the_header_the_field_is_not_known(world: Any) -> None:
    body = loop(world, 1, 10, CLEAR)
    assert world.refusal(body).message == "context_management: Extra inputs are not permitted"


def test_each_kind_of_edit_wants_its_own_header(world: Any) -> None:
    body = loop(world, 1, 10, COMPACT)
    assert world.refusal(body, EDITING).message == (
        "context_management.edits.0: Input tag 'compact_20260112' found using 'type' does not "
        "match any of the expected tags: 'clear_tool_uses_20250919', 'clear_thinking_20251015'"
    )
    assert world.prepare(body, headers=COMPACTION)
    with_both = {"anthropic-beta": "context-management-2025-06-27,compact-2026-01-12"}
    assert world.prepare(loop(world, 1, 10, CLEAR, COMPACT), headers=with_both)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            {**CLEAR, "trigger": {"type": "input_tokens", "value": "many"}},
            "context_management.edits.0.clear_tool_uses_20250919.trigger.input_tokens.value: Input "
            "should be a valid integer",
        ),
        (
            {**CLEAR, "clear_everything": True},
            "context_management.edits.0.clear_tool_uses_20250919.clear_everything: Extra inputs "
            "are not permitted",
        ),
    ],
)
def test_wrong_edits_are_refused_with_their_path(world: Any, edit: Any, message: str) -> None:
    assert world.refusal(loop(world, 1, 10, edit), EDITING).message == message


def test_compaction_has_a_least_trigger_and_is_not_on_every_model(world: Any) -> None:
    low = {**COMPACT, "trigger": {"type": "input_tokens", "value": 49_999}}
    assert (
        "greater than or equal to 50000"
        in world.refusal(loop(world, 1, 10, low), COMPACTION).message
    )
    old = loop(world, 1, 10, COMPACT, model="claude-opus-4-5")
    assert "not supported on this model" in world.refusal(old, COMPACTION).message


def test_clearing_thinking_comes_first_and_wants_thinking(world: Any) -> None:
    thinking = {"type": "clear_thinking_20251015"}
    later = loop(world, 1, 10, CLEAR, thinking, thinking={"type": "adaptive"})
    assert "must be the first" in world.refusal(later, EDITING).message
    off = loop(world, 1, 10, thinking)
    assert "requires `thinking`" in world.refusal(off, EDITING).message


def test_below_the_trigger_nothing_is_cleared(world: Any) -> None:
    answer = world.answer(loop(world, 3, 300, CLEAR), {"blocks": []}, headers=EDITING)
    assert answer["context_management"] == {"applied_edits": []}


def test_old_results_are_cleared_and_not_billed(world: Any) -> None:
    plain = world.answer(loop(world, 10, 300), {"blocks": []})
    answer = world.answer(loop(world, 10, 300, CLEAR), {"blocks": []}, headers=EDITING)
    (applied,) = answer["context_management"]["applied_edits"]
    assert applied["cleared_tool_uses"] == 9
    saved = plain["usage"]["input_tokens"] - answer["usage"]["input_tokens"]
    assert saved == applied["cleared_input_tokens"] > 2_500
    assert "context_management" not in plain


def test_clear_at_least_and_excluded_tools_hold_it_back(world: Any) -> None:
    for limits in (
        {"clear_at_least": {"type": "input_tokens", "value": 50_000}},
        {"exclude_tools": ["read"]},
    ):
        answer = world.answer(
            loop(world, 10, 300, {**CLEAR, **limits}), {"blocks": []}, headers=EDITING
        )
        assert answer["context_management"] == {"applied_edits": []}


def test_inputs_are_cleared_when_asked_for(world: Any) -> None:
    prepared = world.prepare(
        loop(world, 10, 300, {**CLEAR, "clear_tool_inputs": True}), headers=EDITING
    )
    read = prepared.edited.request.messages
    assert read[1]["content"][0]["input"] == {}
    assert read[2]["content"][0]["content"] == CLEARED
    assert read[-2]["content"][0]["input"] == {"n": 9}
    assert prepared.request.messages[2]["content"][0]["content"] != CLEARED


def test_old_thinking_is_cleared(world: Any) -> None:
    first = world.body(model="claude-opus-4-6", thinking={"type": "adaptive"})
    script = {
        "blocks": [{"type": "thinking", "thinking": "hm " * 99}, {"type": "text", "text": "a"}]
    }
    answered = world.answer(first, script)
    messages = [*first["messages"], {"role": "assistant", "content": answered["content"]}]
    again = {**first, "messages": [*messages, {"role": "user", "content": "go on"}]}
    answered = world.answer(again, script)
    third = [*again["messages"], {"role": "assistant", "content": answered["content"]}]
    edit = {"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 1}}
    body = {
        **first,
        "messages": [*third, {"role": "user", "content": "go on"}],
        "context_management": {"edits": [edit]},
    }
    (applied,) = world.answer(body, script, headers=EDITING)["context_management"]["applied_edits"]
    assert applied["cleared_thinking_turns"] == 1
    assert applied["cleared_input_tokens"] > 50


def test_a_long_conversation_is_compacted_and_the_summary_is_billed_apart(world: Any) -> None:
    body = loop(world, 4, 15_000, COMPACT)
    answer = world.answer(body, {"blocks": [{"type": "text", "text": "done"}]}, headers=COMPACTION)
    assert [block["type"] for block in answer["content"]] == ["compaction", "text"]
    compaction, own = answer["usage"]["iterations"]
    assert compaction["type"] == "compaction"
    assert compaction["input_tokens"] > 50_000
    assert own["input_tokens"] == answer["usage"]["input_tokens"] < 5_000
    assert answer["usage"]["output_tokens"] == own["output_tokens"]


def test_what_stands_before_a_compaction_is_not_read_again(world: Any) -> None:
    body = loop(world, 4, 15_000, COMPACT)
    answer = world.answer(body, {"blocks": [{"type": "text", "text": "done"}]}, headers=COMPACTION)
    said = {"role": "assistant", "content": answer["content"]}
    later = {**body, "messages": [*body["messages"], said, {"role": "user", "content": "thanks"}]}
    second = world.answer(later, {"blocks": []}, headers=COMPACTION)
    assert second["usage"]["input_tokens"] < 5_000
    assert "iterations" not in second["usage"]
    said["content"] = said["content"][1:]
    assert world.prepare(later, headers=COMPACTION).summary is not None


def test_a_changed_summary_is_refused_and_an_empty_one_does_nothing(world: Any) -> None:
    body = loop(world, 4, 15_000, COMPACT)
    answer = world.answer(body, {"blocks": [{"type": "text", "text": "done"}]}, headers=COMPACTION)
    said = {"role": "assistant", "content": answer["content"]}
    later = {**body, "messages": [*body["messages"], said, {"role": "user", "content": "thanks"}]}
    said["content"][0]["content"] = "something else"
    assert "encrypted_content" in world.refusal(later, COMPACTION).message
    said["content"][0] = {"type": "compaction", "content": None}
    assert world.prepare(later, headers=COMPACTION).summary is not None


def test_a_pause_leaves_the_summary_alone_in_the_answer(world: Any) -> None:
    body = loop(world, 4, 15_000, {**COMPACT, "pause_after_compaction": True})
    answer = world.answer(body, {"blocks": [{"type": "text", "text": "done"}]}, headers=COMPACTION)
    assert [block["type"] for block in answer["content"]] == ["compaction"]
    assert answer["stop_reason"] == "compaction"


def test_thinking_behind_a_compaction_is_bound_to_it(world: Any) -> None:
    body = loop(world, 4, 15_000, COMPACT, model="claude-opus-5-5")
    script = {
        "blocks": [
            {"type": "thinking", "thinking": ""},
            {"type": "tool_use", "name": "read", "input": {}, "id": "toolu_x"},
        ]
    }
    answer = world.answer(body, script, headers=COMPACTION)
    outcome = {"type": "tool_result", "tool_use_id": "toolu_x", "content": "ok"}
    said = {"role": "assistant", "content": answer["content"]}
    later = {**body, "messages": [*body["messages"], said, {"role": "user", "content": [outcome]}]}
    assert world.prepare(later, headers=COMPACTION).reviewed.dropped == frozenset()
    said["content"] = said["content"][1:]
    assert "bound to a different conversation" in world.refusal(later, COMPACTION).message
