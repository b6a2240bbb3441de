"""Reads HTTP/1.1 responses, only as much of them as a load generator must know."""

import re
from dataclasses import dataclass, field

from bench.errors import BenchError

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_END_OF_CHUNKS = b"\r\n0\r\n\r\n"
_EVENT = b"data: "
_HEAD_LIMIT_BYTES = 65_536
_KEPT_BYTES = max(len(_END_OF_CHUNKS), len(_EVENT)) - 1


@dataclass(slots=True)
class ResponseReader:
    """One response, fed as its bytes arrive.

    `events` counts the `data:` lines of an event stream. The end of a chunked body is known by its
    last bytes: that holds for JSON and event streams, which never contain them.
    """

    status: int = 0
    complete: bool = False
    events: int = 0
    reads: int = 0
    body: bytearray = field(default_factory=bytearray)
    _head: bytearray = field(default_factory=bytearray)
    _left: int = -1
    _chunked: bool = False
    _tail: bytes = b""

    def feed(self, data: bytes) -> None:
        """Takes the next bytes. Raises BenchError for what is no response this can read."""
        if self.complete:
            raise BenchError("bytes after the end of a response")
        self.reads += 1
        if self.status == 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                if len(self._head) > _HEAD_LIMIT_BYTES:
                    raise BenchError("the head of a response has no end")
                return
            head, data = bytes(self._head[: end + 2]), bytes(self._head[end + 4 :])
            self._read_head(head)
            # The line end before the last chunk of an empty body belongs to the head.
            self._tail = b"\r\n"
        self._read_body(data)

    def _read_head(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 ") or not head[9:12].isdigit():
            raise BenchError(f"not an HTTP/1.1 response: {head[:40]!r}")
        self.status = int(head[9:12])
        length = _LENGTH.search(head)
        self._chunked = _CHUNKED.search(head) is not None
        if not self._chunked and length is None:
            raise BenchError("a response without a length")
        self._left = int(length.group(1)) if length else -1

    def _read_body(self, data: bytes) -> None:
        if self.status != 200:
            self.body += data
        window = self._tail + data
        self.events += window.count(_EVENT) - self._tail.count(_EVENT)
        if self._chunked:
            self.complete = window.endswith(_END_OF_CHUNKS)
        else:
            self._left -= len(data)
            if self._left < 0:
                raise BenchError("a body longer than its content-length")
            self.complete = self._left == 0
        self._tail = window[-_KEPT_BYTES:]
