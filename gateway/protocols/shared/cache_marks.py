"""Cache marks (`cache_control`) that clients put on their parts, messages and tools.

Kept on the blocks they came with, made legal: at most four in a request, a longer lifetime never
behind a shorter one.
"""

from collections.abc import Iterator

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
        if "cache_control" in part or "prompt_cache_breakpoint" in part:
            mark = self.of(part)
            if mark is not None and blocks:
                blocks[-1]["cache_control"] = mark


def make_marks_legal(body: JSONObject) -> None:
    """Changes the marks in `body`, which the caller owns, so that the API takes them.

    Of more than four, the first and the last three stay: the oldest prefix and the newest ones.
    """
    marked = list(_marked(body))
    for block in marked[1 : 1 + max(0, len(marked) - MAX_MARKS)]:
        del block["cache_control"]
    short_seen = False
    for block in _marked(body):
        if short_seen:
            block["cache_control"] = {"type": "ephemeral"}
        elif "ttl" not in block["cache_control"]:
            short_seen = True


def _marked(body: JSONObject) -> Iterator[JSONObject]:
    groups: list[JSON] = [body.get("tools") or [], body.get("system") or []]
    groups += [message["content"] for message in body["messages"]]
    for group in groups:
        for block in group:
            if "cache_control" in block:
                yield block
