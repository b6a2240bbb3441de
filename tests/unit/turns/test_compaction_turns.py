"""A summary that the API wrote comes back with its turn, for clients that never saw it."""

from typing import Any

import pytest

from gateway.protocols.messages_form import text_block
from gateway.turns.capture import TurnCapture
from gateway.wire import JSONObject, dumps
from tests.support.messages_stream import block, delta, end, start, text
from tests.support.pure_session import PureSession

SUMMARY: JSONObject = {"type": "compaction", "content": "so far", "encrypted_content": "opaque"}


class CompactingSession(PureSession):
    """With one more letter: k, a compaction."""

    def _block(self, letter: str, body: JSONObject, before: list[JSONObject]) -> JSONObject:
        return dict(SUMMARY) if letter == "k" else super()._block(letter, body, before)


def summaries(body: JSONObject) -> list[JSONObject]:
    return [
        each
        for message in body["messages"]
        if message["role"] == "assistant"
        for each in message["content"]
        if each["type"] == "compaction"
    ]


def events(data: bytes) -> list[tuple[str, bytes]]:
    found = []
    for frame in data.decode().split("\n\n")[:-1]:
        name, line = frame.split("\n")
        found.append((name.removeprefix("event: "), line.removeprefix("data: ").encode()))
    return found


def test_it_is_taken_off_the_stream_word_for_word() -> None:
    capture = TurnCapture()
    opening: dict[str, Any] = {"type": "compaction", "content": None}
    parts = delta(0, "compaction_delta", content="so far", encrypted_content="opaque")
    capture.feed(events(start() + block(0, opening, parts) + text(1, "Go", " on") + end()))
    answer = capture.answer()
    assert answer is not None
    assert answer.content == [SUMMARY, text_block("Go on")]
    assert not answer.comes_back_whole
    assert not capture.is_plain


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-opus-4-6"])
def test_it_comes_back_into_every_later_request(model: str) -> None:
    session = CompactingSession(model=model)
    session.turn("tc", text="task")
    session.results()
    session.send()
    session.answer("ktc")
    for _ in range(3):
        session.results()
        session.send()
        assert summaries(session.bodies[-1]) == [SUMMARY]
        assert session.faults() == []
        session.answer("tc")


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-opus-4-6"])
def test_it_stays_out_when_the_client_has_changed_what_it_summarises(model: str) -> None:
    session = CompactingSession(model=model)
    session.turn("tx", text="task")
    session.user("more")
    session.send()
    session.answer("ktx")
    session.messages[0]["content"][0]["text"] = "another task"
    session.user("and now")
    session.send()
    assert summaries(session.bodies[-1]) == []
    assert b"another task" in dumps(session.bodies[-1])
