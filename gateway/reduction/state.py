"""What is remembered of a conversation between its requests, and how it is found again.

A request is recognised by the beginning of its message list: under a digest of everything a request
has said, and of its first message, lies what was known then. The client's own key for the
conversation serves as well. All are asked for at once; the one that tells most of the new request
is its previous request.

There is no text in here, only digests and numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway import wire
from gateway.protocols.shared.digests import BlockDigests, chained, digest
from gateway.reduction.lifetime import Lifetime, Pauses
from gateway.reduction.volatile import SystemLines
from gateway.wire import JSONObject

BLOCK_BYTES = 8
"""Of each block's digest so many bytes are kept: enough to tell the blocks of a project apart."""

MAX_BLOCKS = 8_000
"""Blocks remembered of one request; what lies behind counts as new."""

_FORMAT = 1
_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}
_MOST_BEGINNINGS = 8  # asked for, newest first
_STORED_BEGINNINGS = 3  # of a client that rewrites: what it leaves alone is behind one of them
_FIRST_LINE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Calls:
    """A history with calls: its `shape`, in which ids do not count, and a digest of the first."""

    shape: bytes = b""
    first_id: bytes = b""


@dataclass(frozen=True, slots=True)
class ConversationState:
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


@dataclass(frozen=True, slots=True)
class Beginnings:
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
    state = first = b""
    ends: list[tuple[bytes, int]] = []
    questions: list[bytes] = []
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            ends.append((state, index))
        elif message["content"][-1]["type"] == "text":
            questions.append(_opening(message["content"][-1]["text"]))
        state = digest(state + digests.of_message(message))
        first = first or state
    ends.reverse()
    return Beginnings(
        whole=state,
        first=first,
        ends=tuple(ends[:_MOST_BEGINNINGS]),
        messages=len(messages),
        question=questions[-1] if questions else b"",
        questions=frozenset(questions),
    )


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


@dataclass(frozen=True, slots=True)
class Found:
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


def read_calls(messages: list[JSONObject], digests: BlockDigests) -> Calls:
    """The calls in these messages; nothing when there are none."""
    first_id = b""
    sizes: list[bytes] = []
    for message in messages:
        for block in message["content"]:
            kind = block["type"]
            identity = str(block.get(_IDS.get(kind, ""), "")).encode("utf-8", "surrogatepass")
            if kind == "tool_use" and not first_id:
                first_id = digest(identity)[:BLOCK_BYTES]
            size = digests.look(block).size - len(identity)
            sizes.append(kind.encode() + size.to_bytes(8, "big", signed=True))
    return Calls(digest(b"".join(sizes))[:BLOCK_BYTES], first_id) if first_id else Calls()


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
    """The state as bytes: a line of JSON, then the digests of the blocks."""
    head = {
        "format": _FORMAT,
        "id": state.id,
        "at": state.at,
        "setting": state.setting.hex(),
        "known_messages": state.known_messages,
        "question": state.question.hex(),
        "requests": state.requests,
        "extended": state.extended,
        "pauses": [state.pauses.steps, state.pauses.long],
        "bytes_per_token": state.bytes_per_token,
        "prompt_tokens": state.prompt_tokens,
        "passes": state.passes,
        "choice": state.choice,
        "lines": state.lines.digests.hex(),
        "moved": state.lines.moved,
        "calls": [state.calls.shape.hex(), state.calls.first_id.hex()],
        "ordinal_ids": state.ordinal_ids,
        "lifetime": state.lifetime,
        "compacted": state.compacted,
        "summary": state.summary,
        "held_out": state.held_out,
    }
    return wire.dumps(head) + b"\n" + state.blocks


def load_state(data: bytes) -> ConversationState | None:
    """The state in `data`; None when another version of the gateway wrote it in another form."""
    line, _, blocks = data.partition(b"\n")
    try:
        head = wire.loads(line)
        if head["format"] != _FORMAT:
            return None
        return ConversationState(
            id=head["id"],
            at=head["at"],
            setting=bytes.fromhex(head["setting"]),
            blocks=blocks,
            known_messages=head["known_messages"],
            question=bytes.fromhex(head["question"]),
            requests=head["requests"],
            extended=head["extended"],
            pauses=Pauses(*head["pauses"]),
            bytes_per_token=head["bytes_per_token"],
            prompt_tokens=head["prompt_tokens"],
            passes=head["passes"],
            choice=head["choice"],
            lines=SystemLines(bytes.fromhex(head["lines"]), tuple(head["moved"])),
            calls=Calls(*map(bytes.fromhex, head["calls"])),
            ordinal_ids=head["ordinal_ids"],
            lifetime=head["lifetime"],
            compacted=head["compacted"],
            summary=head["summary"],
            held_out=head["held_out"],
        )
    except (wire.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
