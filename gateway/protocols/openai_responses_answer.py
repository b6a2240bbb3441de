"""A whole Message as a Response (SDK type `Response`)."""

from gateway.protocols.openai_responses_output import (
    THINKING_KINDS,
    annotations_of,
    call_fields,
    call_item,
    custom_text,
    message_item,
    reasoning_item,
    refusal_part,
    sealed_block,
    shown_items,
    shown_thinking,
    text_part,
)
from gateway.protocols.openai_responses_plan import AnswerFrame, closing_fields, final_fields
from gateway.protocols.shared.reply_parts import bare_json, tool_arguments
from gateway.protocols.shared.sealed_thinking import advanced
from gateway.protocols.shared.stops import is_cut, refusal_text
from gateway.protocols.shared.usage import UsageMeter
from gateway.structs import Struct
from gateway.wire import JSONObject


class Answer(Struct, frozen=True):
    """`response` is for the client; `items` are for the store, with what reads their reasoning."""

    response: JSONObject
    items: list[JSONObject]


def answer(message: JSONObject, meter: UsageMeter, frame: AnswerFrame, created: int) -> Answer:
    """The Response for an assembled Message; `created` in Unix seconds."""
    items = output_items(message, frame)
    shown = shown_items(items, encrypted=frame.plan.encrypted)
    if frame.reply.json_mode != "none":
        shown = [_unfenced(item) for item in shown]
    response = {
        **final_fields(frame, created, message.get("stop_reason")),
        **frame.plan.echo,
        **closing_fields(frame, shown, meter),
    }
    return Answer(response, items)


def output_items(message: JSONObject, frame: AnswerFrame) -> list[JSONObject]:
    """The output items of a Message, in the order of its blocks."""
    stop_reason = message.get("stop_reason")
    if stop_reason == "refusal":
        # What was written before the refusal is to be discarded, calls included.
        part = refusal_part(refusal_text(message.get("stop_details")))
        return [message_item(frame.item_id("msg", 0), [part], "completed")]
    collected = _Items(frame, message.get("model") or "")
    for block in message.get("content") or ():
        collected.add(block)
    items = collected.items
    if is_cut(stop_reason) and items and items[-1]["type"] == "message":
        items[-1]["status"] = "incomplete"
    return items


class _Items:
    """Output items as the blocks of one Message give them."""

    def __init__(self, frame: AnswerFrame, model: str) -> None:
        self.items: list[JSONObject] = []
        self._frame = frame
        self._model = model
        self._chain = frame.plan.chain
        self._message: JSONObject | None = None

    def add(self, block: JSONObject) -> None:
        """Takes the next block."""
        kind = block.get("type")
        if kind == "text":
            self._add_text(block)
            return
        self._message = None
        if kind in THINKING_KINDS:
            self._add_thinking(block)
        elif kind == "tool_use":
            self._add_call(block)

    def _add_text(self, block: JSONObject) -> None:
        text = block.get("text")
        if not text:
            return
        if self._message is None:
            item_id = self._frame.item_id("msg", len(self.items))
            self._message = message_item(item_id, [], "completed")
            self.items.append(self._message)
        part = text_part(text, annotations_of(block.get("citations"), text))
        self._message["content"].append(part)

    def _add_thinking(self, block: JSONObject) -> None:
        item_id = self._frame.item_id("rs", len(self.items))
        sealed = sealed_block(self._frame, block, self._model, self._chain)
        self._chain = advanced(self._chain, block)
        self.items.append(reasoning_item(item_id, shown_thinking(self._frame, block), sealed))

    def _add_call(self, block: JSONObject) -> None:
        fields = call_fields(self._frame, block, len(self.items))
        if fields["type"] == "custom_tool_call":
            written = custom_text(block)
        else:
            written = tool_arguments(block["name"], block.get("input"), self._frame.reply)
        self.items.append(call_item(fields, written, "completed"))


def _unfenced(item: JSONObject) -> JSONObject:
    """A message without the code fence some models put around JSON."""
    if item["type"] != "message":
        return item
    parts = [
        {**part, "text": bare_json(part["text"])} if part["type"] == "output_text" else part
        for part in item["content"]
    ]
    return {**item, "content": parts}
