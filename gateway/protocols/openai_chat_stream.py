"""A Messages stream as chat completion chunks.

Bytes come in as framed events and leave as ready SSE lines. Per delta only its string is dumped
and set between two byte strings that were made once per stream.

Deltas are passed on as they come, with these exceptions. Arguments of a tool whose schema was
wrapped wait for the end of their block. Calls of custom tools are sent as function calls with the
arguments `{"input": text}`, because the chunk type of the SDKs knows no other
(`ChoiceDeltaToolCall`). Annotations leave in one chunk at the end: SDKs merge lists in
deltas by an `index`, which annotations do not have.
"""

from collections.abc import Sequence
from typing import ClassVar

from gateway import wire
from gateway.errors import GatewayError, UpstreamCutError, UpstreamError
from gateway.protocols.shared.chunks import DONE, between, make_frames
from gateway.protocols.shared.delta_runs import by_name, read_run
from gateway.protocols.shared.draft import ReplyPlan
from gateway.protocols.shared.failures import (
    UNREADABLE,
    openai_error,
    unreadable_event,
    upstream_event_error,
)
from gateway.protocols.shared.reply_parts import (
    client_tool_name,
    reasoning_detail,
    tool_arguments,
    unwrapped_arguments,
    url_annotation,
)
from gateway.protocols.shared.sse import escape_line_separators
from gateway.protocols.shared.stops import finish_reason, is_cut, refusal_text
from gateway.protocols.shared.surrogates import ends_inside_character, join_surrogates
from gateway.protocols.shared.usage import UsageMeter
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

_NEEDS_A_START = frozenset({"content_block_start", "content_block_delta", "content_block_stop"})
_UNFINISHED_ARGUMENTS = "{"
"""Sent for a call that was cut before its first argument: some clients read "" as {} and run it."""


class _Block(Struct):
    """The content block that is being streamed; `kind` is its type."""

    kind: str
    start: int = 0  # position of a text block in `content`
    citations: list[JSON] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    signature: str = ""
    data: str = ""
    tool: "_ToolCall | None" = None


class _ToolCall(Struct):
    """A client tool's call; `head` opens each of its argument chunks."""

    name: str
    head: bytes
    tail: bytes
    given: JSONObject
    waiting: list[str] | None
    any_arguments: bool = False


class ChatStream:
    """Translates one stream; created per stream, not thread-safe.

    `failure` is set when upstream reports an error, ends without a reason or sends what cannot be
    read; nothing is translated after it, and what came before it is still returned by `feed`.
    A stream that stops short is told by `meter.completed`.
    """

    KEEP_ALIVE: ClassVar[bytes] = b": ping\n\n"

    __slots__ = (
        "_annotations", "_block", "_calls", "_carry", "_completion_id", "_content_chars",
        "_created", "_details", "_frames", "_interrupted", "_last_text", "_plan", "_prefix",
        "_reasoned", "_stop_details", "_unsettled", "failure", "meter",
    )  # fmt: skip

    def __init__(self, plan: ReplyPlan, created: int, completion_id: str) -> None:
        """`created` in Unix seconds; `completion_id` serves when upstream names no message."""
        self.meter = UsageMeter()
        self.failure: UpstreamError | None = None
        self._plan = plan
        self._created = created
        self._completion_id = completion_id
        self._frames = make_frames(plan, self.meter, created, completion_id)
        self._block: _Block | None = None
        self._unsettled: _ToolCall | None = None
        self._prefix = ""  # goes before the next text of this block
        self._carry = ""  # first half of a character that was split between two deltas
        self._last_text = ""
        self._interrupted = False  # another block came after the last text
        self._content_chars = 0
        self._reasoned = False
        self._calls = 0
        self._details = 0
        self._annotations: list[JSONObject] = []
        self._stop_details: JSON = None

    def feed(self, events: list[tuple[str, bytes]]) -> bytes:
        """The chunks for these events, joined; empty when there is nothing to say."""
        if self._is_over:
            return b""
        out: list[bytes] = []
        try:
            for name, datas in by_name(events):
                if name == "content_block_delta" and self.meter.started:
                    self._on_deltas(datas, out)
                    continue
                for data in datas:
                    self._on_event(name, data, out)
                    if self._is_over:
                        return escape_line_separators(b"".join(out))
        except UNREADABLE as error:
            self.failure = unreadable_event(error)
        return escape_line_separators(b"".join(out))

    @property
    def _is_over(self) -> bool:
        return self.failure is not None or self.meter.completed

    @staticmethod
    def error(error: GatewayError) -> bytes:
        """The last event of a stream that failed: no finish_reason, no [DONE] after it."""
        return escape_line_separators(b"data: " + wire.dumps(openai_error(error)) + b"\n\n")

    def _on_event(self, name: str, data: bytes, out: list[bytes]) -> None:
        if not self.meter.started and name in _NEEDS_A_START:
            raise KeyError("message_start")
        match name:
            case "content_block_start":
                self._on_block_start(wire.loads(data), out)
            case "content_block_stop":
                self._end_block(out)
            case "message_start":
                self._on_message_start(wire.loads(data), out)
            case "message_delta":
                self._on_message_delta(wire.loads(data))
            case "message_stop":
                self._on_message_stop(out)
            case "ping":
                if self.meter.started:
                    out.append(self.KEEP_ALIVE)
            case "error":
                self.failure = upstream_event_error(wire.loads(data))
            case _:
                pass  # event types may be added at any time

    def _on_message_start(self, event: JSONObject, out: list[bytes]) -> None:
        if self.meter.started:
            return
        self.meter.on_message_start(event["message"])
        self._frames = make_frames(self._plan, self.meter, self._created, self._completion_id)
        self._emit({"role": "assistant", "content": ""}, out)

    def _emit(self, delta: JSONObject, out: list[bytes]) -> None:
        out.append(self._frames.delta(delta))

    def _on_deltas(self, datas: Sequence[bytes], out: list[bytes]) -> None:
        run = None
        if len(datas) > 1 and not (self._prefix or self._carry):
            run = read_run(datas)
        if run is None:
            for data in datas:
                delta = wire.loads(data)["delta"]
                if delta["type"] == "text_delta":
                    self._on_text(delta["text"], out)
                else:
                    self._on_delta(delta, out)
        elif run.kind == "text_delta":
            self._say(run.texts, run.chars, out)
        elif run.kind == "input_json_delta":
            self._on_arguments(run.texts, run.chars, out)
        else:
            for text in run.texts:
                self._on_thinking(text, out)

    def _on_delta(self, delta: JSONObject, out: list[bytes]) -> None:
        kind = delta["type"]
        if kind == "input_json_delta":
            text = delta["partial_json"]
            self._on_arguments([text], len(text), out)
        elif kind == "thinking_delta":
            self._on_thinking(delta["thinking"], out)
        elif self._block is None:
            pass
        elif kind == "signature_delta":
            self._block.signature += delta["signature"]
        elif kind == "citations_delta":
            self._block.citations.append(delta["citation"])

    def _on_text(self, text: str, out: list[bytes]) -> None:
        if self._prefix or self._carry or "\ud800" <= text[-1:] <= "\udbff":
            text = self._mended(text)
            if text:
                self._interrupted = False
        if text:
            self._say([text], len(text), out)

    def _say(self, texts: list[str], chars: int, out: list[bytes]) -> None:
        self.meter.output_chars += chars
        self._content_chars += chars
        self._last_text = texts[-1]
        frames = self._frames
        out.append(between(frames.text_head, texts, frames.text_tail))

    def _on_thinking(self, text: str, out: list[bytes]) -> None:
        if self._block is not None:
            self._block.thinking.append(text)
        self.meter.output_chars += len(text)
        if not self._plan.show_reasoning:
            return
        if self._prefix or self._carry or ends_inside_character(text):
            text = self._mended(text)
        if text:
            self._reasoned = True
            self._emit({"reasoning_content": text, "reasoning": text}, out)

    def _on_arguments(self, texts: list[str], chars: int, out: list[bytes]) -> None:
        self.meter.output_chars += chars
        tool = self._block.tool if self._block is not None else None
        if tool is None:
            return  # a server tool's input; the client must not run it
        if tool.waiting is not None:
            tool.waiting += texts
            return
        if self._carry or ends_inside_character(texts[-1]):
            texts = [self._mended("".join(texts))]
        if texts[-1]:
            self._emit_arguments(tool, texts, out)

    @staticmethod
    def _emit_arguments(tool: _ToolCall, texts: list[str], out: list[bytes]) -> None:
        tool.any_arguments = True
        out.append(between(tool.head, texts, tool.tail))

    def _mended(self, text: str) -> str:
        """`text` with what goes before it, without a character's first half at its end."""
        text = self._carry + text
        self._carry = ""
        if ends_inside_character(text):
            self._carry = text[-1]
            text = text[:-1]
        if text:
            text = self._prefix + join_surrogates(text)
            self._prefix = ""
        return text

    def _on_block_start(self, event: JSONObject, out: list[bytes]) -> None:
        content = event["content_block"]
        self._end_block(out)
        self._settle(out)
        block = self._block = _Block(content["type"])
        if block.kind == "text":
            self._begin_text(block, content, out)
            return
        self._interrupted = True
        if block.kind == "thinking":
            self._prefix = "\n\n" if self._reasoned else ""
            block.signature = content.get("signature") or ""
            if content.get("thinking"):
                self._on_thinking(content["thinking"], out)
        elif block.kind == "redacted_thinking":
            block.data = content.get("data") or ""
        elif block.kind == "tool_use":
            self._begin_tool(block, content, out)
        elif block.kind == "server_tool_use":
            out.append(self.KEEP_ALIVE)

    def _begin_text(self, block: _Block, content: JSONObject, out: list[bytes]) -> None:
        """A blank line sets text apart from earlier text when other blocks came between."""
        apart = self._interrupted and self._last_text and not self._last_text.endswith("\n")
        self._prefix = "\n\n" if apart else ""
        self._interrupted = bool(apart)
        block.start = self._content_chars + len(self._prefix)
        if content.get("text"):
            self._on_text(content["text"], out)

    def _begin_tool(self, block: _Block, content: JSONObject, out: list[bytes]) -> None:
        name = content["name"]
        shown = client_tool_name(name, self._plan)
        index = None if self._plan.legacy_functions else self._calls
        if index is None:
            if self._calls:
                return  # the legacy form holds one call
            self._emit({"function_call": {"name": shown, "arguments": ""}}, out)
        else:
            function = {"name": shown, "arguments": ""}
            call = {"index": index, "id": content["id"], "type": "function", "function": function}
            self._emit({"tool_calls": [call]}, out)
        self._calls += 1
        head, tail = self._frames.arguments(index)
        block.tool = _ToolCall(
            name=name,
            head=head,
            tail=tail,
            given=content.get("input") or {},
            waiting=[] if name in self._plan.wrapped_tools else None,
        )

    def _end_block(self, out: list[bytes]) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        if self._carry:
            self._block = block
            self._flush_carry(block, out)
            self._block = None
        if block.kind == "text":
            self._end_text(block)
        elif block.kind in ("thinking", "redacted_thinking"):
            self._end_thinking(block, out)
        elif block.tool is not None:
            self._end_tool(block.tool, out)

    def _flush_carry(self, block: _Block, out: list[bytes]) -> None:
        """Half a character whose other half never came is shown as unreadable."""
        self._carry = ""
        if block.kind == "text":
            self._on_text("\ufffd", out)
        elif block.kind == "thinking":
            self._on_thinking("\ufffd", out)
        elif block.tool is not None:
            self._emit_arguments(block.tool, ["\ufffd"], out)

    def _end_text(self, block: _Block) -> None:
        for citation in block.citations:
            annotation = url_annotation(citation, block.start, self._content_chars)
            if annotation is not None:
                self._annotations.append(annotation)

    def _end_thinking(self, block: _Block, out: list[bytes]) -> None:
        if not self._plan.show_reasoning:
            return
        text = join_surrogates("".join(block.thinking))
        whole = {
            "type": block.kind,
            "thinking": text,
            "signature": block.signature,
            "data": block.data,
        }
        detail = reasoning_detail(whole, self._details)
        if detail is not None:
            self._details += 1
            self._emit({"reasoning_details": [detail]}, out)

    def _end_tool(self, tool: _ToolCall, out: list[bytes]) -> None:
        if tool.waiting:
            raw = join_surrogates("".join(tool.waiting))
            if raw:
                self._emit_arguments(tool, [unwrapped_arguments(raw)], out)
        if not tool.any_arguments:
            self._unsettled = tool

    def _settle(self, out: list[bytes], cut: bool = False) -> None:
        """Arguments for a call that ended without any, once it is known to be whole."""
        tool, self._unsettled = self._unsettled, None
        if tool is not None:
            text = tool_arguments(tool.name, tool.given, self._plan)
            self._emit_arguments(tool, [_UNFINISHED_ARGUMENTS if cut else text], out)

    def _on_message_delta(self, event: JSONObject) -> None:
        self.meter.on_message_delta(event)
        self._stop_details = event["delta"].get("stop_details") or self._stop_details

    def _on_message_stop(self, out: list[bytes]) -> None:
        stop_reason = self.meter.stop_reason
        if stop_reason is None or not self.meter.started:
            self.failure = UpstreamCutError(
                "Claude's API ended the answer without a reason", detail="no stop_reason"
            )
            return
        self.meter.on_stop()
        self._end_block(out)
        self._settle(out, cut=is_cut(stop_reason))
        if self._annotations:
            self._emit({"annotations": self._annotations}, out)
        if stop_reason == "refusal":
            self._emit({"refusal": refusal_text(self._stop_details)}, out)
        reason = finish_reason(
            stop_reason, calls=self._calls > 0, legacy=self._plan.legacy_functions
        )
        out.append(self._frames.finish(reason))
        if self._plan.include_usage:
            out.append(self._frames.usage(self.meter))
        out.append(DONE)
