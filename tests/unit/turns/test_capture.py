"""Answers taken off the stream: whole, word for word, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.protocols.shared.tool_arguments import tool_input
from gateway.turns.capture import MAX_ANSWER_BYTES, Answer, TurnCapture
from gateway.turns.digests import seen_digest
from gateway.wire import JSONObject
from tests.support.bound_thinking import events_of

SIGNED: JSONObject = {"type": "thinking", "thinking": "hm", "signature": "s"}
REDACTED: JSONObject = {"type": "redacted_thinking", "data": "d"}
TEXT: JSONObject = {"type": "text", "text": "words"}


def call(raw: str = '{"a": 1}') -> JSONObject:
    return {"type": "tool_use", "id": "toolu_1", "name": "read", "raw": raw}


def captured(
    content: list[JSONObject], stop_reason: str = "end_turn", *, in_fences: bool = False
) -> Answer | None:
    capture = TurnCapture(in_fences=in_fences)
    for event in events_of(content, stop_reason):
        capture.feed([event])
    return capture.answer()


def test_all_blocks_are_kept_in_order_and_word_for_word() -> None:
    answer = captured([SIGNED, TEXT, REDACTED, call('{"a":  1.0,\n"b": 1e2}')])
    assert answer is not None
    assert answer.content[:3] == [SIGNED, TEXT, REDACTED]
    assert b'"input":{"a":  1.0,\n"b": 1e2}' in wire.dumps(answer.content[3])
    assert not answer.comes_back_whole


@pytest.mark.parametrize("content", [[TEXT], [TEXT, call()], [call()]])
def test_text_and_calls_come_back_from_every_client(content: list[JSONObject]) -> None:
    answer = captured(content)
    assert answer is not None
    assert answer.comes_back_whole


@pytest.mark.parametrize("content", [[TEXT, TEXT], [call(), TEXT], [SIGNED, TEXT]])
def test_anything_else_does_not(content: list[JSONObject]) -> None:
    answer = captured(content)
    assert answer is not None
    assert not answer.comes_back_whole


@pytest.mark.parametrize(
    ("content", "stop_reason"),
    [
        ([TEXT], "refusal"),
        ([{**SIGNED, "signature": ""}], "max_tokens"),
        ([SIGNED, call('{"a": ')], "max_tokens"),
        ([SIGNED, call()], "model_context_window_exceeded"),
        ([{"type": "redacted_thinking", "data": ""}], "end_turn"),
        ([{"type": "text", "text": " \n"}], "end_turn"),
        ([], "end_turn"),
    ],
)
def test_what_cannot_be_sent_back_is_no_turn(content: list[JSONObject], stop_reason: str) -> None:
    assert captured(content, stop_reason) is None


def test_text_cut_by_the_limit_is_a_turn() -> None:
    assert captured([SIGNED, TEXT], "max_tokens") is not None


def test_p05_blank_text_is_left_out_because_the_api_does_not_take_it_back() -> None:
    answer = captured([SIGNED, {"type": "text", "text": "\n"}, call()])
    assert answer is not None
    assert [block["type"] for block in answer.content] == ["thinking", "tool_use"]


def test_an_answer_that_did_not_end_or_failed_is_no_turn() -> None:
    events = events_of([SIGNED, TEXT])
    for taken in (events[:-1], events[:-2], [*events[:-1], ("error", b'{"type":"error"}')], []):
        capture = TurnCapture()
        capture.feed(taken)
        assert capture.answer() is None


@pytest.mark.parametrize(
    "data", [b"{", b'{"type":"content_block_delta","index":9,"delta":{}}', b"[]"]
)
def test_unreadable_events_are_no_turn(data: bytes) -> None:
    capture = TurnCapture()
    capture.feed([("content_block_delta", data), *events_of([TEXT])])
    assert capture.answer() is None


def test_p56_an_endless_answer_is_let_go() -> None:
    capture = TurnCapture()
    for _ in range(5):
        capture.feed([("content_block_delta", bytes(MAX_ANSWER_BYTES // 4))])
    assert capture._events is None
    capture.feed(events_of([TEXT]))
    assert capture.answer() is None


def test_pings_and_unknown_events_do_not_count() -> None:
    capture = TurnCapture()
    for event in events_of([SIGNED, TEXT]):
        capture.feed([("ping", b"{}"), event, ("something_new", b"?")])
    assert capture.answer() is not None


def test_citations_and_server_tools_are_kept() -> None:
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    answer = captured([search, found, TEXT])
    assert answer is not None
    assert answer.content == [search, found, TEXT]
    assert not answer.comes_back_whole


def test_json_in_a_code_fence_is_recognised_without_it() -> None:
    fenced: JSONObject = {"type": "text", "text": '```json\n{"a": 1}\n```'}
    shown = captured([SIGNED, fenced], in_fences=True)
    assert shown is not None
    assert shown.seen == seen_digest([{"type": "text", "text": '{"a": 1}'}])
    assert shown.content[1] == fenced


@given(st.text(alphabet='{}[]":,\\abc 0123456789.eE-\n', max_size=60))
def test_arguments_are_seen_as_the_translation_of_the_history_reads_them(raw: str) -> None:
    answer = captured([SIGNED, call(raw)])
    assert answer is not None
    returned = tool_input(raw)
    seen = {"type": "tool_use", "id": "toolu_1", "name": "read", "input": returned}
    assert answer.seen == seen_digest([seen])
    assert isinstance(wire.loads(wire.dumps(answer.content))[1]["input"], dict)
