"""A request laid out as the sequence the model reads: tools, system, message blocks.

Cache accounting, thinking signatures and token counts all work on this sequence. A segment's
`content` is its canonical bytes: `cache_control` is not content, a string is one text block, and
null fields do not count. The key order inside tool inputs and schemas does count, as it does for
the API's cache.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simulator.images import image_facts, image_tokens
from simulator.models import Model
from simulator.tokens import Counter, scaled
from simulator.validation.cache_markers import cacheable
from simulator.validation.conversation import blocks_of
from simulator.validation.request import CheckedRequest
from simulator.wire import Json, digest, dumps

_MARKER = "cache_control"
_REQUEST_OVERHEAD = 7  # tokens every request costs besides its content: an estimate
_BLOCK_OVERHEAD = 3  # tokens for the frame of a message or block: an estimate
_TOOLS_OVERHEAD = 300  # tokens of the instructions that come with tools: an estimate
_DOCUMENT_BYTES_PER_TOKEN = 12  # PDF pages cost 1,500 to 3,000 tokens: an estimate by size
_URL_IMAGE_TOKENS = 1500  # the size of an image behind a URL is unknown: a typical one


@dataclass(frozen=True, slots=True)
class Segment:
    """One tool, system block or message block.

    `level` is tools, system or messages; `path` is as in error messages; `marker` is its
    `cache_control`; `role` is empty outside messages.
    """

    level: str
    path: str
    role: str
    kind: str
    content: bytes
    marker: Json | None
    tokens: int
    cacheable: bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """All segments of a request and its estimated size."""

    segments: tuple[Segment, ...]

    @property
    def tokens(self) -> int:
        """Estimated input tokens of the whole request."""
        return sum(segment.tokens for segment in self.segments)


def canonical(block: Json) -> bytes:
    """The content of a block as bytes; equal for equal content."""
    parts: list[bytes] = []
    for key in sorted(block):
        value = block[key]
        if key == _MARKER or value is None:
            continue
        if key == "content" and block.get("type") == "tool_result":
            value = _result_content(value)
        parts += [key.encode(), dumps(value)]
    return b"\x00".join(parts)


def _result_content(value: str | list[Json]) -> list[Json]:
    blocks = [{"type": "text", "text": value}] if isinstance(value, str) else value
    return [
        {key: block[key] for key in sorted(block) if key != _MARKER and block[key] is not None}
        for block in blocks
    ]


def lay_out(request: CheckedRequest, counter: Counter, without: frozenset[str]) -> Prompt:
    """The prompt of a request; `without` names paths of blocks the model does not get to read."""
    automatic = request.body.get(_MARKER)
    segments = list(_segments(request, counter, without))
    if automatic is not None:
        segments = _mark_last(segments, automatic)
    return Prompt(tuple(segments))


def _mark_last(segments: list[Segment], marker: Json) -> list[Segment]:
    for index in range(len(segments) - 1, -1, -1):
        segment = segments[index]
        if segment.cacheable:
            if segment.marker is None:
                segments[index] = Segment(
                    segment.level,
                    segment.path,
                    segment.role,
                    segment.kind,
                    segment.content,
                    marker,
                    segment.tokens,
                    True,
                )
            break
    return segments


def _segments(
    request: CheckedRequest, counter: Counter, without: frozenset[str]
) -> Iterator[Segment]:
    model = request.model
    for index, tool in enumerate(request.tools):
        extra = _TOOLS_OVERHEAD if index == 0 else 0
        tokens = scaled(counter.count(_tool_text(tool)), model.token_scale) + extra
        yield Segment(
            "tools", f"tools.{index}", "", "tool", canonical(tool), tool.get(_MARKER), tokens, True
        )
    for index, block in enumerate(request.system):
        yield _segment("system", f"system.{index}", "", block, model, counter)
    first = True
    for index, message in enumerate(request.messages):
        for position, block in enumerate(blocks_of(message)):
            path = f"messages.{index}.content.{position}"
            if path not in without:
                segment = _segment("messages", path, message["role"], block, model, counter)
                yield _with_overhead(segment) if first else segment
                first = False


def _with_overhead(segment: Segment) -> Segment:
    return Segment(
        segment.level,
        segment.path,
        segment.role,
        segment.kind,
        segment.content,
        segment.marker,
        segment.tokens + _REQUEST_OVERHEAD,
        segment.cacheable,
    )


def _segment(
    level: str, path: str, role: str, block: Json, model: Model, counter: Counter
) -> Segment:
    return Segment(
        level,
        path,
        role,
        block["type"],
        canonical(block),
        block.get(_MARKER),
        block_tokens(block, model, counter) + _BLOCK_OVERHEAD,
        cacheable(block),
    )


def block_tokens(block: Json, model: Model, counter: Counter) -> int:
    """Estimated tokens of a content block."""
    kind = block["type"]
    if kind == "image":
        return _image_tokens(block["source"], model)
    if kind == "document":
        return _document_tokens(block, model, counter)
    if kind == "tool_result" and isinstance(block.get("content"), list):
        return sum(block_tokens(inner, model, counter) for inner in block["content"])
    return scaled(counter.count(_block_text(block)), model.token_scale)


def _block_text(block: Json) -> str:
    kind = block["type"]
    if kind == "text":
        return str(block["text"])
    if kind == "thinking":
        return str(block["thinking"])
    if kind == "redacted_thinking":
        return ""
    if kind == "tool_use":
        return f"{block['name']} {dumps(block['input']).decode()}"
    if kind == "tool_result":
        return str(block.get("content") or "")
    return dumps({key: value for key, value in block.items() if key != _MARKER}).decode()


def _tool_text(tool: Json) -> str:
    return dumps({key: value for key, value in tool.items() if key != _MARKER}).decode()


def _image_tokens(source: Json, model: Model) -> int:
    if source["type"] != "base64":
        return _URL_IMAGE_TOKENS
    try:
        facts = image_facts(base64.b64decode(source["data"]))
    except binascii.Error:
        facts = None
    if facts is None:
        return _URL_IMAGE_TOKENS
    return image_tokens(facts.width, facts.height, model.image_cap)


def _document_tokens(block: Json, model: Model, counter: Counter) -> int:
    source = block["source"]
    if source["type"] == "text":
        return scaled(counter.count(source["data"]), model.token_scale)
    if source["type"] == "content":
        inner = source["content"]
        if isinstance(inner, str):
            return scaled(counter.count(inner), model.token_scale)
        return sum(block_tokens(item, model, counter) for item in inner)
    return len(source.get("data", "")) // _DOCUMENT_BYTES_PER_TOKEN or _URL_IMAGE_TOKENS


def chain(segments: Sequence[Segment], salts: dict[str, bytes]) -> list[bytes]:
    """A digest for each segment over everything up to it.

    `salts` are mixed in where a level begins: settings that change what follows. A level that has
    no segment still passes its salt on.
    """
    state = b""
    digests: list[bytes] = []
    levels = iter(("tools", "system", "messages"))
    level = ""
    for segment in segments:
        while level != segment.level:
            level = next(levels)
            state = digest(state, level.encode(), salts.get(level, b""))
        state = digest(state, segment.role.encode(), segment.content)
        digests.append(state)
    return digests
