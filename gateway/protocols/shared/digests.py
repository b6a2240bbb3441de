"""Digests of content blocks, each made once a request however many steps ask for it.

`cache_control` is no content, so it never counts. XXH3 of 128 bits: who could make two blocks of
one digest would only mislead the bookkeeping of his own project, and Claude's API has the last word
on what it accepts.
"""

from collections.abc import Callable
from typing import NamedTuple

from xxhash import xxh3_128_digest

from gateway import wire
from gateway.protocols.shared.walks import WalkKind, Walks
from gateway.wire import JSON, JSONObject

DIGEST_BYTES = 16
_MARK = "cache_control"


class BlockDigest(NamedTuple):
    """A block as it is sent: its digest, its size in bytes of JSON, and itself to keep it alive."""

    whole: bytes
    size: int
    block: JSONObject


_View = Callable[[list[JSONObject]], bytes]
_made = tuple.__new__  # a named tuple's own way is several times slower


digest: Callable[[bytes], bytes] = xxh3_128_digest
"""16 bytes that stand for what it is given."""


def chained(*parts: bytes) -> bytes:
    """A digest of `parts` in this order; where one ends and the next begins counts."""
    return xxh3_128_digest(b"".join([len(part).to_bytes(8, "big") + part for part in parts]))


def unmarked(block: JSONObject) -> JSONObject:
    """The block without cache marks, its own or those of blocks inside a tool result."""
    inner = block.get("content")
    if isinstance(inner, list):
        for item in inner:
            if isinstance(item, dict) and _MARK in item:
                block = {**block, "content": [unmarked(each) for each in inner]}
                break
    if _MARK in block:
        block = {key: value for key, value in block.items() if key != _MARK}
    return block


class BlockDigests:
    """Digests of the blocks of one request, by identity; keeps them alive. Not thread-safe.

    `walks` are those over its messages.

    Blocks must not be changed in place once their digest was taken; a cache mark may be put on.
    """

    __slots__ = ("_known", "_messages", "_rewritten", "_views", "walks")

    def __init__(self, known: "BlockDigests | None" = None) -> None:
        """`known` are those of blocks that the request shares with an earlier one."""
        self._known: dict[int, BlockDigest] = {}
        self._messages: dict[int, tuple[bytes, JSONObject, JSON]] = {}
        self._views: dict[int, tuple[bytes, JSON]] = {}
        self._rewritten: dict[int, tuple[str, JSONObject]] = {}
        self.walks: Walks = Walks(known.walks if known is not None else None)
        if known is not None:
            self._known |= known._known
            self._messages |= known._messages
            self._views |= known._views
            self._rewritten |= known._rewritten

    def look(self, block: JSONObject) -> BlockDigest:
        """The digest and the size of a block."""
        known = self._known.get(id(block))
        if known is not None:
            return known
        bare = unmarked(block) if _MARK in block or "content" in block else block
        data = wire.dumps(bare)
        made = _made(BlockDigest, (xxh3_128_digest(data), len(data), block))
        self._known[id(block)] = made
        return made

    def look_all(self, blocks: list[JSONObject]) -> list[BlockDigest]:
        """The digests and sizes of blocks, in their order."""
        known = list(map(self._known.get, map(id, blocks)))
        if all(known):
            return known  # type: ignore[return-value]
        return [each or self.look(block) for each, block in zip(known, blocks, strict=True)]

    def rewritten(self, block: JSONObject, text: str) -> JSONObject | None:
        """The block with `text` in it that was sent in the place of this one, if that is known."""
        known = self._rewritten.get(id(block))
        return known[1] if known is not None and known[0] == text else None

    def rewrite(
        self, block: JSONObject, text: str, made: JSONObject, salt: bytes, grown: int
    ) -> None:
        """Let `made`, with `text` in it, be what is sent in the place of `block`.

        Its digest follows from that of `block`, without reading it: `salt` has to tell it from
        everything else that may be made of the same block. `grown` is by how many bytes it is
        longer.
        """
        whole, size, _ = self.look(block)
        digest = _made(BlockDigest, (xxh3_128_digest(whole + salt), size + grown, made))
        self._known[id(made)] = digest
        self._rewritten[id(block)] = (text, made)

    def of(self, block: JSONObject) -> bytes:
        """The digest of a block as it is sent."""
        return self.look(block)[0]

    def of_message(self, message: JSONObject) -> bytes:
        """The digest of a message as it is sent: its role and its blocks."""
        content = message["content"]
        known = self._messages.get(id(message))
        if known is not None and known[2] is content:
            return known[0]
        if isinstance(content, str):
            whole = self.of({"type": "text", "text": content})
        elif len(content) == 1:
            whole = self.look(content[0])[0]
        else:
            whole = b"".join([each[0] for each in self.look_all(content)])
        made = xxh3_128_digest(whole + message["role"].encode())
        self._messages[id(message)] = (made, message, content)
        return made

    def walk(self, messages: list[JSONObject], begin: WalkKind) -> WalkKind:
        """`begin`, which has seen nothing, or one of its kind, behind all of these messages."""
        return self.walks.over(messages, begin, self)

    def of_view(self, content: list[JSONObject], look: _View) -> bytes:
        """What `look` makes of the blocks of a message; it has to be the same function always."""
        known = self._views.get(id(content))
        if known is not None:
            return known[0]
        made = look(content)
        self._views[id(content)] = (made, content)
        return made

    def only(self, messages: list[JSONObject], others: list[JSONObject]) -> "BlockDigests":
        """Those of these messages and of other blocks, for requests that share them."""
        contents = [message["content"] for message in messages]
        blocks = {id(block) for blocks in (*contents, others) for block in blocks}
        lists, whole = set(map(id, contents)), set(map(id, messages))
        kept = BlockDigests()
        kept.walks = self.walks.of(messages)
        kept._rewritten = {key: each for key, each in self._rewritten.items() if key in blocks}
        blocks |= {id(made) for _, made in kept._rewritten.values()}
        kept._known = {key: each for key, each in self._known.items() if key in blocks}
        kept._messages = {key: each for key, each in self._messages.items() if key in whole}
        kept._views = {key: each for key, each in self._views.items() if key in lists}
        return kept
