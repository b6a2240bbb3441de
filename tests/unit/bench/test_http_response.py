"""The load generator's reader: ends, lengths and events, however the bytes are cut."""

import pytest

from bench.errors import BenchError
from bench.http_response import ResponseReader

_BODY = b'{"choices":[]}'
_WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\nx-a: b\r\n\r\n" + _BODY
_CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
_CHUNKED_HEAD += b"Transfer-Encoding: chunked\r\n\r\n"
_EVENTS = (b'data: {"a":1}\n\n', b": ping\n\n", b"data: one\n\ndata: [DONE]\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_CHUNKED = _CHUNKED_HEAD + b"".join(map(_chunk, _EVENTS)) + b"0\r\n\r\n"


def _read(*pieces: bytes) -> ResponseReader:
    reader = ResponseReader()
    for piece in pieces:
        reader.feed(piece)
    return reader


@pytest.mark.parametrize("cut", range(1, len(_WITH_LENGTH)))
def test_a_body_with_a_length_ends_at_it(cut: int) -> None:
    reader = ResponseReader()
    reader.feed(_WITH_LENGTH[:cut])
    assert not reader.complete
    reader.feed(_WITH_LENGTH[cut:])
    assert reader.complete
    assert (reader.status, reader.events, reader.reads) == (200, 0, 2)


@pytest.mark.parametrize("cut", range(1, len(_CHUNKED)))
def test_a_chunked_body_ends_with_its_last_chunk_and_counts_events(cut: int) -> None:
    reader = ResponseReader()
    reader.feed(_CHUNKED[:cut])
    assert not reader.complete
    reader.feed(_CHUNKED[cut:])
    assert reader.complete
    assert reader.events == 3


def test_single_bytes_are_enough() -> None:
    reader = _read(*(_CHUNKED[place : place + 1] for place in range(len(_CHUNKED))))
    assert reader.complete
    assert reader.events == 3


def test_an_empty_body_is_complete_with_its_head() -> None:
    assert _read(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").complete
    assert _read(_CHUNKED_HEAD + b"0\r\n\r\n").complete
    assert _read(_CHUNKED_HEAD, b"0\r\n\r\n").complete


def test_the_body_of_an_error_is_kept() -> None:
    reader = _read(b"HTTP/1.1 429 Too Many\r\ncontent-length: 4\r\n\r\nslow")
    assert (reader.status, bytes(reader.body), reader.complete) == (429, b"slow", True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not an HTTP/1.1 response"),
        (b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n", "without a length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", "longer than its content-length"),
        (b"a" * 70_000, "no end"),
    ],
)
def test_what_is_no_response_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BenchError, match=reason):
        _read(data)


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(BenchError, match="after the end"):
        _read(_WITH_LENGTH, b"HTTP/1.1 ")
