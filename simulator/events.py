r"""The server-sent events of an answer, exactly as the API frames them.

`event: <name>\ndata: <json>\n\n`. Sequence: message_start, for each block start, deltas and stop
(a ping after the first start), message_delta with cumulative usage, message_stop.
"""

from collections.abc import Iterator

from simulator.answer import Answer, content_of, deltas_of
from simulator.plan import Block
from simulator.wire import Json, dumps

PING = b'event: ping\ndata: {"type":"ping"}\n\n'


def frame(event: Json) -> bytes:
    """One event as bytes."""
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + dumps(event) + b"\n\n"


def error_frame(error: Json) -> bytes:
    """An `error` event; `error` is the error object."""
    return frame({"type": "error", "error": error})


def answer_frames(answer: Answer) -> Iterator[bytes]:
    """All events of an answer."""
    yield frame({"type": "message_start", "message": answer.head()})
    for index, block in enumerate(answer.blocks):
        yield frame(
            {"type": "content_block_start", "index": index, "content_block": _skeleton(block)}
        )
        if index == 0:
            yield PING
        for delta in _deltas(block):
            yield frame({"type": "content_block_delta", "index": index, "delta": delta})
        yield frame({"type": "content_block_stop", "index": index})
    yield frame(
        {
            "type": "message_delta",
            "delta": {
                "stop_reason": answer.stop_reason,
                "stop_sequence": answer.stop_sequence,
                "stop_details": answer.stop_details,
            },
            "usage": _delta_usage(answer),
            **answer.edited(),
        }
    )
    yield frame({"type": "message_stop"})


def _delta_usage(answer: Answer) -> Json:
    usage = answer.usage()
    names = (
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
        "iterations",
    )
    return {name: usage[name] for name in names if name in usage}


def _skeleton(block: Block) -> Json:
    if block.kind == "text":
        return {"type": "text", "text": ""}
    if block.kind == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    if block.kind == "tool_use":
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
    if _is_compaction(block):
        return {"type": "compaction", "content": None}
    return content_of(block)


def _is_compaction(block: Block) -> bool:
    return block.kind == "raw" and (block.raw or {}).get("type") == "compaction"


def _deltas(block: Block) -> Iterator[Json]:
    if block.kind == "text":
        for text in deltas_of(block):
            yield {"type": "text_delta", "text": text}
    elif block.kind == "thinking":
        for text in deltas_of(block):
            yield {"type": "thinking_delta", "thinking": text}
        yield {"type": "signature_delta", "signature": block.signature}
    elif block.kind == "tool_use":
        yield {"type": "input_json_delta", "partial_json": ""}
        for text in deltas_of(block):
            yield {"type": "input_json_delta", "partial_json": text}
    elif _is_compaction(block):
        yield {**content_of(block), "type": "compaction_delta"}
