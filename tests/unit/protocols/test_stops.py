"""The table of stop reasons."""

import pytest

from gateway.protocols.shared.stops import finish_reason, is_cut, refusal_text

TABLE = [
    # stop_reason, without calls, with calls, with legacy calls
    ("end_turn", "stop", "tool_calls", "function_call"),
    ("stop_sequence", "stop", "tool_calls", "function_call"),
    ("tool_use", "stop", "tool_calls", "function_call"),
    ("pause_turn", "stop", "tool_calls", "function_call"),
    ("max_tokens", "length", "length", "length"),
    ("model_context_window_exceeded", "length", "length", "length"),
    ("refusal", "content_filter", "content_filter", "content_filter"),
    ("a_new_reason", "stop", "tool_calls", "function_call"),
]


@pytest.mark.parametrize(("stop_reason", "plain", "calls", "legacy"), TABLE)
def test_finish_reason(stop_reason: str, plain: str, calls: str, legacy: str) -> None:
    assert finish_reason(stop_reason, calls=False, legacy=False) == plain
    assert finish_reason(stop_reason, calls=True, legacy=False) == calls
    assert finish_reason(stop_reason, calls=True, legacy=True) == legacy


@pytest.mark.parametrize("stop_reason", [None, "max_tokens", "refusal"])
def test_a_cut_answer_may_end_inside_a_call(stop_reason: str | None) -> None:
    assert is_cut(stop_reason)


@pytest.mark.parametrize("stop_reason", ["end_turn", "tool_use", "stop_sequence", "pause_turn"])
def test_an_answer_that_ended_by_itself_is_whole(stop_reason: str) -> None:
    assert not is_cut(stop_reason)


def test_refusal_text_prefers_the_explanation() -> None:
    assert refusal_text({"type": "refusal", "explanation": "Not this."}) == "Not this."


@pytest.mark.parametrize("details", [None, {}, {"explanation": None}, {"explanation": ""}, "x"])
def test_refusal_text_is_never_empty(details: object) -> None:
    assert "declined" in refusal_text(details)
