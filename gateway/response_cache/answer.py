"""Which answers are kept, and how one is given again.

Kept are the upstream's own events, so that every protocol's translator makes of them what it made
of the first answer.
"""

import os
from collections.abc import Sequence
from typing import TypeAlias

from gateway import wire
from gateway.protocols.messages_form import THINKING_BLOCKS
from gateway.protocols.shared.failures import UNREADABLE
from gateway.protocols.shared.sse import SSEFramer
from gateway.wire import JSONObject

Events: TypeAlias = Sequence[tuple[str, bytes]]
"""Events of a Messages stream, name and data."""

MAX_ANSWER_BYTES = 2 * 2**20
"""A longer answer, as it stands on the wire, is not kept."""

_GOOD_ENDS = frozenset({"end_turn", "stop_sequence"})
_BLOCKS = THINKING_BLOCKS | {"text"}
_READ = frozenset({"message_start", "content_block_start", "message_delta"})


class AnswerRecorder:
    """Gathers the events of one answer; not thread-safe."""

    __slots__ = ("_events", "_size")

    def __init__(self) -> None:
        self._events: list[tuple[str, bytes]] | None = []
        self._size = 0

    def feed(self, events: Events) -> None:
        """Take note of these events."""
        if self._events is None:
            return
        for event in events:
            if event[0] != "ping":
                self._events.append(event)
                self._size += len(event[1])
        if self._size > MAX_ANSWER_BYTES:
            self._events = None

    def kept(self) -> Events | None:
        """The answer when it may be given again, else None."""
        events, self._events = self._events, None
        return events if events is not None and may_be_kept(events) else None


def may_be_kept(events: Events) -> bool:
    """True for a complete answer of text that Claude ended by itself."""
    names = [name for name, _ in events]
    if names[:1] != ["message_start"] or names[-1:] != ["message_stop"] or "error" in names:
        return False
    try:
        return _is_good([wire.loads(data) for name, data in events if name in _READ])
    except UNREADABLE:
        return False


def _is_good(read: list[JSONObject]) -> bool:
    stop_reason, texts = None, 0
    for event in read:
        if event["type"] == "content_block_start":
            kind = event["content_block"]["type"]
            if kind not in _BLOCKS:
                return False
            texts += kind == "text"
        elif event["type"] == "message_delta":
            stop_reason = event["delta"].get("stop_reason") or stop_reason
    return stop_reason in _GOOD_ENDS and texts > 0


def dump_answer(events: Events) -> bytes:
    """The events as they stand on the wire."""
    return b"".join([b"event: %b\ndata: %b\n\n" % (name.encode(), data) for name, data in events])


def load_answer(data: bytes) -> Events | None:
    """The events in `data`, None when it holds no answer that may be given."""
    events = SSEFramer().feed(data)
    return events if may_be_kept(events) else None


def given_again(events: Events, *, with_thinking: bool) -> list[tuple[str, bytes]]:
    """The events of a kept answer under a new message id.

    Thinking is signed for the conversation it was made in, so an answer to another question goes
    without it.
    """
    renewed: list[tuple[str, bytes]] = []
    places: dict[int, int] = {}
    for name, data in events:
        if name == "message_start":
            renewed.append((name, _with_new_id(data)))
        elif with_thinking or not name.startswith("content_block_"):
            renewed.append((name, data))
        else:
            event = wire.loads(data)
            if name == "content_block_start" and event["content_block"]["type"] == "text":
                places[event["index"]] = len(places)
            if event["index"] in places:
                event["index"] = places[event["index"]]
                renewed.append((name, wire.dumps(event)))
    return renewed


def _with_new_id(data: bytes) -> bytes:
    event = wire.loads(data)
    return wire.dumps(
        {**event, "message": {**event["message"], "id": f"msg_{os.urandom(12).hex()}"}}
    )
