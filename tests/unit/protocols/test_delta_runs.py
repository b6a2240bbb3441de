"""Deltas that come together say what they say when each comes alone."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import wire
from gateway.protocols.openai_chat_stream import ChatStream
from gateway.protocols.openai_responses_stream import ResponsesStream
from gateway.protocols.shared.delta_runs import Run, by_name, read_run
from gateway.protocols.shared.sse import SSEFramer
from gateway.structs import replace
from tests.support.messages_stream import CREATED, PLAN, block, delta, end, start
from tests.support.responses_stream import FRAME

Event = tuple[str, bytes]
Stream = ChatStream | ResponsesStream

# Half a character has no bytes of its own: these stand for its escapes.
_HIGH, _LOW = "HIGH", "LOW"
_FIELDS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
    "a_new_delta": "anything",
}
_BLOCKS = [
    {"type": "text", "text": ""},
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {}},
    {"type": "tool_use", "id": "toolu_2", "name": "wrapped", "input": {}},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
]
_texts = st.sampled_from(["", "a", '{"', "日本", "\u2028", "b\n", _HIGH, _LOW, _HIGH + _LOW, "🙂"])
_kinds = st.sampled_from([*_FIELDS, "text_delta", "text_delta", "input_json_delta"])
_deltas = st.lists(st.tuples(_kinds, _texts), max_size=6)
_blocks = st.lists(st.tuples(st.sampled_from(_BLOCKS), _deltas), max_size=4)


def chat() -> ChatStream:
    return ChatStream(replace(PLAN, wrapped_tools=frozenset({"wrapped"})), CREATED, "chatcmpl-1")


def responses() -> ResponsesStream:
    return ResponsesStream(FRAME)


def halved(data: bytes) -> bytes:
    return data.replace(b"HIGH", b"\\ud83d").replace(b"LOW", b"\\ude00")


def events_of(stream: bytes) -> list[Event]:
    return SSEFramer().feed(halved(stream))


def said(stream: Stream, groups: list[list[Event]]) -> tuple[bytes, int, str]:
    """What the client gets, and what the stream knows at the end."""
    out = b"".join(stream.feed(group) for group in groups)
    return out, stream.meter.output_chars, str(stream.failure)


@pytest.mark.parametrize("make", [chat, responses])
@example([(_BLOCKS[0], [("text_delta", text) for text in ("", _HIGH, "a", "b")])], b"", 2)
@given(
    _blocks, st.sampled_from([b"", b"event: content_block_delta\ndata: no\n\n"]), st.integers(1, 7)
)
def test_however_deltas_come_the_client_gets_the_same(
    make: Callable[[], Stream],
    blocks: list[tuple[wire.JSONObject, list[tuple[str, str]]]],
    fault: bytes,
    size: int,
) -> None:
    written = [
        block(
            index, content, *(delta(index, kind, **{_FIELDS[kind]: text}) for kind, text in parts)
        )
        for index, (content, parts) in enumerate(blocks)
    ]
    events = events_of(start() + b"".join(written) + fault + end())
    alone = said(make(), [[event] for event in events])
    assert said(make(), [events]) == alone
    groups = [events[at : at + size] for at in range(0, len(events), size)]
    assert said(make(), groups) == alone


def datas(*parts: tuple[str, str]) -> list[bytes]:
    events = (delta(0, kind, **{_FIELDS[kind]: text}) for kind, text in parts)
    return [data for _, data in events_of(b"".join(events))]


def test_a_run_is_read_at_once() -> None:
    run = read_run(datas(("text_delta", "a"), ("text_delta", ""), ("text_delta", "🙂b")))
    assert run == Run("text_delta", ["a", "🙂b"], 3)


@pytest.mark.parametrize(
    "run",
    [
        datas(("text_delta", "a"), ("thinking_delta", "b")),
        datas(("signature_delta", "a"), ("signature_delta", "b")),
        datas(("text_delta", _HIGH), ("text_delta", _LOW)),
        datas(("text_delta", ""), ("text_delta", "")),
        [*datas(("text_delta", "a")), b"{"],
        [*datas(("text_delta", "a")), b"[]"],
        [*datas(("text_delta", "a")), b"{}"],
        [*datas(("text_delta", "a")), b'{"delta":{"type":"text_delta","text":1}}'],
        [*datas(("text_delta", "a")), b'{"delta":{"type":[],"text":"a"}}'],
        [b'{"delta":{"type":"text_delta","text":"a"},"more":[1', b'2]},{"delta":{}}'],
    ],
)
def test_what_is_no_run_is_read_one_by_one(run: list[bytes]) -> None:
    assert read_run(run) is None


def test_events_are_grouped_in_their_order() -> None:
    events = [("a", b"1"), ("a", b"2"), ("b", b"3"), ("a", b"4")]
    assert [(name, [*group]) for name, group in by_name(events)] == [
        ("a", [b"1", b"2"]),
        ("b", [b"3"]),
        ("a", [b"4"]),
    ]
    assert [(name, [*group]) for name, group in by_name([("a", b"1")])] == [("a", [b"1"])]
    assert [*by_name([])] == []
