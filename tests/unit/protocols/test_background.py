"""Events of responses in the background: numbered, stored, and read on from any place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import ConflictError, InvalidRequestError
from gateway.protocols.background import (
    CHAT,
    RESPONSES,
    behind,
    cancelled,
    failed,
    last_events,
    numbered,
    queued,
    told_events,
)

EVENTS = st.lists(st.sampled_from([b"data: {}", b"event: a\ndata: 1", b": ping", b"data: [DONE]"]))


def raw(events: list[bytes]) -> bytes:
    return b"".join(event + b"\n\n" for event in events)


@given(EVENTS, st.integers(0, 10_000))
def test_comments_are_left_out_and_the_rest_is_numbered(events: list[bytes], first: int) -> None:
    data, count = numbered(raw(events), first)
    kept = [event for event in events if not event.startswith(b":")]
    assert count == len(kept)
    assert data == b"".join(
        b"id: %d\n%b\n\n" % (first + place, event) for place, event in enumerate(kept)
    )


@given(EVENTS, st.integers(0, 50), st.integers(-1, 80))
def test_reading_on_gives_exactly_what_is_behind(
    events: list[bytes], first: int, after: int
) -> None:
    data, count = numbered(raw(events), first)
    rest = behind(data, first, after)
    assert data.endswith(rest)
    ids = [int(line[4:]) for line in rest.split(b"\n") if line.startswith(b"id: ")]
    assert ids == [number for number in range(first, first + count) if number > after]


def test_a_response_that_waits_repeats_what_was_asked() -> None:
    body = {"model": "m", "input": "hello", "metadata": {"a": "b"}, "max_output_tokens": 9}
    shown = queued(RESPONSES, "resp_bg1", body, 12)
    assert (shown["id"], shown["status"], shown["background"]) == ("resp_bg1", "queued", True)
    assert (shown["created_at"], shown["output"], shown["usage"]) == (12, [], None)
    assert (shown["metadata"], shown["max_output_tokens"]) == ({"a": "b"}, 9)
    assert "input" not in shown


def test_a_completion_that_waits_has_no_choices() -> None:
    shown = queued(CHAT, "chatcmpl-bg1", {"model": "m", "messages": []}, 12)
    assert (shown["object"], shown["choices"], shown["status"]) == ("chat.completion", [], "queued")


def told(data: bytes) -> list[Any]:
    lines = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [wire.loads(line) for line in lines]


def test_a_response_that_failed_ends_with_its_error() -> None:
    error = InvalidRequestError("not like this", param="input[0]")
    shown = failed(queued(RESPONSES, "resp_bg1", {"model": "m"}, 1), error)
    assert shown["error"] == {"code": "invalid_prompt", "message": "not like this"}
    first, last = told(last_events(shown, error, 7))
    assert (first["type"], first["sequence_number"], first["param"]) == ("error", 7, "input[0]")
    assert (last["type"], last["sequence_number"]) == ("response.failed", 8)
    assert last["response"] == shown


def test_a_cancelled_response_ends_without_an_error() -> None:
    shown = cancelled(queued(RESPONSES, "resp_bg1", {"model": "m"}, 1))
    (last,) = told(last_events(shown, ConflictError("cancelled"), 3))
    assert (last["type"], last["response"]["status"]) == ("response.failed", "cancelled")
    assert last["response"]["error"] is None


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES])
def test_the_end_of_a_connection_says_why(endpoint: str) -> None:
    (event,) = told(told_events(endpoint, ConflictError("made anew", code="anew"), 5))
    said = event if endpoint == RESPONSES else event["error"]
    assert (said["code"], said["message"]) == ("anew", "made anew")


def test_a_completion_that_failed_tells_it_as_chunks_do() -> None:
    error = InvalidRequestError("no")
    shown = failed(queued(CHAT, "chatcmpl-bg1", {"model": "m"}, 1), error)
    assert shown["status"] == "failed"
    (event,) = told(last_events(shown, error, 0))
    assert event["error"]["message"] == "no"
