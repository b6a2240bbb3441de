"""How Responses streams end: whole, cut, refused, failed."""

import pytest

from gateway.errors import RateLimitError, UpstreamCutError
from gateway.protocols.openai_responses_stream import ResponsesStream
from tests.support.messages_stream import (
    end,
    event,
    start,
    text,
    tool,
)
from tests.support.responses_scripts import RICH_FRAME
from tests.support.responses_stream import (
    FRAME,
    events,
    final,
    joined_deltas,
    kinds,
    stream_out,
)


@pytest.mark.parametrize(
    ("stop_reason", "kind", "reason"),
    [
        ("end_turn", "completed", None),
        ("stop_sequence", "completed", None),
        ("tool_use", "completed", None),
        ("pause_turn", "completed", None),
        ("a_new_reason", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("model_context_window_exceeded", "incomplete", "max_output_tokens"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_p21_every_stop_reason_has_a_status(
    stop_reason: str, kind: str, reason: str | None
) -> None:
    out, _ = stream_out(start() + text(0, "x") + end(stop_reason))
    assert kinds(out)[-1] == kind
    response = final(out)
    assert response["status"] == kind
    assert (response["incomplete_details"] or {}).get("reason") == reason
    assert response["output"][0]["status"] == kind


def test_a_refusal_is_a_part_of_its_own() -> None:
    script = start() + text(0, "Well") + end("refusal", stop_details={"explanation": "No."})
    out, _ = stream_out(script)
    assert [item["content"][0] for item in final(out)["output"]] == [
        {"type": "output_text", "annotations": [], "logprobs": [], "text": "Well"},
        {"type": "refusal", "refusal": "No."},
    ]
    assert kinds(out)[-7:] == [
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "incomplete",
    ]


def test_p20_a_call_without_arguments_streams_an_empty_object() -> None:
    out, _ = stream_out(start() + tool(0, "list") + tool(1, "list") + end("tool_use"), RICH_FRAME)
    joined = joined_deltas(out)
    assert list(joined.values()) == ["{}", "{}"]


@pytest.mark.parametrize("parts", [[], ['{"path": "a'], ['{"a":1', ","]])
@pytest.mark.parametrize("name", ["read_file", "apply_patch", "pick"])
def test_p22_a_call_that_was_cut_is_never_finished(name: str, parts: list[str]) -> None:
    script = start() + text(0, "I") + tool(1, name, *parts) + end("max_tokens")
    out, stream = stream_out(script, RICH_FRAME)
    assert [item["type"] for item in final(out)["output"]] == ["message"]
    assert kinds(out).count("output_item.done") == 1
    assert not any("arguments.done" in kind or "input.done" in kind for kind in kinds(out))
    assert [item["type"] for item in stream.items] == ["message"]
    assert [each["type"] for each in stream.message["content"]] == ["text"]


def test_p22_a_whole_call_before_the_cut_stays() -> None:
    script = start() + tool(0, "list") + tool(1, "list", '{"a":1}') + end("max_tokens")
    out, _ = stream_out(script, RICH_FRAME)
    assert [item["arguments"] for item in final(out)["output"]] == ["{}", '{"a":1}']


def test_arguments_that_are_no_json_are_passed_on_when_the_answer_was_not_cut() -> None:
    out, stream = stream_out(start() + tool(0, "read_file", '{"a') + text(1, "x") + end())
    assert final(out)["output"][0]["arguments"] == '{"a'
    assert stream.message["content"][0]["input"] == {"INVALID_JSON": '{"a'}


def test_an_empty_answer_completes_without_items() -> None:
    out, _ = stream_out(start() + text(0, "") + end())
    assert kinds(out) == ["created", "in_progress", "completed"]
    assert final(out)["output"] == []


def test_p23_an_error_in_the_middle_ends_with_error_and_failed() -> None:
    overloaded = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    out, stream = stream_out(start() + text(0, "a") + overloaded + text(1, "b"))
    assert stream.failure is not None
    assert stream.feed([("ping", b"{}")]) == b""
    out += stream.error(stream.failure)
    assert kinds(out)[-2:] == ["error", "failed"]
    flat, failed = events(out)[-2:]
    assert {name: flat[name] for name in ("code", "message", "param")} == {
        "code": "overloaded",
        "message": "Overloaded",
        "param": None,
    }
    assert "error" not in flat
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "Overloaded"}
    assert failed["response"]["usage"]["input_tokens"] == 10
    assert stream.response["status"] == "failed"


def test_p24_a_stream_that_stops_short_fails_and_leaves_open_items_out() -> None:
    out, stream = stream_out(start() + text(0, "a") + tool(1, "list", '{"a')[:-40])
    assert not stream.meter.completed
    out += stream.error(UpstreamCutError("cut"))
    assert [item["type"] for item in final(out)["output"]] == ["message"]
    out, stream = stream_out(start() + text(0, "a") + end(None))
    assert isinstance(stream.failure, UpstreamCutError)


def test_an_error_before_the_first_event_still_opens_the_response() -> None:
    stream = ResponsesStream(FRAME)
    out = stream.error(RateLimitError("slow down"))
    assert kinds(out) == ["created", "in_progress", "error", "failed"]
    assert final(out)["error"]["code"] == "rate_limit_exceeded"
    assert final(out)["usage"] is None


@pytest.mark.parametrize(
    "script",
    [
        text(0, "a"),
        start() + event("content_block_delta", index=0),
        start() + b"event: message_delta\ndata: nope\n\n",
        start() + event("content_block_start", index=0, content_block={"type": "tool_use"}),
        event("message_start"),
    ],
)
def test_what_cannot_be_read_is_a_failure(script: bytes) -> None:
    _, stream = stream_out(script)
    assert stream.failure is not None
    assert stream.failure.code == "upstream_error"
