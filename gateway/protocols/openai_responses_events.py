"""Events of a Responses stream as bytes, and the output items that are being written.

Every event has the next `sequence_number`. Of a delta only its text is dumped: the bytes before it
are made once per part. Source: SDK type `ResponseStreamEvent`.
"""

from itertools import chain, repeat

from gateway import wire
from gateway.protocols.openai_responses_output import (
    annotations_of,
    call_item,
    message_item,
    reasoning_item,
    refusal_part,
    text_part,
)
from gateway.wire import JSON, JSONObject

_NO_LOGPROBS: JSONObject = {"logprobs": []}


class EventWriter:
    """Writes the events of one stream, numbered from `first`."""

    __slots__ = ("_next",)

    def __init__(self, first: int = 0) -> None:
        self._next = first

    def write(self, kind: str, fields: JSONObject) -> bytes:
        """An event with these fields."""
        data = wire.dumps({"type": kind, "sequence_number": self._number(), **fields})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def write_response(self, kind: str, response: bytes) -> bytes:
        """An event that carries the Response, which is JSON already."""
        name = kind.encode()
        return b'event: %b\ndata: {"type":"%b","sequence_number":%d,"response":%b}\n\n' % (
            name,
            name,
            self._number(),
            response,
        )

    def deltas(self, head: bytes, texts: list[str], out: list[bytes]) -> None:
        """The event of each delta; `head` is what `delta_head` gave."""
        begin = self._next
        end = self._next = begin + len(texts)
        tails = map(b',"sequence_number":%d}\n\n'.__mod__, range(begin, end))
        out += chain.from_iterable(zip(repeat(head), wire.dumps_texts(texts), tails))

    def _number(self) -> int:
        number = self._next
        self._next = number + 1
        return number


def delta_head(kind: str, fields: JSONObject) -> bytes:
    """The bytes before the text of each delta of one part."""
    dumped = wire.dumps({"type": kind, **fields})
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), dumped[:-1])


class _OpenItem:
    """An output item that is being written; created when its first word is known."""

    __slots__ = ("_events", "_place", "index", "item_id")

    def __init__(self, events: EventWriter, item_id: str, index: int) -> None:
        self.item_id = item_id
        self.index = index
        self._events = events
        self._place: JSONObject = {"item_id": item_id, "output_index": index}

    def _added(self, item: JSONObject, out: list[bytes]) -> None:
        fields = {"output_index": self.index, "item": item}
        out.append(self._events.write("response.output_item.added", fields))

    def _done(self, item: JSONObject, out: list[bytes]) -> None:
        fields = {"output_index": self.index, "item": item}
        out.append(self._events.write("response.output_item.done", fields))


class OpenMessage(_OpenItem):
    """A message: parts that are written one after the other."""

    __slots__ = ("_head", "_parts", "_texts")

    def __init__(self, events: EventWriter, item_id: str, index: int, out: list[bytes]) -> None:
        super().__init__(events, item_id, index)
        self._parts: list[JSONObject] = []
        self._texts: list[str] = []
        self._head: bytes | None = None
        self._added(message_item(item_id, [], "in_progress"), out)

    def text(self, texts: list[str], out: list[bytes]) -> None:
        """More text of the part that is open, or of a new one."""
        if self._head is None:
            self._begin_part(text_part("", []), out)
            place = {**self._part_place(), **_NO_LOGPROBS}
            self._head = delta_head("response.output_text.delta", place)
        self._texts += texts
        self._events.deltas(self._head, texts, out)

    def end_part(self, citations: JSON, out: list[bytes]) -> None:
        """Closes the text part, if one is open."""
        if self._head is None:
            return
        text = "".join(self._texts)
        place = self._part_place()
        annotations = annotations_of(citations, text)
        for index, annotation in enumerate(annotations):
            fields = {**place, "annotation_index": index, "annotation": annotation}
            out.append(self._events.write("response.output_text.annotation.added", fields))
        fields = {**place, "text": text, **_NO_LOGPROBS}
        out.append(self._events.write("response.output_text.done", fields))
        self._end_part(text_part(text, annotations), out)

    def refuse(self, text: str, out: list[bytes]) -> None:
        """A part that says why there is no answer."""
        self._begin_part(refusal_part(""), out)
        place = self._part_place()
        self._events.deltas(delta_head("response.refusal.delta", place), [text], out)
        fields = {**place, "refusal": text}
        out.append(self._events.write("response.refusal.done", fields))
        self._end_part(refusal_part(text), out)

    def end(self, status: str, out: list[bytes]) -> JSONObject:
        """Closes the message; returns its item."""
        item = message_item(self.item_id, self._parts, status)
        self._done(item, out)
        return item

    def _part_place(self) -> JSONObject:
        return {**self._place, "content_index": len(self._parts)}

    def _begin_part(self, part: JSONObject, out: list[bytes]) -> None:
        fields = {**self._part_place(), "part": part}
        out.append(self._events.write("response.content_part.added", fields))

    def _end_part(self, part: JSONObject, out: list[bytes]) -> None:
        fields = {**self._part_place(), "part": part}
        out.append(self._events.write("response.content_part.done", fields))
        self._parts.append(part)
        self._texts = []
        self._head = None


class OpenReasoning(_OpenItem):
    """A reasoning item, whose visible text is one summary part."""

    __slots__ = ("_head", "_texts")

    def __init__(self, events: EventWriter, item_id: str, index: int, out: list[bytes]) -> None:
        super().__init__(events, item_id, index)
        self._texts: list[str] = []
        self._head: bytes | None = None
        item = {"id": item_id, "type": "reasoning", "summary": [], "status": "in_progress"}
        self._added(item, out)

    def text(self, texts: list[str], out: list[bytes]) -> None:
        """More text of the summary."""
        if self._head is None:
            place = {**self._place, "summary_index": 0}
            part = {"type": "summary_text", "text": ""}
            added = self._events.write(
                "response.reasoning_summary_part.added", {**place, "part": part}
            )
            out.append(added)
            self._head = delta_head("response.reasoning_summary_text.delta", place)
        self._texts += texts
        self._events.deltas(self._head, texts, out)

    def end(self, encrypted: str | None, *, show_encrypted: bool, out: list[bytes]) -> JSONObject:
        """Closes the item; returns it with its `encrypted` content, shown or not."""
        text = "".join(self._texts)
        if self._head is not None:
            place = {**self._place, "summary_index": 0}
            fields = {**place, "text": text}
            out.append(self._events.write("response.reasoning_summary_text.done", fields))
            part = {"type": "summary_text", "text": text}
            fields = {**place, "part": part}
            out.append(self._events.write("response.reasoning_summary_part.done", fields))
        self._done(reasoning_item(self.item_id, text, encrypted if show_encrypted else None), out)
        return reasoning_item(self.item_id, text, encrypted)


class OpenCall(_OpenItem):
    """A function or custom tool call; `fields` are its item without the arguments."""

    __slots__ = ("_custom", "_fields", "_head", "_texts")

    def __init__(
        self, events: EventWriter, fields: JSONObject, index: int, out: list[bytes]
    ) -> None:
        super().__init__(events, fields["id"], index)
        self._fields = fields
        self._custom = fields["type"] == "custom_tool_call"
        self._texts: list[str] = []
        self._head = delta_head(f"{self._kind}.delta", self._place)
        self._added(call_item(fields, "", "in_progress"), out)

    @property
    def _kind(self) -> str:
        if self._custom:
            return "response.custom_tool_call_input"
        return "response.function_call_arguments"

    def text(self, texts: list[str], out: list[bytes]) -> None:
        """More of the arguments."""
        self._texts += texts
        self._events.deltas(self._head, texts, out)

    @property
    def is_empty(self) -> bool:
        """True while no arguments have been written."""
        return not self._texts

    def end(self, out: list[bytes]) -> JSONObject:
        """Closes the call, which may now be run; returns its item."""
        text = "".join(self._texts)
        fields = {**self._place, "input" if self._custom else "arguments": text}
        out.append(self._events.write(f"{self._kind}.done", fields))
        item = call_item(self._fields, text, "completed")
        self._done(item, out)
        return item
