"""Cache diagnostics: why a prefix was not reused."""

from typing import Any

import pytest

SCHEMA = {"type": "object", "properties": {}}
CHANGES: list[tuple[str | None, dict[str, Any]]] = [
    (None, {}),
    ("model_changed", {"model": "claude-opus-4-8"}),
    ("tools_changed", {"tools": [{"name": "b", "input_schema": SCHEMA}]}),
    ("system_changed", {"system": "other"}),
    ("messages_changed", {"messages": [{"role": "user", "content": "edited"}]}),
]


@pytest.mark.parametrize(("reason", "change"), CHANGES)
def test_the_first_difference_is_named(
    world: Any, reason: str | None, change: dict[str, Any]
) -> None:
    tools = [{"name": "a", "input_schema": SCHEMA}]
    opening = world.body(system="s", tools=tools, diagnostics={"previous_message_id": None})
    first = world.answer(opening, {"blocks": [{"type": "text", "text": "hi"}]})
    assert first["diagnostics"] is None
    grown = [*opening["messages"], {"role": "assistant", "content": "hi"}]
    grown.append({"role": "user", "content": "more"})
    following = {
        **opening,
        "messages": grown,
        "diagnostics": {"previous_message_id": first["id"]},
        **change,
    }
    found = world.answer(following, {"blocks": []})["diagnostics"]
    if reason is None:
        assert found is None
    else:
        assert found["cache_miss_reason"]["type"] == reason
        assert found["cache_miss_reason"]["cache_missed_input_tokens"] > 0


def test_an_unknown_or_foreign_message_is_not_found(world: Any) -> None:
    first = world.answer(world.body(diagnostics={}), {"blocks": []}, account="a")
    for message_id, account in (("msg_none", "a"), (first["id"], "b")):
        body = world.body(diagnostics={"previous_message_id": message_id})
        found = world.answer(body, {"blocks": []}, account=account)["diagnostics"]
        assert found == {"cache_miss_reason": {"type": "previous_message_not_found"}}


def test_without_the_field_nothing_is_reported(world: Any) -> None:
    assert "diagnostics" not in world.answer(world.body(), {"blocks": []})
