"""An answer taken off its stream as it passes by, to be kept as a turn.

Events are only gathered while the client waits for them; they are read, all at once, when the
answer is complete.
"""

from itertools import compress
from operator import itemgetter

from gateway import wire
from gateway.protocols.messages_form import THINKING_BLOCKS, is_blank
from gateway.protocols.shared.delta_runs import TEXT_DELTAS
from gateway.protocols.shared.reply_parts import bare_json
from gateway.protocols.shared.stops import is_cut
from gateway.protocols.shared.surrogates import join_surrogates
from gateway.protocols.shared.tool_arguments import tool_input
from gateway.structs import Struct, field
from gateway.turns.digests import seen_digest
from gateway.wire import JSONObject

MAX_ANSWER_BYTES = 4 * 2**20
"""Of a longer answer, as it stands on the wire, no turn is kept."""

_WANTED = frozenset(
    {"content_block_start", "content_block_delta", "message_delta", "message_stop", "error"}
)
_NAME, _DATA = itemgetter(0), itemgetter(1)
_CALLS = frozenset({"tool_use", "server_tool_use"})
_PLAIN_BLOCKS = frozenset({"text", "tool_use"})


class Answer(Struct, frozen=True):
    """An answer as it was made. `content` has arguments as streamed; `seen_content` parsed.

    `comes_back_whole` tells that every client sends all of it back.
    """

    content: list[JSONObject]
    seen_content: list[JSONObject]
    seen: bytes
    comes_back_whole: bool


class TurnCapture(Struct, kw_only=True):
    """Gathers the events of one answer; not thread-safe.

    `in_fences` is set for answers in JSON that the client gets without a code fence around them.
    `is_plain` tells that so far there is one text at most, then calls; see `_is_plain`.
    """

    in_fences: bool = False
    is_plain: bool = True
    _events: list[tuple[str, bytes]] | None = field(default_factory=list)
    _size: int = 0
    _blocks: int = 0

    def feed(self, events: list[tuple[str, bytes]]) -> None:
        """Take note of these events."""
        if self._events is None:
            return
        if "content_block_start" in map(_NAME, events):
            self._note_kinds(events)
        self._events += events
        self._size += sum(map(len, map(_DATA, events)))
        if self._size > MAX_ANSWER_BYTES:
            self._events = None

    def _note_kinds(self, events: list[tuple[str, bytes]]) -> None:
        """Take note of the kinds of the blocks that begin."""
        begins = map("content_block_start".__eq__, map(_NAME, events))
        for _, data in compress(events, begins):
            is_first = self._blocks == 0
            self._blocks += 1
            if b'"type":"tool_use"' not in data:
                is_text = b'"content_block":{"type":"text"' in data
                self.is_plain = self.is_plain and is_first and is_text

    def answer(self) -> Answer | None:
        """The answer; None when it is not whole, was refused, or cannot be put back."""
        events, self._events = self._events, None
        if not events:
            return None
        try:
            wanted = [data for name, data in events if name in _WANTED]
            return self._read(wire.loads(b"[" + b",".join(wanted) + b"]"))
        except (wire.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
            return None

    def _read(self, events: list[JSONObject]) -> Answer | None:
        blocks, stop_reason = _collect(events)
        if stop_reason is None or stop_reason == "refusal" or not blocks:
            return None
        if is_cut(stop_reason) and blocks[-1].content["type"] in _CALLS:
            return None  # the client was told to run nothing of it
        content = [sent for block in blocks if not _is_blank(sent := block.sent())]
        if not content or any(_is_unsigned(block) for block in content):
            return None
        seen_content = [block.seen() for block in blocks]
        shown = seen_content
        if self.in_fences:
            text = "".join(block["text"] for block in shown if block["type"] == "text")
            calls = [block for block in shown if block["type"] == "tool_use"]
            shown = [{"type": "text", "text": bare_json(text)}, *calls]
        return Answer(content, seen_content, seen_digest(shown), _is_plain(content))


class _Growing:
    """A content block and its deltas."""

    __slots__ = ("content", "parts")

    def __init__(self, content: JSONObject) -> None:
        self.content = content
        self.parts: dict[str, list[str]] = {}

    def add(self, delta: JSONObject) -> None:
        name = TEXT_DELTAS.get(delta["type"])
        if name is not None:
            self.parts.setdefault(name, []).append(delta[name])
        elif delta["type"] == "citations_delta":
            known = self.content.get("citations") or []
            self.content["citations"] = [*known, delta["citation"]]
        elif delta["type"] == "compaction_delta":
            given = {name: value for name, value in delta.items() if name != "type"}
            self.content.update((name, value) for name, value in given.items() if value is not None)

    def sent(self) -> JSONObject:
        """The block as it goes back upstream, arguments byte for byte."""
        content = self._joined()
        if content["type"] in _CALLS:
            raw = self._arguments()
            if raw:
                whole = isinstance(_loaded(raw), dict)
                content["input"] = wire.Fragment(raw) if whole else {"INVALID_JSON": raw}
        return content

    def seen(self) -> JSONObject:
        """The block as a client's history will show it."""
        content = self._joined()
        if content["type"] in _CALLS and (raw := self._arguments()):
            content["input"] = tool_input(raw)
        return content

    def _joined(self) -> JSONObject:
        content = dict(self.content)
        for name, parts in self.parts.items():
            if name != "partial_json":
                content[name] = join_surrogates((content.get(name) or "") + "".join(parts))
        return content

    def _arguments(self) -> str:
        return join_surrogates("".join(self.parts.get("partial_json", ())))


def _collect(events: list[JSONObject]) -> tuple[list[_Growing], str | None]:
    """The blocks, and why the answer ended; None when it did not end well."""
    blocks: dict[int, _Growing] = {}
    stop_reason: str | None = None
    ended = False
    for event in events:
        match event["type"]:
            case "content_block_start":
                blocks[event["index"]] = _Growing(event["content_block"])
            case "content_block_delta":
                blocks[event["index"]].add(event["delta"])
            case "message_delta":
                stop_reason = event["delta"].get("stop_reason") or stop_reason
            case "message_stop":
                ended = True
            case _:
                return [], None
    return [blocks[index] for index in sorted(blocks)], stop_reason if ended else None


def _is_unsigned(block: JSONObject) -> bool:
    """True for thinking that was cut before its signature: it cannot be sent back."""
    kind = block["type"]
    return kind in THINKING_BLOCKS and not block.get("data" if kind != "thinking" else "signature")


def _is_blank(block: JSONObject) -> bool:
    """True for text the API makes now and then, but does not take."""
    return block["type"] == "text" and is_blank(block["text"])


def _is_plain(content: list[JSONObject]) -> bool:
    """True for at most one text, then calls: the form of OpenAI's assistant message."""
    kinds = [block["type"] for block in content]
    return all(kind in _PLAIN_BLOCKS for kind in kinds) and "text" not in kinds[1:]


def _loaded(raw: str) -> object:
    try:
        return wire.loads(raw)
    except wire.JSONDecodeError:
        return None
