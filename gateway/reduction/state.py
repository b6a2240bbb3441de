"""What is remembered of a conversation between its requests, and how it is found again.

A request is recognised by the beginning of its message list: under a digest of everything a request
has said, and of its first message, lies what was known then. The client's own key for the
conversation serves as well. All are asked for at once; the one that tells most of the new request
is its previous request.

There is no text in here, only digests and numbers.
"""

from collections.abc import Sequence

from gateway import wire
from gateway.protocols.shared.digests import BlockDigests, chained, digest
from gateway.protocols.shared.walks import Walk
from gateway.reduction.lifetime import Lifetime, Pauses
from gateway.reduction.volatile import SystemLines
from gateway.structs import Struct, field, pack, unpack
from gateway.wire import JSONObject

BLOCK_BYTES = 8
"""Of each block's digest so many bytes are kept: enough to tell the blocks of a project apart."""

MAX_BLOCKS = 8_000
"""Blocks remembered of one request; what lies behind counts as new."""

_FORMAT = b"2"
_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}
_MOST_BEGINNINGS = 8  # asked for, newest first
_STORED_BEGINNINGS = 3  # of a client that rewrites: what it leaves alone is behind one of them
_FIRST_LINE_CHARS = 200


class Calls(Struct, frozen=True, array_like=True):
    """A history with calls: its `shape`, in which ids do not count, and a digest of the first."""

    shape: bytes = b""
    first_id: bytes = b""


class ConversationState(Struct, frozen=True, array_like=True):
    """One conversation after its latest request.

    `at` is when that began, in seconds. `setting` and `blocks` are digests of what was sent: of
    tools and system, and `BLOCK_BYTES` for each block of the messages. `known_messages` is how many
    messages the client had sent. `extended` counts the requests that continued the one before;
    `question` is a digest of how the newest user text began. `bytes_per_token` and `prompt_tokens`
    are by the API's usage, 0 until it is known. `passes` are the choices made when the conversation
    began; `choice` is how it is routed. `calls` are those of a history that did not begin with the
    one before; `ordinal_ids`: the client makes new ids for its calls each time. `lifetime` is that
    of the marks set last. `compacted` is the message before which old results are shortened,
    `summary` the key of the summary in use. `held_out`: it goes untouched to its end.
    """

    id: str
    at: float
    setting: bytes
    blocks: bytes
    known_messages: int
    question: bytes = b""
    requests: int = 1
    extended: int = 0
    pauses: Pauses = field(default_factory=Pauses)
    bytes_per_token: float = 0.0
    prompt_tokens: int = 0
    passes: JSONObject = field(default_factory=dict)
    choice: JSONObject | None = None
    lines: SystemLines = field(default_factory=SystemLines)
    calls: Calls = field(default_factory=Calls)
    ordinal_ids: bool = False
    lifetime: Lifetime | None = None
    compacted: int = 0
    summary: str | None = None
    held_out: bool = False

    @property
    def appends(self) -> bool:
        """True when at least half of its requests continued the one before."""
        return mostly_appends(self.requests, self.extended)


def mostly_appends(requests: int, extended: int) -> bool:
    """True when at least half of the requests after the first continued the one before."""
    return extended * 2 >= requests - 1


class Beginnings(Struct, frozen=True):
    """The beginnings of one request by which it may be known.

    `ends` has the digest of the messages before each of the newest answers of the assistant, newest
    first, with the number of those messages; `whole` is the digest of all messages, `first` of the
    first one. `question` is a digest of how the newest user text begins, `questions` of every one.
    """

    whole: bytes
    first: bytes
    ends: tuple[tuple[bytes, int], ...]
    messages: int
    question: bytes
    questions: frozenset[bytes]


def beginnings(messages: list[JSONObject], digests: BlockDigests) -> Beginnings:
    """The beginnings of a client's messages, in the Messages form and before any pass."""
    walk = digests.walk(messages, _BeginningsWalk())
    return Beginnings(
        whole=walk.state,
        first=walk.first,
        ends=tuple(walk.ends[: -_MOST_BEGINNINGS - 1 : -1]),
        messages=len(messages),
        question=walk.questions[-1] if walk.questions else b"",
        questions=frozenset(walk.questions),
    )


class _BeginningsWalk(Walk):
    """A walk to the beginnings of a request."""

    state: bytes = b""
    first: bytes = b""
    ends: list[tuple[bytes, int]] = field(default_factory=list)
    questions: list[bytes] = field(default_factory=list)

    def go(self, messages: list[JSONObject], first: int, digests: BlockDigests) -> None:
        """See more messages."""
        state = self.state
        for index, message in enumerate(messages, first):
            if message["role"] == "assistant":
                self.ends.append((state, index))
            elif (newest := message["content"][-1])["type"] == "text":
                self.questions.append(_opening(newest["text"]))
            state = digest(state + digests.of_message(message))
            self.first = self.first or state
        self.state = state


def _opening(text: str) -> bytes:
    """A digest of the first line of a text."""
    line = text[:_FIRST_LINE_CHARS].partition("\n")[0]
    return digest(line.encode("utf-8", "surrogatepass"))


def lookup_keys(beginning: Beginnings, client_key: str | None) -> list[str]:
    """Where the previous request's state may lie, the most telling place first.

    None for a first turn without a key of the client: nobody can have answered it.
    """
    keys = [digest.hex() for digest, _ in beginning.ends]
    if client_key is not None:
        keys.append(_named(client_key))
    if beginning.ends:
        keys.append(beginning.first.hex())
    return list(dict.fromkeys(keys))


def storage_keys(
    beginning: Beginnings, client_key: str | None, state: ConversationState, *, may_rewrite: bool
) -> list[str]:
    """Where the state of a request is put.

    A client that appends is found by all it has said. One that rewrites its history, or
    `may_rewrite` it, is found by what it leaves alone: earlier beginnings lead to it as well.
    """
    keys = [beginning.whole.hex()]
    if beginning.ends:
        keys.append(beginning.first.hex())
    if client_key is not None:
        keys.append(_named(client_key))
    if may_rewrite and (not state.appends or state.requests < 2):
        keys += [digest.hex() for digest, _ in beginning.ends[:_STORED_BEGINNINGS]]
    return list(dict.fromkeys(keys))


class Found(Struct, frozen=True):
    """The previous request's state, and how many of the new request's messages were in it."""

    state: ConversationState | None = None
    old_messages: int = 0


def choose_previous(beginning: Beginnings, candidates: Sequence[ConversationState | None]) -> Found:
    """The first candidate there is, in the order of `lookup_keys`.

    A history that was rewritten leads to some earlier request of its conversation: then the latest
    one that is known of the same conversation counts.
    """
    for index, candidate in enumerate(candidates):
        if candidate is None:
            continue
        old_messages = beginning.ends[index][1] if index < len(beginning.ends) else 0
        if old_messages and old_messages == candidate.known_messages:
            return Found(candidate, old_messages)
        same = [each for each in candidates if each is not None and each.id == candidate.id]
        return Found(max(same, key=lambda state: state.requests), old_messages)
    return Found()


def read_calls(
    messages: list[JSONObject], digests: BlockDigests, before: int = 0
) -> tuple[Calls, Calls]:
    """The calls in these messages, and in the first `before` of them; nothing where there are none.

    The second, compared with the first of the request before, tells whether ids were made anew.
    """
    walk = digests.walk(messages, _CallsWalk())
    if walk.first_at is None:
        return Calls(), Calls()
    old = sum([len(message["content"]) for message in messages[:before]])
    known = Calls()
    if walk.first_at < old:
        known = Calls(_shape_digest(walk.shape[: 2 * old]), walk.first_id)
    return Calls(_shape_digest(walk.shape), walk.first_id), known


class _CallsWalk(Walk):
    """A walk to the calls of a history; `first_at` is the place of the first among all blocks."""

    shape: list[str | int] = field(default_factory=list)
    first_id: bytes = b""
    first_at: int | None = None

    def go(self, messages: list[JSONObject], _: int, digests: BlockDigests) -> None:
        """See more messages."""
        blocks = [block for message in messages for block in message["content"]]
        shape = self.shape
        for block, made in zip(blocks, digests.look_all(blocks), strict=True):
            kind, size = block["type"], made.size
            if kind in _IDS:
                identity = _identity(block)
                size -= len(identity)
                if self.first_at is None and kind == "tool_use":
                    self.first_id = digest(identity)[:BLOCK_BYTES]
                    self.first_at = len(shape) // 2
            shape += (kind, size)


def _shape_digest(shape: list[str | int]) -> bytes:
    return digest(wire.dumps(shape))[:BLOCK_BYTES]


def _identity(block: JSONObject) -> bytes:
    """The id in a call or a result."""
    return str(block.get(_IDS[block["type"]], "")).encode("utf-8", "surrogatepass")


def common_blocks(before: bytes, now: bytes) -> int:
    """How many blocks two rows of block digests have in common at their beginning."""
    low, high = 0, min(len(before), len(now)) // BLOCK_BYTES
    while low < high:
        middle = (low + high + 1) // 2
        end = middle * BLOCK_BYTES
        if before[:end] == now[:end]:
            low = middle
        else:
            high = middle - 1
    return low


def _named(client_key: str) -> str:
    return chained(b"client", client_key.encode("utf-8", "surrogatepass")).hex()


def dump_state(state: ConversationState) -> bytes:
    """The state as bytes, a few hundred and what its blocks take."""
    return _FORMAT + pack(state)


def load_state(data: bytes) -> ConversationState | None:
    """The state in `data`; None when another version of the gateway wrote it in another form."""
    try:
        return unpack(data[1:], ConversationState) if data[:1] == _FORMAT else None
    except ValueError:
        return None
