"""Claude Code's own logs, `~/.claude/projects/*/*.jsonl`, as sessions.

A line is an entry: `type` user or assistant with a `message` in the Messages form, `timestamp`,
`uuid`, `parentUuid`; other types are bookkeeping. An answer is written as one line for each of its
blocks, all with the same `message.id`. A new prompt whose parent is not the newest entry means that
the user went back. Entries of subagents (`isSidechain`) are conversations of their own. Behind a
`compact_boundary` the history begins anew with a summary.

System prompt, tool definitions and thinking are not in the logs.
"""

from collections.abc import Iterable
from datetime import datetime

from gateway import wire
from gateway.savings.neutral_format import Line
from gateway.savings.session import MAX_TOKENS, Reading, RecordedRequest, RecordedUsage, Session
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

_TYPES = frozenset({"user", "assistant", "system", "summary", "file-history-snapshot"})
_NOTE = (
    "Claude Code's logs lack system prompt and tool definitions; and it marks its prompts for the "
    "cache itself: compare with what its own log says was saved, not with the plain price"
)
_OPEN_SCHEMA: JSONObject = {"type": "object", "properties": {}, "additionalProperties": True}


def is_claude_code(lines: list[Line]) -> bool:
    """True for lines of such a log; the first ones may be bookkeeping."""
    return any(
        line.get("type") in _TYPES
        and bool(line.keys() & {"sessionId", "parentUuid", "leafUuid", "snapshot"})
        for _, line in lines[:50]
    )


def read_claude_code(lines: Iterable[Line], reading: Reading) -> None:
    """Adds the conversations on `lines` to `reading`, and its problems."""
    lanes: dict[str, _Lane] = {}
    lane_of: dict[str, str] = {}
    for number, line in lines:
        name = _lane_name(line, lane_of)
        lane = lanes.setdefault(name, _Lane())
        try:
            lane.take(line)
        except (KeyError, TypeError, ValueError, AttributeError):
            reading.problem("cannot be read as an entry of Claude Code's log", number)
    stem = reading.path.name.partition(".")[0]
    for name, lane in lanes.items():
        if lane.requests:
            reading.sessions.append(lane.session(f"{stem}/{name}" if name else stem))


def _lane_name(line: JSONObject, lane_of: dict[str, str]) -> str:
    """Whose conversation an entry belongs to: "" for the main one."""
    uuid = str(line.get("uuid") or "")
    name = ""
    if line.get("isSidechain"):
        parent = str(line.get("parentUuid") or "")
        name = str(line.get("agentId") or lane_of.get(parent) or uuid)[:8]
    if uuid:
        lane_of[uuid] = name
    return name


class _Entry(Struct):
    """A message of the history: entries whose answer came in several lines are one."""

    role: str
    uuids: list[str]
    messages: list[JSONObject]
    message_id: str | None = None
    usage: RecordedUsage | None = None
    calls: set[str] = field(default_factory=set)
    results: set[str] = field(default_factory=set)


class _Lane:
    """One conversation while its entries are read."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, list[JSONObject], _Entry]] = []
        self._history: list[_Entry] = []
        self._parents: dict[str, str] = {}
        self._tools: dict[str, None] = {}
        self._last_seconds = 0.0

    def take(self, line: JSONObject) -> None:
        """Takes the next entry. Raises KeyError, TypeError or ValueError for a broken one."""
        uuid, kind = str(line.get("uuid") or ""), line.get("type")
        self._parents[uuid] = str(line.get("parentUuid") or "")
        if kind == "system" and line.get("subtype") == "compact_boundary":
            self._history = []
        message = line.get("message")
        if kind not in ("user", "assistant") or not isinstance(message, dict):
            return
        if line.get("isApiErrorMessage") or message.get("model") == "<synthetic>":
            return
        if line.get("isCompactSummary"):
            self._history = []
        if kind == "assistant":
            self._answer(message, uuid)
        else:
            self._last_seconds = _seconds(line["timestamp"])
            self._said(message, uuid)

    def _said(self, message: JSONObject, uuid: str) -> None:
        messages = _user_messages(message["content"])
        if not messages:
            return
        results = {each["tool_call_id"] for each in messages if each["role"] == "tool"}
        if not results:
            self._go_back(uuid)
        self._history.append(_Entry("user", [uuid], messages, results=results))

    def _go_back(self, uuid: str) -> None:
        """Forget what was said behind the parent of a new prompt."""
        places = {own: place for place, entry in enumerate(self._history) for own in entry.uuids}
        parent = self._parents.get(uuid, "")
        for _ in range(len(self._parents)):
            if parent in places or not parent:
                break
            parent = self._parents.get(parent, "")
        if parent not in places:
            return
        kept = places[parent] + 1
        calls = {call for entry in self._history[:kept] for call in entry.calls}
        while kept < len(self._history) and self._history[kept].results & calls:
            kept += 1
        del self._history[kept:]

    def _answer(self, message: JSONObject, uuid: str) -> None:
        blocks, usage = _blocks(message["content"]), _usage(message.get("usage"))
        entry = self._open_answer(message.get("id"))
        if entry is None:
            said = [each for entry in self._history for each in entry.messages]
            entry = _Entry("assistant", [], [{"role": "assistant", "content": None}])
            entry.message_id = message.get("id")
            self._history.append(entry)
            if said:
                self.requests.append((self._last_seconds, said, entry))
        entry.uuids.append(uuid)
        entry.usage = usage or entry.usage
        for block in blocks:
            self._add_block(entry, block)

    def _open_answer(self, message_id: JSON) -> _Entry | None:
        """The entry whose answer goes on; results of its first calls may stand behind it."""
        for entry in reversed(self._history):
            if entry.role == "assistant":
                return entry if message_id and entry.message_id == message_id else None
        return None

    def _add_block(self, entry: _Entry, block: JSONObject) -> None:
        message = entry.messages[0]
        if block.get("type") == "text" and block["text"]:
            message["content"] = (message["content"] or "") + block["text"]
        elif block.get("type") == "tool_use" and block["id"] not in entry.calls:
            entry.calls.add(block["id"])
            self._tools.setdefault(block["name"])
            function = {"name": block["name"], "arguments": wire.dumps_text(block["input"])}
            call = {"id": block["id"], "type": "function", "function": function}
            message.setdefault("tool_calls", []).append(call)

    def session(self, name: str) -> Session:
        """The conversation; the tools that were ever called stand in every request."""
        tools = [
            {"type": "function", "function": {"name": tool, "parameters": _OPEN_SCHEMA}}
            for tool in sorted(self._tools)
        ]
        begin = self.requests[0][0]
        requests = []
        for seconds, messages, entry in self.requests:
            body: JSONObject = {"messages": _without_empty(messages), "max_tokens": MAX_TOKENS}
            if tools:
                body["tools"] = tools
            since = max(0.0, seconds - begin)
            requests.append(RecordedRequest(since, body, entry.messages[0], entry.usage))
        return Session(name, "claude-code", "Claude Code", requests, [_NOTE])


def _without_empty(messages: list[JSONObject]) -> list[JSONObject]:
    """Answers of which only thinking was logged say nothing."""
    return [
        each
        for each in messages
        if each["role"] != "assistant" or each["content"] or each.get("tool_calls")
    ]


def _blocks(content: JSON) -> list[JSONObject]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content or [] if isinstance(block, dict)]


def _user_messages(content: JSON) -> list[JSONObject]:
    """What a user entry is in a chat: results of tools, then what was said."""
    results: list[JSONObject] = []
    parts: list[JSONObject] = []
    for block in _blocks(content):
        if block.get("type") == "tool_result":
            result = {"role": "tool", "tool_call_id": block["tool_use_id"]}
            inner = [_part(each) for each in _blocks(block.get("content"))]
            results.append({**result, "content": [each for each in inner if each is not None]})
        elif (part := _part(block)) is not None:
            parts.append(part)
    return [*results, *([{"role": "user", "content": parts}] if parts else [])]


def _part(block: JSONObject) -> JSONObject | None:
    """A block as a part of a chat message, None for what has none there."""
    if block.get("type") == "text":
        return {"type": "text", "text": block["text"]} if block["text"] else None
    source = block.get("source")
    if block.get("type") == "image" and isinstance(source, dict) and source.get("data"):
        url = f"data:{source['media_type']};base64,{source['data']}"
        return {"type": "image_url", "image_url": {"url": url}}
    return None


def _usage(usage: JSON) -> RecordedUsage | None:
    """What was billed, of an answer's `usage`."""
    if not isinstance(usage, dict) or "input_tokens" not in usage:
        return None
    hour = int((usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0)
    return RecordedUsage(
        input_tokens=int(usage["input_tokens"] or 0),
        cache_read_tokens=int(usage.get("cache_read_input_tokens") or 0),
        cache_write_5m_tokens=int(usage.get("cache_creation_input_tokens") or 0) - hour,
        cache_write_1h_tokens=hour,
    )


def _seconds(timestamp: JSON) -> float:
    return datetime.fromisoformat(str(timestamp).replace("Z", "+00:00")).timestamp()
