"""A Messages stream as chunks of a legacy completion.

A chunk is `data: {"id","object":"text_completion",...,"choices":[{"text",...}]}` and a blank line
(SDK type `Completion`, which serves for both forms).
"""

from typing import ClassVar

from gateway import wire
from gateway.errors import GatewayError, UpstreamCutError, UpstreamError
from gateway.protocols.legacy_completions import (
    CompletionPlan,
    completion_id,
    completion_reason,
)
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.failures import (
    UNREADABLE,
    openai_error,
    unreadable_event,
    upstream_event_error,
)
from gateway.protocols.shared.sse import escape_line_separators
from gateway.protocols.shared.surrogates import ends_inside_character, join_surrogates
from gateway.protocols.shared.usage import UsageMeter, openai_usage
from gateway.structs import replace
from gateway.wire import JSONObject

_DONE = b"data: [DONE]\n\n"
_OUTPUT_DELTAS = {"thinking_delta": "thinking", "input_json_delta": "partial_json"}


class CompletionStream:
    """Translates one stream; created per stream, not thread-safe.

    `failure` and `meter` are those of `ChatStream`. `ended_early` turns true when the text reached
    an end that Claude does not know of: the meter then counts as completed, and its last counts
    never come.
    """

    KEEP_ALIVE: ClassVar[bytes] = b": ping\n\n"

    __slots__ = (
        "_carry", "_created", "_end", "_head", "_otherwise_id", "_plan", "_reply", "_text",
        "ended_early", "failure", "meter",
    )  # fmt: skip

    def __init__(
        self, reply: ReplyPlan, plan: CompletionPlan, created: int, otherwise_id: str
    ) -> None:
        """`created` in Unix seconds; `otherwise_id` serves when upstream names no message."""
        self.meter = UsageMeter()
        self.failure: UpstreamError | None = None
        self.ended_early = False
        self._reply = reply
        self._plan = plan
        self._created = created
        self._otherwise_id = otherwise_id
        self._text = plan.text()
        self._carry = ""  # first half of a character that was split between two deltas
        self._head = b""
        self._end = b',"usage":null}\n\n' if reply.include_usage else b"}\n\n"

    def feed(self, events: list[tuple[str, bytes]]) -> bytes:
        """The chunks for these events, joined; empty when there is nothing to say."""
        out: list[bytes] = []
        try:
            for name, data in events:
                if self.failure is not None or self.meter.completed:
                    break
                self._on_event(name, data, out)
        except UNREADABLE as error:
            self.failure = unreadable_event(error)
        return escape_line_separators(b"".join(out))

    @staticmethod
    def error(error: GatewayError) -> bytes:
        """The last event of a stream that failed: no finish_reason, no [DONE] after it."""
        return escape_line_separators(b"data: " + wire.dumps(openai_error(error)) + b"\n\n")

    def _on_event(self, name: str, data: bytes, out: list[bytes]) -> None:
        match name:
            case "content_block_delta":
                self._on_delta(wire.loads(data)["delta"], out)
            case "content_block_start":
                block = wire.loads(data)["content_block"]
                if block["type"] == "text":
                    self._on_text(block.get("text") or "", out)
            case "message_start":
                self._on_message_start(wire.loads(data)["message"], out)
            case "message_delta":
                self.meter.on_message_delta(wire.loads(data))
            case "message_stop":
                self._on_message_stop(out)
            case "error":
                self.failure = upstream_event_error(wire.loads(data))
            case "ping" if self.meter.started:
                out.append(self.KEEP_ALIVE)
            case _:
                pass  # event types may be added at any time

    def _on_message_start(self, message: JSONObject, out: list[bytes]) -> None:
        if self.meter.started:
            return
        self.meter.on_message_start(message)
        opening = {
            "id": completion_id(self.meter.message_id, self._otherwise_id),
            "object": "text_completion",
            "created": self._created,
            "model": self._reply.asked_model,
        }
        self._head = b"data: " + wire.dumps(opening)[:-1] + b',"choices":['
        self._say(self._plan.echo, out)

    def _on_delta(self, delta: JSONObject, out: list[bytes]) -> None:
        if delta["type"] == "text_delta":
            self._on_text(delta["text"], out)
        elif delta["type"] in _OUTPUT_DELTAS:
            self.meter.output_chars += len(delta[_OUTPUT_DELTAS[delta["type"]]])

    def _on_text(self, text: str, out: list[bytes]) -> None:
        if not self.meter.started:
            raise KeyError("message_start")
        self.meter.output_chars += len(text)
        text, self._carry = self._carry + text, ""
        if ends_inside_character(text):
            text, self._carry = text[:-1], text[-1]
        self._say(self._text.feed(join_surrogates(text)), out)
        if self._text.is_over:
            self.ended_early = self.meter.completed = True
            estimate = replace(self.meter, output_tokens=self._estimate())
            self._finish("stop", estimate, out)

    def _estimate(self) -> int:
        """The output so far; a meter that counts as completed estimates nothing."""
        return replace(self.meter, completed=False).estimated_output_tokens

    def _say(self, text: str, out: list[bytes]) -> None:
        if text:
            tail = b',"index":0,"logprobs":null,"finish_reason":null}]'
            out += (self._head, b'{"text":', wire.dumps(text), tail, self._end)

    def _on_message_stop(self, out: list[bytes]) -> None:
        if self.meter.stop_reason is None or not self.meter.started:
            self.failure = UpstreamCutError(
                "Claude's API ended the answer without a reason", detail="no stop_reason"
            )
            return
        self.meter.on_stop()
        rest = self._text.feed("\ufffd") if self._carry else ""
        self._say(rest + self._text.finish(), out)
        over = self._text.is_over
        reason = "stop" if over else completion_reason(self.meter.stop_reason)
        self._finish(reason, self.meter, out)

    def _finish(self, reason: str, meter: UsageMeter, out: list[bytes]) -> None:
        last = {"text": "", "index": 0, "logprobs": None, "finish_reason": reason}
        out += (self._head, wire.dumps(last), b"]", self._end)
        if self._reply.include_usage:
            usage = b'],"usage":' + wire.dumps(openai_usage(meter)) + b"}\n\n"
            out += (self._head, usage)
        out.append(_DONE)
