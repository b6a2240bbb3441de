"""Server-sent events on the wire: bytes of any split in, whole events out.

Framing works on bytes, so a character or a line ending that was split between two reads is never
decoded in halves. Rules: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from itertools import chain
from operator import itemgetter

from gateway import wire
from gateway.errors import UpstreamError
from gateway.protocols.shared.joined_deltas import join_deltas

MAX_EVENT_BYTES = 32 * 1024 * 1024  # the size of the largest request body the API takes

_BOM = b"\xef\xbb\xbf"
# Of data whose lines end with LF. Possessive, and one character to stop at: both are much faster.
_PLAIN_EVENT = re.compile(rb"event: ([^\n]++)\ndata: ([^\n]*+)\n\n")
_PLAIN_FRAME_BYTES = len(b"event: \ndata: \n\n")


class _Names(dict[bytes, str]):
    """Names of events as texts: the usual ones are made once, others each time."""

    def __missing__(self, name: bytes) -> str:
        return name.decode("utf-8", "replace")


_NAMES = _Names(
    (name.encode(), name)
    for name in (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    )
)
_FIRST, _SECOND = itemgetter(0), itemgetter(1)


class SSEFramer:
    """Cuts a byte stream into events; one per stream, not thread-safe.

    Takes CR, LF and CRLF, comments, data over several lines, a byte order mark and events without
    a name (the name is then the data's `type`). `joins`: see `join_deltas`.
    """

    __slots__ = ("_after_carriage_return", "_at_start", "_joins", "_max_event_bytes", "_tail")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES, *, joins: bool = False) -> None:
        self._joins = joins
        self._tail = bytearray()
        self._at_start = True
        self._after_carriage_return = False
        self._max_event_bytes = max_event_bytes

    @property
    def pending(self) -> bool:
        """True when the bytes so far end inside an event."""
        return bool(self._tail.strip(b"\n"))

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """The events (name, data) completed by `data`. Raises UpstreamError on an endless one."""
        if b"\r" in data or self._after_carriage_return:
            data = self._with_line_feeds(data)
        if not self._tail:
            alone = _PLAIN_EVENT.fullmatch(data)  # as most reads are
            if alone is not None:
                self._at_start = False
                name, payload = alone.groups()
                return [(_NAMES[name], payload)]
        complete = self._complete(data)
        if not complete:
            return []
        if self._joins:
            complete = join_deltas(complete)
        found = _PLAIN_EVENT.findall(complete)
        framing = _PLAIN_FRAME_BYTES * len(found)
        if framing + sum(map(len, chain.from_iterable(found))) == len(complete):
            self._at_start = False
            names = map(_NAMES.__getitem__, map(_FIRST, found))
            return list(zip(names, map(_SECOND, found), strict=True))
        return self._events_of(complete)

    def _events_of(self, complete: bytes) -> list[tuple[str, bytes]]:
        """The events in whole blocks of any form."""
        if self._at_start:
            self._at_start = False
            complete = complete.removeprefix(_BOM)
        events = map(_read_lines, complete.split(b"\n\n"))
        return [event for event in events if event is not None]

    def _complete(self, data: bytes) -> bytes:
        """Everything up to the last blank line; the rest waits for the next read."""
        tail = self._tail
        if tail:
            seen = max(0, len(tail) - 1)
            tail += data
            if tail.find(b"\n\n", seen) < 0:
                self._check_size()
                return b""
            data = bytes(tail)
            tail.clear()
        end = data.rfind(b"\n\n") + 2
        if end == 1:
            tail += data
            self._check_size()
            return b""
        if end < len(data):
            tail += memoryview(data)[end:]
            self._check_size()
        return data[:end]

    def _check_size(self) -> None:
        if len(self._tail) > self._max_event_bytes:
            self._tail.clear()
            raise UpstreamError(
                "Claude's API sent an event too large to be read",
                detail=f"no end of the event within {self._max_event_bytes} bytes",
            )

    def _with_line_feeds(self, data: bytes) -> bytes:
        """`data` with every line ending as LF, also a CRLF that was split between two reads."""
        if self._after_carriage_return and data:
            data = data.removeprefix(b"\n")
            self._after_carriage_return = False
        if data.endswith(b"\r"):
            self._after_carriage_return = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _read_lines(block: bytes) -> tuple[str, bytes] | None:
    """The event in the lines of `block`; None when it carries no data."""
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    if not data:
        return None
    joined = b"\n".join(data)
    return (_NAMES[name] if name else _type_of(joined)), joined


def _type_of(data: bytes) -> str:
    """The `type` inside the data, for senders that leave the event's name out."""
    try:
        value = wire.loads(data)
    except wire.JSONDecodeError:
        return "message"
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else "message"


def escape_line_separators(data: bytes) -> bytes:
    """`data` (JSON text) with U+2028, U+2029 and U+0085 escaped.

    They are legal inside JSON strings, but common clients split lines at them.
    """
    if data.isascii():
        return data
    if b"\xe2\x80\xa8" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028")
    if b"\xe2\x80\xa9" in data:
        data = data.replace(b"\xe2\x80\xa9", b"\\u2029")
    if b"\xc2\x85" in data:
        data = data.replace(b"\xc2\x85", b"\\u0085")
    return data
