"""The prebuilt answers of instant mode, by shape."""

from dataclasses import dataclass

from simulator.events import PING, frame
from simulator.plan import repeated_deltas
from simulator.wire import Json, dumps

_SHAPES = 256  # prebuilt answers kept


@dataclass(frozen=True, slots=True)
class Shape:
    """The size and pace of an answer."""

    count: int = 20
    chars: int = 5
    interval: float = 0.0
    stepped: bool = False
    burst: int = 1


@dataclass(frozen=True, slots=True)
class Prebuilt:
    """The bytes of an answer: whole as JSON, whole as SSE, and in parts."""

    json_head: list[tuple[bytes, bytes]]
    json_body: bytes
    sse_body: bytes
    parts: tuple[bytes, ...]


class Shelf:
    """Prebuilt answers by shape."""

    def __init__(self) -> None:
        self._known: dict[Shape, Prebuilt] = {}

    def get(self, shape: Shape) -> Prebuilt:
        """The answer of that shape, built on first use."""
        known = self._known.get(shape)
        if known is None:
            if len(self._known) >= _SHAPES:
                self._known.clear()
            known = self._known[shape] = build(shape)
        return known


def build(shape: Shape) -> Prebuilt:
    """The bytes of an answer."""
    deltas = repeated_deltas(shape.count, shape.chars)
    usage: Json = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": max(shape.count, 1),
    }
    message: Json = {
        "id": "msg_01instant",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [{"type": "text", "text": "".join(deltas)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    start = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    opening = frame({"type": "message_start", "message": start}) + frame(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    )
    frames = [
        frame(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": delta},
            }
        )
        for delta in deltas
    ]
    closing = (
        frame({"type": "content_block_stop", "index": 0})
        + frame(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": usage,
            }
        )
        + frame({"type": "message_stop"})
    )
    groups = [
        b"".join(frames[start : start + shape.burst])
        for start in range(0, len(frames), shape.burst)
    ]
    parts = (opening + PING, *groups, closing)
    body = dumps(message)
    head = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"request-id", b"req_01instant"),
    ]
    return Prebuilt(head, body, b"".join(parts), parts)
