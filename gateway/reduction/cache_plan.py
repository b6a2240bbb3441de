"""Where the prompt cache is marked: only where the next request can be expected to read.

The API writes an entry at each mark and reads the longest entry that was written before. A write
costs a quarter more than plain input (twice as much for an hour), a read a twentieth. So marks
stand on what repeats: the tools, the system text, the end of what the previous request had in
common with this one, and the end of this one, if its conversation grows by appending. Clients that
rewrite their history get no mark at the end: nobody would read it.
"""

from bisect import bisect_right
from itertools import accumulate, chain, repeat
from operator import contains, itemgetter

from gateway.catalog.models import Model
from gateway.protocols.shared.cache_marks import MAX_MARKS, without_mark
from gateway.protocols.shared.digests import DIGEST_BYTES, BlockDigests, digest
from gateway.reduction.lifetime import Lifetime
from gateway.reduction.state import BLOCK_BYTES, MAX_BLOCKS
from gateway.structs import Struct, field
from gateway.wire import JSONObject

_CONTENT, _WHOLE, _SIZE = itemgetter("content"), itemgetter(0), itemgetter(1)
_WORDS = DIGEST_BYTES // BLOCK_BYTES
_MARKABLE = frozenset({"text", "image", "document", "tool_use", "tool_result"})


class Layout(Struct, frozen=True):
    """The blocks of a request's messages in order, with digests and sizes.

    `starts` has the number of the first block of each message. `digests` has `BLOCK_BYTES` for each
    block. `ends` counts the bytes up to the end of each, tools and system included; `head_bytes`
    are these, `size` the bytes of everything. `marked` is how many marks the client has set.
    """

    blocks: list[JSONObject]
    starts: list[int]
    digests: bytes
    ends: list[int]
    tools_bytes: int
    head_bytes: int
    size: int
    setting: bytes
    marked: int

    def place(self, block: int) -> tuple[int, int]:
        """The index of the block's message, and its own there."""
        message = bisect_right(self.starts, block) - 1
        return message, block - self.starts[message]


def lay_out(body: JSONObject, digests: BlockDigests) -> Layout:
    """The layout of a body in the Messages form whose contents are lists of blocks."""
    tools, system = body.get("tools") or (), body.get("system") or ()
    contents = list(map(_CONTENT, body["messages"]))
    blocks = list(chain.from_iterable(contents))
    everything = [*tools, *system, *blocks]
    known = digests.look_all(everything)
    whole = b"".join(map(_WHOLE, known))
    ends = list(accumulate(map(_SIZE, known), initial=0))
    head = len(tools) + len(system)
    begin = head * DIGEST_BYTES
    return Layout(
        blocks=blocks,
        starts=list(accumulate(map(len, contents), initial=0)),
        digests=_shortened(whole[begin : begin + MAX_BLOCKS * DIGEST_BYTES]),
        ends=ends[head + 1 :],
        tools_bytes=ends[len(tools)],
        head_bytes=ends[head],
        size=ends[-1],
        setting=digest(whole[:begin]),
        marked=_count_marks(body, everything),
    )


def _shortened(digests: bytes) -> bytes:
    """Of a row of digests the first `BLOCK_BYTES` of each."""
    return memoryview(digests).cast("Q")[::_WORDS].tobytes()


class Situation(Struct, frozen=True):
    """What the marks depend on besides the request itself.

    `shared` is how many blocks the previous request had in common with this one, None when there is
    none that is known. `appends`: this conversation mostly grows at its end. `trailing` are blocks
    at the very end that the gateway itself has added and may not send again.
    """

    shared: int | None
    appends: bool
    trailing: int = 0
    lifetime: Lifetime = "5m"
    bytes_per_token: float = 4.0


class Marks(Struct):
    """Where marks go: the last tool, the last system block, blocks of messages by their number."""

    tools: bool = False
    system: bool = False
    blocks: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many they are."""
        return self.tools + self.system + len(self.blocks)


def plan_marks(body: JSONObject, layout: Layout, situation: Situation, model: Model) -> Marks:
    """The gateway's own marks, at most four with those that stand in the body already."""
    least = model.cache_minimum_tokens * situation.bytes_per_token
    budget = MAX_MARKS - layout.marked
    marks = Marks()
    for block in _wanted_blocks(body, layout, situation):
        if len(marks.blocks) < budget and layout.ends[block] >= least:
            marks.blocks.append(block)
    tools, system = body.get("tools"), body.get("system")
    if system and marks.count < budget and layout.head_bytes >= least:
        marks.system = "cache_control" not in system[-1]
    if tools and marks.count < budget and layout.tools_bytes >= least:
        marks.tools = "cache_control" not in tools[-1]
    return marks


def _wanted_blocks(body: JSONObject, layout: Layout, situation: Situation) -> list[int]:
    """The blocks to mark, the most valuable first; none twice, none that carries a mark."""
    wanted: list[int] = []
    if situation.appends:
        wanted.append(_markable(layout, len(layout.blocks) - 1 - situation.trailing))
    if situation.shared is None:
        wanted.append(_markable(layout, _before_last_answer(body, layout)))
    else:
        wanted.append(_markable(layout, situation.shared - 1))
    unmarked = [
        block for block in wanted if block >= 0 and "cache_control" not in layout.blocks[block]
    ]
    return list(dict.fromkeys(unmarked))


def _before_last_answer(body: JSONObject, layout: Layout) -> int:
    """The last block before the last message of the assistant, where the last request ended."""
    messages = body["messages"]
    for block in range(len(layout.blocks) - 1, 0, -1):
        number, index = layout.place(block)
        if index == 0 and messages[number]["role"] == "assistant":
            return block - 1
    return -1


def _markable(layout: Layout, block: int) -> int:
    """The block, or the nearest before it, that may carry a mark; -1 for none."""
    while block >= 0 and not _may_carry(layout.blocks[block]):
        block -= 1
    return block


def _may_carry(block: JSONObject) -> bool:
    kind = block["type"]
    return kind in _MARKABLE and not (kind == "text" and not block["text"].strip())


def count_marks(body: JSONObject) -> int:
    """The marks in a body, a client's or ours."""
    blocks = [block for message in body["messages"] for block in message["content"]]
    return _count_marks(body, [*blocks, *(body.get("tools") or ()), *(body.get("system") or ())])


def _count_marks(body: JSONObject, blocks: list[JSONObject]) -> int:
    """The marks in these blocks, and the one beside them in the body."""
    return sum(map(contains, blocks, repeat("cache_control"))) + ("cache_control" in body)


def with_marks(body: JSONObject, layout: Layout, marks: Marks, lifetime: Lifetime) -> JSONObject:
    """`body` with the marks in it; what carries none is shared.

    A longer lifetime never stands behind a shorter one: next to a client's marks ours give way.
    """
    if not marks.count:
        return body
    theirs = _client_marks(body, layout) if layout.marked else []
    result = dict(body)
    if marks.tools:
        mark = _mark_at((0, len(body["tools"])), theirs, lifetime)
        result["tools"] = [*body["tools"][:-1], {**body["tools"][-1], "cache_control": mark}]
    if marks.system:
        mark = _mark_at((1, len(body["system"])), theirs, lifetime)
        result["system"] = [*body["system"][:-1], {**body["system"][-1], "cache_control": mark}]
    messages = list(body["messages"])
    for block in marks.blocks:
        number, index = layout.place(block)
        content = list(messages[number]["content"])
        mark = _mark_at((2, block), theirs, lifetime)
        content[index] = {**content[index], "cache_control": mark}
        messages[number] = {**messages[number], "content": content}
    result["messages"] = messages
    return result


_Place = tuple[int, int]  # 0 tools, 1 system, 2 messages; the number of the block there


def _client_marks(body: JSONObject, layout: Layout) -> list[tuple[_Place, Lifetime]]:
    """Places and lifetimes of the marks in the body, in order."""
    groups = (body.get("tools") or (), body.get("system") or (), layout.blocks)
    return [
        ((level, number), "1h" if block["cache_control"].get("ttl") == "1h" else "5m")
        for level, group in enumerate(groups)
        for number, block in enumerate(group)
        if "cache_control" in block
    ]


def _mark_at(
    place: _Place, theirs: list[tuple[_Place, Lifetime]], lifetime: Lifetime
) -> JSONObject:
    """A mark at `place` that is legal among the client's own."""
    if any(at > place and lives == "1h" for at, lives in theirs):
        lifetime = "1h"
    elif any(at < place and lives == "5m" for at, lives in theirs):
        lifetime = "5m"
    return {"type": "ephemeral", "ttl": "1h"} if lifetime == "1h" else {"type": "ephemeral"}


def without_marks(body: JSONObject) -> JSONObject:
    """`body` without any mark; what carries none is shared."""
    result = {key: value for key, value in body.items() if key != "cache_control"}
    for name in ("tools", "system"):
        if result.get(name):
            result[name] = [without_mark(block) for block in result[name]]
    result["messages"] = bare_messages(body["messages"])
    return result


def bare_messages(messages: list[JSONObject]) -> list[JSONObject]:
    """The messages without marks; one that carries none is the same object."""
    return [
        {**message, "content": [without_mark(block) for block in message["content"]]}
        if any("cache_control" in block for block in message["content"])
        else message
        for message in messages
    ]
