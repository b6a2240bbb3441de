"""Limits on answers: stop sequences, max_tokens, the window; and the stop reasons."""

from typing import Any

import pytest

TEXT = {"type": "text", "text": "one two three STOP four five six seven eight nine ten"}
TOOL = {"type": "tool_use", "name": "write", "input": {"content": "x" * 400}}


def test_text_ends_before_a_stop_sequence(world: Any) -> None:
    message = world.answer(world.body(stop_sequences=["zz", "STOP"]), {"blocks": [TEXT, TOOL]})
    assert message["content"] == [{"type": "text", "text": "one two three "}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "STOP")


def test_max_tokens_cuts_text(world: Any) -> None:
    message = world.answer(world.body(max_tokens=8), {"blocks": [TEXT]})
    assert message["stop_reason"] == "max_tokens"
    assert TEXT["text"].startswith(message["content"][0]["text"])
    assert len(message["content"][0]["text"]) < len(TEXT["text"])
    assert message["usage"]["output_tokens"] == 8


def test_max_tokens_cuts_a_tool_call(world: Any) -> None:
    message = world.answer(world.body(max_tokens=20), {"blocks": [TOOL]})
    assert message["stop_reason"] == "max_tokens"
    assert message["content"][0]["input"] == {}


def test_thinking_counts_toward_max_tokens(world: Any) -> None:
    body = world.body(model="claude-opus-5-5", max_tokens=20)
    thought = {"type": "thinking", "thinking": "long thought " * 50}
    message = world.answer(body, {"blocks": [thought, TEXT]})
    assert [block["type"] for block in message["content"]] == ["thinking"]
    assert message["stop_reason"] == "max_tokens"
    usage = message["usage"]
    assert usage["output_tokens_details"]["thinking_tokens"] == usage["output_tokens"] - 3


def test_the_window_ends_an_answer(world: Any, words: Any) -> None:
    prompt = [{"role": "user", "content": words(181_790)}]
    body = world.body(model="claude-haiku-4-5", max_tokens=1000, messages=prompt)
    long = {"type": "text", "text": words(500)}
    message = world.answer(body, {"blocks": [long]})
    assert message["stop_reason"] == "model_context_window_exceeded"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"blocks": [TEXT]}, "end_turn"),
        ({"blocks": [TEXT, TOOL]}, "tool_use"),
        ({"blocks": [TEXT], "stop_reason": "pause_turn"}, "pause_turn"),
        ({"blocks": [], "stop_reason": "refusal"}, "refusal"),
    ],
)
def test_stop_reasons(world: Any, script: Any, reason: str) -> None:
    assert world.answer(world.body(), script)["stop_reason"] == reason
