"""Chat completion chunks as bytes, cut so that only a delta's own string is dumped.

A chunk is `data: {"id",...,"choices":[{"index":0,"delta":{...},...}]}` and a blank line (SDK type
`ChatCompletionChunk`). Everything but the delta is the same in all chunks of a stream; it is
dumped once.
"""

from gateway import wire
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.reply_parts import completion_id, service_tier
from gateway.protocols.shared.usage import UsageMeter, openai_usage
from gateway.structs import Struct
from gateway.wire import JSONObject

DONE = b"data: [DONE]\n\n"


class ChunkFrames(Struct, frozen=True):
    """The bytes around the deltas of one stream.

    A text chunk is `text_head`, the dumped text, `text_tail`. `opening` begins every chunk, `end`
    ends it; with `include_usage` every chunk but the usage chunk says `"usage":null`.
    """

    opening: bytes
    head: bytes
    tail: bytes
    text_head: bytes
    text_tail: bytes
    end: bytes

    def delta(self, delta: JSONObject) -> bytes:
        """A chunk of any delta."""
        return self.head + wire.dumps(delta) + self.tail

    def arguments(self, index: int | None) -> tuple[bytes, bytes]:
        """What goes around the dumped arguments of tool call `index`; None: the legacy form."""
        if index is None:
            return self.head + b'{"function_call":{"arguments":', b"}}" + self.tail
        opened = b'{"tool_calls":[{"index":%d,"function":{"arguments":' % index
        return self.head + opened, b"}}]}" + self.tail

    def finish(self, reason: str) -> bytes:
        """The last chunk with a choice."""
        ending = b'{},"logprobs":null,"finish_reason":"%b"}]' % reason.encode()
        return self.head + ending + self.end

    def usage(self, meter: UsageMeter) -> bytes:
        """The usage chunk, which has no choices."""
        return self.opening + b',"choices":[],"usage":' + wire.dumps(openai_usage(meter)) + b"}\n\n"


def between(head: bytes, texts: list[str], tail: bytes) -> bytes:
    """A chunk for each of `texts`, which has at least one: it is dumped between head and tail."""
    if len(texts) == 1:
        return head + wire.dumps(texts[0]) + tail
    return head + (tail + head).join(wire.dumps_texts(texts)) + tail


def make_frames(plan: ReplyPlan, meter: UsageMeter, created: int, otherwise_id: str) -> ChunkFrames:
    """The frames of a stream whose message_start is in `meter`."""
    opening: JSONObject = {
        "id": plan.completion_id or completion_id(meter.message_id, otherwise_id),
        "object": "chat.completion.chunk",
        "created": created,
        "model": plan.asked_model,
    }
    tier = service_tier(meter.service_tier, plan)
    if tier is not None:
        opening["service_tier"] = tier
    opening["system_fingerprint"] = None
    opened = b"data: " + wire.dumps(opening)[:-1]
    head = opened + b',"choices":[{"index":0,"delta":'
    end = b',"usage":null}\n\n' if plan.include_usage else b"}\n\n"
    tail = b',"logprobs":null,"finish_reason":null}]' + end
    return ChunkFrames(
        opening=opened,
        head=head,
        tail=tail,
        text_head=head + b'{"content":',
        text_tail=b"}" + tail,
        end=end,
    )
