"""Cache marks (`cache_control`) that clients put on their parts, messages and tools.

Kept on the blocks they came with, made legal: at most four in a request, a longer lifetime never
behind a shorter one.
"""

from collections.abc import Iterator

from gateway.protocols.shared.reading import SYSTEM_ROLES
from gateway.wire import JSON, JSONObject

MAX_MARKS = 4  # breakpoints the API takes in one request


class CacheMarks:
    """Reads the marks of one request; remembers whether there were any."""

    def __init__(self, ttl: str | None = None) -> None:
        """`ttl` is the lifetime of OpenAI's `prompt_cache_breakpoint`, None for the default."""
        self._ttl = ttl
        self.found = False

    def of(self, part: JSONObject) -> JSONObject | None:
        """The mark on a part, message or tool as the API takes it, None when there is none."""
        mark = part.get("cache_control")
        if mark is None and part.get("prompt_cache_breakpoint"):
            mark = {"type": "ephemeral", "ttl": self._ttl}
        if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
            return None
        self.found = True
        if mark.get("ttl") == "1h":
            return {"type": "ephemeral", "ttl": "1h"}
        return {"type": "ephemeral"}

    def put(self, part: JSONObject, blocks: list[JSONObject]) -> None:
        """Puts the mark on `part`, if any, on the last of the `blocks` made of it."""
        if is_marked(part):
            mark = self.of(part)
            if mark is not None and blocks:
                blocks[-1]["cache_control"] = mark


def is_marked(part: JSONObject) -> bool:
    """True for a part or message of a client that carries a mark, or something like one."""
    return "cache_control" in part or "prompt_cache_breakpoint" in part


def first_marked(messages: list[JSON], begin: int = 0) -> int:
    """The first message or item from `begin` on with a mark; how many they are when none has one.

    Those of the system do not count: clients leave their marks where they are.
    """
    for index, message in enumerate(messages[begin:], begin):
        if not isinstance(message, dict) or message.get("role") in SYSTEM_ROLES:
            continue
        parts = message.get("content") or message.get("output")
        if is_marked(message) or (isinstance(parts, list) and any(map(_carries, parts))):
            return index
    return len(messages)


def _carries(part: JSON) -> bool:
    return isinstance(part, dict) and is_marked(part)


def with_legal_marks(body: JSONObject) -> JSONObject:
    """`body` with its marks so that the API takes them; what does not change is shared.

    Of more than four, the first and the last three stay: the oldest prefix and the newest ones.
    """
    marked = list(_marked(body))
    surplus = max(0, len(marked) - MAX_MARKS)
    changed: dict[int, JSONObject] = {
        id(block): without_mark(block) for block in marked[1 : 1 + surplus]
    }
    short_seen = False
    for block in [*marked[:1], *marked[1 + surplus :]]:
        if "ttl" not in block["cache_control"]:
            short_seen = True
        elif short_seen:
            changed[id(block)] = {**block, "cache_control": {"type": "ephemeral"}}
    return _replaced(body, changed) if changed else body


def without_mark(block: JSONObject) -> JSONObject:
    """The block without its mark; itself when it has none."""
    if "cache_control" not in block:
        return block
    return {name: value for name, value in block.items() if name != "cache_control"}


def _replaced(body: JSONObject, changed: dict[int, JSONObject]) -> JSONObject:
    def new(blocks: list[JSONObject]) -> list[JSONObject]:
        return [changed.get(id(block), block) for block in blocks]

    result = dict(body)
    for name in ("tools", "system"):
        if body.get(name):
            result[name] = new(body[name])
    result["messages"] = [
        {**message, "content": new(message["content"])}
        if any(id(block) in changed for block in message["content"])
        else message
        for message in body["messages"]
    ]
    return result


def _marked(body: JSONObject) -> Iterator[JSONObject]:
    groups: list[JSON] = [body.get("tools") or [], body.get("system") or []]
    groups += [message["content"] for message in body["messages"]]
    for group in groups:
        for block in group:
            if "cache_control" in block:
                yield block
