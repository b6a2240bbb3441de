"""Which answers are kept, and what comes out when one is given again."""

from typing import Any

import pytest

from gateway import wire
from gateway.protocols.shared.sse import SSEFramer
from gateway.response_cache.answer import (
    MAX_ANSWER_BYTES,
    AnswerRecorder,
    dump_answer,
    given_again,
    load_answer,
    may_be_kept,
)
from tests.support.messages_stream import block, delta, event, start, text

END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
STOP = event("message_stop")
THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    delta(0, "thinking_delta", thinking="hm"),
    delta(0, "signature_delta", signature="sig"),
)
CALL = block(
    1,
    {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    delta(1, "input_json_delta", partial_json="{}"),
)


def events(*parts: bytes) -> list[tuple[str, bytes]]:
    return SSEFramer().feed(b"".join(parts))


GOOD = events(start(), THINKING, text(1, "Hello, ", "wörld"), END, STOP)


def ends_with(reason: str) -> list[tuple[str, bytes]]:
    return events(
        start(), text(0, "x"), event("message_delta", delta={"stop_reason": reason}), STOP
    )


def test_complete_answers_of_text_are_kept() -> None:
    assert may_be_kept(GOOD)
    assert may_be_kept(ends_with("stop_sequence"))


@pytest.mark.parametrize(
    "bad",
    [
        [],
        events(start(), text(0, "x"), END),
        events(start(), text(0, "x"), STOP),
        events(text(0, "x"), END, STOP),
        events(start(), END, STOP),
        events(start(), THINKING, END, STOP),
        events(start(), text(0, "x"), CALL, END, STOP),
        events(start(), text(0, "x"), event("error", error={"type": "overloaded_error"}), STOP),
        [*GOOD[:-1], ("message_delta", b"{broken"), GOOD[-1]],
        *(
            ends_with(reason)
            for reason in ("max_tokens", "refusal", "tool_use", "pause_turn", "new_reason")
        ),
    ],
)
def test_p57_errors_refusals_calls_and_cut_answers_are_not_kept(bad: Any) -> None:
    assert not may_be_kept(bad)


def test_a_recorder_keeps_all_but_pings_and_forgets_what_is_too_long() -> None:
    recorder = AnswerRecorder()
    recorder.feed(GOOD[:3])
    recorder.feed([("ping", b'{"type":"ping"}')])
    recorder.feed(GOOD[3:])
    assert recorder.kept() == GOOD
    assert recorder.kept() is None
    long = AnswerRecorder()
    huge = text(0, "x" * (MAX_ANSWER_BYTES + 1))
    for each in events(start(), huge, END, STOP):
        long.feed([each])
    assert long.kept() is None


def test_an_answer_survives_being_written() -> None:
    assert load_answer(dump_answer(GOOD)) == GOOD
    assert load_answer(b"something else") is None


def test_an_answer_given_again_is_the_same_but_for_its_id() -> None:
    once, twice = (given_again(GOOD, with_thinking=True) for _ in range(2))
    assert once[1:] == twice[1:] == GOOD[1:]
    ids = [wire.loads(each[0][1])["message"].pop("id") for each in (GOOD, once, twice)]
    assert len(set(ids)) == 3
    assert all(each.startswith("msg_") for each in ids)
    before, after = (wire.loads(each[0][1])["message"] for each in (GOOD, once))
    assert {**before, "id": ""} == {**after, "id": ""}


def test_to_another_question_it_goes_without_its_thinking() -> None:
    given = given_again(GOOD, with_thinking=False)
    assert may_be_kept(given)
    read = [wire.loads(data) for _, data in given]
    blocks = [each for each in read if each["type"].startswith("content_block_")]
    assert {each["index"] for each in blocks} == {0}
    assert b"sig" not in dump_answer(given)
    texts = [each["delta"]["text"] for each in blocks if "delta" in each]
    assert "".join(texts) == "Hello, wörld"
