"""Digests of content blocks, each made once a request however many steps ask for it.

`cache_control` is no content, so it never counts. XXH3 of 128 bits: who could make two blocks of
one digest would only mislead the bookkeeping of his own project, and Claude's API has the last word
on what it accepts.
"""

from typing import NamedTuple

from xxhash import xxh3_128_digest

from gateway import wire
from gateway.wire import JSONObject

DIGEST_BYTES = 16
_MARK = "cache_control"
_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}


class BlockDigest(NamedTuple):
    """A block as it is sent: its digest, that of all but the id of its call, its size in bytes."""

    whole: bytes
    without_id: bytes
    size: int


def digest(data: bytes) -> bytes:
    """16 bytes that stand for `data`."""
    return xxh3_128_digest(data)


def chained(*parts: bytes) -> bytes:
    """A digest of `parts` in this order; where one ends and the next begins counts."""
    return xxh3_128_digest(b"".join([len(part).to_bytes(8, "big") + part for part in parts]))


def unmarked(block: JSONObject) -> JSONObject:
    """The block without cache marks, its own or those of blocks inside a tool result."""
    inner = block.get("content")
    if isinstance(inner, list) and any(isinstance(item, dict) and _MARK in item for item in inner):
        block = {**block, "content": [unmarked(item) for item in inner]}
    if _MARK in block:
        block = {key: value for key, value in block.items() if key != _MARK}
    return block


class BlockDigests:
    """Digests of the blocks of one request, by identity; keeps them alive. Not thread-safe.

    Blocks must not be changed in place once their digest was taken; a cache mark may be put on.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, tuple[BlockDigest, JSONObject]] = {}

    def look(self, block: JSONObject) -> BlockDigest:
        """The digests of a block."""
        known = self._known.get(id(block))
        if known is not None:
            return known[0]
        made = _made(unmarked(block))
        self._known[id(block)] = (made, block)
        return made

    def of(self, block: JSONObject) -> bytes:
        """The digest of a block as it is sent."""
        return self.look(block).whole

    def of_message(self, message: JSONObject) -> bytes:
        """The digest of a message as it is sent: its role and its blocks."""
        content = message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        look = self.look
        return xxh3_128_digest(
            message["role"].encode() + b"".join([look(block).whole for block in content])
        )


def _made(block: JSONObject) -> BlockDigest:
    name = _IDS.get(block.get("type", ""))
    if name is None or name not in block:
        data = wire.dumps(block)
        whole = xxh3_128_digest(data)
        return BlockDigest(whole, whole, len(data))
    data = wire.dumps({key: value for key, value in block.items() if key != name})
    without_id = xxh3_128_digest(data)
    whole = xxh3_128_digest(without_id + str(block[name]).encode("utf-8", "surrogatepass"))
    return BlockDigest(whole, without_id, len(data))
