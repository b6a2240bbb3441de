"""Markers in prompts, and the plans they make."""

from typing import Any

import pytest

from simulator.errors import ApiError
from simulator.markers import script_from_text, without_markers
from simulator.plan import plan_from, repeated_deltas


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("plain", None),
        ("[[sim:text Hello there]]", {"blocks": [{"type": "text", "text": "Hello there"}]}),
        (
            'a [[sim:tool read {"path": "x", "list": [[1]]}]] b',
            {
                "blocks": [
                    {"type": "tool_use", "name": "read", "input": {"path": "x", "list": [[1]]}}
                ]
            },
        ),
        ("[[sim:tool ls]]", {"blocks": [{"type": "tool_use", "name": "ls", "input": {}}]}),
        (
            "[[sim:refusal category=cyber]]",
            {
                "blocks": [],
                "stop_reason": "refusal",
                "stop_details": {"type": "refusal", "category": "cyber", "explanation": None},
            },
        ),
        ("[[sim:stop pause_turn]]", {"stop_reason": "pause_turn"}),
        (
            "[[sim:error rate_limit retry_after=2 code=ramp_limit_exceeded]]",
            {
                "error": {
                    "type": "rate_limit_error",
                    "retry_after": 2,
                    "error_code": "ramp_limit_exceeded",
                }
            },
        ),
        (
            "[[sim:error 529 after=3]]",
            {"error": {"type": "overloaded_error", "status": 529, "after_events": 3}},
        ),
        ("[[sim:cut bytes=10 reset=1]]", {"delivery": {"cut_bytes": 10, "reset": True}}),
        (
            "[[sim:silence after_events events=2 seconds=5]]",
            {
                "delivery": {
                    "silence_place": "after_events",
                    "silence_events": 2,
                    "silence_seconds": 5.0,
                }
            },
        ),
        ("[[sim:split 1]][[sim:crlf]]", {"delivery": {"split_bytes": 1, "crlf": True}}),
    ],
)
def test_markers_become_scripts(text: str, script: Any) -> None:
    assert script_from_text(text) == script


@pytest.mark.parametrize("text", ["[[sim:nonsense]]", "[[sim:text open", "[[sim:split x]]"])
def test_a_marker_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        script_from_text(text)
    assert caught.value.status == 400


def test_markers_are_not_part_of_the_question() -> None:
    assert without_markers("[[sim:pace 1]] what is this? [[sim:crlf]]") == "what is this?"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("invalid_request_error", 400),
        ("authentication_error", 401),
        ("billing_error", 402),
        ("permission_error", 403),
        ("not_found_error", 404),
        ("conflict_error", 409),
        ("request_too_large", 413),
        ("rate_limit_error", 429),
        ("api_error", 500),
        ("overloaded_error", 529),
    ],
)
def test_every_error_type_has_its_status(kind: str, status: int) -> None:
    error = plan_from({"error": {"type": kind}}).error
    assert error is not None
    assert (error.kind, error.status) == (kind, status)
    assert error.message


def test_an_unknown_delivery_field_is_refused() -> None:
    with pytest.raises(ApiError, match="Extra inputs"):
        plan_from({"delivery": {"cut": 1}})


def test_deltas_have_the_size_asked_for() -> None:
    deltas = repeated_deltas(50, 7)
    assert len(deltas) == 50
    assert {len(delta) for delta in deltas} == {7}
