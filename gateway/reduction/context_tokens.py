"""A cheap estimate of tokens, the same on every turn: it decides where conversations are cut."""

from gateway.protocols.messages_form import THINKING_BLOCKS
from gateway.reduction.tool_kinds import call_arguments
from gateway.wire import JSON, JSONObject

BLOCK_TOKENS = 8
"""What a block costs beyond its characters: its type, its id, its place."""

IMAGE_TOKENS = 1_600
"""Of a picture of the size the API scales down to."""

_CHARS_PER_TOKEN = 3.6  # measured on recorded coding sessions; prose has more, JSON fewer
_PDF_CHARS_PER_TOKEN = 25  # of base64: a page of 50 kB is about 2,000 tokens
_SCALAR_CHARS = 6


def estimated_tokens(block: JSONObject) -> int:
    """About how many tokens a content block has.

    Thinking counts nothing: whether it is there depends on what the client or the gateway kept, and
    the estimate must not.
    """
    kind = block["type"]
    if kind in THINKING_BLOCKS:
        return 0
    return IMAGE_TOKENS if kind == "image" else BLOCK_TOKENS + _content(kind, block)


def _content(kind: str, block: JSONObject) -> int:
    if kind == "text":
        return _tokens(len(block["text"]))
    if kind == "tool_result":
        return _result(block.get("content"))
    if kind == "tool_use":
        return _tokens(len(block["name"]) + _chars(call_arguments(block)))
    if kind == "document":
        return _document(block)
    return _tokens(_chars(block))


def text_chars(block: JSONObject) -> int:
    """How many characters of text a block has: its own, its result's or its arguments'."""
    kind = block["type"]
    if kind == "text":
        return len(block["text"])
    if kind == "tool_result":
        content = block.get("content")
        if isinstance(content, list):
            return sum(len(part["text"]) for part in content if part["type"] == "text")
        return len(content or "")
    if kind == "tool_use":
        return _chars(call_arguments(block))
    return 0


def _tokens(chars: int) -> int:
    return int(chars / _CHARS_PER_TOKEN)


def _result(content: JSON) -> int:
    if isinstance(content, list):
        return sum(map(estimated_tokens, content))
    return _tokens(len(content or ""))


def _document(block: JSONObject) -> int:
    source = block.get("source") or {}
    if source.get("type") == "base64":
        return len(source.get("data") or "") // _PDF_CHARS_PER_TOKEN
    return _tokens(_chars(source))


def _chars(value: JSON) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _chars(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(_chars, value))
    return _SCALAR_CHARS
