"""Deltas that came together as one: what is assembled of them stays the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.shared.assemble import MessageAssembler
from gateway.protocols.shared.joined_deltas import join_deltas
from gateway.protocols.shared.sse import SSEFramer
from tests.support.messages_stream import block, delta, end, event, start, text, thinking, tool

ODD_TEXT = st.text() | st.sampled_from(
    ['"}}', '"}}\n\nevent: content_block_delta\ndata: {"type":"', '\\"}', '"', "\\", "}", "\u2028"]
)


def padded(data: bytes, spaces: int) -> bytes:
    """As the API pads: spaces before the last brace of an event."""
    return data.replace(b"}\n\n", b" " * spaces + b"}\n\n")


def assembled(*reads: bytes, joins: bool) -> MessageAssembler:
    framer, assembler = SSEFramer(joins=joins), MessageAssembler()
    for read in reads:
        assembler.feed(framer.feed(read))
    return assembler


@pytest.mark.parametrize("spaces", [0, 1, 7])
def test_deltas_of_a_block_that_follow_each_other_become_one(spaces: int) -> None:
    answer = thinking(0, "a", "b") + text(1, "c", "d", "e") + tool(2, "t", '{"x"', ":1}")
    joined = join_deltas(padded(answer, spaces))
    kinds = [name for name, _ in SSEFramer().feed(joined)]
    assert kinds.count("content_block_delta") == 4  # with the signature
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 3
    assert b'"text":"cde"' in joined
    assert b'"thinking":"ab"' in joined
    assert rb'"partial_json":"{\"x\":1}"' in joined


def test_what_lies_between_deltas_keeps_them_apart() -> None:
    pinged = delta(0, "text_delta", text="a") + event("ping") + delta(0, "text_delta", text="b")
    other = delta(0, "text_delta", text="a") + delta(1, "text_delta", text="b")
    cited = delta(0, "text_delta", text="a") + delta(0, "citations_delta", citation={"x": "y"})
    for events in (pinged, other, cited + delta(0, "text_delta", text="b")):
        assert join_deltas(events) == events


@pytest.mark.parametrize(
    "odd",
    [
        delta(0, "text_delta", text="a", note="n"),
        delta(0, "text_delta", text="a").replace(b"}}", b'},"meta":{"id":"q"}}'),
        delta(0, "text_delta", text="a").replace(b'"a"', b'"a"}}'),
        delta(0, "text_delta", text="a").replace(b'"a"', b'"\x01"'),
        delta(0, "text_delta", text="a").replace(b'"a"', b'"\\"'),
    ],
)
def test_a_delta_that_says_more_or_cannot_be_read_stays_as_it_is(odd: bytes) -> None:
    plain = delta(0, "text_delta", text="b")
    for events in (odd + plain, plain + odd, odd + odd):
        assert join_deltas(events) == events
    assert join_deltas(plain + plain + odd) == delta(0, "text_delta", text="bb") + odd


def test_another_servers_spacing_is_left_alone() -> None:
    events = text(0, "a", "b").replace(b'":', b'": ')
    assert join_deltas(events) == events


@given(st.lists(st.tuples(st.sampled_from("tkj"), st.lists(ODD_TEXT, max_size=5)), max_size=4))
def test_the_message_is_the_same(blocks: list[tuple[str, list[str]]]) -> None:
    makers = {
        "t": lambda index, texts: text(index, *texts),
        "k": lambda index, texts: thinking(index, *texts),
        "j": lambda index, texts: block(
            index,
            {"type": "tool_use", "id": f"toolu_{index}", "name": "t", "input": {}},
            *(delta(index, "input_json_delta", partial_json=each) for each in texts),
        ),
    }
    answer = start() + b"".join(makers[kind](n, texts) for n, (kind, texts) in enumerate(blocks))
    answer += end("end_turn")
    plain, joined = assembled(answer, joins=False), assembled(answer, joins=True)
    assert joined.message == plain.message
    assert joined.meter == plain.meter


@given(st.lists(ODD_TEXT, min_size=1, max_size=5), st.data())
def test_reads_may_end_anywhere(texts: list[str], data: st.DataObject) -> None:
    answer = start() + text(0, *texts) + end("end_turn")
    place = data.draw(st.integers(0, len(answer)))
    halves = assembled(answer[:place], answer[place:], joins=True)
    assert halves.message == assembled(answer, joins=False).message
