"""Digests of messages: what was sent upstream, and what a client has seen.

`cache_control` is no content, so it never counts. 16 bytes of SHA-256: nobody can make two
messages of one digest, and the CPU has instructions for it.
"""

import re
from hashlib import sha256

from gateway import wire
from gateway.protocols.messages_form import THINKING_BLOCKS
from gateway.wire import JSON, JSONObject

DIGEST_BYTES = 16
_MARK = "cache_control"
_WHOLE_FLOAT = re.compile(rb"\d\.0|\de")  # may also stand in a string, which does no harm
_MAX_DEPTH = 254  # what lies deeper cannot be written, and the writer says so


def chained(*parts: bytes) -> bytes:
    """A digest of `parts` in this order; where one ends and the next begins counts."""
    framed = b"".join([len(part).to_bytes(8, "big") + part for part in parts])
    return sha256(framed).digest()[:DIGEST_BYTES]


def message_digest(message: JSONObject) -> bytes:
    """A digest of the message as it is sent."""
    content = message["content"]
    bare = content if isinstance(content, str) else [unmarked(block) for block in content]
    return _digest(f"{message['role']}:".encode() + wire.dumps(bare))


def setting_digest(body: JSONObject) -> bytes:
    """A digest of what stands before all messages: the tools and the system text."""
    parts = []
    for name in ("tools", "system"):
        value = body.get(name) or []
        if not isinstance(value, str):
            value = [unmarked(item) for item in value]
        parts.append(wire.dumps(value))
    return chained(*parts)


def seen_digest(blocks: list[JSONObject]) -> bytes:
    """A digest of what an OpenAI client sees of an assistant message: text and calls.

    White space in the text does not count, as clients trim and join text; nor does the order of
    keys, or how a number is written, in arguments, which they parse and write anew.
    """
    texts: list[str] = []
    calls: list[JSON] = []
    for block in blocks:
        kind = block["type"]
        if kind == "text":
            texts += block["text"].split()
        elif kind == "tool_use":
            calls.append([block["id"], block["name"], block["input"]])
    said = wire.dumps(["".join(texts)])
    asked = wire.dumps_sorted(calls)
    if _WHOLE_FLOAT.search(asked):
        asked = wire.dumps_sorted(_plain(calls))
    return _digest(said + asked)


def unmarked(block: JSONObject) -> JSONObject:
    """The block without cache marks, its own or those of blocks inside a tool result."""
    inner = block.get("content")
    if isinstance(inner, list) and any(isinstance(item, dict) and _MARK in item for item in inner):
        block = {**block, "content": [unmarked(item) for item in inner]}
    if _MARK in block:
        block = {key: value for key, value in block.items() if key != _MARK}
    return block


def without_thinking(content: list[JSONObject]) -> list[JSONObject]:
    """The content without thinking blocks; the same list when there are none."""
    if any(block["type"] in THINKING_BLOCKS for block in content):
        return [block for block in content if block["type"] not in THINKING_BLOCKS]
    return content


def _digest(data: bytes) -> bytes:
    return sha256(data).digest()[:DIGEST_BYTES]


def _plain(value: JSON, depth: int = 0) -> JSON:
    """Arguments with 1.0 as 1: JavaScript clients write them so."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return value
