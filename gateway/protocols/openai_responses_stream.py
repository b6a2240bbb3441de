"""A Messages stream as the events of a Response.

Deltas are passed on as they come, with these exceptions. Arguments of a tool whose schema was
wrapped, and the input of custom tools, which Claude writes inside JSON, wait for the end of their
block. A call without arguments, or with arguments that are no whole JSON, waits for what comes
next: when the answer was cut there, it is never finished, so that nobody runs it. A message stays
open over adjacent text blocks and is closed by the next block of another kind.
"""

from collections.abc import Sequence
from typing import ClassVar

from gateway import wire
from gateway.errors import GatewayError, UpstreamCutError, UpstreamError
from gateway.protocols.openai_responses_events import (
    EventWriter,
    OpenCall,
    OpenMessage,
    OpenReasoning,
)
from gateway.protocols.openai_responses_output import (
    THINKING_KINDS,
    call_fields,
    custom_text,
    sealed_block,
    shown_items,
)
from gateway.protocols.openai_responses_plan import (
    AnswerFrame,
    closing_fields,
    failed_fields,
    final_fields,
    opening_fields,
)
from gateway.protocols.shared.assemble import GrowingBlock
from gateway.protocols.shared.delta_runs import TEXT_DELTAS, by_name, read_run
from gateway.protocols.shared.failures import UNREADABLE, unreadable_event, upstream_event_error
from gateway.protocols.shared.reply_parts import tool_arguments
from gateway.protocols.shared.sealed_thinking import advanced
from gateway.protocols.shared.sse import escape_line_separators
from gateway.protocols.shared.stops import is_cut, refusal_text
from gateway.protocols.shared.surrogates import ends_inside_character, join_surrogates
from gateway.protocols.shared.usage import UsageMeter
from gateway.wire import JSON, JSONObject

_NEEDS_A_START = frozenset({"content_block_start", "content_block_delta", "content_block_stop"})


class ResponsesStream:
    """Translates one stream; created per stream, not thread-safe.

    `failure` is set when upstream reports an error, ends without a reason or sends what cannot be
    read; nothing is translated after it, and what came before it is still returned by `feed`.
    A stream that stops short is told by `meter.completed`. `items` are the finished output items
    with their `encrypted_content`, for the store.
    """

    KEEP_ALIVE: ClassVar[bytes] = b": ping\n\n"

    __slots__ = (
        "_block",
        "_blocks",
        "_call",
        "_carry",
        "_chain",
        "_count",
        "_created",
        "_ending",
        "_events",
        "_frame",
        "_message",
        "_reasoning",
        "_stop_details",
        "_unsettled",
        "failure",
        "items",
        "meter",
    )

    def __init__(self, frame: AnswerFrame) -> None:
        self.meter = UsageMeter()
        self.failure: UpstreamError | None = None
        self.items: list[JSONObject] = []
        self._frame = frame
        self._created = frame.envelope.created()
        self._events = EventWriter(frame.envelope.first_event)
        self._ending: JSONObject | None = None
        self._chain = frame.plan.chain
        self._blocks: list[JSONObject] = []
        self._count = 0  # output items begun
        self._block: GrowingBlock | None = None
        self._message: OpenMessage | None = None
        self._reasoning: OpenReasoning | None = None
        self._call: OpenCall | None = None
        self._unsettled: GrowingBlock | None = None  # the block of `_call`, when it has ended
        self._carry = ""  # first half of a character that was split between two deltas
        self._stop_details: JSON = None

    def feed(self, events: list[tuple[str, bytes]]) -> bytes:
        """The client's events for these, joined; empty when there is nothing to say."""
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

    def error(self, error: GatewayError) -> bytes:
        """The last events of a stream that failed: a flat `error`, then `response.failed`."""
        out: list[bytes] = []
        if not self.meter.started:
            self._begin(out)
        fields = {"code": error.code, "message": error.message, "param": error.param}
        out.append(self._events.write("error", fields))
        self._ending = failed_fields(self._frame, self._created, error)
        out.append(self._write_response("response.failed", self._ending))
        return escape_line_separators(b"".join(out))

    @property
    def message(self) -> JSONObject:
        """The answer as Claude wrote it: a Message with its finished blocks, for the store."""
        return {
            "id": self.meter.message_id,
            "type": "message",
            "role": "assistant",
            "model": self.meter.upstream_model,
            "content": self._blocks,
            "stop_reason": self.meter.stop_reason,
        }

    @property
    def response(self) -> JSONObject:
        """The Response as it stands, for the store."""
        fields = self._ending or opening_fields(self._frame, self._created, "in_progress")
        return {**fields, **self._frame.plan.echo, **self._closing()}

    @property
    def _is_over(self) -> bool:
        return self.failure is not None or self.meter.completed

    def _closing(self) -> JSONObject:
        shown = shown_items(self.items, encrypted=self._frame.plan.encrypted)
        meter = self.meter if self.meter.started and self._ending is not None else None
        return closing_fields(self._frame, shown, meter)

    def _write_response(self, kind: str, fields: JSONObject) -> bytes:
        """An event with the whole Response; the request's fields in it are dumped already."""
        head, tail = wire.dumps(fields), wire.dumps(self._closing())
        echo = self._frame.plan.echo_json
        return self._events.write_response(kind, b"%b,%b,%b" % (head[:-1], echo[1:-1], tail[1:]))

    def _begin(self, out: list[bytes]) -> None:
        fields = opening_fields(self._frame, self._created, "in_progress")
        out.append(self._write_response("response.created", fields))
        out.append(self._write_response("response.in_progress", fields))

    def _on_event(self, name: str, data: bytes, out: list[bytes]) -> None:
        if not self.meter.started and name in _NEEDS_A_START:
            raise KeyError("message_start")
        match name:
            case "content_block_start":
                self._on_block_start(wire.loads(data)["content_block"], out)
            case "content_block_stop":
                self._end_block(out)
            case "message_start":
                self._on_message_start(wire.loads(data), out)
            case "message_delta":
                event = wire.loads(data)
                self.meter.on_message_delta(event)
                self._stop_details = event["delta"].get("stop_details") or self._stop_details
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
        if not self.meter.started:
            message = event["message"]
            self._begin(out)
            self.meter.on_message_start(message)

    def _on_block_start(self, content: JSONObject, out: list[bytes]) -> None:
        self._end_block(out)
        self._settle(out)
        kind = content["type"]
        block = self._block = GrowingBlock(dict(content))
        if kind == "text":
            block.parts["text"] = []
            self._show_text([content.get("text") or ""], out)
            return
        self._end_message("completed", out)
        if kind in THINKING_KINDS:
            index = self._next_index()
            item_id = self._frame.item_id("rs", index)
            self._reasoning = OpenReasoning(self._events, item_id, index, out)
            self._show_thinking([content.get("thinking") or ""], out)
        elif kind == "tool_use":
            index = self._next_index()
            fields = call_fields(self._frame, content, index)
            self._call = OpenCall(self._events, fields, index, out)
        elif kind == "server_tool_use":
            out.append(self.KEEP_ALIVE)

    def _next_index(self) -> int:
        index = self._count
        self._count += 1
        return index

    def _on_deltas(self, datas: Sequence[bytes], out: list[bytes]) -> None:
        block, run = self._block, None
        if len(datas) > 1 and not self._carry:
            run = read_run(datas)
        if run is None:
            for data in datas:
                self._on_delta(wire.loads(data)["delta"], out)
        elif block is not None:
            self.meter.output_chars += run.chars
            block.extend(run.kind, run.texts)
            self._show(run.kind, run.texts, block, out)

    def _on_delta(self, delta: JSONObject, out: list[bytes]) -> None:
        block = self._block
        if block is None:
            return
        self.meter.output_chars += block.add(delta)
        kind = delta["type"]
        if kind in TEXT_DELTAS:
            self._show(kind, [delta[TEXT_DELTAS[kind]]], block, out)

    def _show(self, kind: str, texts: list[str], block: GrowingBlock, out: list[bytes]) -> None:
        if kind == "text_delta":
            self._show_text(texts, out)
        elif kind == "input_json_delta":
            self._show_arguments(texts, block, out)
        elif kind == "thinking_delta":
            self._show_thinking(texts, out)

    def _show_text(self, texts: list[str], out: list[bytes]) -> None:
        texts = self._whole(texts)
        if not texts:
            return
        if self._message is None:
            index = self._next_index()
            item_id = self._frame.item_id("msg", index)
            self._message = OpenMessage(self._events, item_id, index, out)
        self._message.text(texts, out)

    def _show_thinking(self, texts: list[str], out: list[bytes]) -> None:
        if not self._frame.reply.show_reasoning or self._reasoning is None:
            return
        if texts := self._whole(texts):
            self._reasoning.text(texts, out)

    def _show_arguments(self, texts: list[str], block: GrowingBlock, out: list[bytes]) -> None:
        if self._call is None or self._waits(block):
            return
        if texts := self._whole(texts):
            self._call.text(texts, out)

    def _waits(self, block: GrowingBlock) -> bool:
        """True for calls whose arguments are only known when they are whole."""
        name, reply = block.content["name"], self._frame.reply
        return name in reply.custom_tools or name in reply.wrapped_tools

    def _whole(self, texts: list[str]) -> list[str]:
        """`texts`, none empty, with the characters made whole that were cut between them."""
        if self._carry or ends_inside_character(texts[-1]):
            texts = [self._mended("".join(texts))]
        return texts if texts[0] else []

    def _mended(self, text: str) -> str:
        """`text` behind the carried half of a character, without such a half at its end."""
        text = self._carry + text
        self._carry = ""
        if ends_inside_character(text):
            self._carry = text[-1]
            text = text[:-1]
        return join_surrogates(text)

    def _end_block(self, out: list[bytes]) -> None:
        block = self._block
        if block is None:
            return
        block.ended = True
        if self._carry:
            self._flush_carry(block, out)
        self._block = None
        if self._call is not None and block.content["type"] == "tool_use":
            self._unsettled = block
            whole = block.finished(may_be_cut=True)
            if whole is not None:
                self._end_call(whole, out)
            return
        whole = block.finished(may_be_cut=False) or block.content
        self._blocks.append(whole)
        if whole["type"] == "text" and self._message is not None:
            self._message.end_part(whole.get("citations"), out)
        elif self._reasoning is not None:
            self._end_reasoning(whole, out)

    def _flush_carry(self, block: GrowingBlock, out: list[bytes]) -> None:
        """Half a character whose other half never came is shown as unreadable."""
        self._carry = ""
        kind = block.content["type"]
        if kind == "text":
            self._show_text(["\ufffd"], out)
        elif kind == "thinking":
            self._show_thinking(["\ufffd"], out)
        elif kind == "tool_use":
            self._show_arguments(["\ufffd"], block, out)

    def _end_reasoning(self, block: JSONObject, out: list[bytes]) -> None:
        reasoning, self._reasoning = self._reasoning, None
        if reasoning is None:
            return
        model = self.meter.upstream_model or ""
        sealed = sealed_block(self._frame, block, model, self._chain)
        self._chain = advanced(self._chain, block)
        show = self._frame.plan.encrypted
        self.items.append(reasoning.end(sealed, show_encrypted=show, out=out))

    def _end_call(self, block: JSONObject, out: list[bytes]) -> None:
        call, self._call, self._unsettled = self._call, None, None
        if call is None:
            return
        self._blocks.append(block)
        if call.is_empty:
            if block["name"] in self._frame.reply.custom_tools:
                text = custom_text(block)
            else:
                text = tool_arguments(block["name"], block["input"], self._frame.reply)
            if text:
                call.text([text], out)
        self.items.append(call.end(out))

    def _settle(self, out: list[bytes], *, cut: bool = False) -> None:
        """Ends the call that waits, once it is known whether the answer was cut in it."""
        if self._unsettled is None:
            return
        whole = self._unsettled.finished(may_be_cut=cut)
        if whole is not None:
            self._end_call(whole, out)
        self._call = self._unsettled = None

    def _end_message(self, status: str, out: list[bytes]) -> None:
        message, self._message = self._message, None
        if message is not None:
            message.end_part(None, out)
            self.items.append(message.end(status, out))

    def _on_message_stop(self, out: list[bytes]) -> None:
        stop_reason = self.meter.stop_reason
        if stop_reason is None or not self.meter.started:
            self.failure = UpstreamCutError(
                "Claude's API ended the answer without a reason", detail="no stop_reason"
            )
            return
        self.meter.on_stop()
        cut = is_cut(stop_reason)
        self._end_block(out)
        self._settle(out, cut=cut)
        self._end_message("incomplete" if cut else "completed", out)
        if stop_reason == "refusal":
            self._refuse(out)
        self._ending = final_fields(self._frame, self._created, stop_reason)
        kind = "response.incomplete" if cut else "response.completed"
        out.append(self._write_response(kind, self._ending))

    def _refuse(self, out: list[bytes]) -> None:
        index = self._next_index()
        message = OpenMessage(self._events, self._frame.item_id("msg", index), index, out)
        message.refuse(refusal_text(self._stop_details), out)
        self.items.append(message.end("completed", out))
