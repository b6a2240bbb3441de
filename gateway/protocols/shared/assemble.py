"""A whole Message out of its stream, for clients that asked for an answer in one piece.

The gateway always asks upstream to stream; here the events become the Message that the API would
have sent without streaming (SDK type `Message`), with unknown blocks and fields kept.
"""

from collections.abc import Iterable

from gateway import wire
from gateway.errors import UpstreamCutError, UpstreamError
from gateway.protocols.shared.delta_runs import TEXT_DELTAS
from gateway.protocols.shared.failures import UNREADABLE, unreadable_event, upstream_event_error
from gateway.protocols.shared.stops import is_cut
from gateway.protocols.shared.surrogates import join_surrogates
from gateway.protocols.shared.usage import UsageMeter
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

_CALLS = frozenset({"tool_use", "server_tool_use"})
_READ = frozenset(
    {
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
        *("message_delta", "error"),
    }
)


class GrowingBlock(Struct):
    """One content block as it grows; `parts` are its deltas by the field they belong to."""

    content: JSONObject
    parts: dict[str, list[str]] = field(default_factory=dict)
    ended: bool = False

    def add(self, delta: JSONObject) -> int:
        """Takes a delta; returns how many characters of output it brought."""
        kind = delta["type"]
        name = TEXT_DELTAS.get(kind)
        if name is not None:
            text = delta[name]
            parts = self.parts
            if name in parts:
                parts[name].append(text)
            else:
                parts[name] = [text]
            return 0 if kind == "signature_delta" else len(text)
        if kind == "citations_delta":
            citations = self.content.get("citations") or []
            self.content["citations"] = [*citations, delta["citation"]]
        elif kind == "compaction_delta":
            self.content.update(
                {key: value for key, value in delta.items() if key != "type" and value is not None}
            )
        return 0

    def extend(self, kind: str, texts: list[str]) -> None:
        """Takes the texts of deltas of one of the `TEXT_DELTAS`."""
        self.parts.setdefault(TEXT_DELTAS[kind], []).extend(texts)

    def finished(self, *, may_be_cut: bool) -> JSONObject | None:
        """The block with its deltas joined; None for a call that was cut."""
        content = dict(self.content)
        for name, parts in self.parts.items():
            if name != "partial_json":
                content[name] = join_surrogates((content.get(name) or "") + "".join(parts))
        if content.get("type") not in _CALLS:
            return content
        raw = join_surrogates("".join(self.parts.get("partial_json", ())))
        tool_input = _input(raw, content.get("input"))
        if tool_input is None or (may_be_cut and not raw):
            if may_be_cut or not self.ended:
                return None
            # Streamed arguments are not validated. Kept under the name Anthropic's guide on
            # fine-grained tool streaming gives it, so that the client can tell the model.
            tool_input = {"INVALID_JSON": raw}
        content["input"] = tool_input
        return content


class MessageAssembler:
    """Collects one stream; created per stream, not thread-safe.

    `failure` is set as in `ChatStream`. `message` is worth reading once `meter.completed`.
    """

    __slots__ = ("_blocks", "_ending", "_start", "_usage", "failure", "meter")

    def __init__(self) -> None:
        self.meter = UsageMeter()
        self.failure: UpstreamError | None = None
        self._start: JSONObject = {}
        self._ending: JSONObject = {}
        self._usage: JSONObject = {}
        self._blocks: dict[int, GrowingBlock] = {}

    def feed(self, events: list[tuple[str, bytes]]) -> None:
        """Take these events; nothing is taken after a failure or after the end."""
        if self.failure is not None or self.meter.completed:
            return
        blocks, chars = self._blocks, 0
        try:
            for (name, _), event in zip(events, _values_of(events), strict=True):
                match name:
                    case "content_block_delta":
                        chars += blocks[event["index"]].add(event["delta"])
                    case "content_block_start":
                        blocks[event["index"]] = GrowingBlock(dict(event["content_block"]))
                    case "content_block_stop":
                        blocks[event["index"]].ended = True
                    case "message_start":
                        self._on_message_start(event["message"])
                    case "message_delta":
                        self._on_message_delta(event)
                    case "message_stop" | "error":
                        self._on_end(name, event)
                        break
                    case _:
                        pass  # event types may be added at any time
        except UNREADABLE as error:
            self.failure = unreadable_event(error)
        self.meter.output_chars += chars

    @property
    def message(self) -> JSONObject:
        """The Message so far; tool calls that were cut are left out, for nobody may run them."""
        message = dict(self._start)
        message["content"] = self._content()
        message |= self._ending
        message["usage"] = dict(self._usage)
        return message

    def _on_message_start(self, message: JSONObject) -> None:
        if not self.meter.started:
            self._start = message
            self.meter.on_message_start(message)
            self._usage.update(message.get("usage") or {})

    def _on_message_delta(self, event: JSONObject) -> None:
        self.meter.on_message_delta(event)
        self._ending.update(
            {name: value for name, value in event["delta"].items() if value is not None}
        )
        for name, value in (event.get("usage") or {}).items():
            if value is not None or name not in self._usage:
                self._usage[name] = value

    def _on_end(self, name: str, event: JSONObject) -> None:
        if name == "error":
            self.failure = upstream_event_error(event)
        elif self.meter.stop_reason is None or not self.meter.started:
            self.failure = UpstreamCutError(
                "Claude's API ended the answer without a reason", detail="no stop_reason"
            )
        else:
            self.meter.on_stop()

    def _content(self) -> list[JSONObject]:
        cut = is_cut(self.meter.stop_reason)
        contents = []
        order = sorted(self._blocks)
        for index in order:
            block = self._blocks[index]
            content = block.finished(may_be_cut=cut and index == order[-1])
            if content is not None:
                contents.append(content)
        return contents


def _values_of(events: list[tuple[str, bytes]]) -> Iterable[JSONObject]:
    """What these events hold: of several for the price of one look, but one by one where one of
    them is unreadable. Raises JSONDecodeError when it comes to that.
    """
    if len(events) > 1:
        wanted = [data if name in _READ else b"null" for name, data in events]
        values: list[JSONObject]
        try:
            values = wire.loads(b"[%b]" % b",".join(wanted))
        except wire.JSONDecodeError:
            values = []
        if len(values) == len(events):
            return values
    return map(_value_of, events)


def _value_of(event: tuple[str, bytes]) -> JSONObject:
    name, data = event
    value: JSONObject = wire.loads(data) if name in _READ else {}
    return value


def _input(raw: str, given: JSON) -> JSONObject | None:
    """The call's input object; None when the JSON is not a whole object."""
    if not raw:
        return given if isinstance(given, dict) else {}
    try:
        value = wire.loads(raw)
    except wire.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
