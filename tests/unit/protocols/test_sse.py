"""Framing of server-sent events: any line ending, any split."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamError
from gateway.protocols.shared.sse import SSEFramer, escape_line_separators

STREAM = (
    "\ufeff: hello\n\n"
    'event: message_start\ndata: {"a":"ü"}\n\n'
    "event:ping\ndata:{}\n\n\n\n"
    'data: {"type":"content_block_delta","text":"日本 🙂"}\n\n'
    "id: 7\nretry: 10\nevent: new_kind\n: why not\ndata: one\ndata: two\ndata\n\n"
    "event: nothing\n\n"
    'event: \ndata: {"type":"unnamed"}\n\n'
    'data: "no object"\n\n'
    "data: not json\n\n"
).encode()
EVENTS = [
    ("message_start", '{"a":"ü"}'.encode()),
    ("ping", b"{}"),
    ("content_block_delta", '{"type":"content_block_delta","text":"日本 🙂"}'.encode()),
    ("new_kind", b"one\ntwo\n"),
    ("unnamed", b'{"type":"unnamed"}'),
    ("message", b'"no object"'),
    ("message", b"not json"),
]


def framed(*reads: bytes) -> list[tuple[str, bytes]]:
    framer = SSEFramer()
    events = [event for read in reads for event in framer.feed(read)]
    assert not framer.pending
    return events


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_every_line_ending_gives_the_same_events(ending: bytes) -> None:
    assert framed(STREAM.replace(b"\n", ending)) == EVENTS


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_every_single_split_point_gives_the_same_events(ending: bytes) -> None:
    stream = STREAM.replace(b"\n", ending)
    for at in range(len(stream) + 1):
        assert framed(stream[:at], stream[at:]) == EVENTS


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_one_byte_at_a_time_gives_the_same_events(ending: bytes) -> None:
    stream = STREAM.replace(b"\n", ending)
    assert framed(*(stream[at : at + 1] for at in range(len(stream)))) == EVENTS


@given(
    cuts=st.lists(st.integers(0, len(STREAM) * 2)),
    endings=st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=1),
)
def test_any_splits_and_mixed_line_endings_give_the_same_events(
    cuts: list[int], endings: list[bytes]
) -> None:
    lines = STREAM.split(b"\n")
    stream = lines[0]
    for number, line in enumerate(lines[1:]):
        ending = endings[number % len(endings)]
        if stream.endswith(b"\r") and ending == b"\n":
            ending = b"\r"  # an empty line between CR and LF would be no line at all
        stream += ending + line
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert framed(*(stream[first:last] for first, last in pairwise(places))) == EVENTS


def test_an_unfinished_event_is_pending_and_not_given_out() -> None:
    framer = SSEFramer()
    assert framer.feed(b"event: ping\ndata: {}\n") == []
    assert framer.pending
    assert framer.feed(b"\n") == [("ping", b"{}")]
    assert not framer.pending


def test_an_endless_event_is_an_upstream_error() -> None:
    framer = SSEFramer(max_event_bytes=100)
    framer.feed(b"data: " + b"x" * 90)
    with pytest.raises(UpstreamError, match="too large"):
        framer.feed(b"x" * 20)


def test_many_events_of_the_allowed_size_are_no_endless_event() -> None:
    framer = SSEFramer(max_event_bytes=100)
    event = b"data: " + b"x" * 80 + b"\n\n"
    assert len(framer.feed(event * 50)) == 50


def test_line_separators_are_escaped_and_mean_the_same() -> None:
    text = '"a\u2028b\u2029c\u0085d é"'.encode()
    assert escape_line_separators(text) == '"a\\u2028b\\u2029c\\u0085d é"'.encode()
    assert escape_line_separators(b'"plain"') == b'"plain"'
